"""`wayline experiment list`, `report` and `decide`: the experiments of a run."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from engine.cli import faults, numbers, options, people
from engine.cli.output import Output, write

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


_GUARDED: Final = {"safe": "safe", "harmed": "harmed", "unknown": "not known to be safe"}


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
    from engine.workflows import experiment_report as workflow

    output = Output(as_json, quiet)
    if not as_json and (form is not None or out is not None):
        _whole(output, home, experiment_id, show_withheld=show_withheld, form=form, out=out, lang=lang)
        return
    facts = workflow.of_run(home, experiment_id, show_withheld=show_withheld)
    if as_json:
        written = None if out is None else form.value if form is not None else workflow.format_of(out)
        if out is not None:
            made = workflow.write(facts, out, written, lang.value, show_withheld=show_withheld)
            output.say(f"The report is in {made}.")
        write(workflow.text(facts, "json", lang.value, show_withheld=show_withheld).rstrip())
    else:
        _show(output, facts)
    if any(check["status"] == "stop" for check in facts["health"]):
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
    output.line(" ".join([facts["decision"]["headline"] + ".", *facts["decision"]["reasons"]]))
    output.line("")
    output.table(facts["health"], ("check", "status", "p_value", "detail"), title="Checks")
    output.line("")
    output.table([_readable(row) for row in facts["metrics"]], _RESULTS, title="Results")
    for told in _behind(facts):
        output.line(told)


def _behind(facts: dict[str, Any]) -> Iterator[str]:
    """Tell why numbers are missing, and what else the report has to say."""
    yield from dict.fromkeys(row["why"] for row in facts["metrics"] if row.get("why"))
    if facts["changed"]:
        yield f"The plan was changed after the first look: {', '.join(facts['changed'])}."
    differing = [
        f"{row['metric']} ({row['variant']}) by {part['segment']}"
        for row in facts["metrics"]
        for part in row.get("segments", ())
        if (part["interaction"]["adjusted_p_value"] or 1) < facts["alpha"]
    ]
    if differing:
        yield f"The effect differs between segments: {', '.join(differing)}."
    for one in facts.get("fairness", ()):
        for group in one["groups"]:
            if group["safety"] == "harmed":
                yield f"{one['metric']} ({one['variant']}): {one['attribute']} {group['of']} is harmed."
    for one in facts.get("interactions", {}).get("crossings", ()):
        if (one["adjusted_p_value"] or 1) < facts["alpha"]:
            yield f'The effect on {one["metric"]} is another where "{one["with"]}" shows {one["other_variant"]}.'
    yield "Segments, protected groups, days and other experiments are in the report: --out report.html."


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    is_share = row["kind"] in ("proportion", "retention", "time_to_event")
    level = numbers.share if is_share else numbers.number
    change = numbers.points if is_share else numbers.number
    lower, upper = row["absolute"]["interval"] or (None, None)
    guarded = row["role"] == "guardrail" and row["verdict"] != "withheld"
    return {
        **row,
        "control_units": row["n"][row["control"]],
        "variant_units": row["n"][row["variant"]],
        "control_mean": level(row["value"][row["control"]]),
        "variant_mean": level(row["value"][row["variant"]]),
        "difference": change(row["absolute"]["difference"]),
        "interval_95": numbers.span(lower, upper, change),
        "relative": numbers.share(row["relative"]["lift"]),
        "p_value": row["absolute"]["p_value"],
        "verdict": _GUARDED[row["outcome"]] if guarded else row["verdict"].replace("_", " "),
    }


def decide(
    *,
    experiment_id: Annotated[str, typer.Argument(help="The experiment, as `wayline experiment list` names it.")],
    action: Annotated[str, typer.Argument(help="ship, roll_back, continue or review.")],
    owner: Annotated[str, typer.Option("--owner", help="Who answers for the decision.")] = "",
    note: Annotated[str, typer.Option("--note", help="Why the decision of the rules is not followed.")] = "",
    run: options.RunId = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Decide otherwise than the rules: kept with its owner and note, in reports and in the audit log.

    Shipping against the advice takes a second person: exit 4 until somebody has answered with `experiment review`.

    [bold]Examples[/]

      wayline experiment decide savings_banner roll_back --owner "Head of Savings" --note "The banner is being redrawn."
    """
    from engine.workflows import experiment as workflow

    made = workflow.decide(home, experiment_id, action, owner=people.viewer(owner), note=note, run_id=run)
    Output(as_json, quiet).result(made, lambda facts: Output(as_json, quiet).facts(facts))


def review(
    *,
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="The number of the request, as `decide` told it.")],
    by: Annotated[str, typer.Option("--by", help="Who answers: a person's name, other than who asked.")],
    note: Annotated[str, typer.Option("--note", help="Why, for whoever reads it later.")],
    agree: Annotated[bool, typer.Option("--agree/--refuse", help="Agree to ship against the advice, or not.")],
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Answer a request to ship against the advice of the rules; what is agreed to is decided by it.

    [bold]Examples[/]

      wayline experiment review 1 --agree --by bob --note "the season ends, and complaints are watched"
    """
    from engine.workflows import experiment_review as workflow

    made = workflow.answer(home, people.viewer(by), number, note, agreed=agree)
    Output(as_json, quiet).result(
        made,
        lambda facts: Output(as_json, quiet).facts(
            {numbers.heading(name): numbers.cell(name, value) for name, value in facts.items()}
        ),
    )


def add_to(experiment: typer.Typer) -> None:
    """Add the commands."""
    experiment.command("list")(listing)
    experiment.command()(report)
    experiment.command()(decide)
    experiment.command()(review)
