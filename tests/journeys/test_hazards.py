"""Forecasts for open journeys: calibrated on later dates, never from the future, and no better than they are."""

from dataclasses import replace

import numpy as np
import pytest
from pytest import approx

from journeys import hazards
from journeys.attempts import MISSING
from journeys.hazards import Trial
from journeys.histories import NOTHING
from tests.journeys.drop_off_builders import DAY_US, Simulated, over_time


def tried(simulated: Simulated, *, with_segment: bool = True) -> Trial:
    asked = hazards.known(simulated.stays, simulated.segment if with_segment else None)
    found = hazards.try_out(asked, simulated.today, simulated.window, signals=1)
    assert isinstance(found, Trial)
    return found


@pytest.fixture(scope="module")
def bank() -> Simulated:
    return over_time(20_000, seed=1, segments_differ=True)


def test_forecasts_for_later_dates_come_true_as_often_as_they_say(bank: Simulated) -> None:
    found = tried(bank)
    assert found.overall.predicted in found.overall.interval
    # each tenth at 99.5 %, so that all ten hold together at 95 %: 1.43 times as wide as an interval at 95 %
    for part in found.deciles:
        middle = (part.interval.lower + part.interval.upper) / 2
        assert abs(part.predicted - middle) <= 1.43 * (part.interval.upper - middle), part


def test_the_model_beats_the_plain_curve_where_groups_and_friction_matter(bank: Simulated) -> None:
    found = tried(bank)
    assert found.beats_baseline
    assert found.auc > found.auc_baseline
    assert found.brier < found.brier_baseline


def test_the_plain_curve_is_used_where_the_model_knows_no_more() -> None:
    plain = over_time(20_000, seed=2, segments_differ=False)
    without = replace(plain.stays, met=np.full_like(plain.stays.met, MISSING))
    found = hazards.try_out(hazards.known(without), plain.today, plain.window, signals=1)
    assert isinstance(found, Trial)
    assert not found.beats_baseline
    assert found.overall.predicted == approx(
        sum(part.predicted * part.stays for part in found.deciles_baseline) / found.stays
    )


def test_every_forecast_is_for_a_date_after_what_was_learned_and_settled_today(bank: Simulated) -> None:
    found = tried(bank)
    assert found.learned_until < found.first_tried_at <= found.last_tried_at <= bank.today - bank.window


def test_what_happens_after_a_date_changes_no_model_learned_at_it(bank: Simulated) -> None:
    date = 400 * DAY_US
    stays = bank.stays
    late = stays.ended_at > date
    other = replace(
        stays,
        # everything later turned round: who went on stayed, who stayed went on, errors that came later never came
        outcome=np.where(late, 1 - np.minimum(stays.outcome, 1), stays.outcome).astype(np.int32),
        met=np.where(stays.met > date, MISSING, stays.met),
    )
    one = hazards.fit(hazards.known(stays, bank.segment), date, signals=1)
    two = hazards.fit(hazards.known(other, bank.segment), date, signals=1)
    assert one.periods == two.periods
    asked = hazards.known(stays, bank.segment).take(np.arange(500))
    at = stays.reached_at[:500] + DAY_US
    assert one.drop_probability(asked, at).tolist() == two.drop_probability(asked, at).tolist()


def test_friction_that_comes_after_the_moment_of_a_forecast_is_not_looked_at(bank: Simulated) -> None:
    model = hazards.fit(hazards.known(bank.stays, bank.segment), bank.today, signals=1)
    third = np.flatnonzero(bank.stays.step == 3)[:200]
    asked, at = hazards.known(bank.stays, bank.segment).take(third), bank.stays.reached_at[third] + DAY_US
    later = replace(asked, stays=replace(asked.stays, met=(at + 1)[:, None]))
    never = replace(asked, stays=replace(asked.stays, met=np.full_like(asked.stays.met, MISSING)))
    earlier = replace(asked, stays=replace(asked.stays, met=(at - 1)[:, None]))
    assert model.drop_probability(later, at).tolist() == model.drop_probability(never, at).tolist()
    # the error divides the odds by four
    assert (model.drop_probability(earlier, at) > model.drop_probability(never, at)).all()


def test_the_hazard_of_a_period_is_the_share_of_those_still_there_who_go_on_in_it(bank: Simulated) -> None:
    model = hazards.fit(hazards.known(bank.stays), bank.today, signals=1)
    first = [period for period in model.periods if period.step == 1]
    step = bank.stays.take(bank.stays.step == 1)
    took = (step.ended_at - step.reached_at) / 1e6
    watched = np.minimum(step.closes_at, bank.today) - step.reached_at
    whole = watched / 1e6 >= first[1].to_seconds
    there = whole & (took > first[1].from_seconds)
    moved = there & step.went_on & (took <= first[1].to_seconds)
    assert (first[1].at_risk, first[1].went_on) == (there.sum(), moved.sum())
    assert first[1].hazard in first[1].interval


def test_the_curve_is_the_baseline_for_whoever_has_waited_so_long_already() -> None:
    # 4 at one step: 2 go on on day 1, 1 on day 10, 1 never. Who still waits on day 5: 1 of 2 goes on
    simulated = over_time(4, seed=3, segments_differ=False)
    days = np.array([1, 1, 10, 30]) * DAY_US
    stays = replace(
        simulated.stays.take(np.arange(4)),
        step=np.ones(4, dtype=np.int32),
        reached_at=np.zeros(4, dtype=np.int64),
        ended_at=days,
        closes_at=np.full(4, 30 * DAY_US),
        outcome=np.array([0, 0, 0, 1], dtype=np.int32),
    )
    model = hazards.fit(hazards.known(stays), 40 * DAY_US, signals=1)
    assert model.regression is None  # far too few to learn from
    chance = model.drop_probability(hazards.known(stays), np.array([0, 5, 5, 11]) * DAY_US)
    assert chance.tolist() == approx([1 / 4, 1 / 2, 1 / 2, 1.0])


def test_a_short_log_and_an_empty_one_say_why_nothing_was_tried() -> None:
    simulated = over_time(500, seed=4, segments_differ=False)
    empty = simulated.stays.take(np.zeros(0, dtype=np.int64))
    assert "Nobody" in str(hazards.try_out(hazards.known(empty), simulated.today, simulated.window, signals=1))
    short = hazards.try_out(hazards.known(simulated.stays), simulated.today, 600 * DAY_US, signals=1)
    assert "too short" in str(short)
    few = simulated.stays.take(np.arange(60))
    assert "too few" in str(hazards.try_out(hazards.known(few), simulated.today, simulated.window, signals=1))


def test_a_customer_of_unknown_group_and_channel_is_forecast_too(bank: Simulated) -> None:
    model = hazards.fit(hazards.known(bank.stays, bank.segment), bank.today, signals=1)
    one = hazards.known(bank.stays, bank.segment).take(np.array([0]))
    unknown = replace(
        one,
        group=np.array([NOTHING], dtype=np.int32),
        stays=replace(one.stays, channel=replace(one.stays.channel, codes=np.array([NOTHING], dtype=np.int32))),
    )
    assert 0 < model.drop_probability(unknown, one.stays.reached_at)[0] < 1


def test_the_area_under_the_curve_is_the_share_of_pairs_in_the_right_order() -> None:
    # of 2 * 3 pairs 4 are in order, 1 is a tie that counts half
    area, error = hazards.auc(np.array([0.9, 0.4, 0.4, 0.3, 0.5]), np.array([True, True, False, False, False]))
    assert area == approx((3 + 1 + 0.5) / 6)
    assert error > 0
