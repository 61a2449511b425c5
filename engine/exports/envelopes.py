"""Bodies of requests: rows as items of a nested JSON document, written and read back from one description."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict

from engine.exports import csv_dialects as text

_MARK: Final = "\u0000{}\u0000"


class Envelope(BaseModel):
    """How rows lie in a body: where the list of items is, where each column is in an item, and what is always there.

    items : the path of the list in the body. paths : the path of each column in an item. body, item : fixed values by
    their path, the parts of a path joined with a full stop.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: tuple[str, ...]
    paths: dict[str, tuple[str, ...]]
    body: dict[str, Any] = {}
    item: dict[str, Any] = {}

    def lines(self, rows: pa.Table) -> Any:
        """Return each row as its item, a text of JSON; texts must have been cleaned of control characters."""
        skeleton = _nested(self.item, {})
        for place, name in enumerate(rows.column_names):
            _put(skeleton, self.paths[name], _MARK.format(place))
        told = json.dumps(skeleton, separators=(",", ":"), ensure_ascii=False)
        parts: list[Any] = []
        rest = told
        for place, name in enumerate(rows.column_names):
            before, rest = rest.split(json.dumps(_MARK.format(place)), 1)
            parts += [pa.scalar(before), text.json_values(rows[name])]
        return pc.binary_join_element_wise(*parts, pa.scalar(rest), "")

    def wrap(self) -> tuple[bytes, bytes]:
        """Return what stands before the first item and after the last one."""
        skeleton = _nested(self.body, {})
        _put(skeleton, self.items, [_MARK.format(0)])
        before, after = json.dumps(skeleton, separators=(",", ":"), ensure_ascii=False).split(
            json.dumps(_MARK.format(0))
        )
        return before.encode(), (after + "\n").encode()

    def read(self, body: bytes, schema: pa.Schema) -> pa.Table:
        """Return the rows of a body; raises ValueError or KeyError for what is no such body."""
        items = json.loads(body, parse_float=Decimal)
        for name in self.items:
            items = items[name]
        columns = {
            field.name: pa.array([_at(item, self.paths[field.name]) for item in items], field.type) for field in schema
        }
        return pa.table(columns, schema=schema)


def _nested(fixed: dict[str, Any], into: dict[str, Any]) -> dict[str, Any]:
    for path, value in fixed.items():
        _put(into, tuple(path.split(".")), value)
    return into


def _put(into: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for name in path[:-1]:
        into = into.setdefault(name, {})
    into[path[-1]] = value


def _at(item: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        item = item[name]
    return item
