"""Plan an experiment: from what is known of a metric to units, detectable effect, power and days."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from engine.config.experiments import LookSettings
from engine.domain.errors import NotEnoughData, SettingsFault, UnknownName
from engine.lake.runs import open_run
from engine.workflows import session, unit_history
from engine.workflows.unit_history import HistoryFile
from experiments import plan
from experiments.effects import Direction, critical_value
from experiments.plan import CannotBePlanned, Design, Outcome

COMMAND: Final = "wayline experiment plan"

_LEAST_DAYS: Final = 7
_LARGEST: Final = 1e15  # squares of larger numbers lose what is compared


def _silent(_: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is known and what is asked; two of effect, units (or days) and power decide the third.

    kind : "proportion" or "mean" with `baseline` (and `standard_deviation`), or nothing with `history` or `like`.
    history : a file of units of the past; what was not given is estimated from it.
    like : id of an experiment of the current run, whose metric `like_metric` is planned again.
    relative : effect and margin are shares of control's value.
    units, days : how many units there will be, or how long it may take at `units_per_day`.
    """

    kind: Literal["proportion", "mean"] | None = None
    baseline: float | None = None
    standard_deviation: float | None = None
    history: HistoryFile | None = None
    like: str | None = None
    like_metric: str | None = None
    effect: float | None = None
    relative: bool = False
    power: float = plan.POWER
    alpha: float = 0.05
    weights: Mapping[str, float] | None = None
    direction: Direction = "increase"
    margin: float | None = None
    covariate_r2: float | None = None
    cluster_size: float | None = None
    cluster_spread: float = 0.0
    icc: float | None = None
    looks: LookSettings | Literal["any_time"] | None = None
    metrics: int = 1
    correction: Literal["none", "holm", "dunnett"] = "holm"
    spread: Literal["each", "control"] = "each"
    units: int | None = None
    days: int | None = None
    units_per_day: float | None = None
    maturity_days: int = 0
    home: Path = Path("workspace")
    say: Callable[[str], None] = _silent


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What is known before the start, given or estimated."""

    outcome: Outcome
    variance_removed: float
    cluster_size: float
    cluster_spread: float
    icc: float
    units_per_day: float | None
    source: str


def make(question: Question) -> dict[str, Any]:
    """Return the plan as the command writes it; where it cannot be met, `can_be_met` is false and `why` says so.

    Raises
    ------
    SettingsFault
        The question does not hang together; every fault is listed.
    UnreadableSource, UnknownName, NotEnoughData, RunMissing, MartMissing
        The history cannot be used.
    """
    faults = list(_faults(question))
    if faults:
        raise SettingsFault(COMMAND, faults)
    known = _known(question)
    faults = list(_faults_of_values(question, known))
    if faults:
        raise SettingsFault(COMMAND, faults)
    design = _design(question, known)
    effect = None if question.effect is None else question.effect * _unit(question, known.outcome)
    if effect is None and question.margin is not None and question.units is None and question.days is None:
        effect = 0.0
    answer = _facts(question, design, known)
    try:
        return answer | _solved(question, design, known, effect)
    except CannotBePlanned as cannot:
        nothing = dict.fromkeys(("units", "units_by_arm", "clusters_by_arm", "effect", "relative_effect", "days"))
        return answer | nothing | {"can_be_met": False, "why": f"It cannot be planned: {cannot}.", "notes": []}


def _solved(question: Question, design: Design, known: _Known, effect: float | None) -> dict[str, Any]:
    traffic = known.units_per_day
    available = float(question.units) if question.units is not None else _in_time(question, traffic)
    if effect is None:
        if not available:
            raise CannotBePlanned(f"{question.days} days leave no unit the {question.maturity_days} it needs to mature")
        sign = 1.0 if question.direction == "increase" else -1.0
        solved, needed = "effect", available
        effect = plan.detectable(design, available, question.power, sign=sign)
    elif question.units is not None:
        solved, needed = "power", float(question.units)
    else:
        solved, needed = "units", plan.units(design, effect, question.power)
    made = plan.make(
        design,
        effect,
        needed,
        units_per_day=traffic,
        maturity_days=question.maturity_days,
        given=solved != "units",
    )
    why = None
    if solved == "units" and made.days is not None and question.days is not None and made.days > question.days:
        why = _too_long(question, design, made, effect, available or 0.0)
    return {
        "solved_for": solved,
        **asdict(made),
        "can_be_met": why is None,
        "why": why,
        "notes": list(_notes(question, design, known, made, solved)),
    }


def _in_time(question: Question, traffic: float | None) -> float | None:
    if question.days is None or traffic is None:
        return None
    return max(question.days - question.maturity_days, 0) * traffic


def _too_long(question: Question, design: Design, made: plan.Plan, effect: float, available: float) -> str:
    said = f"It takes {made.days} days and may take {question.days}."
    if available <= 0:
        return f"{said} Units need {question.maturity_days} days to mature, so that none could be judged in time."
    try:
        power = plan.power(design, effect, available)
        sign = -1.0 if effect < 0 else 1.0
        instead = plan.detectable(design, available, question.power, sign=sign)
    except CannotBePlanned as cannot:
        return f"{said} In that time {available:.0f} units come, and {cannot}."
    return (
        f"{said} In that time {available:.0f} units come: they call this effect with a power of {power:.0%}, "
        f"and one of {instead:.4g} with {question.power:.0%}."
    )


def _notes(question: Question, design: Design, known: _Known, made: plan.Plan, solved: str) -> Iterator[str]:
    if solved == "units" and design.spread == "each" and known.outcome.kind == "proportion" and design.margin is None:
        textbook = plan.units(replace(design, spread="control"), made.effect, question.power)
        yield (
            f"Calculators that give both arms control's spread say {textbook:.0f} units; "
            f"with so many this test has a power of {plan.power(design, made.effect, textbook):.1%}."
        )
    if made.enrolment_days is not None and made.enrolment_days < _LEAST_DAYS:
        yield "Enrol for at least a whole week all the same, so that every weekday is in it."
    if made.looks is not None:
        yield (
            f"The looks cost {made.looks.inflation - 1:.1%} more units at most; under this effect the experiment stops "
            f"after {made.expected_units} units on average."
        )
    if design.level < design.alpha:
        yield f"Every comparison is made at {design.level:.4f}, so that all of them together keep {design.alpha:g}."


def _known(question: Question) -> _Known:
    found = _Known(
        outcome=Outcome(kind="mean", value=0.0, variance=0.0),
        variance_removed=0.0,
        cluster_size=1.0,
        cluster_spread=0.0,
        icc=0.0,
        units_per_day=None,
        source="given",
    )
    if question.history is not None:
        found = _of_file(question.history, question.say)
    elif question.like is not None:
        found = replace(found, **_of_run(question, question.like))
    elif question.kind == "proportion" and question.baseline is not None:
        found = replace(found, outcome=Outcome.proportion(question.baseline))
    elif question.baseline is not None and question.standard_deviation is not None:
        found = replace(found, outcome=Outcome.mean(question.baseline, question.standard_deviation))
    return replace(
        found,
        variance_removed=found.variance_removed if question.covariate_r2 is None else question.covariate_r2,
        cluster_size=found.cluster_size if question.cluster_size is None else question.cluster_size,
        cluster_spread=found.cluster_spread if question.cluster_size is None else question.cluster_spread,
        icc=found.icc if question.icc is None else question.icc,
        units_per_day=found.units_per_day if question.units_per_day is None else question.units_per_day,
    )


def _of_file(source: HistoryFile, say: Callable[[str], None]) -> _Known:
    history = unit_history.read(source)
    if history.unknown:
        say(f"{history.unknown} rows of {source.path.name} have no value and are left out.")
    try:
        outcome, removed = plan.from_history(history.moments(), source.kind, history.covariates)
    except CannotBePlanned as cannot:
        raise NotEnoughData("plan", str(cannot), "units with values that differ") from None
    groups = history.cluster_design()
    if source.cluster is not None and groups is None:
        raise NotEnoughData(
            "design effect", f"{source.path.name} has too few clusters, or every value is the same", "two clusters"
        )
    spread = 0.0 if groups is None else max(groups.weighted_size / groups.mean_size - 1, 0.0) ** 0.5
    return _Known(
        outcome=outcome,
        variance_removed=removed,
        cluster_size=1.0 if groups is None else groups.mean_size,
        cluster_spread=spread,
        icc=0.0 if groups is None else max(groups.intra_cluster_correlation or 0.0, 0.0),
        units_per_day=history.units_per_day,
        source=f"{len(history.values)} units of {source.path.name}",
    )


def _of_run(question: Question, experiment_id: str) -> dict[str, Any]:
    """Return the outcome of a metric of an earlier experiment: control's value, and the spread behind its interval."""
    run = open_run(session.workspace_at(question.home))
    rows = run.read("experiment_results").to_pylist()
    experiments = list(dict.fromkeys(row["experiment_id"] for row in rows))
    if experiment_id not in experiments:
        raise UnknownName("experiment", experiment_id, experiments)
    of_it = [row for row in rows if row["experiment_id"] == experiment_id]
    metrics = list(dict.fromkeys(row["metric"] for row in of_it))
    metric = question.like_metric or metrics[0]
    if metric not in metrics:
        raise UnknownName("metric", metric, metrics)
    row = next(one for one in of_it if one["metric"] == metric)
    if row["control_mean"] is None or row["lower"] is None or row["upper"] is None:
        need = "an experiment whose checks let its results be shown"
        raise NotEnoughData("plan", f'the results of "{metric}" are withheld', need)
    source = f'control of "{experiment_id}" in run {run.run_id}'
    if row["metric_kind"] == "proportion":
        return {"outcome": Outcome.proportion(row["control_mean"]), "source": source}
    units = row["variant_units"], row["control_units"]
    error = (row["upper"] - row["lower"]) / 2 / critical_value(0.05, float(sum(units) - 2))
    variance = error**2 / sum(1 / count for count in units)
    return {"outcome": Outcome(kind="mean", value=row["control_mean"], variance=variance), "source": source}


def _design(question: Question, known: _Known) -> Design:
    return Design(
        outcome=known.outcome,
        weights=question.weights or {"A": 1.0, "B": 1.0},
        alpha=question.alpha,
        direction=question.direction,
        margin=question.margin,
        margin_is="relative" if question.relative else "absolute",
        variance_removed=known.variance_removed,
        cluster_size=known.cluster_size,
        cluster_spread=known.cluster_spread,
        intra_cluster_correlation=known.icc,
        looks=question.looks,
        metrics=question.metrics,
        correction=question.correction,
        spread=question.spread,
    )


def _unit(question: Question, outcome: Outcome) -> float:
    return abs(outcome.value) if question.relative else 1.0


def _facts(question: Question, design: Design, known: _Known) -> dict[str, Any]:
    return {
        "kind": known.outcome.kind,
        "baseline": known.outcome.value,
        "standard_deviation": known.outcome.variance**0.5,
        "source": known.source,
        "weights": design.shares,
        "control": design.control,
        "margin": question.margin,
        "relative": question.relative,
        "direction": question.direction,
        "planned_power": question.power,
        "experiment_alpha": question.alpha,
        "units_per_day": known.units_per_day,
        "cluster_size": known.cluster_size,
        "intra_cluster_correlation": known.icc,
    }


def _faults(question: Question) -> Iterator[str]:
    """Yield what is wrong with the question itself."""
    sources = sum(one is not None for one in (question.baseline, question.history, question.like))
    if sources != 1:
        yield "give --baseline with --metric proportion or mean, or a FILE of past units, or --like an experiment; one"
    elif question.baseline is not None:
        yield from _baseline_faults(question)
    if question.effect is None and question.units is None and question.days is None and question.margin is None:
        yield "give --effect, the smallest effect that matters, or --units (or --days) to learn what can be found"
    if question.effect == 0 and question.margin is None:
        yield "--effect 0: an effect of 0 is never found; give the smallest one that matters"
    for option, size in (
        ("--effect", question.effect),
        ("--baseline", question.baseline),
        ("--sd", question.standard_deviation),
        ("--margin", question.margin),
    ):
        if size is not None and not abs(size) < _LARGEST:
            yield f"{option} {size:g}: expected a number below {_LARGEST:g}"
    yield from _share_faults(question)
    positive = {
        "--margin": question.margin,
        "--units": question.units,
        "--days": question.days,
        "--traffic-per-day": question.units_per_day,
        "--metrics": question.metrics,
    }
    for option, number in positive.items():
        if number is not None and not 0 < number < float("inf"):
            yield f"{option} {number:g}: expected a number above 0"
    if question.units is not None and question.days is not None:
        yield "--units and --days both say how many units there are; give one"
    yield from _weight_faults(question.weights)


def _share_faults(question: Question) -> Iterator[str]:
    for option, value, high in (("--power", question.power, 1.0), ("--alpha", question.alpha, 0.5)):
        if not 0 < value < high:
            yield f"{option} {value:g}: expected a share between 0 and {high:g}"
    if question.power <= question.alpha < 0.5:
        yield f"--power {question.power:g} is no more than --alpha: chance alone does as well"
    if question.covariate_r2 is not None and not 0 <= question.covariate_r2 < 1:
        yield f"--covariate-r2 {question.covariate_r2:g}: expected a share from 0 to below 1"
    if question.icc is not None and not 0 <= question.icc <= 1:
        yield f"--icc {question.icc:g}: expected a share from 0 to 1"
    if question.cluster_size is not None and not 1 <= question.cluster_size < 1e9:
        yield f"--cluster-size {question.cluster_size:g}: expected 1 or more units"
    if (question.cluster_size is None) != (question.icc is None):
        yield "--cluster-size and --icc go together: a design effect needs both"
    if question.cluster_spread < 0:
        yield f"--cluster-spread {question.cluster_spread:g}: expected 0 or more"


def _baseline_faults(question: Question) -> Iterator[str]:
    baseline = question.baseline
    if question.kind is None:
        yield "--baseline needs --metric proportion or --metric mean"
    if question.kind == "proportion" and baseline is not None and not 0 < baseline < 1:
        yield f"--baseline {baseline:g}: a proportion lies between 0 and 1. For 20 % write 0.2."
    if question.kind == "mean" and question.standard_deviation is None:
        yield "--metric mean needs --sd, the standard deviation of one unit's values"
    if question.standard_deviation is not None and not question.standard_deviation > 1 / _LARGEST:
        yield f"--sd {question.standard_deviation:g}: expected a number above 0"
    if question.kind == "proportion" and question.standard_deviation is not None:
        yield "--sd: the spread of a proportion follows from its baseline; leave it out"


def _weight_faults(weights: Mapping[str, float] | None) -> Iterator[str]:
    if weights is None:
        return
    if len(weights) < 2:
        yield "--weights: an experiment compares at least two arms, such as A=0.5,B=0.5"
    for arm, weight in weights.items():
        if not 0 < weight < float("inf"):
            yield f"--weights {arm}={weight:g}: expected a number above 0"


def _faults_of_values(question: Question, known: _Known) -> Iterator[str]:
    """Yield what does not fit the values that are known by now."""
    outcome = known.outcome
    if outcome.variance <= 0:
        yield f"every value of {known.source} is the same: there is no spread to plan by"
    if question.relative and not outcome.value:
        yield "--relative: the baseline is 0, so there is nothing to take a share of; give the effect itself"
    if question.days is not None and known.units_per_day is None:
        yield "--days needs --traffic-per-day, the units that come in a day"
    change = None if question.effect is None else outcome.value + question.effect * _unit(question, outcome)
    if outcome.kind == "proportion" and change is not None and not 0 <= change <= 1:
        yield (
            f"--effect {question.effect:g}: {outcome.value:.4g} would become {change:.4g}; a proportion stays between "
            "0 and 1. For 5 points write 0.05, for 5 % of the baseline 0.05 with --relative."
        )
