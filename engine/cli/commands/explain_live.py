"""`wayline explain CUSTOMER --decision ID`: a live decision out of the ledger, told or made again."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import typer

from engine.cli import faults, numbers
from engine.cli.output import Output

_HEADS: Final = ("decision_id", "run_id", "bundle", "decided_at", "code", "counted")
_PRODUCTS: Final = ("product_id", "rank", "propensity", "value", "chance", "charged", "why")
_REPLAYED: Final = ("product_id", "equal", "rank", "propensity", "value", "refused", "why")
_EQUAL: Final = {True: ("yes", "是"), False: ("no", "否")}
_TOLD: Final = {
    "inputs_equal": ("What the run says of the customer is what it said then", "运行对该客户的数据与当时一致"),
    "bundle_equal": ("The run decides by the same bundle", "运行的决策包与当时一致"),
    "told_equal": ("The offers and reasons told come out the same", "所告知的推荐与原因可复现"),
    "equal": ("Every number comes out the same to the last bit", "全部数值逐位复现"),
}


def explain(home: Path, customer_id: str, decision_id: str, output: Output, language: str) -> None:
    """Show what was told, what counted against each cap, and every product with all that refused it."""
    from engine.workflows import live_replay

    found = live_replay.explained(home, customer_id, decision_id)
    output.result(found, lambda facts: _show(output, facts, language))


def replay(home: Path, customer_id: str, decision_id: str, output: Output, language: str) -> None:
    """Make the decision again and show what differs; a difference ends with exit code 3."""
    from engine.workflows import live_replay

    found = live_replay.replayed(home, customer_id, decision_id)
    output.result(found, lambda facts: _show_replay(output, facts, language))
    if not found["equal"]:
        raise typer.Exit(faults.CHECK_FAILED)


def _show(output: Output, facts: dict[str, Any], language: str) -> None:
    output.facts({numbers.heading(name): numbers.cell(name, facts[name]) for name in _HEADS})
    output.line("")
    if facts["seen"] is not None:
        counted = {name: numbers.cell(name, value) for name, value in facts["seen"]["counted"].items()}
        output.facts(counted, title="Contacts counted")
        output.line("")
    rows = [
        {**row, "why": " ".join(one[f"text_{language}"] for one in row["refusals"]), "rank": row["rank"] or None}
        for row in facts["products"]
    ]
    if rows:
        output.table(rows, _PRODUCTS, title="Products")
    for reason in facts["answer"]["reasons"]:
        output.line(f"{reason['code']}: {reason[f'text_{language}']}")


def _show_replay(output: Output, facts: dict[str, Any], language: str) -> None:
    place = int(language == "zh")
    rows = [
        {
            **row,
            "equal": _EQUAL[row["equal"]][place],
            "why": "; ".join(f"{one['column']}: {one['written']} -> {one['again']}" for one in row["differences"]),
        }
        for row in facts["products"]
    ]
    output.table(rows, _REPLAYED, title=f"Bundle {facts['bundle']}, inputs {facts['inputs_sha256'][:12]}")
    for name, sentence in _TOLD.items():
        output.line(f"{sentence[place]}: {_EQUAL[facts[name]][place]}")
    for change in facts["changed_since"]:
        output.line(change[f"text_{language}"])
