"""Which model should decide: the scorecard, unless another is better beyond chance and can be explained.

The rule is written in settings under [champion], and what it said of every rival is told in words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from typing import Final

from engine.config.challengers import ChampionSettings
from engine.risk.metrics import Estimate

_ZH: Final = {
    "scorecard": "评分卡",
    "glass_box": "可解释加性模型",
    "monotone_boosting": "单调梯度提升",
    "random_forest": "随机森林",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A sentence in English and in Chinese."""

    text: str
    text_zh: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """A challenger as the rule sees it: by how much its AUC exceeds the scorecard's on rows that neither has seen.

    `gain_later` is the same on later rows; None where none are held back.
    """

    name: str
    gain: Estimate
    gain_later: Estimate | None
    violations: int
    probes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The model that should decide, and why it and none of the others."""

    champion: str
    reasons: tuple[Said, ...]


def judge(incumbent: str, rivals: Sequence[Rival], settings: ChampionSettings, flagged: Mapping[str, str]) -> Verdict:
    """Return the champion: of the rivals that pass every condition the one with the largest gain, else the incumbent.

    While a characteristic is flagged as a leak, the incumbent stays: what a leak adds would pass for a better model.
    """
    judged = [(rival, _objection(rival, settings, flagged)) for rival in rivals]
    passed = [rival for rival, objection in judged if objection is None]
    if not passed:
        kept = Said(text=f"{_word(incumbent)} decides: no other model passes the rule.", text_zh=_kept_zh(incumbent))
        return Verdict(champion=incumbent, reasons=(kept, *(said for _, said in judged if said is not None)))
    best = max(passed, key=lambda rival: rival.gain.value)
    others = tuple(said for rival, said in judged if said is not None and rival is not best)
    return Verdict(champion=best.name, reasons=(_chosen(best, incumbent), *others))


def _objection(rival: Rival, settings: ChampionSettings, flagged: Mapping[str, str]) -> Said | None:
    """Return the first condition that the rival fails, None when it passes."""
    word, zh = _word(rival.name), _ZH.get(rival.name, rival.name)
    gain, later = rival.gain, rival.gain_later
    if rival.name not in settings.explainable:
        text = f"{word} watches only: its reasons are not exact, so policy does not let it decide ({_gained(gain)})."
        return Said(text=text, text_zh=f"{zh}仅作监测：其理由并非精确可加，政策不允许其决策（{_gained_zh(gain)}）。")
    if flagged:
        names = ", ".join(flagged)
        text = f"{word} is not considered while inputs may be leaks: {names}."
        return Said(text=text, text_zh=f"输入可能泄漏结果（{names}），暂不考虑{zh}。")
    if rival.violations:
        text = f"{word} breaks a direction in {rival.violations:,} of {rival.probes:,} probes."
        return Said(text=text, text_zh=f"{zh}在{rival.probes:,}次探测中有{rival.violations:,}次违背单调方向。")
    if isnan(gain.value) or isnan(gain.lower) or gain.lower <= 0 or gain.value < settings.least_gain:
        text = f"{word} is not better by enough to tell from chance and to matter: {_gained(gain)}."
        return Said(text=text, text_zh=f"{zh}的优势不足以排除偶然或不够重要：{_gained_zh(gain)}。")
    if later is not None and not later.value > 0:
        text = f"{word} is better among the earlier rows but not on the latest: {_gained(later)} there."
        return Said(text=text, text_zh=f"{zh}在较早样本中更好，但在最新样本中并非如此：{_gained_zh(later)}。")
    return None


def _chosen(best: Rival, incumbent: str) -> Said:
    word, zh = _word(best.name), _ZH.get(best.name, best.name)
    text = f"{word} should decide: {_gained(best.gain)} against the {incumbent} on rows that neither had seen"
    said_zh = f"建议由{zh}决策：相对{_ZH.get(incumbent, incumbent)}，在双方均未见过的样本上{_gained_zh(best.gain)}"
    if best.gain_later is not None:
        text += f", {_gained(best.gain_later)} on the latest"
        said_zh += f"，在最新样本上{_gained_zh(best.gain_later)}"
    text += (
        f". Its reasons are exact and it keeps every direction in {best.probes:,} probes. A second person approves it."
    )
    said_zh += f"。其理由精确可加，{best.probes:,}次探测均符合单调方向。须由第二人批准。"
    return Said(text=text, text_zh=said_zh)


def _gained(gain: Estimate) -> str:
    if isnan(gain.value):
        return "AUC undefined with one class"
    if isnan(gain.lower):
        return f"AUC {gain.value:+.4f}, no interval"
    return f"AUC {gain.value:+.4f}, {gain.lower:+.4f} to {gain.upper:+.4f}"


def _gained_zh(gain: Estimate) -> str:
    if isnan(gain.value):
        return "单一类别，AUC 无定义"
    if isnan(gain.lower):
        return f"AUC {gain.value:+.4f}，无区间"
    return f"AUC {gain.value:+.4f}，区间 {gain.lower:+.4f} 至 {gain.upper:+.4f}"


def _kept_zh(incumbent: str) -> str:
    return f"由{_ZH.get(incumbent, incumbent)}决策：没有其他模型满足规则。"


def _word(name: str) -> str:
    return name.replace("_", " ").capitalize()
