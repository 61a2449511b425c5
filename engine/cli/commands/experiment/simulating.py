"""`wayline experiment simulate`: what a plan does to experiments whose truth is known."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from typing import Annotated, Any

import typer

from engine.cli import numbers, options
from engine.cli.commands.experiment.past_units import (
    Baseline,
    Cluster,
    Covariates,
    Deviation,
    File,
    Looks,
    Metric,
    Named,
    RatioOf,
    Relative,
    Spending,
    SpendingOf,
    days_of,
    history_of,
    kind_of,
    looks_of,
    weights_of,
)
from engine.cli.output import Output

EffectSize = Annotated[
    float | None, typer.Option("--effect", help="Also simulate this effect, variant - control, and tell the power.")
]
R2 = Annotated[float, typer.Option("--covariate-r2", help="Share of variance that a covariate takes out.")]
ClusterSize = Annotated[int, typer.Option("--cluster-size", help="Units per randomised cluster.")]
Icc = Annotated[float, typer.Option("--icc", help="Correlation of two units of a cluster.")]
Units = Annotated[int, typer.Option("--units", help="Units of each experiment, all arms together.")]
Experiments = Annotated[int, typer.Option("--experiments", help="How many experiments.")]
Weights = Annotated[str | None, typer.Option("--weights", help="Planned split, control first: A=0.5,B=0.5.")]
RealWeights = Annotated[
    str | None, typer.Option("--real-weights", help="The split that really happens, where assignment has a fault.")
]
Days = Annotated[int, typer.Option("--days", help="Days over which the units come in.")]
Maturity = Annotated[str | None, typer.Option("--maturity", help="How long until a unit's value is known: 30d, 8w.")]
Exposed = Annotated[float, typer.Option("--exposed", help="Share of those assigned who are exposed.")]
Alpha = Annotated[float, typer.Option("--alpha", help="Share of false alarms accepted.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="The same seed, the same answer.")]


def simulate(
    *,
    file: File = None,
    metric: Metric = None,
    ratio: RatioOf = None,
    covariate: Covariates = None,
    cluster: Cluster = None,
    encoding: options.Encoding = None,
    baseline: Baseline = None,
    deviation: Deviation = None,
    effect: EffectSize = None,
    relative: Relative = False,
    covariate_r2: R2 = 0.0,
    cluster_size: ClusterSize = 1,
    icc: Icc = 0.0,
    units: Units = 2_000,
    experiments: Experiments = 2_000,
    weights: Weights = None,
    real_weights: RealWeights = None,
    days: Days = 1,
    maturity: Maturity = None,
    exposed: Exposed = 1.0,
    looks: Looks = None,
    spending: SpendingOf = Spending.OBRIEN_FLEMING,
    alpha: Alpha = 0.05,
    seed: Seed = 0,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Simulate whole experiments, without and with an effect: false alarms, coverage and power with their intervals.

    [bold]Examples[/]

      wayline experiment simulate --metric proportion --baseline 0.2 --units 2182 --effect 0.05

      wayline experiment simulate --metric mean --baseline 50 --sd 80 --days 28 --looks daily --json

      wayline experiment simulate past.csv --metric spend:mean --covariate spend_before --units 5000
    """
    from engine.workflows import experiment_simulate as workflow

    output = Output(as_json, quiet)
    named = Named(metric=metric, ratio=ratio, covariates=covariate or (), cluster=cluster, encoding=encoding)
    history = history_of(file, named, home)
    question = workflow.Question(
        kind=kind_of(metric) if history is None else None,
        baseline=baseline,
        standard_deviation=deviation,
        history=history,
        covariate_r2=covariate_r2,
        cluster_size=cluster_size,
        icc=icc,
        effect=effect,
        relative=relative,
        units=units,
        experiments=experiments,
        weights=None if weights is None else weights_of(weights),
        real_weights=None if real_weights is None else weights_of(real_weights),
        days=days,
        maturity_days=days_of(maturity, "--maturity"),
        exposed_rate=exposed,
        looks=looks_of(looks, spending, days),
        alpha=alpha,
        seed=seed,
        home=home,
    )
    output.result(workflow.make(question), lambda facts: _show(output, facts))


def _show(output: Output, facts: dict[str, Any]) -> None:
    found = facts["false_positives"]
    rows = [
        _row("false alarms", found),
        _row("intervals that cover the truth", facts["coverage"]),
        _row("withheld by the check of the split", facts["withheld"]),
    ]
    injected = facts["injected"]
    if injected is not None:
        rows += [
            _row("power", injected["power"]),
            _row("called in the wrong direction", injected["wrong_direction"]),
            _row("intervals that cover the effect", injected["coverage"]),
        ]
    title = f"{numbers.count(facts['experiments'])} experiments of {numbers.count(facts['units'])} units"
    output.table(rows, ("what", "rate", "99 % interval", "count", "of"), title=title)
    output.line(found["sentence"])
    if injected is not None and injected["mean_day"] is not None:
        output.line(f"With the effect they end on day {injected['mean_day']:.1f} on average.")


def _row(what: str, share: dict[str, Any]) -> dict[str, Any]:
    return {
        "what": what,
        "rate": numbers.share(share["rate"], 2),
        "99 % interval": numbers.span(share["lower"], share["upper"], lambda value: numbers.share(value, 2)),
        "count": share["count"],
        "of": share["of"],
    }


def add_to(experiment: typer.Typer) -> None:
    """Add the command."""
    experiment.command()(simulate)
