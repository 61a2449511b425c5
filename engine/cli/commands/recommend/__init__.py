"""`wayline recommend`: which model ranks the next best product, what goes together, and on whom an offer works."""

from __future__ import annotations

from types import ModuleType
from typing import Final

import typer

from engine.cli.commands.recommend import evaluating, runs
from engine.cli.groups import group

COMMANDS: Final[tuple[ModuleType, ...]] = (runs, evaluating)
"""One module for each command, or for a few that belong together; each adds its own."""


def add_to(wayline: typer.Typer) -> None:
    """Add the group."""
    recommend = group("recommend", "Judge the models that recommend: those of a run, and all of them on any file.")
    for command in COMMANDS:
        command.add_to(recommend)
    wayline.add_typer(recommend)
