"""How wrong the forecast would have been: learned up to a day, judged on what came after, beside simple ways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from engine.numerics.ratios import or_none
from engine.segments.lifetime.histories import Histories
from engine.segments.lifetime.value import Models

Floats = NDArray[np.float64]

MODEL: Final = "bg_nbd_gamma_gamma"
MEAN: Final = "mean"
OWN_RATE: Final = "own_past_rate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What one way says of each customer for the days after: purchases, and money less what is sent back."""

    purchases: Floats
    spend: Floats


def forecasts(models: Models, seen: Histories, days: float) -> dict[str, Forecast]:
    """Return the model's forecast, and those of two ways that need none.

    mean : everybody goes on as all together did: repeats a day, money a purchase. own_past_rate : everybody goes on
    as he did himself; whoever was seen for no day yet, as all together.
    """
    rate = float(seen.repeats.sum()) / max(float(seen.age_days.sum()), 1.0)
    net = seen.spent - seen.returned
    each = float(net.sum()) / float((seen.repeats + 1).sum())
    own = np.full(len(seen), rate)
    np.divide(seen.repeats, seen.age_days, out=own, where=seen.age_days > 0)
    coming = models.purchases.expected(seen, days)
    worth = models.spend.expected(seen.repeats, seen.repeat_spend) * (1 - models.returned_share)
    return {
        MODEL: Forecast(purchases=coming, spend=coming * worth),
        MEAN: Forecast(purchases=np.full(len(seen), rate * days), spend=np.full(len(seen), rate * days * each)),
        OWN_RATE: Forecast(purchases=own * days, spend=own * days * net / (seen.repeats + 1)),
    }


def judge(said: dict[str, Forecast], purchases: Floats, spend: Floats) -> list[dict[str, Any]]:
    """Return a row for each way and measure: its errors, and how much smaller the model's absolute error is.

    `purchases` and `spend` are what came. Intervals are 95 % ones of a mean over customers (normal). Total bias is
    (forecast - actual) / actual of the sums; it is None where nothing came.
    """
    rows = []
    for measure, actual in (("purchases", purchases), ("spend", spend)):
        of_model = np.abs(getattr(said[MODEL], measure) - actual)
        for way, forecast in said.items():
            value = getattr(forecast, measure)
            error = np.abs(value - actual)
            row = {"measure": measure, "way": way, **_mean("mean_absolute_error", "error_95", error)}
            row["root_mean_squared_error"] = or_none(float(np.sqrt(((value - actual) ** 2).mean())))
            row |= _bias(value, actual)
            if way != MODEL:
                row |= _mean("model_is_better_by", "better_95", error - of_model)
            rows.append(row)
    return rows


def _mean(name: str, interval: str, values: Floats) -> dict[str, Any]:
    mean, half = float(values.mean()), _half(values)
    return {name: or_none(mean), interval: _span(mean, half)}


def _bias(value: Floats, actual: Floats) -> dict[str, Any]:
    total = float(actual.sum())
    if total <= 0:
        return {"total_bias": None, "bias_95": None}
    bias = float(value.sum()) / total - 1
    # a ratio of two sums, linearised: what each customer adds to the numerator beyond the ratio's share of his own
    half = _half(value - (1 + bias) * actual) * len(actual) / total
    return {"total_bias": bias, "bias_95": _span(bias, half)}


def _half(values: Floats) -> float:
    if len(values) < 2:
        return float("nan")
    return float(ndtri(0.975) * values.std(ddof=1) / np.sqrt(len(values)))


def _span(middle: float, half: float) -> list[float] | None:
    return [middle - half, middle + half] if np.isfinite(half) else None
