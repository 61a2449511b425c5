"""The simulated bank knows what the refused would have done: does guessing at them come nearer to it?

Where refusing had nothing to do with risk beyond what the scorecard sees, the scorecard alone is right and inference
only adds what its factor assumes. Where whoever decided saw more than the data hold, the scorecard alone is too hopeful
about the refused, and inference comes nearer without getting there. Which of the two a bank is in, data cannot tell.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest

from engine.domain.errors import NotEnoughData
from engine.intake.simulation.world import logistic
from engine.risk.rejects import Applicants, Inference, Method, infer
from tests.truth.test_planted_drift import LEARNED, SETTINGS, _bank

CUT_OFF = 0.15
SEEDS = (1, 2, 3)


@dataclass(frozen=True)
class Asked:
    people: Applicants
    true_bad_rate_of_rejected: float


def _asked(seed: int, hidden: float) -> Asked:
    """24,000 applications; `hidden` is how much of the log-odds only the one who decided could see."""
    bank, draw = _bank(seed), np.random.default_rng(seed)
    size = 24_000
    who, month = draw.integers(0, len(bank.folks), size), draw.integers(0, LEARNED, size)
    logit = np.log(bank.true_probability(who, month) / (1 - bank.true_probability(who, month)))
    unseen = hidden * draw.normal(0, 1, size)
    true = logistic(logit + unseen)
    refused = draw.random(size) < 0.25
    if hidden:
        # the quarter whom the one who decided thought the riskiest, by the part that the data do not hold
        refused = unseen + draw.normal(0, 0.5, size) > np.quantile(unseen, 0.75)
    bad = draw.random(size) < true
    rows = pa.table(bank.seen(who, month))
    accepted, rejected = (rows.filter(pa.array(kept)) for kept in (~refused, refused))
    return Asked(
        people=Applicants(accepted=accepted, bad=bad[~refused], rejected=rejected, asked={}),
        true_bad_rate_of_rejected=float(true[refused].mean()),
    )


def _inferred(asked: Asked, method: Method) -> Inference:
    return infer(asked.people, method, SETTINGS, CUT_OFF, seed=7)


@pytest.mark.parametrize("seed", SEEDS)
def test_where_refusing_was_random_the_scorecard_alone_is_right_and_inference_overshoots(seed: int) -> None:
    asked = _asked(seed, hidden=0.0)
    true = asked.true_bad_rate_of_rejected
    assert _inferred(asked, "none").implied_bad_rate == pytest.approx(true, rel=0.12)
    for method in ("fuzzy", "parcelling"):
        assert _inferred(asked, method).implied_bad_rate > _inferred(asked, "none").implied_bad_rate


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("method", ["fuzzy", "parcelling"])
def test_where_the_refused_were_worse_than_the_data_show_inference_comes_nearer_and_falls_short(
    seed: int, method: Method
) -> None:
    asked = _asked(seed, hidden=1.0)
    true, alone = asked.true_bad_rate_of_rejected, _inferred(asked, "none").implied_bad_rate
    inferred = _inferred(asked, method).implied_bad_rate
    assert alone < inferred < true


def test_both_cards_stand_side_by_side_with_the_assumption() -> None:
    asked = _asked(SEEDS[0], hidden=0.0)
    found = _inferred(asked, "fuzzy")
    measures = {row["measure"]: row for row in found.to_rows()}
    assert measures["auc_of_accepted"]["without"] == pytest.approx(measures["auc_of_accepted"]["inferred"], abs=0.01)
    # the refused are taken to be riskier, and so nobody's points rise
    assert measures["mean_points_shift_of_accepted"]["inferred"] < 0
    assert measures["approval_rate"]["inferred"] < measures["approval_rate"]["without"]
    assert "assumption, not data" in found.caution
    assert "假设" in found.caution_zh
    none = _inferred(asked, "none")
    assert none.inferred == none.without
    assert {row["without"] - row["inferred"] for row in none.to_rows()} == {0.0}


def test_the_same_seed_draws_the_same_parcels() -> None:
    asked = _asked(SEEDS[0], hidden=0.0)
    assert _inferred(asked, "parcelling").to_rows() == _inferred(asked, "parcelling").to_rows()


@pytest.mark.parametrize("method", ["fuzzy", "parcelling"])
def test_the_order_of_rows_changes_nothing(method: Method) -> None:
    asked = _asked(SEEDS[0], hidden=0.0)
    people, draw = asked.people, np.random.default_rng(0)
    one, other = (draw.permutation(side.num_rows) for side in (people.accepted, people.rejected))
    shuffled = Applicants(
        accepted=people.accepted.take(one), bad=people.bad[one], rejected=people.rejected.take(other), asked={}
    )
    first, second = (infer(each, method, SETTINGS, CUT_OFF, seed=7) for each in (people, shuffled))
    assert [one.text for one in first.compared] == [one.text for one in second.compared]
    for row, same in zip(first.inferred.rows(), second.inferred.rows(), strict=True):
        # sums of numbers in another order differ in the last bits, and in nothing else
        assert row == {
            name: pytest.approx(value) if isinstance(value, float) else value for name, value in same.items()
        }


def test_without_anybody_refused_there_is_nothing_to_infer() -> None:
    people = _asked(SEEDS[0], hidden=0.0).people
    nobody = Applicants(accepted=people.accepted, bad=people.bad, rejected=people.rejected.slice(0, 0), asked={})
    with pytest.raises(NotEnoughData, match="nobody was refused"):
        infer(nobody, "fuzzy", SETTINGS, CUT_OFF, seed=7)
