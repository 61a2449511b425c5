"""Laws of attribution, on random small histories."""

from __future__ import annotations

import math
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.errors import NotEnoughData
from journeys import attribution, touchpoints
from journeys.attribution_models import LAST_NON_DIRECT, Sample
from tests.journeys.test_attribution import Touch, told

TOUCHES = ("email", "search", "branch")
# few instants and few touches: ties, repeats and several conversions of one customer are the rule
touch = st.tuples(st.integers(0, 12), st.sampled_from((*TOUCHES, "BUY")))
people = st.lists(st.lists(touch, max_size=7), min_size=1, max_size=12)
ask = settings(max_examples=60, deadline=None)
EVERY_MODEL = (*attribution.MODELS, LAST_NON_DIRECT)


def question(lookback: float) -> touchpoints.Question:
    return touchpoints.Question(conversion=("BUY",), touch="channel", touches=TOUCHES, lookback_seconds=lookback)


def named(logs: list[list[Touch]]) -> dict[str, list[Touch]]:
    return {f"c{number}": log for number, log in enumerate(logs)}


def answer(logs: list[list[Touch]], lookback: float, **more: Any) -> attribution.AttributionTable | None:
    tallied = touchpoints.tally(told(named(logs)), question(lookback))
    try:
        return attribution.summarise(tallied, resamples=0, **more)
    except NotEnoughData:
        return None


@ask
@given(logs=people, lookback=st.sampled_from([1.0, 4.0, math.inf]))
def test_every_model_gives_out_every_conversion_that_has_a_touch_exactly_once(
    logs: list[list[Touch]], lookback: float
) -> None:
    table = answer(logs, lookback, models=EVERY_MODEL, direct=("branch",))
    if table is not None:
        assert (table.credit >= -1e-12).all()
        assert table.credit.sum(axis=1) == pytest.approx(np.full(len(EVERY_MODEL), table.attributed))
        assert table.conversions == sum(what == "BUY" for log in logs for _, what in log)


@ask
@given(logs=people, lookback=st.sampled_from([1.0, 4.0, math.inf]))
def test_paths_are_those_of_walking_through_the_events_one_by_one(logs: list[list[Touch]], lookback: float) -> None:
    expected = sorted(path for log in logs for path in walked(log, lookback))
    tallied = touchpoints.tally(told(named(logs)), question(lookback))
    sample = Sample.of(tallied)
    found = []
    for path, times in enumerate(sample.paths_of(sample.customers)):
        touches = tuple(TOUCHES[code] for code in sample.code[sample.path == path])
        found += [(touches, int(sample.conversions[path]))] * round(times)
    assert sorted(found) == expected


def walked(log: list[Touch], lookback: float) -> list[tuple[tuple[str, ...], int]]:
    """The paths of one customer, and how many conversions each has, by walking through the events."""
    bought = sorted({at for at, what in log if what == "BUY"})
    paths: dict[Any, list[str]] = {}
    last: dict[Any, float] = {}
    part = 0
    for at, what in sorted((one for one in log if one[1] != "BUY"), key=lambda one: (one[0], TOUCHES.index(one[1]))):
        after = next((then for then in bought if then >= at), None)
        won = after is not None and after - at <= lookback
        if not won and (after, won) in last and at - last[after, won] > lookback:
            part += 1
        last[after, won] = at
        paths.setdefault((after, won, part if not won else 0), []).append(what)
    count = {at: sum(one == (at, "BUY") for one in log) for at in bought}
    return [(tuple(touches), count[after] if won else 0) for (after, won, _), touches in paths.items()]


@ask
@given(logs=people, cut=st.integers(0, 12))
def test_two_halves_of_the_customers_add_up_to_the_whole(logs: list[list[Touch]], cut: int) -> None:
    everybody = named(logs)
    halves = [dict(list(everybody.items())[:cut]), dict(list(everybody.items())[cut:])]
    whole = touchpoints.tally(told(everybody), question(4.0))
    merged = touchpoints.merge([touchpoints.tally(told(half), question(4.0)) for half in halves])
    stored = touchpoints.from_table(touchpoints.as_table(merged), TOUCHES)
    for one in (merged, stored):
        assert one.signature == whole.signature
        assert one.customers.tolist() == whole.customers.tolist()
        assert one.without_touch.tolist() == whole.without_touch.tolist()
        assert one.decay == pytest.approx(whole.decay)


@ask
@given(logs=people)
def test_shapley_is_the_mean_marginal_worth_over_all_orders_of_the_touches(logs: list[list[Touch]]) -> None:
    table = answer(logs, math.inf, models=("shapley",))
    if table is None:
        return
    paths = [(set(path), count) for log in logs for path, count in walked(log, math.inf)]

    def worth(coalition: set[str]) -> int:
        return sum(count for touches, count in paths if touches <= coalition)

    for name, credit in table.of("shapley").items():
        orders = list(permutations(TOUCHES))
        before = [set(order[: order.index(name)]) for order in orders]
        marginal = [worth(coalition | {name}) - worth(coalition) for coalition in before]
        assert credit == pytest.approx(sum(marginal) / len(orders))


@ask
@given(logs=people, order=st.sampled_from([1, 2]))
def test_removal_effect_is_what_the_chain_loses_when_the_touch_leads_nowhere(
    logs: list[list[Touch]], order: int
) -> None:
    model = {1: "markov", 2: "markov_2"}[order]
    table = answer(logs, math.inf, models=(model,))
    if table is None:
        return
    paths = [path for log in logs for path in walked(log, math.inf)]
    base = chance(paths, order, None)
    effects = {name: 1 - chance(paths, order, name) / base for name in table.touches}
    total = sum(effects.values())
    for name, credit in table.of(model).items():
        assert credit == pytest.approx(table.attributed * effects[name] / total)


def chance(paths: list[tuple[tuple[str, ...], int]], order: int, removed: str | None) -> float:
    """What a walker from the start is expected to bring, by adding up 4,000 steps; the removed touch leads nowhere."""
    left: dict[Any, int] = {}
    onward: dict[Any, dict[Any, int]] = {}
    brings: dict[Any, int] = {}
    for touches, count in paths:
        states = [()] + [touches[max(0, place + 1 - order) : place + 1] for place in range(len(touches))]
        for place, state in enumerate(states):
            left[state] = left.get(state, 0) + 1
            if place + 1 < len(states):
                after = onward.setdefault(state, {})
                after[states[place + 1]] = after.get(states[place + 1], 0) + 1
        brings[states[-1]] = brings.get(states[-1], 0) + count
    here, brought = {(): 1.0}, 0.0
    for _ in range(4_000):
        there: dict[Any, float] = {}
        for state, share in here.items():
            brought += share * brings.get(state, 0) / left[state]
            for target, times in onward.get(state, {}).items():
                if target[-1] != removed:
                    there[target] = there.get(target, 0.0) + share * times / left[state]
        here = {state: share for state, share in there.items() if share > 1e-14}
        if not here:
            break
    return brought
