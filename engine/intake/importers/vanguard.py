"""Vanguard's test of a web form: five steps, the old form against a new one, 15 March to 20 June 2017.

What the set does not say, and what is made of it:

- which steps a client reached is told by counts per client; when, only for the client's last event and, for some, the
  first of the last visit. The steps reached are spread evenly between the two, in the order of the form: reach is the
  data's, the times between are not;
- a client counts as exposed at the first of these instants. Clients of no arm are customers without exposure;
- age and tenure are numbers at the test: birth date and beginning of the relationship are counted back from its start;
- the planned split is not told. 50:50 is assumed and marked so; the sample-ratio check must alarm.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from engine.config.bank import BankSettings
from engine.intake.importers import files
from engine.intake.mapping import TableMapping

START: Final = datetime(2017, 3, 15, tzinfo=UTC)
END: Final = datetime(2017, 6, 20, 23, 59, 59, tzinfo=UTC)
STEPS: Final = ("start", "step_1", "step_2", "step_3", "confirm")
EXPERIMENT: Final = "new_web_form"

_STAGES: Final = ("awareness", "consideration", "consideration", "decision", "decision")
_NOTE: Final = """Settings for Vanguard's web form test, written by `wayline init --from vanguard`.
Amounts are US dollars. The planned split is not told anywhere: 50:50 is an assumption, and the sample-ratio check
alarms on it. The metric has no window: every client's counts cover the whole test."""


def prepare(folder: Path, out: Path, bank: BankSettings, *, assume_consent: bool) -> Path:
    """Write the test as Wayline's source files and return the mapping file's path."""
    clients = files.read_text(folder, "df_final_demo.txt")
    roster = files.read_text(folder, "df_final_experiment_clients.txt")
    contacts = _contacts(folder)
    files.write_source(out, "customers", _customers(clients))
    files.write_source(out, "products", _products())
    files.write_source(out, "holdings", _holdings(clients))
    files.write_source(out, "events", _events(contacts))
    files.write_source(out, "exposures", _exposures(roster, contacts))
    _write_settings(out, bank)
    return files.write_mapping(out, END, _mapping(), assume_consent=assume_consent)


def _mapping() -> dict[str, TableMapping]:
    return {
        "customers": TableMapping(values={"gender": {"F": "female", "M": "male", "X": "other"}}),
        "products": TableMapping(),
        "holdings": TableMapping(money="major", constants={"currency": "USD"}),
        "events": TableMapping(constants={"channel": "web"}),
        "exposures": TableMapping(constants={"experiment_id": EXPERIMENT}),
    }


def _contacts(folder: Path) -> pd.DataFrame:
    """Return one row per client of an arm: counts per step, and between what instants it was seen."""
    counts = files.read_text(folder, "client_step_counts.csv")
    last = files.read_text(folder, "client_last_event.csv")[["client_id", "date_time"]]
    spans = files.read_text(folder, "client_first_last_time_38875.csv")[["client_id", "date_time_min"]]
    rows = counts.merge(last, on="client_id", how="left").merge(spans, on="client_id", how="left")
    ends = pd.to_datetime(rows["date_time"], utc=True)
    begins = pd.to_datetime(rows["date_time_min"], utc=True).fillna(ends)
    return rows.assign(begins=begins, ends=ends)


def _joined(clients: pd.DataFrame) -> pd.Series:
    """Return when each client joined; where tenure is not told, at the start of the test at the latest."""
    months = files.number(clients["clnt_tenure_mnth"]).fillna(0)
    return pd.Timestamp(START) - pd.to_timedelta((months * 30.4375).round(), unit="D")


def _customers(clients: pd.DataFrame) -> pd.DataFrame:
    ages = pd.to_timedelta((files.number(clients["clnt_age"]) * 365.25).round(), unit="D")
    return pd.DataFrame(
        {
            "customer_id": clients["client_id"],
            "birth_date": (pd.Timestamp(START) - ages).dt.strftime("%Y-%m-%d"),
            "gender": clients["gendr"].replace("U", ""),
            "joined_at": _joined(clients),
            "num_accts": clients["num_accts"],
            "calls_6_mnth": clients["calls_6_mnth"],
            "logons_6_mnth": clients["logons_6_mnth"],
        }
    )


def _products() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "product_id": ["portfolio"],
            "name_en": ["Investment portfolio"],
            "name_zh": ["投资组合"],
            "family": ["investment"],
            "is_credit": ["false"],
        }
    )


def _holdings(clients: pd.DataFrame) -> pd.DataFrame:
    """Return one portfolio per client of whom a balance is told; the number of accounts behind it is kept aside."""
    told = clients.loc[files.number(clients["bal"]).notna()]
    return pd.DataFrame(
        {
            "holding_id": "P" + told["client_id"],
            "customer_id": told["client_id"],
            "product_id": "portfolio",
            "opened_at": _joined(told),
            "balance_minor": told["bal"],
            "balance_at": START.isoformat(),
        }
    )


def _events(contacts: pd.DataFrame) -> pd.DataFrame:
    """Return one event per client and step reached; `value` is how often the step was seen."""
    times = contacts[[f"num_{step}" for step in STEPS]].apply(files.number).to_numpy()
    reached = times > 0
    position = reached.cumsum(axis=1) - 1
    share = position / np.maximum(reached.sum(axis=1, keepdims=True) - 1, 1)
    seconds = (contacts["ends"] - contacts["begins"]).dt.total_seconds().to_numpy()[:, None] * share
    client, step = np.nonzero(reached)
    rows = contacts.iloc[client]
    rows = rows.reset_index(drop=True)
    happened = rows["begins"] + pd.to_timedelta(pd.Series(seconds[client, step]).round(), unit="s")
    return pd.DataFrame(
        {
            "event_id": rows["client_id"] + "-" + pd.Series(step).astype(str),
            "customer_id": rows["client_id"],
            "occurred_at": happened,
            "event_name": np.array(STEPS)[step],
            "value": times[client, step].astype(int),
            "seq": step,
        }
    )


def _exposures(roster: pd.DataFrame, contacts: pd.DataFrame) -> pd.DataFrame:
    arms = roster.loc[roster["Variation"].isin(["Test", "Control"])]
    rows = arms.merge(contacts[["client_id", "begins"]], on="client_id")
    return pd.DataFrame({"customer_id": rows["client_id"], "variant": rows["Variation"], "exposed_at": rows["begins"]})


def _write_settings(out: Path, bank: BankSettings) -> None:
    journey: dict[str, Any] = {
        "journey": "web_form",
        "name_en": "Web form",
        "name_zh": "网页表单",
        "window_days": 1,  # the form takes minutes; nobody who confirmed needed a second day
        "steps": [{"step": step, "events": [step], "stage": stage} for step, stage in zip(STEPS, _STAGES, strict=True)],
    }
    experiment: dict[str, Any] = {
        "experiment_id": EXPERIMENT,
        "name_en": "New web form",
        "name_zh": "新版网页表单",
        "control": "Control",
        "weights": {"Control": 0.5, "Test": 0.5},
        "weights_assumed": True,
        "metrics": [{"metric": "completion", "kind": "proportion", "role": "goal", "event": "confirm"}],
    }
    files.write_settings(
        out,
        _NOTE,
        {
            "bank": {
                "name": "Vanguard",
                "base_currency": "USD",
                "time_zone": "America/New_York",
                "seed": bank.seed,
                "rates": {"USD": 1.0},
            },
            "journeys": {"journeys": [journey]},
            "experiments": {"experiments": [experiment]},
        },
    )
