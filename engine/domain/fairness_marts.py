"""The table of a run that tells how often each group is offered each product, and what follows."""

from __future__ import annotations

from engine.domain.schema import Column, Kind, Table

T, N, S, B = Kind.TEXT, Kind.NUMBER, Kind.SHARE, Kind.BOOLEAN
COUNT = Kind.INTEGER


def _c(name: str, kind: Kind, meaning: str, meaning_zh: str, *, required: bool = False) -> Column:
    return Column(name=name, kind=kind, meaning=meaning, meaning_zh=meaning_zh, required=required)


OFFER_FAIRNESS = Table(
    name="offer_fairness",
    one_row_is="one group's offers of one product",
    one_row_is_zh="某群体获得某产品推荐的情况",
    key=("product_id", "attribute", "group"),
    columns=(
        _c("product_id", T, "the product", "产品", required=True),
        _c("attribute", T, "what is protected", "受保护属性", required=True),
        _c("group", T, "the group; not recorded where nobody wrote it down", "群体", required=True),
        _c(
            "verdict",
            T,
            "unexplained, may_be_chance, explained, pass, reference, insufficient, not_assessable or suppressed",
            "结论",
        ),
        _c("held_back", B, "true where the product is held back from everybody for such a difference", "是否暂停"),
        _c("customers", COUNT, "customers of the group; empty where nothing is shown", "客户数"),
        _c("eligible", COUNT, "of them, let pass by every gate that law, risk or the product demand", "符合条件数"),
        _c("offered_customers", COUNT, "of them, offered the product", "获推荐数"),
        _c("offer_rate", S, "offered / customers", "推荐率"),
        _c("reference", T, "the group with the highest rate", "参照群体"),
        _c("ratio", N, "offer_rate / that of the reference: a screening figure", "比率"),
        _c("ratio_lower", N, "lower end of its 95 % interval", "比率 95% 下限"),
        _c("ratio_upper", N, "upper end of its 95 % interval", "比率 95% 上限"),
        _c("eligible_ratio", N, "the same among the eligible alone", "符合条件者的比率"),
        _c("eligible_reference", T, "the group with the highest rate among the eligible", "符合条件者的参照群体"),
        _c(
            "adjusted_p_value",
            S,
            "of no difference among the eligible, corrected for all products and groups of the attribute (Holm)",
            "校正 p 值",
        ),
        _c("text", T, "what was found, in a sentence", "英文说明"),
        _c("text_zh", T, "the same in Chinese", "中文说明"),
    ),
)
