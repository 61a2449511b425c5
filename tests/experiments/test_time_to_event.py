"""Rates by a horizon while customers mature: worked by hand, against plain means, and by a simulated bank."""

from math import nan, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from experiments import effects, time_to_event
from experiments.moments import Moments
from experiments.time_to_event import DailyCounts

# twelve customers of day 3: one event on day 0 and one on day 2; one was watched for a day and a half
DOZEN = DailyCounts.of_customers(
    event_day=[0.5, 2.9, nan, *[nan] * 9], watched_days=[9, 9, 1.5, *[9] * 9], horizon_days=3
)


def test_daily_counts_of_a_dozen_customers() -> None:
    # day 0: all 12; day 1: 11 without the event, less the one whose second day is not over; day 2: 10
    assert DOZEN.at_risk.tolist() == [12, 10, 10]
    assert DOZEN.events.tolist() == [1, 0, 1]
    assert DOZEN.n == 12


def test_rate_and_its_error_by_hand() -> None:
    found = time_to_event.rate(
        DailyCounts(at_risk=np.array([100, 80, 60]), events=np.array([2, 0, 3]), n=100), horizon_days=3
    )
    assert found is not None
    left = 98 / 100 * 57 / 60
    assert found.value == approx(1 - left)
    assert found.variance == approx(left**2 * (2 / (100 * 98) + 3 / (60 * 57)))


def test_an_event_on_a_day_that_is_not_over_does_not_count_yet() -> None:
    """Else the unfinished day would hold its events and only some of those who could have had one."""
    counts = DailyCounts.of_customers(event_day=[1.2, nan], watched_days=[1.5, 1.5], horizon_days=3)
    assert (counts.at_risk.tolist(), counts.events.tolist()) == ([2, 0, 0], [0, 0, 0])


def test_customers_watched_for_less_than_a_day_are_counted_and_never_at_risk() -> None:
    counts = DailyCounts.of_customers(event_day=[nan, nan], watched_days=[0.4, 5.0], horizon_days=2)
    assert (counts.n, counts.at_risk.tolist()) == (2, [1, 1])
    assert not counts.is_complete


def test_complete_arms_give_the_plain_share_and_its_plain_error() -> None:
    counts = DailyCounts.of_customers([*range(30), *[nan] * 70], [40.0] * 100, horizon_days=30)
    found = time_to_event.rate(counts, 30)
    assert counts.is_complete and found is not None
    assert (found.value, found.variance) == approx((0.3, 0.3 * 0.7 / 100))


def test_curve_says_what_the_rate_says() -> None:
    counts = DailyCounts(at_risk=np.array([100, 80, 60]), events=np.array([2, 0, 3]), n=100)
    found, rate = time_to_event.curve(counts), time_to_event.rate(counts, 3)
    assert rate is not None and found.at(3.0) == approx(1 - rate.value)
    assert (found.at(0.5), found.times.tolist()) == (1.0, [1.0, 3.0])


def test_horizon_that_too_few_have_reached_is_not_told() -> None:
    early = DailyCounts.of_customers([*[1.0] * 20, *[nan] * 180], [*[5.0] * 195, *[40.0] * 5], horizon_days=30)
    effect = time_to_event.compare(early, early, 30)
    assert effect.p_value is None
    assert effect.reason == "fewer than 10 customers in a group have been watched for 30 days without the event"


def test_few_events_are_tested_exactly_when_everyone_is_mature_and_wait_when_not() -> None:
    def arm(events: int, open_days: int) -> DailyCounts:
        days = [*[2.0] * events, *[nan] * (200 - events)]
        return DailyCounts.of_customers(days, [30.0] * 150 + [30.0 - open_days] * 50, horizon_days=30)

    mature = time_to_event.compare(arm(1, 0), arm(9, 0), 30)
    assert mature.method == "fisher" and mature.lower is not None and mature.upper is not None
    assert mature.p_value == approx(effects.proportions(Moments.of_count(1, 200), Moments.of_count(9, 200)).p_value)
    still = time_to_event.compare(arm(1, 10), arm(9, 10), 30)
    assert still.reason == "fewer than 10 events in a group, and customers who still mature"


def test_a_horizon_beyond_the_days_counted_is_refused() -> None:
    with pytest.raises(ValueError, match="1 to 3, the days counted"):
        time_to_event.rate(DOZEN, 4)
    with pytest.raises(ValueError, match="do not add up"):
        DOZEN + DOZEN.until(2)
    with pytest.raises(ValueError, match="one end more than days"):
        DailyCounts.of_ends([1], [1])


@given(
    st.lists(st.tuples(st.one_of(st.just(nan), st.floats(0, 12)), st.floats(0, 12)), min_size=2, max_size=60),
    st.integers(1, 10),
)
def test_counts_of_two_halves_add_up_to_the_whole(rows: list[tuple[float, float]], horizon: int) -> None:
    def of(part: list[tuple[float, float]]) -> DailyCounts:
        when, watched = np.array(part, dtype=float).reshape(-1, 2).T
        return DailyCounts.of_customers(when, watched, horizon)

    whole, halves = of(rows), of(rows[::2]) + of(rows[1::2])
    assert (whole.n, whole.at_risk.tolist(), whole.events.tolist()) == (
        halves.n,
        halves.at_risk.tolist(),
        halves.events.tolist(),
    )


# A bank that books 222 accounts a day in each arm for 180 days; 3 % default within 180 days

HORIZON = 180
PER_DAY = 222
ACCOUNTS = HORIZON * PER_DAY


def arms_at(rng: np.random.Generator, days: tuple[int, ...], *, early: bool) -> dict[int, DailyCounts]:
    """Draw one arm and look at it on several days; early defaults come after 60 days on average, others after 90."""
    defaults = rng.binomial(ACCOUNTS, 0.03)
    share = rng.beta(1, 2, defaults) if early else rng.random(defaults)
    when, booked = np.floor(share * HORIZON).astype(int), rng.integers(0, HORIZON, defaults)
    found = {}
    for day in days:
        watched = np.minimum(day - np.arange(HORIZON), HORIZON)
        seen = when < watched[booked]
        unfinished = np.bincount(watched, weights=np.full(HORIZON, PER_DAY), minlength=HORIZON + 1)
        unfinished -= np.bincount(watched[booked[seen]], minlength=HORIZON + 1)
        found[day] = DailyCounts.of_ends(np.bincount(when[seen], minlength=HORIZON), unfinished)
    return found


def test_a_treatment_that_only_moves_defaults_earlier_is_not_called_different_at_the_horizon() -> None:
    days, times = (210, 240, 270), 1_000
    rng = np.random.default_rng(20260401)
    alarms, running = dict.fromkeys(days, 0), dict.fromkeys(days, 0)
    for _ in range(times):
        variant, control = arms_at(rng, days, early=True), arms_at(rng, days, early=False)
        for day in days:
            p_value = time_to_event.compare(variant[day], control[day], HORIZON).p_value
            naive = effects.proportions(
                *(Moments.of_count(int(arm.events.sum()), arm.n) for arm in (variant[day], control[day]))
            ).p_value
            assert p_value is not None and naive is not None
            alarms[day] += p_value < 0.05
            running[day] += naive < 0.05
    assert max(alarms.values()) / times <= 0.06
    # what counts accounts as good that have not had the time calls the arms different, the more the earlier the look
    assert running[210] / times > 0.9
    assert running[270] / times > 0.2


def test_maturing_accounts_sharpen_the_rate_by_as_much_as_waiting_would() -> None:
    days = (210, 240, 270, 300)
    rng = np.random.default_rng(7)
    looks = [arms_at(rng, days, early=False) for _ in range(200)]
    for day, most in zip(days, (0.75, 0.85, 0.92, 0.97), strict=True):
        rates = [time_to_event.rate(look[day], HORIZON) for look in looks]
        known = [rate for rate in rates if rate is not None]
        assert len(known) == 200
        error = sqrt(np.mean([rate.variance for rate in known]))
        # Greenwood's error is the spread that the rate really has, within the 5 % that 200 draws can tell
        assert float(np.std([rate.value for rate in known])) == approx(error, rel=0.12)
        mature = PER_DAY * (day - HORIZON + 1)
        assert error / sqrt(0.03 * 0.97 / mature) < most
