"""Answer where a journey is left and what that costs: of a run of the workspace, or of any log of events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.config.bank import BankSettings
from engine.domain.drop_off_marts import DROP_OFF_MARTS
from engine.domain.errors import SettingsFault, UnknownName
from engine.lake.runs import open_run
from engine.workflows import drop_off_tables, session
from engine.workflows.event_logs import LogSource, OpenLog, opened
from journeys import calendar, drop_off_study, histories, signals, stays
from journeys.drop_off_study import Groups
from journeys.event_log import EventLog
from journeys.spec import Funnel

_COPY = "attribute: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A funnel whose drop-offs are asked for.

    products : the events that count as steps are about these; none named: all.
    by : the column whose value at the entry breaks the answer down, and within which customers are compared.
    errors : patterns of names of events that are errors, or `column=pattern`. silence_seconds: None is a tenth of the
        window.
    """

    funnel: Funnel
    products: tuple[str, ...] = ()
    by: str | None = None
    errors: tuple[str, ...] = signals.ERRORS
    silence_seconds: float | None = None


def of_run(home: Path, journey: str, by: str | None = None, run_id: str | None = None) -> dict[str, Any]:
    """Return what a run found about the drop-offs of one journey, with what they cost.

    Raises
    ------
    RunMissing, MartMissing
    UnknownName
        The run has no such journey, or no such breakdown of it.
    """
    run = open_run(session.workspace_at(home), run_id)
    known = sorted(set(run.read("journey_drop_offs", ["journey"]).column(0).to_pylist()))
    if journey not in known:
        raise UnknownName("journey", journey, known)
    rows = {mart.name: run.read(mart.name, where={"journey": journey}).to_pylist() for mart in DROP_OFF_MARTS}
    breakdown = by or "all"
    breakdowns = sorted({row["breakdown"] for row in rows["journey_drop_offs"]})
    if breakdown not in breakdowns:
        raise UnknownName("breakdown", breakdown, breakdowns)
    return drop_off_tables.answer(rows, journey, breakdown)


def of_log(source: LogSource, question: Question, journey: str | None = None) -> dict[str, Any]:
    """Return what a log says of the drop-offs of a funnel. It knows no money: amounts are None, with the reason.

    Raises
    ------
    SettingsFault
        The funnel has a single step.
    UnknownName
        The log lacks a column that was named.
    """
    if len(stays.levels(question.funnel)) < 2:
        raise SettingsFault("--steps", ["a drop-off lies between two steps; name at least two that are not optional"])
    bank = session.settings(session.workspace_at(source.home), BankSettings, "bank")
    with opened(source) as open_log:
        names = open_log.log.event_names(open_log.engine, open_log.as_of)
        steps = {name for step in question.funnel.steps if not step.any_event for name in step.events}
        for name in sorted(steps - set(names)):
            source.say(f'The log has no event "{name}".')
        return _answer(open_log, question, names, journey=journey, seed=bank.seed)


def _answer(
    open_log: OpenLog, question: Question, names: Sequence[str], *, journey: str | None, seed: int
) -> dict[str, Any]:
    log, by = _with_copies(open_log.log, question)
    observer = stays.Observer(
        journey=journey or "",
        funnel=question.funnel,
        as_of=calendar.microseconds(open_log.as_of),
        signals=_signals(open_log, log, question, names),
        silence_seconds=question.silence_seconds or signals.silence_seconds(question.funnel),
        channel=log.channel,
        product=log.product,
        products=question.products,
        breakdowns=() if by is None else (by,),
    )
    roles = {log.channel, log.product, by} - {None}
    attributes = roles | {*question.funnel.attributes(), *signals.columns_of(question.errors)}
    watch = stays.Observers(observers=(observer,))
    watched = log.map_blocks(open_log.engine, watch, open_log.as_of, attributes=sorted(map(str, attributes)))
    study = drop_off_study.study(watched, observer, Groups(by=() if by is None else (by,)), None, seed=seed)
    rows = drop_off_tables.of(observer.journey, question.funnel, study, None)
    answer = drop_off_tables.answer(rows, observer.journey, by or "all")
    return {**answer, "journey": journey}


def _with_copies(log: EventLog, question: Question) -> tuple[EventLog, str | None]:
    """Return the log with what conditions and groups read under names of their own, and the name of the groups."""
    table, by = log.table, question.by
    if "lifecycle" in question.funnel.attributes() and log.lifecycle is not None:
        table = table.mutate(lifecycle=table[log.lifecycle])
    for name in (by, *signals.columns_of(question.errors)):
        if name is not None:
            replace(log, table=table).require(name)
    if by in histories.ROLES:
        # a block of events has columns of these names for itself
        table, by = table.mutate(**{_COPY + str(by): table[by]}), _COPY + str(by)
    return replace(log, table=table), by


def _signals(open_log: OpenLog, log: EventLog, question: Question, names: Sequence[str]) -> tuple[signals.Signal, ...]:
    values: dict[str | None, Sequence[str]] = {None: names}
    for column in signals.columns_of(question.errors):
        found = open_log.engine.arrow(log.table.select(log.table[column].cast("string")).distinct()).column(0)
        values[column] = [value for value in found.to_pylist() if value is not None]
    return signals.of(question.funnel, values, question.errors, channels=log.channel is not None)
