"""What must be known of the texts before rows are judged: spoilt encodings, instants with and without a zone."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from engine.domain.schema import Kind
from engine.intake import cells
from engine.intake.cells import Cell, Reading
from engine.intake.readers import Raw
from engine.intake.sql import first_row
from engine.lake.engine import DuckDBEngine, identifier

# what the second and later bytes of a UTF-8 character become in Latin-1 and in Windows-1252
_TRAIL: Final = "".join(bytes([byte]).decode("cp1252", errors="ignore") for byte in range(0x80, 0xC0))
_SPOILT: Final = f"[\u00c2-\u00f4][\u0080-\u00bf{_TRAIL}]"
_BYTE_OF: Final = {bytes([byte]).decode("cp1252", errors="ignore"): byte for byte in range(0x80, 0x100)}
_MOST_VALUES: Final = 1_000_000


def mend(text: str) -> str | None:
    """Return a text whose UTF-8 bytes were once read as Latin-1 or Windows-1252 as it was meant; None when it was not.

    Whatever decodes strictly was almost surely UTF-8: a text that merely looks odd fails the decoding.
    """
    mended = bytearray()
    for letter in text:
        byte = ord(letter) if ord(letter) < 256 else _BYTE_OF.get(letter)
        if byte is None:
            return None
        mended.append(byte)
    try:
        meant = mended.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if meant == text else meant


def mend_texts(reading: Reading, raw: Raw, engine: DuckDBEngine) -> frozenset[str]:
    """Make one small table of spoilt values and what they meant per column that has any; return those columns.

    Only the distinct suspicious values come to Python; a column of ids is never looked at.
    """
    if not reading.enabled("mend_mojibake"):
        return frozenset()
    mended = set()
    for cell in cells.build(reading, raw.columns):
        if not (cell.is_text and cells.is_human_text(reading.table, cell.column)):
            continue
        value = f"({cell.raw})"
        found = engine.query(
            f"SELECT DISTINCT v FROM (SELECT {value} AS v FROM ({raw.sql})) "
            f"WHERE strlen(v) <> length(v) AND regexp_matches(v, ?) ORDER BY v LIMIT {_MOST_VALUES}",
            [_SPOILT],
        )
        pairs = [(text, meant) for text in found.column("v").to_pylist() if (meant := mend(text)) is not None]
        if pairs:
            _register(engine, cell.name, pairs)
            mended.add(cell.name)
    return frozenset(mended)


def _register(engine: DuckDBEngine, column: str, pairs: list[tuple[str, str]]) -> None:
    table = identifier(f"_mend_{column}")
    bad, good = zip(*pairs, strict=True)
    engine.connection.register("_mend", pa.table({"bad": pa.array(bad), "good": pa.array(good)}))
    engine.connection.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS SELECT * FROM _mend")
    engine.connection.unregister("_mend")


def mixed_zones(reading: Reading, raw: Raw, engine: DuckDBEngine) -> frozenset[str]:
    """Return the text columns in which some instants carry an offset, others none, and no zone is given for these."""
    asked = [cell for cell in cells.build(reading, raw.columns) if _may_mix(reading, cell)]
    if not asked:
        return frozenset()
    parts = []
    for cell in asked:
        text = f"({cell.raw})"
        aware = cells.has_offset(text)
        parts += [f"bool_or({aware})", f"bool_or(NOT {aware} AND {cells.parsed(reading, text)} IS NOT NULL)"]
    row = first_row(engine, f"SELECT {', '.join(parts)} FROM ({raw.sql})")
    return frozenset(cell.name for index, cell in enumerate(asked) if row[2 * index] and row[2 * index + 1])


def _may_mix(reading: Reading, cell: Cell) -> bool:
    has_helper = any(name.startswith("a_") for name, _ in cell.helpers)
    return cell.column.kind is Kind.INSTANT and cell.is_text and reading.zone is None and has_helper
