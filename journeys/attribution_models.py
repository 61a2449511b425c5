"""The models of attribution: how each divides conversions among the touches of their paths.

Every model answers for many weightings of the customers at once, so that drawing customers again is arithmetic on
counts of equal paths.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from journeys import absorbing, touchpoints
from journeys.histories import Ints
from journeys.touchpoints import Tally

Floats = NDArray[np.float64]

LAST_NON_DIRECT: Final = "last_non_direct"
TIME_DECAY: Final = "time_decay"
CHAINS: Final = {"markov": 1, "markov_2": 2}
"""The Markov models and how many touches a state remembers."""

_POSITION: Final = 0.4
LARGEST_CHAIN: Final = 2_000  # states: a dense inverse of 32 MB, about a second
LARGEST_RESAMPLED_CHAIN: Final = 300  # states: 200 inverses in about a second


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """Customers by set of paths, and every different path once.

    customers : per set, shape (n_sets,). sets : how often each path stands in each set, shape (n_sets, n_paths).
    code, path : touch and path of every touch of the different paths. conversions : of one path of each kind.
    value : of all paths of each kind together.
    """

    n_touches: int
    customers: Floats
    sets: sparse.csr_array
    code: Ints
    path: Ints
    conversions: Ints
    value: Floats

    @classmethod
    def of(cls, tallied: Tally) -> Sample:
        """Return the sample that a tally counted."""
        every = touchpoints.read(tallied.signature)
        kind, kinds = every.kinds()
        paths = touchpoints.read(kinds)
        shape = (len(tallied), len(kinds))
        sets = sparse.coo_array((np.ones(len(kind)), (every.profile, kind)), shape=shape).tocsr()
        return cls(
            n_touches=len(tallied.touches),
            customers=tallied.customers.astype(np.float64),
            sets=sets,
            code=paths.code.astype(np.int64),
            path=paths.path,
            conversions=paths.conversions,
            value=np.asarray(np.bincount(kind, weights=tallied.values, minlength=len(kinds)), dtype=np.float64),
        )

    @property
    def n_paths(self) -> int:
        """How many different paths there are."""
        return len(self.conversions)

    def paths_of(self, customers: Floats) -> Floats:
        """Return how often each path was taken, shape (n_weightings, n_paths), of customers per set."""
        return np.asarray(customers @ self.sets, dtype=np.float64)


class Model(Protocol):
    """How conversions are divided."""

    @property
    def note(self) -> str | None:
        """Return a sentence on what the model cannot answer."""

    @property
    def resampled(self) -> bool:
        """Whether it is quick enough to be asked often."""

    def shares(self, customers: Floats, rng: np.random.Generator | None = None) -> Floats:
        """Return the share of each touch, shape (n_weightings, n_touches), of customers per set.

        A row is nan where there is nothing to divide. The generator is given when customers were drawn again.
        """

    def value(self) -> Floats:
        """Return the value that each touch is given, shape (n_touches,)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Parts:
    """A model that divides each conversion by its own path: `parts`, shape (n_paths, n_touches), sum to 1."""

    sample: Sample
    parts: sparse.csr_array
    note: str | None = None
    resampled: bool = True

    @cached_property
    def _of_sets(self) -> sparse.csr_array:
        """The conversions that each touch is given in each set, shape (n_sets, n_touches)."""
        return self.sample.sets @ (sparse.diags_array(self.sample.conversions.astype(np.float64)) @ self.parts)

    def shares(self, customers: Floats, rng: np.random.Generator | None = None) -> Floats:
        """Return the share of each touch in the conversions."""
        return scaled(np.asarray(customers @ self._of_sets))

    def value(self) -> Floats:
        """Return the value of each touch."""
        return np.asarray(self.sample.value @ self.parts)


@dataclass(frozen=True, kw_only=True, eq=False)
class Decay:
    """Time decay, which depends on times and so differs between customers of equal paths.

    mean, spread : mean credit and its variance among the customers of each set, shape (n_sets, n_touches).
    """

    mean: sparse.csr_array
    spread: sparse.csr_array
    worth: Floats
    note: str | None = None
    resampled: bool = True

    @classmethod
    def of(cls, tallied: Tally) -> Decay:
        """Return the model of a tally."""
        profile, touch = touchpoints.read(tallied.signature).distinct
        shape = (len(tallied), len(tallied.touches))
        customers = tallied.customers[profile]
        mean = tallied.decay / customers
        spread = np.maximum(tallied.decay_squares / customers - mean**2, 0)
        return cls(
            mean=sparse.coo_array((mean, (profile, touch)), shape=shape).tocsr(),
            spread=sparse.coo_array((spread, (profile, touch)), shape=shape).tocsr(),
            worth=np.asarray(np.bincount(touch, weights=tallied.decay_value, minlength=shape[1]), dtype=np.float64),
        )

    def shares(self, customers: Floats, rng: np.random.Generator | None = None) -> Floats:
        """Return the share of each touch in the conversions.

        Customers drawn again from one set differ among themselves: with a generator, each touch's sum over them gets
        the normal error that their variance gives it, so that rows then add up to 1 only on average.
        """
        credit = np.asarray(customers @ self.mean, dtype=np.float64)
        shares = scaled(credit)
        if rng is not None:
            error = np.sqrt(np.asarray(customers @ self.spread)) / np.maximum(credit.sum(axis=1, keepdims=True), 1e-300)
            shares = np.clip(shares + error * rng.standard_normal(credit.shape), 0, 1)
        return shares

    def value(self) -> Floats:
        """Return the value of each touch."""
        return self.worth


@dataclass(frozen=True, kw_only=True, eq=False)
class Chained:
    """Removal effects in a Markov chain."""

    sample: Sample
    chain: absorbing.Chain
    note: str | None
    resampled: bool

    @classmethod
    def of(cls, sample: Sample, order: int, model: str) -> Chained:
        """Return the model of a sample; its note says when the chain is too large to solve, or to solve again."""
        chain = absorbing.chain(sample.code, sample.path, sample.n_paths, order)
        note = None
        if chain.n_states > LARGEST_CHAIN:
            note = (
                f"{model}: not solved, its chain has {chain.n_states} states and at most {LARGEST_CHAIN} are solved "
                "exactly. Name fewer touches."
            )
        elif chain.n_states > LARGEST_RESAMPLED_CHAIN:
            note = f"{model}: no interval, since its chain of {chain.n_states} states would take long to solve often."
        return cls(sample=sample, chain=chain, note=note, resampled=note is None)

    @cached_property
    def _of_sets(self) -> tuple[sparse.csr_array, sparse.csr_array, sparse.csr_array]:
        """The steps, the ends and the conversions by last state of each set."""
        won = sparse.diags_array(self.sample.conversions.astype(np.float64)) @ self.chain.ends
        return self.sample.sets @ self.chain.steps, self.sample.sets @ self.chain.ends, self.sample.sets @ won

    def shares(self, customers: Floats, rng: np.random.Generator | None = None) -> Floats:
        """Return the share of each touch in the removal effects, one chain per weighting; nan for one too large."""
        if self._too_large:
            return np.full((len(customers), self.sample.n_touches), np.nan)
        counted = [np.asarray(customers @ one) for one in self._of_sets]
        return scaled(np.stack([self._effects(*one) for one in zip(*counted, strict=True)]))

    def value(self) -> Floats:
        """Return the share of each touch in the value, by removal, times the value."""
        if self._too_large:
            return np.full(self.sample.n_touches, np.nan)
        steps, ended, _ = (np.asarray(self.sample.customers @ one) for one in self._of_sets)
        effects = self._effects(steps, ended, self.chain.ends.T @ self.sample.value)
        return effects / np.nansum(effects) * self.sample.value.sum() if np.nansum(effects) else effects

    @property
    def _too_large(self) -> bool:
        return self.chain.n_states > LARGEST_CHAIN

    def _effects(self, steps: Floats, ended: Floats, reward: Floats) -> Floats:
        return absorbing.removal_effects(self.chain, steps, ended, reward, self.sample.n_touches)


def scaled(credit: Floats) -> Floats:
    """Scale rows to sum to 1; nan where a row has nothing to divide."""
    total = credit.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(credit, total, out=np.full_like(credit, np.nan), where=total > 0))


def model(name: str, sample: Sample, tallied: Tally, direct: frozenset[str]) -> Model:
    """Return the model of a name."""
    if name in CHAINS:
        return Chained.of(sample, CHAINS[name], name)
    if name == TIME_DECAY:
        return Decay.of(tallied)
    if name == LAST_NON_DIRECT:
        return _parts(sample, _last_other_than({tallied.touches.index(one) for one in direct}))
    return _parts(sample, _WEIGHTS[name])


@dataclass(frozen=True, kw_only=True, eq=False)
class _Touch:
    """Every touch of every path: what it is, its place from 0, and how many its path has."""

    code: Ints
    path: Ints
    place: Ints
    length: Ints


def _parts(sample: Sample, weigh: Callable[[_Touch], Floats]) -> Parts:
    lengths = np.bincount(sample.path, minlength=sample.n_paths)
    starts = np.concatenate([[0], np.cumsum(lengths)])[:-1]
    place = np.arange(len(sample.path)) - starts[sample.path]
    touch = _Touch(code=sample.code, path=sample.path, place=place, length=lengths[sample.path])
    cells = (weigh(touch), (sample.path, sample.code))
    parts = sparse.coo_array(cells, shape=(sample.n_paths, sample.n_touches)).tocsr()
    return Parts(sample=sample, parts=parts)


def _first(touch: _Touch) -> Floats:
    return np.asarray(touch.place == 0, dtype=np.float64)


def _last(touch: _Touch) -> Floats:
    return np.asarray(touch.place == touch.length - 1, dtype=np.float64)


def _linear(touch: _Touch) -> Floats:
    return 1 / touch.length


def _position(touch: _Touch) -> Floats:
    outer = (touch.place == 0) | (touch.place == touch.length - 1)
    between = (1 - 2 * _POSITION) / np.maximum(touch.length - 2, 1)
    few = touch.length <= 2
    return np.where(few, 1 / touch.length, np.where(outer, _POSITION, between))


def _shapley(touch: _Touch) -> Floats:
    """An equal part to every different touch of a path, given where it occurs first."""
    width = int(touch.code.max(initial=0)) + 1
    pairs, first = np.unique(touch.path * width + touch.code, return_index=True)
    different = np.bincount(pairs // width)
    weight = np.zeros(len(touch.code))
    weight[first] = 1 / different[touch.path[first]]
    return weight


def _last_other_than(direct: set[int]) -> Callable[[_Touch], Floats]:
    def weigh(touch: _Touch) -> Floats:
        # the last one in order of: another touch before a direct one, then the place
        rank = touch.place + np.where(np.isin(touch.code, list(direct)), 0, touch.length)
        best = np.full(int(touch.path.max(initial=-1)) + 1, -1)
        np.maximum.at(best, touch.path, rank)
        return np.asarray(rank == best[touch.path], dtype=np.float64)

    return weigh


_WEIGHTS: Final[dict[str, Any]] = {
    "first": _first,
    "last": _last,
    "linear": _linear,
    "position": _position,
    "shapley": _shapley,
}
