"""Worked cases of the recommendations, each with its calculation."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.neighbors import NearestNeighbors

from engine.recommendations import candidates, metrics, rules, targeting, value
from engine.recommendations.frame import View
from engine.recommendations.products import instalments
from tests.engine.recommendations import builders


def _average_precision(actual: list[int], predicted: list[int], k: int) -> float:
    """Turn lists of numbered items into ranks: items not predicted rank last and are beyond k."""
    items = sorted(set(actual) | set(predicted))
    rank = [predicted.index(item) + 1 if item in predicted else 99 for item in items]
    relevant = [item in actual for item in items]
    return float(metrics.average_precision(np.array([rank]), np.array([relevant]), k)[0])


_TYPES = """
High Income, expensive child|Very Important Provincials|High status seniors|Affluent senior apartments|Mixed seniors
Career and childcare|Dinki's (double income no kids)|Middle class families|Modern, complete families|Stable family
Family starters|Affluent young families|Young all american family|Junior cosmopolitan|Senior cosmopolitans
Students in apartments|Fresh masters in the city|Single youth|Suburban youth|Etnically diverse|Young urban have-nots
Mixed apartment dwellers|Young and rising|Young, low educated|Young seniors in the city|Own home elderly
Seniors in apartments|Residential elderly|Porchless seniors: no front yard|Religious elderly singles
Low income catholics|type 32|Lower class large families|Large family, employed child|Village families
Couples with teens 'Married with children'|Mixed small town dwellers|Traditional families|Large religous families
Large family farms|Mixed rurals
"""
_KINDS = """
Successful hedonists|Driven Growers|Average Family|Career Loners|Living well|Cruising Seniors
Retired and Religeous|Family with grown ups|Conservative families|Farmers
"""
# the lower ends of the published scales of shares, of premiums and of ages; the code is the place
_SCALES = {
    "%": (0, 1, 11, 24, 37, 50, 63, 76, 89, 100),
    "f": (0, 1, 50, 100, 200, 500, 1000, 5000, 10000, 20000),
    "-": (0, 20, 30, 40, 50, 60, 70),
}


def _caravans(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the 5,822 training rows as the published codes, and who bought."""
    rows = pd.read_csv(folder / "coil2000" / "ticdata.csv.gz", nrows=5822)
    bought = (rows.pop("CARAVAN") == "insurance").to_numpy()
    places = [{label: place for place, label in enumerate(re.split(r"[|\n]", text))} for text in (_TYPES, _KINDS)]
    codes = {"STYPE": rows["STYPE"].map(places[0]), "MOSHOOFD": rows["MOSHOOFD"].map(places[1])}
    # type 5 among the hedonists and type 32 among the retired have one label
    codes["STYPE"] += 27 * ((rows["STYPE"] == "Mixed seniors") & (codes["MOSHOOFD"] != 1))
    for name in rows.columns.difference(list(codes)):
        values = rows[name]
        if values.dtype != float:
            scale = _SCALES[next(mark for mark in _SCALES if values.str.contains(mark).any())]
            values = values.str.extract(r"(\d+)")[0].astype(int).map(scale.index)
        codes[name] = values
    return pd.DataFrame(codes).to_numpy(dtype=float), bought


def test_expected_value_of_a_loan_worked_by_hand() -> None:
    # P .08, margin 300.00, PD .04, LGD .45, exposure 5,000.00, contact 1.20
    loss = value.expected_loss(np.array([0.04]), np.array([0.45]), np.array([500_000.0]))
    assert loss.tolist() == [9_000.0]  # .04 x .45 x 5,000 = 90.00
    worth = value.expected_value(np.array([0.08]), np.array([30_000.0]), loss, np.array([120.0]), np.ones(1))
    assert worth.tolist() == [1_560.0]  # .08 x (300 - 90) - 1.20 = 15.60


def test_break_even_probability_of_that_loan_is_told() -> None:
    # (300 - 1.20 / .08) / (.45 x 5,000) = 285 / 2,250 = .126667
    propensity, margin, severity = np.array([0.08]), np.array([30_000.0]), np.array([0.45 * 500_000.0])
    found = value.break_even(propensity, margin, severity, np.array([120.0]), np.ones(1))
    assert found == pytest.approx(0.126667, abs=5e-7)
    # nothing to lose: no such probability; a margin above all that can be lost: none is too high
    assert np.isnan(value.break_even(propensity, margin, np.zeros(1), np.array([120.0]), np.ones(1)))[0]
    assert value.break_even(propensity, margin, np.array([100.0]), np.array([120.0]), np.ones(1)) == 1.0


def test_the_default_probability_at_which_that_loan_is_worth_nothing() -> None:
    # margin 300 - 1.20 / .08 = 285 is what may be lost: 285 / (.45 x 5,000) = .126667
    for probability, sign in ((0.1266, 1.0), (0.1268, -1.0)):
        loss = value.expected_loss(np.array([probability]), np.array([0.45]), np.array([500_000.0]))
        worth = value.expected_value(np.array([0.08]), np.array([30_000.0]), loss, np.array([120.0]), np.ones(1))
        assert np.sign(worth[0]) == sign


def test_average_precision_of_the_published_cases() -> None:
    # benhamner/Metrics: ap@2 of [6, 4, ...] against 1 to 5: second place hits: (1/2) / min(2, 5) = .25
    assert _average_precision([1, 2, 3, 4, 5], [6, 4, 7, 1, 2], 2) == 0.25
    three = [_average_precision(actual, [1, 2, 3, 4, 5], 3) for actual in ([1, 3, 4], [1, 2, 4], [1, 3])]
    assert np.mean(three) == pytest.approx(0.685185185185185)


def test_average_precision_divides_by_what_could_be_hit_within_k() -> None:
    # k = 1 and six relevant: first place right is 1, where dividing by all six would say 1/6
    assert _average_precision([1, 2, 3, 4, 5, 6], [1], 1) == 1.0


def test_average_precision_of_the_other_variant_divides_by_all_that_is_relevant() -> None:
    # RecTools: the same first place right of six relevant is 1/6
    assert metrics.average_precision(np.array([[1, 2, 3, 4, 5, 6]]), np.ones((1, 6), bool), 1, out_of="relevant")[
        0
    ] == pytest.approx(1 / 6)


def test_mean_average_precision_of_three_customers_of_the_replay_handbook() -> None:
    relevant = ([5, 6, 7, 8, 9, 10], [6, 7, 4, 10, 11], [1, 2, 3, 4, 5])
    predicted = ([3, 7, 10, 11, 2], [5, 8, 11, 1, 3], [4, 9, 2])
    each = [_average_precision(actual, named, 2) for actual, named in zip(relevant, predicted, strict=True)]
    # k = 2: 7 at the second place, (1/2) / 2; none of 5 and 8; 4 at the first place, 1 / 2
    assert each == [0.25, 0.0, 0.5]
    assert np.mean(each) == 0.25


def test_order_of_the_highest_mean_average_precision_is_not_that_of_the_single_chances() -> None:
    # products: one bought alone with chance p, and two always together with chance .4, each independent of the other.
    # Only the order of "alone only" and "pair only" differs: 1 and (1/2 + 2/3) / 2 = 7/12 with the single one first,
    # 1/3 and 1 with it last. First pays where .6 p x 2/3 > .4 (1 - p) x 5/12, p > 5/17 = .294, below .4
    outcomes = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 1], [1, 1, 1]], dtype=bool)
    orders = np.array([[1, 2, 3], [2, 1, 3], [3, 1, 2]])  # the single one first, between, last

    def expected(p: float) -> list[float]:
        chances = np.array([(1 - p) * 0.6, p * 0.6, (1 - p) * 0.4, p * 0.4])
        return [float(each) for each in metrics.expected_average_precision(orders, outcomes, chances, 3)]

    first, between, last = expected(5 / 17)
    assert first == pytest.approx(last)
    assert first == pytest.approx(0.6 * 5 / 17 + 0.4 * 12 / 17 * 7 / 12 + 0.4 * 5 / 17)
    assert between < first
    assert np.argmax(expected(0.30)) == 0
    assert np.argmax(expected(0.29)) == 2


def test_pair_rules_of_the_five_shopping_baskets_of_mlxtend() -> None:
    baskets = (
        ("Milk", "Onion", "Nutmeg", "Kidney Beans", "Eggs", "Yogurt"),
        ("Dill", "Onion", "Nutmeg", "Kidney Beans", "Eggs", "Yogurt"),
        ("Milk", "Apple", "Kidney Beans", "Eggs"),
        ("Milk", "Unicorn", "Corn", "Kidney Beans", "Yogurt"),
        ("Corn", "Onion", "Kidney Beans", "Ice cream", "Eggs"),
    )
    goods = tuple(sorted(set().union(*baskets)))
    owned = np.array([[name in basket for name in goods] for basket in baskets])
    limits = {"rules_min_support": 0.6, "rules_min_confidence": 0.8}
    settings = builders.settings().candidates.model_copy(update=limits)
    found = {
        (row["has_product_id"], row["takes_product_id"]): row
        for row in rules.find(owned, goods, settings, 1).to_pylist()
    }
    # the library's nine rules at these limits without the three that have two goods on one side
    assert set(found) == {
        ("Eggs", "Kidney Beans"),
        ("Kidney Beans", "Eggs"),
        ("Milk", "Kidney Beans"),
        ("Onion", "Eggs"),
        ("Onion", "Kidney Beans"),
        ("Yogurt", "Kidney Beans"),
    }
    measures = ("support", "confidence", "lift", "leverage", "zhang")
    # 3 of 5 hold both, all 3 with onions have eggs, 4 of 5 have eggs: 1 / .8; .6 - .6 x .8; .12 / (.6 x .4) = .5
    assert [found["Onion", "Eggs"][name] for name in measures] == pytest.approx([0.6, 1.0, 1.25, 0.12, 0.5])
    # everybody has beans, with onions or without: lift 1, and no relation
    assert [found["Onion", "Kidney Beans"][name] for name in measures] == pytest.approx([0.6, 1.0, 1.0, 0.0, 0.0])


@pytest.mark.real_data
def test_campaign_to_the_neighbours_of_buyers_reaches_as_many_as_the_textbook_says(real_data: Path) -> None:
    x, bought = _caravans(real_data)
    assert (len(x), int(bought.sum())) == (5822, 348)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    # 30 neighbours hold all that are as far as the fifth
    distance, place = NearestNeighbors(n_neighbors=30, algorithm="brute").fit(x[1000:]).kneighbors(x[:1000])
    # equally near ones in the order of the file, whatever the last bit of a distance
    distance = distance.round(9)
    order = np.lexsort((place, distance), axis=1)
    distance, place = np.take_along_axis(distance, order, axis=1), np.take_along_axis(place, order, axis=1)
    buys = bought[1000:][place]

    def of(votes: np.ndarray) -> targeting.Reach:
        return targeting.reach(votes > 0.5, bought[:1000])

    # 59 of the first 1,000 bought. Nearest one: 77 named, 9 rightly, 68 + 50 wrong
    one, three = of(buys[:, 0]), of(buys[:, :3].mean(axis=1))
    assert (one.buyers, one.named, one.hits, one.error_rate) == (59, 77, 9, pytest.approx(0.118))
    assert (three.named, three.hits, three.error_rate) == (25, 5, pytest.approx(0.074))
    # nearest five, all that are as far as the fifth with a vote: 15 named, 4 rightly, 11 + 55 wrong
    near = distance <= distance[:, [4]]
    five = of((buys & near).sum(axis=1) / near.sum(axis=1))
    assert (five.named, five.hits, five.error_rate) == (15, 4, pytest.approx(0.066))
    assert five.precision == pytest.approx(4 / 15)
    assert five.lift == pytest.approx((4 / 15) / 0.059)


def test_a_campaign_at_random_reaches_its_share_of_the_buyers() -> None:
    # 238 of 4,000 buy and 800 are named without telling them apart: 800 x 238 / 4,000 = 47.6
    bought = np.arange(4000) < 238
    blind = targeting.reach(targeting.first(np.zeros(4000), 800), bought)
    assert (blind.named, blind.hits, blind.lift) == pytest.approx((800.0, 47.6, 1.0))
    # the best that can be done names all 238
    assert targeting.reach(targeting.first(bought * 1.0, 800), bought).hits == 238


def test_ease_of_two_products_held_together_once() -> None:
    # G = [[2, 1], [1, 2]], ridge 1: P = inverse of [[3, 1], [1, 3]] = [[3, -1], [-1, 3]] / 8; B = -P / diag = 1/3
    owned = np.array([[1, 1], [1, 0], [0, 1]], dtype=bool)
    assert candidates.ease(owned, ("a", "b"), ridge=1.0).weights == pytest.approx(np.array([[0, 1 / 3], [1 / 3, 0]]))


def test_ease_of_three_products_by_hand() -> None:
    owned = np.array([[1, 1, 0], [1, 0, 1], [1, 1, 1], [0, 1, 0]], dtype=bool)
    model = candidates.ease(owned, ("a", "b", "c"), ridge=1.0)
    expected = [[0, 0.5, 0.5], [0.363636, 0, 0], [0.545455, 0, 0]]
    assert model.weights == pytest.approx(np.array(expected), abs=1e-6)
    first_only = View(
        owned=np.array([[True, False, False]]), x=np.zeros((1, 0), np.float32), group=np.zeros(1, np.int64)
    )
    assert model.scores(first_only)[0] == pytest.approx([0, 0.5, 0.5], abs=1e-5)


def test_instalment_of_an_annuity_rounds_up() -> None:
    # 60,000.00 at 8.5 % over 36 months: 6,000,000 x r / (1 - (1 + r)^-36), r = .085 / 12 = 189,405.2...
    assert instalments(*map(np.array, ([6e6], [0.085], [36.0])), 0.05).tolist() == [189_406.0]


def test_instalment_of_a_card_is_a_share_of_its_limit_and_of_a_free_loan_an_equal_part() -> None:
    amounts, rates, terms = np.array([1_500_000.0, 1_200.0]), np.array([0.18, 0.0]), np.array([np.nan, 12.0])
    assert instalments(amounts, rates, terms, 0.05).tolist() == [75_000.0, 100.0]
