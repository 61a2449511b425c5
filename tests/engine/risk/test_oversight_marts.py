"""The tables of watching share their column names with other tables."""

from collections import defaultdict

from engine.domain.marts import MARTS
from engine.domain.schema import Kind


def test_columns_of_one_name_are_of_one_kind_in_all_tables_of_a_run() -> None:
    kinds: dict[str, set[Kind]] = defaultdict(set)
    for mart in MARTS.values():
        for column in mart:
            kinds[column.name].add(column.kind)
    assert {name: found for name, found in kinds.items() if len(found) > 1} == {}
