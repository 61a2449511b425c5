"""All models on one table of holdings: each customer's hidden product is to be named from what is left.

Models learn from some customers, product after product hidden from each of them, and are judged on others with one
product hidden from each: on customers who came later where times are known, else on a fifth drawn by the seed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.domain.errors import NotEnoughData
from engine.recommendations import race
from engine.recommendations.frame import Flags, View
from engine.recommendations.panel import Panel, hide_one, leave_one_out
from engine.recommendations.race import Result, Trainer

JUDGED_SHARE: Final = 0.2
"""Of the customers, judged on and not learned from."""

SCORED: Final = 20_000
"""Customers that scoring is timed on at least; fewer are scored again and again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One model: how it did, and the seconds of processor time to fit it and to score a million customers."""

    result: Result
    fit_seconds: float
    score_seconds_per_million: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """All models by name, in the order of `race.ORDER`, the one that ranks best, and how many customers were used.

    `learned_from` counts customers with at least two products; `judged_on` those with one of their products hidden.
    """

    models: dict[str, Judged]
    champion: str
    learned_from: int
    judged_on: int


def later_customers(times: NDArray[np.datetime64]) -> tuple[Flags, np.datetime64]:
    """Mark the latest fifth of the customers, those of one instant together, and say from when on they came.

    Who has no time is not marked.

    Raises
    ------
    NotEnoughData
        All times are the same.
    """
    known = np.sort(times[~np.isnat(times)])
    cut = known[int(len(known) * (1 - JUDGED_SHARE))] if len(known) else np.datetime64("NaT")
    if not len(known) or known[0] == known[-1]:
        raise NotEnoughData("later cohort", "all customers have the same time", "customers who came at different times")
    if cut == known[0]:  # most came at the first instant: all that came after it are later
        cut = known[known > known[0]][0]
    return times >= cut, cut


def drawn_customers(customers: int, seed: int) -> Flags:
    """Mark a fifth of the customers, drawn by the seed."""
    marked = np.zeros(customers, dtype=bool)
    marked[np.random.default_rng([seed, 99]).permutation(customers)[: max(1, round(customers * JUDGED_SHARE))]] = True
    return marked


def evaluate(
    view: View, learn: Flags, judge: Flags, trainer: Trainer, *, k: int, clock: Callable[[], float]
) -> Evaluation:
    """Fit every model on the customers of `learn` and judge it on those of `judge`.

    clock : seconds of processor time, read before and after each step.

    Raises
    ------
    NotEnoughData
        Nobody to learn from or nobody to judge on holds two products.
    """
    training = trainer.settings.training
    panel = leave_one_out(view.rows(np.flatnonzero(learn)), training.hidden_rows, trainer.seed)
    judged = hide_one(view.rows(np.flatnonzero(judge)), trainer.seed)
    for what, part in (("to learn from", panel), ("to judge on", judged)):
        if part.view.size == 0:
            raise NotEnoughData(
                "evaluation", f"no customer {what} holds two products", "customers with at least two of the products"
            )
    models = {kind: _judge(kind, panel, judged, trainer, k=k, clock=clock) for kind in race.ORDER}
    return Evaluation(
        models=models,
        champion=race.choose({kind: one.result for kind, one in models.items()}),
        learned_from=len(panel.holdings),
        judged_on=judged.view.size,
    )


def _judge(kind: str, panel: Panel, judged: Panel, trainer: Trainer, *, k: int, clock: Callable[[], float]) -> Judged:
    why = _why_not(kind, panel, trainer)
    if why:
        return Judged(result=race.not_run(why), fit_seconds=float("nan"), score_seconds_per_million=float("nan"))
    started = clock()
    fitted = race.fit(kind, panel, trainer)
    fit_seconds = clock() - started
    result = race.measure(fitted, fitted.calibration, judged, k, seed=trainer.seed)
    many = judged.view.rows(np.resize(np.arange(judged.view.size), max(SCORED, judged.view.size)))
    started = clock()
    fitted.probabilities(many)
    seconds = clock() - started
    return Judged(result=result, fit_seconds=fit_seconds, score_seconds_per_million=seconds / many.size * 1e6)


def _why_not(kind: str, panel: Panel, trainer: Trainer) -> str:
    needed = trainer.settings.training.min_buyers
    if kind == "segment_popularity" and not panel.view.group.any():
        return "no column of words in the profile to group by; name one with --segment"
    if kind not in {"popularity", "segment_popularity"} and len(panel.holdings) < needed:
        return f"{len(panel.holdings)} customers with two products to learn from, {needed} are needed"
    return ""
