"""A small bank that lends, with the true default probability of every loan: tables by contract, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from engine.config.bank import BankSettings
from engine.config.load import load
from engine.config.risk import RiskSettings
from engine.domain.curated import CURATED
from engine.lake.engine import DuckDBEngine
from engine.lake.schema import arrow_schema, unbound

AS_OF = datetime(2026, 6, 30, 23, 59, 59, tzinfo=UTC)
BANK = load(BankSettings, "bank")
SETTINGS = load(RiskSettings, "risk")
Rows = Mapping[str, list[dict[str, Any]] | pa.Table]


def curated(name: str, rows: list[dict[str, Any]] | pa.Table) -> pa.Table:
    """Make a curated table from rows that may leave columns out: those are empty."""
    schema = arrow_schema(CURATED[name])
    if isinstance(rows, list):
        return pa.Table.from_pylist(rows, schema)
    columns = {
        field.name: rows[field.name].cast(field.type)
        if field.name in rows.column_names
        else pa.nulls(rows.num_rows, field.type)
        for field in schema
    }
    return pa.table(columns, schema=schema)


def run(tables: Rows, build: Any) -> pa.Table:
    """Run an expression built over the tables named; the others are absent."""
    with DuckDBEngine() as engine:
        for name, rows in tables.items():
            engine.attach(name, curated(name, rows))
        return engine.arrow(build({name: unbound(CURATED[name]) for name in tables}))


@dataclass(frozen=True, kw_only=True)
class Lending:
    tables: dict[str, pa.Table]
    true_probability: dict[str, float]


def lending(customers: int, seed: int) -> Lending:
    """Lend once to every customer over 36 months; the true log-odds are additive in six characteristics."""
    draw = np.random.default_rng([seed, 1])
    ids = np.array([f"C{at:07d}" for at in range(customers)])
    booked = np.datetime64("2023-01-01", "us") + draw.integers(0, 36 * 30, customers).astype("timedelta64[D]")
    booked = booked.astype("datetime64[us]")
    income = np.rint(np.exp(draw.normal(13.6, 0.5, customers))).astype(np.int64)
    traits = {
        "utilisation_rate": draw.beta(1.5, 3, customers),
        "delinquencies_12m": draw.poisson(0.3, customers),
        "inquiries_6m": draw.poisson(1.0, customers),
        "oldest_line_months": draw.integers(0, 240, customers),
    }
    debt = draw.beta(2, 6, customers)
    log_odds = (
        4.2
        - 2.5 * traits["utilisation_rate"]
        - 0.8 * np.minimum(traits["delinquencies_12m"], 3)
        - 0.2 * traits["inquiries_6m"]
        + 0.004 * traits["oldest_line_months"]
        - 2.0 * debt
        + 0.4 * (np.log(income) - 13.6)
    )
    probability = 1 / (1 + np.exp(log_odds))
    bad = draw.random(customers) < probability
    when = booked + draw.integers(90, 360, customers).astype("timedelta64[D]").astype("timedelta64[us]")
    tables = {
        "customers": pa.table(
            {
                "customer_id": ids,
                "joined_at": booked - np.timedelta64(400, "D"),
                "income_monthly_minor": income,
                "birth_date": pa.array(np.full(customers, np.datetime64("1985-05-05", "D"))),
                "gender": np.where(draw.random(customers) < 0.5, "female", "male"),
            }
        ),
        "bureau": _bureau(ids, booked, traits, np.rint(debt * income).astype(np.int64)),
        "applications": pa.table(
            {
                "application_id": np.char.add("A", ids.astype(str)),
                "customer_id": ids,
                "product_id": np.full(customers, "personal_loan"),
                "applied_at": booked - np.timedelta64(3, "D"),
                "decision": np.full(customers, "approved"),
                "requested_minor": draw.integers(1, 50, customers) * 100_000,
                "term_months": draw.choice([12, 24, 36], customers),
            }
        ),
        "outcomes": pa.table(
            {
                "application_id": np.char.add("A", ids.astype(str)),
                "customer_id": ids,
                "product_id": np.full(customers, "personal_loan"),
                "booked_at": booked,
                "observed_until": np.full(customers, np.datetime64("2026-06-30", "us")),
                "defaulted_at": pa.array(when, mask=~bad),
            }
        ),
        "products": pa.table(
            {
                "product_id": ["personal_loan"],
                "name_en": ["Loan"],
                "family": ["loan"],
                "is_credit": [True],
                "lgd": [0.5],
            }
        ),
        "holdings": pa.table(
            {
                "holding_id": ids,
                "customer_id": ids,
                "product_id": np.full(customers, "personal_loan"),
                "opened_at": booked,
                "currency": np.full(customers, "CNY"),
                "balance_minor": -draw.integers(1, 50, customers) * 100_000,
            }
        ),
    }
    return Lending(
        tables={name: curated(name, rows) for name, rows in tables.items()},
        true_probability=dict(zip(np.char.add("A", ids.astype(str)).tolist(), probability.tolist(), strict=True)),
    )


def _bureau(ids: Any, booked: Any, traits: Mapping[str, Any], instalments: Any) -> pa.Table:
    """Three records each: a stale one, the one before the application, and a later one that must not be seen."""
    parts = []
    for days, factor in ((-200, 0.0), (-10, 1.0), (100, 5.0)):
        columns = {name: (values * factor).astype(values.dtype) for name, values in traits.items()}
        reported = booked + np.timedelta64(days, "D")
        parts.append(
            pa.table(
                {
                    "customer_id": ids,
                    "reported_at": reported,
                    "instalments_monthly_minor": (instalments * factor).astype(np.int64),
                    **columns,
                }
            )
        )
    return pa.concat_tables(parts)
