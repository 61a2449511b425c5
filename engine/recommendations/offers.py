"""The catalogue of a day: products in the treatment of the offers that hold then, weighed by the bank's levers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any, Final

import numpy as np
import pyarrow as pa

from engine.config.catalogue import CatalogueSettings, Offer
from engine.config.recommendations import RecommendationSettings
from engine.domain.errors import SettingsFault, UnknownName
from engine.recommendations.offered import Offers
from engine.recommendations.products import Catalogue, plain_catalogue

_OVERRIDES: Final = {
    "annual_margin_minor": "annual_margin_minor",
    "lgd": "lgd",
    "exposure_minor": "typical_amount_minor",
}
"""What an offer says in place of a column of the table products."""


def catalogue(
    products: pa.Table, as_of: datetime, settings: RecommendationSettings, offered: CatalogueSettings
) -> Catalogue:
    """Return the catalogue of a day.

    A product with offers of which none holds on the day is not on sale then.

    Raises
    ------
    SettingsFault
        An offer or a lever names what the bank does not have, or levers make a value count less than nothing.
    """
    revolving = settings.gates.revolving_payment_share
    if offered.is_plain:
        return plain_catalogue(products, as_of, revolving)
    told = faults(products, settings, offered)
    if told:
        raise SettingsFault("catalogue settings", told)
    today, rows = as_of.astimezone(UTC).date(), products.sort_by("product_id").to_pylist()
    held = [_held(offered, row["product_id"], today) for row in rows]
    treated = pa.Table.from_pylist([_treated(row, one) for row, one in zip(rows, held, strict=True)], products.schema)
    found = plain_catalogue(treated, as_of, revolving)
    named = {one.product_id for one in offered.offers}
    on_sale = np.array([one is not None or row["product_id"] not in named for row, one in zip(rows, held, strict=True)])
    return replace(found, on_sale=found.on_sale & on_sale, offers=_offers(rows, held, settings, offered))


def _held(offered: CatalogueSettings, product_id: str, day: date) -> Offer | None:
    return next((one for one in offered.offers if one.product_id == product_id and one.holds_on(day)), None)


def _treated(row: dict[str, Any], offer: Offer | None) -> dict[str, Any]:
    if offer is None:
        return row
    said = {column: getattr(offer, name) for name, column in _OVERRIDES.items()}
    return row | {column: value for column, value in said.items() if value is not None}


def _offers(
    rows: Sequence[dict[str, Any]],
    held: Sequence[Offer | None],
    settings: RecommendationSettings,
    offered: CatalogueSettings,
) -> Offers:
    channels = tuple(settings.contact_cost_minor)
    return Offers(
        offer_ids=tuple(one.offer_id if one else "" for one in held),
        channels=np.array(
            [[one is None or not one.channels or channel in one.channels for channel in channels] for one in held]
        ),
        cost=np.array([float(one.contact_cost_minor) if one else 0.0 for one in held]),
        lever=np.array(
            [_factor(row, one, offered) for row, one in zip(rows, held, strict=True)],
        ),
    )


def _factor(row: dict[str, Any], offer: Offer | None, offered: CatalogueSettings) -> float:
    return offered.levers.factor(
        issue=offer.issue if offer else None,
        family=row["family"],
        product=row["product_id"],
        offer=offer.offer_id if offer else None,
    )


def faults(products: pa.Table, settings: RecommendationSettings, offered: CatalogueSettings) -> list[str]:
    """Return a sentence for everything in offers and levers that does not fit the products and channels of the bank."""
    return [*_of_offers(products, settings, offered), *_of_levers(products, offered)]


def _of_offers(products: pa.Table, settings: RecommendationSettings, offered: CatalogueSettings) -> Iterator[str]:
    rows = {row["product_id"]: row for row in products.to_pylist()}
    for one in offered.offers:
        where = f"offers.{one.offer_id}"
        if one.product_id not in rows:
            unknown = UnknownName("product of the bank", one.product_id, sorted(rows)).sentence
            yield f"{where}.product_id: {unknown} Mend the name or take the offer out."
        elif not rows[one.product_id]["is_credit"] and one.lgd is not None:
            yield f"{where}.lgd: {one.product_id} is no credit, so that nothing can be lost on it. Take lgd out."
        unpriced = [name for name in one.channels if name not in settings.contact_cost_minor]
        if one.channels and len(unpriced) == len(one.channels):
            yield (
                f"{where}.channels: none of {', '.join(unpriced)} has a contact cost, so that nobody can be reached. "
                f"Give one a cost under [recommendations.contact_cost_minor], or name another channel."
            )


def _of_levers(products: pa.Table, offered: CatalogueSettings) -> Iterator[str]:
    rows, levers = products.to_pylist(), offered.levers
    known = {
        "issue": {one.issue for one in offered.offers if one.issue},
        "family": {row["family"] for row in rows},
        "product": {row["product_id"] for row in rows},
        "offer": {one.offer_id for one in offered.offers},
    }
    for kind, names in known.items():
        for name in getattr(levers, kind):
            if name not in names:
                yield f"levers.{kind}.{name}: {UnknownName(kind, name, sorted(names)).sentence} Take the lever out."
    for row in rows:
        for one in [None, *(offer for offer in offered.offers if offer.product_id == row["product_id"])]:
            factor = _factor(row, one, offered)
            if factor < 0:
                what = one.offer_id if one else row["product_id"]
                yield (
                    f"levers: those of {what} add up to {factor * 100 - 100:g} %, and a value cannot count less than "
                    f"nothing. Raise them to -100 or more together."
                )
