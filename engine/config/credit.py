"""What lending costs, what it is priced at, who may be lent how much, and what may be offered to whom."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from engine.config.load import Settings
from engine.domain.risk_gate import BITS, EFFECTS, LEAST_EFFECT, PER_FAMILY

Family = Literal["account", "deposit", "card", "loan", "mortgage", "insurance", "investment"]
KnownTier = Literal["low", "medium", "high"]
Effect = Literal["note", "no_credit", "service_only", "block"]
Share = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(ge=0, lt=1)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]


class LossSettings(Settings):
    """How much is owed when somebody defaults, and how losses after the first year are counted."""

    credit_conversion: dict[Family, Share]
    credit_conversion_otherwise: Share
    revolving_life_months: Positive
    discount_rate: Rate


class StagingSettings(Settings):
    """When IFRS 9 counts lifetime losses (stage 2) and when a customer counts as in default (stage 3)."""

    stage_2_after_days: Count
    stage_3_after_days: Count
    increase_ratio: Annotated[float, Field(ge=1)]
    increase_points: Share
    default_memory_months: Count
    delay_from_bureau: bool

    @model_validator(mode="after")
    def _ordered(self) -> StagingSettings:
        if self.stage_2_after_days >= self.stage_3_after_days:
            raise ValueError(
                f"stage_2_after_days = {self.stage_2_after_days} must lie below stage_3_after_days = "
                f"{self.stage_3_after_days}, else stage 2 is empty"
            )
        return self


class PriceSettings(Settings):
    """What the price must cover beside the product's own costs, and what the law allows."""

    return_on_equity: Rate
    tax_rate: Rate
    profit_rate: Rate
    round_up_to_rate: Annotated[float, Field(gt=0, lt=0.1)]
    legal_cap_rate: Annotated[float, Field(gt=0, lt=10)]
    band_edges: tuple[Rate, ...]

    @model_validator(mode="after")
    def _ascending(self) -> PriceSettings:
        if list(self.band_edges) != sorted(set(self.band_edges)):
            raise ValueError(f"band_edges = {list(self.band_edges)} must ascend, each edge once")
        return self


class AffordabilitySettings(Settings):
    """What a household can pay back: two limits that must both hold, at a rate higher than today's."""

    max_debt_service_ratio: Share
    stress_rate: Rate
    living_cost_minor: Count
    living_cost_per_dependant_minor: Count
    max_credit_to_income_months: Annotated[float, Field(gt=0)]


class CutOffSettings(Settings):
    """Default probabilities at which a person looks, and at which credit is declined."""

    refer_from: Share
    decline_from: Share
    refer_missing_share_from: Share
    decline_days_past_due_from: Positive

    @model_validator(mode="after")
    def _ordered(self) -> CutOffSettings:
        if self.refer_from > self.decline_from:
            raise ValueError(f"refer_from = {self.refer_from} must not lie above decline_from = {self.decline_from}")
        return self


class FamilyTerms(Settings):
    """How credit of one family is lent; amounts are minor units of the base currency, rates and shares 0 to 1."""

    term_months: Count
    repayment_share: Rate = 0.05
    lgd: Share
    cost_of_funds_rate: Rate
    operating_cost_rate: Rate
    capital_share: Share
    min_limit_minor: Positive
    max_limit_minor: dict[KnownTier, Count]
    round_down_to_minor: Positive
    collateral: Literal["none", "vehicle", "property"] = "none"
    verify_from_minor: Count

    @model_validator(mode="after")
    def _repaid(self) -> FamilyTerms:
        if self.term_months == 0 and self.repayment_share == 0:
            raise ValueError("without term_months, repayment_share must be above 0, else nothing is ever repaid")
        return self


class CreditSettings(Settings):
    """The lending policy; credit of a family without terms is not lent."""

    cut_offs: CutOffSettings
    affordability: AffordabilitySettings
    price: PriceSettings
    families: dict[Family, FamilyTerms]


class OverrideSettings(Settings):
    """Who may depart from a decision, for how long, and what nobody may lift."""

    max_days: Positive
    never_lifted: tuple[str, ...]


class GateSettings(Settings):
    """What may be offered to whom; `effects` says what each reason does to a customer's offers."""

    valid_days: Positive
    max_risk_tier: dict[Family, Literal["none", KnownTier]]
    arrears_from_days: Positive
    kyc_verified: bool
    effects: dict[str, Effect]

    @model_validator(mode="after")
    def _every_reason_has_an_effect(self) -> GateSettings:
        missing = [name for name in BITS if name not in self.effects]
        if missing:
            raise ValueError(f"effects lacks {', '.join(missing)}; say of each what it does")
        unknown = [name for name in self.effects if name not in BITS]
        if unknown:
            raise ValueError(f"effects names {', '.join(unknown)}; the reasons are {', '.join(BITS)}")
        wide = [name for name in PER_FAMILY if self.effects[name] != "no_credit"]
        if wide:
            raise ValueError(f'effects.{wide[0]} = "{self.effects[wide[0]]}": it is about credit; expected "no_credit"')
        for name, least in LEAST_EFFECT.items():
            if EFFECTS.index(self.effects[name]) < EFFECTS.index(least):
                raise ValueError(
                    f'effects.{name} = "{self.effects[name]}" lets pass what must be refused; least: {least}'
                )
        return self
