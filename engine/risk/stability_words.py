"""What a stability figure says, in a sentence in English and Chinese."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from engine.risk.characteristics import reason_text

_UNCHECKED: Final = {
    "no_reference": ("not checked: there is no reference, or too few rows in it", "未检查：没有参照样本或样本过少"),
    "few_rows": ("not checked: too few rows in the period", "未检查：期内样本过少"),
    "few_bads": ("not checked: too few defaults have matured", "未检查：已成熟的违约过少"),
    "one_class": ("not checked: all had the same outcome", "未检查：结果只有一类"),
}
_POPULATIONS: Final = {
    "applications": ("applications", "申请"),
    "customers": ("customers", "客户"),
    "loans": ("loans", "贷款"),
}

_INTERVAL: Final = re.compile(r" \((\S+) to (\S+)\)")


def what_is(what: str) -> tuple[str, str]:
    """Return what is watched, in English and Chinese."""
    return ("score", "评分") if what == "score" else reason_text(what)


def in_chinese(text: str) -> str:
    """Return a sentence whose intervals, written as in English, are written as in Chinese."""
    return _INTERVAL.sub(r"（\1 至 \2）", text)


def told(row: Mapping[str, Any]) -> tuple[str, str]:
    """Return the sentence of one shift in English and in Chinese."""
    name, name_zh = what_is(row["what"])
    who, who_zh = _POPULATIONS.get(row["population"], (row["population"],) * 2)
    start = f"{who[0].upper()}{who[1:]} of {row['begins']:%Y-%m-%d} to {row['ends']:%Y-%m-%d}, {name}: "
    start_zh = f"{row['begins']:%Y-%m-%d} 至 {row['ends']:%Y-%m-%d} 的{who_zh}，{name_zh}："
    if row["verdict"] == "not_checked":
        why, why_zh = _UNCHECKED[row["reason"]]
        return f"{start}{why} ({row['rows']:,} rows).", f"{start_zh}{why_zh}（{row['rows']:,} 行）。"
    found, found_zh = _found(row)
    drifted = row["verdict"] == "drifted"
    by, by_zh = (
        ("what chance allows", "随机波动上限") if row["decided_by"] == "chance" else ("what matters", "实质性上限")
    )
    side, side_zh = ("beyond", "超出") if drifted else ("within", "未超出")
    return (
        f"{start}{found}, {side} {_limit(row)} ({by}, {row['rows']:,} against {row['reference_rows']:,} rows).",
        in_chinese(f"{start_zh}{found_zh}")
        + f"，{side_zh}{by_zh} {_limit(row)}（{row['rows']:,} 行对 {row['reference_rows']:,} 行）。",
    )


def _found(row: Mapping[str, Any]) -> tuple[str, str]:
    value, interval = row["value"], _interval(row)
    if row["measure"] == "missing_share":
        return f"share without a value changed by {value:+.1%}", f"缺失占比变化 {value:+.1%}"
    if row["measure"] == "auc_loss":
        return f"area under the curve lost {value:.3f}{interval}", f"AUC 下降 {value:.3f}{interval}"
    if row["measure"] == "default_level":
        return (
            f"{abs(value):.0%} {'fewer' if value < 0 else 'more'} defaults than predicted{interval}",
            f"实际违约比预测{'少' if value < 0 else '多'} {abs(value):.0%}{interval}",
        )
    floored = row["floored_bins"]
    note = f", {floored} nearly empty bins raised to the floor" if floored else ""
    note_zh = f"，{floored} 个近空分箱按下限计" if floored else ""
    return f"stability index {value:.4f}{note}", f"稳定性指数 {value:.4f}{note_zh}"


def _interval(row: Mapping[str, Any]) -> str:
    return "" if row["lower"] is None else f" ({_written(row, row['lower'])} to {_written(row, row['upper'])})"


def _limit(row: Mapping[str, Any]) -> str:
    return _written(row, row["limit"])


def _written(row: Mapping[str, Any], value: float) -> str:
    form = {"missing_share": ".1%", "auc_loss": ".3f", "default_level": ".0%"}.get(row["measure"], ".4f")
    return format(value, form)
