"""Give units their variant: by the workspace's rules of assignment, or by what the question says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.config.assignment import (
    SCHEMES,
    AssignmentSettings,
    ExperimentAssignment,
    Scheme,
    weights_fault,
)
from engine.config.experiments import Experiments
from engine.config.load import validate
from engine.domain.errors import NotEnoughData, SettingsFault, UnknownName
from engine.intake import event_files
from engine.intake.cells import BLANKS
from engine.intake.event_files import EventFile
from engine.intake.sql import first_row
from engine.lake.engine import DuckDBEngine, identifier, quoted
from engine.workflows import session, unit_lists
from experiments import assignment
from experiments.assignment import Assigned

_ASKED: Final = "wayline experiment assign"
_MOST_LISTED: Final = 50
_OLD_SCHEME: Final = (
    "growthbook_v1 does not draw independently in experiments whose salts differ in the last character only, such as "
    "exp1 and exp2. Keep it for experiments that began with it, and take growthbook_v2 or sha256 for new ones."
)
_YES: Final = ("true", "t", "yes", "y", "1")
_NO: Final = ("false", "f", "no", "n", "0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which units, and what overrides the workspace's rules; None leaves a rule as it is.

    path : a file with a row for each unit; `column` is that of the id, `eligible` one of truth values. units : ids
        themselves, where there is no file.
    weights, coverage : either replaces the ramp by one step.
    at : the instant whose step of the ramp counts; None: the latest.
    out : a CSV or Parquet file, by its ending, that the rows are written to instead of being returned.
    """

    experiment_id: str
    path: Path | None = None
    units: Sequence[str] = ()
    column: str | None = None
    eligible: str | None = None
    weights: Mapping[str, float] | None = None
    salt: str | None = None
    scheme: str | None = None
    coverage: float | None = None
    at: datetime | None = None
    encoding: str | None = None
    out: Path | None = None
    home: Path = Path("workspace")


def assign(question: Question) -> dict[str, Any]:
    """Return the rules that were applied, counts, and one row per unit in the order of the file.

    With `out` the rows are in that file, under "written" its path and how many they are.

    Raises
    ------
    SettingsFault, UnknownName
        The rules, weights or columns cannot be used, or neither units nor a file were named.
    UnreadableSource, NotEnoughData
        The file cannot be read, or names no unit.
    """
    if (question.path is None) == (not question.units):
        raise SettingsFault(_ASKED, ["name a file of unit ids, or units with --unit; one of them"])
    unit_lists.refuse_out(_ASKED, question.out)
    bank = session.settings(session.workspace_at(question.home), AssignmentSettings, "assignment")
    planned = _weights(question)
    rules = _rules(question, bank, planned)
    scheme = assignment.scheme_of(rules, bank)
    _refuse_weights(rules, planned, scheme)
    units, eligible, left_out = _units(question)
    found = assignment.assign(units, rules, planned, bank=bank, at=question.at, eligible=eligible)
    step = assignment.step_at(rules.ramp, question.at)
    return {
        "experiment": question.experiment_id,
        "scheme": scheme,
        "salt": assignment.salt_of(rules),
        "at": question.at,
        "weights": assignment.in_force(rules.ramp, step, planned),
        "coverage": None if step is None else rules.ramp[step].coverage,
        "epochs": assignment.planned_epochs(rules.ramp, planned),
        "counts": found.counts(),
        "reasons": found.reason_counts(),
        "left_out": left_out,
        "notes": [_OLD_SCHEME] if scheme == "growthbook_v1" else [],
    } | _rows(units, found, question.out)


def _rows(units: list[str], found: Assigned, out: Path | None) -> dict[str, Any]:
    rows = pa.table({"unit": units, "arm": found.variants(), "reason": found.reasons(), "bucket": found.bucket})
    return unit_lists.given(rows, out)


# Rules


def _weights(question: Question) -> dict[str, float]:
    """Return the planned split: that of the question, else that of the experiment in the settings."""
    if question.weights is not None:
        return dict(question.weights)
    workspace = session.workspace_at(question.home)
    known = session.settings(workspace, Experiments, "experiments").experiments
    for one in known:
        if one.experiment_id == question.experiment_id:
            return dict(one.weights)
    raise UnknownName("experiment", question.experiment_id, [one.experiment_id for one in known])


def _rules(question: Question, bank: AssignmentSettings, planned: Mapping[str, float]) -> ExperimentAssignment:
    rules = bank.of(question.experiment_id)
    scheme = _scheme(question, rules, bank)
    if question.weights is not None and (wrong := weights_fault(question.weights, scheme)):
        raise SettingsFault(_ASKED, [f"--weights: {wrong}."])
    # weights are checked by the scheme that is in force, which may be the bank's
    values: dict[str, Any] = rules.model_dump() | {"scheme": scheme}
    if question.salt is not None:
        values["salt"] = question.salt
    if question.weights is not None or question.coverage is not None:
        step = assignment.step_at(rules.ramp, question.at)
        held = 0.0 if step is None else rules.ramp[step].coverage
        coverage = held if question.coverage is None else question.coverage
        split = planned if question.weights is not None else assignment.in_force(rules.ramp, step, planned)
        values["ramp"] = [{"coverage": coverage, "weights": split}]
        if not 0 <= coverage <= 1:
            raise SettingsFault(
                _ASKED, [f"--coverage {coverage:g}: expected a share between 0 and 1. For 45 % write 0.45."]
            )
    return validate(ExperimentAssignment, values, _ASKED)


def _scheme(question: Question, rules: ExperimentAssignment, bank: AssignmentSettings) -> Scheme:
    if question.scheme is None:
        return assignment.scheme_of(rules, bank)
    for scheme in SCHEMES:
        if scheme == question.scheme:
            return scheme
    raise UnknownName("scheme", question.scheme, SCHEMES)


def _refuse_weights(rules: ExperimentAssignment, planned: Mapping[str, float], scheme: Scheme) -> None:
    """Raise with every split that cannot be used."""
    faults = []
    if len(planned) < 2:
        faults.append("fewer than two arms have a weight; write --weights A=0.5,B=0.5")
    for epoch in [planned, *(step.weights for step in rules.ramp if step.weights is not None)]:
        if wrong := weights_fault(epoch, scheme):
            faults.append(f"{wrong}.")
        elif epoch.keys() != planned.keys():
            faults.append(f"a step of the ramp splits between {', '.join(epoch)}; the arms are {', '.join(planned)}.")
    if faults:
        raise SettingsFault(f'assignment of "{rules.experiment_id}"', list(dict.fromkeys(faults)))


# Units


def _units(question: Question) -> tuple[list[str], NDArray[np.bool_] | None, int]:
    """Return the ids, who may take part, and how many rows have no id or cannot be read."""
    if question.path is None:
        if question.eligible or question.column:
            raise SettingsFault(_ASKED, ["--column and --eligible name columns of a file; there is none"])
        ids = [unit.strip(BLANKS) for unit in question.units]
        if not all(ids):
            raise SettingsFault(_ASKED, ["--unit is empty; write the id of a unit"])
        return ids, None, 0
    with session.files_aside(question.home) as aside:
        file = event_files.read(
            question.path, aside.engine, aside.folder("file"), aside.rules, encoding=question.encoding
        )
        return _read(question, file, aside.engine)


def _read(question: Question, file: EventFile, engine: DuckDBEngine) -> tuple[list[str], NDArray[np.bool_] | None, int]:
    unit, eligible = unit_lists.id_column(question.column, file), question.eligible
    if eligible is not None and eligible not in file.columns:
        raise UnknownName("eligible column", eligible, list(file.columns)[:_MOST_LISTED])
    allowed = "true" if eligible is None else _allowed(eligible, file, engine)
    found = engine.query(
        f"SELECT {unit_lists.text(unit)} AS unit, {allowed} AS allowed FROM ({file.sql}) "
        f"WHERE {unit_lists.text(unit)} IS NOT NULL ORDER BY {identifier(file.row)}"
    )
    if not found.num_rows:
        raise NotEnoughData("assignment", f'no row of {file.name} has an id in "{unit}"', "a row for each unit")
    may = None if eligible is None else np.array(found.column("allowed").to_numpy(zero_copy_only=False), dtype=bool)
    return found.column("unit").to_pylist(), may, file.rows - found.num_rows


def _allowed(column: str, file: EventFile, engine: DuckDBEngine) -> str:
    """Return SQL of a column of truth values; a cell that says nothing is no."""
    text = f"coalesce(lower({unit_lists.text(column)}), 'no')"
    wrong = f"{text} NOT IN ({', '.join(map(quoted, (*_YES, *_NO)))})"
    count, row = first_row(
        engine,
        f"SELECT count(*) FILTER ({wrong}), min({identifier(file.row)}) FILTER ({wrong}) FROM ({file.sql})",
    )
    if count:
        told = f'"{column}": {count:,} values are neither true nor false, the first in row {row + 1:,}'
        raise SettingsFault(file.name, [f"{told}. Write true or false, yes or no, 1 or 0."])
    return f"{text} IN ({', '.join(map(quoted, _YES))})"
