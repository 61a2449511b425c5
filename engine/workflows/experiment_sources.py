"""Where the experiments of a run read from, and how their splits were ramped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import ibis

from engine.config.assignment import AssignmentSettings
from engine.config.experiments import AGE_GROUP, ExperimentSettings
from engine.lake.engine import Engine
from engine.lake.workspace import Workspace
from engine.workflows import reported_events, session
from experiments import assignment
from experiments.assignment import PlannedEpoch
from experiments.collection import Sources

_YOUNGEST: Final = (18, 25, 35, 45, 55, 65)
"""Where age groups begin."""


def sources(
    engine: Engine,
    tables: Mapping[str, Any],
    as_of: datetime,
    experiments: Sequence[ExperimentSettings],
    workspace: Workspace,
) -> Sources:
    """Return the exposures and events of a workspace, with what is known of its customers.

    What campaign tools reported is among the events where an experiment names one of those, such as offer_converted.
    """
    customers = tables.get("customers")
    told = reported_events.wanted(experiments)
    return Sources(
        engine=engine,
        exposures=tables["exposures"],
        events=reported_events.beside(engine, tables, workspace) if told else tables["events"],
        as_of=as_of,
        attributes=None if customers is None else with_age_group(customers, as_of),
    )


def with_age_group(customers: Any, as_of: datetime) -> Any:
    """Return customers with the group of their age at a date, null where no date of birth is known.

    The date of birth itself stays where it is: no result holds it.
    """
    birth = customers.birth_date
    had_birthday = (birth.month() < as_of.month) | ((birth.month() == as_of.month) & (birth.day() <= as_of.day))
    age = as_of.year - birth.year() - ibis.ifelse(had_birthday, 0, 1)
    youngest, *later = _YOUNGEST
    bands = [(f"{start} to {end - 1}", end) for start, end in zip(_YOUNGEST, later, strict=False)]
    named = ibis.cases(
        (age.isnull(), ibis.null("string")),
        (age < youngest, f"under {youngest}"),
        *((age < end, name) for name, end in bands),
        else_=f"{_YOUNGEST[-1]} and over",
    )
    return customers.mutate(**{AGE_GROUP: named})


def ramps(workspace: Workspace, experiments: Sequence[ExperimentSettings]) -> dict[str, tuple[PlannedEpoch, ...]]:
    """Return the times of equal weights of each experiment, as the log of its ramp plans them."""
    rules = session.settings(workspace, AssignmentSettings, "assignment")
    return {
        one.experiment_id: assignment.planned_epochs(rules.of(one.experiment_id).ramp, one.weights)
        for one in experiments
    }
