"""What a reason of a file's model says, in English and Chinese: the characteristic and the range that cost points."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
from numpy.typing import NDArray

from engine.risk.binning import Bins
from engine.risk.characteristics import BY_NAME
from engine.risk.file_model import FileModel
from engine.risk.scorer import Scorer

_BINS_ZH: Final = (
    (re.compile(r"^missing$"), "缺失"),
    (re.compile(r"^any$"), "任意"),
    (re.compile(r"^up to (.+)$"), r"不高于\1"),
    (re.compile(r"^above (.+) to (.+)$"), r"高于\1至\2"),
    (re.compile(r"^above (.+)$"), r"高于\1"),
    (re.compile(r"^rare \((.+) categories\) or never seen$"), r"罕见（\1类）或从未出现"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The words of every reason that a model can give, by its place in the order of `reasons.of`; none at place 0."""

    names: tuple[str, ...]
    codes: tuple[str | None, ...]
    texts_en: tuple[str | None, ...]
    texts_zh: tuple[str | None, ...]

    @classmethod
    def none(cls) -> Words:
        """Return those of a model that gives no reasons."""
        return cls(names=("",), codes=(None,), texts_en=(None,), texts_zh=(None,))

    @classmethod
    def of(cls, model: FileModel, scorer: Scorer) -> Words:
        """Return those of a model that is a sum."""
        size = len(scorer.reasons.words)
        names = [""] * size
        english: list[str | None] = [None] * size
        chinese: list[str | None] = [None] * size
        for attribute, places in zip(scorer.card.attributes, scorer.reasons.places, strict=True):
            for code, place in enumerate(places.tolist()):
                if place:
                    names[place] = attribute.bins.name
                    english[place] = _text(model, attribute.bins, code, 0)
                    chinese[place] = _text(model, attribute.bins, code, 1)
        return cls(
            names=tuple(names),
            codes=scorer.reasons.words,
            texts_en=tuple(english),
            texts_zh=tuple(chinese),
        )

    def told(self, places: Iterable[int], bureau: Sequence[str]) -> list[dict[str, Any]]:
        """Return the reasons at places in plain values; a place without a reason is passed over."""
        return [
            {
                "code": self.codes[place],
                "text_en": self.texts_en[place],
                "text_zh": self.texts_zh[place],
                "bureau": self.names[place] in bureau,
            }
            for place in places
            if place
        ]

    def texts(self, language: str) -> tuple[str | None, ...]:
        """Return the sentences in a language."""
        return self.texts_zh if language == "zh" else self.texts_en


def bin_text(label: str, language: str) -> str:
    """Return a bin's label in a language."""
    if language == "zh":
        for pattern, chinese in _BINS_ZH:
            if pattern.match(label):
                return pattern.sub(chinese, label)
    return label


def meaning(model: FileModel, name: str) -> tuple[str, str]:
    """Return what a column means in English and Chinese: as its makers said, or its own name."""
    known = BY_NAME.get(name)
    return model.meanings.get(name) or ((known.meaning, known.meaning_zh) if known else (name, name))


def _text(model: FileModel, bins: Bins, code: int, language: int) -> str:
    """Return what a reason says: the characteristic and the range that cost points, or that its value is missing."""
    means = meaning(model, bins.name)[language]
    if code >= bins.size - 1:
        return f"缺少记录：{means}" if language else f"no record of: {means}"
    label = bins.label(code)
    return f"{means}：{bin_text(label, 'zh')}" if language else f"{means}: {label}"


def taken(words_of: Sequence[str | None], where: NDArray[Any]) -> pa.Array:
    """Return the words at places as an Arrow column."""
    return pa.array(words_of, pa.string()).take(pa.array(where))
