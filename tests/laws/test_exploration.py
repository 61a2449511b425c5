"""What holds of every draw: chances add up, draws come as often as they say, the control group stays the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.config.exploration import ExplorationPolicy
from engine.recommendations import explore, thompson
from engine.recommendations.draws import Draws
from engine.recommendations.explore import Candidates, Chosen, Evidence
from tests.engine.recommendations import builders

PRODUCTS = ("account", "card", "fund", "loan", "pension")
DRAWN = 20_000
POSITIVES = np.array([0.0, 3.0, 60.0, 200.0, 4000.0])


def _policy(**flags: Any) -> ExplorationPolicy:
    return builders.settings({"exploration": flags}).exploration


def _candidates(customers: int, propensity: list[float], gain: list[float], is_open: list[bool]) -> Candidates:
    """Return as many customers, all alike: each is a draw of its own."""
    shape = (customers, len(propensity))
    chances, gains = np.broadcast_to(np.array(propensity), shape), np.broadcast_to(np.array(gain), shape)
    return Candidates(
        customer_ids=pa.array([f"C{number:06d}" for number in range(customers)]),
        propensity=chances,
        worth=chances * gains - 5.0,
        slope=gains,
        open=np.broadcast_to(np.array(is_open), shape),
    )


def _choose(offered: Candidates, policy: ExplorationPolicy, seed: int = 1, top_n: int = 3) -> Chosen:
    evidence = Evidence(seed=seed, cases=np.full(len(PRODUCTS), 5000.0), positives=POSITIVES)
    return explore.choose(offered, policy, evidence, product_ids=PRODUCTS, as_of=builders.AS_OF, top_n=top_n)


_alike = st.fixed_dictionaries(
    {
        "propensity": st.lists(st.floats(0.005, 0.4), min_size=5, max_size=5),
        "gain": st.lists(st.floats(3000, 9000), min_size=5, max_size=5),
        "is_open": st.lists(st.booleans(), min_size=5, max_size=5).filter(any),
    }
)
_policies = st.one_of(
    st.builds(lambda e: _policy(strategy="epsilon_greedy", epsilon=e), st.floats(0.05, 1)),
    st.builds(lambda t: _policy(strategy="softmax", temperature=t), st.floats(0.05, 3)),
    st.builds(lambda s: _policy(strategy="thompson", thompson={"share_at_start": s}), st.floats(0.02, 1)),
    st.just(_policy(control={"share": 0.999999, "serves": "random"})),
)


@given(alike=_alike, policy=_policies)
@settings(max_examples=25, deadline=None)
def test_first_offers_come_as_often_as_their_logged_chances_say(alike: Any, policy: ExplorationPolicy) -> None:
    chosen = _choose(_candidates(DRAWN, **alike), policy)
    told = 0.0
    for product in range(len(PRODUCTS)):
        first = chosen.rank[:, product] == 1
        if not first.any():
            continue
        (chance,) = set(chosen.chance[first, product].tolist())
        told += chance
        # six standard errors: a chance in a hundred million for each of these comparisons
        assert abs(first.mean() - chance) <= 6 * np.sqrt(chance * (1 - chance) / DRAWN) + 1e-6
    # what never came in so many draws has next to no chance
    assert told == pytest.approx(1, abs=0.005)


@given(alike=_alike, policy=_policies)
@settings(max_examples=15, deadline=None)
def test_second_offers_come_as_often_as_told_given_the_first(alike: Any, policy: ExplorationPolicy) -> None:
    chosen = _choose(_candidates(DRAWN, **alike), policy)
    for first in range(len(PRODUCTS)):
        below = chosen.rank[:, first] == 1
        for second in range(len(PRODUCTS)):
            both = below & (chosen.rank[:, second] == 2)
            if not both.any():
                continue
            chances = chosen.chance[both, second]
            if policy.strategy == "thompson":
                assert np.isnan(chances).all()
                continue
            (chance,) = set(chances.tolist())
            share, error = both.sum() / below.sum(), np.sqrt(chance * (1 - chance) / below.sum())
            assert abs(share - chance) <= 6 * error + 1e-6


@given(
    alike=_alike,
    cases=st.lists(st.sampled_from([1.0, 30.0, 400.0, 5000.0, 50_000.0]), min_size=5, max_size=5),
    enters=st.lists(st.sampled_from([0.02, 0.4, 1.0]), min_size=5, max_size=5),
)
@example(
    alike={
        "propensity": [0.25, 0.375, 0.25, 0.25, 0.25],
        "gain": [6498.0, 3000.0, 3000.0, 3000.0, 3000.0],
        "is_open": [True, True, False, False, False],
    },
    cases=[1.0, 50000.0, 1.0, 1.0, 1.0],
    enters=[0.4, 0.4, 0.02, 0.02, 0.02],
)
@settings(max_examples=40, deadline=None)
def test_chances_of_thompson_sampling_add_up_over_all_that_is_open(
    alike: Any, cases: list[float], enters: list[float]
) -> None:
    offered = _candidates(1, **alike)
    evidence = Evidence(seed=1, cases=np.array(cases), positives=POSITIVES)
    beliefs = explore.beliefs_of(offered, evidence, np.array(enters))
    rows, products = np.nonzero(offered.open)
    chances = thompson.chance_of_winning(beliefs, rows, products)
    nobody = np.prod(1 - np.array(enters)[offered.open[0]])
    assert chances.sum() + nobody == pytest.approx(1, abs=thompson.STATED_ERROR)


@given(seeds=st.lists(st.integers(0, 10_000), min_size=2, max_size=2, unique=True), policy=_policies)
@settings(max_examples=15, deadline=None)
def test_draws_replay_under_the_same_seed_and_differ_under_another(seeds: list[int], policy: ExplorationPolicy) -> None:
    offered = _candidates(400, [0.1] * 5, [5000.0, 5050.0, 5100.0, 5150.0, 5200.0], [True] * 5)
    one, again, other = (_choose(offered, policy, seed) for seed in (seeds[0], seeds[0], seeds[1]))
    assert one.rank.tobytes() == again.rank.tobytes()
    assert one.chance.tobytes() == again.chance.tobytes()
    assert one.rank.tobytes() != other.rank.tobytes()


@given(
    share=st.floats(0.01, 0.6),
    period=st.sampled_from(["month", "quarter", "year", "always"]),
    start=st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1)),
    hours=st.integers(0, 24 * 500),
)
@settings(max_examples=60, deadline=None)
def test_control_group_is_the_same_within_a_period_and_another_in_the_next(
    share: float, period: Any, start: datetime, hours: int
) -> None:
    ids = pa.array([f"C{number:05d}" for number in range(4000)])
    policy = _policy(control={"share": share, "period": period}).control
    then = start.replace(tzinfo=UTC)
    now = then + timedelta(hours=hours)
    before, after = (explore.controls(ids, policy, moment) for moment in (then, now))
    same = explore.period_of(then, period) == explore.period_of(now, period)
    assert np.array_equal(before, after) == same
    assert before.mean() == pytest.approx(share, abs=6 * np.sqrt(share * (1 - share) / 4000))
    # another, smaller share of the same period lies inside: who is in stays in while the group grows
    smaller = explore.controls(ids, _policy(control={"share": share / 2, "period": period}).control, then)
    assert not (smaller & ~before).any()


@given(
    customers=st.lists(st.text(min_size=1, max_size=9), min_size=2, max_size=20, unique=True),
    at=st.integers(0, 19),
    more=st.text(min_size=1, max_size=9),
)
@settings(max_examples=100, deadline=None)
def test_numbers_drawn_depend_on_the_customer_and_the_product_alone(customers: list[str], at: int, more: str) -> None:
    row = at % len(customers)
    together = Draws.of(customers, "salt").pairs(PRODUCTS, "lot")
    alone = Draws.of([customers[row]], "salt").pairs((more, *PRODUCTS[::-1]), "lot")
    assert together[row].tolist() == alone[0, :0:-1].tolist()
    assert ((together > 0) & (together < 1)).all()


def test_numbers_drawn_are_even_and_independent_of_each_other() -> None:
    drawn = Draws.of([f"C{number}" for number in range(40_000)], "1:2026-06-30").pairs(PRODUCTS, "lot")
    counts = np.stack([np.histogram(column, bins=20, range=(0, 1))[0] for column in drawn.T])
    # chi-square of 19 degrees: above 52 once in 20,000
    assert (((counts - 2000) ** 2 / 2000).sum(axis=1) < 52).all()
    apart = np.corrcoef(drawn.T)[np.triu_indices(5, 1)]
    assert np.abs(apart).max() < 5 / np.sqrt(40_000)
