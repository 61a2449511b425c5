"""Implicit ALS behind one adapter that repairs what the library gets wrong for a bank.

The library's own `recommend` pads short lists with products already held, orders customers without holdings at random,
accepts a matrix whose rows belong to other customers, and loops over customers in Python. Here it only factorises;
scoring folds every customer's holdings in with the library's own equations, column by column.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from engine.config.recommendations import CandidateSettings
from engine.recommendations.candidates import Terms, popularity_of_holdings
from engine.recommendations.frame import Flags, Floats, View
from engine.recommendations.linear import weighted_sums

_TIE_BREAK = 1e-6
_ROWS = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Als:
    """Products as factors (P, f); a customer's own factors are solved from the holdings at scoring time."""

    kind: ClassVar[str] = "als"
    factors: Floats
    regularization: float
    alpha: float
    popularity: Floats

    @property
    def term_names(self) -> tuple[str, ...]:
        """No term."""
        return ()

    def scores(self, view: View) -> Floats:
        """Return the scores of all products; who holds nothing gets the order of popularity."""
        if view.owned.shape[1] != len(self.factors):
            raise ValueError(f"holdings of {view.owned.shape[1]} products, factors of {len(self.factors)}: misaligned")
        customers = np.concatenate(
            [self.fold_in(view.owned[start : start + _ROWS]) for start in range(0, view.size, _ROWS)] or [_none(self)]
        )
        return weighted_sums(customers, self.factors.T) + _TIE_BREAK * self.popularity

    def fold_in(self, owned: Flags) -> Floats:
        """Return the factors (n, f) of customers with these holdings; zeros for those who hold nothing."""
        width = self.factors.shape[1]
        gram = weighted_sums(self.factors.T.copy(), self.factors) + self.regularization * np.eye(width)
        left = np.tile(gram, (len(owned), 1, 1))
        right = np.zeros((len(owned), width))
        for held, factor in enumerate(self.factors):
            # alpha is the confidence of a holding: alpha - 1 more than an empty cell, as in the library
            left[owned[:, held]] += (self.alpha - 1) * factor[:, None] * factor
            right[owned[:, held]] += self.alpha * factor
        return np.asarray(np.linalg.solve(left, right[:, :, None])[:, :, 0], dtype=np.float64)

    def terms(self, view: View) -> Terms | None:
        """Return None: factors have no meaning that could be told."""
        return None


def _none(model: Als) -> Floats:
    return np.zeros((0, model.factors.shape[1]))


def fit(owned: Flags, settings: CandidateSettings, seed: int) -> Als:
    """Factorise the holdings (customers x products); the same factors for the same holdings and seed."""
    held = owned[owned.any(axis=1)]
    with threadpool_limits(1):
        model = AlternatingLeastSquares(
            factors=min(settings.als_factors, max(1, owned.shape[1] // 3)),
            regularization=settings.als_regularization,
            alpha=settings.als_alpha,
            iterations=settings.als_iterations,
            num_threads=1,
            random_state=seed % 2**31,
            dtype=np.float64,
        )
        model.fit(csr_matrix(held.astype(np.float64)), show_progress=False)
    return Als(
        factors=np.asarray(model.item_factors, dtype=np.float64),
        regularization=settings.als_regularization,
        alpha=settings.als_alpha,
        popularity=popularity_of_holdings(owned).rates,
    )
