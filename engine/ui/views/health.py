"""Whether sources are whole, whether distributions have drifted, whether models hold: findings, charts and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import altair as alt
import pandas as pd

from engine.ui.views.figure import BAD, CONTINUED, GOOD, NEUTRAL, WAITING, Figure
from engine.ui.views.risk_model import what_name
from engine.ui.words import Words
from engine.workflows.view.health import ACT, WATCH

SELECTED: Final = "feature"
MOST: Final = 25  # features in a chart; the table holds all
_COLOURS: Final = {"stable": GOOD, "moved": "#A97B00", "changed": BAD}
_ROW: Final = 20


def sources(
    intake: pd.DataFrame, fresh: pd.DataFrame, whole: pd.DataFrame, as_of: datetime | None, w: Words
) -> tuple[str, pd.DataFrame]:
    """Say how whole the sources are, and return a row for each: rows, latest, filled, what is absent, refused."""
    rows = fresh.merge(whole, on="table", how="left").merge(intake, on="table", how="left")
    if rows.empty:
        return w.t("data.finding_empty"), rows
    until = pd.Timestamp(as_of).tz_localize(None) if as_of is not None else None
    behind = [None if until is None or pd.isna(at) else max((until - at).days, 0) for at in rows["latest"]]
    emptiest = [
        f"{column} ({w.share(share)})" if isinstance(column, str) and share < 1 else None
        for column, share in zip(rows["emptiest"], rows["emptiest_filled"], strict=True)
    ]
    table = pd.DataFrame(
        {
            w.t("data.table"): [w.label("table", table) for table in rows["table"]],
            w.t("data.rows"): rows["rows"],
            w.t("data.latest"): [w.instant(moment) for moment in rows["latest"]],
            w.t("data.behind"): behind,
            w.t("data.filled"): [w.share(share) for share in rows["filled"]],
            w.t("data.emptiest"): emptiest,
            w.t("data.absent"): rows["absent"],
            w.t("data.refused_share"): [
                w.share(refused / read, 2) if read else None
                for refused, read in zip(rows["quarantined"].fillna(0), rows["read"].fillna(0), strict=True)
            ],
        }
    )
    least = rows.sort_values("filled").iloc[0]
    finding = w.t(
        "data.finding_complete",
        tables=w.number(len(rows)),
        rows=w.number(rows["rows"].sum()),
        table=w.label("table", least["table"]),
        share=w.share(least["filled"]),
    )
    return finding, table


def reasons(rows: pd.DataFrame, w: Words) -> dict[str, str]:
    """Return every reason for which rows were refused: its key and what it is called."""
    return {
        f"{row['table']}/{row['code']}/{row['column']}": (
            f"{w.label('table', row['table'])}, {row['column']}: {w.pick(row['meaning'], row['meaning_zh'])} "
            f"({w.number(row['rows'])})"
        )
        for row in rows.sort_values("rows", ascending=False).to_dict("records")
    }


def examples(rows: pd.DataFrame, w: Words) -> pd.DataFrame:
    """Return refused rows as they may be shown."""
    return pd.DataFrame(
        {
            w.t("data.file"): rows["file"],
            w.t("data.row_number"): rows["row_number"],
            w.t("data.column"): rows["column"],
            w.t("data.value_masked"): rows["value_masked"],
        }
    )


def level(index: float) -> str:
    """Return the verdict on a stability index by the rules of thumb."""
    return "changed" if index > ACT else "moved" if index > WATCH else "stable"


def feature_name(feature: str, w: Words) -> str:
    """Return what a feature is called, with its id: several are called alike but for the time they look at."""
    return f"{w.name('feature', feature)} ({feature})"


def drift(rows: pd.DataFrame, before: datetime, w: Words) -> Figure:
    """Return how far each feature has moved since an earlier run; the dot can be clicked."""
    named = rows.assign(
        name=[feature_name(feature, w) for feature in rows["feature"]],
        level=[level(index) for index in rows["value"]],
    )
    named["level_name"] = [w.t(f"drift_level.{one}") for one in named["level"]]
    table = pd.DataFrame(
        {
            w.t("data.drift_feature"): named["name"],
            w.t("data.drift_index"): [w.number(index, 3) for index in named["value"]],
            w.t("data.drift_level"): named["level_name"],
        }
    )
    moved, changed = (named["value"] > WATCH).sum(), (named["value"] > ACT).sum()
    facts = {"features": w.number(len(named)), "day": w.day(before)}
    finding = w.t("data.drift_stable", **facts)
    if moved:
        first = named.iloc[0]
        finding = w.t(
            "data.drift_moved",
            moved=w.number(moved),
            changed=w.number(changed),
            first=first["name"],
            value=w.number(first["value"], 2),
            **facts,
        )
    chart = _dots(named.head(MOST), w, colours={w.t(f"drift_level.{one}"): c for one, c in _COLOURS.items()})
    return Figure(finding=finding, chart=chart if len(named) else None, alt=finding, table=table)


def _dots(rows: pd.DataFrame, w: Words, *, colours: Mapping[str, str]) -> Any:
    """Return a dot for each row at its index, with rules at the two limits."""
    most = max(float(rows["value"].max()) if len(rows) else 0.0, ACT) * 1.08
    shown = rows.drop(columns=["ends"], errors="ignore")
    chosen = alt.selection_point(name=SELECTED, fields=["feature"])
    dots = (
        alt.Chart(shown)
        .mark_point(filled=True, size=110, opacity=1)
        .encode(
            x=alt.X(
                "value:Q", title=w.t("data.drift_index"), scale=alt.Scale(domain=[0, most]), axis=alt.Axis(format=".2f")
            ),
            y=alt.Y("name:N", sort=list(shown["name"]), title=None, axis=alt.Axis(labelLimit=260)),
            color=alt.Color(
                "level_name:N",
                title=None,
                scale=alt.Scale(domain=list(colours), range=list(colours.values())),
                legend=alt.Legend(orient="top"),
            ),
            detail="feature:N",
            tooltip=[
                alt.Tooltip("name:N", title=w.t("data.drift_feature")),
                alt.Tooltip("value:Q", title=w.t("data.drift_index"), format=".3f"),
                alt.Tooltip("level_name:N", title=w.t("data.drift_level")),
            ],
        )
        .add_params(chosen)
    )
    limits = pd.DataFrame({"limit": [WATCH, ACT], "colour": [WAITING, BAD]})
    rules = (
        alt.Chart(limits)
        .mark_rule(strokeDash=[4, 3], size=1.5)
        .encode(x="limit:Q", color=alt.Color("colour:N", scale=None))
    )
    return alt.layer(rules, dots).properties(height=_ROW * len(shown) + 30)


def overlay(rows: pd.DataFrame, feature: str, index: float, before: datetime, w: Words) -> Figure:
    """Return the distribution of one feature now and before, side by side."""
    names = {"before": w.t("data.overlay_before"), "now": w.t("data.overlay_now")}
    named = rows.assign(side=[names[run] for run in rows["run"]])
    order = list(dict.fromkeys(named["bin"]))
    wide = named.pivot(index="bin", columns="side", values="share").loc[order]
    table = pd.DataFrame(
        {w.t("data.overlay_value"): order} | {name: [w.share(s) for s in wide[name]] for name in names.values()}
    )
    finding = w.t("data.overlay_finding", feature=feature_name(feature, w), day=w.day(before), value=w.number(index, 3))
    chart = (
        alt.Chart(named)
        .mark_bar()
        .encode(
            x=alt.X(
                "bin:N", sort=order, title=w.t("data.overlay_value"), axis=alt.Axis(labelAngle=-30, labelOverlap=False)
            ),
            xOffset=alt.XOffset("side:N", sort=list(names.values())),
            y=alt.Y("share:Q", title=w.t("data.overlay_share"), axis=alt.Axis(format="%")),
            color=alt.Color(
                "side:N",
                title=None,
                sort=list(names.values()),
                scale=alt.Scale(domain=list(names.values()), range=[NEUTRAL, CONTINUED]),
                legend=alt.Legend(orient="top"),
            ),
            tooltip=[
                alt.Tooltip("bin:N", title=w.t("data.overlay_value")),
                alt.Tooltip("side:N", title=w.t("data.run_id")),
                alt.Tooltip("share:Q", title=w.t("data.overlay_share"), format=".1%"),
            ],
        )
        .properties(height=240)
    )
    return Figure(finding=finding, chart=chart, alt=finding, table=table)


def model_drift(rows: pd.DataFrame, w: Words) -> Figure:
    """Return how far what the risk model sees has moved in the newest month, with the limit that counts for each."""
    named = rows.assign(
        feature=rows["population"] + "/" + rows["what"],
        name=[
            f"{what_name(what, w)} ({w.label('population', population)})"
            for what, population in zip(rows["what"], rows["population"], strict=True)
        ],
        level_name=[w.label("stability_verdict", verdict) for verdict in rows["verdict"]],
    ).sort_values(["value", "name"], ascending=[False, True], ignore_index=True)
    table = pd.DataFrame(
        {
            w.t("data.model_what"): named["name"],
            w.t("data.drift_index"): [w.number(index, 3) for index in named["value"]],
            w.t("data.model_limit"): [w.number(limit, 3) for limit in named["limit"]],
            w.t("data.drift_level"): named["level_name"],
            w.t("data.cases"): named["rows"],
        }
    )
    if named.empty:
        return Figure(finding=w.t("data.models_none"), chart=None, alt=w.t("data.models_none"), table=table)
    moved = named[named["verdict"] == "drifted"]
    first = (
        moved if len(moved) else named.assign(near=named["value"] / named["limit"]).sort_values("near")[::-1]
    ).iloc[0]
    facts = {"count": w.number(len(named)), "first": first["name"], "value": w.number(first["value"], 3)}
    finding = w.t("data.model_finding_stable", **facts)
    if len(moved):
        finding = w.t("data.model_finding_moved", moved=w.number(len(moved)), **facts)
    colours = {"stable": GOOD, "drifted": BAD, "one_bin": NEUTRAL, "not_checked": NEUTRAL}
    there = {w.label("stability_verdict", v): colours.get(v, NEUTRAL) for v in dict.fromkeys(named["verdict"])}
    dots = _dots(named, w, colours=there)
    ticks = (
        alt.Chart(named[["name", "limit"]])
        .mark_tick(color=NEUTRAL, thickness=2, size=14)
        .encode(x="limit:Q", y=alt.Y("name:N", sort=list(named["name"])), tooltip=alt.Tooltip("limit:Q", format=".3f"))
    )
    return Figure(
        finding=finding,
        chart=alt.layer(ticks, dots).properties(height=_ROW * len(named) + 30),
        alt=finding,
        table=table,
    )


def models(rows: pd.DataFrame, w: Words) -> tuple[str, pd.DataFrame]:
    """Say how many models were judged, and return how well each does."""
    table = pd.DataFrame(
        {
            w.t("data.model"): [
                w.label("risk_model", model) if family == "risk" else w.label("model", model)
                for family, model in zip(rows["family"], rows["model"], strict=True)
            ],
            w.t("data.measure"): [w.t(f"model_measure.{measure}") for measure in rows["measure"]],
            w.t("data.value"): [w.number(value, 3) for value in rows["value"]],
            w.t("data.interval"): [
                f"{w.number(low, 3)} – {w.number(high, 3)}"
                for low, high in zip(rows["lower"], rows["upper"], strict=True)
            ],
            w.t("data.cases"): rows["rows"],
        }
    )
    return w.t("data.models_finding" if len(rows) else "data.models_none", count=w.number(len(rows))), table


def runs(rows: pd.DataFrame, w: Words) -> tuple[str, pd.DataFrame]:
    """Say how many runs are kept, and return them, the newest first."""
    table = pd.DataFrame(
        {
            w.t("data.run_id"): rows["run_id"],
            w.t("data.as_of"): [w.instant(at) for at in rows["as_of"]],
            w.t("data.made"): [w.instant(at) for at in rows["finished_at"]],
            w.t("data.took"): [w.duration(seconds) for seconds in rows["seconds"]],
            w.t("data.skipped_stages"): rows["skipped"],
            w.t("data.rows_written"): rows["rows"],
        }
    )
    return w.t("data.history_finding", count=w.number(len(rows)), took=w.duration(rows["seconds"].iloc[0])), table


def machine(checks: Sequence[Mapping[str, Any]], w: Words) -> tuple[str, pd.DataFrame]:
    """Say how many checks of the machine are in order, and return them."""
    table = pd.DataFrame(
        {
            w.t("data.check"): [w.label("doctor_check", check["name"].replace(" ", "_")) for check in checks],
            w.t("data.status"): [w.t(f"doctor_status.{check['status']}") for check in checks],
            w.t("data.detail"): [check["detail"] for check in checks],
            w.t("data.remedy"): [check["remedy"] for check in checks],
        }
    )
    ok = sum(check["status"] == "ok" for check in checks)
    return w.t("data.machine_finding", ok=w.number(ok), count=w.number(len(checks))), table
