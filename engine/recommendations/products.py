"""The catalogue as arrays: the P products that decisions are made about, as of a day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from engine.domain.words import PRODUCT_FAMILIES
from engine.recommendations.columns import Flags, Floats, Integers
from engine.recommendations.offered import Offers


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """The products in the order of their ids; amounts are minor units of the base currency, NaN is unknown.

    `needs` is the place of the product that must be held first, -1 for none, -2 for one the bank does not sell.
    `margin` may have a row for each customer of a block, (n, P), where margins are tried beside each other.
    `term_months` is 0 for a line without a term. `under_review` marks products that the fairness gate holds back.
    """

    product_ids: tuple[str, ...]
    names_en: tuple[str, ...]
    names_zh: tuple[str, ...]
    families: tuple[str, ...]
    is_credit: Flags
    multiple: Flags
    on_sale: Flags
    margin: Floats
    amount: Floats
    lgd: Floats
    instalment: Floats
    term_months: Floats
    min_age: Floats
    max_age: Floats
    needs: Integers
    under_review: Flags
    offers: Offers | None = None
    lent: Integers = field(init=False, repr=False, compare=False)
    """The places of the products that are credit."""
    family_places: Integers = field(init=False, repr=False, compare=False)
    """The place of each product's family in PRODUCT_FAMILIES."""
    needing: tuple[tuple[int, int], ...] = field(init=False, repr=False, compare=False)
    """The place of each product that needs another first, with that of the other."""

    def __post_init__(self) -> None:
        """Work out once what each decision looks at."""
        families = np.array([PRODUCT_FAMILIES.index(family) for family in self.families], dtype=np.int64)
        needing = tuple((int(place), int(self.needs[place])) for place in np.flatnonzero(self.needs >= 0))
        for name, found in (
            ("lent", np.flatnonzero(self.is_credit)),
            ("family_places", families),
            ("needing", needing),
        ):
            object.__setattr__(self, name, found)

    @property
    def size(self) -> int:
        """How many products there are."""
        return len(self.product_ids)

    @property
    def offer_cost(self) -> Floats:
        """What proposing each product costs beside the channel, in minor units, shape (P,)."""
        return np.zeros(self.size) if self.offers is None else self.offers.cost

    @property
    def lever(self) -> Floats:
        """What the value of each product counts, shape (P,); 1 where the bank wants no more of one than another."""
        return np.ones(self.size) if self.offers is None else self.offers.lever

    def goes_out_on(self, channel: Integers) -> Flags:
        """Return which products may go out on the channel of each customer, shape (n, P); on none, -1, all."""
        if self.offers is None:
            return np.ones((len(channel), self.size), dtype=bool)
        fits: Flags = self.offers.channels.T[np.maximum(channel, 0)] | (channel < 0)[:, None]
        return fits


def plain_catalogue(products: pa.Table, as_of: datetime, revolving_payment_share: float) -> Catalogue:
    """Return the catalogue of a products table as of a day, without offers or levers.

    A date of sale that is empty sets no limit.
    """
    rows = products.sort_by("product_id").to_pydict()
    ids, today = tuple(rows["product_id"]), as_of.astimezone(UTC).date()
    numbers = {
        name: _numbers(rows[name])
        for name in ("annual_margin_minor", "typical_amount_minor", "typical_term_months", "annual_rate", "lgd")
    }
    place = {product: index for index, product in enumerate(ids)}
    return Catalogue(
        product_ids=ids,
        names_en=tuple(rows["name_en"]),
        names_zh=tuple(zh or en for zh, en in zip(rows["name_zh"], rows["name_en"], strict=True)),
        families=tuple(rows["family"]),
        is_credit=np.array([bool(value) for value in rows["is_credit"]]),
        multiple=np.array([bool(value) for value in rows["multiple"]]),
        on_sale=np.array([_sold(*dates, today) for dates in zip(rows["sold_since"], rows["sold_until"], strict=True)]),
        margin=numbers["annual_margin_minor"],
        amount=numbers["typical_amount_minor"],
        lgd=numbers["lgd"],
        instalment=instalments(
            numbers["typical_amount_minor"],
            numbers["annual_rate"],
            numbers["typical_term_months"],
            revolving_payment_share,
        ),
        term_months=np.nan_to_num(numbers["typical_term_months"]),
        min_age=_numbers(rows["min_age"]),
        max_age=_numbers(rows["max_age"]),
        needs=np.array([-1 if need is None else place.get(need, -2) for need in rows["requires_product_id"]]),
        under_review=np.zeros(len(ids), dtype=bool),
    )


def instalments(amount: Floats, annual_rate: Floats, term_months: Floats, revolving_share: float) -> Floats:
    """Return the monthly instalment of each product: an annuity, or a share of the limit where there is no term.

    NaN where the amount is unknown, or the rate of a loan with a term is.
    """
    monthly = annual_rate / 12
    with np.errstate(divide="ignore", invalid="ignore"):
        annuity = amount * monthly / (1 - (1 + monthly) ** -term_months)
    annuity = np.where(monthly == 0, amount / np.where(term_months > 0, term_months, np.nan), annuity)
    revolving = np.isnan(term_months) | (term_months == 0)
    # rounded up: a limit must not be passed for a fraction of a fen
    return np.ceil(np.where(revolving, amount * revolving_share, annuity))


def _sold(since: date | None, until: date | None, today: date) -> bool:
    return (since is None or since <= today) and (until is None or today <= until)


def _numbers(values: Sequence[Any]) -> Floats:
    return np.array([np.nan if value is None else float(value) for value in values], dtype=np.float64)
