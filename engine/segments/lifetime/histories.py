"""From single amounts to one row per customer: when he bought, how often, for how much, what he sent back.

A purchase is a day on which a customer bought something: ten lines of one bill, or two bills of one day, are one
purchase, since no habit shows in hours. An amount below 0 is a return: it lessens the money and is no purchase. An
amount of 0 is neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CUSTOMER: Final = "customer_id"
DAY: Final = "day"
AMOUNT: Final = "amount"
_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Histories:
    """What is known of each customer up to a day; every array has one value per customer, sorted by id.

    repeats : purchases after the first. first_day, last_day : of purchases, in days since 1970. age_days : from the
    first purchase to the end; until_last_days : from the first to the last. spent : sum of all amounts above 0,
    returned : what was sent back, above 0. repeat_spend : mean of the purchases after the first; nan without any.
    """

    customer_id: pa.Array
    repeats: Floats
    first_day: Floats
    last_day: Floats
    until_last_days: Floats
    age_days: Floats
    spent: Floats
    returned: Floats
    repeat_spend: Floats

    def __len__(self) -> int:
        return len(self.repeats)


def per_customer(rows: Any) -> Any:
    """Return the expression with one row per customer who bought on at least one day.

    `rows` is an Ibis expression with `customer_id`, `day` (whole, since 1970) and `amount`.
    """
    bought, back = rows[AMOUNT] > 0, rows[AMOUNT] < 0
    days = rows.group_by([CUSTOMER, DAY]).aggregate(
        bought=rows[AMOUNT].sum(where=bought).fill_null(0), returned=(-rows[AMOUNT]).sum(where=back).fill_null(0)
    )
    buys = days.bought > 0
    made = days.group_by(CUSTOMER).aggregate(
        purchases=buys.sum(),
        first_day=days[DAY].min(where=buys),
        last_day=days[DAY].max(where=buys),
        spent=days.bought.sum(),
        first_spend=days.bought.argmin(days[DAY], where=buys),
        returned=days.returned.sum(),
    )
    return made.filter(made.purchases > 0).order_by(CUSTOMER)


def days_of(time: Any) -> Any:
    """Return the expression of the day of a naive UTC instant, whole and since 1970."""
    return (time.epoch_seconds() / _SECONDS).floor().cast("int64")


def histories(rows: pa.Table, end_day: int) -> Histories:
    """Return the histories of what `per_customer` gave, seen from the end of `end_day`."""
    value = {name: rows[name].cast(pa.float64()).to_numpy() for name in rows.column_names if name != CUSTOMER}
    repeats = value["purchases"] - 1
    later = np.full(len(repeats), np.nan)
    np.divide(value["spent"] - value["first_spend"], repeats, out=later, where=repeats > 0)
    return Histories(
        customer_id=rows[CUSTOMER].combine_chunks(),
        repeats=repeats,
        first_day=value["first_day"],
        last_day=value["last_day"],
        until_last_days=value["last_day"] - value["first_day"],
        age_days=end_day - value["first_day"],
        spent=value["spent"],
        returned=value["returned"],
        repeat_spend=later,
    )
