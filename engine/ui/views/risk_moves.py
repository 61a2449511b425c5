"""How the portfolio moves: between tiers, through days past due, and cohort by cohort."""

from __future__ import annotations

import re
from typing import Any, Final

import altair as alt
import pandas as pd

from engine.ui.views.figure import SEQUENTIAL, Figure, text_colour
from engine.ui.words import Words, is_undefined

TIERS: Final = ("low", "medium", "high", "unknown", "new", "left")
KINDS: Final = ("tier", "days_past_due")
_GRADED: Final = TIERS[:3]
_DAYS: Final = re.compile(r"(\d+)(?: to (\d+)| and over)")


def moves(rows: pd.DataFrame, w: Words, kind: str) -> Figure:
    """Return from which state to which customers, or reports of days past due, moved, as shares of those before."""
    order = [state for state in TIERS if state in set(rows["origin"]) | set(rows["target"])]
    if kind != "tier":
        order = sorted(set(rows["origin"]) | set(rows["target"]), key=_first_day)
    names = {state: _state(state, kind, w) for state in order}
    kept = rows[(rows["origin"] != "left") & (rows["target"] != "new")]
    named = kept.assign(
        before=[names[state] for state in kept["origin"]],
        after=[names[state] for state in kept["target"]],
        text=[w.share(share) for share in kept["share"]],
        shade=kept["share"].where(~kept["small"].astype(bool)),
    )
    table = pd.DataFrame(
        {
            w.t("risk.before"): named["before"],
            w.t("risk.after"): named["after"],
            w.t(f"risk.moved_{kind}"): named["count"],
            w.t("risk.of"): named["of"],
            w.t("risk.share"): named["text"],
            w.t("experiments.interval"): [
                w.share(None) if is_undefined(low) else f"{w.share(low)} … {w.share(high)}"
                for low, high in zip(named["lower"], named["upper"], strict=True)
            ],
            w.t("word.note"): [w.t("risk.few_moved") if small else "" for small in named["small"]],
        }
    )
    if named.empty:
        nothing = w.t("risk.finding_no_moves")
        return Figure(finding=nothing, chart=None, alt=nothing, table=table)
    base = alt.Chart(named).encode(
        x=alt.X(
            "after:N", sort=list(names.values()), title=w.t("risk.after"), axis=alt.Axis(orient="top", labelAngle=0)
        ),
        y=alt.Y("before:N", sort=list(names.values()), title=w.t("risk.before")),
        tooltip=[
            alt.Tooltip("before:N", title=w.t("risk.before")),
            alt.Tooltip("after:N", title=w.t("risk.after")),
            alt.Tooltip("count:Q", title=w.t(f"risk.moved_{kind}"), format=",.0f"),
            alt.Tooltip("of:Q", title=w.t("risk.of"), format=",.0f"),
            alt.Tooltip("text:N", title=w.t("risk.share")),
        ],
    )
    colours = alt.Scale(domain=[0, 1], range=list(SEQUENTIAL))
    cells = base.mark_rect(stroke="#FFFFFF", strokeWidth=2).encode(
        color=alt.condition(
            "isValid(datum.shade)", alt.Color("shade:Q", scale=colours, legend=None), alt.value("#EDF0F5")
        )
    )
    texts = base.mark_text(fontSize=12).encode(text="text:N", color=text_colour("shade", 0.5))
    chart = (cells + texts).properties(height=70 + 44 * len({*named["before"]}))
    finding = _tier_finding(kept, w) if kind == "tier" else _roll_finding(kept, order, names, w)
    return Figure(finding=finding, chart=chart, alt=finding, table=table, note=w.t(f"risk.moves_note_{kind}"))


def _first_day(state: str) -> int:
    found = _DAYS.fullmatch(state)
    return int(found.group(1)) if found else 0


def _state(state: str, kind: str, w: Words) -> str:
    if kind == "tier":
        return w.label("risk_tier", state) if state not in ("new", "left") else w.t(f"risk.{state}")
    found = _DAYS.fullmatch(state)
    if found is None:
        return w.t("risk.current")
    low, high = found.groups()
    return w.t("risk.days_to", low=low, high=high) if high else w.t("risk.days_over", low=low)


def _tier_finding(rows: pd.DataFrame, w: Words) -> str:
    known = rows[rows["origin"].isin(_GRADED) & rows["target"].isin(_GRADED)]
    total = int(known["count"].sum())
    if not total:
        return w.t("risk.finding_no_moves")
    place = {tier: at for at, tier in enumerate(_GRADED)}
    step = known["target"].map(place) - known["origin"].map(place)
    worse, better = (int(known.loc[side, "count"].sum()) for side in (step > 0, step < 0))
    return w.t(
        "risk.finding_tier_moves",
        same=w.share((total - worse - better) / total),
        worse=w.number(worse),
        worse_share=w.share(worse / total),
        better=w.number(better),
        better_share=w.share(better / total),
    )


def _roll_finding(rows: pd.DataFrame, order: list[str], names: dict[str, str], w: Words) -> str:
    """Say of the first bucket past due that reports are in what became of them by the next report."""
    late = [state for state in order[1:] if (rows.loc[rows["origin"] == state, "of"] > 0).any()]
    if not late:
        return w.t("risk.finding_nobody_late")
    origin = late[0]
    gone = rows[rows["origin"] == origin]
    total = float(gone["of"].max())
    worse = gone[gone["target"].map(_first_day) > _first_day(origin)]["count"].sum()
    cured = gone[gone["target"] == order[0]]["count"].sum()
    return w.t("risk.finding_roll", bucket=names[origin], worse=w.share(worse / total), cured=w.share(cured / total))


def vintages(rows: pd.DataFrame, w: Words) -> Figure:
    """Return the share of loans defaulted by months on book, one line per quarter of booking."""
    table = pd.DataFrame(
        {
            w.t("risk.cohort"): rows["cohort"],
            w.t("risk.months_on_book"): rows["month"],
            w.t("risk.loans"): rows["loans"],
            w.t("risk.bads"): [w.number(count) for count in rows["defaults"]],
            w.t("risk.share"): [w.share(share, 2) for share in rows["share"]],
            w.t("experiments.interval"): [
                w.share(None) if is_undefined(low) else f"{w.share(low, 2)} … {w.share(high, 2)}"
                for low, high in zip(rows["lower"], rows["upper"], strict=True)
            ],
        }
    )
    if rows.empty:
        nothing = w.t("risk.finding_no_vintages")
        return Figure(finding=nothing, chart=None, alt=nothing, table=table)
    chart = (
        alt.Chart(rows)
        .mark_line(point=True)
        .encode(
            x=alt.X("month:Q", title=w.t("risk.months_on_book"), axis=alt.Axis(tickMinStep=1, format="d")),
            y=alt.Y("share:Q", title=w.t("risk.axis_defaulted"), axis=alt.Axis(format=".1%")),
            color=alt.Color("cohort:N", legend=alt.Legend(title=w.t("risk.cohort"), orient="top", columns=4)),
            tooltip=[
                alt.Tooltip("cohort:N", title=w.t("risk.cohort")),
                alt.Tooltip("month:Q", title=w.t("risk.months_on_book")),
                alt.Tooltip("share:Q", title=w.t("risk.share"), format=".2%"),
                alt.Tooltip("loans:Q", title=w.t("risk.loans"), format=",.0f"),
            ],
        )
        .properties(height=320)
    )
    finding = _vintage_finding(rows, w)
    months, note = (w.t("risk.months_on_book"),), w.t("risk.vintages_note")
    return Figure(finding=finding, chart=chart, alt=finding, table=table, note=note, uncounted=months)


def _vintage_finding(rows: pd.DataFrame, w: Words) -> str:
    """Compare the newest cohort that is half a year old, else the newest of all, with the oldest at the same age."""
    ages = rows.groupby("cohort")["month"].max().sort_index()
    grown = ages[ages >= 6]
    newest = str((grown if len(grown) else ages).index[-1])
    month, oldest = int(ages[newest]), str(ages.index[0])

    def at(cohort: str) -> Any:
        found = rows[(rows["cohort"] == cohort) & (rows["month"] == month)]["share"]
        return found.iloc[0] if len(found) else None

    return w.t(
        "risk.finding_vintages",
        month=w.number(month),
        newest=newest,
        new=w.share(at(newest), 2),
        oldest=oldest,
        old=w.share(at(oldest), 2),
    )
