"""Make decisions of a run again from what the run wrote, and say value by value whether they come out the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from engine.domain.errors import CheckFailed, WaylineError
from engine.lake.files import file_digest
from engine.lake.runs import Run, open_run
from engine.lake.workspace import Workspace
from engine.recommendations import credit, ledger
from engine.recommendations.bundle import Bundle
from engine.recommendations.frame import DecisionBlock
from engine.workflows import decided_since, session
from engine.workflows.explain import CustomerMissing
from engine.workflows.stages.recommendations import BUNDLE
from engine.workflows.view import customer as view

_LOOKED_AT: Final = "decision_inputs"
_READ: Final = ("features", "credit_decisions", _LOOKED_AT, "recommendations", "decisions", "allocation_changes")
_AT_ONCE: Final = 10_000  # customers whose rows are compared at a time


class NotDecided(WaylineError):
    """The run decided nothing for that customer."""

    def __init__(self, run_id: str) -> None:
        super().__init__(
            f"Run {run_id} made no decision for this customer, who was not known at its date. Name a later run."
        )


class BundleOfAnotherVersion(WaylineError):
    """The bundle was written by a version of Wayline that keeps it in another form."""

    def __init__(self, run_id: str, version: str) -> None:
        super().__init__(
            f"The bundle of run {run_id} was written by Wayline {version} in a form that this version does not read. "
            f"Replay it with that version, or run `wayline run` again."
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
    run, bundle = opened(workspace, run_id)
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
            "channel": offers.get(row["product_id"], {}).get("channel"),
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
    run, bundle = opened(workspace, run_id)
    ids = run.read(_LOOKED_AT, columns=["customer_id"])["customer_id"].to_numpy(zero_copy_only=False)
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


def opened(workspace: Workspace, run_id: str | None) -> tuple[Run, Bundle]:
    """Return a run and its bundle, once every file that decisions are made again from is what the run wrote.

    Raises
    ------
    RunMissing, MartMissing
    CheckFailed
        A file was changed after it was written; the sentence names it.
    BundleOfAnotherVersion
    """
    run = open_run(workspace, run_id)
    run.require(_LOOKED_AT)
    for mart in _READ:
        for facts in run.manifest["marts"].get(mart, {}).get("files", ()):
            _check(run, facts)
    _check(run, run.manifest["texts"][BUNDLE])
    try:
        bundle = Bundle.from_json(run.text(BUNDLE))
    except (ValueError, KeyError, TypeError):
        raise BundleOfAnotherVersion(run.run_id, run.manifest["versions"]["wayline"]) from None
    _check_name(run, bundle)
    return run, bundle


def _check(run: Run, facts: dict[str, Any]) -> None:
    path = run.folder / facts["path"]
    if not path.is_file():
        raise CheckFailed(f"{facts['path']} of run {run.run_id} is missing. Restore it from a copy, or run again.")
    if file_digest(path) != facts["sha256"]:
        raise CheckFailed(
            f"{facts['path']} of run {run.run_id} was changed after it was written: its sha256 is not that of the "
            f"manifest. Restore it from a copy, or run again; nothing is decided from it."
        )


def _check_name(run: Run, bundle: Bundle) -> None:
    """Check that the decisions name this bundle: a manifest that was changed with it is found too."""
    named = {stage["bundle"] for stage in run.manifest["stages"] if "bundle" in stage}
    named |= {row["decision_id"].split("-")[0] for row in run.read("recommendations", limit=1).to_pylist()}
    if named != {bundle.digest()}:
        raise CheckFailed(
            f"{BUNDLE} of run {run.run_id} is bundle {bundle.digest()}, but the run decided by "
            f"{', '.join(sorted(named - {bundle.digest()}))}. Restore it from a copy, or run again."
        )


def block_of(run: Run, bundle: Bundle, customer_ids: Sequence[str]) -> DecisionBlock | None:
    """Return what decisions of a run looked at for some customers; None where it knew none of them."""
    wanted = {"customer_id": list(customer_ids)}
    rows = run.read(_LOOKED_AT, where=wanted)
    if rows.num_rows == 0:
        return None
    features = run.read("features", columns=["customer_id", *bundle.features], where=wanted)
    lent = run.read("credit_decisions", columns=credit.COLUMNS, where=wanted) if run.has("credit_decisions") else None
    return ledger.block_of(rows, features, bundle.features, lent)


def _both(run: Run, bundle: Bundle, block: DecisionBlock) -> tuple[dict[str, pa.Table], dict[str, pa.Table]]:
    """Return the rows that a run wrote for a block of its customers, and those that are decided again."""
    wanted = {"customer_id": block.customer_ids.to_pylist()}
    made = ledger.again(block, bundle, run.read("allocation_changes", where=wanted))
    return {mart: run.read(mart, where=wanted) for mart in made}, made


def _heads(run: Run, bundle: Bundle) -> dict[str, Any]:
    return {"run_id": run.run_id, "as_of": run.as_of, "bundle": bundle.digest()}
