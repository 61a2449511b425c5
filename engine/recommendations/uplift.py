"""On whom a treatment works: learned from a randomised test, and from nothing else.

A customer's uplift is the outcome to be expected with the treatment less that without. Nobody is ever seen both ways,
so it can be learned only where chance decided who was treated. Whether it did is tried first; where it did not, or
where there is no control, there is no answer but the reason. Learners are judged on customers they did not learn from,
and one is used only where its order beats drawing customers at random beyond chance, all tries considered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, norm
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits

from engine.numerics.intervals import UNDEFINED, Interval, newcombe
from engine.recommendations import uplift_metrics
from engine.recommendations.frame import Flags, Floats
from engine.recommendations.uplift_metrics import Measured

ORDER: Final = ("response", "t_learner", "x_learner")
"""From the simplest; of equally good ones the simplest is used."""

FEWEST: Final = 100
"""Customers needed on each side of each half, below which no learner is tried."""

NOT_RANDOM: Final = 0.001
"""Chance of a profile at least as unlike as the one found, below which who was treated was not left to chance."""

_Z: Final = 1.959963984540054
# the best of several tries is above 0 by chance more often than one is: Bonferroni's bound for all of them
_WIDER: Final = float(norm.isf(0.025 / len(ORDER))) / _Z

X = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Customers of a test in any order: features (n, D), NaN where unknown, who was treated, and what came of it."""

    x: X
    treated: Flags
    outcome: Floats

    def rows(self, which: Flags) -> Trial:
        """Return some of the customers."""
        return Trial(x=self.x[which], treated=self.treated[which], outcome=self.outcome[which])

    @property
    def is_yes_or_no(self) -> bool:
        """Whether every outcome is 0 or 1."""
        return bool(np.isin(self.outcome, (0.0, 1.0)).all())


class Learner(Protocol):
    """What orders customers by whom to treat first."""

    kind: ClassVar[str]

    def scores(self, x: X) -> Floats:
        """Return a score for each customer, the highest to be treated first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """Not uplift but what a bank without a control ranks by: the outcome of those treated."""

    kind: ClassVar[str] = "response"
    with_it: Any

    def scores(self, x: X) -> Floats:
        """Return the outcome to be expected with the treatment."""
        return _predict(self.with_it, x)


@dataclass(frozen=True, slots=True, kw_only=True)
class TLearner:
    """Two models, one of each side; the uplift is their difference."""

    kind: ClassVar[str] = "t_learner"
    with_it: Any
    without: Any

    def scores(self, x: X) -> Floats:
        """Return the uplift in units of the outcome."""
        return _predict(self.with_it, x) - _predict(self.without, x)


@dataclass(frozen=True, slots=True, kw_only=True)
class XLearner:
    """Each side's outcomes less what the other side's model expects, learned again and weighed by the share treated.

    References
    ----------
    Kuenzel, Sekhon, Bickel and Yu (2019), Metalearners for estimating heterogeneous treatment effects, PNAS 116.
    """

    kind: ClassVar[str] = "x_learner"
    of_treated: Any
    of_untreated: Any
    share_treated: float

    def scores(self, x: X) -> Floats:
        """Return the uplift in units of the outcome."""
        # the smaller side's own model is the noisier one and has the smaller weight
        share = self.share_treated
        return share * _predict(self.of_untreated, x) + (1 - share) * _predict(self.of_treated, x)


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """Whether the profile tells who was treated: the test statistic, its degrees of freedom and p, all NaN unknown."""

    statistic: float
    freedom: int
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """How one learner ordered customers it had not seen."""

    qini: Measured
    uplift_auc: Measured
    uplift_of_first: Measured

    @property
    def beats_random(self) -> bool:
        """Whether its order is better than drawing customers at random beyond chance, so many learners being tried."""
        interval, value = self.qini.interval, self.qini.value
        return interval.is_defined and value - _WIDER * (value - interval.lower) > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What the test says.

    `effect` is the mean outcome of the treated less that of the others, over all customers. `models` is by name in the
    order of `ORDER`, empty where none could be tried. `champion` is None where no order is to be used; `why` says why.
    """

    balance: Balance
    effect: Measured
    models: Mapping[str, Judged]
    champion: str | None
    why: str
    learned_from: int
    judged_on: int


def evaluate(trial: Trial, *, share: float, seed: int) -> Evaluation:
    """Learn on a half of the customers, drawn within each side by the seed, and judge on the other half.

    share : of the customers, how many come first for the uplift of the first.
    """
    balance, effect = balance_of(trial), effect_of(trial)
    learn = _half(trial.treated, seed)
    why = next(_reasons(trial, balance, learn), "")
    if why:
        return Evaluation(
            balance=balance, effect=effect, models={}, champion=None, why=why, learned_from=0, judged_on=0
        )
    known, unseen = trial.rows(learn), trial.rows(~learn)
    models = {kind: judge(fit(kind, known, seed).scores(unseen.x), unseen, share, seed) for kind in ORDER}
    champion = choose(models)
    return Evaluation(
        balance=balance,
        effect=effect,
        models=models,
        champion=champion,
        why="" if champion else "no order beats drawing customers at random beyond chance",
        learned_from=int(learn.sum()),
        judged_on=int((~learn).sum()),
    )


def fit(kind: str, trial: Trial, seed: int) -> Learner:
    """Learn from a randomised test; `kind` is one of `ORDER`."""
    with threadpool_limits(1):
        return _FITS[kind](trial, seed)


def judge(scores: Floats, trial: Trial, share: float, seed: int) -> Judged:
    """Say how well the scores order the customers of a test."""
    return Judged(
        qini=uplift_metrics.qini(trial.outcome, trial.treated, scores, seed=seed),
        uplift_auc=uplift_metrics.uplift_auc(trial.outcome, trial.treated, scores),
        uplift_of_first=uplift_metrics.uplift_of_first(trial.outcome, trial.treated, scores, share),
    )


def choose(models: Mapping[str, Judged]) -> str | None:
    """Return the best of those that beat drawing at random beyond chance, by Qini; None where none does."""
    able = [kind for kind in ORDER if kind in models and models[kind].beats_random]
    return max(able, key=lambda kind: models[kind].qini.value) if able else None


def balance_of(trial: Trial) -> Balance:
    """Try whether chance decided who was treated: all features at once, unknown ones counted as a feature too.

    The statistic is the customers times the share of the treatment's variance that the features explain, which chance
    alone distributes as chi-square with as many degrees of freedom as there are independent features.

    References
    ----------
    Hansen and Bowers (2008), Covariate balance in simple, stratified and clustered comparative studies.
    """
    unknown = np.isnan(trial.x)
    filled = np.where(unknown, 0.0, trial.x).astype(np.float64)
    columns = np.column_stack([filled, unknown]) if trial.x.shape[1] else np.zeros((len(trial.x), 0))
    columns = columns - columns.mean(axis=0) if len(columns) else columns
    spread = columns.std(axis=0) if len(columns) else np.zeros(columns.shape[1])
    columns = columns[:, spread > 0] / spread[spread > 0]
    if columns.shape[1] == 0 or trial.treated.all() or not trial.treated.any():
        return Balance(statistic=float("nan"), freedom=0, p_value=float("nan"))
    treated = trial.treated - trial.treated.mean()
    # directions that others make up already count once
    values, vectors = np.linalg.eigh(columns.T @ columns / len(columns))
    kept = values > 1e-8 * values.max()
    explained = (vectors[:, kept].T @ (columns.T @ treated / len(columns))) ** 2 / values[kept]
    statistic = float(explained.sum() / treated.var() * (len(columns) - 1))
    freedom = int(kept.sum())
    return Balance(statistic=statistic, freedom=freedom, p_value=float(chi2.sf(statistic, freedom)))


def effect_of(trial: Trial) -> Measured:
    """Return the mean outcome of the treated less that of the others, with Newcombe's interval or that of two means."""
    sides = trial.outcome[trial.treated], trial.outcome[~trial.treated]
    if not all(len(side) for side in sides):
        return Measured(value=float("nan"), why="everybody was treated, or nobody")
    difference = float(sides[0].mean() - sides[1].mean())
    if trial.is_yes_or_no:
        ends = newcombe(int(sides[0].sum()), len(sides[0]), int(sides[1].sum()), len(sides[1]))
        return Measured(value=difference, interval=ends)
    if min(len(side) for side in sides) < 2:
        return Measured(value=difference, why="one customer on a side gives no interval")
    half = _Z * float(np.sqrt(sum(side.var(ddof=1) / len(side) for side in sides)))
    ends = Interval(lower=difference - half, upper=difference + half) if half > 0 else UNDEFINED
    return Measured(value=difference, interval=ends)


def _reasons(trial: Trial, balance: Balance, learn: Flags) -> Iterator[str]:
    """Yield why uplift cannot be learned from these customers, the first thing that is missing first."""
    treated, untreated = int(trial.treated.sum()), int((~trial.treated).sum())
    if not untreated:
        yield "there is no control: everybody was treated"
    if not treated:
        yield "nobody was treated"
    if min(treated, untreated) < 2 * FEWEST:
        side = "treated" if treated < untreated else "untreated"
        yield f"{min(treated, untreated):,} {side} customers, {2 * FEWEST} on each side are needed"
    if trial.x.shape[1] == 0:
        yield "nothing is known of the customers that could tell them apart"
    if balance.p_value < NOT_RANDOM:
        yield (
            "chance did not decide who was treated, since the profile tells it "
            f"(chi-square {balance.statistic:,.1f} on {balance.freedom}): what looks like an effect may be who they are"
        )
    if np.ptp(trial.outcome) == 0:
        yield f"every customer has the outcome {trial.outcome[0]:g}"
    if min(np.ptp(trial.outcome[half]) for half in (learn, ~learn)) == 0:
        yield "too few customers have another outcome than the rest"


def _half(treated: Flags, seed: int) -> Flags:
    """Mark a half of each side."""
    draw, marked = np.random.default_rng([seed, 71]), np.zeros(len(treated), dtype=bool)
    for side in (treated, ~treated):
        rows = draw.permutation(np.flatnonzero(side))
        marked[rows[: len(rows) // 2]] = True
    return marked


def _fit_response(trial: Trial, seed: int) -> Learner:
    return Response(with_it=_model(trial.x[trial.treated], trial.outcome[trial.treated], seed))


def _sides(trial: Trial, seed: int) -> tuple[Any, Any]:
    with_it, without = trial.rows(trial.treated), trial.rows(~trial.treated)
    return _model(with_it.x, with_it.outcome, seed), _model(without.x, without.outcome, seed)


def _fit_t(trial: Trial, seed: int) -> Learner:
    with_it, without = _sides(trial, seed)
    return TLearner(with_it=with_it, without=without)


def _fit_x(trial: Trial, seed: int) -> Learner:
    with_it, without = _sides(trial, seed)
    treated, untreated = trial.rows(trial.treated), trial.rows(~trial.treated)
    return XLearner(
        of_treated=_model(treated.x, treated.outcome - _predict(without, treated.x), seed),
        of_untreated=_model(untreated.x, _predict(with_it, untreated.x) - untreated.outcome, seed),
        share_treated=float(trial.treated.mean()),
    )


_FITS: Mapping[str, Callable[[Trial, int], Learner]] = {
    "response": _fit_response,
    "t_learner": _fit_t,
    "x_learner": _fit_x,
}


def _model(x: X, outcome: Floats, seed: int) -> Any:
    """Fit small trees: effects are faint beside the noise of outcomes, so that few leaves of many customers hold."""
    leaf = max(20, len(outcome) // 50)
    model = HistGradientBoostingRegressor(
        max_iter=60,
        learning_rate=0.05,
        max_leaf_nodes=6,
        min_samples_leaf=leaf,
        early_stopping=False,
        random_state=seed,
    )
    return model.fit(x, outcome)


def _predict(model: Any, x: X) -> Floats:
    with threadpool_limits(1):
        return np.asarray(model.predict(x), dtype=np.float64)
