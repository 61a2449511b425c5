"""What goes with converting: worked tables, no false alarms from time alone, and what the flow forces."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from pytest import approx
from scipy.stats import binomtest

from journeys import correlation, outcomes
from journeys.correlation import Correlation, Question, Signal
from journeys.spec import Funnel, WindowFrom
from tests.journeys.builders import START, asked, block, excluding, moment

WINDOW = 1_000
AS_OF = 1_000_000


def of(
    people: dict[str, str] | pa.Table,
    attributes: tuple[str, ...] = (),
    funnel: Funnel | None = None,
    *,
    events: bool = False,
    steps: tuple[int, int] = (1, 2),
    as_of: float = AS_OF,
) -> Correlation:
    funnel = funnel or asked("A B", WINDOW)
    table = people if isinstance(people, pa.Table) else block(people)
    whole = outcomes.of(outcomes.rows(table, funnel=funnel), funnel, moment(as_of))
    bounds = correlation.bounds(whole, *steps) if events else ()
    question = Question(from_step=steps[0], to_step=steps[1], attributes=attributes, bounds_us=bounds)
    return correlation.of(correlation.rows(table, funnel=funnel, question=question, as_of=moment(as_of)))


def signal(found: Correlation, value: str) -> Signal:
    return next(one for one in found.signals if one.value == value)


def crowd(**groups: tuple[int, str]) -> dict[str, str]:
    return {f"{name}{n}": told for name, (size, told) in groups.items() for n in range(size)}


# Attributes


def test_odds_ratio_and_risk_difference_are_those_of_the_fourfold_table() -> None:
    people = crowd(
        a=(30, "A:web@0 B@9"), b=(20, "A:web@0"), c=(25, "A:branch@0 B@9"), d=(75, "A:branch@0"), e=(10, "A@0")
    )
    found = of(people, ("page",))
    web = signal(found, "web")
    # with: 30 of 50; without: 25 of 110
    assert (web.with_it, web.converted_with_it, web.without_it, web.converted_without_it) == (50, 30, 110, 25)
    assert web.odds_ratio == approx((30 * 85) / (20 * 25))
    assert web.risk_difference == approx(30 / 50 - 25 / 110)
    # Woolf: half = 1.96 x sqrt(1/30 + 1/20 + 1/25 + 1/85)
    half = 1.959964 * math.sqrt(1 / 30 + 1 / 20 + 1 / 25 + 1 / 85)
    assert (web.lower, web.upper) == (approx(5.1 * math.exp(-half), rel=1e-5), approx(5.1 * math.exp(half), rel=1e-5))
    assert (web.share_of_converted, web.share_of_others) == (approx(30 / 55), approx(20 / 105))


def test_group_too_small_to_say_anything_of_is_left_out_and_counted() -> None:
    people = crowd(a=(24, "A:web@0"), b=(25, "A:app@0 B@9"), c=(30, "A:branch@0"))
    found = of(people, ("page",))
    assert sorted(one.value for one in found.signals) == ["app", "branch"]
    assert found.left_out == 1


def test_value_that_all_but_a_few_have_is_left_out_too() -> None:
    assert of(crowd(a=(500, "A:web@0"), b=(24, "A:app@0 B@1")), ("page",)).signals == ()


def test_whoever_is_still_on_the_way_is_not_counted_as_lost() -> None:
    people = crowd(a=(30, "A:web@0 B@9"), b=(30, "A:branch@0"), c=(40, "A:branch@5000"))
    found = of(people, ("page",), as_of=5_500)
    assert (found.converted, found.others) == (30, 30)


def test_attribute_is_read_at_the_step_asked_about() -> None:
    people = crowd(a=(30, "A:old@0 B:web@1 C@2"), b=(30, "A:old@0 B:app@1"))
    found = of(people, ("page",), asked("A B C", WINDOW), steps=(2, 3))
    assert sorted(one.value for one in found.signals) == ["app", "web"]


def test_empty_cell_has_no_odds_ratio_but_a_reason_and_a_p_value() -> None:
    web = signal(of(crowd(a=(30, "A:web@0 B@9"), b=(40, "A:branch@0")), ("page",)), "web")
    assert (web.odds_ratio, web.lower, web.upper) == (None, None, None)
    assert web.reason == "all or none of one side have it, so no odds can be compared"
    assert web.p_value < 0.001


def test_one_side_ten_times_the_other_is_warned_of() -> None:
    few = crowd(a=(30, "A:web@0 B@9"), b=(160, "A:web@0"), c=(160, "A:app@0"))
    assert of(few, ("page",)).warning == "only 30 of 350 converted: every estimate rests on these few"
    assert of(crowd(a=(30, "A:web@0 B@9"), b=(30, "A:app@0")), ("page",)).warning is None


def test_p_values_are_adjusted_for_all_signals_looked_at() -> None:
    people = crowd(
        a=(40, "A:web@0 B@9"), b=(60, "A:web@0"), c=(20, "A:app@0 B@9"), d=(80, "A:app@0"), e=(50, "A:fax@0")
    )
    found = of(people, ("page",)).signals
    assert [one.p_value for one in found] == sorted(one.p_value for one in found)
    assert found[0].p_benjamini_hochberg == approx(3 * found[0].p_value)


def test_nothing_asked_of_nobody_is_no_signal() -> None:
    found = of({"ann": "X@0"}, ("page",), events=True)
    assert (found.converted, found.others, found.signals, found.warning) == (0, 0, (), None)


# Other events


def test_steps_and_excluded_events_are_no_signals() -> None:
    people = crowd(a=(40, "A@0 X@1 C@2 B@9"), b=(40, "A@0 Y@1"))
    funnel = asked("A C? B", WINDOW, exclusions=(excluding("Z", 1, 3),))
    found = of(people, funnel=funnel, events=True, steps=(1, 3))
    assert {one.value for one in found.signals} == {"X", "Y"}


def test_what_happens_with_or_after_the_decision_or_with_the_entry_does_not_count() -> None:
    people = crowd(a=(40, "A@0 tied@0 X@5 B@9 tie@9 late@10"), b=(40, "A@0 X@2000"), c=(30, "A@0 X@5"))
    found = of(people, events=True)
    assert {one.value for one in found.signals} == {"X"}
    x = signal(found, "X")
    # all 40 who converted did it before; of the others only those who did it within the window
    assert (x.with_it, x.converted_with_it) == (70, 40)


def test_event_that_the_flow_forces_on_one_side_is_structural() -> None:
    people = crowd(
        a=(50, "A@0 form@1 help@2 B@9"), b=(50, "A@0 form@1 B@9"), c=(60, "A@0 help@3"), d=(60, "A@0 reject@8")
    )
    found = of(people, events=True)
    structural = {one.value: one.structural for one in found.signals}
    # form: all who converted, none of the others; reject: half of the others, none who converted; help: half and half
    assert structural == {"form": True, "reject": True, "help": False}


def test_shares_far_from_all_and_none_or_alike_are_not_structural() -> None:
    assert not correlation.is_structural(0.0, 0.05)
    assert not correlation.is_structural(0.3, 0.7)
    assert not correlation.is_structural(math.nan, 0.7)
    assert correlation.is_structural(0.005, 0.2)
    assert correlation.is_structural(0.8, 0.995)


def test_pooled_odds_ratio_is_that_of_a_published_table() -> None:
    """Robins, Breslow and Greenland's method on two strata worked by hand."""
    table = np.array([[10.0, 20, 5, 30], [15, 10, 20, 30]])
    found = correlation.pooled(table)
    # along: 10x30/65 + 15x30/75; across: 20x5/65 + 10x20/75
    along, across = 300 / 65 + 450 / 75, 100 / 65 + 200 / 75
    assert found.odds_ratio == approx(along / across)
    same, other = [40 / 65, 45 / 75], [25 / 65, 30 / 75]
    r, s = [300 / 65, 450 / 75], [100 / 65, 200 / 75]
    variance = (
        sum(p * x for p, x in zip(same, r, strict=True)) / (2 * along**2)
        + sum(p * y + q * x for p, q, x, y in zip(same, other, r, s, strict=True)) / (2 * along * across)
        + sum(q * y for q, y in zip(other, s, strict=True)) / (2 * across**2)
    )
    assert found.lower == approx(along / across * math.exp(-1.959964 * math.sqrt(variance)), rel=1e-5)


# What time alone does


def simulated(rng: np.random.Generator, customers: int, effect: float) -> pa.Table:
    """A log in which X comes at a constant rate, and makes converting `effect` times as likely per second."""
    moment_of_x = rng.exponential(WINDOW / 2, customers)
    rate = 1 / WINDOW
    waited = rng.exponential(1 / rate, customers)
    later = waited > moment_of_x
    waited[later] = moment_of_x[later] + (waited[later] - moment_of_x[later]) / effect
    converts, does_x = waited <= WINDOW, moment_of_x < np.minimum(waited, WINDOW)
    ids = np.arange(customers)
    seconds = np.concatenate([np.zeros(customers), waited[converts], moment_of_x[does_x]])
    first = int(START.timestamp())
    return pa.table(
        {
            "customer": np.concatenate([ids, ids[converts], ids[does_x]]),
            "event": pa.array(["A"] * customers + ["B"] * int(converts.sum()) + ["X"] * int(does_x.sum())),
            "at": pa.array(np.round((first + seconds) * 1e6).astype(np.int64), pa.timestamp("us")),
        }
    )


def test_event_without_effect_is_not_taken_for_one_though_those_who_never_decide_do_it_more() -> None:
    rng = np.random.default_rng(3)
    tries, alarms = 60, 0
    for _ in range(tries):
        x = signal(of(simulated(rng, 1_500, 1.0), events=True), "X")
        alarms += x.p_value < 0.05
        # counted plainly it would seem to keep customers from converting
        assert x.share_of_converted < x.share_of_others - 0.2
    assert binomtest(alarms, tries, 0.05, alternative="greater").pvalue > 0.01


@pytest.mark.parametrize("effect", [0.5, 2.0])
def test_event_with_an_effect_is_recovered_within_its_interval(effect: float) -> None:
    x = signal(of(simulated(np.random.default_rng(7), 20_000, effect), events=True), "X")
    assert x.p_benjamini_hochberg < 0.001
    # within an interval, who does it after its start counts as without: a twentieth of the effect is lost, not more
    assert 0.9 < math.log(x.odds_ratio) / math.log(effect) < 1.1
    assert (x.risk_difference > 0) == (effect > 1)


def test_blocks_add_up() -> None:
    table = simulated(np.random.default_rng(5), 600, 2.0)
    funnel = asked("A B", WINDOW)
    bounds = correlation.bounds(outcomes.of(outcomes.rows(table, funnel=funnel), funnel, moment(AS_OF)), 1, 2)
    question = Question(from_step=1, to_step=2, bounds_us=bounds)
    owner = np.asarray(table["customer"])
    halves = [table.filter(pa.array(owner % 2 == half)) for half in (0, 1)]
    rows = [correlation.rows(half, funnel=funnel, question=question, as_of=moment(AS_OF)) for half in halves]
    assert correlation.of(pa.concat_tables(rows)) == of(table, events=True)


@pytest.mark.parametrize("window_from", list(WindowFrom))
def test_undecided_time_ends_with_the_window_of_the_attempt(window_from: WindowFrom) -> None:
    # at B after 900 of 1 000 seconds: X at 950 is in time, Y at 1 500 only if the window begins anew at B
    people = crowd(a=(60, "A@0 B@900 X@950 Y@1500"), b=(60, "A@0 B@900 C@990"))
    found = of(people, funnel=asked("A B C", WINDOW, window_from=window_from), events=True, steps=(2, 3))
    expected = {"X"} if window_from is WindowFrom.FIRST else {"X", "Y"}
    assert {one.value for one in found.signals} == expected
