"""Simulate experiments before they are made: how often there is a false alarm, and how often an effect is found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from engine.config.experiments import LookSettings
from engine.domain.errors import NotEnoughData, SettingsFault
from engine.workflows import unit_history
from engine.workflows.unit_history import History, HistoryFile
from experiments import clusters, plan, simulate
from experiments.plan import CannotBePlanned, Outcome
from experiments.simulate import Drawn, Population, Resampled, Scenario, Share

COMMAND: Final = "wayline experiment simulate"

_MOST_EXPERIMENTS: Final = 1_000_000
_MOST_UNITS: Final = 10_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is simulated: values of a distribution, or the units of a file; without and with an effect.

    kind, baseline, standard_deviation : of a distribution. covariate_r2 or cluster_size and icc shape it further.
    units : of each experiment, all arms together. effect : None tells false alarms only.
    real_weights : the split that really happens, to see whether the check of the split finds it.
    """

    kind: Literal["proportion", "mean"] | None = None
    baseline: float | None = None
    standard_deviation: float | None = None
    history: HistoryFile | None = None
    covariate_r2: float = 0.0
    cluster_size: int = 1
    icc: float = 0.0
    effect: float | None = None
    relative: bool = False
    units: int = 2_000
    experiments: int = 2_000
    weights: Mapping[str, float] | None = None
    real_weights: Mapping[str, float] | None = None
    days: int = 1
    maturity_days: int = 0
    exposed_rate: float = 1.0
    looks: LookSettings | Literal["any_time"] | None = None
    alpha: float = 0.05
    seed: int = 0
    home: Path = Path("workspace")


def make(question: Question) -> dict[str, Any]:
    """Return the false alarms, and with an effect the power, as the command writes them.

    Raises
    ------
    SettingsFault
        The question does not hang together; every fault is listed.
    UnreadableSource, UnknownName, NotEnoughData
        The file cannot be used.
    """
    faults = list(_faults(question))
    if faults:
        raise SettingsFault(COMMAND, faults)
    population, source = _population(question)
    outcome = population.outcome
    effect = None if question.effect is None else question.effect * (abs(outcome.value) if question.relative else 1.0)
    faults = list(_faults_of_values(question, outcome, effect))
    if faults:
        raise SettingsFault(COMMAND, faults)
    size = _mean_size(population)
    plain = Scenario(
        population=population,
        rows=max(round(question.units / size), 1),
        weights=question.weights or {"A": 1.0, "B": 1.0},
        days=question.days,
        maturity_days=question.maturity_days,
        exposed_rate=question.exposed_rate,
        looks=question.looks,
        alpha=question.alpha,
        real_weights=question.real_weights,
    )
    none = simulate.run(plain, question.experiments, question.seed)
    answer = {
        "kind": population.kind,
        "baseline": outcome.value,
        "standard_deviation": outcome.variance**0.5,
        "source": source,
        "experiments": question.experiments,
        "units": round(plain.rows * size),
        "clusters": plain.rows if population.clustered else None,
        "alpha": question.alpha,
        "seed": question.seed,
        "level": simulate.LEVEL,
        "withheld": asdict(none.withheld),
        "false_positives": asdict(none.called) | {"expected": question.alpha, **_verdict(none.called, question.alpha)},
        "coverage": asdict(none.covered),
        "undefined": none.undefined,
        "injected": None,
    }
    if effect is None:
        return answer
    scenario = Scenario(
        **{name: getattr(plain, name) for name in plain.__dataclass_fields__ if name != "effect"}, effect=effect
    )
    found = simulate.run(scenario, question.experiments, question.seed + 1)
    answer["injected"] = {
        "effect": effect,
        "relative_effect": effect / abs(outcome.value) if outcome.value else None,
        "power": asdict(found.right),
        "wrong_direction": asdict(found.wrong),
        "coverage": asdict(found.covered),
        "withheld": asdict(found.withheld),
        "mean_day": found.mean_day,
    }
    return answer


def _verdict(called: Share, alpha: float) -> dict[str, Any]:
    """Say whether the rate of false alarms is the promised one."""
    if called.lower is None or called.upper is None or called.rate is None:
        return {"verdict": "withheld", "sentence": "The check of the split withholds every experiment."}
    if called.lower > alpha:
        verdict, said = "above", "more often than was promised"
    elif called.upper < alpha:
        verdict, said = "below", "less often than was allowed: the test is careful"
    else:
        verdict, said = "as_promised", "as often as was promised"
    return {
        "verdict": verdict,
        "sentence": f"A difference was called where there is none in {called.rate:.2%} of {called.of} experiments "
        f"({called.lower:.2%} to {called.upper:.2%}), {said} ({alpha:.2%}).",
    }


def _population(question: Question) -> tuple[Population, str]:
    if question.history is not None:
        history = unit_history.read(question.history)
        return _resampled(question.history, history), f"{len(history.values)} units of {question.history.path.name}"
    baseline = question.baseline or 0.0
    if question.kind == "proportion":
        outcome = Outcome.proportion(baseline)
    else:
        outcome = Outcome.mean(baseline, question.standard_deviation or 0.0)
    shared = question.icc if question.cluster_size > 1 else question.covariate_r2
    return Drawn(outcome=outcome, shared=shared, cluster_size=question.cluster_size), "drawn"


def _resampled(source: HistoryFile, history: History) -> Resampled:
    try:
        outcome, _ = plan.from_history(history.moments(), source.kind)
    except CannotBePlanned as cannot:
        raise NotEnoughData("simulation", str(cannot), "units with values that differ") from None
    if history.cluster is None:
        return Resampled(kind=source.kind, outcome=outcome, columns=history.names, rows=history.values)
    rows = np.column_stack(
        [np.bincount(history.cluster, history.values[:, 0]), np.bincount(history.cluster).astype(np.float64)]
    )
    return Resampled(kind=source.kind, outcome=outcome, columns=(clusters.TOTAL, clusters.SIZE), rows=rows)


def _mean_size(population: Population) -> float:
    if isinstance(population, Resampled) and population.clustered:
        return float(population.rows[:, 1].mean())
    return float(population.cluster_size) if isinstance(population, Drawn) else 1.0


def _faults(question: Question) -> Iterator[str]:
    """Yield what is wrong with the question itself."""
    if (question.baseline is None) == (question.history is None):
        yield "give --baseline with --metric proportion or mean, or a FILE of past units; one of them"
    elif question.history is not None:
        if question.covariate_r2 or question.cluster_size > 1 or question.icc:
            yield "--covariate-r2, --cluster-size and --icc are read from the FILE: name its --covariate or --cluster"
        if question.history.cluster is not None and (question.history.covariates or question.history.kind == "ratio"):
            yield "--cluster goes with a plain mean or proportion: leave --covariate and --ratio out"
    else:
        yield from _drawn_faults(question)
    yield from _range_faults(question)
    for option, weights in (("--weights", question.weights), ("--real-weights", question.real_weights)):
        if weights is not None and (len(weights) < 2 or not all(0 < one < float("inf") for one in weights.values())):
            yield f"{option}: expected at least two arms, each with a part above 0, such as A=0.5,B=0.5"
    if question.real_weights is not None and list(question.real_weights) != list(question.weights or {"A": 1, "B": 1}):
        yield "--real-weights: name the arms of --weights, in the same order"


def _drawn_faults(question: Question) -> Iterator[str]:
    baseline, deviation = question.baseline, question.standard_deviation
    if question.kind is None:
        yield "--baseline needs --metric proportion or --metric mean"
    if question.kind == "proportion" and baseline is not None and not 0 < baseline < 1:
        yield f"--baseline {baseline:g}: a proportion lies between 0 and 1. For 20 % write 0.2."
    if question.kind == "mean" and (deviation is None or not 0 < deviation < float("inf")):
        yield "--metric mean needs --sd, the standard deviation of one unit's values, above 0"
    if question.kind == "proportion" and deviation is not None:
        yield "--sd: the spread of a proportion follows from its baseline; leave it out"
    if not 0 <= question.covariate_r2 < 1:
        yield f"--covariate-r2 {question.covariate_r2:g}: expected a share from 0 to below 1"
    if not 0 <= question.icc < 1:
        yield f"--icc {question.icc:g}: expected a share from 0 to below 1"
    if question.cluster_size > 1 and question.covariate_r2:
        yield "--covariate-r2 and --cluster-size: simulate one of them at a time"
    if question.icc and question.cluster_size < 2:
        yield "--icc needs --cluster-size of 2 or more"


def _range_faults(question: Question) -> Iterator[str]:
    for option, number, most in (
        ("--experiments", question.experiments, _MOST_EXPERIMENTS),
        ("--units", question.units, _MOST_UNITS),
        ("--days", question.days, 3_650),
        ("--cluster-size", question.cluster_size, question.units),
    ):
        if not 1 <= number <= most:
            yield f"{option} {number}: expected a whole number from 1 to {most}"
    if not 0 < question.alpha < 0.5:
        yield f"--alpha {question.alpha:g}: expected a share between 0 and 0.5"
    if not 0 < question.exposed_rate <= 1:
        yield f"--exposed {question.exposed_rate:g}: expected a share above 0, at most 1"
    if question.looks is not None and question.days < 2:
        yield "--looks needs --days, over which the units come"


def _faults_of_values(question: Question, outcome: Outcome, effect: float | None) -> Iterator[str]:
    if outcome.variance <= 0:
        yield "every value is the same: there is no spread to simulate"
    if question.relative and not outcome.value:
        yield "--relative: the baseline is 0, so there is nothing to take a share of; give the effect itself"
    if outcome.kind == "proportion" and effect is not None and not 0 <= outcome.value + effect <= 1:
        yield (
            f"--effect {question.effect:g}: {outcome.value:.4g} would become {outcome.value + effect:.4g}; a "
            "proportion stays between 0 and 1"
        )
