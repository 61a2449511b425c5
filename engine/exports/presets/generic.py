"""The canonical row as it is: for a tool of the bank's own, a warehouse, or a spreadsheet."""

from __future__ import annotations

from typing import Final

from engine.domain.words import CONTACT_CHANNELS
from engine.exports import members
from engine.exports.presets.base import Context, Preset, WireColumn


def _add(_: Context) -> tuple[WireColumn, ...]:
    first, *rest = (
        WireColumn(
            name=one.name, source=one.name, kind=one.kind, meaning=one.meaning, nullable=one.nullable, pii=one.pii
        )
        for one in members.COLUMNS
    )
    return (first, WireColumn(name="op", source="op", meaning="add, or update for who was sent before"), *rest)


def _remove(_: Context) -> tuple[WireColumn, ...]:
    return (
        WireColumn(name="external_id", source="external_id", meaning="who is no member any more", pii="id"),
        WireColumn(name="audience_id", source="audience_id", meaning="the audience"),
    )


def _suppress(_: Context) -> tuple[WireColumn, ...]:
    return (
        WireColumn(name="external_id", source="external_id", meaning="who must not be contacted", pii="id"),
        WireColumn(name="reason_code", source="reason_code", meaning="unsubscribed, complained, hard_bounce or manual"),
        WireColumn(name="since", source="since", meaning="when that was said, UTC"),
    )


GENERIC: Final = Preset(
    name="generic",
    title="Any tool",
    limits="generic",
    channels=CONTACT_CHANNELS,
    formats=("jsonl", "csv", "parquet", "csv_spreadsheet"),
    add=_add,
    remove=_remove,
    suppress=_suppress,
    how_en="Rows are keyed by external_id. A row replaces the one with the same external_id.",
    how_zh="以 external_id 为主键，同号行覆盖旧行。",
)
