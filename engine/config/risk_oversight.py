"""How a risk model and its portfolio are watched: fairness, stability, early warning, reassessment, rejects."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from engine.config.load import Settings

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


class CautionEffect(StrEnum):
    """What a cautious gate does. Each only holds back more than the grades alone would."""

    NO_FAST_TRACK = "no_fast_track"  # nothing is approved without a person looking at it
    MEDIUM_AS_HIGH = "medium_as_high"  # a medium tier is treated as high where new credit is offered
    REFER_NOT_APPROVE = "refer_not_approve"  # what would be approved is referred to a person


class CautionSettings(Settings):
    """What the gate does when the model has drifted, when it no longer holds, or when neither could be checked."""

    score: tuple[CautionEffect, ...]
    characteristic: tuple[CautionEffect, ...]
    performance: tuple[CautionEffect, ...]
    not_checked: tuple[CautionEffect, ...]


class FairnessSettings(Settings):
    """Which groups are compared, and from how many cases on a comparison is made and shown."""

    attributes: tuple[str, ...]
    intersections: tuple[tuple[str, str], ...]
    age_bands: tuple[int, ...]
    four_fifths: Annotated[float, Field(gt=0, le=1)]
    smallest_assessed: Count
    smallest_shown: Count
    significance: Annotated[float, Field(gt=0, lt=1)]

    @model_validator(mode="after")
    def _shown_before_assessed(self) -> FairnessSettings:
        if self.smallest_shown > self.smallest_assessed:
            raise ValueError(
                f"smallest_shown = {self.smallest_shown} must not pass smallest_assessed = {self.smallest_assessed}: "
                "what is judged is shown"
            )
        if list(self.age_bands) != sorted(set(self.age_bands)):
            raise ValueError(f"age_bands = {list(self.age_bands)} must rise")
        return self


class StabilitySettings(Settings):
    """What is compared with what, and from where on a move is called a drift: it must pass both limits."""

    months: Count
    cohort_months: Count
    bins: Annotated[int, Field(ge=2)]
    floor: Annotated[float, Field(gt=0, lt=0.01)]
    significance: Annotated[float, Field(gt=0, lt=1)]
    material_index: Annotated[float, Field(gt=0)]
    material_missing_share: Share
    material_auc: Share
    material_level: Annotated[float, Field(gt=0)]
    smallest: Count
    smallest_bads: Count


class MigrationSettings(Settings):
    """How far apart the two dates of a migration are, and where the buckets of days past due begin."""

    months: Count
    days_past_due: tuple[int, ...]
    vintage_months: Count
    smallest: Count

    @model_validator(mode="after")
    def _rising(self) -> MigrationSettings:
        edges = list(self.days_past_due)
        if edges != sorted(set(edges)) or not edges or edges[0] < 1:
            raise ValueError(f"days_past_due = {edges} must rise from 1 or more")
        return self


class RejectSettings(Settings):
    """How the refused are guessed at, beside a scorecard that is always made without them."""

    methods: tuple[Literal["fuzzy", "parcelling"], ...]
    bad_odds_factor: Annotated[float, Field(gt=0)]
    bands: Annotated[int, Field(ge=2)]
