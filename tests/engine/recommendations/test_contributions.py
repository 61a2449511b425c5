"""The terms that are told of a score are those that made it, and nothing protected is among them."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from engine.recommendations import race
from engine.recommendations.contributions import SHOWN, contributions
from engine.recommendations.explain import phrases
from engine.recommendations.frame import DecisionBlock
from engine.recommendations.panel import build
from engine.recommendations.propensity import chance
from engine.recommendations.race import Fitted
from engine.recommendations.recommend import Prepared
from tests.engine.recommendations import builders

CUSTOMERS = 1500
MEANINGS = {"savings": ("savings", "储蓄"), "visits": ("visits to branches", "网点到访"), "quiet": ("quiet", "沉默")}


@cache
def _prepared() -> Prepared:
    return builders.prepared(CUSTOMERS, meanings=MEANINGS)


@cache
def _block() -> DecisionBlock:
    return next(_prepared().decision_blocks())


@cache
def _fitted(kind: str) -> Fitted:
    now, past, _, _ = builders.bank(CUSTOMERS)
    found = _prepared().bundle
    panel = build(
        past, now, found.catalogue, features=found.features, settings=found.settings, seed=1, grouping=found.grouping
    )
    trainer = race.Trainer(
        product_ids=found.catalogue.product_ids, features=found.features, settings=found.settings, seed=1
    )
    return race.fit(kind, panel, trainer)


def _told(kind: str, row: int, unspoken: tuple[str, ...] = ()):  # type: ignore[no-untyped-def]
    from dataclasses import replace

    bundle, fitted = _prepared().bundle, _fitted(kind)
    spoken = phrases(fitted.ranker.term_names, bundle.catalogue, MEANINGS, unspoken)
    return contributions(_block().one(row), replace(bundle, fitted=fitted, phrases=spoken))


@pytest.mark.parametrize("row", [0, 3, 700])
def test_terms_and_level_of_the_logistic_models_give_the_very_score(row: int) -> None:
    fitted = _fitted("logistic")
    scores, level = fitted.scores(_block().view)[row], fitted.ranker.levels[_block().view.group[row]]  # type: ignore[attr-defined]
    total = np.array([one.total for one in _told("logistic", row)])
    # steps taken multiply the odds, which is their logarithm added
    assert chance((level + total)[None, :])[0] == pytest.approx(scores, rel=1e-12)


@pytest.mark.parametrize("row", [0, 3, 700])
def test_terms_of_the_softmax_tell_how_much_more_likely_one_product_is_than_another(row: int) -> None:
    ranker, block = _fitted("softmax").ranker, _block()
    odds = np.log(ranker.scores(block.view)[row]) - ranker.levels[block.view.group[row]]  # type: ignore[attr-defined]
    steps = block.view.steps
    assert steps is not None
    odds += np.log(_fitted("softmax").factors)[steps[row]]
    total = np.array([one.total for one in _told("softmax", row)])
    assert odds - odds[0] == pytest.approx(total - total[0], abs=1e-9)


def test_largest_terms_come_first_and_no_more_than_a_few() -> None:
    for one in _told("softmax", 3):
        for side, sign in ((one.raising, 1), (one.lowering, -1)):
            sizes = [sign * term.added for term in side]
            assert sizes == sorted(sizes, reverse=True)
            assert all(size > 0 for size in sizes)
            assert len(side) <= SHOWN


def test_what_may_not_be_told_is_summed_and_never_named() -> None:
    open_, shut = _told("softmax", 3), _told("softmax", 3, ("savings*",))
    words = {term.text_en for one in shut for term in (*one.raising, *one.lowering)}
    assert any("savings" in term.text_en for one in open_ for term in (*one.raising, *one.lowering))
    assert not any("savings" in text for text in words)
    assert any(one.untold != 0 for one in shut)
    assert [one.total for one in open_] == pytest.approx([one.total for one in shut])


def test_of_pair_rules_the_one_that_made_the_score_is_told() -> None:
    scores = _fitted("pair_rules").ranker.scores(_block().view)[3]
    for one, score in zip(_told("pair_rules", 3), scores, strict=True):
        assert len(one.raising) <= 1
        assert one.total == pytest.approx(score, abs=1e-5)


def test_a_ranker_without_terms_says_so() -> None:
    assert {one.unit for one in _told("popularity", 3)} == {""}
