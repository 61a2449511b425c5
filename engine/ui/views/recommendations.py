"""What is offered and what was held back, as charts."""

from __future__ import annotations

from typing import Final

import altair as alt
import pandas as pd

from engine.ui.views.figure import BAND, CONTINUED, Figure, Mark, axis, clickable, height_of, marked, scale
from engine.ui.words import Words
from engine.workflows.view import selection

_COUNTED: Final = ("only", "also")
_OF_OFFERS = ["product_id", "product", "channel", "via", "offers"]
PRODUCTS = 12  # bars that a reader still compares; the table holds them all


def gates(rows: pd.DataFrame, w: Words, pairs: int) -> Figure:
    """Return what each gate refused, split into what it alone refused and what another gate refused too."""
    named = rows.assign(
        name=[w.pick(en, zh) for en, zh in zip(rows["text_en"], rows["text_zh"], strict=True)],
        also=rows["refused_pairs"] - rows["refused_only_by_this"],
        share=[w.share(refused / pairs if pairs else None) for refused in rows["refused_pairs"]],
    )
    shown = named[named["refused_pairs"] > 0].sort_values("refused_pairs", ascending=False)
    kinds = {w.t("recommendations.only_this"): CONTINUED, w.t("recommendations.others_too"): "#B9C9E8"}
    tidy = pd.concat(
        [
            shown.assign(kind=kind, count=shown[column], position=position, counted=_COUNTED[position])
            for position, (kind, column) in enumerate(zip(kinds, ("refused_only_by_this", "also"), strict=True))
        ]
    )
    chart = (
        alt.Chart(tidy)
        .mark_bar(height=BAND)
        .encode(
            x=alt.X("count:Q", title=w.t("recommendations.axis_pairs"), axis=axis()),
            y=alt.Y("name:N", sort=list(shown["name"]), title=None, axis=alt.Axis(labelLimit=420)),
            color=alt.Color("kind:N", scale=scale(kinds), legend=alt.Legend(title=None, orient="top")),
            order="position:O",
            tooltip=[
                alt.Tooltip("gate:N", title=w.t("recommendations.gate")),
                alt.Tooltip("kind:N", title=w.t("recommendations.counted")),
                alt.Tooltip("count:Q", title=w.t("recommendations.pairs"), format=",.0f"),
                alt.Tooltip("customers:Q", title=w.t("word.customers"), format=",.0f"),
            ],
        )
        .properties(height=height_of(len(shown), 30, 110))
    )
    finding = _gates_finding(shown, w)
    table = pd.DataFrame(
        {
            w.t("recommendations.gate"): named["name"],
            w.t("recommendations.gate_kind"): [w.label("gate_kind", kind) for kind in named["kind"]],
            w.t("recommendations.code"): named["reason_code"],
            w.t("recommendations.pairs"): named["refused_pairs"],
            w.t("recommendations.of_pairs"): named["share"],
            w.t("recommendations.only_this"): named["refused_only_by_this"],
            w.t("word.customers"): named["customers"],
        }
    )
    whole = shown.assign(kind=w.t("counted.all"), count=shown["refused_pairs"], counted="all")
    marks = marked(
        pd.concat([whole, tidy]), "gate", label=("name", "kind"), count="count", at=("gate", "counted"),
        gate="gate", counted="counted",
    )  # fmt: skip
    note = w.t("recommendations.gates_note")
    drawn = clickable(chart, "gate", "counted")
    return Figure(finding=finding, chart=drawn, alt=finding, table=table, note=note, marks=marks)


def _gates_finding(shown: pd.DataFrame, w: Words) -> str:
    if shown.empty:
        return w.t("recommendations.finding_none_refused")
    alone = shown.sort_values("refused_only_by_this", ascending=False).iloc[0]
    first = shown.iloc[0]
    if alone["gate"] == first["gate"]:
        return w.t(
            "recommendations.finding_one_gate",
            first=first["name"].rstrip(".。"),
            pairs=w.number(first["refused_pairs"]),
            only=w.number(first["refused_only_by_this"]),
        )
    return w.t(
        "recommendations.finding_gates",
        first=first["name"].rstrip(".。"),
        pairs=w.number(first["refused_pairs"]),
        alone=alone["name"].rstrip(".。"),
        only=w.number(alone["refused_only_by_this"]),
    )


def offers(rows: pd.DataFrame, w: Words) -> Figure:
    """Return offers by product, stacked by the channel they would go out on."""
    named = rows.assign(
        product=[w.name("product", product) for product in rows["product_id"]],
        via=[w.label("channel", channel) for channel in rows["channel"]],
        value=[w.major(value) for value in rows["expected_value_minor"].fillna(0)],
    )
    totals = named.groupby("product", as_index=False)[["offers", "value"]].sum()
    totals = totals.sort_values("offers", ascending=False, ignore_index=True)
    shown = list(totals["product"].head(PRODUCTS))
    chart = (
        alt.Chart(named.loc[named["product"].isin(shown), _OF_OFFERS])
        .mark_bar(height=BAND)
        .encode(
            x=alt.X("offers:Q", title=w.t("recommendations.axis_offers"), axis=axis()),
            y=alt.Y("product:N", sort=shown, title=None, axis=alt.Axis(labelLimit=220)),
            color=alt.Color("via:N", legend=alt.Legend(title=w.t("recommendations.channel"), orient="top")),
            tooltip=[
                alt.Tooltip("product:N", title=w.t("recommendations.product")),
                alt.Tooltip("via:N", title=w.t("recommendations.channel")),
                alt.Tooltip("offers:Q", title=w.t("recommendations.offers"), format=",.0f"),
            ],
        )
        .properties(height=height_of(len(shown), 28, 130))
    )
    total = totals["offers"].sum()
    finding = w.t("recommendations.finding_no_offer")
    if total:
        first = totals.iloc[0]
        finding = w.t(
            "recommendations.finding_offers",
            product=first["product"],
            share=w.share(first["offers"] / total),
            total=w.number(total),
        )
    table = pd.DataFrame(
        {
            w.t("recommendations.product"): named["product"],
            w.t("recommendations.channel"): named["via"],
            w.t("recommendations.offers"): named["offers"],
            w.t("recommendations.first_offers"): named["first_offers"],
            w.t("recommendations.propensity"): [w.share(value) for value in named["propensity"]],
            w.t("recommendations.value"): [w.money(value) for value in named["expected_value_minor"]],
            w.t("recommendations.rate"): [w.share(value, 2) for value in named["annual_rate"]],
            w.t("recommendations.limit"): [w.money(value) for value in named["limit_minor"]],
        }
    )
    whole = totals_of(named, w)
    marks = marked(
        pd.concat([whole, named]), "offers", label=("product", "via"), count="offers", at=("product_id", "channel"),
        product="product_id", channel="channel",
    )  # fmt: skip
    chart = clickable(chart, "product_id", "channel")
    return Figure(finding=finding, chart=chart, alt=finding, table=table, marks=marks)


def totals_of(named: pd.DataFrame, w: Words) -> pd.DataFrame:
    """Return offers by product on any channel."""
    whole = named.groupby(["product_id", "product"], as_index=False)[["offers"]].sum()
    return whole.assign(channel="all", via=w.t("people.any_channel"))


def chosen_marks(rows: pd.DataFrame, apart: tuple[int, int, int], w: Words) -> tuple[Mark, ...]:
    """Return the marks of how first offers were chosen, and of who is not contacted."""
    named = rows.assign(label=[w.label("selection", name) for name in rows["selection"]])
    marks = marked(named, "chosen", label=("label",), count="offers", at=("selection",), selection="selection")
    left_out = zip(("control", "held_out", "giving_way"), apart, strict=True)
    return marks + tuple(
        Mark(selection=selection.of("not_contacted", why=why), label=w.label("why", why), count=count, at={"why": why})
        for why, count in left_out
        if count
    )


def selections(rows: pd.DataFrame, apart: tuple[int, int, int], w: Words) -> tuple[str, pd.DataFrame]:
    """Return in a sentence how first offers were chosen and who gets none, and a table of it.

    `apart` are customers in the control group, those of them who get nothing, and those who give way at home.
    """
    total = int(rows["offers"].sum())
    drawn = int(rows.loc[(rows["selection"] != "best") | (rows["chance"] < 1), "offers"].sum())
    control, held_out, giving_way = (w.number(count) for count in apart)
    first = w.t("recommendations.finding_best", total=w.number(total))
    if drawn or apart[0]:
        explored = int(rows.loc[rows["selection"] == "explored", "offers"].sum())
        first = w.t("recommendations.finding_drawn", total=w.number(total), explored=w.number(explored))
        first += w.t("recommendations.finding_control", control=control, held_out=held_out)
    told = first + w.t("recommendations.finding_giving_way", giving_way=giving_way)
    table = pd.DataFrame(
        {
            w.t("recommendations.selection"): [w.label("selection", name) for name in rows["selection"]],
            w.t("recommendations.first_offers"): rows["offers"],
            w.t("recommendations.chance"): [w.share(value) for value in rows["chance"]],
            w.t("recommendations.chance_unknown"): rows["unknown"],
        }
    )
    return told, table


def channel_responses(rows: pd.DataFrame, w: Words) -> tuple[str, pd.DataFrame]:
    """Return in a sentence whether channels are chosen by answers, and a table of them."""
    chosen = rows["tried"].notna().any()
    told = w.t("recommendations.finding_by_answers" if chosen else "recommendations.finding_by_cost")
    table = pd.DataFrame(
        {
            w.t("recommendations.family"): [w.label("contact_family", family) for family in rows["family"]],
            w.t("recommendations.channel"): [w.label("channel", channel) for channel in rows["channel"]],
            w.t("recommendations.contacts"): rows["contacts"],
            w.t("recommendations.responses"): rows["responses"],
            w.t("recommendations.response_rate"): [w.share(value) for value in rows["response_rate"]],
            w.t("recommendations.relative_response"): [w.number(value, 2) for value in rows["relative_response"]],
        }
    )
    return told, table


def race_finding(rows: pd.DataFrame, w: Words) -> str:
    """Say which model ranks and how far it is ahead of plain popularity."""
    chosen = rows[rows["chosen"].fillna(False).astype(bool)]
    if chosen.empty:
        return w.t("recommendations.finding_no_model")
    best = chosen.iloc[0]
    if best["model"] == "popularity":
        return w.t(
            "recommendations.finding_plain", map=w.number(best["map_at_7"], 3), customers=w.number(best["customers"])
        )
    plain = rows[rows["model"] == "popularity"]["map_at_7"]
    return w.t(
        "recommendations.finding_race",
        model=w.label("model", best["model"]),
        map=w.number(best["map_at_7"], 3),
        plain=w.number(plain.iloc[0] if len(plain) else None, 3),
        customers=w.number(best["customers"]),
    )


def race(rows: pd.DataFrame, w: Words) -> pd.DataFrame:
    """Return the race of models as a table."""
    return pd.DataFrame(
        {
            w.t("recommendations.model"): [w.label("model", model) for model in rows["model"]],
            w.t("recommendations.used"): [w.t("word.yes") if chosen is True else "" for chosen in rows["chosen"]],
            w.t("recommendations.map"): [w.number(value, 4) for value in rows["map_at_7"]],
            w.t("recommendations.map_interval"): _spans(rows["map_lower"], rows["map_upper"], w),
            w.t("recommendations.gain"): _spans(rows["gain_lower"], rows["gain_upper"], w),
            w.t("recommendations.recall"): [w.share(value) for value in rows["recall_at_7"]],
            w.t("recommendations.hit_rate"): [w.share(value) for value in rows["hit_rate_at_3"]],
            w.t("recommendations.coverage"): [w.share(value) for value in rows["coverage"]],
            w.t("recommendations.calibration"): [w.share(value, 2) for value in rows["calibration_error"]],
            w.t("recommendations.log_loss"): [w.number(value, 4) for value in rows["log_loss"]],
            w.t("recommendations.judged_on"): [w.number(value) for value in rows["customers"]],
            w.t("word.note"): [w.pick(note, note) if isinstance(note, str) else "" for note in rows["note"]],
        }
    )


def _spans(lower: pd.Series, upper: pd.Series, w: Words) -> list[str]:
    return [
        w.number(None) if pd.isna(low) else f"{w.number(low, 3)} – {w.number(high, 3)}"
        for low, high in zip(lower, upper, strict=True)
    ]


def rules(rows: pd.DataFrame, w: Words) -> pd.DataFrame:
    """Return the pair rules as a table."""
    return pd.DataFrame(
        {
            w.t("recommendations.has"): [w.name("product", product) for product in rows["has_product_id"]],
            w.t("recommendations.takes"): [w.name("product", product) for product in rows["takes_product_id"]],
            w.t("word.customers"): rows["customers"],
            w.t("recommendations.support"): [w.share(value) for value in rows["support"]],
            w.t("recommendations.confidence"): [w.share(value) for value in rows["confidence"]],
            w.t("recommendations.lift"): [w.number(value, 2) for value in rows["lift"]],
            w.t("recommendations.zhang"): [w.number(value, 2) for value in rows["zhang"]],
        }
    )


def rules_finding(rows: pd.DataFrame, w: Words) -> str:
    """Say which pair of products goes together most."""
    if rows.empty:
        return w.t("recommendations.finding_no_rules")
    first = rows.iloc[0]
    return w.t(
        "recommendations.finding_rules",
        n=w.number(len(rows)),
        has=w.name("product", first["has_product_id"]),
        takes=w.name("product", first["takes_product_id"]),
        lift=w.number(first["lift"], 1),
    )


def tiles(counted: tuple[int, int, int], w: Words) -> list[tuple[str, str, str]]:
    """Return how many pairs were considered, let pass, and offered."""
    names = ("pairs_considered", "pairs_passed", "pairs_offered")
    return [
        (w.t(f"recommendations.{name}"), w.number(count), w.t(f"recommendations.{name}_help"))
        for name, count in zip(names, counted, strict=True)
    ]
