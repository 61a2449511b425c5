"""What a run keeps of its decisions: its bundle, proven to be the one that decided, and what each one looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from engine.domain.errors import CheckFailed, NotEnoughData, WaylineError
from engine.lake.files import file_digest
from engine.lake.runs import Run, open_run
from engine.lake.workspace import Workspace
from engine.recommendations import credit, ledger
from engine.recommendations.bundle import Bundle
from engine.recommendations.frame import DecisionBlock
from engine.workflows.stages.recommendations import BUNDLE

LOOKED_AT: Final = "decision_inputs"


class BundleOfAnotherVersion(WaylineError):
    """The bundle was written by a version of Wayline that keeps it in another form."""

    def __init__(self, run_id: str, version: str) -> None:
        super().__init__(
            f"The bundle of run {run_id} was written by Wayline {version} in a form that this version does not read. "
            f"Replay it with that version, or run `wayline run` again."
        )


def opened(workspace: Workspace, run_id: str | None, *, marts: Sequence[str]) -> tuple[Run, Bundle]:
    """Return a run and its bundle, once the bundle and every file of `marts` is what the run wrote.

    Raises
    ------
    RunMissing, MartMissing
    CheckFailed
        A file was changed after it was written; the sentence names it.
    BundleOfAnotherVersion
    """
    run = open_run(workspace, run_id)
    run.require(LOOKED_AT)
    for mart in marts:
        for facts in run.manifest["marts"].get(mart, {}).get("files", ()):
            _check(run, facts)
    _check(run, run.manifest["texts"][BUNDLE])
    bundle = bundle_of(run)
    _check_name(run, bundle)
    return run, bundle


def bundle_of(run: Run) -> Bundle:
    """Return the bundle of a run as it lies there.

    Raises
    ------
    BundleOfAnotherVersion
    NotEnoughData
        The run was made before runs kept what decides.
    """
    if BUNDLE not in run.manifest["texts"]:
        raise NotEnoughData("decisions to make again", "the run did not keep what decides", "a new run: wayline run")
    try:
        return Bundle.from_json(run.text(BUNDLE))
    except (ValueError, KeyError, TypeError):
        raise BundleOfAnotherVersion(run.run_id, run.manifest["versions"]["wayline"]) from None


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
    rows = run.read(LOOKED_AT, where=wanted)
    if rows.num_rows == 0:
        return None
    features = run.read("features", columns=["customer_id", *bundle.features], where=wanted)
    lent = run.read("credit_decisions", columns=credit.COLUMNS, where=wanted) if run.has("credit_decisions") else None
    return ledger.block_of(rows, features, bundle.features, lent)


def blocks_of(run: Run, bundle: Bundle, customers: int) -> Iterator[DecisionBlock]:
    """Return what all decisions of a run looked at, at most so many customers at a time, in the order of their ids.

    Raises
    ------
    MartMissing
    """
    ids = run.read(LOOKED_AT, columns=["customer_id"])["customer_id"]
    for start in range(0, len(ids), customers):
        ends = ids[start].as_py(), ids[min(start + customers, len(ids)) - 1].as_py()
        rows = run.stretch(LOOKED_AT, "customer_id", *ends)
        features = run.stretch("features", "customer_id", *ends, ["customer_id", *bundle.features])
        lent = None
        if run.has("credit_decisions"):
            lent = run.stretch("credit_decisions", "customer_id", *ends, credit.COLUMNS)
        yield ledger.block_of(rows, features, bundle.features, lent)
