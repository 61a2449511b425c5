"""The default models by name: one way to learn, ask, write down and read back any of them.

Every model sees the same columns, gives a default probability per row, says in which direction each number counts, and
is written as JSON under a checksum. The scorecard decides; the others watch it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.domain.errors import ModelSpoilt, UnknownName
from engine.risk import scorecard as cards
from engine.risk import sealing
from engine.risk.attributes import Attributes
from engine.risk.calibrators import Calibrator
from engine.risk.challengers import boosting, forest, glass_box
from engine.risk.challengers.training import Training
from engine.risk.contributions import Contributions
from engine.risk.scorecard import NAME, Scorecard

Floats = NDArray[np.float64]
SCORECARD: Final = NAME


class DefaultModel(Protocol):
    """A model of default, whichever it is.

    `directions` says of each number that the model reads which way it counts: 1 higher is never safer, -1 higher is
    never riskier, 0 free. `contributions` is None for a model that is no sum of characteristics.
    """

    @property
    def name(self) -> str:
        """The kind of model."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns that scoring reads; one that is not there counts as missing."""

    @property
    def directions(self) -> Mapping[str, int]:
        """The direction of every number."""

    def default_probability(self, columns: Mapping[str, pa.ChunkedArray], rows: int) -> Floats:
        """Return the default probability of every row."""

    def contributions(self, columns: Mapping[str, pa.ChunkedArray], rows: int) -> Contributions | None:
        """Return what each characteristic adds to every row's log-odds of being good."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON keeps exactly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorecardModel:
    """The points scorecard as one of the models."""

    card: Scorecard

    @property
    def name(self) -> str:
        """The kind of model."""
        return SCORECARD

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns that scoring reads."""
        return self.card.inputs

    @property
    def directions(self) -> dict[str, int]:
        """The direction of every number, which its weights of evidence keep by construction."""
        return {one.bins.name: _direction(one) for one in self.card.attributes if one.bins.kind == "number"}

    def default_probability(self, columns: Mapping[str, pa.ChunkedArray], rows: int) -> Floats:
        """Return the default probability of every row."""
        return self.card.score(columns, rows).probability

    def contributions(self, columns: Mapping[str, pa.ChunkedArray], rows: int) -> Contributions:
        """Return what each characteristic adds to every row's log-odds of being good."""
        attributes = self.card.attributes
        codes = [one.codes(columns, rows) for one in attributes]
        parts = [one.weights[code] for one, code in zip(attributes, codes, strict=True)]
        # missing is the last bin, and beyond it nothing was asked
        missing = [code == one.bins.size - 1 for one, code in zip(attributes, codes, strict=True)]
        return Contributions(
            names=self.card.names,
            baseline=self.card.intercept,
            parts=np.column_stack(parts),
            best=np.array([one.weights[_seen(one)].max() for one in attributes]),
            missing=np.column_stack(missing),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON keeps exactly."""
        return self.card.to_dict()

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ScorecardModel:
        """Return the model that `to_dict` described."""
        return cls(card=Scorecard.from_dict(values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """A model whose probabilities are set right after it; what its parts add up to is slope and shift alone."""

    model: DefaultModel
    calibrator: Calibrator

    @property
    def name(self) -> str:
        """The kind of model."""
        return self.model.name

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns that scoring reads."""
        return self.model.inputs

    @property
    def directions(self) -> Mapping[str, int]:
        """The direction of every number: a calibrator never falls."""
        return self.model.directions

    def default_probability(self, columns: Mapping[str, pa.ChunkedArray], rows: int) -> Floats:
        """Return the calibrated default probability of every row."""
        return self.calibrator.apply(self.model.default_probability(columns, rows))

    def contributions(self, columns: Mapping[str, pa.ChunkedArray], rows: int) -> Contributions | None:
        """Return what each characteristic adds; before the steps of an isotonic calibrator, which are no sum."""
        parts = self.model.contributions(columns, rows)
        return None if parts is None else parts.scaled(self.calibrator.slope, self.calibrator.shift)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON keeps exactly."""
        return {"model": self.model.to_dict(), "calibrator": self.calibrator.to_dict()}


def calibrated(model: DefaultModel, calibrator: Calibrator) -> DefaultModel:
    """Return the model with its probabilities set right.

    For a scorecard and a sigmoid, what its bins add and the intercept are moved instead: points and probability stay
    one.
    """
    if calibrator.method == "none":
        return model
    if calibrator.method == "sigmoid" and isinstance(model, ScorecardModel):
        return ScorecardModel(card=moved(model.card, calibrator))
    return Calibrated(model=model, calibrator=calibrator)


def moved(card: Scorecard, calibrator: Calibrator) -> Scorecard:
    """Return the scorecard with its log-odds, and so its points, moved as a sigmoid calibrator says."""
    attributes = tuple(
        replace(one, log_odds=tuple(calibrator.slope * part for part in one.log_odds)) for one in card.attributes
    )
    return replace(card, attributes=attributes, intercept=card.intercept * calibrator.slope + calibrator.shift)


def fit_scorecard(training: Training) -> ScorecardModel:
    """Learn the scorecard; raises NotEnoughData with one class only or nothing that tells the classes apart."""
    settings = training.settings
    card = cards.fit(
        training.columns,
        training.bad,
        settings.binning.directed(training.monotone),
        settings.scaling,
        training.asked,
        weights=training.weights,
    )
    return ScorecardModel(card=card)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """How a kind of model is learned and read back."""

    fit: Callable[[Training], DefaultModel]
    read: Callable[[Mapping[str, Any]], DefaultModel]


KINDS: Final[Mapping[str, Kind]] = {
    SCORECARD: Kind(fit=fit_scorecard, read=ScorecardModel.from_dict),
    glass_box.NAME: Kind(fit=glass_box.fit, read=glass_box.GlassBox.from_dict),
    boosting.NAME: Kind(fit=boosting.fit, read=boosting.MonotoneBoosting.from_dict),
    forest.NAME: Kind(fit=forest.fit, read=forest.RandomForest.from_dict),
}
"""The models by name, the simplest first."""


def fit(name: str, training: Training) -> DefaultModel:
    """Learn the named model.

    Raises
    ------
    UnknownName
        There is no model of that name.
    NotEnoughData
        One class only, or nothing tells the classes apart.
    """
    return _kind(name).fit(training)


def document(model: DefaultModel) -> dict[str, Any]:
    """Return the model as a JSON document under a checksum, from which `read` makes the very same model."""
    return sealing.sealed(model.name, model.to_dict())


def read(document: object, source: str) -> DefaultModel:
    """Return the model of a document; `source` names it in an error.

    Raises
    ------
    ModelSpoilt
        The document is no model that is known here, or was changed after it was written.
    """
    name, content = sealing.opened(document, source)
    if name not in KINDS:
        raise ModelSpoilt(source, f'it holds a model called "{name}", and known are {", ".join(KINDS)}')
    return sealing.shaped(content, name, source, lambda found: _read(KINDS[name], found))


def _read(kind: Kind, content: Mapping[str, Any]) -> DefaultModel:
    if "calibrator" not in content:
        return kind.read(content)
    calibrator = Calibrator.from_dict(content["calibrator"])
    return Calibrated(model=kind.read(content["model"]), calibrator=calibrator)


def _kind(name: str) -> Kind:
    if name not in KINDS:
        raise UnknownName("model", name, KINDS)
    return KINDS[name]


def _direction(one: Attributes) -> int:
    ordinary = one.weights[: one.bins.ordinary]
    return int(np.sign(ordinary[0] - ordinary[-1]))


def _seen(one: Attributes) -> NDArray[np.intp]:
    return np.flatnonzero(np.array(one.bins.goods) + np.array(one.bins.bads) > 0)
