"""Drop-offs on small logs, each number checked by eye."""

import math

import numpy as np
from pytest import approx

from journeys import drop_off_study, drop_offs, signals, stays
from journeys.drop_offs import DropOff
from journeys.histories import Coded
from journeys.spec import Funnel
from journeys.value import Worth
from tests.journeys.builders import asked
from tests.journeys.drop_off_builders import observer, watched

FUNNEL = asked("A B C", 100)


def at_steps(people: dict[str, str], today: float = 1_000, funnel: Funnel = FUNNEL) -> dict[int, DropOff]:
    seen = observer(funnel, today)
    counted = stays.view(watched(people, seen), stays.COUNTED)
    found = drop_offs.summarise(counted, None, {}, stays.transitions(funnel), seed=1)
    return {one.step: one for one in found}


def test_everyone_at_a_step_goes_on_drops_off_or_is_in_progress() -> None:
    found = at_steps({"ann": "A@0 B@10 C@20", "bob": "A@0 B@10", "cyd": "A@0", "dan": "A@950", "eve": "A@0 B@10"})
    assert [(found[1].reached, found[1].went_on, found[1].dropped, found[1].in_progress)] == [(5, 3, 1, 1)]
    assert [(found[2].reached, found[2].went_on, found[2].dropped, found[2].in_progress)] == [(3, 1, 2, 0)]


def test_the_rate_leaves_out_whoever_still_has_time_and_whoever_was_quick_among_them() -> None:
    # dan and eve entered at 950: eve has gone on already, but to count her and not dan would flatter the step
    found = at_steps({"ann": "A@0 B@10", "cyd": "A@0", "dan": "A@950", "eve": "A@950 B@960"})
    assert found[1].settled == 2
    assert found[1].rate == approx(1 / 2)
    assert found[1].rate in found[1].rate_interval


def test_where_and_when_they_were_last_seen_and_what_came_next() -> None:
    # bob: at the step in the app, last seen within the window at 60, back at 500 in the branch.
    # cyd: the same step on the web, nothing more.
    people = {"bob": "A:app@0 login@60 login:branch@500", "cyd": "A:web@0", "dan": "A:app@0 login:web@5"}
    found = at_steps(people)[1]
    assert {part.value: part.customers for part in found.left_from} == {"app": 2, "web": 1}
    assert found.left_from[0].share == approx(2 / 3)
    assert {part.value: part.customers for part in found.next_events} == {"login": 2, "nothing": 1}
    assert {part.value: part.customers for part in found.next_channels} == {"branch": 1, "web": 1, "nothing": 1}
    assert found.last_seen.seconds == approx(5)  # of 60, 0 and 5
    assert found.came_back.seconds == approx((60 + 5) / 2)  # of 60 and 5


def test_events_at_the_instant_of_the_step_are_not_what_came_next() -> None:
    found = at_steps({"bob": "A@0 login@0 B:x@0", "cyd": "A@0 login@0"})
    assert [part.value for part in found[1].next_events] == ["nothing"]


def test_a_step_that_nobody_left_or_nobody_reached_is_listed_with_nothing_made_up() -> None:
    found = at_steps({"ann": "A@0"})
    assert (found[2].reached, found[2].dropped) == (0, 0)
    assert math.isnan(found[2].rate)
    assert math.isnan(found[2].last_seen.seconds)
    assert found[2].left_from == ()


def test_optional_steps_are_left_from_the_required_step_before() -> None:
    found = at_steps({"ann": "A@0 B@10", "bob": "A@0 C@20"}, funnel=asked("A B? C", 100))
    assert list(found) == [1]
    assert (found[1].next_step, found[1].went_on, found[1].dropped) == (3, 1, 1)


def test_whoever_dropped_off_would_have_completed_as_often_as_those_who_went_on() -> None:
    # of 400 who went on from A, half went on to C: of the 200 who stayed at A 100 would have completed
    people = {f"c{n}": "A@0 B@1 C@2" for n in range(200)} | {f"d{n}": "A@0 B@1" for n in range(200)}
    found = at_steps(people | {f"s{n}": "A@0" for n in range(200)})[1]
    assert found.stake.converters == approx(100, rel=0.02)
    assert found.stake.net_minor is None  # the log knows no money
    assert found.stake.reason is not None


def test_steps_are_ranked_by_what_is_at_stake_net_not_by_how_many_leave() -> None:
    # 100 leave step 1 worth nothing each; 20 leave step 2 worth 1 000 each
    people = {f"a{n}": "A@0" for n in range(100)} | {f"b{n}": "A@0 B@1" for n in range(20)}
    people |= {f"c{n}": "A@0 B@1 C@2" for n in range(100)}
    counted = stays.view(watched(people, observer(FUNNEL, 1_000)), stays.COUNTED)
    n = len(counted)
    rich = counted.step == 2
    worths = Worth(margin=np.where(rich, 1_000.0, 0.0), loss=np.zeros(n), risk=np.full(n, 0.1))
    found = drop_offs.summarise(counted, worths, {}, stays.transitions(FUNNEL), seed=1)
    assert [one.step for one in found] == [2, 1]
    assert found[0].stake.net_minor == approx(20 * 1_000, rel=0.05)


def test_groups_are_told_apart_and_an_unknown_group_is_named_so() -> None:
    people = {"ann": "A@0 B@1", "bob": "A@0", "cyd": "A@0"}
    counted = stays.view(watched(people, observer(FUNNEL, 1_000)), stays.COUNTED)
    group = {"ann": 0, "bob": 0, "cyd": -1}
    codes = np.array([group[counted.ids[int(who)].as_py()] for who in counted.customer], dtype=np.int32)
    found = drop_offs.summarise(
        counted, None, {"tier": Coded(codes=codes, values=("low",))}, stays.transitions(FUNNEL), seed=1
    )
    told = {(one.breakdown, one.group, one.step): (one.reached, one.dropped) for one in found}
    assert told["tier", "low", 1] == (2, 1)
    assert told["tier", "unknown", 1] == (1, 1)
    assert ("tier", "unknown", 2) not in told


def test_the_interval_of_a_median_is_that_of_the_order_of_the_values() -> None:
    # of 10 values the 2nd and the 9th hold the median at 97.9 %: the narrowest ends that hold it at 95 %
    found = drop_offs.median(np.arange(1.0, 11.0))
    assert (found.seconds, found.interval.lower, found.interval.upper) == (5.5, 2.0, 9.0)


def test_open_journeys_are_where_the_open_attempt_stands() -> None:
    # at 1 000: ann's first attempt got to B and ran out; her second, from 950, is open and stands at A
    people = {"ann": "A@0 B@10 A@950", "bob": "A@960 B@970", "cyd": "A@0", "dan": "A@990 B@991 C@992"}
    seen = observer(FUNNEL, 1_000)
    live = stays.view(watched(people, seen), stays.LIVE)
    told = {live.ids[int(who)].as_py(): int(step) for who, step in zip(live.customer, live.step, strict=True)}
    assert told == {"ann": 1, "bob": 2}


def test_a_study_of_few_customers_says_what_it_cannot_say() -> None:
    people = {"ann": "A@0 B@10", "bob": "A@980 error_shown@990"}
    seen = observer(FUNNEL, 1_000)
    found = drop_off_study.study(watched(people, seen), seen, drop_off_study.Groups(), None, seed=1)
    assert isinstance(found.trial, str)
    assert found.open_journeys.method == drop_off_study.CURVE
    assert found.open_journeys.met == ("error_shown",)
    assert found.what_ifs["channel"] == {}
    assert all(not effect.harmful for effect in found.frictions)


def test_a_log_without_any_entry_gives_an_empty_study() -> None:
    seen = observer(FUNNEL, 1_000)
    for people in ({}, {"ann": "login@0"}):
        found = drop_off_study.study(watched(people, seen), seen, drop_off_study.Groups(), None, seed=1)
        assert [one.reached for one in found.drop_offs] == [0, 0]
        assert found.frictions == ()
        assert found.hazards == ()
        assert len(found.open_journeys.stays) == 0


def test_silence_is_a_tenth_of_the_window_unless_it_is_set() -> None:
    assert signals.silence_seconds(asked("A B", 30)) == 3
