"""How far and how lately each customer went towards each product, and what that adds to the odds of opening it.

A stalled application is the plainest sign there is that somebody wants a product, and one that no feature of the
customer alone can give: it belongs to the pair. Each pair has one code, a place in `CODES`. What a code adds to the
log-odds is learned for all products together, on top of what a model says already, so that the few who are under way
are enough to learn from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.lake.schema import instant
from engine.recommendations import columns

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Codes = NDArray[np.int8]
Days = NDArray[np.float32]

DEPTHS: Final = (
    ("product_viewed", "calculator_used"),
    ("application_started", "documents_uploaded"),
    ("application_submitted",),
)
"""Names of events by how far they go: looked at, application begun, application handed in."""

DAYS: Final = (7, 30, 90)
"""How lately the last step was taken: days back, the nearest first."""

_TABLE: Final = "events"
_SAID: Final = (
    ("Looked at this product in the last {days} days.", "近{days}天浏览过该产品。"),
    ("Began an application for this product in the last {days} days.", "近{days}天开始申请该产品。"),
    ("Handed in an application for this product in the last {days} days.", "近{days}天提交过该产品的申请。"),
)
# a code's log-odds has this precision at 0 before anything is seen: a standard deviation of 1
_RIDGE: Final = 1.0
_NEWTON_STEPS: Final = 8
_LEAST: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """What one code says of a customer and a product, in English and Chinese; "" for no step at all."""

    text_en: str
    text_zh: str


CODES: Final = (
    Code(text_en="", text_zh=""),
    *(Code(text_en=en.format(days=days), text_zh=zh.format(days=days)) for (en, zh), days in product(_SAID, DAYS)),
    Code(text_en=f"Looked into this product more than {DAYS[-1]} days ago.", text_zh=f"{DAYS[-1]}天前了解过该产品。"),
    Code(
        text_en=f"Looked into a similar product in the last {DAYS[-1]} days.",
        text_zh=f"近{DAYS[-1]}天了解过同类产品。",
    ),
    Code(
        text_en=f"Looked into a similar product more than {DAYS[-1]} days ago.",
        text_zh=f"{DAYS[-1]}天前了解过同类产品。",
    ),
)
"""Every code; its number is its place here."""

_OWN_EARLIER: Final = 1 + len(DEPTHS) * len(DAYS)
_SIMILAR, _SIMILAR_EARLIER = _OWN_EARLIER + 1, _OWN_EARLIER + 2


def steps(tables: Mapping[str, Any], as_of: datetime) -> Any | None:
    """Return who took steps towards which product up to the instant; None where the bank has no table of events.

    One row per customer and product with any step: customer_id, product_id, `last_step_at`, and `depth`, the place in
    DEPTHS of the furthest step of the last days that count, null where the last one lies further back.
    """
    if _TABLE not in tables:
        return None
    events = tables[_TABLE]
    named = {name: depth for depth, names in enumerate(DEPTHS) for name in names}
    rows = events.filter(
        events.customer_id.notnull()
        & events.product_id.notnull()
        & events.event_name.isin(list(named))
        & (events.occurred_at <= instant(as_of))
    )
    lately = rows.occurred_at > instant(as_of - timedelta(days=DAYS[-1]))
    depth = rows.event_name.cases(*named.items())
    return rows.group_by("customer_id", "product_id").agg(
        last_step_at=rows.occurred_at.max(), depth=depth.max(where=lately).cast("int64")
    )


def codes(
    taken: pa.Table | None,
    holdings: pa.Table,
    ids: pa.Array,
    *,
    product_ids: Sequence[str],
    together: Sequence[str],
    as_of: datetime,
) -> Codes:
    """Return the code of each customer and product, shape (len(ids), P), from rows of `steps`.

    Steps taken before a product was opened that is still held (`holdings`, as in `inputs.holdings`) led to it and say
    nothing more of it. Of the other products with its label in `together` (see `labels`) the latest step counts,
    whatever it led to. None, or no rows, give no step at all.
    """
    found = np.zeros((len(ids), len(product_ids)), dtype=np.int8)
    if taken is None or taken.num_rows == 0:
        return found
    rows, places = _places(taken, ids, product_ids)
    known = (rows >= 0) & (places >= 0)
    # only who took any step: a small part of a large bank
    who, row = np.unique(rows[known], return_inverse=True)
    days = np.full((len(who), len(product_ids)), np.inf, dtype=np.float32)
    depth = np.full(days.shape, -1, dtype=np.int8)
    days[row, places[known]] = _days_before(as_of, taken["last_step_at"])[known]
    depth[row, places[known]] = columns.values(taken["depth"], -1)[known]
    similar = _latest_of_others(days, together)
    _forget_opened(days, holdings, ids.take(pa.array(who)), product_ids, as_of)
    found[who] = _of_steps(days, depth, similar)
    return found


def labels(
    product_ids: Sequence[str], families: Sequence[str], chosen_between: Sequence[Sequence[str]]
) -> tuple[str, ...]:
    """Return one label a product, equal for those that customers choose between.

    Where a bank says which products these are (`chosen_between`), a product that is in no such list is like no other;
    where it says nothing, products of one family are alike.
    """
    if not chosen_between:
        return tuple(families)
    first = {one: listed[0] for listed in reversed(chosen_between) for one in listed}
    return tuple(first.get(one, one) for one in product_ids)


def _of_steps(days: Days, depth: Codes, similar: Days) -> Codes:
    """Return the codes of customers by days since the last step, how far it went, and days since a similar one.

    Days are infinite where there is no step.
    """
    found, own = np.zeros(days.shape, dtype=np.int8), np.isfinite(days)
    found[np.isfinite(similar)] = _SIMILAR_EARLIER
    found[similar < DAYS[-1]] = _SIMILAR
    found[own] = _OWN_EARLIER
    band = np.searchsorted(DAYS, days, side="right").astype(np.int8)
    late = own & (band < len(DAYS)) & (depth >= 0)
    found[late] = (1 + depth * len(DAYS) + band)[late]
    return found


def _places(table: pa.Table, ids: pa.Array, product_ids: Sequence[str]) -> tuple[Any, Any]:
    return (
        columns.places(table["customer_id"], ids),
        columns.places(table["product_id"], pa.array(product_ids, pa.string())),
    )


def _days_before(as_of: datetime, when: Any) -> Days:
    return columns.values(columns.days_before(as_of, when), np.inf).astype(np.float32)


def _forget_opened(days: Days, holdings: pa.Table, ids: pa.Array, product_ids: Sequence[str], as_of: datetime) -> None:
    """Take out the pairs whose last step is no later than the opening of what is held."""
    rows, places = _places(holdings, ids, product_ids)
    known = (rows >= 0) & (places >= 0)
    opened, pairs = _days_before(as_of, holdings["opened_at"])[known], (rows[known], places[known])
    days[pairs] = np.where(days[pairs] >= opened, np.inf, days[pairs])


def _latest_of_others(days: Days, together: Sequence[str]) -> Days:
    """Return the days since the latest step towards another product of the same label; infinite for none."""
    latest, label_of = np.full_like(days, np.inf), np.array(together)
    for label in sorted(set(together)):
        members = np.flatnonzero(label_of == label)
        if len(members) < 2:
            continue
        within = np.sort(days[:, members], axis=1)[:, :2]
        # who is the latest themselves look to the second
        latest[:, members] = np.where(days[:, members] == within[:, :1], within[:, 1:], within[:, :1])
    return latest


def learn(found: Codes, scores: Floats, opened: Flags, eligible: Flags) -> Floats:
    """Return what each code adds to the log-odds that scores stand for, shape (len(CODES),); 0 for no step at all.

    Logistic regression with the log-odds of the scores as offset, one coefficient a code and a normal prior around 0,
    by Newton's method: the codes exclude each other, so each has an equation of its own. All arrays are (n, P).
    """
    pairs = eligible & (found > 0)
    code, chance = found[pairs].astype(np.int64), np.clip(scores[pairs], _LEAST, 1 - _LEAST)
    odds, yes = chance / (1 - chance), opened[pairs]
    seen = np.bincount(code, weights=yes, minlength=len(CODES))
    added = np.zeros(len(CODES))
    for _ in range(_NEWTON_STEPS):
        lifted = odds * np.exp(added)[code]
        rate = lifted / (1 + lifted)
        slope = seen - np.bincount(code, weights=rate, minlength=len(CODES)) - _RIDGE * added
        curve = np.bincount(code, weights=rate * (1 - rate), minlength=len(CODES)) + _RIDGE
        added += np.clip(slope / curve, -1.0, 1.0)
    added[0] = 0.0
    return added


def lift(scores: Floats, found: Codes, factors: Floats) -> Floats:
    """Return scores whose odds are multiplied by the factor of each pair's code; those without a step stay as they are.

    Multiplied and divided only, so that one row and many give the same bits.
    """
    rows, places = np.nonzero(found)
    if not len(rows):
        return scores
    lifted = scores.copy()
    was, times = scores[rows, places], factors[found[rows, places]]
    lifted[rows, places] = was * times / (1 - was + was * times)
    return lifted
