"""The race: every ranker learns on an earlier window and is judged on a later one; the best one ranks.

A challenger that does not beat plain popularity is never used. Without an earlier window those that learn from
holdings alone are still judged, the logistic model is not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from engine.config.recommendations import RecommendationSettings
from engine.domain.errors import NotEnoughData
from engine.domain.marts import RECOMMENDATION_MODELS
from engine.lake.schema import to_contract
from engine.recommendations import als, calibration, candidates, metrics, propensity, rules
from engine.recommendations.calibration import Calibration
from engine.recommendations.candidates import Ranker
from engine.recommendations.panel import Panel

ORDER = ("popularity", "segment_popularity", "pair_rules", "ease", "als", "logistic")
"""From the simplest to the most demanding; of equally good ones the simplest wins."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trainer:
    """What fitting needs beside a panel."""

    product_ids: tuple[str, ...]
    features: tuple[str, ...]
    settings: RecommendationSettings
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A ranker and the curve that turns its scores into probabilities of opening within the window."""

    ranker: Ranker
    calibration: Calibration


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """Who won, fitted on the latest window, and the mart that shows how all did."""

    winner: Fitted
    models: pa.Table
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How one ranker did on the later window; NaN where there is no answer, with the reason in the note."""

    map_at_7: float = float("nan")
    hit_rate_at_3: float = float("nan")
    coverage: float = float("nan")
    calibration_error: float = float("nan")
    note: str = ""


def run(latest: Panel, earlier: Panel | None, trainer: Trainer) -> Race:
    """Judge all rankers on the latest window, then fit the winner on it.

    Raises
    ------
    NotEnoughData
        Nobody opened anything in the latest window: there is no next product to learn.
    """
    if latest.buyers == 0:
        days = trainer.settings.horizon_days
        raise NotEnoughData(
            "recommendations", f"no product was opened in the last {days} days", "openings to learn from"
        )
    notes: list[str] = []
    results = _judge_all(latest, earlier, trainer, notes)
    chosen = _choose(results)
    winner = fit(chosen, latest, trainer)
    notes += _plain_products(winner.ranker)
    return Race(winner=winner, models=_table(results, chosen, latest.buyers), notes=tuple(notes))


def _judge_all(latest: Panel, earlier: Panel | None, trainer: Trainer, notes: list[str]) -> dict[str, Result]:
    needed = trainer.settings.training.min_buyers
    if latest.buyers < needed:
        why = f"not run: {latest.buyers} customers with a new product, {needed} are needed"
        notes.append(f"The race of models was {why}; popularity ranks.")
        return {kind: Result(note=why) for kind in ORDER}
    if earlier is not None and earlier.buyers < needed:
        earlier = None
    if earlier is None:
        notes.append("No earlier window to learn from: only models that need no openings were judged.")
    return {kind: _judge(kind, latest, earlier, trainer) for kind in ORDER}


def _judge(kind: str, latest: Panel, earlier: Panel | None, trainer: Trainer) -> Result:
    if earlier is None:
        if kind in _NEEDS_OPENINGS:
            return Result(note="not run: it needs openings of an earlier window")
        return _measure(from_holdings(kind, latest, trainer), None, latest, "learned from holdings alone")
    fitted = fit(kind, earlier, trainer)
    return _measure(fitted.ranker, fitted.calibration, latest, "")


_NEEDS_OPENINGS = ("segment_popularity", "logistic")


def _measure(ranker: Ranker, curve: Calibration | None, panel: Panel, note: str) -> Result:
    scores = ranker.scores(panel.view)
    ranked = metrics.ranks(scores, panel.eligible)
    buyers = panel.labels.any(axis=1)
    precision = metrics.average_precision(ranked[buyers], panel.labels[buyers], 7)
    error = float("nan")
    if curve is not None:
        error = calibration.expected_error(curve.probabilities(scores), panel.labels, panel.eligible)
    return Result(
        map_at_7=float(precision.mean()),
        hit_rate_at_3=metrics.hit_rate(ranked, panel.labels, 3),
        coverage=metrics.coverage(ranked, panel.eligible, 3),
        calibration_error=error,
        note=note,
    )


def _choose(results: Mapping[str, Result]) -> str:
    best = "popularity"
    for kind in ORDER[1:]:
        score = results[kind].map_at_7
        if not np.isnan(score) and score > results[best].map_at_7:
            best = kind
    return best


def fit(kind: str, panel: Panel, trainer: Trainer) -> Fitted:
    """Fit one ranker on a panel and calibrate it on customers that it did not learn the openings of."""
    rules_of = trainer.settings.training
    learn, check = panel, panel
    if kind == "logistic":
        learn, check = _split(panel, rules_of.calibration_share, trainer.seed)
    ranker = _FITS[kind](learn, trainer)
    curve = calibration.fit(
        ranker.scores(check.view),
        check.labels,
        check.eligible,
        rules_of.positives_per_bin,
        comparable=kind == "logistic",
    )
    return Fitted(ranker=ranker, calibration=curve)


def _split(panel: Panel, share: float, seed: int) -> tuple[Panel, Panel]:
    order = np.random.default_rng([seed, 93]).permutation(panel.view.size)
    kept = round(panel.view.size * share)
    return panel.rows(np.sort(order[kept:])), panel.rows(np.sort(order[:kept]))


def _popularity(panel: Panel, _: Trainer) -> Ranker:
    return candidates.popularity(panel.labels, panel.eligible)


def _groups(panel: Panel, trainer: Trainer) -> Ranker:
    prior = trainer.settings.training.group_prior
    return candidates.group_popularity(panel.view.group, panel.labels, panel.eligible, prior)


def _rules(panel: Panel, trainer: Trainer) -> Ranker:
    return rules.fit(panel.view.owned, trainer.product_ids, trainer.settings.candidates, trainer.seed)


def _ease(panel: Panel, trainer: Trainer) -> Ranker:
    return candidates.ease(panel.view.owned, trainer.product_ids, trainer.settings.candidates.ease_ridge)


def _als(panel: Panel, trainer: Trainer) -> Ranker:
    return als.fit(panel.view.owned, trainer.settings.candidates, trainer.seed)


def _logistic(panel: Panel, trainer: Trainer) -> Ranker:
    return propensity.fit(panel, trainer.features, trainer.product_ids, trainer.settings.training, trainer.seed)


_FITS: Mapping[str, Callable[[Panel, Trainer], Ranker]] = {
    "popularity": _popularity,
    "segment_popularity": _groups,
    "pair_rules": _rules,
    "ease": _ease,
    "als": _als,
    "logistic": _logistic,
}


def from_holdings(kind: str, panel: Panel, trainer: Trainer) -> Ranker:
    """Fit one ranker on what customers hold at the start of the panel, without a look at what they opened."""
    if kind == "popularity":
        return candidates.popularity_of_holdings(panel.view.owned)
    return _FITS[kind](panel, trainer)


def _plain_products(ranker: Ranker) -> list[str]:
    if not isinstance(ranker, propensity.Logistic) or not ranker.plain.any():
        return []
    names = [name for name, plain in zip(ranker.product_ids, ranker.plain, strict=True) if plain]
    return [f"Too few openings for a model of their own, so their plain rate is used: {', '.join(names)}."]


def _table(results: Mapping[str, Result], chosen: str, buyers: int) -> pa.Table:
    rows = [
        {
            "model": kind,
            "map_at_7": _known(result.map_at_7),
            "hit_rate_at_3": _known(result.hit_rate_at_3),
            "coverage": _known(result.coverage),
            "calibration_error": _known(result.calibration_error),
            "customers": buyers,
            "chosen": kind == chosen,
            "note": result.note or None,
        }
        for kind, result in sorted(results.items())
    ]
    return to_contract(RECOMMENDATION_MODELS, pa.Table.from_pylist(rows))


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
