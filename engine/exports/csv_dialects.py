"""Rows to text, whole columns at a time: CSV for a campaign tool, CSV for a spreadsheet, JSON lines.

A cell that a spreadsheet would run as a formula is dangerous; a phone number with its plus sign and a negative number
are not, and are never touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

# what starts a formula: = + - @, their full-width forms, a tab, a carriage return, a NUL
_FORMULA_START: Final = "^[=+\\-@＝＋－＠\\t\\r\\x00]"
# what is a number, or a telephone number in international form, and nothing else
_NUMBER: Final = "^[-+]?[0-9]+([.][0-9]+)?$"
_NEEDS_QUOTES: Final = '[",;\\t\\r\\n]'
# what no line of text may hold; a tab and a line end are spaces to a campaign tool
_CONTROL: Final = "[\\x00-\\x1f\\x7f\\x{2028}\\x{2029}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How a CSV file is spelled."""

    delimiter: str
    line_end: str
    byte_order_mark: bool


IMPORT: Final = Dialect(delimiter=",", line_end="\n", byte_order_mark=False)
"""For a campaign tool: UTF-8 without mark, comma, line feed, RFC 4180 quoting."""


def spreadsheet(delimiter: str) -> Dialect:
    """Return the dialect to read in a spreadsheet: UTF-8 with byte-order mark, CRLF."""
    return Dialect(delimiter=delimiter, line_end="\r\n", byte_order_mark=True)


def is_formula(column: Any) -> Any:
    """Mark the texts that a spreadsheet would run as a formula; numbers and telephone numbers are none."""
    starts = pc.match_substring_regex(column, _FORMULA_START)
    number = pc.match_substring_regex(column, _NUMBER)
    return pc.fill_null(pc.and_not(starts, number), False)


def clean(rows: pa.Table) -> pa.Table:
    """Return the rows with every control character in a text made a space; other columns are left as they are."""
    for place, field in enumerate(rows.schema):
        if pa.types.is_string(field.type):
            cleaned = pc.replace_substring_regex(rows.column(place), _CONTROL, " ")
            rows = rows.set_column(place, field, cleaned)
    return rows


def dangerous(rows: pa.Table) -> pa.Table:
    """Return where a text would be run as a formula: columns row (0-based), column; in the order of rows."""
    found = []
    for name in rows.column_names:
        if not pa.types.is_string(rows.schema.field(name).type):
            continue
        at = pc.indices_nonzero(is_formula(rows[name])).cast(pa.int64())
        found.append(pa.table({"row": at, "column": pa.repeat(pa.scalar(name), len(at))}))
    if not found:
        return pa.table({"row": pa.array([], pa.int64()), "column": pa.array([], pa.string())})
    return pa.concat_tables(found).sort_by([("row", "ascending"), ("column", "ascending")])


def guarded(rows: pa.Table) -> pa.Table:
    """Return the rows with an apostrophe before every text that a spreadsheet would run as a formula."""
    for place, field in enumerate(rows.schema):
        if pa.types.is_string(field.type):
            column = rows.column(place)
            marked = pc.binary_join_element_wise(pa.scalar("'"), column, "")
            rows = rows.set_column(place, field, pc.if_else(is_formula(column), marked, column))
    return rows


def csv_header(names: list[str], dialect: Dialect) -> bytes:
    """Return the first line of a file, with the byte-order mark where the dialect has one."""
    mark = "\ufeff" if dialect.byte_order_mark else ""
    return (mark + dialect.delimiter.join(names) + dialect.line_end).encode()


def csv_lines(rows: pa.Table, dialect: Dialect) -> bytes:
    """Return the rows as CSV without a header; an unknown value is an empty cell, an empty text is `""`."""
    return joined(csv_rows(rows, dialect), dialect.line_end)


def csv_rows(rows: pa.Table, dialect: Dialect) -> Any:
    """Return each row as a line of CSV without its end, a text."""
    cells = [_csv_cell(rows.column(name)) for name in rows.column_names]
    return pc.binary_join_element_wise(*cells, dialect.delimiter, null_handling="replace", null_replacement="")


def json_objects(rows: pa.Table) -> Any:
    """Return each row as a JSON object, a text: keys in the order of their names; an unknown value is null.

    Control characters must have been cleaned away: only quotes and backslashes are escaped here.
    """
    parts: list[Any] = []
    for place, name in enumerate(sorted(rows.column_names)):
        key = ("{" if place == 0 else ",") + f'"{name}":'
        parts += [pa.scalar(key), json_values(rows.column(name))]
    return pc.binary_join_element_wise(*parts, pa.scalar("}"), "")


def json_lines(rows: pa.Table) -> bytes:
    """Return the rows as JSON objects, one a line; see `json_objects`."""
    return joined(json_objects(rows), "\n")


def json_values(column: Any) -> Any:
    """Return each value as it stands in JSON, `null` where it is unknown."""
    return pc.fill_null(_json_value(column), "null")


def _csv_cell(column: Any) -> Any:
    text = _text(column)
    if not pa.types.is_string(column.type):
        return text
    doubled = pc.replace_substring(text, '"', '""')
    quoted = pc.binary_join_element_wise(pa.scalar('"'), doubled, pa.scalar('"'), "")
    needs = pc.or_(pc.match_substring_regex(text, _NEEDS_QUOTES), pc.equal(text, ""))
    return pc.if_else(needs, quoted, text)


def _json_value(column: Any) -> Any:
    text = _text(column)
    if not pa.types.is_string(column.type):
        return text
    escaped = pc.replace_substring(pc.replace_substring(text, "\\", "\\\\"), '"', '\\"')
    return pc.binary_join_element_wise(pa.scalar('"'), escaped, pa.scalar('"'), "")


def _text(column: Any) -> Any:
    if pa.types.is_floating(column.type):
        # a float has no one spelling; numbers that leave the engine are decimals
        raise TypeError("a float column cannot be exported: cast it to a decimal of stated precision first")
    return column.cast(pa.string())


def joined(lines: Any, line_end: str) -> bytes:
    """Return all lines one after the other, each with its end, without touching any of them in Python."""
    ended = pc.binary_join_element_wise(lines, pa.scalar(line_end), "")
    chunks = ended.chunks if isinstance(ended, pa.ChunkedArray) else [ended]
    return b"".join(_content(chunk) for chunk in chunks if len(chunk))


def _content(lines: pa.Array) -> bytes:
    # the text buffer of an Arrow array is its values one after the other: the file as it should be
    offsets = lines.cast(pa.large_string())
    _, starts, data = offsets.buffers()
    places = memoryview(starts).cast("q")
    first, last = places[offsets.offset], places[offsets.offset + len(offsets)]
    return bytes(memoryview(data)[first:last])
