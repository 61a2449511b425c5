"""A file with one row for each customer: which products each holds, and what else is known of them.

A product column says 1 or 0, or yes and no, of every customer. Where no product column writes a 0 or a no, an empty
cell is one; where any does, an empty cell is unknown, and what is unknown is refused. Whole numbers above 1 are read as
counts, and that is said: a 7 may as well be a code for unknown, or the column an amount of money.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.config.intake import IntakeSettings
from engine.domain.errors import NotEnoughData, SettingsFault, UnknownName
from engine.intake import applicant_files, profiles
from engine.intake.event_files import EventFile
from engine.lake.engine import DuckDBEngine

_MOST_LISTED: Final = 50
_MOST_FAULTS: Final = 20
# a date that both read is taken as the first of them, and that is said
_FORMS: Final[tuple[str, ...]] = ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%Y/%m/%d", "%d/%m/%y", "%m/%d/%y")


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldingRoles:
    """Which columns play which role; `time_format` is how times are written where they are not ISO."""

    customer: str
    products: tuple[str, ...]
    profile: tuple[str, ...] = ()
    segment: str | None = None
    time: str | None = None
    time_format: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdings:
    """The customers in the order of the file.

    `owned` is (customers, products). `profile` has a column of floats or text for each that can be learned from,
    `segment` the text to group by. `times` are microseconds, NaT where there is none. `notes` say what was left out.
    """

    owned: NDArray[np.bool_]
    profile: pa.Table
    segment: pa.ChunkedArray | None
    times: NDArray[np.datetime64] | None
    notes: tuple[str, ...]


def read(
    path: Path,
    engine: DuckDBEngine,
    spool: Path,
    rules: IntakeSettings,
    roles: HoldingRoles,
    *,
    encoding: str | None = None,
) -> Holdings:
    """Return the holdings of a file.

    Raises
    ------
    UnreadableSource
        No such file, empty, cut or of another format.
    UnknownName
        A column that was named is not in the file.
    SettingsFault
        A product column holds something else than 0 and 1 or yes and no, or the time cannot be read; all are named.
    NotEnoughData
        The file has no rows, or a customer stands in several.
    """
    file = applicant_files.read(path, engine, spool, rules, encoding=encoding)
    _refuse_unknown(file, roles)
    kinds, notes = profiles.learnable(
        file, roles.profile, engine, instead_of_dates="name what orders the customers with --time"
    )
    texts = dict.fromkeys([roles.customer, *roles.products, *([roles.segment] if roles.segment else [])])
    if roles.time is not None:
        texts[roles.time] = None
    rows = applicant_files.table(file, {name: kinds[name] for name in kinds if name not in texts}, engine, tuple(texts))
    if rows.num_rows == 0:
        raise NotEnoughData("evaluation", f"{file.name} has no rows", "a row for each customer")
    notes += file.notes
    unnamed = rows[roles.customer].null_count
    if unnamed:
        notes.append(f'{unnamed:,} rows without a value of "{roles.customer}" were left out.')
        rows = rows.filter(pc.is_valid(rows[roles.customer]))
    _refuse_repeated(rows, roles.customer)
    faults: list[str] = []
    owned = _owned(rows, roles, faults, notes)
    times = None
    if roles.time is not None:
        plain = applicant_files.table(file, {}, engine, (roles.customer,), roles.time)
        read = plain.filter(pc.is_valid(plain[roles.customer]))[roles.time]
        times = _times(rows, read, roles, faults, notes)
    if faults:
        raise SettingsFault(file.name, faults)
    return Holdings(
        owned=owned,
        profile=profiles.columns(rows, kinds),
        segment=None if roles.segment is None else rows[roles.segment],
        times=times,
        notes=tuple(notes),
    )


def _refuse_unknown(file: EventFile, roles: HoldingRoles) -> None:
    named = [("customer", roles.customer), ("segment", roles.segment), ("time", roles.time)]
    named += [("product", name) for name in roles.products] + [("profile", name) for name in roles.profile]
    for what, name in named:
        if name is not None and name not in file.columns:
            raise UnknownName(f"{what} column", name, list(file.columns)[:_MOST_LISTED])


def _refuse_repeated(rows: pa.Table, name: str) -> None:
    customers = rows[name]
    codes = np.asarray(pc.dictionary_encode(customers.combine_chunks()).indices)
    # the first of each is where a code rises above all before it
    new = np.diff(np.maximum.accumulate(codes), prepend=-1) > 0
    if not new.all():
        first = rows[applicant_files.ROW][int(new.argmin())].as_py()
        raise NotEnoughData(
            "evaluation",
            f'{int((~new).sum()):,} of {len(codes):,} rows repeat a value of "{name}", the first in row {first:,}',
            "one row for each customer, with a column for each product",
        )


_HELD, _NOT_HELD, _SEVERAL, _BELOW, _PART, _TEXT, _EMPTY = range(7)
_WRONG: Final = {
    _BELOW: (
        "a negative number",
        "write 1 for held and 0 for not held; if it is a code for unknown, leave the row out",
    ),
    _PART: ("no whole number", "write 1 for held and 0 for not held; an amount or a share is no holding"),
    _TEXT: ("text", "write 1 for held and 0 for not held, or yes and no"),
    _EMPTY: (
        "empty",
        "an empty cell is not held only in a file that writes no 0 and no no; write 0 there, or leave the row out",
    ),
}
"""What else a cell can be than held or not, in words, and what to do about it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cells:
    """What the cells of one product column are: places from _HELD to _EMPTY, one for each row."""

    product: str
    kinds: NDArray[np.int64] = field(repr=False)

    def fault(self, wrong: NDArray[np.bool_], numbers: pa.ChunkedArray) -> str:
        """Return the sentence on the cells that are wrong, of which there is one at least."""
        first = int(wrong.argmax())
        kind, remedy = _WRONG[int(self.kinds[first])]
        return (
            f'"{self.product}": {int(wrong.sum()):,} of {len(wrong):,} values are neither 0 or 1 nor yes or no; the '
            f"first, in row {numbers[first].as_py():,}, is {kind}: {remedy}"
        )


def _owned(rows: pa.Table, roles: HoldingRoles, faults: list[str], notes: list[str]) -> NDArray[np.bool_]:
    """Return who holds what, (customers, products); what is wrong goes to `faults`, what was assumed to `notes`."""
    columns = [_Cells(product=product, kinds=_kinds(rows[product])) for product in roles.products]
    right = [_HELD, _SEVERAL]
    says_no = any(bool((column.kinds == _NOT_HELD).any()) for column in columns)
    not_held = [_NOT_HELD, *([] if says_no else [_EMPTY])]
    owned = np.column_stack([np.isin(column.kinds, right) for column in columns])
    wrong = [column for column in columns if not np.isin(column.kinds, [*right, *not_held]).all()]
    for column in wrong[:_MOST_FAULTS]:
        faults.append(column.fault(~np.isin(column.kinds, [*right, *not_held]), rows[applicant_files.ROW]))
    counts = [column.product for column in columns if (column.kinds == _SEVERAL).any()]
    if counts:
        named = ", ".join(counts[:_MOST_FAULTS]) + (" and others" if len(counts) > _MOST_FAULTS else "")
        notes.append(
            f"Numbers above 1 are read as counts, so that 1 and more is held: in {named}. If they are codes for "
            "unknown or amounts, write 1 or 0 instead."
        )
    if len(wrong) > _MOST_FAULTS:
        faults.append(f"{len(wrong) - _MOST_FAULTS:,} further product columns have such values")
    return owned


def _kinds(cells: pa.ChunkedArray) -> NDArray[np.int64]:
    """Return what each cell is, by the different values that there are."""
    codes = pc.dictionary_encode(cells.combine_chunks())
    kinds = np.array([*(_kind(str(value)) for value in codes.dictionary.to_pylist()), _EMPTY])
    return kinds[np.asarray(pc.fill_null(codes.indices, len(kinds) - 1), dtype=np.int64)]


def _kind(word: str) -> int:
    number = profiles.number_of(word)
    if number is None or math.isnan(number):
        return _TEXT
    if number in (0, 1):
        return _HELD if number else _NOT_HELD
    if number < 0:
        return _BELOW
    return _SEVERAL if number.is_integer() else _PART


def _times(
    rows: pa.Table, read: pa.ChunkedArray, roles: HoldingRoles, faults: list[str], notes: list[str]
) -> NDArray[np.datetime64]:
    """Return the times; where not all that is written can be read it is a fault.

    `read` is what reads as ISO already.
    """
    name, forms = str(roles.time), _FORMS
    text = rows[name]
    if roles.time_format is not None:
        read, forms = pc.strptime(text, roles.time_format, "us", error_is_null=True), ()
    if read.null_count > text.null_count:
        read = _in_one_form(text, forms, read, notes, name)
    unread = np.asarray(pc.and_(pc.is_null(read), pc.is_valid(text)))
    if unread.any():
        first = rows[applicant_files.ROW][int(unread.argmax())].as_py()
        faults.append(
            f'"{name}": {int(unread.sum()):,} of {len(text):,} values are no dates, the first in row {first:,}. Write '
            "2026-06-30, or say how they are written, such as --time-format %d/%m/%Y"
        )
    elif text.null_count == len(text):
        faults.append(f'"{name}" is empty in every row. Name another column of times, or leave --time out')
    return np.asarray(pc.cast(read, pa.timestamp("us")).to_numpy()).astype("datetime64[us]")


def _in_one_form(
    text: pa.ChunkedArray, forms: Sequence[str], read: pa.ChunkedArray, notes: list[str], name: str
) -> pa.ChunkedArray:
    """Return the times in the first form that reads all of them, else as they were."""
    fits = {form: pc.strptime(text, form, "us", error_is_null=True) for form in forms}
    whole = [form for form, times in fits.items() if times.null_count == text.null_count]
    if not whole:
        return read
    other = f", although {whole[1]} would read them too" if len(whole) > 1 else ""
    notes.append(f'"{name}" was read as {whole[0]}{other}; --time-format says otherwise.')
    return fits[whole[0]]
