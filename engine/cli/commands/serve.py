"""`wayline serve`: the app and the API together."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

import typer

from engine.cli import options
from engine.cli.commands import app
from engine.cli.commands.api import server
from engine.cli.listening import free_port
from engine.cli.output import Output
from engine.domain.errors import WaylineError

AppPort = Annotated[
    int | None, typer.Option("--app-port", min=1, max=65_535, help="Of the app; by default a free one from 8501 on.")
]
ApiPort = Annotated[
    int | None, typer.Option("--api-port", min=1, max=65_535, help="Of the API; by default a free one from 8700 on.")
]
_LOOK_SECONDS: Final = 0.2
_END_SECONDS: Final = 30  # a little longer than requests under way are given


def serve(
    *,
    app_port: AppPort = None,
    api_port: ApiPort = None,
    host: server.Host = server.LOOPBACK,
    public: server.Public = False,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Serve the app and the API, each in a process of its own; Ctrl-C ends both, and the end of one ends the other.

    Two processes, since pages that compute would keep the answers of the API waiting. The app listens on this machine
    alone; --host and --public are for the API.

    [bold]Examples[/]

      wayline serve

      wayline serve --app-port 8600 --api-port 8800
    """
    from engine.workflows.service import refuse_public

    refuse_public(host, allowed=public)
    output = Output(as_json, quiet)
    pages, data = free_port(app.ADDRESS, app_port, app.PORTS), free_port(host, api_port, server.PORTS)
    addresses = {"app": f"http://{app.ADDRESS}:{pages}", "api": f"http://{host}:{data}"}
    if as_json:
        output.result({**addresses, "home": home.resolve()}, lambda _: None)
    output.say(f"The app is at {addresses['app']}, the API at {addresses['api']}/v1/openapi.json. Ctrl-C ends both.")
    environment = server.environment(home)
    script = app.script()
    ended = together(
        Process("The app", app.command(script, pages, headless=True), environment, str(script.parent)),
        Process("The API", server.command(host, data, public=public), environment, None),
    )
    if ended is not None:
        raise WaylineError(f"{ended.name} ended by itself, so the other was ended too. Its messages say why.")


@dataclass(frozen=True, slots=True)
class Process:
    """A server to start: its name, command, environment and folder."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    folder: str | None


def together(*wanted: Process) -> Process | None:
    """Run servers until this process is told to end, or one ends; return the one that ended by itself, if any did.

    All of them are told to end before this returns, and given time to do so.
    """
    told = False

    def stop(*_: Any) -> None:
        nonlocal told
        told = True

    before = {one: signal.signal(one, stop) for one in (signal.SIGINT, signal.SIGTERM)}
    # in a session of their own: Ctrl-C reaches them through us, once
    running = [
        subprocess.Popen(one.command, env=one.environment, cwd=one.folder, start_new_session=True) for one in wanted
    ]
    try:
        while not told and all(process.poll() is None for process in running):
            time.sleep(_LOOK_SECONDS)
        if told:
            return None
        return next(one for one, process in zip(wanted, running, strict=True) if process.poll() is not None)
    finally:
        for process in running:
            if process.poll() is None:
                process.terminate()
        for process in running:
            try:
                process.wait(_END_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for one, handler in before.items():
            signal.signal(one, handler)


def add_to(wayline: typer.Typer) -> None:
    """Add the command."""
    wayline.command("serve")(serve)
