"""One customer: what happened when, and why each product was offered or withheld."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import altair as alt
import pandas as pd

from engine.store import SuppressionRecord
from engine.ui.views.figure import INK_ON_PALE, Figure, height_of, scale
from engine.ui.words import UNDEFINED, Words, is_undefined
from engine.workflows import offer_words
from engine.workflows.customer_risk_told import Statement
from engine.workflows.personal import Masked, Revealed
from engine.workflows.view.customer import Customer

LANES: Final = ("digital", "money", "service", "application", "product", "contact")
OPEN, SHUT = "✓", "✕"


def tiles(found: Customer, w: Words, as_of: Any) -> list[tuple[str, str, str]]:
    """Return what is known of the customer at a glance: label, value, what it means."""
    segment = found.segment or {}
    told = [
        (w.t("customer.since"), w.day(found.record.get("joined_at")), w.t("customer.since_help")),
        (w.t("customer.value_tier"), w.label("value_tier", segment.get("value_tier")), w.t("customer.value_tier_help")),
        (w.t("customer.eligibility"), eligibility(found, w), w.t("customer.eligibility_help")),
    ]
    if found.risk is not None:
        tier = w.label("risk_tier", found.risk.get("risk_tier"))
        told.append((w.t("customer.risk_tier"), tier, w.t("customer.risk_tier_help")))
    return told


def eligibility(found: Customer, w: Words) -> str:
    """Say whether risk lets anything be offered."""
    return (
        w.t("customer.eligibility_unknown") if found.eligibility is None else w.label("eligibility", found.eligibility)
    )


def personal(fields: Sequence[Masked], w: Words) -> pd.DataFrame:
    """Return the personal fields, masked."""
    return _fields(fields, w, w.t("customer.masked"))


def revealed(fields: Sequence[Revealed], w: Words) -> pd.DataFrame:
    """Return the personal fields in full."""
    return _fields(fields, w, w.t("customer.value"))


def _fields(fields: Sequence[Masked] | Sequence[Revealed], w: Words, title: str) -> pd.DataFrame:
    named = [w.label("personal_field", one.field) for one in fields]
    return pd.DataFrame({w.t("customer.field"): named, title: [one.value for one in fields]})


def cluster(found: Customer, w: Words) -> str:
    """Say in which behavioural cluster the customer is."""
    segment = found.segment or {}
    if not segment.get("cluster_name"):
        return w.t("customer.no_cluster")
    return w.t("customer.in_cluster", cluster=w.pick(segment["cluster_name"], segment["cluster_name_zh"]))


def timeline(rows: pd.DataFrame, w: Words) -> Figure:
    """Return what happened to the customer, one lane per kind of thing."""
    named = rows.assign(
        when=[w.instant(moment) for moment in rows["happened_at"]],
        lane_name=[w.label("lane", lane) for lane in rows["lane"]],
        what_name=[_what(row, w) for row in rows.to_dict("records")],
        detail_name=[_detail(row, w) for row in rows.to_dict("records")],
        amount=[w.money(amount) for amount in rows["amount_minor"]],
        via=[w.label("channel", channel) for channel in rows["channel"]],
    )
    columns = {
        "when": w.t("customer.when"),
        "lane_name": w.t("customer.lane"),
        "what_name": w.t("customer.what"),
        "detail_name": w.t("customer.detail"),
        "amount": w.t("customer.amount"),
        "via": w.t("customer.via"),
    }
    table = named[list(columns)].rename(columns=columns)
    if named.empty:
        nothing = w.t("customer.finding_nothing")
        return Figure(finding=nothing, chart=None, alt=nothing, table=table)
    last = named.iloc[0]
    finding = w.t(
        "customer.finding_timeline",
        n=w.number(len(named)),
        what=last["what_name"],
        lane=last["lane_name"],
        day=w.day(last["happened_at"]),
    )
    return Figure(finding=finding, chart=_lanes(named, columns, w), alt=finding, table=table)


def _lanes(named: pd.DataFrame, columns: Mapping[str, str], w: Words) -> Any:
    lanes = [w.label("lane", lane) for lane in LANES if lane in set(named["lane"])]
    days = alt.Axis(format="%Y-%m-%d", tickCount=8, labelOverlap=True)
    return (
        alt.Chart(named)
        .mark_point(filled=True, size=70, opacity=0.6)
        .encode(
            x=alt.X("happened_at:T", title=w.t("customer.axis_time"), axis=days),
            y=alt.Y("lane_name:N", sort=lanes, title=None),
            color=alt.Color("lane_name:N", sort=lanes, legend=None),
            # the hour is written here: the browser would show it in its own time zone
            tooltip=[alt.Tooltip(f"{column}:N", title=title) for column, title in columns.items()],
        )
        .properties(height=height_of(len(lanes), 34))
    )


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


def not_contacted(held: Sequence[SuppressionRecord], w: Words) -> pd.DataFrame:
    """Return what forbids to contact the customer, a row for each channel and cause."""
    return pd.DataFrame(
        {
            w.t("customer.via"): [
                w.label("channel", one.channel) if one.channel else w.t("customer.every_channel") for one in held
            ],
            w.t("customer.held_by"): [w.t(f"customer.held_{one.reason}") for one in held],
            w.t("customer.held_since"): [w.instant(one.since) for one in held],
        }
    )


def offers(rows: pd.DataFrame, w: Words) -> list[str]:
    """Return one sentence per offer, the best first, with its reasons and that of its track."""
    lines = []
    for row in rows.sort_values("rank").to_dict("records"):
        # a run made before tracks had reasons has no such column
        names = ("reason_1", "reason_2", "track_reason", "terms_note")
        reasons = [w.pick(row.get(name), row.get(f"{name}_zh")) for name in names]
        drawn = [w.pick(*offer_words.selection(row)), w.pick(*offer_words.reach(row))]
        reasons += [text for text in drawn if text]
        told = " ".join([_terms(row, w), *(reason for reason in reasons if reason not in ("None", "nan", ""))]).strip()
        how = [w.label("channel", row["channel"])]
        how += [w.label("track", row["track"])] if row.get("track") else []
        how.append(w.t("customer.offer_propensity", propensity=w.share(row["propensity"])))
        if not is_undefined(row["expected_value_minor"]):
            how.append(w.t("customer.offer_value", value=w.money(row["expected_value_minor"])))
        product, facts = w.name("product", row["product_id"]), w.t("word.comma").join(how)
        lines.append(
            w.t("customer.offer", rank=w.number(row["rank"]), product=product, how=facts, reasons=told or UNDEFINED)
        )
    return lines


def _terms(row: Mapping[Any, Any], w: Words) -> str:
    """Say on which terms credit is offered; nothing where risk named neither a price nor a limit."""
    rate, limit = row.get("annual_rate"), row.get("limit_minor")
    if is_undefined(rate) and is_undefined(limit):
        return ""
    even = w.share(row.get("break_even_default_probability"))
    amount = w.money(row.get("amount_minor"))
    return w.t("customer.offer_terms", rate=w.share(rate, 2), limit=w.money(limit), amount=amount, even=even)


def explain(decisions: pd.DataFrame, gates: pd.DataFrame, w: Words) -> Figure:
    """Return the grid of products and gates: what each gate said to each product, and the sentences beside it."""
    asked = gates.to_dict("records")
    considered = decisions.assign(
        offered=decisions["rank"].fillna(10_000), refusals=[int(mask).bit_count() for mask in decisions["refused_mask"]]
    ).sort_values(["offered", "refusals", "product_id"])
    cells, lines = [], []
    for row in considered.to_dict("records"):
        refusing = [gate for gate in asked if int(row["refused_mask"]) >> int(gate["bit"]) & 1]
        product = w.name("product", row["product_id"])
        cells += [_cell(product, gate, gate in refusing, w) for gate in asked]
        lines.append(_explained(row, product, refusing, w))
    finding = w.t(
        "customer.finding_explain",
        products=w.number(len(decisions)),
        offered=w.number(int(decisions["rank"].notna().sum())),
        refused=w.number(int((decisions["refused_mask"] != 0).sum())),
    )
    chart = _grid(pd.DataFrame(cells), w) if cells else None
    return Figure(
        finding=finding, chart=chart, alt=finding, table=pd.DataFrame(lines), note=w.t("customer.explain_note")
    )


def _cell(product: str, gate: Mapping[Any, Any], refused: bool, w: Words) -> dict[str, str]:
    return {
        "product": product,
        "gate": w.label("gate", gate["gate"]),
        "said": SHUT if refused else OPEN,
        "sentence": w.pick(gate["text_en"], gate["text_zh"]) if refused else w.t("customer.gate_open"),
    }


def _grid(cells: pd.DataFrame, w: Words) -> Any:
    products, asked = list(cells["product"].drop_duplicates()), list(cells["gate"].drop_duplicates())
    upright = alt.Axis(orient="top", labelAngle=-90, labelLimit=150, labelOverlap=False)
    base = alt.Chart(cells).encode(
        x=alt.X("gate:N", sort=asked, title=None, axis=upright),
        y=alt.Y("product:N", sort=products, title=None, axis=alt.Axis(labelLimit=200)),
        tooltip=[
            alt.Tooltip("product:N", title=w.t("recommendations.product")),
            alt.Tooltip("gate:N", title=w.t("recommendations.gate")),
            alt.Tooltip("sentence:N", title=w.t("customer.said")),
        ],
    )
    colours = scale({OPEN: "#E6F1EA", SHUT: "#F3C4BA"})
    squares = base.mark_rect(stroke="#FFFFFF", strokeWidth=2).encode(
        color=alt.Color("said:N", scale=colours, legend=None)
    )
    signs = base.mark_text(fontSize=12).encode(text="said:N", color=alt.value(INK_ON_PALE))
    return (squares + signs).properties(height=height_of(len(products), 24))


def _explained(row: Any, product: str, refusing: list[Any], w: Words) -> dict[str, str]:
    if refusing:
        outcome = w.t("customer.refused")
    elif is_undefined(row["rank"]):
        outcome = w.t("customer.passed")
    else:
        outcome = w.t("customer.offered", rank=w.number(row["rank"]))
    told = [w.pick(gate["text_en"], gate["text_zh"]) for gate in refusing]
    said = w.t("customer.explained", outcome=outcome, reasons=w.pick(" ".join(told), "".join(told)))
    return {
        w.t("recommendations.product"): product,
        w.t("customer.reasons"): said.strip(),
        w.t("recommendations.propensity"): w.share(row["propensity"]),
        w.t("recommendations.value"): w.money(row["expected_value_minor"]),
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


def sentences(told: Sequence[Statement], topic: str, w: Words) -> list[tuple[bool, str]]:
    """Return what is said of one topic: whether a sentence leads, and the sentence."""
    return [(one.leads, w.pick(one.text_en, one.text_zh)) for one in told if one.topic == topic]


def risk_line(risk: Mapping[str, Any], w: Words) -> str:
    """Say how risky the customer is, and what costs the most points."""
    line = w.t(
        "customer.risk_line",
        score=w.number(risk["score"]),
        probability=w.share(risk["default_probability"], 2),
        day=w.day(risk["signal_at"]),
    )
    named = (w.name("characteristic", risk[f"reason_{n}"]) for n in (1, 2, 3) if risk[f"reason_{n}"])
    causes = [name[:1].lower() + name[1:] for name in named]
    if not causes:
        return line
    told = w.t("customer.risk_reasons", reasons=w.t("word.semicolon").join(causes))
    return f"{line}\n\n{told}"
