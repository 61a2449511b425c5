"""What a live decision tells: the offers, or why there are none, in English and Chinese."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from engine.recommendations import channels, explore, responses, terms, tracks
from engine.recommendations.bundle import Bundle
from engine.recommendations.decide import Assessed, DecisionTable
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


def offers(table: DecisionTable, bundle: Bundle, row: int, places: range) -> list[dict[str, Any]]:
    """Return the offers of one customer of a decided block, which stand at `places`; the values are those of the mart.

    The same as rows of the mart recommendations, made without its table: a test holds them together.
    """
    reach = _reach(table, bundle, row) if places else {}
    return [_offer(table, bundle, row, place, reach) for place in places]


def _offer(table: DecisionTable, bundle: Bundle, row: int, place: int, reach: Mapping[str, Any]) -> dict[str, Any]:
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
        **reach,
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


def reasons(found: Assessed, row: int, refusals: Sequence[int], *, withheld: bool) -> list[dict[str, Any]]:
    """Return why one customer of a block is offered nothing, what decides for all products first.

    `refusals` says how many products each gate refuses, which it carries in `products`, the one that refuses most
    first; at most six are named.
    """
    told_of = []
    # what no gate refuses, whatever the request asks for
    passed = found.masks[row] == 0
    if passed.any():
        code = _LIMITS
        if withheld:
            code = _HOUSEHOLD
        elif found.held_out[row]:
            code = _CONTROL
        elif not found.enough[row][passed].any():
            code = _NOTHING_ASKED
        told_of.append(told(code))
    refusing = sorted((bit for bit, count in enumerate(refusals) if count), key=lambda bit: -refusals[bit])
    return told_of + [_TOLD_OF[bit] | {"products": refusals[bit]} for bit in refusing[:_TOLD]]


_TOLD_OF: Final = tuple({"code": gate.reason_code, "text_en": gate.text_en, "text_zh": gate.text_zh} for gate in GATES)


def _number(value: Any) -> float | None:
    number = float(value)
    return None if math.isnan(number) else number


def _whole(value: Any) -> int | None:
    number = float(value)
    return None if math.isnan(number) else int(number)
