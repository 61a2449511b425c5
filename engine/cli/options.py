"""The options that commands share, each worded once."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

Home = Annotated[
    Path, typer.Option("--home", envvar="WAYLINE_HOME", help="The workspace: data, runs, exports and settings.")
]
Json = Annotated[bool, typer.Option("--json", help="Write the result as JSON to standard output.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No messages and no progress; errors are still told.")]
Seed = Annotated[
    int | None, typer.Option("--seed", min=0, help="Every random draw descends from it; by default the bank's own.")
]
RunId = Annotated[str | None, typer.Option("--run", help="A run's id; by default the current run.")]
Encoding = Annotated[
    str | None,
    typer.Option("--encoding", help="Encoding of CSV files, such as gb18030; by default as their bytes tell."),
]

HOME = Path("workspace")


class Language(StrEnum):
    """The languages that sentences come in."""

    EN = "en"
    ZH = "zh"


def instant(text: str | None, option: str) -> datetime | None:
    """Return the instant that an option names: a date means the end of that day in UTC.

    Raises
    ------
    typer.BadParameter
        It is neither a date nor an instant with its offset from UTC.
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(
            f'"{text}" is no date. Write 2026-06-30 for the end of that day in UTC, or 2026-06-30T16:00:00+08:00.',
            param_hint=option,
        ) from None
    if len(text) <= len("2026-06-30"):
        return datetime.combine(moment.date(), time.max, tzinfo=UTC)
    if moment.tzinfo is None:
        raise typer.BadParameter(
            f'"{text}" has no time zone. Write it with its offset, such as {text}Z.', param_hint=option
        )
    return moment.astimezone(UTC)


def day(text: str | None, option: str) -> date | None:
    """Return the day that an option names.

    Raises
    ------
    typer.BadParameter
        It is no date.
    """
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f'"{text}" is no date. Write 2026-06-30.', param_hint=option) from None
