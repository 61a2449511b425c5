"""`wayline serve`: the app and the API together."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

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
    int | None,
    typer.Option(
        "--api-port",
        min=1,
        max=65_535,
        help="Of the API with --two-processes; by default a free one from 8700 on. Else it is at the app's.",
    ),
]
TwoProcesses = Annotated[
    bool, typer.Option("--two-processes", help="Serve the API in a process of its own, as for anything real.")
]
_FOR_TWO: Final = "--host, --public and --api-port"
_LOOK_SECONDS: Final = 0.2
_END_SECONDS: Final = 30  # a little longer than requests under way are given


def serve(
    *,
    two_processes: TwoProcesses = False,
    app_port: AppPort = None,
    api_port: ApiPort = None,
    host: server.Host = server.LOOPBACK,
    public: server.Public = False,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Serve the app and the API together; Ctrl-C ends both.

    In one process at one address, as on a laptop, pages that compute keep the answers of the API waiting, and both are
    for this machine alone. With --two-processes each has its own, and the end of one ends the other; the app still
    listens on this machine alone, --host and --public are for the API.

    [bold]Examples[/]

      wayline serve

      wayline serve --two-processes --app-port 8600 --api-port 8800
    """
    from engine.workflows.service import refuse_public

    refuse_public(host, allowed=public)
    output = Output(as_json, quiet)
    if not two_processes:
        if host != server.LOOPBACK or public or api_port is not None:
            raise typer.BadParameter("for an API of its own: add --two-processes", param_hint=_FOR_TWO)
        _in_one_process(home, free_port(app.ADDRESS, app_port, app.PORTS), output)
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


def _in_one_process(home: Path, port: int, output: Output) -> NoReturn:
    """Become the server of both: this process is replaced by it and does not return."""
    address, script = f"http://{app.ADDRESS}:{port}", app.script()
    if output.as_json:
        output.result({"app": address, "api": address, "home": home.resolve()}, lambda _: None)
    output.say(f"The app is at {address}, the API at {address}/v1/openapi.json. Ctrl-C ends both.")
    sys.stdout.flush()
    sys.stderr.flush()
    environment = server.environment(home)
    os.chdir(script.parent)  # Streamlit reads .streamlit/config.toml from there
    both = ["--script", str(script), "--other", "engine.api.app:create_app", "--prefix", "/v1/"]
    command = [sys.executable, "-m", "engine.ui.one_process", "--port", str(port), *both]
    os.execve(sys.executable, command, environment)


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
