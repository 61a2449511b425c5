"""The sentences that the model learns from and is judged on, and how they are read."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

TRAINING: Final = "training"
HELD_OUT: Final = "held_out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A text and what a person says that it is about and how it is felt."""

    text: str
    topic: str
    feeling: str
    language: str


@cache
def read(name: str) -> tuple[Sentence, ...]:
    """Return the sentences of a corpus that ships with the package, in the order of its file."""
    told = tomllib.loads((files("engine.texts.corpus") / f"{name}.toml").read_text(encoding="utf-8"))
    return tuple(
        Sentence(text=text, topic=topic, feeling=feeling, language=language)
        for topic, languages in told.items()
        for language, feelings in languages.items()
        for feeling, texts in feelings.items()
        for text in texts
    )
