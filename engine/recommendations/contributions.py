"""What made a product likely for one customer: the terms of its score as the ranker summed them, in sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from engine.recommendations.bundle import Bundle
from engine.recommendations.candidates import PairRules
from engine.recommendations.frame import DecisionBlock, Floats, Integers

SHOWN: Final = 5
"""Terms told of each direction."""

_LOG_ODDS: Final = ("softmax", "logistic")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """One term that may be told: its sentence in English and Chinese and what it adds to the score."""

    text_en: str
    text_zh: str
    added: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Contributions:
    """The terms of one product's score for one customer.

    `unit` is "log_odds", "score", or "" where the ranker has no terms, and all else is empty then. `raising` and
    `lowering` are the largest that may be told, the largest first; `others` is the sum of all further ones that may,
    `untold` of those that may not: who somebody is, what lenders know, what went wrong. Of pair rules, where the
    largest term alone makes the score, only that one is given.
    """

    unit: str
    raising: tuple[Contribution, ...]
    lowering: tuple[Contribution, ...]
    others: float
    untold: float

    @property
    def total(self) -> float:
        """What all terms add to the level that the customer's group has, or to nothing."""
        shown = sum(one.added for one in (*self.raising, *self.lowering))
        return shown + self.others + self.untold


def contributions(block: DecisionBlock, bundle: Bundle) -> tuple[Contributions, ...]:
    """Return the terms of every product's score for the one customer of a block, in the order of the products."""
    ranker = bundle.fitted.ranker
    terms = ranker.terms(block.view)
    if terms is None:
        nothing = Contributions(unit="", raising=(), lowering=(), others=0.0, untold=0.0)
        return (nothing,) * bundle.catalogue.size
    values = terms.values[0]
    added = values[:, None] * terms.weights
    sentence = np.where(values > 0, bundle.phrases.more, bundle.phrases.less)
    if isinstance(ranker, PairRules):
        added = np.where(np.arange(len(values))[:, None] == np.argmax(added, axis=0), added, 0.0)
    unit = "log_odds" if ranker.kind in _LOG_ODDS else "score"
    steps = np.zeros(bundle.catalogue.size, np.int8) if block.view.steps is None else block.view.steps[0]
    by_step, said = np.log(bundle.fitted.factors)[steps], bundle.phrases.steps[steps]
    return tuple(
        _of_product(np.append(added[:, place], by_step[place]), np.append(sentence, said[place]), bundle, unit)
        for place in range(bundle.catalogue.size)
    )


def _of_product(added: Floats, sentence: Integers, bundle: Bundle, unit: str) -> Contributions:
    tellable = sentence > 0
    order = np.argsort(-np.abs(added), kind="stable")
    sides = [[at for at in order if tellable[at] and added[at] * sign > 0][:SHOWN] for sign in (1.0, -1.0)]
    shown = np.zeros(len(added), dtype=bool)
    shown[sides[0] + sides[1]] = True
    raising, lowering = (
        tuple(
            Contribution(
                text_en=bundle.phrases.en[sentence[at]], text_zh=bundle.phrases.zh[sentence[at]], added=float(added[at])
            )
            for at in side
        )
        for side in sides
    )
    return Contributions(
        unit=unit,
        raising=raising,
        lowering=lowering,
        others=float(added[tellable & ~shown].sum()),
        untold=float(added[~tellable].sum()),
    )
