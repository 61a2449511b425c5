"""A live decision out of the ledger: what it told and why, and the same made again from the run, bit for bit."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import orjson

from engine.domain.errors import UnknownName, WaylineError
from engine.lake.runs import Run
from engine.lake.workspace import Workspace
from engine.recommendations import gates, records
from engine.recommendations.bundle import Bundle
from engine.recommendations.live import Since
from engine.store import LiveDecision, LiveLedger
from engine.workflows import decided_since, session
from engine.workflows.kept_decisions import block_of, opened
from engine.workflows.live_decisions import Asking, Decided, decided
from engine.workflows.live_requests import Wanted
from engine.workflows.live_snapshots import MARTS, OF_ALL, settled

_OF_PRODUCT: Final = ("propensity", "value", "refused", "rank", "chance", "charged")
_TOLD: Final = ("action", "alternatives", "reasons")


class NothingDecided(WaylineError):
    """The answer was none that anything was decided for, so there is nothing to make again."""

    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(
            f"That answer offered nothing before anything was decided ({code}): there is nothing to make again. "
            f"Leave --replay out to see what it told."
        )


def explained(home: Path, customer_id: str, decision_id: str) -> dict[str, Any]:
    """Return a live decision as the ledger has it, every product with what refused it.

    Keys: decision_id, customer_id, run_id, bundle, inputs_sha256, decided_at, code, counted, asked (what was asked),
    seen (what happened since the run, and what counted against each cap), answer, and `products`: one row for each with
    its propensity, value in minor units, rank, chance, charge and `refusals`; none where nothing was decided.

    Raises
    ------
    UnknownName
        The ledger has no such decision on this customer.
    """
    kept = _kept(session.workspace_at(home), customer_id, decision_id)
    told = _heads(kept) | {
        name: None if getattr(kept, name) is None else orjson.loads(getattr(kept, name))
        for name in ("asked", "seen", "answer")
    }
    if kept.outcome is None:
        return told | {"products": []}
    _, bundle = opened(session.workspace_at(home), kept.run_id, marts=())
    outcome = orjson.loads(kept.outcome)
    return told | {"products": [_product(bundle, outcome, place) for place in range(bundle.catalogue.size)]}


def replayed(home: Path, customer_id: str, decision_id: str) -> dict[str, Any]:
    """Make a live decision again and return every product, equal or with what differs.

    What it looked at comes from the run and what happened since from the ledger: no setting, contact or run of today
    enters. `inputs_equal` says that the run still says of the customer what it said then, `told_equal` that the offers
    and reasons in the answer come out the same; `changed_since` is as for a decision of a run.

    Raises
    ------
    UnknownName, NothingDecided
    RunMissing
        The run is no longer there.
    CheckFailed, BundleOfAnotherVersion
        A file of the run is not what was written.
    """
    workspace = session.workspace_at(home)
    kept = _kept(workspace, customer_id, decision_id)
    if kept.outcome is None or kept.seen is None:
        raise NothingDecided(kept.code)
    run, bundle = opened(workspace, kept.run_id, marts=MARTS)
    made, inputs_sha256 = _again(run, bundle, kept, customer_id)
    want = Wanted.of_json(orjson.loads(kept.asked))
    then, again = orjson.loads(kept.outcome), made.outcome(0)
    offers = made.shown(0, want)
    told = {"action": offers[0] if offers else None, "alternatives": offers[1:]}
    told = _as_json(told | {"reasons": [] if offers else made.reasons(0)})
    answer = orjson.loads(kept.answer)
    products = [_compared(bundle, then, orjson.loads(again), place) for place in range(bundle.catalogue.size)]
    same = {
        "inputs_equal": inputs_sha256 == kept.inputs_sha256,
        "bundle_equal": bundle.digest() == kept.bundle,
        "told_equal": all(told[name] == answer[name] for name in _TOLD),
    }
    return {
        **_heads(kept),
        **same,
        "equal": again == kept.outcome and all(same.values()),
        "products": products,
        "changed_since": [asdict(one) for one in decided_since.changes(workspace, run, bundle)],
    }


def _kept(workspace: Workspace, customer_id: str, decision_id: str) -> LiveDecision:
    kept = None
    if session.has_register(workspace):
        ledger = LiveLedger(session.database_url(workspace))
        try:
            kept = ledger.decision(decision_id)
        finally:
            ledger.close()
    if kept is None or kept.customer_id != customer_id:
        raise UnknownName("live decision on this customer", decision_id, ())
    return kept


def _again(run: Run, bundle: Bundle, kept: LiveDecision, customer_id: str) -> tuple[Decided, str]:
    block = block_of(run, bundle, [customer_id])
    assert block is not None and kept.seen is not None  # it was decided from this very run
    of_customer = {"customer_id": customer_id}
    by_run = settled(block, bundle, {mart: run.read(mart, where=of_customer) for mart in OF_ALL if run.has(mart)})
    asking = Asking(
        want=Wanted.of_json(orjson.loads(kept.asked)),
        happened=_since(orjson.loads(kept.seen)["since"]),
        at=kept.decided_at,
    )
    made = decided(bundle, block, by_run, [asking])
    return made, records.fingerprint(records.records_of(block, by_run), customer_id)


def _since(told: dict[str, Any]) -> Since:
    values: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in told.items()}
    return Since(**values)


def _heads(kept: LiveDecision) -> dict[str, Any]:
    names = ("decision_id", "customer_id", "run_id", "bundle", "inputs_sha256", "decided_at", "code", "counted")
    return {name: getattr(kept, name) for name in names}


def _product(bundle: Bundle, outcome: dict[str, Any], place: int) -> dict[str, Any]:
    return {
        "product_id": bundle.catalogue.product_ids[place],
        **{name: None if outcome[name] is None else outcome[name][place] for name in _OF_PRODUCT},
        "refusals": [
            {"code": gate.reason_code, "text_en": gate.text_en, "text_zh": gate.text_zh}
            for gate in gates.reasons(outcome["refused"][place])
        ],
    }


def _compared(bundle: Bundle, then: dict[str, Any], now: dict[str, Any], place: int) -> dict[str, Any]:
    sides = [_product(bundle, outcome, place) for outcome in (then, now)]
    differing = [name for name in _OF_PRODUCT if sides[0][name] != sides[1][name]]
    return {
        **sides[1],
        "equal": not differing,
        "differences": [{"column": name, "written": sides[0][name], "again": sides[1][name]} for name in differing],
    }


def _as_json(value: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = orjson.loads(orjson.dumps(value))
    return told
