"""What answers to earlier contacts say about the channel and the hour of the next one."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from engine.config.load import Settings, faults

Days = Annotated[int, Field(ge=1, le=3650)]
Count = Annotated[int, Field(ge=0)]
Strength = Annotated[float, Field(gt=0)]
Hour = Annotated[int, Field(ge=0, le=23)]


class HourPolicy(Settings):
    """From which hours, local to the bank, the best one to contact is taken, first and last included.

    `prior_times` are how many times of the bank as a whole are mixed into a customer's own.
    """

    window_days: Days
    first: Hour
    last: Hour
    min_own_times: Annotated[int, Field(ge=1)]
    prior_times: Strength

    @model_validator(mode="after")
    def _begins_before_it_ends(self) -> HourPolicy:
        if self.first > self.last:
            told = f"{self.first} is after last = {self.last}, so no hour is left. Name the earlier hour first"
            raise faults("HourPolicy", [(("first",), told)])
        return self


class ResponsePolicy(Settings):
    """Which answers count, how many are needed, and how strongly they are drawn to what holds for all.

    `channel_from` says whether the channel is chosen by responses or is always the cheapest that is open.
    """

    channel_from: Literal["responses", "cheapest"]
    event: Literal["opened", "clicked", "converted"]
    window_days: Days
    answer_days: Annotated[int, Field(ge=0, le=365)]
    min_contacts: Annotated[int, Field(ge=1)]
    min_responses: Annotated[int, Field(ge=1)]
    min_channel_contacts: Annotated[int, Field(ge=1)]
    least_prior_contacts: Strength
    own_prior_contacts: Strength
    hours: HourPolicy

    @model_validator(mode="after")
    def _leaves_time_to_answer(self) -> ResponsePolicy:
        if self.answer_days >= self.window_days:
            told = f"{self.answer_days} is not below window_days = {self.window_days}, so no contact is left. Lower it"
            raise faults("ResponsePolicy", [(("answer_days",), told)])
        return self
