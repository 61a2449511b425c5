"""The presets: how each campaign tool wants its rows, and what is never written to it."""

from __future__ import annotations

from typing import Final

from engine.domain.errors import UnknownName
from engine.exports.presets import ads, braze, customerio, generic, hubspot, klaviyo, mailchimp, sfmc
from engine.exports.presets.base import Context, Preset, WireColumn

__all__ = ["PRESETS", "Context", "Preset", "WireColumn", "preset"]

PRESETS: Final[dict[str, Preset]] = {
    one.name: one
    for one in (
        generic.GENERIC,
        braze.BRAZE_CDI,
        braze.BRAZE_CSV,
        sfmc.SFMC_DE,
        hubspot.HUBSPOT,
        mailchimp.MAILCHIMP,
        klaviyo.KLAVIYO,
        customerio.CUSTOMERIO,
        *ads.ADS_HASHED,
    )
}


def preset(name: str) -> Preset:
    """Return a preset by its name; raises UnknownName."""
    if name not in PRESETS:
        raise UnknownName("preset", name, PRESETS)
    return PRESETS[name]
