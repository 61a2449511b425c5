"""The experiments of the bank: variants, planned weights, and the metrics that decide, all fixed before the start."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from engine.config.load import Settings

Name = Annotated[str, Field(min_length=1)]


class MetricSettings(Settings):
    """What is measured per customer after the first exposure.

    A `proportion` asks whether the event happened; a `mean` adds up the events' values, 0 for customers without any.
    Without `window_days` all the time until as_of counts, which is fair only when all were exposed at about the
    same time. `direction` says which way is better.
    """

    metric: Name
    kind: Literal["mean", "proportion"]
    role: Literal["goal", "secondary", "guardrail"] = "goal"
    event: Name
    direction: Literal["increase", "decrease"] = "increase"
    window_days: Annotated[float, Field(gt=0, le=3_650)] | None = None

    @property
    def window_seconds(self) -> int | None:
        """The window in whole seconds; None when there is none."""
        return None if self.window_days is None else round(self.window_days * 86_400)


class ExperimentSettings(Settings):
    """One experiment. `weights` is the planned split, in any unit: 1 and 1 is the same as 0.5 and 0.5.

    `weights_assumed` marks a split that nobody wrote down: the ratio check runs and says that it is a guess.
    """

    experiment_id: Name
    name_en: str
    name_zh: str | None = None
    weights: Annotated[dict[str, Annotated[float, Field(ge=0)]], Field(min_length=2)]
    weights_assumed: bool = False
    control: Name
    metrics: Annotated[tuple[MetricSettings, ...], Field(min_length=1)]

    @field_validator("weights")
    @classmethod
    def _some_weight(cls, weights: dict[str, float]) -> dict[str, float]:
        if sum(weight > 0 for weight in weights.values()) < 2:
            raise ValueError("fewer than two variants have a weight above 0; an experiment compares at least two")
        return weights

    @field_validator("control")
    @classmethod
    def _known_control(cls, control: str, info: ValidationInfo) -> str:
        weights = info.data.get("weights", {})
        if weights and control not in weights:
            raise ValueError(f"not one of the variants in weights: {', '.join(weights)}")
        return control

    @field_validator("metrics")
    @classmethod
    def _named_once(cls, metrics: tuple[MetricSettings, ...]) -> tuple[MetricSettings, ...]:
        if len({one.metric for one in metrics}) < len(metrics):
            raise ValueError("two metrics of an experiment have one name; name each metric once")
        return metrics

    @property
    def variants(self) -> tuple[str, ...]:
        """The variants that are compared with control, in the order of the file."""
        return tuple(name for name in self.weights if name != self.control)


class Experiments(Settings):
    """Every experiment, in the order in which screens list them. None at all is allowed."""

    experiments: tuple[ExperimentSettings, ...]

    @field_validator("experiments")
    @classmethod
    def _named_once(cls, experiments: tuple[ExperimentSettings, ...]) -> tuple[ExperimentSettings, ...]:
        if len({one.experiment_id for one in experiments}) < len(experiments):
            raise ValueError("two experiments have one id; give each its own")
        return experiments
