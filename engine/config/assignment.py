"""Who is given which variant: how units are hashed, who is held out, which experiments exclude each other, the ramp."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import combinations, pairwise
from typing import Annotated, Any, ClassVar, Final, Literal, Self, TypeVar

from pydantic import AwareDatetime, Field, ModelWrapValidatorHandler, ValidationError, model_validator

from engine.config.load import Fault, Settings, faults

Name = Annotated[str, Field(min_length=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Made = TypeVar("Made")
Scheme = Literal["sha256", "growthbook_v1", "growthbook_v2"]

SCHEMES: Final[tuple[Scheme, ...]] = ("sha256", "growthbook_v1", "growthbook_v2")

_WEIGHTS_SLACK: Final = 0.01
"""GrowthBook splits evenly, without a word, when weights add up to less than 0.99 or more than 1.01."""


class RampStep(Settings):
    """From `starts_at` on, `coverage` of the units take part and are split by `weights`.

    Without `starts_at` it holds from the beginning; without `weights` those of the step before hold, or of the plan.
    """

    starts_at: AwareDatetime | None = None
    coverage: Share = 1.0
    weights: Annotated[dict[Name, Annotated[float, Field(ge=0)]], Field(min_length=1)] | None = None


class NamespaceSlot(Settings):
    """The part of a namespace that an experiment owns: units from `lower` up to, not including, `upper`."""

    namespace: Name
    lower: Share
    upper: Share


class ExperimentAssignment(Settings):
    """How one experiment hands out its variants.

    `salt` is the experiment's own id where none is given; `scheme` that of the bank. `holdout_share` of the units get
    no variant of this experiment, so that its long effect can still be measured. `ramp` is a log: a step is added,
    never taken back, and coverage only rises.
    """

    experiment_id: Name
    salt: str | None = None
    scheme: Scheme | None = None
    slot: NamespaceSlot | None = None
    holdout_share: Share = 0.0
    ramp: tuple[RampStep, ...] = (RampStep(),)

    @model_validator(mode="wrap")
    @classmethod
    def _hangs_together(cls, values: Any, check: ModelWrapValidatorHandler[Self]) -> Self:
        return _checked(cls.__name__, values, check, _ramp_faults)


class AssignmentSettings(Settings):
    """The bank's rules of assignment. `holdout_share` of all units take part in no experiment at all."""

    replaced_whole: ClassVar[frozenset[str]] = frozenset({"experiments"})

    scheme: Scheme = "sha256"
    holdout_share: Share = 0.0
    holdout_salt: Name = "global_holdout"
    experiments: tuple[ExperimentAssignment, ...] = ()

    @model_validator(mode="wrap")
    @classmethod
    def _hangs_together(cls, values: Any, check: ModelWrapValidatorHandler[Self]) -> Self:
        return _checked(cls.__name__, values, check, _between_experiments)

    def of(self, experiment_id: str) -> ExperimentAssignment:
        """Return the rules of one experiment; those that hold where nobody wrote any for one without."""
        own = [one for one in self.experiments if one.experiment_id == experiment_id]
        return own[0] if own else ExperimentAssignment(experiment_id=experiment_id)


def weights_fault(weights: Mapping[str, float], scheme: Scheme) -> str | None:
    """Return what is wrong with planned weights, without a full stop; None when nothing is.

    Weights are in any unit (1 and 1 is 0.5 and 0.5), except where GrowthBook would quietly replace them.
    """
    whole = sum(weights.values())
    if not whole > 0 or any(not 0 <= one < float("inf") for one in weights.values()):
        return "weights are numbers of 0 or more, one of them above 0"
    if scheme != "sha256" and abs(whole - 1) > _WEIGHTS_SLACK:
        return f"weights add up to {whole:.6g}; GrowthBook would split evenly instead. Write shares that add up to 1"
    return None


def _checked(
    name: str, values: Any, check: ModelWrapValidatorHandler[Made], between: Callable[[Made], Iterable[Fault]]
) -> Made:
    """Check the parts one by one and against each other, and tell the faults of both together."""
    try:
        made = check(values)
    except ValidationError as fault:
        raise faults(name, [], fault) from None
    if found := list(between(made)):
        raise faults(name, found)
    return made


def _ramp_faults(made: ExperimentAssignment) -> Iterable[Fault]:
    if not made.ramp:
        yield ("ramp",), "no step; leave it out for full coverage, or say from when which share takes part"
    if made.slot is not None and made.slot.lower >= made.slot.upper:
        yield ("slot", "upper"), "the slot is empty; it must be more than lower"
    for place, (before, after) in enumerate(pairwise(made.ramp), start=1):
        if after.starts_at is None or (before.starts_at is not None and after.starts_at <= before.starts_at):
            yield ("ramp", place, "starts_at"), "a step starts after the one before; write steps in the order of time"
        if after.coverage < before.coverage:
            sentence = (
                f"coverage falls from {before.coverage:g} to {after.coverage:g}, so that units would lose their "
                "variant. End the experiment, or start another with a new salt"
            )
            yield ("ramp", place, "coverage"), sentence
    for place, step in enumerate(made.ramp):
        wrong = None if step.weights is None else weights_fault(step.weights, made.scheme or "sha256")
        if wrong:
            yield ("ramp", place, "weights"), wrong


def _between_experiments(made: AssignmentSettings) -> Iterable[Fault]:
    names = [one.experiment_id for one in made.experiments]
    for place, name in enumerate(names):
        if names.index(name) != place:
            yield ("experiments", place, "experiment_id"), "this experiment stands twice; write its rules once"
    slots = [(place, one.experiment_id, one.slot) for place, one in enumerate(made.experiments) if one.slot is not None]
    for (_, other, first), (place, _, second) in combinations(slots, 2):
        if first.namespace == second.namespace and first.lower < second.upper and second.lower < first.upper:
            sentence = f'overlaps the slot of "{other}" in the namespace "{first.namespace}"; give each its own part'
            yield ("experiments", place, "slot"), sentence
