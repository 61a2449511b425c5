"""The tables of named segmentations: who is in which group, what each group is like, how two of them cross."""

from __future__ import annotations

from engine.domain.schema import Column, Kind, Table

_SEGMENTATION = Column(
    name="segmentation", kind=Kind.TEXT, meaning="the segmentation, as its settings name it", meaning_zh="分群方式",
    required=True,
)  # fmt: skip
_GROUP = Column(
    name="segment_group", kind=Kind.TEXT, meaning="the group of it", meaning_zh="分群", required=True
)  # fmt: skip


def _c(name: str, kind: Kind, meaning: str, meaning_zh: str, *, required: bool = False) -> Column:
    return Column(name=name, kind=kind, meaning=meaning, meaning_zh=meaning_zh, required=required)


SEGMENTATIONS = Table(
    name="segmentations",
    one_row_is="one customer in one segmentation",
    one_row_is_zh="客户在一种分群中的归属",
    key=("segmentation", "customer_id"),
    columns=(
        _SEGMENTATION,
        _c("customer_id", Kind.TEXT, "the customer", "客户号", required=True),
        _GROUP,
    ),
)
SEGMENTATION_PROFILES = Table(
    name="segmentation_profiles",
    one_row_is="one feature of one group of one segmentation",
    one_row_is_zh="一种分群中一组的一个特征",
    key=("segmentation", "segment_group", "feature"),
    columns=(
        _SEGMENTATION,
        _GROUP,
        _c("group_name", Kind.TEXT, "the group's name", "分群名称"),
        _c("group_name_zh", Kind.TEXT, "the same in Chinese", "分群中文名"),
        _c("customers", Kind.INTEGER, "customers in it", "客户数"),
        _c("feature", Kind.TEXT, "feature of the feature table", "特征", required=True),
        _c("mean", Kind.NUMBER, "mean over those of the group of whom it is known", "群均值"),
        _c("overall_mean", Kind.NUMBER, "mean over all customers of whom it is known", "总体均值"),
    ),
)
SEGMENTATION_CROSSINGS = Table(
    name="segmentation_crossings",
    one_row_is="one group of one segmentation with one of another",
    one_row_is_zh="两种分群的一个交叉单元",
    key=("segmentation", "segment_group", "other_segmentation", "other_group"),
    columns=(
        _SEGMENTATION,
        _GROUP,
        _c("other_segmentation", Kind.TEXT, "the segmentation that it is crossed with", "另一分群方式", required=True),
        _c("other_group", Kind.TEXT, "the group of that", "另一分群", required=True),
        _c("customers", Kind.INTEGER, "customers in both", "客户数"),
        _c(
            "expected_customers",
            Kind.NUMBER,
            "customers in both if the two had nothing to do with each other",
            "期望数",
        ),
    ),
)

SEGMENT_MARTS = (SEGMENTATIONS, SEGMENTATION_PROFILES, SEGMENTATION_CROSSINGS)
