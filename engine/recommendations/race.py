"""The race: every ranker learns on an earlier window and is judged on a later one; the best one ranks.

A challenger is used only where it beats plain popularity beyond chance, customer by customer. Without an earlier
window those that learn from holdings alone are still judged, the models that learn from openings are not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
import pyarrow as pa

from engine.config.recommendations import RecommendationSettings
from engine.domain.errors import NotEnoughData
from engine.domain.marts import RECOMMENDATION_MODELS
from engine.lake.schema import to_contract
from engine.numerics.intervals import UNDEFINED, Interval
from engine.recommendations import (
    boosted,
    calibration,
    candidates,
    implicit_models,
    interest,
    metrics,
    propensity,
    rules,
    softmax,
)
from engine.recommendations.calibration import Calibration
from engine.recommendations.candidates import Ranker, Terms
from engine.recommendations.frame import Floats, View
from engine.recommendations.panel import Panel

ORDER: Final = (
    "popularity",
    "segment_popularity",
    "pair_rules",
    "ease",
    "als",
    "item_knn",
    "softmax",
    "logistic",
    "boosted_trees",
)
"""From the simplest to the most demanding; of equally good ones the simplest wins. The challenger comes last."""

CHALLENGERS: Final = ("boosted_trees",)
"""Used only where they beat the best of the others beyond chance."""

K: Final = 7
"""Products looked at for the mean average precision of a run."""

_NEEDS_OPENINGS: Final = ("segment_popularity", "softmax", "logistic", "boosted_trees")
# learned from openings themselves, so that they are calibrated on customers they did not learn from
_FITS_OPENINGS: Final = ("softmax", "logistic", "boosted_trees")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trainer:
    """What fitting needs beside a panel."""

    product_ids: tuple[str, ...]
    features: tuple[str, ...]
    settings: RecommendationSettings
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A ranker, what it leaves to be said by steps already taken, and the curve that makes probabilities of it.

    `factors` (codes,) multiply the odds of a score by the code of each customer's steps towards the product; see
    `interest`. They are 1 where scores are no chances of opening, or where nobody keeps steps.
    """

    ranker: Ranker
    calibration: Calibration
    factors: Floats

    def scores(self, view: View) -> Floats:
        """Return the score of each product for each customer, shape (n, P)."""
        return lifted(self.ranker.scores(view), view, self.factors)

    def scored(self, view: View) -> tuple[Floats, Terms | None]:
        """Return the scores, and what the ranker's own are the sum of."""
        scores, terms = candidates.scored(self.ranker, view)
        return lifted(scores, view, self.factors), terms

    def probabilities(self, view: View) -> Floats:
        """Return the probability that each customer opens each product within the window, shape (n, P)."""
        return self.calibration.probabilities(self.scores(view))


def lifted(scores: Floats, view: View, factors: Floats) -> Floats:
    """Return the scores with their odds multiplied by the factors of the steps taken."""
    return scores if view.steps is None else interest.lift(scores, view.steps, factors)


class Scorer(Protocol):
    """What gives every product a score for every customer."""

    def scores(self, view: View) -> Floats:
        """Return the scores, shape (n, P)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """Who won, fitted on the latest window, and the mart that shows how all did."""

    winner: Fitted
    models: pa.Table
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How one ranker did on customers it did not learn from; NaN where there is no answer, with the reason in the note.

    `precision` and `recall` have a value for each customer who opened something, `loss` the negative log-likelihood for
    each customer of a window, empty where there are no probabilities to judge.
    """

    precision: Floats
    recall: Floats
    loss: Floats = field(default_factory=lambda: np.zeros(0))
    hit_rate_at_3: float = float("nan")
    coverage: float = float("nan")
    calibration_error: float = float("nan")
    calibration_interval: Interval = UNDEFINED
    note: str = ""

    @property
    def map_at_k(self) -> float:
        """The mean average precision; NaN where the ranker was not run."""
        return float(self.precision.mean()) if len(self.precision) else float("nan")

    @property
    def recall_at_k(self) -> float:
        """The mean recall; NaN where the ranker was not run."""
        return float(self.recall.mean()) if len(self.recall) else float("nan")

    @property
    def interval(self) -> Interval:
        """The 95 % interval of the mean average precision."""
        return metrics.interval_of_mean(self.precision)

    @property
    def recall_interval(self) -> Interval:
        """The 95 % interval of the mean recall."""
        return metrics.interval_of_mean(self.recall)


def not_run(why: str) -> Result:
    """Return the result of a ranker that was not run."""
    return Result(precision=np.zeros(0), recall=np.zeros(0), note=f"not run: {why}")


def run(latest: Panel, earlier: Panel | None, trainer: Trainer, everything: Panel | None = None) -> Race:
    """Judge all rankers on the latest window, then fit the winner on `everything`, by default that window alone.

    `earlier` and `everything` may be several windows joined.

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
    chosen = choose(results)
    winner = fit(chosen, latest if everything is None else everything, trainer, final=True)
    notes += _plain_products(winner.ranker)
    return Race(winner=winner, models=_table(results, chosen, latest.buyers), notes=tuple(notes))


def _judge_all(latest: Panel, earlier: Panel | None, trainer: Trainer, notes: list[str]) -> dict[str, Result]:
    needed = trainer.settings.training.min_buyers
    if latest.buyers < needed:
        why = f"{latest.buyers} customers with a new product, {needed} are needed"
        notes.append(f"Only {latest.buyers} customers opened a product, {needed} are needed: plain popularity ranks.")
        return {kind: not_run(why) for kind in ORDER}
    if earlier is not None and earlier.buyers < needed:
        earlier = None
    if earlier is None:
        notes.append("No earlier window to learn from: only models that need no openings were judged.")
    return {kind: _judge(kind, latest, earlier, trainer) for kind in ORDER}


def _judge(kind: str, latest: Panel, earlier: Panel | None, trainer: Trainer) -> Result:
    if earlier is None:
        if kind in _NEEDS_OPENINGS:
            return not_run("it needs openings of an earlier window")
        return measure(from_holdings(kind, latest, trainer), None, latest, K, note="learned from holdings alone")
    fitted = fit(kind, earlier, trainer)
    return measure(fitted, fitted.calibration, latest, K)


def measure(
    scorer: Scorer, curve: Calibration | None, panel: Panel, k: int, *, note: str = "", seed: int | None = None
) -> Result:
    """Judge what scores on a panel; with a seed the calibration error gets its interval too."""
    scores = scorer.scores(panel.view)
    ranked = metrics.ranks(scores, panel.eligible)
    buyers = panel.labels.any(axis=1)
    error, interval, loss = float("nan"), UNDEFINED, np.zeros(0)
    if curve is not None:
        chance = curve.probabilities(scores)
        if not panel.certain:
            loss = metrics.log_loss(chance, panel.labels, panel.eligible)
        error = calibration.expected_error(chance, panel.labels, panel.eligible)
        if seed is not None:
            interval = calibration.error_interval(chance, panel.labels, panel.eligible, seed)
    return Result(
        precision=metrics.average_precision(ranked[buyers], panel.labels[buyers], k),
        recall=metrics.recall(ranked[buyers], panel.labels[buyers], k),
        loss=loss,
        hit_rate_at_3=metrics.hit_rate(ranked, panel.labels, 3),
        coverage=metrics.coverage(ranked, panel.eligible, 3),
        calibration_error=error,
        calibration_interval=interval,
        note=note,
    )


def choose(results: Mapping[str, Result]) -> str:
    """Return the best of those that beat popularity beyond chance; popularity where none does.

    What is offered is worth its probability times what it earns, so that among them the best probabilities win: the
    lowest log loss. Where one hidden product is to be named instead the order alone counts: the highest average
    precision. The challenger gives no reasons and is dear to score, so it has to beat the best of the others beyond
    chance too.
    """
    best = "popularity"
    for kind in ORDER[1:]:
        rivals = ("popularity", best) if kind in CHALLENGERS else ("popularity",)
        beats = all(advantage(results, kind, rival).lower > 0 for rival in rivals)
        if beats and (best == "popularity" or _is_better(results[kind], results[best])):
            best = kind
    return best


def _is_better(one: Result, other: Result) -> bool:
    if len(one.loss) and len(one.loss) == len(other.loss):
        return float(one.loss.mean()) < float(other.loss.mean())
    return one.map_at_k > other.map_at_k


def advantage(results: Mapping[str, Result], kind: str, rival: str = "popularity") -> Interval:
    """Return the 95 % interval of the mean gain in average precision over a rival; undefined where not run."""
    own, other = results[kind].precision, results[rival].precision
    return UNDEFINED if len(own) != len(other) else metrics.interval_of_difference(own - other)


def fit(kind: str, panel: Panel, trainer: Trainer, *, final: bool = False) -> Fitted:
    """Fit one ranker on a panel and calibrate it on customers that it did not learn the openings of.

    final : the ranker is to be used, so that it learns again from all customers of the panel in the end.
    """
    rules_of = trainer.settings.training
    learn, check = panel, panel
    if kind in _FITS_OPENINGS or panel.certain:
        learn, check = panel.split(rules_of.calibration_share, trainer.seed)
    ranker = _FITS[kind](learn, check, trainer)
    factors = _factors(kind, ranker, learn)
    curve = calibration.fit(
        lifted(ranker.scores(check.view), check.view, factors),
        check.labels,
        check.eligible,
        rules_of.positives_per_bin,
        comparable=kind in _FITS_OPENINGS,
        weights=check.weights,
    )
    if final and learn is not panel:
        ranker = ranker if kind == "softmax" else _FITS[kind](panel, panel, trainer)  # which has learned from all
        factors = _factors(kind, ranker, panel)
    return Fitted(ranker=ranker, calibration=curve, factors=factors)


def _factors(kind: str, ranker: Ranker, panel: Panel) -> Floats:
    """Return what the steps of a panel say beside a ranker that learned from it."""
    steps = panel.view.steps
    if kind not in _FITS_OPENINGS or steps is None or panel.certain or not steps.any():
        return np.ones(len(interest.CODES))
    # few took any step: only they are scored
    rows = np.flatnonzero(steps.any(axis=1))
    scores = ranker.scores(panel.view.rows(rows))
    added = interest.learn(steps[rows], scores, panel.labels[rows], panel.eligible[rows])
    factors: Floats = np.exp(added)
    return factors


def _popularity(learn: Panel, _: Panel, __: Trainer) -> Ranker:
    if learn.certain:
        return candidates.popularity_of_holdings(learn.holdings)
    return candidates.popularity(learn.labels, learn.eligible)


def _groups(learn: Panel, _: Panel, trainer: Trainer) -> Ranker:
    prior = trainer.settings.training.group_prior
    return candidates.group_popularity(learn.view.group, learn.labels, learn.eligible, prior)


def _rules(learn: Panel, _: Panel, trainer: Trainer) -> Ranker:
    return rules.fit(learn.holdings, trainer.product_ids, trainer.settings.candidates, trainer.seed)


def _ease(learn: Panel, _: Panel, trainer: Trainer) -> Ranker:
    return candidates.ease(learn.holdings, trainer.product_ids, trainer.settings.candidates.ease_ridge)


def _als(learn: Panel, _: Panel, trainer: Trainer) -> Ranker:
    return implicit_models.fit_als(learn.holdings, trainer.settings.candidates, trainer.seed)


def _item_knn(learn: Panel, _: Panel, trainer: Trainer) -> Ranker:
    return implicit_models.fit_item_knn(learn.holdings, trainer.product_ids, trainer.settings.candidates)


def _softmax(learn: Panel, check: Panel, trainer: Trainer) -> Ranker:
    training = trainer.settings.training
    return softmax.fit(learn, check, trainer.features, trainer.product_ids, rules=training, seed=trainer.seed)


def _logistic(learn: Panel, _: Panel, trainer: Trainer) -> Ranker:
    return propensity.fit(learn, trainer.features, trainer.product_ids, trainer.settings.training, trainer.seed)


def _boosted_trees(learn: Panel, _: Panel, trainer: Trainer) -> Ranker:
    settings = trainer.settings
    return boosted.fit(
        learn,
        candidates.ease(learn.holdings, trainer.product_ids, settings.candidates.ease_ridge),
        candidates.pair_rules(learn.holdings, trainer.product_ids),
        settings.training,
        trainer.seed,
    )


_FITS: Mapping[str, Callable[[Panel, Panel, Trainer], Ranker]] = {
    "popularity": _popularity,
    "segment_popularity": _groups,
    "pair_rules": _rules,
    "ease": _ease,
    "als": _als,
    "item_knn": _item_knn,
    "softmax": _softmax,
    "logistic": _logistic,
    "boosted_trees": _boosted_trees,
}


def from_holdings(kind: str, panel: Panel, trainer: Trainer) -> Ranker:
    """Fit one ranker on what customers hold at the start of the panel, without a look at what they opened."""
    if kind == "popularity":
        return candidates.popularity_of_holdings(panel.holdings)
    return _FITS[kind](panel, panel, trainer)


def _plain_products(ranker: Ranker) -> list[str]:
    if not isinstance(ranker, propensity.Logistic) or not ranker.plain.any():
        return []
    names = [name for name, plain in zip(ranker.product_ids, ranker.plain, strict=True) if plain]
    return [f"Too few openings for a model of their own, so their plain rate is used: {', '.join(names)}."]


def _table(results: Mapping[str, Result], chosen: str, buyers: int) -> pa.Table:
    rows = [_row(results, kind, chosen) | {"customers": buyers} for kind in sorted(results)]
    return to_contract(RECOMMENDATION_MODELS, pa.Table.from_pylist(rows))


def _row(results: Mapping[str, Result], kind: str, chosen: str) -> dict[str, object]:
    result, gain = results[kind], advantage(results, kind)
    return {
        "model": kind,
        "map_at_7": _known(result.map_at_k),
        "map_lower": _known(result.interval.lower),
        "map_upper": _known(result.interval.upper),
        "gain_lower": _known(gain.lower) if kind != "popularity" else None,
        "gain_upper": _known(gain.upper) if kind != "popularity" else None,
        "recall_at_7": _known(result.recall_at_k),
        "hit_rate_at_3": _known(result.hit_rate_at_3),
        "coverage": _known(result.coverage),
        "calibration_error": _known(result.calibration_error),
        "log_loss": _known(float(result.loss.mean())) if len(result.loss) else None,
        "chosen": kind == chosen,
        "note": result.note or None,
    }


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
