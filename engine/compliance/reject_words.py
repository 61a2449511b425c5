"""How the comparison without and with the refused is told, line by line, on the card and in the answer's table."""

from __future__ import annotations

from collections.abc import Iterator

from engine.compliance import card_words as words
from engine.compliance.card_words import Language, say
from engine.risk import rejects
from engine.risk.reject_comparison import BASE, RejectReport, Separation


def measures(found: RejectReport, language: Language) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield every measure by its name, without and with the refused guessed at."""
    yield from _separation(found.folds, "unseen", language)
    if found.later is not None:
        yield from _separation(found.later, "later", language)
    for measure, (without, inferred) in found.rates.items():
        name = rejects.named(measure)[language == "zh"]
        yield name, (rejects.written(measure, without), rejects.written(measure, inferred))


def shifts(found: RejectReport, language: Language) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield how the points of every characteristic moved, the largest first; last what everybody is given."""
    for one in found.shifts:
        name = say(BASE, language) if one.characteristic == BASE else one.characteristic
        note = "" if one.without and one.inferred else say("came_in" if one.inferred else "fell_out", language)
        values = (one.mean_of_accepted, one.mean_of_rejected, one.largest)
        mean, other, largest = (("+" if value > 0 else "") + words.number(value, 1) for value in values)
        yield name, mean, other, largest, note


def _separation(found: Separation, where: str, language: Language) -> Iterator[tuple[str, tuple[str, str]]]:
    for name, (without, inferred) in (("auc", found.auc), ("ks", found.ks)):
        yield say(f"{name}_{where}", language), (words.number(without), words.number(inferred))
