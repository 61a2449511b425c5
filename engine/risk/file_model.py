"""A default model learned from a plain file: the model that decides, those that watch it, and how its columns are read.

Scoring is the same for a block of rows and for one row: points, default probability, tier, and what costs most.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.config.risk import ScalingSettings, TierSettings
from engine.risk import models
from engine.risk import tiers as grades
from engine.risk.attributes import Attributes
from engine.risk.calibrators import log_odds
from engine.risk.models import DefaultModel, ScorecardModel
from engine.risk.scorecard import Scorecard

Floats = NDArray[np.float64]
Columns = Mapping[str, pa.ChunkedArray]
NO_REASON: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """A block of scored rows.

    lost : what each characteristic of the champion costs a row in points against the best anybody was given, shape
        (rows, characteristics); None for a champion that is no sum of characteristics.
    missing : where the value of a characteristic is missing or was never seen. known : rows with any value at all.
    bins : of a scorecard, the bin of every row, characteristic by characteristic.
    """

    points: NDArray[np.int64]
    probability: Floats
    tier: NDArray[np.int8]
    known: NDArray[np.bool_]
    names: tuple[str, ...]
    lost: Floats | None
    missing: NDArray[np.bool_]
    bins: tuple[NDArray[Any], ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
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

    @property
    def range(self) -> tuple[int, int]:
        """The least and the most points that anybody can have; of a champion that is no scorecard, of 0.1 to 99.9 %."""
        if isinstance(self.decider, ScorecardModel):
            whole = self.decider.card.whole_points()
            sizes = [one.bins.size for one in self.decider.card.attributes]
            ends = [(points[:size].min(), points[:size].max()) for points, size in zip(whole, sizes, strict=True)]
            return int(sum(low for low, _ in ends)), int(sum(high for _, high in ends))
        low, high = self._on_scale(np.log(np.array([0.001, 999.0]))).tolist()
        return low, high

    def score(self, columns: Columns, rows: int) -> Scores:
        """Return points, probability and tier of every row, and what each characteristic costs it."""
        if isinstance(self.decider, ScorecardModel):
            return self._of_card(self.decider.card, columns, rows)
        parts = self.decider.contributions(columns, rows)
        probability = self.decider.default_probability(columns, rows)
        missing = self._missing(columns, rows) if parts is None else parts.missing
        known = np.asarray(~missing.all(axis=1))
        return Scores(
            points=self._on_scale(log_odds(probability)),
            probability=probability,
            tier=grades.codes(probability, known, self.tiers),
            known=known,
            names=self.decider.inputs if parts is None else parts.names,
            lost=None if parts is None else self._factor * parts.lost(),
            missing=missing,
        )

    def _of_card(self, card: Scorecard, columns: Columns, rows: int) -> Scores:
        scored = card.score(columns, rows)
        lost, missing = np.empty((rows, len(card.names))), np.empty((rows, len(card.names)), dtype=bool)
        for place, (attribute, points, codes) in enumerate(
            zip(card.attributes, card.points(), scored.codes, strict=True)
        ):
            lost[:, place] = lost_points(attribute, points)[codes]
            missing[:, place] = codes >= attribute.bins.size - 1
        known = np.asarray(~missing.all(axis=1))
        return Scores(
            points=scored.points,
            probability=scored.probability,
            tier=grades.codes(scored.probability, known, self.tiers),
            known=known,
            names=card.names,
            lost=lost,
            missing=missing,
            bins=scored.codes,
        )

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

    @property
    def _factor(self) -> float:
        return float(self.scaling.points_to_double_odds / np.log(2))

    def _on_scale(self, own: Floats) -> NDArray[np.int64]:
        points: NDArray[np.int64] = np.rint(points_of(own, self.scaling)).astype(np.int64)
        return points

    def _missing(self, columns: Columns, rows: int) -> NDArray[np.bool_]:
        empty = pa.nulls(rows)
        return np.column_stack(
            [pc.is_null(columns.get(name, empty)).to_numpy(zero_copy_only=False) for name in self.inputs]
        )


def lost_points(attribute: Attributes, points: Floats) -> Floats:
    """Return what each bin costs against the best that anybody was in; what was not asked costs nothing."""
    seen = np.flatnonzero(np.array(attribute.bins.goods) + np.array(attribute.bins.bads) > 0)
    lost: Floats = np.maximum(points[seen].max() - points, 0.0)
    lost[attribute.not_asked] = 0.0
    return lost


def points_of(own: Floats, scaling: ScalingSettings) -> Floats:
    """Return exact points of log-odds of being good: base points at the base odds, and so on."""
    factor = scaling.points_to_double_odds / np.log(2)
    points: Floats = scaling.base_points + factor * (own - np.log(scaling.base_odds))
    return points


def probability_at(points: float, scaling: ScalingSettings) -> float:
    """Return the default probability at points on the scale."""
    factor = scaling.points_to_double_odds / np.log(2)
    return float(1 / (1 + scaling.base_odds * np.exp((points - scaling.base_points) / factor)))


def principal(scores: Scores, never: Sequence[str], most: int) -> NDArray[np.int64]:
    """Return, per row, the places among `names` of what costs most points, the worst first; -1 where nothing does.

    Shape (rows, most). `never` are characteristics that are no reason.
    """
    rows = len(scores.points)
    found = np.full((rows, most), NO_REASON, dtype=np.int64)
    allowed = np.array([place for place, name in enumerate(scores.names) if name not in never], dtype=np.int64)
    if scores.lost is None or not len(allowed):
        return found
    lost, every = scores.lost[:, allowed].copy(), np.arange(rows)
    for rank in range(min(most, len(allowed))):
        worst = lost.argmax(axis=1)
        found[:, rank] = np.where(lost[every, worst] > 0, allowed[worst], NO_REASON)
        lost[every, worst] = -np.inf
    return found
