"""Audiences: the list with its sizes, the reach as a waterfall, what several share, and why somebody is in or out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import altair as alt
import pandas as pd

from engine.ui.views import waterfall
from engine.ui.views.figure import CONTINUED, Figure, Mark, height_of
from engine.ui.words import UNDEFINED, Words, is_undefined
from engine.workflows.view import selection

Facts = Mapping[str, Any]
_CLOSE: Final = 0.25  # lift this far from 1 is worth a word


def named(row: Facts, w: Words) -> str:
    """Return what an audience is called in the reader's language."""
    return w.pick(row["name"], row.get("name_zh"))


def listing(rows: Sequence[Facts], w: Words) -> pd.DataFrame:
    """Return every audience with who answers for it, its size and how that moved."""
    return pd.DataFrame(
        {
            w.t("audiences.audience"): [named(row, w) for row in rows],
            w.t("audiences.owner"): [row["owner"] for row in rows],
            w.t("audiences.verified"): [_verified(row, w) for row in rows],
            w.t("audiences.schedule"): [w.t(f"audience_schedule.{row['schedule']}") for row in rows],
            w.t("audiences.members"): [row["members"] for row in rows],
            w.t("audiences.change"): [_change(row, w) for row in rows],
            w.t("audiences.sizes"): [[one["members"] for one in row["sizes"]] for row in rows],
            w.t("audiences.built_for"): [w.day(row["as_of"]) for row in rows],
        }
    )


def member_marks(rows: Sequence[Mapping[str, Any]], moved: pd.DataFrame, run_id: str, w: Words) -> tuple[Mark, ...]:
    """Return the marks of who belongs to each audience, and of who entered and left it on a run."""
    marks = [
        Mark(
            selection=selection.of("audience", audience=row["audience"], run=row["run_id"]),
            label=f"{named(row, w)}, {w.t('audiences.members')}",
            count=row["members"],
            at={"audience": row["audience"]},
        )
        for row in rows
        if row["members"]
    ]
    names = {row["audience"]: named(row, w) for row in rows}
    for built in moved[moved["compared_with"].notna()].to_dict("records"):
        for way in ("entered", "left"):
            if built["audience"] in names and not is_undefined(built[way]) and built[way] > 0:
                one = selection.of(
                    "audience_moved", audience=built["audience"], way=way, run=run_id, against=built["compared_with"]
                )
                label = f"{names[built['audience']]}, {w.label('way', way)}"
                marks.append(Mark(selection=one, label=label, count=int(built[way]), at={"way": way}))
    return tuple(marks)


def builds(rows: pd.DataFrame, names: Mapping[str, str], w: Words) -> pd.DataFrame:
    """Return what a run did with every audience: who came and went, or why it was not built."""
    return pd.DataFrame(
        {
            w.t("audiences.audience"): [names.get(one, one) for one in rows["audience"]],
            w.t("audiences.outcome"): [w.t(f"audience_status.{one}") for one in rows["status"]],
            w.t("audiences.members"): [w.number(one) for one in rows["members"]],
            w.t("audiences.entered"): [w.number(one) for one in rows["entered"]],
            w.t("audiences.left"): [w.number(one) for one in rows["left"]],
            w.t("audiences.reason"): ["" if is_undefined(one) else one for one in rows["reason"]],
        }
    )


def listing_finding(rows: Sequence[Facts], w: Words) -> str:
    """Say how many audiences there are, and how many of them nobody else has looked at."""
    live = [row for row in rows if row["retired_at"] is None]
    open_ones = [row for row in live if not row["is_verified"]]
    return w.t("audiences.finding_list", n=w.number(len(live)), unverified=w.number(len(open_ones)))


def _verified(row: Facts, w: Words) -> str:
    if row["retired_at"] is not None:
        return w.t("audiences.retired_on", day=w.day(row["retired_at"]))
    if not row["is_verified"]:
        return UNDEFINED
    return w.t("audiences.verified_by", who=row["verified_by"], day=w.day(row["verified_at"]))


def _change(row: Facts, w: Words) -> str:
    if row["members"] is None or row["before"] is None:
        return UNDEFINED
    moved = row["members"] - row["before"]
    return f"{'+' if moved > 0 else ''}{w.number(moved)}"


def reach(facts: Facts, w: Words) -> Figure:
    """Return who is left after each step, with every reason in the table."""
    finding = _reach_finding(facts, w)
    chart = waterfall.chart(_bars(facts, w), w, w.t("word.customers")) if facts["members"] else None
    table = pd.DataFrame(
        [
            {
                w.t("audiences.step"): w.t(f"audience_step.{step['step']}"),
                w.t("audiences.reason"): w.pick(one["text_en"], one["text_zh"]),
                w.t("audiences.removed_first"): one["removed"],
                w.t("audiences.applies_to"): one["refused"],
                w.t("audiences.left_after_step"): step["remaining"],
            }
            for step in facts["steps"]
            for one in step["reasons"]
        ]
    )
    return Figure(finding=finding, chart=chart, alt=finding, table=table, note=w.t("audiences.reach_note"))


def _bars(facts: Facts, w: Words) -> pd.DataFrame:
    steps = []
    for step in facts["steps"]:
        main = max(step["reasons"], key=lambda one: one["removed"], default=None)
        why = "" if main is None else w.pick(main["text_en"], main["text_zh"])
        steps.append((w.t(f"audience_step.{step['step']}"), step["removed"], why))
    return waterfall.bars((w.t("audiences.members"), facts["members"]), steps, w.t("audiences.reachable"), w)


def _reach_finding(facts: Facts, w: Words) -> str:
    if not facts["members"]:
        return w.t("audiences.finding_nobody")
    told = w.t(
        "audiences.finding_reach",
        reachable=w.number(facts["reachable"]),
        members=w.number(facts["members"]),
        share=w.share(facts["reachable_share"]),
        channels=w.t("word.comma").join(w.label("channel", one) for one in facts["channels"]),
    )
    worst = max(facts["steps"], key=lambda step: step["removed"])
    if not worst["removed"]:
        return told
    most = w.t("audiences.finding_most", step=w.t(f"audience_step.{worst['step']}"), n=w.number(worst["removed"]))
    return f"{told}{'' if w.language == 'zh' else ' '}{most}"


def by_channel(facts: Facts, w: Words) -> pd.DataFrame:
    """Return the reach on each channel alone."""
    return pd.DataFrame(
        {
            w.t("audiences.channel"): [w.label("channel", one["channel"]) for one in facts["by_channel"]],
            w.t("audiences.reachable"): [one["reachable"] for one in facts["by_channel"]],
            w.t("audiences.of_members"): [w.share(one["reachable_share"]) for one in facts["by_channel"]],
        }
    )


def overlap(facts: Facts, names: Mapping[str, str], w: Words) -> Figure:
    """Return how many belong to both of each pair, as a heat map over all pairs and a table of measures."""
    cells = [
        {"first": names[one], "second": names[other], "customers": count, "text": w.number(count)}
        for one, other, count in _cells(facts)
    ]
    rows, order = pd.DataFrame(cells), [names[one["audience"]] for one in facts["audiences"]]
    most = max(float(rows["customers"].max()), 1.0)
    base = alt.Chart(rows).encode(
        x=alt.X("first:N", sort=order, title=None, axis=alt.Axis(labelAngle=0, labelLimit=150)),
        y=alt.Y("second:N", sort=order, title=None, axis=alt.Axis(labelLimit=150)),
    )
    squares = base.mark_rect(stroke="#FFFFFF", strokeWidth=2).encode(
        color=alt.Color("customers:Q", scale=alt.Scale(domain=[0, most], range=["#EEF3FD", CONTINUED]), legend=None),
        tooltip=[
            alt.Tooltip("first:N", title=w.t("audiences.audience")),
            alt.Tooltip("second:N", title=w.t("audiences.other")),
            alt.Tooltip("customers:Q", title=w.t("word.customers"), format=",.0f"),
        ],
    )
    ink = alt.condition(f"datum.customers > {most * 0.55}", alt.value("#FFFFFF"), alt.value("#1B2430"))
    chart = (squares + base.mark_text(fontSize=12).encode(text="text:N", color=ink)).properties(
        height=height_of(len(order), 46, 50)
    )
    table = pd.DataFrame(
        {
            w.t("audiences.audience"): [names[one["first"]] for one in facts["pairs"]],
            w.t("audiences.other"): [names[one["second"]] for one in facts["pairs"]],
            w.t("audiences.both"): [one["both"] for one in facts["pairs"]],
            w.t("audiences.first_share"): [w.share(one["first_share"]) for one in facts["pairs"]],
            w.t("audiences.second_share"): [w.share(one["second_share"]) for one in facts["pairs"]],
            w.t("audiences.jaccard"): [w.number(one["jaccard"], 3) for one in facts["pairs"]],
            w.t("audiences.lift"): [w.number(one["lift"], 2) for one in facts["pairs"]],
        }
    )
    finding = _overlap_finding(facts, names, w)
    return Figure(finding=finding, chart=chart, alt=finding, table=table, note=w.t("audiences.overlap_note"))


def _cells(facts: Facts) -> list[tuple[str, str, int]]:
    own = [(one["audience"], one["audience"], one["members"]) for one in facts["audiences"]]
    pairs = [(one["first"], one["second"], one["both"]) for one in facts["pairs"]]
    return [*own, *pairs, *((other, one, count) for one, other, count in pairs)]


def _overlap_finding(facts: Facts, names: Mapping[str, str], w: Words) -> str:
    most = max(facts["pairs"], key=lambda one: one["both"])
    if not most["both"]:
        return w.t("audiences.finding_apart")
    values = {
        "first": names[most["first"]],
        "second": names[most["second"]],
        "n": w.number(most["both"]),
        "lift": w.number(most["lift"], 1),
    }
    far = most["lift"] is not None and abs(most["lift"] - 1) >= _CLOSE
    return w.t("audiences.finding_overlap" if far else "audiences.finding_by_chance", **values)


def why(facts: Facts, w: Words) -> list[tuple[int, bool, str]]:
    """Return every part of a rule: how deep it stands, whether it holds of the customer, and what it says."""
    return [(part["depth"], part["holds"], w.pick(part["text_en"], part["text_zh"])) for part in facts["why"]]


def why_finding(facts: Facts, w: Words) -> str:
    """Say whether the customer belongs."""
    return w.t("audiences.belongs" if facts["belongs"] else "audiences.belongs_not", customer=facts["customer_id"])
