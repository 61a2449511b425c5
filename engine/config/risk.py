"""How default risk is learned, scored and cut into tiers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from engine.config.challengers import CalibrationSettings, ChallengerSettings, ChampionSettings
from engine.config.credit import CreditSettings, GateSettings, LossSettings, OverrideSettings, StagingSettings
from engine.config.load import Settings
from engine.config.risk_oversight import (
    CautionSettings,
    FairnessSettings,
    MigrationSettings,
    RejectSettings,
    StabilitySettings,
)
from engine.config.risk_warning import ReassessmentSettings, WarningSettings
from engine.config.treatments import TreatmentSettings

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


Direction = Literal["auto", "rising", "falling"]
Code = Annotated[float, Field(allow_inf_nan=False)] | str


class ColumnBinning(Settings):
    """What is said of one characteristic: its codes, and whether the bad rate rises or falls with it."""

    special_values: tuple[Code, ...] = ()
    direction: Direction = "auto"


class BinningSettings(Settings):
    """How a characteristic is cut into bins; `columns` says more of single ones, by name."""

    max_bins: Annotated[int, Field(ge=2, le=200)]
    min_bin_share: Annotated[float, Field(gt=0, lt=0.5)]
    prebins: Annotated[int, Field(ge=2)]
    min_category_share: Annotated[float, Field(ge=0, lt=0.5)]
    smoothing_bads: Annotated[float, Field(ge=0)]
    special_values: tuple[Code, ...] = ()
    columns: dict[str, ColumnBinning] = Field(default_factory=dict)

    def specials(self, name: str) -> tuple[float | str, ...]:
        """Return the values that are codes in a column: those of every column, then its own."""
        own = self.columns[name].special_values if name in self.columns else ()
        return tuple(dict.fromkeys((*self.special_values, *own)))

    def direction(self, name: str) -> Direction:
        """Return how the bad rate moves as the value of a column rises."""
        return self.columns[name].direction if name in self.columns else "auto"

    def directed(self, ways: Mapping[str, int]) -> BinningSettings:
        """Return the settings with directions given: 1 rising, -1 falling, 0 leaves a column as it is."""
        words: dict[int, Direction] = {1: "rising", -1: "falling"}
        told = {name: words[way] for name, way in ways.items() if way in words}
        own = {
            name: self.columns.get(name, ColumnBinning()).model_copy(update={"direction": way})
            for name, way in told.items()
        }
        return self.model_copy(update={"columns": {**self.columns, **own}})


class ScalingSettings(Settings):
    """How log-odds become points, and which characteristics earn a place."""

    base_points: float
    base_odds: Annotated[float, Field(gt=0)]
    points_to_double_odds: Annotated[float, Field(gt=0)]
    min_information_value: Annotated[float, Field(ge=0)]
    significance: Annotated[float, Field(gt=0, le=1)]
    l2: Annotated[float, Field(gt=0)]
    step_l2: Annotated[float, Field(gt=0)]
    suspect_auc: Annotated[float, Field(gt=0.5, le=1)]
    suspect_information_value: Annotated[float, Field(gt=0)]


Way = Literal["up", "down", "either", "never"]
"""Which way an applicant can change a characteristic."""


class TierSettings(Settings):
    """Cut-offs of the default probability, or of the expected loss; at a cut-off the worse tier holds."""

    medium_from: Share
    high_from: Share
    by: Literal["default_probability", "expected_loss"] = "default_probability"
    medium_from_minor: Count = 40_000
    high_from_minor: Count = 150_000
    reference_exposure_minor: Count = 2_000_000

    @model_validator(mode="after")
    def _ordered(self) -> TierSettings:
        if self.medium_from >= self.high_from:
            raise ValueError(
                f"medium_from = {self.medium_from} must lie below high_from = {self.high_from}, else no one is medium"
            )
        if self.medium_from_minor >= self.high_from_minor:
            raise ValueError(
                f"medium_from_minor = {self.medium_from_minor} must lie below high_from_minor = "
                f"{self.high_from_minor}, else no one is medium"
            )
        return self


class RiskSettings(Settings):
    """Default within `outcome_months` of booking is learned from applications whose outcome is known."""

    outcome: Literal["within_months", "ever"]
    outcome_months: Count
    out_of_time_share: Annotated[float, Field(gt=0, lt=1)]
    minimum_bads: Count
    small_sample_bads: Count
    signal_max_age_days: Count
    default_lgd: Share
    uses_application: bool
    missing_share_may_move: Share = 0.25
    protected: tuple[str, ...]
    never_a_reason: tuple[str, ...]
    changeable: dict[str, Way] = Field(default_factory=dict)
    binning: BinningSettings
    scaling: ScalingSettings
    tiers: TierSettings
    fairness: FairnessSettings
    caution: CautionSettings
    losses: LossSettings
    staging: StagingSettings
    credit: CreditSettings
    overrides: OverrideSettings
    gate: GateSettings
    treatments: TreatmentSettings
    stability: StabilitySettings
    migration: MigrationSettings
    reject_inference: RejectSettings
    challengers: ChallengerSettings
    calibration: CalibrationSettings
    early_warning: WarningSettings
    reassessment: ReassessmentSettings
    champion: ChampionSettings
