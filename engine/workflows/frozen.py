"""What a run decided on, block by block as it lies on disk: memory is that of a block, however many there are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engine.lake.runs import Run
from engine.recommendations import credit, ledger
from engine.recommendations.bundle import Bundle
from engine.recommendations.frame import DecisionBlock
from engine.workflows.kept_decisions import LOOKED_AT


class SortedRows:
    """The rows of a mart that is sorted by customer, read once and forwards."""

    def __init__(self, folder: Path, columns: Sequence[str], rows_at_once: int) -> None:
        self._batches = batches(folder, columns, rows_at_once)
        self._read: list[pa.Table] = []
        self._schema = pq.read_schema(_files(folder)[0])
        self._columns = list(columns)

    def up_to(self, customer_id: str) -> pa.Table:
        """Return the rows of all customers not yet returned, up to one and including them."""
        last = pa.scalar(customer_id)
        taken: list[pa.Table] = []
        while True:
            if not self._read:
                following = next(self._batches, None)
                if following is None:
                    break
                self._read.append(following)
            rows = self._read.pop()
            here = rows.filter(pc.less_equal(rows["customer_id"], last))
            taken.append(here)
            if here.num_rows < rows.num_rows:
                self._read.append(rows.slice(here.num_rows))
                break
        if not taken:
            return pa.schema([self._schema.field(name) for name in self._columns]).empty_table()
        return pa.concat_tables(taken)


def batches(folder: Path, columns: Sequence[str], rows_at_once: int) -> Iterator[pa.Table]:
    """Return the rows of a mart in its order, at most so many at a time."""
    for path in _files(folder):
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=rows_at_once, columns=list(columns)):
                yield pa.Table.from_batches([batch])


def blocks(run: Run, bundle: Bundle, customers: int) -> Iterator[DecisionBlock]:
    """Return the blocks that a run decided, in the order of the customers' ids and of at most so many customers."""
    names = ["customer_id", *bundle.features]
    features = SortedRows(run.require("features"), names, customers)
    lent = None
    if run.has("credit_decisions"):
        lent = SortedRows(run.require("credit_decisions"), credit.COLUMNS, customers)
    folder = run.require(LOOKED_AT)
    for rows in batches(folder, pq.read_schema(_files(folder)[0]).names, customers):
        last = rows["customer_id"][-1].as_py()
        yield ledger.block_of(rows, features.up_to(last), bundle.features, None if lent is None else lent.up_to(last))


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.parquet"))
