"""Where customers stop on their way, and who they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pandas as pd

from engine.domain.words import JourneyStatus
from engine.lake.engine import identifier
from engine.lake.runs import Run
from engine.workflows.view import reading


def listed(run: Run) -> tuple[str, ...]:
    """Return the journeys of the run, the most entered first."""
    rows = reading.marts(
        run,
        """SELECT journey FROM journey_funnels WHERE breakdown = 'all' AND step_index = 1
           ORDER BY customers DESC, journey""",
        "journey_funnels",
    )
    return tuple(rows["journey"])


def breakdowns(run: Run, journey: str) -> tuple[str, ...]:
    """Return the ways in which a journey was broken down, 'all' first."""
    rows = run.read("journey_funnels", columns=["breakdown"], where={"journey": journey})
    found = set(rows.column("breakdown").to_pylist())
    return tuple(sorted(found, key=lambda breakdown: (breakdown != "all", breakdown)))


def funnel(run: Run, journey: str, breakdown: str = "all") -> pd.DataFrame:
    """Return the steps of a journey for each group of a breakdown, in the contract's columns."""
    rows = reading.table(run, "journey_funnels", where={"journey": journey, "breakdown": breakdown})
    return rows.sort_values(["group", "step_index"], ignore_index=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar of a funnel: `outcome` is reached, continued, dropped, in_progress or converted."""

    journey: str
    step_index: int
    outcome: str
    breakdown: str = "all"
    group: str = "all"


_OUTCOMES: Final = {
    "reached": "reached_step >= ?",
    "continued": "reached_step > ?",
    "dropped": f"reached_step = ? AND status = '{JourneyStatus.DROPPED}'",
    "in_progress": f"reached_step = ? AND status = '{JourneyStatus.IN_PROGRESS}'",
    "converted": f"reached_step = ? AND status = '{JourneyStatus.CONVERTED}'",
}
_GROUPS: Final = {
    "cluster": ("segments", "cluster_name"),
    "value_tier": ("segments", "value_tier"),
    "risk_tier": ("risk", "risk_tier"),
}


def behind(run: Run, bar: Bar, limit: int = 25, offset: int = 0) -> tuple[int, pd.DataFrame]:
    """Return how many customers stand behind a bar, and one page of them, the latest first.

    Raises
    ------
    MartMissing
        The run has no stages per customer, or none of the table that the groups come from.
    """
    marts, join, condition = ["journey_stages"], "", f"journey = ? AND {_OUTCOMES[bar.outcome]}"
    parameters: list[object] = [bar.journey, bar.step_index]
    if bar.breakdown in _GROUPS:
        mart, column = _GROUPS[bar.breakdown]
        marts.append(mart)
        join = f"LEFT JOIN {mart} AS grouping_of USING (customer_id)"
        condition += f" AND coalesce(grouping_of.{column}, 'unknown') = ?"
        parameters.append(bar.group)
    elif bar.breakdown != "all":
        condition += f" AND coalesce({identifier(bar.breakdown)}, 'unknown') = ?"
        parameters.append(bar.group)
    chosen = f"FROM journey_stages {join} WHERE {condition}"
    total = reading.marts(run, f"SELECT count(*) AS customers {chosen}", *marts, parameters=parameters)
    page = reading.marts(
        run,
        f"""SELECT customer_id, step, current_step, next_step, status, entered_at, stage_since {chosen}
            ORDER BY stage_since DESC, customer_id LIMIT {limit:d} OFFSET {offset:d}""",
        *marts,
        parameters=parameters,
    )
    return int(total["customers"].iloc[0]), page


def drop_offs(run: Run, journey: str) -> pd.DataFrame:
    """Return what leaving costs at each step of a journey, all customers together."""
    return reading.table(run, "journey_drop_offs", where={"journey": journey, "breakdown": "all"})


def friction(run: Run, journey: str) -> pd.DataFrame:
    """Return the signs of friction at the steps of a journey."""
    return reading.table(run, "journey_friction", where={"journey": journey})


def forecasts(run: Run, journey: str) -> pd.DataFrame:
    """Return how forecasts for open journeys came true at an earlier date."""
    return reading.table(run, "journey_open_validation", where={"journey": journey})


def on_the_way(run: Run, journey: str, limit: int = 25, offset: int = 0) -> tuple[int, pd.DataFrame]:
    """Return how many customers are on the way, and one page of them.

    The likeliest to leave come first of those whom something may still move; who is as good as lost comes last.
    """
    chosen = "FROM journey_open WHERE journey = ?"
    total = reading.marts(run, f"SELECT count(*) AS customers {chosen}", "journey_open", parameters=[journey])
    page = reading.marts(
        run,
        f"""SELECT customer_id, step, next_step, reached_at, closes_at, drop_probability, friction_met {chosen}
            ORDER BY drop_probability > 0.995, drop_probability DESC, closes_at, customer_id
            LIMIT {limit:d} OFFSET {offset:d}""",
        "journey_open",
        parameters=[journey],
    )
    return int(total["customers"].iloc[0]), page
