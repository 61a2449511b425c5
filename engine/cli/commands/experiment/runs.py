"""`wayline experiment list` and `report`: the experiments of a run."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from engine.cli import faults, numbers, options
from engine.cli.output import Output, write
from engine.cli.plain import plain

_RESULTS: Final = (
    "metric",
    "role",
    "variant",
    "control_units",
    "variant_units",
    "control_mean",
    "variant_mean",
    "difference",
    "interval_95",
    "relative",
    "p_value",
    "verdict",
)


class Form(StrEnum):
    """The forms that a report can have."""

    JSON = "json"
    MD = "md"
    HTML = "html"


def listing(
    *,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """List the experiments of the current run.

    [bold]Examples[/]

      wayline experiment list

      wayline experiment list --json | jq -r '.[].experiment_id'
    """
    from engine.workflows import experiment as workflow

    output = Output(as_json, quiet)
    output.result(workflow.listing(home), lambda rows: output.table(rows, tuple(rows[0]) if rows else ()))


def report(
    *,
    experiment_id: Annotated[str, typer.Argument(help="The experiment, as `wayline experiment list` names it.")],
    show_withheld: Annotated[
        bool, typer.Option("--show-withheld", help="Show numbers that a failed check withholds; do not decide on them.")
    ] = False,
    form: Annotated[
        Form | None,
        typer.Option("--format", help="The whole report with decision and chart; by default as --out is named."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the report to this .html, .md or .json file.")
    ] = None,
    lang: Annotated[
        options.Language, typer.Option("--lang", help="English or Chinese, for the report.")
    ] = options.Language.EN,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Report one experiment: its checks, then each metric with its interval; exit with 3 when a check stops it.

    [bold]Examples[/]

      wayline experiment report card_onboarding

      wayline experiment report loan_reminder --show-withheld

      wayline experiment report card_onboarding --out card_onboarding.html
    """
    from engine.workflows import experiment as workflow

    output = Output(as_json, quiet)
    if form is not None or out is not None:
        _whole(output, home, experiment_id, show_withheld=show_withheld, form=form, out=out, lang=lang)
        return
    found = workflow.report(home, experiment_id, show_withheld)
    output.result(found, lambda facts: _show(output, facts))
    if any(check["status"] == "stop" for check in plain(found)["health"]):
        raise typer.Exit(faults.CHECK_FAILED)


def _whole(
    output: Output,
    home: Path,
    experiment_id: str,
    *,
    show_withheld: bool,
    form: Form | None,
    out: Path | None,
    lang: options.Language,
) -> None:
    """Write the whole report to its file, or to standard output where none is named."""
    from engine.workflows import experiment_report as workflow

    written = workflow.format_of(out) if form is None and out is not None else (form or Form.MD).value
    facts = workflow.of_run(home, experiment_id, show_withheld=show_withheld)
    if out is None:
        write(workflow.text(facts, written, lang.value, show_withheld=show_withheld).rstrip())
    else:
        made = workflow.write(facts, out, written, lang.value, show_withheld=show_withheld)
        output.result({"report": made, "decision": facts["decision"]["headline"]}, output.facts)
    if any(check["status"] == "stop" for check in facts["health"]):
        raise typer.Exit(faults.CHECK_FAILED)


def _show(output: Output, facts: dict[str, Any]) -> None:
    output.table(facts["health"], ("check", "status", "p_value", "detail"), title="Checks")
    output.line("")
    output.table([_readable(row) for row in facts["results"]], _RESULTS, title="Results")
    for reason in dict.fromkeys(row["withheld_reason"] for row in facts["results"] if row["withheld_reason"]):
        output.line(reason)


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    is_share = row["metric_kind"] == "proportion"
    level = numbers.share if is_share else numbers.number
    change = numbers.points if is_share else numbers.number
    return {
        **row,
        "control_mean": level(row["control_mean"]),
        "variant_mean": level(row["variant_mean"]),
        "difference": change(row["difference"]),
        "interval_95": numbers.span(row["lower"], row["upper"], change),
        "relative": numbers.share(row["relative_difference"]),
        "verdict": row["verdict"].replace("_", " "),
    }


def add_to(experiment: typer.Typer) -> None:
    """Add the commands."""
    experiment.command("list")(listing)
    experiment.command()(report)
