"""Experiments: should we ship it, and what stands behind the answer?"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

import streamlit as st

from engine.domain.errors import WaylineError
from engine.ui import comments, controls, experiment_work, people, state
from engine.ui.views import experiment_days, experiment_groups, experiment_others
from engine.ui.views import experiment_parts as parts
from engine.ui.views import experiments as views
from engine.workflows.view import experiments
from engine.workflows.view.experiments import Decisions
from experiments.report import Facts, Report

desk = controls.open_page("experiments")
words, run = desk.words, desk.run


def persons(names: tuple[str, ...]) -> dict[str, Decisions]:
    """Return what persons decided; without the register the results are shown all the same, and the reader is told."""
    try:
        return state.ask_freely(experiments.decisions, desk.workspace, names)
    except WaylineError as fault:
        st.warning(words.t("experiments.no_register", sentence=fault.sentence))
        return dict.fromkeys(names, ())


def listed(entries: list[views.Entry]) -> None:
    for entry in entries:
        with (
            st.container(border=True),
            st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"),
        ):
            with st.container(width="stretch", gap="xxsmall"):
                st.markdown(controls.plain(views.advice(entry, words)))
                if entry.share_done is None:
                    st.caption(entry.progress)
                else:
                    st.progress(min(entry.share_done, 1.0), text=entry.progress)
            st.badge(entry.verdict, color=entry.badge)
            st.badge(
                words.label("health", entry.health),
                color=views.HEALTH[entry.health],
                icon=":material/health_and_safety:",
            )


def banner(report: Report) -> None:
    """Say what was decided and why; a failed check comes before anything else."""
    for reason in views.withheld(report, words):
        st.error(controls.plain(reason), icon=":material/block:")
    said = "\n".join(f"- {controls.plain(one)}" for one in views.reasons(report, words))
    st.markdown(f"**{controls.plain(views.headline(report, words))}**\n\n{said}")


def the_result(report: Report) -> None:
    if not report.withheld:
        shapes = {name: words.t(f"experiments.shape_{name}") for name in ("chart", "table")}
        if controls.switch(words, "experiments.shape", tuple(shapes), "e_shape", shapes) == "chart":
            controls.show(words, views.forest(report, words), f"e_forest_{report.experiment}")
        else:
            st.markdown(f"**{controls.plain(views.forest(report, words).finding)}**")
            controls.sentences(views.narrow_table(report, words))
    experiment_work.results(desk, report.experiment)
    controls.tiles(views.arms(report, words))
    controls.mark_picker(words, views.arm_marks(report, words), f"e_arms_{report.experiment}")
    with controls.section(words, "experiments.checks", within=True):
        controls.sentences(views.checks(report, words))


def over_time(report: Report) -> None:
    one = comparison(parts.comparisons(report))
    left, right = st.columns(2, gap="medium")
    with left, controls.section(words, "experiments.calendar", "experiments.calendar_help", within=True):
        controls.show(words, experiment_days.calendar(one, words), f"e_calendar_{parts.key_of(one)}")
    with right, controls.section(words, "experiments.since", "experiments.since_help", within=True):
        controls.show(words, experiment_days.since_exposure(one, report, words), f"e_since_{parts.key_of(one)}")


def segments(report: Report) -> None:
    found = experiment_groups.segmented(report)
    if not found:
        st.write(words.t("experiments.no_segments"))
        return
    finding, table = experiment_groups.tests(report, words)
    st.markdown(f"**{controls.plain(finding)}**")
    controls.sentences(table)
    one = comparison(found)
    broken = experiment_groups.attributes(one)
    named = {name: parts.attribute(name, words) for name in broken}
    by = controls.choice(words, "experiments.attribute", tuple(broken), "e_by", named)
    figure = experiment_groups.segments(one, broken[by], report, words)
    controls.show(words, figure, f"e_segments_{parts.key_of(one)}_{by}")


def protected_groups(report: Report) -> None:
    found = experiment_groups.protected(report)
    if not found:
        st.write(words.t("experiments.no_groups"))
        return
    named = {name: parts.attribute(name, words) for name in found}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        by = controls.choice(words, "experiments.attribute", tuple(found), "e_group", named)
        one = comparison(found[by])
    controls.show(words, experiment_groups.fairness(one, report, words), f"e_groups_{parts.key_of(one)}_{by}")


def other_experiments(report: Report) -> None:
    finding, table = experiment_others.overlaps(report, words)
    st.markdown(f"**{controls.plain(finding)}**")
    if table.empty:
        return
    controls.sentences(table)
    with controls.section(words, "experiments.crossings", "experiments.crossings_help", within=True):
        controls.show(words, experiment_others.crossings(report, words), f"e_crossings_{report.experiment}")


def the_decision(taken: Decisions, report: Report) -> None:
    finding, table = experiment_others.decided(taken, run.run_id, words)
    st.markdown(f"**{controls.plain(finding)}**")
    if len(table):
        controls.sentences(table)
    experiment_work.reviews(desk, report)
    experiment_work.deciding(desk, report)
    st.write(words.t("experiments.decide_how", actions=experiment_others.actions(report, words)))
    st.code(experiment_others.command(report), language=None, wrap_lines=True)
    comments.folded(words, "experiment", report.experiment)


def comparison(found: dict[str, Facts]) -> Facts:
    """Let the reader pick one metric of one variant."""
    named = {key: parts.named(one, words) for key, one in found.items()}
    return found[controls.choice(words, "experiments.comparison", tuple(found), "e_of", named)]


BEHIND: Final[dict[str, Callable[[Report], None]]] = {
    "time": over_time,
    "segments": segments,
    "groups": protected_groups,
    "others": other_experiments,
}
"""What is made of numbers, and so withheld where a check failed."""


def detail(experiment_id: str, taken: Decisions) -> None:
    report = experiments.as_report(run, state.ask(experiments.result, run, experiment_id), taken)
    banner(report)
    answers: dict[str, Callable[[], None]] = {"result": partial(the_result, report)}
    answers |= {name: partial(answer, report) for name, answer in BEHIND.items()}
    answers["decision"] = partial(the_decision, taken, report)
    names = {name: words.label("experiment_part", name) for name in answers}
    part = controls.switch(words, "experiments.part", tuple(answers), "e_part", names)
    st.caption(words.t(f"experiments.part_{part}"))
    if report.withheld and part in BEHIND:
        st.write(words.t("experiments.part_withheld"))
        return
    answers[part]()


with controls.section(words, "experiments.list"):
    rows = state.ask(experiments.listed, run)
    if rows.empty:
        st.write(words.t("experiments.none"))
    else:
        decided = persons(tuple(rows["experiment_id"]))
        entries = [
            views.with_progress(one, state.ask(experiments.result, run, one.experiment_id), words)
            for one in views.listed(rows, decided, run.run_id, words)
        ]
        listed(entries)
        with controls.section(words, "experiments.result", "experiments.result_help"):
            names = {entry.experiment_id: entry.name for entry in entries}
            chosen = controls.choice(words, "experiments.experiment", tuple(names), "e_id", names)
            detail(chosen, decided[chosen])
with controls.section(words, "experiments.plan", "experiments.plan_help"):
    experiment_work.planning(desk)
people.drawer(desk, "e")
