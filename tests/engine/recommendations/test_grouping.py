"""Groups of customers by decade of life and part of a feature, by hand."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from engine.config.load import load
from engine.config.recommendations import RecommendationSettings
from engine.recommendations import grouping
from engine.recommendations.grouping import NO_GROUP, Grouping

RULES = load(RecommendationSettings, "recommendations").training
NAME = RULES.group_feature


def test_codes_count_decades_and_within_them_parts() -> None:
    made = Grouping(feature=NAME, edges=(100.0, 200.0))
    # decades 3, 3, 3, 0, 9; four parts each: unknown, below 100, below 200, the rest
    ages, values = np.array([34.0, 34, 39, 5, 101]), np.array([np.nan, 50, 100, 200, 1e9])
    assert made.codes(ages, values).tolist() == [1 + 12, 1 + 12 + 1, 1 + 12 + 2, 1 + 3, 1 + 36 + 3]
    assert made.codes(np.array([np.nan]), np.array([50.0])).tolist() == [NO_GROUP]


def test_without_edges_or_without_the_feature_there_are_decades_alone() -> None:
    ages, ids = np.array([34.0, 5.0]), pa.array(["b", "a"])
    features = pa.table({"customer_id": ["a", "b"], NAME: [1.0, 2.0]})
    assert Grouping(feature=NAME, edges=()).of(ages, features, ids).tolist() == [4, 1]
    # nobody's feature is known: all are in the part of the unknown
    assert Grouping(feature=NAME, edges=(9.0,)).of(ages, features.drop([NAME]), ids).tolist() == [1 + 9, 1]


def test_features_are_found_by_customer_in_whatever_order() -> None:
    features = pa.table({"customer_id": ["a", "b"], NAME: [50.0, 150.0]})
    made = Grouping(feature=NAME, edges=(100.0,))
    assert made.of(np.array([30.0, 30.0]), features, pa.array(["b", "a"])).tolist() == [1 + 9 + 2, 1 + 9 + 1]


def test_parts_that_are_learned_hold_as_many_customers_each() -> None:
    values = np.random.default_rng(1).lognormal(13, 0.7, 5_000)
    values[:200] = np.nan
    features = pa.table({"customer_id": [str(at) for at in range(5_000)], NAME: values})
    made = grouping.learn(features, RULES)
    counts = np.bincount(made.codes(np.full(5_000, 40.0), values) - 1 - 4 * (RULES.group_parts + 1))
    assert counts.tolist() == [200, *[960] * RULES.group_parts]


def test_too_few_customers_or_equal_values_make_no_parts() -> None:
    few = pa.table({"customer_id": ["a", "b"], NAME: [1.0, 2.0]})
    assert grouping.learn(few, RULES).edges == ()
    assert grouping.learn(few.drop([NAME]), RULES).edges == ()
    alike = pa.table({"customer_id": [str(at) for at in range(5_000)], NAME: np.full(5_000, 7.0)})
    assert grouping.learn(alike, RULES).edges == (7.0,)
