"""A definition as TOML text and back, for readers who keep audiences in files."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Any, Final

_BARE: Final = re.compile(r"^[A-Za-z0-9_-]+$")


def written(definition: Mapping[str, Any]) -> str:
    """Return a definition as TOML: its plain entries, then the rule with one line for each of its parts."""
    head = [f"{name} = {_value(value)}" for name, value in definition.items() if name != "rule"]
    rule = [f"{name} = {_parts(value)}" for name, value in definition.get("rule", {}).items()]
    return "\n".join([*head, "", "[rule]", *rule, ""])


def table(values: Mapping[str, Any], name: str) -> str:
    """Return values as one more entry of a list of tables; a list of tables in them follows as entries of its own."""
    lists = {key: value for key, value in values.items() if isinstance(value, list)}
    within = {key: value for key, value in lists.items() if value and isinstance(value[0], Mapping)}
    lines = [f"[[{name}]]", *(f"{key} = {_value(value)}" for key, value in values.items() if key not in within)]
    for key, rows in within.items():
        for row in rows:
            lines += ["", table(row, f"{name}.{key}").rstrip()]
    return "\n".join(lines) + "\n"


def read(text: str) -> dict[str, Any]:
    """Return what a text says.

    Raises
    ------
    ValueError
        It is no TOML; the message says where.
    """
    return tomllib.loads(text)


def _parts(value: Any) -> str:
    """Write a list of rules over several lines, which TOML allows between brackets."""
    if isinstance(value, list) and len(value) > 1 and all(isinstance(one, Mapping) for one in value):
        return "[\n" + "".join(f"  {_value(one)},\n" for one in value) + "]"
    return _value(value)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(name)} = {_value(one)}" for name, one in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(one) for one in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    return json.dumps(str(value), ensure_ascii=False)


def _key(name: str) -> str:
    return name if _BARE.match(name) else json.dumps(name, ensure_ascii=False)
