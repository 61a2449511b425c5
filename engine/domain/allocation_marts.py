"""The tables of a run about limits on all offers together: how close it came, what each limit costs, what it changed.

Without a limit under [allocation] they have no rows.
"""

from __future__ import annotations

from engine.domain.schema import Column, Kind, Table

T, N, B = Kind.TEXT, Kind.NUMBER, Kind.BOOLEAN
COUNT = Kind.INTEGER


def _c(name: str, kind: Kind, meaning: str, meaning_zh: str, *, required: bool = False) -> Column:
    return Column(name=name, kind=kind, meaning=meaning, meaning_zh=meaning_zh, required=required)


ALLOCATION = Table(
    name="allocation",
    one_row_is="one measure of the allocation of offers",
    one_row_is_zh="推荐分配的一项指标",
    key=("measure",),
    columns=(
        _c(
            "measure",
            T,
            "bound_minor, value_minor, share_of_bound, value_without_limits_minor, offers, offers_without_limits, "
            "customers_sampled, withdrawn_by_repair, added_by_repair",
            "指标",
            required=True,
        ),
        _c("value", N, "the measure; empty when undefined", "值"),
        _c("text", T, "what it means, in a sentence", "英文说明"),
        _c("text_zh", T, "the same in Chinese", "中文说明"),
    ),
)
ALLOCATION_LIMITS = Table(
    name="allocation_limits",
    one_row_is="one limit on all offers together",
    one_row_is_zh="对全部推荐的一项限额",
    key=("place",),
    columns=(
        _c("place", COUNT, "order of the limit", "序号", required=True),
        _c("kind", T, "budget, product_capacity, channel_capacity or min_share", "限额类型"),
        _c("subject", T, "the product or channel; empty for the budget", "产品或渠道"),
        _c("allowed", N, "the limit: minor units, offers, or for a minimum share the least share of all", "限额"),
        _c("used", N, "what the offers made use of it, in the same unit; empty for a share of no offers", "已用"),
        _c("wanted", N, "what the offers would use that were made without limits", "无限额时的用量"),
        _c(
            "shadow_price_minor",
            N,
            "expected value that one more unit would bring, or one offer fewer asked of the product, minor units",
            "影子价格",
        ),
        _c("binds", B, "true where the shadow price is above 0: the limit costs value", "是否约束"),
    ),
)
ALLOCATION_CHANGES = Table(
    name="allocation_changes",
    one_row_is="one product of one customer whose offer the limits changed",
    one_row_is_zh="因限额而变化的一条客户推荐",
    key=("customer_id", "product_id"),
    columns=(
        _c("customer_id", T, "the customer", "客户号", required=True),
        _c("product_id", T, "the product", "产品", required=True),
        _c("without_limits", B, "true where it would be offered without limits", "无限额时是否推荐"),
        _c("by_prices", B, "true where it pays the shadow prices, as a single decision sees it", "按影子价格是否推荐"),
        _c("offered", B, "true where it is offered in the end", "最终是否推荐"),
    ),
)
ALLOCATION_MARTS = (ALLOCATION, ALLOCATION_LIMITS, ALLOCATION_CHANGES)
