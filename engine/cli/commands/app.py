"""`wayline app`: the pages, in the browser."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

import engine
from engine.cli import options
from engine.cli.listening import free_port
from engine.cli.output import Output
from engine.domain.errors import WaylineError

Port = Annotated[
    int | None, typer.Option("--port", min=1, max=65_535, help="By default the first free one from 8501 on.")
]
Headless = Annotated[bool, typer.Option("--headless", help="Do not open a browser.")]

ADDRESS = "127.0.0.1"  # other machines reach it through the bank's own proxy
PORTS = range(8501, 8521)


def app(
    *,
    home: options.Home = options.HOME,
    port: Port = None,
    headless: Headless = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Open the pages in the browser: journeys, segments, offers, experiments, risk, data. Ctrl-C ends it.

    It listens on this machine only. With --json the address is written as JSON before the app starts.

    [bold]Examples[/]

      wayline app

      wayline app --home /srv/bank --port 8600 --headless
    """
    start(home, port, headless, Output(as_json, quiet))


def start(home: Path, port: int | None, headless: bool, output: Output) -> NoReturn:
    """Become the app's server: this process is replaced by Streamlit's and does not return.

    Raises
    ------
    WaylineError
        The port is taken, or `app.py` is not where it was installed.
    """
    chosen_script = script()
    chosen = free_port(ADDRESS, port, PORTS)
    address = f"http://{ADDRESS}:{chosen}"
    if output.as_json:
        output.result({"address": address, "home": home.resolve()}, lambda _: None)
    output.say(f"The app is at {address}. Ctrl-C ends it.")
    sys.stdout.flush()
    sys.stderr.flush()
    environment = {**os.environ, "WAYLINE_HOME": str(home.expanduser().resolve())}
    os.chdir(chosen_script.parent)  # Streamlit reads .streamlit/config.toml from there
    os.execve(sys.executable, command(chosen_script, chosen, headless=headless or not _has_screen()), environment)


def command(script: Path, port: int, *, headless: bool) -> list[str]:
    """Return the command line of Streamlit's server with our settings."""
    settings = {
        "server.address": ADDRESS,
        "server.port": str(port),
        "server.headless": str(headless).lower(),
        "server.showEmailPrompt": "false",
        "browser.gatherUsageStats": "false",
        "client.showErrorDetails": "none",
    }
    flags = [f"--{name}={value}" for name, value in settings.items()]
    return [sys.executable, "-m", "streamlit", "run", str(script), *flags]


def script() -> Path:
    """Return the app's script; raises WaylineError when it is not where it was installed."""
    path = Path(engine.__file__).resolve().parent.parent / "app.py"
    if not path.is_file():
        raise WaylineError(f"The app's script {path} is missing. Install Wayline again.")
    return path


def _has_screen() -> bool:
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def add_to(wayline: typer.Typer) -> None:
    """Add the command."""
    wayline.command("app")(app)
