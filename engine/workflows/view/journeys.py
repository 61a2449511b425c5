"""Where customers stop on their way, and who they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pandas as pd

from engine.domain.access import Right, Viewer
from engine.domain.errors import UnknownName
from engine.domain.marts import MARTS
from engine.domain.words import JourneyStatus
from engine.lake.engine import identifier
from engine.lake.runs import Run
from engine.workflows.view import reading, small_groups


def listed(run: Run) -> tuple[str, ...]:
    """Return the journeys of the run, the most entered first."""
    rows = reading.marts(
        run,
        """SELECT journey FROM journey_funnels WHERE breakdown = 'all' AND step_index = 1
           ORDER BY customers DESC, journey""",
        "journey_funnels",
    )
    return tuple(rows["journey"])


def breakdowns(viewer: Viewer, run: Run, journey: str) -> tuple[str, ...]:
    """Return the ways in which a journey was broken down that the viewer may see, 'all' first."""
    rows = run.read("journey_funnels", columns=["breakdown"], where={"journey": journey})
    found = set(rows.column("breakdown").to_pylist())
    if not viewer.may(Right.SEE_RISK):
        found -= OF_RISK
    return tuple(sorted(found, key=lambda breakdown: (breakdown != "all", breakdown)))


def funnel(viewer: Viewer, run: Run, journey: str, breakdown: str = "all") -> pd.DataFrame:
    """Return the steps of a journey for each group of a breakdown, in the contract's columns; raises NotAllowed.

    Counts may be rounded, see `small_groups`; rates are those of the counts that are told.
    """
    _allowed(viewer, breakdown)
    rows = reading.table(run, "journey_funnels", where={"journey": journey, "breakdown": breakdown})
    rows = rows.sort_values(["group", "step_index"], ignore_index=True)
    told = small_groups.rounded(viewer, rows, ("customers", "continued", "dropped", "in_progress"))
    if not small_groups.is_rounded(told):
        return told
    by_group = told.groupby("group")["customers"]
    first, previous = by_group.transform("first"), by_group.shift(1)
    told["rate_from_first"] = told["customers"] / first.where(first > 0)
    told["rate_from_previous"] = told["customers"] / previous.where(previous > 0)
    return told


OF_RISK: Final = frozenset({"risk_tier"})
"""Breakdowns whose groups tell how risky a customer is."""


def _allowed(viewer: Viewer, breakdown: str) -> None:
    if breakdown in OF_RISK:
        viewer.require(Right.SEE_RISK)


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


def standing_behind(run: Run, bar: Bar) -> tuple[list[str], str, list[object]]:
    """Return the tables, the FROM and WHERE, and the values of those who stand behind a bar.

    Raises
    ------
    UnknownName
        There is no such outcome, or the stages cannot be broken down so.
    """
    if bar.outcome not in _OUTCOMES:
        raise UnknownName("outcome", bar.outcome, sorted(_OUTCOMES))
    marts, join, condition = ["journey_stages"], "", f"journey = ? AND {_OUTCOMES[bar.outcome]}"
    values: list[object] = [bar.journey, bar.step_index]
    if bar.breakdown in _GROUPS:
        mart, column = _GROUPS[bar.breakdown]
        marts.append(mart)
        join = f"LEFT JOIN {mart} AS grouping_of USING (customer_id)"
        condition += f" AND coalesce(grouping_of.{column}, 'unknown') = ?"
        values.append(bar.group)
    elif bar.breakdown != "all":
        columns = [column.name for column in MARTS["journey_stages"]]
        if bar.breakdown not in columns:
            raise UnknownName("breakdown", bar.breakdown, ["all", *_GROUPS, "channel"])
        condition += f" AND coalesce({identifier(bar.breakdown)}, 'unknown') = ?"
        values.append(bar.group)
    return marts, f"FROM journey_stages {join} WHERE {condition}", values


def drop_offs(viewer: Viewer, run: Run, journey: str) -> pd.DataFrame:
    """Return what leaving costs at each step of a journey, all customers together; steps of too few are left out."""
    rows = reading.table(run, "journey_drop_offs", where={"journey": journey, "breakdown": "all"})
    return small_groups.without(viewer, rows, ("customers", "dropped", "settled"))


def friction(viewer: Viewer, run: Run, journey: str) -> pd.DataFrame:
    """Return the signs of friction at the steps of a journey; those that too few met are left out."""
    rows = reading.table(run, "journey_friction", where={"journey": journey})
    return small_groups.without(viewer, rows, ("met", "compared"))


def forecasts(run: Run, journey: str) -> pd.DataFrame:
    """Return how forecasts for open journeys came true at an earlier date."""
    return reading.table(run, "journey_open_validation", where={"journey": journey})
