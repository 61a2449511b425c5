"""Paths of touches up to a conversion, gathered by customers of equal paths so that blocks of customers add up.

A touch is an event, other than a conversion, with a value in the column that attribution asks about. A conversion
takes the touches of its customer since the conversion before it and within the look-back, its edge included; touches
of its own instant come before it whatever their order. Conversions of one instant share one path. Touches that no
conversion follows within the look-back make paths that were lost, cut where two of them lie further apart than it.
A lost path whose look-back still runs at as_of is open: it may yet convert, so it says nothing and is left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.domain.errors import SettingsFault
from journeys.histories import Coded, Codes, Histories, Ints

Floats = NDArray[np.float64]

EVENTS: Final = "events"
"""As the touch: the names of the events themselves."""

_MICROSECONDS: Final = 1_000_000
_FOREVER: Final = 2**62

SCHEMA: Final = pa.schema(
    [
        ("signature", pa.large_binary()),
        ("customers", pa.int64()),
        ("without_touch", pa.int64()),
        ("open_paths", pa.int64()),
        ("values", pa.list_(pa.int64())),
        ("decay", pa.list_(pa.float64())),
        ("decay_squares", pa.list_(pa.float64())),
        ("decay_value", pa.list_(pa.float64())),
    ]
)
"""A tally as rows: one row per set of paths that customers have; rows of equal signature add up.

signature : the touches of every path as little-endian 32-bit places in the list of touches, each path followed by
    -1 less its number of conversions.
values : value of every path. decay, decay_squares, decay_value : of every touch that occurs, in order of its place,
    credit by time decay, its squares, and credit times value, summed over the customers.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What to attribute to what.

    conversion : names of the events that count as a conversion.
    touch : the attribute whose values are the touches, or `EVENTS`.
    touches : the values that count, as the results list them. A value that is not among them is no touch.
    touch_events : names of the events that can be a touch; None for every event.
    lookback_seconds : may be infinite; then a customer's touches all count and no path is open.
    half_life_seconds : the age, before the last touch of its path, at which time decay gives a touch half the weight.
    value : the attribute with the worth of a conversion in minor units, whole numbers; None counts conversions only.
    """

    conversion: tuple[str, ...]
    touch: str
    touches: tuple[str, ...]
    touch_events: tuple[str, ...] | None = None
    lookback_seconds: float = math.inf
    half_life_seconds: float = 7 * 86_400.0
    value: str | None = None

    def __post_init__(self) -> None:
        faults = []
        if not self.conversion:
            faults.append("conversion: no event is named. Name the event that counts as a conversion.")
        if not self.lookback_seconds > 0:
            faults.append(f"look-back of {self.lookback_seconds:g} seconds: expected more than 0, such as 30d.")
        if not 0 < self.half_life_seconds < math.inf:
            faults.append(f"half-life of {self.half_life_seconds:g} seconds: expected more than 0, such as 7d.")
        if faults:
            raise SettingsFault("attribution", faults)

    @property
    def lookback(self) -> int:
        """The look-back in microseconds."""
        return min(round(min(self.lookback_seconds, 1e12) * _MICROSECONDS), _FOREVER)

    def attributes(self) -> tuple[str, ...]:
        """Return the attributes that the histories must carry."""
        named = () if self.touch == EVENTS else (self.touch,)
        return named if self.value is None else (*named, self.value)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tally:
    """Sets of paths with how many customers have each; columns as `SCHEMA` says, lists laid end to end."""

    touches: tuple[str, ...]
    signature: pa.LargeBinaryArray
    customers: Ints
    without_touch: Ints
    open_paths: Ints
    values: Ints
    decay: Floats
    decay_squares: Floats
    decay_value: Floats

    def __len__(self) -> int:
        """Return the number of different sets of paths."""
        return len(self.signature)


def touches_seen(histories: Histories, touch: str, conversion: Sequence[str]) -> tuple[str, ...]:
    """Return the values that a column of touches takes at events that are no conversion, sorted."""
    column = _column(histories, touch)
    seen = np.unique(column.codes[~_named(histories.event, conversion)])
    return tuple(column.values[code] for code in seen if code >= 0)


def tally(histories: Histories, question: Question, as_of: int | None = None) -> Tally:
    """Gather the paths of whole customers.

    Parameters
    ----------
    as_of : microseconds since 1970; paths that may yet convert then are left out. None: no path is open.
    """
    converts = _named(histories.event, question.conversion)
    code = _touch_codes(histories, question)
    touching = np.flatnonzero((code >= 0) & ~converts)
    conversions = _Conversions.of(histories, converts, question)
    found = _Paths.of(histories, touching, conversions, question.lookback)
    if as_of is not None and math.isfinite(question.lookback_seconds):
        still_open = found.lost & (histories.at[found.last] + question.lookback >= as_of)
    else:
        still_open = np.zeros(len(found.owner), dtype=np.bool_)
    customers = len(histories)
    taken = np.zeros(len(conversions.owner), dtype=np.bool_)
    taken[found.conversion[~found.lost]] = True
    closed = found.closed(still_open, conversions)
    decay, decay_value = _decay(closed, code, histories.at, question)
    return _gathered(
        Tally(
            touches=question.touches,
            signature=_signatures(closed, code, customers),
            customers=np.ones(customers, dtype=np.int64),
            without_touch=_sums(conversions.owner[~taken], conversions.count[~taken], customers),
            open_paths=np.bincount(found.owner[still_open], minlength=customers),
            values=closed.value,
            decay=decay,
            decay_squares=decay**2,
            decay_value=decay_value,
        )
    )


def merge(tallies: Sequence[Tally]) -> Tally:
    """Add up tallies of different customers that were asked the same question; there must be at least one."""
    names = [name for name in SCHEMA.names if name != "signature"]
    columns = {name: np.concatenate([getattr(one, name) for one in tallies]) for name in names}
    signature = pa.concat_arrays([one.signature for one in tallies])
    return _gathered(Tally(touches=tallies[0].touches, signature=signature, **columns))


def as_table(tallied: Tally) -> pa.Table:
    """Return a tally as rows of `SCHEMA`, which an engine can hand from block to block."""
    paths, distinct = _lengths(tallied)
    lists = {"values": paths, "decay": distinct, "decay_squares": distinct, "decay_value": distinct}
    columns = []
    for name in SCHEMA.names:
        column = getattr(tallied, name)
        if name in lists:
            offsets = np.concatenate([[0], np.cumsum(lists[name])]).astype(np.int32)
            column = pa.ListArray.from_arrays(pa.array(offsets), pa.array(column))
        columns.append(column if isinstance(column, pa.Array) else pa.array(column))
    return pa.Table.from_arrays(columns, schema=SCHEMA)


def from_table(rows: pa.Table, touches: tuple[str, ...]) -> Tally:
    """Return the rows of one or more tallies as one tally."""
    columns = {}
    for name in SCHEMA.names:
        # an engine may hand the bytes back as those of a smaller type
        column = rows.column(name).cast(SCHEMA.field(name).type).combine_chunks()
        column = column.flatten() if pa.types.is_list(column.type) else column
        columns[name] = column if name == "signature" else np.asarray(column)
    return _gathered(Tally(touches=touches, **columns))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Conversions:
    """One row per instant with a conversion: its place among all instants, its customer, count, value and time."""

    instant: Ints
    owner: Codes
    count: Ints
    value: Ints
    at: Ints
    instants: Ints
    """The place among all instants of every event."""

    @classmethod
    def of(cls, histories: Histories, converts: NDArray[np.bool_], question: Question) -> _Conversions:
        owners = histories.owners()
        new = (owners[1:] != owners[:-1]) | (histories.at[1:] != histories.at[:-1])
        instants = np.cumsum(np.concatenate([[False], new])[: histories.n_events])
        rows = np.flatnonzero(converts)
        instant, first, group, count = np.unique(
            instants[rows], return_index=True, return_inverse=True, return_counts=True
        )
        value = _sums(group, _whole_numbers(histories, question.value, rows), len(instant))
        owner = owners[rows[first]]
        return cls(
            instant=instant, owner=owner, count=count, value=value, at=histories.at[rows[first]], instants=instants
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Paths:
    """Paths in order of customer and time. `touch` are rows of the histories, `path` the path of each."""

    touch: Ints
    path: Ints
    owner: Codes
    last: Ints
    lost: NDArray[np.bool_]
    conversion: Ints
    count: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    value: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    @classmethod
    def of(cls, histories: Histories, touch: Ints, conversions: _Conversions, lookback: int) -> _Paths:
        owner, at = histories.owners()[touch], histories.at[touch]
        following = np.searchsorted(conversions.instant, conversions.instants[touch])
        known = np.append(conversions.owner, np.int32(-1))[following] == owner
        until = np.append(conversions.at, 0)[following]
        lost = ~(known & (until - at <= lookback))
        new = np.ones(len(touch), dtype=np.bool_)
        apart = (at[1:] - at[:-1] > lookback) & lost[1:]
        new[1:] = (owner[1:] != owner[:-1]) | (following[1:] != following[:-1]) | (lost[1:] != lost[:-1]) | apart
        begins = np.flatnonzero(new)
        ends = np.append(begins[1:], len(touch)) - 1 if len(touch) else begins
        return cls(
            touch=touch,
            path=np.cumsum(new) - 1,
            owner=owner[begins],
            last=touch[ends],
            lost=lost[begins],
            conversion=following[begins],
        )

    def closed(self, still_open: NDArray[np.bool_], conversions: _Conversions) -> _Paths:
        """Return the paths that are over, with the number and value of their conversions."""
        kept = ~still_open
        touches = kept[self.path]
        lost, conversion = self.lost[kept], np.where(self.lost, -1, self.conversion)[kept]
        return _Paths(
            touch=self.touch[touches],
            path=(np.cumsum(kept) - 1)[self.path[touches]],
            owner=self.owner[kept],
            last=self.last[kept],
            lost=lost,
            conversion=conversion,
            count=np.where(lost, 0, np.append(conversions.count, 0)[conversion]),
            value=np.where(lost, 0, np.append(conversions.value, 0)[conversion]),
        )


def _column(histories: Histories, touch: str) -> Coded:
    return histories.event if touch == EVENTS else histories.attributes[touch]


def _named(column: Coded, names: Sequence[str]) -> NDArray[np.bool_]:
    wanted = np.array([*(value in set(names) for value in column.values), False])
    return np.asarray(wanted[column.codes], dtype=np.bool_)


def _touch_codes(histories: Histories, question: Question) -> Codes:
    """Return the place of each event's touch in the list of touches, -1 where it is none."""
    column = _column(histories, question.touch)
    places = {touch: place for place, touch in enumerate(question.touches)}
    lookup = np.array([*(places.get(value, -1) for value in column.values), -1], dtype=np.int32)
    code = lookup[column.codes]
    if question.touch_events is not None:
        code = np.where(_named(histories.event, question.touch_events), code, np.int32(-1))
    return code


def _whole_numbers(histories: Histories, value: str | None, rows: Ints) -> Ints:
    if value is None:
        return np.zeros(len(rows), dtype=np.int64)
    column = histories.attributes[value]
    codes = column.codes[rows]
    numbers = np.zeros(len(column.values) + 1, dtype=np.int64)
    for code in np.unique(codes[codes >= 0]):
        numbers[code] = _whole_number(column.values[code], value)
    return numbers[codes]


def _whole_number(text: str, column: str) -> int:
    try:
        number = float(text)
        if not number.is_integer() or abs(number) > 2**53:
            raise ValueError
    except ValueError:
        raise SettingsFault(
            "attribution",
            [f'value: the column "{column}" holds something else than whole numbers. Expected minor units, such as '
             "1250 for 12.50; convert it first."],
        ) from None  # fmt: skip
    return int(number)


def _sums(group: NDArray[np.integer], numbers: Ints, size: int) -> Ints:
    """Add whole numbers up by group, exactly."""
    total = np.zeros(size, dtype=np.int64)
    np.add.at(total, group, numbers)
    return total


def _totals(group: Ints, amounts: Floats, size: int) -> Floats:
    """Add amounts up by group."""
    return np.asarray(np.bincount(group, weights=amounts, minlength=size), dtype=np.float64)


def _signatures(paths: _Paths, code: Codes, customers: int) -> pa.LargeBinaryArray:
    """Write every customer's paths as bytes."""
    lengths = np.bincount(paths.path, minlength=len(paths.owner))
    per_customer = _sums(paths.owner, lengths + 1, customers)
    return _binary(code[paths.touch], paths.path, paths.count, per_customer)


def _binary(code: Codes, path: Ints, conversions: Ints, lengths: Ints) -> pa.LargeBinaryArray:
    """Lay paths end to end, each closed by its conversions, and cut them into signatures of so many numbers."""
    flat = np.empty(len(code) + len(conversions), dtype=np.int32)
    flat[np.arange(len(code)) + path] = code
    flat[np.cumsum(np.bincount(path, minlength=len(conversions)) + 1) - 1] = -1 - conversions
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64) * flat.itemsize
    return pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(lengths), [None, pa.py_buffer(offsets), pa.py_buffer(flat)]
    )


def _decay(paths: _Paths, code: Codes, at: Ints, question: Question) -> tuple[Floats, Floats]:
    """Return the credit by time decay of every customer and touch that occurs, in order of both, and the value."""
    # the age is taken from the last touch, not from the conversion: the shares are the same and none is lost to
    # underflow
    age = (at[paths.last][paths.path] - at[paths.touch]) / _MICROSECONDS
    weight = np.exp2(-age / question.half_life_seconds)
    part = weight / np.bincount(paths.path, weights=weight, minlength=len(paths.owner))[paths.path]
    pair = paths.owner[paths.path].astype(np.int64) * max(len(question.touches), 1) + code[paths.touch]
    pairs, place = np.unique(pair, return_inverse=True)
    credit = _totals(place, part * paths.count[paths.path], len(pairs))
    value = _totals(place, part * paths.value[paths.path], len(pairs))
    return credit, value


@dataclass(frozen=True, eq=False)
class Signatures:
    """Signatures read back: every path of every set, and every touch of every path.

    code : places of touches, shape (n_touches,). path : the path of each. profile : the set of each path.
    conversions : per path, 0 where it was lost. n_profiles : how many sets there are.
    """

    code: Codes
    path: Ints
    profile: Ints
    conversions: Ints
    n_profiles: int

    @cached_property
    def distinct(self) -> tuple[Ints, Codes]:
        """The set and the touch of every touch that occurs in a set, in order of both."""
        width = int(self.code.max(initial=0)) + 1
        pairs = np.unique(self.profile[self.path] * width + self.code)
        return pairs // width, (pairs % width).astype(np.int32)

    def kinds(self) -> tuple[Ints, pa.LargeBinaryArray]:
        """Return which kind each path is, and the kinds: the signature of every different path, once."""
        lengths = np.bincount(self.path, minlength=len(self.profile))
        encoded = _binary(self.code, self.path, self.conversions, lengths + 1).dictionary_encode()
        return np.asarray(encoded.indices, dtype=np.int64), encoded.dictionary


def read(signature: pa.LargeBinaryArray) -> Signatures:
    """Read signatures back into paths."""
    flat, lengths = _flat(signature)
    profile = np.repeat(np.arange(len(signature)), lengths)
    ends = flat < 0
    path: Ints = np.cumsum(ends) - ends
    return Signatures(
        code=flat[~ends],
        path=path[~ends],
        profile=profile[ends],
        conversions=(-1 - flat[ends]).astype(np.int64),
        n_profiles=len(signature),
    )


def _flat(signature: pa.LargeBinaryArray) -> tuple[Codes, Ints]:
    """Return the numbers of all signatures, end to end, and how many each has."""
    if not len(signature):
        return np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int64)
    _, offsets, data = signature.buffers()
    bounds = np.frombuffer(offsets, dtype=np.int64)[signature.offset : signature.offset + len(signature) + 1]
    content = np.frombuffer(data or b"", dtype=np.uint8)[bounds[0] : bounds[-1]]
    return content.view(np.int32), np.diff(bounds) // 4


def _lengths(tallied: Tally) -> tuple[Ints, Ints]:
    """Return how many paths, and how many different touches, each set has."""
    paths = read(tallied.signature)
    return (
        np.bincount(paths.profile, minlength=len(tallied)),
        np.bincount(paths.distinct[0], minlength=len(tallied)),
    )


def _gathered(rows: Tally) -> Tally:
    """Add up rows of equal signature; the result is in order of the signatures, whatever the order of the rows."""
    encoded = rows.signature.dictionary_encode()
    rank = np.argsort(np.asarray(pc.array_sort_indices(encoded.dictionary)))
    group = rank[np.asarray(encoded.indices)]
    signature = encoded.dictionary.take(pa.array(np.argsort(rank)))
    n_paths, n_distinct = _lengths(rows)
    to_path, to_distinct = _targets(group, n_paths, len(signature)), _targets(group, n_distinct, len(signature))
    n_credits = int(to_distinct.max(initial=-1)) + 1
    return Tally(
        touches=rows.touches,
        signature=signature,
        customers=_sums(group, rows.customers, len(signature)),
        without_touch=_sums(group, rows.without_touch, len(signature)),
        open_paths=_sums(group, rows.open_paths, len(signature)),
        values=_sums(to_path, rows.values, int(to_path.max(initial=-1)) + 1),
        decay=_totals(to_distinct, rows.decay, n_credits),
        decay_squares=_totals(to_distinct, rows.decay_squares, n_credits),
        decay_value=_totals(to_distinct, rows.decay_value, n_credits),
    )


def _targets(group: Ints, lengths: Ints, n_groups: int) -> Ints:
    """Return where each item of rows' lists goes when the lists of a group are added up; a group's are equally long."""
    of_group = np.zeros(n_groups, dtype=np.int64)
    of_group[group] = lengths
    starts = np.concatenate([[0], np.cumsum(of_group)])[:-1]
    own = np.repeat(np.concatenate([[0], np.cumsum(lengths)])[:-1], lengths)
    targets: Ints = np.repeat(starts[group], lengths) + np.arange(int(lengths.sum())) - own
    return targets
