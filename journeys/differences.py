"""Whether two groups convert differently, or whether chance alone would make them look so.

Every comparison that is made counts: the p-values are adjusted for all of them together, by Holm (the chance of any
false alarm stays at the level) and by Benjamini and Hochberg (of what is called different, the share of false alarms
does). The intervals are not adjusted: each is for its own difference.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

import numpy as np
from scipy.stats import fisher_exact, norm

from engine.numerics.intervals import newcombe
from engine.numerics.multiplicity import benjamini_hochberg, holm
from engine.numerics.ratios import or_none, ratio

EXACT: Final = "Fisher's exact test"
SCORE: Final = "score test of two shares"
ADJUSTMENT: Final = "Holm; Benjamini and Hochberg"

# Cochran's rule: below this expected count the score test's p-value is not to be trusted
_SMALL: Final = 5

WHOLE: Final = "whole journey"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The shares of two groups that go on from one step to another, and their difference group - base.

    trials, successes : how many reached the first of the two steps, and how many of these the second.
    lower, upper : 95 % interval of the difference, by Newcombe.
    p_value : of no difference, two-sided, by the test named; p_holm, p_benjamini_hochberg: adjusted for all
        comparisons made together. All None, with a reason, when a group is empty.
    """

    group: str
    base: str
    compared: str
    trials: int
    successes: int
    base_trials: int
    base_successes: int
    share: float | None
    base_share: float | None
    difference: float | None
    lower: float | None
    upper: float | None
    p_value: float | None
    p_holm: float | None
    p_benjamini_hochberg: float | None
    test: str | None
    reason: str | None


def between(
    reached: Mapping[str, Sequence[int]], pairs: Sequence[tuple[str, str]], steps: Sequence[str]
) -> list[Difference]:
    """Compare pairs of groups at every step and as a whole.

    Parameters
    ----------
    reached : how many of each group reached each step, the required ones only, in order.
    pairs : groups and the bases they are compared with; no customer may be in both of a pair.
    steps : the steps' names.
    """
    found = [
        _difference(name, (group, base), (reached[group][start], reached[group][end]), (first, last))
        for group, base in pairs
        for name, start, end in _spans(steps)
        for first, last in [(reached[base][start], reached[base][end])]
    ]
    return adjusted(found)


def against_rest(
    reached: Mapping[str, Sequence[int]], steps: Sequence[str], group: str | None = None
) -> list[Difference]:
    """Compare a group, or every group, with all others together; no customer may be in two groups."""
    total = np.sum([list(counts) for counts in reached.values()], axis=0)
    compared = list(reached) if group is None else [group]
    rest = {f"all but {name}": [int(n) for n in total - np.array(reached[name])] for name in compared}
    return between({**reached, **rest}, [(name, f"all but {name}") for name in compared], steps)


def adjusted(found: Sequence[Difference]) -> list[Difference]:
    """Adjust the p-values of comparisons for each other."""
    p_values = [math.nan if one.p_value is None else one.p_value for one in found]
    both = zip(found, holm(p_values), benjamini_hochberg(p_values), strict=True)
    return [
        replace(one, p_holm=or_none(by_holm), p_benjamini_hochberg=or_none(by_rate)) for one, by_holm, by_rate in both
    ]


def p_value(successes: int, trials: int, base_successes: int, base_trials: int) -> tuple[float, str]:
    """Return the two-sided p-value of two equal shares, and the test: exact where the counts are small.

    Raises
    ------
    ValueError
        A group is empty.
    """
    if not trials or not base_trials:
        raise ValueError("a group without anybody cannot be compared")
    total, all_successes = trials + base_trials, successes + base_successes
    rarer = min(all_successes, total - all_successes) * min(trials, base_trials) / total
    if rarer < _SMALL:
        table = [[successes, trials - successes], [base_successes, base_trials - base_successes]]
        return float(fisher_exact(table).pvalue), EXACT
    pooled = all_successes / total
    spread = math.sqrt(pooled * (1 - pooled) * (1 / trials + 1 / base_trials))
    z = (successes / trials - base_successes / base_trials) / spread
    return float(2 * norm.sf(abs(z))), SCORE


def _spans(steps: Sequence[str]) -> list[tuple[str, int, int]]:
    """Return what is compared: from each step to the next, then from the first to the last."""
    to_next = [(f"{one} to {other}", place, place + 1) for place, (one, other) in enumerate(pairwise(steps))]
    return to_next if len(to_next) < 2 else [*to_next, (WHOLE, 0, len(steps) - 1)]


def _difference(compared: str, pair: tuple[str, str], counts: tuple[int, int], base: tuple[int, int]) -> Difference:
    (trials, successes), (base_trials, base_successes) = counts, base
    empty = [name for name, number in zip(pair, (trials, base_trials), strict=True) if not number]
    tested, test, interval = None, None, None
    if not empty:
        tested, test = p_value(successes, trials, base_successes, base_trials)
        interval = newcombe(successes, trials, base_successes, base_trials)
    share, base_share = ratio(successes, trials), ratio(base_successes, base_trials)
    return Difference(
        group=pair[0],
        base=pair[1],
        compared=compared,
        trials=int(trials),
        successes=int(successes),
        base_trials=int(base_trials),
        base_successes=int(base_successes),
        share=or_none(share),
        base_share=or_none(base_share),
        difference=or_none(share - base_share),
        lower=None if interval is None else interval.lower,
        upper=None if interval is None else interval.upper,
        p_value=tested,
        p_holm=None,
        p_benjamini_hochberg=None,
        test=test,
        reason=None if not empty else f"nobody of {' or '.join(empty)} got as far as there",
    )
