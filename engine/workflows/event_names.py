"""Which of the events that somebody named are not in a log, and what may have been meant instead."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

from engine.workflows.event_logs import OpenLog
from journeys import histories

_MOST_NAMES: Final = 10_000


def lacking(open_log: OpenLog, wanted: Iterable[str]) -> list[str]:
    """Return the names that no event has, sorted."""
    names = sorted(set(wanted))
    if not names:
        return []
    events = open_log.log.events(open_log.as_of, ordered=False)
    name = events[histories.EVENT]
    there = open_log.engine.arrow(events.filter(name.isin(names)).select(histories.EVENT).distinct())
    return sorted(set(names) - set(there.column(histories.EVENT).to_pylist()))


def missing(open_log: OpenLog, wanted: Iterable[str]) -> dict[str, str]:
    """Return the names that no event has, each with a hint at the nearest one that some has; empty without any."""
    absent = lacking(open_log, wanted)
    if not absent:
        return {}
    events = open_log.log.events(open_log.as_of, ordered=False)
    known = open_log.engine.arrow(events.select(histories.EVENT).distinct().limit(_MOST_NAMES))
    listed = sorted(known.column(histories.EVENT).to_pylist())
    near = {one: get_close_matches(one, listed, n=1) for one in absent}
    return {one: f' (did you mean "{found[0]}"?)' if found else "" for one, found in near.items()}
