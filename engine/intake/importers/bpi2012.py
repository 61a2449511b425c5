"""The BPI Challenge 2012 log: loan and overdraft applications at a Dutch bank, as XES or as CSV.

One case is one customer here: the log knows applications, not the people behind them. An activity's lifecycle
(schedule, start, complete) is kept; the resource, an employee, is not taken over. `seq` is the order inside a case,
since many events share an instant.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pandas as pd

from engine.config.bank import BankSettings
from engine.config.intake import IntakeSettings
from engine.config.load import load
from engine.intake import xes
from engine.intake.importers import files
from engine.intake.mapping import TableMapping

# the log ends on 2012-03-14
END: Final = datetime(2012, 3, 14, 23, 59, 59, tzinfo=UTC)
COLUMNS: Final = ("case", "activity", "lifecycle", "timestamp", "amount_req", "reg_date")

_STEPS: Final = [
    ("A_SUBMITTED", "awareness"),
    ("A_PREACCEPTED", "consideration"),
    ("A_ACCEPTED", "consideration"),
    ("A_FINALIZED", "decision"),
    ("A_APPROVED", "decision"),
]
_DECISIONS: Final = {"A_APPROVED": "approved", "A_DECLINED": "declined", "A_CANCELLED": "withdrawn"}
_NOTE: Final = """Settings for the BPI Challenge 2012 log, written by `wayline init --from bpi2012`.
Amounts are euros. One case is one customer. The journey's steps are those every approved application passes."""


def prepare(folder: Path, out: Path, bank: BankSettings, *, assume_consent: bool) -> Path:
    """Write the log as Wayline's source files and return the mapping file's path; the CSV is taken where both lie."""
    return prepare_log(read_log(folder), out, bank, assume_consent=assume_consent)


def read_log(folder: Path) -> pd.DataFrame:
    """Return the log's events as text columns, in the log's order."""
    path = files.find(folder, "bpi2012_events.csv", "bpic2012.xes", "financial_log.xes")
    if ".csv" in path.suffixes:
        return files.read_text(folder, path.name.removesuffix(".gz"))[list(COLUMNS)]
    return pd.DataFrame(read_xes(path), columns=list(COLUMNS), dtype=str)


def read_xes(path: Path) -> Iterator[tuple[str, ...]]:
    """Yield the events of an XES file one by one, in constant memory; lifecycle and case attributes included.

    Raises
    ------
    UnreadableSource
        Not XES, cut, or a bomb of any kind.
    """
    for case, event in xes.events(path, load(IntakeSettings, "intake").limits):
        yield _event(case, event)


def _event(case: dict[str, str], event: dict[str, str]) -> tuple[str, ...]:
    return (
        case.get("concept:name", ""),
        event.get("concept:name", ""),
        event.get("lifecycle:transition", ""),
        event.get("time:timestamp", ""),
        case.get("AMOUNT_REQ", ""),
        case.get("REG_DATE", ""),
    )


def prepare_log(log: pd.DataFrame, out: Path, bank: BankSettings, *, assume_consent: bool) -> Path:
    """Write the source files, mapping and settings of a log and return the mapping file's path."""
    cases = log.drop_duplicates("case")
    files.write_source(out, "customers", _customers(cases))
    files.write_source(out, "products", _products())
    files.write_source(out, "events", _events(log))
    files.write_source(out, "applications", _applications(log, cases))
    _write_settings(out, bank)
    tables = {
        "customers": TableMapping(),
        "products": TableMapping(),
        "events": TableMapping(),
        "applications": TableMapping(money="major"),
    }
    return files.write_mapping(out, END, tables, assume_consent=assume_consent)


def _customers(cases: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame({"customer_id": cases["case"], "joined_at": cases["reg_date"]})


def _products() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "product_id": ["loan"],
            "name_en": ["Personal loan or overdraft"],
            "name_zh": ["个人贷款或透支"],
            "family": ["loan"],
            "is_credit": ["true"],
        }
    )


def _events(log: pd.DataFrame) -> pd.DataFrame:
    order = log.groupby("case").cumcount()
    return pd.DataFrame(
        {
            "event_id": log["case"] + "-" + order.astype(str),
            "customer_id": log["case"],
            "occurred_at": log["timestamp"],
            "event_name": log["activity"],
            "product_id": "loan",
            "lifecycle": log["lifecycle"].str.lower(),
            "value": log["amount_req"],
            "seq": order,
        }
    )


def _applications(log: pd.DataFrame, cases: pd.DataFrame) -> pd.DataFrame:
    decided = log.loc[log["activity"].isin(_DECISIONS)].drop_duplicates("case").set_index("case")
    case = cases["case"]
    return pd.DataFrame(
        {
            "application_id": case,
            "customer_id": case,
            "product_id": "loan",
            "applied_at": cases["reg_date"],
            "decision": case.map(decided["activity"].map(_DECISIONS)).astype(object).fillna("pending"),
            "decided_at": case.map(decided["timestamp"]),
            "requested_minor": cases["amount_req"],
        }
    )


def _write_settings(out: Path, bank: BankSettings) -> None:
    steps = [{"step": name, "events": [name], "lifecycles": ["complete"], "stage": stage} for name, stage in _STEPS]
    journey: dict[str, Any] = {
        "journey": "loan_application",
        "name_en": "Loan application",
        "name_zh": "贷款申请",
        "window_days": 90,  # the slowest approval of the log took less; who is older without one has dropped off
        "steps": steps,
    }
    files.write_settings(
        out,
        _NOTE,
        {
            "bank": {
                "name": "BPI 2012",
                "base_currency": "EUR",
                "time_zone": "Europe/Amsterdam",
                "seed": bank.seed,
                "rates": {"EUR": 1.0},
            },
            "journeys": {"journeys": [journey]},
            "experiments": {"experiments": []},
        },
    )
