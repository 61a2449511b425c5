"""Laws of audiences: whatever the rule, not is everybody else, a stricter rule never grows, and nothing is unknown."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.segments.audiences import audience
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
