"""What risk knows and decides of one customer, out of the tables of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.domain.credit_reasons import reasons as credit_reasons
from engine.domain.errors import MartMissing
from engine.domain.risk_gate import reasons as gate_reasons
from engine.lake.runs import Run
from engine.lake.workspace import Workspace
from engine.workflows import customer_changes

_MARTS: Final = {
    "gate": "risk_gate",
    "credit": "credit_decisions",
    "losses": "risk_losses",
    "treatment": "risk_treatments",
    "watch": "risk_watch_list",
    "reassessment": "risk_reassessment",
    "overrides": "risk_overrides",
}
TOPICS: Final = tuple(_MARTS)
"""What is answered of every customer, in the order in which it is told."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskAnswers:
    """Rows of one customer by topic, each with the sentences of its reasons under `reasons`.

    An empty list is an answer: the customer has no open credit, is on no list, has no override. A topic whose table the
    run lacks is in `missing` instead, with the reason.
    """

    rows: Mapping[str, list[dict[str, Any]]]
    missing: Mapping[str, str]

    def one(self, topic: str) -> dict[str, Any] | None:
        """Return the only row of a topic that has at most one; None where there is none."""
        return next(iter(self.rows.get(topic, ())), None)


def find(run: Run, customer_id: str) -> RiskAnswers:
    """Return what the run's tables about risk hold of one customer."""
    rows: dict[str, list[dict[str, Any]]] = {}
    missing: dict[str, str] = {}
    for topic, mart in _MARTS.items():
        try:
            run.require(mart)
        except MartMissing as fault:
            missing[topic] = fault.reason
        else:
            rows[topic] = run.read(mart, where={"customer_id": customer_id}).to_pylist()
    for row in rows.get("gate", ()):
        why = gate_reasons(row["reason_mask"])
        row["reasons"] = [{"code": one.code, "text_en": one.text_en, "text_zh": one.text_zh} for one in why]
    for row in rows.get("credit", ()):
        told = credit_reasons(row["reason_mask"])
        row["reasons"] = [
            {"code": one.code, "kind": one.kind, "text_en": one.text_en, "text_zh": one.text_zh} for one in told
        ]
    return RiskAnswers(rows=rows, missing=missing)


def with_changes(answers: RiskAnswers, workspace: Workspace, run: Run, customer_id: str) -> RiskAnswers:
    """Return the same answers with what would lift each decline of the score: `change`, or `no_change` and why.

    This reads the customer's records as of the run's date: seconds on a large bank.
    """
    credit = answers.rows.get("credit", [])
    lifted = customer_changes.told(workspace, run, customer_id, credit)
    changed = [{**row, **change} for row, change in zip(credit, lifted, strict=True)]
    return RiskAnswers(rows={**answers.rows, **({"credit": changed} if credit else {})}, missing=answers.missing)
