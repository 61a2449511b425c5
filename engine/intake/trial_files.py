"""A file with one row for each customer of a test: who was treated, what came of it, and what was known before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.config.intake import IntakeSettings
from engine.domain.errors import NotEnoughData, SettingsFault, UnknownName
from engine.intake import applicant_files, profiles
from engine.lake.engine import DuckDBEngine

_MOST_LISTED: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRoles:
    """Which columns play which role; `control` and `treated` are values of the treatment, None for yes and no."""

    treatment: str
    outcome: str
    profile: tuple[str, ...]
    control: str | None = None
    treated: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRows:
    """The customers in the order of the file, without those of other arms and those without an outcome.

    `profile` has a column of floats or text for each that can be learned from. `control` and `treated_arms` name the
    arms as the file does; `notes` say what was left out.
    """

    treated: NDArray[np.bool_]
    outcome: NDArray[np.float64]
    profile: pa.Table
    control: str
    treated_arms: tuple[str, ...]
    notes: tuple[str, ...]


def read(
    path: Path,
    engine: DuckDBEngine,
    spool: Path,
    rules: IntakeSettings,
    roles: TrialRoles,
    *,
    encoding: str | None = None,
) -> TrialRows:
    """Return the rows of a test.

    Raises
    ------
    UnreadableSource
        No such file, empty, cut or of another format.
    UnknownName
        A column or an arm that was named is not in the file.
    SettingsFault
        The arms cannot be told apart without being named, or the outcome holds words.
    NotEnoughData
        No row with a treatment and an outcome.
    """
    file = applicant_files.read(path, engine, spool, rules, encoding=encoding)
    named = [("treatment", roles.treatment), ("outcome", roles.outcome), *(("profile", name) for name in roles.profile)]
    for what, name in named:
        if name not in file.columns:
            raise UnknownName(f"{what} column", name, list(file.columns))
    kinds, notes = profiles.learnable(file, roles.profile, engine)
    notes += file.notes
    rows = applicant_files.table(file, dict(kinds), engine, (roles.treatment, roles.outcome))
    rows = _complete(rows, roles, notes)
    arms = sorted(str(value) for value in pc.unique(rows[roles.treatment]).to_pylist())
    control, treated = _arms(arms, roles)
    if len(control) + len(treated) < len(arms):
        kept = pc.is_in(rows[roles.treatment], value_set=pa.array([*control, *treated], pa.string()))
        notes.append(f"{rows.num_rows - pc.sum(kept).as_py():,} rows of other arms were left out.")
        rows = rows.filter(kept)
    if len(treated) > 1:
        notes.append(f"Treated are those of {len(treated)} arms: {', '.join(treated[:_MOST_LISTED])}.")
    return TrialRows(
        treated=np.asarray(pc.is_in(rows[roles.treatment], value_set=pa.array(treated, pa.string())), dtype=bool),
        outcome=_outcome(rows, roles.outcome, file.name),
        profile=profiles.columns(rows, kinds),
        control=", ".join(control),
        treated_arms=tuple(treated),
        notes=tuple(notes),
    )


def _complete(rows: pa.Table, roles: TrialRoles, notes: list[str]) -> pa.Table:
    """Leave out rows whose treatment or outcome is not known: unknown is neither untreated nor nothing."""
    total = rows.num_rows
    for what, name in (("treatment", roles.treatment), ("outcome", roles.outcome)):
        known = rows.filter(pc.is_valid(rows[name]))
        if known.num_rows < rows.num_rows:
            notes.append(f"{rows.num_rows - known.num_rows:,} rows without the {what} were left out.")
        rows = known
    if rows.num_rows == 0:
        raise NotEnoughData(
            "uplift", f"none of {total:,} rows has a treatment and an outcome", "a row for each customer"
        )
    return rows


def _arms(arms: list[str], roles: TrialRoles) -> tuple[list[str], list[str]]:
    """Return the values of the control and those of the treated."""
    for arm in (roles.control, roles.treated):
        if arm is not None and arm not in arms:
            raise UnknownName(f'value of "{roles.treatment}"', arm, arms[:_MOST_LISTED])
    if roles.control is not None:
        treated = [roles.treated] if roles.treated is not None else [arm for arm in arms if arm != roles.control]
        return [roles.control], treated
    if roles.treated is not None:
        return [arm for arm in arms if arm != roles.treated], [roles.treated]
    words = {arm: profiles.number_of(arm) for arm in arms}
    if any(value not in {0.0, 1.0} for value in words.values()):
        # a column of many values is no treatment, and its values may be people's
        listed = ", ".join(arms) if len(arms) <= _MOST_LISTED else f"{len(arms):,} different values"
        raise SettingsFault(
            "wayline recommend uplift",
            [
                f'"{roles.treatment}" holds {listed}: expected 1 and 0 or yes and no. Say which value is the control '
                "with --control"
            ],
        )
    return [arm for arm in arms if words[arm] == 0.0], [arm for arm in arms if words[arm] == 1.0]


def _outcome(rows: pa.Table, name: str, source: str) -> NDArray[np.float64]:
    codes = pc.dictionary_encode(rows[name].combine_chunks())
    values = [profiles.number_of(str(value)) for value in codes.dictionary.to_pylist()]
    known = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    found: NDArray[np.float64] = known[np.asarray(codes.indices, dtype=np.int64)]
    wrong = ~np.isfinite(found)
    if wrong.any():
        first = rows[applicant_files.ROW][int(wrong.argmax())].as_py()
        raise SettingsFault(
            source,
            [
                f'"{name}": {int(wrong.sum()):,} of {len(wrong):,} values are neither finite numbers nor yes or no, '
                f"the first in row {first:,}; an outcome is 1 or 0, yes or no, or an amount"
            ],
        )
    return found
