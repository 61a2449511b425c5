"""How long it takes from step to step: of those who went on, and of all who could have.

The times of those who went on say nothing of those who have not yet. The survival estimate does: whoever still has
time as of the date was watched only until then, whoever ran out of time has stayed behind for the whole window. So
with nobody still on the way the share it gives is the plain one, and otherwise it is not too low, as the plain is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.numerics.survival import SurvivalCurve, kaplan_meier
from journeys import outcomes as tables
from journeys.attempts import MISSING
from journeys.outcomes import Outcomes
from journeys.spec import Funnel, WindowFrom

Floats = NDArray[np.float64]

PERCENTILES: Final = (25, 50, 75, 90, 95)
_SECOND: Final = 1_000_000
_MOST_BINS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """How many took at least `from_seconds` and less than that of the next bin; the last bin has the longest time."""

    from_seconds: float
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The share that goes on within the window, and the time that takes, with those still on the way accounted for.

    share, lower, upper : None, with a reason, when nobody was watched for the whole window.
    naive_share : of all who came, in progress or not, as a plain funnel has it; too low while some are on the way.
    mature_share : of those alone whose time is over whether they went on or not; None when there are none yet.
    median_seconds : when half have gone on; None, with a reason, when fewer than half do within the window.
    watched, still_open : all who came, and those whose watch was cut short by the date.
    """

    share: float | None
    lower: float | None
    upper: float | None
    share_reason: str | None
    naive_share: float | None
    mature_share: float | None
    median_seconds: float | None
    median_reason: str | None
    watched: int
    still_open: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionTime:
    """The time between two steps, in seconds, of those who reached both.

    percentiles : by share in percent, exact; empty when nobody did.
    bins : a histogram, of equal widths.
    """

    from_step: int
    to_step: int
    from_name: str
    to_name: str
    converted: int
    mean_seconds: float | None
    percentiles: dict[int, float]
    bins: tuple[Bin, ...]
    expected: Expected


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Watch:
    """Those at a step, in the order of the outcomes.

    seconds : until they reached the later step, or the date came, or for the whole window when time ran out.
    went_on, still_open : who reached it; who may yet.
    """

    seconds: Floats
    went_on: NDArray[np.bool_]
    still_open: NDArray[np.bool_]


def between_steps(outcomes: Outcomes) -> tuple[ConversionTime, ...]:
    """Return the time between each two neighbouring required steps, then from the first step to the last."""
    required = [number for number, step in enumerate(outcomes.funnel.steps, start=1) if not step.optional]
    pairs = list(pairwise(required))
    whole = (required[0], required[-1])
    return tuple(between(outcomes, *pair) for pair in (pairs if len(pairs) < 2 else [*pairs, whole]))


def between(outcomes: Outcomes, start: int, end: int) -> ConversionTime:
    """Return the time from one required step to a later one, both numbered from 1."""
    seconds = tables.waits(outcomes, start, end)
    steps = outcomes.funnel.steps
    return ConversionTime(
        from_step=start,
        to_step=end,
        from_name=steps[start - 1].name,
        to_name=steps[end - 1].name,
        converted=len(seconds),
        mean_seconds=float(seconds.mean()) if len(seconds) else None,
        percentiles=percentiles(seconds),
        bins=histogram(seconds),
        expected=expected(outcomes, start, end),
    )


def percentiles(seconds: Floats) -> dict[int, float]:
    """Return the exact percentiles, between two values in proportion; of nothing, none."""
    if not len(seconds):
        return {}
    return {
        percent: float(value) for percent, value in zip(PERCENTILES, np.percentile(seconds, PERCENTILES), strict=True)
    }


def histogram(seconds: Floats) -> tuple[Bin, ...]:
    """Cut times into bins of one width, a whole number of seconds, as many as the cube root of how many times."""
    if not len(seconds):
        return ()
    least, most = math.floor(seconds.min()), float(seconds.max())
    width = max(math.ceil((most - least) / min(math.ceil(round(len(seconds) ** (1 / 3), 9)), _MOST_BINS)), 1)
    counts = np.bincount(((seconds - least) // width).astype(np.int64))
    return tuple(Bin(from_seconds=float(least + place * width), count=int(n)) for place, n in enumerate(counts))


def expected(outcomes: Outcomes, start: int, end: int) -> Expected:
    """Return the share and the median time with which those at a step reach a later one within the window."""
    watch = watched(outcomes, start, end)
    horizon = _horizon_us(outcomes.funnel, start, end) / _SECOND
    curve = kaplan_meier(watch.seconds, watch.went_on)
    left = curve.at(horizon)
    bounds = curve.interval_at(horizon)
    median = curve.median()
    mature = outcomes.mature[outcomes.reached(start)]
    return Expected(
        share=None if left is None else 1 - left,
        lower=None if bounds is None else 1 - bounds[1],
        upper=None if bounds is None else 1 - bounds[0],
        share_reason=_no_share(curve, left),
        naive_share=_share(watch.went_on),
        mature_share=_share(watch.went_on[mature]),
        median_seconds=median,
        median_reason=None if median is not None else _no_median(curve, left),
        watched=len(watch.seconds),
        still_open=int(watch.still_open.sum()),
    )


def _share(went_on: NDArray[np.bool_]) -> float | None:
    return float(went_on.mean()) if len(went_on) else None


def _no_share(curve: SurvivalCurve, left: float | None) -> str | None:
    if left is not None:
        return None
    return "nobody reached the step before" if not curve.n else "nobody was watched for the whole window yet"


def _no_median(curve: SurvivalCurve, left: float | None) -> str:
    if not curve.n:
        return "nobody reached the step before"
    if left is None:
        return "half had not gone on when the watch ended, and nobody was watched for the whole window yet"
    return f"only {1 - left:.1%} go on within the window, fewer than half"


def watched(outcomes: Outcomes, start: int, end: int) -> Watch:
    """Return for how long each of those at a step was watched on the way to a later one.

    Someone in progress is watched from the attempt that can still go on. Where that is a later one than the attempt
    that counts, and got less far, nothing is known of the wait at this step: it is watched for no time.
    """
    funnel = outcomes.funnel
    came = outcomes.reached(start)
    at, arrived = outcomes.at[came, start - 1], outcomes.at[came, end - 1]
    went_on = arrived != MISSING
    still_open = outcomes.in_progress[came] & ~went_on
    window = round(funnel.window_seconds * _SECOND)
    depth = outcomes.depth[came]
    from_first = funnel.window_from is WindowFrom.FIRST
    clock = outcomes.at[came, 0] if from_first else outcomes.at[came, depth - 1]
    open_itself = clock + window >= outcomes.as_of_us
    since = np.where(open_itself, at, outcomes.as_of_us)
    if start == 1:
        # the clock of whoever has got no further began with the latest entry, as that of whoever goes on does
        of_latest = (depth == 1) | (from_first & ~open_itself)
        since = np.where(of_latest, outcomes.open_until[came] - window, since)
    stayed = np.full(len(at), _horizon_us(funnel, start, end))
    lasted = np.where(went_on, arrived - at, np.where(still_open, outcomes.as_of_us - since, stayed))
    return Watch(seconds=np.maximum(lasted, 0) / _SECOND, went_on=went_on, still_open=still_open)


def _horizon_us(funnel: Funnel, start: int, end: int) -> int:
    """Return how long it can take from one step to another, in microseconds."""
    window = round(funnel.window_seconds * _SECOND)
    if funnel.window_from is WindowFrom.FIRST:
        return window
    return window * sum(not step.optional for step in funnel.steps[start:end])
