"""`wayline api`: the server that campaign tools pull from."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from engine.cli import options
from engine.cli.listening import free_port
from engine.cli.output import Output

Host = Annotated[str, typer.Option("--host", help="The address to listen on; by default this machine alone.")]
Port = Annotated[
    int | None, typer.Option("--port", min=1, max=65_535, help="By default the first free one from 8700 on.")
]
Public = Annotated[
    bool, typer.Option("--public", help="Listen where other machines reach it; a proxy with TLS must stand before it.")
]

PORTS: Final = range(8700, 8720)
LOOPBACK: Final = "127.0.0.1"


def api(
    context: typer.Context,
    *,
    host: Host = LOOPBACK,
    port: Port = None,
    public: Public = False,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Serve the API: audiences, offers and suppressions to pull, feedback to send. Ctrl-C ends it.

    It listens on this machine only, unless told otherwise. With --json the address is written as JSON before it starts.

    [bold]Examples[/]

      wayline api keys create crm --scope audiences:read --destination braze --by ann

      wayline api --port 8700

      wayline api --host 0.0.0.0 --public
    """
    if context.invoked_subcommand is not None:
        return
    from engine.workflows.service import refuse_public

    refuse_public(host, allowed=public)
    output = Output(as_json, quiet)
    chosen = free_port(host, port, PORTS)
    address = f"http://{host}:{chosen}"
    if as_json:
        output.result({"address": address, "home": home.resolve()}, lambda _: None)
    output.say(f"The API is at {address}/v1/openapi.json. Ctrl-C ends it.")
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, command(host, chosen, public=public), environment(home))


def command(host: str, port: int, *, public: bool) -> list[str]:
    """Return the command line of the server itself, which is a process of its own: no door imports another."""
    flags = ["--public"] if public else []
    return [sys.executable, "-m", "engine.api", "--host", host, "--port", str(port), *flags]


def environment(home: Path) -> dict[str, str]:
    """Return the environment of a server of a workspace."""
    return {**os.environ, "WAYLINE_HOME": str(home.expanduser().resolve())}
