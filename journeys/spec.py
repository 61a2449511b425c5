"""What a funnel asks: its steps, the order and the time allowed, what ends an attempt, and what counts as one.

The defaults are those of every command. The exact meaning of each choice stands in `journeys/attempts.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from engine.config.journeys import ANY_EVENT, JourneySettings, StepSettings


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """Events that must not happen strictly between two steps, numbered from 1."""

    events: tuple[str, ...]
    after_step: int
    before_step: int
    effect: Effect = Effect.DROP_CUSTOMER


@dataclass(frozen=True, slots=True, kw_only=True)
class Funnel:
    """A funnel. `window_seconds` is elapsed time, its edge included."""

    steps: tuple[Step, ...]
    window_seconds: float
    window_from: WindowFrom = WindowFrom.FIRST
    order: Order = Order.ORDERED
    reentry: Reentry = Reentry.ANY
    exclusions: tuple[Exclusion, ...] = ()

    def attributes(self) -> tuple[str, ...]:
        """Return the attributes that the steps' conditions read, sorted."""
        return tuple(sorted({name for step in self.steps for name in step.where}))

    def names(self) -> tuple[str, ...] | None:
        """Return the event names that can matter, sorted; None when every event can."""
        if self.order is Order.STRICT or any(step.any_event for step in self.steps):
            return None
        steps = {name for step in self.steps for name in step.events}
        return tuple(sorted(steps | {name for exclusion in self.exclusions for name in exclusion.events}))


def of(journey: JourneySettings) -> Funnel:
    """Return the funnel that a journey of the settings asks for."""
    return Funnel(steps=tuple(map(_step, journey.steps)), window_seconds=journey.window_seconds)


def _step(step: StepSettings) -> Step:
    where = {"lifecycle": step.lifecycles} if step.lifecycles else {}
    return Step(name=step.step, events=step.events, where=where)
