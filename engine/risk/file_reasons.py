"""What a reason of a file's model says, in English and Chinese: the characteristic and the range that cost points."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.risk.characteristics import BY_NAME, MISSING_SUFFIX, SPECIAL_SUFFIX
from engine.risk.file_model import NO_REASON, FileModel, Scores
from engine.risk.models import ScorecardModel

_SIDES: Final = {1: "too high", -1: "too low"}
"""What costs points where a higher value is riskier, or safer, and no bin names the range."""

_BINS_ZH: Final = (
    (re.compile(r"^too high$"), "过高"),
    (re.compile(r"^too low$"), "过低"),
    (re.compile(r"^missing$"), "缺失"),
    (re.compile(r"^any$"), "任意"),
    (re.compile(r"^up to (.+)$"), r"不高于\1"),
    (re.compile(r"^above (.+) to (.+)$"), r"高于\1至\2"),
    (re.compile(r"^above (.+)$"), r"高于\1"),
    (re.compile(r"^rare \((.+) categories\) or never seen$"), r"罕见（\1类）或从未出现"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasons:
    """The words of every reason that a model can give.

    `names` (of the characteristic), `codes` and `texts` are flat. Those of the characteristic at a place begin at
    `starts[place]`: of a scorecard one for each bin, of another model one for a value and one for its lack. Last in
    each list stands no reason.
    """

    names: tuple[str, ...]
    codes: tuple[str | None, ...]
    texts_en: tuple[str | None, ...]
    texts_zh: tuple[str | None, ...]
    starts: NDArray[np.int64]

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
            if place != NO_REASON
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


def words(model: FileModel) -> Reasons:
    """Return every reason that the model can give."""
    names: list[str] = []
    codes: list[str | None] = []
    texts_en: list[str | None] = []
    texts_zh: list[str | None] = []
    starts = []
    for name, labels in _labels(model):
        starts.append(len(codes))
        english, chinese = meaning(model, name)
        for suffix, label in labels:
            names.append(name)
            codes.append(name + suffix)
            told = bin_text(label, "zh")
            if suffix == MISSING_SUFFIX:
                texts_en.append(f"no record of: {english}")
                texts_zh.append(f"缺少记录：{chinese}")
            else:
                texts_en.append(f"{english}: {label}" if label else english)
                texts_zh.append(f"{chinese}：{told}" if label else chinese)
    return Reasons(
        names=(*names, ""),
        codes=(*codes, None),
        texts_en=(*texts_en, None),
        texts_zh=(*texts_zh, None),
        starts=np.array(starts, dtype=np.int64),
    )


def _labels(model: FileModel) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return, for each characteristic, the suffix of the code and the range of each reason."""
    if not isinstance(model.decider, ScorecardModel):
        ways = model.decider.directions
        return [
            (name, [("", _SIDES.get(ways.get(name, 0), "")), (MISSING_SUFFIX, "")]) for name in model.decider.inputs
        ]
    found = []
    for bins in (one.bins for one in model.decider.card.attributes):
        ordinary = [("", bins.label(code)) for code in range(bins.ordinary)]
        special = [(SPECIAL_SUFFIX, bins.label(code)) for code in range(bins.ordinary, bins.size - 1)]
        # last, where nothing was asked
        found.append((bins.name, [*ordinary, *special, (MISSING_SUFFIX, ""), (MISSING_SUFFIX, "")]))
    return found


def places(scores: Scores, ranked: NDArray[np.int64], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the places among the words of the reasons `ranked` of every row; `NO_REASON` is the last."""
    if not len(starts):
        return np.full_like(ranked, NO_REASON)
    every = np.arange(len(ranked))
    if scores.bins is None:
        own = scores.missing.astype(np.int64)
    else:
        own = np.column_stack([codes.astype(np.int64) for codes in scores.bins])
    columns = [starts[rank] + own[every, rank] for rank in ranked.T]
    return np.where(ranked == NO_REASON, NO_REASON, np.column_stack(columns) if columns else ranked)


def taken(words_of: Sequence[str | None], where: NDArray[np.int64]) -> Any:
    """Return the words at places as an Arrow column; the place `NO_REASON` is the last."""
    listed = pa.array(words_of, pa.string())
    return listed.take(pa.array(np.where(where == NO_REASON, len(words_of) - 1, where)))
