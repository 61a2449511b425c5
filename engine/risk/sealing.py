"""A model written down so that a change to it shows: its content with a checksum over that content.

The checksum tells an accident or a careless edit. It does not tell a forger, who can compute it anew: the registry
keeps the checksum that was approved.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from engine.domain.errors import ModelSpoilt
from engine.numerics.chain import canonical, digest

FORMAT: Final = "wayline default model"
VERSION: Final = 1

Made = TypeVar("Made")


def checksum(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a model's content, the same for the same numbers whatever the order of keys."""
    return digest(canonical(content))


def sealed(name: str, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of a model: format, version, name, content and checksum."""
    kept = {"format": FORMAT, "version": VERSION, "name": name, "content": dict(content)}
    return {**kept, "checksum": checksum(kept)}


def opened(document: object, source: str) -> tuple[str, Mapping[str, Any]]:
    """Return name and content of a document that `sealed` made.

    Raises
    ------
    ModelSpoilt
        It is no such document, is of a later version, or holds something else than when it was sealed.
    """
    if not isinstance(document, Mapping) or document.get("format") != FORMAT:
        raise ModelSpoilt(source, "it is not a model written by Wayline")
    if document.get("version") != VERSION:
        raise ModelSpoilt(source, f"it is of version {document.get('version')!r}, and version {VERSION} can be read")
    try:
        found = checksum({key: value for key, value in document.items() if key != "checksum"})
    except (TypeError, ValueError):
        raise ModelSpoilt(source, "it holds numbers that are not finite") from None
    if found != document.get("checksum"):
        raise ModelSpoilt(source, "its content is not what was sealed: the checksum differs")
    content = document.get("content")
    if not isinstance(content, Mapping):
        raise ModelSpoilt(source, "it has no content")
    return str(document.get("name")), content


def written(name: str, content: Mapping[str, Any]) -> str:
    """Return the sealed document of a model as JSON; the same model gives the same text."""
    return json.dumps(sealed(name, content), indent=1, ensure_ascii=False, allow_nan=False)


def made(text: str, name: str, source: str, make: Callable[[Mapping[str, Any]], Made]) -> Made:
    """Return what `make` makes of the content that `written` wrote under that name; `source` names it in an error.

    Raises
    ------
    ModelSpoilt
        The text was changed, cut short, or holds another kind of model.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise ModelSpoilt(source, "it is cut short, or no JSON") from None
    found, content = opened(document, source)
    if found != name:
        raise ModelSpoilt(source, f'it holds a model called "{found}", not a {name.replace("_", " ")}')
    return shaped(content, name, source, make)


def shaped(content: Mapping[str, Any], name: str, source: str, make: Callable[[Mapping[str, Any]], Made]) -> Made:
    """Return what `make` makes of a content; ModelSpoilt where it lacks what a model of that name holds.

    A content whose checksum holds can still lack something: a forger sealed it anew, or another version did.
    """
    try:
        return make(content)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as fault:
        raise ModelSpoilt(source, f"it is not shaped like a {name.replace('_', ' ')}") from fault
