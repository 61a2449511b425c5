"""Random small logs and funnels over which the kernel must agree with the slow reference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from journeys import attempts, histories, outcomes
from journeys.spec import Effect, Funnel, Order, Reentry, WindowFrom
from tests.journeys import reference
from tests.journeys.builders import asked, excluding

HORIZON = 13
"""The last second at which anything happens."""

ORDERED_STEPS = (
    "A B C",
    "A B B A",
    "A|B B|C A|C",
    "* B *",
    "A A:u A",
    "A B? C",
    "A A? A:u A",
    "A|C A? B|C C? A",
    "A",
)
UNORDERED_STEPS = ("A B C", "A B A", "A|B B|C A|C", "* B *", "A A:u B", "A B C D")


def _funnels() -> Iterator[Funnel]:
    """Yield funnels over all orders, windows, re-entries, exclusions, optional, overlapping and repeated steps."""
    yield from _ordered()
    for steps in UNORDERED_STEPS:
        last = len(steps.split())
        for reentry in Reentry:
            yield asked(steps, 6, order=Order.ANY, reentry=reentry)
            for effect in Effect:
                yield asked(steps, 6, order=Order.ANY, reentry=reentry, exclusions=(excluding("x", 1, last, effect),))
        for reentry in (Reentry.ANY, Reentry.FIRST):
            yield asked(steps, 3, order=Order.ANY, window_from=WindowFrom.PREVIOUS, reentry=reentry)


def _ordered() -> Iterator[Funnel]:
    for steps in ORDERED_STEPS:
        numbers = [place for place, word in enumerate(steps.split(), start=1) if not word.endswith("?")]
        choices: list[tuple[Any, ...]] = [()]
        if len(numbers) > 1:
            choices += [(excluding("x", numbers[0], numbers[-1], effect),) for effect in Effect]
            choices.append((excluding("x", numbers[0], numbers[1]), excluding("D", 1, numbers[-1], Effect.END_ATTEMPT)))
        for exclusions in choices:
            for reentry in Reentry:
                yield asked(steps, 6, reentry=reentry, exclusions=exclusions)
                yield asked(steps, 6, reentry=reentry, exclusions=exclusions, order=Order.STRICT)
            for reentry in (Reentry.ANY, Reentry.FIRST):
                yield asked(steps, 3, reentry=reentry, exclusions=exclusions, window_from=WindowFrom.PREVIOUS)
            yield asked(steps, 3, exclusions=exclusions, window_from=WindowFrom.PREVIOUS, order=Order.STRICT)


FUNNELS: Final = tuple(_funnels())


def logs(rng: np.random.Generator, count: int, most: int = 8) -> list[list[reference.Event]]:
    """Return logs of few instants and few names: ties, repeats and re-entries are the rule."""
    pages = np.array([None, "u"])
    found = []
    for _ in range(count):
        size = int(rng.integers(1, most + 1))
        seconds = rng.integers(0, int(rng.choice([3, 7, HORIZON])) + 1, size)
        names = rng.choice(list("AABBCCDx"), size)
        found.append([(int(at), str(name), pages[rng.integers(2)]) for at, name in zip(seconds, names, strict=True)])
    return found


def block(people: Sequence[Sequence[reference.Event]]) -> pa.Table:
    """Return logs as one block of events, the n-th log being that of customer n."""
    rows = [(f"c{number}", *event) for number, log in enumerate(people) for event in log]
    return pa.table(
        {
            "customer": pa.array([row[0] for row in rows], pa.string()),
            "event": pa.array([row[2] for row in rows], pa.string()),
            "at": pa.array([row[1] * 1_000_000 for row in rows], pa.timestamp("us")),
            "page": pa.array([row[3] for row in rows], pa.string()),
        }
    )


def kernel_answers(people: Sequence[Sequence[reference.Event]], funnel: Funnel) -> list[reference.Answer]:
    """Return what the kernel says of each log; its rows are checked on the way."""
    table = block(people)
    made = histories.of(table)
    check_rows(made, attempts.find(made, funnel), funnel)
    return answers_of_rows(outcomes.rows(table, funnel=funnel), len(people))


def answers_of_rows(table: pa.Table, count: int) -> list[reference.Answer]:
    """Return what a table of outcomes says of each of `count` customers."""
    counted: list[list[reference.Attempt]] = [[] for _ in range(count)]
    open_until = [-np.inf] * count
    excluded = set()
    steps = [name for name in table.column_names if name.startswith("reached_")]
    order = [("reached_1", "ascending")]
    for row in table.filter(pc.is_valid(table["customer"])).sort_by(order).to_pylist():
        number = int(row["customer"][1:])
        if row["depth"] == 0:
            excluded.add(number)
            continue
        times = tuple(None if row[step] == attempts.MISSING else row[step] / 1e6 for step in steps)
        counted[number].append(reference.Attempt(row["depth"], times))
        if row["open_until"] != attempts.MISSING:
            open_until[number] = row["open_until"] / 1e6
    return [reference.Answer(tuple(counted[place]), place in excluded, open_until[place]) for place in range(count)]


def check_rows(made: histories.Histories, found: attempts.Attempts, funnel: Funnel) -> None:
    """Every step has an event of its own, of the right customer, time and kind."""
    owners = made.owners()
    for customer, at, row in zip(found.customer.tolist(), found.at.tolist(), found.row.tolist(), strict=True):
        used = [place for place in row if place >= 0]
        assert len(set(used)) == len(used)
        assert [place >= 0 for place in row] == [time != attempts.MISSING for time in at]
        assert all(owners[place] == customer for place in used)
        assert [int(made.at[place]) for place in used] == [time for time in at if time != attempts.MISSING]
        events = [(0.0, *_told(made, place)) for place in used]
        if funnel.order is Order.ANY:
            assert reference.matched(events, funnel.steps) == len(used)
        else:
            steps = [step for step, place in zip(funnel.steps, row, strict=True) if place >= 0]
            assert all(map(reference.fits, events, steps))


def _told(made: histories.Histories, row: int) -> tuple[str, str | None]:
    page = made.attributes["page"]
    code = int(page.codes[row])
    return made.event.values[made.event.codes[row]], page.values[code] if code >= 0 else None


def comparable(one: reference.Answer, funnel: Funnel) -> Any:
    """What two answers must agree in: until when it is open matters while it still is and nothing is complete."""
    complete = any(attempt.depth == len(funnel.steps) for attempt in one.attempts)
    every = funnel.reentry is Reentry.EVERY
    open_until = None if complete or every or one.excluded else max(one.open_until, HORIZON)
    if funnel.order is Order.ANY and funnel.window_from is WindowFrom.PREVIOUS:
        # which chain of equal length counts is left open but for where it ends
        reached = [(attempt.depth, attempt.times[attempt.depth - 1]) for attempt in one.attempts]
        return reached, one.excluded, open_until
    return one.attempts, one.excluded, open_until
