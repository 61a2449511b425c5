"""`wayline texts`: what customers write about, how they feel, and their personal data masked."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from engine.cli import numbers, options
from engine.cli.groups import group
from engine.cli.output import Output, write

_TOPICS: Final = ("topic", "texts", "sentiment_mean", "negative_share")
_STEPS: Final = (
    "journey",
    "current_step",
    "customers",
    "contacts",
    "satisfaction_mean",
    "satisfaction_95",
    "sentiment_mean",
    "sentiment_95",
    "reason",
)
_NEWEST: Final = ("occurred_at", "language", "topic", "sentiment", "sentiment_score", "reason")
_RATES: Final = ("texts_of", "language", "question", "texts", "errors", "error_rate", "error_95")
_TAKEN: Final = ("language", "topic", "texts", "errors", "taken_for")


def show(
    *,
    customer: Annotated[str | None, typer.Option("--customer", help="One customer's contacts alone.")] = None,
    run: options.RunId = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show what customers wrote about and how they felt: by topic, and by the step of a journey they stand at.

    [bold]Examples[/]

      wayline texts show

      wayline texts show --customer C00000042 --json
    """
    from engine.workflows import texts as workflow

    output = Output(as_json, quiet)
    output.result(workflow.show(home, run, customer), lambda facts: _show(output, facts))


def _show(output: Output, facts: dict[str, Any]) -> None:
    if "customer" in facts:
        output.facts({numbers.heading(name): numbers.cell(name, value) for name, value in facts["customer"].items()})
        output.table(facts["newest"], _NEWEST, "Newest texts")
        return
    output.table(facts["topics"], _TOPICS, "What they write about")
    spans = [{**row, **_spans(row, "satisfaction", "sentiment")} for row in facts["steps"]]
    output.table(spans, _STEPS, "In the days after the last step of a journey")


def _spans(row: dict[str, Any], *names: str) -> dict[str, str]:
    return {f"{name}_95": numbers.span(row[f"{name}_lower"], row[f"{name}_upper"], numbers.number) for name in names}


def evaluate(*, as_json: options.Json = False, quiet: options.Quiet = False) -> None:
    """Show how often topic and sentiment are read wrongly in texts that the model has not learnt from.

    [bold]Examples[/]

      wayline texts evaluate

      wayline texts evaluate --json
    """
    from engine.workflows import texts as workflow

    output = Output(as_json, quiet)
    output.result(workflow.error_rates(), lambda facts: _show_rates(output, facts))


def _show_rates(output: Output, facts: dict[str, Any]) -> None:
    rates = [
        {**row, "error_95": numbers.span(row["lower"], row["upper"], numbers.number)} for row in facts["error_rates"]
    ]
    output.table(rates, _RATES, "Error rates, with 95 % Wilson intervals")
    output.table(facts["topics"], _TAKEN, "Topics of the texts held out, and what they were taken for")


def mask(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="A text file, or standard input.")] = None,
    *,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write lines of text with personal data masked, as `wayline data load` does with free text.

    [bold]Examples[/]

      echo "Call me on 13812345678" | wayline texts mask

      wayline texts mask letters.txt --json
    """
    from engine.domain.errors import UnreadableSource
    from engine.workflows import texts as workflow

    output = Output(as_json, quiet)
    try:
        content = sys.stdin.buffer.read() if file is None else file.read_bytes()
    except OSError as fault:
        raise UnreadableSource(str(file), "cannot be read", "Check the path.") from fault
    name = "standard input" if file is None else file.name
    output.result(workflow.mask(home, content, name), lambda facts: write("\n".join(facts["lines"])))


def add_to(wayline: typer.Typer) -> None:
    """Add the group."""
    texts = group("texts", "What customers write about and how they feel; personal data masked.")
    texts.command("show")(show)
    texts.command("evaluate")(evaluate)
    texts.command("mask")(mask)
    wayline.add_typer(texts)
