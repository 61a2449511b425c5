"""Exploration: which offers are made where the best need not be, with the chance that each had, and the control group.

Offers are drawn among those that no gate refuses and, where limits hold on all offers together, that pay the prices:
no draw lets anything else past. All randomness is of the customer, the seed and the instant (`draws`), so that a
customer is drawn for alike in a block, alone and in a replay.

Chances are those of the draw. At the first place they are exact: by a closed form for an even draw (`epsilon_greedy`,
control) and for one weighted by value (`softmax`), by integration to within 1e-6 for `thompson`. At a later place they
are exact too, given the offers above, but for Thompson sampling, where they are unknown (NaN). What is withdrawn after
the draw, because limits on all offers together are used up, makes the chances of that customer's offers unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
import pyarrow as pa

from engine.config.exploration import ControlGroup, ExplorationPolicy, Period
from engine.numerics.hashing import shares_of
from engine.recommendations import thompson
from engine.recommendations.draws import Draws
from engine.recommendations.frame import Flags, Floats, Integers
from engine.recommendations.thompson import Beliefs

SELECTIONS: Final = ("best", "explored", "control")
"""How an offer was chosen; the code is the place here. `explored`: of what was left at its place another was best."""

_BEST, _EXPLORED, _CONTROL = range(3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What draws rest on: the run's seed and, by product (P,), customers who could open it and those who did."""

    seed: int
    cases: Floats
    positives: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """What can be offered to n customers of P products; all but the ids are (n, P).

    `worth` is the value in minor units after any charges, and grows by `slope` with the propensity, above 0 where
    `open` marks what may be offered.
    """

    customer_ids: pa.Array
    propensity: Floats
    worth: Floats
    slope: Floats
    open: Flags


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The places of what is offered, (n, P) from 1 and 0 for none, with how each was chosen and the chance it had."""

    rank: Integers
    selection: Integers
    chance: Floats

    def without(self, withdrawn: Flags) -> Chosen:
        """Return what is left when offers are withdrawn, ranked anew; its chances are unknown then."""
        kept = (self.rank > 0) & ~withdrawn
        rank = in_order(np.where(kept, -self.rank.astype(np.float64), -np.inf), self.rank.shape[1])
        touched: Flags = np.any((self.rank > 0) & withdrawn, axis=1)
        chance = np.where(kept & ~touched[:, None], self.chance, np.nan)
        return Chosen(rank=rank, selection=self.selection, chance=chance)


def choose(
    offered: Candidates,
    policy: ExplorationPolicy,
    evidence: Evidence,
    *,
    product_ids: tuple[str, ...],
    as_of: datetime,
    top_n: int,
) -> Chosen:
    """Draw the offers of every customer; no row sees another."""
    draws = Draws.of(offered.customer_ids.to_pylist(), f"{evidence.seed}:{as_of.astimezone(UTC).isoformat()}")
    best = in_order(np.where(offered.open, offered.worth, -np.inf), top_n)
    lot = draws.pairs(product_ids, "even draw")
    rank, chance = _drawn(offered, policy, evidence, best=best, draws=draws, lot=lot, ids=product_ids, top_n=top_n)
    selection = _selection(offered, rank, top_n)
    kept = controls(offered.customer_ids, policy.control, as_of)
    if kept.any():
        control, even = _even(offered.open, lot, top_n)
        if policy.control.serves == "nothing":
            control = np.zeros_like(control)
        rank = np.where(kept[:, None], control, rank)
        chance = np.where(kept[:, None], even, chance)
        selection = np.where(kept[:, None], _CONTROL, selection)
    return Chosen(rank=rank, selection=selection, chance=np.where(rank > 0, chance, np.nan))


def _selection(offered: Candidates, rank: Integers, top_n: int) -> Integers:
    """Say of each place whether the best of what was left stands there."""
    selection, left = np.full(rank.shape, _EXPLORED), offered.open.copy()
    everybody = np.arange(len(rank))
    for place in range(1, min(top_n, rank.shape[1]) + 1):
        best = np.argmax(np.where(left, offered.worth, -np.inf), axis=1)
        is_best = rank[everybody, best] == place
        selection[everybody[is_best], best[is_best]] = _BEST
        left &= rank != place
    return selection


def controls(customer_ids: pa.Array, control: ControlGroup, as_of: datetime) -> Flags:
    """Say who is in the control group, shape (n,): the same persons throughout a period, whatever else happens."""
    if control.share == 0:
        return np.zeros(len(customer_ids), dtype=bool)
    salt = f"{control.salt}:{period_of(as_of, control.period)}"
    inside: Flags = shares_of(customer_ids.to_pylist(), salt) < control.share
    return inside


def period_of(as_of: datetime, period: Period) -> str:
    """Return the name of the period that an instant lies in: 2026-06, 2026-Q2, 2026 or always; by UTC."""
    day = as_of.astimezone(UTC)
    names = {"month": f"{day:%Y-%m}", "quarter": f"{day:%Y}-Q{(day.month + 2) // 3}", "year": f"{day:%Y}"}
    return names.get(period, period)


def _drawn(
    offered: Candidates,
    policy: ExplorationPolicy,
    evidence: Evidence,
    *,
    best: Integers,
    draws: Draws,
    lot: Floats,
    ids: tuple[str, ...],
    top_n: int,
) -> tuple[Integers, Floats]:
    if policy.strategy == "epsilon_greedy":
        return _epsilon_greedy(offered, policy.epsilon, draws, lot, top_n)
    if policy.strategy == "softmax":
        return _weighted(offered, policy.temperature, lot, top_n)
    if policy.strategy == "thompson":
        return _thompson(offered, policy, evidence, best=best, draws=draws, ids=ids, top_n=top_n)
    return best, np.ones(offered.worth.shape)


def _epsilon_greedy(
    offered: Candidates, epsilon: float, draws: Draws, lot: Floats, top_n: int
) -> tuple[Integers, Floats]:
    """At each place take the best of what is left or, with a chance of epsilon, any of it alike."""
    rank, chance = np.zeros(lot.shape, dtype=np.int64), np.full(lot.shape, np.nan)
    left, everybody = offered.open.copy(), np.arange(len(lot))
    for place in range(1, min(top_n, lot.shape[1]) + 1):
        best = np.argmax(np.where(left, offered.worth, -np.inf), axis=1)
        any_of = np.argmax(np.where(left, lot, -1.0), axis=1)
        taken = np.where(draws.each(f"coin {place}") < epsilon, any_of, best)
        count = left.sum(axis=1)
        some = np.flatnonzero(count)
        rank[some, taken[some]] = place
        even = epsilon / np.maximum(count, 1)
        chance[some, taken[some]] = (even + np.where(taken == best, 1 - epsilon, 0.0))[some]
        left[everybody, taken] = False
    return rank, chance


def _weighted(offered: Candidates, temperature: float, lot: Floats, top_n: int) -> tuple[Integers, Floats]:
    """At each place draw from what is left, exp(worth / (temperature x the best worth)) telling how often.

    Draws without replacement are the order of the logarithms of the weights with Gumbel numbers added (Yellott, 1977).
    """
    highest = np.where(offered.open, offered.worth, 0.0).max(axis=1, keepdims=True, initial=0.0)
    scale = temperature * np.where(highest > 0, highest, 1.0)
    weight = np.where(offered.open, np.exp((np.where(offered.open, offered.worth, 0.0) - highest) / scale), 0.0)
    drawn = (np.where(offered.open, offered.worth, 0.0) - highest) / scale - np.log(-np.log(lot))
    rank = in_order(np.where(offered.open, drawn, -np.inf), top_n)
    return rank, _by_weight(weight, rank, top_n)


def _even(offered: Flags, lot: Floats, top_n: int) -> tuple[Integers, Floats]:
    """At each place draw any of what is left alike."""
    rank = in_order(np.where(offered, lot, -np.inf), top_n)
    return rank, _by_weight(offered.astype(np.float64), rank, top_n)


def _by_weight(weight: Floats, rank: Integers, top_n: int) -> Floats:
    """Return the chance of what stands at each place given those above: its weight in that of all that was left."""
    chance, left = np.full(weight.shape, np.nan), weight.copy()
    for place in range(1, min(top_n, weight.shape[1]) + 1):
        here = rank == place
        # one product after the other, so that the sum is the same for one customer as for many
        total = np.zeros(len(weight))
        for product in range(weight.shape[1]):
            total += left[:, product]
        share = left / np.where(total > 0, total, 1.0)[:, None]
        chance[here] = share[here]
        left[here] = 0.0
    return chance


def _thompson(
    offered: Candidates,
    policy: ExplorationPolicy,
    evidence: Evidence,
    *,
    best: Integers,
    draws: Draws,
    ids: tuple[str, ...],
    top_n: int,
) -> tuple[Integers, Floats]:
    """Take what is worth most at a draw from the beliefs; where no product is mature enough to enter, the best."""
    ramp = policy.thompson
    enters = thompson.maturity(evidence.positives, ramp.share_at_start, ramp.mature_positives)
    beliefs = beliefs_of(offered, evidence, enters)
    worth = thompson.drawn_worth(beliefs, draws.pairs(ids, "belief"))
    inside = offered.open & (draws.pairs(ids, "maturity") < enters)
    rank = in_order(np.where(inside, worth, -np.inf), top_n)
    rank = np.where(np.any(inside, axis=1, keepdims=True), rank, best)
    rows, products = np.nonzero(rank == 1)
    chance = np.full(worth.shape, np.nan)
    chance[rows, products] = thompson.chance_of_winning(beliefs, rows, products)
    none_enters = np.ones(len(worth))
    for product in range(worth.shape[1]):
        none_enters *= np.where(offered.open[:, product], 1 - enters[product], 1.0)
    first = best[rows, products] == 1
    chance[rows, products] += np.where(first, none_enters[rows], 0.0)
    return rank, np.minimum(chance, 1.0)


def beliefs_of(offered: Candidates, evidence: Evidence, enters: Floats) -> Beliefs:
    """Return what is known of every pair; `enters` (P,) is the chance that a product takes part."""
    a, b = thompson.shapes(offered.propensity, np.broadcast_to(evidence.cases, offered.propensity.shape))
    slope = np.where(offered.open, offered.slope, 1.0)
    offset = np.where(offered.open, offered.worth - offered.slope * offered.propensity, 0.0)
    return Beliefs(a=a, b=b, slope=slope, offset=offset, enters=np.where(offered.open, enters, 0.0))


def in_order(worth: Floats, top_n: int) -> Integers:
    """Rank the highest `top_n` of each row from 1, equal ones in product order; minus infinity is none of them."""
    rank = np.zeros(worth.shape, dtype=np.int64)
    known = worth > -np.inf
    rows = np.flatnonzero(known.any(axis=1))
    left = np.where(known[rows], worth[rows], -np.inf)
    for place in range(1, min(top_n, worth.shape[1]) + 1):
        best = np.argmax(left, axis=1)  # the first of equal ones
        some = left[np.arange(len(left)), best] > -np.inf
        rows, left, best = rows[some], left[some], best[some]
        rank[rows, best] = place
        left[np.arange(len(left)), best] = -np.inf
    return rank
