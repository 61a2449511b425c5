"""A model written down so that a change to it shows: its content with a checksum over that content.

The checksum tells an accident or a careless edit. It does not tell a forger, who can compute it anew: the registry
keeps the checksum that was approved.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.domain.errors import ModelSpoilt
from engine.numerics.chain import canonical, digest

FORMAT: Final = "wayline default model"
VERSION: Final = 1


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
    return str(document["name"]), content
