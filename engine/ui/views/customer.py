"""One customer: what happened when, and why each product was offered or withheld."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import altair as alt
import pandas as pd

from engine.ui.views.figure import Figure, height_of
from engine.ui.words import UNDEFINED, Words, age_on, is_undefined
from engine.workflows.view.customer import Customer

LANES: Final = ("digital", "money", "service", "application", "product", "contact")
OPEN, SHUT = "✓", "✕"


def tiles(found: Customer, w: Words, as_of: Any) -> list[tuple[str, str, str]]:
    """Return what is known of the customer at a glance: label, value, what it means."""
    segment, risk = found.segment or {}, found.risk or {}
    born = found.record.get("birth_date")
    age = UNDEFINED if born is None or is_undefined(born) else w.number(age_on(as_of.date(), pd.Timestamp(born).date()))
    return [
        (w.t("customer.since"), w.day(found.record.get("joined_at")), w.t("customer.since_help")),
        (w.t("customer.age"), age, w.t("customer.age_help")),
        (w.t("customer.value_tier"), w.label("value_tier", segment.get("value_tier")), w.t("customer.value_tier_help")),
        (w.t("customer.risk_tier"), w.label("risk_tier", risk.get("risk_tier")), w.t("customer.risk_tier_help")),
    ]


def cluster(found: Customer, w: Words) -> str:
    """Say in which behavioural cluster the customer is."""
    segment = found.segment or {}
    if not segment.get("cluster_name"):
        return w.t("customer.no_cluster")
    return w.t("customer.in_cluster", cluster=w.pick(segment["cluster_name"], segment["cluster_name_zh"]))


def timeline(rows: pd.DataFrame, w: Words) -> Figure:
    """Return what happened to the customer, one lane per kind of thing."""
    named = rows.assign(
        lane_name=[w.label("lane", lane) for lane in rows["lane"]],
        what_name=[_what(row, w) for row in rows.to_dict("records")],
        detail_name=[_detail(row, w) for row in rows.to_dict("records")],
        amount=[w.money(amount) for amount in rows["amount_minor"]],
        via=[w.label("channel", channel) for channel in rows["channel"]],
    )
    table = pd.DataFrame(
        {
            w.t("customer.when"): [w.instant(moment) for moment in named["happened_at"]],
            w.t("customer.lane"): named["lane_name"],
            w.t("customer.what"): named["what_name"],
            w.t("customer.detail"): named["detail_name"],
            w.t("customer.amount"): named["amount"],
            w.t("customer.via"): named["via"],
        }
    )
    if named.empty:
        return Figure(
            finding=w.t("customer.finding_nothing"), chart=None, alt=w.t("customer.finding_nothing"), table=table
        )
    lanes = [w.label("lane", lane) for lane in LANES if lane in set(named["lane"])]
    chart = (
        alt.Chart(named)
        .mark_point(filled=True, size=70, opacity=0.6)
        .encode(
            x=alt.X(
                "happened_at:T",
                title=w.t("customer.axis_time"),
                axis=alt.Axis(format="%Y-%m-%d", tickCount=8, labelOverlap=True),
            ),
            y=alt.Y("lane_name:N", sort=lanes, title=None),
            color=alt.Color("lane_name:N", sort=lanes, legend=None),
            tooltip=[
                alt.Tooltip("happened_at:T", title=w.t("customer.when"), format="%Y-%m-%d %H:%M"),
                alt.Tooltip("what_name:N", title=w.t("customer.what")),
                alt.Tooltip("detail_name:N", title=w.t("customer.detail")),
                alt.Tooltip("amount:N", title=w.t("customer.amount")),
                alt.Tooltip("via:N", title=w.t("customer.via")),
            ],
        )
        .properties(height=height_of(len(lanes), 34))
    )
    last = named.iloc[0]
    finding = w.t(
        "customer.finding_timeline",
        n=w.number(len(named)),
        what=last["what_name"],
        lane=last["lane_name"],
        day=w.day(last["happened_at"]),
    )
    return Figure(finding=finding, chart=chart, alt=finding, table=table)


def stages(rows: pd.DataFrame, w: Words) -> pd.DataFrame:
    """Return where the customer stands in each journey."""
    return pd.DataFrame(
        {
            w.t("customer.journey"): [w.name("journey", journey) for journey in rows["journey"]],
            w.t("journeys.stage"): [w.label("stage", stage) for stage in rows["stage"]],
            w.t("customer.reached"): [w.label("step", step) for step in rows["step"]],
            w.t("customer.next"): [w.label("step", step) for step in rows["next_step"]],
            w.t("customer.status"): [w.label("status", status) for status in rows["status"]],
            w.t("customer.stage_since"): [w.day(moment) for moment in rows["stage_since"]],
        }
    )


def offers(rows: pd.DataFrame, w: Words) -> list[str]:
    """Return one sentence per offer, the best first, with its reasons."""
    lines = []
    for row in rows.sort_values("rank").to_dict("records"):
        reasons = [w.pick(row["reason_1"], row["reason_1_zh"]), w.pick(row["reason_2"], row["reason_2_zh"])]
        told = w.t("word.semicolon").join(reason for reason in reasons if reason not in ("None", "nan", ""))
        lines.append(
            w.t(
                "customer.offer",
                rank=w.number(row["rank"]),
                product=w.name("product", row["product_id"]),
                channel=w.label("channel", row["channel"]),
                propensity=w.share(row["propensity"]),
                value=w.money(row["expected_value_minor"]),
                track=w.label("track", row["track"]),
                reasons=told or UNDEFINED,
            )
        )
    return lines


def explain(decisions: pd.DataFrame, gates: pd.DataFrame, w: Words) -> Figure:
    """Return the grid of products and gates: what each gate said to each product, and the sentences beside it."""
    asked = gates.to_dict("records")
    considered = decisions.assign(
        offered=decisions["rank"].fillna(10_000), refusals=[int(mask).bit_count() for mask in decisions["refused_mask"]]
    ).sort_values(["offered", "refusals", "product_id"])
    cells, lines = [], []
    for row in considered.to_dict("records"):
        product = w.name("product", row["product_id"])
        refusing = [gate for gate in asked if int(row["refused_mask"]) >> int(gate["bit"]) & 1]
        cells += [
            {
                "product": product,
                "gate": w.label("gate", gate["gate"]),
                "said": SHUT if gate in refusing else OPEN,
                "sentence": w.pick(gate["text_en"], gate["text_zh"]) if gate in refusing else w.t("customer.gate_open"),
            }
            for gate in asked
        ]
        lines.append(_explained(row, product, refusing, w))
    table = pd.DataFrame(lines)
    offered = int(decisions["rank"].notna().sum())
    refused = int((decisions["refused_mask"] != 0).sum())
    finding = w.t(
        "customer.finding_explain",
        products=w.number(len(decisions)),
        offered=w.number(offered),
        refused=w.number(refused),
    )
    if not cells:
        return Figure(finding=finding, chart=None, alt=finding, table=table)
    grid = alt.Chart(pd.DataFrame(cells)).encode(
        x=alt.X(
            "gate:N",
            sort=[w.label("gate", gate["gate"]) for gate in asked],
            title=None,
            axis=alt.Axis(orient="top", labelAngle=-35, labelLimit=150),
        ),
        y=alt.Y(
            "product:N",
            sort=[row["product"] for row in cells[:: len(asked)]],
            title=None,
            axis=alt.Axis(labelLimit=200),
        ),
        tooltip=[
            alt.Tooltip("product:N", title=w.t("recommendations.product")),
            alt.Tooltip("gate:N", title=w.t("recommendations.gate")),
            alt.Tooltip("sentence:N", title=w.t("customer.said")),
        ],
    )
    colours = alt.Scale(domain=[OPEN, SHUT], range=["#E6F1EA", "#F3C4BA"])
    squares = grid.mark_rect(stroke="#FFFFFF", strokeWidth=2).encode(
        color=alt.Color("said:N", scale=colours, legend=None)
    )
    signs = grid.mark_text(fontSize=12, color="#1B2430").encode(text="said:N")
    chart = (squares + signs).properties(height=height_of(len(decisions), 24))
    return Figure(finding=finding, chart=chart, alt=finding, table=table, note=w.t("customer.explain_note"))


def _explained(row: Any, product: str, refusing: list[Any], w: Words) -> dict[str, str]:
    if refusing:
        outcome = w.t("customer.refused")
    elif is_undefined(row["rank"]):
        outcome = w.t("customer.passed")
    else:
        outcome = w.t("customer.offered", rank=w.number(row["rank"]))
    return {
        w.t("recommendations.product"): product,
        w.t("customer.outcome"): outcome,
        w.t("recommendations.propensity"): w.share(row["propensity"]),
        w.t("recommendations.value"): w.money(row["expected_value_minor"]),
        w.t("customer.reasons"): " ".join(w.pick(gate["text_en"], gate["text_zh"]) for gate in refusing),
    }


def _what(row: Any, w: Words) -> str:
    kind = {"digital": "event", "money": "category", "service": "interaction", "contact": "feedback"}.get(row["lane"])
    return w.label(kind, row["what"]) if kind else w.name("product", row["what"])


def _detail(row: Any, w: Words) -> str:
    if is_undefined(row["detail"]):
        return ""
    if row["lane"] in ("digital", "contact"):
        return w.name("product", row["detail"])
    return w.label("decision", row["detail"]) if row["lane"] == "application" else w.label("topic", row["detail"])


def risk_line(risk: Mapping[str, Any], w: Words) -> str:
    """Say how risky the customer is, and what costs the most points."""
    line = w.t(
        "customer.risk_line",
        score=w.number(risk["score"]),
        probability=w.share(risk["default_probability"], 2),
        loss=w.money(risk["expected_loss_minor"]),
        day=w.day(risk["signal_at"]),
    )
    causes = [w.name("characteristic", risk[f"reason_{n}"]) for n in (1, 2, 3) if risk[f"reason_{n}"]]
    if not causes:
        return line
    told = w.t("customer.risk_reasons", reasons=w.t("word.comma").join(causes))
    return f"{line}\n\n{told}"
