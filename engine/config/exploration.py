"""How often something else than the best offer is made, so that the bank learns, and who is kept as a control group."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from engine.config.load import Fault, Settings, faults

Strategy = Literal["best", "epsilon_greedy", "softmax", "thompson"]
Period = Literal["month", "quarter", "year", "always"]
Portion = Annotated[float, Field(ge=0, le=1)]


class ThompsonPolicy(Settings):
    """The maturity ramp: which share of customers a product may reach by drawing while little is known of it.

    A product that nobody opened reaches `share_at_start`, one with `mature_positives` openings everybody; between the
    two the share rises in a straight line.
    """

    share_at_start: Annotated[float, Field(gt=0, le=1)]
    mature_positives: Annotated[int, Field(ge=1)]


class ControlGroup(Settings):
    """Who gets no advice, to measure what the advice brings.

    `share` of the customers, drawn anew for each `period` of the run's date in UTC and the same persons within it.
    They get a random offer among those that the gates let pass, or nothing at all.
    """

    share: Portion
    period: Period
    serves: Literal["random", "nothing"]
    salt: Annotated[str, Field(min_length=1)]


class ExplorationPolicy(Settings):
    """How offers are drawn among those that no gate refuses; `best` draws nothing.

    `epsilon` is the chance of a draw at each place, `temperature` the share of the best offer's value by which one must
    be worth less to be drawn about a third as often.
    """

    strategy: Strategy
    epsilon: Portion
    temperature: Annotated[float, Field(ge=0.01, le=100)]
    thompson: ThompsonPolicy
    control: ControlGroup

    @property
    def draws(self) -> bool:
        """Whether any offer may be another than the best, or held out."""
        return self.strategy != "best" or self.control.share > 0

    @model_validator(mode="after")
    def _does_what_it_says(self) -> ExplorationPolicy:
        told: list[Fault] = []
        if self.strategy == "epsilon_greedy" and self.epsilon == 0:
            told.append((("epsilon",), '0 explores nothing. Raise it, such as to 0.1, or write strategy = "best"'))
        if self.control.share == 1:
            told.append((("control", "share"), "1 leaves nobody to be advised. Write a share such as 0.02"))
        if told:
            raise faults("ExplorationPolicy", told)
        return self
