"""A few thousand rows with numbers, a category, special values and gaps, of which some went bad."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from engine.config.load import load
from engine.config.risk import RiskSettings
from engine.risk.challengers.training import Training

_SHIPPED = load(RiskSettings, "risk")
SETTINGS = _SHIPPED.model_copy(update={"binning": _SHIPPED.binning.model_copy(update={"special_values": (-9.0, -8.0)})})


def training(rows: int = 3_000, seed: int = 1) -> Training:
    """Return rows whose risk rises with use, falls with age of line and differs by job; `noise` says nothing."""
    draw = np.random.default_rng([seed, 4])
    use, line = draw.beta(1.5, 3, rows), draw.integers(0, 240, rows).astype(float)
    line[draw.random(rows) < 0.1] = -9.0
    line[draw.random(rows) < 0.02] = -8.0
    job = draw.choice(["farmer", "clerk", "none"], rows, p=[0.5, 0.4, 0.1])
    odds = -3.0 + 4.0 * use - 0.006 * np.where(line < 0, 100, line) + np.where(line == -9, 1.0, 0.0)
    bad = draw.random(rows) < 1 / (1 + np.exp(-(odds + np.where(job == "none", 1.0, 0.0))))
    gaps = draw.random(rows) < 0.15
    columns = {
        "use": pa.array(use, mask=gaps),
        "line": pa.array(line),
        "job": pa.array(job),
        "noise": pa.array(draw.normal(size=rows)),
    }
    chunked = {name: pa.chunked_array([column]) for name, column in columns.items()}
    return Training(columns=chunked, bad=bad, settings=SETTINGS, seed=seed)
