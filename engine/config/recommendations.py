"""What may be offered to whom, what a contact costs, and how the next best product is learned."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from engine.config.contact import ContactChannel, ContactPolicy
from engine.config.exploration import ExplorationPolicy
from engine.config.load import Settings, faults
from engine.config.responses import ResponsePolicy

ValueTier = Literal["top", "high", "middle", "low", "none"]
KnownTier = Literal["low", "medium", "high"]
TreatmentKind = Literal["care", "collections", "prevention", "engagement", "none"]
Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]


class GatePolicy(Settings):
    """The limits that the gates hold; a stricter one never lets a pair pass that a looser one refused.

    What risk allows is settled by risk's own gate, under [risk.gate]; how often to contact anybody under [contact].
    """

    max_debt_service_ratio: Share
    revolving_payment_share: Share
    min_expected_value_minor: Count
    max_default_probability: Share
    max_age_at_term_end: Annotated[float, Field(ge=0, le=150)]
    waiting_treatments: tuple[TreatmentKind, ...]
    fairness: Literal["report", "refuse"]
    fairness_attributes: tuple[str, ...]


class ValuePolicy(Settings):
    """On which terms credit is valued: see `engine.recommendations.terms`."""

    terms: Literal["suggested", "typical", "highest"]


class Assumptions(Settings):
    """What holds where the bank's data are silent; as shipped nothing is assumed, and silence refuses."""

    consent_channels: tuple[ContactChannel, ...]
    empty_histories: tuple[Literal["offers_feedback", "interactions"], ...]
    debts_from: Literal["bureau", "own_loans"]
    income_feature: str
    income_feature_months: Annotated[float, Field(gt=0)]


class Retention(Settings):
    """Whom an offer should keep: these value tiers, doing less with the bank than this share of the usual."""

    value_tiers: tuple[ValueTier, ...]
    pace_below: Share


class TrackPolicy(Settings):
    """Which offers go through quickly and which need a second look."""

    verify_tiers: tuple[KnownTier, ...]
    verify_credit_from_minor: Count
    fast_credit_up_to_minor: Count
    retention: Retention

    @model_validator(mode="after")
    def _small_is_below_large(self) -> TrackPolicy:
        if self.fast_credit_up_to_minor >= self.verify_credit_from_minor:
            told = (
                f"{self.fast_credit_up_to_minor} is not below verify_credit_from_minor = "
                f"{self.verify_credit_from_minor}, and no credit can be both small and large. Lower it"
            )
            raise faults("TrackPolicy", [(("fast_credit_up_to_minor",), told)])
        return self


class Training(Settings):
    """How the models are learned: sample sizes and the least data they need."""

    sample: Positive
    windows: Annotated[int, Field(ge=2, le=20)]
    negatives: Positive
    ridge: Annotated[float, Field(gt=0)]
    softmax_ridges: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)]
    boosted_trees: Annotated[int, Field(ge=1, le=500)]
    boosted_learning_rate: Annotated[float, Field(gt=0, le=1)]
    hidden_rows: Positive
    min_positives: Positive
    min_buyers: Positive
    calibration_share: Annotated[float, Field(gt=0, lt=1)]
    positives_per_bin: Positive
    group_prior: Positive
    group_feature: str
    group_parts: Annotated[int, Field(ge=2, le=20)]
    excluded_features: tuple[str, ...]
    unspoken_features: tuple[str, ...]


class CandidateSettings(Settings):
    """Parameters of the candidates that learn from holdings alone."""

    ease_ridge: Annotated[float, Field(gt=0)]
    als_factors: Positive
    als_regularization: Annotated[float, Field(gt=0)]
    als_alpha: Annotated[float, Field(gt=0)]
    als_iterations: Positive
    knn_k1: Annotated[float, Field(ge=0)]
    knn_b: Share
    rules_sample: Positive
    rules_min_support: Annotated[float, Field(gt=0, le=1)]
    rules_min_confidence: Share


class RecommendationSettings(Settings):
    """Everything that a recommendation run decides by; stored whole in the bundle that replays it."""

    horizon_days: Positive
    top_n: Annotated[int, Field(ge=1, le=20)]
    block_customers: Positive
    contact_cost_minor: dict[ContactChannel, Count]
    value: ValuePolicy
    gates: GatePolicy
    contact: ContactPolicy
    assumptions: Assumptions
    tracks: TrackPolicy
    responses: ResponsePolicy
    exploration: ExplorationPolicy
    training: Training
    candidates: CandidateSettings

    @model_validator(mode="after")
    def _channels_have_a_cost(self) -> RecommendationSettings:
        if not self.contact_cost_minor:
            raise ValueError("contact_cost_minor is empty: name at least one channel, or nothing can be offered")
        unpriced = [name for name in self.assumptions.consent_channels if name not in self.contact_cost_minor]
        if unpriced:
            raise ValueError(f"assumptions.consent_channels names {', '.join(unpriced)}, which has no contact cost")
        # never used, so a cap on it would only look like a protection
        for name, cap in self.contact.caps.items():
            if cap.channel is not None and cap.channel not in self.contact_cost_minor:
                told = f"{cap.channel} has no contact cost, so it is never used. Add it to contact_cost_minor"
                raise faults("RecommendationSettings", [(("contact", "caps", name, "channel"), told)])
        return self
