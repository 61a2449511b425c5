"""How an effect came about, by the day of first exposure and by days since; all its intervals hold together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from engine.ui.views import effects
from engine.ui.views.experiment_parts import Unit, named, unit, why
from engine.ui.views.figure import Figure
from engine.ui.words import Words
from experiments.report import Facts, Report, reading
from experiments.report_behind import clear_since
from experiments.report_plots import Point

CALENDAR = "calendar"


def calendar(one: Facts, w: Words) -> Figure:
    """Return the effect among everybody first exposed until each day, with all that is known of them now."""
    days = (one.get("over_time") or {}).get("calendar") or ()
    return _figure(one, days, CALENDAR, w, note=w.t("experiments.note_calendar"))


def since_exposure(one: Facts, report: Report, w: Words) -> Figure:
    """Return the effect by days since each customer's own first exposure, and whether it wears off."""
    series = (one.get("over_time") or {}).get("since_exposure") or {}
    measure = series.get("measure", "cumulative_share")
    notes = [w.t(f"experiments.note_{measure}"), wear(one, series.get("wear"), report, w)]
    return _figure(one, series.get("days") or (), measure, w, note=" ".join(note for note in notes if note))


def wear(one: Facts, found: Facts | None, report: Report, w: Words) -> str:
    """Say whether the effect of a day in the second half of the window differs from the first; empty where unknown."""
    if found is None or found["adjusted_p_value"] is None:
        return ""
    p_value = w.probability(found["adjusted_p_value"])
    if found["adjusted_p_value"] >= 1 - report.level:
        return w.t("experiments.wear_same", p=p_value)
    return w.t("experiments.wear_off", change=unit(one.get("kind", ""), w).step(found["difference"]), p=p_value)


def _figure(one: Facts, days: Sequence[Facts], measure: str, w: Words, *, note: str) -> Figure:
    how = unit(one.get("kind", ""), w)
    table = _table(days, measure, how, w)
    whole = [(day, reading(day["absolute"], "difference")) for day in days]
    whole = [(day, found) for day, found in whole if found.whole]
    if len(whole) < 2:
        finding = w.t(f"experiments.days_few_{measure}" if days else f"experiments.days_none_{measure}")
        return Figure(finding=finding, chart=None, alt=finding, table=table)
    points = [
        Point(
            name=_day(day["day"], measure, w),
            value=found.value or 0.0,
            lower=found.lower or 0.0,
            upper=found.upper or 0.0,
        )
        for day, found in whole
    ]
    since = clear_since(points)
    told = {
        "name": named(one, w),
        "when": w.t(f"experiments.when_{measure}", day=points[-1].name),
        "value": how.step(points[-1].value),
    }
    finding = (
        w.t("experiments.days_open", **told)
        if since is None
        else w.t("experiments.days_clear", since=since.name, **told)
    )
    rows = pd.DataFrame(
        {
            "at": pd.to_datetime([day["day"] for day, _ in whole])
            if measure == CALENDAR
            else [day["day"] for day, _ in whole],
            "value": [point.value * how.times for point in points],
            "lower": [point.lower * how.times for point in points],
            "upper": [point.upper * how.times for point in points],
            "written": [how.step(point.value) for point in points],
            "span": [how.span(found) for _, found in whole],
            "variant": [day["n"]["variant"] for day, _ in whole],
            "control": [day["n"]["control"] for day, _ in whole],
        }
    )
    return Figure(finding=finding, chart=_chart(rows, measure, how, w), alt=finding, table=table, note=note)


def _day(day: str | int, measure: str, w: Words) -> str:
    return str(day) if measure == CALENDAR else w.t("experiments.of_day", day=day)


def _chart(rows: pd.DataFrame, measure: str, how: Unit, w: Words) -> Any:
    title = w.t(f"experiments.axis_{measure}")
    if measure == CALENDAR:
        axis = alt.X("at:T", title=title, axis=alt.Axis(format="%m-%d", tickCount=6))
    else:
        axis = alt.X("at:Q", title=title, axis=alt.Axis(format="d", tickMinStep=1), scale=alt.Scale(nice=False))
    tooltip = {
        "at": title,
        "written": w.t("experiments.difference"),
        "span": w.t("experiments.interval"),
        "variant": w.t("experiments.n_variant"),
        "control": w.t("experiments.n_control"),
    }
    return effects.band(rows, day=axis, title=how.axis, form=how.form, tooltip=tooltip)


def _table(days: Sequence[Facts], measure: str, how: Unit, w: Words) -> pd.DataFrame:
    rows = []
    for day in days:
        found = reading(day["absolute"], "difference")
        rows.append(
            {
                w.t(f"experiments.axis_{measure}"): str(day["day"]),
                w.t("experiments.n_control"): w.number(day["n"]["control"]),
                w.t("experiments.n_variant"): w.number(day["n"]["variant"]),
                w.t("experiments.control"): how.level(day["value"]["control"]),
                w.t("experiments.variant"): how.level(day["value"]["variant"]),
                w.t("experiments.difference"): how.step(found.value),
                w.t("experiments.interval"): how.span(found),
                w.t("word.note"): why(day["absolute"], w),
            }
        )
    return pd.DataFrame(rows)
