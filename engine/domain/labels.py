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
    """Return the pairs of texts in a file of a package by `section.key`."""
    sections = tomllib.loads((files(package) / name).read_text(encoding="utf-8"))
    return {
        f"{section}.{key}": (pair[0], pair[1]) for section, pairs in sections.items() for key, pair in pairs.items()
    }


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
