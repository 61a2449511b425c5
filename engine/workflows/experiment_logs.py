"""Analyse an experiment out of two logs as they lie: who was exposed to what and when, and what happened.

The exposures become one row per unit (its first exposure; units seen in several arms are left out and counted), the
events of each unit count from there on, within the windows of the plan, as in a run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import ibis

from engine.config.experiments import ExperimentSettings
from engine.config.intake import IntakeSettings
from engine.domain.errors import NotEnoughData, SettingsFault, UnknownName
from engine.intake import event_files, event_roles
from engine.intake.event_files import EventFile
from engine.intake.event_roles import Roles, TypedLog
from engine.lake.engine import DuckDBEngine, quoted
from engine.workflows.experiment_question import ASKED, EventLog, Question, check_arms, log_faults, of_arms
from engine.workflows.experiment_register import first_plan
from experiments import analysis, portfolio
from experiments.collection import Sources, collect
from experiments.writing import grouped

_EXPOSURES: Final = "exposure_log"
_EXPOSED_AT: Final = (
    "exposed_at",
    "exposure_time",
    "first_seen",
    "assigned_at",
    "timestamp",
    "time",
    "occurred_at",
    "ts",
)
_VALUE: Final = ("value", "amount")
_ARRIVED: Final = ("ingested_at", "arrived_at", "received_at")
_EXPERIMENT: Final = "experiment_id"
_MOST_LISTED: Final = 50


def answer(
    question: Question, plan: ExperimentSettings, engine: DuckDBEngine, scratch: Path, rules: IntakeSettings
) -> dict[str, Any]:
    """Return checks, metrics and the decision, as the command writes them.

    Raises
    ------
    UnreadableSource, UnknownName, SettingsFault, NotEnoughData
        A log, its columns or its times cannot be used, or the plan reads what they do not have.
    """
    log = question.events
    assert log is not None  # asked of logs only
    faults = list(log_faults(plan))
    if plan.unit == "row":
        faults.append("a log has several rows of a unit; name its column with --unit")
    if faults:
        raise SettingsFault(question.spec.name if question.spec else ASKED, faults)
    exposures = _exposures(question, plan, log, engine, _Place(scratch, "exposures", rules))
    events = _events(question, log, exposures.unit, engine, _Place(scratch, "events", rules))
    column = f'"{question.arm}" of {question.path.name}'
    arms = check_arms(exposures.arms, plan, column, planned=question.spec is not None)
    plan = plan if question.spec else of_arms(question, arms)
    _told(question, plan, events)
    moment = question.as_of or max(exposures.latest, events.latest)
    if question.as_of is None:
        question.say(f"Looked from the latest row, {moment:%Y-%m-%d %H:%M:%S} UTC; --as-of names another instant.")
    named = plan.model_copy(update={"exposed_as": exposures.experiment})
    sources = Sources(
        engine=engine,
        exposures=exposures.table,
        events=events.table,
        as_of=moment,
        attributes=exposures.attributes,
    )
    collected = collect(sources, named)
    first = first_plan(question, plan)
    judged = analysis.judge(plan, collected, moment, registered=first, withhold=not question.show_withheld)
    found = portfolio.whole(sources, named, collected, judged)
    return found | {"plan": plan.model_dump(mode="json", exclude_none=True)}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where what a log becomes lies for as long as it is read."""

    scratch: Path
    name: str
    rules: IntakeSettings

    def folder(self, part: str) -> Path:
        """Return a new folder."""
        made = self.scratch / self.name / part
        made.mkdir(parents=True)
        return made


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Exposures:
    """The log of exposures: the tables as experiments read them, the column of the unit, arms, the latest instant."""

    table: Any
    attributes: Any
    unit: str
    arms: Sequence[str]
    experiment: str
    latest: datetime


def _exposures(
    question: Question, plan: ExperimentSettings, log: EventLog, engine: DuckDBEngine, place: _Place
) -> _Exposures:
    file = event_files.read(question.path, engine, place.folder("file"), place.rules, encoding=question.encoding)
    if question.arm not in file.columns:
        raise UnknownName("variant column", question.arm, list(file.columns)[:_MOST_LISTED])
    time = log.exposed_at or _first(_EXPOSED_AT, file, "--exposed-at")
    roles = Roles(case=question.unit, event=question.arm, time=time)
    typed = event_roles.attach(file, roles, engine, place.folder("typed"), zone=log.zone, time_format=None)
    _say(question, file, typed)
    unit, table = str(typed.roles.case), typed.table
    drawn = [plan.randomised_by] if plan.randomised_by else []
    named = dict.fromkeys([*plan.strata, *plan.segments, *plan.fairness.attributes, *drawn])
    for column in named:
        if column not in file.columns:
            raise UnknownName("group column", column, list(file.columns)[:_MOST_LISTED])
    experiment = _experiment(question, plan, file, engine, table)
    own = table[_EXPERIMENT].cast("string") if _EXPERIMENT in file.columns else ibis.literal(experiment)
    rows = table.select(
        experiment_id=own,
        customer_id=_text(table[unit]),
        variant=_text(table[question.arm]),
        exposed_at=table[time],
        **{name: _text(table[name]) for name in named},
    ).filter(ibis._.exposed_at.notnull())
    # written once: the next log takes its place
    target = place.folder("rows") / "exposures.parquet"
    engine.connection.execute(f"COPY ({engine.compile(rows)}) TO {quoted(str(target))} (FORMAT parquet)")
    engine.attach(_EXPOSURES, target)
    kept = ibis.table(rows.schema(), name=_EXPOSURES)
    of_it = kept.filter(kept.experiment_id == experiment)
    arms = engine.arrow(of_it.filter(of_it.variant.notnull()).select("variant").distinct()).column(0).to_pylist()
    attributes = None
    if named:
        known = of_it.filter(of_it.customer_id.notnull()).group_by("customer_id")
        attributes = known.aggregate(**{name: of_it[name].min() for name in named})
    return _Exposures(
        table=kept,
        attributes=attributes,
        unit=unit,
        arms=[str(arm) for arm in arms],
        experiment=experiment,
        latest=_latest(engine, of_it.exposed_at, file.name),
    )


def _experiment(question: Question, plan: ExperimentSettings, file: EventFile, engine: DuckDBEngine, table: Any) -> str:
    """Return the id that the exposures of this experiment carry."""
    if _EXPERIMENT not in file.columns:
        return plan.experiment_id
    found = engine.arrow(table.select(one=table[_EXPERIMENT].cast("string")).distinct()).column("one").to_pylist()
    known = sorted(str(one) for one in found if one is not None)
    wanted = plan.exposed_as or (plan.experiment_id if question.spec else None)
    if wanted is None and len(known) > 1:
        raise NotEnoughData(
            "experiment",
            f"{file.name} holds {grouped(len(known))} experiments ({', '.join(known[:_MOST_LISTED])})",
            "a file of one, or the plan of one with --spec, whose experiment_id or exposed_as names it",
        )
    if wanted is not None and wanted not in known:
        raise UnknownName("experiment", wanted, known[:_MOST_LISTED])
    return wanted or (known[0] if known else plan.experiment_id)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Events:
    """The log of events as experiments read it, the names that occur in it, and its latest instant."""

    table: Any
    names: Mapping[str, int]
    latest: datetime


def _events(question: Question, log: EventLog, unit: str, engine: DuckDBEngine, place: _Place) -> _Events:
    file = event_files.read(log.path, engine, place.folder("file"), place.rules, encoding=question.encoding)
    if unit not in file.columns:
        raise UnknownName(f"column of {file.name}", unit, list(file.columns)[:_MOST_LISTED])
    roles = Roles(case=unit, event=log.event, time=log.time)
    typed = event_roles.attach(file, roles, engine, place.folder("typed"), zone=log.zone, time_format=None)
    _say(question, file, typed)
    table, event, time = typed.table, str(typed.roles.event), str(typed.roles.time)
    value = _optional(log.value, _VALUE, file)
    arrived = _optional(log.arrived, _ARRIVED, file)
    rows = table.select(
        customer_id=_text(table[unit]),
        event_name=_text(table[event]),
        occurred_at=table[time],
        value=ibis.null("float64") if value is None else table[value].try_cast("float64"),
        ingested_at=ibis.null("timestamp") if arrived is None else table[arrived].try_cast("timestamp"),
    ).filter(ibis._.customer_id.notnull(), ibis._.event_name.notnull(), ibis._.occurred_at.notnull())
    counted = engine.arrow(rows.group_by("event_name").aggregate(times=rows.count())).to_pylist()
    return _Events(
        table=rows,
        names={str(row["event_name"]): int(row["times"]) for row in counted},
        latest=_latest(engine, rows.occurred_at, file.name),
    )


def _say(question: Question, file: EventFile, typed: TypedLog) -> None:
    for note in typed.notes:
        question.say(note)
    left_out = typed.report.read - typed.report.kept
    if left_out:
        rows = f"{grouped(left_out)} of {grouped(typed.report.read)} rows of {file.name}"
        question.say(f"{rows} have no unit, no name or no time and do not count.")


def _told(question: Question, plan: ExperimentSettings, events: _Events) -> None:
    """Tell events that do not occur; options that name one are likely to mean another."""
    wanted = dict.fromkeys(name for metric in plan.metrics for name in metric.events)
    wanted |= dict.fromkeys(str(one.event) for one in plan.covariates)
    for name in [*wanted, *([plan.activation_event] if plan.activation_event else [])]:
        if name not in events.names:
            if question.spec is None:
                raise UnknownName("event", name, sorted(events.names)[:_MOST_LISTED])
            question.say(f'No event "{name}" has happened yet.')


def _first(known: Sequence[str], file: EventFile, option: str) -> str:
    found = _optional(None, known, file)
    if found is None:
        raise SettingsFault(
            file.name, [f"no column of a well-known name for when a unit was exposed; name it with {option}"]
        )
    return found


def _optional(named: str | None, known: Sequence[str], file: EventFile) -> str | None:
    """Return the column that was named, or the first of a well-known name."""
    if named is not None:
        if named not in file.columns:
            raise UnknownName(f"column of {file.name}", named, list(file.columns)[:_MOST_LISTED])
        return named
    lower = {column.lower(): column for column in reversed(list(file.columns))}
    return next((lower[name] for name in known if name in lower), None)


def _text(column: Any) -> Any:
    text = column.cast("string")
    return text.strip().nullif("")


def _latest(engine: DuckDBEngine, times: Any, name: str) -> datetime:
    (found,) = engine.arrow(times.max().name("latest").as_table()).column("latest").to_pylist()
    if found is None:
        raise NotEnoughData("experiment", f"no row of {name} has a unit, a name and a time", "a log with such rows")
    moment: datetime = found
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
