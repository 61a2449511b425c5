"""The journeys of the bank: which events, about which products, carry a customer from step to step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    ModelWrapValidatorHandler,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from engine.config.load import Fault, Settings, faults
from engine.domain.curated import EVENTS
from engine.domain.words import Stage

ANY_EVENT: Final = "*"
"""As an event name of a step: whatever happens next counts."""

Name = Annotated[str, Field(pattern="^[A-Za-z0-9_.-]+$")]
Word = Annotated[str, Field(pattern=r"^\w[\w .-]*$")]
"""A name that people read, in any script."""


def _listed(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Events = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1)]
Values = Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)]
"""One text or a list of them."""


class StepSettings(Settings):
    """One step. Any of `events` reaches it.

    `where` narrows them to columns of the events with certain values, such as `where = { channel = ["app", "web"] }`;
    `lifecycles` is short for such a condition on the phase of a longer activity. Whoever goes on without an `optional`
    step has not skipped anything.
    """

    step: Name
    events: Events
    where: dict[Name, Values] = Field(default_factory=dict)
    lifecycles: tuple[str, ...] = ()
    stage: Word
    optional: bool = False


class ExclusionSettings(Settings):
    """Events that must not happen between two steps, by their names: the attempt ends there, or the customer is out."""

    events: Events
    after: Name
    before: Name
    effect: Literal["drop_customer", "end_attempt"] = "drop_customer"


RULE_KINDS: Final[Mapping[str, tuple[frozenset[str], frozenset[str]]]] = {
    "mandatory": (frozenset({"before"}), frozenset({"valid_days"})),
    "precedes": (frozenset({"then"}), frozenset({"valid_days"})),
    "within": (frozenset({"then", "days"}), frozenset()),
    "absent": (frozenset(), frozenset({"after", "before"})),
}
"""What each kind of rule needs beside `events`, and what it may have."""


class RuleSettings(Settings):
    """What must hold of a journey whatever its funnel says, with how bad a breach is and who answers for it.

    mandatory : whoever reaches the step `before` has had one of `events` before, within `valid_days` if given.
    precedes : no event of `then` without one of `events` before it, within `valid_days` if given.
    within : after each of `events`, one of `then` follows within `days`.
    absent : none of `events` happens in an attempt, from the step `after` (the first one) to `before` (its end).

    The products of the journey narrow these events as they do those of its steps, except events without a product,
    such as an identity check, which count for every journey.
    """

    rule: Name
    kind: Literal["mandatory", "precedes", "within", "absent"]
    events: Events
    where: dict[Name, Values] = Field(default_factory=dict)
    then: tuple[Annotated[str, Field(min_length=1)], ...] | None = None
    before: Name | None = None
    after: Name | None = None
    days: Annotated[float, Field(gt=0, le=36_500)] | None = None
    valid_days: Annotated[float, Field(gt=0, le=36_500)] | None = None
    severity: Literal["low", "medium", "high", "critical"] = "medium"
    owner: Word
    text_en: str = ""
    text_zh: str | None = None

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> Self:
        needs, may = RULE_KINDS[self.kind]
        given = {name for name in ("then", "before", "after", "days", "valid_days") if getattr(self, name)}
        found: list[Fault] = [((name,), f'a rule of the kind "{self.kind}" needs it') for name in sorted(needs - given)]
        found += [
            ((name,), f'a rule of the kind "{self.kind}" has no use for it. Take it out')
            for name in sorted(given - needs - may)
        ]
        if found:
            raise faults(type(self).__name__, found)
        return self


class JourneySettings(Settings):
    """One journey: its steps in order, the products it is about (none named: all), the time allowed.

    `window_days` is elapsed time from the first step, or from the step before with `window_from = "previous"`, its
    edge included; 0.5 is twelve hours. `order = "strict"` lets nothing happen between two steps. `reentry = "first"`
    looks at a customer's first entry alone, "any" at the entry that gets deepest. `stages` are the bank's own, in
    order; without them those of the section hold.
    """

    journey: Name
    name_en: str
    name_zh: str | None = None
    products: tuple[str, ...] = ()
    window_days: Annotated[float, Field(gt=0, le=36_500)]
    window_from: Literal["first", "previous"] = "first"
    order: Literal["ordered", "strict"] = "ordered"
    reentry: Literal["any", "first"] = "any"
    stages: Annotated[tuple[Word, ...], Field(min_length=1)] | None = None
    steps: Annotated[tuple[StepSettings, ...], Field(min_length=2)]
    exclusions: tuple[ExclusionSettings, ...] = ()
    rules: tuple[RuleSettings, ...] = ()

    @model_validator(mode="wrap")
    @classmethod
    def _hangs_together(cls, values: Any, check: ModelWrapValidatorHandler[Self]) -> Self:
        """Check the parts one by one and against each other, and tell the faults of both together."""
        try:
            made = check(values)
        except ValidationError as fault:
            raise faults(cls.__name__, _as_far_as_readable(values)._between_parts(), fault) from None
        if found := made._between_parts():
            raise faults(cls.__name__, found)
        return made

    def _between_parts(self) -> list[Fault]:
        found = [*self._step_faults(), *self._condition_faults(), *self._stage_faults()]
        return [*found, *self._exclusion_faults(), *self._rule_faults()]

    def _step_faults(self) -> list[Fault]:
        places = self._places()
        found: list[Fault] = [
            (("steps", place, "step"), f'two steps have the name "{step.step}"; name each step once')
            for place, step in enumerate(self.steps)
            if places[step.step] != place
        ]
        found += [
            (("steps", place, "optional"), "the first and the last step cannot be optional")
            for place in sorted({0, len(self.steps) - 1})
            if self.steps and self.steps[place].optional
        ]
        found += [
            (("steps", place, "lifecycles"), 'give the phases here or in where = { lifecycle = ["..."] }, not in both')
            for place, step in enumerate(self.steps)
            if step.lifecycles and "lifecycle" in step.where
        ]
        return found

    def _condition_faults(self) -> list[Fault]:
        known = [column.name for column in EVENTS]
        conditions = [("steps", place, step.where) for place, step in enumerate(self.steps)]
        conditions += [("rules", place, rule.where) for place, rule in enumerate(self.rules)]
        found: list[Fault] = [
            ((kind, place, "where", name), f'events have no column "{name}". They have: {", ".join(known)}')
            for kind, place, where in conditions
            for name in where
            if name not in known
        ]
        return found

    def _stage_faults(self) -> list[Fault]:
        known = self.stage_names
        found: list[Fault] = [
            (("stages", place), f'"{stage}" stands twice; name each stage once')
            for place, stage in enumerate(known)
            if known.index(stage) != place
        ]
        latest = 0
        for place, step in enumerate(self.steps):
            where = ("steps", place, "stage")
            if step.stage not in known:
                found.append((where, f'unknown stage "{step.stage}". Stages are: {", ".join(known)}'))
                continue
            if self.stages and known.index(step.stage) < latest:
                found.append((where, f'the stage "{step.stage}" comes before that of an earlier step'))
            latest = max(latest, known.index(step.stage))
        return found

    def _exclusion_faults(self) -> list[Fault]:
        found: list[Fault] = []
        places = self._places()
        for number, one in enumerate(self.exclusions):
            unknown = [end for end in ("after", "before") if getattr(one, end) not in places]
            found += [(("exclusions", number, end), self._unknown_step(getattr(one, end))) for end in unknown]
            if not unknown and places[one.after] >= places[one.before]:
                found.append((("exclusions", number), f'"{one.after}" is no step before "{one.before}"'))
            found += [
                (("exclusions", number, end), f'the step "{getattr(one, end)}" is optional; name a required one')
                for end in ("after", "before")
                if end not in unknown and self.steps[places[getattr(one, end)]].optional
            ]
        return found

    def _rule_faults(self) -> list[Fault]:
        found: list[Fault] = []
        places = self._places()
        names = [rule.rule for rule in self.rules]
        for number, rule in enumerate(self.rules):
            if names.index(rule.rule) != number:
                found.append((("rules", number, "rule"), f'two rules have the name "{rule.rule}"; name each rule once'))
            ends = [(end, getattr(rule, end)) for end in ("after", "before") if getattr(rule, end) is not None]
            found += [(("rules", number, end), self._unknown_step(name)) for end, name in ends if name not in places]
            inside = all(name in places for _, name in ends)
            if inside and len(ends) == 2 and places[ends[0][1]] >= places[ends[1][1]]:
                found.append((("rules", number), f'"{rule.after}" is no step before "{rule.before}"'))
        return found

    def _unknown_step(self, name: str) -> str:
        return f'no step is named "{name}". Steps are: {", ".join(step.step for step in self.steps)}'

    def _places(self) -> dict[str, int]:
        """Return the place of each step's name, the first where a name stands twice."""
        return {step.step: place for place, step in reversed(list(enumerate(self.steps)))}

    @property
    def window_seconds(self) -> int:
        """The window in whole seconds."""
        return round(self.window_days * 86_400)

    @property
    def stage_names(self) -> tuple[str, ...]:
        """The stages in order."""
        return self.stages or DEFAULT_STAGES

    def place_of(self, step: str) -> int:
        """Return the place of a step, from 1."""
        return self._places()[step] + 1


DEFAULT_STAGES: Final = tuple(stage.value for stage in Stage)
"""The stages of a journey where the bank names none of its own."""


class Journeys(Settings):
    """Every journey, in the order in which screens list them. None at all is allowed: nothing is studied then.

    `stages` are those of every journey that has none of its own.
    """

    stages: Annotated[tuple[Word, ...], Field(min_length=1)] | None = None
    journeys: tuple[JourneySettings, ...]

    @model_validator(mode="before")
    @classmethod
    def _with_the_stages_of_the_section(cls, values: Any) -> Any:
        if not (isinstance(values, Mapping) and values.get("stages") and _are_tables(values.get("journeys"))):
            return values
        own = [{"stages": values["stages"], **journey} for journey in values["journeys"]]
        return {**values, "journeys": own}

    @field_validator("journeys")
    @classmethod
    def _named_once(cls, journeys: tuple[JourneySettings, ...]) -> tuple[JourneySettings, ...]:
        if len({one.journey for one in journeys}) < len(journeys):
            raise ValueError("two journeys have one name; name each journey once")
        return journeys


def _as_far_as_readable(values: Any) -> JourneySettings:
    """Return a journey of those parts of faulty values that are right in themselves; of no parts without its steps."""
    given = values if isinstance(values, Mapping) else {}
    steps = _readable(tuple[StepSettings, ...], given.get("steps")) or ()
    return JourneySettings.model_construct(
        journey="",
        name_en="",
        window_days=1,
        steps=steps,
        stages=_readable(tuple[Word, ...], given.get("stages")) if steps else None,
        exclusions=(_readable(tuple[ExclusionSettings, ...], given.get("exclusions")) or ()) if steps else (),
        rules=(_readable(tuple[RuleSettings, ...], given.get("rules")) or ()) if steps else (),
    )


def _readable(kind: Any, value: Any) -> Any:
    """Return a value as the type says, None where it cannot be."""
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError:
        return None


def _are_tables(value: Any) -> bool:
    return isinstance(value, Sequence) and all(isinstance(one, Mapping) for one in value)
