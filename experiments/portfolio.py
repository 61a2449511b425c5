"""All experiments of a run: judged one by one, learnt from one another, crossed, and written as tables.

The whole result of each experiment is plain values, made once. Reports, pages and tables read those and nothing else,
so that they cannot disagree.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import pyarrow as pa

from engine.config.experiments import ExperimentSettings, MetricSettings
from engine.domain.errors import NotEnoughData
from engine.domain.experiment_marts import EXPERIMENT_MARTS
from engine.lake.schema import arrow_schema, to_contract
from experiments import analysis, bayes, crossed, groups, over_time, spec
from experiments.analysis import named_metrics
from experiments.assignment import PlannedEpoch
from experiments.bayes import Prior
from experiments.collection import Collected, Sources, collect
from experiments.effects import Effect
from experiments.result import ExperimentResult
from experiments.sentences import Sentence

Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One experiment: its plan, what was found, and all of it as plain values."""

    experiment: ExperimentSettings
    judged: ExperimentResult
    facts: Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentTables:
    """The marts of experiments by name, each sorted by its key."""

    marts: Mapping[str, pa.Table]

    @property
    def results(self) -> pa.Table:
        """One row per metric, twin and variant."""
        return self.marts["experiment_results"]

    @property
    def health(self) -> pa.Table:
        """One row per check."""
        return self.marts["experiment_health"]


def answers(
    sources: Sources,
    experiments: Sequence[ExperimentSettings],
    *,
    registered: Mapping[str, Mapping[str, Any]] | None = None,
    ramps: Mapping[str, Sequence[PlannedEpoch]] | None = None,
    withhold: bool = True,
) -> tuple[Answer, ...]:
    """Compare every variant of every experiment with its control.

    Parameters
    ----------
    sources : Ibis tables with the columns named in `experiments.units`; attributes have customer_id and the columns
        that experiments name as strata, segments, clusters or protected groups.
    registered : the plan of each experiment at its first look, where there was one: a plan that has changed is told.
    ramps : the times of equal weights of each experiment whose split was changed by plan.
    withhold : with True, an experiment that fails a check shows counts of customers and the reason, no numbers.
        With False the numbers are shown all the same; the failed check stays.

    The differences, intervals and p-values are those of one look at one comparison. The verdict holds at this look,
    however many there are, and among all comparisons of the experiment.
    """
    first = registered or {}
    gathered = [collect(sources, one, ramp=(ramps or {}).get(one.experiment_id, ())) for one in experiments]
    pairs = list(zip(experiments, gathered, strict=True))
    judged = [_judged(one, found, sources, first) for one, found in pairs]
    past = _past_effects(experiments, judged)
    told = []
    for (one, found), flat in zip(pairs, judged, strict=True):
        priors = _priors(one, past)
        is_same = not priors and (withhold or flat.withheld is None)
        told.append(flat if is_same else _judged(one, found, sources, first, priors=priors, withhold=withhold))
    crossing = crossed.cross(sources, experiments, dict(_not_crossed(pairs, judged)))
    return tuple(
        Answer(
            experiment=one,
            judged=result,
            facts=whole(sources, one, found, result, crossing) | _plan_changes(one, first.get(one.experiment_id)),
        )
        for (one, found), result in zip(pairs, told, strict=True)
    )


def run(
    sources: Sources,
    experiments: Sequence[ExperimentSettings],
    *,
    registered: Mapping[str, Mapping[str, Any]] | None = None,
    ramps: Mapping[str, Sequence[PlannedEpoch]] | None = None,
    withhold: bool = True,
) -> ExperimentTables:
    """Return the marts of all experiments; parameters as for `answers`."""
    found = answers(sources, experiments, registered=registered, ramps=ramps, withhold=withhold)
    rows: dict[str, list[dict[str, Any]]] = {mart.name: [] for mart in EXPERIMENT_MARTS}
    for one in found:
        for name, some in _rows(one, withhold=withhold).items():
            rows[name] += some
    return ExperimentTables(
        marts={
            mart.name: to_contract(mart, pa.Table.from_pylist(rows[mart.name], arrow_schema(mart)))
            for mart in EXPERIMENT_MARTS
        }
    )


def _judged(
    one: ExperimentSettings,
    found: Collected,
    sources: Sources,
    first: Mapping[str, Mapping[str, Any]],
    *,
    priors: Mapping[str, Prior] | None = None,
    withhold: bool = True,
) -> ExperimentResult:
    return analysis.judge(
        one,
        found,
        sources.as_of,
        registered=first.get(one.experiment_id),
        priors=priors,
        withhold=withhold,
    )


# What past experiments say of a metric


def _past_effects(
    experiments: Sequence[ExperimentSettings], judged: Sequence[ExperimentResult]
) -> dict[str, list[tuple[str, Effect]]]:
    """Return the effects of experiments that have come to their end, by the definition of their metric."""
    past: dict[str, list[tuple[str, Effect]]] = {}
    for experiment, result in zip(experiments, judged, strict=True):
        if not result.progress.complete or result.withheld is not None:
            continue
        defined = {metric.metric: _definition(metric) for metric in experiment.metrics}
        for one in result.metrics:
            if one.comparison.metric in defined:
                past.setdefault(defined[one.comparison.metric], []).append(
                    (experiment.experiment_id, one.comparison.plain)
                )
    return past


def _priors(experiment: ExperimentSettings, past: Mapping[str, Sequence[tuple[str, Effect]]]) -> dict[str, Prior]:
    """Return a prior for each metric that enough other experiments measured in the same way before."""
    made = {}
    for metric in experiment.metrics:
        others = [found for name, found in past.get(_definition(metric), ()) if name != experiment.experiment_id]
        try:
            made[metric.metric] = bayes.learn_prior_from(others, relative=False)
        except NotEnoughData:
            continue
    return made


def _definition(metric: MetricSettings) -> str:
    """Return what is measured, whatever its name, its role and what is thought of it."""
    about = {"metric", "role", "margin", "margin_is", "covariates", "planned_effect", "direction"}
    return metric.model_dump_json(exclude=about)


# What is crossed, and what is not


def _not_crossed(
    pairs: Sequence[tuple[ExperimentSettings, Collected]], judged: Sequence[ExperimentResult]
) -> Iterator[tuple[str, Sentence]]:
    for (one, found), result in zip(pairs, judged, strict=True):
        name = one.experiment_id
        if result.withheld is not None:
            yield name, Sentence(en=f'a health check of "{name}" failed', zh=f"“{name}”有健康检查未通过")
        elif one.randomised_by is not None:
            yield (
                name,
                Sentence(
                    en=f'"{name}" was drawn by {one.randomised_by}, not by customer',
                    zh=f"“{name}”按 {one.randomised_by} 而非按客户分组",
                ),
            )
        elif found.epochs:
            yield name, Sentence(en=f'the split of "{name}" changed on the way', zh=f"“{name}”的分流比例中途变更")


# The whole result as plain values


def whole(
    sources: Sources,
    one: ExperimentSettings,
    found: Collected,
    result: ExperimentResult,
    crossing: crossed.Crossed | None = None,
) -> dict[str, Any]:
    """Return all that is said of one experiment as plain values; of other experiments only what was crossed."""
    facts = result.to_json()
    kinds = {name: metric.kind for name, metric in named_metrics(one)}
    for entry in facts["metrics"]:
        entry["kind"] = kinds[entry["metric"]]
    if result.withheld is None:
        followed = over_time.follow(sources, one, found.spans if found.epochs else ())
        days = over_time.as_json(over_time.by_calendar(one, found), over_time.by_days_since(one, found, followed))
        parts = groups.by_segment(one, found)
        for entry in facts["metrics"]:
            key = entry["metric"], entry["variant"]
            entry |= {name: made[key] for name, made in (("segments", parts), ("over_time", days)) if key in made}
        facts["fairness"] = groups.by_protected_group(one, found)
        if crossing is not None:
            facts["interactions"] = crossed.as_json(crossing, one.experiment_id)
    return facts | {
        "name": one.name_en,
        "name_zh": one.name_zh,
        "plan": one.model_dump(mode="json", exclude_none=True),
        "as_of": sources.as_of.isoformat(),
    }


def _plan_changes(one: ExperimentSettings, first: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return each setting that was changed after the first look, with its value before and after."""
    return {"plan_changes": [] if first is None else [asdict(found) for found in spec.differences(one, first)]}


# Tables


def _rows(answer: Answer, *, withhold: bool) -> dict[str, list[dict[str, Any]]]:
    facts, judged = answer.facts, answer.judged
    name = answer.experiment.experiment_id
    made = {
        "experiment_results": analysis.rows(answer.experiment, judged, judged.withheld if withhold else None),
        "experiment_health": [asdict(check) for check in judged.health],
        "experiment_decisions": [_decision(facts)],
        "experiment_days": [row for entry in facts["metrics"] for row in _days(entry)],
        "experiment_segments": [row for entry in facts["metrics"] for row in _segments(entry)],
        "experiment_fairness": [row for one in facts.get("fairness", ()) for row in _fairness(one)],
        "experiment_overlaps": [
            {
                "other_experiment_id": one["with"],
                "customers": one["customers"],
                "independence_p_value": one["independence_p_value"],
                "reason": one.get("why"),
                "reason_zh": one.get("why_zh"),
            }
            for one in facts.get("interactions", {}).get("shared", ())
        ],
        "experiment_interactions": [_interaction(one) for one in facts.get("interactions", {}).get("crossings", ())],
    }
    return {mart: [{"experiment_id": name} | row for row in rows] for mart, rows in made.items()}


def _decision(facts: Facts) -> dict[str, Any]:
    taken = facts["decision"]
    return {
        "action": taken["action"],
        "variant": taken["variant"],
        "days": taken["days"],
        "headline": taken["headline"],
        "headline_zh": taken["headline_zh"],
        "reasons": "\n".join(taken["reasons"]),
        "reasons_zh": "\n".join(taken["reasons_zh"]),
        "spec_hash": facts["spec_hash"],
        "changed": ", ".join(facts["changed"]),
        "result": json.dumps(facts, ensure_ascii=False, allow_nan=False),
    }


def _compared(entry: Facts, variant: str, control: str) -> dict[str, Any]:
    n, value, absolute = entry["n"] or {}, entry["value"] or {}, entry.get("absolute") or {}
    lower, upper = absolute.get("interval") or (None, None)
    return {
        "variant_units": n.get(variant),
        "control_units": n.get(control),
        "variant_mean": value.get(variant),
        "control_mean": value.get(control),
        "difference": absolute.get("difference"),
        "lower": lower,
        "upper": upper,
        "p_value": absolute.get("p_value"),
    }


def _days(entry: Facts) -> Iterator[dict[str, Any]]:
    of = {"metric": entry["metric"], "variant": entry["variant"]}
    told = entry.get("over_time")
    if told is None:
        return
    points = told["calendar"]
    start = date.fromisoformat(points[0]["day"]) if points else None
    for point in points:
        day = date.fromisoformat(point["day"])
        since = (day - start).days if start else 0
        clock = {"clock": "calendar", "day": since, "date": day, "measure": "all_until_then"}
        yield of | clock | _compared(point, "variant", "control")
    series = told["since_exposure"]
    for point in series["days"] if series else ():
        clock = {"clock": "since_exposure", "day": point["day"], "date": None, "measure": series["measure"]}
        yield of | clock | _compared(point, "variant", "control")


def _segments(entry: Facts) -> Iterator[dict[str, Any]]:
    for broken in entry.get("segments", ()):
        for part in broken["values"]:
            yield {
                "metric": entry["metric"],
                "variant": entry["variant"],
                "segment": broken["segment"],
                "segment_value": part["of"],
                **_compared(part, entry["variant"], entry["control"]),
                "interaction_p_value": broken["interaction"]["p_value"],
                "interaction_adjusted_p_value": broken["interaction"]["adjusted_p_value"],
                "reason": part["absolute"].get("why"),
                "reason_zh": part["absolute"].get("why_zh"),
            }


def _fairness(one: Facts) -> Iterator[dict[str, Any]]:
    widest = one["widest"] or {}
    for group in one["groups"]:
        yield {
            "metric": one["metric"],
            "variant": one["variant"],
            "attribute": one["attribute"],
            "group": group["of"],
            "safety": group["safety"],
            **_compared(group, one["variant"], one["control"]),
            "bound": group.get("bound"),
            "harm_p_value": group.get("harm_p_value"),
            "is_worst": group["of"] == one["worst"],
            "interaction_p_value": one["interaction"]["p_value"],
            "widest_gap": widest.get("difference"),
            "widest_gap_p_value": widest.get("adjusted_p_value"),
            "reason": group.get("why"),
            "reason_zh": group.get("why_zh"),
        }


def _interaction(one: Facts) -> dict[str, Any]:
    contrast = one["contrast"]
    lower, upper = contrast["interval"] or (None, None)
    return {
        "metric": one["metric"],
        "variant": one["variant"],
        "other_experiment_id": one["with"],
        "other_variant": one["other_variant"],
        "alone": one["alone"]["difference"],
        "together": one["together"]["difference"],
        "difference": contrast["difference"],
        "lower": lower,
        "upper": upper,
        "p_value": contrast["p_value"],
        "adjusted_p_value": one["adjusted_p_value"],
        "reason": contrast.get("why"),
        "reason_zh": contrast.get("why_zh"),
    }
