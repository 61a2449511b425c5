"""How default models do on rows that they have not seen: five folds, and the latest rows where there is a time."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold

from engine.compliance.model_card import Both, Trial
from engine.config.risk import RiskSettings, ScalingSettings
from engine.numerics.ratios import or_none
from engine.risk import metrics, models
from engine.risk.challengers.training import Training
from engine.risk.file_model import points_of
from engine.risk.models import DefaultModel, ScorecardModel

Floats = NDArray[np.float64]
FOLDS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trials:
    """Models learned from the earlier rows (all, without a time), and how they did on what they had not seen.

    unseen : by model, the default probability of every row given by a model that had not seen it: that of the other
        folds, or, for the latest rows, that of all earlier ones. `later` marks the latest rows.
    """

    models: Mapping[str, DefaultModel]
    champion: str
    reasons: tuple[Both, ...]
    trials: tuple[Trial, ...]
    fit_seconds: Mapping[str, float]
    unseen: Mapping[str, Floats]
    bad: NDArray[np.bool_]
    later: NDArray[np.bool_]
    flagged: tuple[tuple[str, Both], ...]
    notes: tuple[str, ...]
    folds: int = FOLDS

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each model, as the answer has them."""
        return [_row(one, self.fit_seconds[one.name]) for one in self.trials if one.sample == "folds"]

    def out_of_time_rows(self) -> list[dict[str, Any]] | None:
        """Return the same on the latest rows; None where none were held back."""
        found = [_row(one, None) for one in self.trials if one.sample == "out_of_time"]
        return found or None

    def best_cut_off(self, scaling: ScalingSettings) -> int:
        """Return the points that part goods and bads best (KS), among rows that the champion had not seen."""
        points = np.rint(points_of(log_odds(self.unseen[self.champion]), scaling)).astype(np.int64)
        values, group = np.unique(points, return_inverse=True)
        bads = np.bincount(group, weights=self.bad) / self.bad.sum()
        goods = np.bincount(group, weights=~self.bad) / (~self.bad).sum()
        # refused are those below: the cut-off is the next value above where the gap is widest
        widest = int(np.argmax(np.cumsum(bads) - np.cumsum(goods)))
        return int(values[min(widest + 1, len(values) - 1)])


def tried(training: Training, times: NDArray[np.datetime64] | None, settings: RiskSettings) -> Trials:
    """Learn every model and try it.

    Parameters
    ----------
    training : all rows of known outcome, in the order of `times` where there are any.
    times : the instant of every row; rows of one instant stay together.
    """
    later, notes = _later(training, times, settings)
    earlier = training.part(np.flatnonzero(~later)) if later.any() else training
    found, unseen, seconds, trials = {}, {}, {}, []
    for name in models.KINDS:
        began = time.process_time()
        found[name] = models.fit(name, earlier)
        seconds[name] = round(time.process_time() - began, 3)
        probability = np.empty(training.rows)
        parts = np.empty(earlier.rows, dtype=np.int64)
        probability[~later], parts = _out_of_fold(name, earlier)
        if later.any():
            latest = training.part(np.flatnonzero(later))
            probability[later] = found[name].default_probability(latest.columns, latest.rows)
        unseen[name] = probability
        trials += _trials(name, training.bad, probability, later, parts)
    return Trials(
        models=found,
        champion=models.SCORECARD,
        reasons=(),
        trials=tuple(trials),
        fit_seconds=seconds,
        unseen=unseen,
        bad=training.bad,
        later=later,
        flagged=tuple(_flagged(found[models.SCORECARD])),
        notes=tuple(notes),
    )


def _flagged(scorecard: DefaultModel) -> list[tuple[str, Both]]:
    assert isinstance(scorecard, ScorecardModel)
    return [
        (one.name, (one.why, f"单独即可区分结果：AUC {one.auc:.3f}，信息值{one.information_value:.2f}"))
        for one in scorecard.card.suspects
    ]


def _later(
    training: Training, times: NDArray[np.datetime64] | None, settings: RiskSettings
) -> tuple[NDArray[np.bool_], list[str]]:
    """Mark the latest rows; none where too few of the earlier are bad to learn from."""
    nobody = np.zeros(training.rows, dtype=bool)
    if times is None:
        return nobody, []
    boundary = times[min(int(training.rows * (1 - settings.out_of_time_share)), training.rows - 1)]
    later = times >= boundary
    bads, late_bads = int(training.bad[~later].sum()), int(training.bad[later].sum())
    if bads < settings.minimum_bads or (~training.bad[~later]).sum() < settings.minimum_bads or not late_bads:
        why = f"Nothing is held back: {bads:,} of the earlier rows are bad and {late_bads:,} of the later."
        return nobody, [why]
    return later, []


def _out_of_fold(name: str, training: Training) -> tuple[Floats, NDArray[np.int64]]:
    """Return the probability of every row by the model of the other folds, and the fold of every row."""
    probability, fold = np.empty(training.rows), np.empty(training.rows, dtype=np.int64)
    cut = StratifiedKFold(FOLDS, shuffle=True, random_state=training.seed)
    for place, (others, own) in enumerate(cut.split(np.zeros(training.rows), training.bad)):
        model = models.fit(name, training.part(others))
        part = training.part(own)
        probability[own] = model.default_probability(part.columns, part.rows)
        fold[own] = place
    return probability, fold


def _trials(
    name: str, bad: NDArray[np.bool_], probability: Floats, later: NDArray[np.bool_], fold: NDArray[np.int64]
) -> list[Trial]:
    own, known = probability[~later], bad[~later]
    areas = [metrics.auc(own[fold == place], known[fold == place]).value for place in range(FOLDS)]
    made = [_trial(name, "folds", own, known, float(np.std(areas, ddof=1)))]
    if later.any():
        made.append(_trial(name, "out_of_time", probability[later], bad[later], None))
    return made


def _trial(name: str, sample: str, probability: Floats, bad: NDArray[np.bool_], spread: float | None) -> Trial:
    return Trial(
        name=name,
        sample=sample,
        rows=len(bad),
        bads=int(bad.sum()),
        auc=metrics.auc(probability, bad),
        auc_sd=spread,
        ks=metrics.ks(probability, bad),
        brier=metrics.brier(probability, bad),
        violations=None,
        probes=None,
        why=None,
    )


def log_odds(probability: Floats) -> Floats:
    """Return the log-odds of being good, kept finite."""
    with np.errstate(divide="ignore"):
        found: Floats = np.clip(np.log1p(-probability) - np.log(probability), -50.0, 50.0)
    return found


def _row(one: Trial, seconds: float | None) -> dict[str, Any]:
    row = {
        "name": one.name,
        "auc": or_none(one.auc.value),
        "auc_sd": one.auc_sd,
        "ks": or_none(one.ks),
        "brier": or_none(one.brier),
        "fit_seconds": seconds,
        "monotonic_violations": one.violations,
        "auc_interval": [or_none(one.auc.lower), or_none(one.auc.upper)],
        "rows": one.rows,
        "bads": one.bads,
    }
    return row | ({"why": one.why} if one.why else {})
