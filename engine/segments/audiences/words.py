"""What a condition says, in English and Chinese, from what it asks and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

from engine.config import audiences as rules
from engine.domain.labels import label
from engine.domain.marts import MARTS
from engine.segments.audiences.audience import Node
from engine.segments.audiences.conditions import Columned, Condition, column_name

Said: TypeAlias = tuple[str, str]
Meanings: TypeAlias = Mapping[str, Said]
"""What each feature means, in English and Chinese."""
_JOINED: Final[dict[str, Said]] = {
    "all": ("all of these hold", "以下全部成立"),
    "any": ("at least one of these holds", "以下至少一项成立"),
    "not": ("this does not hold", "以下不成立"),
}


def of_node(node: Node, meanings: Meanings) -> Said:
    """Return what a part of a rule says; of a join only how its parts are joined."""
    if node.audience is not None:
        return f'belongs to the audience "{node.audience}"', f"属于客群“{node.audience}”"
    if node.condition is None:
        return _JOINED[node.kind]
    return of_condition(node.condition, meanings)


def of_condition(condition: Condition, meanings: Meanings) -> Said:
    """Return what a condition asks of a customer."""
    if isinstance(condition, Columned):
        return _compared(condition, meanings)
    told: dict[type[Any], Callable[[Any], Said]] = {
        rules.Journey: _journey,
        rules.Experiment: _experiment,
        rules.Segmentation: _segmentation,
        rules.Recommendation: _recommendation,
        rules.Lookalike: _lookalike,
        rules.Frozen: _frozen,
        rules.Happened: _happened,
        rules.Sequence: _sequence,
    }
    return told[type(condition)](condition)


def _compared(one: Columned, meanings: Meanings) -> Said:
    if isinstance(one, rules.Risk):
        tiers = [label("risk_tier", tier) for tier in one.risk_tier]
        return f"risk: {_or([en for en, _ in tiers])}", f"风险：{_or_zh([zh for _, zh in tiers])}"
    name, name_zh = _meaning(one, meanings)
    parts = [(en.format(value), zh.format(value)) for en, zh, value in _asked(one)]
    return f"{name}: {', '.join(en for en, _ in parts)}", f"{name_zh}：{'，'.join(zh for _, zh in parts)}"


def _asked(one: rules.Compared) -> list[tuple[str, str, str]]:
    single = {
        "is_": ("{}", "为{}"), "is_not": ("not {}", "不为{}"), "at_least": ("{} or more", "不少于{}"),
        "above": ("more than {}", "大于{}"), "at_most": ("{} or less", "不多于{}"), "below": ("less than {}", "小于{}"),
    }  # fmt: skip
    found = [(*words, _plain(value)) for name, words in single.items() if (value := getattr(one, name)) is not None]
    if one.one_of is not None:
        found.append(("{}", "为{}", _or([_plain(value) for value in one.one_of])))
    if one.none_of is not None:
        found.append(("none of {}", "不为{}", ", ".join(_plain(value) for value in one.none_of)))
    if one.known is not None:
        found.append(("known", "有记录", "") if one.known else ("unknown", "无记录", ""))
    return found


def _meaning(one: rules.Feature | rules.Segment, meanings: Meanings) -> Said:
    name = column_name(one)
    if isinstance(one, rules.Segment):
        column = MARTS["segments"].column(name)
        return column.meaning, column.meaning_zh
    # what follows the first clause tells when the feature is empty
    en, zh = meanings.get(name, (name, name))
    return en.split(";")[0], zh.split("，")[0]


def _journey(one: rules.Journey) -> Said:
    en, zh = [f'on the journey "{one.journey}"'], [f"处于旅程“{one.journey}”"]
    if one.stage is not None:
        stages = [label("stage", stage) for stage in one.stage]
        en.append(f"in the stage {_or([stage for stage, _ in stages])}")
        zh.append(f"阶段为{_or_zh([stage for _, stage in stages])}")
    if one.status is not None:
        en.append(f"and {_or(one.status)}")
        zh.append(f"状态为{_or_zh(one.status)}")
    return " ".join(en), "，".join(zh)


def _experiment(one: rules.Experiment) -> Said:
    if one.arm is None:
        return f'took part in the experiment "{one.experiment}"', f"参与实验“{one.experiment}”"
    return (
        f'took part in the experiment "{one.experiment}" in {_or(one.arm)}',
        f"参与实验“{one.experiment}”，分组为{_or_zh(one.arm)}",
    )


def _segmentation(one: rules.Segmentation) -> Said:
    return (
        f'in the segmentation "{one.segmentation}": {_or(one.group)}',
        f"分群“{one.segmentation}”：{_or_zh(one.group)}",
    )


def _recommendation(one: rules.Recommendation) -> Said:
    product = one.recommendation
    if one.refused:
        return f'"{product}" was refused', f"“{product}”被拒绝"
    if one.rank_at_most is None:
        return f'"{product}" is offered', f"推荐“{product}”"
    return f'"{product}" is among the first {one.rank_at_most} offers', f"“{product}”在前 {one.rank_at_most} 项推荐之内"


def _lookalike(one: rules.Lookalike) -> Said:
    if isinstance(one.lookalike, str):
        seeds, seeds_zh = f'the audience "{one.lookalike}"', f"客群“{one.lookalike}”"
    else:
        seeds, seeds_zh = f"{len(one.lookalike)} listed customers", f"所列 {len(one.lookalike)} 位客户"
    if one.size is not None:
        return f"among the {one.size} most like {seeds}", f"与{seeds_zh}最相似的 {one.size} 位之内"
    return (
        f"among the {one.share:.1%} most like {seeds}",
        f"与{seeds_zh}最相似的 {one.share:.1%} 之内",
    )


def _frozen(one: rules.Frozen) -> Said:
    return f"one of {one.customers:,} listed customers: {one.what}", f"所列 {one.customers:,} 位客户之一：{one.what}"


def _happened(one: rules.Happened) -> Said:
    step, step_zh = _step(one)
    if one.times_at_most == 0:
        times, times_zh = "never", "从未"
    elif one.times_at_most is None:
        times, times_zh = f"{one.times_at_least} times or more", f"不少于 {one.times_at_least} 次"
    else:
        times, times_zh = (
            f"{one.times_at_least} to {one.times_at_most} times",
            f"{one.times_at_least} 至 {one.times_at_most} 次",
        )
    close = (
        ("", "")
        if one.within_days is None
        else (f" within {one.within_days:g} days", f"，相隔不超过 {one.within_days:g} 天")
    )
    when, when_zh = _when(one)
    return f"{step}, {times}{close[0]}{when}", f"{step_zh}：{times_zh}{close[1]}{when_zh}"


def _sequence(one: rules.Sequence) -> Said:
    steps = [_step(step) for step in one.sequence]
    en, zh = ", then ".join(en for en, _ in steps), "，然后".join(zh for _, zh in steps)
    if one.within_days is not None:
        en, zh = f"{en} within {one.within_days:g} days", f"{zh}，在 {one.within_days:g} 天之内"
    if one.without is not None:
        step, step_zh = _step(one.without)
        en, zh = f"{en}, without {step} in between", f"{zh}，其间无{step_zh}"
    if one.not_followed_by is not None:
        step, step_zh = _step(one.not_followed_by)
        en, zh = f"{en}, and no {step} after", f"{zh}，其后无{step_zh}"
    when, when_zh = _when(one)
    return f"{en}{when}", f"{zh}{when_zh}"


def _step(step: rules.Step) -> Said:
    en, zh = _or([f'"{name}"' for name in step.event]), "或".join(f"“{name}”" for name in step.event)
    if step.channel is not None:
        en, zh = f"{en} ({_or(step.channel)})", f"{zh}（{_or_zh(step.channel)}）"
    limits = [
        *([f"{step.value_at_least:g} or more"] if step.value_at_least is not None else []),
        *([f"{step.value_at_most:g} or less"] if step.value_at_most is not None else []),
    ]
    limits_zh = [
        *([f"不少于 {step.value_at_least:g}"] if step.value_at_least is not None else []),
        *([f"不多于 {step.value_at_most:g}"] if step.value_at_most is not None else []),
    ]
    if limits:
        en, zh = f"{en} with a value of {' and '.join(limits)}", f"{zh}（数值{'且'.join(limits_zh)}）"
    return en, zh


def _when(period: rules.Period) -> Said:
    en, zh = "", ""
    if period.in_last_days is not None:
        en, zh = f"{en}, in the last {period.in_last_days:g} days", f"{zh}，最近 {period.in_last_days:g} 天"
    if period.since is not None:
        en, zh = f"{en}, since {period.since}", f"{zh}，自 {period.since} 起"
    if period.until is not None:
        en, zh = f"{en}, until {period.until}", f"{zh}，至 {period.until} 止"
    return en, zh


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,g}" if isinstance(value, float) else str(value)


def _or(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _or_zh(words: Sequence[str]) -> str:
    return "或".join(words)
