"""How customers are scored, tiered and clustered; everything names features of the feature table."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from engine.config.lifetime import LifetimeSettings
from engine.config.load import Settings
from engine.config.movement import MovementSettings
from engine.config.segmentations import SegmentationSettings

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]


class RfmSettings(Settings):
    """For each of the three scores, the features to take it from: the first that the bank has."""

    recency: tuple[str, ...]
    frequency: tuple[str, ...]
    monetary: tuple[str, ...]


class ValueSettings(Settings):
    """Yearly value = sum of `minor_per_unit` x count + sum of `share_of_amount` x amount, over features by name.

    Of the customers with a value above 0 the best `top_share` are top, the next `high_share` high, the next
    `middle_share` middle and the rest low, equal values by the middle of their ranks; the others are none.
    """

    minor_per_unit: dict[str, int]
    share_of_amount: dict[str, float]
    top_share: Share
    high_share: Share
    middle_share: Share

    @model_validator(mode="after")
    def _leaves_some_low(self) -> ValueSettings:
        total = self.top_share + self.high_share + self.middle_share
        if total > 1:
            raise ValueError(f"top_share, high_share and middle_share sum to {total:g}: expected 1 or less")
        return self


class ClusterFeature(Settings):
    """One feature that clusters are made of, and how customers with much or little of it are described.

    `missing` says what an empty value stands for: nothing (zero), the usual (median) or the extreme (highest, as
    for days since something that never happened). `logarithm` for counts and amounts that a few have very much of.
    A name takes at most one phrase of each theme. `weight` says how much the feature counts beside the others.
    `equals` makes a text a number: 1 where it is that word, 0 where it is another, under `name_word`.
    """

    name: str
    theme: str
    weight: Annotated[float, Field(gt=0)] = 1.0
    equals: str | None = None
    logarithm: bool = False
    missing: Literal["zero", "median", "highest"] = "zero"
    high: str
    high_zh: str
    low: str
    low_zh: str

    @property
    def key(self) -> str:
        """The name under which the feature is told."""
        return self.name if self.equals is None else f"{self.name}_{self.equals}"


class ClusterSettings(Settings):
    """How behavioural clusters are found; whoever has a value above 0 in one of `activity` is active.

    Only numbers of clusters count that resampling reproduces, as a whole (`stable_agreement`) and each of them
    (`stable_cluster`). Where one of these separates clearly (`clear_silhouette`) the best separated is taken, else the
    largest that separates nearly as well as the best (`silhouette_share` of its silhouette).
    """

    minimum_customers: Annotated[int, Field(ge=10)]
    sample_customers: Annotated[int, Field(ge=100)]
    silhouette_customers: Annotated[int, Field(ge=100)]
    fewest: Annotated[int, Field(ge=2)]
    most: Annotated[int, Field(ge=2)]
    restarts: Count
    resamples: Annotated[int, Field(ge=2)]
    stable_agreement: Annotated[float, Field(gt=0, le=1)]
    stable_cluster: Annotated[float, Field(gt=0, le=1)]
    clear_silhouette: Annotated[float, Field(gt=0, le=1)]
    silhouette_share: Annotated[float, Field(gt=0, le=1)]
    outlier_spreads: Annotated[float, Field(gt=1)]
    winsor_share: Annotated[float, Field(ge=0, lt=0.5)]
    distinct_effect: Annotated[float, Field(gt=0)]
    average: str
    average_zh: str
    activity: tuple[str, ...]
    features: tuple[ClusterFeature, ...]


class SegmentSettings(Settings):
    """Segments of one bank."""

    rfm: RfmSettings
    value: ValueSettings
    clusters: ClusterSettings
    movement: MovementSettings
    lifetime: LifetimeSettings
    segmentations: tuple[SegmentationSettings, ...] = ()
    crossed: tuple[tuple[str, str], ...] = ()
    profiled: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _crosses_what_is_there(self) -> SegmentSettings:
        known = [one.segmentation for one in self.segmentations]
        if len(set(known)) < len(known):
            raise ValueError("two segmentations have one name")
        missing = sorted({name for pair in self.crossed for name in pair} - set(known))
        if missing:
            raise ValueError(f"crossed names {', '.join(missing)}: expected some of {', '.join(known)}")
        return self
