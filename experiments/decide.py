"""Turn results into a decision by rules that were written before: Ship, Roll back, Continue for n days, or Review.

Each metric of each variant first becomes a typed outcome; only outcomes, health and progress decide. The rules, in
order, for each variant; the first that holds decides:

    1  a health check withholds results                          Review
    2  a guardrail is harmed                                     Roll back (or Review, by settings)
    3  a goal is lost, another won                               Review
    4  a goal is lost                                            Roll back
    5  the goals needed are won and every guardrail is safe      Ship
    6  ... a guardrail is not known to be safe, and time is left Continue
    7  ... and no time is left                                   Review (or Ship, by settings)
    8  no time is left, or no goal can reach its planned effect  Review (or Roll back, by settings)
    9  the plan would take more than a year                      Review
    10 otherwise                                                 Continue

No time is left when the planned power or the planned end is reached. A change without a goal only has to do no harm: it
ships when every guardrail is safe.

The experiment ships the variant that may ship and gains most on the first goal. Otherwise it needs a review if any
variant does, continues if any variant does, and is rolled back when every variant is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Final, Literal

from engine.config.experiments import DecisionSettings
from engine.domain.errors import RefusedByPolicy
from experiments import reasons_zh
from experiments.effects import ALPHA, Direction, Effect, OneSided
from experiments.integrity import Check
from experiments.looks import ONCE, Looks, one_sided
from experiments.progress import ONLY_GUARDRAILS, Progress
from experiments.sentences import Sentence

Action = Literal["ship", "roll_back", "continue", "review"]
Role = Literal["goal", "secondary", "guardrail"]
Outcome = Literal["won", "lost", "flat", "undecided", "safe", "unknown", "harmed"]

LONGEST_DAYS: Final = 365


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one metric says of one variant.

    outcome : won, lost, flat or undecided of a goal or secondary metric; safe, unknown or harmed of a guardrail.
    gain : the difference in the direction that is good, in the metric's unit; None where it cannot be told.
    harm, safety : of a guardrail: the one-sided tests that it is worse than control, and not worse by its margin.
    """

    metric: str
    variant: str
    role: Role
    outcome: Outcome
    because: Sentence
    gain: float | None = None
    harm: OneSided | None = None
    safety: OneSided | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantDecision:
    """The decision on one variant: `rule` is the number of the rule in this module's table."""

    variant: str
    action: Action
    rule: int
    days: int | None
    reasons: tuple[Sentence, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What to do with the experiment. `variant` is the one to ship; `days` for how long to go on, where known."""

    action: Action
    reasons: tuple[Sentence, ...]
    variant: str | None = None
    days: int | None = None
    variants: tuple[VariantDecision, ...] = ()

    @property
    def headline(self) -> Sentence:
        """The decision itself, as a banner shows it."""
        return _headline(self.action, self.variant, self.days)


def judge_goal(
    metric: str,
    variant: str,
    effect: Effect,
    direction: Direction,
    *,
    role: Literal["goal", "secondary"] = "goal",
    alpha: float = ALPHA,
    complete: bool = False,
    planned_effect: float | None = None,
) -> Finding:
    """Return the outcome of a goal from its effect, corrected for looks and comparisons already.

    planned_effect : the smallest difference that matters, above 0, in the metric's unit. A goal whose interval leaves
        out so good an effect is flat before the end.
    """
    name = f'"{metric}"'
    if effect.difference is None or effect.p_value is None:
        reason = effect.reason or "there is no comparison"
        because = Sentence(
            en=f"{variant}: {name} cannot be told: {reason}.",
            zh=f"{variant}：{name} 无法判断{_because_zh(effect.reason)}。",
        )
        return Finding(metric=metric, variant=variant, role=role, outcome="undecided", because=because)
    gain = effect.difference if direction == "increase" else -effect.difference
    found = Finding(
        metric=metric,
        variant=variant,
        role=role,
        outcome="undecided",
        gain=gain,
        because=Sentence(
            en=f"{variant}: {name} shows no difference yet: {shown(effect)}.",
            zh=f"{variant}：{name} 尚未显示差异：{shown(effect)}。",
        ),
    )
    if effect.reason is not None:  # it is too early, or the goals come first
        because = Sentence(
            en=f"{variant}: {name} ({plain(effect)}) is not judged: {effect.reason}.",
            zh=f"{variant}：{name}（{plain(effect)}）暂不判断{_because_zh(effect.reason)}。",
        )
        return replace(found, because=because)
    if effect.p_value < alpha:
        won = gain > 0
        because = Sentence(
            en=f"{variant} {'wins' if won else 'loses'} on {name}: {shown(effect)}.",
            zh=f"{variant} 在 {name} 上{'更好' if won else '更差'}：{shown(effect)}。",
        )
        return replace(found, outcome="won" if won else "lost", because=because)
    best = effect.upper if direction == "increase" else (None if effect.lower is None else -effect.lower)
    if planned_effect is not None and best is not None and best < planned_effect:
        because = Sentence(
            en=f"{variant}: {name} can no longer gain the planned {planned_effect:.4g}: {shown(effect)}.",
            zh=f"{variant}：{name} 已不可能达到计划的 {planned_effect:.4g}：{shown(effect)}。",
        )
        return replace(found, outcome="flat", because=because)
    if complete:
        because = Sentence(
            en=f"{variant}: {name} shows no difference at the planned end: {shown(effect)}.",
            zh=f"{variant}：{name} 到计划结束时仍无差异：{shown(effect)}。",
        )
        return replace(found, outcome="flat", because=because)
    return found


def _because_zh(reason: str | None) -> str:
    """Return a reason as it follows a Chinese sentence; empty where it has no Chinese words."""
    words = None if reason is None else reasons_zh.chinese(reason)
    return "" if words is None else f"：{words}"


def judge_guardrail(
    metric: str,
    variant: str,
    effect: Effect,
    direction: Direction,
    *,
    margin: float | None = None,
    relative: bool = True,
    looks: Looks = ONCE,
    alpha: float = ALPHA,
    guardrails: int = 1,
) -> Finding:
    """Return the outcome of a guardrail from its plain effect; its error budget is its own and one-sided.

    margin : the worsening that is still accepted, as a share of control or in the metric's unit; without one harm
        can be shown, safety cannot.
    guardrails : comparisons of guardrails in the experiment. Alarms of harm share alpha out among them. Safety is
        asked of each at all of alpha, since every one must be shown (Berger 1982, Technometrics 24).
    """
    name = f'"{metric}"'
    unknown = Finding(
        metric=metric,
        variant=variant,
        role="guardrail",
        outcome="unknown",
        because=Sentence(
            en=f"{variant}: guardrail {name} cannot be told: {effect.reason or 'there is no comparison'}.",
            zh=f"{variant}：护栏指标 {name} 无法判断{_because_zh(effect.reason)}。",
        ),
    )
    if effect.difference is None or effect.p_value is None:
        return unknown
    rising = direction == "increase"
    harm = one_sided(effect, "less" if rising else "greater", looks, alpha=alpha / guardrails)
    safety = None
    if margin is not None:
        worst = -margin if rising else margin
        side: Literal["greater", "less"] = "greater" if rising else "less"
        safety = one_sided(effect, side, looks, margin=worst, relative=relative, alpha=alpha)
    found = replace(unknown, gain=effect.difference if rising else -effect.difference, harm=harm, safety=safety)
    size = "" if margin is None else (f"{100 * margin:.4g} %" if relative else f"{margin:.4g}")
    accepted, accepted_zh = (f"{size} of control", f"对照组的 {size}") if relative else (size, f" {size}")
    if safety is not None and safety.p_value is not None and safety.p_value < alpha:
        because = Sentence(
            en=f"{variant}: guardrail {name} is safe: worse by less than {accepted} (p {_p(safety.p_value)}).",
            zh=f"{variant}：护栏指标 {name} 安全：恶化小于{accepted_zh}（p {_p(safety.p_value)}）。",
        )
        return replace(found, outcome="safe", because=because)
    if harm.p_value is not None and harm.p_value < alpha / guardrails:
        because = Sentence(
            en=f"{variant} harms guardrail {name}: {plain(effect)} (one-sided p {_p(harm.p_value)}).",
            zh=f"{variant} 损害护栏指标 {name}：{plain(effect)}（单侧 p {_p(harm.p_value)}）。",
        )
        return replace(found, outcome="harmed", because=because)
    why = "no margin is stated" if margin is None else f"a worsening of {accepted} cannot be ruled out"
    why_zh = "未设定可接受的恶化幅度" if margin is None else f"不能排除恶化达到{accepted_zh}"
    because = Sentence(
        en=f"{variant}: guardrail {name} shows no harm, but is not known to be safe: {why}.",
        zh=f"{variant}：护栏指标 {name} 未见损害，但尚不能确认安全：{why_zh}。",
    )
    return replace(found, because=because)


def decide(
    findings: Sequence[Finding],
    health: Sequence[Check],
    progress: Progress,
    rules: DecisionSettings | None = None,
) -> Decision:
    """Apply the rules of this module to every variant, and to the experiment."""
    written = DecisionSettings() if rules is None else rules
    stopped = [check for check in health if check.status == "stop"]
    if stopped:
        reasons = tuple(
            Sentence(en=check.detail, zh=check.detail_zh or f"检查“{check.check}”未通过，结果暂不展示，请先查明原因。")
            for check in stopped
        )
        return Decision(action="review", reasons=reasons)
    names = list(dict.fromkeys(finding.variant for finding in findings))
    each = tuple(
        _decide_variant(name, [one for one in findings if one.variant == name], progress, written) for name in names
    )
    ready = [one for one in each if one.action == "ship"]
    if ready:
        gains = {one.variant: one.gain for one in reversed(findings) if one.role == "goal"}
        best = max(ready, key=lambda one: -inf if (gain := gains.get(one.variant)) is None else gain)
        return Decision(action="ship", reasons=best.reasons, variant=best.variant, variants=each)
    for action in ("review", "continue", "roll_back"):
        chosen = [one for one in each if one.action == action]
        if chosen:
            days = [one.days for one in chosen if one.days is not None]
            reasons = tuple(dict.fromkeys(reason for one in chosen for reason in one.reasons))
            if action == "continue" and not days and progress.why is not None:
                reasons = *reasons, progress.why
            return Decision(action=chosen[0].action, reasons=reasons, days=max(days, default=None), variants=each)
    nothing = Sentence(en="No variant was compared with control.", zh="没有任何实验组可与对照组比较。")
    return Decision(action="review", reasons=(nothing,))


def needs_owner_and_note(by_rules: str, *, owner: str, note: str) -> None:
    """Raise RefusedByPolicy unless somebody is named and a note says why the rules are not followed."""
    if not owner.strip() or not note.strip():
        lacking = "an owner" if not owner.strip() else "a note"
        raise RefusedByPolicy(
            f"A decision other than {by_rules} needs an owner and a note that says why; {lacking} is missing. "
            "Give both, or keep the decision of the rules."
        )


def shown(effect: Effect) -> str:
    """Return an effect in one line: its difference, or lift where there is one, interval and p-value."""
    return plain(effect) if effect.p_value is None else f"{plain(effect)}, p {_p(effect.p_value)}"


def plain(effect: Effect) -> str:
    """Return the difference of an effect and its interval, as a lift where control has a value."""
    if effect.difference is None:
        return "—"
    if effect.relative_difference is not None:
        value = f"{effect.relative_difference:+.2%}"
        low, high = effect.relative_lower, effect.relative_upper
        return value if low is None or high is None else f"{value} [{low:+.2%}, {high:+.2%}]"
    value = f"{effect.difference:+.4g}"
    return (
        value if effect.lower is None or effect.upper is None else f"{value} [{effect.lower:+.4g}, {effect.upper:+.4g}]"
    )


def _decide_variant(
    variant: str, findings: Sequence[Finding], progress: Progress, rules: DecisionSettings
) -> VariantDecision:
    def which(outcome: Outcome, role: Role = "goal") -> list[Finding]:
        return [one for one in findings if (one.role, one.outcome) == (role, outcome)]

    goals = [one for one in findings if one.role == "goal"]
    harmed, unknown, safe = which("harmed", "guardrail"), which("unknown", "guardrail"), which("safe", "guardrail")
    won, lost, undecided = which("won"), which("lost"), which("undecided")
    needed = len(goals) if rules.goals_needed == "all" else 1
    enough = len(won) >= needed if goals else bool(safe)
    days = progress.days_to_go
    over = progress.complete or days == 0
    too_long = days is not None and days > LONGEST_DAYS
    # number, whether it holds, what it says, and the findings that are its reasons
    table: list[tuple[int, bool, Action, list[Finding]]] = [
        (2, bool(harmed), rules.harmed_guardrail, harmed),
        (3, bool(lost and won), "review", lost + won),
        (4, bool(lost), "roll_back", lost),
        (5, enough and not unknown, "ship", won + safe),
        (6, enough and not over, "continue", won + unknown),
        (7, enough, rules.undecided_guardrail, won + unknown),
        (
            8,
            over or (bool(goals) and not undecided),
            rules.no_effect if goals and not won else "review",
            goals + unknown,
        ),
        (9, too_long, "review", undecided),
        (10, True, "continue", goals + unknown),
    ]
    rule, _, action, because = next(row for row in table if row[1])
    reasons = tuple(one.because for one in because)
    if rule == 9:
        reasons = _far_away(days), *reasons
    shown_already = rule == 6 and progress.by_information
    if shown_already:
        reasons = *reasons, ONLY_GUARDRAILS
    known = action == "continue" and not shown_already
    return VariantDecision(variant=variant, action=action, rule=rule, days=days if known else None, reasons=reasons)


def _far_away(days: int | None) -> Sentence:
    return Sentence(
        en=f"At this rate it takes {days} more days, over a year. Choose a larger effect or a goal seen sooner.",
        zh=f"按目前速度还需 {days} 天，超过一年。请改用更大的目标效应，或更早可见的指标。",
    )


def _headline(action: Action, variant: str | None, days: int | None) -> Sentence:
    if action == "ship":
        return Sentence(en=f"Ship {variant}" if variant else "Ship", zh=f"上线 {variant}" if variant else "上线")
    if action == "continue":
        known = days is not None
        return Sentence(
            en=f"Continue for {days} {'day' if days == 1 else 'days'}" if known else "Continue",
            zh=f"继续 {days} 天" if known else "继续",
        )
    return Sentence(en="Roll back", zh="回滚") if action == "roll_back" else Sentence(en="Review", zh="人工复核")


def _p(p_value: float) -> str:
    return "< 0.0001" if p_value < 0.0001 else f"= {p_value:.4f}"
