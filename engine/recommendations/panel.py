"""What models learn from: customers as they were at one instant, and what they opened in the window after it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.config.recommendations import RecommendationSettings
from engine.recommendations.frame import Codes, Flags, Floats, Integers, View, align, view_of
from engine.recommendations.grouping import Grouping
from engine.recommendations.inputs import Inputs, check_window, sample_customers
from engine.recommendations.products import Catalogue


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Customers at the start of a window (`view`) and what they opened in it; all arrays are (n, P).

    `eligible` marks what a customer could be sold then (see `could_open`). A customer may have several rows: `customer`
    says whose each is. Where products were hidden instead (`certain`) every row has exactly one label, `weights` add up
    to one for each customer and `held` (customers, P) is what they hold in truth, in full. `customer_ids` names the
    customer of each row of a single window, so that windows can be joined.
    """

    view: View
    labels: Flags
    eligible: Flags
    certain: bool = False
    customer: Integers | None = None
    weights: Floats | None = None
    held: Flags | None = None
    customer_ids: pa.Array | None = None

    @property
    def buyers(self) -> int:
        """How many customers opened anything in the window."""
        return int(self.labels.any(axis=1).sum())

    @property
    def holdings(self) -> Flags:
        """What each customer holds, a row each: what models that need no openings learn from."""
        return self.view.owned if self.held is None else self.held

    @property
    def row_weights(self) -> Floats:
        """How much each row counts."""
        return np.ones(self.view.size) if self.weights is None else self.weights

    def rows(self, index: Integers) -> Panel:
        """Return some of the rows, with the holdings of the customers they are of."""
        customer, held = None, None
        if self.customer is not None:
            whose, customer = np.unique(self.customer[index], return_inverse=True)
            held = None if self.held is None else self.held[whose]
        return Panel(
            view=self.view.rows(index),
            labels=self.labels[index],
            eligible=self.eligible[index],
            certain=self.certain,
            customer=customer,
            weights=None if self.weights is None else self.weights[index],
            held=held,
        )

    def split(self, share: float, seed: int) -> tuple[Panel, Panel]:
        """Return about 1 - share and share of the customers, drawn by the seed; all rows of one on the same side."""
        of_row = np.arange(self.view.size) if self.customer is None else self.customer
        customers = int(of_row.max(initial=-1)) + 1
        drawn = np.zeros(customers, dtype=bool)
        drawn[np.random.default_rng([seed, 93]).permutation(customers)[: round(customers * share)]] = True
        return self.rows(np.flatnonzero(~drawn[of_row])), self.rows(np.flatnonzero(drawn[of_row]))


def build(
    before: Inputs,
    after: Inputs,
    catalogue: Catalogue,
    *,
    features: Sequence[str],
    settings: RecommendationSettings,
    seed: int,
    grouping: Grouping,
    together: Sequence[str] | None = None,
) -> Panel:
    """Join a seeded sample of the customers known before with what they had newly opened by the later instant.

    An account opened and closed again inside the window is not seen. A customer who is in only one of the two inputs
    is passed over.

    Raises
    ------
    LabelsInFeatures
        The two instants do not lie one window apart.
    """
    check_window(before, after, settings)
    start = align(before, catalogue.product_ids, grouping=grouping, together=together)
    end = align(after, catalogue.product_ids, grouping=grouping, opened_after=before.as_of)
    chosen = sample_customers(start.customer_ids, settings.training.sample, seed)
    at_start, at_end = _rows(chosen, start.customer_ids), _rows(chosen, end.customer_ids)
    both = at_end >= 0
    view = view_of(start, features, at_start[both])
    eligible = could_open(view.owned, start.ages[at_start[both]], catalogue)
    opened = end.opened if end.opened is not None else np.zeros_like(end.owned)
    return Panel(
        view=view,
        labels=opened[at_end[both]] & eligible,
        eligible=eligible,
        customer_ids=chosen.filter(pa.array(both)),
    )


def joined(windows: Sequence[Panel]) -> Panel:
    """Return the rows of several windows made by `build` as one panel, in which a customer has a row a window."""
    if len(windows) == 1:
        return windows[0]
    ids = pa.concat_arrays([window.customer_ids for window in windows if window.customer_ids is not None])
    views = [window.view for window in windows]
    return Panel(
        view=View(
            owned=np.concatenate([view.owned for view in views]),
            x=np.concatenate([view.x for view in views]),
            group=np.concatenate([view.group for view in views]),
            steps=_joined_steps(views),
        ),
        labels=np.concatenate([window.labels for window in windows]),
        eligible=np.concatenate([window.eligible for window in windows]),
        customer=np.asarray(pc.dictionary_encode(ids).indices, dtype=np.int64),
    )


def _joined_steps(views: Sequence[View]) -> Codes | None:
    known = [view.steps for view in views if view.steps is not None]
    return np.concatenate(known) if len(known) == len(views) else None


def leave_one_out(view: View, most_rows: int, seed: int) -> Panel:
    """Hide each product once from each customer who holds at least two: what is left should tell what was hidden.

    A row is a customer without one of the products; a customer of m products has m rows that count 1 / m each. Of
    customers with more than `most_rows` rows together a seeded sample is kept.
    """
    held = view.owned.sum(axis=1)
    several = np.flatnonzero(held >= 2)
    several = several[np.random.default_rng([seed, 94]).permutation(len(several))]
    kept = np.sort(several[: int(np.searchsorted(held[several].cumsum(), most_rows, side="right"))])
    customer, product = np.nonzero(view.owned[kept])
    return _hidden(view.rows(kept), customer, product)


def hide_one(view: View, seed: int) -> Panel:
    """Hide one product, drawn by the seed, from each customer who holds at least two; customers with fewer drop out."""
    kept = np.flatnonzero(view.owned.sum(axis=1) >= 2)
    drawn = np.random.default_rng([seed, 95]).random((len(kept), view.owned.shape[1]))
    return _hidden(view.rows(kept), np.arange(len(kept)), np.where(view.owned[kept], drawn, -1.0).argmax(axis=1))


def _hidden(view: View, customer: Integers, product: Integers) -> Panel:
    labels = np.zeros((len(customer), view.owned.shape[1]), dtype=bool)
    labels[np.arange(len(customer)), product] = True
    seen = view.owned[customer] & ~labels
    return Panel(
        view=View(owned=seen, x=view.x[customer], group=view.group[customer]),
        labels=labels,
        eligible=~seen,
        certain=True,
        customer=customer,
        weights=1.0 / np.bincount(customer, minlength=view.size)[customer],
        held=view.owned,
    )


def could_open(owned: Flags, age: Floats, catalogue: Catalogue) -> Flags:
    """Mark what a customer could be sold: on sale, not held unless several may be, its needs met, of the right age.

    An unknown age is within any limit here: what such customers opened is still learned from.
    """
    needs = catalogue.needs
    needed = (needs == -1) | ((needs >= 0) & owned[:, np.maximum(needs, 0)])
    too_young, too_old = age[:, None] < catalogue.min_age, age[:, None] > catalogue.max_age
    free = catalogue.on_sale & (~owned | catalogue.multiple)
    could: Flags = free & needed & ~too_young & ~too_old
    return could


def _rows(wanted: pa.Array, among: pa.Array) -> Integers:
    found = pc.fill_null(pc.index_in(wanted, value_set=among), -1)
    return np.asarray(found.to_numpy(zero_copy_only=False))


def model_features(
    table: pa.Table, excluded: Sequence[str], learn_from: Collection[str] | None = None
) -> tuple[str, ...]:
    """Return the numeric columns that models may learn from, sorted; excluded patterns are left out in any case."""
    return tuple(
        sorted(
            field.name
            for field in table.schema
            if _is_number(field.type)
            and not matches(field.name, excluded)
            and (learn_from is None or field.name in learn_from)
        )
    )


def matches(name: str, patterns: Sequence[str]) -> bool:
    """Whether a name fits one of the patterns, in which * stands for anything."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))
