"""What the customer holds: how much, since when, what came and went."""

from __future__ import annotations

from typing import Any

from engine.config.bank import BankSettings
from engine.domain.schema import Kind
from engine.features.feature import BOTH, CLUSTERING, PROPENSITY, Moment, Tables, Theme, features_of, in_base

_f = features_of("holdings")

FEATURES = (
    _f("products_held", Kind.INTEGER, "different products held open", "在持产品种数", zero=True, suits=BOTH),
    _f("holdings_open", Kind.INTEGER, "open accounts, cards, loans, policies, funds", "在持合约数", zero=True),
    _f(
        "months_since_last_opening",
        Kind.INTEGER,
        "full months since anything was last opened",
        "距最近开立（月）",
        unit="months",
        suits=(PROPENSITY,),
    ),
    _f("holdings_opened_90d", Kind.INTEGER, "opened in 90 days", "近90天开立数", zero=True, suits=(PROPENSITY,)),
    _f("holdings_opened_365d", Kind.INTEGER, "opened in 365 days", "近365天开立数", zero=True, suits=BOTH),
    _f("holdings_closed_365d", Kind.INTEGER, "closed in 365 days", "近365天关闭数", zero=True, suits=BOTH),
    _f(
        "credit_limit_minor",
        Kind.MONEY,
        "sum of the credit limits of what is open",
        "在持信用额度合计",
        unit="minor units of the base currency",
        zero=True,
        suits=(CLUSTERING,),
    ),
)


def build(tables: Tables, moment: Moment, bank: BankSettings) -> Any:
    """Return one row per customer who has ever held anything."""
    holdings = tables["holdings"]
    begun = holdings.filter(moment.known(holdings.opened_at))
    is_open = moment.still(begun.closed_at)
    closed = moment.known(begun.closed_at)
    limit = in_base(begun.limit_minor, begun.currency, bank)
    return begun.group_by("customer_id").aggregate(
        products_held=begun.product_id.nunique(where=is_open),
        holdings_open=begun.count(where=is_open),
        months_since_last_opening=moment.months_since(begun.opened_at.max()),
        holdings_opened_90d=begun.count(where=moment.within(begun.opened_at, 90)),
        holdings_opened_365d=begun.count(where=moment.within(begun.opened_at, 365)),
        holdings_closed_365d=begun.count(where=closed & moment.within(begun.closed_at, 365)),
        credit_limit_minor=limit.sum(where=is_open),
    )


THEME = Theme(name="holdings", reads=("holdings",), features=FEATURES, build=build)
