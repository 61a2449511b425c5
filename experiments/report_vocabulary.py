"""Further words of a report in English and Chinese: days, segments, protected groups, other experiments, decisions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

MORE_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "over_time": ("How the effect came about", "效应随时间的变化"),
    "pooled": (
        "{name}: over all days together {control} in control and {variant} in the variant. The split changed on the "
        "way, so this is what was counted, not a fair comparison.",
        "{name}：所有日期合计，对照组 {control}，实验组 {variant}。期间分流比例有变化，此为实际统计值，不可直接比较。",
    ),
    "over_time_text": (
        "By the calendar: everybody first exposed until that day, with all that is known of them now. Since exposure: "
        "days count from the customer's own first exposure, and only when they are over. The intervals of all days "
        "hold together, so that they are wider than that of one day.",
        "按日历：截至当日首次曝光的所有客户及其目前已知的全部结果。按曝光后天数：从各客户首次曝光起算，只计已结束的天。"
        "所有天的区间同时成立，因此比单日区间更宽。",
    ),
    "calendar": ("first exposed until", "首次曝光截至"),
    "cumulative_share": ("days since exposure, share until then", "曝光后天数，累计比例"),
    "daily_mean": ("days since exposure, mean of the day", "曝光后天数，当日均值"),
    "as_table": ("As a table", "查看表格"),
    "found_since": (
        "{name}: {value} by {day}; the interval has left out 0 since {since}",
        "{name}：截至 {day} 为 {value}；自 {since} 起区间不含 0",
    ),
    "found_open": (
        "{name}: {value} by {day}; the interval holds 0",
        "{name}：截至 {day} 为 {value}；区间包含 0",
    ),
    "of_days": ("day {day}", "第 {day} 天"),
    "days_cut": (
        "As a table, every {step} days; all are in the JSON form",
        "查看表格（每 {step} 天一行，其余见 JSON）",
    ),
    "wear_same": (
        "{name}: the effect of a day in the second half of the window is not shown to differ from the first half "
        "(p {p}, corrected).",
        "{name}：窗口后半段与前半段的每日效应未显示差异（校正后 p {p}）。",
    ),
    "wear_off": (
        "{name}: the effect of a day changes by {change} from the first to the second half of the window (p {p}, "
        "corrected): do not carry the effect of the window on to later days.",
        "{name}：从窗口前半段到后半段，每日效应变化 {change}（校正后 p {p}）：请勿将窗口内的效应外推。",
    ),
    "segments_differ": (
        "{name}: the effect differs by {segment} (p {p}, corrected)",
        "{name}：效应因{segment}而异（校正后 p {p}）",
    ),
    "segments_alike": (
        "{name}: no difference shown between values of {segment} (p {p}, corrected)",
        "{name}：{segment} 各取值之间未显示差异（校正后 p {p}）",
    ),
    "segments_unknown": ("{name} by {segment}: {why}", "{name}，按 {segment}：{why}"),
    "colon": (": ", "："),
    "not_comparable": ("nothing to compare", "没有可比较的内容"),
    "fairness_text": (
        "Every group is asked on its own whether it is worse off, with one error budget for all groups. Groups that "
        "could reveal a handful of people are not shown.",
        "逐一检验各群体是否受损，所有群体共用一份误差预算。可能暴露少数个人的群体不予展示。",
    ),
    "fair_harmed": ("{name} by {attribute}: {groups} harmed", "{name}，按 {attribute}：{groups} 受损"),
    "fair_safe": (
        "{name} by {attribute}: no group shown is worse off by the margin",
        "{name}，按 {attribute}：所示群体均未恶化到界限",
    ),
    "fair_unknown": (
        "{name} by {attribute}: no harm shown, and not every group is known to be safe",
        "{name}，按 {attribute}：未见损害，但并非每个群体都已确认安全",
    ),
    "bound_share": ("worst that it may be, as a share of control", "最坏可能（占对照组比例）"),
    "bound_absolute": ("worst that it may be", "最坏可能"),
    "at_first_look": ("at the first look", "首次查看时"),
    "now_planned": ("now", "现在"),
    "interactions": ("Other experiments of the same customers", "同一批客户的其他实验"),
    "interactions_none": ("No other experiment shares customers with this one.", "没有其他实验与本实验共享客户。"),
    "interactions_quiet": (
        "No other experiment is shown to change an effect of this one.",
        "未显示其他实验改变本实验的效应。",
    ),
    "interactions_found": (
        "Where {other} shows {variant}, the effect on {name} is {change} different (p {p}, corrected).",
        "在 {other} 展示 {variant} 时，{name} 的效应相差 {change}（校正后 p {p}）。",
    ),
    "interactions_drawn": (
        "The arms of {other} and of this experiment were not drawn independently (p {p}, corrected): neither effect is "
        "its own.",
        "{other} 与本实验的分组并非独立抽取（校正后 p {p}）：两者的效应无法区分。",
    ),
    "interactions_uncrossed": ("Not crossed with {other}: {why}.", "未与 {other} 交叉分析：{why}。"),
    "other": ("other experiment", "另一实验"),
    "shared": ("customers in both", "共同客户"),
    "drawn": ("drawn independently, p", "独立抽取，p 值"),
    "other_variant": ("its variant", "其实验组"),
    "alone": ("effect under its control", "对方为对照组时的效应"),
    "together": ("effect under its variant", "对方为实验组时的效应"),
    "contrast": ("difference", "差值"),
    "decided_by": (
        "Decided by {owner} on {when}, in place of the rules ({before}): {note}",
        "{owner} 于 {when} 决定，未采用规则的结论（{before}）：{note}",
    ),
}
