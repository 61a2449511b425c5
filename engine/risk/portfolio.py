"""What the bank's credit is expected to lose, customer by customer: exposure, stage, losses and allowance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from engine.config.credit import StagingSettings
from engine.domain.risk_marts import RISK_LOSSES
from engine.lake.schema import to_contract
from engine.risk import losses
from engine.risk.columns import Flags, Floats, Integers, aligned, flags, numbers, places, plain
from engine.risk.model import RiskModel

_AMOUNTS: Final = ("drawn_minor", "limit_minor", "at_default_minor", "loss_minor")


@dataclass(frozen=True, slots=True, kw_only=True)
class Portfolio:
    """The credit of n customers: rows of the mart risk_losses for those who have any, and what treatments ask.

    The arrays are in the order of the customers that were asked about; `line_limit` is NaN without a line.
    """

    rows: pa.Table
    has_credit: Flags
    stage_2: Flags
    line_limit: Floats


def at_origination(model: RiskModel, training: pa.Table) -> pa.Table:
    """Return customer_id and the default probability of the newest loan that each took, as of its application."""
    newest_first = [("customer_id", "ascending"), ("booked_at", "descending"), ("application_id", "ascending")]
    loans = training.sort_by(newest_first)
    columns = {name: loans[name] for name in model.scorecard.inputs if name in loans.column_names}
    probability = model.scorecard.score(columns, loans.num_rows).probability
    ids = plain(loans["customer_id"])
    first = np.flatnonzero(np.diff(ids.dictionary_encode().indices.to_numpy(), prepend=-1))
    return pa.table({"customer_id": ids.take(pa.array(first)), "probability": probability[first]})


def assess(
    risk: pa.Table, known: pa.Table, lines: pa.Table, originated: pa.Table | None, settings: StagingSettings
) -> Portfolio:
    """Return the credit of the customers of the mart risk.

    Parameters
    ----------
    risk, known : rows of the mart risk and of `standing.standing`, in the same order.
    lines : one row per open credit holding, see `exposures.lines`; of customers not in `risk` it tells nothing.
    originated : see `at_origination`; None where no model was learned, so that no increase is seen.
    """
    row = places(lines["customer_id"], risk["customer_id"])
    lines, row = lines.filter(pa.array(row >= 0)), row[row >= 0]
    probability = numbers(risk["default_probability"])
    sums = _sums(lines, row, probability)
    stage, reason, first = _staged(risk, known, probability, originated, settings)
    columns = {
        "customer_id": plain(risk["customer_id"]),
        "ifrs9_stage": pa.array(stage),
        "stage_reason": pa.array(losses.STAGE_REASONS).take(pa.array(reason)),
        "days_past_due": known["days_past_due"],
        "default_probability": risk["default_probability"],
        "probability_at_origination": pa.array(first, from_pandas=True),
        **{name: _whole(sums[name]) for name in _AMOUNTS},
        **_expected(probability, sums, stage),
    }
    has_credit = sums["holdings"] > 0
    rows = pa.table({name: columns[name] for name in RISK_LOSSES.names}).filter(pa.array(has_credit))
    return Portfolio(
        rows=to_contract(RISK_LOSSES, rows),
        has_credit=has_credit,
        stage_2=has_credit & (stage == 2),
        line_limit=np.where(sums["lines"] > 0, sums["limit_minor"], np.nan),
    )


def _sums(lines: pa.Table, row: Integers, probability: Floats) -> dict[str, Floats]:
    """Return what each customer's holdings add up to; `row` is the customer of each, sums are of whole minor units."""
    amounts = {name: numbers(lines[name]) for name in _AMOUNTS}
    # without a probability a lifetime loss is unknown, and so is its sum
    amounts["life"] = np.rint(
        losses.lifetime_loss(
            probability[row],
            amounts["loss_minor"],
            numbers(lines["life_months"]) / 12.0,
            numbers(lines["annual_rate"]),
            flags(lines["amortises"]),
        )
    )
    amounts["holdings"] = np.ones(len(row))
    amounts["lines"] = _lines_of_credit(lines)
    size = len(probability)
    # without any holding numpy counts in integers
    return {name: np.bincount(row, values, minlength=size).astype(np.float64) for name, values in amounts.items()}


def _staged(
    risk: pa.Table, known: pa.Table, probability: Floats, originated: pa.Table | None, settings: StagingSettings
) -> tuple[Integers, Integers, Floats]:
    """Return stage, reason and the default probability at origination of each customer."""
    first = np.full(risk.num_rows, np.nan)
    if originated is not None:
        first = numbers(aligned(originated, risk["customer_id"])["probability"])
    stage, reason = losses.stages(
        days_past_due=numbers(known["days_past_due"]),
        has_defaulted=flags(known["has_defaulted"]),
        delay_elsewhere=numbers(known["delay_elsewhere_days"]),
        probability=probability,
        at_origination=first,
        settings=settings,
    )
    return stage, reason, first


def _lines_of_credit(lines: pa.Table) -> Floats:
    """Return 1 for each line of credit that has a limit, 0 for a loan."""
    return (~flags(lines["amortises"]) & (numbers(lines["limit_minor"]) > 0)).astype(np.float64)


def _expected(probability: Floats, sums: dict[str, Floats], stage: Integers) -> dict[str, Any]:
    """Return the expected losses and the allowance; in stage 3 all that a default loses, else empty without a risk."""
    year = np.rint(probability * sums["loss_minor"])
    allowance = losses.allowance(stage, year, sums["life"], sums["loss_minor"])
    return {
        "expected_loss_12m_minor": _whole(year),
        "expected_loss_lifetime_minor": _whole(np.where(np.isnan(year), np.nan, sums["life"])),
        "allowance_minor": _whole(allowance),
    }


def _whole(amounts: Floats) -> pa.Array:
    unknown = np.isnan(amounts)
    return pa.array(np.where(unknown, 0, amounts).astype(np.int64), mask=unknown)
