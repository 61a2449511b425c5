"""Cross the experiments of a run that share customers: do they disturb each other, were they drawn independently?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import combinations
from math import nan
from typing import Any, Final

import ibis

from engine.config.experiments import ExperimentSettings
from engine.numerics import multiplicity
from experiments import estimates, interactions, metrics, moments, units
from experiments.collection import Sources, active_units
from experiments.estimates import ArmEstimate
from experiments.interactions import SMALLEST, Crossing
from experiments.metrics import Reading
from experiments.moments import Moments, Sums
from experiments.result import effect_json, number
from experiments.sentences import Sentence

MOST_PAIRS: Final = 60
"""Pairs of experiments that are crossed, those that share most customers first."""

_AT_ONCE: Final = 4  # other experiments in one reading: their arms multiply the cells

Arms = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two experiments that share customers: how many by both arms, and whether the arms were drawn independently.

    adjusted_p_value : corrected for the pairs of the run (Holm); None where there is nothing to compare.
    """

    first: str
    second: str
    counts: Mapping[Arms, int]
    adjusted_p_value: float | None = None

    @property
    def customers(self) -> int:
        """The customers whom both experiments count."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossed:
    """All pairs of a run, the crossings of each experiment with others, and which were not crossed, with the reason."""

    pairs: tuple[Pair, ...] = ()
    crossings: Mapping[tuple[str, str], tuple[Crossing, ...]] = field(default_factory=dict)
    left_out: Mapping[tuple[str, str], Sentence] = field(default_factory=dict)


def cross(sources: Sources, experiments: Sequence[ExperimentSettings], excluded: Mapping[str, Sentence]) -> Crossed:
    """Cross every experiment with every other that shares customers with it, on its goals and guardrails.

    Parameters
    ----------
    excluded : experiments that are not crossed, such as one whose results are withheld, each with the reason.
    """
    known = {one.experiment_id: one for one in experiments}
    pairs = _pairs(sources, experiments) if len(experiments) > 1 else ()
    chosen: dict[str, list[ExperimentSettings]] = {}
    left_out: dict[tuple[str, str], Sentence] = {}
    for place, pair in enumerate(pairs):
        for one, other in ((pair.first, pair.second), (pair.second, pair.first)):
            why = excluded.get(one) or excluded.get(other) or _too_little(pair, known)
            if why is None and place >= MOST_PAIRS:
                why = Sentence(
                    en=f"only the {MOST_PAIRS} pairs that share most customers are crossed",
                    zh=f"只交叉分析共同客户最多的 {MOST_PAIRS} 对实验",
                )
            if why is not None:
                left_out[one, other] = why
            else:
                chosen.setdefault(one, []).append(known[other])
    found: list[tuple[tuple[str, str], Crossing]] = []
    for name, others in chosen.items():
        for start in range(0, len(others), _AT_ONCE):
            found += _crossings(sources, known[name], others[start : start + _AT_ONCE])
    told = interactions.corrected([crossing for _, crossing in found])
    made: dict[tuple[str, str], tuple[Crossing, ...]] = {}
    for (key, _), crossing in zip(found, told, strict=True):
        made[key] = (*made.get(key, ()), crossing)
    return Crossed(pairs=pairs, crossings=made, left_out=left_out)


def _too_little(pair: Pair, known: Mapping[str, ExperimentSettings]) -> Sentence | None:
    """Return why a pair says nothing: no variant of either has enough customers in all four cells."""
    first, second = known[pair.first], known[pair.second]
    for one in first.variants:
        for other in second.variants:
            cells = [(a, b) for a in (first.control, one) for b in (second.control, other)]
            if min(pair.counts.get(cell, 0) for cell in cells) >= SMALLEST:
                return None
    return Sentence(
        en=f"fewer than {SMALLEST} customers in a cell of the two experiments",
        zh=f"两项实验的某个交叉格不足 {SMALLEST} 位客户",
    )


def _pairs(sources: Sources, experiments: Sequence[ExperimentSettings]) -> tuple[Pair, ...]:
    """Return every pair that shares customers, those that share most first."""
    seen = []
    for place, one in enumerate(experiments):
        single = units.single(units.exposed(sources.exposures, one, sources.as_of), one)
        seen.append(single.select("customer_id", "variant", place=ibis.literal(place, "int64")))
    everybody = reduce(lambda one, other: one.union(other), seen)
    other = everybody.view()
    both = everybody.join(other, everybody.customer_id == other.customer_id)
    both = both.select(one=everybody.place, other=other.place, arm=everybody.variant, arm_of_other=other.variant)
    both = both.filter(both.one < both.other)
    counted = both.group_by("one", "other", "arm", "arm_of_other").aggregate(customers=both.count())
    counts: dict[tuple[int, int], dict[Arms, int]] = {}
    for row in sources.engine.arrow(counted).to_pylist():
        cell = counts.setdefault((int(row["one"]), int(row["other"])), {})
        cell[row["arm"], row["arm_of_other"]] = int(row["customers"])
    names = [one.experiment_id for one in experiments]
    places = [key for key in combinations(range(len(experiments)), 2) if key in counts]
    p_values = [interactions.independence(counts[key]) for key in places]
    adjusted = multiplicity.holm([nan if one is None else one for one in p_values])
    made = [
        Pair(
            first=names[key[0]],
            second=names[key[1]],
            counts=counts[key],
            adjusted_p_value=number(float(p_value)),
        )
        for key, p_value in zip(places, adjusted, strict=True)
    ]
    return tuple(sorted(made, key=lambda pair: (-pair.customers, pair.first, pair.second)))


def _crossings(
    sources: Sources, experiment: ExperimentSettings, others: Sequence[ExperimentSettings]
) -> list[tuple[tuple[str, str], Crossing]]:
    active = active_units(sources, experiment)
    for place, other in enumerate(others):
        arms = units.single(units.exposed(sources.exposures, other, sources.as_of), other)
        arms = arms.select(other_id=arms.customer_id, **{f"other_{place}": arms.variant})
        joined = active.left_join(arms, active.customer_id == arms.other_id)
        active = joined.select(*active.columns, f"other_{place}")
    rows = metrics.values(active, sources.events, experiment, sources.as_of)
    judged = {metric.metric for metric in experiment.metrics if metric.role != "secondary"}
    readings = metrics.readings(experiment)
    keys = [f"other_{place}" for place in range(len(others))]
    sums = Sums(readings, sources.engine.arrow(moments.sums(rows, readings, ["variant", *keys])).to_pylist())
    found = []
    for place, other in enumerate(others):
        for reading in readings:
            if reading.name in judged:
                cells = _cells(sums, experiment, reading, f"other_{place}", other)
                made = interactions.crossings(
                    reading.name,
                    cells,
                    (experiment.control, other.control),
                    estimate=_estimate(reading),
                    alpha=experiment.alpha,
                )
                found += [((experiment.experiment_id, other.experiment_id), one) for one in made]
    return found


def _cells(
    sums: Sums, experiment: ExperimentSettings, reading: Reading, key: str, other: ExperimentSettings
) -> dict[Arms, Moments]:
    return {
        (arm, arm_of_other): sums.sample(reading.name, variant=arm, **{key: arm_of_other}).moments
        for arm in experiment.weights
        for arm_of_other in other.weights
    }


def _estimate(reading: Reading) -> Callable[[Moments], ArmEstimate | None]:
    if reading.metric.kind == "ratio":
        return estimates.ratio
    return estimates.proportion if reading.metric.kind in ("proportion", "retention") else estimates.mean


def as_json(crossed: Crossed, experiment_id: str) -> dict[str, Any]:
    """Return what concerns one experiment as plain values: whom it shares customers with, and whether that matters."""
    mine = [pair for pair in crossed.pairs if experiment_id in (pair.first, pair.second)]
    others = {pair.second if pair.first == experiment_id else pair.first: pair for pair in mine}
    return {
        "shared": [
            {
                "with": other,
                "customers": pair.customers,
                "independence_p_value": pair.adjusted_p_value,
                **({"why": why.en, "why_zh": why.zh} if (why := crossed.left_out.get((experiment_id, other))) else {}),
            }
            for other, pair in others.items()
        ],
        "crossings": [
            _crossing_json(other, one) for other in others for one in crossed.crossings.get((experiment_id, other), ())
        ],
    }


def _crossing_json(other: str, one: Crossing) -> dict[str, Any]:
    return {
        "with": other,
        "metric": one.metric,
        "variant": one.first,
        "other_variant": one.second,
        "contrast": effect_json(one.contrast)["absolute"],
        "alone": effect_json(one.first_alone)["absolute"],
        "together": effect_json(one.first_together)["absolute"],
        "adjusted_p_value": number(one.adjusted_p_value),
    }
