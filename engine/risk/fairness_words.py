"""What a fairness figure says, in a sentence in English and Chinese."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from engine.config.risk_oversight import FairnessSettings
from engine.risk.stability_words import in_chinese

_MEASURES: Final = {
    "share_of_applications": ("share of applications", "申请占比"),
    "scored_rate": ("share that could be scored", "可评分占比"),
    "mean_score": ("mean score", "平均评分"),
    "pass_rate": ("share below the cut-off", "通过准入线的占比"),
    "approval_rate": ("share approved", "批准占比"),
    "true_positive_rate": ("share of defaulters that the cut-off refuses", "违约者被准入线拒绝的占比"),
    "false_positive_rate": ("share of good payers that the cut-off refuses", "正常还款者被准入线拒绝的占比"),
    "mean_rate": ("mean yearly rate offered", "平均年利率"),
    "default_rate": ("default rate", "违约率"),
    "calibration_gap": ("predicted minus observed default rate", "预测违约率减实际违约率"),
    "auc": ("area under the curve", "AUC"),
}
_ATTRIBUTES: Final = {
    "gender": "性别", "marital_status": "婚姻状况", "region": "地区", "language": "语言", "age_band": "年龄段",
    "age_group": "年龄段", "group": "组别",
}  # fmt: skip
_GROUPS: Final = {
    "female": "女", "male": "男", "other": "其他", "single": "单身", "married": "已婚", "divorced": "离异",
    "widowed": "丧偶", "en": "英语", "zh": "中文", "not recorded": "未登记",
}  # fmt: skip

_BANDS: Final = (
    (re.compile(r"under (\d+)"), "{}岁以下"),
    (re.compile(r"(\d+) to (\d+)"), "{}至{}岁"),
    (re.compile(r"(\d+) and over"), "{}岁及以上"),
)


def measure_name(measure: str) -> tuple[str, str]:
    """Return what a measure is called in English and Chinese."""
    return _MEASURES[measure]


def attribute_name(attribute: str) -> tuple[str, str]:
    """Return what a protected attribute, or two of them together, is called in English and Chinese."""
    return attribute.replace("_", " "), _chinese(attribute, _ATTRIBUTES)


def group_name(group: str) -> tuple[str, str]:
    """Return what a group is called in English and Chinese; a name that only the bank knows stays as it is."""
    return group, _chinese(group, _GROUPS)


def told(row: Mapping[str, Any], settings: FairnessSettings) -> tuple[str, str]:
    """Return the sentence of one figure in English and in Chinese."""
    name, name_zh = _MEASURES[row["measure"]]
    who = f"{row['attribute'].replace('_', ' ')}, {row['group']}: "
    who_zh = f"{_chinese(row['attribute'], _ATTRIBUTES)}「{_chinese(row['group'], _GROUPS)}」："
    text, text_zh = _verdict(row, settings)
    if row["verdict"] == "suppressed":
        return f"{who}{name} {text}", f"{who_zh}{name_zh}{text_zh}"
    value = f"{_written(row, row['value'])}{_interval(row, 'lower', 'upper')}"
    return f"{who}{name} {value}. {text}", in_chinese(f"{who_zh}{name_zh} {value}。{text_zh}")


def _verdict(row: Mapping[str, Any], settings: FairnessSettings) -> tuple[str, str]:
    few, small = settings.smallest_assessed, settings.smallest_shown
    plain = {
        "suppressed": (f"is not shown: fewer than {small} cases.", f"不显示：不足 {small} 笔。"),
        "described": ("Shown without a judgement.", "仅作展示，不作判断。"),
        "reference": ("The group that others are compared with.", "作为比较基准。"),
        "insufficient": (
            f"Insufficient: fewer than {few} cases to judge from.",
            f"样本不足：少于 {few} 笔。",
        ),
        "not_assessable": (
            "Not assessable: nobody was let through, or there is no group to compare with.",
            "无法评估：无人通过，或没有可比组。",
        ),
    }
    if row["verdict"] in plain:
        return plain[row["verdict"]]
    if row["ratio"] is not None:
        return _ratio(row, settings)
    if row["reference"] is None:
        return _calibration(row)
    gap = f"{_written(row, row['difference'], sign=True)}{_interval(row, 'difference_lower', 'difference_upper')}"
    other, other_zh = row["reference"], _chinese(row["reference"], _GROUPS)
    if row["verdict"] == "differs":
        return f"{gap} against {other}: beyond chance.", f"与「{other_zh}」相差 {gap}，超出偶然。"
    return f"{gap} against {other}: no difference is shown.", f"与「{other_zh}」相差 {gap}，未显示差异。"


def _ratio(row: Mapping[str, Any], settings: FairnessSettings) -> tuple[str, str]:
    below = row["verdict"] == "below"
    chance = row["adjusted_p_value"] is None or row["adjusted_p_value"] >= settings.significance
    found = f"{row['ratio']:.2f}{_interval(row, 'ratio_lower', 'ratio_upper', '{:.2f}')}"
    limit, other, other_zh = settings.four_fifths, row["reference"], _chinese(row["reference"], _GROUPS)
    side, side_zh = ("below", "低于") if below else ("not below", "不低于")
    why, why_zh = ("it may be chance", "可能出于偶然") if chance else ("beyond chance", "超出偶然")
    return (
        f"Ratio {found} to {other}, {side} {limit:g}; the difference: {why}. A screening figure, not a legal test.",
        f"为「{other_zh}」的 {found}，{side_zh} {limit:g}；差异{why_zh}。此为筛查指标，并非法律标准。",
    )


def _calibration(row: Mapping[str, Any]) -> tuple[str, str]:
    if row["verdict"] != "differs":
        return "The defaults allow the prediction.", "实际违约与预测相符。"
    if row["value"] > 0:
        return "Fewer defaulted than predicted, beyond chance.", "实际违约少于预测，超出偶然。"
    return "More defaulted than predicted, beyond chance.", "实际违约多于预测，超出偶然。"


def _written(row: Mapping[str, Any], value: float | None, sign: bool = False) -> str:
    if value is None:
        return "—"
    plus = "+" if sign or row["measure"] == "calibration_gap" else ""
    form = {"mean_score": f"{plus}.1f", "auc": f"{plus}.3f", "mean_rate": f"{plus}.2%"}
    return format(value, form.get(row["measure"], f"{plus}.1%"))


def _interval(row: Mapping[str, Any], lower: str, upper: str, form: str | None = None) -> str:
    if row[lower] is None or row[upper] is None:
        return ""
    low, high = ((form.format(row[end]) if form else _written(row, row[end])) for end in (lower, upper))
    return f" ({low} to {high})"


def _chinese(name: str, words: Mapping[str, str]) -> str:
    return " × ".join(words.get(part) or _band(part) for part in name.split(" × "))


def _band(part: str) -> str:
    """Return an age band in Chinese; whatever is none as it is."""
    for pattern, chinese in _BANDS:
        if found := pattern.fullmatch(part):
            return chinese.format(*found.groups())
    return part
