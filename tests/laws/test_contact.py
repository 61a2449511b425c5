"""What holds of the ledger of contacts, whatever was sent to whom."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config.contact import ContactPolicy
from engine.domain.curated import CURATED
from engine.lake.schema import unbound
from engine.recommendations import contact
from tests.engine.recommendations import builders

POLICY = builders.settings().contact
HOMES = {"C1": "H1", "C2": "H1", "C3": "H2", "C4": None}

_rows = st.lists(
    st.fixed_dictionaries(
        {
            "customer_id": st.sampled_from([*HOMES, "C9"]),
            "event": st.sampled_from(["sent", "sent", "sent", "opened", "bounced", "complained"]),
            "channel": st.sampled_from(["email", "sms", "phone", None]),
            "occurred_at": st.integers(-40, 250).map(lambda days: builders.AS_OF - timedelta(days=days)),
        }
    ),
    max_size=30,
)


@lru_cache(maxsize=64)
def _expression(policy: str) -> Any:
    tables = {name: unbound(CURATED[name]) for name in ("customers", "offers_feedback", "interactions")}
    return contact.reading(tables, builders.AS_OF, ContactPolicy.model_validate_json(policy))


def _read(rows: list[dict[str, Any]], policy: ContactPolicy = POLICY, who: Any = HOMES) -> dict[str, dict[str, Any]]:
    customers = [{"customer_id": name, "household_id": HOMES[name]} for name in who]
    return builders.run(
        _expression(policy.model_dump_json()), {"customers": customers, "offers_feedback": rows, "interactions": []}
    )


@given(rows=_rows, data=st.data())
@settings(max_examples=12, deadline=None)
def test_neither_the_order_of_rows_nor_a_later_row_changes_a_reading(rows: list[dict[str, Any]], data: Any) -> None:
    known = [row for row in rows if row["occurred_at"] <= builders.AS_OF]
    assert _read(rows) == _read(data.draw(st.permutations(rows))) == _read(known)


@given(rows=_rows)
@settings(max_examples=12, deadline=None)
def test_customers_without_a_household_in_common_do_not_touch_each_other(rows: list[dict[str, Any]]) -> None:
    whole = _read(rows)
    for part in (("C1", "C2"), ("C3",), ("C4",)):
        mine = [row for row in rows if row["customer_id"] in part]
        assert _read(mine, who=part) == {name: whole[name] for name in part}


@given(rows=_rows, cap=st.sampled_from(sorted(POLICY.caps)), days=st.sampled_from([1, 30, 180]))
@settings(max_examples=12, deadline=None)
def test_a_longer_window_never_counts_fewer(rows: list[dict[str, Any]], cap: str, days: int) -> None:
    def counted(window: int) -> list[int]:
        changed = POLICY.model_copy(update={"caps": {cap: POLICY.caps[cap].model_copy(update={"days": window})}})
        return [row[contact.column(cap)] for row in _read(rows, changed).values()]

    for shorter, longer in zip(counted(days), counted(days + 7), strict=True):
        assert shorter <= longer
