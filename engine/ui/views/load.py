"""A bank's own files as they are told on the way in: what was matched, what a check found, what was loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from engine.domain.curated import CURATED
from engine.intake.codes import MEANINGS, Code
from engine.ui.words import Words
from engine.workflows.own_data import File


def found(files: Sequence[File], w: Words) -> str:
    """Say how many sources there are, and how many were matched to a table."""
    matched = sum(file.table is not None for file in files)
    return w.t("load.found", files=w.number(len(files)), matched=w.number(matched))


def meaning(table: str, w: Words) -> str:
    """Say what one row of a table is."""
    contract = CURATED[table]
    return w.t("load.one_row", what=w.pick(contract.one_row_is, contract.one_row_is_zh))


def confidence(file: File, column: str, source: str | None, w: Words) -> tuple[str, str]:
    """Return how sure a match is, in a word, and the colour of its badge."""
    match = next((one for one in file.matches if one.column == column), None)
    if source is None:
        return w.t("load_confidence.none"), "gray"
    if match is None or match.source != source:
        return w.t("load_confidence.chosen"), "blue"
    colours = {"sure": "green", "likely": "blue", "guess": "orange"}
    return w.t(f"load_confidence.{match.confidence}"), colours[match.confidence]


def totals(report: Mapping[str, Any]) -> tuple[int, int, int]:
    """Return rows read, kept and set aside by a report of intake."""
    tables = report["tables"]
    read, kept, refused = (sum(table[name] for table in tables) for name in ("read", "kept", "quarantined"))
    return read, kept, refused


def verdict(report: Mapping[str, Any], w: Words) -> str:
    """Say in one sentence what a check found."""
    rows, kept, refused = totals(report)
    if not refused:
        return w.t("load.check_clean", rows=w.number(rows))
    return w.t("load.check_some", kept=w.number(kept), rows=w.number(rows), refused=w.number(refused))


def findings(report: Mapping[str, Any], examples: Sequence[Mapping[str, str]], w: Words) -> pd.DataFrame:
    """Return what a check found: what is refused first, then what is repaired, then the tables that are in order."""
    lines: list[tuple[str, str, str, int, str]] = []
    for table in report["tables"]:
        name = w.label("table", table["table"])
        for fault in table["faults"]:
            told = w.pick(*MEANINGS[Code(fault["code"])]) if fault["code"] in set(Code) else fault["code"]
            shown = _examples(examples, (table["table"], fault["column"], fault["code"]), w)
            lines.append(("fail", name, f"{fault['column']}: {told}", fault["rows"], shown))
    for table in report["tables"]:
        name = w.label("table", table["table"])
        for repair in table["repairs"]:
            lines.append(("warn", name, f"{repair['column']}: {_repair(repair['rule'], w)}", repair["rows"], ""))
    for table in report["tables"]:
        if not table["faults"]:
            lines.append(("pass", w.label("table", table["table"]), "", table["kept"], ""))
    return pd.DataFrame(
        [(w.t(f"load_level.{level}"), *rest) for level, *rest in lines],
        columns=[
            w.t("load.check_level"),
            w.t("data.table"),
            w.t("load.check_what"),
            w.t("load.check_rows"),
            w.t("load.check_examples"),
        ],
    )


def _repair(rule: str, w: Words) -> str:
    return w.name("repair", rule)


def _examples(examples: Sequence[Mapping[str, str]], fault: tuple[str, str, str], w: Words) -> str:
    shown = [one for one in examples if (one["table"], one["field"], one["error_code"]) == fault][:3]
    return w.t("word.semicolon").join(
        w.t("load.example_row", row=one["row_number"], value=one["value_masked"] or "—") for one in shown
    )


def loaded(report: Mapping[str, Any], w: Words) -> pd.DataFrame:
    """Return rows received, loaded and set aside for each table."""
    tables = report["tables"]
    return pd.DataFrame(
        {
            w.t("data.table"): [w.label("table", table["table"]) for table in tables],
            w.t("load.received"): [table["read"] for table in tables],
            w.t("load.loaded"): [table["kept"] for table in tables],
            w.t("load.refused"): [table["quarantined"] for table in tables],
            w.t("load.sources"): [
                w.t("word.comma").join(Path(one["name"]).name for one in table["sources"]) for table in tables
            ],
        }
    )
