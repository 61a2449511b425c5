"""Attribute the conversions in a log of events to the touches before them, wherever the log lies."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from engine.domain.errors import NotEnoughData, SettingsFault
from engine.workflows import event_names
from engine.workflows.event_logs import LogSource, OpenLog, opened
from journeys import attribution, histories, touchpoints
from journeys.attribution import AttributionTable
from journeys.attribution_models import LAST_NON_DIRECT
from journeys.event_log import EventLog

MOST_TOUCHES: Final = 1_000

_COPY: Final = "attribute: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What to attribute to what.

    touch : a column of the log, or `events` for what happened itself. touch_events : the events that can be a touch,
    all where it is empty. direct : touches that the last one passes over. value : a column of whole minor units.
    """

    conversion: tuple[str, ...]
    touch: str = "channel"
    touch_events: tuple[str, ...] = ()
    lookback_seconds: float = 30 * 86_400.0
    half_life_seconds: float = 7 * 86_400.0
    value: str | None = None
    direct: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    resamples: int = attribution.RESAMPLES
    seed: int = 0


def study(source: LogSource, question: Question) -> dict[str, Any]:
    """Return what each model gives to each touch, as a mapping.

    Keys: conversions = attributed + without_touch, customers, lost_paths, open_paths (left out, since they may yet
    convert), models (for each the conversions of every touch), touches (a row per touch and model, with shares, their
    95 % interval and value_minor), disagreements and notes (sentences).

    Raises
    ------
    SettingsFault, UnknownName
        What is asked cannot be answered.
    NotEnoughData
        No conversion has a touch before it.
    """
    with opened(source) as open_log:
        log, asked = _ready(open_log, question)
        tallied = _tally(open_log, log, asked)
    models = question.models or (*attribution.MODELS, *([LAST_NON_DIRECT] if question.direct else ()))
    if LAST_NON_DIRECT in models and not question.direct:
        raise SettingsFault("--model", [f"{LAST_NON_DIRECT} needs to know what is direct: name it with --direct"])
    table = attribution.summarise(
        tallied,
        models=models,
        direct=question.direct,
        seed=question.seed,
        resamples=question.resamples,
        has_value=question.value is not None,
    )
    return _told(table, question)


def _ready(open_log: OpenLog, question: Question) -> tuple[EventLog, touchpoints.Question]:
    """Return the log with the columns to read under names of their own, and the question in full."""
    log, names = open_log.log, [] if question.value is None else [question.value]
    touch = touchpoints.EVENTS if question.touch in (touchpoints.EVENTS, log.event) else question.touch
    names += [] if touch == touchpoints.EVENTS else [touch]
    for name in names:
        log.require(name)
    own = {name: _COPY + name for name in names if name in histories.ROLES}
    if own:
        log = replace(log, table=log.table.mutate(**{copy: log.table[name] for name, copy in own.items()}))
    for name, hint in event_names.missing(open_log, (*question.conversion, *question.touch_events)).items():
        # counting 0 would hide a slip of the pen
        raise NotEnoughData("attribution", f'the log has no event "{name}"{hint}', "events that occur")
    asked = touchpoints.Question(
        conversion=question.conversion,
        touch=own.get(touch, touch),
        touches=(),
        touch_events=question.touch_events or None,
        lookback_seconds=question.lookback_seconds,
        half_life_seconds=question.half_life_seconds,
        value=None if question.value is None else own.get(question.value, question.value),
    )
    return log, replace(asked, touches=_touches(open_log, log, asked))


def _touches(open_log: OpenLog, log: EventLog, asked: touchpoints.Question) -> tuple[str, ...]:
    """Return the touches that occur, sorted."""
    column = histories.EVENT if asked.touch == touchpoints.EVENTS else asked.touch
    events = log.events(open_log.as_of, attributes=asked.attributes(), ordered=False)
    kept = ~events[histories.EVENT].isin(list(asked.conversion))
    if asked.touch_events is not None:
        kept &= events[histories.EVENT].isin(list(asked.touch_events))
    values = events.filter(kept, events[column].notnull()).select(touch=events[column]).distinct()
    found = open_log.engine.arrow(values.limit(MOST_TOUCHES + 1)).column("touch").to_pylist()
    if len(found) > MOST_TOUCHES:
        raise SettingsFault(
            "--touch",
            [f"more than {MOST_TOUCHES} different values; name a column of fewer, or the events with --touch-events"],
        )
    return tuple(sorted(found))


def _tally(open_log: OpenLog, log: EventLog, asked: touchpoints.Question) -> touchpoints.Tally:
    names = None if asked.touch_events is None else sorted({*asked.conversion, *asked.touch_events})
    rows = log.map_blocks(
        open_log.engine,
        partial(attribution.block, question=asked, as_of=round(open_log.as_of.timestamp() * 1_000_000)),
        open_log.as_of,
        names=names,
        attributes=asked.attributes(),
    )
    return touchpoints.from_table(rows, asked.touches)


def _told(table: AttributionTable, question: Question) -> dict[str, Any]:
    return {
        "conversion": list(question.conversion),
        "touch": question.touch,
        "lookback_seconds": question.lookback_seconds,
        "conversions": table.conversions,
        "attributed": table.attributed,
        "without_touch": table.without_touch,
        "customers": table.customers,
        "lost_paths": table.lost_paths,
        "open_paths": table.open_paths,
        "models": {model: table.of(model) for model in table.models},
        "touches": table.rows(),
        "disagreements": [{"touch": one.touch, "sentence": one.sentence} for one in table.disagreements],
        "notes": list(table.notes),
    }
