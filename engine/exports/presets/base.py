"""What a preset is: columns made from canonical rows, files as the vendor takes them, and what it needs to know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from engine.config.exports import ExportFormat, ExportSettings, PresetLimits
from engine.exports import members
from engine.exports.envelopes import Envelope
from engine.exports.members import COUNT, FLAG, TEXT, Pii

__all__ = ["COUNT", "FLAG", "TEXT", "Columns", "Context", "Preset", "WireColumn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What the columns of a preset depend on, beside the rows."""

    audience: str
    channel: str
    run_id: str
    settings: ExportSettings

    @property
    def prefix(self) -> str:
        """What the fields kept at the vendor begin with, such as `cj`."""
        return self.settings.prefix


Source: TypeAlias = str | Callable[[pa.Table, Context], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class WireColumn:
    """One column as a vendor gets it: the name of a canonical column that it copies, or what makes it of the rows."""

    name: str
    source: Source
    meaning: str
    kind: pa.DataType = TEXT
    nullable: bool = False
    pii: Pii = "none"

    def of(self, rows: pa.Table, context: Context) -> Any:
        """Return the column for some canonical rows."""
        made = rows[self.source] if isinstance(self.source, str) else self.source(rows, context)
        return made if made.type == self.kind else pc.cast(made, self.kind)


Columns: TypeAlias = Callable[[Context], tuple[WireColumn, ...]]


def _none(_: Context) -> dict[str, str]:
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One campaign tool.

    channels : those that it may be used for; `ads` is no contact but the matching of hashed identifiers.
    contact : the contacts that a row must have, by channel; of several any one will do. Without an entry, none is read.
    key : the canonical column that tells one person from another at the vendor, by channel; external_id otherwise.
    limits : where its limits stand in the settings.
    add, remove, suppress : the columns of the three kinds of file; rows of suppress have `reason_code` and `since`.
    ordered_by : wire columns to sort by, where the order of the ids would tell what the hashes hide.
    envelope : the body of a request that adds rows, where the vendor has one.
    stamped : file names carry the run and a checksum, for a vendor that reads no name twice.
    notes : further files for whoever sets the vendor up, by name.
    """

    name: str
    title: str
    limits: str
    channels: tuple[str, ...]
    formats: tuple[ExportFormat, ...]
    add: Columns
    remove: Columns
    suppress: Columns
    how_en: str
    how_zh: str
    contact: dict[str, tuple[str, ...]] = field(default_factory=dict)
    key: dict[str, str] = field(default_factory=dict)
    ordered_by: tuple[str, ...] = ()
    envelope: Callable[[Context], Envelope] | None = None
    stamped: bool = False
    most_id_bytes: int | None = None
    notes: Callable[[Context], dict[str, str]] = _none

    def needs(self, channel: str) -> tuple[str, ...]:
        """Return the contacts that a row must have one of on a channel; none where the vendor knows the bank's ids."""
        return self.contact.get(channel, ())

    def key_on(self, channel: str) -> str:
        """Return the canonical column that tells persons apart at the vendor."""
        return self.key.get(channel, members.ID)

    def limits_in(self, settings: ExportSettings) -> PresetLimits:
        """Return the vendor's limits as they are set."""
        limits: PresetLimits = getattr(settings.presets, self.limits)
        return limits


def destination(preset: str, channel: str) -> str:
    """Return how a preset on a channel is called as a destination, such as `generic/email`."""
    return f"{preset}/{channel}"


def wire(rows: pa.Table, columns: tuple[WireColumn, ...], context: Context) -> pa.Table:
    """Return canonical rows as a vendor gets them."""
    return pa.table({column.name: column.of(rows, context) for column in columns})


def always(value: Any, kind: pa.DataType = TEXT) -> Source:
    """Return what makes a column of one value."""
    return lambda rows, _: pa.repeat(pa.scalar(value, kind), rows.num_rows)


def or_none(column: str) -> Source:
    """Return what makes a column of a canonical one with the word none where it is empty.

    A vendor leaves a value as it is when a cell is empty: an offer that a gate refuses now would stay in force there.
    """
    return lambda rows, _: pc.fill_null(rows[column], "none")


def membership(context: Context, is_one: bool) -> WireColumn:
    """Return the field that says whether somebody belongs, such as `cj_stalled_member`."""
    return WireColumn(
        name=f"{context.prefix}_{context.audience}_member",
        source=always(is_one, FLAG),
        kind=FLAG,
        meaning="whether the customer belongs to the audience",
    )


ATTRIBUTES: Final[tuple[tuple[str, Source, str], ...]] = (
    ("action", or_none("action_code"), "the product to offer on this channel, or none"),
    ("offer", or_none("offer_code"), "the offer it is made in, or none"),
    ("reason", "reason_text", "why, in English"),
    ("reason_zh", "reason_text_zh", "why, in Chinese"),
    ("valid_to", "valid_to", "instant after which it must not be used, UTC"),
    ("arm", "arm", "advised or control"),
    ("recommendation", or_none("recommendation_id"), "send it back with every response"),
    ("run", "run_id", "the run that decided"),
)
"""What most vendors keep of a member: the end of the field's name, the canonical column, and what it means."""


def attributes(context: Context) -> tuple[WireColumn, ...]:
    """Return the fields that most vendors keep of a member, such as `cj_action`."""
    return tuple(
        WireColumn(name=f"{context.prefix}_{end}", source=source, meaning=meaning, nullable=True)
        for end, source, meaning in ATTRIBUTES
    )
