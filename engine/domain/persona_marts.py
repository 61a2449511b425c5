"""The tables of a run about personas: a portrait of each behavioural cluster, and the figures it is made of."""

from __future__ import annotations

from engine.domain.schema import Column, Kind, Table

T, COUNT, N = Kind.TEXT, Kind.INTEGER, Kind.NUMBER


def _c(name: str, kind: Kind, meaning: str, meaning_zh: str, *, required: bool = False) -> Column:
    return Column(name=name, kind=kind, meaning=meaning, meaning_zh=meaning_zh, required=required)


PERSONAS = Table(
    name="personas",
    one_row_is="the portrait of one behavioural cluster",
    one_row_is_zh="一个行为聚类的画像",
    key=("cluster_id",),
    columns=(
        _c("cluster_id", COUNT, "number of the cluster", "聚类编号", required=True),
        _c("cluster_name", T, "its name", "聚类名称"),
        _c("cluster_name_zh", T, "its name in Chinese", "聚类中文名称"),
        _c("customers", COUNT, "how many belong to it", "客户数"),
        _c("portrait", T, "who they are, every sentence a row of persona_facts", "画像（英文）"),
        _c("portrait_zh", T, "the same in Chinese", "画像（中文）"),
        _c("approach", T, "what to say to them and where, each with its figure", "沟通建议（英文）"),
        _c("approach_zh", T, "the same in Chinese", "沟通建议（中文）"),
    ),
)

PERSONA_FACTS = Table(
    name="persona_facts",
    one_row_is="one figure of one behavioural cluster, beside that of everyone else",
    one_row_is_zh="一个行为聚类的一项指标及其余客户的对应值",
    key=("cluster_id", "kind", "subject"),
    columns=(
        _c("cluster_id", COUNT, "number of the cluster", "聚类编号", required=True),
        _c(
            "kind",
            T,
            "behaviour, life, product, channel, journey, risk or offer",
            "指标类别",
            required=True,
        ),
        _c("subject", T, "the feature, product, channel, journey, tier or offer", "指标对象", required=True),
        _c("inside", N, "share or mean of the cluster", "本聚类值"),
        _c("outside", N, "share or mean of everyone else with a cluster", "其余客户值"),
        _c("known_inside", COUNT, "customers of the cluster of whom it is known", "本聚类有值客户数"),
        _c("known_outside", COUNT, "customers of all others of whom it is known", "其余有值客户数"),
        _c(
            "effect_size",
            N,
            "Cohen's d of a mean, Cohen's h of a share; empty where one side has too few or nothing varies",
            "效应量",
        ),
        _c("lower", N, "lower limit of its 95 % interval", "区间下限"),
        _c("upper", N, "upper limit of its 95 % interval", "区间上限"),
        _c("told", Kind.BOOLEAN, "true where the portrait tells it", "是否写入画像"),
        _c("text", T, "the figure in a sentence", "说明（英文）"),
        _c("text_zh", T, "the same in Chinese", "说明（中文）"),
    ),
)
