"""Count the attempts at one of the bank's journeys: the mart `journey_funnels`, per breakdown, group and step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.config.journeys import JourneySettings
from engine.domain.marts import JOURNEY_FUNNELS
from engine.domain.words import JourneyStatus
from engine.lake.schema import arrow_schema
from journeys.histories import Codes, Ints

UNKNOWN: Final = "unknown"
"""The group of customers of whom a breakdown says nothing."""

_NEVER: Final = int(np.iinfo(np.int64).min)
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


def count(found: pa.Table, statuses: pa.ChunkedArray, journey: JourneySettings, groups: pa.Table | None) -> pa.Table:
    """Return the mart `journey_funnels` of one journey: one row per breakdown, group and step.

    customers = continued + dropped + in_progress at every step. At the last step all have completed the journey
    and count as continued; nobody stops at an optional step, but at the required one before. A rate without a
    denominator is null, as is the rate from the step before the first; the step before is one that is not optional.

    Parameters
    ----------
    found : attempts, one row per customer, as `funnel.attempted` returns them. statuses : of the same rows.
    groups : customer_id, once each, and one text column per breakdown; None: the channel alone breaks down.
    """
    reached = [_microseconds(found.column(f"reached_{level}")) for level in range(1, len(journey.steps) + 1)]
    depth = np.asarray(found.column("depth"))
    dropped, in_progress = (
        np.asarray(pc.equal(statuses, status.value), dtype=np.bool_)
        for status in (JourneyStatus.DROPPED, JourneyStatus.IN_PROGRESS)
    )
    tables = [arrow_schema(JOURNEY_FUNNELS).empty_table()]
    for breakdown, names, codes in _breakdowns(found, groups):
        customers = [_per_group(at != _NEVER, codes, len(names)) for at in reached]
        for level, step in enumerate(journey.steps, start=1):
            before = _required_before(journey, level)
            left = _per_group(dropped & (depth == level), codes, len(names))
            still = _per_group(in_progress & (depth == level), codes, len(names))
            previous = None if before is None else customers[before - 1]
            waited = None if before is None else _medians(reached[before - 1], reached[level - 1], codes, len(names))
            tables.append(
                _rows(
                    journey=journey.journey,
                    breakdown=breakdown,
                    group=pa.array(names, pa.string()),
                    step_index=level,
                    step=step.step,
                    stage=step.stage,
                    customers=customers[level - 1],
                    continued=customers[level - 1] - left - still,
                    dropped=left,
                    in_progress=still,
                    rate_from_first=_ratio(customers[level - 1], customers[0]),
                    rate_from_previous=None if previous is None else _ratio(customers[level - 1], previous),
                    median_seconds_from_previous=None if waited is None else _known(waited),
                )
            )
    return pa.concat_tables(tables)


def _rows(*, group: pa.Array, **values: Any) -> pa.Table:
    """Return one row per group; a value that is no array is that of every row."""
    columns = {"group": group} | {
        name: value if isinstance(value, np.ndarray | pa.Array) else pa.repeat(pa.scalar(value), len(group))
        for name, value in values.items()
    }
    schema = arrow_schema(JOURNEY_FUNNELS)
    return pa.table({name: columns[name] for name in schema.names}).cast(schema)


def _breakdowns(found: pa.Table, groups: pa.Table | None) -> Iterator[tuple[str, list[str], Codes]]:
    """Yield every breakdown, its groups, and the group of each row."""
    yield "all", ["all"], np.zeros(len(found), dtype=np.int32)
    yield "channel", *_coded(found.column("channel"))
    if groups is not None:
        place = pc.index_in(found.column("customer_id"), value_set=groups.column("customer_id"))
        for name in groups.column_names:
            if name not in ("customer_id", "channel"):
                yield name, *_coded(groups.column(name).cast(pa.string()).take(place))


def _coded(column: pa.ChunkedArray) -> tuple[list[str], Codes]:
    encoded = pc.fill_null(column, UNKNOWN).combine_chunks().dictionary_encode()
    return encoded.dictionary.to_pylist(), np.asarray(encoded.indices, dtype=np.int32)


def _microseconds(column: pa.ChunkedArray) -> Ints:
    numbers = pc.fill_null(column.cast(pa.timestamp("us")).cast(pa.int64()), _NEVER)
    return np.asarray(numbers, dtype=np.int64)


def _required_before(journey: JourneySettings, level: int) -> int | None:
    """Return the number of the last step before that is not optional, None before the first."""
    return max((place for place in range(1, level) if not journey.steps[place - 1].optional), default=None)


def _per_group(marks: Bools, codes: Codes, n_groups: int) -> Ints:
    return np.bincount(codes[marks], minlength=n_groups)


def _medians(since: Ints, until: Ints, codes: Codes, n_groups: int) -> Floats:
    """Return the median seconds from one step to another in each group; nan where nobody reached both."""
    both = np.flatnonzero((since != _NEVER) & (until != _NEVER))
    waited, group = until[both] - since[both], codes[both]
    waited = waited[np.lexsort((waited, group))]
    counts = np.bincount(group, minlength=n_groups)
    known = counts > 0
    begins = (np.cumsum(counts) - counts)[known]
    lower, upper = (waited[begins + (counts[known] - odd) // 2] for odd in (1, 0))
    medians = np.full(n_groups, np.nan)
    medians[known] = (lower + (upper - lower) / 2) / 1e6
    return medians


def _ratio(part: Ints, whole: Ints) -> pa.Array:
    return _known(np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0))


def _known(values: Floats) -> pa.Array:
    """Return numbers with null where there is none."""
    return pa.array(values, pa.float64(), mask=np.isnan(values))
