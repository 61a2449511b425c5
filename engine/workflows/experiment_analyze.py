"""Analyse an experiment out of a file with one row per unit: no workspace, no set-up."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from engine.config.experiments import ExperimentSettings
from engine.config.intake import IntakeSettings
from engine.config.load import validate
from engine.domain.errors import NotEnoughData, SettingsFault, UnknownName
from engine.intake import event_files, unit_files
from engine.intake.event_files import EventFile
from engine.intake.unit_files import UnitRoles, UnitTable
from engine.lake.engine import DuckDBEngine
from engine.workflows import session
from experiments import comparisons, estimates, integrity, result, unit_tables
from experiments.comparisons import Reading
from experiments.decide import Progress
from experiments.estimates import ArmEstimate
from experiments.integrity import Check, grouped
from experiments.looks import ONCE, AnyTime, Looks
from experiments.spec import fingerprint
from experiments.unit_tables import ARM, Cells, Measure

_MOST_ARMS: Final = 100
_MOST_GROUPS: Final = 1_000


def _silent(_: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The file, which column plays which role, and what is asked.

    metrics : column and kind, "proportion" or "mean"; `ratios` the columns of numerator and denominator.
    unit : None where every row is a unit of its own. `cluster` is what was randomised where that is more than a unit.
    weights : the planned split; None assumes equal parts and says so.
    one_look : the file is looked at once, at the planned end; otherwise the verdict holds however often it is asked.
    decrease : metrics of which less is better. guardrails : metrics that must not get worse, with the share of
        control's value that may be lost, or None where any certain harm counts.
    """

    path: Path
    variant: str
    control: str
    unit: str | None = None
    metrics: Sequence[tuple[str, str]] = ()
    ratios: Sequence[tuple[str, str]] = ()
    covariates: Sequence[str] = ()
    segments: Sequence[str] = ()
    stratum: str | None = None
    cluster: str | None = None
    weights: Mapping[str, float] | None = None
    decrease: Sequence[str] = ()
    guardrails: Mapping[str, float | None] = field(default_factory=dict)
    alpha: float = 0.05
    one_look: bool = False
    show_withheld: bool = False
    encoding: str | None = None
    home: Path = Path("workspace")
    say: Callable[[str], None] = field(default=_silent, compare=False)


def analyze(question: Question) -> dict[str, Any]:
    """Return checks, metrics and the decision, as the command writes them.

    Raises
    ------
    UnreadableSource, UnknownName, SettingsFault, NotEnoughData
        The file, its columns or its arms cannot be used, or a unit stands in several rows; one sentence says why.
    """
    workspace = session.workspace_at(question.home)
    with (
        tempfile.TemporaryDirectory(prefix="wayline-units-") as scratch,
        session.engine_aside(question.home, Path(scratch) / "engine") as engine,
    ):
        rules = session.settings(workspace, IntakeSettings, "intake")
        spool = Path(scratch) / "file"
        spool.mkdir()
        file = event_files.read(question.path, engine, spool, rules, encoding=question.encoding)
        return _answer(question, file, engine, Path(scratch))


def _answer(question: Question, file: EventFile, engine: DuckDBEngine, spool: Path) -> dict[str, Any]:
    faults = list(_faults(question))
    if faults:
        raise SettingsFault("wayline experiment analyze", faults)
    units = unit_files.attach(file, _roles(question), engine, spool)
    for note in units.notes:
        question.say(note)
    plan = _plan(question, _arms(question, units, engine, file.name), file.name)
    exposed = _exposed(question, units, engine)
    for column in dict.fromkeys([*plan.segments, *plan.strata]):
        _refuse_many_groups(column, exposed.rows[units.of[column]], engine, file.name)
    collected = _collected(plan, units, exposed, engine)
    cells = collected.cells
    checks = _checks(plan, units, exposed, collected)
    readings = [
        Reading(plan=plan, metric=metric, measure=collected.measures[metric.metric], cells=cells)
        for metric in plan.metrics
    ]
    stratum = units.of[question.stratum] if question.stratum else None
    found = result.assemble(
        plan.experiment_id,
        [one for reading in readings for one in comparisons.comparisons(reading, stratum=stratum)],
        checks,
        looks=_looks(question, plan, cells),
        progress=Progress(day=1, complete=question.one_look),
        rules=plan.decision,
        alpha=plan.alpha,
        withhold=not question.show_withheld,
        spec_hash=fingerprint(plan),
    )
    answer = found.to_json() | {"plan": plan.model_dump(mode="json", exclude_none=True)}
    kinds = {metric.metric: metric.kind for metric in plan.metrics}
    for entry in answer["metrics"]:
        entry["kind"] = kinds[entry["metric"]]
    if question.segments and (found.withheld is None or question.show_withheld):
        keys = {column: units.of[column] for column in question.segments}
        of = {reading.metric.metric: reading for reading in readings}
        for entry in answer["metrics"]:
            entry["segments"] = comparisons.by_segment(of[entry["metric"]], keys, entry["variant"])
    return answer


def _looks(question: Question, plan: ExperimentSettings, cells: Cells) -> Looks | dict[tuple[str, str], Looks]:
    """Return the design of this look: a file says nothing of when it was planned to end, so that any time is safe."""
    if question.one_look:
        return ONCE
    return {
        (metric.metric, variant): AnyTime(
            units=cells.count(arm=variant) + cells.count(arm=plan.control), tuned_for=plan.alpha
        )
        for metric in plan.metrics
        for variant in plan.variants
    }


def _faults(question: Question) -> list[str]:
    """Return what is wrong with the question itself."""
    named = [*(column for column, _ in question.metrics), *(f"{one}/{other}" for one, other in question.ratios)]
    found = []
    if not named:
        found.append("no metric: name one with --metric COL:proportion or --metric COL:mean, or with --ratio NUM/DEN")
    found += [f'metric "{name}" is named twice' for name in dict.fromkeys(named) if named.count(name) > 1]
    for option, names in (("--decrease", question.decrease), ("--guardrail", question.guardrails)):
        found += [
            f'{option} "{name}": no such metric. Metrics are: {", ".join(named)}' for name in names if name not in named
        ]
    roles = {"--unit": question.unit, "--variant": question.variant}
    for option, columns in (("--segment", question.segments), ("--stratum", [question.stratum])):
        for role, column in roles.items():
            if column is not None and column in columns:
                found.append(f'{option} "{column}" is the column of {role}; name one that was known before the start')
    return found


def _roles(question: Question) -> UnitRoles:
    means = [column for column, kind in question.metrics if kind == "mean"]
    pairs = [column for pair in question.ratios for column in pair]
    groups = [*question.segments, *([question.stratum] if question.stratum else [])]
    return UnitRoles(
        unit=question.unit,
        variant=question.variant,
        cluster=question.cluster,
        numbers=tuple(dict.fromkeys([*means, *pairs, *question.covariates])),
        shares=tuple(column for column, kind in question.metrics if kind == "proportion"),
        groups=tuple(dict.fromkeys(groups)),
    )


def _arms(question: Question, units: UnitTable, engine: DuckDBEngine, name: str) -> list[str]:
    """Return the arms of the file in order, control first."""
    table = units.table
    found = [str(arm) for arm in engine.arrow(table.select(ARM).distinct()).column(ARM).to_pylist()]
    column = f'"{question.variant}" of {name}'
    if len(found) > _MOST_ARMS:
        raise NotEnoughData(
            "comparison",
            f"the column {column} has {grouped(len(found))} different values, too many for arms of one experiment",
            f"the column of the arm, with at most {_MOST_ARMS}",
        )
    if question.control not in found:
        raise UnknownName("arm", question.control, sorted(found))
    if len(found) == 1:
        raise NotEnoughData(
            "comparison", f'the column {column} has one arm only, "{found[0]}"', "rows of at least one other arm"
        )
    return [question.control, *sorted(arm for arm in found if arm != question.control)]


def _plan(question: Question, arms: Sequence[str], name: str) -> ExperimentSettings:
    weights = question.weights or dict.fromkeys(arms, 1.0)
    metrics: list[dict[str, Any]] = [
        {"metric": column, "kind": kind, "column": column} for column, kind in question.metrics
    ]
    metrics += [
        {"metric": f"{one}/{other}", "kind": "ratio", "column": one, "denominator_column": other}
        for one, other in question.ratios
    ]
    for one in metrics:
        if one["metric"] in question.decrease:
            one["direction"] = "decrease"
        if one["metric"] in question.guardrails:
            one |= {"role": "guardrail", "margin": question.guardrails[one["metric"]]}
    plan: dict[str, Any] = {
        "experiment_id": name.partition(".")[0] or name,
        "name_en": name,
        "weights": weights,
        "weights_assumed": question.weights is None,
        "control": question.control,
        "unit": question.unit or "row",
        "randomised_by": question.cluster,
        "metrics": metrics,
        "strata": (question.stratum,) if question.stratum else (),
        "segments": question.segments,
        "covariates": [{"covariate": column, "column": column} for column in question.covariates],
        "alpha": question.alpha,
    }
    return validate(ExperimentSettings, plan, "wayline experiment analyze")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Exposed:
    """The rows that count, whose column tells what was randomised, and how many of those were in several arms."""

    rows: Any
    drawn: str | None
    several: int


def _exposed(question: Question, units: UnitTable, engine: DuckDBEngine) -> _Exposed:
    """Leave out what was randomised into several arms, and refuse units that would count twice."""
    drawn = question.cluster or question.unit
    if drawn is None:
        return _Exposed(rows=units.table, drawn=None, several=0)
    column = units.of[drawn]
    rows, several = units.table, 0
    if unit_tables.doubled(engine, rows, column):
        (found,) = engine.arrow(unit_tables.in_several(rows, column)).to_pylist()
        several = int(found["several_arms"])
        if found["repeated"] and question.cluster is None:
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
    """The cells, the measure of each metric, and per arm the rows and how many of them have no value of each metric."""

    cells: Cells
    measures: Mapping[str, Measure]
    rows: Mapping[str, int]
    unknown: Mapping[str, Mapping[str, int]]


def _collected(plan: ExperimentSettings, units: UnitTable, exposed: _Exposed, engine: DuckDBEngine) -> _Collected:
    covariates = tuple(units.of[str(one.column)] for one in plan.covariates)
    measures = [
        Measure(
            name=metric.metric,
            kind=metric.kind,  # type: ignore[arg-type]  # the plan was made of these three kinds
            columns=tuple(units.of[column] for column in metric.columns),
            covariates=covariates,
        )
        for metric in plan.metrics
    ]
    groups = dict.fromkeys([*plan.segments, *plan.strata])
    keys = list(dict.fromkeys(units.of[column] for column in groups))
    if plan.randomised_by is None or exposed.drawn is None:
        cells = unit_tables.collect(engine, exposed.rows, measures, keys, whole=units.whole)
        rows = {arm: cells.count(arm=arm) for arm in plan.weights}
        unknown = {
            one.name: {arm: count - cells.moments(one, arm=arm).n for arm, count in rows.items()} for one in measures
        }
        return _Collected(cells=cells, measures={one.name: one for one in measures}, rows=rows, unknown=unknown)
    for column in groups:
        _refuse_mixed(
            plan.randomised_by, column, unit_tables.mixed(exposed.rows, exposed.drawn, units.of[column]), engine
        )
    counted = {row[ARM]: row for row in engine.arrow(unit_tables.unknown(exposed.rows, measures)).to_pylist()}
    arms = [arm for arm in plan.weights if arm in counted]
    rows = {arm: int(counted[arm]["rows"]) for arm in arms}
    unknown = {
        one.name: {arm: int(counted[arm][f"unknown_{place}"]) for arm in arms} for place, one in enumerate(measures)
    }
    clusters, made = unit_tables.clustered(exposed.rows, exposed.drawn, measures, keys)
    cells = unit_tables.collect(engine, clusters, made, keys)
    return _Collected(cells=cells, measures={one.name: one for one in made}, rows=rows, unknown=unknown)


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
    """Return the mean of each covariate in each arm, over the units that have a value of the first metric."""
    first = next(iter(collected.measures.values()))
    arms = {arm: collected.cells.moments(first, arm=arm) for arm in plan.weights}
    return {
        one.covariate: {arm: estimates.mean(moments.take(units.of[str(one.column)])) for arm, moments in arms.items()}
        for one in plan.covariates
    }


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
