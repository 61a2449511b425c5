"""`wayline case`: alerts and the cases that they become, from the inbox to the outcome."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Annotated, Any, Final

import typer

from engine.cli import numbers, options, people
from engine.cli.groups import group
from engine.cli.output import Output

case = group("case", "Alerts and cases: what is open, whose it is, by when, and what came of it.")
_LISTED: Final = (
    "case_id", "alert_id", "severity", "kind", "customer_id", "status", "assignee", "due_at", "days_late", "outcome",
)  # fmt: skip
Ref = Annotated[str, typer.Argument(metavar="CASE", help="The number of a case, or the id of an alert.")]
By = Annotated[str, typer.Option("--by", help="Who does it: a person's name; it stands in the history.")]
Note = Annotated[str, typer.Option("--note", help="Why, for whoever looks at it next.")]


@case.command("list")
def listing(
    *,
    view: Annotated[str, typer.Option("--view", help="inbox, mine, unassigned, late, snoozed or closed.")] = "inbox",
    kind: Annotated[str | None, typer.Option("--kind", help="Only of this kind, such as watch_list.")] = None,
    customer_id: Annotated[str, typer.Option("--customer", help="Only of this customer.")] = "",
    tag: Annotated[str, typer.Option("--tag", help="Only with this tag.")] = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many rows.")] = 50,
    by: Annotated[str | None, typer.Option("--by", help="Who looks; for --view mine.")] = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """List alerts and cases, the most urgent first.

    [bold]Examples[/]

      wayline case list --view late

      wayline case list --view mine --by ann
    """
    from engine.workflows import cases as workflow
    from engine.workflows.view.cases import VIEWS, Asked

    output = Output(as_json, quiet)
    if view not in VIEWS:
        raise typer.BadParameter(f'"{view}" is none of {", ".join(VIEWS)}.', param_hint="--view")
    asked = Asked(view=view, kind=kind, customer_id=customer_id, tag=tag, limit=limit)
    found = workflow.listed(home, people.viewer(by), asked)
    output.result(found, lambda facts: _list(facts, output))


@case.command()
def show(
    *,
    ref: Ref,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show an alert or a case: the rules that raised it, what was done with it, what was said of it.

    [bold]Examples[/]

      wayline case show 3
    """
    from engine.workflows import cases as workflow

    output = Output(as_json, quiet)
    output.result(workflow.shown(home, people.viewer(), ref), lambda facts: _show(facts, output))


@case.command("open")
def begin(
    *,
    ref: Ref,
    by: By,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Make an alert a case.

    [bold]Examples[/]

      wayline case open complaint/I0000003101 --by ann
    """
    from engine.workflows import cases as workflow

    output = Output(as_json, quiet)
    output.result(workflow.begin(home, people.viewer(by), ref), lambda facts: _facts(facts, output))


@case.command()
def assign(
    *,
    ref: Ref,
    by: By,
    to: Annotated[str | None, typer.Option("--to", help="Whose it is from now on; without it nobody's.")] = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Give a case to a person.

    [bold]Examples[/]

      wayline case assign 3 --to ann --by ann
    """
    from engine.workflows import cases as workflow

    output = Output(as_json, quiet)
    done = workflow.assign(home, people.viewer(by), workflow.Seen(ref=ref), to)
    output.result(done, lambda facts: _facts(facts, output))


@case.command()
def comment(
    *,
    ref: Ref,
    text: Annotated[str, typer.Argument(help="What to say, as plain text.")],
    by: By,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Comment on a case.

    [bold]Examples[/]

      wayline case comment 3 "Called on Monday, no answer." --by ann
    """
    from engine.workflows import cases as workflow

    output = Output(as_json, quiet)
    done = workflow.comment(home, people.viewer(by), ref, text)
    output.result(done, lambda facts: _facts(facts, output))


@case.command()
def snooze(
    *,
    ref: Ref,
    until: Annotated[str, typer.Option("--until", help="The day at whose end it comes back, such as 2026-12-31.")],
    note: Note,
    by: By,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Put a case off until a day; it comes back by itself.

    [bold]Examples[/]

      wayline case snooze 3 --until 2026-12-31 --note "salary comes at the end of the month" --by ann
    """
    from engine.workflows import cases as workflow

    output = Output(as_json, quiet)
    day = options.day(until, "--until")
    end = datetime.combine(day or datetime.now(UTC).date(), time(23, 59, 59), tzinfo=UTC)
    done = workflow.snooze(home, people.viewer(by), workflow.Seen(ref=ref), end, note)
    output.result(done, lambda facts: _facts(facts, output))


@case.command()
def escalate(
    *,
    ref: Ref,
    note: Note,
    by: By,
    level: Annotated[
        str, typer.Option("--level", help="probable_false_positive, investigate or escalate.")
    ] = "escalate",
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Set the review level of a case.

    [bold]Examples[/]

      wayline case escalate 3 --note "two lenders, one week" --by ann
    """
    from engine.workflows import cases as workflow

    output = Output(as_json, quiet)
    done = workflow.escalate(home, people.viewer(by), workflow.Seen(ref=ref), level, note)
    output.result(done, lambda facts: _facts(facts, output))


@case.command()
def close(
    *,
    ref: Ref,
    outcome: Annotated[str, typer.Option("--outcome", help="confirmed_risk, valuable_alert or false_positive.")],
    note: Note,
    by: By,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Close a case with what came of it; false positives are counted.

    [bold]Examples[/]

      wayline case close 3 --outcome false_positive --note "the delay was the other bank's" --by ann
    """
    from engine.workflows import cases as workflow

    output = Output(as_json, quiet)
    done = workflow.close(home, people.viewer(by), workflow.Seen(ref=ref), outcome, note)
    output.result(done, lambda facts: _facts(facts, output))


@case.command()
def reopen(
    *,
    ref: Ref,
    note: Note,
    by: By,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Open a closed case again; its time begins anew.

    [bold]Examples[/]

      wayline case reopen 3 --note "it happened again" --by ann
    """
    from engine.workflows import cases as workflow

    output = Output(as_json, quiet)
    done = workflow.reopen(home, people.viewer(by), workflow.Seen(ref=ref), note)
    output.result(done, lambda facts: _facts(facts, output))


def _list(facts: dict[str, Any], output: Output) -> None:
    output.say(f"{facts['total']} in the view {facts['view']}, {len(facts['items'])} shown.")
    output.table(facts["items"], _LISTED)


def _show(facts: dict[str, Any], output: Output) -> None:
    parts = ("hits", "history", "comments")
    _facts({name: value for name, value in facts.items() if name not in parts}, output)
    output.table(facts["hits"], ("severity", "text_en"), "Rules that hit")
    output.table(facts["history"], ("at", "by", "act", "note"), "History")
    output.table(facts["comments"], ("number", "written_at", "written_by", "text"), "Comments")


def _facts(facts: dict[str, Any], output: Output) -> None:
    told = {name: ", ".join(value) if isinstance(value, list) else value for name, value in facts.items()}
    output.facts({numbers.heading(name): numbers.cell(name, value) for name, value in told.items()})


def add_to(wayline: typer.Typer) -> None:
    """Add the group."""
    wayline.add_typer(case)
