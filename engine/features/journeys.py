"""Which products the customer looks at and applies for: the traces of a journey, whatever the product."""

from __future__ import annotations

from typing import Any, Final

from engine.config.bank import BankSettings
from engine.domain.schema import Kind
from engine.features.feature import BOTH, PROPENSITY, Feature, Moment, Tables, Theme, features_of

_f = features_of("journeys")

VIEWED: Final = "product_viewed"
STEPS: Final = {
    "product_views": (VIEWED, "product pages seen", "产品浏览次数"),
    "calculators_used": ("calculator_used", "calculators used", "试算次数"),
    "applications_started": ("application_started", "applications begun", "发起申请次数"),
    "applications_submitted": ("application_submitted", "applications handed in", "提交申请次数"),
}
"""Feature, event name and meaning of each step that is counted."""

WINDOWS: Final = (30, 90)


def _step(feature: str, days: int) -> Feature:
    _, meaning, zh = STEPS[feature]
    return _f(
        f"{feature}_{days}d",
        Kind.INTEGER,
        f"{meaning} in {days} days",
        f"近{days}天{zh}",
        zero=True,
        suits=BOTH if days == 90 else (PROPENSITY,),
    )


FEATURES = (
    *(_step(feature, days) for feature in STEPS for days in WINDOWS),
    _f(
        "products_viewed_90d",
        Kind.INTEGER,
        "different products looked at in 90 days",
        "近90天浏览产品种数",
        zero=True,
        suits=(PROPENSITY,),
    ),
    _f(
        "days_since_last_product_view",
        Kind.INTEGER,
        "days since a product page was last seen; empty when never",
        "距最近产品浏览天数",
        unit="days",
        suits=(PROPENSITY,),
    ),
)


def build(tables: Tables, moment: Moment, bank: BankSettings) -> Any:
    """Return one row per customer who ever took one of the steps."""
    events = tables["events"]
    names = [name for name, _, _ in STEPS.values()]
    steps = events.filter(
        moment.known(events.occurred_at) & events.customer_id.notnull() & events.event_name.isin(names)
    )
    is_view = steps.event_name == VIEWED
    sums = steps.group_by("customer_id").aggregate(
        **{
            f"{feature}_{days}d": steps.count(where=(steps.event_name == name) & moment.within(steps.occurred_at, days))
            for feature, (name, _, _) in STEPS.items()
            for days in WINDOWS
        },
        products_viewed_90d=steps.product_id.nunique(where=is_view & moment.within(steps.occurred_at, 90)),
        last_view_at=steps.occurred_at.max(where=is_view),
    )
    return sums.mutate(days_since_last_product_view=moment.days_since(sums.last_view_at)).drop("last_view_at")


THEME = Theme(name="journeys", reads=("events",), features=FEATURES, build=build)
