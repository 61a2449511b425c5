"""Values as JSON with a checksum over them, so that a file that was changed by hand or cut short is not believed.

The checksum finds damage and edits. Who rewrites the file may write a new checksum too: against that, keep the checksum
elsewhere, as the audit chain does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from engine.domain.errors import ModelRefused
from engine.numerics import chain


def seal(kind: str, values: Mapping[str, Any]) -> str:
    """Return the values as JSON, the same text for the same values, with their kind and their SHA-256.

    Raises
    ------
    ValueError
        A number is not finite.
    """
    whole = {"kind": kind, "checksum": checksum(kind, values), "values": values}
    return json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False, sort_keys=True)


def unseal(kind: str, text: str, source: str) -> dict[str, Any]:
    """Return the values that `seal` wrote.

    Raises
    ------
    ModelRefused
        The text is not JSON, of another kind, or not what its checksum says; `source` names it in the sentence.
    """
    try:
        whole = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as fault:
        raise ModelRefused(source, "the file is not whole JSON") from fault
    if not isinstance(whole, dict) or not isinstance(whole.get("values"), dict) or whole.get("kind") != kind:
        found = whole.get("kind") if isinstance(whole, dict) else None
        raise ModelRefused(source, f"the file holds {found or 'something else'}, expected {kind}")
    values: dict[str, Any] = whole["values"]
    # JSON of Python reads NaN and Infinity, which no sealed file holds
    try:
        same = checksum(kind, values) == whole.get("checksum")
    except ValueError:
        same = False
    if not same:
        raise ModelRefused(source, "the file was changed after it was written: its checksum does not hold")
    return values


def checksum(kind: str, values: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the values in their canonical form, under their kind."""
    return chain.digest(f"{kind}\n{chain.canonical(values)}")
