"""Removal effects in a chain that ends in a conversion or in none, solved exactly.

Paths make an absorbing Markov chain: from the start through states (the last one, two, ... touches) to the conversion
or to the loss. With N = (I - Q)^-1, the expected visits, and x = N r, what is expected to come from each state, what
still comes when every path that would enter a set S of states is lost is x_start - N[start, S] N[S, S]^-1 x_S: all
that comes, less what comes after the first visit to S. Nothing is drawn at random.

References
----------
Anderl, Becker, von Wangenheim, Schumann (2016), Mapping the customer journey, IJRM 33(3). Kemeny and Snell (1960),
Finite Markov Chains, chapter 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

START: Final = 0
"""The state before the first touch."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chain:
    """The steps that paths take between states.

    source, target : one row per different step between two states, shape (n_steps,); the start is state 0.
    steps : how often each path takes each step, shape (n_paths, n_steps).
    ends : marks the state in which each path ends, shape (n_paths, n_states).
    touch : which touch each state stands for, shape (n_states,); -1 for the start.
    """

    source: Ints
    target: Ints
    steps: sparse.csr_array
    ends: sparse.csr_array
    touch: Ints

    @property
    def n_states(self) -> int:
        """How many states there are, the start included."""
        return len(self.touch)


def chain(code: Ints, path: Ints, n_paths: int, order: int) -> Chain:
    """Return the chain of paths whose states are the last `order` touches, fewer at the beginning.

    Parameters
    ----------
    code, path : the touch and the path of every touch, paths one after the other, each of at least one touch.
    """
    first = np.ones(len(code), dtype=np.bool_)
    first[1:] = path[1:] != path[:-1]
    # a state is the state of one order less at the touch before, and this touch; the start stands before the first
    states, width = np.unique(code, return_inverse=True)[1], int(code.max(initial=0)) + 1
    for _ in range(order - 1):
        before = np.where(first, -1, np.concatenate([[0], states[:-1]])) + 1
        _, states = np.unique(before * width + code, return_inverse=True)
    states = states + 1
    n_states = int(states.max(initial=0)) + 1
    touch = np.full(n_states, -1, dtype=np.int64)
    touch[states] = code
    source = np.where(first, START, np.concatenate([[0], states[:-1]]))
    pairs, step = np.unique(source * n_states + states, return_inverse=True)
    ends = np.flatnonzero(np.append(first[1:], True)) if len(code) else np.zeros(0, dtype=np.int64)
    return Chain(
        source=pairs // n_states,
        target=pairs % n_states,
        steps=sparse.coo_array((np.ones(len(code)), (path, step)), shape=(n_paths, len(pairs))).tocsr(),
        ends=sparse.coo_array((np.ones(len(ends)), (path[ends], states[ends])), shape=(n_paths, n_states)).tocsr(),
        touch=touch,
    )


def removal_effects(chained: Chain, steps: Floats, ended: Floats, reward: Floats, n_touches: int) -> Floats:
    """Return the share of the reward that is lost with each touch: 0 for a touch that nothing passes through.

    Parameters
    ----------
    steps : how often each step was taken, shape (n_steps,).
    ended : how many paths ended in each state, shape (n_states,).
    reward : what came of the paths that ended in each state, shape (n_states,).

    Returns
    -------
    array, shape (n_touches,)
        Between 0 and 1 where no reward is negative; nan throughout when nothing came of any path.
    """
    effects = np.full(n_touches, np.nan)
    left = np.bincount(chained.source, weights=steps, minlength=chained.n_states) + ended
    scale = 1 / np.where(left > 0, left, 1)
    onward = np.zeros((chained.n_states, chained.n_states))
    onward[chained.source, chained.target] = steps * scale[chained.source]
    visits = np.linalg.inv(np.eye(chained.n_states) - onward)
    comes = visits @ (reward * scale)
    if comes[START] == 0:
        return effects
    for touch in range(n_touches):
        states = np.flatnonzero(chained.touch == touch)
        within = visits[np.ix_(states, states)]
        entered = np.linalg.solve(within.T, visits[START, states])
        effects[touch] = (entered @ comes[states]) / comes[START]
    return effects
