"""Attribute conversions to the touches before them: one answer per model, side by side, with how sure each is.

    first, last        the whole conversion to the first, or the last, touch of its path
    last_non_direct    to the last touch that is not a direct one; to the last when all are
    linear             equal parts to all touches
    position           40 % to the first, 40 % to the last, the rest to those between in equal parts; halves for two
    time_decay         parts that halve with every half-life before the last touch
    markov, markov_2   by removal effect in a chain whose states are the last touch, or the last two
    shapley            by the game in which a set of touches is worth the conversions of the paths that need no other

Every model gives out each conversion that has a touch exactly once. A model that only looks at paths that converted
says who was there; the Markov chains also weigh the paths that were lost.

The Shapley value is exact for any number of touches: the game is a sum of unanimity games, one per path, and the
value of each is an equal part for every different touch of the path.

References
----------
Shapley (1953), A value for n-person games, on unanimity games. Zhao, Mahboobi, Bagheri (2018), Shapley value methods
for attribution modeling in online advertising, on this game. `journeys/absorbing.py` for the chains.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import pyarrow as pa

from engine.domain.errors import NotEnoughData, UnknownName
from journeys import histories as blocks
from journeys import touchpoints
from journeys.attribution_models import LAST_NON_DIRECT, Floats, Model, Sample, model
from journeys.histories import Histories, Ints
from journeys.touchpoints import Question, Tally

MODELS: Final = ("first", "last", "linear", "position", "time_decay", "markov", "markov_2", "shapley")
"""The models asked for by default, as tables list them; `LAST_NON_DIRECT` needs to know what is direct."""

RESAMPLES: Final = 200
LEVEL: Final = 0.95
SHARE_SPREAD: Final = 0.10
"""Models disagree on a touch when its largest share is this much above its smallest."""
RANK_SPREAD: Final = 2
"""Or when its best rank is this many places before its worst, for touches of a share of at least `RANKED_SHARE`."""
RANKED_SHARE: Final = 0.02

_CELLS: Final = 4_000_000  # numbers of a batch of resamples held at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """A touch on which the models disagree: its smallest and largest share, and its ranks, 1 for the largest share."""

    touch: str
    lowest_share: float
    lowest_model: str
    highest_share: float
    highest_model: str
    best_rank: int
    worst_rank: int

    @property
    def sentence(self) -> str:
        """Say it in words."""
        return (
            f'Models disagree on "{self.touch}": {self.lowest_share:.1%} by {self.lowest_model}, '
            f"{self.highest_share:.1%} by {self.highest_model}; rank {self.best_rank} to {self.worst_rank}."
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AttributionTable:
    """What each model gives to each touch.

    credit : conversions, shape (n_models, n_touches); nan throughout for a model that could not be solved.
    lower, upper : 95 % interval of the share of the credit, over customers drawn again; nan where there is none.
    value : minor units, whole numbers that add up to the value of the conversions with a touch; None without a value.
    conversions = attributed + without_touch. customers have at least one touch or conversion.
    lost_paths : paths that no conversion followed in time. open_paths : those that may yet convert, left out.
    notes : sentences on what could not be answered.
    """

    models: tuple[str, ...]
    touches: tuple[str, ...]
    credit: Floats
    lower: Floats
    upper: Floats
    value: Ints | None
    customers: int
    attributed: int
    without_touch: int
    lost_paths: int
    open_paths: int
    disagreements: tuple[Disagreement, ...]
    notes: tuple[str, ...]

    @property
    def conversions(self) -> int:
        """How many conversions there are, with a touch or without."""
        return self.attributed + self.without_touch

    @property
    def shares(self) -> Floats:
        """The share of each touch in the credit that a model gives, shape (n_models, n_touches)."""
        return self.credit / self.attributed

    def of(self, model: str) -> dict[str, float]:
        """Return the conversions that a model gives to each touch."""
        if model not in self.models:
            raise UnknownName("model", model, self.models)
        return dict(zip(self.touches, self.credit[self.models.index(model)].tolist(), strict=True))

    def rows(self) -> list[dict[str, Any]]:
        """Return one row per touch and model, touches in order of their largest share."""
        shares = self.shares
        order = np.argsort(-np.nan_to_num(shares).max(axis=0), kind="stable")
        return [
            {
                "touch": self.touches[touch],
                "model": model,
                "conversions": _defined(self.credit[place, touch]),
                "share": _defined(shares[place, touch]),
                "share_lower": _defined(self.lower[place, touch]),
                "share_upper": _defined(self.upper[place, touch]),
                "value_minor": None if self.value is None else int(self.value[place, touch]),
            }
            for touch in order
            for place, model in enumerate(self.models)
        ]


def attribute(
    histories: Histories,
    *,
    conversion: tuple[str, ...],
    touch: str,
    lookback_seconds: float,
    models: Sequence[str] = MODELS,
    seed: int = 0,
    as_of: datetime | None = None,
) -> AttributionTable:
    """Attribute the conversions of histories to the values of one column, an attribute or the events themselves.

    Paths that may yet convert at as_of are left out; without a date none is. See `summarise` for what is raised.
    """
    question = Question(
        conversion=conversion,
        touch=touch,
        touches=touchpoints.touches_seen(histories, touch, conversion),
        lookback_seconds=lookback_seconds,
    )
    now = None if as_of is None else round(as_of.timestamp() * 1_000_000)
    return summarise(touchpoints.tally(histories, question, now), models=models, seed=seed)


def block(rows: pa.Table, question: Question, as_of: int | None) -> pa.Table:
    """Tally the events of whole customers; what an engine of the lake runs on each of its blocks."""
    return touchpoints.as_table(touchpoints.tally(blocks.of(rows), question, as_of))


def summarise(
    tallied: Tally,
    *,
    models: Sequence[str] = MODELS,
    direct: Sequence[str] = (),
    seed: int = 0,
    resamples: int = RESAMPLES,
    has_value: bool = False,
) -> AttributionTable:
    """Attribute the conversions of a tally.

    Parameters
    ----------
    direct : the touches that `last_non_direct` passes over.
    resamples : how often customers are drawn again for the intervals; 0 for no interval.
    has_value : whether conversions were tallied with a value.

    Raises
    ------
    UnknownName
        There is no model of that name, or a direct touch never occurs.
    NotEnoughData
        There is no conversion with a touch before it.
    """
    for name in models:
        if name not in (*MODELS, LAST_NON_DIRECT):
            raise UnknownName("model", name, (*MODELS, LAST_NON_DIRECT))
    for name in direct:
        if name not in tallied.touches:
            raise UnknownName("touch", name, tallied.touches)
    sample = Sample.of(tallied)
    taken = sample.paths_of(sample.customers)
    attributed = round(float(taken @ sample.conversions))
    without_touch = int(tallied.without_touch.sum())
    if not attributed:
        raise NotEnoughData(
            "attribution",
            f"{without_touch} conversions, none with a touch before it within the look-back",
            "a conversion event that occurs, and touches before it; check the names, or lengthen the look-back",
        )
    asked = [model(name, sample, tallied, frozenset(direct)) for name in models]
    shares = np.concatenate([one.shares(sample.customers[None, :]) for one in asked])
    lower, upper = _intervals(sample, asked, resamples, np.random.default_rng(seed))
    return AttributionTable(
        models=tuple(models),
        touches=tallied.touches,
        credit=shares * attributed,
        lower=lower,
        upper=upper,
        value=np.stack([_whole(one.value(), round(sample.value.sum())) for one in asked]) if has_value else None,
        customers=int(tallied.customers.sum()),
        attributed=attributed,
        without_touch=without_touch,
        lost_paths=round(float(taken[sample.conversions == 0].sum())),
        open_paths=int(tallied.open_paths.sum()),
        disagreements=_disagreements(tuple(models), tallied.touches, shares),
        notes=tuple(one.note for one in asked if one.note),
    )


def _intervals(
    sample: Sample, asked: Sequence[Model], resamples: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Return the ends of the percentile interval of every model's shares, over customers drawn with replacement."""
    ends = np.full((2, len(asked), sample.n_touches), np.nan)
    if not resamples:
        return ends[0], ends[1]
    drawn: list[list[Floats]] = [[] for _ in asked]
    customers = round(sample.customers.sum())
    batch = max(1, _CELLS // len(sample.customers))
    for begun in range(0, resamples, batch):
        weights = rng.multinomial(customers, sample.customers / customers, size=min(batch, resamples - begun))
        for place, one in enumerate(asked):
            if one.resampled:
                drawn[place].append(one.shares(weights.astype(np.float64), rng))
    for place, parts in enumerate(drawn):
        shares = np.concatenate(parts) if parts else np.zeros((0, sample.n_touches))
        shares = shares[~np.isnan(shares).any(axis=1)]  # a draw without a conversion has no shares
        if len(shares):
            ends[:, place] = np.quantile(shares, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    return ends[0], ends[1]


def _whole(value: Floats, total: int) -> Ints:
    """Round amounts to whole minor units that add up to the total: the largest remainders get what is left."""
    value = np.nan_to_num(value)
    rounded = np.floor(value).astype(np.int64)
    left = total - int(rounded.sum())
    if value.any() and left > 0:
        rounded[np.argsort(rounded - value, kind="stable")[:left]] += 1
    return rounded


def _disagreements(models: tuple[str, ...], touches: tuple[str, ...], shares: Floats) -> tuple[Disagreement, ...]:
    """Return the touches on which the solved models disagree, the widest first."""
    solved = np.flatnonzero(~np.isnan(shares).any(axis=1))
    shares = shares[solved]
    rank = 1 + (shares[:, None, :] > shares[:, :, None]).sum(axis=2)
    found = []
    for touch, name in enumerate(touches):
        low, high = int(shares[:, touch].argmin()), int(shares[:, touch].argmax())
        spread = shares[high, touch] - shares[low, touch]
        ranks = rank[:, touch]
        reordered = ranks.max() - ranks.min() >= RANK_SPREAD and shares[high, touch] >= RANKED_SHARE
        if spread >= SHARE_SPREAD or reordered:
            found.append(
                Disagreement(
                    touch=name,
                    lowest_share=float(shares[low, touch]),
                    lowest_model=models[solved[low]],
                    highest_share=float(shares[high, touch]),
                    highest_model=models[solved[high]],
                    best_rank=int(ranks.min()),
                    worst_rank=int(ranks.max()),
                )
            )
    return tuple(sorted(found, key=lambda one: one.lowest_share - one.highest_share))


def _defined(number: float) -> float | None:
    return None if math.isnan(number) else float(number)
