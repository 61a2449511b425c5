"""The tables of a run about who is contacted: the control group, and who gives way to others of the household."""

from __future__ import annotations

from engine.domain.schema import Column, Kind, Table

T, COUNT = Kind.TEXT, Kind.INTEGER


def _c(name: str, kind: Kind, meaning: str, meaning_zh: str, *, required: bool = False) -> Column:
    return Column(name=name, kind=kind, meaning=meaning, meaning_zh=meaning_zh, required=required)


CONTROL_GROUP = Table(
    name="control_group",
    one_row_is="one customer of the control group, who gets no advice",
    one_row_is_zh="一位对照组客户",
    key=("customer_id",),
    columns=(
        _c("customer_id", T, "id of the customer", "客户号", required=True),
        _c(
            "control_period",
            T,
            "the period for which the customer stays in it, such as 2026-06",
            "对照期",
            required=True,
        ),
        _c("serves", T, "random: an offer drawn evenly among those allowed; nothing: kept out of offers", "处理方式"),
        _c("eligible_products", COUNT, "products that no gate refused", "可推荐产品数"),
        _c("offers", COUNT, "offers made to the customer", "推荐条数"),
    ),
)
CHANNEL_RESPONSES = Table(
    name="channel_responses",
    one_row_is="one contact channel, for all products or one family of them",
    one_row_is_zh="一个触达渠道（全部产品或某一产品类别）",
    key=("family", "channel"),
    columns=(
        _c("family", T, "family of products, or all", "产品类别", required=True),
        _c("channel", T, "the contact channel", "触达渠道", required=True),
        _c("contacts", COUNT, "contacts old enough to have been answered", "触达次数"),
        _c("responses", COUNT, "how many of them were answered", "回应次数"),
        _c("response_rate", Kind.SHARE, "responses over contacts; empty without contacts", "回应率"),
        _c(
            "relative_response",
            Kind.NUMBER,
            "answers on the channel over those on the usual mix, drawn to 1 as far as chance explains the difference; "
            "empty where too few answers are known to choose by them",
            "相对回应率",
        ),
        _c(
            "tried",
            Kind.BOOLEAN,
            "true where there were contacts enough to choose the channel by answers",
            "是否可据以选择",
        ),
    ),
)
WITHHELD_CONTACTS = Table(
    name="withheld_contacts",
    one_row_is="one customer who gets nothing in this run because others of the household are contacted",
    one_row_is_zh="一位因同户其他成员被触达而本次不触达的客户",
    key=("customer_id",),
    columns=(
        _c("customer_id", T, "id of the customer", "客户号", required=True),
        _c("reason_code", T, "HOUSEHOLD_CONTACTED", "原因码"),
        _c("best_product_id", T, "the product that would have been offered first", "原首选产品"),
        _c("best_value_minor", Kind.MONEY, "what that offer would have been worth, base currency", "原首选期望价值"),
        _c("household_contacts_left", COUNT, "contacts that the caps leave the household", "家庭剩余触达次数"),
        _c("household_members_wanting", COUNT, "members for whom there was anything to offer", "待触达的家庭成员数"),
    ),
)
