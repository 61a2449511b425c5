"""Analyse an experiment out of files: one row per unit, or logs of exposures and events; no workspace, no set-up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from functools import reduce
from pathlib import Path
from typing import Any, Final

from engine.config.experiments import ExperimentSettings, Quantile, TimeToEvent
from engine.domain.errors import NotEnoughData, SettingsFault
from engine.intake import event_files, unit_files
from engine.intake.event_files import EventFile
from engine.intake.unit_files import UnitRoles, UnitTable
from engine.lake.engine import DuckDBEngine
from engine.workflows import experiment_logs, session
from engine.workflows.experiment_question import ASKED, Question, check_arms, draft, of_arms, unit_faults
from engine.workflows.experiment_register import first_plan
from experiments import comparisons, estimates, integrity, result, spec, unit_ends, unit_metrics, unit_tables
from experiments.comparisons import OrderedReading, Reading
from experiments.estimates import ArmEstimate
from experiments.integrity import Check
from experiments.looks import ONCE, AnyTime, Looks, of_plan
from experiments.progress import Progress
from experiments.result import Comparison
from experiments.unit_metrics import UnitMetric
from experiments.unit_tables import ARM, Cells, Measure
from experiments.writing import grouped

_MOST_GROUPS: Final = 1_000
_STRATUM: Final = "strata"
"""The column that holds all strata of a unit together, where a plan names several."""


def analyze(question: Question) -> dict[str, Any]:
    """Return checks, metrics and the decision, as the command writes them.

    Raises
    ------
    UnreadableSource, UnknownName, SettingsFault, NotEnoughData
        The files, their columns, the plan or the arms cannot be used, or a unit stands in several rows; one sentence
        says why.
    """
    plan = draft(question)
    with session.files_aside(question.home) as aside:
        engine = aside.engine
        if question.events is not None:
            return experiment_logs.answer(question, plan, engine, aside.scratch, aside.rules)
        file = event_files.read(question.path, engine, aside.folder("file"), aside.rules, encoding=question.encoding)
        return _answer(question, plan, file, engine, aside.scratch)


def _answer(
    question: Question, plan: ExperimentSettings, file: EventFile, engine: DuckDBEngine, spool: Path
) -> dict[str, Any]:
    if faults := list(unit_faults(plan)):
        raise SettingsFault(question.spec.name if question.spec else ASKED, faults)
    units = unit_files.attach(file, _roles(question, plan), engine, spool)
    for note in units.notes:
        question.say(note)
    arms = _arms(question, plan, units, engine, file.name)
    plan = plan if question.spec else of_arms(question, arms)
    first = first_plan(question, plan)
    exposed = _exposed(question, plan, units, engine)
    for column in dict.fromkeys([*plan.segments, *plan.strata]):
        _refuse_many_groups(column, exposed.rows[units.of[column]], engine, file.name)
    collected = _collected(plan, units, exposed, engine)
    checks = _checks(plan, units, exposed, collected)
    compared = [
        one for reading in collected.readings for one in comparisons.comparisons(reading, stratum=_key(plan, units))
    ]
    progress, looks = _progress(question, plan, collected.cells, compared)
    found = result.assemble(
        plan.experiment_id,
        compared,
        [*spec.checks(plan, first, written=question.spec is not None), *checks],
        looks=looks,
        progress=progress,
        rules=plan.decision,
        alpha=plan.alpha,
        withhold=not question.show_withheld,
        spec_hash=spec.fingerprint(plan),
        changed=() if first is None else spec.changes(plan, first),
    )
    answer = found.to_json() | {"plan": plan.model_dump(mode="json", exclude_none=True)}
    of = {reading.name: reading for reading in collected.readings}
    for entry in answer["metrics"]:
        entry["kind"] = of[entry["metric"]].metric.kind
    if plan.segments and (found.withheld is None or question.show_withheld):
        keys = {column: units.of[column] for column in plan.segments}
        for entry in answer["metrics"]:
            entry["segments"] = comparisons.by_segment(of[entry["metric"]], keys, entry["variant"])
    return answer


def _key(plan: ExperimentSettings, units: UnitTable) -> str | None:
    """Return the column of the stratum of a unit; None without strata."""
    if len(plan.strata) > 1:
        return _STRATUM
    return units.of[plan.strata[0]] if plan.strata else None


def _progress(
    question: Question, plan: ExperimentSettings, cells: Cells, compared: Sequence[Comparison]
) -> tuple[Progress, Looks | dict[tuple[str, str], Looks]]:
    """Return how far the experiment is and the design of this look.

    Where no plan says when it ends, any time is safe. A plan with looks needs to know which of them this is.
    """
    if question.one_look:
        return Progress(day=1, complete=True), ONCE
    if plan.looks is None:
        of_each: dict[tuple[str, str], Looks] = {
            (one.metric, one.variant): AnyTime(
                units=cells.count(arm=one.variant) + cells.count(arm=plan.control), tuned_for=plan.alpha
            )
            for one in compared
        }
        return Progress(day=1, complete=False), of_each
    now = question.as_of
    if plan.starts_at is None or now is None:
        missing = "starts_at in the plan" if plan.starts_at is None else "--as-of, the date of this look"
        raise SettingsFault(ASKED, [f"the plan is looked at several times; to tell which look this is, give {missing}"])
    today = now.astimezone(UTC).date()
    day = max((today - plan.starts_at.astimezone(UTC).date()).days + 1, 1)
    last = plan.looks.days if plan.ends_at is None else day + (plan.ends_at.astimezone(UTC).date() - today).days
    progress = Progress(day=day, days_to_go=max(last - day, 0), complete=last <= day)
    everybody = sum(cells.count(arm=arm) for arm in plan.weights)
    return progress, of_plan(plan.looks, units=everybody, day=day, ended=progress.complete, alpha=plan.alpha)


def _unit(question: Question, plan: ExperimentSettings) -> str | None:
    """Return the column of the unit; None where every row is one of its own."""
    return question.unit or (None if plan.unit == "row" else plan.unit)


def _roles(question: Question, plan: ExperimentSettings) -> UnitRoles:
    shares = [name for metric in plan.metrics if metric.kind in ("proportion", "retention") for name in metric.columns]
    numbers = [
        name
        for metric in plan.metrics
        if metric.kind in ("mean", "ratio", "quantile", "time_to_event")
        for name in (metric.columns[:1] if metric.kind == "time_to_event" else metric.columns)
    ]
    shares += [str(metric.happened_column) for metric in plan.metrics if isinstance(metric, TimeToEvent)]
    return UnitRoles(
        unit=_unit(question, plan),
        variant=question.arm,
        cluster=plan.randomised_by,
        numbers=tuple(dict.fromkeys([*numbers, *(str(one.column) for one in plan.covariates)])),
        shares=tuple(dict.fromkeys(shares)),
        groups=tuple(dict.fromkeys([*plan.segments, *plan.strata])),
    )


def _arms(question: Question, plan: ExperimentSettings, units: UnitTable, engine: DuckDBEngine, name: str) -> list[str]:
    """Return the arms of the file in order, control first."""
    table = units.table
    found = [str(arm) for arm in engine.arrow(table.select(ARM).distinct()).column(ARM).to_pylist()]
    return check_arms(found, plan, f'"{question.arm}" of {name}', planned=question.spec is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Exposed:
    """The rows that count, whose column tells what was randomised, and how many of those were in several arms."""

    rows: Any
    drawn: str | None
    several: int


def _exposed(question: Question, plan: ExperimentSettings, units: UnitTable, engine: DuckDBEngine) -> _Exposed:
    """Leave out what was randomised into several arms, and refuse units that would count twice."""
    cluster = plan.randomised_by
    drawn = cluster or _unit(question, plan)
    if drawn is None:
        return _Exposed(rows=units.table, drawn=None, several=0)
    column = units.of[drawn]
    rows, several = units.table, 0
    if unit_tables.doubled(engine, rows, column):
        (found,) = engine.arrow(unit_tables.in_several(rows, column)).to_pylist()
        several = int(found["several_arms"])
        if found["repeated"] and cluster is None:
            raise NotEnoughData(
                "analysis by unit",
                f'{grouped(int(found["repeated"]))} of {grouped(int(found["units"]))} values of "{drawn}" stand in '
                "several rows of one arm, and would count several times",
                f"one row for each unit; or, if a row is one of several observations of it, --cluster {drawn}",
            )
        rows = unit_tables.in_one_arm(rows, column) if several else rows
    return _Exposed(rows=rows, drawn=column, several=several)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Collected:
    """The cells, the reading of each metric, and per arm the rows and how many of them have no value of each metric."""

    cells: Cells
    readings: Sequence[Reading | OrderedReading]
    rows: Mapping[str, int]
    unknown: Mapping[str, Mapping[str, int]]


def _collected(plan: ExperimentSettings, units: UnitTable, exposed: _Exposed, engine: DuckDBEngine) -> _Collected:
    groups = list(dict.fromkeys(units.of[column] for column in dict.fromkeys([*plan.segments, *plan.strata])))
    rows = exposed.rows
    if len(plan.strata) > 1:
        rows = rows.mutate(**{_STRATUM: _together(rows, [units.of[column] for column in plan.strata])})
        groups.append(_STRATUM)
    table, read = unit_metrics.prepared(engine, rows, plan, units.of)
    plain = [one for one in read if not one.is_ordered]
    if plan.randomised_by is None or exposed.drawn is None:
        measures = [one.measure for one in plain]
        cells = unit_tables.collect(engine, table, measures, groups, whole=units.whole)
        counts = {arm: cells.count(arm=arm) for arm in plan.weights}
        unknown = {
            one.name: {arm: count - cells.moments(one.measure, arm=arm).n for arm, count in counts.items()}
            for one in plain
        }
    else:
        cells, measures, counts, unknown = _of_clusters(plan, units, replace(exposed, rows=table), plain, engine)
    readings: dict[str, Reading | OrderedReading] = {
        one.name: Reading(plan=plan, metric=one.metric, measure=measure, cells=cells)
        for one, measure in zip(plain, measures, strict=True)
    }
    for one in read:
        if one.is_ordered:
            reading = _ordered(plan, one, table, groups, engine)
            readings[one.name] = reading
            unknown[one.name] = {arm: reading.cells.count_unknown(arm=arm) for arm in counts}
    unknown |= _counted_as_zero(rows, read, counts, engine)
    return _Collected(cells=cells, readings=[readings[one.name] for one in read], rows=counts, unknown=unknown)


def _together(rows: Any, columns: Sequence[str]) -> Any:
    """Return one text of the values of several columns."""
    texts = [rows[column].cast("string").fill_null("") for column in columns]
    return reduce(lambda left, right: left + " \u00b7 " + right, texts)


def _ordered(
    plan: ExperimentSettings, one: UnitMetric, table: Any, groups: Sequence[str], engine: DuckDBEngine
) -> OrderedReading:
    metric, columns = one.metric, one.measure.columns
    if isinstance(metric, TimeToEvent):
        days = unit_ends.daily_counts(engine, table, *columns, horizon_days=metric.horizon_days, keys=groups)
        return OrderedReading(plan=plan, metric=metric, cells=days)
    assert isinstance(metric, Quantile)  # there is no other kind
    return OrderedReading(plan=plan, metric=metric, cells=unit_ends.distributions(engine, table, columns[0], groups))


def _of_clusters(
    plan: ExperimentSettings, units: UnitTable, exposed: _Exposed, read: Sequence[UnitMetric], engine: DuckDBEngine
) -> tuple[Cells, list[Measure], dict[str, int], dict[str, dict[str, int]]]:
    """Return the cells of clusters and the measures read from them, the rows of each arm, and those without a value."""
    cluster, drawn = str(plan.randomised_by), str(exposed.drawn)
    groups = dict.fromkeys([*plan.segments, *plan.strata])
    for column in groups:
        _refuse_mixed(cluster, column, unit_tables.mixed(exposed.rows, drawn, units.of[column]), engine)
    measures = [one.measure for one in read]
    counts, unknown = _unknown(exposed.rows, measures, engine)
    keys = list(dict.fromkeys(units.of[column] for column in groups))
    keys += [_STRATUM] if len(plan.strata) > 1 else []
    clusters, made = unit_tables.clustered(exposed.rows, drawn, measures, keys)
    counts = {arm: counts[arm] for arm in plan.weights if arm in counts}
    return unit_tables.collect(engine, clusters, made, keys), made, counts, unknown


def _unknown(
    rows: Any, measures: Sequence[Measure], engine: DuckDBEngine
) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
    """Return the rows of each arm, and by measure those of each arm without a value."""
    found = engine.arrow(unit_tables.unknown(rows, measures)).to_pylist()
    unknown = {
        one.name: {str(row[ARM]): int(row[f"unknown_{place}"]) for row in found} for place, one in enumerate(measures)
    }
    return {str(row[ARM]): int(row["rows"]) for row in found}, unknown


def _counted_as_zero(
    rows: Any, read: Sequence[UnitMetric], counts: Mapping[str, int], engine: DuckDBEngine
) -> dict[str, dict[str, int]]:
    """Return how many units of each arm count as 0 in metrics that take what is not known for 0."""
    sources = [one.source for one in read if one.source is not None]
    if not sources:
        return {}
    _, unknown = _unknown(rows, sources, engine)
    return {name: {arm: found.get(arm, 0) for arm in counts} for name, found in unknown.items()}


def _refuse_mixed(cluster: str, column: str, mixed: Any, engine: DuckDBEngine) -> None:
    (found,) = engine.arrow(mixed).to_pylist()
    if found["clusters"]:
        raise NotEnoughData(
            f'comparison by "{column}"',
            f'{grouped(int(found["clusters"]))} values of "{cluster}" have several values of it',
            "a column that is the same for everything that was randomised together",
        )


def _refuse_many_groups(column: str, values: Any, engine: DuckDBEngine, name: str) -> None:
    found = engine.arrow(values.nunique().name("n").as_table()).column("n")[0].as_py()
    if found > _MOST_GROUPS:
        raise NotEnoughData(
            f'comparison by "{column}"',
            f"it has {grouped(found)} different values in {name}",
            f"a column with at most {grouped(_MOST_GROUPS)}; cut numbers into ranges first",
        )


def _checks(plan: ExperimentSettings, units: UnitTable, exposed: _Exposed, collected: _Collected) -> list[Check]:
    cells = collected.cells
    counts = {str(arm): cells.count(arm=arm) for arm in cells.values(ARM)}
    planned = {arm: counts.get(arm, 0) for arm in plan.weights}
    checks = [
        # a file is one look at the split
        integrity.sample_ratio(plan, planned, looks=False),
        integrity.several_variants(exposed.several, sum(counts.values()) + exposed.several),
        integrity.unknown_variants({arm: n for arm, n in counts.items() if arm not in plan.weights}),
        _incomplete(units),
    ]
    for column in plan.segments:
        key = units.of[column]
        groups = {
            str(one): {arm: cells.count(arm=arm, **{key: one}) for arm in plan.weights} for one in cells.values(key)
        }
        checks.append(integrity.sample_ratio_by_dimension(column, groups, plan.weights))
    if plan.covariates:
        checks.append(integrity.balance(_before(plan, units, collected), plan.control))
    checks += [
        integrity.unknown_values(metric.metric, collected.unknown[metric.metric], collected.rows, metric.nulls)
        for metric in plan.metrics
    ]
    return checks


def _before(
    plan: ExperimentSettings, units: UnitTable, collected: _Collected
) -> dict[str, dict[str, ArmEstimate | None]]:
    """Return the mean of each covariate in each arm, over the units that have a value of a metric adjusted by it."""
    made = {}
    for one in plan.covariates:
        column = units.of[str(one.column)]
        for reading in collected.readings:
            if isinstance(reading, Reading) and column in reading.measure.covariates:
                arms = {arm: reading.sample(arm=arm).take(column) for arm in plan.weights}
                made[one.covariate] = {arm: estimates.mean(moments) for arm, moments in arms.items()}
                break
    return made


def _incomplete(units: UnitTable) -> Check:
    left_out = units.without_arm + units.without_unit + units.broken
    return Check(
        check="incomplete_rows",
        status="warning" if left_out else "ok",
        detail=f"{grouped(units.without_arm)} of {grouped(units.rows)} rows have no arm, {grouped(units.without_unit)} "
        f"no unit, and {grouped(units.broken)} lines are no rows; they are left out."
        if left_out
        else f"All {grouped(units.rows)} rows have a unit and an arm.",
    )
