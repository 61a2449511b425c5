"""To where an audience may go: its channels, its purpose and what a preset is for have to agree."""

from __future__ import annotations

from dataclasses import dataclass

from engine.config.exports import ExportSettings
from engine.domain.errors import RefusedByPolicy
from engine.exports.presets import Preset, preset
from engine.exports.presets.ads import CHANNEL as ADS
from engine.exports.presets.base import destination
from engine.workflows import kept_decisions
from engine.workflows.audiences import Opened
from engine.workflows.held_audiences import Kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """For whom and to where rows are made."""

    audience: str
    purpose: str
    channel: str
    preset: Preset
    settings: ExportSettings

    @property
    def needs(self) -> tuple[str, ...]:
        """The contacts that a row must have one of."""
        return self.preset.needs(self.channel)

    @property
    def destination(self) -> str:
        """Where it goes, such as `generic/email`."""
        return destination(self.preset.name, self.channel)


def target(held: Opened, kept: Kept, preset_name: str, channel: str | None, settings: ExportSettings) -> Target:
    """Return to where an audience goes; without a channel on the audience's first one that the preset is for.

    Raises
    ------
    UnknownName
        No such preset.
    RefusedByPolicy
        Audience, purpose, channel and preset do not go together.
    """
    chosen = preset(preset_name)
    return Target(
        audience=kept.record.name,
        purpose=kept.definition.purpose,
        channel=_channel(held, kept, chosen, channel, settings),
        preset=chosen,
        settings=settings,
    )


def _channel(held: Opened, kept: Kept, chosen: Preset, asked: str | None, settings: ExportSettings) -> str:
    """Return the channel of the export; raises RefusedByPolicy where it, audience and preset do not agree."""
    own, name = kept.definition.channels, kept.record.name
    fitting = [one for one in own if one in chosen.channels]
    if (asked is not None and asked not in own) or not fitting:
        told = f'The audience "{name}" is for {", ".join(own)}'
        why = f"not for {asked}" if asked is not None and asked not in own else f"and {chosen.name} is for none of them"
        raise RefusedByPolicy(f"{told}, {why} ({chosen.name}: {', '.join(chosen.channels)}). It stays.")
    channel = asked or fitting[0]
    if channel not in chosen.channels:
        raise RefusedByPolicy(
            f"{chosen.name} is for {', '.join(chosen.channels)}, not for {channel}. Name another preset."
        )
    purpose = kept.definition.purpose
    if (channel == ADS) != (purpose == settings.ads_purpose):
        raise RefusedByPolicy(
            f'The audience "{name}" has the purpose "{purpose}". Hashed identifiers for advertising leave for the '
            f'purpose "{settings.ads_purpose}" and the channel {ADS} alone, and nothing else does.'
        )
    known = kept_decisions.bundle_of(held.run).settings.contact_cost_minor
    if channel != ADS and channel not in known:
        raise RefusedByPolicy(
            f"The bank contacts nobody on {channel}: no cost of a contact is set for it, so no gate has asked about it."
        )
    return channel
