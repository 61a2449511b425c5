"""From any result to plain JSON: no NaN, no local time, nothing that a shell could not read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import Path
from typing import Any


def plain(value: Any) -> Any:
    """Return a result as mappings, lists, text, numbers, booleans and None.

    Undefined numbers are None, instants ISO 8601 in UTC, paths text; a data class becomes a mapping of its fields.
    """
    if value is None or (isinstance(value, (str, bool, int)) and not isinstance(value, Enum)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, datetime):
        return (value if value.tzinfo is None else value.astimezone(UTC)).isoformat()
    if isinstance(value, (date, Path)):
        return str(value)
    return _plain_container(value)


def _plain_container(value: Any) -> Any:
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted((plain(item) for item in value), key=str)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "to_pylist"):  # an Arrow table or column
        return plain(value.to_pylist())
    if hasattr(value, "item"):  # a NumPy number
        return plain(value.item())
    raise TypeError(f"a {type(value).__name__} cannot be written as JSON")


def to_json(value: Any, *, ascii_only: bool) -> str:
    """Return a result as JSON text, in pure ASCII for a terminal that knows no other."""
    return json.dumps(plain(value), indent=2, ensure_ascii=ascii_only, allow_nan=False)
