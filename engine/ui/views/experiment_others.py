"""Other experiments of the same customers, and what persons decided: what surrounds a result."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import pandas as pd

from engine.ui.views import effects
from engine.ui.views.experiment_parts import named, unit, why
from engine.ui.views.figure import NEUTRAL, Figure
from engine.ui.words import Words
from engine.workflows.experiment_decided import ACTIONS, action_of_rules
from engine.workflows.view.experiments import Decisions
from experiments.report import Facts, Report, reading

MOST_DRAWN: Final = 30
"""Crossings that are drawn, the surest first; all are in the table."""

_DRAWN_TOGETHER: Final = 0.001  # as in the report: that two experiments were not drawn independently is a grave thing


def overlaps(report: Report, w: Words) -> tuple[str, pd.DataFrame]:
    """Return which experiments share customers with this one, whether drawn independently, and why not crossed."""
    shared = (report.facts.get("interactions") or {}).get("shared") or ()
    if not shared:
        return w.t("experiments.overlaps_none"), pd.DataFrame()
    tied = [one for one in shared if (p := one["independence_p_value"]) is not None and p < _DRAWN_TOGETHER]
    names = w.t("word.comma").join(w.name("experiment", one["with"]) for one in tied)
    kind = "tied" if tied else "free"
    finding = w.t(f"experiments.overlaps_{kind}", n=w.number(len(shared)), names=names)
    rows = [
        {
            w.t("experiments.other"): w.name("experiment", one["with"]),
            w.t("experiments.shared"): w.number(one["customers"]),
            w.t("experiments.independent"): w.probability(one["independence_p_value"]),
            w.t("experiments.crossed"): w.t("word.yes") if not one.get("why") else why(one, w),
        }
        for one in shared
    ]
    return finding, pd.DataFrame(rows)


def crossings(report: Report, w: Words) -> Figure:
    """Return by how much an effect of this experiment is different where another one's variant is shown.

    A crossing without a number stands in the table only.
    """
    found = (report.facts.get("interactions") or {}).get("crossings") or ()
    kinds = {one["metric"]: one.get("kind", "") for one in report.facts["metrics"]}
    limit = 1 - report.level
    rising = sorted(found, key=lambda one: 1.0 if one["adjusted_p_value"] is None else one["adjusted_p_value"])
    disturbed = [one for one in rising if (p := one["adjusted_p_value"]) is not None and p < limit]
    finding = _finding(rising, disturbed, kinds, w)
    shown = [one for one in rising if reading(one["contrast"], "difference").whole][:MOST_DRAWN]
    mixed = len({unit(kinds.get(one["metric"], ""), w).axis for one in shown}) > 1
    if mixed:  # two units have no common axis: shares alone are drawn
        shown = [one for one in shown if unit(kinds.get(one["metric"], ""), w).times > 1]
    chart = None
    if shown:
        how = unit(kinds.get(shown[0]["metric"], ""), w)
        marks = {True: w.t("experiments.disturbs"), False: w.t("experiments.undisturbed")}
        effect = [reading(one["contrast"], "difference") for one in shown]
        rows = pd.DataFrame(
            {
                "name": [_crossed(one, w) for one in shown],
                "value": [(one.value or 0.0) * how.times for one in effect],
                "lower": [(one.lower or 0.0) * how.times for one in effect],
                "upper": [(one.upper or 0.0) * how.times for one in effect],
                "mark": [marks[one in disturbed] for one in shown],
                "written": [how.step(one.value) for one in effect],
                "span": [how.span(one) for one in effect],
                "p": [w.probability(one["adjusted_p_value"]) for one in shown],
            }
        )
        colours = {marks[True]: effects.LINE, marks[False]: NEUTRAL}
        tooltip = {
            "name": w.t("experiments.crossing"),
            "written": w.t("experiments.contrast"),
            "span": w.t("experiments.interval"),
            "p": w.t("experiments.adjusted_p"),
        }
        chart = effects.dots(
            rows,
            title=how.axis,
            form=how.form,
            colours={name: colours[name] for name in colours if name in set(rows["mark"])},
            tooltip=tooltip,
        )
    table = pd.DataFrame([_row(one, kinds, w) for one in rising])
    return Figure(finding=finding, chart=chart, alt=finding, table=table, note=w.t("experiments.note_crossings"))


def _finding(found: list[Facts], disturbed: list[Facts], kinds: Mapping[str, str], w: Words) -> str:
    if not found:
        return w.t("experiments.crossings_none")
    if not disturbed:
        return w.t("experiments.crossings_quiet", n=w.number(len(found)))
    one = disturbed[0]
    return w.t(
        "experiments.crossings_found",
        n=w.number(len(disturbed)),
        all=w.number(len(found)),
        other=w.name("experiment", one["with"]),
        variant=w.label("variant", one["other_variant"]),
        name=named(one, w),
        change=unit(kinds.get(one["metric"], ""), w).step(one["contrast"]["difference"]),
        p=w.probability(one["adjusted_p_value"]),
    )


def _crossed(one: Facts, w: Words) -> str:
    other = f"{w.name('experiment', one['with'])}: {w.label('variant', one['other_variant'])}"
    return f"{named(one, w)} × {other}"


def _row(one: Facts, kinds: Mapping[str, str], w: Words) -> dict[str, str]:
    how = unit(kinds.get(one["metric"], ""), w)
    contrast = reading(one["contrast"], "difference")
    return {
        w.t("experiments.metric"): named(one, w),
        w.t("experiments.other"): w.name("experiment", one["with"]),
        w.t("experiments.other_variant"): w.label("variant", one["other_variant"]),
        w.t("experiments.alone"): how.step(one["alone"]["difference"]),
        w.t("experiments.together"): how.step(one["together"]["difference"]),
        w.t("experiments.contrast"): how.step(contrast.value),
        w.t("experiments.interval"): how.span(contrast),
        w.t("experiments.adjusted_p"): w.probability(one["adjusted_p_value"]),
        w.t("word.note"): why(one["contrast"], w),
    }


# Decisions of persons


def decided(taken: Decisions, run_id: str, w: Words) -> tuple[str, pd.DataFrame]:
    """Return whose decision stands in this run, and all that persons decided, the newest first."""
    if not taken:
        return w.t("experiments.decided_nobody"), pd.DataFrame()
    stands = next((one for one in taken if one.run_id == run_id), None)
    if stands is None:
        finding = w.t("experiments.decided_before", n=w.number(len(taken)))
    else:
        finding = w.t(
            "experiments.decided_by",
            owner=stands.owner,
            action=w.label("action", stands.action),
            before=w.label("action", stands.instead_of),
            day=w.day(stands.decided_at),
        )
    rows = [
        {
            w.t("experiments.recorded"): f"{w.instant(one.decided_at)}, {one.decided_by}",
            w.t("experiments.action"): w.t(
                "experiments.instead_of",
                action=w.label("action", one.action),
                before=w.label("action", one.instead_of),
            ),
            w.t("experiments.owner"): one.owner,
            w.t("word.note"): one.note,
            w.t("experiments.run"): w.t("experiments.this_run") if one.run_id == run_id else one.run_id,
        }
        for one in taken
    ]
    return finding, pd.DataFrame(rows)


def command(report: Report) -> str:
    """Return the command that records another decision than that of the rules."""
    return f'wayline experiment decide {report.experiment} ACTION --owner "NAME" --note "WHY"'


def actions(report: Report, w: Words) -> str:
    """Return what may be decided in place of the rules, as the command takes it."""
    by_rules = action_of_rules(report.facts)
    return w.t("word.comma").join(f"`{one}`" for one in ACTIONS if one != by_rules)
