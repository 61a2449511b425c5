"""Why this product: the terms that raise its score most, exactly as the score was summed, in a sentence each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from engine.recommendations.candidates import Terms
from engine.recommendations.frame import Codes, Floats, Integers
from engine.recommendations.interest import CODES
from engine.recommendations.panel import matches
from engine.recommendations.products import Catalogue

REASONS = 2
"""Reasons given with an offer."""


# pairs explained at a time: bounds the memory of their terms
_PAIRS = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrases:
    """Sentences by number, English and Chinese side by side; number 0 is the one for when nothing stands out.

    `more` and `less` give, for each term of the ranker in its order, the number of the sentence to say when the
    customer has more or less of it than usual; 0 where the term is never told. `steps` does for each code of a step.
    """

    en: tuple[str, ...]
    zh: tuple[str, ...]
    more: Integers
    less: Integers
    steps: Integers
    told: Integers | slice = field(init=False, repr=False, compare=False)
    """The places of the terms that may be told."""

    def __post_init__(self) -> None:
        """Find the terms that may be told."""
        object.__setattr__(self, "told", _stretch(np.flatnonzero((self.more > 0) | (self.less > 0))))


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTerms:
    """The code of the steps of each pair, and what each code adds to the log-odds, shape (codes,)."""

    code: Codes
    added: Floats


def phrases(
    terms: Sequence[str], catalogue: Catalogue, meanings: Mapping[str, tuple[str, str]], unspoken: Sequence[str]
) -> Phrases:
    """Make the sentences of all terms that may be told.

    `meanings` gives each feature in English and Chinese. A feature without a meaning, or that fits an unspoken
    pattern, gets sentence 0 and is never chosen as a reason.
    """
    en, zh = ["Often chosen by customers like this one."], ["相似客户常选此产品。"]
    more, less = np.zeros(len(terms), dtype=np.int64), np.zeros(len(terms), dtype=np.int64)
    names = dict(zip(catalogue.product_ids, zip(catalogue.names_en, catalogue.names_zh, strict=True), strict=True))
    for place, term in enumerate(terms):
        if term.startswith("holds:"):
            name_en, name_zh = names[term.removeprefix("holds:")]
            more[place] = _add(en, zh, f"Already has: {name_en}.", f"已持有{name_zh}。")
        elif term in meanings and not matches(term, unspoken):
            # what follows the first clause tells when the feature is empty, which it is not here
            said_en, said_zh = meanings[term][0].split(";")[0], meanings[term][1].split("，")[0]
            more[place] = _add(en, zh, f"Above average: {said_en}.", f"高于平均：{said_zh}。")
            less[place] = _add(en, zh, f"Below average: {said_en}.", f"低于平均：{said_zh}。")
    steps = np.array([0, *(_add(en, zh, code.text_en, code.text_zh) for code in CODES[1:])])
    return Phrases(en=tuple(en), zh=tuple(zh), more=more, less=less, steps=steps)


def _add(en: list[str], zh: list[str], sentence: str, sentence_zh: str) -> int:
    en.append(sentence)
    zh.append(sentence_zh)
    return len(en) - 1


def top_reasons(
    terms: Terms | None, phrases: Phrases, pairs: tuple[Integers, Integers], steps: StepTerms | None = None
) -> Integers:
    """Return the sentences (pairs, REASONS) of the terms that add most to each (row, product); -1 for none.

    Only terms that raise the score and may be told count, `steps` of each pair among them. Where there is none, the
    first sentence is the general one.
    """
    rows, products = pairs
    found = np.full((len(rows), REASONS), -1, dtype=np.int64)
    most = np.zeros(found.shape)
    told = phrases.told
    if len(rows) and terms is not None and (isinstance(told, slice) or len(told)):
        weights = np.ascontiguousarray(terms.weights[told].T)
        sides = replace(phrases, more=phrases.more[told], less=phrases.less[told])
        for start in range(0, len(rows), _PAIRS):
            part = slice(start, start + _PAIRS)
            values = terms.values.take(rows[part], axis=0)[:, told]
            found[part], most[part] = _largest(values, weights.take(products[part], axis=0), sides)
    if steps is not None:
        _add_steps(found, most, phrases, steps)
    found[found[:, 0] < 0, 0] = 0
    return found


def _add_steps(found: Integers, most: Floats, phrases: Phrases, steps: StepTerms) -> None:
    """Put the sentence of a step that raises the score in its place among the reasons, the largest first."""
    pairs = np.flatnonzero(steps.added[steps.code] > 0)
    said, added = phrases.steps[steps.code[pairs]], steps.added[steps.code[pairs]]
    order = np.argsort(-np.column_stack([most[pairs], added]), axis=1, kind="stable")[:, :REASONS]
    found[pairs] = np.take_along_axis(np.column_stack([found[pairs], said]), order, axis=1)


def _stretch(places: Integers) -> slice | Integers:
    """Return places that follow each other as a slice, which copies nothing."""
    if len(places) and places[-1] - places[0] + 1 == len(places):
        return slice(int(places[0]), int(places[-1]) + 1)
    return places


def _largest(values: Floats, weights: Floats, phrases: Phrases) -> tuple[Integers, Floats]:
    """Return the sentences of the largest terms that raise the score, -1 for none, and what each adds, else 0."""
    added = np.multiply(values, weights, out=weights)
    # a term is told only where there is a sentence for the side on which the customer is; a value of 0 adds nothing
    for unsaid, side in ((phrases.less == 0, np.less), (phrases.more == 0, np.greater)):
        terms = _stretch(np.flatnonzero(unsaid))
        barred = side(values[:, terms], 0)
        if barred.any():
            added[:, terms] = np.where(barred, -np.inf, added[:, terms])
    found, each = np.full((len(values), REASONS), -1, dtype=np.int64), np.arange(len(values))
    most = np.zeros(found.shape)
    for order in range(REASONS):
        best = np.argmax(added, axis=1)
        most[:, order] = np.maximum(added[each, best], 0.0)
        raises = most[:, order] > 0
        sentence = np.where(values[each, best] > 0, phrases.more[best], phrases.less[best])
        found[:, order] = np.where(raises, sentence, -1)
        added[each, best] = -np.inf
    return found, most
