"""The journeys of the bank: which events, about which products, carry a customer from step to step."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, field_validator

from engine.config.load import Settings
from engine.domain.words import Stage

ANY_EVENT: Final = "*"
"""As an event name of a step: whatever happens next counts."""

Name = Annotated[str, Field(pattern="^[A-Za-z0-9_.-]+$")]


class StepSettings(Settings):
    """One step. Any of `events` reaches it; `lifecycles` narrows them to those phases of a longer activity."""

    step: Name
    events: Annotated[tuple[str, ...], Field(min_length=1)]
    lifecycles: tuple[str, ...] = ()
    stage: Stage

    def overlaps(self, other: StepSettings) -> bool:
        """Return whether one event could reach either step."""
        both = {*self.events, *other.events}
        same_event = ANY_EVENT in both or bool(set(self.events) & set(other.events))
        anywhere = not self.lifecycles or not other.lifecycles
        return same_event and (anywhere or bool(set(self.lifecycles) & set(other.lifecycles)))


class JourneySettings(Settings):
    """One journey: its steps in order, the products it is about (none named: all), the time allowed.

    `window_days` runs from the first step as elapsed time, its edge included; 0.5 is twelve hours.
    """

    journey: Name
    name_en: str
    name_zh: str | None = None
    products: tuple[str, ...] = ()
    window_days: Annotated[float, Field(gt=0, le=36_500)]
    steps: Annotated[tuple[StepSettings, ...], Field(min_length=2)]

    @field_validator("steps")
    @classmethod
    def _named_once(cls, steps: tuple[StepSettings, ...]) -> tuple[StepSettings, ...]:
        names = [step.step for step in steps]
        if len(set(names)) < len(names):
            raise ValueError("two steps of a journey have one name; name each step once")
        return steps

    @property
    def window_seconds(self) -> int:
        """The window in whole seconds."""
        return round(self.window_days * 86_400)


class Journeys(Settings):
    """Every journey, in the order in which screens list them. None at all is allowed: nothing is studied then."""

    journeys: tuple[JourneySettings, ...]

    @field_validator("journeys")
    @classmethod
    def _named_once(cls, journeys: tuple[JourneySettings, ...]) -> tuple[JourneySettings, ...]:
        if len({one.journey for one in journeys}) < len(journeys):
            raise ValueError("two journeys have one name; name each journey once")
        return journeys
