"""Signals of friction: what happens to a customer at a step before they go on, seen strictly before it is decided.

- error: an event whose name, or whose value of some attribute, is one of those that the rules name.
- repeat: the step once more. back_step: an event of an earlier step. rework: the step once more after going back.
- ping_pong: from one channel to another and back again, all of it since the step.
- silence: no event of any kind for as long as the rules say.

Each is timed by its first occurrence after the instant of the step. What happens at the instant at which the next step
is reached, or later, is no signal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final

import numpy as np
from numpy.typing import NDArray

from journeys.attempts import MISSING
from journeys.histories import NOTHING, Coded, Codes, Histories, Ints
from journeys.spec import Funnel, Order, Step

Bools = NDArray[np.bool_]

ERRORS: Final = ("*error*", "*failed*", "*rejected*")
"""Names of events that are taken for errors unless told otherwise; `column=pattern` names values of an attribute."""

_SILENT_SHARE: Final = 0.1
"""Silence is a tenth of the window unless told otherwise."""

_MOST_NAMES: Final = 20
"""A pattern that more names than this match is one signal, not one per name."""


class Kind(StrEnum):
    """What kind of friction a signal shows."""

    ERROR = "error"
    REPEAT = "repeat"
    BACK_STEP = "back_step"
    REWORK = "rework"
    PING_PONG = "ping_pong"
    SILENCE = "silence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One signal. Of an error: the values of `column` (of the event's name where it is None) that show it."""

    kind: Kind
    event: str | None = None
    values: tuple[str, ...] = ()
    column: str | None = None

    @property
    def label(self) -> str:
        """What tables call it: the event or pattern of an error, else the kind."""
        return self.event or self.kind.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Stays to look for signals in: their step (1-based place), the row of the event that reached it, the end.

    until : microseconds, not included. ends : the row after the customer's last.
    """

    step: Codes
    row: Ints
    until: Ints
    ends: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What to look for: the signals, how long a silence is, and the attribute that names the channel, if any does."""

    signals: tuple[Signal, ...]
    silence_seconds: float
    channel: str | None


def columns_of(patterns: Iterable[str]) -> tuple[str, ...]:
    """Return the attributes that patterns of errors read, sorted."""
    return tuple(sorted({pattern.partition("=")[0] for pattern in patterns if "=" in pattern}))


def of(
    funnel: Funnel, values: Mapping[str | None, Iterable[str]], patterns: Iterable[str] = ERRORS, *, channels: bool
) -> tuple[Signal, ...]:
    """Return the signals that a log can show.

    Parameters
    ----------
    values : the names of events under None, and the values of each attribute that a pattern reads.
    channels : whether events have a channel.
    """
    steps = {name for step in funnel.steps for name in step.events}
    errors = [signal for pattern in patterns for signal in _errors(pattern, values, steps)]
    found = list({(signal.column, signal.values): signal for signal in errors}.values())
    if funnel.order is not Order.ANY:
        found += [Signal(kind=Kind.REPEAT), Signal(kind=Kind.BACK_STEP), Signal(kind=Kind.REWORK)]
    if channels:
        found.append(Signal(kind=Kind.PING_PONG))
    return (*found, Signal(kind=Kind.SILENCE))


def silence_seconds(funnel: Funnel) -> float:
    """Return how long nothing must happen to count as silence, unless the rules say it: a tenth of the window."""
    return funnel.window_seconds * _SILENT_SHARE


def _errors(pattern: str, values: Mapping[str | None, Iterable[str]], steps: set[str]) -> list[Signal]:
    column, _, wanted = pattern.rpartition("=")
    named = column or None
    # an event that is a step cannot be what keeps customers from it
    found = sorted(
        value
        for value in values.get(named, ())
        if fnmatchcase(value.lower(), wanted.lower()) and (named is not None or value not in steps)
    )
    if len(found) > _MOST_NAMES:
        return [Signal(kind=Kind.ERROR, event=pattern, values=tuple(found), column=named)]
    return [
        Signal(kind=Kind.ERROR, event=f"{column}={value}" if column else value, values=(value,), column=named)
        for value in found
    ]


def first_met(read: Histories, funnel: Funnel, asked: Asked, rules: Rules) -> Ints:
    """Return when each stay first met each signal, microseconds, MISSING where it did not; shape (stays, signals)."""
    silence = rules.silence_seconds
    met = np.full((len(asked.row), len(rules.signals)), MISSING, dtype=np.int64)
    if not len(asked.row):
        return met
    after = later_instant(read)[asked.row]
    for place, signal in enumerate(rules.signals):
        if signal.kind is Kind.ERROR:
            row = next_marked(np.flatnonzero(_shows(read, signal)), after)
        elif signal.kind is Kind.PING_PONG:
            row = _ping_pong(read, asked.row, rules.channel)
        elif signal.kind is Kind.SILENCE:
            row = next_marked(np.flatnonzero(_silent_after(read, silence)), after - 1)
        else:
            row = _of_steps(read, funnel, asked, after, signal.kind)
        late = round(silence * 1e6) if signal.kind is Kind.SILENCE else 0
        at = read.at[row] + late
        met[:, place] = np.where((row >= 0) & (row < asked.ends) & (at < asked.until), at, MISSING)
    return met


def reaches(read: Histories, step: Step) -> Bools:
    """Mark the events that reach a step, shape (n_events,)."""
    marked = has_one_of(read.event, step.events)
    if step.any_event:
        marked = np.ones(read.n_events, dtype=np.bool_)
    for name, wanted in step.where.items():
        marked &= has_one_of(read.attributes[name], wanted)
    return marked


def instants(read: Histories) -> tuple[Ints, Ints]:
    """Return the first row of every instant of every customer, and each event's instant."""
    new = np.ones(read.n_events, dtype=np.bool_)
    new[1:] = read.at[1:] != read.at[:-1]
    new[read.starts[:-1][np.diff(read.starts) > 0]] = True
    return np.flatnonzero(new), np.cumsum(new) - 1


def later_instant(read: Histories) -> Ints:
    """Return, for every event, the row after the last of its instant; where that begins another customer's, or ends."""
    begins, instant = instants(read)
    return np.asarray(np.append(begins[1:], read.n_events)[instant], dtype=np.int64)


def next_marked(marks: Ints, rows: Ints) -> Ints:
    """Return the first of some rows, which are sorted, that is not before each row; -1 where there is none."""
    place = np.searchsorted(marks, rows)
    return np.asarray(np.append(marks, -1)[place], dtype=np.int64)


def last_until(read: Histories, rows: Ints, ends: Ints, moment: Ints) -> Ints:
    """Return, for each row, the last row of its customer not later than a moment that is not before the row itself."""
    low, high = rows.copy(), ends - 1
    # halving: the answer lies between the two, both included
    while (low < high).any():
        middle = (low + high + 1) // 2
        early = read.at[middle] <= moment
        low, high = np.where(early, middle, low), np.where(early, high, middle - 1)
    return low


def _shows(read: Histories, signal: Signal) -> Bools:
    column = read.event if signal.column is None else read.attributes[signal.column]
    return has_one_of(column, signal.values)


def has_one_of(column: Coded, wanted: Iterable[str]) -> Bools:
    """Mark where a column has one of some values."""
    chosen = set(wanted)
    # one more for the missing value, whose code is -1
    known = np.array([value in chosen for value in column.values] + [False], dtype=np.bool_)
    return np.asarray(known[column.codes], dtype=np.bool_)


def _silent_after(read: Histories, silence: float) -> Bools:
    """Mark events after which the customer does nothing for so long; the last of each customer is one."""
    gap = np.full(read.n_events, np.iinfo(np.int64).max)
    gap[:-1] = np.diff(read.at)
    ends = read.starts[1:][np.diff(read.starts) > 0]
    gap[ends - 1] = np.iinfo(np.int64).max
    return np.asarray(gap > round(silence * 1e6), dtype=np.bool_)


def _of_steps(read: Histories, funnel: Funnel, asked: Asked, after: Ints, kind: Kind) -> Ints:
    """Return the first row that repeats the step, goes back before it, or takes it again after going back."""
    found = np.full(len(after), -1, dtype=np.int64)
    earlier = np.zeros(read.n_events, dtype=np.bool_)
    for number, step in enumerate(funnel.steps, start=1):
        if step.any_event:
            continue
        here = np.flatnonzero(asked.step == number)
        this = reaches(read, step)
        if len(here):
            again, before = np.flatnonzero(this), np.flatnonzero(earlier & ~this)
            if kind is Kind.REPEAT:
                found[here] = next_marked(again, after[here])
            else:
                back = next_marked(before, after[here])
                back = np.where(back < asked.ends[here], back, -1)
                if kind is Kind.REWORK:
                    back = np.where(back >= 0, next_marked(again, np.maximum(back, 0)), -1)
                found[here] = back
        earlier |= this
    return found


def _ping_pong(read: Histories, rows: Ints, channel: str | None) -> Ints:
    """Return the first row by which, since each row, a channel was left for another and taken up again."""
    if channel is None:
        return np.full(len(rows), -1, dtype=np.int64)
    codes = read.attributes[channel].codes
    known = np.flatnonzero(codes != NOTHING)
    if not len(known):
        return np.full(len(rows), -1, dtype=np.int64)
    owner, used = read.owners()[known], codes[known]
    new = np.ones(len(known), dtype=np.bool_)
    new[1:] = (used[1:] != used[:-1]) | (owner[1:] != owner[:-1])
    begins = np.flatnonzero(new)
    two_ago = begins[:-2]
    third = begins[2:]
    back = (used[third] == used[two_ago]) & (owner[third] == owner[two_ago])
    # the last event in the first of the three, which must not lie before the step
    left = known[begins[1:-1][back] - 1]
    return next_after(left, known[third[back]], rows)


def next_after(keys: Ints, values: Ints, rows: Ints) -> Ints:
    """Return the value of the first key that is not before each row, -1 where there is none; keys rise."""
    return np.asarray(np.append(values, -1)[np.searchsorted(keys, rows)], dtype=np.int64)
