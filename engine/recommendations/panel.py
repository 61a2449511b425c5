"""What models learn from: customers as they were at one instant, and what they opened in the window after it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.config.recommendations import RecommendationSettings
from engine.recommendations.frame import Catalogue, Flags, Floats, Integers, View, align, view_of
from engine.recommendations.inputs import Inputs, check_window, sample_customers


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Customers at the start of a window (`view`) and what they opened in it; all arrays are (n, P).

    `eligible` marks what a customer could be sold then (see `could_open`).
    """

    view: View
    labels: Flags
    eligible: Flags

    @property
    def buyers(self) -> int:
        """How many customers opened anything in the window."""
        return int(self.labels.any(axis=1).sum())

    def rows(self, index: Integers) -> Panel:
        """Return some of the customers."""
        return Panel(view=self.view.rows(index), labels=self.labels[index], eligible=self.eligible[index])


def build(
    before: Inputs,
    after: Inputs,
    catalogue: Catalogue,
    *,
    features: Sequence[str],
    settings: RecommendationSettings,
    seed: int,
    by_cluster: bool,
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
    start = align(before, catalogue.product_ids, by_cluster=by_cluster)
    end = align(after, catalogue.product_ids, by_cluster=by_cluster, opened_after=before.as_of)
    chosen = sample_customers(start.customer_ids, settings.training.sample, seed)
    at_start, at_end = _rows(chosen, start.customer_ids), _rows(chosen, end.customer_ids)
    both = at_end >= 0
    view = view_of(start, features, at_start[both])
    eligible = could_open(view.owned, start.ages[at_start[both]], catalogue)
    opened = end.opened if end.opened is not None else np.zeros_like(end.owned)
    return Panel(view=view, labels=opened[at_end[both]] & eligible, eligible=eligible)


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
