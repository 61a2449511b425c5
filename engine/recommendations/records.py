"""Blocks as records of one fixed length: all that a decision looks at of one customer lies side by side.

A run keeps its columns apart, which is what reading many customers wants. An answer for one wants one stretch of bytes:
`records_of` turns blocks into such records, which a file holds and a process maps, and `block_of` turns them back, to
the bit. Beside the block a record holds what was settled for all customers together: see `Settled`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.recommendations.credit import Credit
from engine.recommendations.frame import DecisionBlock, Flags, View

SCHEMA: Final = "1"
"""Of records in files; what another one was written by is made anew."""

_APART: Final = ("customer_ids", "view", "credit")
_VIEW: Final = tuple(f"view.{field.name}" for field in fields(View))
_CREDIT: Final = tuple(f"credit.{field.name}" for field in fields(Credit))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """What a run settled for n customers by a look at all of them, which no row says.

    `withheld` (n,) are those who give way to others of their household; `given` and `taken` (n, P) the pairs that the
    repair of an allocation let in though they do not pay the prices, or took though they do.
    """

    withheld: Flags
    given: Flags
    taken: Flags

    def allotted(self, by_prices: Flags) -> Flags | None:
        """Return the pairs left of those that prices and gates leave, None where nothing was settled for anybody."""
        if not (self.withheld.any() or self.given.any() or self.taken.any()):
            return None
        left: Flags = ((by_prices & ~self.taken) | self.given) & ~self.withheld[:, None]
        return left


def records_of(block: DecisionBlock, settled: Settled) -> NDArray[Any]:
    """Return one record per customer of a block, in its order; the ids are kept elsewhere."""
    held = _held(block) | {field.name: getattr(settled, field.name) for field in fields(Settled)}
    # packed, so that the bytes of a record are those of its values and nothing else
    records = np.zeros(block.size, dtype=[(name, values.dtype, values.shape[1:]) for name, values in held.items()])
    for name, values in held.items():
        records[name] = values
    return records


def fingerprint(record: NDArray[Any], customer_id: str) -> str:
    """Return the sha256 of one record, given as an array of one, and of whose it is: equal where every bit is."""
    return hashlib.sha256(record.tobytes() + customer_id.encode()).hexdigest()


def block_of(records: NDArray[Any], customer_ids: Sequence[str]) -> tuple[DecisionBlock, Settled]:
    """Return the block that records were made of, in the order of the ids, with what was settled."""
    read = {name: np.ascontiguousarray(records[name]) for name in records.dtype.names or ()}
    view = View(**{name.partition(".")[2]: read.pop(name) for name in _VIEW})
    lent = Credit(**{name.partition(".")[2]: read.pop(name) for name in _CREDIT})
    settled = Settled(**{field.name: read.pop(field.name) for field in fields(Settled)})
    ids = pa.array(customer_ids, pa.string())
    return DecisionBlock(customer_ids=ids, view=view, credit=lent, **read), settled


def _held(block: DecisionBlock) -> dict[str, NDArray[Any]]:
    held = {field.name: getattr(block, field.name) for field in fields(block) if field.name not in _APART}
    steps = np.zeros(block.view.owned.shape, dtype=np.int8) if block.view.steps is None else block.view.steps
    view = {"owned": block.view.owned, "x": block.view.x, "group": block.view.group, "steps": steps}
    held |= {name: view[name.partition(".")[2]] for name in _VIEW}
    return held | {name: getattr(block.credit, name.partition(".")[2]) for name in _CREDIT}
