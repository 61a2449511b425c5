"""Channels within journeys: how customers move between them, and what a hand-over to the branch is worth.

A *journey* here is a session, or all events of a customer. Only events whose channel is known count.

- *Switch*: two events in a row in different channels. *Ping-pong*: back again to the channel left just before, as in
  app, branch, app.
- *Success* is an event of the goal; what comes after the first one no longer counts as a switch. That journeys with a
  switch succeed more or less often does not say that the switch did it: other customers switch, and a journey that
  lasts longer has more chances to do either.
- *Hand-over*: after a digital step, the customer's next event in the branch. *Rework*: the branch has to do again what
  the customer had already done digitally.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.domain.errors import SettingsFault
from engine.numerics import ratios
from engine.numerics.intervals import newcombe, wilson
from journeys import activity, histories, sessions
from journeys.activity import ANY
from journeys.calendar import DAY, SECOND
from journeys.histories import NOTHING, Histories, Ints

Marks = NDArray[np.bool_]

NOT_CAUSAL: Final = (
    "not cause and effect: other customers switch, a journey that lasts longer has more chances to, and one that "
    "succeeds early has fewer"
)

MOVES: Final = pa.schema([("from", pa.string()), ("to", pa.string()), ("count", pa.int64()), ("journeys", pa.int64())])
"""What a block gives: how often one channel came right after another, and in how many journeys."""

JOURNEYS: Final = pa.schema(
    [
        ("switched", pa.bool_()),
        ("ping_pong", pa.bool_()),
        ("converted", pa.bool_()),
        ("open", pa.bool_()),
        ("journeys", pa.int64()),
    ]
)
"""What a block gives: how many journeys are like that, before their first goal."""


class Unit(StrEnum):
    """What a journey is."""

    SESSION = "session"
    CUSTOMER = "customer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Switching:
    """What is asked: of which journeys, in which attribute the channel stands, which events are the goal.

    A session still open as of the date is left out of success, also when it has reached the goal: to count those
    alone that were quick would flatter.
    """

    channel: str
    as_of_us: int
    unit: Unit = Unit.SESSION
    timeout_seconds: float = sessions.TIMEOUT_SECONDS
    goal: tuple[str, ...] = ()


def moves_of_block(block: pa.Table, *, asked: Switching) -> pa.Table:
    """Return MOVES of a block of events; counts of blocks add up."""
    steps = _steps(histories.of(block), asked)
    if len(steps.journey) < 2:
        return MOVES.empty_table()
    together = steps.journey[1:] == steps.journey[:-1]
    width = len(steps.names)
    move = (steps.channel[:-1].astype(np.int64) * width + steps.channel[1:])[together]
    counts = np.bincount(move, minlength=width * width)
    within = np.unique(steps.journey[1:][together] * (width * width) + move) % (width * width)
    in_journeys = np.bincount(within, minlength=width * width)
    some = np.flatnonzero(counts)
    names = pa.array(steps.names, pa.string())
    columns = [names.take(pa.array(some // width)), names.take(pa.array(some % width)), counts[some], in_journeys[some]]
    return pa.table(columns, schema=MOVES)


def journeys_of_block(block: pa.Table, *, asked: Switching) -> pa.Table:
    """Return JOURNEYS of a block of events; counts of blocks add up."""
    people = histories.of(block)
    steps = _steps(people, asked)
    n = steps.n_journeys
    known = np.bincount(steps.journey, minlength=n) > 0
    before = steps.row <= steps.goal[steps.journey]
    journey, channel = steps.journey[before], steps.channel[before]
    new = np.ones(len(journey), dtype=np.bool_)
    new[1:] = (journey[1:] != journey[:-1]) | (channel[1:] != channel[:-1])
    # runs of one channel: a journey of two or more has switched, and of three may have come back
    run_journey, run_channel = journey[new], channel[new]
    switched = np.bincount(run_journey, minlength=n) > 1
    back = (run_journey[2:] == run_journey[:-2]) & (run_channel[2:] == run_channel[:-2])
    ping_pong = np.bincount(run_journey[2:][back], minlength=n) > 0
    converted = steps.goal < people.n_events
    key = switched * 8 + ping_pong * 4 + converted * 2 + steps.open
    counts = np.bincount(key[known], minlength=16)
    some = np.flatnonzero(counts)
    return pa.table([*((some >> bit & 1).astype(bool) for bit in (3, 2, 1, 0)), counts[some]], schema=JOURNEYS)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Steps:
    """The events with a known channel: their row, journey and channel; of each journey the row of its first goal
    (beyond all rows where there is none) and whether it is open.
    """

    row: Ints
    journey: Ints
    channel: NDArray[np.int32]
    names: tuple[str, ...]
    n_journeys: int
    goal: Ints
    open: Marks


def _steps(people: Histories, asked: Switching) -> _Steps:
    column = people.attributes[asked.channel]
    if asked.unit is Unit.SESSION:
        found = sessions.cut(people, asked.timeout_seconds)
        journey, n = found.numbers(), len(found)
        still = asked.as_of_us - people.at[found.rows[found.last]] <= round(asked.timeout_seconds * SECOND)
    else:
        journey, n = people.owners().astype(np.int64), len(people)
        still = np.zeros(n, dtype=np.bool_)
    goal = np.full(n, people.n_events, dtype=np.int64)
    reached = np.flatnonzero(activity.matches(people, asked.goal))
    np.minimum.at(goal, journey[reached], reached)
    known = np.flatnonzero(column.codes != NOTHING)
    return _Steps(
        row=known,
        journey=journey[known],
        channel=column.codes[known],
        names=column.values,
        n_journeys=n,
        goal=goal,
        open=still,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A count of a whole with its Wilson interval; the share is None where the whole is empty."""

    count: int
    of: int
    share: float | None
    low: float | None
    high: float | None


def share(count: int, of: int) -> Share:
    """Return a count of a whole as a share."""
    interval = wilson(count, of)
    return Share(
        count=count,
        of=of,
        share=ratios.or_none(ratios.ratio(count, of)),
        low=ratios.or_none(interval.lower),
        high=ratios.or_none(interval.upper),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A share less another with Newcombe's interval; None where either is of nobody."""

    difference: float | None
    low: float | None
    high: float | None


def difference(one: Share, other: Share) -> Difference:
    """Return a share less another of different journeys."""
    interval = newcombe(one.count, one.of, other.count, other.of)
    defined = one.share is not None and other.share is not None
    return Difference(
        difference=(one.share or 0.0) - (other.share or 0.0) if defined else None,
        low=ratios.or_none(interval.lower),
        high=ratios.or_none(interval.upper),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Success:
    """How often journeys reach the goal, with and without a switch before it; `open` are left out."""

    with_switch: Share
    without_switch: Share
    difference: Difference
    open: int
    caution: str = NOT_CAUSAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Channels:
    """How customers move between channels. `matrix` are MOVES, most frequent first; None where no goal was named."""

    journeys: int
    switched: Share
    ping_pong: Share
    matrix: tuple[Mapping[str, str | int], ...]
    success: Success | None


def channels(moves: pa.Table, journeys: pa.Table, asked: Switching) -> Channels:
    """Put together MOVES and JOURNEYS of all blocks."""
    summed = moves.group_by(["from", "to"]).aggregate([("count", "sum"), ("journeys", "sum")]).to_pylist()
    matrix = [
        {"from": one["from"], "to": one["to"], "count": one["count_sum"], "journeys": one["journeys_sum"]}
        for one in sorted(summed, key=lambda one: (-one["count_sum"], one["from"], one["to"]))
    ]
    rows = journeys.to_pylist()

    def count(**like: bool) -> int:
        return sum(row["journeys"] for row in rows if all(row[name] == value for name, value in like.items()))

    success = None
    if asked.goal:
        two = [
            share(count(switched=switched, converted=True, open=False), count(switched=switched, open=False))
            for switched in (True, False)
        ]
        success = Success(with_switch=two[0], without_switch=two[1], difference=difference(*two), open=count(open=True))
    return Channels(
        journeys=count(),
        switched=share(count(switched=True), count()),
        ping_pong=share(count(ping_pong=True), count()),
        matrix=tuple(matrix),
        success=success,
    )


class Outcome(StrEnum):
    """What became of a digital step."""

    FINISHED = "finished"
    """The goal was reached without the branch."""

    CONTINUED = "continued"
    """The customer went on in the branch in time."""

    WAITING = "waiting"
    """Neither, but there is still time."""

    STOPPED = "stopped"
    """Neither, and the time is over."""


HANDOVERS: Final = pa.schema(
    [
        ("customer", pa.string()),
        ("started", pa.timestamp("us")),
        ("outcome", pa.string()),
        ("over", pa.bool_()),
        ("seconds", pa.float64()),
        ("rework", pa.bool_()),
        ("converted", pa.bool_()),
    ]
)
"""One row per customer with a digital step, at the first one; `over`: the time to continue has passed. The last
three are of those who continued: how long it took, whether the branch did something again, whether the goal followed;
the last two are null until the time for them has passed too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """What is asked of hand-overs; `channel` is the attribute in which the channel stands.

    step : events that are the digital step; `*` is any in a digital channel.
    within_seconds : how long after it the branch counts, and how long after that the rework and the goal; edges
        included.
    """

    channel: str
    as_of_us: int
    digital: tuple[str, ...]
    branch: tuple[str, ...]
    step: tuple[str, ...] = ANY
    goal: tuple[str, ...] = ()
    within_seconds: float = 14 * DAY / SECOND

    def __post_init__(self) -> None:
        faults = []
        if set(self.digital) & set(self.branch):
            faults.append("a channel is either digital or the branch; one was named as both")
        if not 0 < self.within_seconds < float("inf"):
            faults.append(f"within {self.within_seconds} seconds: expected more than 0")
        if faults:
            raise SettingsFault("hand-over", faults)


def handovers_of_block(block: pa.Table, *, asked: Handover) -> pa.Table:
    """Return HANDOVERS of a block of events."""
    people = histories.of(block)
    n, end = len(people), people.n_events
    owners, rows = people.owners(), np.arange(end)
    digital, branch = (_in_channels(people, asked.channel, names) for names in (asked.digital, asked.branch))
    at = np.append(people.at, np.iinfo(np.int64).max // 2)
    within = round(asked.within_seconds * SECOND)

    def first(marks: Marks, after: Ints | None = None) -> Ints:
        """Return the first marked row of each customer, after that customer's row `after`; `end` for none."""
        marks = marks if after is None else marks & (rows > after[owners])
        found = np.full(n, end, dtype=np.int64)
        kept = np.flatnonzero(marks)
        np.minimum.at(found, owners[kept], kept)
        return found

    start = first(digital & activity.matches(people, asked.step))
    came = first(branch, start)
    came = np.where(at[came] - at[start] <= within, came, end)
    is_goal = activity.matches(people, asked.goal)
    goal = first(is_goal, start)
    goal = np.where(at[goal] - at[start] <= within, goal, end)
    continued = (came < end) & (came <= goal)
    finished = ~continued & (goal < end)
    waiting = ~continued & ~finished & (at[start] + within > asked.as_of_us)
    outcome = np.select(
        [finished, continued, waiting], [Outcome.FINISHED, Outcome.CONTINUED, Outcome.WAITING], Outcome.STOPPED
    )
    # in the branch until the goal, or as long as it counts; row `end` of `at` lies beyond all time
    reached = first(is_goal, came - 1)
    reached = np.where(at[reached] - at[came] <= within, reached, end)
    later = at[came] + within
    converted = reached < end
    sure = later <= asked.as_of_us
    inside = continued[owners] & (rows >= came[owners]) & (rows <= reached[owners]) & (people.at <= later[owners])
    done = digital & (rows >= start[owners]) & (rows < came[owners])
    width = len(people.event.values)
    key = owners.astype(np.int64) * width + people.event.codes
    again = inside & branch & ~is_goal & np.isin(key, np.unique(key[done]))
    rework = np.bincount(owners[again], minlength=n) > 0
    some = np.flatnonzero(start < end)
    only = ~continued[some]
    columns = [
        people.ids.take(pa.array(some)).cast(pa.string()),
        pa.array(at[start[some]]).cast(pa.timestamp("us")),
        pa.array(outcome[some].tolist(), pa.string()),
        at[start[some]] + within <= asked.as_of_us,
        pa.array((at[came[some]] - at[start[some]]) / SECOND, mask=only),
        pa.array(rework[some], mask=only | ~sure[some]),
        pa.array(converted[some], mask=only | ~sure[some]),
    ]
    return pa.table(columns, schema=HANDOVERS)


def _in_channels(people: Histories, channel: str, names: Sequence[str]) -> Marks:
    column = people.attributes[channel]
    wanted = np.append(np.isin(np.array([*column.values, ""]), list(names))[:-1], False)
    marks: Marks = wanted[column.codes]  # the code of a missing channel is -1, the last
    return marks


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How well digital steps are handed over. Shares are None where there is nobody to divide by.

    `too_early` are the customers whose time to continue has not passed: they are left out of all shares, also those
    who have gone on already, since to count the quick ones alone would flatter. Rework and the goal wait likewise.

    continued : of those who had to, not having finished digitally.
    waits : seconds from the digital step to the branch by percentile, of those who continued; empty for nobody.
    """

    customers: int
    finished: Share
    too_early: int
    continued: Share
    waits: Mapping[int, float]
    rework: Share
    converted: Share
    converted_with_rework: Share
    converted_without_rework: Share
    difference: Difference
    caution: str = "not cause and effect: who has to do something again may differ from the others from the start"


PERCENTILES: Final = (25, 50, 75, 90)


def quality(handovers: pa.Table, asked: Handover) -> Quality:
    """Put together HANDOVERS of all blocks; without a goal, nothing is said of who reached it."""
    over = handovers.filter(handovers.column("over"))
    counted = {one["values"]: one["counts"] for one in pc.value_counts(over.column("outcome")).to_pylist()}
    finished, came = counted.get(Outcome.FINISHED, 0), counted.get(Outcome.CONTINUED, 0)
    seconds = over.column("seconds").drop_null().to_numpy()
    told = handovers.filter(handovers.column("converted").is_valid())
    rework = told.column("rework").to_numpy(zero_copy_only=False).astype(np.bool_)
    converted = told.column("converted").to_numpy(zero_copy_only=False).astype(np.bool_)
    of_goal = np.full(len(rework), bool(asked.goal))
    again, smooth, either = (
        share(int((marks & converted).sum()), int((marks & of_goal).sum())) for marks in (rework, ~rework, of_goal)
    )
    return Quality(
        customers=handovers.num_rows,
        finished=share(finished, over.num_rows),
        too_early=handovers.num_rows - over.num_rows,
        continued=share(came, over.num_rows - finished),
        waits={p: float(np.percentile(seconds, p)) for p in PERCENTILES} if len(seconds) else {},
        rework=share(int(rework.sum()), len(rework)),
        converted=either,
        converted_with_rework=again,
        converted_without_rework=smooth,
        difference=difference(again, smooth),
    )
