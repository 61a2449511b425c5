"""`wayline risk`: default models out of plain files, and the scores, reasons and notices that they give."""

from __future__ import annotations

from types import ModuleType
from typing import Final

import typer

from engine.cli.commands.risk import explaining, fitting, scoring
from engine.cli.groups import group

COMMANDS: Final[tuple[ModuleType, ...]] = (fitting, scoring, explaining)
"""One module for each command; each adds its own."""


def add_to(wayline: typer.Typer) -> None:
    """Add the group."""
    risk = group("risk", "Learn who pays back out of a file, score another, explain one applicant.")
    for command in COMMANDS:
        command.add_to(risk)
    wayline.add_typer(risk)
