"""The rows that an allocation adds to a run: how close it came, what each limit costs, and what the limits changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from engine.domain.allocation_marts import ALLOCATION, ALLOCATION_CHANGES, ALLOCATION_LIMITS
from engine.domain.schema import Table
from engine.lake.schema import arrow_schema, to_contract
from engine.recommendations.allotment import Allotment


def tables(
    made: Allotment | None, customer_ids: pa.Array, product_ids: tuple[str, ...], channels: tuple[str, ...]
) -> dict[str, pa.Table]:
    """Return the marts of an allocation by name; without one they have no rows."""
    if made is None:
        return {mart.name: _table(mart, []) for mart in (ALLOCATION, ALLOCATION_LIMITS, ALLOCATION_CHANGES)}
    return {
        ALLOCATION.name: _table(ALLOCATION, list(_measures(made))),
        ALLOCATION_LIMITS.name: _table(
            ALLOCATION_LIMITS,
            [{"place": place} | row for place, row in enumerate(_limits(made, product_ids, channels))],
        ),
        ALLOCATION_CHANGES.name: _changes(made, customer_ids, product_ids),
    }


def note(made: Allotment) -> str:
    """Return in a sentence how close the offers came to the bound."""
    offers = made.used(made.offered).offers
    if made.share_of_bound is None:
        return "Limits on all offers together: no offer is possible within them."
    return (
        f"Limits on all offers together: {offers:,} offers instead of {made.used(made.without_limits).offers:,}, worth "
        f"{made.share_of_bound:.2%} of the most that the limits allow; prices from {made.sampled:,} customers."
    )


def _table(mart: Table, rows: list[dict[str, Any]]) -> pa.Table:
    return to_contract(mart, pa.Table.from_pylist(rows, schema=arrow_schema(mart)))


def _measures(made: Allotment) -> Iterator[dict[str, Any]]:
    withdrawn = int((made.by_prices & ~made.offered).sum())
    added = int((made.offered & ~made.by_prices).sum())
    measures = (
        (
            "bound_minor",
            made.bound,
            "No allocation within the limits is worth more, minor units.",
            "限额内任何分配的价值上界（最小货币单位）。",
        ),
        ("value_minor", made.value, "What the offers made are worth, minor units.", "实际推荐的期望价值。"),
        (
            "share_of_bound",
            made.share_of_bound,
            "The value over the bound; empty where no offer is possible.",
            "实际价值占上界的比例；无可行推荐时为空。",
        ),
        (
            "value_without_limits_minor",
            made.worth(made.without_limits),
            "What the offers without limits would be worth, minor units.",
            "无限额时推荐的期望价值。",
        ),
        ("offers", made.used(made.offered).offers, "Offers made.", "推荐条数。"),
        (
            "offers_without_limits",
            made.used(made.without_limits).offers,
            "Offers that would be made without limits.",
            "无限额时的推荐条数。",
        ),
        ("customers_sampled", made.sampled, "Customers whom the prices come from.", "计算影子价格的样本客户数。"),
        (
            "withdrawn_by_repair",
            withdrawn,
            "Offers that pay the prices and were withdrawn to hold a limit.",
            "为守住限额而撤回的推荐数。",
        ),
        (
            "added_by_repair",
            added,
            "Offers added where the prices left room within the limits.",
            "在限额余量内补充的推荐数。",
        ),
    )
    for measure, value, text, text_zh in measures:
        yield {
            "measure": measure,
            "value": None if value is None else float(value),
            "text": text,
            "text_zh": text_zh,
        }


def _limits(made: Allotment, products: tuple[str, ...], channels: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    limits, prices = made.limits, made.shadow_prices
    used, wanted = made.used(made.offered), made.used(made.without_limits)
    if np.isfinite(limits.budget):
        yield _limit("budget", None, allowed=limits.budget, used=used.budget, wanted=wanted.budget, price=prices.budget)
    capacities = (
        ("product_capacity", products, limits.product, used.product, wanted.product, prices.product),
        ("channel_capacity", channels, limits.channel, used.channel, wanted.channel, prices.channel),
    )
    for kind, names, most, made_of, wanted_of, price in capacities:
        for place in np.flatnonzero(np.isfinite(most)):
            counts = {"used": made_of[place], "wanted": wanted_of[place]}
            yield _limit(kind, names[place], allowed=most[place], **counts, price=price[place])
    for place in np.flatnonzero(limits.share > 0):
        had, would = (one.product[place] / one.offers if one.offers else None for one in (used, wanted))
        least, price_of = limits.share[place], prices.share[place]
        yield _limit("min_share", products[place], allowed=least, used=had, wanted=would, price=price_of)


def _limit(
    kind: str, subject: str | None, *, allowed: float, used: float | None, wanted: float | None, price: float
) -> dict[str, Any]:
    return {
        "kind": kind,
        "subject": subject,
        "allowed": float(allowed),
        "used": None if used is None else float(used),
        "wanted": None if wanted is None else float(wanted),
        "shadow_price_minor": float(price),
        "binds": bool(price > 0),
    }


def _changes(made: Allotment, customer_ids: pa.Array, product_ids: tuple[str, ...]) -> pa.Table:
    changed = (made.offered != made.without_limits) | (made.offered != made.by_prices)
    rows, products = np.nonzero(changed)
    return to_contract(
        ALLOCATION_CHANGES,
        pa.table(
            {
                "customer_id": customer_ids.take(pa.array(rows)),
                "product_id": pa.array(product_ids, pa.string()).take(pa.array(products)),
                "without_limits": made.without_limits[rows, products],
                "by_prices": made.by_prices[rows, products],
                "offered": made.offered[rows, products],
            }
        ),
    )
