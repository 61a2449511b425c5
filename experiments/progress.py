"""How far an experiment is, and how long it has to go on: by its planned end, else by the information it needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date
from math import ceil
from typing import Final

from scipy.special import ndtri

from engine.config.experiments import ExperimentSettings
from experiments.looks import AnyTime
from experiments.sentences import Sentence

POWER: Final = 0.8

NO_END: Final = Sentence(
    en="Nothing says for how long: state ends_at or looks in the plan, or the planned_effect of a goal.",
    zh="计划未说明还需多久：请在计划中写明 ends_at、looks 或目标指标的 planned_effect。",
)
ONLY_GUARDRAILS: Final = Sentence(
    en="The goal is shown already; how long the guardrails still need is not planned: state ends_at or looks.",
    zh="目标已经显现；护栏指标还需多久没有计划：请写明 ends_at 或 looks。",
)
NO_INFORMATION: Final = Sentence(
    en="How long until the planned effect would show cannot be told yet: the first goal has no standard error.",
    zh="尚无法判断还需多久才能看出计划的效应：首个目标指标还没有标准误。",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far the experiment is. `days_to_go` is None where nothing says how long it should run.

    complete : the planned power is reached, or the planned end; a goal that shows nothing by then is flat.
    by_information : the days are those that the first goal needs to show its planned effect, not those of a plan.
    why : where there are no days to go, what is missing for them.
    """

    day: int
    days_to_go: int | None = None
    complete: bool = False
    by_information: bool = False
    why: Sentence | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sought:
    """The planned effect of the first goal in one variant, and how sure the experiment is of it now.

    standard_error : of the difference as it is judged; None where it has none. units : of both arms together.
    """

    planned_effect: float
    standard_error: float | None
    units: int


def days_to_go(standard_error: float, day: int, planned_effect: float, *, critical: float, power: float = POWER) -> int:
    """Return the days until the planned effect would be shown with this power, if information comes in as until now.

    standard_error : of the difference now, after `day` days. Information is its inverse square.
    planned_effect : the smallest difference that matters, above 0.
    critical : standard errors from none that an effect must be, to be called.
    """
    if not planned_effect > 0 or not standard_error > 0 or day < 1:
        raise ValueError("days to go: the standard error and planned effect must be above 0, and a day have passed")
    needed = (critical + float(ndtri(power))) ** 2 / planned_effect**2
    return max(ceil(round(day * (needed * standard_error**2 - 1), 9)), 0)


def of_plan(plan: ExperimentSettings, today: date, first_day: date | None, sought: Sequence[Sought] = ()) -> Progress:
    """Return how far an experiment is on a day: by its end or its looks, else by what its first goal looks for.

    first_day : of the first exposure; where the plan names no start, days count from it.
    sought : one for each variant; the variant that needs longest counts. Verdicts of such a plan hold at any time, so
        the bound to be passed is that of any time, at as many units as there are now.
    """
    start = first_day or today if plan.starts_at is None else plan.starts_at.astimezone(UTC).date()
    day = max((today - start).days + 1, 1)
    left = None if plan.looks is None else plan.looks.days - day
    if plan.ends_at is not None:
        left = (plan.ends_at.astimezone(UTC).date() - today).days
    if left is not None:
        return Progress(day=day, days_to_go=max(left, 0), complete=left <= 0)
    if not sought:
        return Progress(day=day, why=NO_END)
    alpha = 1 - (1 - plan.alpha) ** (1 / len(sought))
    known = [
        days_to_go(
            one.standard_error,
            day,
            one.planned_effect,
            critical=AnyTime(units=one.units, tuned_for=plan.alpha).critical(alpha),
        )
        for one in sought
        if one.standard_error and one.units
    ]
    if len(known) < len(sought):
        return Progress(day=day, why=NO_INFORMATION)
    longest = max(known)
    return Progress(day=day, days_to_go=longest, complete=longest == 0, by_information=True)
