"""Answer what is asked of a funnel, on a log of events wherever it lies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from engine.config.bank import BankSettings
from engine.config.journeys import Journeys, JourneySettings
from engine.domain.errors import SettingsFault, UnknownName
from engine.workflows import customer_groups, session
from engine.workflows.event_logs import LogSource, OpenLog, opened
from journeys import breakdown, conversion_times, correlation, differences, histories, members, outcomes, trends
from journeys.breakdown import Breakdown
from journeys.calendar import Calendar
from journeys.event_log import EventLog
from journeys.outcomes import Outcomes, Status
from journeys.spec import Funnel, Reentry

EVERYONE_ELSE = "*"
"""In the place of a group to compare: every group, with all others together."""

_COPY = "attribute: "
_LIFECYCLE = "lifecycle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """Count by the period of entry; no zone: that of the bank in a workspace, else that of the log, else UTC."""

    unit: str
    zone: str | None = None
    week_start: str = "monday"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A funnel and what is asked of it beside its counts.

    journey : of the settings, whose funnel it is; the events are narrowed to its products.
    limit : groups shown by name.
    compare : two groups, one to compare with all others, or `EVERYONE_ELSE`; none: no comparison.
    correlate : attributes; `correlate_events` adds all events that are not of the funnel. Both are held against
        reaching the last step, or with `correlate_at` against going on from that step to the next.
    members : a step, from 1, how it went on, and the group, None for everybody.
    next_step : after which step, from 1, to tell what happened.
    """

    funnel: Funnel
    journey: JourneySettings | None = None
    by: Breakdown | None = None
    limit: int = breakdown.LIMIT
    compare: tuple[str, ...] = ()
    times: bool = False
    trend: Trend | None = None
    correlate: tuple[str, ...] = ()
    correlate_events: bool = False
    correlate_at: int | None = None
    members: tuple[int, Status, str | None] | None = None
    next_step: int | None = None


def journey_named(home: Path, name: str) -> JourneySettings:
    """Return a journey of the workspace's settings.

    Raises
    ------
    UnknownName
        There is no such journey.
    """
    settings = session.settings(session.workspace_at(home), Journeys, "journeys")
    for journey in settings.journeys:
        if journey.journey == name:
            return journey
    raise UnknownName("journey", name, [journey.journey for journey in settings.journeys])


def study(source: LogSource, question: Question) -> dict[str, Any]:
    """Return the funnel of a log as a mapping.

    Keys: cases (customers with any event), steps, by (a funnel for each group, or None), excluded, in_progress and
    standing (per step, how it went on); and one for each thing that was asked.
    """
    with opened(source) as open_log:
        return _Study(open_log, source, question).answer()


class _Study:
    """One question put to one open log."""

    def __init__(self, open_log: OpenLog, source: LogSource, question: Question) -> None:
        self.engine, self.as_of, self.source = open_log.engine, open_log.as_of, source
        log, by = open_log.log, question.by
        if source.path is None and by is not None and by.attribute not in log.table.columns:
            log = self._with_group(log, by.attribute)
        self.log, self.question = _narrowed(log, question)
        self.funnel = self.question.funnel

    def _with_group(self, log: EventLog, name: str) -> EventLog:
        """Return the workspace's events with a group that its current run put customers in, if that is the name."""
        if name not in customer_groups.GROUPS:
            return log
        log, told = customer_groups.with_group(log, self.engine, self.source.home, name)
        self.source.say(told)
        return log

    def answer(self) -> dict[str, Any]:
        question, by = self.question, self.question.by
        self._tell_unknown_events()
        in_one_reading = by is None or not by.groups_overlap
        grouped = None if by is None else self._outcomes(by)
        whole = self._outcomes(None) if grouped is None or not in_one_reading else grouped
        answer: dict[str, Any] = {**_counted(whole, self.log.count_customers(self.engine, self.as_of)), "by": None}
        if grouped is not None and by is not None:
            answer["by"] = {name: _group(grouped, name) for name in grouped.groups}
            answer["groups_overlap"] = by.groups_overlap
        answer["standing"] = _standing(whole)
        if question.compare:
            answer["comparisons"] = self._comparisons(grouped)
        if question.times:
            answer["times"] = conversion_times.between_steps(whole)
        if question.trend is not None:
            answer["trend"] = self._trend(question.trend)
        if question.correlate or question.correlate_events:
            answer["correlation"] = self._correlation(whole)
        if question.members is not None:
            answer["members"] = self._members(whole, grouped)
        if question.next_step is not None:
            answer["next"] = self._next(whole, question.next_step)
        return answer

    def _outcomes(self, by: Breakdown | None) -> Outcomes:
        if by is not None and by.attribution is breakdown.Attribution.STEP:
            by = replace(by, named=self._largest_values(by))
        rows = self._mapped(partial(outcomes.rows, funnel=self.funnel, by=by), _attributes(by), every_event=bool(by))
        return outcomes.of(rows, self.funnel, self.as_of, self.question.limit)

    def _largest_values(self, by: Breakdown) -> tuple[str, ...]:
        """Return the values to name: those of which most customers have an event that can reach the step."""
        counted = self._mapped(partial(_values_of_block, funnel=self.funnel, by=by), _attributes(by))
        summed = counted.group_by("value").aggregate([("customers", "sum")]).to_pylist()
        ranked = sorted(summed, key=lambda row: (-row["customers_sum"], row["value"]))
        return tuple(row["value"] for row in ranked[: self.question.limit])

    def _comparisons(self, grouped: Outcomes | None) -> dict[str, Any]:
        by, named = self.question.by, self.question.compare
        if grouped is None or by is None:
            raise SettingsFault("--compare", ["there are no groups to compare; name a column with --by"])
        if by.groups_overlap:
            raise SettingsFault(
                "--compare",
                ["a customer can stand in several of these groups, so no test holds; use --attribution first or last"],
            )
        steps = [step.name for step in self.funnel.steps if not step.optional]
        reached = {name: _reached(grouped.of_group(name)) for name in grouped.groups}
        if len(named) > 2:
            raise SettingsFault("--compare", [f"{len(named)} groups: expected two, or one to hold against all others"])
        for name in named:
            if name != EVERYONE_ELSE and name not in reached:
                raise UnknownName("group", name, list(reached))
        if len(named) == 1:
            found = differences.against_rest(reached, steps, None if named[0] == EVERYONE_ELSE else named[0])
        else:
            found = differences.between(reached, [(named[0], named[1])], steps)
        return {
            "adjustment": differences.ADJUSTMENT,
            "comparisons_made": sum(one.p_value is not None for one in found),
            "still_open_left_out": int((~grouped.mature & ~grouped.excluded).sum()),
            "note": _REPEATED if self.funnel.reentry is Reentry.EVERY else None,
            "differences": found,
        }

    def _members(self, whole: Outcomes, grouped: Outcomes | None) -> dict[str, Any]:
        step, status, group = self.question.members or (1, Status.REACHED, None)
        found = whole
        if group is not None:
            if grouped is None:
                raise SettingsFault("--members", ["there are no groups; name a column with --by"])
            if group not in grouped.groups:
                raise UnknownName("group", group, grouped.groups)
            found = grouped.of_group(group)
        ids = members.customers(found, step, status)
        name = self.funnel.steps[step - 1].name
        asked = {"step": step, "name": name, "status": status.value}
        return {**asked, **({"group": group} if group else {}), "count": len(ids), "customers": ids}

    def _trend(self, trend: Trend) -> list[trends.Period]:
        calendar = Calendar(unit=trend.unit, zone=self._zone(trend), week_start=trend.week_start)  # type: ignore[arg-type]
        rows = self._mapped(partial(trends.rows, funnel=self.funnel, calendar=calendar), ())
        return list(trends.of(rows, self.funnel, calendar, self.as_of))

    def _zone(self, trend: Trend) -> str:
        if trend.zone is not None:
            return trend.zone
        if self.source.path is not None:
            return self.source.zone or "UTC"
        return session.settings(session.workspace_at(self.source.home), BankSettings, "bank").time_zone

    def _correlation(self, whole: Outcomes) -> dict[str, Any]:
        question = self.question
        start = question.correlate_at or 1
        required = [number for number, step in enumerate(self.funnel.steps, start=1) if not step.optional]
        later = [number for number in required if number > start]
        if not later:
            raise SettingsFault("--correlate-at", [f"step {start} is the last: there is nothing to go on to"])
        end = later[0] if question.correlate_at else required[-1]
        bounds = correlation.bounds(whole, start, end) if question.correlate_events else ()
        asked = correlation.Question(from_step=start, to_step=end, attributes=question.correlate, bounds_us=bounds)
        function = partial(correlation.rows, funnel=self.funnel, question=asked, as_of=self.as_of)
        found = correlation.of(self._mapped(function, question.correlate, every_event=question.correlate_events))
        signals = [replace(one, attribute=one.attribute and one.attribute.removeprefix(_COPY)) for one in found.signals]
        return {
            "from_step": self.funnel.steps[start - 1].name,
            "to_step": self.funnel.steps[end - 1].name,
            "converted": found.converted,
            "others": found.others,
            "left_out": found.left_out,
            "warning": found.warning,
            "note": _REPEATED if self.funnel.reentry is Reentry.EVERY else None,
            "signals": signals,
        }

    def _next(self, whole: Outcomes, step: int) -> dict[str, Any]:
        function = partial(members.next_events, funnel=self.funnel, step=step)
        followed = self._mapped(function, (), every_event=True, ordered=True)
        shown = (Status.CONVERTED, Status.DROPPED, Status.IN_PROGRESS)
        return {
            "step": step,
            "name": self.funnel.steps[step - 1].name,
            "after": {status.value: members.after(whole, step, status, followed) for status in shown},
        }

    def _mapped(
        self, function: Any, attributes: tuple[str, ...], *, every_event: bool = False, ordered: bool = False
    ) -> pa.Table:
        """Read the events that a function needs: those of the funnel, or all."""
        read = sorted({*attributes, *self.funnel.attributes()})
        names = None if every_event else self.funnel.names()
        return self.log.map_blocks(self.engine, function, self.as_of, names=names, attributes=read, ordered=ordered)

    def _tell_unknown_events(self) -> None:
        """Say which events of the funnel the log does not have: a count of 0 then is right, but may be a slip."""
        wanted = {name for step in self.funnel.steps if not step.any_event for name in step.events}
        wanted |= {name for one in self.funnel.exclusions for name in one.events}
        names = self.log.event_names(self.engine, self.as_of)
        for one in sorted(wanted - set(names)):
            near = get_close_matches(one, names[:_MOST_NAMES], n=1)
            hint = f' Did you mean "{near[0]}"?' if near else ""
            self.source.say(f'The log has no event "{one}".{hint}')


_MOST_NAMES = 10_000
_REPEATED = "every attempt counts, and those of one customer are not independent: the p-values are too small"


def _narrowed(log: EventLog, question: Question) -> tuple[EventLog, Question]:
    """Narrow the events to the products of the journey, and copy columns whose names are those of roles."""
    by, table = question.by, log.table
    if _LIFECYCLE in question.funnel.attributes() and log.lifecycle not in (None, _LIFECYCLE):
        table = table.mutate(**{_LIFECYCLE: table[log.lifecycle]})
    products = question.journey.products if question.journey else ()
    if products and log.product is not None:
        table = table.filter(table[log.product].isin(products))
    asked = {*question.correlate, *([by.attribute] if by else [])}
    own = {name: _COPY + name for name in asked if name in histories.ROLES and name in table.columns}
    if own:
        table = table.mutate(**{copy: table[name] for name, copy in own.items()})
    if table is not log.table:
        # what was prepared before knows nothing of this
        log = replace(log, table=table, prepared=None)
    for name in sorted({own.get(name, name) for name in asked} | set(question.funnel.attributes())):
        log.require(name)
    question = replace(
        question,
        by=by and replace(by, attribute=own.get(by.attribute, by.attribute)),
        correlate=tuple(own.get(name, name) for name in question.correlate),
    )
    return log, question


def _attributes(by: Breakdown | None) -> tuple[str, ...]:
    return () if by is None else (by.attribute,)


def _values_of_block(block: pa.Table, *, funnel: Funnel, by: Breakdown) -> pa.Table:
    found = breakdown.values_at_step(histories.of(block), funnel, by)
    return pa.table({"value": pa.array(found, pa.string()), "customers": pa.array(found.values(), pa.int64())})


def _counted(found: Outcomes, cases: int) -> dict[str, Any]:
    steps = [
        {
            "name": step.name,
            "count": step.count,
            "share_of_first": step.share_of_first,
            "share_of_previous": step.share_of_previous,
            "median_seconds_from_previous": step.median_seconds_from_previous,
        }
        for step in outcomes.counts(found)
    ]
    return {
        "cases": cases,
        "steps": steps,
        "excluded": int(found.excluded.sum()),
        "in_progress": int(found.in_progress.sum()),
    }


def _group(found: Outcomes, name: str) -> dict[str, Any]:
    group = found.of_group(name)
    return _counted(group, int(group.cases[0]))


def _standing(found: Outcomes) -> list[dict[str, Any]]:
    return [
        {
            "name": step.name,
            "converted": step.converted,
            "dropped": step.dropped,
            "in_progress": step.in_progress,
            "optional": step.optional,
        }
        for step in outcomes.counts(found)
    ]


def _reached(found: Outcomes) -> list[int]:
    """Return how many reached each required step, of those whose time is over."""
    over = found.where(found.mature)
    return [step.count for step in outcomes.counts(over) if not step.optional]
