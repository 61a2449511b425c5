"""`wayline journey transitions`, `variants`, `flows` and `step-matrix`: the ways that customers take."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli import numbers, options
from engine.cli.commands.journey.log_options import of_log
from engine.cli.output import Output

if TYPE_CHECKING:
    from engine.workflows.event_logs import LogSource
    from journeys.paths import Wanted

_SHOWN = 30


class Side(StrEnum):
    """Which part of the history to follow, seen from a step of a funnel."""

    AFTER = "after"
    BEFORE = "before"
    BETWEEN = "between"


Only = Annotated[
    str | None, typer.Option("--only", help="Keep these events alone, divided by commas; * and ? are wildcards.")
]
LeaveOut = Annotated[str | None, typer.Option("--leave-out", help="Leave these events out; * and ? are wildcards.")]
Group = Annotated[
    list[str] | None,
    typer.Option("--group", help="NAME=EVENTS: give events one name, such as loan='loan_*,mortgage_*'; repeatable."),
]
MergeRepeats = Annotated[
    bool, typer.Option("--merge-repeats", help="Count an event that comes again straight after itself once.")
]
SessionGap = Annotated[
    str | None, typer.Option("--session-gap", help="A longer silence begins a new path: 30m, 12h; else one a customer.")
]
From = Annotated[str | None, typer.Option("--from", help="Begin paths at the first of these events.")]
To = Annotated[str | None, typer.Option("--to", help="End paths at the first of these events, after --from.")]
By = Annotated[
    str | None, typer.Option("--by", help="Column whose value at a path's first event puts it into a group.")
]
Places = Annotated[int, typer.Option("--places", min=1, max=1_000, help="How many places of a path to follow.")]


@of_log
def transitions(
    source: LogSource,
    *,
    only: Only = None,
    leave_out: LeaveOut = None,
    group: Group = None,
    merge_repeats: MergeRepeats = False,
    session_gap: SessionGap = None,
    start: From = None,
    end: To = None,
    by: By = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Count which event comes straight after which: how often, for how many customers, how soon.

    (start) and (end) stand for the begin and the end of a path.

    [bold]Examples[/]

      wayline journey transitions log.csv

      wayline journey transitions log.csv --leave-out "page_*" --merge-repeats --by channel

      wayline journey transitions --json | jq '.transitions[] | select(.to == "(end)")'
    """
    from engine.workflows import journey_paths as workflow

    wanted = _wanted(
        only=only,
        leave_out=leave_out,
        group=group,
        merge_repeats=merge_repeats,
        session_gap=session_gap,
        start=start,
        end=end,
        by=by,
    )
    output = Output(as_json, quiet)
    output.result(workflow.transition_graph(source, wanted), lambda facts: _show(output, facts, _transitions))


@of_log
def variants(
    source: LogSource,
    *,
    top: Annotated[int, typer.Option("--top", min=1, help="How many variants to show, the most frequent first.")] = 10,
    only: Only = None,
    leave_out: LeaveOut = None,
    group: Group = None,
    merge_repeats: MergeRepeats = False,
    session_gap: SessionGap = None,
    start: From = None,
    end: To = None,
    by: By = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Rank the different ways that paths run from first to last event, each with how many took it and how long.

    [bold]Examples[/]

      wayline journey variants log.csv --top 20

      wayline journey variants log.csv --only "A_*" --merge-repeats --json | jq .variants
    """
    from engine.workflows import journey_paths as workflow

    wanted = _wanted(
        only=only,
        leave_out=leave_out,
        group=group,
        merge_repeats=merge_repeats,
        session_gap=session_gap,
        start=start,
        end=end,
        by=by,
    )
    output = Output(as_json, quiet)
    output.result(workflow.most_frequent_variants(source, wanted, top), lambda facts: _show(output, facts, _variants))


@of_log
def flow(
    source: LogSource,
    *,
    places: Places = 5,
    top: Annotated[
        int | None, typer.Option("--top", min=1, help="Name so many events a place; the others are (other).")
    ] = None,
    only: Only = None,
    leave_out: LeaveOut = None,
    group: Group = None,
    merge_repeats: MergeRepeats = False,
    session_gap: SessionGap = None,
    start: From = None,
    end: To = None,
    steps: Annotated[
        str | None, typer.Option("--steps", help="Steps of a funnel, as in `wayline journey funnel`; needs --around.")
    ] = None,
    journey: Annotated[
        str | None, typer.Option("--journey", help="The funnel of a journey of the settings instead; needs --around.")
    ] = None,
    window: Annotated[str | None, typer.Option("--window", help="Time that the funnel allows. [14d]")] = None,
    around: Annotated[
        str | None,
        typer.Option("--around", help="STEP:STATUS: the customers behind this count of the funnel, such as 2:dropped."),
    ] = None,
    side: Annotated[Side, typer.Option("--side", help="Follow them after, before or up to that step.")] = Side.AFTER,
    by: By = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Follow paths place by place: what customers do first, second, third, and where they stop.

    [bold]Examples[/]

      wayline journey flow log.csv --from apply --places 4 --top 5

      wayline journey flow log.csv --to complain --places 3

      wayline journey flow log.csv --steps view,apply,open --around 2:dropped
    """
    from engine.domain.errors import SettingsFault
    from engine.workflows import journey_funnel
    from engine.workflows import journey_paths as workflow
    from journeys import flows, notation, spec

    wanted = _wanted(
        only=only,
        leave_out=leave_out,
        group=group,
        merge_repeats=merge_repeats,
        session_gap=session_gap,
        start=start,
        end=end,
        by=by,
    )
    asked = None
    if around is not None:
        if start or end or session_gap:
            raise SettingsFault("--around", ["the step says where paths begin or end: no --from, --to, --session-gap"])
        chosen = journey_funnel.journey_named(source.home, journey) if journey else None
        funnel = notation.funnel(spec.of(chosen) if chosen else None, written=steps, window=window)
        products = chosen.products if chosen else ()
        step, status, in_group = notation.members(around, len(funnel.steps), "--around")
        if in_group is not None:
            raise SettingsFault("--around", [f'"{around}": expected STEP:STATUS; --by makes groups of paths'])
        asked = workflow.Around(funnel=funnel, step=step, status=status, side=flows.Side(side), products=products)
    elif steps or journey or window:
        raise SettingsFault("--around", ["name whose paths to follow, such as --around 2:dropped"])
    output = Output(as_json, quiet)
    answer = workflow.flow(source, wanted, places, around=asked, top=top)
    output.result(answer, lambda facts: _show(output, facts, _flow))


@of_log
def matrix(
    source: LogSource,
    *,
    places: Places = 8,
    centre: Annotated[
        str | None,
        typer.Option("--centre", help="Make the first of these events place 0, instead of the first of all."),
    ] = None,
    before: Annotated[int, typer.Option("--before", min=0, max=1_000, help="Places before the centre.")] = 3,
    only: Only = None,
    leave_out: LeaveOut = None,
    group: Group = None,
    merge_repeats: MergeRepeats = False,
    session_gap: SessionGap = None,
    start: From = None,
    end: To = None,
    by: By = None,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Show what share of the paths is at which event, place by place.

    [bold]Examples[/]

      wayline journey step-matrix log.csv --places 6

      wayline journey step-matrix log.csv --centre complain --before 3 --places 4
    """
    from engine.workflows import journey_paths as workflow
    from journeys import notation

    wanted = _wanted(
        only=only,
        leave_out=leave_out,
        group=group,
        merge_repeats=merge_repeats,
        session_gap=session_gap,
        start=start,
        end=end,
        by=by,
    )
    output = Output(as_json, quiet)
    answer = workflow.matrix(source, wanted, places, centre=notation.listed(centre or ""), before=before)
    output.result(answer, lambda facts: _show(output, facts, _matrix))


def _wanted(
    *,
    only: str | None,
    leave_out: str | None,
    group: list[str] | None,
    merge_repeats: bool,
    session_gap: str | None,
    start: str | None,
    end: str | None,
    by: str | None,
) -> Wanted:
    """Read what the options of every command of paths ask."""
    from journeys import notation
    from journeys.paths import Wanted
    from journeys.patterns import Rewriting

    return Wanted(
        rewriting=Rewriting(
            only=notation.listed(only or ""),
            exclude=notation.listed(leave_out or ""),
            groups=tuple(pair for text in group or () for pair in _grouped(text)),
            merge_repeats=merge_repeats,
        ),
        session_gap_seconds=notation.seconds(session_gap, "--session-gap") if session_gap else None,
        start=notation.listed(start or ""),
        end=notation.listed(end or ""),
        by=by,
    )


def _grouped(text: str) -> list[tuple[str, str]]:
    """Return the patterns of `loan=loan_*,mortgage_*`, each with the name."""
    from engine.domain.errors import SettingsFault
    from journeys import notation

    name, _, events = text.partition("=")
    found = notation.listed(events)
    if not name.strip() or not found:
        raise SettingsFault("--group", [f'"{text}": expected NAME=EVENTS, such as loan=loan_*,mortgage_*'])
    return [(pattern, name.strip()) for pattern in found]


def _show(output: Output, facts: dict[str, Any], show: Any) -> None:
    show(output, facts, "")
    for name, group in (facts["by"] or {}).items():
        output.line("")
        show(output, group, name)


def _transitions(output: Output, facts: dict[str, Any], title: str) -> None:
    edges = facts["transitions"]
    rows = [
        {
            "from": edge["from"],
            "to": edge["to"],
            "count": edge["count"],
            "customers": edge["customers"],
            "of_from": numbers.share(edge["share_out"]),
            "of_to": numbers.share(edge["share_in"]),
            "median_wait": numbers.duration(edge["median_seconds"]),
            "95 %": numbers.duration(edge["p95_seconds"]),
        }
        for edge in edges[:_SHOWN]
    ]
    output.table(rows, list(rows[0]) if rows else (), title=title)
    if len(edges) > _SHOWN:
        output.line(f"and {numbers.count(len(edges) - _SHOWN)} less frequent ones; --json gives all of them.")


def _variants(output: Output, facts: dict[str, Any], title: str) -> None:
    rows = [
        {
            "count": one["count"],
            "share": numbers.share(one["share"]),
            "median_time": numbers.duration(one["median_seconds"]),
            "path": _path(one["path"]),
        }
        for one in facts["top"]
    ]
    output.table(rows, list(rows[0]) if rows else (), title=title)
    output.line(
        f"{numbers.count(facts['cases'])} paths of {numbers.count(facts['variants'])} variants; "
        f"from first to last event {numbers.duration(facts['median_seconds'])} in the median, "
        f"{numbers.duration(facts['mean_seconds'])} in the mean."
    )


def _path(events: list[str]) -> str:
    """Write a path; of a long one, its begin and how many events follow."""
    shown = " > ".join(events[:_SHOWN])
    return shown if len(events) <= _SHOWN else f"{shown} > ... ({numbers.count(len(events) - _SHOWN)} more)"


def _flow(output: Output, facts: dict[str, Any], title: str) -> None:
    following: dict[tuple[int, str], list[str]] = {}
    for link in facts["links"]:
        following.setdefault((link["place"], link["event"]), []).append(
            f"{link['next']} {numbers.count(link['paths'])}"
        )
    rows = [
        {
            "place": node["place"],
            "event": node["event"],
            "reached": node["reached"],
            "went_on": node["went_on"],
            "arrived": node["arrived"],
            "dropped": node["dropped"],
            "next": ", ".join(following.get((node["place"], node["event"]), [])[:3]),
        }
        for node in facts["nodes"]
    ]
    output.table(rows, list(rows[0]) if rows else (), title=title)
    output.line(f"{numbers.count(facts['paths'])} paths; next: the three most frequent.")


def _matrix(output: Output, facts: dict[str, Any], title: str) -> None:
    events = list(dict.fromkeys(row["event"] for place in facts["places"] for row in place["events"]))
    shares = {(place["place"], row["event"]): row["share"] for place in facts["places"] for row in place["events"]}
    places = [place["place"] for place in facts["places"]]
    rows = [
        {"event": event, **{str(place): _cell(shares.get((place, event), 0.0)) for place in places}} for event in events
    ]
    for name, key in (("(not begun)", "not_begun_share"), ("(ended)", "ended_share")):
        rows.append({"event": name, **{str(place["place"]): _cell(place[key]) for place in facts["places"]}})
    output.table(rows, list(rows[0]), title=title)
    output.line(f"{numbers.count(facts['paths'])} paths.")


def _cell(share: float) -> str:
    return numbers.share(share) if share else ""


def add_to(journey: typer.Typer) -> None:
    """Add the commands."""
    journey.command("transitions")(transitions)
    journey.command("variants")(variants)
    journey.command("flow")(flow)
    journey.command("step-matrix")(matrix)
