"""What a customer earns the bank in a year, roughly, and the tier that follows."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.config.segments import ValueSettings
from engine.segments.columns import has_values, values_of

Floats = NDArray[np.float64]
TIERS: Final = ("top", "high", "middle", "low", "none")


def yearly_value(features: pa.Table, settings: ValueSettings) -> tuple[Floats, list[str]]:
    """Return every customer's yearly value in minor units, whole, and the features it had to do without.

    Sum over holdings of margin x count, plus sum over amounts of share x amount; an empty value counts as 0, an
    amount below 0 earns nothing, and a customer whose relationship has ended is worth 0.
    """
    rates = {**{name: float(rate) for name, rate in settings.minor_per_unit.items()}, **settings.share_of_amount}
    value = np.zeros(features.num_rows)
    for name, rate in rates.items():
        if has_values(features, name):
            value += np.rint(rate * np.maximum(np.nan_to_num(values_of(features, name)), 0.0))
    if has_values(features, "is_open"):
        value[values_of(features, "is_open") == 0] = 0.0
    return value, [name for name in rates if not has_values(features, name)]


def tiers(value: Floats, settings: ValueSettings) -> NDArray[np.int8]:
    """Return the place in `TIERS` of every customer, by rank among those who earn; equal values share their middle."""
    tier = np.full(len(value), TIERS.index("none"), dtype=np.int8)
    earning = value > 0
    if not earning.any():
        return tier
    _, group, counts = np.unique(-value[earning], return_inverse=True, return_counts=True)
    middle = (np.cumsum(counts) - counts / 2) / counts.sum()
    cuts = np.cumsum([settings.top_share, settings.high_share, settings.middle_share])
    # a rank exactly on a cut is still inside it, whatever the last digit of the sums says
    tier[earning] = np.searchsorted(cuts, middle - 1e-9)[group]
    return tier
