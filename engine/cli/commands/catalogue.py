"""`wayline catalogue`: products, offers, levers and policies, checked, and kept in versions that hold from a day."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

import typer

from engine.cli import faults, numbers, options
from engine.cli.groups import group
from engine.cli.output import Output

_PRODUCTS: Final = (
    "product_id",
    "offer_id",
    "on_sale",
    "channels",
    "annual_margin_minor",
    "offer_cost_minor",
    "lgd",
    "exposure_minor",
    "lever",
)
_VERSIONS: Final = ("version", "effective_from", "owner", "note", "saved_at", "products", "offers")

AsOf = Annotated[
    str | None, typer.Option("--as-of", help="A date such as 2026-06-30; by default the end of the extract.")
]
Version = Annotated[int | None, typer.Option("--version", min=1, help="Show this version whole, as JSON does.")]


def show(
    *,
    as_of: AsOf = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show what a run of a date goes by: each product in the offer that holds then, and from which version.

    [bold]Examples[/]

      wayline catalogue show

      wayline catalogue show --as-of 2026-03-31 --json
    """
    from engine.workflows import catalogue as workflow

    output = Output(as_json, quiet)
    found = workflow.show(home, options.instant(as_of, "--as-of"))
    output.result(found, lambda facts: _show(output, facts))


def check(
    *,
    as_of: AsOf = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Check the workspace's offers, levers and policies, and name products that nobody can be offered; exit code 3.

    Where there is a run of the same products, they are tried on its customers.

    [bold]Examples[/]

      wayline catalogue check
    """
    from engine.workflows import catalogue as workflow

    output = Output(as_json, quiet)
    found = workflow.check(home, options.instant(as_of, "--as-of"))
    output.result(found, lambda facts: _show_check(output, facts))
    if found["faults"] or found["warnings"]:
        raise typer.Exit(faults.CHECK_FAILED)


def save(
    *,
    effective_from: Annotated[
        datetime, typer.Option("--from", help="The day from which it holds, by UTC.", formats=["%Y-%m-%d"])
    ],
    by: Annotated[str, typer.Option("--by", help="Who answers for it, by name; stands in the audit log.")],
    note: Annotated[str, typer.Option("--note", help="Why; kept beside the version.")],
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Keep the workspace's products, offers, levers and policies as a version; runs as of that day or later go by it.

    Runs then pass over what the files say of them, until a later version is saved.

    [bold]Examples[/]

      wayline catalogue save --from 2026-07-01 --by ann --note "summer offers"
    """
    from engine.workflows import catalogue as workflow

    output = Output(as_json, quiet)
    saved = workflow.save(home, effective_from=effective_from.date(), owner=by, note=note)
    output.result(saved, lambda facts: _show_saved(output, facts))


def versions(
    *,
    version: Version = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """List every version ever saved, or show one.

    [bold]Examples[/]

      wayline catalogue versions

      wayline catalogue versions --version 2 --json
    """
    from engine.workflows import catalogue as workflow

    output = Output(as_json, quiet)
    if version is None:
        found = {"versions": workflow.listed(home)}
        output.result(found, lambda facts: output.table(facts["versions"], _VERSIONS, title="Versions"))
        return
    output.result(workflow.opened(home, version), lambda facts: _show_version(output, facts))


def _show(output: Output, facts: dict[str, Any]) -> None:
    one = facts["version"]
    said = f"version {one['version']}, which holds from {one['effective_from']}" if one else "the workspace's own files"
    output.table([_listed(row) for row in facts["products"]], _PRODUCTS, title="Products and offers")
    output.line(f"As of {facts['as_of']}, by {said}.")


def _listed(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"channels": ", ".join(row["channels"]), "lever": numbers.number(row["lever"])}


def _show_check(output: Output, facts: dict[str, Any]) -> None:
    for sentence in (*facts["faults"], *(one["sentence"] for one in facts["warnings"])):
        output.line(f"- {sentence}")
    tried = facts["tried_on"]
    where = f" Tried on {tried['customers']:,} customers of run {tried['run_id']}." if tried else ""
    wrong = len(facts["faults"]) + len(facts["warnings"])
    output.line(("Nothing is wrong." if not wrong else f"{wrong} to look at.") + where)


def _show_saved(output: Output, facts: dict[str, Any]) -> None:
    how = "saved" if facts["is_new"] else "there already"
    output.line(
        f"Version {facts['version']} is {how}: {facts['products']} products and {facts['offers']} offers, "
        f"holding from {facts['effective_from']}."
    )


def _show_version(output: Output, facts: dict[str, Any]) -> None:
    output.table([facts], _VERSIONS, title="Version")
    output.table(facts["definition"]["products"], ("product_id", "name_en", "family", "annual_margin_minor"))
    if facts["definition"]["catalogue"]["offers"]:
        output.table(
            facts["definition"]["catalogue"]["offers"], ("offer_id", "product_id", "valid_from", "valid_until")
        )


def add_to(wayline: typer.Typer) -> None:
    """Add the group."""
    catalogue = group("catalogue", "Check what the bank offers and by which policies, and keep it in dated versions.")
    for command in (show, check, save, versions):
        catalogue.command()(command)
    wayline.add_typer(catalogue)
