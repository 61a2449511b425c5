"""`wayline explain`: why one customer gets what, and what was refused."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from typing import Annotated, Any

import typer

from engine.cli import numbers, options
from engine.cli.output import Output


def explain(
    *,
    customer_id: Annotated[str, typer.Argument(metavar="CUSTOMER", help="The bank's id of the customer.")],
    run_id: options.RunId = None,
    language: Annotated[str, typer.Option("--lang", help="en or zh, for the sentences shown.")] = "en",
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Explain one customer: segment, risk and its reasons, journeys, every product with its decision and why.

    Names and contact details are never shown.

    [bold]Examples[/]

      wayline explain C00000042

      wayline explain C00000042 --lang zh

      wayline explain C00000042 --json | jq '.products[] | select(.refusals != [])'
    """
    from engine.workflows import explain as workflow

    output = Output(as_json, quiet)
    output.result(workflow.customer(home, customer_id, run_id), lambda facts: _show(output, facts, language))


def _show(output: Output, facts: dict[str, Any], language: str) -> None:
    for title in ("profile", "segment", "risk"):
        part = facts.get(title)
        if isinstance(part, dict):
            known = {name: value for name, value in part.items() if not isinstance(value, dict)}
            output.facts({numbers.heading(n): numbers.cell(n, v) for n, v in known.items()}, title=title.capitalize())
            output.line("")
    journeys = facts.get("journeys") or []
    if journeys:
        output.table(journeys, ("journey", "stage", "step", "next_step", "status", "stage_since"), title="Journeys")
        output.line("")
    rows = [_product(row, language) for row in facts.get("products") or []]
    output.table(
        rows, ("product_id", "rank", "propensity", "expected_value_minor", "decision", "why"), title="Products"
    )


def _product(row: dict[str, Any], language: str) -> dict[str, Any]:
    refusals = row.get("refusals") or []
    sentences = [_sentence(item, language) for item in refusals]
    why = " ".join(sentences) if sentences else " ".join(_reasons(row, language))
    return {**row, "decision": row.get("decision") or ("refused" if refusals else "allowed"), "why": why}


def _sentence(refusal: Any, language: str) -> str:
    if not isinstance(refusal, dict):
        return str(refusal)
    return str(refusal.get(f"text_{language}") or refusal.get("text_en") or refusal.get("reason_code") or "")


def _reasons(row: dict[str, Any], language: str) -> list[str]:
    suffix = "_zh" if language == "zh" else ""
    found = [row.get(f"reason_{number}{suffix}") for number in (1, 2)]
    return [str(reason) for reason in found if reason]


def add_to(wayline: typer.Typer) -> None:
    """Add the command."""
    wayline.command("explain")(explain)
