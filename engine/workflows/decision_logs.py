"""Logs of decisions out of plain files: one row per decision with what was given, what followed and how likely it was.

Bandits and off-policy estimates read the same log; what is wrong with it is told once, here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from engine.domain.errors import NotEnoughData, SettingsFault
from engine.intake import unit_files
from engine.intake.event_files import EventFile
from engine.intake.sql import first_row
from engine.intake.unit_files import UNITS, UnitRoles
from engine.lake.engine import DuckDBEngine, identifier

DECISIONS: Final = "decisions"
"""The name under which the engine knows the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which column plays which role. `texts` and `numbers` are further columns by the name they get in the table."""

    arm: str
    reward: str
    unit: str | None = None
    propensity: str | None = None
    texts: Mapping[str, str] | None = None
    numbers: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Rows of the file, how many of them count, and why the others do not."""

    rows: int
    used: int
    without_arm: int
    without_unit: int
    without_reward: int
    unreadable: int


def attach(file: EventFile, columns: Columns, engine: DuckDBEngine, spool: Path) -> Counts:
    """Make a file readable as the table `DECISIONS`: row_number, unit, arm, reward, propensity, texts and numbers.

    A row counts when it has an arm, a reward and, where one is asked for, a unit. Of those every one needs its
    propensity.

    Raises
    ------
    UnknownName
        A column that was named is not in the file.
    SettingsFault
        A reward or propensity is no number, infinite, missing or no chance; the first row is named.
    NotEnoughData
        No row counts.
    """
    texts, numbers = columns.texts or {}, columns.numbers or {}
    chances = [] if columns.propensity is None else [columns.propensity]
    roles = UnitRoles(
        unit=columns.unit,
        variant=columns.arm,
        numbers=tuple(dict.fromkeys([columns.reward, *chances, *numbers.values()])),
        groups=tuple(dict.fromkeys(texts.values())),
    )
    units = unit_files.attach(file, roles, engine, spool)
    named = {
        "arm": "CAST(arm AS VARCHAR)",
        "unit": "NULL" if columns.unit is None else f"CAST({units.of[columns.unit]} AS VARCHAR)",
        "reward": f"CAST({units.of[columns.reward]} AS DOUBLE)",
        "propensity": "NULL" if columns.propensity is None else f"CAST({units.of[columns.propensity]} AS DOUBLE)",
    }
    named |= {name: f"CAST({units.of[column]} AS VARCHAR)" for name, column in texts.items()}
    named |= {name: f"CAST({units.of[column]} AS DOUBLE)" for name, column in numbers.items()}
    selected = ", ".join(f"{sql} AS {identifier(name)}" for name, sql in named.items())
    without_reward, infinite, first = first_row(
        engine,
        "SELECT count(*) FILTER (reward IS NULL OR isnan(reward)), count(*) FILTER (isinf(reward)), "
        f"min(row_number) FILTER (isinf(reward)) FROM (SELECT row_number, {named['reward']} AS reward FROM {UNITS})",
    )
    if infinite:
        told = f'"{columns.reward}": {infinite:,} rewards are infinite, the first in row {first + 1:,}'
        raise SettingsFault(file.name, [f"{told}. Leave such a cell empty, or write the number that was meant."])
    engine.connection.execute(
        f"CREATE OR REPLACE VIEW {DECISIONS} AS SELECT * FROM (SELECT row_number, {selected} FROM {UNITS}) "
        "WHERE reward IS NOT NULL AND NOT isnan(reward)"
    )
    used = units.rows - units.without_arm - units.without_unit - without_reward
    if not used:
        raise NotEnoughData(
            "decision that can be judged",
            f'no row of {file.name} with an arm has a reward in "{columns.reward}"',
            "rows whose reward is known; 0 where nothing followed",
        )
    if columns.propensity is not None:
        _refuse_no_chances(file.name, columns.propensity, engine)
    return Counts(
        rows=units.rows + units.broken,
        used=used,
        without_arm=units.without_arm,
        without_unit=units.without_unit,
        without_reward=without_reward,
        unreadable=units.broken,
    )


def _refuse_no_chances(name: str, column: str, engine: DuckDBEngine) -> None:
    """Raise with every way in which a propensity is none."""
    kinds = {
        "propensity IS NULL": "are missing",
        "propensity <= 0": "are 0 or less, though the arm was given",
        "propensity > 1": "are above 1",  # NaN is above every number
    }
    parts = ", ".join(f"count(*) FILTER ({kind}), min(row_number) FILTER ({kind})" for kind in kinds)
    found = first_row(engine, f"SELECT {parts} FROM {DECISIONS}")
    faults = [
        f'"{column}": {found[2 * place]:,} propensities {what}, the first in row {found[2 * place + 1] + 1:,}'
        for place, what in enumerate(kinds.values())
        if found[2 * place]
    ]
    if faults:
        expected = (
            "A propensity is the chance with which the row's arm was given: above 0, at most 1. For 45 % write 0.45."
        )
        raise SettingsFault(name, [*faults[:-1], f"{faults[-1]}. {expected}"])
