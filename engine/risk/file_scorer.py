"""Score applicants of a plain file with reasons: a block of rows or one of them, by the same tables.

A model that is a sum (the scorecard; the glass box, which is one with finer steps) goes through the one `Scorer`, so
that a block, one applicant and the run of a bank add and rank in the same way. A model that is no sum has points and
no reasons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.risk import reasons, tiers
from engine.risk.calibrators import Calibrator, log_odds
from engine.risk.file_model import Columns, FileModel, on_scale
from engine.risk.file_reasons import Words
from engine.risk.scorer import Scorer

Floats = NDArray[np.float64]
_TYPES = {"number": pa.float64(), "category": pa.string()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """A block of scored rows.

    known : rows of which any value that the model reads is there; of the others points, probability and reasons mean
        nothing. missing : how many values of each row are not. tier : places in `tiers.TIERS`.
    reasons : places in `FileScorer.words`, the dearest first, 0 for none; shape (rows, most).
    codes : of a sum, the bin of every row, characteristic by characteristic; None of another model.
    """

    points: NDArray[np.int64]
    probability: Floats
    tier: NDArray[np.int8]
    known: NDArray[np.bool_]
    missing: NDArray[np.int32]
    reasons: reasons.Places
    codes: tuple[NDArray[Any], ...] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One applicant's score; what its parts mean is told at `Scores`."""

    points: int
    probability: float
    tier: int
    known: bool
    missing: int
    reasons: tuple[int, ...]


class FileScorer:
    """A file's model made ready to score, and the words of every reason that it can give."""

    def __init__(self, model: FileModel, most: int = reasons.MOST) -> None:
        self.model, self.most = model, most
        card = model.card
        never = (*model.never_a_reason, *model.protected)
        self._scorer = None if card is None else Scorer(card, never, most)
        self.words = Words.none() if self._scorer is None else Words.of(model, self._scorer)

    @property
    def unexplained(self) -> int | None:
        """The fewest points with which there may be no reason; None where points are no sum of reasons."""
        return None if self._scorer is None or self.model.bend is not None else self._scorer.reasons.unexplained

    def silent_at(self, cut_off: int) -> str | None:
        """Return the sentence that says that a refusal at a cut-off may have no reason to give; None where all have."""
        if self.unexplained is None or cut_off <= self.unexplained:
            return None
        return (
            f"An applicant may have {self.unexplained} points without anything that can be given as a reason. At the "
            f"cut-off of {cut_off} points such a refusal would have none, and no notice could be written: set the "
            f"cut-off at {self.unexplained} or below, or leave out the inputs that are never a reason."
        )

    def block(self, columns: Columns, rows: int) -> Scores:
        """Score every row of a block.

        Raises
        ------
        UnusableColumn
            A column is of another kind than the one the model was learned from.
        """
        if self._scorer is None:
            return self._of_no_sum(columns, rows)
        found = self._scorer.block(columns, rows)
        attributes = self._scorer.card.attributes
        missing = np.zeros(rows, dtype=np.int32)
        for attribute, codes in zip(attributes, found.codes, strict=True):
            missing += codes >= attribute.bins.size - 1
        points, probability = self._set_right(found.points, found.probability)
        known = missing < len(attributes)
        return Scores(
            points=points,
            probability=probability,
            tier=tiers.codes(probability, known, self.model.tiers),
            known=known,
            missing=missing,
            reasons=found.reasons,
            codes=found.codes,
        )

    def one(self, values: Mapping[str, object]) -> Answer:
        """Score one applicant, bit for bit as `block` does; a value that is not there is missing.

        Raises
        ------
        UnusableColumn
            A value is no number where one is expected.
        """
        if self._scorer is None:
            return self._row(values)
        found = self._scorer.one(values)
        attributes = self._scorer.card.attributes
        points, probability = np.array([found.points]), np.array([found.default_probability])
        points, probability = self._set_right(points, probability)
        missing = sum(code >= one.bins.size - 1 for one, code in zip(attributes, found.codes, strict=True))
        known = np.array([missing < len(attributes)])
        return Answer(
            points=int(points[0]),
            probability=float(probability[0]),
            tier=int(tiers.codes(probability, known, self.model.tiers)[0]),
            known=bool(known[0]),
            missing=missing,
            reasons=self._scorer.places_of(found),
        )

    def told(self, places: Sequence[int]) -> list[dict[str, Any]]:
        """Return the reasons at places in plain values: code, text in both languages, whether from a bureau."""
        return self.words.told(places, self.model.bureau)

    def _set_right(self, points: NDArray[np.int64], probability: Floats) -> tuple[NDArray[np.int64], Floats]:
        """Return points and probability as a calibrator that is no line moves them: it keeps the order of reasons."""
        bend: Calibrator | None = self.model.bend
        if bend is None:
            return points, probability
        moved = bend.apply(probability)
        return on_scale(log_odds(moved), self.model.scaling), moved

    def _of_no_sum(self, columns: Columns, rows: int) -> Scores:
        decider, empty = self.model.decider, pa.nulls(rows)
        probability = decider.default_probability(columns, rows)
        missing = np.zeros(rows, dtype=np.int32)
        for name in decider.inputs:
            missing += pc.is_null(columns.get(name, empty), nan_is_null=True).to_numpy(zero_copy_only=False)
        known = missing < len(decider.inputs)
        return Scores(
            points=on_scale(log_odds(probability), self.model.scaling),
            probability=probability,
            tier=tiers.codes(probability, known, self.model.tiers),
            known=known,
            missing=missing,
            reasons=np.zeros((rows, self.most), dtype=np.uint16),
            codes=None,
        )

    def _row(self, values: Mapping[str, object]) -> Answer:
        columns = {
            name: pa.chunked_array([pa.array([values.get(name)], _TYPES[self.model.kinds[name]])])
            for name in self.model.inputs
        }
        found = self._of_no_sum(columns, 1)
        return Answer(
            points=int(found.points[0]),
            probability=float(found.probability[0]),
            tier=int(found.tier[0]),
            known=bool(found.known[0]),
            missing=int(found.missing[0]),
            reasons=(),
        )
