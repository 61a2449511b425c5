"""`wayline experiment off-policy`: what another policy would have brought, from a log with propensities."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from engine.cli import numbers, options
from engine.cli.output import Output

_NAMES: Final = {
    "ips": "weighted (IPS)",
    "snips": "weighted, self-normalised (SNIPS)",
    "doubly_robust": "predicted and corrected (DR)",
    "adaptive_aipw": "adaptively weighted (AIPW)",
}

_SHOWN: Final = ("method", "value", "interval", "gain", "gain_interval")

File = Annotated[
    Path,
    typer.Argument(metavar="FILE", help="The log: CSV or Parquet, plain, .gz or .zip; a row for each decision."),
]
Action = Annotated[str, typer.Option("--action", help="Column of the action that was taken.")]
Reward = Annotated[str, typer.Option("--reward", help="Column of what followed, a number; empty if still open.")]
Propensity = Annotated[str, typer.Option("--propensity", help="Column of the chance that the action had, above 0.")]
Policy = Annotated[
    str | None,
    typer.Option("--policy", help="Column of the action that the new policy takes; without, each action to all."),
]
PolicyPropensity = Annotated[
    str | None,
    typer.Option("--policy-propensity", help="Column of the chance that the new policy takes the action of the row."),
]
Model = Annotated[
    list[str] | None,
    typer.Option("--model", help="Column known before the decision, to predict rewards from; repeatable."),
]
Batch = Annotated[
    str | None, typer.Option("--batch", help="Column of the batches, where shares followed what had been seen.")
]
Unit = Annotated[
    str | None, typer.Option("--unit", help="Column of the unit, where some have several decisions, such as customers.")
]
Control = Annotated[
    str | None, typer.Option("--control", help="The action that the others are compared with, by adaptive weights.")
]
Clip = Annotated[float | None, typer.Option("--clip", help="The largest weight of a decision; by default none is cut.")]
Alpha = Annotated[float, typer.Option("--alpha", help="Intervals cover 1 - alpha.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="By it rows are split in folds for the model.")]


def off_policy(
    *,
    file: File,
    action: Action,
    reward: Reward,
    propensity: Propensity,
    policy: Policy = None,
    policy_propensity: PolicyPropensity = None,
    model: Model = None,
    batch: Batch = None,
    unit: Unit = None,
    control: Control = None,
    clip: Clip = None,
    alpha: Alpha = 0.05,
    seed: Seed = 7,
    encoding: options.Encoding = None,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Say what another policy would have brought, without trying it, and how far the log can tell.

    [bold]Examples[/]

      wayline experiment off-policy log.csv --action offer --reward opened --propensity chance

      wayline experiment off-policy log.csv --action offer --reward margin --propensity chance --policy new_offer
      --model age --model region --unit customer --json

      wayline experiment off-policy log.csv --action arm --reward opened --propensity propensity --batch batch
      --control A
    """
    from engine.workflows import experiment_off_policy as workflow

    output = Output(as_json, quiet)
    question = workflow.Question(
        path=file,
        action=action,
        reward=reward,
        propensity=propensity,
        policy=policy,
        policy_propensity=policy_propensity,
        model=tuple(model or ()),
        batch=batch,
        unit=unit,
        control=control,
        clip=clip,
        alpha=alpha,
        seed=seed,
        encoding=encoding,
        home=home,
    )
    output.result(workflow.evaluate(question), lambda facts: show(output, facts))


def show(output: Output, facts: dict[str, Any]) -> None:
    """Show what a log speaks of: each policy by every method, how far it counts, and warnings."""
    logged = facts["logged"]
    span = _span(logged["interval"])
    output.line(f"What was logged brought {numbers.number(logged['value'])} a decision ({span}).")
    for one in facts["policies"]:
        output.line("")
        output.table(
            [_row(row) for row in one["estimates"]],
            ("method", "value", "interval", "gain", "gain_interval"),
            title=one["policy"],
        )
        for row in one["estimates"]:
            if "why" in row:
                output.line(f"{_NAMES[row['method']]}: {row['why']}.")
        found = one["overlap"]
        output.line(
            f"Effective decisions: {numbers.number(round(found['effective_n']))} of {numbers.count(found['n'])}."
        )
        for warning in one["warnings"]:
            output.line(f"Warning: {warning}")
    if "contrasts" in facts:
        output.line("")
        rows = [row | {"interval": _span(row["interval"])} for row in facts["contrasts"]]
        output.table(rows, ("action", "control", "difference", "interval", "p_value", "why"), title="Compared")
    output.line("")
    _show_counts(output, facts["counts"])
    for note in facts["notes"]:
        output.line(note)


def _row(row: dict[str, Any]) -> dict[str, Any]:
    gain = row.get("gain") or {"value": None, "interval": None}
    return {
        "method": _NAMES[row["method"]],
        "value": row["value"],
        "interval": _span(row["interval"]),
        "gain": gain["value"],
        "gain_interval": _span(gain["interval"]),
    }


def _span(interval: list[float] | None) -> str:
    lower, upper = interval or (None, None)
    return numbers.span(lower, upper, numbers.number)


def _show_counts(output: Output, counts: dict[str, int]) -> None:
    output.line(f"{numbers.count(counts['used'])} of {numbers.count(counts['rows'])} rows count.")
    left = {name: n for name, n in counts.items() if name not in ("rows", "used") and n}
    if left:
        output.facts({name.replace("_", " "): numbers.count(n) for name, n in left.items()})


def add_to(experiment: typer.Typer) -> None:
    """Add the command."""
    experiment.command("off-policy")(off_policy)
