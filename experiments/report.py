"""The report of an experiment: one object out of the result, from which page, Markdown, chart and JSON are drawn.

A report computes nothing about an effect. It reads what the result says, takes out every number when a check failed,
and puts the rest in the order of reading: decision, checks, results, and what stands behind them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

Facts = Mapping[str, Any]
"""A result as JSON: what `wayline experiment analyze --json` writes, or `ExperimentResult.to_json()`."""

Mark = Literal["better", "worse", "open", "withheld"]

ROLES: Final = ("goal", "guardrail", "secondary")
MARKS: Final[Mapping[str, Mark]] = {
    "better": "better",
    "won": "better",
    "safe": "better",
    "worse": "worse",
    "lost": "worse",
    "harmed": "worse",
    "no_difference_shown": "open",
    "flat": "open",
    "undecided": "open",
    "unknown": "open",
    "withheld": "withheld",
}
"""How each verdict is marked. A word that is not here is an error: no badge without a meaning."""

_KEPT: Final = ("metric", "kind", "role", "direction", "variant", "control", "n")
_ABOUT_DECISION: Final = ("headline", "headline_zh", "reasons", "reasons_zh")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One effect as it is shown: a difference or a lift with its interval. None is what cannot be said."""

    value: float | None = None
    lower: float | None = None
    upper: float | None = None
    p_value: float | None = None

    @property
    def whole(self) -> bool:
        """Whether it has a value and both ends of its interval."""
        return None not in (self.value, self.lower, self.upper)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One metric of one variant, with what its verdict rests on.

    n, values : of control and of the variant, in this order.
    absolute, relative : the effect that the verdict rests on; `planned` the same effect for one look at the end.
    margin : where a guardrail's accepted harm ends, as a lift with its sign; None without one.
    bound : one-sided bound, as a lift, that a guardrail is judged by: beyond 0 when harmed, short of its margin when
        safe. Its two-sided interval may reach a little further, and does not decide.
    verdict : the word of the result; `mark` is how it is drawn.
    why, why_zh : why there is no number, or none to judge by, in English and in Chinese where the result has it.
    """

    metric: str
    kind: str
    role: str
    direction: str
    variant: str
    control: str
    n: tuple[int, int]
    values: tuple[float | None, float | None]
    absolute: Reading
    relative: Reading
    planned: Reading
    method: str | None
    margin: float | None
    bound: float | None
    verdict: str
    why: str | None
    why_zh: str | None

    @property
    def mark(self) -> Mark:
        """How the verdict is drawn, in the badge and in the chart alike."""
        return MARKS[self.verdict]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All that is shown of one experiment.

    facts : the result without the numbers that are withheld; the JSON form of the report is exactly this.
    withheld : the sentences of the checks that failed, where numbers are withheld; () otherwise.
    anyway : numbers are shown although a check failed.
    """

    facts: Facts
    lines: tuple[Line, ...]
    withheld: tuple[str, ...]
    anyway: bool

    @property
    def experiment(self) -> str:
        """The id of the experiment."""
        return str(self.facts["experiment"])

    @property
    def action(self) -> str:
        """The decision: ship, roll_back, continue or review."""
        return str(self.facts["decision"]["action"]).lower().replace(" ", "_")

    @property
    def level(self) -> float:
        """How often an interval holds what it should, such as 0.95."""
        return 1 - float(self.facts.get("alpha", 0.05))

    @property
    def plan(self) -> Mapping[str, Any]:
        """The plan, as `model_dump(mode="json")` writes it; empty where the result does not carry it."""
        return self.facts.get("plan") or {}

    @property
    def fingerprint(self) -> str | None:
        """The SHA-256 of the plan."""
        return self.facts.get("spec_hash") or self.facts.get("fingerprint")


def make(facts: Facts, *, show_withheld: bool = False) -> Report:
    """Return the report of a result.

    Parameters
    ----------
    show_withheld : with False a failed check takes out every number of every metric, group and segment, whatever the
        result holds. With True they are shown, marked as not to be decided on.

    Raises
    ------
    KeyError
        A verdict is a word that has no mark.
    """
    stopped = tuple(check["detail"] for check in facts["health"] if check["status"] == "stop")
    shown = _without_numbers(facts, stopped) if stopped and not show_withheld else facts
    margins = {one["metric"]: one for one in (facts.get("plan") or {}).get("metrics", ())}
    return Report(
        facts=shown,
        lines=_in_order([_line(one, margins.get(one["metric"])) for one in shown["metrics"]]),
        withheld=() if show_withheld else stopped,
        anyway=bool(stopped) and show_withheld,
    )


def _in_order(lines: Sequence[Line]) -> tuple[Line, ...]:
    """Return goals first, then guardrails, then secondary metrics; within a role in the order of the plan."""
    return tuple(sorted(lines, key=lambda line: ROLES.index(line.role)))


def _without_numbers(facts: Facts, stopped: Sequence[str]) -> Facts:
    nothing = {"interval": None, "p_value": None, "why": stopped[0]}
    metrics = [
        {key: one[key] for key in _KEPT if key in one}
        | {
            "value": dict.fromkeys(one["n"]),
            "absolute": {"difference": None, **nothing},
            "relative": {"lift": None, **nothing},
            "adjusted": None,
            "verdict": "withheld",
            "why": stopped[0],
        }
        for one in facts["metrics"]
    ]
    given = facts["decision"]
    person = 1 if given.get("override") else 0  # whose sentence comes before the reasons of the rules
    if list(given["reasons"])[person:] != list(stopped):
        decision = {"action": "review", "reasons": list(stopped)}
    elif person:
        decision = given
    else:
        decision = {"action": "review"} | {key: given[key] for key in _ABOUT_DECISION if key in given}
    kept = {key: value for key, value in facts.items() if key not in ("fairness", "interactions")}
    return kept | {"metrics": metrics, "decision": decision}


def _line(one: Facts, planned_metric: Mapping[str, Any] | None) -> Line:
    base = _base(one)
    told = one.get("now") or base
    control, variant = one["control"], one["variant"]
    verdict = one["outcome"] if one["role"] == "guardrail" and "outcome" in one else one["verdict"]
    value = one["value"].get(control)
    reason: Facts = next((found for found in (one, told["absolute"], told["relative"]) if found.get("why")), {})
    return Line(
        metric=one["metric"],
        kind=one.get("kind") or (planned_metric or {}).get("kind", ""),
        role=one["role"],
        direction=one.get("direction", "increase"),
        variant=variant,
        control=control,
        n=(one["n"][control], one["n"][variant]),
        values=(value, one["value"].get(variant)),
        absolute=reading(told["absolute"], "difference"),
        relative=reading(told["relative"], "lift"),
        planned=reading(base["relative"], "lift"),
        method=told.get("method") or one.get("method"),
        margin=None if one["verdict"] == "withheld" else _margin(one, planned_metric, value),
        bound=None if one["verdict"] == "withheld" else _bound(one, value),
        verdict="withheld" if one["verdict"] == "withheld" else verdict,
        why=reason.get("why"),
        why_zh=reason.get("why_zh"),
    )


def _base(one: Facts) -> Facts:
    """Return the effect for one look: the adjusted one where the verdict follows it."""
    adjusted: Facts | None = one.get("adjusted")
    if adjusted is None or one.get("verdict_from") == "unadjusted" or adjusted["absolute"]["p_value"] is None:
        return one
    return adjusted


def reading(effect: Mapping[str, Any], name: str) -> Reading:
    """Return an effect out of its JSON; `name` is that of its value, difference or lift."""
    lower, upper = effect.get("interval") or (None, None)
    return Reading(value=effect.get(name), lower=lower, upper=upper, p_value=effect.get("p_value"))


def _margin(one: Facts, planned_metric: Mapping[str, Any] | None, control_value: float | None) -> float | None:
    """Return where a guardrail's accepted harm ends, as a share of control with the sign of the harm."""
    safety = one.get("safety") or {}
    size, relative = safety.get("margin"), safety.get("relative", True)
    if size is None and planned_metric is not None:
        size, relative = planned_metric.get("margin"), planned_metric.get("margin_is", "relative") == "relative"
    if size is None or (not relative and not control_value):
        return None
    share = float(abs(size) if relative else abs(size) / abs(control_value or 1.0))
    return share if one.get("direction") == "decrease" else -share


def _bound(one: Facts, control_value: float | None) -> float | None:
    """Return the bound of the one-sided test that told a guardrail's outcome, as a share of control."""
    test = one.get("harm" if one.get("outcome") == "harmed" else "safety") or {}
    bound = test.get("bound")
    if bound is None or test["relative"]:
        return bound
    return float(bound) / abs(control_value) if control_value else None
