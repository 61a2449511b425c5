"""Two policies side by side, as charts: what reaches whom, which gates do it, and who gains and who loses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import altair as alt
import pandas as pd

from engine.ui.views.figure import (
    BAND,
    CONTINUED,
    DROPPED,
    GOOD,
    NEUTRAL,
    Figure,
    axis,
    height_of,
    legend,
    scale,
    signed_axis,
)
from engine.ui.words import UNDEFINED, Words, is_undefined

Facts = Mapping[str, Any]
BREAKDOWNS: Final = ("value_tier", "risk_tier", "cluster")
_MOVES: Final = {"gains": GOOD, "loses": DROPPED, "other_products": "#8FB0F0"}


def tiles(facts: Facts, w: Words) -> list[tuple[str, str, str]]:
    """Return the key figures: after the change, with what they were before."""
    return [
        (
            w.t(f"what_if.{one['measure']}"),
            _total(one, one["after"], w),
            w.t("what_if.before_help", before=_total(one, one["before"], w), change=_share(one["change_share"], w)),
        )
        for one in facts["totals"]
        if one["measure"] != "pairs_passed"
    ]


def products(facts: Facts, w: Words) -> Figure:
    """Return offers by product under both policies, the most changed first."""
    rows = [one for one in facts["products"] if one["offers_before"] or one["offers_after"]]
    rows.sort(key=lambda one: -abs(one["offers_after"] - one["offers_before"]))
    names = {one["product_id"]: w.name("product", one["product_id"]) for one in rows}
    sides = {w.t("what_if.before"): ("before", NEUTRAL), w.t("what_if.after"): ("after", CONTINUED)}
    tidy = pd.DataFrame(
        [
            {"product": names[one["product_id"]], "side": side, "offers": one[f"offers_{when}"]}
            for one in rows
            for side, (when, _) in sides.items()
        ]
    )
    table = pd.DataFrame(
        {
            w.t("recommendations.product"): list(names.values()),
            w.t("what_if.offers_before"): [one["offers_before"] for one in rows],
            w.t("what_if.offers_after"): [one["offers_after"] for one in rows],
            w.t("what_if.value_before"): [w.money(one["expected_value_before_minor"]) for one in rows],
            w.t("what_if.value_after"): [w.money(one["expected_value_after_minor"]) for one in rows],
        }
    )
    if all("expected_loss_before_minor" in one for one in rows):  # who may not see risk is told no losses
        table[w.t("what_if.loss_before")] = [w.money(one["expected_loss_before_minor"]) for one in rows]
        table[w.t("what_if.loss_after")] = [w.money(one["expected_loss_after_minor"]) for one in rows]
    said = finding(facts, w)
    chart = None
    if rows:
        colours = {side: colour for side, (_, colour) in sides.items()}
        chart = (
            alt.Chart(tidy)
            .mark_bar()
            .encode(
                x=alt.X("offers:Q", title=w.t("recommendations.axis_offers"), axis=axis()),
                y=alt.Y("product:N", sort=list(names.values()), title=None, axis=alt.Axis(labelLimit=220)),
                yOffset=alt.YOffset("side:N", sort=list(sides)),
                color=alt.Color("side:N", scale=scale(colours), legend=legend(colours)),
                tooltip=[
                    alt.Tooltip("product:N", title=w.t("recommendations.product")),
                    alt.Tooltip("side:N", title=w.t("what_if.policy")),
                    alt.Tooltip("offers:Q", title=w.t("recommendations.offers"), format=",.0f"),
                ],
            )
            .properties(height=height_of(len(rows), 32, 110))
        )
    return Figure(finding=said, chart=chart, alt=said, table=table, note=" ".join(facts["notes"]))


def finding(facts: Facts, w: Words) -> str:
    """Say in one sentence what the change does."""
    totals = {one["measure"]: one for one in facts["totals"]}
    moves = facts["moves"]["customers"]
    loss = totals.get("expected_loss_minor")
    told = w.t("what_if.finding_loss", loss=_share(loss["change_share"], w)) if loss else ""
    return w.t(
        "what_if.finding",
        before=w.number(totals["offers"]["before"]),
        after=w.number(totals["offers"]["after"]),
        value=_share(totals["expected_value_minor"]["change_share"], w),
        loss=told,
        gains=w.number(moves["gains"]),
        loses=w.number(moves["loses"]),
    )


def gates(facts: Facts, w: Words) -> Figure:
    """Return how many pairs more or fewer each gate refuses."""
    rows = [one for one in facts["gates"] if one["change"]]
    rows.sort(key=lambda one: -abs(one["change"]))
    asked = [one for one in facts["gates"] if one["refused_before"] or one["refused_after"]]
    table = pd.DataFrame(
        {
            w.t("recommendations.gate"): [w.label("gate", one["gate"]) for one in asked],
            w.t("what_if.refused_before"): [one["refused_before"] for one in asked],
            w.t("what_if.refused_after"): [one["refused_after"] for one in asked],
            w.t("what_if.alone_before"): [one["alone_before"] for one in asked],
            w.t("what_if.alone_after"): [one["alone_after"] for one in asked],
        }
    )
    if not rows:
        finding = w.t("what_if.finding_no_gate")
        return Figure(finding=finding, chart=None, alt=finding, table=table)
    first = rows[0]
    finding = w.t(
        "what_if.finding_gates",
        gate=w.label("gate", first["gate"]),
        before=w.number(first["refused_before"]),
        after=w.number(first["refused_after"]),
        alone_before=w.number(first["alone_before"]),
        alone_after=w.number(first["alone_after"]),
    )
    named = pd.DataFrame([{"name": w.label("gate", one["gate"]), "change": one["change"]} for one in rows])
    chart = (
        alt.Chart(named)
        .mark_bar(height=BAND)
        .encode(
            x=alt.X("change:Q", title=w.t("what_if.axis_gates"), axis=signed_axis("+,.0f", tickMinStep=1)),
            y=alt.Y("name:N", sort=list(named["name"]), title=None, axis=alt.Axis(labelLimit=220)),
            color=alt.condition("datum.change > 0", alt.value(DROPPED), alt.value(GOOD)),
            tooltip=[
                alt.Tooltip("name:N", title=w.t("recommendations.gate")),
                alt.Tooltip("change:Q", title=w.t("what_if.axis_gates"), format="+,.0f"),
            ],
        )
        .properties(height=height_of(len(named), 30, 70))
    )
    return Figure(finding=finding, chart=chart, alt=finding, table=table)


def breakdowns(facts: Facts) -> tuple[str, ...]:
    """Return the breakdowns by which gains and losses are known."""
    there = {one["breakdown"] for one in facts["moves"]["by"]}
    return tuple(name for name in BREAKDOWNS if name in there)


def moves(facts: Facts, w: Words, breakdown: str) -> Figure:
    """Return who gains and who loses offers, group by group."""
    rows = [one for one in facts["moves"]["by"] if one["breakdown"] == breakdown]
    named = [_group(breakdown, one["group"], w) for one in rows]
    words = {w.t(f"what_if.{move}"): colour for move, colour in _MOVES.items()}
    tidy = pd.DataFrame(
        [
            {"group": name, "move": w.t(f"what_if.{move}"), "place": place, "customers": one[move]}
            for name, one in zip(named, rows, strict=True)
            for place, move in enumerate(_MOVES)
        ]
    )
    table = pd.DataFrame(
        {
            w.label("breakdown", breakdown): named,
            **{w.t(f"what_if.{move}"): [one[move] for one in rows] for move in (*_MOVES, "same")},
            w.t("what_if.value_change"): [w.money(one["expected_value_change_minor"]) for one in rows],
        }
    )
    finding = _moves_finding(rows, named, breakdown, w)
    if not any(one[move] for one in rows for move in _MOVES):
        return Figure(finding=finding, chart=None, alt=finding, table=table)
    chart = (
        alt.Chart(tidy)
        .mark_bar(height=BAND)
        .encode(
            x=alt.X("customers:Q", title=w.t("word.customers"), axis=axis()),
            y=alt.Y("group:N", sort=named, title=None, axis=alt.Axis(labelLimit=220)),
            color=alt.Color("move:N", scale=scale(words), legend=legend(words)),
            order="place:O",
            tooltip=[
                alt.Tooltip("group:N", title=w.label("breakdown", breakdown)),
                alt.Tooltip("move:N", title=w.t("what_if.move")),
                alt.Tooltip("customers:Q", title=w.t("word.customers"), format=",.0f"),
            ],
        )
        .properties(height=height_of(len(rows), 30, 110))
    )
    return Figure(finding=finding, chart=chart, alt=finding, table=table)


def _moves_finding(rows: Sequence[Facts], named: Sequence[str], breakdown: str, w: Words) -> str:
    """Say whom the change touches most: those with fewer offers and those with others together, as a share."""
    sizes = [max(sum(one[move] for move in (*_MOVES, "same")), 1) for one in rows]
    touched = [sum(one[move] for move in _MOVES) / size for one, size in zip(rows, sizes, strict=True)]
    if not any(touched):
        return w.t("what_if.finding_nobody_moves")
    most = max(range(len(rows)), key=touched.__getitem__)
    one = rows[most]
    return w.t(
        "what_if.finding_moves",
        breakdown=w.label("breakdown", breakdown),
        group=named[most],
        share=w.share(touched[most]),
        loses=w.number(one["loses"]),
        gains=w.number(one["gains"]),
        other=w.number(one["other_products"]),
        value=w.money(one["expected_value_change_minor"]),
    )


def _group(breakdown: str, group: str, w: Words) -> str:
    if breakdown == "cluster":
        return w.t("what_if.no_cluster") if group == "none" else w.name("cluster", group)
    return w.label(breakdown, group)


def groups(facts: Facts, w: Words) -> pd.DataFrame:
    """Return how often protected groups are offered anything, over all others, under both policies."""
    rows = [one for one in facts["bias"] if one["product_id"] is None]
    return pd.DataFrame(
        {
            w.t("recommendations.attribute"): [w.pick(one["attribute_en"], one["attribute_zh"]) for one in rows],
            w.t("recommendations.group"): [w.pick(one["group_en"], one["group_zh"]) for one in rows],
            w.t("word.customers"): [one["customers"] for one in rows],
            w.t("what_if.rate_before"): [w.share(one["offer_rate_before"]) for one in rows],
            w.t("what_if.rate_after"): [w.share(one["offer_rate_after"]) for one in rows],
            w.t("what_if.ratio_before"): [_ratio(one, "before", w) for one in rows],
            w.t("what_if.ratio_after"): [_ratio(one, "after", w) for one in rows],
        }
    )


def groups_finding(facts: Facts, w: Words) -> str:
    """Say which group's rate ratio moves most."""
    rows = [
        one
        for one in facts["bias"]
        if one["product_id"] is None
        and one["assessed"]
        and not is_undefined(one["rate_ratio_before"])
        and not is_undefined(one["rate_ratio_after"])
    ]
    if not rows:
        return w.t("what_if.finding_no_groups")
    most = max(rows, key=lambda one: abs(one["rate_ratio_after"] - one["rate_ratio_before"]))
    return w.t(
        "what_if.finding_groups",
        group=w.pick(most["group_en"], most["group_zh"]),
        before=w.number(most["rate_ratio_before"], 2),
        after=w.number(most["rate_ratio_after"], 2),
    )


def _ratio(one: Facts, when: str, w: Words) -> str:
    return w.number(one[f"rate_ratio_{when}"], 2) if one["assessed"] else w.label("offer_verdict", "insufficient")


def factors(facts: Facts, w: Words) -> pd.DataFrame:
    """Return what leaving each factor of the order out would change."""
    rows = facts["sensitivity"]
    return pd.DataFrame(
        {
            w.t("what_if.factor"): [w.t(f"what_if.factor_{one['factor']}") for one in rows],
            w.t("what_if.changed_before"): [w.share(one["share_changed_before"]) for one in rows],
            w.t("what_if.changed_after"): [w.share(one["share_changed_after"]) for one in rows],
            w.t("what_if.lost_before"): [w.share(one["share_lost_before"]) for one in rows],
            w.t("what_if.lost_after"): [w.share(one["share_lost_after"]) for one in rows],
        }
    )


def factors_finding(facts: Facts, w: Words) -> str:
    """Say which factor the order rests on most, and how many customers are under-served."""
    known = [one for one in facts["sensitivity"] if not is_undefined(one["share_lost_after"])]
    served = facts["under_served"]
    few = w.t(
        "what_if.under_served",
        threshold=w.share(served["threshold"], 2),
        before=w.number(served["before"]["under_served"]),
        after=w.number(served["after"]["under_served"]),
        nothing_before=w.number(served["before"]["nothing"]),
        nothing_after=w.number(served["after"]["nothing"]),
    )
    if not known:
        return few
    most = max(known, key=lambda one: one["share_lost_after"])
    told = w.t(
        "what_if.finding_factor",
        factor=w.t(f"what_if.factor_{most['factor']}"),
        lost=w.share(most["share_lost_after"]),
    )
    return w.pick(f"{told} {few}", f"{told}{few}")


def _total(one: Facts, value: float, w: Words) -> str:
    return w.money(value) if one["measure"].endswith("_minor") else w.number(value)


def _share(value: float | None, w: Words) -> str:
    return UNDEFINED if value is None else f"{w.signed(value * 100, 1)} %"
