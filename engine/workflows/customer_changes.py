"""What would have to change for the score no longer to decline a customer, from the model and the date of the run."""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa

from engine.config.bank import BankSettings
from engine.config.risk import RiskSettings
from engine.lake.runs import Run
from engine.lake.workspace import Workspace
from engine.risk import behaviour, changes, table
from engine.risk.model import RiskModel
from engine.workflows import session
from engine.workflows.risk_registry import RUN_MODEL

_SAME: Final = 1e-9  # default probability; the tables still say what they said when the run was made
_BY_RULE: Final = (
    "A rule of the bank declines this, or a person, whatever the score.",
    "无论评分如何，本行规则或人工审批均不予通过。",
)
_CHANGED: Final = (
    "The customer's records have changed since the run. Make a new run to see what would change the outcome.",
    "该客户的记录在本次运行之后已有变化，请重新运行以查看何种变化会改变结果。",
)


def told(workspace: Workspace, run: Run, customer_id: str, decisions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return, for each lending decision, `change` (text_en, text_zh): what would lift the decline of the score.

    Whether the household can carry what would then be lent is looked at afterwards. `change` is None where the score
    declines nothing, and `no_change` says why where a decline has none.
    """
    if not decisions or not run.has("risk_scorecard"):
        return [{"change": None, "no_change": None} for _ in decisions]
    model = RiskModel.from_json(run.text(RUN_MODEL), RUN_MODEL)
    settings = session.settings(workspace, RiskSettings, "risk")
    graded = _graded(run, customer_id)
    needed = [_needed(row, settings, graded) for row in decisions]
    if all(below is None for below in needed):
        return [_said(row, None) for row in decisions]
    columns = _columns(workspace, run, customer_id, model, settings)
    # an approved model was made under older settings than those of the run
    never = {*settings.protected, *settings.never_a_reason, *model.settings.protected, *model.settings.never_a_reason}
    ways = {name: way for name, way in settings.changeable.items() if name not in never}
    same = abs(model.scorecard.score(columns, 1).probability[0] - graded) <= _SAME
    found = {
        below: changes.of_card(model.scorecard, columns, 1, below, ways)[0]
        for below in set(needed)
        if below is not None
    }
    return [
        _said(row, None if below is None else found[below], same) for row, below in zip(decisions, needed, strict=True)
    ]


def _needed(row: dict[str, Any], settings: RiskSettings, graded: float) -> float | None:
    if row["outcome"] != "decline" or row["override_id"] is not None:
        return None
    return changes.below(row["reason_mask"], row["family"], settings, graded)


def _graded(run: Run, customer_id: str) -> float:
    rows = run.read("risk", ["default_probability"], where={"customer_id": customer_id}).to_pylist()
    known = rows[0]["default_probability"] if rows else None
    return float("nan") if known is None else float(known)


def _columns(
    workspace: Workspace, run: Run, customer_id: str, model: RiskModel, settings: RiskSettings
) -> dict[str, pa.ChunkedArray]:
    """Return the characteristics of one customer as of the run's date, out of that customer's records alone."""
    bank = session.settings(workspace, BankSettings, "bank")
    with session.duckdb(workspace) as engine:
        every = workspace.attach(engine)
        tables = {
            name: rows.filter(rows.customer_id == customer_id) if "customer_id" in rows.columns else rows
            for name, rows in every.items()
        }
        if "transactions" in every:
            # from when on bookings are known is no matter of one customer's
            tables[behaviour.FEED] = behaviour.feed(every)
        made: pa.Table = engine.arrow(table.scoring(tables, run.as_of, settings, bank))
    return {name: made[name] for name in model.scorecard.inputs if name in made.column_names}


def _said(row: dict[str, Any], change: changes.Change | None, same: bool = True) -> dict[str, Any]:
    if row["outcome"] != "decline":
        return {"change": None, "no_change": None}
    if change is None or not same:
        english, chinese = _BY_RULE if change is None else _CHANGED
        return {"change": None, "no_change": {"text_en": english, "text_zh": chinese}}
    text = change.text()
    english, chinese = text if text is not None else change.why_not or _BY_RULE
    words = {"text_en": english, "text_zh": chinese}
    return {"change": None, "no_change": words} if text is None else {"change": words, "no_change": None}
