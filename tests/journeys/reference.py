"""A slow second reading of what a funnel means: one customer at a time, trying every way of using the events.

It shares nothing with the kernel but the words of the specification. Times are whole seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf

from engine.config.journeys import ANY_EVENT
from journeys.spec import Effect, Funnel, Order, Reentry, Step, WindowFrom

Event = tuple[float, str, str | None]
"""Second, name, page."""

Log = Sequence[Event]


@dataclass(frozen=True)
class Attempt:
    """The number of the deepest required step (any order: how many steps), and when each step was reached."""

    depth: int
    times: tuple[float | None, ...]


@dataclass(frozen=True)
class Answer:
    attempts: tuple[Attempt, ...]
    excluded: bool
    open_until: float


@dataclass(frozen=True)
class Try:
    """What became of one entry: the times of the required steps, and what stopped it."""

    entry: float
    times: tuple[float, ...]
    hit_at: float | None = None
    tainted: bool = False
    shown: int = 0
    live: bool = True


def answer(log: Log, funnel: Funnel) -> Answer:
    events = sorted(log, key=lambda event: event[0])
    if funnel.window_from is WindowFrom.PREVIOUS and funnel.order is not Order.STRICT:
        return by_gap_in_any_order(events, funnel) if funnel.order is Order.ANY else by_gap(events, funnel)
    follow = {Order.ORDERED: ordered, Order.STRICT: strict, Order.ANY: unordered}[funnel.order]
    wanted = funnel.steps if funnel.order is Order.ANY else funnel.steps[:1]
    entries = sorted({event[0] for event in events if any(fits(event, step) for step in wanted)})
    if funnel.reentry is Reentry.FIRST:
        entries = entries[:1]
    tries: list[Try] = []
    ended = -inf
    for entry in entries:
        if funnel.reentry is Reentry.EVERY and entry <= ended:
            continue
        found = follow(events, funnel, entry)
        tries.append(found)
        complete = len(found.times) == len(required(funnel))
        ended = found.times[-1] if complete else entry + funnel.window_seconds
        ended = ended if found.hit_at is None else found.hit_at
    if funnel.order is Order.ORDERED and funnel.reentry is Reentry.ANY:
        tries = superseded(tries, len(required(funnel)))
    counted = count(tries, every=funnel.reentry is Reentry.EVERY)
    still = [one.entry + funnel.window_seconds for one in tries if one.live]
    return Answer(
        attempts=tuple(named(events, funnel, one) for one in counted or ()),
        excluded=counted is None,
        open_until=max(still, default=-inf),
    )


def superseded(tries: Sequence[Try], steps: int) -> list[Try]:
    """An event carries on the latest entry that waits for it: an earlier one that waits there too ends before.

    A try waits where its next step is not at the same moment.
    """
    kept: list[Try] = []
    for one in reversed(tries):
        ended = [
            level
            for level in range(2, steps)
            if waits(one, level)
            and any(waits(later, level) and later.times[:level][-1] == one.times[level - 1] for later in kept)
        ]
        kept.append(Try(one.entry, one.times[: ended[0] - 1], live=False) if ended else one)
    return kept[::-1]


def waits(one: Try, level: int) -> bool:
    """Whether a try that has reached a level stands there until a later moment."""
    return len(one.times) == level or (len(one.times) > level and one.times[level] > one.times[level - 1])


def count(tries: Sequence[Try], *, every: bool) -> list[Try] | None:
    """The tries that count; None when an exclusion drops the customer."""
    if not tries:
        return []
    deepest = max(one.shown if one.tainted else len(one.times) for one in tries)
    clean = [one for one in tries if not one.tainted]
    best = [one for one in clean if len(one.times) == deepest]
    if not best:
        return None
    return clean if every else [min(best, key=lambda one: (one.times[-1], -one.entry))]


def named(events: Log, funnel: Funnel, one: Try) -> Attempt:
    if funnel.order is Order.ANY:
        missing = len(funnel.steps) - len(one.times)
        return Attempt(len(one.times), (*one.times, *[None] * missing))
    numbers = required(funnel)
    times: list[float | None] = [None] * len(funnel.steps)
    for number, time in zip(numbers, one.times, strict=False):
        times[number] = time
    since = one.times[-1] if funnel.window_from is WindowFrom.PREVIOUS else one.entry
    add_optional(events, funnel, times, since + funnel.window_seconds)
    return Attempt(numbers[len(one.times) - 1] + 1, tuple(times))


def add_optional(events: Log, funnel: Funnel, times: list[float | None], until: float) -> None:
    earliest: float | None = None
    for number, step in enumerate(funnel.steps):
        if not step.optional:
            earliest = times[number]
            continue
        if earliest is None:
            continue
        later = [time for time in times[number + 1 :] if time is not None]
        end = later[0] if later else until
        for moment in sorted({event[0] for event in events}):
            together = [other for at, other in zip(times, funnel.steps, strict=True) if at == moment]
            there = [event for event in events if event[0] == moment]
            if earliest <= moment <= end and matched(there, [*together, step]) == len(together) + 1:
                times[number] = earliest = moment
                break


def required(funnel: Funnel) -> list[int]:
    return [number for number, step in enumerate(funnel.steps) if not step.optional]


def fits(event: Event, step: Step) -> bool:
    named_so = ANY_EVENT in step.events or event[1] in step.events
    return named_so and all(event[2] in values for values in step.where.values())


def matched(events: Sequence[Event], steps: Sequence[Step]) -> int:
    """How many of the steps can have an event of their own, by augmenting paths."""
    holder: dict[int, int] = {}

    def place(step: int, seen: set[int]) -> bool:
        for number, event in enumerate(events):
            if number not in seen and fits(event, steps[step]):
                seen.add(number)
                if number not in holder or place(holder[number], seen):
                    holder[number] = step
                    return True
        return False

    return sum(place(step, set()) for step in range(len(steps)))


def excluded_after(events: Log, funnel: Funnel, level: int, since: float, until: float) -> tuple[float, bool] | None:
    """The first excluded event strictly between two times, after so many required steps, and whether it drops."""
    numbers = required(funnel)
    if level >= len(numbers):
        return None
    hits = [
        (event[0], exclusion.effect is Effect.END_ATTEMPT)
        for exclusion in funnel.exclusions
        if exclusion.after_step <= numbers[level - 1] + 1 < exclusion.before_step
        for event in events
        if (ANY_EVENT in exclusion.events or event[1] in exclusion.events) and since < event[0] < until
    ]
    return None if not hits else (min(hits)[0], not min(hits)[1])


def cut(events: Log, funnel: Funnel, entry: float, times: Sequence[float]) -> Try:
    """What is left of the times of a try once exclusions have had their say."""
    close = entry + funnel.window_seconds
    for level in range(1, len(times) + 1):
        goes_on = level < len(times)
        until = times[level] if goes_on else close + 0.5  # times are whole: half a second keeps the edge in
        hit = excluded_after(events, funnel, level, times[level - 1], until)
        if hit:
            at, drops = hit
            return Try(entry, tuple(times[:level]), at, drops, level + goes_on, live=False)
    return Try(entry, tuple(times), live=len(times) < len(required(funnel)))


def ways(events: Log, steps: Sequence[Step], entries: set[float], *, strict: bool) -> Iterator[tuple[int, ...]]:
    """Every way to give the first steps an event each, in order of time; windows are not looked at."""
    moments = sorted({event[0] for event in events})

    def walk(used: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        if used:
            yield used
        if len(used) == len(steps):
            return
        for number, event in enumerate(events):
            if number in used or not fits(event, steps[len(used)]):
                continue
            if not used and event[0] not in entries:
                continue
            if used:
                apart = moments.index(event[0]) - moments.index(events[used[-1]][0])
                if apart < 0 or (strict and apart > 1):
                    continue
            yield from walk((*used, number))

    yield from walk(())


def ordered(events: Log, funnel: Funnel, entry: float) -> Try:
    """Each step as early as any way from the entry reaches it."""
    in_window = [event for event in events if entry <= event[0] <= entry + funnel.window_seconds]
    steps = [funnel.steps[number] for number in required(funnel)]
    earliest = [inf] * len(steps)
    for way in ways(in_window, steps, {entry}, strict=False):
        earliest[len(way) - 1] = min(earliest[len(way) - 1], in_window[way[-1]][0])
    return cut(events, funnel, entry, [time for time in earliest if time < inf])


def strict(events: Log, funnel: Funnel, entry: float) -> Try:
    steps = [funnel.steps[number] for number in required(funnel)]
    found = [tuple(events[number][0] for number in way) for way in ways(events, steps, {entry}, strict=True)]
    found = [times for times in found if in_window(times, funnel)]
    depth = max(len(times) for times in found)
    last = max(event[0] for event in events)
    live = depth < len(steps) and any(times[-1] == last for times in found)
    hits: dict[float, tuple[float, bool] | None] = {}
    for arrival in sorted({times[-1] for times in found if len(times) == depth}):
        following = min((event[0] for event in events if event[0] > arrival), default=inf)
        since = arrival if funnel.window_from is WindowFrom.PREVIOUS else entry
        in_time = following <= since + funnel.window_seconds
        hits[arrival] = excluded_after(events, funnel, depth, arrival, following + 0.5) if in_time else None
    untainted = [arrival for arrival, hit in hits.items() if hit is None or not hit[1]]
    chosen = min(untainted or hits)
    best = min((times for times in found if len(times) == depth and times[-1] == chosen), key=lambda times: times[::-1])
    last_hit = hits[max(hits)]
    over = None if live or last_hit is None or None in hits.values() else last_hit[0]
    return Try(entry, best, over, not untainted, depth, live=live)


def in_window(times: Sequence[float], funnel: Funnel) -> bool:
    if funnel.window_from is WindowFrom.PREVIOUS:
        return all(later - time <= funnel.window_seconds for time, later in pairwise(times))
    return times[-1] - times[0] <= funnel.window_seconds


def unordered(events: Log, funnel: Funnel, entry: float) -> Try:
    inside = [event for event in events if entry <= event[0] <= entry + funnel.window_seconds]
    times: list[float] = []
    for number, event in enumerate(inside):
        if matched(inside[: number + 1], funnel.steps) > len(times):
            times.append(event[0])
    return cut(events, funnel, entry, times)


def by_gap(events: Log, funnel: Funnel) -> Answer:
    """Each step within the window of the one before it, whatever choice of events makes it possible."""
    window = funnel.window_seconds
    steps = [funnel.steps[number] for number in required(funnel)]
    entries = sorted({event[0] for event in events if fits(event, steps[0])})
    allowed = set(entries[:1] if funnel.reentry is Reentry.FIRST else entries)

    def clean(times: tuple[float, ...]) -> bool:
        hops = pairwise(times)
        return in_window(times, funnel) and not any(
            excluded_after(events, funnel, level, *hop) for level, hop in enumerate(hops, start=1)
        )

    found = {tuple(events[number][0] for number in way) for way in ways(events, steps, allowed, strict=False)}
    found = {times for times in found if clean(times)}
    if not found:
        return Answer((), False, -inf)
    depth = max(map(len, found))
    best = [times for times in found if len(times) == depth]
    tries = []
    for times in best:
        hit = excluded_after(events, funnel, depth, times[-1], times[-1] + window + 0.5)
        goes_on = depth < len(steps) and any(
            fits(event, steps[depth]) and times[-1] < event[0] <= times[-1] + window for event in events
        )
        drops = hit is not None and hit[1]
        tries.append(Try(times[0], times, None if hit is None else hit[0], drops, depth + goes_on))
    open_until = [
        times[-1] + window
        for times in found
        if len(times) < len(steps)
        and not excluded_after(events, funnel, len(times), times[-1], times[-1] + window + 0.5)
    ]
    counted = [one for one in tries if not one.tainted]
    excluded = not counted or any(one.tainted and one.shown > depth for one in tries)
    first = min((one.times[-1] for one in counted), default=inf)
    arrived = [one for one in counted if one.times[-1] == first]
    chosen = [] if excluded else [max(arrived, key=lambda one: one.times[::-1])]
    return Answer(tuple(named(events, funnel, one) for one in chosen), excluded, max(open_until, default=-inf))


def by_gap_in_any_order(events: Log, funnel: Funnel) -> Answer:
    """The most steps that a chain of events serves, none later than the window after the one before."""
    entry_times = [event[0] for event in events if any(fits(event, step) for step in funnel.steps)]
    allowed = set(entry_times[:1] if funnel.reentry is Reentry.FIRST else entry_times)
    found: set[tuple[float, ...]] = set()

    def walk(chain: tuple[Event, ...], rest: Sequence[Event]) -> None:
        if chain:
            if matched(chain, funnel.steps) < len(chain):
                return
            found.add(tuple(event[0] for event in chain))
        for number, event in enumerate(rest):
            near = event[0] in allowed if not chain else event[0] - chain[-1][0] <= funnel.window_seconds
            if near:
                walk((*chain, event), rest[number + 1 :])

    walk((), events)
    if not found:
        return Answer((), False, -inf)
    depth = max(map(len, found))
    best = min((times for times in found if len(times) == depth), key=lambda times: times[-1])
    still = [times[-1] + funnel.window_seconds for times in found if len(times) < len(funnel.steps)]
    return Answer((named(events, funnel, Try(best[0], best)),), False, max(still, default=-inf))
