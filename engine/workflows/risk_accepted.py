"""Who of a file of applicants was lent to: the others have no outcome, and what they would have done is a guess."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.domain.errors import NotEnoughData, SettingsFault, UnknownName
from engine.intake import applicant_files
from engine.intake.event_files import EventFile
from engine.lake.engine import DuckDBEngine

_YES: Final = ("1", "yes", "y", "true", "t", "accepted", "approved", "approve", "accept")
_MOST_VALUES: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The column that tells who was lent to, and its values for those who were; empty: those that say yes."""

    column: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Refused:
    """The applicants who were not accepted.

    columns : their characteristics, in the order of the file, or of time where there is one, as `times` are.
    notes : what was found about them, and about the accepted whose outcome is not known.
    """

    columns: pa.Table
    times: NDArray[Any] | None
    notes: tuple[str, ...]

    @property
    def rows(self) -> int:
        """How many there are."""
        return int(self.columns.num_rows)

    def before(self, boundary: object | None) -> pa.Table:
        """Return those who asked before an instant; None: all."""
        if boundary is None or self.times is None:
            return self.columns
        return self.columns.filter(pa.array(self.times < boundary))


def settled(asked: Accepted, file: EventFile, engine: DuckDBEngine) -> Accepted:
    """Return the question with the values that mean accepted, as the file writes them.

    Raises
    ------
    UnknownName
        No row has a value that was named.
    SettingsFault
        None was named, and the column does not say yes or no.
    """
    values = applicant_files.values(file, asked.column, engine)
    listed = [f"{known} ({count:,})" for known, count in list(values.items())[:_MOST_VALUES]]
    if asked.values:
        found = [value for name in asked.values for value in values if _same(name, value)]
        if not found:
            raise UnknownName(f'accepted value of "{asked.column}" in {file.name}', asked.values[0], listed)
        return replace(asked, values=tuple(found))
    found = [value for value in values if any(_same(word, value) for word in _YES)]
    if not found or len(values) > 2:
        told = ", ".join(listed) or "no value at all"
        raise SettingsFault(
            "--accepted",
            [f'"{asked.column}" holds {told}; name the value of those who were lent to: --accepted COL=VALUE'],
        )
    return replace(asked, values=tuple(found))


def refuse(accepted: Accepted, target: str, lent: pa.ChunkedArray, known: pa.ChunkedArray, file: str) -> None:
    """Raise NotEnoughData where nobody was refused, or of nobody who was accepted the outcome is known."""
    rows, were = len(lent), int(pc.sum(lent).as_py() or 0)
    column = f'"{accepted.column}"'
    if were == rows:
        raise NotEnoughData(
            "reject inference",
            f"all {rows:,} rows of {file} are accepted: {column} is {' or '.join(accepted.values)} in each",
            "rows of applicants who were refused, or the same without --accepted",
        )
    of_accepted = int(pc.sum(pc.and_(known, lent)).as_py() or 0)
    if of_accepted:
        return
    of_others = int(pc.sum(known).as_py() or 0)
    turned = f"; {of_others:,} of the others have one, so perhaps {column} is named the wrong way round"
    raise NotEnoughData(
        "default model",
        f'"{target}" is known of none of the {were:,} accepted rows of {file}{turned if of_others else ""}',
        "the outcome of loans that were made",
    )


def split(  # noqa: PLR0917  the parts of one file
    rows: pa.Table,
    lent: pa.ChunkedArray,
    known: pa.ChunkedArray,
    kinds: Mapping[str, object],
    accepted: Accepted,
    time: str | None,
) -> Refused:
    """Return those who were not accepted, with what strikes about them."""
    others = rows.filter(pc.invert(lent))
    columns = others.select(list(kinds))
    times = others[time].to_numpy().astype("datetime64[us]") if time is not None else None
    return Refused(columns=columns, times=times, notes=tuple(_notes(rows, lent, known, columns, accepted)))


def _notes(
    rows: pa.Table, lent: pa.ChunkedArray, known: pa.ChunkedArray, refused: pa.Table, accepted: Accepted
) -> Iterable[str]:
    yield f"{refused.num_rows:,} of {rows.num_rows:,} rows were not accepted and have no outcome to learn from."
    silent = pc.sum(pc.is_null(rows[accepted.column])).as_py() or 0
    if silent:
        yield f'{silent:,} rows have no value of "{accepted.column}" and count as not accepted.'
    told = pc.sum(pc.and_(known, pc.invert(lent))).as_py() or 0
    if told:
        yield (
            f"{told:,} rows that were not accepted have an outcome, which cannot be that of a loan and is not read. "
            "Check that --accepted names the right values."
        )
    for name in refused.column_names:
        nothing = refused[name].null_count == refused.num_rows
        if nothing and rows[name].null_count < rows.num_rows:
            yield (
                f'"{name}" is empty in every row that was not accepted: what is known after the decision alone cannot '
                "score an applicant. Leave it out with --exclude."
            )


def _same(name: str, value: str) -> bool:
    if name.lower() == value.lower():
        return True
    try:
        return float(name) == float(value)
    except ValueError:
        return False
