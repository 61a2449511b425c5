"""How the bank served the customer: complaints, calls, satisfaction."""

from __future__ import annotations

from typing import Any

from engine.config.bank import BankSettings
from engine.domain.schema import Kind
from engine.features.feature import BOTH, CLUSTERING, Moment, Tables, Theme, features_of

_f = features_of("service")

FEATURES = (
    _f("complaints_90d", Kind.INTEGER, "complaints in 90 days", "近90天投诉数", zero=True, suits=BOTH),
    _f("complaints_365d", Kind.INTEGER, "complaints in 365 days", "近365天投诉数", zero=True, suits=(CLUSTERING,)),
    _f("complaints_open", Kind.INTEGER, "complaints not settled yet", "未办结投诉数", zero=True),
    _f(
        "days_since_last_complaint",
        Kind.INTEGER,
        "days since the latest complaint; empty when there never was one",
        "距最近投诉天数",
        unit="days",
    ),
    _f(
        "satisfaction_mean_365d",
        Kind.NUMBER,
        "mean of the scores (1 to 5) given in 365 days; empty without scores",
        "近365天平均满意度",
        unit="score 1 to 5",
    ),
    _f("calls_90d", Kind.INTEGER, "calls in 90 days", "近90天来电数", zero=True, suits=BOTH),
)


def build(tables: Tables, moment: Moment, bank: BankSettings) -> Any:
    """Return one row per customer who ever complained, called or answered."""
    interactions = tables["interactions"]
    known = interactions.filter(moment.known(interactions.occurred_at))
    complaint, call = known.kind == "complaint", known.kind == "call"
    quarter, year = moment.within(known.occurred_at, 90), moment.within(known.occurred_at, 365)
    score = known.satisfaction_score
    sums = known.group_by("customer_id").aggregate(
        complaints_90d=known.count(where=complaint & quarter),
        complaints_365d=known.count(where=complaint & year),
        complaints_open=known.count(where=complaint & moment.still(known.resolved_at)),
        last_complaint_at=known.occurred_at.max(where=complaint),
        score_sum=score.sum(where=year),
        scores=score.count(where=year),
        calls_90d=known.count(where=call & quarter),
    )
    return sums.mutate(
        days_since_last_complaint=moment.days_since(sums.last_complaint_at),
        satisfaction_mean_365d=sums.score_sum / sums.scores.nullif(0),
    ).drop("last_complaint_at", "score_sum", "scores")


THEME = Theme(name="service", reads=("interactions",), features=FEATURES, build=build)
