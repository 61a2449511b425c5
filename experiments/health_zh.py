"""What the health checks found, in Chinese: the same facts as the English sentences of `experiments.integrity`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

WITHHELD: Final = "结果暂不展示。"
WEEK: Final = ("周一", "周二", "周三", "周四", "周五", "周六", "周日")

_DONE: Final = {"drop": "未计入", "zero": "按 0 计", "error": "不允许出现"}


def ratio(planned: str, counts: str, found: str, *, often: bool) -> str:
    """Tell a split that is as planned."""
    return f"计划 {planned}，实际 {counts}（{found}{'，可随时查看' if often else ''}）。"


def mismatch(experiment: str, planned: str, counts: str, size: str) -> str:
    """Tell a split that is not the planned one."""
    return f"“{experiment}”的分流比例不符：计划 {planned}，实际 {counts}（{size}）。{WITHHELD}请先检查分流与曝光记录。"


def nobody(experiment: str) -> str:
    """Tell that nobody was exposed."""
    return f"截至该日期，“{experiment}”没有任何曝光。{WITHHELD}"


def same_split() -> str:
    """Tell that the split did not change."""
    return "分流比例期间没有变化。"


def changed_split(spans: str) -> str:
    """Tell when the split changed."""
    return f"分流比例期间有变化：{spans}。各组客户进入的时间不同：效应在各时段内分别比较，再合并。"


def balance(of: int, covariate: str, variant: str, p_value: str) -> str:
    """Tell the largest difference before exposure."""
    return f"与对照组比较协变量 {of} 次，差异最大的是“{variant}”的“{covariate}”（校正后 {p_value}）。"


def imbalance(of: int, covariate: str, variant: str, control: str, p_value: str) -> str:
    """Tell a difference before exposure that is no chance."""
    return (
        f"曝光之前，“{variant}”与“{control}”的“{covariate}”已有差异（{p_value}，按 {of} 次比较校正）。"
        f"{WITHHELD}请检查客户如何分组。"
    )


def no_covariate() -> str:
    """Tell that there is nothing to compare."""
    return "没有可比较的实验前协变量。"


def several(customers: str, everybody: str, *, stopped: bool) -> str:
    """Tell who was seen in several variants."""
    found = f"{everybody} 位客户中有 {customers} 位进入多个组，未计入。"
    return f"{found}{WITHHELD}剩余客户不再是公平样本，请检查客户识别。" if stopped else found


def unplanned(customers: str, named: str) -> str:
    """Tell variants outside the plan."""
    return f"{customers} 位客户出现在计划外的组，未计入：{named}。"


def all_planned() -> str:
    """Tell that every variant is in the plan."""
    return "出现的组均在计划内。"


def incomplete(exposures: str) -> str:
    """Tell exposures that name nobody or nothing."""
    return f"{exposures} 条曝光没有客户或组，未计入。"


def outside(exposures: str) -> str:
    """Tell exposures before the start or after the end."""
    return f"{exposures} 条曝光在实验开始之前或结束之后，不计入。"


def left_out(immature: str, unknown: str | None, units: str, *, windowed: bool) -> str:
    """Tell who is not in a metric yet."""
    found = f"{units} 位客户中有 {immature} 位窗口未结束，未计入" if windowed else f"没有窗口：{units} 位客户均计入"
    return f"{found}；另有 {unknown} 位因事件没有可用数值而未计入。" if unknown else f"{found}。"


def unknown_values(nulls: str) -> str:
    """Tell what is done with customers without a known value."""
    return f"没有已知数值（{_DONE[nulls]}）"


def early_event(metric: str) -> str:
    """Tell what came too early."""
    return f"在曝光前不久已有“{metric}”的事件"


def inactive(event: str) -> str:
    """Tell who never came as far as the activation."""
    return f"曝光后没有“{event}”，未计入"


def alike(some: str, everybody: str, what: str, *, stopped: bool = False) -> str:
    """Tell of how many customers something is true."""
    return f"{everybody} 位客户中有 {some} 位{what}。{WITHHELD if stopped else ''}"


def unlike(some: str, everybody: str, what: str, by_arm: str, p_value: str) -> str:
    """Tell that something is true more often in one arm than in another."""
    return f"{everybody} 位客户中有 {some} 位{what}，各组比例不同：{by_arm}（{p_value}）。{WITHHELD}"


def late(events: str, of: str, days: float, *, many: bool) -> str:
    """Tell events that arrived late."""
    found = f"{of} 条事件中有 {events} 条在发生 {days:g} 天之后才到达"
    return f"{found}；最近 {days:g} 天的数据尚不完整。" if many else f"{found}。"


def duplicates(table: str, repeated: str, rows: str) -> str:
    """Tell rows that repeat another."""
    return f"{table} 的 {rows} 行中有 {repeated} 行重复。"


def whole_weeks(days: int) -> str:
    """Tell that weeks are complete."""
    return f"{days} 天：一周的每一天出现次数相同。"


def part_of_week(days: int, names: list[int], until: str) -> str:
    """Tell the days of the week that were seen more often, or alone."""
    named = "、".join(WEEK[name] for name in names)
    seen = f"只有{named}" if days < 7 else f"{named}比其他日子多一次"
    return f"{days} 天：{seen}。到 {until} 满整周。"


def each_split(kind: str, groups: int, p_value: str) -> str:
    """Tell that the split is right in every group."""
    return f"按{_kind(kind)}的 {groups} 组，分流比例均符合计划（校正后 {p_value}）。"


def no_group(kind: str) -> str:
    """Tell that there is no group."""
    return f"没有可按{_kind(kind)}比较的客户。"


def some_split(kind: str, off: int, groups: int, worst: str, told: Mapping[str, str]) -> str:
    """Tell that the split is wrong in some groups."""
    return (
        f"按{_kind(kind)}的 {groups} 组中有 {off} 组分流比例不符，最明显的是“{worst}”："
        f"计划 {told['planned']}，实际 {told['counts']}（校正后 {told['p_value']}）。{WITHHELD}"
    )


def plan(fingerprint: str, changed: str) -> str:
    """Tell the hash of the plan, and what was changed in it."""
    found = f"计划的 SHA-256：{fingerprint}"
    return f"{found}。首次查看之后有修改：{changed}。" if changed else found


def unjudged(customers: str, days: str) -> str:
    """Tell which spans of a changed split are in no effect."""
    return f"{customers} 位客户在没有公平比较的时段内首次曝光，未计入效应：{days}。"


def _kind(kind: str) -> str:
    return {"day": "日", "epoch": "时段"}.get(kind, f"“{kind}”")
