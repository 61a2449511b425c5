"""What is done with a customer of each risk: contact, collections, limits, terms. The first rule that fits holds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from engine.config.load import Settings

Tier = Literal["low", "medium", "high", "unknown"]
Sign = Literal["vulnerable", "hardship", "fraud_block", "in_collections", "in_default", "has_credit", "stage_2"]
Channel = Literal["email", "sms", "phone", "push", "post"]
Share = Annotated[float, Field(ge=0, le=1)]


class TreatmentRule(Settings):
    """One treatment and whom it is for: the tiers, the days past due, and all the signs named must fit.

    `to_days` is the last day past due it is for. Days past due that are unknown count as none. `self_cure_rate` is the
    share of such customers expected to pay unasked.
    """

    name: Annotated[str, Field(pattern="^[a-z0-9_]+$")]
    kind: Literal["care", "collections", "prevention", "engagement", "none"]
    tiers: tuple[Tier, ...] = ("low", "medium", "high", "unknown")
    from_days: Annotated[int, Field(ge=0)] = 0
    to_days: Annotated[int, Field(ge=0)] | None = None
    signs: tuple[Sign, ...] = ()
    channel: Channel | None = None
    needs_person: bool = False
    wait_days: Annotated[int, Field(ge=0)] = 0
    self_cure_rate: Share | None = None
    limit: Literal["increase", "decrease", "freeze", "keep"] = "keep"
    limit_share: Share = 0.0
    terms: Literal["none", "pause", "longer_term", "restructure"] = "none"
    reason_en: str
    reason_zh: str


class TreatmentSettings(Settings):
    """The rules in their order, and how often anybody may be contacted at all."""

    contact_window_days: Annotated[int, Field(ge=1)]
    max_contacts: Annotated[int, Field(ge=1)]
    round_limit_to_minor: Annotated[int, Field(ge=1)]
    rules: tuple[TreatmentRule, ...]

    @model_validator(mode="after")
    def _sound(self) -> TreatmentSettings:
        names = [rule.name for rule in self.rules]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"rules name {', '.join(twice)} twice; a treatment has one rule")
        careless = [rule.name for rule in self.rules if "vulnerable" in rule.signs and not rule.needs_person]
        if careless:
            raise ValueError(f"rule {careless[0]} is for vulnerable customers, so it must say needs_person = true")
        last = self.rules[-1] if self.rules else None
        if last is None or last.signs or last.from_days or last.to_days is not None or len(last.tiers) < 4:
            raise ValueError("the last rule must fit everybody, so that nobody is left without a treatment")
        return self
