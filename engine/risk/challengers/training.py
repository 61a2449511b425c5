"""The rows a model learns from, seen through scales once for all models: the matrix and back, and the directions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.config.risk import RiskSettings
from engine.domain.errors import NotEnoughData
from engine.risk.binning import Codes
from engine.risk.challengers import directions, scales
from engine.risk.challengers.plan import Plan, plan
from engine.risk.challengers.scales import Scale

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
_WAYS: Final = {"auto": directions.FREE, "rising": directions.RISKIER, "falling": directions.SAFER}


@dataclass(frozen=True, kw_only=True)
class Training:
    """Characteristics of rows and which went bad; what a model needs to be learned, whichever it is.

    Parameters
    ----------
    columns : the characteristics; every one is a candidate input, so leave out what may not be.
    bad : which rows went bad.
    settings : how risk is learned.
    seed : where a model draws.
    weights : how much each row counts; all alike by default.
    asked : for a characteristic, the column that holds "yes" where there was anything to read it from.
    monotone : directions given rather than learned: 1 higher is riskier, -1 higher is safer, 0 free.
    """

    columns: Mapping[str, pa.ChunkedArray]
    bad: Bools
    settings: RiskSettings
    seed: int = 0
    weights: Floats | None = None
    asked: Mapping[str, str] = field(default_factory=dict)
    monotone: Mapping[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.bad)

    def require_both(self, what: str) -> None:
        """Raise NotEnoughData when only one class is there."""
        if self.bad.all() or not self.bad.any():
            raise NotEnoughData(what, f"{int(self.bad.sum())} of {self.rows} rows are bad", "both goods and bads")

    def prepare(self) -> None:
        """Find steps and directions now, so that what follows is the learning of a model alone."""
        _ = self.codes, self.directions

    def part(self, rows: NDArray[np.intp]) -> Training:
        """Return the training with these rows alone."""
        places = pa.array(rows)
        return Training(
            columns={name: column.take(places) for name, column in self.columns.items()},
            bad=self.bad[rows],
            settings=self.settings,
            seed=self.seed,
            weights=None if self.weights is None else self.weights[rows],
            asked=self.asked,
            monotone=self.monotone,
        )

    @cached_property
    def scales(self) -> tuple[Scale, ...]:
        """The scale of every characteristic that differs among the rows."""
        settings = self.settings
        return scales.fit(self.columns, self.bad, settings.binning, settings.challengers.cuts, self.weights)

    @cached_property
    def codes(self) -> tuple[Codes, ...]:
        """The step of every row, scale by scale."""
        return tuple(scale.codes(self.columns, self.rows) for scale in self.scales)

    @cached_property
    def plan(self) -> Plan:
        """What the columns of the matrix are."""
        return plan(self.scales)

    @cached_property
    def directions(self) -> dict[str, int]:
        """Which way each number counts: learned from these rows, unless given here or in the settings of binning."""
        settings = self.settings.challengers
        learned = directions.learn(
            self.scales,
            self.codes,
            self.plan,
            self.bad,
            settings.glass_box.model_copy(update={"trees": settings.direction_trees}),
            seed=self.seed,
            weights=self.weights,
        )
        set_ways = {name: _WAYS[self.settings.binning.direction(name)] for name in learned}
        told = {**{name: way for name, way in set_ways.items() if way}, **self.monotone}
        return {**learned, **{name: way for name, way in told.items() if name in learned}}
