"""Why a number cannot be told, in Chinese: the same facts as the reasons of effects, tests and groups."""

from __future__ import annotations

import re
from typing import Final

_SAID: Final = {
    "fewer than two customers in a group": "某组不足两位客户",
    "no customers in a group": "某组没有客户",
    "the denominator adds up to 0 in a group": "某组的分母合计为 0",
    "the numbers are too large to be added up": "数值过大，无法相加",
    "every customer has the same value, so there is no spread to judge by": "所有客户的数值相同，没有可供判断的波动",
    "there is no spread to judge by": "没有可供判断的波动",
    "control is 0, so there is nothing to divide by": "对照组为 0，无法作除数",
    "control is 0, so there is nothing to take a share of": "对照组为 0，无法取其比例",
    "control cannot be told from 0, so any lift is possible": "对照组与 0 无法区分，任何相对差都有可能",
    "no margin is stated": "未设定可接受的恶化幅度",
    "it is too early: this look may not call anything yet": "尚早：本次查看还不能作出任何判断",
    "the goals come first: until they are won, nothing is said of what comes after them": (
        "目标指标优先：在其达成之前，不对其后的指标作任何判断"
    ),
    "fewer than two clusters in a group, or clusters without any unit": "某组不足两个群，或有群不含任何单位",
    "fewer than two customers in a group, or nothing below the line of a ratio": "某组不足两位客户，或比率的分母为空",
    "the split changed, and no span with one split has enough customers of both arms": (
        "分流比例有变化，没有任何同一比例的时段含有足够的两组客户"
    ),
    "so many values in a group are the same that the error of the quantile cannot be told": (
        "某组相同的数值过多，无法得出分位数的误差"
    ),
    "fewer than two segments have an effect to compare": "有效应可比较的人群不足两个",
    "the effect of one of the two groups is not known": "两个群体之一的效应未知",
}
_SHAPED: Final = tuple(
    (re.compile(english), chinese)
    for english, chinese in (
        (r"fewer than (\d+) customers in a group", "某组不足 {} 位客户"),
        (r"fewer than (\d+) customers in a cell of the two experiments", "两项实验的某个交叉格不足 {} 位客户"),
        (r"fewer than (\d+) events in a group, and customers who still mature", "某组不足 {} 次事件，且仍有客户未到期"),
        (
            r"fewer than (\d+) customers in a group have been watched for (\d+) days without the event",
            "某组中未发生事件且已观察 {1} 天的客户不足 {0} 位",
        ),
        (r"too few values in a group for the quantile at (\S+)", "某组数值过少，无法计算 {} 分位数"),
        (
            r"not shown: the group, or one that could be worked out from it, has fewer than (\d+) customers in an arm",
            "不展示：该群体，或可由此推算出的群体，有一组不足 {} 位客户",
        ),
    )
)


def chinese(reason: str) -> str | None:
    """Return a reason in Chinese; None for a sentence of another kind, such as that of a failed check."""
    if reason in _SAID:
        return _SAID[reason]
    for pattern, sentence in _SHAPED:
        if found := pattern.fullmatch(reason):
            return sentence.format(*found.groups())
    return None


def told(reason: str | None) -> dict[str, str]:
    """Return a reason as JSON has it: "why", and "why_zh" where there are Chinese words; nothing without a reason."""
    if reason is None:
        return {}
    words = chinese(reason)
    return {"why": reason} | ({} if words is None else {"why_zh": words})
