"""`wayline export`: audiences and offers as bundles for campaign tools, and the check that a bundle is whole."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from engine.cli import numbers, options
from engine.cli.commands import export_acts
from engine.cli.groups import group, with_default
from engine.cli.output import Output

_WATERFALL: Final = ("step", "removed", "remaining")


class FileFormat(StrEnum):
    """The files that a bundle of recommendations can hold."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


class AudienceFormat(StrEnum):
    """The files that a bundle of an audience can hold."""

    CSV = "csv"
    CSV_SPREADSHEET = "csv_spreadsheet"
    JSONL = "jsonl"
    PARQUET = "parquet"
    API = "api"


class Mode(StrEnum):
    """How a bundle changes what the tool holds."""

    FULL = "full"
    DELTA = "delta"
    MIRROR = "mirror"


def audience(
    *,
    name: Annotated[str, typer.Argument(metavar="AUDIENCE", help="The audience's id.")],
    to: export_acts.To,
    mode: Annotated[
        Mode,
        typer.Option(
            help="full: all members; delta: what changed since the tool's last acknowledgement; mirror: all members, "
            "and the tool removes everybody else."
        ),
    ] = Mode.FULL,
    file_format: Annotated[
        AudienceFormat | None, typer.Option("--format", help="The files to write; by default the preset's first.")
    ] = None,
    channel: export_acts.Channel = None,
    run_id: options.RunId = None,
    by: Annotated[str | None, typer.Option("--by", help="Who asks, by name; stands in the audit log.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show who would leave and who not; write nothing.")
    ] = False,
    allow_shrink: Annotated[
        bool, typer.Option("--allow-shrink", help="Allow more removals than max_removed_share under [exports].")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="A folder for the bundle; by default under exports/ in the workspace.")
    ] = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Export an audience for a campaign tool; exit with 4 when consent, opt-outs or a missing approval forbid it.

    [bold]Examples[/]

      wayline export audience mortgage_lookers --to generic --dry-run

      wayline export mortgage_lookers --to braze_cdi --by ann

      wayline export mortgage_lookers --to hubspot --mode delta --by ann
    """
    from engine.workflows import export_audience
    from engine.workflows.export_plan import Wanted

    output = Output(as_json, quiet)
    wanted = Wanted(
        audience=name,
        preset=to,
        mode=mode.value,
        file_format=file_format.value if file_format else None,
        channel=channel,
        run_id=run_id,
        by=by,
        allow_shrink=allow_shrink,
        out=out,
    )
    with output.progress("Exporting"):
        made = export_audience.dry_run(home, wanted) if dry_run else export_audience.audience(home, wanted)
    output.result(made, lambda facts: _show_audience(output, facts))


def recommendations(
    *,
    run_id: options.RunId = None,
    file_format: Annotated[FileFormat, typer.Option("--format", help="The files to write.")] = FileFormat.CSV,
    destination: Annotated[
        Path | None, typer.Option("--to", help="A folder for the bundle; by default under exports/ in the workspace.")
    ] = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Export every offer of a run as a bundle: files, manifest, checksums. The same run gives the same bytes.

    [bold]Examples[/]

      wayline export recommendations

      wayline export recommendations --format parquet --to outbox/june
    """
    from engine.workflows import export as workflow

    output = Output(as_json, quiet)
    with output.progress("Exporting"):
        made = workflow.recommendations(home, run_id, file_format.value, destination)
    output.result(made, lambda facts: _show(output, facts))


def verify(
    *,
    folder: Annotated[Path, typer.Argument(help="The bundle's folder.")],
    public_key: Annotated[
        Path | None,
        typer.Option(
            "--public-key", exists=True, dir_okay=False, help="The bank's key in PEM; the bundle must be signed by it."
        ),
    ] = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Check a bundle by itself: files, checksums, rows, counts, signature; exit with 3 when anything differs.

    It needs no workspace and no database.

    [bold]Examples[/]

      wayline export verify workspace/exports/recommendations/20260630

      wayline export verify outbox/june --public-key bank.pem --json
    """
    from engine.workflows import export as workflow

    output = Output(as_json, quiet)
    output.result(workflow.verify(folder, public_key), lambda facts: _show(output, facts))


def _show(output: Output, facts: dict[str, Any]) -> None:
    counts = facts.pop("counts", None)
    output.facts({numbers.heading(name): numbers.cell(name, value) for name, value in facts.items()})
    if counts:
        output.facts({numbers.heading(name): numbers.cell(name, value) for name, value in counts.items()})


def _show_audience(output: Output, facts: dict[str, Any]) -> None:
    apart = ("counts", "reasons", "steps", "refused", "cut")
    counts, reasons = facts["counts"], facts["reasons"]
    output.facts({numbers.heading(name): numbers.cell(name, one) for name, one in facts.items() if name not in apart})
    if "steps" in facts:
        output.table([{"step": "selected", "remaining": counts["selected"]}, *facts["steps"]], _WATERFALL)
    else:
        output.facts({numbers.heading(name): numbers.cell(name, value) for name, value in counts.items()})
    output.table(
        [{"reason_code": code, "members": count} for code, count in reasons.items()], ("reason_code", "members")
    )
    if facts["is_expired"]:
        output.say("Every row has run out already: no tool may use any of them. Load newer data, run, and export that.")
    for one in facts.get("cut", ()):
        output.say(f"{one['rows']} texts of {one['column']} were cut to {one['most_bytes']} bytes.")
    for sentence in facts.get("refused", ()):
        output.say(f"Would be refused: {sentence}")


def add_to(wayline: typer.Typer) -> None:
    """Add the group."""
    export = group(
        "export",
        "Hand audiences and offers to campaign tools, with a manifest and checksums.",
        with_default("audience"),
    )
    for command in (audience, recommendations, verify, *export_acts.COMMANDS):
        export.command()(command)
    export.command("list")(export_acts.list_exports)
    wayline.add_typer(export)
