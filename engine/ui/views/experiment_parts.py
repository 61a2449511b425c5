"""What the parts of an experiment share: the comparisons, their names, and how their numbers are written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from engine.risk.fairness_words import attribute_name, group_name
from engine.ui.words import UNDEFINED, Words
from experiments.report import ROLES, Facts, Reading, Report
from experiments.writing import NO_SEGMENT

_SHARES: Final = ("proportion", "retention", "time_to_event")


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """How the differences of one kind of metric are written and drawn.

    level, step : write a value, and a difference with its sign.
    times : what a difference is multiplied by before it is drawn; form, axis : how it stands at the axis.
    """

    level: Callable[[object], str]
    step: Callable[[object], str]
    times: float
    form: str
    axis: str

    def span(self, found: Reading) -> str:
        """Write an interval."""
        if found.lower is None or found.upper is None:
            return UNDEFINED
        return f"{self.step(found.lower)} … {self.step(found.upper)}"


def unit(kind: str, w: Words) -> Unit:
    """Return how a kind of metric is written: percentage points of a share, else the metric's own unit."""
    if kind in _SHARES:
        return Unit(
            level=lambda value: w.share(value, 2),
            step=lambda value: w.points(value, 2),
            times=100.0,
            form="+.1~f",
            axis=w.t("experiments.axis_points"),
        )
    return Unit(
        level=lambda value: w.number(value, 2),
        step=lambda value: w.signed(value, 2),
        times=1.0,
        form="+,.2~f",
        axis=w.t("experiments.axis_unit"),
    )


def named(one: Facts, w: Words) -> str:
    """Return the name of one metric of one variant."""
    return w.t("experiments.named", metric=w.label("metric", one["metric"]), variant=w.label("variant", one["variant"]))


def comparisons(report: Report) -> dict[str, Facts]:
    """Return every metric of every variant by a key for addresses: goals first, then guardrails, then the others."""
    return {key_of(one): one for one in sorted(report.facts["metrics"], key=lambda one: ROLES.index(one["role"]))}


def key_of(one: Facts) -> str:
    """Return the key of one metric of one variant."""
    return f"{one['metric']}.{one['variant']}"


def attribute(name: str, w: Words) -> str:
    """Return what an attribute of customers is called."""
    return w.pick(*attribute_name(name))


def value(name: str, w: Words) -> str:
    """Return what a value of an attribute is called; a name that only the bank knows stays as it is."""
    return w.pick(*group_name("not recorded" if name == NO_SEGMENT else name))


def why(found: Any, w: Words) -> str:
    """Return why there is no number, in the language where the result has it."""
    return w.pick(found.get("why", ""), found.get("why_zh", ""))
