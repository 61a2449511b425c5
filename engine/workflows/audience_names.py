"""What in a rule can be true of nobody on a run: names that the bank's data do not have, days that contradict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from difflib import get_close_matches
from typing import Any, Final

from engine.config.audiences import Experiment, Happened, Journey, Recommendation, Segmentation, Sequence, Step
from engine.lake.engine import DuckDBEngine
from engine.segments.audiences import moments, words
from engine.segments.audiences.audience import Node


def notes(engine: DuckDBEngine, tables: Mapping[str, Any], root: Node, as_of: datetime) -> list[str]:
    """Return a sentence for everything in a rule that nothing on a run can fulfil."""
    return [*_unknown(engine, tables, root), *_empty_periods(root, as_of)]


def _empty_periods(root: Node, as_of: datetime) -> list[str]:
    asked = [one for one in root.conditions().values() if isinstance(one, (Happened, Sequence))]
    return [
        f"No day lies in the period of {words.of_condition(one, {})[0]}, as of {as_of:%Y-%m-%d}. Mend its dates."
        for one in asked
        if moments.is_empty(one, as_of)
    ]


def _unknown(engine: DuckDBEngine, tables: Mapping[str, Any], root: Node) -> list[str]:
    """Say which names in the rule nothing in the bank's data bears: a slip of the pen makes an audience of nobody."""
    asked: dict[str, set[str]] = {kind: set() for kind in _WHERE}
    for condition in root.conditions().values():
        if isinstance(condition, Happened):
            asked["event"].update(condition.event)
        elif isinstance(condition, Sequence):
            asked["event"].update(name for step in _steps(condition) for name in step.event)
        elif isinstance(condition, Journey):
            asked["journey"].add(condition.journey)
        elif isinstance(condition, Segmentation):
            asked["segmentation"].add(condition.segmentation)
            asked["segment group"].update(condition.group)
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
    "segmentation": ("segmentations", "segmentation"),
    "segment group": ("segmentations", "segment_group"),
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
