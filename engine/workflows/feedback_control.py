"""What advice brought: products opened after a run by those whom it advised, and by those whom it left alone.

The comparison is of what the bank itself knows of both groups alike. A campaign tool reports conversions of those alone
whom it contacted, so that its reports compare nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from engine.domain.errors import RunMissing
from engine.intake.sql import first_row
from engine.lake.runs import Run, open_run
from engine.lake.schema import naive_utc
from engine.numerics.intervals import newcombe
from engine.workflows import session
from engine.workflows.audiences import opened

CONTROL: Final = "control_group"
_Reason = tuple[str, str]
_NO_CONTROL: Final[_Reason] = (
    "the run kept nobody out: share under [recommendations.exploration.control] sets a control group aside",
    "该次运行未留出对照组：请在 [recommendations.exploration.control] 下设置 share",
)
_NO_HOLDINGS: Final[_Reason] = (
    "the workspace has no table holdings: nobody knows openings",
    "工作区没有 holdings 表，无从得知开通情况",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """How many days after a run count, and up to when the bank's tables say what was opened."""

    days: int
    known_until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Customers who opened a product within `days` of the run, of those advised and of the control group.

    Both groups are of those for whom a product passed every gate, so that the draw alone tells them apart; of an
    audience, of its members. control : what the other group got, "nothing" or offers drawn at "random". difference :
    share of the advised - share of the control group, with its 95 % interval; None where `reason` says why, in English,
    and `reason_zh` in Chinese.
    """

    run_id: str
    days: int
    control: str | None = None
    advised: int = 0
    advised_opened: int | None = None
    control_customers: int = 0
    control_opened: int | None = None
    difference: float | None = None
    lower: float | None = None
    upper: float | None = None
    reason: str | None = None
    reason_zh: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counts:
    control: str
    advised: int
    controls: int
    advised_opened: int
    controls_opened: int


def compared(home: Path, run_id: str, audience: str | None, window: Window) -> Comparison:
    """Return the comparison of one run, of the members of an audience where one is named and still there."""
    days = window.days
    try:
        run = open_run(session.workspace_at(home), run_id)
    except RunMissing:
        return _unanswered(run_id, days, ("the run is not here any more", "该次运行已不在此处"))
    if not run.has(CONTROL) or not run.read(CONTROL, limit=1).num_rows:
        return _unanswered(run_id, days, _NO_CONTROL)
    found = _counted(home, run, audience, days)
    if found is None:
        return _unanswered(run_id, days, _NO_HOLDINGS)
    if reason := _unanswerable(run, found, window):
        return Comparison(
            run_id=run_id,
            days=days,
            control=found.control,
            advised=found.advised,
            control_customers=found.controls,
            reason=reason[0],
            reason_zh=reason[1],
        )
    interval = newcombe(found.advised_opened, found.advised, found.controls_opened, found.controls)
    return Comparison(
        run_id=run_id,
        days=days,
        control=found.control,
        advised=found.advised,
        advised_opened=found.advised_opened,
        control_customers=found.controls,
        control_opened=found.controls_opened,
        difference=found.advised_opened / found.advised - found.controls_opened / found.controls,
        lower=interval.lower,
        upper=interval.upper,
    )


def _unanswered(run_id: str, days: int, why: _Reason) -> Comparison:
    return Comparison(run_id=run_id, days=days, reason=why[0], reason_zh=why[1])


def _unanswerable(run: Run, found: _Counts, window: Window) -> _Reason | None:
    if run.as_of + timedelta(days=window.days) > window.known_until:
        ends = f"{window.known_until:%Y-%m-%d}"
        return (
            f"{window.days} days after the run are not over: the data end on {ends}. Ask for fewer --days",
            f"运行后 {window.days} 天尚未结束：数据截至 {ends}。请减少 --days",
        )
    if not found.advised:
        return "nobody was advised among these customers", "这些客户中无人获得推荐"
    if not found.controls:
        return "nobody was kept out among these customers", "这些客户中无人被留作对照"
    return None


def _counted(home: Path, run: Run, audience: str | None, days: int) -> _Counts | None:
    """Return how many are in both groups and how many of them opened; None where nobody knows what was opened."""
    with opened(home, run.run_id) as held:
        if "holdings" not in held.tables:
            return None
        engine = held.engine
        engine.attach("_control", run.path(CONTROL))
        engine.attach("_decided", run.require("decisions"))
        among = "true"
        if audience is not None and audience in held.audiences:
            members = held.members(held.root(held.kept(audience).definition))
            engine.attach("_members", engine.arrow(members).select(["customer_id"]))
            among = "customer_id IN (SELECT customer_id FROM _members)"
        begins = naive_utc(run.as_of)
        counts = first_row(
            engine,
            f"""
            WITH eligible AS (
                SELECT DISTINCT customer_id FROM _decided WHERE refused_mask = 0 AND {among}
            ), opened AS (
                SELECT DISTINCT customer_id FROM holdings
                WHERE opened_at > TIMESTAMP '{begins}' AND opened_at <= TIMESTAMP '{begins + timedelta(days=days)}'
            ), control AS (FROM eligible SEMI JOIN _control USING (customer_id)),
            advised AS (FROM eligible ANTI JOIN _control USING (customer_id))
            SELECT (SELECT any_value(serves) FROM _control), (SELECT count(*) FROM advised),
                (SELECT count(*) FROM control), (SELECT count(*) FROM advised SEMI JOIN opened USING (customer_id)),
                (SELECT count(*) FROM control SEMI JOIN opened USING (customer_id))
            """,
        )
    return _Counts(
        control=counts[0], advised=counts[1], controls=counts[2], advised_opened=counts[3], controls_opened=counts[4]
    )
