"""`wayline api`: serve the API, and the keys that open it."""

from __future__ import annotations

import typer

from engine.cli.commands.api import keys, server
from engine.cli.groups import InOrder


def add_to(wayline: typer.Typer) -> None:
    """Add the command, which serves when none of its own commands is named."""
    api = typer.Typer(name="api", cls=InOrder, invoke_without_command=True, rich_markup_mode="rich")
    api.callback()(server.api)
    keys.add_to(api)
    wayline.add_typer(api)
