"""Whether the data are whole and fresh, and what the run did with them."""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from engine.ui.views.figure import BAND, DROPPED, Figure, axis, height_of
from engine.ui.words import Words


def intake_finding(rows: pd.DataFrame, w: Words) -> str:
    """Say how many rows were read and how many were refused."""
    if rows.empty:
        return w.t("data.finding_no_intake")
    read, refused = int(rows["read"].sum()), int(rows["quarantined"].sum())
    return w.t(
        "data.finding_intake",
        read=w.number(read),
        refused=w.number(refused),
        share=w.share(refused / read if read else None, 3),
        tables=w.number(len(rows)),
    )


def intake(rows: pd.DataFrame, w: Words) -> pd.DataFrame:
    """Return rows read, kept, repaired and quarantined for each table."""
    return pd.DataFrame(
        {
            w.t("data.table"): [w.label("table", table) for table in rows["table"]],
            w.t("data.read"): rows["read"],
            w.t("data.kept"): rows["kept"],
            w.t("data.repaired"): rows["repaired"],
            w.t("data.quarantined"): rows["quarantined"],
        }
    )


def quarantine(rows: pd.DataFrame, w: Words) -> Figure:
    """Return refused rows by what was wrong with them."""
    rows = rows.assign(code_name=[w.pick(en, zh) for en, zh in zip(rows["meaning"], rows["meaning_zh"], strict=True)])
    table = pd.DataFrame(
        {
            w.t("data.table"): [w.label("table", table) for table in rows["table"]],
            w.t("data.column"): rows["column"],
            w.t("data.code"): rows["code_name"],
            w.t("data.rows"): rows["rows"],
            w.t("data.expected"): rows["expected"],
        }
    )
    if rows.empty:
        return Figure(finding=w.t("data.finding_clean"), chart=None, alt=w.t("data.finding_clean"), table=table)
    summed = rows.groupby("code_name")["rows"].sum().sort_values(ascending=False)
    totals = pd.DataFrame({"code_name": summed.index, "rows": summed.to_numpy()})
    chart = (
        alt.Chart(totals)
        .mark_bar(height=BAND, color=DROPPED)
        .encode(
            x=alt.X("rows:Q", title=w.t("data.axis_rows"), axis=axis()),
            y=alt.Y("code_name:N", sort=list(totals["code_name"]), title=None, axis=alt.Axis(labelLimit=240)),
            tooltip=[
                alt.Tooltip("code_name:N", title=w.t("data.code")),
                alt.Tooltip("rows:Q", title=w.t("data.rows"), format=",.0f"),
            ],
        )
        .properties(height=height_of(len(totals), 28))
    )
    first = totals.iloc[0]
    finding = w.t(
        "data.finding_quarantine", code=first["code_name"], rows=w.number(first["rows"]), codes=w.number(len(totals))
    )
    return Figure(finding=finding, chart=chart, alt=finding, table=table)


def stages(rows: pd.DataFrame, w: Words) -> pd.DataFrame:
    """Return what the run did, stage by stage."""
    return pd.DataFrame(
        {
            w.t("data.stage"): [w.label("run_stage", stage) for stage in rows["stage"]],
            w.t("data.status"): [w.label("stage_status", status) for status in rows["status"]],
            w.t("data.seconds"): rows["seconds"],
            w.t("data.rows_written"): rows["rows"],
            w.t("data.reason"): [reason if isinstance(reason, str) else "" for reason in rows["reason"]],
        }
    )


def stages_finding(rows: pd.DataFrame, w: Words) -> str:
    """Say how long the run took and what it skipped."""
    skipped = [w.label("run_stage", stage) for stage in rows.loc[rows["status"] == "skipped", "stage"]]
    took = w.t(
        "data.finding_run", seconds=w.duration(float(rows["seconds"].sum())), done=w.number(len(rows) - len(skipped))
    )
    return f"{took} {w.t('data.finding_skipped', stages=w.t('word.comma').join(skipped))}" if skipped else took


def short_manifest(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest without the list of files, which is long and stands in the file itself."""
    marts = {name: facts["rows"] for name, facts in manifest["marts"].items()}
    return {**{key: value for key, value in manifest.items() if key not in ("stages", "marts")}, "rows": marts}
