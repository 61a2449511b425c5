"""How intake reads a bank's sources: limits, judgement, repairs, identity. See defaults/intake.toml."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from engine.config.load import Settings

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]

RepairId = Literal[
    "trim_space",
    "fold_choice",
    "mend_mojibake",
    "empty_unreadable",
    "empty_unknown_choice",
    "empty_orphan",
    "round_money",
    "assume_time_zone",
    "fill_customer",
    "note_unresolved_customer",
    "note_late_row",
]


class Limits(Settings):
    """What a file may be before it is refused unread; in bytes but for the ratio, rows and characters."""

    line_bytes: Count
    expanded_bytes: Count
    expansion_ratio: Count
    expansion_free_bytes: Annotated[int, Field(ge=0)]
    database_rows_per_fetch: Count
    text_characters: Annotated[int, Field(ge=20, le=1_000_000)]


class Judgement(Settings):
    """When bad rows are so many that the source itself is wrong, and what counts as late, early or too old."""

    broken_share: Share
    broken_min_rows: Count
    late_hours: Annotated[float, Field(gt=0)]
    earliest: datetime
    oldest_age_years: Count
    null_words: tuple[str, ...]
    past_columns: tuple[str, ...]


class Repair(Settings):
    """One repair: what it does to a value, and whether it is done; `effect` says what becomes of the row."""

    enabled: bool
    effect: Literal["changed", "emptied", "filled", "noted"]
    meaning_en: str
    meaning_zh: str


class Stitching(Settings):
    """Which shared identifiers make two customer rows one person."""

    most_customers: Annotated[int, Field(ge=2)]
    alone: tuple[str, ...]
    with_birth_date: tuple[str, ...]


class Picking(Settings):
    """Where the app may take files from: folders of this machine, any when none is named; how large an upload is."""

    folders: tuple[Path, ...]
    upload_megabytes: Annotated[int, Field(ge=1, le=1024)]


class IntakeSettings(Settings):
    """All settings of intake."""

    picking: Picking
    limits: Limits
    judgement: Judgement
    repairs: dict[RepairId, Repair]
    stitching: Stitching
