"""Laws of drop-offs on random small logs."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from journeys import drop_offs, outcomes, signals, stays
from journeys.attempts import MISSING
from journeys.spec import Funnel
from journeys.stays import Observer, Observers
from tests.journeys import random_logs

FUNNELS = [funnel for funnel in random_logs.FUNNELS if len(stays.levels(funnel)) > 1]
SEEDS = st.integers(0, 2**32 - 1)
_WHICH = st.sampled_from(FUNNELS)


def observer(funnel: Funnel, today: int) -> Observer:
    found = signals.of(funnel, {None: ["A", "B", "C", "D", "x"]}, ("x", "D"), channels=True)
    return Observer(
        journey="test", funnel=funnel, as_of=today * 1_000_000, signals=found, silence_seconds=2, channel="page"
    )


def until(block: pa.Table, today: int) -> pa.Table:
    return block.filter(pc.less_equal(block["at"].cast(pa.int64()), today * 1_000_000))


def watched(block: pa.Table, funnel: Funnel, today: int) -> pa.Table:
    return Observers(observers=(observer(funnel, today),))(until(block, today))


def in_order(table: pa.Table) -> list[dict[str, object]]:
    # attempts are numbered within a block; the customer and the entry name them wherever they were found
    rows = table.drop_columns(["attempt"]).to_pylist()
    return sorted(rows, key=lambda row: (row["view"], row["customer"], row["entered_at"], row["step"]))


@pytest.mark.parametrize("today", [5, 9, 31])
def test_drop_offs_are_those_of_the_funnel_to_the_customer(today: int) -> None:
    rng = np.random.default_rng(today)
    for funnel in FUNNELS[today % 3 :: 3]:
        block = until(random_logs.block(random_logs.logs(rng, 40)), today)
        moment = datetime.fromtimestamp(today, UTC)
        told = outcomes.counts(outcomes.of(outcomes.rows(block, funnel=funnel), funnel, moment))
        counted = stays.view(watched(block, funnel, today), stays.COUNTED)
        for one in drop_offs.summarise(counted, None, {}, stays.transitions(funnel), seed=1):
            step = told[one.step - 1]
            mine = (one.reached, one.went_on, one.dropped, one.in_progress)
            assert mine == (step.count, step.converted, step.dropped, step.in_progress), funnel
            assert one.reached == one.went_on + one.dropped + one.in_progress


@settings(deadline=None, max_examples=40)
@given(SEEDS, _WHICH, st.integers(3, 15))
def test_a_shuffle_of_the_rows_changes_nothing(seed: int, funnel: Funnel, today: int) -> None:
    rng = np.random.default_rng(seed)
    block = random_logs.block(random_logs.logs(rng, 12))
    shuffled = block.take(pa.array(rng.permutation(len(block))))
    assert in_order(watched(block, funnel, today)) == in_order(watched(shuffled, funnel, today))


@settings(deadline=None, max_examples=40)
@given(SEEDS, _WHICH, st.integers(3, 15))
def test_two_halves_of_the_customers_add_up_to_the_whole(seed: int, funnel: Funnel, today: int) -> None:
    block = random_logs.block(random_logs.logs(np.random.default_rng(seed), 12))
    one = pc.is_in(block["customer"], pa.array([f"c{number}" for number in range(5)]))
    halves = [watched(block.filter(one), funnel, today), watched(block.filter(pc.invert(one)), funnel, today)]
    assert in_order(pa.concat_tables(halves)) == in_order(watched(block, funnel, today))


@settings(deadline=None, max_examples=40)
@given(SEEDS, _WHICH, st.integers(3, 15))
def test_signals_lie_after_the_step_and_before_it_is_decided(seed: int, funnel: Funnel, today: int) -> None:
    table = watched(random_logs.block(random_logs.logs(np.random.default_rng(seed), 12)), funnel, today)
    for which in (stays.FORWARD, stays.LIVE):
        found = stays.view(table, which)
        met = found.met != MISSING
        assert (found.met > found.reached_at[:, None])[met].all()
        assert (found.met < found.ended_at[:, None])[met].all()
        assert (found.ended_at >= found.reached_at).all()


@settings(deadline=None, max_examples=40)
@given(SEEDS, _WHICH, st.integers(3, 12))
def test_what_is_learned_from_is_what_was_known_then(seed: int, funnel: Funnel, today: int) -> None:
    """Of the attempts in order of time, those begun by a date, and what they met by then, are the same seen later."""
    if any(exclusion.effect.value == "drop_customer" for exclusion in funnel.exclusions):
        return  # an event to come can drop a customer whole: what it leaves out is left out at every date after it
    block = random_logs.block(random_logs.logs(np.random.default_rng(seed), 12))
    then, later = (stays.view(watched(block, funnel, end), stays.FORWARD) for end in (today, 40))
    date = today * 1_000_000

    def known(found: stays.Stays) -> list[tuple[object, ...]]:
        by_then = found.reached_at <= date
        rows = zip(
            found.ids.take(pa.array(found.customer)).to_pylist(),
            found.step.tolist(),
            found.reached_at.tolist(),
            (found.went_on & (found.ended_at <= date)).tolist(),
            np.where(found.met < date, found.met, MISSING).tolist(),
            by_then.tolist(),
            strict=True,
        )
        return sorted((who, step, at, went, tuple(met)) for who, step, at, went, met, there in rows if there)

    assert known(then) == known(later)


@settings(deadline=None, max_examples=40)
@given(SEEDS, _WHICH, st.integers(3, 15))
def test_every_customer_in_progress_is_asked_about_once(seed: int, funnel: Funnel, today: int) -> None:
    block = until(random_logs.block(random_logs.logs(np.random.default_rng(seed), 12)), today)
    moment = datetime.fromtimestamp(today, UTC)
    found = outcomes.of(outcomes.rows(block, funnel=funnel), funnel, moment)
    waiting = {who for who, open_ in zip(found.customers.to_pylist(), found.in_progress, strict=True) if open_}
    live = stays.view(watched(block, funnel, today), stays.LIVE)
    told = live.ids.take(pa.array(live.customer)).to_pylist()
    assert len(told) == len(set(told))
    assert set(told) == waiting
