"""A scorecard without and with the refused guessed at, side by side: on rows unseen, in rates, in points.

Only of the accepted is the outcome known, so that what separates goods from bads is measured on them alone, each
predicted by cards that had not seen it. Who is refused today would not be among them; no figure here speaks of that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.config.risk import RiskSettings
from engine.numerics.ratios import or_none
from engine.risk import crossvalidation, metrics, rejects
from engine.risk.challengers.training import Training
from engine.risk.rejects import Applicants, Inference, Method
from engine.risk.scorecard import Scorecard

Floats = NDArray[np.float64]
BASE: Final = "base_points"
"""Stands among the characteristics for what everybody is given, whatever the characteristics say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """How one characteristic's points changed; the means of all of them add up to that of the score.

    largest : the change of the largest size that any applicant sees. without, inferred : whether it has a place in
    either card; one without a place gives no points.
    """

    characteristic: str
    without: bool
    inferred: bool
    mean_of_accepted: float
    mean_of_rejected: float
    largest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Separation:
    """AUC and KS of both cards on the same rows; None where undefined."""

    rows: int
    bads: int
    auc: tuple[float | None, float | None]
    ks: tuple[float | None, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectReport:
    """Both cards, and all that is told of them: without first, with the inference second.

    folds : on the accepted, each predicted by cards that had not seen it. later : on rows held back; None without any.
    rates : by name, as `rejects` measures them; `shifts` has the largest first.
    """

    found: Inference
    accepted: int
    rejected: int
    folds: Separation
    later: Separation | None
    rates: dict[str, tuple[float | None, float | None]]
    shifts: tuple[Shift, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        sides = {}
        for at, side in enumerate(("without", "inferred")):
            told = {name: both[at] for name, both in self.rates.items()}
            sides[side] = {"auc": self.folds.auc[at], "ks": self.folds.ks[at], **told}
        later = None
        if self.later is not None:
            later = {"rows": self.later.rows, "bads": self.later.bads} | {
                side: {"auc": self.later.auc[at], "ks": self.later.ks[at]}
                for at, side in enumerate(("without", "inferred"))
            }
        return {
            "method": self.found.method,
            "accepted": self.accepted,
            "rejected": self.rejected,
            **sides,
            "out_of_time": later,
            "moved": [{name: getattr(one, name) for name in one.__slots__} for one in self.shifts],
            "assumption": self.found.caution,
        }


def compare(
    people: Applicants,
    method: Method,
    settings: RiskSettings,
    cut_off: float,
    *,
    seed: int,
    later: tuple[pa.Table, NDArray[np.bool_]] | None = None,
) -> RejectReport:
    """Learn both cards and measure them.

    Parameters
    ----------
    cut_off : default probability from which an applicant is refused.
    seed : draws the folds, as `comparison.compare` does, and what parcelling draws.
    later : accepted applicants held back, and whether each went bad.

    Raises
    ------
    NotEnoughData
        One class only among the accepted, nothing that tells them apart, or nobody was refused.
    """
    found = rejects.infer(people, method, settings, cut_off, seed)
    rates = {one.measure: (one.without, one.inferred) for one in found.compared if one.measure != rejects.TRAINED_AUC}
    refused, accepted = people.rejected.num_rows, people.accepted.num_rows
    both = [(people.bad.sum() + value * refused) / (accepted + refused) for value in rates[rejects.IMPLIED]]
    rates[rejects.IMPLIED_OF_ALL] = (float(both[0]), float(both[1]))
    return RejectReport(
        found=found,
        accepted=accepted,
        rejected=refused,
        folds=_separation(_unseen(people, method, settings, seed), people.bad),
        later=None if later is None else _separation(_both(found.without, found.inferred, later[0]), later[1]),
        rates=rates,
        shifts=_shifts(found, people),
    )


def _unseen(people: Applicants, method: Method, settings: RiskSettings, seed: int) -> tuple[Floats, Floats]:
    """Return the default probability of the accepted by either card, each learned on the other parts."""
    columns = {name: people.accepted[name] for name in people.accepted.column_names}
    training = Training(columns=columns, bad=people.bad, settings=settings, seed=seed, asked=people.asked)
    found = np.empty(training.rows), np.empty(training.rows)
    for part in crossvalidation.parts(training, settings.calibration.folds, prepare=False):
        others = Applicants(
            accepted=pa.table(dict(part.training.columns)),
            bad=part.training.bad,
            rejected=people.rejected,
            asked=people.asked,
        )
        cards = rejects.learn(others, method, settings, seed)
        tried = pa.table(dict(part.tried.columns))
        for side, values in zip(found, _both(cards.without, cards.inferred, tried), strict=True):
            side[part.own] = values
    return found


def _both(without: Scorecard, inferred: Scorecard, rows: pa.Table) -> tuple[Floats, Floats]:
    columns = {name: rows[name] for name in rows.column_names}
    one, other = (card.score(columns, rows.num_rows).probability for card in (without, inferred))
    return one, other


def _separation(probabilities: tuple[Floats, Floats], bad: NDArray[np.bool_]) -> Separation:
    areas = [or_none(metrics.auc(each, bad).value) for each in probabilities]
    gaps = [or_none(metrics.ks(each, bad)) for each in probabilities]
    return Separation(rows=len(bad), bads=int(bad.sum()), auc=(areas[0], areas[1]), ks=(gaps[0], gaps[1]))


def _shifts(found: Inference, people: Applicants) -> tuple[Shift, ...]:
    cards = (found.without, found.inferred)
    sides = [[_points(card, rows) for card in cards] for rows in (people.accepted, people.rejected)]
    names = dict.fromkeys(name for card in cards for name in card.names)
    shifts = []
    for name in names:
        # no place in a card: nothing is given there
        moved = [np.asarray(after.get(name, 0.0) - before.get(name, 0.0)) for before, after in sides]
        ends = np.array([end for each in moved for end in (each.min(), each.max())])
        shifts.append(
            Shift(
                characteristic=name,
                without=name in found.without.names,
                inferred=name in found.inferred.names,
                mean_of_accepted=float(moved[0].mean()),
                mean_of_rejected=float(moved[1].mean()),
                largest=float(ends[np.abs(ends).argmax()]),
            )
        )
    shifts.sort(key=lambda one: (-abs(one.largest), one.characteristic))
    base = (found.inferred.intercept - found.without.intercept) * found.without.factor
    given = Shift(
        characteristic=BASE,
        without=True,
        inferred=True,
        mean_of_accepted=base,
        mean_of_rejected=base,
        largest=base,
    )
    return (*shifts, given)


def _points(card: Scorecard, rows: pa.Table) -> dict[str, Floats]:
    """Return the exact points that each characteristic gives every row, without its share of the base points."""
    columns = {name: rows[name] for name in rows.column_names}
    return {one.bins.name: card.factor * one.weights[one.codes(columns, rows.num_rows)] for one in card.attributes}
