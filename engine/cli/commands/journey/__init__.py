"""`wayline journey`: how customers go from event to event, and where they stop."""

from __future__ import annotations

from types import ModuleType
from typing import Final

import typer

from engine.cli.commands.journey import (
    attribution,
    cohorts,
    compare,
    conformance,
    drop_offs,
    funnel,
    listing,
    paths,
    prepare,
    sessions,
    stages,
    types,
)
from engine.cli.groups import group

COMMANDS: Final[tuple[ModuleType, ...]] = (
    listing,
    funnel,
    paths,
    prepare,
    attribution,
    cohorts,
    stages,
    conformance,
    drop_offs,
    types,
    compare,
    sessions,
)
"""One module for each command, or for a few that belong together; each adds its own."""


def add_to(wayline: typer.Typer) -> None:
    """Add the group."""
    journey = group(
        "journey", "Read journeys: the funnels of a run, and any log of events, of the workspace or a file."
    )
    for command in COMMANDS:
        command.add_to(journey)
    wayline.add_typer(journey)
