"""Make decisions of a run again from what the run wrote, and say value by value whether they come out the same."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from engine.domain.errors import WaylineError
from engine.lake.runs import Run
from engine.recommendations import ledger
from engine.recommendations.bundle import Bundle
from engine.recommendations.frame import DecisionBlock
from engine.workflows import decided_since, session
from engine.workflows.explain import CustomerMissing
from engine.workflows.kept_decisions import LOOKED_AT, block_of, opened
from engine.workflows.view import customer as view

_OF_ALL: Final = ("allocation_changes", "withheld_contacts")
_READ: Final = ("features", "credit_decisions", LOOKED_AT, "recommendations", "decisions", *_OF_ALL)
_OF_OFFER: Final = ("offer_id", "channel", "selection", "selection_probability")  # None for what is not offered
_AT_ONCE: Final = 10_000  # customers whose rows are compared at a time


class NotDecided(WaylineError):
    """The run decided nothing for that customer."""

    def __init__(self, run_id: str) -> None:
        super().__init__(
            f"Run {run_id} made no decision for this customer, who was not known at its date. Name a later run."
        )


def customer(home: Path, customer_id: str, run_id: str | None = None) -> dict[str, Any]:
    """Decide again for one customer and return every product, equal or with what differs.

    `changed_since` says which settings, products and code are others now than when the run was made; they change
    nothing here, since the bundle holds its own. `inputs_sha256` names what the decisions looked at, features included.

    Raises
    ------
    RunMissing, WorkspaceMissing, MartMissing
    CustomerMissing, NotDecided
        No customer has that id, or none that the run knew.
    CheckFailed
        A file of the run is not what was written; nothing is decided from it.
    """
    workspace = session.workspace_at(home)
    run, bundle = opened(workspace, run_id, marts=_READ)
    block = block_of(run, bundle, [customer_id])
    if block is None:
        if not view.exists(workspace, customer_id):
            raise CustomerMissing
        raise NotDecided(run.run_id)
    written, made = _both(run, bundle, block)
    found = ledger.differences(written, made)
    offers = {row["product_id"]: row for row in made["recommendations"].to_pylist()}
    products = [
        {
            "product_id": row["product_id"],
            "decision_id": f"{bundle.digest()}-{customer_id}-{row['product_id']}",
            **{name: value for name, value in row.items() if name not in ("customer_id", "product_id")},
            **{name: offers.get(row["product_id"], {}).get(name) for name in _OF_OFFER},
            "equal": not any(one.product_id == row["product_id"] for one in found),
            "differences": [
                {"table": one.mart, "column": one.column, "written": one.written, "again": one.again}
                for one in found
                if one.product_id == row["product_id"]
            ],
        }
        for row in made["decisions"].to_pylist()
    ]
    return {
        "customer_id": customer_id,
        **_heads(run, bundle),
        "inputs_sha256": ledger.fingerprint(block),
        "equal": not found,
        "products": products,
        "changed_since": [asdict(one) for one in decided_since.changes(workspace, run, bundle)],
    }


def sample(home: Path, run_id: str | None = None, customers: int | None = 1000, seed: int = 0) -> dict[str, Any]:
    """Decide again for customers of a run, drawn by a seed, or for all with None, and count what differs.

    `differences` names the first ones, at most 20.

    Raises
    ------
    RunMissing, WorkspaceMissing, MartMissing, CheckFailed
        As for one customer.
    """
    workspace = session.workspace_at(home)
    run, bundle = opened(workspace, run_id, marts=_READ)
    ids = run.read(LOOKED_AT, columns=["customer_id"])["customer_id"].to_numpy(zero_copy_only=False)
    if customers is not None and customers < len(ids):
        ids = np.sort(np.random.default_rng([seed, 97]).choice(ids, size=customers, replace=False))
    pairs, differing = 0, set[tuple[str, str]]()
    first: list[dict[str, Any]] = []
    for start in range(0, len(ids), _AT_ONCE):
        block = block_of(run, bundle, ids[start : start + _AT_ONCE].tolist())
        if block is None:
            continue
        written, made = _both(run, bundle, block)
        found = ledger.differences(written, made)
        pairs += made["decisions"].num_rows
        differing |= {(one.customer_id, one.product_id) for one in found}
        first += [asdict(one) for one in found[: 20 - len(first)]]
    return {
        **_heads(run, bundle),
        "customers": len(ids),
        "decisions": pairs,
        "differing": len(differing),
        "equal": not differing,
        "differences": first,
        "changed_since": [asdict(one) for one in decided_since.changes(workspace, run, bundle)],
    }


def _both(run: Run, bundle: Bundle, block: DecisionBlock) -> tuple[dict[str, pa.Table], dict[str, pa.Table]]:
    """Return the rows that a run wrote for a block of its customers, and those that are decided again."""
    wanted = {"customer_id": block.customer_ids.to_pylist()}
    made = ledger.again(block, bundle, *(run.read(mart, where=wanted) for mart in _OF_ALL))
    return {mart: run.read(mart, where=wanted) for mart in made}, made


def _heads(run: Run, bundle: Bundle) -> dict[str, Any]:
    return {"run_id": run.run_id, "as_of": run.as_of, "bundle": bundle.digest()}
