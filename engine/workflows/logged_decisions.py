"""A log of decisions as arrays: propensities of every action, the new policy, features for a model, and batches."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.intake.sql import first_row
from engine.lake.engine import DuckDBEngine, identifier
from engine.workflows.decision_logs import DECISIONS
from experiments.adaptive_means import Batches
from experiments.off_policy import Log

Floats = NDArray[np.float64]

_SURE: Final = 1 - 1e-9
_SAME: Final = 1e-9
_MOST_LEVELS: Final = 30
_MOST_BATCHES: Final = 10_000
_ROUNDED: Final = 0.01
"""How far written propensities of a batch may add up to something else than 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoBatches:
    """Why there are none."""

    reason: str


def log_of(rows: pa.Table, actions: Sequence[str], logged: Sequence[str]) -> Log:
    """Return the log: of an action's propensity what is left over is spread over the other actions that were logged.

    The weights of a policy rest on the logged action's propensity alone. The others tell only where it was 1: there
    nothing else was possible.
    """
    arm = places(rows.column("arm"), actions)
    propensity = rows.column("propensity").to_numpy()
    made = spread(arm, propensity, len(actions), [actions.index(name) for name in logged])
    unit = rows.column("unit")
    codes = None if unit.null_count else pc.rank(unit, tiebreaker="dense").to_numpy().astype(np.int64) - 1
    return Log(
        arms=tuple(actions), arm=arm, reward=rows.column("reward").to_numpy(), propensities=made, unit=repeated(codes)
    )


def repeated(unit: NDArray[np.int64] | None) -> NDArray[np.int64] | None:
    """Return units only where one has several decisions."""
    return unit if unit is not None and len(unit) and int(unit.max()) + 1 < len(unit) else None


def places(column: pa.ChunkedArray, actions: Sequence[str]) -> NDArray[np.int64]:
    """Return the place of every row's action in the list of actions."""
    return np.asarray(pc.index_in(column, value_set=pa.array(actions, pa.string())).to_numpy(), dtype=np.int64)


def spread(arm: NDArray[np.int64], chance: Floats, actions: int, open_to: Sequence[int]) -> Floats:
    """Return chances of every action: that of one as given, the rest evenly over the others of `open_to`."""
    sure = chance > _SURE
    made = np.zeros((len(arm), actions))
    made[:, open_to] = (np.where(sure, 0.0, 1 - chance) / max(len(open_to) - 1, 1))[:, None]
    made[np.arange(len(arm)), arm] = np.where(sure, 1.0, chance)
    return made


# Features of a model


def features(rows: pa.Table, columns: Sequence[str]) -> tuple[Floats, list[str]]:
    """Return numbers for a model, shape (n, p), and a note for each column that says how it was read.

    A column of which every value is a number counts as one number, and where it is empty as the mean, with a mark of
    its own. Any other column counts by its most frequent values, each a mark.
    """
    made, notes = [np.zeros((rows.num_rows, 0))], []
    for place, column in enumerate(columns):
        text = rows.column(f"model{place}").combine_chunks()
        numbers = _numbers(text)
        if numbers is not None:
            known = np.isfinite(numbers)
            filled = np.where(known, numbers, numbers[known].mean() if known.any() else 0.0)
            made.append(np.column_stack([filled, ~known]).astype(np.float64))
            continue
        codes = text.dictionary_encode()
        index = codes.indices.fill_null(len(codes.dictionary)).to_numpy().astype(np.int64)
        most = np.argsort(-np.bincount(index, minlength=len(codes.dictionary) + 1), kind="stable")[:_MOST_LEVELS]
        made.append((index[:, None] == most).astype(np.float64))
        if len(codes.dictionary) > _MOST_LEVELS:
            told = f'of "{column}" the model knows the {_MOST_LEVELS} most frequent of {len(codes.dictionary):,} values'
            notes.append(f"{told[0].upper()}{told[1:]}; the others count as one.")
    return np.hstack(made), notes


def _numbers(text: pa.Array) -> Floats | None:
    try:
        read = pc.cast(text, pa.float64())
    except pa.ArrowInvalid:
        return None
    return np.asarray(read.to_numpy(zero_copy_only=False), dtype=np.float64)


# Batches of an adaptive experiment


def batches(engine: DuckDBEngine, actions: Sequence[str], column: str | None) -> Batches | NoBatches:
    """Return the log by batch and action, in the order of the batches; without a column it has to be one batch.

    Batches are in the order of their names, numbers in them by their size: week 9 comes before week 10.
    """
    batch = "'all'" if column is None else "batch"
    shift = float(first_row(engine, f"SELECT avg(reward) FROM {DECISIONS}")[0])
    found = engine.query(
        f"SELECT {batch} AS batch, arm, count(*) AS n, sum(reward - {shift!r}) AS total, "
        f"sum((reward - {shift!r}) ** 2) AS squares, min(propensity) AS least, max(propensity) AS most "
        f"FROM {DECISIONS} GROUP BY ALL"
    )
    if found.column("batch").null_count:
        return NoBatches(reason=f'rows without a value in "{column}" belong to no batch')
    names = sorted(set(found.column("batch").to_pylist()), key=natural)
    if len(names) > _MOST_BATCHES:
        return NoBatches(reason=f'"{column}" has {len(names):,} values, more than {_MOST_BATCHES:,} batches')
    if fault := _moved(found, column):
        return NoBatches(reason=fault)
    cell = places(found.column("batch"), names), places(found.column("arm"), actions)
    n, total, squares, share = (
        _laid_out(found.column(name), cell, len(names), len(actions)) for name in ("n", "total", "squares", "most")
    )
    if fault := _shares_fault(n, share, names, actions):
        return NoBatches(reason=fault)
    seen = n > 0
    left = 1 - share.sum(axis=1, keepdims=True)
    share = np.where(seen, share, left / np.maximum((~seen).sum(axis=1, keepdims=True), 1))
    share /= share.sum(axis=1, keepdims=True)
    return Batches(arms=tuple(actions), propensity=share, n=n, total=total, squares=squares, shift=shift)


def natural(name: str) -> list[tuple[int, float, str]]:
    """Return a key that sorts text with the numbers in it by their size; numbers come before words."""
    try:
        return [(0, float(name), "")]
    except ValueError:
        parts = re.findall(r"\d+|\D+", name)
        return [(0, float(part), "") if part.isdigit() else (1, 0.0, part) for part in parts]


def _moved(found: pa.Table, column: str | None) -> str | None:
    spreads = pc.subtract(found.column("most"), found.column("least")).to_numpy()
    if not (spreads > _SAME).any():
        return None
    if column is None:
        return "propensities of an action change on the way; name the column of the batches with --batch"
    return "within a batch an action has several propensities; shares that differ by customer are no batches"


def _laid_out(column: pa.ChunkedArray, cell: tuple[Any, Any], batches: int, actions: int) -> Floats:
    made = np.zeros((batches, actions))
    made[cell] = column.to_numpy()
    return made


def _shares_fault(n: Floats, share: Floats, names: Sequence[str], actions: Sequence[str]) -> str | None:
    seen, sums = n > 0, share.sum(axis=1)
    whole = seen.all(axis=1)
    wrong = np.where(whole, np.abs(sums - 1) > _ROUNDED, sums > 1 + _ROUNDED)
    if wrong.any():
        place = int(wrong.argmax())
        return f'propensities in batch "{names[place]}" add up to {sums[place]:.4g}, not to 1'
    closed = ~whole & (sums > 1 - _SAME)
    if closed.any():
        place = int(closed.argmax())
        action = actions[int((~seen[place]).argmax())]
        return f'in batch "{names[place]}" "{action}" had no chance at all, so not every batch can speak for it'
    return None


def text_columns(engine: DuckDBEngine, names: Sequence[str]) -> pa.Table:
    """Return named columns of the log in the order of its rows."""
    listed = ", ".join(identifier(name) for name in names)
    return engine.query(f"SELECT {listed} FROM {DECISIONS} ORDER BY row_number")


def actions_of(engine: DuckDBEngine, column: str, most: int) -> list[str]:
    """Return the different values of a column of the log in order, one more than `most` where there are more."""
    found = engine.query(
        f"SELECT DISTINCT {identifier(column)} AS action FROM {DECISIONS} WHERE {identifier(column)} IS NOT NULL "
        f"ORDER BY action LIMIT {most + 1}"
    )
    return [str(action) for action in found.column("action").to_pylist()]
