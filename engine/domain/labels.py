"""What the values of the vocabulary are called, in English and Chinese: one word for a value wherever it is told."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

Both = tuple[str, str]
"""A text in English and in Chinese."""


@cache
def labels() -> Mapping[str, Both]:
    """Return the words for values by kind and value, such as `risk_tier.low`."""
    return texts("engine.domain", "labels.toml")


def texts(package: str, name: str) -> Mapping[str, Both]:
    """Return the pairs of texts in a file of a package, or in all files of a folder of it, by `section.key`.

    Raises
    ------
    ValueError
        Two files of the folder hold the same key.
    """
    place = files(package) / name
    parts = [place] if place.is_file() else sorted(place.iterdir(), key=lambda part: part.name)
    found: dict[str, Both] = {}
    for part in parts:
        for section, pairs in tomllib.loads(part.read_text(encoding="utf-8")).items():
            for key, pair in pairs.items():
                if f"{section}.{key}" in found:
                    raise ValueError(
                        f"{section}.{key} stands in two files of {package}/{name}; {part.name} is the second"
                    )
                found[f"{section}.{key}"] = (pair[0], pair[1])
    return found


def label(kind: str, value: str) -> Both:
    """Return the words for a value; what the bank named itself, such as a treatment of its own, reads as it is."""
    plain = value.replace("_", " ")
    return labels().get(f"{kind}.{value}", (plain[:1].upper() + plain[1:], plain))


def filled(sentence: Both, **values: str | Both) -> Both:
    """Return a sentence with its values: one text for both languages, or one for each."""
    english, chinese = sentence
    pairs = {name: (value, value) if isinstance(value, str) else value for name, value in values.items()}
    return (
        english.format(**{name: pair[0] for name, pair in pairs.items()}),
        chinese.format(**{name: pair[1] for name, pair in pairs.items()}),
    )
