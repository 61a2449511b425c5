"""What needs somebody today."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import pandas as pd

from engine.domain.access import Viewer
from engine.lake.runs import Run, list_runs
from engine.lake.workspace import Workspace
from engine.workflows.view import data, reading, selection, small_groups

RISK_GATES: Final = ("risk", "affordability")
"""A gate whose name begins with one of these guards the bank's money, not the customer's wish."""
ACTIVE: Final = "coalesce(transactions_90d, 0) > 0 OR coalesce(events_90d, 0) > 0"
VALUE_GATE: Final = "negative_value"


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """The counts of the first page; None where the run has no such table."""

    customers: int | None
    active: int | None
    with_offer: int | None
    held_by_risk: int | None
    experiments: int | None
    experiments_flagged: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """One thing that needs somebody: its kind, how many it concerns, and the page and filters that show it.

    money_minor : what is at stake, in minor units of the base currency; None where nobody can say.
    """

    kind: str
    count: int
    page: str
    filters: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    money_minor: int | None = None

    @property
    def item(self) -> str:
        """What it is called where somebody puts it off: as soon as its size changes it is another one."""
        parts = [self.kind, str(self.count), *(f"{name}={self.facts[name]}" for name in sorted(self.facts))]
        return "/".join(parts)[:500]


def by_money(items: Iterable[Attention]) -> tuple[Attention, ...]:
    """Return what has most money at stake first; what has none that is known stays in its order, behind."""
    return tuple(sorted(items, key=lambda one: -(one.money_minor or 0)))


def earlier(workspace: Workspace, run: Run, most: int = 5) -> tuple[Run, ...]:
    """Return the runs of earlier data cut-offs, the oldest first: one of each cut-off, the newest made."""
    of_cutoff = {one.as_of: one for one in list_runs(workspace) if one.as_of < run.as_of}
    return tuple(of_cutoff[at] for at in sorted(of_cutoff))[-most:]


def headline(viewer: Viewer, run: Run) -> Headline:
    """Return the counts of the first page; None too for one so small that the viewer may not see it."""
    told = partial(small_groups.number, viewer)
    flagged = _flagged(run)
    return Headline(
        customers=told(reading.count(run, "features", "count(*)")),
        active=told(reading.count(run, "features", f"count(*) FILTER ({ACTIVE})")),
        with_offer=told(reading.count(run, "recommendations", "count(DISTINCT customer_id)")),
        held_by_risk=told(_held_by_risk(run)),
        experiments=reading.count(run, "experiment_results", "count(DISTINCT experiment_id)"),
        experiments_flagged=len(flagged) if run.has("experiment_health") else None,
    )


def attention(viewer: Viewer, workspace: Workspace, run: Run) -> tuple[Attention, ...]:
    """Return what needs somebody today: broken experiments, stalled journeys, risk, refused rows, skipped stages.

    What concerns so few customers that the viewer may not see how many is left out.
    """
    of_customers = [*_stalled_journeys(run), *_risk_to_review(run)]
    seen = [one for one in of_customers if small_groups.number(viewer, one.count) is not None]
    return (*_experiments_to_check(run), *seen, *_data_to_mend(workspace), *_stages_skipped(run))


def _experiments_to_check(run: Run) -> list[Attention]:
    flagged = _flagged(run)
    return [
        Attention(
            kind=f"experiment_{row['status']}",
            count=int(row["checks"]),
            page="experiments",
            filters={"e_id": row["experiment_id"]},
            facts={"experiment": row["experiment_id"]},
        )
        for row in reading.records(flagged)
    ]


def _flagged(run: Run) -> pd.DataFrame:
    # customers left out of a metric are the rule while its window is open, no reason to look
    if not run.has("experiment_health"):
        return pd.DataFrame(columns=["experiment_id", "status", "checks"])
    return reading.marts(
        run,
        """SELECT experiment_id, CASE WHEN bool_or(status = 'stop') THEN 'stop' ELSE 'warning' END AS status,
                  count(*) AS checks
           FROM experiment_health WHERE status <> 'ok' AND NOT starts_with("check", 'left_out.')
           GROUP BY experiment_id ORDER BY status, experiment_id""",
        "experiment_health",
    )


def _stalled_journeys(run: Run) -> list[Attention]:
    if not run.has("journey_funnels"):
        return []
    worst = reading.marts(
        run,
        """SELECT journey, step_index, step, dropped, customers, in_progress FROM journey_funnels
           WHERE breakdown = 'all' AND dropped > 0
           QUALIFY row_number() OVER (PARTITION BY journey ORDER BY dropped DESC, step_index) = 1
           ORDER BY dropped DESC, journey""",
        "journey_funnels",
    )
    lost = _lost_at_steps(run)
    return [
        Attention(
            kind="journey_drop",
            count=int(row["dropped"]),
            page="journeys",
            filters={"j_id": row["journey"], "j_sel": _left_at(row["journey"], int(row["step_index"]))},
            facts={"journey": row["journey"], "step": row["step"], "share": row["dropped"] / row["customers"]},
            money_minor=lost.get((row["journey"], int(row["step_index"]))),
        )
        for row in reading.records(worst)
    ]


def _lost_at_steps(run: Run) -> dict[tuple[str, int], int]:
    """Return what those who left would have brought by journey and step, where it is known and worth anything."""
    if not run.has("journey_drop_offs"):
        return {}
    rows = reading.marts(
        run,
        """SELECT journey, step_index, net_minor FROM journey_drop_offs
           WHERE breakdown = 'all' AND net_minor > 0""",
        "journey_drop_offs",
    )
    return {(row["journey"], int(row["step_index"])): int(row["net_minor"]) for row in reading.records(rows)}


def _left_at(journey: str, step: int) -> str:
    told = selection.of("journey_step", journey=journey, step=step, outcome="dropped", breakdown="all", group="all")
    return told.written()


def _risk_to_review(run: Run) -> list[Attention]:
    held = _held_by_risk(run)
    if not held:
        return []
    return [Attention(kind="risk_held", count=held, page="recommendations", money_minor=_value_held(run))]


def _data_to_mend(workspace: Workspace) -> list[Attention]:
    refused = int(data.intake_tables(workspace)["quarantined"].sum())
    return [Attention(kind="quarantined", count=refused, page="data")] if refused else []


def _stages_skipped(run: Run) -> list[Attention]:
    return [
        Attention(kind="skipped", count=1, page="data", facts={"stage": stage["stage"], "reason": stage["reason"]})
        for stage in run.manifest["stages"]
        if stage["status"] == "skipped"
    ]


def _held_by_risk(run: Run) -> int | None:
    """Count customers who lose at least one product to risk gates, and to nothing that has another cause.

    The value gate does not count as another cause: the loss expected of a risky customer is part of the value.
    """
    where = _by_risk_alone(run)
    return None if where is None else reading.count(run, "decisions", f"count(DISTINCT customer_id) FILTER ({where})")


def _value_held(run: Run) -> int | None:
    """Return what the products that risk alone holds back would be worth, as far as they are worth anything."""
    where = _by_risk_alone(run)
    worth = f"coalesce(sum(expected_value_minor) FILTER ({where} AND expected_value_minor > 0), 0)::BIGINT"
    return None if where is None else reading.count(run, "decisions", worth)


def _by_risk_alone(run: Run) -> str | None:
    if not (run.has("decisions") and run.has("gates")):
        return None
    bits = {gate["gate"]: 1 << gate["bit"] for gate in run.read("gates", columns=["bit", "gate"]).to_pylist()}
    risk = sum(bit for gate, bit in bits.items() if gate.startswith(RISK_GATES))
    other = sum(bits.values()) - risk - bits.get(VALUE_GATE, 0)
    return f"(refused_mask & {risk:d}) <> 0 AND (refused_mask & {other:d}) = 0"
