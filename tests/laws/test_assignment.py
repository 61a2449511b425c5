"""Laws of assignment: whatever the units, the salt and the scheme."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from engine.config.assignment import SCHEMES, AssignmentSettings, ExperimentAssignment, NamespaceSlot, RampStep
from experiments.assignment import REASONS, assign, buckets, in_slot

schemes = st.sampled_from(SCHEMES)
texts = st.text(max_size=12)
ids = st.lists(texts, min_size=1, max_size=30)
shares = st.floats(0, 1)
weights = (
    st.lists(st.integers(0, 9), min_size=2, max_size=5)
    .filter(any)
    .map(lambda parts: {f"arm{place}": part / sum(parts) for place, part in enumerate(parts)})
)
MANY = [f"C{number:08d}" for number in range(100_000)]


def rules(salt: str = "s", *, scheme: str = "sha256", coverage: float = 1.0, **more: object) -> ExperimentAssignment:
    return ExperimentAssignment(
        experiment_id="e", salt=salt, scheme=scheme, ramp=(RampStep(coverage=coverage),), **more
    )


@given(units=ids, salt=texts, scheme=schemes)
def test_every_bucket_lies_from_0_up_to_but_not_1(units, salt, scheme):
    found = buckets(units, salt, scheme)
    assert ((found >= 0) & (found < 1)).all()


@given(units=ids, salt=texts, scheme=schemes, data=st.data())
def test_a_unit_keeps_its_variant_in_whatever_company(units, salt, scheme, data):
    whole = dict(zip(units, assign(units, rules(salt, scheme=scheme), {"A": 0.5, "B": 0.5}).variants(), strict=True))
    some = data.draw(st.permutations(units))[: data.draw(st.integers(0, len(units)))]
    assert assign(some, rules(salt, scheme=scheme), {"A": 0.5, "B": 0.5}).variants() == [whole[unit] for unit in some]


@settings(max_examples=30, deadline=None)
@given(split=weights, scheme=schemes, levels=st.lists(shares, min_size=2, max_size=4).map(sorted))
def test_raising_coverage_only_adds_units(split, scheme, levels):
    units = MANY[:2_000]
    found = [assign(units, rules(scheme=scheme, coverage=level), split).variants() for level in levels]
    for before, after in pairwise(found):
        assert all(old is None or old == new for old, new in zip(before, after, strict=True))


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("split", [{"A": 0.5, "B": 0.5}, {"A": 0.9, "B": 0.05, "C": 0.05}])
def test_weights_and_coverage_are_respected_within_chance(scheme, split):
    found = assign(MANY, rules("weights law", scheme=scheme, coverage=0.4), split)
    counts = list(found.counts().values())
    expected = [40_000 * share for share in split.values()]
    assert stats.chisquare([*counts, 100_000 - sum(counts)], [*expected, 60_000]).pvalue > 0.001


@given(units=ids, scheme=schemes, cut=shares)
def test_slots_of_a_namespace_share_no_unit_and_leave_none_out(units, scheme, cut):
    lower = in_slot(units, NamespaceSlot(namespace="n", lower=0, upper=cut), scheme)
    upper = in_slot(units, NamespaceSlot(namespace="n", lower=cut, upper=1), scheme)
    assert (lower ^ upper).all()


@pytest.mark.parametrize("scheme", ["sha256", "growthbook_v2"])
@pytest.mark.parametrize("other", ["first2", "firsu", "second", "s"])
def test_salts_are_independent(scheme, other):
    one = assign(MANY, rules("first", scheme=scheme), {"A": 0.5, "B": 0.5}).arm
    two = assign(MANY, rules(other, scheme=scheme), {"A": 0.5, "B": 0.5}).arm
    table = np.histogram2d(one, two, bins=2)[0]
    assert stats.chi2_contingency(table).pvalue > 0.001


def test_salts_of_growthbooks_first_version_that_differ_in_the_last_character_are_not_independent():
    # a known limit of that scheme, told wherever it is used; both later schemes pass the law above on such salts
    tens = {f"arm{place}": 0.1 for place in range(10)}
    one, two = (assign(MANY, rules(salt, scheme="growthbook_v1"), tens).arm for salt in ("exp1", "exp2"))
    shared = np.histogram2d(one, two, bins=10)[0]
    assert shared.min() == 0 and shared.max() > 2 * len(MANY) / 100


@given(units=ids, scheme=schemes, global_share=shares, own_share=shares)
def test_who_is_held_out_gets_no_variant_and_every_unit_has_one_reason(units, scheme, global_share, own_share):
    bank = AssignmentSettings(holdout_share=global_share)
    found = assign(units, rules(scheme=scheme, holdout_share=own_share), {"A": 1.0, "B": 0.0}, bank=bank)
    assert [reason == "assigned" for reason in found.reasons()] == [name is not None for name in found.variants()]
    held = buckets(units, bank.holdout_salt, scheme) < global_share
    assert [reason == "global_holdout" for reason in found.reasons()] == held.tolist()
    assert sum(found.reason_counts().values()) == len(units) and set(found.reason_counts()) <= set(REASONS)
