"""Whether the model is still right: champion beside challengers, calibration, stability, cautions, the refused."""

from __future__ import annotations

from typing import Any, Final

import altair as alt
import pandas as pd

from engine.ui.views import bars
from engine.ui.views.figure import BAD, CONTINUED, GOOD, NEUTRAL, WAITING, Figure, height_of, legend, peak, scale
from engine.ui.words import UNDEFINED, Words, is_undefined

CHAMPION: Final = "scorecard"
LATER: Final = "out_of_time"
SCORE: Final = "score"
_MOVES: Final = {"tier_lower": "#7FB69A", "tier_same": "#DDE3EC", "tier_higher": "#C8553D"}
_METHODS: Final = {"without": NEUTRAL, "fuzzy": CONTINUED, "parcelling": "#E9B44C"}
_SHARES: Final = ("approval_rate", "approval_rate_of_rejected", "bad_rate_of_accepted", "implied_bad_rate_of_rejected")


def models(rows: pd.DataFrame, w: Words) -> Figure:
    """Return the area under the curve of champion and challengers on both samples, with 95 % intervals."""
    table = _measures(rows, w)
    drawn = _named(rows[rows["measure"] == "auc"].dropna(subset=["value"]), w)
    if drawn.empty:
        nothing = w.t("risk.finding_no_validation")
        return Figure(finding=nothing, chart=None, alt=nothing, table=table)
    samples = {w.label("sample", "train"): NEUTRAL, w.label("sample", LATER): CONTINUED}
    base = alt.Chart(drawn).encode(
        y=alt.Y(
            "model_name:N", sort=list(dict.fromkeys(drawn["model_name"])), title=None, axis=alt.Axis(labelLimit=260)
        ),
        yOffset=alt.YOffset("sample_name:N", sort=list(samples)),
        color=alt.Color("sample_name:N", scale=scale(samples), legend=legend(samples)),
        tooltip=[
            alt.Tooltip("model_name:N", title=w.t("risk.model")),
            alt.Tooltip("sample_name:N", title=w.t("risk.sample")),
            alt.Tooltip("value:Q", title=w.label("measure", "auc"), format=".3f"),
            alt.Tooltip("lower:Q", title=w.t("experiments.lower"), format=".3f"),
            alt.Tooltip("upper:Q", title=w.t("experiments.upper"), format=".3f"),
        ],
    )
    place = alt.X("lower:Q", title=w.t("risk.axis_auc"), scale=alt.Scale(domain=[0.5, 1], clamp=True))
    lines = base.mark_rule(strokeWidth=3).encode(x=place, x2="upper:Q")
    dots = base.mark_point(filled=True, size=90, opacity=1).encode(x=alt.X("value:Q", title=w.t("risk.axis_auc")))
    finding = _models_finding(rows, w)
    chart = (lines + dots).properties(height=height_of(drawn["model"].nunique(), 46, 90))
    return Figure(finding=finding, chart=chart, alt=finding, table=table, note=w.t("risk.models_note"))


def _named(rows: pd.DataFrame, w: Words) -> pd.DataFrame:
    return rows.assign(
        model_name=[w.label("risk_model", model) for model in rows["model"]],
        sample_name=[w.label("sample", sample) for sample in rows["sample"]],
    )


def _one(rows: pd.DataFrame, model: str, measure: str, sample: str = LATER) -> dict[str, Any] | None:
    found = rows[(rows["model"] == model) & (rows["measure"] == measure) & (rows["sample"] == sample)]
    return None if found.empty or is_undefined(found.iloc[0]["value"]) else dict(found.iloc[0])


def _models_finding(rows: pd.DataFrame, w: Words) -> str:
    own = _one(rows, CHAMPION, "auc")
    if own is None:
        return w.t("risk.finding_no_validation")
    told = {name: w.number(own[name], 3) for name in ("value", "lower", "upper")}
    start = w.t("risk.finding_champion", **told, rows=w.number(own["rows"]), bads=w.number(own["bads"]))
    gains = rows[(rows["measure"] == "auc_gain") & (rows["sample"] == LATER)].dropna(subset=["value"])
    if gains.empty:
        return start
    best = peak(gains, "value")
    key = "risk.finding_challenger_better" if best["lower"] > 0 else "risk.finding_challenger_not_better"
    gain = {name: w.number(best[name], 3) for name in ("value", "lower", "upper")}
    return f"{start} {w.t(key, model=w.label('risk_model', best['model']), **gain)}"


def _measures(rows: pd.DataFrame, w: Words) -> pd.DataFrame:
    """Return one line per model and sample with every measure in a column of its own."""
    lines = []
    for model, sample in (
        rows[rows["sample"] != "customers"][["model", "sample"]].drop_duplicates().itertuples(index=False)
    ):
        found = {
            name: _one(rows, model, name, sample) or {}
            for name in (
                "auc",
                "auc_gain",
                "gini",
                "ks",
                "brier",
                "mean_predicted",
                "observed_rate",
                "calibration_error",
            )
        }
        judged = rows[(rows["model"] == model) & (rows["sample"] == sample)].iloc[0]
        lines.append(
            {
                w.t("risk.model"): w.label("risk_model", model),
                w.t("risk.sample"): w.label("sample", sample),
                w.label("measure", "auc"): _span(found["auc"], w),
                w.label("measure", "auc_gain"): _span(found["auc_gain"], w),
                w.label("measure", "gini"): w.number(found["gini"].get("value"), 3),
                w.label("measure", "ks"): w.number(found["ks"].get("value"), 3),
                w.label("measure", "brier"): w.number(found["brier"].get("value"), 4),
                w.label("measure", "mean_predicted"): w.share(found["mean_predicted"].get("value"), 2),
                w.label("measure", "observed_rate"): w.share(found["observed_rate"].get("value"), 2),
                w.label("measure", "calibration_error"): w.share(found["calibration_error"].get("value"), 2),
                w.t("risk.rows"): w.number(judged["rows"]),
                w.t("risk.bads"): w.number(judged["bads"]),
            }
        )
    return pd.DataFrame(lines)


def _span(found: dict[str, Any], w: Words) -> str:
    if not found:
        return UNDEFINED
    value = w.number(found["value"], 3)
    if is_undefined(found["lower"]):
        return value
    return f"{value} ({w.number(found['lower'], 3)} … {w.number(found['upper'], 3)})"


def agreement(rows: pd.DataFrame, w: Words) -> Figure:
    """Return how many customers each challenger would put into a lower, the same or a higher risk tier."""
    found = rows[rows["measure"].isin(_MOVES)].dropna(subset=["value"])
    named = found.assign(
        model_name=[w.label("risk_model", model) for model in found["model"]],
        move=[w.label("measure", measure) for measure in found["measure"]],
        percent=[w.share(value) for value in found["value"]],
    )
    table = pd.DataFrame(
        {
            w.t("risk.model"): named["model_name"],
            w.t("risk.against_tier"): named["move"],
            w.t("risk.share"): named["percent"],
            w.t("word.customers"): [w.number(count) for count in named["rows"]],
        }
    )
    if named.empty:
        nothing = w.t("risk.finding_no_challenger")
        return Figure(finding=nothing, chart=None, alt=nothing, table=table)
    chart = bars.stacked(
        named,
        "model_name",
        "value",
        "move",
        title=w.t("risk.axis_share_customers"),
        colours={w.label("measure", name): colour for name, colour in _MOVES.items()},
        tooltip={"model_name": w.t("risk.model"), "move": w.t("risk.against_tier"), "percent": w.t("risk.share")},
        form=".0%",
    )
    same = peak(named[named["measure"] == "tier_same"], "value")
    finding = w.t("risk.finding_agreement", model=same["model_name"], share=same["percent"])
    return Figure(finding=finding, chart=chart, alt=finding, table=table)


def calibration(rows: pd.DataFrame, w: Words) -> Figure:
    """Return the mean predicted default rate of every model on later loans beside the observed one."""
    later = rows[(rows["sample"] == LATER) & rows["measure"].isin(("mean_predicted", "observed_rate"))]
    named = _named(later.dropna(subset=["value"]), w)
    named = named.assign(
        kind=[w.label("measure", measure) for measure in named["measure"]],
        written=[w.share(value, 2) for value in named["value"]],
    )
    table = pd.DataFrame(
        {
            w.t("risk.model"): named["model_name"],
            w.t("risk.measure"): named["kind"],
            w.t("risk.value"): named["written"],
            w.t("experiments.interval"): _shares(named["lower"], named["upper"], w),
        }
    )
    own, seen = _one(rows, CHAMPION, "mean_predicted"), _one(rows, CHAMPION, "observed_rate")
    if own is None or seen is None:
        nothing = w.t("risk.finding_no_validation")
        return Figure(finding=nothing, chart=None, alt=nothing, table=table)
    within = seen["lower"] <= own["value"] <= seen["upper"]
    finding = w.t(
        "risk.finding_calibrated" if within else "risk.finding_not_calibrated",
        predicted=w.share(own["value"], 2),
        observed=w.share(seen["value"], 2),
        lower=w.share(seen["lower"], 2),
        upper=w.share(seen["upper"], 2),
    )
    kinds = {w.label("measure", "mean_predicted"): CONTINUED, w.label("measure", "observed_rate"): NEUTRAL}
    base = alt.Chart(named).encode(
        y=alt.Y(
            "model_name:N", sort=list(dict.fromkeys(named["model_name"])), title=None, axis=alt.Axis(labelLimit=260)
        ),
        color=alt.Color("kind:N", scale=scale(kinds), legend=legend(kinds)),
        tooltip=[
            alt.Tooltip("model_name:N", title=w.t("risk.model")),
            alt.Tooltip("kind:N", title=w.t("risk.measure")),
            alt.Tooltip("written:N", title=w.t("risk.value")),
        ],
    )
    place = alt.Axis(format=".1%")
    lines = base.mark_rule(strokeWidth=3).encode(
        x=alt.X("lower:Q", title=w.t("risk.axis_rate"), axis=place), x2="upper:Q"
    )
    dots = base.mark_point(filled=True, size=90, opacity=1).encode(
        x=alt.X("value:Q", title=w.t("risk.axis_rate"), axis=place, scale=alt.Scale(zero=False))
    )
    chart = (lines + dots).properties(height=height_of(named["model"].nunique(), 34, 90))
    return Figure(finding=finding, chart=chart, alt=finding, table=table)


def _shares(lower: pd.Series, upper: pd.Series, w: Words) -> list[str]:
    return [
        UNDEFINED if is_undefined(low) else f"{w.share(low, 2)} … {w.share(high, 2)}"
        for low, high in zip(lower, upper, strict=True)
    ]


def what_name(what: str, w: Words) -> str:
    """Return what is watched: the score, or a characteristic by its name."""
    return w.t("risk.score_itself") if what == SCORE else w.name("characteristic", what)


def cautions(rows: pd.DataFrame, held: int | None, w: Words) -> tuple[str, pd.DataFrame]:
    """Return what the gate does because of the model, in a sentence, and every caution as a table."""
    table = pd.DataFrame(
        {
            w.t("risk.what_moved"): [what_name(what, w) for what in rows["what"]],
            w.t("risk.since"): [w.day(since) for since in rows["since"]],
            w.t("risk.gate_does"): [
                w.t("word.comma").join(w.label("caution_effect", effect) for effect in str(effects or "").split())
                for effects in rows["effects"]
            ],
            w.t("risk.why"): [w.pick(en, zh) for en, zh in zip(rows["text"], rows["text_zh"], strict=True)],
        }
    )
    if rows.empty:
        return w.t("risk.finding_no_caution"), table
    return w.t("risk.finding_cautions", n=w.number(len(rows)), customers=w.number(held)), table


def latest(rows: pd.DataFrame, w: Words) -> Figure:
    """Return the newest month's stability index of the score and every characteristic, with the limit of each."""
    newest = rows.sort_values("ends").groupby("what", sort=False).tail(1)
    newest = newest.sort_values(["value"], ascending=False, na_position="last", ignore_index=True)
    named = newest.assign(
        name=[what_name(what, w) for what in newest["what"]],
        judged=[_verdict(row) for row in newest.to_dict("records")],
    )
    named["verdict_name"] = [w.label("stability_verdict", verdict) for verdict in named["judged"]]
    table = _stability_table(named, w)
    drifted = named[named["judged"] == "drifted"]
    checked = named[named["judged"].isin(("drifted", "stable"))]
    finding = w.t(
        "risk.finding_stability_drifted" if len(drifted) else "risk.finding_stability",
        n=w.number(len(drifted)),
        checked=w.number(len(checked)),
        unchecked=w.number(len(named) - len(checked)),
        names=w.t("word.comma").join(drifted["name"].head(3)),
    )
    drawn = named.dropna(subset=["value", "limit"])
    colours = {
        w.label("stability_verdict", name): colour
        for name, colour in {"stable": GOOD, "drifted": BAD, "one_bin": NEUTRAL, "not_checked": NEUTRAL}.items()
        if name in set(drawn["judged"])
    }
    base = alt.Chart(drawn).encode(
        y=alt.Y("name:N", sort=list(drawn["name"]), title=None, axis=alt.Axis(labelLimit=300)),
        tooltip=[
            alt.Tooltip("name:N", title=w.t("risk.what_moved")),
            alt.Tooltip("value:Q", title=w.t("risk.index"), format=".4f"),
            alt.Tooltip("limit:Q", title=w.t("risk.stability_limit"), format=".4f"),
            alt.Tooltip("verdict_name:N", title=w.t("risk.verdict")),
        ],
    )
    dots = base.mark_point(filled=True, size=90, opacity=1).encode(
        x=alt.X("value:Q", title=w.t("risk.axis_index")),
        color=alt.Color("verdict_name:N", scale=scale(colours), legend=legend(colours)),
    )
    limits = base.mark_tick(thickness=3, color=WAITING, size=18).encode(x="limit:Q")
    chart = (limits + dots).properties(height=height_of(len(drawn), 26, 100)) if len(drawn) else None
    return Figure(finding=finding, chart=chart, alt=finding, table=table, note=w.t("risk.stability_note"))


def _verdict(row: dict[Any, Any]) -> str:
    """A distribution that falls into a single bin cannot move, so that its index says nothing."""
    if row["verdict"] != "not_checked" and not is_undefined(row["bins"]) and row["bins"] < 2:
        return "one_bin"
    return str(row["verdict"])


def _stability_table(rows: pd.DataFrame, w: Words) -> pd.DataFrame:
    return pd.DataFrame(
        {
            w.t("risk.what_moved"): rows["name"],
            w.t("risk.month_to"): [w.day(ends) for ends in rows["ends"]],
            w.t("risk.index"): [w.number(value, 4) for value in rows["value"]],
            w.t("risk.stability_limit"): [w.number(limit, 4) for limit in rows["limit"]],
            w.t("risk.decided_by"): [w.label("limit_kind", kind) for kind in rows["decided_by"]],
            w.t("risk.verdict"): rows["verdict_name"],
            w.t("risk.why"): [w.pick(en, zh) for en, zh in zip(rows["text"], rows["text_zh"], strict=True)],
        }
    )


def history(rows: pd.DataFrame, w: Words, what: str) -> Figure:
    """Return the stability index of one thing by month, with its limit."""
    chosen = rows[rows["what"] == what].sort_values("ends", ignore_index=True)
    named = chosen.assign(
        name=what_name(what, w), judged=[_verdict(row) for row in chosen.to_dict("records")], month=chosen["ends"]
    )
    named["verdict_name"] = [w.label("stability_verdict", verdict) for verdict in named["judged"]]
    table = _stability_table(named, w)
    over = named[named["judged"] == "drifted"]
    finding = w.t(
        "risk.finding_history_drifted" if len(over) else "risk.finding_history",
        what=what_name(what, w),
        months=w.number(len(named)),
        over=w.number(len(over)),
        first=w.day(over["begins"].min() if len(over) else None),
    )
    drawn = named.dropna(subset=["value"])
    parts = {w.t("risk.index"): "value", w.t("risk.stability_limit"): "limit"}
    lines = pd.concat([drawn.assign(kind=kind, index=drawn[column]) for kind, column in parts.items()])
    chart = (
        alt.Chart(lines)
        .mark_line(point=True)
        .encode(
            x=alt.X("month:T", title=w.t("risk.month_to"), axis=alt.Axis(format="%Y-%m", tickCount=6)),
            y=alt.Y("index:Q", title=w.t("risk.axis_index")),
            color=alt.Color(
                "kind:N",
                scale=scale({w.t("risk.index"): CONTINUED, w.t("risk.stability_limit"): WAITING}),
                legend=legend(parts),
            ),
            tooltip=[
                alt.Tooltip("kind:N", title=w.t("risk.measure")),
                alt.Tooltip("index:Q", title=w.t("risk.value"), format=".4f"),
            ],
        )
        .properties(height=260)
    )
    return Figure(finding=finding, chart=chart if len(drawn) else None, alt=finding, table=table)


def matured(rows: pd.DataFrame, w: Words) -> list[str]:
    """Return what loans whose outcome is known by now say of the model, in sentences."""
    return [w.pick(row["text"], row["text_zh"]) for row in rows.to_dict("records")]


def rejects(rows: pd.DataFrame, w: Words) -> Figure:
    """Return the shares that change, or do not, when the refused are guessed at; every measure is in the table."""
    table = pd.DataFrame(
        {
            w.t("risk.method"): [w.label("reject_method", method) for method in rows["method"]],
            w.t("risk.what_is_compared"): [
                w.pick(en, zh) for en, zh in zip(rows["text"], rows["text_zh"], strict=True)
            ],
        }
    )
    drawn = rows[rows["measure"].isin(_SHARES)].dropna(subset=["without", "inferred"])
    if drawn.empty:
        nothing = w.t("risk.finding_no_rejects")
        return Figure(finding=nothing, chart=None, alt=nothing, table=table)
    plain = drawn.drop_duplicates("measure").assign(method="without", value=lambda found: found["without"])
    tidy = pd.concat([plain, drawn.assign(value=drawn["inferred"])])
    tidy = tidy.assign(
        measure_name=[w.label("reject_measure", measure) for measure in tidy["measure"]],
        method_name=[w.label("reject_method", method) for method in tidy["method"]],
    )
    colours = {w.label("reject_method", name): colour for name, colour in _METHODS.items()}
    chart = (
        alt.Chart(tidy)
        .mark_point(filled=True, size=110, opacity=0.9)
        .encode(
            x=alt.X(
                "value:Q", title=w.t("risk.axis_share"), axis=alt.Axis(format=".0%"), scale=alt.Scale(domain=[0, 1])
            ),
            y=alt.Y(
                "measure_name:N",
                sort=[w.label("reject_measure", name) for name in _SHARES],
                title=None,
                axis=alt.Axis(labelLimit=340, grid=True),
            ),
            color=alt.Color("method_name:N", scale=scale(colours), legend=legend(colours)),
            tooltip=[
                alt.Tooltip("measure_name:N", title=w.t("risk.measure")),
                alt.Tooltip("method_name:N", title=w.t("risk.method")),
                alt.Tooltip("value:Q", title=w.t("risk.share"), format=".1%"),
            ],
        )
        .properties(height=240)
    )
    first = drawn[drawn["measure"] == "approval_rate"]
    told = [
        w.t("risk.with_method", method=w.label("reject_method", row["method"]), share=w.share(row["inferred"]))
        for row in first.to_dict("records")
    ]
    finding = w.t(
        "risk.finding_rejects",
        without=w.share(first["without"].iloc[0] if len(first) else None),
        told=w.t("word.comma").join(told) or UNDEFINED,
    )
    return Figure(finding=finding, chart=chart, alt=finding, table=table, note=w.t("risk.rejects_note"))
