"""What a funnel asks: its steps, the order and the time allowed, what ends an attempt, and what counts as one.

The defaults are those of every command. The exact meaning of each choice stands in `journeys/attempts.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import combinations
from math import isfinite
from typing import Final

from engine.config.journeys import ANY_EVENT, JourneySettings, StepSettings
from engine.domain.errors import SettingsFault

MOST_STEPS: Final = 60
"""Steps of one funnel."""

MOST_UNORDERED_BY_GAP: Final = 8
"""Steps in any order with a window from the previous one: every set of steps is then looked for."""

MOST_RIVALS: Final = 16
"""Different steps that hang together by events which reach more than one of them."""

MOST_UNORDERED_RIVALS: Final = 8
"""The same for steps in any order, where every set of them is looked at."""

_LONGEST_WINDOW_SECONDS: Final = 1e11  # 3 000 years; in microseconds it still adds up to an instant


class Order(StrEnum):
    """How the steps must follow each other."""

    ORDERED = "ordered"
    """In the order given; anything may happen between."""

    STRICT = "strict"
    """In the order given, each at the customer's very next instant of any event."""

    ANY = "any"
    """In whatever order: a customer reaches as many steps as happen within one window."""


class WindowFrom(StrEnum):
    """What the window runs from."""

    FIRST = "first"
    PREVIOUS = "previous"


class Reentry(StrEnum):
    """Which attempts of a customer count."""

    ANY = "any"
    """One per customer: of all entries, the one that gets deepest."""

    FIRST = "first"
    """One per customer: the first entry alone."""

    EVERY = "every"
    """Every attempt; the next begins with the first entry after the one before has ended."""


class Effect(StrEnum):
    """What an excluded event between two steps does."""

    DROP_CUSTOMER = "drop_customer"
    """The customer counts at no step, unless another attempt gets as deep without such an event."""

    END_ATTEMPT = "end_attempt"
    """The attempt ends there; the steps before it count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step: any of `events` reaches it; `where` narrows them to attributes of some values."""

    name: str
    events: tuple[str, ...]
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    optional: bool = False

    @property
    def any_event(self) -> bool:
        """Whether every event reaches the step."""
        return ANY_EVENT in self.events

    def overlaps(self, other: Step) -> bool:
        """Return whether one event could reach either step."""
        same_event = self.any_event or other.any_event or not set(self.events).isdisjoint(other.events)
        both = self.where.keys() & other.where.keys()
        return same_event and not any(set(self.where[name]).isdisjoint(other.where[name]) for name in both)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """Events that must not happen strictly between two steps, numbered from 1."""

    events: tuple[str, ...]
    after_step: int
    before_step: int
    effect: Effect = Effect.DROP_CUSTOMER


@dataclass(frozen=True, slots=True, kw_only=True)
class Funnel:
    """A funnel. `window_seconds` is elapsed time, its edge included.

    Raises SettingsFault with every fault when it cannot be answered as it is asked.
    """

    steps: tuple[Step, ...]
    window_seconds: float
    window_from: WindowFrom = WindowFrom.FIRST
    order: Order = Order.ORDERED
    reentry: Reentry = Reentry.ANY
    exclusions: tuple[Exclusion, ...] = ()

    def __post_init__(self) -> None:
        faults = [*_faults_of_steps(self), *_faults_of_exclusions(self), *_faults_of_choices(self)]
        if faults:
            raise SettingsFault("The funnel", faults)

    def attributes(self) -> tuple[str, ...]:
        """Return the attributes that the steps' conditions read, sorted."""
        return tuple(sorted({name for step in self.steps for name in step.where}))

    def names(self) -> tuple[str, ...] | None:
        """Return the event names that can matter, sorted; None when every event can."""
        listed = [*(step.events for step in self.steps), *(exclusion.events for exclusion in self.exclusions)]
        names = {name for events in listed for name in events}
        return None if self.order is Order.STRICT or ANY_EVENT in names else tuple(sorted(names))


def of(journey: JourneySettings) -> Funnel:
    """Return the funnel that a journey of the settings asks for."""
    return Funnel(
        steps=tuple(map(_step, journey.steps)),
        window_seconds=journey.window_seconds,
        window_from=WindowFrom(journey.window_from),
        order=Order(journey.order),
        reentry=Reentry(journey.reentry),
        exclusions=tuple(
            Exclusion(
                events=one.events,
                after_step=journey.place_of(one.after),
                before_step=journey.place_of(one.before),
                effect=Effect(one.effect),
            )
            for one in journey.exclusions
        ),
    )


def _step(step: StepSettings) -> Step:
    phases = {"lifecycle": step.lifecycles} if step.lifecycles else {}
    return Step(name=step.step, events=step.events, where={**step.where, **phases}, optional=step.optional)


def _faults_of_steps(funnel: Funnel) -> list[str]:
    steps, faults = funnel.steps, []
    if not 1 <= len(steps) <= MOST_STEPS:
        faults.append(f"{len(steps)} steps: a funnel has between 1 and {MOST_STEPS}.")
    faults += [
        f'step {number} ("{step.name}") names no event. Name at least one, or "{ANY_EVENT}" for any.'
        for number, step in enumerate(steps, start=1)
        if not step.events
    ]
    faults += [
        f'step {number} ("{steps[number - 1].name}") is optional: the first and the last step must be required.'
        for number in sorted({1, len(steps)})
        if steps and steps[number - 1].optional
    ]
    rivals, most = _most_rivals(steps), MOST_UNORDERED_RIVALS if funnel.order is Order.ANY else MOST_RIVALS
    if rivals > most:
        faults.append(
            f"{rivals} different steps hang together by events that reach more than one of them; at most {most} "
            "can be told apart. Let fewer steps share events."
        )
    return faults


def _most_rivals(steps: tuple[Step, ...]) -> int:
    """Return the largest number of different steps that overlaps link to each other."""
    different = list({(step.events, tuple(sorted(step.where.items()))): step for step in steps}.values())
    group = list(range(len(different)))
    for one, other in combinations(range(len(different)), 2):
        if different[one].overlaps(different[other]):
            joined, left = group[one], group[other]
            group = [joined if place == left else place for place in group]
    return max((group.count(place) for place in group), default=0)


def _faults_of_exclusions(funnel: Funnel) -> list[str]:
    last, faults = len(funnel.steps), []
    for exclusion in funnel.exclusions:
        names, between = ", ".join(exclusion.events), f"{exclusion.after_step} to {exclusion.before_step}"
        if not 1 <= exclusion.after_step < exclusion.before_step <= last:
            faults.append(
                f"exclusion of {names} between steps {between}: expected two of the steps 1 to {last}, in order."
            )
        elif any(funnel.steps[number - 1].optional for number in (exclusion.after_step, exclusion.before_step)):
            faults.append(
                f"exclusion of {names} between steps {between}: one of them is optional. "
                "Name the required steps around it."
            )
        elif funnel.order is Order.ANY and (exclusion.after_step, exclusion.before_step) != (1, last):
            faults.append(
                f"exclusion of {names} between steps {between}: steps in any order have no between. "
                f"Exclude it from 1 to {last}, or order the steps."
            )
    return faults


def _faults_of_choices(funnel: Funnel) -> list[str]:
    faults = []
    if not (isfinite(funnel.window_seconds) and 0 < funnel.window_seconds <= _LONGEST_WINDOW_SECONDS):
        faults.append(
            f"a window of {funnel.window_seconds:g} seconds: expected more than 0 and at most 1e11, such as 14d."
        )
    if funnel.order is Order.ANY and any(step.optional for step in funnel.steps):
        faults.append("optional steps need an order: with any order every step counts as it comes.")
    if funnel.reentry is Reentry.EVERY and funnel.window_from is WindowFrom.PREVIOUS:
        faults.append(
            "every attempt with a window from the previous step: such attempts have no common end, at which the next "
            "could begin. Let the window run from the first step, or count one attempt per customer."
        )
    unordered_by_gap = funnel.order is Order.ANY and funnel.window_from is WindowFrom.PREVIOUS
    if unordered_by_gap and len(funnel.steps) > MOST_UNORDERED_BY_GAP:
        faults.append(
            f"{len(funnel.steps)} steps in any order with a window from the previous step: at most "
            f"{MOST_UNORDERED_BY_GAP}. Take fewer steps, or let the window run from the first."
        )
    if unordered_by_gap and funnel.exclusions:
        faults.append(
            "exclusions among steps in any order need a window from the first step, within which they are looked for."
        )
    return faults
