"""How customers moved between two divisions, which group of now is which of then, and which of them is breaking up.

References
----------
Kuhn (1955) and Jonker and Volgenant (1987) for the optimal matching; Siddiqi (2006) for the population stability
index; Greene, Doyle and Cunningham (2010), Tracking the evolution of communities in dynamic social networks, for
telling splits and mergers from the overlap of members.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import adjusted_rand_score

from engine.config.movement import MovementSettings
from engine.numerics.ratios import or_none, ratio

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

NOWHERE: Final = ""
"""The group of whoever was in none on that date, or was no customer yet or no more."""

_MAINLY: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """Customers by group of before and of after, the groups in order and `NOWHERE` last; `agreement` of the rest."""

    before: tuple[str, ...]
    after: tuple[str, ...]
    counts: Counts
    agreement: float

    @property
    def inside(self) -> Counts:
        """The customers who had a group on both dates, shape (groups before, groups after)."""
        return self.counts[:-1, :-1]


def flow(before: pa.Table, after: pa.Table) -> Flow:
    """Return how customers moved; both tables have `customer_id` and `group`, text that may be null."""
    ids = pc.unique(pa.concat_arrays([_plain(before["customer_id"]), _plain(after["customer_id"])]))
    sides = [_codes(ids, table) for table in (before, after)]
    (was, names_before), (now, names_after) = sides
    shape = len(names_before) + 1, len(names_after) + 1
    counts = np.bincount(was * shape[1] + now, minlength=shape[0] * shape[1]).reshape(shape)
    counts[-1, -1] = 0
    both = (was < len(names_before)) & (now < len(names_after))
    agreement = float(adjusted_rand_score(was[both], now[both])) if both.any() else float("nan")
    return Flow(before=names_before, after=names_after, counts=counts, agreement=agreement)


def _plain(column: Any) -> pa.Array:
    made = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return made.cast(pa.string())


def _codes(ids: pa.Array, table: pa.Table) -> tuple[Counts, tuple[str, ...]]:
    place = pc.index_in(ids, value_set=_plain(table["customer_id"]))
    group = _plain(table["group"]).take(place)
    names = tuple(sorted(set(pc.unique(_plain(table["group"]).drop_null()).to_pylist())))
    code = pc.fill_null(pc.index_in(group, value_set=pa.array(names, pa.string())), len(names))
    return np.asarray(code.to_numpy(zero_copy_only=False), dtype=np.int64), names


def matched(moved: Flow, settings: MovementSettings) -> dict[str, str]:
    """Return for groups of after the group of before that each is: the pairing with the largest overlap in all.

    The overlap of a pair is the share that customers of both are of those of either (Jaccard), among who had a group
    on both dates; a pair below `same_overlap` is none.
    """
    overlap = _overlaps(moved)
    rows, columns = linear_sum_assignment(-overlap)
    return {
        moved.after[to]: moved.before[at]
        for at, to in zip(rows, columns, strict=True)
        if overlap[at, to] >= settings.same_overlap
    }


def _overlaps(moved: Flow) -> Floats:
    both = moved.inside.astype(np.float64)
    either = both.sum(axis=1)[:, None] + both.sum(axis=0)[None, :] - both
    overlap: Floats = np.divide(both, either, out=np.zeros_like(both), where=either > 0)
    return overlap


def migration(moved: Flow) -> list[dict[str, Any]]:
    """Return a row for each pair of groups that customers moved between, or stayed in: how many, and their share.

    The share is that of the former group; `NOWHERE` as the former means entered, as the latter left.
    """
    before, after = (*moved.before, NOWHERE), (*moved.after, NOWHERE)
    sizes = moved.counts.sum(axis=1)
    return [
        {
            "before": before[at],
            "after": after[to],
            "customers": int(moved.counts[at, to]),
            # of those who were nowhere there is no sensible share
            "before_share": None
            if before[at] == NOWHERE
            else or_none(ratio(float(moved.counts[at, to]), float(sizes[at]))),
        }
        for at in range(len(before))
        for to in range(len(after))
        if moved.counts[at, to]
    ]


def balance(moved: Flow) -> list[dict[str, Any]]:
    """Return a row for each group of either date: size before and after, who stayed, entered and left."""
    rows = []
    for name in sorted({*moved.before, *moved.after}):
        was = moved.counts[moved.before.index(name)].sum() if name in moved.before else 0
        now = moved.counts[:, moved.after.index(name)].sum() if name in moved.after else 0
        there = name in moved.before and name in moved.after
        stayed = moved.counts[moved.before.index(name), moved.after.index(name)] if there else 0
        rows.append(
            {
                "group": name,
                "before": int(was),
                "after": int(now),
                "stayed": int(stayed),
                "entered": int(now - stayed),
                "left": int(was - stayed),
                "stayed_share": or_none(ratio(float(stayed), float(was))),
            }
        )
    return rows


def stability_index(moved: Flow) -> float:
    """Return the population stability index of the groups' shares, in nats; `inf` where a group came or went whole."""
    names = sorted({*moved.before, *moved.after})
    was = dict(zip(moved.before, moved.counts[:-1].sum(axis=1), strict=True))
    now = dict(zip(moved.after, moved.counts[:, :-1].sum(axis=0), strict=True))
    expected = np.array([was.get(name, 0) for name in names], dtype=float)
    actual = np.array([now.get(name, 0) for name in names], dtype=float)
    if not expected.sum() or not actual.sum():
        return float("nan")
    expected, actual = expected / expected.sum(), actual / actual.sum()
    if ((expected == 0) != (actual == 0)).any():
        return float("inf")
    some = expected > 0
    return float(((actual[some] - expected[some]) * np.log(actual[some] / expected[some])).sum())


def notices(moved: Flow, settings: MovementSettings, names: Mapping[str, tuple[str, str]]) -> list[dict[str, Any]]:
    """Return what is worth a look: a group that splits, merges, dissolves or shrinks, shares that shifted.

    `names` are the English and Chinese names of groups; groups that are the same must have the same name on both dates.
    """
    both = moved.inside.astype(np.float64)
    of_before = np.divide(both, both.sum(axis=1)[:, None], out=np.zeros_like(both), where=both.sum(axis=1)[:, None] > 0)
    of_after = np.divide(both, both.sum(axis=0)[None, :], out=np.zeros_like(both), where=both.sum(axis=0)[None, :] > 0)
    found: list[dict[str, Any]] = []
    broken = set()
    for at, name in enumerate(moved.before):
        # a part of it: a group of now that took a good part of it and is made of it mainly
        parts = np.flatnonzero((of_before[at] >= settings.split_share) & (of_after[at] >= _MAINLY))
        if len(parts) > 1:
            broken.add(name)
            found.append(_notice("split", name, settings, names, others=[moved.after[to] for to in parts]))
    for to, name in enumerate(moved.after):
        parts = np.flatnonzero((of_after[:, to] >= settings.split_share) & (of_before[:, to] >= _MAINLY))
        if len(parts) > 1:
            broken |= {moved.before[at] for at in parts}
            found.append(_notice("merged", name, settings, names, others=[moved.before[at] for at in parts]))
    for at, name in enumerate(moved.before):
        if name in broken or not both[at].sum():
            continue
        together, size = float(of_before[at].max()), float(moved.counts[at].sum())
        now = float(moved.counts[:, moved.after.index(name)].sum()) if name in moved.after else 0.0
        if together < settings.dissolving_share or not now:
            found.append(_notice("dissolving", name, settings, names, share=together))
        elif now < (1 - settings.shrinking_share) * size:
            found.append(_notice("shrinking", name, settings, names, share=1 - now / size))
    index = stability_index(moved)
    if index >= settings.shifted_index:
        found.append(_notice("shifted", NOWHERE, settings, names, value=index))
    return found


def _notice(
    kind: str,
    name: str,
    settings: MovementSettings,
    names: Mapping[str, tuple[str, str]],
    *,
    others: list[str] | None = None,
    share: float | None = None,
    value: float | None = None,
) -> dict[str, Any]:
    form = getattr(settings.notices, kind)
    texts = {}
    for place, (language, joint) in enumerate((("en", ", "), ("zh", "、"))):
        called = [names.get(one, (one, one))[place] for one in (name, *(others or ()))]
        texts[f"sentence_{language}"] = getattr(form, language).format(
            name=called[0],
            others=joint.join(called[1:]),
            share="" if share is None else f"{share:.0%}",
            value="" if value is None else f"{value:.2f}",
        )
    return {
        "kind": kind,
        "group": name,
        "others": others or [],
        "share": share,
        "value": None if value is None else or_none(value),
        **texts,
    }
