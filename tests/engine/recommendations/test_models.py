from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix

from engine.domain.errors import NotEnoughData
from engine.recommendations import calibration, candidates, implicit_models, linear, metrics, propensity, race, rules
from engine.recommendations.frame import View
from engine.recommendations.panel import Panel, could_open, joined, matches, model_features
from tests.engine.recommendations import builders

SETTINGS = builders.settings()


def _view(owned: np.ndarray, x: np.ndarray | None = None) -> View:
    x = np.zeros((len(owned), 0)) if x is None else x
    return View(owned=owned.astype(bool), x=x.astype(np.float32), group=np.zeros(len(owned), dtype=np.int64))


def _holdings(seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).random((400, 9)) < 0.3


def test_rules_count_all_customers_although_mined_from_a_sample() -> None:
    owned = np.array([[1, 1, 0]] * 60 + [[1, 0, 0]] * 20 + [[0, 1, 1]] * 20, dtype=bool)
    small = SETTINGS.candidates.model_copy(update={"rules_sample": 50})
    rows = rules.find(owned, ("a", "b", "c"), small, 1).to_pylist()
    found = {row["has_product_id"] + row["takes_product_id"]: row for row in rows}
    # a is held by 80, b by 80, both by 60 of 100
    assert found["ab"]["customers"] == 60
    assert (found["ab"]["support"], found["ab"]["confidence"]) == (0.6, 0.75)
    assert found["ab"]["lift"] == pytest.approx(0.75 / 0.8)
    assert found["cb"]["confidence"] == 1.0


def test_rules_of_a_bank_where_nobody_holds_two_products_are_empty() -> None:
    assert rules.find(np.eye(4, dtype=bool), tuple("abcd"), SETTINGS.candidates, 1).num_rows == 0
    assert rules.find(np.zeros((4, 4), dtype=bool), tuple("abcd"), SETTINGS.candidates, 1).num_rows == 0


def test_als_folds_customers_in_exactly_as_the_library_does() -> None:
    owned = _holdings()
    model = implicit_models.fit_als(owned, SETTINGS.candidates, 5)
    library = AlternatingLeastSquares(
        factors=model.factors.shape[1],
        regularization=model.regularization,
        alpha=model.alpha,
        num_threads=1,
        dtype=np.float64,
    )
    library.item_factors = model.factors
    ours = model.fold_in(owned[:50])
    theirs = library.recalculate_user(np.arange(50), csr_matrix(owned[:50].astype(np.float64)))
    assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("kind", ["pair_rules", "ease", "als", "item_knn"])
def test_customer_who_holds_nothing_is_ranked_by_popularity(kind: str) -> None:
    owned = _holdings()
    trainer = race.Trainer(product_ids=tuple("abcdefghi"), features=(), settings=SETTINGS, seed=1)
    panel = Panel(view=_view(owned), labels=~owned & _holdings(4), eligible=~owned)
    scores = race.fit(kind, panel, trainer).ranker.scores(_view(np.zeros((1, 9))))[0]
    popular = candidates.popularity_of_holdings(owned).rates
    assert np.argsort(-scores).tolist() == np.argsort(-popular).tolist()


def test_als_refuses_holdings_of_other_products_than_it_learned() -> None:
    with pytest.raises(ValueError, match="misaligned"):
        implicit_models.fit_als(_holdings(), SETTINGS.candidates, 1).scores(_view(np.zeros((1, 8))))


def test_group_rates_are_drawn_towards_the_whole() -> None:
    labels, could = np.array([[True], [False], [False], [False]]), np.ones((4, 1), dtype=bool)
    model = candidates.group_popularity(np.array([1, 1, 2, 2]), labels, could, prior=2)
    # overall 1/4; group 1: (1 + 2 x .25) / (2 + 2); group 2: (0 + .5) / 4; group 0, never seen: the overall rate
    assert model.rates[:, 0].tolist() == [0.25, 0.375, 0.125]


def test_logistic_recovers_the_log_odds_despite_sampling_the_customers_who_did_not_buy() -> None:
    random = np.random.default_rng(11)
    x = random.normal(size=(40_000, 1))
    chance = 1 / (1 + np.exp(-(-4 + x[:, 0])))
    labels = (random.random(40_000) < chance)[:, None]
    few = SETTINGS.training.model_copy(update={"negatives": 4_000, "ridge": 0.01})
    panel = Panel(view=_view(np.zeros((40_000, 1)), x), labels=labels, eligible=np.ones_like(labels))
    model = propensity.fit(panel, ("x",), ("p",), few, 1)
    assert model.weights[0, 0] == pytest.approx(1.0, abs=0.15)
    # all in one group: its level is the intercept
    assert model.levels[0, 0] == pytest.approx(-4.0, abs=0.2)


def test_product_opened_too_rarely_keeps_its_plain_rate() -> None:
    labels = np.zeros((1000, 1), dtype=bool)
    labels[:10] = True
    panel = Panel(view=_view(np.zeros((1000, 1)), np.ones((1000, 1))), labels=labels, eligible=np.ones_like(labels))
    model = propensity.fit(panel, ("x",), ("p",), SETTINGS.training, 1)
    assert model.plain.all() and not model.weights.any()
    curve = calibration.fit(model.scores(panel.view), labels, panel.eligible, 10, comparable=False)
    assert curve.probabilities(model.scores(panel.view))[0, 0] == pytest.approx(0.01)


def test_unknown_feature_counts_as_the_mean_and_is_told_apart() -> None:
    x = np.array([[1.0], [3.0], [np.nan], [2.0]])
    scaled = propensity.scaling(_view(np.zeros((4, 1)), x), ("x",)).apply(_view(np.zeros((4, 1)), x))
    # mean 2; the third row is unknown: 0 standard deviations away, and flagged in the second column
    assert scaled[:, 0] == pytest.approx([-(1.5**0.5), 1.5**0.5, 0, 0], abs=linear.TERM_STEP / 2)
    assert scaled[:, 1].tolist() == [0, 0, 1, 0]


def test_calibration_rises_and_meets_the_rates() -> None:
    random = np.random.default_rng(5)
    scores = random.normal(size=(20_000, 1))
    labels = random.random((20_000, 1)) < 1 / (1 + np.exp(3 - scores))
    curve = calibration.fit(scores, labels, np.ones_like(labels), 10, comparable=False)
    assert np.all(np.diff(curve.rates[0]) >= 0)
    assert calibration.expected_error(curve.probabilities(scores), labels, np.ones_like(labels)) < 0.005


def test_product_with_few_openings_takes_the_curve_of_all_where_scores_are_probabilities() -> None:
    random = np.random.default_rng(6)
    scores = 1 / (1 + np.exp(3 - random.normal(size=(20_000, 2))))
    labels = random.random((20_000, 2)) < scores
    eligible = np.ones_like(labels)
    eligible[200:, 1] = False
    own = calibration.fit(scores, labels, eligible, 10, comparable=False)
    shared = calibration.fit(scores, labels, eligible, 10, comparable=True)
    assert len(own.rates[1]) == 1
    # 20 bins, and the ends: what never happens and what is sure stay so
    assert len(shared.rates[1]) == 22
    assert (shared.rates[1][0], shared.rates[1][-1]) == (0.0, 1.0)
    # the curve of a probability that is right is the straight line
    assert np.abs(shared.probabilities(scores)[:, 1] - scores[:, 1]).mean() < 0.02


def test_customers_who_could_not_be_sold_a_product_do_not_count() -> None:
    catalogue = builders.demo_catalogue()
    place = catalogue.product_ids.index
    owned = np.zeros((3, catalogue.size), dtype=bool)
    owned[1:, place("current_account")] = True
    could = could_open(owned, np.array([40.0, 40.0, np.nan]), catalogue)
    # the index fund needs a current account; youth accounts end at 25; an unknown age is within any limit
    assert could[:, place("index_fund")].tolist() == [False, True, True]
    assert could[:, place("youth_account")].tolist() == [False, False, True]
    assert could[:, place("current_account")].tolist() == [True, False, False]


def test_calibration_error_of_a_constant_is_its_distance_from_the_rate() -> None:
    labels = np.array([[True], [False], [False], [False]])
    error = calibration.expected_error(np.full((4, 1), 0.45), labels, np.ones_like(labels), bins=1)
    assert error == pytest.approx(0.45 - 1 / 4)


def test_rank_puts_what_cannot_be_opened_last_and_keeps_product_order_in_ties() -> None:
    ranked = metrics.ranks(np.array([[0.5, 0.9, 0.5]]), np.array([[True, False, True]]))
    assert ranked.tolist() == [[1, 3, 2]]


def test_bank_where_nothing_was_opened_has_no_recommendations() -> None:
    owned = _holdings()
    panel = Panel(view=_view(owned), labels=np.zeros_like(owned), eligible=~owned)
    trainer = race.Trainer(product_ids=tuple("abcdefghi"), features=(), settings=SETTINGS, seed=1)
    with pytest.raises(NotEnoughData, match="no product was opened"):
        race.run(panel, None, trainer)


def test_few_buyers_leave_popularity_to_rank_and_the_race_says_why() -> None:
    owned = _holdings()
    labels = np.zeros_like(owned)
    labels[:5] = ~owned[:5]
    trainer = race.Trainer(product_ids=tuple("abcdefghi"), features=(), settings=SETTINGS, seed=1)
    raced = race.run(Panel(view=_view(owned), labels=labels, eligible=~owned), None, trainer)
    assert raced.winner.ranker.kind == "popularity"
    assert set(raced.models["note"].to_pylist()) == {"not run: 5 customers with a new product, 30 are needed"}
    assert raced.models["map_at_7"].null_count == len(race.ORDER)


def test_without_an_earlier_window_the_model_that_learns_openings_is_not_judged() -> None:
    owned = _holdings()
    trainer = race.Trainer(product_ids=tuple("abcdefghi"), features=(), settings=SETTINGS, seed=1)
    raced = race.run(Panel(view=_view(owned), labels=~owned & _holdings(4), eligible=~owned), None, trainer)
    judged = {row["model"]: row["map_at_7"] is not None for row in raced.models.to_pylist()}
    assert judged == {
        "als": True,
        "boosted_trees": False,
        "ease": True,
        "item_knn": True,
        "logistic": False,
        "pair_rules": True,
        "popularity": True,
        "segment_popularity": False,
        "softmax": False,
    }


def test_excluded_features_and_texts_are_not_learned_from() -> None:
    now, *_ = builders.bank(10)
    assert model_features(now.features, SETTINGS.training.excluded_features) == ("quiet", "savings", "visits")
    assert matches("bureau_worst_days_past_due_12m", SETTINGS.training.unspoken_features)


def test_windows_joined_keep_the_rows_of_a_customer_on_one_side_of_a_split() -> None:
    owned, windows = _holdings(), []
    for first in (0, 200):
        ids = pa.array([f"C{first + number:03d}" for number in range(len(owned))])
        windows.append(Panel(view=_view(owned), labels=owned & False, eligible=~owned, customer_ids=ids))
    both = joined(windows)
    assert both.view.size == 800
    assert both.customer is not None
    # the last 200 of the first window are the first 200 of the second
    assert (both.customer[200:400] == both.customer[400:600]).all()
    assert len(set(both.customer)) == 600
    learn, check = both.split(0.3, seed=1)
    assert (len(set(learn.customer)), len(set(check.customer))) == (420, 180)
    assert learn.view.size + check.view.size == 800
