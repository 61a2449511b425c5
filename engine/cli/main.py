"""The command `wayline`: what every command has in common, and the table of commands."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version as installed_version
from typing import Annotated

import typer

from engine.cli import faults, job
from engine.cli.commands import (
    api,
    app,
    audience,
    audit,
    case,
    catalogue,
    data,
    decide,
    demo,
    doctor,
    experiment,
    explain,
    export,
    feedback,
    init,
    journey,
    policy,
    recommend,
    risk,
    run,
    schedule,
    segment,
    serve,
    simulate,
    texts,
    webhooks,
)
from engine.cli.groups import listing, show_help

# in the order in which a newcomer needs them, from nothing to the screen: the help lists them so
COMMANDS = (
    *(
        demo,
        init,
        doctor,
        simulate,
        data,
        run,
        export,
        feedback,
        schedule,
        experiment,
        journey,
        risk,
        segment,
        texts,
        audience,
        recommend,
        catalogue,
        policy,
        audit,
        case,
    ),
    *(decide, explain, app, api, serve, webhooks),
)

wayline = typer.Typer(
    name="wayline",
    cls=listing(command.__name__.rpartition(".")[2] for command in COMMANDS),
    no_args_is_help=False,
    invoke_without_command=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, 1 error, 2 wrong usage, 3 a check failed, 4 refused by policy, 5 done in part.",
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"wayline {installed_version('wayline')}")
        raise typer.Exit


@wayline.callback()
def begin(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Customer journeys, risk-gated next best products and experiments for a bank.

    [bold]Begin with[/]

      wayline demo                       a simulated bank, opened in the app

      wayline init --from berka DIR      a workspace on a public data set

      wayline run                        from the tables to the offers

      wayline explain C00000042           why a customer gets what
    """
    show_help(context)


for command in COMMANDS:
    command.add_to(wayline)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; nothing that goes wrong inside shows a traceback."""
    with job.told() as ended:
        code = _run(list(sys.argv[1:] if arguments is None else arguments))
        ended(code)
    return code


def _run(given: list[str]) -> int:
    command = typer.main.get_command(wayline)
    try:
        outcome = command.main(args=given, prog_name="wayline", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        return _reader_left()
    except (Exception, KeyboardInterrupt) as fault:
        return faults.tell(fault, as_json="--json" in given)
    if outcome == faults.INTERRUPTED:  # Typer turns Ctrl-C into an exit without a word
        return faults.tell(KeyboardInterrupt(), as_json="--json" in given)
    return outcome if isinstance(outcome, int) else faults.OK


def _reader_left() -> int:
    # `wayline ... | head`: whoever read has enough, which is no error; the interpreter must not flush again
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return faults.OK


if __name__ == "__main__":
    sys.exit(main())
