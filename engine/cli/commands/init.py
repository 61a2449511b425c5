"""`wayline init`: a workspace, ready to run."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from engine.cli import options
from engine.cli.commands import data
from engine.cli.output import Output


def init(
    *,
    folder: Annotated[
        Path | None, typer.Argument(help="Where the files lie that --from names; not needed for a mapping file.")
    ] = None,
    source: Annotated[
        str, typer.Option("--from", help="berka, bpi2012, vanguard, simulated, or the path of your own mapping.toml.")
    ],
    home: options.Home = options.HOME,
    assume_consent: Annotated[
        bool,
        typer.Option(
            "--assume-consent",
            help="Take it that every customer agreed to marketing, for data sets that do not say; it is noted.",
        ),
    ] = False,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Make a workspace of a public data set, of a simulated bank or of your own files, and load it.

    [bold]Examples[/]

      wayline init --from berka downloads/berka --assume-consent

      wayline init --from simulated bank

      wayline init --from mapping.toml --home work
    """
    from engine.workflows import load as workflow

    output = Output(as_json, quiet)
    with output.progress("Making the workspace") as progress:
        made = workflow.init(home, source, folder, assume_consent=assume_consent, progress=progress)
    output.result(made, lambda facts: _show(output, facts))
    output.say(f"Next: `wayline run --home {home}`.")


def _show(output: Output, facts: dict[str, Any]) -> None:
    data.show_report(output, facts["report"])
    output.facts({"workspace": facts["home"]})


def add_to(wayline: typer.Typer) -> None:
    """Add the command."""
    wayline.command("init")(init)
