"""How the models that watch the scorecard are learned, calibrated and set against it."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from engine.config.load import Settings

Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(gt=0, le=1)]
MOST_LEAVES: Final = 64
"""Leaves of one tree at most: which of them a row can still reach is kept in one 64-bit word."""
Leaves = Annotated[int, Field(ge=2, le=MOST_LEAVES)]


class BoostingSettings(Settings):
    """Gradient boosted trees; `l2` is the ridge on what a leaf adds."""

    trees: Count
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    leaves: Leaves
    min_rows_in_leaf: Count
    l2: Annotated[float, Field(ge=0)]


class ForestSettings(Settings):
    """A forest of trees, each on a draw of rows and, at every split, of characteristics."""

    trees: Count
    leaves: Leaves
    min_rows_in_leaf: Count
    rows_share: Share
    characteristics_share: Share


class ChallengerSettings(Settings):
    """What each challenger is learned with. `cuts` are the steps that a number is seen in."""

    cuts: Annotated[int, Field(ge=2, le=250)]
    direction_trees: Count
    probes: Count
    glass_box: BoostingSettings
    monotone_boosting: BoostingSettings
    random_forest: ForestSettings


class CalibrationSettings(Settings):
    """How a model's probabilities are set right from predictions on rows it has not seen."""

    method: Literal["sigmoid", "isotonic", "none"]
    folds: Annotated[int, Field(ge=2)]
    groups: Annotated[int, Field(ge=2)]


class ChampionSettings(Settings):
    """When another model may decide in the scorecard's place: a proposal, which a second person approves.

    `explainable` names the models that the policy takes as explained exactly, customer by customer.
    """

    explainable: tuple[str, ...]
    least_gain: Annotated[float, Field(ge=0, le=1)]
