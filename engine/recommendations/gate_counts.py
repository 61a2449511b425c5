"""What the gates refused, counted: per gate, alone and together, and whether they let anything pass at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from engine.domain.marts import GATES as MART
from engine.lake.schema import to_contract
from engine.recommendations.frame import Integers
from engine.recommendations.gates import GATES, Masks


@dataclass(frozen=True, slots=True, kw_only=True)
class GateCounts:
    """What the gates refused; counts of two blocks add up to the counts of both."""

    pairs: Integers
    only: Integers
    customers: Integers
    considered: int = 0
    passed: int = 0
    offered: int = 0

    def __add__(self, other: GateCounts) -> GateCounts:
        return GateCounts(
            pairs=self.pairs + other.pairs,
            only=self.only + other.only,
            customers=self.customers + other.customers,
            considered=self.considered + other.considered,
            passed=self.passed + other.passed,
            offered=self.offered + other.offered,
        )

    def table(self) -> pa.Table:
        """Return the mart gates."""
        rows: list[dict[str, Any]] = [
            {
                "bit": bit,
                "gate": gate.name,
                "kind": gate.kind,
                "reason_code": gate.reason_code,
                "text_en": gate.text_en,
                "text_zh": gate.text_zh,
                "refused_pairs": int(self.pairs[bit]),
                "refused_only_by_this": int(self.only[bit]),
                "customers": int(self.customers[bit]),
            }
            for bit, gate in enumerate(GATES)
        ]
        return to_contract(MART, pa.Table.from_pylist(rows))


def contradiction(counts: GateCounts) -> str | None:
    """Say in a sentence that no pair passes and which gates do it; None where any pair passes, or there is none."""
    if counts.passed or not counts.considered:
        return None
    alone = [gate.name for bit, gate in enumerate(GATES) if counts.pairs[bit] == counts.considered]
    if alone:
        return (
            f"Nothing can be offered to anybody: {_listed(alone)} "
            f"{'refuses' if len(alone) == 1 else 'each refuse'} every product to every customer. Loosen "
            f"{'it' if len(alone) == 1 else 'all of them'}, or load what is missing: see the table gates."
        )
    most = np.argsort(-counts.pairs, kind="stable")[:3]
    shares = [f"{GATES[bit].name} {counts.pairs[bit] / counts.considered:.0%}" for bit in most]
    return (
        "Nothing can be offered to anybody: no gate alone refuses everything, but together they do. Those that refuse "
        f"the most pairs are {_listed(shares)}."
    )


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def no_counts() -> GateCounts:
    """Return the counts of nothing, to start adding from."""
    zeros = np.zeros(len(GATES), dtype=np.int64)
    return GateCounts(pairs=zeros, only=zeros, customers=zeros)


def count(masks: Masks, offered: int) -> GateCounts:
    """Count what each gate refused among the pairs of a block."""
    pairs, only, customers = (np.zeros(len(GATES), dtype=np.int64) for _ in range(3))
    alone = masks[np.bitwise_count(masks) == 1]
    anything = np.bitwise_or.reduce(masks, axis=1)
    for bit in range(len(GATES)):
        flag = np.uint64(1 << bit)
        for counts, among in ((pairs, masks), (only, alone), (customers, anything)):
            counts[bit] = np.count_nonzero(among & flag)
    passed = int((masks == 0).sum())
    return GateCounts(
        pairs=pairs, only=only, customers=customers, considered=masks.size, passed=passed, offered=offered
    )
