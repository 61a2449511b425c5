"""The canonical row of a recommendation that leaves the bank: what a campaign tool needs, never the risk behind it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from engine.domain.errors import CheckFailed
from engine.exports.manifest import ColumnFacts

Source: TypeAlias = Path | pa.Table | Iterable[pa.Table]

SCORE: Final = pa.decimal128(7, 6)

_TEXT, _COUNT, _STAMP = pa.string(), pa.int64(), pa.timestamp("us")

_NOBODY: Final = pa.schema([("customer_id", _TEXT), ("expires_at", _STAMP)]).empty_table()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportColumn:
    """One column of the canonical row: its Arrow type, what it means, and the mart column it comes from, if any."""

    name: str
    kind: pa.DataType
    meaning: str
    source: str | None = None
    nullable: bool = False

    def facts(self) -> ColumnFacts:
        """Return what the manifest says of the column."""
        words = {_TEXT: "text", _COUNT: "integer", SCORE: "decimal(7,6)"}
        return ColumnFacts(name=self.name, type=words[self.kind], nullable=self.nullable, meaning=self.meaning)


COLUMNS: Final = (
    ExportColumn(name="external_id", kind=_TEXT, source="customer_id", meaning="the bank's id of the customer"),
    ExportColumn(name="run_id", kind=_TEXT, meaning="the run that made the recommendation"),
    ExportColumn(
        name="recommendation_id", kind=_TEXT, source="decision_id", meaning="send it back with every response"
    ),
    ExportColumn(name="action_code", kind=_TEXT, source="product_id", meaning="the product to offer"),
    ExportColumn(
        name="offer_code",
        kind=_TEXT,
        source="offer_id",
        meaning="the offer it is made in; the product where it has none",
    ),
    ExportColumn(name="action_rank", kind=_COUNT, source="rank", meaning="1 is the best of the customer's offers"),
    ExportColumn(
        name="channel", kind=_TEXT, source="channel", meaning="the contact channel that the customer agreed to"
    ),
    ExportColumn(
        name="score", kind=SCORE, source="propensity", meaning="probability of taking it within the run's horizon"
    ),
    ExportColumn(
        name="annual_rate",
        kind=SCORE,
        source="annual_rate",
        nullable=True,
        meaning="price a year of credit, 0.0565 is 5.65 %; empty for what is no credit, or where risk named none",
    ),
    ExportColumn(
        name="limit_minor",
        kind=_COUNT,
        source="limit_minor",
        nullable=True,
        meaning="the most of this credit that may be lent, minor units of the base currency",
    ),
    # how to handle it; why it goes on that track names the customer's risk, and stays in the bank
    ExportColumn(
        name="track", kind=_TEXT, source="track", meaning="fast_track, standard, extra_verification or retention_offer"
    ),
    ExportColumn(name="reason_text", kind=_TEXT, source="reason_1", nullable=True, meaning="why, in English"),
    ExportColumn(name="reason_text_zh", kind=_TEXT, source="reason_1_zh", nullable=True, meaning="why, in Chinese"),
    ExportColumn(name="reason_2_text", kind=_TEXT, source="reason_2", nullable=True, meaning="second reason, English"),
    ExportColumn(
        name="reason_2_text_zh", kind=_TEXT, source="reason_2_zh", nullable=True, meaning="second reason, Chinese"
    ),
    ExportColumn(name="valid_from", kind=_TEXT, meaning="instant from which it holds, UTC"),
    ExportColumn(name="valid_to", kind=_TEXT, meaning="instant after which it must not be used, UTC"),
)
NEEDED: Final = tuple(column.source for column in COLUMNS if column.source is not None)


def moment(instant: datetime) -> str:
    """Return an aware instant as `YYYY-MM-DDThh:mm:ssZ`; raises ValueError for a naive one."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant.isoformat()} has no time zone")
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def canonical(rows: pa.Table, *, run_id: str, valid_from: str, valid_to: pa.ChunkedArray) -> pa.Table:
    """Return rows of the mart recommendations as canonical rows; the score is rounded to six decimals.

    `valid_to` is a text for every row, as `Validity.until` returns them.
    """
    same = {"run_id": run_id, "valid_from": valid_from}
    given = {name: pa.repeat(pa.scalar(text), rows.num_rows) for name, text in same.items()} | {"valid_to": valid_to}
    columns = {
        column.name: given[column.name] if column.source is None else _cast(rows[column.source], column.kind)
        for column in COLUMNS
    }
    return pa.table(columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """Who may be offered something on which channel when the offers leave, as keys that `key` makes.

    allowed : None where the bank keeps no consents and the run decided by what it assumes of them.
    """

    allowed: pa.Array | None
    blocked: pa.Array

    @staticmethod
    def key(customer_ids: Any, channels: Any) -> Any:
        """Return customer and channel as one text each."""
        return pc.binary_join_element_wise(customer_ids, channels, "\x1f")

    def keeps(self, batch: pa.Table) -> Any:
        """Mark the rows of the mart recommendations that may leave."""
        keys = self.key(batch["customer_id"], batch["channel"])
        free = pc.invert(pc.is_in(keys, value_set=self.blocked))
        return free if self.allowed is None else pc.and_(free, pc.is_in(keys, value_set=self.allowed))


EVERYTHING: Final = Permission(allowed=None, blocked=pa.array([], pa.string()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """Until when offers hold: to the end of the bundle, and never after the risk gate's answer for the customer.

    `sooner` holds the customers whose answer expires before the bundle does: customer_id and expires_at, naive UTC.
    """

    end: datetime
    sooner: pa.Table

    @classmethod
    def of(cls, end: datetime, answers: pa.Table | None) -> Validity:
        """Return the validity of a bundle that ends at an aware instant; `answers` are rows of the mart risk_gate."""
        if answers is None:
            return cls(end=end, sooner=_NOBODY)
        early = pc.less(answers["expires_at"], pa.scalar(end.astimezone(UTC).replace(tzinfo=None), _STAMP))
        return cls(end=end, sooner=answers.select(["customer_id", "expires_at"]).filter(early))

    def until(self, customer_ids: pa.ChunkedArray) -> pa.ChunkedArray:
        """Return the last instant for each customer as text, cut to the whole second before it."""
        place = pc.index_in(customer_ids, value_set=self.sooner["customer_id"].combine_chunks())
        ends = pc.floor_temporal(self.sooner["expires_at"].take(place), unit="second").cast(pa.timestamp("s"))
        return pc.fill_null(pc.strftime(ends, format="%Y-%m-%dT%H:%M:%SZ"), moment(self.end))


def _cast(values: Any, kind: pa.DataType) -> Any:
    return pc.cast(pc.round(values, 6), kind, safe=False) if kind == SCORE else pc.cast(values, kind)


def batches(source: Source, customer_ids: Any | None) -> Iterator[pa.Table]:
    """Return the recommendations batch by batch in the order of their key, of these customers only when given.

    Raises
    ------
    CheckFailed
        A stream of batches is not in the order of customer_id and rank.
    """
    last: pa.Table | None = None
    for batch in _read(source):
        if batch.num_rows == 0:
            continue
        _check_order(batch if last is None else pa.concat_tables([last, batch]))
        last = batch.slice(batch.num_rows - 1)
        yield batch if customer_ids is None else batch.filter(pc.is_in(batch["customer_id"], value_set=customer_ids))


def _read(source: Source) -> Iterator[pa.Table]:
    names = list(NEEDED)
    if isinstance(source, Path):
        dataset = ds.dataset(source, format="parquet", exclude_invalid_files=False)
        for batch in dataset.to_batches(columns=names):
            yield pa.Table.from_batches([batch])
    elif isinstance(source, pa.Table):
        yield source.select(names).sort_by([("customer_id", "ascending"), ("rank", "ascending")])
    else:
        for rows in source:
            yield rows.select(names)


def _check_order(rows: pa.Table) -> None:
    if rows.num_rows < 2:
        return
    before, after = rows.slice(0, rows.num_rows - 1), rows.slice(1)
    same = pc.equal(before["customer_id"], after["customer_id"])
    later = pc.or_(
        pc.less(before["customer_id"], after["customer_id"]), pc.and_(same, pc.less(before["rank"], after["rank"]))
    )
    if not pc.all(later).as_py():
        raise CheckFailed(
            "The recommendations are not in the order of customer_id and rank, or hold a rank twice. Run `wayline run` "
            "again; an export never sorts away what may be a broken run."
        )
