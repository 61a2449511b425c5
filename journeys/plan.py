"""What a funnel asks of instants: its kinds numbered, its required steps, and what is excluded between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from journeys import instants, spec
from journeys.instants import Kind

_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A funnel whose kinds are numbered.

    kinds : every kind of the steps and exclusions, once.
    steps : the number of each step's kind.
    required : which steps, from 0, are not optional.
    ends, drops : per required step but the last, the kinds excluded between it and the next, by effect.
    window : microseconds.
    """

    kinds: tuple[Kind, ...]
    steps: tuple[int, ...]
    required: tuple[int, ...]
    ends: tuple[frozenset[int], ...]
    drops: tuple[frozenset[int], ...]
    window: int

    @property
    def levels(self) -> tuple[int, ...]:
        """The number of each required step's kind."""
        return tuple(self.steps[step] for step in self.required)


def of(funnel: spec.Funnel) -> Plan:
    """Number the kinds of a funnel."""
    step_kinds = [instants.kind_of(step) for step in funnel.steps]
    excluded_kinds = [instants.kind_of_exclusion(exclusion) for exclusion in funnel.exclusions]
    number = {kind: place for place, kind in enumerate(dict.fromkeys(step_kinds + excluded_kinds))}
    required = tuple(place for place, step in enumerate(funnel.steps) if not step.optional)
    excluded = [(exclusion, number[kind]) for exclusion, kind in zip(funnel.exclusions, excluded_kinds, strict=True)]
    return Plan(
        kinds=tuple(number),
        steps=tuple(number[kind] for kind in step_kinds),
        required=required,
        ends=_between(required, excluded, spec.Effect.END_ATTEMPT),
        drops=_between(required, excluded, spec.Effect.DROP_CUSTOMER),
        window=round(funnel.window_seconds * _MICROSECONDS),
    )


def _between(
    required: Sequence[int], excluded: Sequence[tuple[spec.Exclusion, int]], effect: spec.Effect
) -> tuple[frozenset[int], ...]:
    """Return what an effect excludes after each required step but the last, until the next."""
    return tuple(
        frozenset(
            kind
            for exclusion, kind in excluded
            if exclusion.effect is effect and exclusion.after_step <= step + 1 < exclusion.before_step
        )
        for step in required[:-1]
    )
