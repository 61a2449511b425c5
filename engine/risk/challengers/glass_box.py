"""A model that is a sum of one table per characteristic: as good to read as a scorecard, with finer steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.config.risk import ScalingSettings
from engine.risk.attributes import Attributes
from engine.risk.challengers import additive
from engine.risk.challengers.additive import Sum
from engine.risk.challengers.scales import Scale
from engine.risk.challengers.training import Training
from engine.risk.contributions import Contributions
from engine.risk.scorecard import Scorecard, default_probability

Floats = NDArray[np.float64]
NAME: Final = "glass_box"


@dataclass(frozen=True, slots=True, kw_only=True)
class GlassBox:
    """Scales with what each of their steps adds to the log-odds of default; see `additive`."""

    scales: tuple[Scale, ...]
    sum: Sum
    directions: Mapping[str, int]

    @property
    def name(self) -> str:
        """The kind of model."""
        return NAME

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns that scoring reads."""
        return tuple(scale.name for scale in self.scales)

    def default_probability(self, columns: Mapping[str, pa.ChunkedArray], rows: int) -> Floats:
        """Return the default probability of every row."""
        return default_probability(-self.sum.of([scale.codes(columns, rows) for scale in self.scales], rows))

    def contributions(self, columns: Mapping[str, pa.ChunkedArray], rows: int) -> Contributions:
        """Return what each characteristic adds to every row's log-odds of being good."""
        codes = [scale.codes(columns, rows) for scale in self.scales]
        parts = np.empty((len(codes), rows))
        for part, table, code in zip(parts, self.sum.tables, codes, strict=True):
            np.negative(table.take(code), out=part)
        best = [-table[_seen(scale)].min() for scale, table in zip(self.scales, self.sum.tables, strict=True)]
        missing = [code == scale.size - 1 for scale, code in zip(self.scales, codes, strict=True)]
        return Contributions(
            names=self.inputs,
            baseline=-self.sum.baseline,
            parts=parts.T,
            best=np.array(best),
            missing=np.array(missing).reshape(len(codes), rows).T,
        )

    def as_scorecard(self, scaling: ScalingSettings, asked: Mapping[str, str]) -> Scorecard:
        """Return the same sum as a scorecard with points, so that it can grade and give reasons in its place.

        Parameters
        ----------
        asked : for a characteristic, the column that holds "yes" where there was anything to read it from; for all
            other rows it adds nothing, which is what it adds on average.
        """
        attributes = (
            Attributes(bins=scale.bins, log_odds=_by_bin(scale, table), asked=asked.get(scale.name))
            for scale, table in zip(self.scales, self.sum.tables, strict=True)
        )
        strongest = sorted(attributes, key=lambda one: (-one.bins.information_value, one.bins.name))
        return Scorecard(attributes=tuple(strongest), intercept=-self.sum.baseline, scaling=scaling)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON keeps exactly."""
        return {
            "scales": [scale.to_dict() for scale in self.scales],
            "baseline": self.sum.baseline,
            "tables": [table.tolist() for table in self.sum.tables],
            "directions": dict(self.directions),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> GlassBox:
        """Return the model that `to_dict` described."""
        tables = tuple(np.array(table, dtype=np.float64) for table in values["tables"])
        return cls(
            scales=tuple(Scale.from_dict(scale) for scale in values["scales"]),
            sum=Sum(baseline=values["baseline"], tables=tables),
            directions=dict(values["directions"]),
        )


def fit(training: Training) -> GlassBox:
    """Learn the model; a characteristic that adds nothing is left out.

    Raises
    ------
    NotEnoughData
        One class only.
    """
    training.require_both("glass box")
    found = additive.learn(
        training.scales,
        training.codes,
        training.plan,
        training.bad,
        training.settings.challengers.glass_box,
        seed=training.seed,
        directions=training.directions,
        weights=training.weights,
    )
    smoothing = training.settings.binning.smoothing_bads
    kept = [_joined(scale, table, smoothing) for scale, table in zip(training.scales, found.tables, strict=True)]
    used = [(scale, table) for scale, table in kept if np.ptp(table) > 0]
    return GlassBox(
        scales=tuple(scale for scale, _ in used),
        sum=Sum(baseline=found.baseline, tables=tuple(table for _, table in used)),
        directions={scale.name: training.directions.get(scale.name, 0) for scale, _ in used},
    )


def _by_bin(scale: Scale, table: Floats) -> tuple[float, ...]:
    """Return what each bin adds to the log-odds of being good; a value never missing before counts as typical."""
    told = -table
    told[-1] = told[scale.missing_as]
    return tuple(float(part) for part in told)


def _joined(scale: Scale, table: Floats, smoothing_bads: float) -> tuple[Scale, Floats]:
    """Return the scale without the cuts at which the table does not change."""
    ordinary = table[: scale.bins.ordinary]
    starts = [0, *(np.flatnonzero(np.diff(ordinary)) + 1).tolist()]
    return scale.joined(starts, smoothing_bads), np.concatenate([ordinary[starts], table[scale.bins.ordinary :]])


def _seen(scale: Scale) -> Sequence[int]:
    """Return the steps that any training row was on."""
    pairs = zip(scale.bins.goods, scale.bins.bads, strict=True)
    return [step for step, (good, bad) in enumerate(pairs) if good + bad > 0]
