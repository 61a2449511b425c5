"""How long steps take: exact percentiles, and what those still on the way must not hide."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx

from journeys import conversion_times, outcomes
from journeys.conversion_times import ConversionTime, Expected
from journeys.outcomes import Outcomes
from journeys.spec import Funnel, WindowFrom
from tests.journeys.builders import START, asked, block, moment

DAY = 86_400


def of(people: dict[str, str], funnel: Funnel, as_of: float = 10**6) -> Outcomes:
    return outcomes.of(outcomes.rows(block(people), funnel=funnel), funnel, moment(as_of))


def step_to_next(people: dict[str, str], window: float = 600, as_of: float = 10**6) -> ConversionTime:
    return conversion_times.between_steps(of(people, asked("A B", window), as_of))[0]


def test_percentiles_are_exact() -> None:
    people = {f"c{n}": f"A@0 B@{n}" for n in range(0, 101)}
    # 0 to 100 seconds: the p-th percentile is p
    assert step_to_next(people).percentiles == {25: 25, 50: 50, 75: 75, 90: 90, 95: 95}


def test_times_to_convert_of_published_case_fall_into_the_published_bins() -> None:
    """PostHog conversion_time_cases.py: 360 and 60 seconds, average 210, bins from 60, 210 and 360."""
    found = step_to_next({"ann": "A@0 A@2040 B@2400", "bob": "A@0 B@60"})
    assert found.mean_seconds == 210
    assert [(one.from_seconds, one.count) for one in found.bins] == [(60, 1), (210, 0), (360, 1)]


def test_one_time_or_equal_times_are_one_bin_and_none_is_none() -> None:
    assert [(one.from_seconds, one.count) for one in step_to_next({"a": "A@0 B@5", "b": "A@0 B@5"}).bins] == [(5, 2)]
    empty = step_to_next({"a": "A@0"})
    assert (empty.bins, empty.percentiles, empty.mean_seconds) == ((), {}, None)


@settings(deadline=None, max_examples=60)
@given(seconds=st.lists(st.integers(0, 10**6), min_size=1, max_size=300))
def test_bins_hold_every_time_once_and_are_of_one_width(seconds: list[int]) -> None:
    bins = conversion_times.histogram(np.array(seconds, dtype=float))
    assert sum(one.count for one in bins) == len(seconds)
    assert bins[0].from_seconds <= min(seconds) and bins[-1].count > 0
    assert len({round(b.from_seconds - a.from_seconds) for a, b in pairwise(bins)}) <= 1


def test_times_are_from_step_to_step_and_then_from_first_to_last() -> None:
    found = conversion_times.between_steps(of({"a": "A@0 B@10 C@30"}, asked("A B C", 600)))
    assert [(one.from_name, one.to_name, one.percentiles[50]) for one in found] == [
        ("step_1", "step_2", 10),
        ("step_2", "step_3", 20),
        ("step_1", "step_3", 30),
    ]


def test_optional_step_is_stepped_over() -> None:
    found = conversion_times.between_steps(of({"a": "A@0 B@10 C@30"}, asked("A B? C", 600)))
    assert [(one.from_step, one.to_step) for one in found] == [(1, 3)]


# Those still on the way


def expected(people: dict[str, str], window: float, as_of: float) -> Expected:
    return step_to_next(people, window, as_of).expected


def test_whoever_is_still_on_the_way_was_watched_only_until_the_date() -> None:
    # window 100, as of 120. a: converts after 10. b: ran out. c: entered at 60, open, watched for 60.
    # d: entered at 20, open (20 + 100 = 120: the edge), converts after 80
    found = expected({"a": "A@0 B@10", "b": "A@0", "c": "A@60", "d": "A@20 B@100"}, 100, 120)
    # after 10: 3 of 4 left; after 80: two are watched, one goes: 3/4 x 1/2 = 3/8
    assert found.share == approx(1 - 3 / 8)
    assert (found.naive_share, found.mature_share) == (2 / 4, 1 / 2)
    assert (found.watched, found.still_open) == (4, 1)
    assert found.median_seconds == 80


def test_with_nobody_on_the_way_the_share_is_the_plain_one() -> None:
    found = expected({"a": "A@0 B@10", "b": "A@0", "c": "A@60"}, 100, 1_000)
    assert found.share == approx(found.naive_share) == approx(1 / 3)
    assert found.mature_share == approx(1 / 3)


def test_median_that_is_not_reached_is_none_with_the_reason() -> None:
    found = expected({"a": "A@0 B@10", "b": "A@0", "c": "A@60"}, 100, 1_000)
    assert found.median_seconds is None
    assert found.median_reason == "only 33.3% go on within the window, fewer than half"


def test_share_within_the_window_is_none_while_nobody_was_watched_that_long() -> None:
    found = expected({"a": "A@0", "b": "A@5"}, 100, 50)
    assert (found.share, found.naive_share, found.mature_share) == (None, 0, None)
    assert found.share_reason == "nobody was watched for the whole window yet"


def test_step_that_nobody_reached_has_no_share() -> None:
    found = expected({"a": "B@0"}, 100, 50)
    assert (found.share, found.naive_share, found.share_reason) == (None, None, "nobody reached the step before")


def test_wait_of_whoever_came_back_runs_from_the_latest_entry() -> None:
    # both converted, or not yet, from their second entry: watched for 10 and, as of 120, for 20 seconds
    watch = conversion_times.watched(of({"a": "A@0 A@100 B@110", "b": "A@0 A@100"}, asked("A B", 500), 120), 1, 2)
    assert sorted(watch.seconds.tolist()) == [10, 20]


def test_nothing_is_known_of_the_wait_when_another_attempt_is_the_open_one() -> None:
    # the attempt that counts stopped at B and ran out at 100; the open one is at A
    found = of({"a": "A@0 B@10 A@150"}, asked("A B C", 100), 200)
    watch = conversion_times.watched(found, 2, 3)
    assert (watch.seconds.tolist(), watch.still_open.tolist()) == ([0], [True])


events = st.tuples(st.sampled_from(["A", "B", "C"]), st.integers(0, 300)).map(lambda told: f"{told[0]}@{told[1]}")
logs = st.dictionaries(
    st.sampled_from([f"c{n}" for n in range(8)]), st.lists(events, min_size=1, max_size=8).map(" ".join), min_size=1
)


@settings(deadline=None, max_examples=80)
@given(people=logs, window_from=st.sampled_from(WindowFrom))
def test_once_every_window_is_over_the_estimate_is_the_count(people: dict[str, str], window_from: WindowFrom) -> None:
    found = of(people, asked("A B C", 60, window_from=window_from), 10_000)
    counted = outcomes.counts(found)
    for time in conversion_times.between_steps(found)[:2]:
        share = counted[time.to_step - 1].share_of_previous
        assert time.expected.share == (None if share is None else approx(share))


@settings(deadline=None, max_examples=80)
@given(people=logs, window_from=st.sampled_from(WindowFrom), as_of=st.integers(0, 300))
def test_accounting_for_those_on_the_way_never_lowers_the_share(
    people: dict[str, str], window_from: WindowFrom, as_of: int
) -> None:
    told = {who: " ".join(word for word in words.split() if int(word[2:]) <= as_of) for who, words in people.items()}
    known = {who: words for who, words in told.items() if words}
    found = of(known, asked("A B C", 60, window_from=window_from), as_of) if known else None
    for time in conversion_times.between_steps(found) if found is not None else ():
        assert time.expected.share is None or time.expected.share >= time.expected.naive_share - 1e-9


def test_naive_share_understates_where_the_estimate_recovers_the_truth() -> None:
    """Half of the entrants of a log are still within their window; 23 % convert within it, evenly over its 14 days."""
    rng = np.random.default_rng(11)
    n, truth, window, cut = 30_000, 0.23, 14 * DAY, 28 * DAY
    entered = rng.uniform(0, cut, n)
    waits = np.where(rng.random(n) < truth, rng.uniform(0, window, n), np.inf)
    happened = np.flatnonzero(entered + waits <= cut)
    ids = np.concatenate([np.arange(n), happened])
    seconds = np.concatenate([entered, (entered + waits)[happened]])
    first = int(START.timestamp())
    table = pa.table(
        {
            "customer": ids,
            "event": pa.array(["A"] * n + ["B"] * len(happened)),
            "at": pa.array(np.round((first + seconds) * 1e6).astype(np.int64), pa.timestamp("us")),
        }
    )
    funnel = asked("A B", window)
    found = conversion_times.expected(outcomes.of(outcomes.rows(table, funnel=funnel), funnel, moment(cut)), 1, 2)
    assert found.still_open > 0.4 * n
    # on average half a window short for half of the entrants: 0.23 x 3/4 = 0.1725
    assert found.naive_share == approx(0.1725, abs=0.01)
    assert found.mature_share == approx(truth, abs=0.015)
    assert found.lower < truth < found.upper
    assert found.upper - found.lower < 0.02
