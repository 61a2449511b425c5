"""A plain file of loans as what a default model learns from: characteristics, outcome, order in time, groups."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.domain.errors import NotEnoughData, SettingsFault, UnknownName
from engine.intake import applicant_files
from engine.intake.applicant_files import ROW, Columns, Kind, LeftOut, Unread
from engine.intake.event_files import EventFile
from engine.lake.engine import DuckDBEngine
from engine.lake.files import file_digest
from engine.risk import hindsight
from engine.workflows import risk_accepted, session
from engine.workflows.risk_accepted import Accepted, Refused

Bools = NDArray[np.bool_]

_MOST_LISTED: Final = 50
_MOST_VALUES: Final = 20


def silent(_: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleQuestion:
    """A file, the column of the outcome and which of its values are bad, and what part the other columns play.

    good : the values that are good; empty: all others. Rows with neither are of unknown outcome, as are empty ones.
    protected : columns that are never input, and by whose groups the model is looked at.
    time : a column by which the latest third is held back.
    as_of : the day on which all was known; a later time is refused.
    window_months : by when an outcome is decided, counted from the time; one that is told sooner is refused.
    excluded : columns left out because someone says so.
    categories : columns whose values are names even where they look like numbers.
    accepted : the column that tells who was lent to; the others have no outcome. None: the file holds loans alone.
    """

    path: Path
    target: str
    bad: tuple[str, ...]
    good: tuple[str, ...] = ()
    protected: tuple[str, ...] = ()
    time: str | None = None
    as_of: date | None = None
    window_months: int | None = None
    id_column: str | None = None
    excluded: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    accepted: Accepted | None = None
    encoding: str | None = None
    home: Path = Path("workspace")
    say: Callable[[str], None] = field(default=silent, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RiskSample:
    """What was read of a file.

    columns : the characteristics of the rows whose outcome is known, in the order of the file, or of time where
        there is one. bad, groups and times belong to the same rows.
    kinds and left_out : what the columns of the file are. `asked_out` were left out because someone said so.
    values : the values of the target and how many rows have each, the most frequent first.
    accepted and refused : how applicants were told apart, and those who were not accepted; None where the file holds
        loans alone.
    """

    name: str
    digest: str
    columns: Mapping[str, pa.ChunkedArray]
    bad: Bools
    groups: Mapping[str, pa.ChunkedArray]
    times: NDArray[np.datetime64] | None
    kinds: Mapping[str, Kind]
    left_out: tuple[LeftOut, ...]
    asked_out: tuple[str, ...]
    unread: tuple[Unread, ...]
    values: Mapping[str, int]
    rows: int
    broken: int
    untimed: int
    notes: tuple[str, ...]
    accepted: Accepted | None = None
    refused: Refused | None = None

    @property
    def bads(self) -> int:
        """How many rows are bad."""
        return int(self.bad.sum())

    @property
    def unknown_rows(self) -> int:
        """How many rows have no known outcome."""
        return self.rows - len(self.bad) - self.untimed - (self.refused.rows if self.refused else 0)


@contextmanager
def opened(path: Path, home: Path, encoding: str | None) -> Iterator[tuple[EventFile, DuckDBEngine]]:
    """Open a file of applicants for as long as it is read.

    Raises
    ------
    UnreadableSource
        It cannot be read; one sentence says why.
    NotEnoughData
        It has no row.
    """
    with session.files_aside(home) as aside:
        file = applicant_files.read(path, aside.engine, aside.folder("file"), aside.rules, encoding=encoding)
        if file.rows - file.broken == 0:
            raise NotEnoughData("default model", f"{file.name} has no rows", "a file with a row for each loan")
        yield file, aside.engine


def read(question: SampleQuestion) -> RiskSample:
    """Return what a default model learns from.

    Raises
    ------
    UnreadableSource, NotEnoughData, UnknownName, SettingsFault
        The file, its columns or its outcome cannot be used; one sentence says why.
    LooksAhead
        A row is later than the day the question is asked as of, or its outcome cannot have been decided by then.
    """
    with opened(question.path, question.home, question.encoding) as (file, engine):
        _refuse_unknown(question, file)
        found = applicant_files.columns(file, engine, categories=question.categories)
        values = applicant_files.values(file, question.target, engine)
        bad, good = (_outcomes(getattr(question, name), name, question, values) for name in ("bad", "good"))
        kinds = _characteristics(question, found)
        settled_on = None if question.accepted is None else risk_accepted.settled(question.accepted, file, engine)
        texts = [question.target, *question.protected, *([settled_on.column] if settled_on else [])]
        rows = applicant_files.table(file, kinds, engine, texts, question.time)
        settled = replace(question, bad=tuple(bad), good=tuple(good), accepted=settled_on)
        return _sorted_out(settled, file, replace(found, kinds=kinds), values, rows)


def _sorted_out(
    question: SampleQuestion, file: EventFile, found: Columns, values: Mapping[str, int], rows: pa.Table
) -> RiskSample:
    kinds = found.kinds
    untimed = 0
    if question.time is not None:
        timed = pc.is_valid(rows[question.time])
        untimed = rows.num_rows - int(pc.sum(timed).as_py() or 0)
        if untimed == rows.num_rows:
            raise _no_time(question.time, file)
        rows = rows.filter(timed).sort_by([(question.time, "ascending"), (ROW, "ascending")])
    outcome = rows[question.target]
    bad = pc.is_in(outcome, pa.array(question.bad, pa.string()))
    good = pc.is_in(outcome, pa.array(question.good, pa.string())) if question.good else pc.is_valid(outcome)
    known = pc.or_(bad, good)
    refused = None
    if question.accepted is not None:
        lent = pc.fill_null(pc.is_in(rows[question.accepted.column], pa.array(question.accepted.values)), False)
        risk_accepted.refuse(question.accepted, question.target, lent, known, file.name)
        refused = risk_accepted.split(rows, lent, known, kinds, question.accepted, question.time)
        known = pc.and_(known, lent)
        bad = pc.and_(bad, lent)
    _refuse_hindsight(question, rows, pc.fill_null(known, False).to_numpy(zero_copy_only=False))
    kept = rows.filter(known)
    _refuse_one_class(question, int(pc.sum(bad).as_py() or 0), kept.num_rows, file)
    roles = {question.target, question.id_column, question.time, *question.protected, *question.excluded}
    roles |= {question.accepted.column} if question.accepted else set()
    times = kept[question.time].to_numpy().astype("datetime64[us]") if question.time is not None else None
    return RiskSample(
        name=file.name,
        digest=_digest(question.path),
        columns={name: kept[name] for name in kinds},
        bad=bad.filter(known).to_numpy().astype(bool),
        groups={name: kept[name] for name in question.protected},
        times=times,
        kinds=kinds,
        left_out=tuple(one for one in found.left_out if one.name not in roles),
        asked_out=question.excluded,
        unread=tuple(one for one in found.unread if one.name in kinds),
        values=values,
        rows=file.rows - file.broken,
        broken=file.broken,
        untimed=untimed,
        notes=file.notes,
        accepted=question.accepted,
        refused=refused,
    )


def _refuse_hindsight(question: SampleQuestion, rows: pa.Table, known: Bools) -> None:
    if question.time is None or question.as_of is None:
        return
    times = rows[question.time].to_numpy().astype("datetime64[us]")
    # the day itself counts to its end
    until = np.datetime64(question.as_of, "us") + np.timedelta64(1, "D") - np.timedelta64(1, "us")
    hindsight.refuse_later(times, until, f'have a "{question.time}" later than {question.as_of}')
    if question.window_months is not None:
        hindsight.refuse_open(times, known, until, question.window_months)


def _digest(path: Path) -> str:
    """Return the checksum of a file, or of the files of a folder one after the other."""
    if path.is_file():
        return file_digest(path)
    return " ".join(file_digest(part) for part in sorted(path.rglob("*.parquet")))


def _refuse_unknown(question: SampleQuestion, file: EventFile) -> None:
    named: list[tuple[str, str | None]] = [("target", question.target), ("time", question.time)]
    named += [("id", question.id_column), *(("protected", name) for name in question.protected)]
    named += [("excluded", name) for name in question.excluded]
    named += [("category", name) for name in question.categories]
    named += [("accepted", question.accepted.column if question.accepted else None)]
    for what, column in named:
        if column is not None and column not in file.columns:
            raise UnknownName(f"{what} column", column, list(file.columns)[:_MOST_LISTED])
    faults = []
    for option, column in (("--time", question.time), ("--id", question.id_column)):
        if column == question.target:
            faults.append(f'{option} "{column}" is the target; name another column')
    if question.target in (*question.protected, *question.excluded):
        faults.append(f'--target "{question.target}" is also named protected or excluded; it can be one of them only')
    if question.window_months is not None and question.time is None:
        faults.append("--window counts from the time of a row; name its column with --time")
    if question.accepted is not None:
        others = {question.target, question.time, question.id_column, *question.protected, *question.excluded}
        if question.accepted.column in others:
            faults.append(f'--accepted "{question.accepted.column}" has another part too; it can play one only')
    both = sorted(set(question.bad) & set(question.good))
    faults += [f'"{value}" is named by --bad and by --good; it can be one of them only' for value in both]
    if faults:
        raise SettingsFault("wayline risk fit", faults)


def _outcomes(named: Sequence[str], option: str, question: SampleQuestion, values: Mapping[str, int]) -> list[str]:
    """Return the values of the target that an option names; 1 names a 1.0 of the file too."""
    of_number = {number: value for value in values if (number := _as_number(value)) is not None}
    found = []
    for value in named:
        number = _as_number(value)
        if value in values:
            found.append(value)
        elif number is not None and number in of_number:
            found.append(of_number[number])
        else:
            listed = [f"{known} ({count:,})" for known, count in list(values.items())[:_MOST_VALUES]]
            raise UnknownName(f'{option} value of "{question.target}" in {question.path.name}', value, listed)
    return found


def _as_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _refuse_one_class(question: SampleQuestion, bads: int, rows: int, file: EventFile) -> None:
    if bads == rows:
        raise NotEnoughData(
            "default model",
            f'all {rows:,} rows of {file.name} whose outcome is known are bad: "{question.target}" is '
            f"{' or '.join(question.bad)} in each",
            "rows of both outcomes",
        )


def _characteristics(question: SampleQuestion, found: Columns) -> dict[str, Kind]:
    taken = {question.target, question.time, question.id_column, *question.protected, *question.excluded}
    taken |= {question.accepted.column} if question.accepted else set()
    kinds = {name: kind for name, kind in found.kinds.items() if name not in taken}
    if not kinds:
        raise NotEnoughData(
            "default model",
            "no column is left that could be a characteristic",
            "at least one column of numbers or of few different words beside the target",
        )
    return kinds


def _no_time(column: str, file: EventFile) -> SettingsFault:
    return SettingsFault(
        file.name,
        [f'no value of the time column "{column}" can be read as a date; write dates as 2026-06-30 or 20260630'],
    )


def as_words(sample: RiskSample) -> list[str]:
    """Return, a sentence each, what was left out of a sample and what was read as missing."""
    told = list(sample.notes)
    if sample.broken:
        told.append(f"{sample.broken:,} lines are no rows and were left out.")
    if sample.unknown_rows:
        told.append(f"{sample.unknown_rows:,} rows have no known outcome and teach nothing.")
    if sample.refused is not None:
        told += sample.refused.notes
    if sample.untimed:
        told.append(f"{sample.untimed:,} rows have no date that can be read and were left out.")
    told += [left_out_words(one) for one in sample.left_out]
    told += [f'"{one.name}": {unread_words(one)[0]}.' for one in sample.unread]
    return told


LEFT_OUT: Final[Mapping[str, tuple[str, str]]] = {
    "id": ("it tells the rows apart, with {values} different values", "用于区分各行，有{values}个不同值"),
    "date": ("it holds dates; name it with --time to hold back the latest", "是日期；可用 --time 指定以留出最新数据"),
    "free_text": ("it holds free text", "是自由文本"),
    "many_values": (
        "it has {values} different values, too few rows of each; group them first",
        "有{values}个不同值，各值行数过少；请先归并",
    ),
    "constant": ("it is the same in every row", "各行相同"),
    "empty": ("it has no value", "没有值"),
    "nested": ("it holds lists or bytes", "是列表或字节"),
}
"""Why a column is left out, in English and Chinese."""


def left_out_words(one: LeftOut) -> str:
    """Return why a column was left out, in a sentence."""
    return f'"{one.name}" is left out: {LEFT_OUT[one.why][0].format(values=f"{one.values:,}")}.'


def unread_words(one: Unread) -> tuple[str, str]:
    """Return what of a column was read as missing, in English and Chinese."""
    parts = ((one.no_number, "no numbers", "非数值"), (one.infinite, "infinite", "无穷值"))
    counted = [part for part in parts if part[0]]
    english = " and ".join(
        f"{count:,} {'value is' if count == 1 else 'values are'} {what}" for count, what, _ in counted
    )
    chinese = "、".join(f"{what}{count:,}个" for count, _, what in counted)
    return (
        f"{english}, read as missing; the first in row {one.first_row:,}",
        f"{chinese}，按缺失读取；首个在第{one.first_row:,}行",
    )
