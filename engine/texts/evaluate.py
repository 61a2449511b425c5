"""How often the model errs on texts that it has not learnt from, by language, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from engine.numerics.intervals import wilson
from engine.texts.corpus import Sentence
from engine.texts.model import LANGUAGES, TOPICS, classify


def error_rates(sentences: Sequence[Sentence], name: str) -> list[dict[str, Any]]:
    """Return a row per language and question (topic, sentiment): texts, errors, the rate and its 95 % Wilson interval.

    A text that the model does not answer counts as an error. Rates are None where there is no text of a language.
    """
    told = classify(pa.array([one.text for one in sentences], pa.string()))
    found = {"topic": told.column("topic").to_pylist(), "sentiment": told.column("sentiment").to_pylist()}
    rows = []
    for language in LANGUAGES:
        own = [place for place, one in enumerate(sentences) if one.language == language]
        for question, answers in found.items():
            meant = [sentences[at].topic if question == "topic" else sentences[at].feeling for at in own]
            errors = sum(answers[at] != right for at, right in zip(own, meant, strict=True))
            rows.append({"texts_of": name, "language": language, "question": question} | _rate(errors, len(own)))
    return rows


def by_topic(sentences: Sequence[Sentence]) -> list[dict[str, Any]]:
    """Return a row per language and true topic: texts, how many were taken for another topic, and which most often."""
    answers = classify(pa.array([one.text for one in sentences], pa.string())).column("topic").to_pylist()
    rows = []
    for language in LANGUAGES:
        for topic in TOPICS:
            got = [
                answer
                for one, answer in zip(sentences, answers, strict=True)
                if one.language == language and one.topic == topic
            ]
            wrong = sorted(str(answer) for answer in got if answer != topic)
            most = max(wrong, key=wrong.count) if wrong else None
            rows.append(
                {"language": language, "topic": topic, "texts": len(got), "errors": len(wrong), "taken_for": most}
            )
    return rows


def _rate(errors: int, texts: int) -> dict[str, Any]:
    if not texts:
        return {"texts": 0, "errors": 0, "error_rate": None, "lower": None, "upper": None}
    interval = wilson(errors, texts)
    return {
        "texts": texts,
        "errors": errors,
        "error_rate": errors / texts,
        "lower": interval.lower,
        "upper": interval.upper,
    }
