"""Who is lent to and who is not, on which terms and why, and what may be lost of it."""

from __future__ import annotations

from typing import Final

import pandas as pd

from engine.domain.access import Right
from engine.domain.words import PRODUCT_FAMILIES
from engine.lake.runs import Run
from engine.workflows.view import reading
from engine.workflows.view.guard import needs

ANSWERS: Final = ("credit", "no_credit", "service_only", "block")
"""What the gate leaves open, from the most: offers with credit, offers without, what must be known only, nothing."""


_SIZE: Final = "power(10, floor(log10(limit_minor)))"
_TIMES: Final = f"CASE WHEN limit_minor >= 5 * {_SIZE} THEN 5 WHEN limit_minor >= 2 * {_SIZE} THEN 2 ELSE 1 END"
LIMIT_FROM: Final = f"CAST({_SIZE} * {_TIMES} AS BIGINT)"
"""Where the band of a limit above 0 begins: 1, 2 or 5 times a power of ten, in minor units."""


@needs(Right.SEE_RISK)
def answers(run: Run) -> pd.DataFrame:
    """Return customers by what the gate leaves open to them (ANSWERS) and by risk tier."""
    return reading.marts(
        run,
        f"""SELECT {answer(run)} AS answer, risk_tier, count(*) AS customers
            FROM risk_gate JOIN risk USING (customer_id) GROUP BY ALL ORDER BY ALL""",
        "risk_gate",
        "risk",
    )


def answer(run: Run) -> str:
    """Return the expression over `risk_gate` that says what the gate leaves open: one of ANSWERS."""
    families = _families(run)
    lent = sum(1 << bit for bit, family in enumerate(PRODUCT_FAMILIES) if not families or family in families)
    refused = f"(refused_families & {lent:d}) = {lent:d}"
    return f"CASE WHEN outcome <> 'allow' THEN outcome WHEN {refused} THEN 'no_credit' ELSE 'credit' END"


def _families(run: Run) -> tuple[str, ...]:
    return _decided(run) if run.has("credit_decisions") else ()


@needs(Right.SEE_RISK)
def families(run: Run) -> tuple[str, ...]:
    """Return the families of credit that the run decided, by name."""
    return _decided(run)


def _decided(run: Run) -> tuple[str, ...]:
    rows = reading.marts(run, "SELECT DISTINCT family FROM credit_decisions ORDER BY family", "credit_decisions")
    return tuple(rows["family"])


@needs(Right.SEE_RISK)
def gate_reasons(run: Run) -> pd.DataFrame:
    """Return every reason of the gate with whom it holds for, the most frequent first."""
    rows = reading.table(run, "risk_gate_reasons")
    return rows.sort_values(["customers", "bit"], ascending=[False, True], ignore_index=True)


@needs(Right.SEE_RISK)
def decisions(run: Run) -> pd.DataFrame:
    """Return decisions by family, outcome and price band, with the middle price and limit and their range."""
    return reading.marts(
        run,
        """SELECT family, outcome, price_band, count(*) AS decisions,
                  min(annual_rate) AS least_rate, median(annual_rate) AS annual_rate, max(annual_rate) AS most_rate,
                  CAST(min(limit_minor) AS BIGINT) AS least_limit_minor,
                  CAST(median(limit_minor) AS BIGINT) AS limit_minor,
                  CAST(max(limit_minor) AS BIGINT) AS most_limit_minor
           FROM credit_decisions GROUP BY ALL ORDER BY ALL""",
        "credit_decisions",
    )


@needs(Right.SEE_RISK)
def terms(run: Run, family: str) -> pd.DataFrame:
    """Return decisions of a family with a limit, by price band and band of the limit.

    A band begins at `limit_from_minor`, 1, 2 or 5 times a power of ten, and ends where the next one begins.
    """
    return reading.marts(
        run,
        f"""SELECT price_band, count(*) AS decisions, {LIMIT_FROM} AS limit_from_minor
            FROM credit_decisions WHERE family = $1 AND limit_minor > 0
            GROUP BY ALL ORDER BY limit_from_minor, price_band""",
        "credit_decisions",
        parameters=(family,),
    )


@needs(Right.SEE_RISK)
def credit_reasons(run: Run) -> pd.DataFrame:
    """Return every reason of a credit decision with how many it holds for, the most frequent first."""
    rows = reading.table(run, "credit_reasons")
    return rows.sort_values(["decisions", "bit"], ascending=[False, True], ignore_index=True)


@needs(Right.SEE_RISK)
def stages(run: Run) -> pd.DataFrame:
    """Return exposure, expected losses and allowance by stage of IFRS 9 and by why it is that stage."""
    return reading.marts(
        run,
        """SELECT ifrs9_stage, stage_reason, count(*) AS customers,
                  CAST(sum(at_default_minor) AS BIGINT) AS at_default_minor,
                  CAST(sum(expected_loss_12m_minor) AS BIGINT) AS expected_loss_12m_minor,
                  CAST(sum(expected_loss_lifetime_minor) AS BIGINT) AS expected_loss_lifetime_minor,
                  CAST(sum(allowance_minor) AS BIGINT) AS allowance_minor,
                  count(*) FILTER (default_probability IS NULL) AS unknown
           FROM risk_losses GROUP BY ALL ORDER BY ALL""",
        "risk_losses",
    )
