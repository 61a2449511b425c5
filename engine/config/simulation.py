"""What the simulated bank is like: its segments, demand, journeys, credit, experiments and planted dirt."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from engine.config.load import Settings
from engine.config.products import Family

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Rate = Annotated[float, Field(ge=0)]
Spending = Literal[
    "groceries", "dining", "shopping", "travel", "health", "education", "cash", "transfer_out", "fees", "refund"
]
Employment = Literal["employed", "self_employed", "student", "retired", "unemployed"]


class SegmentTruth(Settings):
    """One latent segment: the truth that behavioural clusters try to recover."""

    segment: str
    share: Share
    age_mean: Positive
    age_spread: Positive
    income_median_minor: Annotated[int, Field(gt=0)]
    income_spread: Positive
    employment: dict[Employment, Share]
    main_bank_share: Share
    app_share: Share
    sessions_per_month: Rate
    spending_per_month: Rate
    wealth_months: Rate
    churn_yearly: Share
    marketing_consent: Share
    journey_odds: Positive
    affinity: dict[Family, Positive]
    taste: dict[Spending, Positive]


class DemandTruth(Settings):
    """How eagerly customers take one product; `after` multiplies the rate of those who hold another product."""

    product_id: str
    yearly_rate: Share
    income: float
    age_peak: Positive
    age_spread: Positive
    after: dict[str, Positive] = Field(default_factory=dict)


class FrictionTruth(Settings):
    """Trouble that some attempts meet after a step: it multiplies their odds of going on to the next step.

    The probability of going on over all attempts stays the one that the journey states: the others do better for it.
    """

    step: str
    event: str
    share: Annotated[float, Field(gt=0, lt=1)]
    odds_ratio: Positive
    repeated_share: Share = 0.0


class JourneyTruth(Settings):
    """The true probability of each step of one journey for a segment whose odds multiplier is 1."""

    journey: str
    products: tuple[str, ...]
    window_days: Annotated[int, Field(gt=0)]
    steps: tuple[str, ...]
    conversion: tuple[Share, ...]
    frictions: tuple[FrictionTruth, ...] = ()

    @model_validator(mode="after")
    def _one_probability_per_transition(self) -> Self:
        if len(self.conversion) != len(self.steps) - 1:
            raise ValueError(f"conversion of {self.journey} needs {len(self.steps) - 1} shares, one per transition")
        return self

    @model_validator(mode="after")
    def _frictions_stand_between_steps(self) -> Self:
        for friction in self.frictions:
            if friction.step not in self.steps[:-1]:
                raise ValueError(f"friction {friction.event} of {self.journey} needs a step before the last one")
            if friction.event in self.steps:
                raise ValueError(f"friction {friction.event} of {self.journey} has the name of one of its steps")
        return self


class TouchChannelTruth(Settings):
    """One channel of touches: how paths enter it, leave it, and what a touch through it does to the odds of opening."""

    channel: Literal["web", "app", "branch", "call_centre", "email", "sms"]
    first: Share
    odds_ratio: Positive
    following: dict[str, Share]


class TouchTruth(Settings):
    """Touches before a journey is entered: a first-order chain over channels, for attempts that do not open a product.

    Whoever opens one has the same paths, each weighted by the odds ratios of its touches. A path passes a channel whose
    odds ratio is not 1 at most once, and what follows shows that it did: then the paths of all together are a
    first-order chain too.
    """

    event: str
    share: Annotated[float, Field(gt=0, lt=1)]
    days: Annotated[int, Field(ge=2)]
    channels: tuple[TouchChannelTruth, ...]

    @model_validator(mode="after")
    def _chain_of_known_channels_that_ends(self) -> Self:
        known = {each.channel for each in self.channels}
        if len(known) != len(self.channels):
            raise ValueError("touches: each channel once")
        if abs(sum(each.first for each in self.channels) - 1) > 1e-9:
            raise ValueError("touches: the shares of first touches sum to 1")
        for each in self.channels:
            if unknown := set(each.following) - known:
                raise ValueError(f"touches: {each.channel} is followed by {', '.join(sorted(unknown))}, not a channel")
            if sum(each.following.values()) >= 1:
                raise ValueError(f"touches: the shares after {each.channel} sum to less than 1, or no path would end")
        return self

    @model_validator(mode="after")
    def _last_touch_tells_what_the_path_passed(self) -> Self:
        begins: set[str] = {each.channel for each in self.channels if each.first > 0}
        for each in self.channels:
            own: str = each.channel
            elsewhere = self._reached(begins - {own}, without=own) | {own}
            if each.odds_ratio != 1 and self._reached(set(each.following)) & elsewhere:
                raise ValueError(
                    f"touches: what follows {each.channel}, whose odds ratio is not 1, comes after it alone and never "
                    "leads back to it, so that a first-order chain holds the truth"
                )
        return self

    def _reached(self, channels: set[str], without: str | None = None) -> set[str]:
        """Return the channels that a path through these can come to, these included, when it avoids one of them."""
        following: dict[str, dict[str, Share]] = {each.channel: each.following for each in self.channels}
        found: set[str] = set()
        ahead = channels
        while ahead:
            found |= ahead
            ahead = {name for one in ahead for name, share in following[one].items() if share > 0} - found - {without}
        return found


class CreditTruth(Settings):
    """The true default probability: its logit is `base` plus these terms, observable as of the application."""

    bureau_share: Share
    base: float
    utilisation: float
    delinquency: float
    inquiry: float
    oldest_line: float
    oldest_line_months: Annotated[float, Field(gt=2)]
    thin_file: float
    income: float
    unemployed: float
    self_employed: float
    retired: float
    youth: float
    noise: Rate
    approval: Share
    approval_by_risk: Share
    declined_share: Share
    direct_share: Share


class StandingTruth(Settings):
    """How customers pay what they owe, and who needs care; defaults themselves are those of the credit."""

    early_share: Share
    own_share: Share
    settled_share: Share
    vulnerable_share: Share
    hardship_share: Share
    suspected_yearly: Share


class MetricTruth(Settings):
    """True rates of one metric; for a mean, `amount` is the median value of one event."""

    metric: str
    event: str
    control: Share
    variant: Share
    amount: Rate | None = None


class ExperimentTruth(Settings):
    """One experiment: who is eligible, what is true, and the share of the variant that the log loses."""

    experiment_id: str
    control: str
    variant: str
    eligible_share: Share
    lost_share: Share = 0.0
    metrics: tuple[MetricTruth, ...]


class IdentityTruth(Settings):
    """Shares of customers, and of events, whose identity is not plain."""

    twin_share: Share
    branch_device_share: Share
    anonymous_share: Share


class SimulationSettings(Settings):
    """Everything that makes the simulated bank look as it does; the seed and the size come with the call."""

    chunk_customers: Annotated[int, Field(ge=100)]
    joined_before_share: Share
    history_years: Positive
    unknown_income_share: Share
    employment_income: dict[Employment, Positive]
    fraud_share: Share
    identity: IdentityTruth
    dirt: dict[str, Rate]
    dirt_at_least: Annotated[int, Field(ge=0)]
    segments: tuple[SegmentTruth, ...]
    demand: tuple[DemandTruth, ...]
    journeys: tuple[JourneyTruth, ...]
    touches: TouchTruth
    credit: CreditTruth
    standing: StandingTruth
    experiments: tuple[ExperimentTruth, ...]

    @model_validator(mode="after")
    def _segments_cover_everybody(self) -> Self:
        total = sum(segment.share for segment in self.segments)
        if abs(total - 1) > 1e-9:
            raise ValueError(f"the shares of the segments sum to {total}: expected 1")
        return self
