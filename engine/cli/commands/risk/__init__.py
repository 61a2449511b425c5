"""`wayline risk`: default models out of plain files, and a watch over the model and the portfolio of a workspace."""

from __future__ import annotations

from types import ModuleType
from typing import Final

import typer

from engine.cli.commands.risk import explaining, fitting, governing, overriding, scoring, watching
from engine.cli.groups import group

COMMANDS: Final[tuple[ModuleType, ...]] = (fitting, scoring, explaining, watching, overriding, governing)
"""One module for each command, or for a few that belong together; each adds its own."""


def add_to(wayline: typer.Typer) -> None:
    """Add the group."""
    risk = group("risk", "Learn who pays back out of a file, score another; watch the model and customers of a bank.")
    for command in COMMANDS:
        command.add_to(risk)
    wayline.add_typer(risk)
