"""Score with reasons, from tables made once: a block of rows in one pass, or one customer in microseconds.

Both read the same tables and add them in the same order, so that they agree to the last bit.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.domain.errors import UnusableColumn
from engine.risk import reasons
from engine.risk.attributes import YES, Attributes
from engine.risk.binning import Codes
from engine.risk.scorecard import Scorecard, default_probability

Floats = NDArray[np.float64]
_BLOCK: Final = 16_384  # rows that are added up at once: their sums stay in the processor's cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One customer's score.

    `reasons` are codes, dearest first. `missing` names the characteristics that had no value, `unknown` those whose
    category no bin names: both were scored by the evidence of such rows, and are told. `codes` is the bin of every
    characteristic.
    """

    points: int
    log_odds: float
    default_probability: float
    reasons: tuple[str, ...]
    missing: tuple[str, ...]
    unknown: tuple[str, ...]
    codes: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, the same for the same customer and scorecard, to be kept and replayed."""
        return {
            "points": self.points,
            "default_probability": self.default_probability,
            "reasons": list(self.reasons),
            "missing": list(self.missing),
            "unknown": list(self.unknown),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What in a block was not an ordinary value, in rows by characteristic; those with none are left out.

    `missing` had no value though there was something to read it from, `unknown` a category that no bin names (rare in
    training, or never seen), `infinite` a number without bounds, which counts as the largest or the smallest.
    """

    rows: int
    missing: Mapping[str, int]
    unknown: Mapping[str, int]
    infinite: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """The scores of a block of rows.

    `reasons` has shape (rows, most): each a place in `words`, dearest first, 0 for none.
    """

    points: NDArray[np.int64]
    log_odds: Floats
    probability: Floats
    reasons: reasons.Places
    words: tuple[str | None, ...]
    codes: tuple[Codes, ...]
    audit: Audit

    def reason_columns(self, where: NDArray[np.bool_] | None = None) -> list[pa.Array]:
        """Return the reasons as text, one column per rank; empty where there is none, or not `where`."""
        words = pa.array(self.words, pa.string())
        ranks = np.ascontiguousarray(self.reasons.T)
        return [words.take(pa.array(rank if where is None else np.where(where, rank, 0))) for rank in ranks]


class Scorer:
    """A scorecard made ready to score: its tables, its reasons, and how many of these are given."""

    def __init__(self, card: Scorecard, never: Sequence[str] = (), most: int = reasons.MOST) -> None:
        self.card, self.most = card, most
        self.reasons = reasons.of(card, never)
        self._weights = [one.weights for one in card.attributes]
        self._whole = card.whole_points()
        tables = zip(self._weights, self._whole, self.reasons.places, strict=True)
        self._rows = [_compiled(one, *table) for one, table in zip(card.attributes, tables, strict=True)]

    def block(self, columns: Mapping[str, pa.ChunkedArray], rows: int) -> Block:
        """Score every row; a column that is not there is missing (`Scorecard.require` refuses that).

        Raises
        ------
        UnusableColumn
            A column is of another kind than the one the scorecard was learned from.
        """
        read = [one.read(columns, rows) for one in self.card.attributes]
        codes = tuple(each.codes for each in read)
        log_odds, points = np.full(rows, self.card.intercept), np.zeros(rows, dtype=np.int64)
        given = np.empty((rows, self.most), dtype=self.reasons.places[0].dtype)
        for start in range(0, rows, _BLOCK):
            within = slice(start, start + _BLOCK)
            places = []
            for code, weights, whole, place in zip(codes, self._weights, self._whole, self.reasons.places, strict=True):
                at = code[within].astype(np.intp)
                log_odds[within] += weights[at]
                points[within] += whole[at]
                places.append(place[at])
            for rank, column in enumerate(self.reasons.ranked(places, self.most)):
                given[within, rank] = column
        return Block(
            points=points,
            log_odds=log_odds,
            probability=default_probability(log_odds),
            reasons=given,
            words=self.reasons.words,
            codes=codes,
            audit=Audit(
                rows=rows,
                missing={name: each.missing for name, each in zip(self.card.names, read, strict=True) if each.missing},
                unknown={name: each.unknown for name, each in zip(self.card.names, read, strict=True) if each.unknown},
                infinite={
                    name: each.infinite for name, each in zip(self.card.names, read, strict=True) if each.infinite
                },
            ),
        )

    def one(self, values: Mapping[str, object]) -> Answer:
        """Score one customer, bit for bit as `block` does; a value that is not there is missing.

        Raises
        ------
        UnusableColumn
            A value is no number where one is expected.
        """
        log_odds, points, codes, places = self.card.intercept, 0, [], []
        missing, unknown = [], []
        name, value = "", None
        try:
            for name, asked, edges, specials, words, nothing, weights, whole, place in self._rows:
                value = values.get(name)
                if asked is not None and values.get(asked) != YES:
                    code = nothing + 1
                elif value is None:
                    code = nothing
                    missing.append(name)
                elif edges is not None:
                    number = float(value)  # type: ignore[arg-type]
                    if number in specials:
                        code = specials[number]
                    elif number == number:  # noqa: PLR0124 - the quickest way to tell nan
                        code = bisect_left(edges, number)
                    else:
                        code = nothing
                        missing.append(name)
                else:
                    code = words.get(value if isinstance(value, str) else str(value), -1)
                    if code < 0:
                        code = specials[None]
                        unknown.append(name)
                codes.append(code)
                log_odds += weights[code]
                points += whole[code]
                places.append(place[code])
        except (TypeError, ValueError):
            raise UnusableColumn(name, type(value).__name__, "a number") from None
        odds = float(np.exp(-abs(log_odds)))
        return Answer(
            points=points,
            log_odds=log_odds,
            default_probability=(odds if log_odds >= 0 else 1.0) / (1.0 + odds),
            reasons=self.reasons.of_one(places, self.most),
            missing=tuple(missing),
            unknown=tuple(unknown),
            codes=tuple(codes),
        )

    def places_of(self, answer: Answer) -> tuple[int, ...]:
        """Return the places of a customer's reasons among the words of the block's, dearest first; as many as given."""
        places = (int(place[code]) for place, code in zip(self.reasons.places, answer.codes, strict=True))
        return tuple(sorted((place for place in places if place), reverse=True)[: self.most])

    def contributions(self, answer: Answer) -> dict[str, float]:
        """Return the exact points of every characteristic; they add up to offset + factor x log-odds."""
        named = zip(self.card.names, self.card.points(), answer.codes, strict=True)
        return {name: float(points[code]) for name, points, code in named}


def points_at(card: Scorecard, probability: float) -> float:
    """Return the exact points at which the default probability is so much."""
    return card.offset + card.factor * log((1 - probability) / probability)


def _compiled(one: Attributes, weights: Floats, whole: NDArray[np.int64], places: reasons.Places) -> tuple[Any, ...]:
    """Return a characteristic as plain Python values, which one customer's look-up reads fastest."""
    bins, is_number = one.bins, one.bins.kind == "number"
    specials = {special: bins.ordinary + at for at, special in enumerate(bins.specials)} if is_number else {}
    return (
        bins.name,
        one.asked,
        list(bins.edges) if is_number else None,
        specials if is_number else {None: bins.unknown},
        bins.place,
        bins.size - 1,
        weights.tolist(),
        whole.tolist(),
        places.tolist(),
    )
