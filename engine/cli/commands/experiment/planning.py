"""`wayline experiment plan`: how many units, how small an effect, how long."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from engine.cli import faults, numbers, options
from engine.cli.commands.experiment.past_units import (
    Baseline,
    Cluster,
    Covariates,
    Deviation,
    File,
    LookDays,
    Looks,
    Metric,
    Named,
    RatioOf,
    Relative,
    Spending,
    SpendingOf,
    Time,
    days_of,
    history_of,
    kind_of,
    looks_of,
    weights_of,
)
from engine.cli.output import Output


class Correction(StrEnum):
    """How several comparisons share the error."""

    NONE = "none"
    HOLM = "holm"
    DUNNETT = "dunnett"


class Spread(StrEnum):
    """Whose spread an arm is given."""

    EACH = "each"
    CONTROL = "control"


Like = Annotated[str | None, typer.Option("--like", help="An experiment of the current run, to plan from its control.")]
EffectSize = Annotated[float | None, typer.Option("--effect", help="Smallest effect that matters: variant - control.")]
Power = Annotated[float, typer.Option("--power", help="Probability that the effect is found.")]
Alpha = Annotated[float, typer.Option("--alpha", help="Share of false alarms accepted; one-sided with a margin.")]
Weights = Annotated[str | None, typer.Option("--weights", help="Planned split, control first: A=0.5,B=0.5.")]
Decrease = Annotated[bool, typer.Option("--decrease", help="Less is better.")]
Margin = Annotated[float | None, typer.Option("--margin", help="Show that it is not worse by this (non-inferiority).")]
R2 = Annotated[float | None, typer.Option("--covariate-r2", help="Share of variance that covariates take out.")]
ClusterSize = Annotated[float | None, typer.Option("--cluster-size", help="Units per randomised cluster.")]
ClusterSpread = Annotated[float, typer.Option("--cluster-spread", help="Standard deviation of that, as a share of it.")]
Icc = Annotated[float | None, typer.Option("--icc", help="Correlation of two units of a cluster.")]
Metrics = Annotated[int, typer.Option("--metrics", help="Goals that share the error.")]
CorrectionOf = Annotated[Correction, typer.Option("--correction", help="How several comparisons share the error.")]
SpreadOf = Annotated[Spread, typer.Option("--spread", help="each arm's own, or control's for both as calculators do.")]
Units = Annotated[int | None, typer.Option("--units", help="Units of all arms: what can be found with them?")]
Days = Annotated[int | None, typer.Option("--days", help="Days it may take, until the last unit has matured.")]
Traffic = Annotated[float | None, typer.Option("--traffic-per-day", help="Units of all arms that come in a day.")]
Maturity = Annotated[str | None, typer.Option("--maturity", help="How long until a unit's value is known: 30d, 8w.")]


def plan(
    *,
    file: File = None,
    metric: Metric = None,
    ratio: RatioOf = None,
    covariate: Covariates = None,
    cluster: Cluster = None,
    time: Time = None,
    encoding: options.Encoding = None,
    like: Like = None,
    baseline: Baseline = None,
    deviation: Deviation = None,
    effect: EffectSize = None,
    relative: Relative = False,
    power: Power = 0.8,
    alpha: Alpha = 0.05,
    weights: Weights = None,
    decrease: Decrease = False,
    margin: Margin = None,
    covariate_r2: R2 = None,
    cluster_size: ClusterSize = None,
    cluster_spread: ClusterSpread = 0.0,
    icc: Icc = None,
    looks: Looks = None,
    spending: SpendingOf = Spending.OBRIEN_FLEMING,
    look_days: LookDays = 28,
    metrics: Metrics = 1,
    correction: CorrectionOf = Correction.HOLM,
    spread: SpreadOf = Spread.EACH,
    units: Units = None,
    days: Days = None,
    traffic_per_day: Traffic = None,
    maturity: Maturity = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Plan an experiment: give an effect to learn the units and days, or units to learn the effect; exit 3 if too long.

    [bold]Examples[/]

      wayline experiment plan --metric proportion --baseline 0.2 --effect 0.05

      wayline experiment plan --metric mean --baseline 50 --sd 80 --effect 0.03 --relative --covariate-r2 0.4
      --looks daily --traffic-per-day 2000 --maturity 30d

      wayline experiment plan past.csv --metric spend:mean --covariate spend_before --units 20000 --json
    """
    from engine.workflows import experiment_plan as workflow

    output = Output(as_json, quiet)
    named = Named(metric=metric, ratio=ratio, covariates=covariate or (), cluster=cluster, time=time, encoding=encoding)
    history = history_of(file, named, home)
    question = workflow.Question(
        kind=kind_of(metric) if history is None and like is None else None,
        baseline=baseline,
        standard_deviation=deviation,
        history=history,
        like=like,
        like_metric=metric if like is not None else None,
        effect=effect,
        relative=relative,
        power=power,
        alpha=alpha,
        weights=None if weights is None else weights_of(weights),
        direction="decrease" if decrease else "increase",
        margin=margin,
        covariate_r2=covariate_r2,
        cluster_size=cluster_size,
        cluster_spread=cluster_spread,
        icc=icc,
        looks=looks_of(looks, spending, look_days),
        metrics=metrics,
        correction=correction.value,
        spread=spread.value,
        units=units,
        days=days,
        units_per_day=traffic_per_day,
        maturity_days=days_of(maturity, "--maturity"),
        home=home,
        say=output.say,
    )
    found = workflow.make(question)
    output.result(found, lambda facts: _show(output, facts))
    if not found["can_be_met"]:
        raise typer.Exit(faults.CHECK_FAILED)


def _show(output: Output, facts: dict[str, Any]) -> None:
    share = facts["kind"] == "proportion"
    level = numbers.share if share else numbers.number
    change = numbers.points if share else numbers.number
    base = f"{level(facts['baseline'])} ({facts['source']})"
    if facts["units"] is None:
        output.facts({"baseline": base}, title="No plan")
        output.line(facts["why"])
        return
    effect = change(facts["effect"])
    if facts["relative_effect"] is not None:
        effect += f" ({numbers.share(facts['relative_effect'], 2)} of control)"
    margin = (
        None
        if facts["margin"] is None
        else numbers.share(facts["margin"])
        if facts["relative"]
        else change(facts["margin"])
    )
    rows = {
        "baseline": base,
        "effect": effect,
        **({} if margin is None else {"margin": f"{margin} {'of control' if facts['relative'] else ''}".rstrip()}),
        "power": numbers.share(facts["power"]),
        "units": numbers.count(facts["units"]),
        "units by arm": ", ".join(f"{arm} {numbers.count(n)}" for arm, n in facts["units_by_arm"].items()),
    }
    if facts["clusters_by_arm"] is not None:
        rows["clusters by arm"] = ", ".join(f"{arm} {numbers.count(n)}" for arm, n in facts["clusters_by_arm"].items())
        rows["design effect"] = numbers.number(facts["design_effect"])
    if facts["variance_removed"]:
        rows["variance removed"] = numbers.share(facts["variance_removed"])
    if facts["looks"] is not None:
        rows["looks"] = f"{len(facts['looks']['information'])}, {numbers.count(facts['expected_units'])} units expected"
    if facts["days"] is not None:
        rows["days"] = f"{facts['enrolment_days']} to enrol + {facts['maturity_days']} to mature = {facts['days']}"
    titles = {"units": "Units needed", "effect": "Smallest effect found", "power": "Power"}
    output.facts(rows, title=titles[facts["solved_for"]])
    if facts["why"]:
        output.line(facts["why"])
    for note in facts["notes"]:
        output.line(note)


def add_to(experiment: typer.Typer) -> None:
    """Add the command."""
    experiment.command()(plan)
