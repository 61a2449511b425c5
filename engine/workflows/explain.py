"""Explain one customer: who they are to the bank, how risky, where in which journey, and why each product or not."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from engine.domain.curated import CUSTOMERS
from engine.domain.errors import WaylineError
from engine.domain.schema import Table
from engine.lake.runs import Run, open_run
from engine.lake.workspace import Workspace
from engine.recommendations.tracks import NO_OFFER, REFUSED
from engine.workflows import (
    customer_risk,
    customer_risk_told,
    decision_explained,
    decision_told,
    offer_words,
    session,
)
from engine.workflows.view import customer as view

_SHOWN: Final = (
    "region",
    "language",
    "employment",
    "education",
    "joined_at",
    "closed_at",
    "kyc_status",
    "kyc_expires_on",
)
"""Of the customer's record: nothing that names the person, and nothing that the law protects."""

_PROFILE_FEATURES: Final = ("tenure_months", "products_held", "logins_30d", "transactions_30d")


class CustomerMissing(WaylineError):
    """The bank has no customer of that id; the id is not repeated, as it may be a name typed by mistake."""

    def __init__(self) -> None:
        super().__init__("No customer of that id in this workspace. Ids are matched exactly, capitals included.")


def customer(home: Path, customer_id: str, run_id: str | None = None) -> dict[str, Any]:
    """Return everything that led to one customer's offers and refusals, in the words of the run.

    Every product is there: offered with its rank and reasons, allowed but not among the best, or refused with the
    sentence of every gate that refused it, in English and Chinese. `chosen` says how an offer was drawn,
    `reach` why it goes out on its channel and when, and `standing` of the customer whether the control group or the
    household decides. `limits` of a product says `withheld` where limits on all offers together took the offer,
    `let_in` where they made room for it, and is empty where they did neither.
    `contributions`, `gates`, `runner_up`, `flips` and the sentences `smallest_change_..` are of `decision_explained`;
    where the run does not keep what they need they are missing, and `unexplained` says why. `gives_way` is there where
    the caps of the household leave no contact for this customer.

    Raises
    ------
    RunMissing, WorkspaceMissing
    CustomerMissing
        No customer has that id.
    """
    workspace = session.workspace_at(home)
    run = open_run(workspace, run_id)
    found = view.find(session.this_person(), workspace, run, customer_id)
    if found is None:
        raise CustomerMissing
    why = decision_explained.explained(workspace, run, customer_id)
    return {
        "customer_id": customer_id,
        "run_id": run.run_id,
        "as_of": run.as_of,
        "profile": _profile(run, customer_id, found.record),
        "segment": found.segment,
        "risk": found.risk,
        **_risk_answers(workspace, run, customer_id),
        "journeys": _rows(found.stages),
        "products": [row | why.products.get(row["product_id"], {}) for row in products(run, customer_id)],
        "standing": [
            dict(zip(("text_en", "text_zh"), told, strict=True)) for told in offer_words.standing(run, customer_id)
        ],
        "gives_way": _gives_way(run, customer_id),
        "unexplained": why.missing and dict(zip(("text_en", "text_zh"), why.missing, strict=True)),
        "missing": {
            stage["stage"]: stage["reason"] for stage in run.manifest["stages"] if stage["status"] == "skipped"
        },
    }


def products(run: Run, customer_id: str) -> list[dict[str, Any]]:
    """Return every product with what was decided for the customer; empty when the run made no decisions."""
    if not run.has("decisions"):
        return []
    gates = run.read("gates", order_by=["bit"]).to_pylist()
    offers = {
        row["product_id"]: row for row in run.read("recommendations", where={"customer_id": customer_id}).to_pylist()
    }
    decided = run.read("decisions", where={"customer_id": customer_id}).to_pylist()
    changed = _changed_by_limits(run, customer_id)
    rows = [
        _product(row, offers.get(row["product_id"]), gates) | {"limits": changed.get(row["product_id"])}
        for row in decided
    ]
    return sorted(rows, key=lambda row: (row["rank"] is None, row["rank"] or len(row["refusals"]), row["product_id"]))


def _gives_way(run: Run, customer_id: str) -> dict[str, Any] | None:
    """Return that others of the household are contacted in the customer's place, with a sentence; None otherwise."""
    if not run.has("withheld_contacts"):
        return None
    rows = run.read("withheld_contacts", where={"customer_id": customer_id}).to_pylist()
    if not rows:
        return None
    text = decision_told.gives_way(rows[0]["best_product_id"])
    row: dict[str, Any] = rows[0]
    return row | {"text_en": text[0], "text_zh": text[1]}


def _changed_by_limits(run: Run, customer_id: str) -> dict[str, str]:
    """Return by product what limits on all offers together did: withheld an offer, or let it in for one withheld."""
    if not run.has("allocation_changes"):
        return {}
    rows = run.read("allocation_changes", where={"customer_id": customer_id}).to_pylist()
    differ = [row for row in rows if row["offered"] != row["without_limits"]]
    return {row["product_id"]: "let_in" if row["offered"] else "withheld" for row in differ}


def _product(row: dict[str, Any], offer: dict[str, Any] | None, gates: list[dict[str, Any]]) -> dict[str, Any]:
    mask = row.pop("refused_mask")
    refusals = [
        {name: gate[name] for name in ("gate", "reason_code", "text_en", "text_zh")}
        for gate in gates
        if mask >> gate["bit"] & 1
    ]
    decision = "refused" if refusals else "offered" if row["rank"] else "allowed"
    # what is allowed but not among the best goes on no track: nothing was to be handled
    track = {"track": NO_OFFER, "track_reason": REFUSED.text_en, "track_reason_zh": REFUSED.text_zh} if refusals else {}
    made = {**row, "decision": decision, **(offer or {}), **track, "refusals": refusals}
    for name, (text_en, text_zh) in (("chosen", offer_words.selection(made)), ("reach", offer_words.reach(made))):
        made |= {f"{name}_en": text_en, f"{name}_zh": text_zh}
    return made


def _risk_answers(workspace: Workspace, run: Run, customer_id: str) -> dict[str, Any]:
    """Return what risk allows, decided, expects to lose, does, watches and who departed, as rows and as sentences.

    Beside a decline of the score stands the smallest change that would lift it.
    """
    found = customer_risk.with_changes(customer_risk.find(run, customer_id), workspace, run, customer_id)
    naming = customer_risk_told.naming(workspace)
    one = {topic: found.one(topic) for topic in ("gate", "losses", "treatment", "watch", "reassessment")}
    many = {topic: found.rows.get(topic, []) for topic in ("credit", "overrides")}
    return {**one, **many, "told": [asdict(said) for said in customer_risk_told.statements(found, naming)]}


def _profile(run: Run, customer_id: str, record: Any) -> dict[str, Any]:
    known = {name: record.get(name) for name in _shown(CUSTOMERS)}
    if run.has("features"):
        rows = run.read("features", where={"customer_id": customer_id}).to_pylist()
        known |= {name: rows[0][name] for name in _PROFILE_FEATURES if rows and name in rows[0]}
    return known


def _shown(table: Table) -> list[str]:
    return [name for name in _SHOWN if not table.column(name).personal]


def _rows(frame: Any) -> list[dict[str, Any]]:
    if frame is None:
        return []
    rows: list[dict[str, Any]] = frame.astype(object).where(frame.notna(), None).to_dict("records")
    return rows
