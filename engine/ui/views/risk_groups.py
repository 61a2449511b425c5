"""How groups fare at each stage of the credit process, as charts; four fifths is a screening figure, never the law."""

from __future__ import annotations

from typing import Any, Final

import altair as alt
import pandas as pd

from engine.ui.views.figure import BAD, GOOD, NEUTRAL, Figure, height_of, legend, scale
from engine.ui.words import UNDEFINED, Words, is_undefined

MEASURES: Final = (
    "approval_rate", "pass_rate", "scored_rate", "share_of_applications", "mean_score", "mean_rate",
    "true_positive_rate", "false_positive_rate", "default_rate", "calibration_gap", "auc",
)  # fmt: skip
"""The measures in the order in which a reader asks for them."""
_COLOURS: Final = {
    "pass": GOOD, "below": BAD, "differs": BAD, "no_difference_shown": GOOD, "reference": "#0846C2",
    "described": NEUTRAL, "insufficient": "#C9A24A", "not_assessable": "#C9A24A",
}  # fmt: skip
_UNKNOWN: Final = ("insufficient", "not_assessable")


def known(rows: pd.DataFrame) -> tuple[str, ...]:
    """Return the measures that were taken, in the order of MEASURES."""
    there = set(rows["measure"])
    return tuple(measure for measure in MEASURES if measure in there)


def groups(rows: pd.DataFrame, w: Words, measure: str) -> Figure:
    """Return one measure by group with 95 % intervals, coloured by what was concluded."""
    found = rows[rows["measure"] == measure]
    named = found.assign(
        name=[w.pick(en, zh) for en, zh in zip(found["group_en"], found["group_zh"], strict=True)],
        verdict_name=[w.label("fairness_verdict", verdict) for verdict in found["verdict"]],
        written=[_written(value, measure, w) for value in found["value"]],
    )
    table = _table(named, measure, w)
    finding = _finding(named, measure, w)
    drawn = named.dropna(subset=["value"])
    note = w.t("risk.groups_note")
    if drawn.empty:
        return Figure(finding=finding, chart=None, alt=finding, table=table, note=note)
    colours = {
        w.label("fairness_verdict", verdict): colour
        for verdict, colour in _COLOURS.items()
        if verdict in set(drawn["verdict"])
    }
    base = alt.Chart(drawn).encode(
        y=alt.Y("name:N", sort=list(drawn["name"]), title=None, axis=alt.Axis(labelLimit=260)),
        color=alt.Color("verdict_name:N", scale=scale(colours), legend=legend(colours)),
        tooltip=[
            alt.Tooltip("name:N", title=w.t("risk.group")),
            alt.Tooltip("written:N", title=w.label("fairness_measure", measure)),
            alt.Tooltip("rows:Q", title=w.t("risk.cases"), format=",.0f"),
            alt.Tooltip("verdict_name:N", title=w.t("risk.verdict")),
        ],
    )
    title, form = w.label("fairness_measure", measure), _form(measure)
    lines = base.mark_rule(strokeWidth=3).encode(
        x=alt.X("lower:Q", title=title, axis=alt.Axis(format=form)), x2="upper:Q"
    )
    dots = base.mark_point(filled=True, size=90, opacity=1).encode(
        x=alt.X("value:Q", title=title, scale=alt.Scale(zero=False))
    )
    chart = (lines + dots).properties(height=height_of(len(drawn), 28, 110))
    return Figure(finding=finding, chart=chart, alt=finding, table=table, note=note)


def _form(measure: str) -> str:
    return {"mean_score": ",.0f", "auc": ".3f", "mean_rate": ".1%"}.get(measure, ".0%")


def _written(value: Any, measure: str, w: Words) -> str:
    if measure == "mean_score":
        return w.number(value, 1)
    if measure == "auc":
        return w.number(value, 3)
    return w.points(value, 2) if measure == "calibration_gap" else w.share(value, 2 if measure == "mean_rate" else 1)


def _span(low: Any, high: Any, measure: str, w: Words) -> str:
    return UNDEFINED if is_undefined(low) else f"{_written(low, measure, w)} … {_written(high, measure, w)}"


def _finding(rows: pd.DataFrame, measure: str, w: Words) -> str:
    verdicts = rows["verdict"]
    flagged = rows[verdicts.isin(("below", "differs"))]
    counts = {
        "measure": w.label("fairness_measure", measure),
        "n": w.number(len(rows)),
        "flagged": w.number(len(flagged)),
        "insufficient": w.number(int(verdicts.isin(_UNKNOWN).sum())),
        "hidden": w.number(int((verdicts == "suppressed").sum())),
        "names": w.t("word.comma").join(flagged["name"].head(3)),
    }
    if (verdicts == "described").any():
        return w.t("risk.finding_groups_described", **counts)
    return w.t("risk.finding_groups_flagged" if len(flagged) else "risk.finding_groups", **counts)


def _table(rows: pd.DataFrame, measure: str, w: Words) -> pd.DataFrame:
    return pd.DataFrame(
        {
            w.t("risk.group"): rows["name"],
            w.label("fairness_measure", measure): rows["written"],
            w.t("experiments.interval"): [
                _span(low, high, measure, w) for low, high in zip(rows["lower"], rows["upper"], strict=True)
            ],
            w.t("risk.cases"): [w.number(count) for count in rows["rows"]],
            w.t("risk.reference"): [
                w.pick(en, zh) or UNDEFINED for en, zh in zip(rows["reference_en"], rows["reference_zh"], strict=True)
            ],
            w.t("risk.four_fifths"): [w.number(ratio, 2) for ratio in rows["ratio"]],
            w.t("risk.verdict"): rows["verdict_name"],
            w.t("risk.adjusted_p"): [w.probability(value) for value in rows["adjusted_p_value"]],
        }
    )


def flagged(rows: pd.DataFrame, w: Words) -> tuple[str, pd.DataFrame]:
    """Return how many figures ask for a look, in a sentence, and what each of them says."""
    told = [w.pick(en, zh) for en, zh in zip(rows["text"], rows["text_zh"], strict=True)]
    table = pd.DataFrame(
        {
            w.t("risk.credit_stage"): [w.label("credit_stage", stage) for stage in rows["stage"]],
            w.t("risk.what_was_found"): told,
            w.t("risk.adjusted_p"): [w.probability(value) for value in rows["adjusted_p_value"]],
        }
    )
    below = int((rows["verdict"] == "below").sum())
    if rows.empty:
        return w.t("risk.finding_none_flagged"), table
    return w.t("risk.finding_flagged", n=w.number(len(rows)), below=w.number(below)), table
