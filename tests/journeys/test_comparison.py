"""Two sides side by side: counts are of customers, chance is told from difference, and nobody is counted as two."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.errors import NotEnoughData, UnknownName
from engine.lake.engine import DuckDBEngine
from engine.numerics.intervals import newcombe
from journeys import comparison, differences, two_sides
from journeys.sides import Groups, Periods, Starts
from journeys.spec import Funnel, Step
from journeys.two_sides import Tally
from tests.journeys import builders

DAY = 86_400
ZERO = round(builders.START.timestamp() * 1_000_000)


def micros(seconds):
    return ZERO + round(seconds * 1_000_000)


def compared(rows, sides, as_of=builders.LATER, **more):
    with DuckDBEngine(threads=1) as engine:
        return comparison.compare(engine, builders.event_log(engine, rows), as_of, sides, **more)


def funnel(*names, window=DAY):
    return Funnel(steps=tuple(Step(name=name, events=(name,)) for name in names), window_seconds=window)


def of(table, *what):
    return next(one for one in table if one.what == what)


WEB_APP = Groups(column="channel", base="web", other="app")


def two_groups():
    """20 customers on the web, 12 of whom go from A to B; 15 in the app, 3 of whom do. One comes by phone."""
    people = {
        "web": {f"w{n:02d}": "A@0 B@60" if n < 12 else "A@0 C@30" for n in range(20)},
        "app": {f"p{n:02d}": "A@0 B@60" if n < 3 else "A@0 C@30" for n in range(15)},
        "phone": {"x": "A@0 B@9"},
    }
    return [row for channel, told in people.items() for row in builders.event_rows(told, channel=channel)]


def test_shares_are_of_the_customers_of_each_group():
    found = compared(two_groups(), WEB_APP)
    assert (found.base, found.other) == ("web", "app")
    assert (found.base_customers, found.other_customers, found.shared) == (20, 15, 0)
    edge = of(found.transitions, "A", "B")
    assert (edge.base_count, edge.base_of, edge.other_count, edge.other_of) == (12, 20, 3, 15)
    assert (edge.base, edge.other, edge.difference) == (0.6, 0.2, pytest.approx(-0.4))
    interval = newcombe(3, 15, 12, 20)
    assert (edge.lower, edge.upper) == (pytest.approx(interval.lower), pytest.approx(interval.upper))
    assert edge.p_value == pytest.approx(differences.p_value(3, 15, 12, 20)[0])
    path = of(found.variants, "A", "C")
    assert (path.base_count, path.other_count) == (8, 12)


def test_all_start_with_a_and_half_of_nothing_is_said():
    found = compared(two_groups(), WEB_APP)
    start = of(found.transitions, "(start)", "A")
    assert (start.base, start.other, start.difference, start.p_value) == (1.0, 1.0, 0.0, 1.0)
    assert found.steps is None
    assert found.steps_reason == "no steps were named"
    assert found.types_reason == "types were not asked for"
    assert (found.transitions_seen, found.variants_seen) == (5, 2)


def test_one_group_is_compared_with_all_others():
    found = compared(two_groups(), Groups(column="channel", base="app", other=None))
    assert (found.other, found.base_customers, found.other_customers) == ("all but app", 15, 21)
    # 12 on the web and the one by phone
    assert of(found.transitions, "A", "B").other_count == 13


def test_p_values_are_adjusted_for_every_comparison_that_was_made():
    found = compared(two_groups(), WEB_APP, funnel=funnel("A", "B"))
    every = [*found.steps, *found.transitions, *found.variants, *found.durations]
    p_values = sorted(one.p_value for one in every if one.p_value is not None)
    assert found.compared == len(p_values)
    smallest = min((one for one in every if one.p_adjusted is not None), key=lambda one: one.p_value)
    # the smallest of m p-values times m over its rank, at most as large as any later one
    expected = min(p * len(p_values) / rank for rank, p in enumerate(p_values, start=1))
    assert smallest.p_adjusted == pytest.approx(min(expected, 1.0))
    assert found.transitions[0].p_adjusted <= found.transitions[-1].p_adjusted


def test_steps_go_on_as_the_funnel_of_each_group_says():
    found = compared(two_groups(), WEB_APP, funnel=funnel("A", "B"))
    step = of(found.steps, "A", "B")
    assert (step.base_count, step.base_of, step.other_count, step.other_of) == (12, 20, 3, 15)
    took = of(found.durations, "seconds from first to last step")
    assert (took.base, took.other, took.base_of, took.other_of) == (60.0, 60.0, 12, 3)


def test_an_attempt_whose_window_is_still_open_is_not_compared():
    rows = [
        *builders.event_rows({f"w{n:02d}": f"A@{n * DAY} B@{n * DAY + 60}" for n in range(10)}, channel="web"),
        *builders.event_rows({f"p{n:02d}": f"A@{n * DAY}" for n in range(10)}, channel="app"),
    ]
    # windows of two days: of those who began on days 0 to 9, all up to day 7 have had theirs by day 9
    found = compared(rows, WEB_APP, builders.moment(9 * DAY), funnel=funnel("A", "B", window=2 * DAY))
    step = of(found.steps, "A", "B")
    assert (step.base_count, step.base_of, step.other_count, step.other_of) == (8, 8, 0, 8)


PERIODS = Periods(begin=micros(0), cut=micros(100), end=micros(200), names=("before", "from"))


def crossing():
    """Ten customers only before, ten only after, ten on both sides of second 100."""
    people = {
        **{f"b{n}": "A@10 B@20" for n in range(10)},
        **{f"a{n}": "A@110 B@120" for n in range(10)},
        **{f"x{n}": "A@90 C@95 B@110" for n in range(10)},
    }
    return builders.event_rows(people)


def test_a_customer_in_both_periods_counts_in_each_and_is_told_of():
    found = compared(crossing(), PERIODS)
    assert (found.base_customers, found.other_customers, found.shared) == (20, 20, 10)
    assert "10 customers are in both periods" in found.notes[0]
    onward = of(found.transitions, "A", "B")
    assert (onward.base_count, onward.base_of, onward.other_count, onward.other_of) == (10, 20, 10, 20)


def test_periods_cut_paths_so_that_neither_their_ends_nor_their_length_nor_variants_are_compared():
    found = compared(crossing(), PERIODS)
    # from C before second 100 to B after it is a transition of neither
    assert {one.what for one in found.transitions} == {("A", "B"), ("A", "C")}
    assert (found.variants, found.variants_seen) == (None, 0)
    assert "compare journeys by when they began" in found.variants_reason
    assert [one.what for one in found.durations] == [("events of a customer",)]


def test_an_attempt_belongs_to_the_period_in_which_it_began():
    found = compared(crossing(), PERIODS, funnel=funnel("A", "B"))
    step = of(found.steps, "A", "B")
    # those who cross began before and went on after
    assert (step.base_count, step.base_of, step.other_count, step.other_of) == (20, 20, 10, 10)


def test_journeys_by_their_start_are_followed_for_the_same_time_and_nobody_is_on_both_sides():
    people = {
        **{f"b{n:02d}": "A@10 B@40 C@90" for n in range(12)},
        **{f"a{n:02d}": "A@110 B@150 C@300" for n in range(12)},
    }
    sides = Starts(begin=micros(0), cut=micros(100), end=micros(200), follow=80_000_000, names=("early", "late"))
    found = compared(builders.event_rows(people), sides)
    assert (found.base_customers, found.other_customers, found.shared) == (12, 12, 0)
    # C comes 80 seconds after A at the first, at the edge, and 190 at the others
    assert {one.what: (one.base_count, one.other_count) for one in found.variants} == {
        ("A", "B", "C"): (12, 0),
        ("A", "B"): (0, 12),
    }
    edges = {one.what: (one.base_count, one.other_count) for one in found.transitions}
    assert (edges["C", "(end)"], edges["B", "(end)"]) == ((12, 0), (0, 12))


LOGS = st.dictionaries(
    st.sampled_from([f"c{n}" for n in range(9)]),
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from("ABC")), min_size=1, max_size=7),
    min_size=2,
)


@given(log=LOGS, mixed=st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=40)
def test_transitions_of_periods_are_those_counted_one_by_one(log, mixed, monkeypatch_module):
    monkeypatch_module.setattr(comparison, "FEWEST", 0)
    events = [(customer, float(second), name) for customer, told in log.items() for second, name in told]
    if not (any(s < 15 for _, s, _ in events) and any(s >= 15 for _, s, _ in events)):
        return
    rows = builders.event_rows({customer: [(float(s), name) for s, name in told] for customer, told in log.items()})
    mixed.shuffle(rows)
    sides = Periods(begin=micros(0), cut=micros(15), end=micros(31), names=("before", "from"))
    found = compared(rows, sides)
    counted: dict[tuple[str, str], list[set[str]]] = {}
    for customer in log:
        # events of one instant in the order of their names
        path = sorted((s, name) for c, s, name in events if c == customer)
        for (since, before), (then, after) in pairwise(path):
            if (since < 15) == (then < 15):
                counted.setdefault((before, after), [set(), set()])[since >= 15].add(customer)
    assert {one.what: (one.base_count, one.other_count) for one in found.transitions} == {
        edge: (len(base), len(other)) for edge, (base, other) in counted.items()
    }


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def test_the_order_of_rows_and_the_cut_into_blocks_change_nothing(monkeypatch):
    rows = [*two_groups(), *crossing()]
    whole = compared(rows, Groups(column="channel", base="web", other=None), funnel=funnel("A", "B"))
    monkeypatch.setattr("journeys.event_log.EVENTS_PER_BLOCK", 25)
    shuffled = [rows[place] for place in np.random.default_rng(0).permutation(len(rows))]
    assert compared(shuffled, Groups(column="channel", base="web", other=None), funnel=funnel("A", "B")) == whole


TALLIES = st.tuples(*[st.integers(0, 40)] * 6).map(
    lambda n: Tally(base=n[0], base_of=n[0] + n[1], other=n[2], other_of=n[2] + n[3])
)


@given(tally=TALLIES)
def test_swapped_sides_give_the_mirror_image(tally):
    swapped = Tally(base=tally.other, base_of=tally.other_of, other=tally.base, other_of=tally.base_of)
    one, two = two_sides.of_shares(("x",), tally), two_sides.of_shares(("x",), swapped)
    assert one.p_value == (None if two.p_value is None else pytest.approx(two.p_value))
    if one.difference is not None:
        assert one.difference == pytest.approx(-two.difference)
        assert (one.lower, one.upper) == (pytest.approx(-two.upper), pytest.approx(-two.lower))


def on_both_sides(rng, size, base_rate, other_rate, together):
    """A tally of customers of whom two in three are on both sides, where what they do goes together."""
    on_base, on_other = np.arange(size) < size * 5 // 6, np.arange(size) >= size // 6
    lean = rng.random(size)
    alike = rng.random(size) < together
    base = on_base & (lean < base_rate)
    other = on_other & (np.where(alike, lean, rng.random(size)) < other_rate)
    shared = on_base & on_other
    return Tally(
        base=int(base.sum()), base_of=int(on_base.sum()), other=int(other.sum()), other_of=int(on_other.sum()),
        shared=int(shared.sum()), shared_base=int((base & shared).sum()), shared_other=int((other & shared).sum()),
        shared_both=int((base & other & shared).sum()),
    )  # fmt: skip


def test_customers_on_both_sides_make_intervals_narrower_and_they_still_cover():
    rng = np.random.default_rng(11)
    covered, alarms, narrower = 0, 0, 0
    for _ in range(1_500):
        one = two_sides.of_shares(("x",), on_both_sides(rng, 300, 0.30, 0.38, 0.8))
        apart = two_sides.of_shares(("x",), on_both_sides(rng, 300, 0.30, 0.38, 0.0))
        covered += one.lower <= 0.08 <= one.upper
        narrower += one.upper - one.lower < 0.8 * (apart.upper - apart.lower)
        same = two_sides.of_shares(("x",), on_both_sides(rng, 300, 0.30, 0.30, 0.8))
        alarms += same.p_value < 0.05
    # 1,500 draws: 95 % and 5 % with a standard error of 0.6 %
    assert covered / 1_500 == pytest.approx(0.95, abs=0.02)
    assert alarms / 1_500 == pytest.approx(0.05, abs=0.02)
    assert narrower > 1_400


def test_of_few_customers_on_both_sides_no_test_is_made():
    found = two_sides.of_shares(
        ("x",), Tally(base=2, base_of=50, other=5, other_of=50, shared=50, shared_base=2, shared_other=5, shared_both=2)
    )
    assert found.p_value is None
    assert found.reason == "fewer than 10, and some of them are on both sides"
    assert found.lower is not None


def test_the_same_customers_doing_the_same_leave_nothing_to_test():
    tally = Tally(
        base=20, base_of=50, other=20, other_of=50, shared=50, shared_base=20, shared_other=20, shared_both=20
    )
    found = two_sides.of_shares(("x",), tally)
    assert (found.difference, found.p_value) == (0.0, 1.0)
    # of 50 and 50 different customers it would be 0.19 either way
    assert -0.02 < found.lower <= 0 <= found.upper < 0.02


def test_the_interval_of_a_median_lies_between_two_ranks():
    # of ten values the chance that fewer than two lie below the median is 11 / 1,024: ranks 2 and 9
    interval = two_sides.median_interval(np.arange(1.0, 11.0))
    assert (interval.lower, interval.upper) == (2.0, 9.0)
    # of five, even all of them leave 2 / 32: nothing can be excluded
    assert two_sides.median_interval(np.arange(1.0, 6.0)).upper == 5.0


def test_medians_of_two_groups_have_a_rank_test_and_those_of_the_same_customers_do_not():
    rng = np.random.default_rng(2)
    left, right = rng.exponential(10, 400), rng.exponential(14, 400)
    nothing = np.full(400, math.nan)
    apart = two_sides.of_medians(("x",), np.append(left, nothing), np.append(nothing, right))
    assert apart.lower < 14 * math.log(2) - 10 * math.log(2) < apart.upper
    assert apart.p_value < 0.01
    same = two_sides.of_medians(("x",), left, left + rng.normal(2, 0.1, 400))
    assert (same.p_value, same.lower > 0.5, same.upper < 4) == (None, True, True)
    assert "rank test" in same.reason
    independent = two_sides.of_medians(("x",), np.append(left, nothing), np.append(nothing, left + 2))
    assert same.upper - same.lower < 0.5 * (independent.upper - independent.lower)


def test_two_random_halves_hardly_ever_differ():
    rng = np.random.default_rng(5)
    people = {
        f"c{n:03d}": [(float(s), str(name)) for s, name in enumerate(rng.choice(list("ABCD"), int(rng.integers(2, 7))))]
        for n in range(600)
    }
    rows = builders.event_rows(people)
    half = {customer: ("web", "app")[int(rng.integers(0, 2))] for customer in people}
    found = compared([{**row, "channel": half[row["customer_id"]]} for row in rows], WEB_APP)
    every = [*found.transitions, *found.variants, *found.durations]
    assert found.compared > 30
    assert [one.what for one in every if one.p_adjusted is not None and one.p_adjusted < 0.05] == []


def test_a_changed_mix_of_types_is_found():
    rng = np.random.default_rng(6)
    ways = {"straight": "view apply sign", "round": "view apply error apply error apply", "look": "home view"}
    rows = []
    for channel, shares in (("web", (0.5, 0.2, 0.3)), ("app", (0.2, 0.5, 0.3))):
        for number, way in enumerate(rng.choice(list(ways), 200, p=shares)):
            steps = [(float(s * 60 + rng.integers(0, 50)), name) for s, name in enumerate(ways[way].split())]
            rows += builders.event_rows({f"{channel}{number}": steps}, channel=channel)
    found = compared(rows, WEB_APP, with_types=True)
    assert len(found.types) == 3
    assert sum(one.base_count for one in found.types) == 200
    looks = min(found.types, key=lambda one: abs(one.difference))
    changed = [one for one in found.types if one is not looks]
    assert all(one.p_adjusted < 0.001 for one in changed)
    assert looks.p_adjusted > 0.05


def test_a_customer_of_both_periods_has_a_type_in_each():
    people = {f"x{n:03d}": "A@1 B@2 C@3 D@101 E@102 F@103" for n in range(60)}
    people |= {f"y{n:03d}": "A@1 B@2 C@3" for n in range(30)} | {f"z{n:03d}": "G@150 H@190" for n in range(30)}
    found = compared(builders.event_rows(people), PERIODS, with_types=True)
    # x before and y walk A to C, x after walks D to F, z walks G to H
    assert (found.base_customers, found.other_customers, found.shared) == (90, 90, 60)
    assert {(one.base_count, one.other_count) for one in found.types} == {(90, 0), (0, 60), (0, 30)}


def test_a_group_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(UnknownName, match="tablet") as refusal:
        compared(two_groups(), replace(WEB_APP, other="tablet"))
    assert "app" in str(refusal.value)


def test_a_period_without_anybody_is_refused():
    with pytest.raises(NotEnoughData, match="nobody is on the side"):
        compared(crossing(), replace(PERIODS, cut=micros(190)))
