"""One function from what a run says of some customers, what happened since and what is asked, to decisions.

A server calls it for the requests of one transaction, a replay for one decision of years ago. All it takes stands in
the run and in the ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import orjson

from engine.recommendations import live
from engine.recommendations.bundle import Bundle
from engine.recommendations.decide import Assessed, DecisionTable, assess, settle
from engine.recommendations.frame import DecisionBlock, Floats
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """Decisions on n customers, a row each, with what they were made of."""

    block: DecisionBlock
    settled: Settled
    found: Assessed
    table: DecisionTable

    def shown(self, row: int, bundle: Bundle, want: Wanted) -> list[dict[str, Any]]:
        """Return the offers that one answer has room for, the best first."""
        return live_answers.offers(self.table, bundle, row)[: want.offers]

    def reasons(self, row: int) -> list[dict[str, Any]]:
        """Return why one customer is offered nothing."""
        return live_answers.reasons(self.found, self.found.masks == 0, row, withheld=bool(self.settled.withheld[row]))

    def outcome(self, row: int, bundle: Bundle) -> str:
        """Return every product's numbers for one customer, in the order of the bundle, as the JSON of the ledger.

        Numbers are the shortest decimals that read back as the same: equal texts are equal bits. `refused` are the bits
        of the gates, `charged` what an offer of each product is charged at the bundle's prices, in minor units; null
        where there are no prices, or a number is unknown.
        """
        table = self.table
        charged = None
        if bundle.prices is not None:
            demand = self.found.demand
            charged = np.ascontiguousarray((demand.value - bundle.prices.surplus(demand))[row])
        told = {
            "propensity": np.ascontiguousarray(table.propensity[row]),
            "value": np.ascontiguousarray(table.value[row]),
            "refused": np.ascontiguousarray(table.masks[row]),
            "rank": np.ascontiguousarray(table.rank[row]),
            "channel": int(table.channel[row]),
            "control": bool(table.control[row]),
            "chance": self._chances(row),
            "charged": charged,
        }
        return orjson.dumps(told, option=orjson.OPT_SERIALIZE_NUMPY).decode()

    def _chances(self, row: int) -> Floats:
        chances = np.full(self.table.rank.shape[1], np.nan)
        mine = self.table.offer_rows == row
        chances[self.table.offer_products[mine]] = self.table.offer_chances[mine]
        return chances


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
    return Decided(block=now, settled=settled, found=found, table=table)
