"""What came back of an export: the funnel of its customers, every rate with its interval, and the control group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import altair as alt
import pandas as pd

from engine.ui.views.figure import BAD, BAND, CONTINUED, Figure, axis, height_of, legend, scale
from engine.ui.words import UNDEFINED, Words

Facts = Mapping[str, Any]
_FUNNEL: Final = ("sent", "delivered", "opened", "clicked", "converted")
_APART: Final = "unsubscribed"
_RATES: Final = {
    "delivered": "delivery",
    "machine_opened": "machine_open",
    "opened": "open",
    "clicked": "click",
    "converted": "conversion",
    "bounced": "bounce",
    "unsubscribed": "unsubscription",
    "complained": "complaint",
}


def funnel(group: Facts, w: Words) -> Figure:
    """Return how far the customers of an export came, as one tool reports it; who unsubscribed stands apart, in red."""
    counts = group["customers"]
    found = _finding(group, w)
    parts = {w.t("exports.onwards"): CONTINUED, w.t("exports.withdrawn"): BAD}
    names = list(parts)
    rows = pd.DataFrame(
        [
            {
                "step": w.t(f"reported.{step}"),
                "customers": counts[step],
                "part": names[step == _APART],
                "label": _label(counts[step], counts["sent"], w),
            }
            for step in (*_FUNNEL, _APART)
            if counts[step] is not None
        ]
    )
    order = list(rows["step"])
    y = alt.Y("step:N", sort=order, title=None, axis=alt.Axis(labelLimit=220))
    bars = (
        alt.Chart(rows)
        .mark_bar(height=BAND, cornerRadius=2)
        .encode(
            x=alt.X("customers:Q", title=w.t("word.customers"), axis=axis()),
            y=y,
            color=alt.Color("part:N", scale=scale(parts), legend=legend(parts)),
            tooltip=[
                alt.Tooltip("step:N", title=w.t("exports.step")),
                alt.Tooltip("customers:Q", title=w.t("word.customers"), format=",.0f"),
                alt.Tooltip("label:N", title=w.t("exports.customers_of_sent")),
            ],
        )
    )
    marks = alt.Chart(rows).mark_text(align="left", dx=5).encode(x="customers:Q", y=y, text="label:N")
    return Figure(
        finding=found,
        chart=(bars + marks).properties(height=height_of(len(rows), 34)),
        alt=found,
        table=_table(group, w),
        note=w.t("exports.no_deliveries") if counts["delivered"] is None else "",
    )


def control(facts: Facts | None, w: Words) -> tuple[str, pd.DataFrame]:
    """Return what the bank knows of those advised and of the control group: a sentence and a table of two rows.

    Where there is no comparison the sentence says why and the table is empty.
    """
    if facts is None or facts["difference"] is None:
        why = UNDEFINED if facts is None else w.pick(facts["reason"], facts["reason_zh"])
        return w.t("exports.control_none", reason=why), pd.DataFrame()
    sides = {
        "advised": (facts["advised"], facts["advised_opened"]),
        "control_group": (facts["control_customers"], facts["control_opened"]),
    }
    shares = {name: w.share(opened / customers) for name, (customers, opened) in sides.items()}
    said = w.t(
        "exports.control_finding",
        days=facts["days"],
        advised=shares["advised"],
        control=shares["control_group"],
        difference=w.points(facts["difference"]),
        lower=w.points(facts["lower"]),
        upper=w.points(facts["upper"]),
    )
    table = pd.DataFrame(
        {
            w.t("exports.group"): [w.t(f"exports.{name}") for name in sides],
            w.t("word.customers"): [customers for customers, _ in sides.values()],
            w.t("exports.opened_product"): [opened for _, opened in sides.values()],
            w.t("exports.share"): list(shares.values()),
        }
    )
    return said, table


def _finding(group: Facts, w: Words) -> str:
    counts = group["customers"]
    if not counts["sent"]:
        return w.t(
            "exports.finding_unsent",
            converted=w.number(counts["converted"]),
            unsubscribed=w.number(counts["unsubscribed"]),
        )
    return w.t(
        "exports.finding_back",
        sent=w.number(counts["sent"]),
        clicked=w.number(counts["clicked"]),
        click=w.share(counts["clicked"] / counts["sent"]),
        converted=w.number(counts["converted"]),
        conversion=w.share(min(counts["converted"], counts["sent"]) / counts["sent"]),
        unsubscribed=w.number(counts["unsubscribed"]),
    )


def _label(count: int, sent: int, w: Words) -> str:
    return f"{w.number(count)}  ({w.share(count / sent)})" if sent and count <= sent else w.number(count)


def _table(group: Facts, w: Words) -> pd.DataFrame:
    rows = []
    for step, count in group["customers"].items():
        rate = group["rates"].get(_RATES.get(step, ""))
        known = rate is not None and rate["rate"] is not None
        rows.append(
            {
                w.t("exports.step"): w.t(f"reported.{step}"),
                w.t("word.customers"): w.number(count),
                w.t("exports.rate"): w.share(rate["rate"]) if known else UNDEFINED,
                w.t("exports.interval"): f"{w.share(rate['lower'])} – {w.share(rate['upper'])}" if known else UNDEFINED,
                w.t("exports.of"): w.t(f"reported.{rate['of']}") if known else UNDEFINED,
            }
        )
    return pd.DataFrame(rows)
