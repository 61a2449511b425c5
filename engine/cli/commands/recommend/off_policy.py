"""`wayline recommend off-policy`: what another policy would have brought, from the offers that a run drew."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from engine.cli import numbers, options
from engine.cli.commands.experiment.off_policy import show
from engine.cli.output import Output


class RewardOption(StrEnum):
    """What counts as success."""

    OPENED = "opened"
    CLICKED = "clicked"
    CONVERTED = "converted"
    TAKEN = "taken"


Policy = Annotated[
    str, typer.Option("--policy", help="best, even, or the id of another run, whose first offers are taken.")
]
RewardKind = Annotated[
    RewardOption, typer.Option("--reward", help="An answer to the contact, or taken: the product was opened.")
]
Days = Annotated[int, typer.Option("--days", help="How long after the run counts.")]
Out = Annotated[Path | None, typer.Option("--out", help="Keep the log of decisions in this file, .csv or .parquet.")]
Clip = Annotated[float | None, typer.Option("--clip", help="The largest weight of a decision; by default none is cut.")]
Alpha = Annotated[float, typer.Option("--alpha", help="Intervals cover 1 - alpha.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="By it rows are split in folds for the model.")]


def off_policy(
    *,
    run_id: options.RunId = None,
    policy: Policy = "best",
    reward: RewardKind = RewardOption.CONVERTED,
    days: Days = 30,
    out: Out = None,
    clip: Clip = None,
    alpha: Alpha = 0.05,
    seed: Seed = 7,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Say what another policy would have brought, by the first offers that a run drew and what came of them.

    Needs a run that draws offers: [recommendations.exploration] in wayline.toml.

    [bold]Examples[/]

      wayline recommend off-policy --reward clicked --days 14

      wayline recommend off-policy --policy even --reward taken --days 90 --json

      wayline recommend off-policy --policy 20260630T235959Z-0123456789 --out log.parquet
    """
    from engine.workflows import recommend_off_policy as workflow

    output = Output(as_json, quiet)
    question = workflow.Question(
        home=home,
        run_id=run_id,
        policy=policy,
        reward=reward.value,
        days=days,
        out=out,
        clip=clip,
        alpha=alpha,
        seed=seed,
    )
    output.result(workflow.evaluate(question), lambda facts: _show(output, facts))


def _show(output: Output, facts: dict[str, Any]) -> None:
    log = facts["log"]
    output.line(
        f"{facts['run_id']}: of {numbers.count(log['offers'])} first offers {numbers.count(log['decisions'])} count, "
        f"of which {numbers.count(log['drawn'])} were left to chance. Success: {facts['reward']} within "
        f"{facts['days']} days."
    )
    left_out = (("unknown_chance", "chance unknown"), ("not_sent", "not sent"), ("without_policy", "no other offer"))
    told = [f"{numbers.count(log[name])} {words}" for name, words in left_out if log[name]]
    if told:
        output.line(f"Left out: {', '.join(told)}.")
    show(output, facts)


def add_to(recommend: typer.Typer) -> None:
    """Add the command."""
    recommend.command("off-policy")(off_policy)
