"""Principal reasons: what costs a customer most points against the best that anybody was given.

Every attribute of a scorecard costs so many points; all of them together are put in one order beforehand, dearest
last. A customer's reasons are then the highest places among the customer's attributes: whole numbers, so that one
customer, a block and a repeat next year name the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.risk.attributes import Attributes
from engine.risk.binning import Codes
from engine.risk.characteristics import MISSING_SUFFIX, SPECIAL_SUFFIX
from engine.risk.scorecard import Scorecard

Floats = NDArray[np.float64]
Places = NDArray[np.unsignedinteger[Any]]
MOST: Final = 4
"""How many reasons a notice gives: the number that the commentary to Regulation B calls enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasons:
    """The reasons of a scorecard.

    `places` holds, per characteristic and bin (last, where nothing was asked), the place of the attribute among all by
    points lost; 0 costs nothing or is never a reason. `words` holds the code of every place: the characteristic, with
    a suffix where its value is missing or a special value; none for place 0. `unexplained` is the fewest whole points
    that a customer without any reason can have: with fewer, there is at least one.
    """

    places: tuple[Places, ...]
    words: tuple[str | None, ...]
    unexplained: int

    def principal(self, codes: Sequence[Codes], most: int = MOST) -> Places:
        """Return the places of the reasons of every row, dearest first, shape (rows, most); 0 where there is none."""
        return np.stack(
            self.ranked([place[code] for place, code in zip(self.places, codes, strict=True)], most), axis=1
        )

    def ranked(self, places: Sequence[Places], most: int) -> list[Places]:
        """Return the highest of the places given per characteristic, then the next, and so on."""
        # a row of the highest seen so far; each new one is sorted in by comparing it down the row, all rows at once
        highest = [np.zeros(len(places[0]), dtype=places[0].dtype) for _ in range(most)]
        for place in places:
            rest = place
            for rank in range(most):
                highest[rank], rest = np.maximum(highest[rank], rest), np.minimum(highest[rank], rest)
        return highest

    def of_one(self, places: list[int], most: int = MOST) -> tuple[str, ...]:
        """Return the codes of one customer's reasons, dearest first."""
        places.sort(reverse=True)
        words = self.words
        return tuple(words[place] for place in places[:most] if place)  # type: ignore[misc]


def of(card: Scorecard, never: Sequence[str] = ()) -> Reasons:
    """Return the reasons of a scorecard; the characteristics in `never` are none, whatever they cost."""
    lost = [_lost(one, points, never) for one, points in zip(card.attributes, card.points(), strict=True)]
    which = np.repeat(np.arange(len(lost)), [len(each) for each in lost])
    every = np.concatenate(lost)
    # dearest last; of two that cost the same, the more telling characteristic comes first among the reasons
    order = np.lexsort((-which, every))
    costly = order[every[order] > 0]
    place = np.zeros(len(every), dtype=np.uint16 if len(every) < 2**16 else np.uint32)
    place[costly] = np.arange(1, len(costly) + 1)
    places = tuple(np.split(place, np.cumsum([len(each) for each in lost])[:-1]))
    names = [_word(one, code) for one in card.attributes for code in range(one.not_asked + 1)]
    return Reasons(
        places=places,
        words=(None, *(names[at] for at in costly)),
        unexplained=sum(map(_fewest, card.attributes, card.whole_points(), places)),
    )


def seen(attribute: Attributes) -> NDArray[np.intp]:
    """Return the bins that anybody was in: what nobody was given is no measure of what a customer lost."""
    return np.flatnonzero(np.array(attribute.bins.goods) + np.array(attribute.bins.bads) > 0)


def _lost(attribute: Attributes, points: Floats, never: Sequence[str]) -> Floats:
    """Return what each bin costs against the best that anybody was in; what was not asked costs nothing."""
    if attribute.bins.name in never:
        return np.zeros(len(points))
    lost: Floats = np.maximum(points[seen(attribute)].max() - points, 0.0)
    lost[attribute.not_asked] = 0.0
    return lost


def _fewest(attribute: Attributes, whole: NDArray[np.int64], places: Places) -> int:
    """Return the fewest points of the attributes that are no reason."""
    reached = attribute.not_asked + (attribute.asked is not None)
    return int(whole[:reached][places[:reached] == 0].min())


def _word(attribute: Attributes, code: int) -> str:
    bins = attribute.bins
    if code >= bins.size - 1:
        return bins.name + MISSING_SUFFIX
    return bins.name + SPECIAL_SUFFIX if code >= bins.ordinary else bins.name
