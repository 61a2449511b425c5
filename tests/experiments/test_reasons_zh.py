"""Whatever keeps a number from being told is said in Chinese too: each reason is given by the code that knows it."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from experiments import (
    adjustment,
    clusters,
    effects,
    epochs,
    fairness,
    interactions,
    looks,
    multiplicity,
    quantiles,
    reasons_zh,
    segments,
    time_to_event,
)
from experiments.effects import Effect
from experiments.estimates import ArmEstimate
from experiments.looks import Planned
from experiments.moments import Moments
from experiments.quantiles import Distribution
from experiments.result import effect_json
from experiments.time_to_event import DailyCounts

NOBODY, SOME, ALL = Moments.of(0, 0, 0), Moments.of_count(12, 30), Moments.of_count(30, 30)
SURE = ArmEstimate(value=1, variance=0, n=9)
OVER_NOTHING = Moments.of_sums(("numerator", "denominator"), 9, [3, 0], [[3, 0], [0, 0]])


def of_arms(value: float, control: float) -> Effect:
    one, other = (ArmEstimate(value=at, variance=0.01, n=30) for at in (value, control))
    return effects.contrast(one, other, method="welch")


def mature(watched: int, events: int, early: int = 0) -> DailyCounts:
    """Customers watched for all of 5 days, `events` on the first; `early` more were watched for one day only."""
    return DailyCounts.of_ends([events, 0, 0, 0, 0], [0, early, 0, 0, 0, watched - events])


def distribution(*values: float) -> Distribution:
    return Distribution.of_values(values)


def not_yet() -> Effect:
    return looks.at_look(of_arms(2, 1), Planned(information=(), spent_at=()))


def joint() -> Effect:
    arms = {"a": Moments.of_values(("y",), np.arange(9)), "b": Moments.none(("y",))}
    made = adjustment.adjust(arms, "y", [])
    assert made is not None
    return made.effect("b", "a").adjusted


EFFECTS = {
    "one customer": effects.means(Moments.of(1, 1, 1), SOME),
    "nobody": effects.proportions(NOBODY, SOME),
    "denominator of 0": effects.ratios(OVER_NOTHING, OVER_NOTHING),
    "too large": of_arms(1.7e308, -1.7e308),
    "no spread": effects.means(ALL, ALL),
    "no clusters": clusters.compare(Moments.none(("total", "size")), Moments.none(("total", "size"))),
    "no span": epochs.put_together({}),
    "an arm of nobody": joint(),
    "too soon": time_to_event.compare(mature(5, 0, 40), mature(5, 0, 40), 5),
    "few events": time_to_event.compare(mature(30, 2, 9), mature(30, 2, 9), 5),
    "few values": quantiles.compare(distribution(1.0), distribution(1.0, 2.0), 0.5),
    "ties": quantiles.compare(distribution(*[1.0] * 99), distribution(*[1.0] * 99), 0.5),
    "tiny segment": segments.without_tiny(of_arms(1, 2), 50),
    "tiny cell": interactions.crossings("m", {("a", "a"): SOME, ("b", "b"): NOBODY}, ("a", "a"))[0].first_alone,
    "not yet": not_yet(),
    "goals first": multiplicity.gatekeep([of_arms(1, 1)], [of_arms(2, 1)])[1][0].effect,
    "control of 0": of_arms(1, 0),
    "control near 0": of_arms(1, 0.01),
}


def is_chinese(sentence: str) -> bool:
    return bool(re.search(r"[\u4e00-\u9fff]", sentence)) and not re.search(r"[A-Za-z{}]{2,}", sentence)


@pytest.mark.parametrize("effect", EFFECTS.values(), ids=EFFECTS)
def test_effect_that_cannot_be_told_says_why_in_chinese(effect: Effect) -> None:
    told = effect_json(effect)["relative"]
    assert told["why"] and is_chinese(told["why_zh"])


@pytest.mark.parametrize(
    "reason",
    [
        segments.interaction({}).reason,
        fairness.assess("age", {"young": of_arms(1, 1)}, {"young": (3, 3)}, "increase", margin=0.1).harms[0].reason,
        effects.one_sided(of_arms(1, 0), "less", margin=-0.1, relative=True).reason,
        effects.one_sided(replace(of_arms(1, 1), variant=SURE, control=SURE), "less").reason,
    ],
)
def test_test_that_cannot_be_made_says_why_in_chinese(reason: str | None) -> None:
    assert is_chinese(reasons_zh.told(reason)["why_zh"])


def test_numbers_of_a_reason_stand_in_its_chinese_twin() -> None:
    few = "fewer than 10 customers in a group have been watched for 180 days without the event"
    assert reasons_zh.chinese(few) == "某组中未发生事件且已观察 180 天的客户不足 10 位"


def test_sentence_of_another_kind_has_no_chinese_twin_and_no_reason_says_nothing() -> None:
    assert reasons_zh.told("Sample ratio mismatch.") == {"why": "Sample ratio mismatch."}
    assert reasons_zh.told(None) == {}
