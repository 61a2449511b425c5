"""`wayline recommend`: which model ranks the next best product, what goes together, and on whom an offer works."""

from __future__ import annotations

from types import ModuleType
from typing import Final

import typer

from engine.cli.commands.recommend import evaluating, off_policy, replaying, runs, simulating, uplifting
from engine.cli.groups import group

COMMANDS: Final[tuple[ModuleType, ...]] = (runs, replaying, simulating, evaluating, uplifting, off_policy)
"""One module for each command, or for a few that belong together; each adds its own."""


def add_to(wayline: typer.Typer) -> None:
    """Add the group."""
    recommend = group(
        "recommend",
        "Judge the models that recommend, of a run or on any file, try policies, learn on whom a treatment works.",
    )
    for command in COMMANDS:
        command.add_to(recommend)
    wayline.add_typer(recommend)
