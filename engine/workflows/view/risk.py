"""How risky the customers are and how well the scorecard knows it."""

from __future__ import annotations

import pandas as pd

from engine.domain.access import Right
from engine.lake.runs import Run
from engine.risk.models import KINDS
from engine.workflows.view import reading
from engine.workflows.view.guard import needs


@needs(Right.SEE_RISK)
def tiers(run: Run) -> pd.DataFrame:
    """Return customers, mean default probability, exposure and expected loss by risk tier."""
    return reading.marts(
        run,
        """SELECT risk_tier, count(*) AS customers, avg(default_probability) AS default_probability,
                  CAST(sum(exposure_minor) AS BIGINT) AS exposure_minor,
                  CAST(sum(expected_loss_minor) AS BIGINT) AS expected_loss_minor
           FROM risk GROUP BY ALL ORDER BY ALL""",
        "risk",
    )


@needs(Right.SEE_RISK)
def scores(run: Run, width: int = 10) -> pd.DataFrame:
    """Return customers by band of scorecard points and tier; bands are `width` points wide."""
    return reading.marts(
        run,
        f"""SELECT CAST(floor(score / {width:d}) * {width:d} AS INTEGER) AS score_from, risk_tier, count(*) AS customers
            FROM risk WHERE score IS NOT NULL GROUP BY ALL ORDER BY ALL""",
        "risk",
    )


@needs(Right.SEE_RISK)
def scorecard(run: Run) -> pd.DataFrame:
    """Return the scorecard, its strongest characteristic first."""
    rows = reading.table(run, "risk_scorecard")
    rows["strength"] = rows.groupby("characteristic")["information_value"].transform("sum")
    return rows.sort_values(
        ["strength", "characteristic", "bin_index"], ascending=[False, True, True], ignore_index=True
    )


@needs(Right.SEE_RISK)
def measures(run: Run) -> pd.DataFrame:
    """Return how every model did, the scorecard first, and how far the challengers agree with the tiers given."""
    rows = reading.table(run, "risk_validation")
    order = {name: place for place, name in enumerate(KINDS)}
    return rows.sort_values("model", key=lambda names: names.map(order), kind="stable", ignore_index=True)
