"""Experiments as a list, and one of them as its decision and a forest of intervals; nothing withheld shows a number."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import pandas as pd

from engine.ui.views import effects
from engine.ui.views.experiment_parts import attribute, named, unit
from engine.ui.views.figure import BAD, GOOD, NEUTRAL, Figure, Mark
from engine.ui.words import UNDEFINED, Words
from engine.workflows.view import selection
from engine.workflows.view.experiments import Decisions
from experiments.report import Line, Reading, Report

Badge = Literal["green", "red", "orange", "blue"]
COLOURS: Final[dict[str, Badge]] = {"review": "orange", "roll_back": "red", "ship": "green", "continue": "blue"}
"""Actions as they are marked, the ones that need somebody first."""
HEALTH: Final[dict[str, Badge]] = {"ok": "green", "warning": "orange", "stop": "red"}
_ORDER: Final = ("stop", "warning", "ok")
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")
_MARKS: Final = {"better": GOOD, "worse": BAD, "open": NEUTRAL}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One experiment in the list: the decision that stands, and who took it where that was not the rules."""

    experiment_id: str
    name: str
    action: str
    headline: str
    health: str
    owner: str | None
    verdict: str = ""
    badge: Badge = "blue"
    share_done: float | None = None
    progress: str = ""


def listed(rows: pd.DataFrame, taken: Mapping[str, Decisions], run_id: str, w: Words) -> list[Entry]:
    """Return the experiments, the ones that need somebody first; `taken` is what persons decided on each."""
    found = []
    for row in rows.to_dict("records"):
        name = str(row["experiment_id"])
        person = next((one for one in taken.get(name, ()) if one.run_id == run_id), None)
        found.append(
            Entry(
                experiment_id=name,
                name=w.name("experiment", name),
                action=row["action"] if person is None else person.action,
                headline=w.pick(row["headline"], row["headline_zh"])
                if person is None
                else w.label("action", person.action),
                health=row["health"],
                owner=None if person is None else person.owner,
            )
        )
    order = list(COLOURS)
    return sorted(
        found, key=lambda one: (one.owner is not None, one.health != "stop", order.index(one.action), one.name)
    )


def with_progress(entry: Entry, facts: Mapping[str, Any], w: Words) -> Entry:
    """Return an entry with how far the experiment is, and its verdict in the words of the trade."""
    far = facts.get("progress") or {}  # results of earlier versions do not say
    day, to_go, complete = (far.get(name) for name in ("day", "days_to_go", "complete"))
    share = 1.0 if complete else None if to_go is None else day / max(day + to_go, 1)
    progress = "" if day is None else w.t("experiments.day", day=w.number(day))
    if complete:
        progress = w.t("experiments.day_complete", day=w.number(day))
    elif to_go is not None:
        progress = w.t("experiments.day_of", day=w.number(day), days=w.number(day + to_go))
    kind, badge = _verdict(entry, facts, to_go)
    verdict = w.t(f"experiments.verdict_{kind}", days=w.number(to_go or 0))
    return replace(entry, verdict=verdict, badge=badge, share_done=share, progress=progress)


def _verdict(entry: Entry, facts: Mapping[str, Any], to_go: int | None) -> tuple[str, Badge]:
    if entry.health == "stop":
        return "unhealthy", "red"
    if not facts["metrics"]:
        return "no_data", "orange"
    if entry.action == "continue":
        return ("running", "blue") if to_go is None else ("days_left", "blue")
    return entry.action, COLOURS[entry.action]


def advice(entry: Entry, w: Words) -> str:
    """Say in a sentence what the result means for the decision."""
    if entry.owner is not None:
        return w.t("experiments.advice_person", name=entry.name, owner=entry.owner)
    kind = "withheld" if entry.health == "stop" else entry.action
    return w.t(f"experiments.advice_{kind}", name=entry.name)


def headline(report: Report, w: Words) -> str:
    """Return the decision that stands."""
    taken = report.facts["decision"]
    return w.pick(taken.get("headline", w.label("action", report.action)), taken.get("headline_zh", ""))


def reasons(report: Report, w: Words) -> tuple[str, ...]:
    """Return the reasons of the decision, without those for which results are withheld."""
    taken, held = report.facts["decision"], withheld(report, w)
    found = (taken.get("reasons_zh") if w.language == "zh" else None) or taken["reasons"]
    return tuple(one for one in found if one not in held)


def withheld(report: Report, w: Words) -> tuple[str, ...]:
    """Return what the checks found for which results are withheld; none where they are shown."""
    failed = [check for check in report.facts["health"] if check["status"] == "stop"] if report.withheld else []
    return tuple(w.pick(check["detail"], check.get("detail_zh", "")) for check in failed)


def forest(report: Report, w: Words) -> Figure:
    """Return each metric's relative difference with the interval that its verdict rests on.

    A metric without a relative difference stands in the table only. Nothing is drawn of what is withheld.
    """
    if report.withheld or not report.lines:
        finding = w.t("experiments.part_withheld" if report.withheld else "experiments.finding_nothing")
        return Figure(finding=finding, chart=None, alt=finding, table=pd.DataFrame())
    drawn = [line for line in report.lines if line.relative.whole]
    finding = _finding(report.lines[0], w)
    notes = [w.t("experiments.not_drawn")] if len(drawn) < len(report.lines) else []
    if any(line.margin is not None for line in drawn):
        notes.append(w.t("experiments.margin_note"))
    chart = _forest(drawn, report, w) if drawn else None
    return Figure(finding=finding, chart=chart, alt=finding, table=forest_table(report, w), note=" ".join(notes))


def _forest(drawn: list[Line], report: Report, w: Words) -> Any:
    rows = pd.DataFrame(
        {
            "name": [_named(line, w) for line in drawn],
            "value": [line.relative.value for line in drawn],
            "lower": [line.relative.lower for line in drawn],
            "upper": [line.relative.upper for line in drawn],
            "mark": [w.label("mark", line.mark) for line in drawn],
            "written": [_lift(line.relative.value, w) for line in drawn],
            "span": [_span(line.relative, w) for line in drawn],
            "verdict": [w.label("verdict", line.verdict) for line in drawn],
            "margin": pd.Series([line.margin for line in drawn], dtype=float),
            "accepted": [_lift(line.margin, w) for line in drawn],
        }
    )
    shown = {line.mark for line in drawn}
    return effects.dots(
        rows,
        title=w.t("experiments.axis", level=w.share(report.level, 0)),
        form="+.0%",
        colours={w.label("mark", mark): colour for mark, colour in _MARKS.items() if mark in shown},
        tooltip={
            "name": w.t("experiments.metric"),
            "written": w.t("experiments.relative"),
            "span": w.t("experiments.interval"),
            "accepted": w.t("experiments.margin"),
            "verdict": w.t("experiments.verdict"),
        },
    )


def forest_table(report: Report, w: Words) -> pd.DataFrame:
    """Return results as a table, each number in the unit of its metric."""
    lines = []
    for line in report.lines:
        how = unit(line.kind, w)
        lines.append(
            {
                w.t("experiments.metric"): named({"metric": line.metric, "variant": line.variant}, w),
                w.t("experiments.role"): w.label("role", line.role),
                w.t("experiments.control"): how.level(line.values[0]),
                w.t("experiments.variant"): how.level(line.values[1]),
                w.t("experiments.difference"): how.step(line.absolute.value),
                w.t("experiments.interval"): how.span(line.absolute),
                w.t("experiments.relative"): _lift(line.relative.value, w),
                w.t("experiments.bound"): _lift(line.bound, w),
                w.t("experiments.margin"): _lift(line.margin, w),
                w.t("experiments.p_value"): w.probability(line.absolute.p_value),
                w.t("experiments.verdict"): w.label("verdict", line.verdict),
                w.t("word.note"): w.pick(line.why or "", line.why_zh or ""),
            }
        )
    return pd.DataFrame(lines)


def narrow_table(report: Report, w: Words) -> pd.DataFrame:
    """Return results in three columns, for a page that is too narrow for the chart."""
    return pd.DataFrame(
        {
            w.t("experiments.metric"): [_named(line, w) for line in report.lines],
            w.t("experiments.verdict"): [w.label("verdict", line.verdict) for line in report.lines],
            w.t("experiments.relative"): [
                f"{_lift(line.relative.value, w)} ({_span(line.relative, w)})" if line.relative.whole else UNDEFINED
                for line in report.lines
            ],
        }
    )


def arms(report: Report, w: Words) -> list[tuple[str, str, str]]:
    """Return how many customers each arm holds, as key figures; known also where results are withheld."""
    counted: dict[str, int] = {}
    for line in report.lines:
        for arm, units in zip((line.control, line.variant), line.n, strict=True):
            counted[arm] = max(units, counted.get(arm, 0))  # a metric may leave customers out
    return [(w.label("variant", arm), w.number(units), w.t("experiments.arm_help")) for arm, units in counted.items()]


def arm_marks(report: Report, w: Words) -> tuple[Mark, ...]:
    """Return the marks of every arm, and of those in it for whom a metric of yes or no came true or did not.

    Where numbers are withheld, only the arms.
    """
    whole: dict[str, int] = {}
    told: dict[tuple[str, str, str], int] = {}
    for line in report.lines:
        for arm, units, value in zip((line.control, line.variant), line.n, line.values, strict=True):
            whole[arm] = max(units, whole.get(arm, 0))
            if line.kind in ("proportion", "retention") and value is not None and not report.withheld:
                happened = round(value * units)
                told[line.metric, arm, "yes"], told[line.metric, arm, "no"] = happened, units - happened
    made = [
        Mark(
            selection=selection.of("arm", experiment=report.experiment, arm=arm),
            label=w.label("variant", arm),
            count=units,
            at={"arm": arm},
        )
        for arm, units in whole.items()
    ]
    made += [
        Mark(
            selection=selection.of(
                "converted", experiment=report.experiment, metric=metric, arm=arm, happened=happened
            ),
            label=f"{w.label('variant', arm)}, {w.label('metric', metric)}: {w.label('happened', happened)}",
            count=count,
            at={"metric": metric, "arm": arm, "happened": happened},
        )
        for (metric, arm, happened), count in told.items()
    ]
    return tuple(one for one in made if one.count)


def checks(report: Report, w: Words) -> pd.DataFrame:
    """Return the checks of one experiment as a table, what failed first."""
    rows = sorted(report.facts["health"], key=lambda check: _ORDER.index(check["status"]))
    return pd.DataFrame(
        {
            w.t("experiments.check"): [_check(check["check"], w) for check in rows],
            w.t("experiments.status"): [w.label("health", check["status"]) for check in rows],
            w.t("experiments.found"): [
                _shortened(w.pick(check["detail"], check.get("detail_zh", ""))) for check in rows
            ],
        }
    )


def _shortened(sentence: str) -> str:
    """Cut a fingerprint, which no line can hold; the report has it whole."""
    return _FINGERPRINT.sub(lambda found: f"{found[0][:12]}…", sentence)


def _check(check: str, w: Words) -> str:
    """Name a check; one of a metric or a dimension is written `check.metric`."""
    kind, _, of = check.partition(".")
    name = w.label("check", kind)
    if not of:
        return name
    if kind == "sample_ratio_by":
        return f"{name} {attribute(of, w)}"
    return w.t("experiments.check_of", check=name, of=w.label("table" if kind == "duplicates" else "metric", of))


def _named(line: Line, w: Words) -> str:
    name = named({"metric": line.metric, "variant": line.variant}, w)
    return name if line.role == "goal" else w.t("experiments.named_role", name=name, role=w.label("role", line.role))


def _lift(value: float | None, w: Words) -> str:
    return UNDEFINED if value is None else f"{w.signed(value * 100, 1)} %"


def _span(found: Reading, w: Words) -> str:
    return f"{_lift(found.lower, w)} … {_lift(found.upper, w)}"


def _finding(line: Line, w: Words) -> str:
    name = named({"metric": line.metric, "variant": line.variant}, w)
    if line.absolute.value is None:
        return w.t("experiments.finding_none", name=name, why=w.pick(line.why or "", line.why_zh or ""))
    how = unit(line.kind, w)
    return w.t(
        "experiments.finding",
        metric=w.label("metric", line.metric),
        variant=w.label("variant", line.variant),
        at=how.level(line.values[1]),
        control=how.level(line.values[0]),
        difference=how.step(line.absolute.value),
        lower=how.step(line.absolute.lower),
        upper=how.step(line.absolute.upper),
        verdict=w.label("verdict", line.verdict),
    )
