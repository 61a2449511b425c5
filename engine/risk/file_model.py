"""A default model learned from a plain file: the model that decides, those that watch it, and how its columns are read.

How rows are scored with it is the business of `file_scorer`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.config.risk import ScalingSettings, TierSettings
from engine.risk import models
from engine.risk.calibrators import Calibrator
from engine.risk.challengers.glass_box import GlassBox
from engine.risk.models import Calibrated, DefaultModel, ScorecardModel
from engine.risk.scorecard import Scorecard

Floats = NDArray[np.float64]
Columns = Mapping[str, pa.ChunkedArray]


@dataclass(frozen=True, kw_only=True)
class FileModel:
    """What a model folder holds.

    models : by name, the champion among them. kinds : "number" or "category" of every column that a model reads.
    seen : of each column of words, the words that it was learned with.
    meanings : what a column means in English and Chinese. bureau : columns read from a credit bureau's report.
    protected and never_a_reason : columns that are given as a reason to nobody; the former are no input either.
    cut_off : points below which an applicant is refused. learned_from : the file in facts, for whoever asks later.
    """

    champion: str
    models: Mapping[str, DefaultModel]
    kinds: Mapping[str, str]
    seen: Mapping[str, tuple[str, ...]]
    meanings: Mapping[str, tuple[str, str]]
    bureau: tuple[str, ...]
    protected: tuple[str, ...]
    never_a_reason: tuple[str, ...]
    scaling: ScalingSettings
    tiers: TierSettings
    cut_off: int
    learned_from: Mapping[str, Any]

    @property
    def decider(self) -> DefaultModel:
        """The model that decides."""
        return self.models[self.champion]

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns that the deciding model reads."""
        return self.decider.inputs

    @property
    def uses_bureau(self) -> bool:
        """Whether anything of a credit bureau's report is an input of the deciding model."""
        return any(name in self.bureau for name in self.inputs)

    @cached_property
    def card(self) -> Scorecard | None:
        """The deciding model as a sum in points: the scorecard, or the glass box as one; None for a model that is none.

        A calibrator that is a line is in it; of another, see `bend`.
        """
        decider = self.decider
        inner = decider.model if isinstance(decider, Calibrated) else decider
        if isinstance(inner, GlassBox):
            found = inner.as_scorecard(self.scaling, {})
        elif isinstance(inner, ScorecardModel):
            found = inner.card
        else:
            return None
        if isinstance(decider, Calibrated) and decider.calibrator.method == "sigmoid":
            return models.moved(found, decider.calibrator)
        return found

    @property
    def bend(self) -> Calibrator | None:
        """The calibrator of a sum that is no line: points come from the probability then. None where there is none."""
        decider = self.decider
        if self.card is None or not isinstance(decider, Calibrated) or decider.calibrator.method != "isotonic":
            return None
        return decider.calibrator

    @property
    def range(self) -> tuple[int, int]:
        """The least and the most points that anybody can have; where points are no sum, those of 0.1 to 99.9 %."""
        if self.card is not None and self.bend is None:
            whole = self.card.whole_points()
            sizes = [one.bins.size for one in self.card.attributes]
            ends = [(points[:size].min(), points[:size].max()) for points, size in zip(whole, sizes, strict=True)]
            return int(sum(low for low, _ in ends)), int(sum(high for _, high in ends))
        low, high = on_scale(np.log(np.array([0.001, 999.0])), self.scaling).tolist()
        return low, high

    def unseen(self, columns: Columns) -> NDArray[np.int64]:
        """Return how many words of every row were never seen while learning."""
        counted: list[NDArray[np.int64]] = []
        for name, words in self.seen.items():
            if name in columns and name in self.inputs:
                new = pc.and_not(pc.is_valid(columns[name]), pc.is_in(columns[name], pa.array(words, pa.string())))
                counted.append(new.to_numpy().astype(np.int64))
        rows = len(next(iter(columns.values()))) if columns else 0
        return np.sum(counted, axis=0) if counted else np.zeros(rows, dtype=np.int64)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON keeps exactly; each model has a checksum of its own."""
        return {
            "champion": self.champion,
            "models": {name: models.document(model) for name, model in self.models.items()},
            "kinds": dict(self.kinds),
            "seen": {name: list(words) for name, words in self.seen.items()},
            "meanings": {name: list(both) for name, both in self.meanings.items()},
            "bureau": list(self.bureau),
            "protected": list(self.protected),
            "never_a_reason": list(self.never_a_reason),
            "scaling": self.scaling.model_dump(mode="json"),
            "tiers": self.tiers.model_dump(mode="json"),
            "cut_off": self.cut_off,
            "learned_from": dict(self.learned_from),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], source: str) -> FileModel:
        """Return what `to_dict` described; raises ModelSpoilt where a model in it was changed since."""
        return cls(
            champion=values["champion"],
            models={name: models.read(document, source) for name, document in values["models"].items()},
            kinds=values["kinds"],
            seen={name: tuple(words) for name, words in values["seen"].items()},
            meanings={name: (both[0], both[1]) for name, both in values["meanings"].items()},
            bureau=tuple(values["bureau"]),
            protected=tuple(values["protected"]),
            never_a_reason=tuple(values["never_a_reason"]),
            scaling=ScalingSettings.model_validate(values["scaling"]),
            tiers=TierSettings.model_validate(values["tiers"]),
            cut_off=values["cut_off"],
            learned_from=values["learned_from"],
        )


def points_of(own: Floats, scaling: ScalingSettings) -> Floats:
    """Return exact points of log-odds of being good: base points at the base odds, and so on."""
    factor = scaling.points_to_double_odds / np.log(2)
    points: Floats = scaling.base_points + factor * (own - np.log(scaling.base_odds))
    return points


def on_scale(own: Floats, scaling: ScalingSettings) -> NDArray[np.int64]:
    """Return whole points of log-odds of being good."""
    points: NDArray[np.int64] = np.rint(points_of(own, scaling)).astype(np.int64)
    return points


def probability_at(points: float, scaling: ScalingSettings) -> float:
    """Return the default probability at points on the scale."""
    factor = scaling.points_to_double_odds / np.log(2)
    return float(1 / (1 + scaling.base_odds * np.exp((points - scaling.base_points) / factor)))
