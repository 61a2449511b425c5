"""`wayline experiment`: what was tested, and whether it worked."""

from __future__ import annotations

from types import ModuleType
from typing import Final

import typer

from engine.cli.commands.experiment import analyze, assign, bandit, off_policy, planning, runs, simulating
from engine.cli.groups import group

COMMANDS: Final[tuple[ModuleType, ...]] = (runs, analyze, planning, simulating, assign, bandit, off_policy)
"""One module for each command, or for a few that belong together; each adds its own."""


def add_to(wayline: typer.Typer) -> None:
    """Add the group."""
    experiment = group("experiment", "Read experiments: who got what, and whether it worked.")
    for command in COMMANDS:
        command.add_to(experiment)
    wayline.add_typer(experiment)
