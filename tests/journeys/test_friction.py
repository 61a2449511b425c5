"""Effects of friction: the true odds ratio is recovered, decoys are cleared, and what cannot be said is not said."""

import math

import numpy as np
import pytest
from pytest import approx

from journeys import friction, stays
from journeys.attempts import MISSING
from journeys.friction import Effect
from journeys.signals import Kind, Signal
from tests.journeys.drop_off_builders import DAY_US, Simulated, made, troubled

ERROR = Signal(kind=Kind.ERROR, event="refused", values=("refused",))
REPEAT = Signal(kind=Kind.REPEAT)
COMPLETE = np.array([math.nan, 0.5])  # half of those who go on from step 1 complete the journey


def ranked(simulated: Simulated, *, by_segment: bool = True) -> tuple[Effect, ...]:
    strata = friction.strata_of(simulated.stays, simulated.segment if by_segment else None)
    return friction.rank(simulated.stays, (ERROR, REPEAT), strata, COMPLETE)


def by_hand(went_on_at: list[int | None], met_at: list[int | None]) -> Effect:
    """The effect of a signal on customers of one channel, by the day they went on and the day they met it."""
    n, window = len(went_on_at), 30 * DAY_US
    went = np.array([day is not None for day in went_on_at])
    found = made(
        {
            "outcome": np.where(went, stays.WENT_ON, stays.DROPPED).astype(np.int32),
            "ended_at": np.array([window if day is None else day * DAY_US for day in went_on_at]),
            "closes_at": np.full(n, window),
        },
        np.zeros(n, dtype=np.int32),
        np.array([[MISSING if day is None else day * DAY_US] for day in met_at]),
    )
    (effect,) = friction.rank(found, (ERROR,), friction.strata_of(found), COMPLETE)
    return effect


def test_whoever_goes_on_at_once_is_no_proof_of_a_harmless_wait() -> None:
    # 60 go on on day 1; then 40 wait, and 40 meet the error on day 2. Of either 40, 20 go on on day 3.
    # All without the error: 80 of 100 went on; but of those still waiting on day 2: 20 of 40, as with the error.
    quick, waiting = [1] * 60, [3] * 20 + [None] * 20
    effect = by_hand([*quick, *waiting, *waiting], [None] * 100 + [2] * 40)
    assert (effect.met, effect.compared) == (40, 40)
    assert effect.chance_with == approx(20 / 40)
    assert effect.chance_without == approx(20 / 40)
    assert effect.odds_ratio == approx(1.0)
    assert effect.lost == approx(0.0)
    assert not effect.harmful


def test_what_was_lost_is_what_those_waiting_as_long_went_on_to_do() -> None:
    # 100 wait without it, 75 of them go on on day 3; of 40 who meet it on day 2, 10 do: 40 * (0.75 - 0.25) = 20 lost
    effect = by_hand([3] * 75 + [None] * 25 + [3] * 10 + [None] * 30, [None] * 100 + [2] * 40)
    assert effect.chance_without == approx(0.75)
    assert effect.difference == approx(-0.5)
    assert effect.lost == approx(20.0)
    assert effect.completed == approx(10.0)  # half of those who go on complete the journey
    assert effect.odds_ratio == approx((10 / 30) / (75 / 25))
    assert effect.harmful


def test_the_true_odds_ratio_of_an_error_is_recovered_within_its_interval() -> None:
    found = {effect.signal.label: effect for effect in ranked(troubled(20_000, odds_ratio=0.22, seed=0))}
    assert 0.22 in found["refused"].odds_ratio_interval
    assert found["refused"].odds_ratio_interval.upper < 0.26


def test_the_planted_error_is_ranked_first_and_the_repetition_that_follows_it_is_cleared() -> None:
    first, second = ranked(troubled(20_000, odds_ratio=0.4, seed=1))
    assert first.signal is ERROR
    assert first.harmful
    # a repetition comes after an error: among those who met one, it changes nothing
    assert not second.harmful
    assert 1.0 in second.odds_ratio_interval


def test_leaving_out_the_segment_blames_a_harmless_error() -> None:
    simulated = troubled(20_000, odds_ratio=1.0, seed=2)
    adjusted = {effect.signal.label: effect for effect in ranked(simulated)}["refused"]
    crude = {effect.signal.label: effect for effect in ranked(simulated, by_segment=False)}["refused"]
    assert 1.0 in adjusted.odds_ratio_interval
    assert crude.odds_ratio_interval.upper < 1.0


@pytest.mark.parametrize("odds_ratio", [1.0, 0.5])
def test_intervals_hold_the_true_odds_ratio_as_often_as_they_say(odds_ratio: float) -> None:
    repeats, held, lost_held = 200, 0, 0
    for seed in range(repeats):
        found = {one.signal.label: one for one in ranked(troubled(2_000, odds_ratio, seed=seed + 100))}
        held += odds_ratio in found["refused"].odds_ratio_interval
        lost_held += 0 in found["repeat"].difference_interval
    # 95 % of 200 give or take three standard errors of 3.1
    assert 190 - 9.3 <= held <= 200
    assert 190 - 9.3 <= lost_held <= 200


def test_a_signal_that_nearly_everyone_meets_before_going_on_is_structural() -> None:
    # a confirmation page shown to all on day 1; of 50 who went on on day 2, all saw it first
    effect = by_hand([2] * 50 + [None] * 10, [1] * 60)
    assert effect.met_before_going_on == 1.0
    assert effect.structural
    assert not effect.harmful
    assert effect.note == friction.STRUCTURAL


def test_too_few_to_compare_give_no_number() -> None:
    effect = by_hand([3] * 50 + [None] * 50, [2] * 10 + [None] * 90)
    assert math.isnan(effect.p_value)
    assert not effect.lost_interval.is_defined
    assert effect.note == friction.TOO_FEW


def test_nobody_left_to_compare_with_is_said() -> None:
    # everyone else had gone on by day 1, before the error of day 2
    effect = by_hand([1] * 60 + [3] * 20 + [None] * 20, [None] * 60 + [2] * 40)
    assert effect.compared == 0
    assert math.isnan(effect.chance_without)
    assert not effect.harmful


def test_only_stays_whose_window_has_closed_are_compared() -> None:
    simulated = troubled(1_000, odds_ratio=0.3, seed=3)
    half = np.arange(1_000) < 500
    open_ = made(
        {
            "outcome": simulated.stays.outcome,
            "ended_at": simulated.stays.ended_at,
            "closes_at": simulated.stays.closes_at,
            "settled": half,
        },
        simulated.stays.channel.codes,
        simulated.stays.met,
    )
    met = int((simulated.stays.met[half, 0] != MISSING).sum())
    found = {
        one.signal.label: one for one in friction.rank(open_, (ERROR, REPEAT), friction.strata_of(open_), COMPLETE)
    }
    assert found["refused"].met == met


def test_p_values_are_corrected_for_how_many_signals_were_looked_at() -> None:
    found = ranked(troubled(2_000, odds_ratio=0.5, seed=4))
    smallest = min(effect.p_value for effect in found)
    # Benjamini and Hochberg: the smallest of two is doubled, but never above the other
    assert min(effect.q_value for effect in found) == approx(min(2 * smallest, max(effect.p_value for effect in found)))
