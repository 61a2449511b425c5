"""An experiment that is planned in the app: its baseline from the bank's events, its size, and its design on record."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

from engine.config.experiments import ExperimentSettings
from engine.config.load import validate
from engine.domain.access import Right, Viewer
from engine.domain.errors import NotEnoughData, RefusedByPolicy
from engine.lake.runs import Run, latest_run
from engine.lake.workspace import Workspace
from engine.store import ExperimentRecord, Store
from engine.workflows import experiment_plan, session
from engine.workflows.view import reading

_ID: Final = re.compile(r"[a-z][a-z0-9_]{1,59}")
_TRAFFIC_DAYS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """How often an event happens to a customer within a window, and how many customers a test would meet.

    per_day : customers of the last 30 days, each counted once, by day: somebody who comes again is not met anew.
    """

    share: float
    customers: int
    happened: int
    per_day: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What is planned: one goal that is an event within days of exposure, and the smallest effect worth finding.

    effect : as a share of the baseline. per_day : customers who come for the first time in a day.
    """

    event: str
    window_days: int
    direction: Literal["increase", "decrease"]
    baseline: float
    effect: float
    power: float
    per_day: float


def events(workspace: Workspace, run: Run) -> tuple[str, ...]:
    """Return the names of events of the last 90 days before the cut-off, the most frequent first."""
    if not workspace.curated("events").is_dir():
        return ()
    rows = reading.sql(
        {"events": workspace.curated("events")},
        """SELECT event_name AS name, count(*) AS n FROM events WHERE occurred_at > $1 AND occurred_at <= $2
           GROUP BY event_name ORDER BY n DESC, event_name LIMIT 200""",
        (_naive(run.as_of - timedelta(days=90)), _naive(run.as_of)),
    )
    return tuple(rows["name"])


def baseline(workspace: Workspace, run: Run, event: str, window_days: int) -> Baseline:
    """Return how often the event happened, within a window that ends at the cut-off, to customers who came in it.

    Raises
    ------
    NotEnoughData
        Nobody came in that time, or the event happened to nobody, or to everybody.
    """
    if not workspace.curated("events").is_dir():
        raise NotEnoughData("baseline", "the bank has no table of events", "events that can be counted")
    days = max(window_days, _TRAFFIC_DAYS)
    row = reading.sql(
        {"events": workspace.curated("events")},
        """SELECT count(DISTINCT customer_id) FILTER (occurred_at > $3) AS customers,
                  count(DISTINCT customer_id) FILTER (occurred_at > $3 AND event_name = $4) AS happened,
                  count(DISTINCT customer_id) FILTER (occurred_at > $5) / $6 AS per_day
           FROM events WHERE occurred_at > $1 AND occurred_at <= $2 AND customer_id IS NOT NULL""",
        (
            _naive(run.as_of - timedelta(days=days)),
            _naive(run.as_of),
            _naive(run.as_of - timedelta(days=window_days)),
            event,
            _naive(run.as_of - timedelta(days=_TRAFFIC_DAYS)),
            float(_TRAFFIC_DAYS),
        ),
    ).iloc[0]
    customers, happened = int(row["customers"]), int(row["happened"])
    if not 0 < happened < customers:
        why = f'"{event}" happened to {happened} of {customers} customers in {window_days} days'
        raise NotEnoughData("baseline", why, "an event that happens to some, and a longer window")
    return Baseline(share=happened / customers, customers=customers, happened=happened, per_day=float(row["per_day"]))


def planned(draft: Draft, home: Path) -> dict[str, Any]:
    """Return the plan of a draft: units, days, notes; see `experiment_plan.make`."""
    sign = 1.0 if draft.direction == "increase" else -1.0
    return experiment_plan.make(
        experiment_plan.Question(
            kind="proportion",
            baseline=draft.baseline,
            effect=sign * draft.effect,
            relative=True,
            power=draft.power,
            direction=draft.direction,
            units_per_day=draft.per_day,
            maturity_days=draft.window_days,
            home=home,
        )
    )


def definition(draft: Draft, experiment_id: str, name: str, variant: str) -> dict[str, Any]:
    """Return a draft as the settings of an experiment: half of the customers each, one goal, the planned effect.

    Raises
    ------
    SettingsFault
        It does not hang together.
    RefusedByPolicy
        The id is none.
    """
    for what, text in (("id", experiment_id), ("name of the variant", variant)):
        if not _ID.fullmatch(text) or text == "control":
            raise RefusedByPolicy(
                f'"{text}" is no {what}. Write small letters, digits and underscores, a letter first: new_offer.'
            )
    values = {
        "experiment_id": experiment_id,
        "name_en": name.strip() or experiment_id,
        "control": "control",
        "weights": {"control": 0.5, variant: 0.5},
        "metrics": [
            {
                "metric": draft.event,
                "kind": "proportion",
                "role": "goal",
                "event": draft.event,
                "direction": draft.direction,
                "window_days": draft.window_days,
                "planned_effect": round(draft.effect * draft.baseline, 6),
            }
        ],
    }
    validate(ExperimentSettings, values, "the plan")
    return values


def register(home: Path, viewer: Viewer, values: dict[str, Any]) -> ExperimentRecord:
    """Put a design on record before its first look; whatever is changed later is told with its results.

    Raises
    ------
    NotAllowed
    RefusedByPolicy
        An experiment of that id is on record already, or has results.
    """
    viewer.require(Right.PLAN_EXPERIMENT)
    workspace = session.workspace_at(home)
    design = validate(ExperimentSettings, values, "the plan").model_dump(mode="json")
    name = str(values["experiment_id"])
    run = latest_run(workspace)
    with Store(session.database_url(workspace), actor=viewer.name) as store:
        known = {one.experiment_id for one in store.experiments()} | _looked_at(run)
        if name in known:
            raise RefusedByPolicy(f'An experiment "{name}" is on record already. Give the new one another id.')
        return store.register_experiments({name: design})[0]


def waiting(workspace: Workspace, run: Run) -> tuple[ExperimentRecord, ...]:
    """Return designs on record of which the run has no results; looking makes no database."""
    if not session.has_register(workspace):
        return ()
    looked = _looked_at(run)
    with Store(session.database_url(workspace)) as store:
        return tuple(one for one in store.experiments() if one.experiment_id not in looked)


def _looked_at(run: Run) -> set[str]:
    if not run.has("experiment_results"):
        return set()
    return set(run.read("experiment_results", ["experiment_id"])["experiment_id"].to_pylist())


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)
