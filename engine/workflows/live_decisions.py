"""One function from what a run says of some customers, what happened since and what is asked, to decisions.

A server calls it for the requests of one transaction, a replay for one decision of years ago. All it takes stands in
the run and in the ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
import orjson

from engine.recommendations import live
from engine.recommendations.bundle import Bundle
from engine.recommendations.decide import Assessed, DecisionTable, assess, settle
from engine.recommendations.frame import DecisionBlock
from engine.recommendations.gates import GATES
from engine.recommendations.live import Since
from engine.recommendations.records import Settled
from engine.workflows import live_answers
from engine.workflows.live_requests import Wanted, asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What a decision on one customer follows from beside the run: what is asked, what happened since, and when."""

    want: Wanted
    happened: Since
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Decided:
    """Decisions on n customers, a row each, with what they were made of.

    What is told of one row comes from lists that are made for all rows together, once: see the properties.
    """

    bundle: Bundle
    block: DecisionBlock
    settled: Settled
    found: Assessed
    table: DecisionTable

    def shown(self, row: int, want: Wanted) -> list[dict[str, Any]]:
        """Return the offers that one answer has room for, the best first."""
        first, behind = self._places[row : row + 2]
        return live_answers.offers(self.table, self.bundle, row, range(first, min(behind, first + want.offers)))

    def reasons(self, row: int) -> list[dict[str, Any]]:
        """Return why one customer is offered nothing."""
        return live_answers.reasons(self.found, row, self._refusals[row], withheld=bool(self.settled.withheld[row]))

    def outcome(self, row: int) -> str:
        """Return every product's numbers for one customer, in the order of the bundle, as the JSON of the ledger.

        Numbers are the shortest decimals that read back as the same: equal texts are equal bits. `refused` are the bits
        of the gates, `charged` what an offer of each product is charged at the bundle's prices, in minor units; null
        where there are no prices, or a number is unknown.
        """
        return orjson.dumps({name: column[row] for name, column in self._columns.items()}).decode()

    @cached_property
    def _columns(self) -> dict[str, list[Any]]:
        table, bundle = self.table, self.bundle
        chances = np.full(table.rank.shape, np.nan)
        chances[table.offer_rows, table.offer_products] = table.offer_chances
        charged: list[Any] = [None] * self.block.size
        if bundle.prices is not None:
            demand = self.found.demand
            charged = (demand.value - bundle.prices.surplus(demand)).tolist()
        return {
            "propensity": table.propensity.tolist(),
            "value": table.value.tolist(),
            "refused": table.masks.tolist(),
            "rank": table.rank.tolist(),
            "channel": table.channel.tolist(),
            "control": table.control.tolist(),
            "chance": chances.tolist(),
            "charged": charged,
        }

    @cached_property
    def _places(self) -> list[int]:
        """Where the offers of each row begin, and behind the last where they end."""
        places: list[int] = np.searchsorted(self.table.offer_rows, np.arange(self.block.size + 1)).tolist()
        return places

    @cached_property
    def _refusals(self) -> list[list[int]]:
        """How many products each gate refuses to each row."""
        marks = self.found.masks[:, :, None] >> np.arange(len(GATES), dtype=np.uint64) & np.uint64(1)
        counts: list[list[int]] = marks.sum(axis=1).tolist()
        return counts


def decided(bundle: Bundle, block: DecisionBlock, settled: Settled, asking: Sequence[Asking]) -> Decided:
    """Decide for customers as they stand at their moments, within what is asked; no row sees another.

    block, settled : what the run says of them. asking : what it does not know. All are a row each, in the same order.
    """
    channels, moments = tuple(bundle.settings.contact_cost_minor), [one.at for one in asking]
    now = live.as_it_stands(block, [one.happened for one in asking], channels, moments)
    found = assess(now, bundle, asked([one.want for one in asking], bundle))
    table = settle(now, bundle, found)
    allotted = settled.allotted(table.rank > 0)
    if allotted is not None and not np.array_equal(allotted, table.rank > 0):
        table = settle(now, bundle, found, allotted)
    return Decided(bundle=bundle, block=now, settled=settled, found=found, table=table)
