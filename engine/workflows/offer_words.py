"""In sentences, English and Chinese: how an offer was chosen, why its channel and hour, why a customer gets none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from engine.lake.runs import Run
from engine.workflows import decision_told

Pair = tuple[str, str]

_NO_WORDS: Final[Pair] = ("", "")
_HOW: Final = {
    "best": ("Drawn, and of what was left it is worth most{chance}.", "抽取所得，且为剩余产品中价值最高者{chance}。"),
    "explored": (
        "Drawn to learn, in place of the best that was left{chance}.",
        "为学习而抽取，替代剩余产品中价值最高者{chance}。",
    ),
    "control": ("Drawn evenly for the control group{chance}.", "对照组：在可推荐产品中均匀抽取{chance}。"),
}
_CHANCE: Final = ("; its chance was {chance:.1f} %", "，选取概率为 {chance:.1f} %")
_UNKNOWN: Final = ("; its chance is not known", "，选取概率未知")
_HOUR: Final = ("Best contacted about {hour:02d}:00.", "宜在 {hour:02d}:00 前后触达。")
_CONTROL: Final = {
    "random": (
        "In the control group of {control_period}: offers are drawn evenly among what is allowed.",
        "属于 {control_period} 对照组：在可推荐产品中均匀抽取。",
    ),
    "nothing": (
        "In the control group of {control_period}: gets no offer, though {eligible_products} products are allowed.",
        "属于 {control_period} 对照组：虽有 {eligible_products} 个可推荐产品，但不作推荐。",
    ),
}


def selection(offer: Mapping[Any, Any]) -> Pair:
    """Say how an offer was chosen; nothing where nothing was left to chance, or the run is older than draws."""
    how, chance = offer.get("selection"), offer.get("selection_probability")
    if how not in _HOW or (how == "best" and chance == 1):
        return _NO_WORDS
    told = _UNKNOWN if chance is None or pd.isna(chance) else _CHANCE
    en, zh = (
        text.format(chance=more.format(chance=100 * (chance or 0))) for text, more in zip(_HOW[how], told, strict=True)
    )
    return en, zh


def reach(offer: Mapping[Any, Any]) -> Pair:
    """Say why an offer goes out on its channel, and at which hour; nothing of an older run."""
    hour = offer.get("contact_hour")
    at = _NO_WORDS if hour is None or pd.isna(hour) else tuple(text.format(hour=int(hour)) for text in _HOUR)
    told = []
    for suffix, clock in zip(("", "_zh"), at, strict=True):
        parts = (offer.get(f"channel_reason{suffix}"), clock, offer.get(f"contact_hour_reason{suffix}"))
        told.append(("" if suffix else " ").join(part for part in parts if isinstance(part, str) and part))
    return told[0], told[1]


def standing(run: Run, customer_id: str) -> list[Pair]:
    """Say whether a customer is in the control group, and whether others of the household come first."""
    told = []
    for row in _of(run, "control_group", customer_id):
        en, zh = (text.format(**row) for text in _CONTROL[row["serves"]])
        told.append((en, zh))
    for row in _of(run, "withheld_contacts", customer_id):
        told.append(decision_told.gives_way(row["best_product_id"]))
    return told


def _of(run: Run, mart: str, customer_id: str) -> list[dict[str, Any]]:
    if not run.has(mart):
        return []
    rows: list[dict[str, Any]] = run.read(mart, where={"customer_id": customer_id}).to_pylist()
    return rows
