"""`wayline journey sessions` and `channels`: visits, and how customers move between channels."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli import numbers, options
from engine.cli.commands.journey.log_options import of_log
from engine.cli.output import Output

if TYPE_CHECKING:
    from engine.workflows.event_logs import LogSource
    from engine.workflows.journey_sessions import Stitch


class Mode(StrEnum):
    """What may be known of an event without a customer."""

    AS_KNOWN = "as_known"
    AS_OF = "as_of"


class Unit(StrEnum):
    """What a journey is."""

    SESSION = "session"
    CUSTOMER = "customer"


Timeout = Annotated[
    str, typer.Option("--timeout", help="The longest pause within a session, such as 30m; a longer one ends it.")
]
StitchOption = Annotated[
    Mode | None,
    typer.Option(
        "--stitch",
        help="Give events without a customer to whom their identifier belongs: as_known at the event's own time, "
        "or as_of the date that is looked from.",
    ),
]
LinksOption = Annotated[
    Path | None,
    typer.Option(
        "--links",
        help="CSV or Parquet of id_type, id_value, customer and perhaps since, until; by default the identities of the "
        "workspace.",
    ),
]
IdType = Annotated[str, typer.Option("--id-type", help="Column of the kind of identifier.")]
IdValue = Annotated[str, typer.Option("--id-value", help="Column of the identifier.")]


@of_log
def sessions(
    source: LogSource,
    *,
    timeout: Timeout = "30m",
    per_channel: Annotated[bool, typer.Option("--per-channel", help="Each channel has sessions of its own.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the sessions to this Parquet file, a row each.")
    ] = None,
    stitch: StitchOption = None,
    links: LinksOption = None,
    id_type: IdType = "id_type",
    id_value: IdValue = "id_value",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show what sessions are like: how many, how long, how many events, in which channels.

    A session goes on over midnight. One whose time-out has not passed yet is open and left out of lengths and shares.

    [bold]Examples[/]

      wayline journey sessions

      wayline journey sessions log.csv --timeout 15m --out sessions.parquet

      wayline journey sessions --stitch as_of --json
    """
    from engine.workflows import journey_sessions as workflow
    from journeys import notation

    question = workflow.SessionQuestion(
        timeout_seconds=notation.seconds(timeout, "--timeout"),
        per_channel=per_channel,
        out=out,
        stitch=_stitch(stitch, links, id_type, id_value),
    )
    output = Output(as_json, quiet)
    output.result(workflow.visits(source, question), lambda facts: _show_sessions(output, facts))


def _show_sessions(output: Output, facts: dict[str, Any]) -> None:
    output.table(
        [_metrics("all", facts), *(_metrics(one["channel"], one) for one in facts["by_first_channel"])], _METRICS
    )
    if facts["open"]:
        output.line(f"{numbers.count(facts['open'])} sessions are open: they count, but their length is not known yet.")
    _show_stitched(output, facts)
    if "written" in facts:
        output.line(f"{numbers.count(facts['written']['sessions'])} sessions written to {facts['written']['file']}.")


_METRICS = (
    "begins_in",
    "sessions",
    "customers",
    "events",
    "median_seconds",
    "ninetieth_seconds",
    "single_event",
    "several_channels",
)


def _metrics(name: str | None, one: dict[str, Any]) -> dict[str, Any]:
    return {
        "begins_in": name or numbers.DASH,
        "sessions": one["sessions"],
        "customers": one["customers"],
        "events": one["events_per_session"],
        "median_seconds": one["median_seconds"],
        "ninetieth_seconds": one["ninetieth_seconds"],
        "single_event": numbers.share(one["single_event_share"]),
        "several_channels": numbers.share(one["several_channels_share"]),
    }


@of_log
def channels(
    source: LogSource,
    *,
    unit: Annotated[
        Unit, typer.Option("--journey", help="A journey is a session, or all of a customer.")
    ] = Unit.SESSION,
    timeout: Timeout = "30m",
    goal: Annotated[str | None, typer.Option("--goal", help="Events that are success, divided by commas.")] = None,
    handover: Annotated[
        str | None,
        typer.Option("--handover", help="Events of the digital step that the branch takes over; * is any."),
    ] = None,
    digital: Annotated[str, typer.Option("--digital", help="The digital channels.")] = "web,app",
    branch: Annotated[str, typer.Option("--branch", help="The channels of the branch.")] = "branch",
    within: Annotated[
        str, typer.Option("--within", help="How long after the digital step the branch counts, such as 14d.")
    ] = "14d",
    stitch: StitchOption = None,
    links: LinksOption = None,
    id_type: IdType = "id_type",
    id_value: IdValue = "id_value",
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show how customers move between channels, whether those who switch succeed, and how the branch takes over.

    [bold]Examples[/]

      wayline journey channels --goal account_opened

      wayline journey channels --journey customer --goal account_opened --handover application_started

      wayline journey channels log.csv --channel touchpoint --json
    """
    from engine.workflows import journey_sessions as workflow
    from journeys import notation, omnichannel

    question = workflow.ChannelQuestion(
        unit=omnichannel.Unit(unit),
        timeout_seconds=notation.seconds(timeout, "--timeout"),
        goal=notation.listed(goal or ""),
        handover_step=notation.listed(handover) if handover else None,
        digital=notation.listed(digital),
        branch=notation.listed(branch),
        within_seconds=notation.seconds(within, "--within"),
        stitch=_stitch(stitch, links, id_type, id_value),
    )
    output = Output(as_json, quiet)
    output.result(workflow.moves(source, question), lambda facts: _show_channels(output, facts))


def _show_channels(output: Output, facts: dict[str, Any]) -> None:
    output.table(facts["matrix"], ("from", "to", "count", "journeys"))
    output.line(
        f"{numbers.count(facts['journeys'])} journeys; {_told(facts['switched'])} switch channels, "
        f"{_told(facts['ping_pong'])} go back to the one just left."
    )
    if facts["success"]:
        success = facts["success"]
        output.line(
            f"Success with a switch {_told(success['with_switch'])}, without {_told(success['without_switch'])}: "
            f"{_apart(success['difference'])}. This is {success['caution']}."
        )
    if facts["handover"]:
        _show_handover(output, facts["handover"])
    _show_stitched(output, facts)


def _show_handover(output: Output, facts: dict[str, Any]) -> None:
    waits = {f"wait, {percent} %": numbers.duration(seconds) for percent, seconds in facts["waits"].items()}
    output.line("")
    output.facts(
        {
            "digital steps": numbers.count(facts["customers"]),
            "too early to tell": numbers.count(facts["too_early"]),
            "finished digitally": _told(facts["finished"]),
            "went on in the branch": _told(facts["continued"]),
            **waits,
            "had to repeat a step": _told(facts["rework"]),
            "reached the goal": _told(facts["converted"]),
            "with a repeat": _told(facts["converted_with_rework"]),
            "without": _told(facts["converted_without_rework"]),
            "difference": f"{_apart(facts['difference'])}; {facts['caution']}",
        },
        title="Hand-over to the branch",
    )


def _told(one: dict[str, Any]) -> str:
    if one["share"] is None:
        return numbers.DASH
    interval = numbers.span(one["low"], one["high"], numbers.share)
    return f"{numbers.share(one['share'])} ({interval}; {numbers.count(one['count'])} of {numbers.count(one['of'])})"


def _apart(one: dict[str, Any]) -> str:
    return f"{numbers.points(one['difference'])} ({numbers.span(one['low'], one['high'], numbers.points)})"


def _show_stitched(output: Output, facts: dict[str, Any]) -> None:
    if facts["stitched"]:
        told = facts["stitched"]
        shared = sum(told["identifiers_shared"].values())
        output.line(
            f"Of {numbers.count(told['events_without_customer'])} events without a customer "
            f"{numbers.count(told['events_joined'])} were joined; {numbers.count(shared)} identifiers are several "
            "customers' at once and join nobody."
        )


def _stitch(mode: Mode | None, links: Path | None, id_type: str, id_value: str) -> Stitch | None:
    from engine.workflows import journey_sessions as workflow
    from journeys import identity

    if mode is None:
        if links is not None:
            raise typer.BadParameter("links are read with --stitch as_known or as_of.", param_hint="--links")
        return None
    return workflow.Stitch(mode=identity.Mode(mode), links=links, id_type=id_type, id_value=id_value)


def add_to(journey: typer.Typer) -> None:
    """Add the commands."""
    for command in (sessions, channels):
        journey.command()(command)
