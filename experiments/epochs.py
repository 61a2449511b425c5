"""Put an effect together from the spans of days between changes of the split.

Arms of a changed split differ in when their customers came. Pooled, that alone can make a good variant look bad
(Simpson's paradox); within each span the comparison is fair, and the spans are weighted by their customers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from experiments import effects, health_zh, segments
from experiments.effects import ALPHA, Effect
from experiments.estimates import ArmEstimate
from experiments.integrity import Check
from experiments.sample_ratio import Epoch
from experiments.writing import grouped

METHOD: Final = "by_epoch"

FEWEST: Final = 10
"""Customers that each arm needs in a span; with fewer its spread is too unsure for the interval to hold."""

NOTHING: Final = "the split changed, and no span with one split has enough customers of both arms"


def usable(effect: Effect) -> bool:
    """Whether a span says enough of both arms to be one of those that an effect is put together from."""
    one, other = effect.variant, effect.control
    return effect.difference is not None and one is not None and other is not None and min(one.n, other.n) >= FEWEST


def put_together(parts: Mapping[str, Effect], alpha: float = ALPHA) -> Effect:
    """Return one effect out of those of the spans, each weighted by its customers; spans that say too little are out.

    The estimates of the arms are the same weighted means, so that value, difference and lift agree. Weights are taken
    as they are: which days were counted is part of the plan, not of chance.

    References
    ----------
    Cochran (1954), Biometrics 10, 417-451, on comparisons within groups put together by the size of groups.
    """
    told = {name: effect for name, effect in parts.items() if usable(effect)}
    if not told:
        return Effect(method=METHOD, reason=NOTHING)
    sizes = {name: _size(effect) for name, effect in told.items()}
    whole = sum(sizes.values())
    weights = {name: size / whole for name, size in sizes.items()}
    arms = [_weighted(told, weights, side) for side in ("variant", "control")]
    errors = {name: _error(effect) * weights[name] ** 2 for name, effect in told.items()}
    uncertain = sum(error**2 / (told[name].degrees or float("inf")) for name, error in errors.items())
    return effects.contrast(
        arms[0],
        arms[1],
        method=METHOD,
        covariance=sum(effect.covariance * weights[name] ** 2 for name, effect in told.items()),
        alpha=alpha,
        degrees=sum(errors.values()) ** 2 / uncertain if uncertain else float("inf"),
    )


def _size(effect: Effect) -> int:
    return sum(arm.n for arm in (effect.variant, effect.control) if arm is not None)


def _error(effect: Effect) -> float:
    found = segments.difference(effect)
    return 0.0 if found is None else found.variance


def _weighted(told: Mapping[str, Effect], weights: Mapping[str, float], side: str) -> ArmEstimate:
    value, variance, n = 0.0, 0.0, 0
    for name, effect in told.items():
        arm = effect.variant if side == "variant" else effect.control
        if arm is None:
            continue
        value += weights[name] * arm.value
        variance += weights[name] ** 2 * (arm.variance if effect.counts is None else _careful(arm))
        n += arm.n
    return ArmEstimate(value=value, variance=variance, n=n)


def _careful(arm: ArmEstimate) -> float:
    """Return the variance of a share of few, as of one success and one failure more: it is never 0."""
    share = (arm.value * arm.n + 1) / (arm.n + 2)
    return share * (1 - share) / (arm.n + 2)


def unjudged_spans(customers: int, spans: Sequence[Epoch]) -> Check:
    """Report customers whose first exposure lies where no fair comparison can be made; they are in no effect.

    spans : days within which a split changed, or in which an arm has hardly anybody.
    """
    days = ", ".join(span.name for span in spans)
    return Check(
        check="unjudged_spans",
        status="warning" if customers else "ok",
        detail=f"{grouped(customers)} customers were first exposed where no fair comparison can be made, "
        f"and are in no effect: {days}.",
        detail_zh=health_zh.unjudged(grouped(customers), days),
    )
