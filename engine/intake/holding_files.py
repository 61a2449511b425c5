"""A file with one row for each customer: which products each holds, and what else is known of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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
        A product column holds other values than numbers or yes and no, or the time cannot be read; all are named.
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
    _refuse_repeated(rows[roles.customer], roles.customer)
    faults: list[str] = []
    owned = np.column_stack([_held(rows, product, faults) for product in roles.products])
    times = None
    if roles.time is not None:
        plain = applicant_files.table(file, {}, engine, (roles.customer,), roles.time)
        read = plain.filter(pc.is_valid(plain[roles.customer]))[roles.time]
        times = _times(rows[roles.time], read, roles, faults, notes)
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


def _refuse_repeated(customers: pa.ChunkedArray, name: str) -> None:
    distinct = pc.count_distinct(customers).as_py()
    if distinct < len(customers):
        raise NotEnoughData(
            "evaluation",
            f'{len(customers) - distinct:,} of {len(customers):,} rows repeat a value of "{name}"',
            "one row for each customer, with a column for each product",
        )


def _held(rows: pa.Table, product: str, faults: list[str]) -> NDArray[np.bool_]:
    """Return who holds a product: a number above zero or a yes; an empty cell is not held."""
    codes = pc.dictionary_encode(rows[product].combine_chunks())
    held, wrong = [], []
    for value in codes.dictionary.to_pylist():
        number = profiles.number_of(str(value))
        held.append(number is not None and number > 0)
        wrong.append(number is None)
    places = np.asarray(pc.fill_null(codes.indices, len(held)), dtype=np.int64)
    bad = np.append(np.array(wrong, dtype=bool), False)[places]
    if bad.any():
        first = rows[applicant_files.ROW][int(bad.argmax())].as_py()
        faults.append(
            f'"{product}": {int(bad.sum()):,} of {len(bad):,} values are neither numbers nor yes or no, the first in '
            f"row {first:,}; a product column says how many are held, 0 for none"
        )
    return np.append(np.array(held, dtype=bool), False)[places]


def _times(
    text: pa.ChunkedArray, read: pa.ChunkedArray, roles: HoldingRoles, faults: list[str], notes: list[str]
) -> NDArray[np.datetime64]:
    """Return the times; where not all that is written can be read it is a fault.

    `read` is what reads as ISO already.
    """
    name, forms = str(roles.time), _FORMS
    if roles.time_format is not None:
        read, forms = pc.strptime(text, roles.time_format, "us", error_is_null=True), ()
    if read.null_count > text.null_count:
        read = _in_one_form(text, forms, read, notes, name)
    unread = read.null_count - text.null_count
    if unread or text.null_count == len(text):
        faults.append(
            f'"{name}": {unread or len(text):,} of {len(text):,} values are no dates. Write 2026-06-30, or say how '
            "they are written, such as --time-format %d/%m/%Y"
        )
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
