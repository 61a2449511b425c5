"""Names in a rule that the bank's data do not have: a slip of the pen makes an audience of nobody."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final

from engine.config.audiences import Experiment, Happened, Journey, Recommendation, Sequence, Step
from engine.lake.engine import DuckDBEngine
from engine.segments.audiences.audience import Node


def unknown(engine: DuckDBEngine, tables: Mapping[str, Any], root: Node) -> list[str]:
    """Say which names in the rule nothing in the bank's data bears: a slip of the pen makes an audience of nobody."""
    asked: dict[str, set[str]] = {"event": set(), "journey": set(), "experiment": set(), "product": set()}
    for condition in root.conditions().values():
        if isinstance(condition, Happened):
            asked["event"].update(condition.event)
        elif isinstance(condition, Sequence):
            asked["event"].update(name for step in _steps(condition) for name in step.event)
        elif isinstance(condition, Journey):
            asked["journey"].add(condition.journey)
        elif isinstance(condition, Experiment):
            asked["experiment"].add(condition.experiment)
        elif isinstance(condition, Recommendation):
            asked["product"].add(condition.recommendation)
    found = []
    for kind, names in asked.items():
        if names:
            known = _known(engine, tables, kind)
            found += [_missing(kind, name, known) for name in sorted(names - known)]
    return found


def _steps(condition: Sequence) -> Iterable[Step]:
    others = (condition.without, condition.not_followed_by)
    return [*condition.sequence, *(one for one in others if one is not None)]


_WHERE: Final = {
    "event": ("events", "event_name"),
    "journey": ("journey_stages", "journey"),
    "experiment": ("exposures", "experiment_id"),
    "product": ("products", "product_id"),
}
"""For each kind of name, the table and column that hold those that there are."""


def _known(engine: DuckDBEngine, tables: Mapping[str, Any], kind: str) -> set[str]:
    table, column = _WHERE[kind]
    if table not in tables:
        return set()
    values = engine.arrow(tables[table].select(column).distinct())
    return set(values[column].drop_null().to_pylist())


def _missing(kind: str, name: str, known: set[str]) -> str:
    near = get_close_matches(name, sorted(known), n=1)
    hint = f' Did you mean "{near[0]}"?' if near else ""
    return f'No {kind} "{name}" is in the data, so nobody fulfils what asks for it.{hint}'
