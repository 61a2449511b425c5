"""How a table is described: columns with type, unit, range and meaning in English and Chinese."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """The type of a column, one word per idea, independent of any engine.

    `INSTANT` is kept as naive UTC microseconds on disk and is aware again at the edges; `MONEY` is an
    integer in minor units (cents, fen) of the currency named beside it; `SHARE` lies between 0 and 1.
    """

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    SHARE = "share"
    MONEY = "money"
    BOOLEAN = "boolean"
    DATE = "date"
    INSTANT = "instant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of a table.

    `choices` lists the values allowed for text; `minimum` and `maximum` bound numbers, inclusive;
    `references` names `table.column` that every non-null value must exist in; `free_text` is what people wrote, in
    which intake masks personal data.
    """

    name: str
    kind: Kind
    meaning: str
    meaning_zh: str
    required: bool = False
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    references: str | None = None
    unit: str | None = None
    personal: bool = False
    derived: bool = False
    free_text: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table: what one row is, its columns, and the key that no two rows share.

    `time_column` is the instant or date at which the row became known: rows later than `as_of` never
    reach a feature. `month_partitioned` tables lie on disk by month of that column.
    """

    name: str
    one_row_is: str
    one_row_is_zh: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    time_column: str | None = None
    month_partitioned: bool = False

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all columns, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def source_columns(self) -> tuple[Column, ...]:
        """The columns that a bank's own file may carry: all but those that intake derives."""
        return tuple(column for column in self.columns if not column.derived)

    def column(self, name: str) -> Column:
        """Return the column of that name; raises KeyError when the table has none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.name} has no column {name!r}")
