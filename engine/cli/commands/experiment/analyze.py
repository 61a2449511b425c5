"""`wayline experiment analyze`: an experiment out of a file with one row per unit."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from engine.cli import faults, numbers, options
from engine.cli.commands.experiment.past_units import weights_of
from engine.cli.output import Output
from engine.cli.plain import plain

_KINDS: Final = ("proportion", "mean")

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
        metavar="FILE", help="CSV or Parquet (a file or a folder), plain, .gz or .zip; a row for each unit."
    ),
]
Unit = Annotated[
    str | None,
    typer.Option("--unit", help="Column of the unit, such as the customer; without it every row is a unit of its own."),
]
Variant = Annotated[str, typer.Option("--variant", help="Column of the arm that the unit was in.")]
Control = Annotated[str, typer.Option("--control", help="The arm that the others are compared with.")]
Metrics = Annotated[
    list[str] | None,
    typer.Option("--metric", help="COL:proportion (0 or 1, true or false) or COL:mean; repeatable."),
]
Ratios = Annotated[
    list[str] | None,
    typer.Option("--ratio", help="NUM/DEN: the sum of one column by the sum of the other; repeatable."),
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
Decrease = Annotated[list[str] | None, typer.Option("--decrease", help="Metric of which less is better; repeatable.")]
Guardrails = Annotated[
    list[str] | None,
    typer.Option(
        "--guardrail",
        help="METRIC or METRIC=SHARE: must not get worse, or not by this share of control's value; repeatable.",
    ),
]
Alpha = Annotated[float, typer.Option("--alpha", help="Share of false alarms accepted; intervals cover 1 - alpha.")]
OneLook = Annotated[
    bool,
    typer.Option("--one-look", help="Judge as for one look at the planned end; else the verdict holds at any time."),
]
ShowWithheld = Annotated[
    bool, typer.Option("--show-withheld", help="Show numbers that a failed check withholds; do not decide on them.")
]
Encoding = Annotated[
    str | None,
    typer.Option("--encoding", help="Encoding of a CSV file, such as gb18030; by default as its bytes tell."),
]
Report = Annotated[
    Path | None,
    typer.Option("--report", help="Write the report to this .html, .md or .json file: what was found, and how."),
]
Lang = Annotated[options.Language, typer.Option("--lang", help="English or Chinese, for the report.")]


def analyze(
    *,
    file: File,
    variant: Variant,
    control: Control,
    unit: Unit = None,
    metric: Metrics = None,
    ratio: Ratios = None,
    covariate: Covariates = None,
    segment: Segments = None,
    stratum: Stratum = None,
    cluster: Cluster = None,
    weights: Weights = None,
    decrease: Decrease = None,
    guardrail: Guardrails = None,
    alpha: Alpha = 0.05,
    one_look: OneLook = False,
    show_withheld: ShowWithheld = False,
    encoding: Encoding = None,
    report: Report = None,
    lang: Lang = options.Language.EN,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Analyse an experiment out of a file: checks first, then each metric; exit with 3 when a check stops it.

    [bold]Examples[/]

      wayline experiment analyze test.csv --unit client_id --variant arm --control old --metric completed:proportion

      wayline experiment analyze test.parquet --unit id --variant arm --control A --weights A=0.9,B=0.1
      --metric spend:mean --ratio revenue/orders --covariate spend_before --segment region --json

      wayline experiment analyze test.csv --variant arm --control old --metric completed:proportion --report test.html
    """
    from engine.workflows import experiment_analyze as workflow

    if report is not None:
        from engine.workflows import experiment_report

        experiment_report.format_of(report)  # a name that cannot be used is told before the file is read
    output = Output(as_json, quiet)
    question = workflow.Question(
        path=file,
        unit=unit,
        variant=variant,
        control=control,
        metrics=[_metric(text) for text in metric or ()],
        ratios=[_ratio(text) for text in ratio or ()],
        covariates=tuple(dict.fromkeys(covariate or ())),
        segments=tuple(dict.fromkeys(segment or ())),
        stratum=stratum,
        cluster=cluster,
        weights=None if weights is None else weights_of(weights),
        decrease=tuple(decrease or ()),
        guardrails=dict(_guardrail(text) for text in guardrail or ()),
        alpha=alpha,
        one_look=one_look,
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


def _metric(text: str) -> tuple[str, str]:
    column, _, kind = text.rpartition(":")
    if not column or kind not in _KINDS:
        raise typer.BadParameter(f'"{text}" names no metric. Write COL:proportion or COL:mean.', param_hint="--metric")
    return column, kind


def _ratio(text: str) -> tuple[str, str]:
    above, _, below = text.partition("/")
    if not above or not below:
        raise typer.BadParameter(f'"{text}" is no ratio. Write NUM/DEN, two columns.', param_hint="--ratio")
    return above, below


def _guardrail(text: str) -> tuple[str, float | None]:
    name, sign, margin = text.rpartition("=")
    if not sign:
        return text, None
    return name, _number(margin, text, "--guardrail", "Write METRIC, or METRIC=0.02 for 2 % of control's value.")


def _number(part: str, text: str, option: str, how: str) -> float:
    try:
        return float(part)
    except ValueError:
        raise typer.BadParameter(f'"{text}" cannot be read. {how}', param_hint=option) from None


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
    output.line(" ".join([facts["decision"]["headline"], *facts["decision"]["reasons"]]))


def _readable(one: dict[str, Any], effect: dict[str, Any]) -> dict[str, Any]:
    is_share = one["kind"] == "proportion"
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
