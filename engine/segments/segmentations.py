"""Named segmentations by rules: life stage, channel, risk and the like, each with its profile, crossed in pairs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.config.segmentations import Condition, SegmentationSettings
from engine.domain.errors import UnknownName
from engine.domain.schema import Table
from engine.domain.segment_marts import SEGMENTATION_CROSSINGS, SEGMENTATION_PROFILES, SEGMENTATIONS
from engine.lake.schema import arrow_schema, empty, to_contract
from engine.numerics.ratios import or_none, ratio
from engine.segments.columns import has_values, values_of

Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Segmented:
    """The three marts of named segmentations, and which could not be made."""

    members: pa.Table
    profiles: pa.Table
    crossings: pa.Table
    notes: tuple[str, ...]


def columns(settings: Sequence[SegmentationSettings], profiled: Sequence[str]) -> tuple[str, ...]:
    """Return every column that the rules and the profiles look at."""
    return tuple(dict.fromkeys([*(name for one in settings for name in one.columns()), *profiled]))


def check(settings: Sequence[SegmentationSettings], profiled: Sequence[str], known: Iterable[str]) -> None:
    """Raise UnknownName for the first column that no run has: a misspelt one would quietly put nobody in its group."""
    names = sorted(known)
    for name in columns(settings, profiled):
        if name not in names:
            raise UnknownName("column of the segmentations", name, names)


def segment(
    customers: pa.Table,
    settings: Sequence[SegmentationSettings],
    profiled: Sequence[str],
    crossed: Sequence[tuple[str, str]],
) -> Segmented:
    """Put every customer of a table into a group of each segmentation; the table is sorted by `customer_id`.

    A segmentation none of whose columns has a value is not made, and a note says so; nor is a crossing with it.
    """
    made: dict[str, tuple[SegmentationSettings, Codes]] = {}
    notes = []
    for one in settings:
        if any(has_values(customers, name) for name in one.columns()):
            made[one.segmentation] = (one, groups(customers, one))
        else:
            notes.append(f"no {one.segmentation}: the bank's data give none of {', '.join(one.columns())}")
    crossings = [_crossing(made[one], made[other]) for one, other in crossed if one in made and other in made]
    return Segmented(
        members=_stacked(SEGMENTATIONS, [_members(customers, *each) for each in made.values()]),
        profiles=_stacked(SEGMENTATION_PROFILES, [_profile(customers, *each, profiled) for each in made.values()]),
        crossings=_stacked(SEGMENTATION_CROSSINGS, crossings),
        notes=tuple(notes),
    )


def groups(customers: pa.Table, settings: SegmentationSettings) -> Codes:
    """Return for every customer the number of the first group whose rule holds."""
    codes = np.full(customers.num_rows, len(settings.groups) - 1, dtype=np.int64)
    left = np.ones(customers.num_rows, dtype=bool)
    for number, group in enumerate(settings.groups[:-1]):
        holds = left.copy()
        for test in group.all:
            holds &= _holds(customers, test)
        if group.any:
            holds &= np.logical_or.reduce([_holds(customers, test) for test in group.any])
        codes[holds] = number
        left &= ~holds
    return codes


def _holds(customers: pa.Table, test: Condition) -> Flags:
    if test.column not in customers.column_names:
        return np.full(customers.num_rows, bool(test.missing))
    column = customers[test.column]
    known = np.asarray(pc.is_valid(column).to_numpy(), dtype=bool)
    if test.missing is not None:
        return ~known if test.missing else known
    holds = known
    if test.equals is not None:
        # a truth value is one in its own column, and its word in one of text
        same = test.equals if pa.types.is_boolean(column.type) else str(test.equals)
        holds = holds & _flags(pc.equal(column, pa.scalar(same)))
    if test.one_of:
        holds = holds & _flags(pc.is_in(column.cast(pa.string()), value_set=pa.array(test.one_of)))
    if test.at_least is not None or test.below is not None or test.most_of:
        holds = holds & _measures(customers, test)
    return holds


def _measures(customers: pa.Table, test: Condition) -> Flags:
    values = values_of(customers, test.column)
    holds = ~np.isnan(values)
    if test.at_least is not None:
        holds &= values >= test.at_least
    if test.below is not None:
        holds &= values < test.below
    if test.most_of:
        holds &= values > 0
        for name in test.most_of:
            if name in customers.column_names:
                holds &= ~(values_of(customers, name) > values)
    return holds


def _flags(column: pa.ChunkedArray) -> Flags:
    return np.asarray(pc.fill_null(column, False).to_numpy(), dtype=bool)


def _members(customers: pa.Table, settings: SegmentationSettings, codes: Codes) -> pa.Table:
    names = pa.array([one.group for one in settings.groups])
    return pa.table(
        {
            "segmentation": pa.repeat(settings.segmentation, len(codes)),
            "customer_id": customers["customer_id"].combine_chunks(),
            "segment_group": names.take(pa.array(codes)),
        }
    )


def _profile(customers: pa.Table, settings: SegmentationSettings, codes: Codes, profiled: Sequence[str]) -> pa.Table:
    count = len(settings.groups)
    sizes = np.bincount(codes, minlength=count)
    rows = []
    for name in profiled:
        if not has_values(customers, name):
            continue
        values = values_of(customers, name)
        known = ~np.isnan(values)
        sums = np.bincount(codes[known], weights=values[known], minlength=count)
        counts = np.bincount(codes[known], minlength=count)
        rows += [
            {
                "segmentation": settings.segmentation,
                "segment_group": group.group,
                "group_name": group.name,
                "group_name_zh": group.name_zh,
                "customers": int(sizes[at]),
                "feature": name,
                "mean": or_none(ratio(float(sums[at]), float(counts[at]))),
                "overall_mean": or_none(ratio(float(sums.sum()), float(counts.sum()))),
            }
            for at, group in enumerate(settings.groups)
        ]
    return pa.Table.from_pylist(rows, arrow_schema(SEGMENTATION_PROFILES))


def _crossing(one: tuple[SegmentationSettings, Codes], other: tuple[SegmentationSettings, Codes]) -> pa.Table:
    (rows, row_codes), (across, column_codes) = one, other
    shape = len(rows.groups), len(across.groups)
    both = np.bincount(row_codes * shape[1] + column_codes, minlength=shape[0] * shape[1]).reshape(shape)
    total = max(int(both.sum()), 1)
    expected = np.outer(both.sum(axis=1), both.sum(axis=0)) / total
    cells = [
        {
            "segmentation": rows.segmentation,
            "segment_group": row.group,
            "other_segmentation": across.segmentation,
            "other_group": column.group,
            "customers": int(both[at, to]),
            "expected_customers": float(expected[at, to]),
        }
        for at, row in enumerate(rows.groups)
        for to, column in enumerate(across.groups)
    ]
    return pa.Table.from_pylist(cells, arrow_schema(SEGMENTATION_CROSSINGS))


def _stacked(mart: Table, parts: Sequence[pa.Table]) -> pa.Table:
    made = [part for part in parts if part.num_rows]
    return to_contract(mart, pa.concat_tables(made)) if made else empty(mart)
