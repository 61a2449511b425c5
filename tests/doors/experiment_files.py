"""What tests of `wayline experiment analyze` share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

Ask = Callable[..., dict[str, Any]]
Refuse = Callable[..., str]
Write = Callable[..., Path]

COLUMNS = ("--unit", "u", "--variant", "v", "--control", "a")


def check(found: dict[str, Any], name: str) -> dict[str, Any]:
    (one,) = [one for one in found["health"] if one["check"] == name]
    return dict(one)
