"""Whether two experiments that share customers disturb each other: what one does when the other is on, minus off."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import nan
from typing import Final

import numpy as np

from engine.numerics import multiplicity
from engine.numerics.ratios import or_none
from experiments import effects, estimates, segments
from experiments.effects import ALPHA, Effect
from experiments.estimates import ArmEstimate
from experiments.moments import Moments

SMALLEST: Final = 20
"""Customers that each of the four cells needs."""

Cells = Mapping[tuple[str, str], Moments]
"""The moments of one metric by (arm of the first experiment, arm of the second)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """A variant of the first experiment crossed with one of the second, for one metric.

    contrast : the first's effect where the second's variant is on, minus where its control is: 0 when they do not
        disturb each other. It has no relative part.
    first_alone, first_together : the first's effect under the second's control, and under its variant.
    adjusted_p_value : corrected for all crossings tested together (Holm).
    """

    metric: str
    first: str
    second: str
    contrast: Effect
    first_alone: Effect
    first_together: Effect
    adjusted_p_value: float | None = None


def crossings(
    metric: str,
    cells: Cells,
    controls: tuple[str, str],
    *,
    estimate: Callable[[Moments], ArmEstimate | None] = estimates.mean,
    alpha: float = ALPHA,
) -> tuple[Crossing, ...]:
    """Cross every variant of one experiment with every variant of another.

    Parameters
    ----------
    controls : the control of the first experiment and that of the second.
    estimate : what is made of a cell: a mean, a proportion, a ratio.
    """
    firsts = [name for name in dict.fromkeys(one for one, _ in cells) if name != controls[0]]
    seconds = [name for name in dict.fromkeys(other for _, other in cells) if name != controls[1]]
    made = {place: estimate(moments) for place, moments in cells.items() if moments.n >= SMALLEST}
    found = []
    for first in firsts:
        for second in seconds:
            alone = _effect(made.get((first, controls[1])), made.get(controls), alpha)
            together = _effect(made.get((first, second)), made.get((controls[0], second)), alpha)
            found.append(
                Crossing(
                    metric=metric,
                    first=first,
                    second=second,
                    contrast=_contrast(together, alone, alpha),
                    first_alone=alone,
                    first_together=together,
                )
            )
    return tuple(found)


def corrected(found: Sequence[Crossing]) -> tuple[Crossing, ...]:
    """Adjust the p-values of crossings together, of all pairs of experiments and all metrics (Holm)."""
    p_values = [nan if one.contrast.p_value is None else one.contrast.p_value for one in found]
    return tuple(
        replace(one, adjusted_p_value=or_none(float(adjusted)))
        for one, adjusted in zip(found, multiplicity.holm(p_values), strict=True)
    )


def independence(counts: Mapping[tuple[str, str], int]) -> float | None:
    """Test that the arms of two experiments were drawn independently, by chi-square on customers by both arms.

    None when one of them has customers in fewer than two arms. A small p-value says that the two share their draw, so
    that neither's effect is its own.
    """
    # sorted: counts come in the order a database gave them, and the last bits of a sum follow the order
    firsts, seconds = (sorted({place[side] for place in counts}) for side in (0, 1))
    table = np.array([[counts.get((first, second), 0) for second in seconds] for first in firsts])
    if table.ndim < 2:
        return None
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    if min(table.shape) < 2:
        return None
    from scipy.stats import chi2_contingency  # noqa: PLC0415  half a second to import, and few questions need it

    return float(chi2_contingency(table, correction=False).pvalue)


def _effect(variant: ArmEstimate | None, control: ArmEstimate | None, alpha: float) -> Effect:
    if variant is None or control is None:
        return Effect(method="interaction", reason=f"fewer than {SMALLEST} customers in a cell of the two experiments")
    return effects.contrast(variant, control, method="interaction", alpha=alpha)


def _contrast(together: Effect, alone: Effect, alpha: float) -> Effect:
    one, other = segments.difference(together), segments.difference(alone)
    if one is None or other is None:
        return Effect(method="interaction", reason=together.reason or alone.reason)
    found = effects.contrast(one, other, method="interaction", alpha=alpha)
    return replace(found, relative_difference=None, relative_lower=None, relative_upper=None)
