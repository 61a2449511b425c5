"""What a live decision tells: the offers, or why there are none, in English and Chinese."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from engine.recommendations import channels, explore, responses, terms, tracks
from engine.recommendations.bundle import Bundle
from engine.recommendations.decide import Assessed, DecisionTable
from engine.recommendations.frame import Flags
from engine.recommendations.gates import GATES

OFFERED: Final = "OFFERED"
REFUSED: Final = "REFUSED"
STALE_RUN, UNKNOWN_CUSTOMER, NO_RUN, RUN_NOT_USABLE = "STALE_RUN", "UNKNOWN_CUSTOMER", "NO_RUN", "RUN_NOT_USABLE"
_NOTHING_ASKED, _CONTROL, _HOUSEHOLD, _LIMITS = (
    "NOTHING_ASKED_FOR",
    "CONTROL_GROUP",
    "HOUSEHOLD_CONTACTED",
    "WITHHELD_BY_LIMITS",
)
_SENTENCES: Final[Mapping[str, tuple[str, str]]] = {
    NO_RUN: (
        "There is no completed run to decide from: nothing is offered until there is one.",
        "尚无已完成的运行可供决策，在此之前不作推荐。",
    ),
    RUN_NOT_USABLE: (
        "The current run cannot be decided from, for a reason that the server's log names: nothing is offered.",
        "当前运行无法用于决策（原因见服务器日志），不作推荐。",
    ),
    STALE_RUN: (
        "The latest run looks from too long ago: nothing is offered until there is a newer one.",
        "最近一次运行的数据截止日过早，在有新的运行之前不作推荐。",
    ),
    UNKNOWN_CUSTOMER: ("The run knows no customer of that id.", "运行中没有该客户号。"),
    _NOTHING_ASKED: (
        "There is something that may be offered, but nothing of it is asked for here.",
        "有可推荐的产品，但均不在本次请求的范围内。",
    ),
    _CONTROL: (
        "The customer is in the control group, which gets no offer.",
        "客户属于对照组，不作推荐。",
    ),
    _HOUSEHOLD: (
        "Others of the household are contacted in the customer's place.",
        "同户其他成员优先触达，本次不触达该客户。",
    ),
    _LIMITS: (
        "Limits on all offers together leave no room for one here.",
        "受全部推荐的总限额约束，已无余量。",
    ),
}
_TOLD: Final = 6  # gates that an answer names; the ledger has all


def told(code: str) -> dict[str, Any]:
    """Return a reason by its code."""
    text_en, text_zh = _SENTENCES[code]
    return {"code": code, "text_en": text_en, "text_zh": text_zh}


def offers(table: DecisionTable, bundle: Bundle, row: int) -> list[dict[str, Any]]:
    """Return the offers of one customer of a decided block, the best first; the values are those of the mart.

    The same as rows of the mart recommendations, made without its table: a test holds them together.
    """
    first, behind = np.searchsorted(table.offer_rows, [row, row + 1])
    return [_offer(table, bundle, row, place) for place in range(int(first), int(behind))]


def _offer(table: DecisionTable, bundle: Bundle, row: int, place: int) -> dict[str, Any]:
    product = int(table.offer_products[place])
    catalogue, on_terms = bundle.catalogue, table.offer_terms
    offer_id = catalogue.offers.offer_ids[product] if catalogue.offers else ""
    product_id = catalogue.product_ids[product]
    track = tracks.REASONS[table.offer_tracks[place]]
    note = int(on_terms.note[place])
    said = terms.NOTES[note] if note >= 0 else None
    return {
        "product_id": product_id,
        "offer_id": offer_id or product_id,
        "rank": int(table.rank[row, product]),
        **_reach(table, bundle, row),
        "propensity": _number(table.propensity[row, product]),
        "expected_value_minor": _whole(table.value[row, product]),
        "expected_loss_minor": _whole(table.loss[row, product]),
        "selection": explore.SELECTIONS[table.offer_selections[place]],
        "selection_probability": _number(table.offer_chances[place]),
        "track": track.track,
        "annual_rate": _number(on_terms.rate[place]),
        "limit_minor": _whole(on_terms.limit[place]),
        "amount_minor": _whole(on_terms.amount[place]),
        "terms_note": said and said.text_en,
        "terms_note_zh": said and said.text_zh,
        "reasons": [
            {"text_en": bundle.phrases.en[number], "text_zh": bundle.phrases.zh[number]}
            for number in table.offer_reasons[place].tolist()
            if number >= 0
        ],
    }


def _reach(table: DecisionTable, bundle: Bundle, row: int) -> dict[str, Any]:
    why = channels.REASONS[table.channel_reason[row]]
    hour = _whole(table.contact_hour[row])
    return {
        "channel": tuple(bundle.settings.contact_cost_minor)[table.channel[row]],
        "channel_reason": why.text_en,
        "channel_reason_zh": why.text_zh,
        "contact_hour": hour,
        "contact_day_part": None if hour is None else responses.day_part(hour),
    }


def reasons(found: Assessed, wide: Flags, row: int, *, withheld: bool) -> list[dict[str, Any]]:
    """Return why one customer of a block is offered nothing, what decides for all products first.

    `wide` (n, P) marks what no gate refuses, whatever the request asks for. A gate carries in `products` how many
    it refuses, the one that refuses most first; at most six are named.
    """
    told_of = []
    if wide[row].any():
        code = _LIMITS
        if withheld:
            code = _HOUSEHOLD
        elif found.held_out[row]:
            code = _CONTROL
        elif not found.enough[row][wide[row]].any():
            code = _NOTHING_ASKED
        told_of.append(told(code))
    bits = np.arange(len(GATES), dtype=np.uint64)
    counts = (found.masks[row][:, None] >> bits & np.uint64(1)).sum(axis=0).astype(int)
    for bit in np.argsort(-counts, kind="stable")[:_TOLD].tolist():
        if counts[bit]:
            gate = GATES[bit]
            told_of.append(
                {
                    "code": gate.reason_code,
                    "text_en": gate.text_en,
                    "text_zh": gate.text_zh,
                    "products": int(counts[bit]),
                }
            )
    return told_of


def _number(value: Any) -> float | None:
    number = float(value)
    return None if math.isnan(number) else number


def _whole(value: Any) -> int | None:
    number = float(value)
    return None if math.isnan(number) else int(number)
