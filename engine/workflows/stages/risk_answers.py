"""What risk expects, decides and allows: losses, credit, treatments and the gate's answers, from the grades.

Persons' overrides are those that were in force as of the run's date; which ones they were stands in the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from engine.config.risk import RiskSettings
from engine.domain.risk_marts import CREDIT_DECISIONS, RISK_OVERRIDES
from engine.lake.schema import arrow_schema, to_contract
from engine.risk import exposures, lending, overrides, portfolio, treatments
from engine.risk import gate as gates
from engine.risk.columns import Flags, Floats, aligned, flags, instants, numbers
from engine.risk.gate import Say, Watch
from engine.risk.lending import Customers, Lending
from engine.risk.overrides import Override
from engine.risk.portfolio import Portfolio
from engine.risk.standing import standing
from engine.risk.treatments import TreatmentBlock
from engine.workflows.stages.context import Context

MARTS: Final = (
    "risk_gate",
    "risk_gate_reasons",
    "risk_losses",
    "credit_decisions",
    "credit_reasons",
    "risk_treatments",
    "risk_overrides",
)
_BLOCK: Final = 250_000
"""Customers decided at once: memory stays flat however many there are."""
_LIVING: Final = ("spend_housing_90d_minor", "spend_living_90d_minor")
_MONTHS: Final = 3.0


def write(context: Context, settings: RiskSettings, risk: pa.Table, originated: pa.Table | None, watch: Watch) -> None:
    """Write all that follows from the mart risk; `originated` and `watch` are in `portfolio` and `gate` explained."""
    window = settings.treatments.contact_window_days
    found = context.engine.arrow(standing(context.tables, context.as_of, settings.staging, window))
    known = aligned(found, risk["customer_id"])
    customers = Customers(risk=risk, known=known, living=_living(context, risk), watch=watch)
    credit = portfolio.assess(risk, known, _lines(context, settings), originated, settings.staging)
    context.builder.write_rows("risk_losses", credit.rows)
    live = overrides.in_force(context.overrides, context.as_of)
    context.builder.write_rows("risk_overrides", _override_rows(live))
    parts = _decide(context, settings, customers, live)
    _answer(context, settings, customers, Say.joined([part.say for part in parts]))
    may_increase = np.concatenate([part.may_increase for part in parts])
    context.builder.write_rows("risk_treatments", _treated(context, settings, customers, credit, may_increase))


def _lines(context: Context, settings: RiskSettings) -> pa.Table:
    if "holdings" not in context.tables or "products" not in context.tables:
        return exposures.NO_LINES
    found: pa.Table = context.engine.arrow(exposures.lines(context.tables, context.as_of, settings, context.bank))
    return found


def _living(context: Context, risk: pa.Table) -> Floats:
    """Return what was spent on housing and living a month, by the features; NaN where they do not tell."""
    names = [name for name in _LIVING if context.wrote("features") and name in context.columns("features")]
    if not names:
        return np.full(risk.num_rows, np.nan)
    rows = aligned(context.rows("features", ["customer_id", *names]), risk["customer_id"])
    spent: Floats = np.sum([numbers(rows[name]) for name in names], axis=0) / _MONTHS
    return spent


def _decide(context: Context, settings: RiskSettings, customers: Customers, live: Sequence[Override]) -> list[Lending]:
    """Decide block by block and stream the decisions to disk."""
    parts, families = [], _families(context)
    with context.builder.writer("credit_decisions", arrow_schema(CREDIT_DECISIONS)) as decisions:
        for block in _blocks(customers):
            made = lending.lend(block, families, live, settings, context.as_of)
            decisions.write_table(made.rows)
            parts.append(made.without_rows())
    context.builder.write_rows("credit_reasons", lending.reason_rows(parts))
    return parts


def _blocks(customers: Customers) -> Iterator[Customers]:
    for start in range(0, max(1, customers.risk.num_rows), _BLOCK):
        yield customers.rows(start, _BLOCK)


def _families(context: Context) -> list[str]:
    """Return the families in which the bank sells credit, by name."""
    if "products" not in context.tables:
        return []
    products = context.tables["products"]
    rows = context.engine.arrow(products.filter(products.is_credit).select("family").distinct())
    return sorted(rows["family"].to_pylist())


def _answer(context: Context, settings: RiskSettings, customers: Customers, say: Say) -> None:
    block = gates.block_of(customers.risk, customers.known, customers.watch, say)
    answers = gates.gate(block, settings.gate, context.as_of, settings.signal_max_age_days)
    context.builder.write_rows("risk_gate", answers.table())
    context.builder.write_rows("risk_gate_reasons", gates.count(answers, settings.gate))


def _treated(
    context: Context, settings: RiskSettings, customers: Customers, credit: Portfolio, may_increase: Flags
) -> pa.Table:
    known = customers.known
    asked = lending.requests(customers, settings, context.as_of)
    block = TreatmentBlock(
        customer_ids=asked.customer_ids,
        tier=asked.tier,
        days_past_due=asked.days_past_due,
        vulnerable=asked.vulnerable,
        hardship=asked.hardship,
        fraud_block=flags(known["fraud_block"]),
        in_collections=flags(known["in_collections"]),
        in_default=asked.in_default,
        has_credit=credit.has_credit,
        stage_2=credit.stage_2,
        contacts=np.nan_to_num(numbers(known["contacts"])),
        last_contact_at=instants(known["last_contact_at"]),
        line_limit=credit.line_limit,
        may_increase=may_increase,
    )
    return treatments.treat(block, settings.treatments, context.as_of)


def _override_rows(live: Sequence[Override]) -> pa.Table:
    rows: list[dict[str, Any]] = [one.to_row() for one in live]
    schema = arrow_schema(RISK_OVERRIDES)
    return to_contract(RISK_OVERRIDES, pa.Table.from_pylist(rows, schema) if rows else schema.empty_table())
