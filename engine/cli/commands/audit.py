"""`wayline audit`: what was done, whether the log is whole, and papers for who asks."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from engine.cli import options, people
from engine.cli.groups import group
from engine.cli.output import Output

audit = group("audit", "See what was done and by whom, prove that the log is whole, hand over papers.")
_LISTED: Final = ("seq", "at", "actor", "action", "subject", "details")
Since = Annotated[str, typer.Option("--since", help="The first day, such as 2026-06-01 (UTC).")]
Until = Annotated[str, typer.Option("--until", help="The last day (UTC).")]
Actor = Annotated[str, typer.Option("--actor", help="Acts of this person alone.")]
Customer = Annotated[str, typer.Option("--customer", help="Acts about this customer alone, by the exact id.")]
Out = Annotated[Path, typer.Option("--out", help="A new folder to write into; nobody but you can read it.")]
By = Annotated[str | None, typer.Option("--by", help="Who asks: a person's name; it stands in the audit log.")]


@audit.command("list")
def listing(
    *,
    since: Since = "",
    until: Until = "",
    actor: Actor = "",
    action: Annotated[str, typer.Option("--action", help="What was done, such as export. or personal.revealed.")] = "",
    subject: Annotated[str, typer.Option("--subject", help="To what, such as policy_change/3.")] = "",
    customer: Customer = "",
    offset: Annotated[int, typer.Option("--offset", min=0, help="How many of the newest are passed over.")] = 0,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """List acts, the newest first, 25 at a time.

    [bold]Examples[/]

      wayline audit list --actor ann --since 2026-06-01

      wayline audit list --customer C00000042
    """
    from engine.workflows.audit_report import since_day
    from engine.workflows.view import audit as view

    output = Output(as_json, quiet)
    first, last = since_day(since), since_day(until)
    what = view.Filters(since=first, until=last, actor=actor, action=action, subject=subject, customer_id=customer)
    total, rows = view.found(people.viewer(), home, what, offset)
    told = [{name: getattr(one, name) for name in (*_LISTED, "previous", "hash")} for one in rows]
    output.result({"total": total, "acts": told}, lambda facts: _show(facts, output))


@audit.command()
def verify(
    *,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Check every entry of the log: nothing edited, inserted, moved or taken out. Exit code 3 where it does not hold.

    [bold]Examples[/]

      wayline audit verify
    """
    from engine.domain.errors import CheckFailed
    from engine.workflows.view import audit as view

    output = Output(as_json, quiet)
    found = view.whole(people.viewer(), home)
    if found is not None and not found.whole:
        raise CheckFailed(f"The audit log does not hold: {found.problem}. Restore it from a backup and find out who.")
    facts = {"entries": found.entries if found else 0, "head": found.head if found else "", "whole": True}
    output.result(facts, lambda told: output.say(f"The audit log is whole: {told['entries']} entries."))


@audit.command()
def report(
    *,
    out: Out,
    since: Since = "",
    until: Until = "",
    actor: Actor = "",
    customer: Customer = "",
    by: By = None,
    language: Annotated[str, typer.Option("--lang", help="Language of the HTML: en or zh.")] = "en",
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write a report: which checks hold or are open, every act asked for; HTML, JSON, CSV, checksums, signature.

    [bold]Examples[/]

      wayline audit report --out report-june --since 2026-06-01 --until 2026-06-30
    """
    from engine.domain.errors import UnknownName
    from engine.workflows import audit_report as workflow
    from engine.workflows import subject_access
    from engine.workflows.view.audit import Filters

    output = Output(as_json, quiet)
    if language not in ("en", "zh"):
        raise UnknownName("language", language, ("en", "zh"))
    first, last = workflow.since_day(since), workflow.since_day(until)
    what = Filters(since=first, until=last, actor=actor, customer_id=customer)
    files = workflow.report(people.viewer(by), home, what, "zh" if language == "zh" else "en")
    output.result(subject_access.save(files, out), lambda facts: output.say(f"Written: {facts['folder']}"))


@audit.command()
def subject(
    *,
    customer: Annotated[str, typer.Argument(metavar="CUSTOMER", help="The exact id.")],
    reason: Annotated[str, typer.Option("--reason", help="Why: customer_asked, complaint, audit, other ...")],
    out: Out,
    note: Annotated[str, typer.Option("--note", help="A reference; needed with the reason other.")] = "",
    by: By = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Write everything that is held on one customer, personal data included; who asked and why is logged first.

    [bold]Examples[/]

      wayline audit subject C00000042 --reason customer_asked --note "letter of 3 June" --out bundle
    """
    from engine.workflows import subject_access as workflow

    output = Output(as_json, quiet)
    files = workflow.bundle(people.viewer(by), home, customer, reason, note)
    output.result(workflow.save(files, out), lambda facts: output.say(f"Written: {facts['folder']}"))


@audit.command()
def check(
    *,
    place: Annotated[Path, typer.Argument(metavar="PLACE", help="The folder or ZIP of a report or a bundle.")],
    public_key: Annotated[
        Path | None, typer.Option("--public-key", help="The bank's public key in PEM; it must be signed by it.")
    ] = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Check a report or a bundle that was handed over: every file and the signature. Exit code 3 where it differs.

    [bold]Examples[/]

      wayline audit check report-june
    """
    from engine.exports import dossier, signing

    output = Output(as_json, quiet)
    found = dossier.verified(place, signing.public_from(public_key) if public_key else None)
    facts = {"kind": found.kind, "made_by": found.made_by, "made_at": found.made_at, "files": len(found.files)}
    told = facts | {"signed_by": signing.key_id(found.public_key) if found.public_key else None}
    output.result(told, lambda one: output.say(f"{one['files']} files are what {one['made_by']} had made."))


def _show(facts: dict[str, Any], output: Output) -> None:
    rows = [one | {"details": json.dumps(one["details"], ensure_ascii=False)} for one in facts["acts"]]
    output.table(rows, _LISTED)
    output.say(f"{facts['total']} acts in all.")


def add_to(root: typer.Typer) -> None:
    """Add the group to the command line."""
    root.add_typer(audit)
