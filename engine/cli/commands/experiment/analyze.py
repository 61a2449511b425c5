"""`wayline experiment analyze`: an experiment out of a file with one row per unit, or of two logs."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from engine.cli import faults, numbers, options
from engine.cli.commands.experiment import measures
from engine.cli.commands.experiment.past_units import days_of, weights_of
from engine.cli.output import Output
from engine.cli.plain import plain

if TYPE_CHECKING:
    from engine.workflows.experiment_question import EventLog

_RESULTS: Final = (
    "metric",
    "variant",
    "control_n",
    "variant_n",
    "control_value",
    "variant_value",
    "difference",
    "interval",
    "relative",
    "relative_interval",
    "p_value",
)
_EFFECT: Final = ("metric", "variant", "difference", "interval", "relative", "relative_interval", "p_value")
_TITLES: Final = {
    "any_time": "Judged so that it holds however often it is looked at, corrected for the number of comparisons",
    "planned": "Judged by the plan of looks, corrected for the number of comparisons",
    "fixed": "Judged at one look, corrected for the number of comparisons",
}

File = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        help="CSV or Parquet (a file or a folder), plain, .gz or .zip; a row for each unit, or with --events the log "
        "of exposures.",
    ),
]
Unit = Annotated[
    str | None,
    typer.Option("--unit", help="Column of the unit, such as the customer; without it every row is a unit of its own."),
]
Variant = Annotated[
    str | None, typer.Option("--variant", help='Column of the arm that the unit was in; with --spec "variant".')
]
Control = Annotated[str | None, typer.Option("--control", help="The arm that the others are compared with.")]
Spec = Annotated[
    Path | None,
    typer.Option("--spec", help="TOML file of the whole plan, as of [[experiments]]; then it says what is asked."),
]
FirstLook = Annotated[
    Path | None,
    typer.Option("--first-look", help="The JSON answer of the first look; a plan that was changed since is told."),
]
Covariates = Annotated[
    list[str] | None,
    typer.Option(
        "--covariate", help="Column of numbers known before the start; results are adjusted by it; repeatable."
    ),
]
Segments = Annotated[
    list[str] | None, typer.Option("--segment", help="Column by whose values results are shown; repeatable.")
]
Stratum = Annotated[
    str | None, typer.Option("--stratum", help="Column of groups known before the start, within which arms compare.")
]
Cluster = Annotated[
    str | None,
    typer.Option("--cluster", help="Column of what was randomised, where that has several rows, such as a household."),
]
Weights = Annotated[
    str | None, typer.Option("--weights", help="The planned split, such as A=0.5,B=0.5; by default equal parts.")
]
Alpha = Annotated[
    float | None,
    typer.Option("--alpha", help="Share of false alarms accepted, by default 0.05; intervals cover 1 - alpha."),
]
Events = Annotated[
    Path | None,
    typer.Option("--events", help="The log of events: unit, event, time and perhaps value; FILE is that of exposures."),
]
ExposedAt = Annotated[
    str | None, typer.Option("--exposed-at", help="Column of the time of an exposure; by default as its name tells.")
]
Event = Annotated[str | None, typer.Option("--event", help="Column of the name of an event; by default as it tells.")]
Time = Annotated[str | None, typer.Option("--time", help="Column of the time of an event; by default as it tells.")]
Value = Annotated[str | None, typer.Option("--value", help="Column of an event's amount; by default value or amount.")]
Arrived = Annotated[str | None, typer.Option("--arrived", help="Column of the time at which an event came in.")]
Zone = Annotated[str | None, typer.Option("--zone", help="Zone of times without an offset; by default UTC.")]
Window = Annotated[
    str | None, typer.Option("--window", help="Time after exposure within which events count, such as 30d or 2w.")
]
Activation = Annotated[
    str | None, typer.Option("--activation", help="Event from whose first time after exposure on a unit counts.")
]
AsOf = Annotated[
    str | None,
    typer.Option("--as-of", help="Look from this date or instant; by default from the latest row of the logs."),
]
OneLook = Annotated[
    bool,
    typer.Option("--one-look", help="Judge as for one look at the planned end; else the verdict holds at any time."),
]
ShowWithheld = Annotated[
    bool, typer.Option("--show-withheld", help="Show numbers that a failed check withholds; do not decide on them.")
]
Report = Annotated[
    Path | None,
    typer.Option("--report", help="Write the report to this .html, .md or .json file: what was found, and how."),
]
Lang = Annotated[options.Language, typer.Option("--lang", help="English or Chinese, for the report.")]


def analyze(
    *,
    file: File,
    variant: Variant = None,
    control: Control = None,
    unit: Unit = None,
    spec: Spec = None,
    first_look: FirstLook = None,
    metric: measures.Metrics = None,
    ratio: measures.Ratios = None,
    time_to_event: measures.Times = None,
    retention: measures.Retentions = None,
    composite: measures.Composites = None,
    cap: measures.Caps = None,
    nulls: measures.Nulls_ = None,
    decrease: measures.Decrease = None,
    guardrail: measures.Guardrails = None,
    covariate: Covariates = None,
    segment: Segments = None,
    stratum: Stratum = None,
    cluster: Cluster = None,
    weights: Weights = None,
    alpha: Alpha = None,
    one_look: OneLook = False,
    events: Events = None,
    exposed_at: ExposedAt = None,
    event: Event = None,
    time: Time = None,
    value: Value = None,
    arrived: Arrived = None,
    zone: Zone = None,
    window: Window = None,
    activation: Activation = None,
    as_of: AsOf = None,
    show_withheld: ShowWithheld = False,
    encoding: options.Encoding = None,
    report: Report = None,
    lang: Lang = options.Language.EN,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Analyse an experiment in a file or in two logs: checks first, then each metric; exit with 3 when one stops it.

    [bold]Examples[/]

      wayline experiment analyze test.csv --unit client_id --variant arm --control old --metric completed:proportion

      wayline experiment analyze test.parquet --unit id --variant arm --control A --weights A=0.9,B=0.1
      --metric spend:mean --ratio revenue/orders --covariate spend_before --segment region --json

      wayline experiment analyze test.csv --variant arm --control old --metric completed:proportion --report test.html

      wayline experiment analyze loans.csv --variant arm --control old --time-to-event days/defaulted:180
      --metric margin:mean --cap margin=p99 --metric wait:p95

      wayline experiment analyze exposures.csv --events events.csv --variant arm --control old
      --metric purchase:proportion --window 30d

      wayline experiment analyze test.csv --variant arm --spec plan.toml --json
    """
    from engine.workflows import experiment_analyze as workflow
    from engine.workflows.experiment_question import Question

    if report is not None:
        from engine.workflows import experiment_report

        experiment_report.format_of(report)  # a name that cannot be used is told before the file is read
    output = Output(as_json, quiet)
    log = {
        "--exposed-at": exposed_at,
        "--event": event,
        "--time": time,
        "--value": value,
        "--arrived": arrived,
        "--zone": zone,
        "--window": window,
        "--activation": activation,
    }
    question = Question(
        path=file,
        unit=unit,
        variant=variant,
        control=control,
        spec=spec,
        first_look=first_look,
        events=_log(events, log),
        measures=measures.measures_of(
            metric=metric,
            ratio=ratio,
            time_to_event=time_to_event,
            retention=retention,
            composite=composite,
            cap=cap,
            nulls=nulls,
            decrease=decrease,
            guardrail=guardrail,
        ),
        covariates=tuple(dict.fromkeys(covariate or ())),
        segments=tuple(dict.fromkeys(segment or ())),
        stratum=stratum,
        cluster=cluster,
        weights=None if weights is None else weights_of(weights),
        alpha=alpha,
        one_look=one_look,
        as_of=options.instant(as_of, "--as-of"),
        show_withheld=show_withheld,
        encoding=encoding,
        home=home,
        say=output.say,
    )
    found = workflow.analyze(question)
    if report is not None:
        made = experiment_report.write(plain(found), report, language=lang.value, show_withheld=show_withheld)
        output.say(f"The report is in {made}.")
    output.result(found, lambda facts: _show(output, facts))
    if any(check["status"] == "stop" for check in plain(found)["health"]):
        raise typer.Exit(faults.CHECK_FAILED)


def _log(path: Path | None, columns: dict[str, str | None]) -> EventLog | None:
    """Return the log of events; None without one, which then may not have columns either."""
    from engine.workflows.experiment_question import EventLog

    if path is None:
        for option, value in columns.items():
            if value is not None:
                raise typer.BadParameter("it is about a log of events; name that with --events.", param_hint=option)
        return None
    return EventLog(
        path=path,
        exposed_at=columns["--exposed-at"],
        event=columns["--event"],
        time=columns["--time"],
        value=columns["--value"],
        arrived=columns["--arrived"],
        zone=columns["--zone"],
        window_days=days_of(columns["--window"], "--window") or None,
        activation=columns["--activation"],
    )


def _show(output: Output, facts: dict[str, Any]) -> None:
    output.table(facts["health"], ("check", "status", "p_value", "detail"), title="Checks")
    output.line("")
    output.table([_readable(one, one) for one in facts["metrics"]], _RESULTS, title="Results, for one look at the end")
    adjusted = [_readable(one, one["adjusted"]) for one in facts["metrics"] if one["adjusted"]]
    if adjusted:
        output.line("")
        output.table(adjusted, _EFFECT, title="Adjusted by what was known before")
    output.line("")
    output.table(
        [_readable(one, one["now"]) | {"verdict": one["verdict"].replace("_", " ")} for one in facts["metrics"]],
        (*_EFFECT, "verdict"),
        title=_TITLES[facts["looks"]],
    )
    for one in facts["metrics"]:
        for broken in one.get("segments", ()):
            output.line("")
            rows = [{"of": part["of"], **_readable(one | part, part)} for part in broken["values"]]
            test, title = broken["interaction"], f"{one['metric']} of {one['variant']} by {broken['segment']}"
            output.table(rows, ("of", *_RESULTS[2:]), title=title)
            told = numbers.cell("p_value", test["adjusted_p_value"])
            output.line(f"Whether these differ: {test.get('why') or f'p = {told}, corrected for the columns'}.")
    for why in dict.fromkeys(one["why"] for one in facts["metrics"] if "why" in one):
        output.line(why)
    output.line("")
    output.line(" ".join([facts["decision"]["headline"] + ".", *facts["decision"]["reasons"]]))


def _readable(one: dict[str, Any], effect: dict[str, Any]) -> dict[str, Any]:
    is_share = one["kind"] in ("proportion", "retention", "time_to_event")
    level = numbers.share if is_share else numbers.number
    change = numbers.points if is_share else numbers.number
    lower, upper = effect["absolute"]["interval"] or (None, None)
    low, high = effect["relative"]["interval"] or (None, None)
    return {
        "metric": one["metric"],
        "variant": one["variant"],
        "control_n": one["n"][one["control"]],
        "variant_n": one["n"][one["variant"]],
        "control_value": level(one["value"][one["control"]]),
        "variant_value": level(one["value"][one["variant"]]),
        "difference": change(effect["absolute"]["difference"]),
        "interval": numbers.span(lower, upper, change),
        "relative": numbers.share(effect["relative"]["lift"]),
        "relative_interval": numbers.span(low, high, numbers.share),
        "p_value": effect["absolute"]["p_value"],
    }


def add_to(experiment: typer.Typer) -> None:
    """Add the command."""
    experiment.command()(analyze)
