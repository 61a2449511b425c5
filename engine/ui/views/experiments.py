"""Experiments as a list and as a forest of intervals; what is withheld shows its reason and no number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import altair as alt
import pandas as pd

from engine.ui.views.figure import BAD, GOOD, NEUTRAL, Figure, height_of, scale
from engine.ui.words import Words, is_undefined

Badge = Literal["green", "red", "orange", "gray"]
COLOURS: Final[dict[str, Badge]] = {
    "better": "green",
    "worse": "red",
    "no_difference_shown": "gray",
    "withheld": "orange",
}
HEALTH: Final[dict[str, Badge]] = {"ok": "green", "warning": "orange", "stop": "red"}
_RANK: Final = {"withheld": 0, "worse": 1, "better": 2, "no_difference_shown": 3}
_ROLES: Final = ("goal", "guardrail", "secondary")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One experiment in the list: its verdict is that of its goal, withheld when any number is withheld."""

    experiment_id: str
    name: str
    verdict: str
    health: str
    units: int


def listed(results: pd.DataFrame, health: pd.DataFrame, w: Words) -> list[Entry]:
    """Return the experiments, the ones that need somebody first."""
    found = []
    for experiment, rows in results.groupby("experiment_id", sort=True):
        mine = health[(health["experiment_id"] == experiment) & ~health["check"].str.startswith("left_out.")]
        checks = set(mine["status"])
        arms = rows.drop_duplicates("variant")["variant_units"].sum() + rows["control_units"].max()
        found.append(
            Entry(
                experiment_id=str(experiment),
                name=w.name("experiment", experiment),
                verdict=_verdict(rows),
                health="stop" if "stop" in checks else "warning" if "warning" in checks else "ok",
                units=0 if is_undefined(arms) else int(arms),
            )
        )
    return sorted(
        found, key=lambda entry: (list(HEALTH).index(entry.health) * -1, _RANK.get(entry.verdict, 9), entry.name)
    )


def advice(entry: Entry, w: Words) -> str:
    """Say in a sentence what the result means for the decision."""
    return w.t(f"experiments.advice_{entry.verdict}", name=entry.name)


def withheld_reason(rows: pd.DataFrame) -> str | None:
    """Return why the numbers of an experiment are withheld, None when they are not."""
    held = rows.loc[rows["verdict"] == "withheld", "withheld_reason"].dropna()
    return None if held.empty else str(held.iloc[0])


def forest(rows: pd.DataFrame, w: Words) -> Figure:
    """Return each metric's relative difference with its 95 % interval, or the absolute one where none is defined.

    `rows` are the results of one experiment; rows that are withheld are left out.
    """
    shown = rows[rows["verdict"] != "withheld"].copy()
    shown["order"] = [_ROLES.index(role) if role in _ROLES else len(_ROLES) for role in shown["role"]]
    shown = shown.sort_values(["order", "metric", "variant"], ignore_index=True)
    shown["name"] = [_named(row, w) for row in shown.to_dict("records")]
    shown["mark"] = [_colour(row) for row in shown.to_dict("records")]
    shown["verdict_name"] = [w.label("verdict", verdict) for verdict in shown["verdict"]]
    drawn = shown.dropna(subset=["relative_difference"])
    finding = _finding(shown, w)
    table = forest_table(shown, w)
    note = w.t("experiments.not_drawn") if len(drawn) < len(shown) else ""
    if drawn.empty:
        return Figure(finding=finding, chart=None, alt=finding, table=table, note=note)
    return Figure(finding=finding, chart=_forest(drawn, w), alt=finding, table=table, note=note)


def _forest(drawn: pd.DataFrame, w: Words) -> Any:
    colours = {"good": GOOD, "bad": BAD, "none": NEUTRAL}
    base = alt.Chart(drawn).encode(
        y=alt.Y("name:N", sort=list(drawn["name"]), title=None, axis=alt.Axis(labelLimit=260, zindex=1)),
        color=alt.Color("mark:N", scale=scale(colours), legend=None),
        tooltip=[
            alt.Tooltip("name:N", title=w.t("experiments.metric")),
            alt.Tooltip("relative_difference:Q", title=w.t("experiments.relative"), format="+.1%"),
            alt.Tooltip("relative_lower:Q", title=w.t("experiments.lower"), format="+.1%"),
            alt.Tooltip("relative_upper:Q", title=w.t("experiments.upper"), format="+.1%"),
            alt.Tooltip("verdict_name:N", title=w.t("experiments.verdict")),
        ],
    )
    zero = alt.Chart(pd.DataFrame({"zero": [0.0]})).mark_rule(color=NEUTRAL, strokeDash=[4, 3]).encode(x="zero:Q")
    bounded = drawn.dropna(subset=["relative_lower", "relative_upper"])
    lines = (
        base.properties(data=bounded)
        .mark_rule(strokeWidth=3)
        .encode(
            x=alt.X(
                "relative_lower:Q",
                title=w.t("experiments.axis"),
                scale=alt.Scale(padding=24),
                axis=alt.Axis(format="+.0%", tickCount=7),
            ),
            x2="relative_upper:Q",
        )
    )
    dots = base.mark_point(filled=True, size=110, opacity=1).encode(
        x=alt.X("relative_difference:Q", title=w.t("experiments.axis")),
        shape=alt.Shape(
            "role:N", scale=alt.Scale(domain=list(_ROLES), range=["circle", "diamond", "square"]), legend=None
        ),
    )
    return (zero + lines + dots).properties(height=height_of(len(drawn), 44, 60))


def forest_table(rows: pd.DataFrame, w: Words) -> pd.DataFrame:
    """Return results as a table, each number in the unit of its metric."""
    lines = []
    for row in rows.to_dict("records"):
        share = row["metric_kind"] == "proportion"
        level = w.share if share else _two_digits(w)
        step = w.points if share else _two_digits(w)
        lines.append(
            {
                w.t("experiments.metric"): row["name"],
                w.t("experiments.role"): w.label("role", row["role"]),
                w.t("experiments.control"): level(row["control_mean"]),
                w.t("experiments.variant"): level(row["variant_mean"]),
                w.t("experiments.difference"): step(row["difference"]),
                w.t("experiments.interval"): f"{step(row['lower'])} … {step(row['upper'])}",
                w.t("experiments.p_value"): w.probability(row["p_value"]),
                w.t("experiments.verdict"): w.label("verdict", row["verdict"]),
            }
        )
    return pd.DataFrame(lines)


def arms(rows: pd.DataFrame, w: Words) -> pd.DataFrame:
    """Return how many customers each arm holds; known also where results are withheld."""
    first = rows.iloc[0]
    counted = {first["control"]: first["control_units"]}
    counted |= dict(zip(rows["variant"], rows["variant_units"], strict=True))
    return pd.DataFrame(
        {
            w.t("experiments.arm"): [w.label("variant", arm) for arm in counted],
            w.t("word.customers"): [w.number(units) for units in counted.values()],
        }
    )


def checks(rows: pd.DataFrame, w: Words) -> pd.DataFrame:
    """Return the checks of one experiment as a table."""
    return pd.DataFrame(
        {
            w.t("experiments.check"): [_check(check, w) for check in rows["check"]],
            w.t("experiments.status"): [w.label("health", status) for status in rows["status"]],
            w.t("experiments.found"): rows["detail"],
        }
    )


def _check(check: str, w: Words) -> str:
    """Name a check; one of a metric is written `check.metric`."""
    kind, _, metric = check.partition(".")
    return f"{w.label('check', kind)}: {w.label('metric', metric)}" if metric else w.label("check", kind)


def _verdict(rows: pd.DataFrame) -> str:
    if (rows["verdict"] == "withheld").any():
        return "withheld"
    guarded = rows[(rows["role"] == "guardrail") & (rows["verdict"] == "worse")]
    if not guarded.empty:
        return "worse"
    goals = rows[rows["role"] == "goal"]
    return str((goals if not goals.empty else rows).iloc[0]["verdict"])


def _named(row: Any, w: Words) -> str:
    return f"{w.label('metric', row['metric'])}, {w.label('variant', row['variant'])}"


def _colour(row: Any) -> str:
    return {"better": "good", "worse": "bad"}.get(row["verdict"], "none")


def _finding(shown: pd.DataFrame, w: Words) -> str:
    if shown.empty:
        return w.t("experiments.finding_nothing")
    row = shown.iloc[0]
    share = row["metric_kind"] == "proportion"
    level, step = (w.share, w.points) if share else (_two_digits(w), _two_digits(w))
    return w.t(
        "experiments.finding",
        metric=w.label("metric", row["metric"]),
        variant=w.label("variant", row["variant"]),
        at=level(row["variant_mean"]),
        control=level(row["control_mean"]),
        difference=step(row["difference"]),
        lower=step(row["lower"]),
        upper=step(row["upper"]),
        verdict=w.label("verdict", row["verdict"]),
    )


def _two_digits(w: Words) -> Any:
    return lambda value: w.number(value, 2)
