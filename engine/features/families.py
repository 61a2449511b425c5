"""Which families of products the customer holds; needs the product table beside the holdings."""

from __future__ import annotations

from typing import Any

from engine.config.bank import BankSettings
from engine.domain.schema import Kind
from engine.domain.words import PRODUCT_FAMILIES
from engine.features.feature import CLUSTERING, Moment, Tables, Theme, features_of

_f = features_of("families")

_ZH = {
    "account": "账户",
    "deposit": "存款",
    "card": "银行卡",
    "loan": "贷款",
    "mortgage": "按揭",
    "insurance": "保险",
    "investment": "投资理财",
}

# not inputs of a propensity: what is held already decides by itself what can still be offered
FEATURES = (
    *(
        _f(
            f"held_{family}",
            Kind.INTEGER,
            f"open holdings of the family {family}",
            f"在持{_ZH[family]}数",
            zero=True,
            suits=(CLUSTERING,),
        )
        for family in PRODUCT_FAMILIES
    ),
    *(
        _f(
            f"has_{family}",
            Kind.BOOLEAN,
            f"true with at least one open holding of the family {family}",
            f"是否持有{_ZH[family]}",
            zero=True,
        )
        for family in PRODUCT_FAMILIES
    ),
    _f(
        "credit_held",
        Kind.INTEGER,
        "open holdings in which the bank lends",
        "在持授信合约数",
        zero=True,
        suits=(CLUSTERING,),
    ),
)


def build(tables: Tables, moment: Moment, bank: BankSettings) -> Any:
    """Return one row per customer who holds something open."""
    holdings = tables["holdings"]
    products = tables["products"].select("product_id", "family", "is_credit")
    held = holdings.filter(moment.known(holdings.opened_at) & moment.still(holdings.closed_at))
    held = held.select("customer_id", "product_id").join(products, "product_id")
    counted = held.group_by("customer_id").aggregate(
        **{f"held_{family}": held.count(where=held.family == family) for family in PRODUCT_FAMILIES},
        credit_held=held.count(where=held.is_credit),
    )
    return counted.mutate(**{f"has_{family}": counted[f"held_{family}"] > 0 for family in PRODUCT_FAMILIES})


THEME = Theme(name="families", reads=("holdings", "products"), features=FEATURES, build=build)
