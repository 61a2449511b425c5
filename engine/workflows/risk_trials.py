"""The comparison of default models on a plain file, as the answer and the card tell it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.compliance.model_card import Both, Trial
from engine.config.risk import RiskSettings, ScalingSettings
from engine.domain.errors import NotEnoughData
from engine.numerics.ratios import or_none
from engine.risk import comparison, models
from engine.risk.calibrators import log_odds
from engine.risk.challengers.training import Training
from engine.risk.comparison import Comparison, Measures, Result
from engine.risk.file_model import points_of
from engine.risk.models import DefaultModel
from engine.risk.scorecard import Scorecard

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trials:
    """Models learned from the earlier rows (all, without a time), how they did on what they had not seen, and more.

    `flagged` are characteristics that tell too much to be true; `notes` say what could not be tried.
    """

    compared: Comparison
    scorecard: Scorecard
    flagged: tuple[tuple[str, Both], ...]
    notes: tuple[str, ...]

    @property
    def champion(self) -> str:
        """The model that decides."""
        return self.compared.verdict.champion

    @property
    def reasons(self) -> tuple[Both, ...]:
        """Why it decides and the others do not."""
        return tuple((said.text, said.text_zh) for said in self.compared.verdict.reasons)

    @property
    def models(self) -> dict[str, DefaultModel]:
        """The models by name."""
        return {one.name: one.model for one in self.compared.results}

    @property
    def unseen(self) -> Floats:
        """The default probability of every row by a champion that had not seen it."""
        return self.compared.champion.unseen

    def trials(self) -> tuple[Trial, ...]:
        """Return how every model did, in folds and then out of time."""
        results = self.compared.results
        later = [_trial(one, one.out_of_time, "out_of_time") for one in results if one.out_of_time is not None]
        return (*(_trial(one, one.folds, "folds") for one in results), *later)

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each model, as the answer has them."""
        return [
            _row(one.name, one.folds) | {"fit_seconds": round(one.fit_seconds, 3), **_probed(one)}
            for one in self.compared.results
        ]

    def out_of_time_rows(self) -> list[dict[str, Any]] | None:
        """Return the same on the latest rows; None where none were held back."""
        found = [_row(one.name, one.out_of_time) for one in self.compared.results if one.out_of_time is not None]
        return found or None

    def best_cut_off(self, scaling: ScalingSettings) -> int:
        """Return the points that part goods and bads best (KS), among rows that the champion had not seen."""
        points = np.rint(points_of(log_odds(self.unseen), scaling)).astype(np.int64)
        bad = self.compared.bad
        values, group = np.unique(points, return_inverse=True)
        bads = np.bincount(group, weights=bad) / bad.sum()
        goods = np.bincount(group, weights=~bad) / (~bad).sum()
        # refused are those below: the cut-off is the next value above where the gap is widest
        widest = int(np.argmax(np.cumsum(bads) - np.cumsum(goods)))
        return int(values[min(widest + 1, len(values) - 1)])


def tried(training: Training, times: NDArray[np.datetime64] | None) -> Trials:
    """Learn every model and try it.

    Parameters
    ----------
    training : all rows of known outcome, in the order of `times` where there are any.
    times : the instant of every row; rows of one instant stay together. None holds nothing back.
    """
    later, notes = _later(training, times, training.settings)
    earlier = training if later is None else training.part(np.flatnonzero(~later))
    try:
        suspects = models.fit_scorecard(earlier).card.suspects
        compared = comparison.compare(training, later, {one.name: one.why for one in suspects})
    except NotEnoughData as fault:
        if later is None:
            raise
        found = tried(training, None)
        why = f"Nothing is held back, since the earlier rows alone teach no scorecard: {fault.have}."
        return replace(found, notes=(why, *found.notes))
    card = scorecard_of(compared.of(models.SCORECARD).model)
    assert card is not None  # it is learned as one
    flagged = [
        (one.name, (one.why, f"单独即可区分结果：AUC {one.auc:.3f}，信息值{one.information_value:.2f}"))
        for one in suspects
    ]
    return Trials(compared=compared, scorecard=card, flagged=tuple(flagged), notes=tuple(notes))


def scorecard_of(model: DefaultModel) -> Scorecard | None:
    """Return the scorecard that a model is, calibrated or not; None where it is another model."""
    inner = model.model if isinstance(model, models.Calibrated) else model
    return inner.card if isinstance(inner, models.ScorecardModel) else None


def _later(
    training: Training, times: NDArray[np.datetime64] | None, settings: RiskSettings
) -> tuple[Bools | None, list[str]]:
    """Mark the latest rows; None where too few of the earlier are bad to learn from, or none of the later."""
    if times is None:
        return None, []
    boundary = times[min(int(training.rows * (1 - settings.out_of_time_share)), training.rows - 1)]
    later = times >= boundary
    bads, late = int(training.bad[~later].sum()), int(training.bad[later].sum())
    if min(bads, int((~training.bad[~later]).sum())) < settings.minimum_bads or not late or training.bad[later].all():
        return None, [f"Nothing is held back: {bads:,} of the earlier rows are bad, and {late:,} of the later."]
    return later, []


def _trial(one: Result, found: Measures, sample: str) -> Trial:
    directed = any(one.model.directions.values())
    return Trial(
        name=one.name,
        sample=sample,
        rows=found.rows,
        bads=found.bads,
        auc=found.auc,
        auc_sd=or_none(found.auc_sd),
        ks=found.ks,
        brier=found.brier,
        violations=one.probed.violations if directed else None,
        probes=one.probed.probes if directed else None,
        why=found.note,
    )


def _row(name: str, found: Measures) -> dict[str, Any]:
    row = {
        "name": name,
        "auc": or_none(found.auc.value),
        "auc_sd": or_none(found.auc_sd),
        "ks": or_none(found.ks),
        "brier": or_none(found.brier),
        "auc_interval": [or_none(found.auc.lower), or_none(found.auc.upper)],
        "gini": or_none(found.gini.value),
        "lift_10": or_none(found.lift),
        "calibration_error": or_none(found.calibration_error),
        "calibration_slope": or_none(found.tested.slope.value),
        "rows": found.rows,
        "bads": found.bads,
    }
    return row | ({"why": found.note} if found.note else {})


def _probed(one: Result) -> dict[str, Any]:
    return {"monotonic_violations": one.monotonic_violations, "monotonic_probes": one.probed.probes}
