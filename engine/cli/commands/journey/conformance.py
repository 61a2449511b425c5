"""`wayline journey conformance`: what happened against what was intended."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from engine.cli import numbers, options
from engine.cli.commands.journey.log_options import of_log
from engine.cli.output import Output

if TYPE_CHECKING:
    from engine.workflows.event_logs import LogSource

Steps = Annotated[
    str | None,
    typer.Option("--steps", help="Intended events in order, divided by commas; A|B is either.", show_default=False),
]
Journey = Annotated[
    str | None, typer.Option("--journey", help="Take the steps and the rules of a journey of the settings instead.")
]
Optional = Annotated[list[str] | None, typer.Option("--optional", help="Number of a step one may leave out, or 2,4.")]
Mandatory = Annotated[
    list[str] | None,
    typer.Option("--mandatory", help="X: must come before the last step; X:Y: before Y. Repeatable."),
]
Within = Annotated[
    list[str] | None, typer.Option("--within", help="X:Y:14d: after X comes Y within that time. Repeatable.")
]
Complete = Annotated[
    bool, typer.Option("--complete", help="Every case must run to the last step, instead of as far as it went.")
]
Times = Annotated[bool, typer.Option("--times", help="Tell also how long cases take, where they wait, what is redone.")]
Top = Annotated[int, typer.Option("--top", min=0, help="Cases and findings listed.")]


@of_log
def conformance(
    source: LogSource,
    *,
    steps: Steps = None,
    journey: Journey = None,
    optional: Optional = None,
    mandatory: Mandatory = None,
    within: Within = None,
    complete: Complete = False,
    times: Times = False,
    top: Top = 20,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Hold what happened against the intended journey: skipped steps, wrong order, repeats, broken rules, waits.

    Fitness is 1 where a case went exactly along the steps, and 0 where nothing of it fits.

    [bold]Examples[/]

      wayline journey conformance --journey mortgage

      wayline journey conformance log.csv --steps A_SUBMITTED,A_ACCEPTED,A_APPROVED --complete --times

      wayline journey conformance log.csv --steps APPLY,CHECK,OPEN --mandatory KYC:OPEN --within APPLY:CHECK:2d --json
    """
    from engine.domain.errors import SettingsFault
    from engine.workflows import journey_conformance as workflow
    from engine.workflows.journey_funnel import journey_named
    from journeys import notation

    if (steps is None) == (journey is None):
        raise SettingsFault("--steps", ["name the steps, such as --steps apply,check,open, or a --journey, not both"])
    named = None if journey is None else journey_named(source.home, journey)
    written = notation.whole_numbers("--optional", optional or [])
    question = workflow.Question(
        steps=notation.steps(steps or "", written) if named is None else workflow.steps_of(named),
        journey=named,
        mandatory=tuple(mandatory or ()),
        within=tuple(within or ()),
        complete=complete,
        top=top,
        times=times,
    )
    output = Output(as_json, quiet)
    output.result(workflow.study(source, question), lambda facts: _show(output, facts))


def _show(output: Output, facts: dict[str, Any]) -> None:
    output.facts(
        {
            "cases": numbers.count(facts["cases"]),
            "exactly as intended": _share(facts["conforming"]),
            "reached the last step": _share(facts["completed"]),
            "mean fitness": numbers.number(facts["mean_fitness"]),
        }
    )
    output.line("")
    rows = [
        {
            "step": one["step"],
            "in_place": one["in_place"],
            **{name: _share(one[name]) for name in ("skipped", "wrong_order", "repeated")},
            "extra_events": one["extra_events"],
        }
        for one in facts["steps"]
    ]
    output.table(rows, list(rows[0]))
    if facts["rules"]:
        output.line("")
        _rules(output, facts)
    if "throughput" in facts:
        output.line("")
        _times(output, facts["throughput"])


def _rules(output: Output, facts: dict[str, Any]) -> None:
    rows = [
        {
            "rule": one["text"] or one["rule"],
            "severity": one["severity"],
            "owner": one["owner"],
            "broken": _share(one["breached"]),
            "how": ", ".join(f"{kind} {numbers.count(times)}" for kind, times in one["kinds"].items()),
            "open": one["open"],
        }
        for one in facts["rules"]
    ]
    output.table(rows, list(rows[0]), title="Rules")
    found = facts["findings"]
    if found:
        output.line("")
        listed = [{**one, "rule": one["text_en"] or one["rule"]} for one in found]
        title = f"Findings: {numbers.count(len(found))} of {numbers.count(facts['n_findings'])}"
        output.table(listed, ["rule", "customer_id", "breach", "breached_at"], title=title)


def _times(output: Output, facts: dict[str, Any]) -> None:
    took = facts["duration"]
    marks = took["percentiles_seconds"] or {}
    output.line(
        f"A case takes {numbers.duration(took['mean_seconds'])} on average, median "
        f"{numbers.duration(marks.get('median'))}, 95 of 100 at most {numbers.duration(marks.get('p95'))}."
    )
    rows = [
        {
            "activity": one["activity"],
            "cases": one["cases"],
            "occurrences": one["occurrences"],
            "cases_with_repeats": one["cases_with_repeats"],
            "repeats": one["repeats"],
            "days_waited": one["waiting"]["total_days"],
            "waiting_share": one["waiting_share"],
            "median_wait_seconds": (one["waiting"]["percentiles_seconds"] or {}).get("median"),
            "median_service_seconds": (one["service"]["percentiles_seconds"] or {}).get("median"),
        }
        for one in facts["activities"]
        if one["occurrences"]
    ]
    output.table(rows, list(rows[0]) if rows else (), title="Where cases wait: most days first")


def _share(facts: dict[str, Any]) -> str:
    if facts["share"] is None:
        return numbers.DASH
    span = numbers.span(facts["lower"], facts["upper"], numbers.share)
    return f"{numbers.count(facts['count'])} ({numbers.share(facts['share'])}; {span})"


def add_to(journey: typer.Typer) -> None:
    """Add the command."""
    journey.command()(conformance)
