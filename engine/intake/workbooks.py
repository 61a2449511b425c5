"""Excel sheets to a spool, row by row, so that a large workbook is never whole in memory."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from engine.config.intake import Limits
from engine.domain.errors import UnknownName, UnreadableSource
from engine.intake import spooling

_ROWS: Final = 10_000


def spool(path: Path, name: str, sheet: str | None, target: Path, limits: Limits) -> spooling.Written:
    """Write one sheet (the first, unless one is named) as text columns named by its first row.

    Raises
    ------
    UnreadableSource
        Not a workbook, cut, a bomb, or its first row names no columns.
    UnknownName
        There is no sheet of that name.
    """
    _refuse_bomb(path, name, limits)
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (InvalidFileException, KeyError, ValueError, OSError):
        raise UnreadableSource(name, "is not an Excel workbook", "Mend `format` or save it as .xlsx.") from None
    try:
        if sheet is not None and sheet not in book.sheetnames:
            raise UnknownName(f"sheet of {name}", sheet, book.sheetnames)
        rows = (book[sheet] if sheet else book.worksheets[0]).iter_rows(values_only=True)
        header = _header(next(rows, ()), name)
        return spooling.write(name, header, _chunks(rows, len(header)), target)
    finally:
        book.close()


def head(path: Path, name: str, sheet: str | None, limits: Limits, rows: int) -> tuple[list[str], list[list[str]]]:
    """Return the columns and the first rows of a sheet as text; raises as `spool` does."""
    _refuse_bomb(path, name, limits)
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (InvalidFileException, KeyError, ValueError, OSError):
        raise UnreadableSource(name, "is not an Excel workbook", "Mend `format` or save it as .xlsx.") from None
    try:
        cells = (book[sheet] if sheet else book.worksheets[0]).iter_rows(values_only=True)
        header = list(_header(next(cells, ()), name))
        width = len(header)
        first = [[spooling.as_text(cell) or "" for cell in row[:width]] for row in islice(cells, rows)]
    finally:
        book.close()
    return header, [row + [""] * (width - len(row)) for row in first]


def sheets(path: Path, name: str, limits: Limits) -> tuple[str, ...]:
    """Return the names of the sheets of a workbook; raises as `spool` does."""
    _refuse_bomb(path, name, limits)
    try:
        book = openpyxl.load_workbook(path, read_only=True)
    except (InvalidFileException, KeyError, ValueError, OSError):
        raise UnreadableSource(name, "is not an Excel workbook", "Mend `format` or save it as .xlsx.") from None
    try:
        return tuple(book.sheetnames)
    finally:
        book.close()


def _refuse_bomb(path: Path, name: str, limits: Limits) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            expanded = sum(member.file_size for member in archive.infolist())
    except zipfile.BadZipFile:
        raise UnreadableSource(
            name, "is not an Excel workbook, or was cut", "Fetch it again, or mend `format`."
        ) from None
    packed = max(path.stat().st_size, 1)
    too_dense = expanded > limits.expansion_free_bytes and expanded > limits.expansion_ratio * packed
    if expanded > limits.expanded_bytes or too_dense:
        raise UnreadableSource(
            name, f"unpacks to {expanded:,} bytes from {packed:,}, as a zip bomb does", "Save the data as CSV."
        )


def _header(cells: tuple[Any, ...], name: str) -> list[str]:
    names = [str(cell).strip() if cell is not None else "" for cell in cells]
    while names and not names[-1]:
        names.pop()
    if not names or not all(names) or len(set(names)) < len(names):
        raise UnreadableSource(
            name, "its first row does not give every column a name of its own", "Put the column names into row 1."
        )
    return names


def _chunks(rows: Iterable[tuple[Any, ...]], width: int) -> Iterator[list[tuple[Any, ...]]]:
    filled = (_fit(row, width) for row in rows if any(cell is not None for cell in row))
    while chunk := list(islice(filled, _ROWS)):
        yield chunk


def _fit(row: tuple[Any, ...], width: int) -> tuple[Any, ...]:
    return row[:width] + (None,) * (width - len(row))
