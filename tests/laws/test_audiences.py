"""Laws of audiences: whatever the rule, not is everybody else, a stricter rule never grows, and nothing is unknown."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.segments.audiences import audience, overlap
from tests.golden.test_audience_cases import AS_OF, CASES, EVERYBODY, OTHER_AUDIENCES, bound, duck, made

__all__ = ["duck"]
CONDITIONS = [rule for rule, _ in CASES.values() if not {"all", "any", "not"} & set(rule)]


def rules() -> st.SearchStrategy[dict[str, Any]]:
    one = st.sampled_from(CONDITIONS)
    return st.recursive(
        one,
        lambda rule: st.one_of(
            st.lists(rule, max_size=3).map(lambda parts: {"all": parts}),
            st.lists(rule, max_size=3).map(lambda parts: {"any": parts}),
            rule.map(lambda part: {"not": part}),
        ),
        max_leaves=5,
    )


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rule=rules(), more=st.sampled_from(CONDITIONS))
def test_not_is_everybody_else_and_one_condition_more_lets_nobody_in(duck: Any, rule: Any, more: Any) -> None:
    asked = [rule, {"not": rule}, {"not": {"not": rule}}, {"all": [rule, more]}, {"any": [rule, more]}]
    root = audience.tree(made({"any": asked}), OTHER_AUDIENCES)
    rows = {row["customer_id"]: row for row in duck.arrow(audience.flags(root, bound(), AS_OF)).to_pylist()}
    own, others, again, stricter, wider = (
        {who for who, row in rows.items() if audience.held(part, row)} for part in root.parts
    )
    assert set(rows) == EVERYBODY
    assert own | others == EVERYBODY
    assert not own & others
    assert again == own
    assert stricter <= own <= wider
    assert all(row[audience.MATCHED] for row in rows.values())
    assert all(value is not None for row in rows.values() for value in row.values())


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given_rules=st.lists(rules(), min_size=2, max_size=4))
def test_what_audiences_share_is_what_their_members_share(duck: Any, given_rules: list[Any]) -> None:
    names = [f"audience_{place}" for place in range(len(given_rules))]
    roots = {
        name: audience.tree(made(rule), OTHER_AUDIENCES, f"a{place}")
        for place, (name, rule) in enumerate(zip(names, given_rules, strict=True))
    }
    rows = audience.side_by_side(roots, bound(), AS_OF)
    found = overlap.overlap(duck.arrow(overlap.counted(rows, names)), names)
    sets = {
        name: set(duck.arrow(audience.members(root, bound(), AS_OF))["customer_id"].to_pylist())
        for name, root in roots.items()
    }
    assert found.customers == len(EVERYBODY)
    assert found.sizes == {name: len(members) for name, members in sets.items()}
    assert found.in_any == len(set.union(*sets.values()))
    assert found.in_all == len(set.intersection(*sets.values()))
    assert len(found.pairs) == len(names) * (len(names) - 1) // 2
    for pair in found.pairs:
        first, second = sets[pair.first], sets[pair.second]
        assert (pair.both, pair.either) == (len(first & second), len(first | second))
        assert pair.jaccard == (len(first & second) / len(first | second) if first | second else None)
        assert pair.first_share == (len(first & second) / len(first) if first else None)
        if pair.first_share == 1 and first:
            assert first <= second
