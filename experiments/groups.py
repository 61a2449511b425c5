"""What a variant does within segments and protected groups of a run, as the plain values that reports and marts read.

Segments show where an effect differs, and one corrected test says whether it differs at all. Protected groups show
whether anybody is harmed, and nothing of a group too small to be shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from engine.config.experiments import ExperimentSettings, MetricSettings
from experiments import analysis, fairness, reasons_zh, segments
from experiments.analysis import Compared
from experiments.collection import Collected
from experiments.fairness import Fairness, Gap, GroupHarm
from experiments.result import effect_json, number
from experiments.segments import Breakdown, Interaction
from experiments.writing import NO_SEGMENT

_JUDGED: Final = ("goal", "guardrail")

Parts = Mapping[str, Compared]
"""A metric of a variant within each value of a dimension."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One metric of one variant, looked at within the values of one attribute."""

    metric: MetricSettings
    variant: str
    attribute: str


def by_segment(experiment: ExperimentSettings, collected: Collected) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Return the breakdowns of each metric and variant, as `experiment analyze` writes them under "segments".

    The interaction tests of all metrics, variants and dimensions of the experiment are corrected together.
    """
    parts = {group: _within(experiment, group, collected) for group in _asked(experiment, experiment.segments)}
    keys = list(parts)
    found = segments.breakdowns(
        {str(place): {name: one.plain for name, one in parts[key].items()} for place, key in enumerate(keys)}
    )
    made: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for key, one in zip(keys, found, strict=True):
        made.setdefault((key.metric.metric, key.variant), []).append(_broken_down(key.attribute, one, parts[key]))
    return made


def by_protected_group(experiment: ExperimentSettings, collected: Collected) -> list[dict[str, Any]]:
    """Return how each protected group fares on every goal and guardrail: effects, harm, and the widest gap."""
    rules = experiment.fairness
    metrics = [metric for metric in experiment.metrics if metric.role in _JUDGED]
    made = []
    for group in _asked(experiment, rules.attributes, metrics):
        parts = _within(experiment, group, collected)
        metric = group.metric
        found = fairness.assess(
            group.attribute,
            {name: one.plain for name, one in parts.items()},
            {name: (one.units[group.variant], one.units[experiment.control]) for name, one in parts.items()},
            metric.direction,
            margin=rules.margin if metric.margin is None else metric.margin,
            relative=metric.margin is None or metric.margin_is == "relative",
            smallest=rules.smallest,
            alpha=experiment.alpha,
        )
        made.append(assessed(found, group, experiment.control, parts))
    return made


def _asked(
    experiment: ExperimentSettings, attributes: Sequence[str], metrics: Sequence[MetricSettings] | None = None
) -> Iterator[Group]:
    for metric in experiment.metrics if metrics is None else metrics:
        for variant in experiment.variants:
            for attribute in attributes:
                yield Group(metric=metric, variant=variant, attribute=attribute)


def _within(experiment: ExperimentSettings, group: Group, collected: Collected) -> dict[str, Compared]:
    """Return the comparison within each value of the attribute, sorted by name."""
    values = {
        NO_SEGMENT if row[group.attribute] is None else str(row[group.attribute]): row[group.attribute]
        for row in collected.sums.rows
    }
    return {
        name: analysis.compared(
            experiment,
            group.metric.metric,
            group.metric,
            group.variant,
            collected.where(experiment, **{group.attribute: values[name]}),
            adjusting=False,
        )
        for name in sorted(values)
    }


# As plain values


def _broken_down(attribute: str, found: Breakdown, parts: Parts) -> dict[str, Any]:
    return {
        "segment": attribute,
        "interaction": _interaction(found.interaction),
        "values": [
            {
                "of": name,
                "n": dict(one.units),
                "value": _values(one.values, shown=found.effects[name].difference is not None),
                **effect_json(found.effects[name]),
            }
            for name, one in parts.items()
        ],
    }


def _values(values: Mapping[str, float | None], *, shown: bool) -> dict[str, float | None]:
    return {arm: number(value) if shown else None for arm, value in values.items()}


def assessed(found: Fairness, of: Group, control: str, parts: Parts) -> dict[str, Any]:
    """Return an assessment as plain values: nothing of a suppressed group but its name and the reason."""
    harms = {harm.group: harm for harm in found.harms}
    of_share = of.metric.margin is None or of.metric.margin_is == "relative"
    groups = [_group(name, parts[name], found, harms[name], of_share=of_share) for name in found.effects]
    return {
        "attribute": found.attribute,
        "metric": of.metric.metric,
        "kind": of.metric.kind,
        "variant": of.variant,
        "control": control,
        "interaction": _interaction(found.interaction),
        "groups": groups,
        "worst": None if found.worst is None else found.worst.group,
        "widest": None if found.widest is None else _gap(found.widest),
    }


def _group(name: str, one: Compared, found: Fairness, harm: GroupHarm, *, of_share: bool) -> dict[str, Any]:
    if name in found.suppressed:
        return {"of": name, "safety": "suppressed", "n": None, "value": None} | reasons_zh.told(harm.reason)
    return {
        "of": name,
        "safety": harm.safety,
        "n": dict(one.units),
        "value": _values(one.values, shown=True),
        "bound": number(harm.bound),
        "bound_is": "relative" if of_share else "absolute",
        "safe_p_value": number(harm.safe_p_value),
        "harm_p_value": number(harm.harm_p_value),
        **effect_json(found.effects[name]),
        **reasons_zh.told(harm.reason),
    }


def _gap(gap: Gap) -> dict[str, Any]:
    return {
        "group": gap.group,
        "other": gap.other,
        "difference": number(gap.difference),
        "interval": None if gap.lower is None or gap.upper is None else [gap.lower, gap.upper],
        "p_value": number(gap.p_value),
        "adjusted_p_value": number(gap.adjusted_p_value),
    }


def _interaction(test: Interaction) -> dict[str, Any]:
    return {
        "p_value": number(test.p_value),
        "adjusted_p_value": number(test.adjusted_p_value),
        **reasons_zh.told(test.reason),
    }
