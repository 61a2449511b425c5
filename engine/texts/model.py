"""What a text is about and how it is felt: character n-grams and logistic regression, one model per language.

Learnt from the sentences of corpus/training.toml when first asked, in well under two seconds, always with the same
result; nothing is fetched. How often it errs stands in evaluate.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize
from threadpoolctl import threadpool_limits

from engine.texts import corpus
from engine.texts.languages import languages
from engine.texts.patterns import KINDS

TOPICS: Final = (
    "app_login",
    "card_payment",
    "fees",
    "loan_status",
    "branch_wait",
    "transfer",
    "fraud_worry",
    "advice",
    "other",
)
FEELINGS: Final = ("negative", "neutral", "positive")
LANGUAGES: Final = ("en", "zh")

# Chosen by cross-validation on the training sentences alone; Chinese words have one to three characters, and English
# is told better when whole words count beside their parts.
_NGRAMS: Final = {"en": (1, 4), "zh": (1, 3)}
_WHOLE_WORDS: Final = {"en": True, "zh": False}
_COLUMNS: Final = 2**16
_INVERSE_PENALTY: Final = 10.0
_AT_ONCE: Final = 20_000
_READ_CHARACTERS: Final = 4_000
"""What a longer text says behind these is not read; intake keeps no more of it."""
_LABEL: Final = rf"\[(?:{'|'.join(KINDS)})\]"

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """One question, such as the topic: its answers, weights of shape (columns, answers) and intercepts."""

    answers: tuple[str, ...]
    weights: Floats
    intercepts: Floats

    def probabilities(self, features: csr_matrix) -> Floats:
        """Return the probability of each answer, shape (texts, answers)."""
        scores = features @ self.weights + self.intercepts
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        shares: Floats = odds / odds.sum(axis=1, keepdims=True)
        return shares


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageModel:
    """What was learnt of one language: how rare each n-gram is, and the two questions."""

    language: str
    rarity: Floats
    topic: Head
    feeling: Head


@cache
def learnt(language: str) -> LanguageModel:
    """Return the model of a language, learnt once in a process."""
    sentences = [one for one in corpus.read(corpus.TRAINING) if one.language == language]
    counts = _counts([one.text for one in sentences], language)
    present = np.bincount(counts.indices, minlength=counts.shape[1])
    rarity = np.log((1 + len(sentences)) / (1 + present)) + 1
    features = _weighed(counts, rarity)
    with threadpool_limits(1):  # so that it is the same to the byte
        spanned = _spanned(features)
        return LanguageModel(
            language=language,
            rarity=rarity,
            topic=_head(features, spanned, [one.topic for one in sentences], TOPICS),
            feeling=_head(features, spanned, [one.feeling for one in sentences], FEELINGS),
        )


def classify(texts: pa.Array) -> pa.Table:
    """Return what each text is about and how it is felt, in the order given; a text that stands twice is read once.

    Columns: language, topic, topic_probability, sentiment (negative, neutral or positive), sentiment_score (the
    probability of positive less that of negative, -1 to 1) and reason, which says why the others are empty.
    """
    coded = pc.dictionary_encode(pc.fill_null(pc.cast(texts, pa.large_string()), ""))
    coded = coded.combine_chunks() if isinstance(coded, pa.ChunkedArray) else coded
    # the labels of masked data are English whatever stands around them
    known = pc.replace_substring_regex(pc.utf8_slice_codeunits(coded.dictionary, 0, _READ_CHARACTERS), _LABEL, " ")
    language, reason = languages(known)
    size = len(known)
    topic, feeling = np.full(size, -1), np.full(size, -1)
    certain, score = np.full(size, np.nan), np.full(size, np.nan)
    for name in LANGUAGES:
        for rows in _parts(np.flatnonzero(language == name)):
            topics, feelings = _read(known.take(pa.array(rows)).to_pylist(), learnt(name))
            topic[rows], feeling[rows] = topics.argmax(axis=1), feelings.argmax(axis=1)
            certain[rows], score[rows] = topics.max(axis=1), feelings[:, 2] - feelings[:, 0]
    found = pa.table(
        {
            "language": _words(language),
            "topic": _named(topic, TOPICS),
            "topic_probability": pa.array(certain, from_pandas=True),
            "sentiment": _named(feeling, FEELINGS),
            "sentiment_score": pa.array(score, from_pandas=True),
            "reason": _words(reason),
        }
    )
    return found.take(coded.indices)


def _parts(rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [rows[begin : begin + _AT_ONCE] for begin in range(0, len(rows), _AT_ONCE)]


def _words(values: NDArray[np.str_]) -> pa.Array:
    return pa.array(values.astype(object), pa.string(), mask=values == "")


def _named(codes: NDArray[np.int64], names: tuple[str, ...]) -> pa.Array:
    return pa.array(names, pa.string()).take(pa.array(codes, mask=codes < 0))


def _read(texts: list[str], model: LanguageModel) -> tuple[Floats, Floats]:
    features = _weighed(_counts(texts, model.language), model.rarity)
    return model.topic.probabilities(features), model.feeling.probabilities(features)


def _counts(texts: list[str], language: str) -> csr_matrix:
    """Return how often each n-gram stands in each text, damped: 1 + log of the count."""
    common = {"n_features": _COLUMNS, "alternate_sign": False, "norm": None}
    parts = [HashingVectorizer(analyzer="char_wb", ngram_range=_NGRAMS[language], **common).transform(texts)]
    if _WHOLE_WORDS[language]:
        words = HashingVectorizer(analyzer="word", ngram_range=(1, 2), token_pattern=r"\w+", **common)
        parts.append(words.transform(texts))
    counts = hstack(parts).tocsr()
    counts.data = 1 + np.log(counts.data)
    return counts


def _weighed(counts: csr_matrix, rarity: Floats) -> csr_matrix:
    return normalize(counts.multiply(rarity).tocsr())


def _spanned(features: csr_matrix) -> tuple[Floats, Floats]:
    """Return the sentences as points of the space that they span, and what turns weights there into those of columns.

    With a ridge penalty the weights of a fit lie in that space, so that a fit in its few dimensions is the same as one
    in all columns, at a hundredth of the time.

    References
    ----------
    Hastie and Tibshirani (2004), Efficient quadratic regularization for expression arrays, Biostatistics 5.
    """
    values, vectors = np.linalg.eigh((features @ features.T).toarray())
    kept = values > 1e-9 * values.max()
    scale = np.sqrt(values[kept])
    return vectors[:, kept] * scale, vectors[:, kept] / scale


def _head(features: csr_matrix, spanned: tuple[Floats, Floats], answers: list[str], order: tuple[str, ...]) -> Head:
    points, back = spanned
    fit: Any = LogisticRegression(C=_INVERSE_PENALTY, max_iter=500, class_weight="balanced")
    fit.fit(points, answers)
    weights = features.T @ (back @ fit.coef_.T)
    place = [list(fit.classes_).index(name) for name in order]
    return Head(answers=order, weights=np.ascontiguousarray(weights[:, place]), intercepts=fit.intercept_[place])
