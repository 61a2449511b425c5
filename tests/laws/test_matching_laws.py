"""What holds of the matcher for any file."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.curated import CURATED
from engine.domain.schema import Table
from engine.intake import matching

HEADERS = st.sampled_from(
    ["客户号", "Customer ID", "date", "amt", "sex", "x", "订单", "STATUS", "OPEN_DT", "e-mail", "a b c"]
)
NAMES = HEADERS | st.text(min_size=1, max_size=12)
VALUES = st.lists(st.sampled_from(["", "1", "20260630", "2026-06-30", "M", "男", "CNY", "1.234,50", "x y"]), max_size=6)
SAMPLES = st.dictionaries(NAMES, VALUES, max_size=8)
TABLES = st.sampled_from(list(CURATED.values()))


@settings(deadline=None, max_examples=40)
@given(TABLES, SAMPLES)
def test_no_column_is_given_or_taken_twice(table: Table, sample: dict[str, list[str]]) -> None:
    found = matching.columns(table, sample)
    assert len({match.source for match in found}) == len(found) == len({match.column for match in found})
    assert {match.source for match in found} <= set(sample)
    assert all(matching.PROPOSED <= match.score <= 1 for match in found)


@settings(deadline=None, max_examples=40)
@given(TABLES, SAMPLES)
def test_order_of_the_columns_in_the_file_does_not_matter_where_one_match_is_best(
    table: Table, sample: dict[str, list[str]]
) -> None:
    turned = dict(reversed(list(sample.items())))
    total = sum(match.score for match in matching.columns(table, sample))
    assert abs(total - sum(match.score for match in matching.columns(table, turned))) < 0.05


@settings(deadline=None, max_examples=40)
@given(TABLES)
def test_file_with_the_tables_own_columns_is_matched_to_itself(table: Table) -> None:
    sample = {column.name: [] for column in table.source_columns}
    found = {match.column: match.source for match in matching.columns(table, sample)}
    assert found == {name: name for name in sample}


@settings(deadline=None, max_examples=40)
@given(st.text(max_size=30), SAMPLES)
def test_some_answer_is_given_for_any_file(name: str, sample: dict[str, list[str]]) -> None:
    for proposal in matching.tables(name, sample):
        assert 0 < proposal.score <= 1
