"""`wayline explain`: why one customer gets what, and what was refused."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from engine.cli import faults, numbers, options
from engine.cli.commands import explain_live
from engine.cli.output import Output
from engine.domain.labels import label

_JOURNEYS: Final = ("journey", "stage", "step", "next_step", "status", "stage_since")
_WITHHELD: Final = (
    "Withheld: limits on all offers together leave no room for it.",
    "未推荐：受全部推荐的总限额约束，已无余量。",
)
_WORDS: Final = (("Raises its score", "Lowers its score"), ("提高评分", "降低评分"))
_REPLAYED: Final = ("product_id", "equal", "rank", "propensity", "expected_value_minor", "refused_mask", "why")
_EQUAL: Final = {True: ("yes", "是"), False: ("no", "否")}
_REPLAY_TOLD: Final = (
    "{same} of {count} decisions of run {run} come out the same to the last bit.",
    "运行 {run} 的 {count} 项决策中有 {same} 项逐位复现。",
)
_BUNDLE_HOLDS: Final = (
    "None of this entered the replay: the bundle of the run holds its own settings and products.",
    "以上改动均未影响复现：运行的决策包自带设置与产品。",
)
_PRODUCTS: Final = (
    "product_id",
    "decision",
    "rank",
    "propensity",
    "expected_value_minor",
    "annual_rate",
    "limit_minor",
    "channel",
    "track",
    "why",
)


def explain(
    *,
    customer_id: Annotated[str, typer.Argument(metavar="CUSTOMER", help="The bank's id of the customer.")],
    run_id: options.RunId = None,
    replay: Annotated[
        bool,
        typer.Option("--replay", help="Decide again from what the run wrote, and say what differs from it."),
    ] = False,
    decision_id: Annotated[
        str | None, typer.Option("--decision", help="A live decision on the customer, by its id in the ledger.")
    ] = None,
    language: Annotated[
        options.Language, typer.Option("--lang", help="English or Chinese, for the sentences shown.")
    ] = options.Language.EN,
    home: options.Home = options.HOME,
    as_json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Explain one customer: segment, risk and its reasons, journeys, every product with its decision and why.

    Of each product it says what raised and lowered its score, what comes next, and the smallest change that turns it.

    Names and contact details are never shown. With --replay the decisions are made again from the bundle and the inputs
    that the run kept, whatever changed since; a value that differs ends with exit code 3. With --decision it is a live
    decision that is told or made again, with what happened between the run and it.

    [bold]Examples[/]

      wayline explain C00000042

      wayline explain C00000042 --lang zh

      wayline explain C00000042 --replay

      wayline explain C00000042 --decision 019f1b0618ac6e16439349022b7a5fe0 --replay

      wayline explain C00000042 --json | jq '.products[] | select(.refusals != [])'
    """
    output = Output(as_json, quiet)
    if decision_id is not None:
        if run_id is not None:
            raise typer.BadParameter("a live decision names its own run. Leave one of both out.", param_hint="--run")
        shown = explain_live.replay if replay else explain_live.explain
        shown(home, customer_id, decision_id, output, language.value)
        return
    if replay:
        _replay(output, home, customer_id, run_id, language.value)
        return
    from engine.workflows import explain as workflow

    output.result(workflow.customer(home, customer_id, run_id), lambda facts: _show(output, facts, language.value))


def _replay(output: Output, home: Path, customer_id: str, run_id: str | None, language: str) -> None:
    from engine.workflows import replay as workflow

    found = workflow.customer(home, customer_id, run_id)
    output.result(found, lambda facts: _show_replay(output, facts, language))
    if not found["equal"]:
        raise typer.Exit(faults.CHECK_FAILED)


def _show_replay(output: Output, facts: dict[str, Any], language: str) -> None:
    rows = [
        {
            **row,
            "equal": _EQUAL[row["equal"]][language == "zh"],
            "why": "; ".join(
                f"{one['column']}: {numbers.cell(one['column'], one['written'])} -> "
                f"{numbers.cell(one['column'], one['again'])}"
                for one in row["differences"]
            ),
        }
        for row in facts["products"]
    ]
    output.table(rows, _REPLAYED, title=f"Bundle {facts['bundle']}, inputs {facts['inputs_sha256'][:12]}")
    same, count = sum(row["equal"] for row in facts["products"]), len(facts["products"])
    output.line(_REPLAY_TOLD[language == "zh"].format(same=same, count=count, run=facts["run_id"]))
    for change in facts["changed_since"]:
        output.line(change[f"text_{language}"])
    if facts["changed_since"]:
        output.line(_BUNDLE_HOLDS[language == "zh"])


def _show(output: Output, facts: dict[str, Any], language: str) -> None:
    for title in ("profile", "segment", "risk"):
        part = facts.get(title)
        if part:
            output.facts({numbers.heading(n): numbers.cell(n, v) for n, v in part.items()}, title=title.capitalize())
            output.line("")
    _show_risk(output, facts, language)
    if facts["journeys"]:
        output.table(facts["journeys"], _JOURNEYS, title="Journeys")
        output.line("")
    rows = [{**row, "why": _why(row, language)} for row in facts["products"]]
    output.table(rows, _PRODUCTS, title="Products")
    for told in facts["standing"]:
        output.line(told[f"text_{language}"])
    _show_more(output, facts, language)
    for stage, reason in facts.get("missing", {}).items():
        output.line(f"{stage}: not worked out in this run. {reason}")


def _show_more(output: Output, facts: dict[str, Any], language: str) -> None:
    """Show what raised and lowered the score of each offer and what comes next, and for all what would turn them."""
    if facts["unexplained"]:
        output.line(facts["unexplained"][f"text_{language}"])
        return
    words = _WORDS[language == "zh"]
    output.line("")
    for row in facts["products"]:
        if "flips" not in row:
            continue
        output.line(f"{row['product_id']}: {row[f'smallest_change_{language}']}")
        if row["decision"] != "offered":
            continue
        for word, side in zip(words, ("raising", "lowering"), strict=True):
            told = [f"{one[f'text_{language}']} ({one['added']:+.2f})" for one in row["contributions"][side]]
            if told:
                output.line(f"    {word}: {' '.join(told)}")
        if row["runner_up"]:
            output.line("    " + row["runner_up"][f"text_{language}"])


def _show_risk(output: Output, facts: dict[str, Any], language: str) -> None:
    """Show what risk answers, topic by topic: each answer, and below it why and on which terms."""
    topic = ""
    for said in facts["told"]:
        if said["topic"] != topic:
            topic = said["topic"]
            output.line(label("risk_topic", topic)[language == "zh"])
        output.line(("  " if said["leads"] else "    ") + said[f"text_{language}"])
    output.line("")


def _why(row: dict[str, Any], language: str) -> str:
    """The sentence of every gate that refused, else that limits withheld it, else the reasons for offer and track."""
    if row["refusals"]:
        return " ".join(refusal[f"text_{language}"] for refusal in row["refusals"])
    if row["limits"] == "withheld":
        return _WITHHELD[language == "zh"]
    suffix = "_zh" if language == "zh" else ""
    drawn = [row[f"{name}_{language}"] for name in ("chosen", "reach")] if row["decision"] == "offered" else []
    names = [f"{name}{suffix}" for name in ("reason_1", "reason_2", "track_reason", "terms_note")]
    return " ".join([*(row[name] for name in names if row.get(name)), *(told for told in drawn if told)])


def add_to(wayline: typer.Typer) -> None:
    """Add the command."""
    wayline.command("explain")(explain)
