"""From any result to plain JSON: no NaN, no local time, nothing that a shell could not read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from enum import Enum
from functools import singledispatch
from pathlib import Path
from typing import Any

from pydantic import BaseModel


@singledispatch
def plain(value: Any) -> Any:
    """Return a result as mappings, lists, text, numbers, booleans and None.

    Undefined numbers are None, instants ISO 8601 in UTC (what lies on disk without a zone is UTC), paths text; a data
    class or a settings model becomes a mapping of its fields.

    Raises
    ------
    TypeError
        It is nothing that JSON can say.
    """
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if hasattr(value, "to_pylist"):  # an Arrow table or column
        return plain(value.to_pylist())
    if hasattr(value, "item"):  # a NumPy number
        return plain(value.item())
    raise TypeError(f"a {type(value).__name__} cannot be written as JSON")


@plain.register
def _(value: str | bool | int | None) -> Any:
    return value.value if isinstance(value, Enum) else value


@plain.register
def _(value: float) -> float | None:
    return value if math.isfinite(value) else None


@plain.register
def _(value: datetime) -> str | None:
    if value.isoformat() == "NaT":  # pandas' undefined instant counts as a datetime
        return None
    return (value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)).isoformat()


@plain.register
def _(value: date | Path) -> str:
    return str(value)


@plain.register
def _(value: Enum) -> Any:
    return plain(value.value)


@plain.register
def _(value: BaseModel) -> Any:
    return plain(value.model_dump())


@plain.register(Mapping)
def _(value: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(plain(key)): plain(item) for key, item in value.items()}


@plain.register(list)
@plain.register(tuple)
def _(value: list[Any] | tuple[Any, ...]) -> list[Any]:
    return [plain(item) for item in value]


@plain.register(set)
@plain.register(frozenset)
def _(value: set[Any] | frozenset[Any]) -> list[Any]:
    return sorted((plain(item) for item in value), key=str)


def to_json(value: Any, *, ascii_only: bool) -> str:
    """Return a result as JSON text, in pure ASCII for a terminal that knows no other."""
    return json.dumps(plain(value), indent=2, ensure_ascii=ascii_only, allow_nan=False)
