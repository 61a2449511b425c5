"""What people and tools do with exports beside making them: approve, acknowledge, list, and keep the key."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from engine.cli import numbers, options
from engine.cli.output import Output

_LISTED: Final = (
    "audience",
    "to",
    "run_id",
    "mode",
    "prev_run_id",
    "members",
    "rows",
    "approved_by",
    "exported_by",
    "exported_at",
    "acked_by",
    "revoked_by",
)

To = Annotated[
    str,
    typer.Option(
        "--to",
        help="The preset: generic, braze_cdi, braze_csv, sfmc_de, hubspot, mailchimp, klaviyo, customerio, "
        "ads_hashed_google, ads_hashed_meta or ads_hashed_x.",
    ),
]
Channel = Annotated[
    str | None,
    typer.Option("--channel", help="One of the audience's channels; by default its first that the preset is for."),
]
Name = Annotated[str, typer.Argument(metavar="AUDIENCE", help="The audience's id.")]
By = Annotated[str, typer.Option("--by", help="Who does it, by name; stands in the audit log.")]


def approve(
    *,
    name: Name,
    to: To,
    by: By,
    note: Annotated[str, typer.Option("--note", help="Why; kept beside the approval, in no log.")] = "",
    channel: Channel = None,
    run_id: options.RunId = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Approve the export of an audience of one run; whoever exports it must be somebody else.

    Needed above the size under [exports.approval], and for an audience whose rule nobody has verified.

    [bold]Examples[/]

      wayline export approve mortgage_lookers --to braze_cdi --by bob
    """
    from engine.workflows import export_approvals

    output = Output(as_json, quiet)
    made = export_approvals.approve(home, name, (to, channel), by, note, run_id=run_id)
    output.result(made, lambda facts: _show(output, facts))


def ack(
    *,
    name: Name,
    to: To,
    run_id: Annotated[str, typer.Option("--run", help="The run of the bundle.")],
    content: Annotated[str, typer.Option("--content", help="The bundle's content_sha256.")],
    rows: Annotated[int, typer.Option("--rows", min=0, help="How many rows the tool received, of all its files.")],
    by: By,
    channel: Annotated[
        str | None, typer.Option("--channel", help="The channel of the bundle; by default as its content tells.")
    ] = None,
    rejected: Annotated[
        Path | None,
        typer.Option(
            "--rejected", exists=True, dir_okay=False, help="A file of ids that the tool rejected, one a line."
        ),
    ] = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Acknowledge that a tool has loaded a bundle: the next delta follows it; exit with 3 when it was not loaded whole.

    [bold]Examples[/]

      wayline export ack stalled --to generic --run 20260630T235959Z-0123456789 --content 4f2a... --rows 812 --by braze
    """
    from engine.workflows import export_acks

    output = Output(as_json, quiet)
    ids = rejected.read_text(encoding="utf-8").split() if rejected is not None else []
    wanted = export_acks.Ack(
        audience=name,
        preset=to,
        channel=channel,
        run_id=run_id,
        content_sha256=content,
        received_rows=rows,
        rejected=ids,
    )
    made = export_acks.acknowledge(home, wanted, by)
    output.result(made, lambda facts: _show(output, facts))


def revoke(
    *,
    name: Name,
    to: To,
    run_id: Annotated[str, typer.Option("--run", help="The run that was exported.")],
    by: By,
    note: Annotated[str, typer.Option("--note", help="Why; kept beside the revocation, in no log.")] = "",
    channel: Annotated[
        str | None, typer.Option("--channel", help="The channel of the export; by default its only one.")
    ] = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Take an export back: its bundles cannot be loaded, pulls of it end, the next one is full and removes its members.

    No second person has to agree. A tool that loaded it already holds its members until it loads the next export.

    [bold]Examples[/]

      wayline export revoke mortgage_lookers --to braze_cdi --run 20260630T235959Z-0123456789 --by ann
    """
    from engine.workflows import export_revoke

    output = Output(as_json, quiet)
    wanted = export_revoke.Revocation(audience=name, preset=to, run_id=run_id, channel=channel, note=note)
    output.result(export_revoke.revoke(home, wanted, by), lambda facts: _show(output, facts))


def list_exports(
    *,
    name: Annotated[str | None, typer.Argument(metavar="AUDIENCE", help="One audience; by default all.")] = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """List what was handed to campaign tools, the newest first, and whether they acknowledged it.

    [bold]Examples[/]

      wayline export list

      wayline export list mortgage_lookers --json
    """
    from engine.workflows import export_acks

    output = Output(as_json, quiet)
    output.result(export_acks.listed(home, name), lambda facts: output.table(facts["exports"], _LISTED))


def keys(
    *,
    rotate: Annotated[bool, typer.Option("--rotate", help="Make a new pair; the old public key is kept.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="A file for the public key in PEM, for whoever checks bundles.")
    ] = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show the key that bundles are signed with; made where there is none. The private one is for its owner's eyes.

    [bold]Examples[/]

      wayline export keys --out bank.pem
    """
    from engine.workflows import export_acks

    output = Output(as_json, quiet)
    output.result(export_acks.keys(home, rotate=rotate, out=out), lambda facts: _show(output, facts))


COMMANDS: Final = (approve, ack, revoke, keys)


def _show(output: Output, facts: dict[str, Any]) -> None:
    output.facts({numbers.heading(name): numbers.cell(name, value) for name, value in facts.items()})
