"""Pair rules: who has this product also takes that one. mlxtend finds the pairs, the counts are of all customers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
from mlxtend.frequent_patterns import association_rules, fpgrowth

from engine.config.recommendations import CandidateSettings
from engine.domain.marts import PRODUCT_RULES
from engine.lake.schema import empty, to_contract
from engine.recommendations.candidates import PairRules, pairs_held, popularity_of_holdings
from engine.recommendations.frame import Flags, Floats


def find(owned: Flags, product_ids: tuple[str, ...], settings: CandidateSettings, seed: int) -> pa.Table:
    """Return the rules between two products (the mart product_rules), sorted; empty when no pair is frequent enough.

    The pairs are mined from a seeded sample of the customers who hold anything; counts, support, confidence and lift
    are then taken over all customers, so that they add up with every other number of the run.
    """
    pairs = _mine(_baskets(owned, product_ids, settings.rules_sample, seed), settings)
    if not pairs:
        return empty(PRODUCT_RULES)
    counts, place = pairs_held(owned), {product: index for index, product in enumerate(product_ids)}
    has = np.array([place[first] for first, _ in pairs])
    takes = np.array([place[second] for _, second in pairs])
    both, first, second = counts[has, takes], counts[has, has], counts[takes, takes]
    with np.errstate(divide="ignore", invalid="ignore"):
        zhang = _zhang(both / len(owned), first / len(owned), second / len(owned))
    rows = {
        "has_product_id": [product_ids[index] for index in has],
        "takes_product_id": [product_ids[index] for index in takes],
        "customers": both.astype(np.int64),
        "support": both / len(owned),
        "confidence": both / first,
        "lift": (both / first) / (second / len(owned)),
        "leverage": both / len(owned) - (first / len(owned)) * (second / len(owned)),
        "zhang": pa.array(zhang, mask=np.isnan(zhang)),
    }
    return to_contract(PRODUCT_RULES, pa.table(rows))


def _zhang(both: Floats, first: Floats, second: Floats) -> Floats:
    """Return Zhang's measure of shares of all customers: 1 never without each other, 0 unrelated, -1 never together.

    NaN where both products are held by everybody, so that there is nothing to compare with.

    References
    ----------
    Yan, Zhang and Zhang (2009), Confidence metrics for association rule mining.
    """
    confidence, without = both / first, (second - both) / (1 - first)
    higher: Floats = np.maximum(confidence, np.where(np.isnan(without), confidence, without))
    return np.where(np.isnan(without), np.nan, (confidence - without) / higher)


def fit(owned: Flags, product_ids: tuple[str, ...], settings: CandidateSettings, seed: int) -> PairRules:
    """Make the ranker of the pair rules found in the holdings."""
    table = find(owned, product_ids, settings, seed)
    place = {product: index for index, product in enumerate(product_ids)}
    confidence: Floats = np.zeros((len(product_ids), len(product_ids)))
    for has, takes, value in zip(*(table[name].to_pylist() for name in _RULE), strict=True):
        confidence[place[has], place[takes]] = value
    return PairRules(product_ids=product_ids, confidence=confidence, popularity=popularity_of_holdings(owned).rates)


_RULE = ("has_product_id", "takes_product_id", "confidence")


def _baskets(owned: Flags, product_ids: tuple[str, ...], size: int, seed: int) -> pd.DataFrame:
    rows = np.flatnonzero(owned.any(axis=1))
    if len(rows) > size:
        rows = np.sort(np.random.default_rng([seed, 91]).choice(rows, size=size, replace=False))
    return pd.DataFrame(owned[rows], columns=list(product_ids))


def _mine(baskets: pd.DataFrame, settings: CandidateSettings) -> list[tuple[str, str]]:
    if baskets.empty:
        return []
    itemsets = fpgrowth(baskets, min_support=settings.rules_min_support, use_colnames=True, max_len=2)
    if itemsets.empty or itemsets["itemsets"].map(len).max() < 2:
        return []
    # the library divides by zero for measures that are not used here
    with np.errstate(divide="ignore", invalid="ignore"):
        found = association_rules(
            itemsets,
            num_itemsets=len(baskets),
            metric="confidence",
            min_threshold=settings.rules_min_confidence,
        )
    pairs = zip(found["antecedents"], found["consequents"], strict=True)
    return sorted((str(next(iter(has))), str(next(iter(takes)))) for has, takes in pairs)
