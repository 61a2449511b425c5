"""What is offered to whom, and what was held back."""

from __future__ import annotations

import numpy as np
import pandas as pd

from engine.domain.access import SMALL_GROUP, Right, Viewer
from engine.lake.runs import Run
from engine.risk.fairness_words import attribute_name, group_name
from engine.workflows.view import eligibility, reading, small_groups


def gates(viewer: Viewer, run: Run) -> pd.DataFrame:
    """Return every gate with what it refused, in the order of its bit; see `eligibility.gates`."""
    rows = eligibility.gates(viewer, run)
    return small_groups.rounded(viewer, rows, ("refused_pairs", "refused_only_by_this", "customers"))


def considered(run: Run) -> tuple[int, int, int]:
    """Return pairs of customer and product considered, those no gate refused, and those offered."""
    rows = reading.marts(
        run,
        "SELECT count(*) AS pairs, count(*) FILTER (refused_mask = 0) AS passed, count(rank) AS offered FROM decisions",
        "decisions",
    )
    return int(rows["pairs"].iloc[0]), int(rows["passed"].iloc[0]), int(rows["offered"].iloc[0])


def offers(viewer: Viewer, run: Run) -> pd.DataFrame:
    """Return offers by product and channel: expected value, mean propensity, and of credit mean price, median limit.

    Price and limit follow from risk, and are empty for who may not see risk.
    """
    rows = reading.marts(
        run,
        """SELECT product_id, channel, count(*) AS offers, count(*) FILTER (rank = 1) AS first_offers,
                  CAST(sum(expected_value_minor) AS BIGINT) AS expected_value_minor, avg(propensity) AS propensity,
                  avg(annual_rate) AS annual_rate, CAST(median(limit_minor) AS BIGINT) AS limit_minor
           FROM recommendations GROUP BY ALL ORDER BY product_id, channel""",
        "recommendations",
    )
    told = small_groups.rounded(viewer, rows, ("offers", "first_offers"))
    if small_groups.is_rounded(told):  # what a few offers are worth or how likely they are is not told either
        few = rows["offers"] < SMALL_GROUP
        told[["expected_value_minor", "propensity"]] = told[["expected_value_minor", "propensity"]].mask(few)
    return told if viewer.may(Right.SEE_RISK) else told.assign(annual_rate=np.nan, limit_minor=np.nan)


def selections(viewer: Viewer, run: Run) -> pd.DataFrame:
    """Return first offers by how they were chosen, with the mean chance that they had (null where none is known).

    Columns: selection, offers, chance, and unknown, of how many the chance is not known.
    """
    rows = reading.marts(
        run,
        """SELECT selection, count(*) AS offers, avg(selection_probability) AS chance,
                  count(*) FILTER (selection_probability IS NULL) AS unknown
           FROM recommendations WHERE rank = 1 GROUP BY selection ORDER BY offers DESC, selection""",
        "recommendations",
    )
    return small_groups.rounded(viewer, rows, ("offers", "unknown"))


def not_contacted(run: Run) -> tuple[int, int, int]:
    """Return customers in the control group, those of them who get nothing, and those who give way at home."""
    rows = reading.marts(
        run,
        """SELECT (SELECT count(*) FROM control_group) AS control,
                  (SELECT count(*) FROM control_group WHERE serves = 'nothing') AS held_out,
                  (SELECT count(*) FROM withheld_contacts) AS giving_way""",
        "control_group",
        "withheld_contacts",
    )
    return int(rows["control"].iloc[0]), int(rows["held_out"].iloc[0]), int(rows["giving_way"].iloc[0])


def channel_responses(run: Run) -> pd.DataFrame:
    """Return what was asked and answered on each channel, all products first."""
    rows = reading.table(run, "channel_responses")
    return rows.sort_values(
        ["family", "contacts", "channel"],
        key=lambda column: column != "all" if column.name == "family" else column,
        ascending=[True, False, True],
        ignore_index=True,
    )


def fairness(run: Run) -> pd.DataFrame:
    """Return how often each group is offered each product, with names of attribute and group in English and Chinese."""
    rows = reading.table(run, "offer_fairness")
    named = {"attribute": [attribute_name(name) for name in rows["attribute"]]}
    named["group"] = [group_name(name) for name in rows["group"]]
    return rows.assign(
        **{f"{kind}_{language}": [both[place] for both in names] for kind, names in named.items()
           for place, language in enumerate(("en", "zh"))}
    )  # fmt: skip


def limits(run: Run) -> tuple[pd.DataFrame, dict[str, float | None]]:
    """Return the limits on all offers together, no row where none is set, and what was measured of them by name."""
    rows = reading.table(run, "allocation_limits").sort_values("place", ignore_index=True)
    measured = reading.table(run, "allocation")
    values = {
        str(name): None if pd.isna(value) else float(value)
        for name, value in zip(measured["measure"], measured["value"], strict=True)
    }
    return rows, values


def limit_changes(viewer: Viewer, run: Run) -> pd.DataFrame:
    """Return for each product how many customers lost its offer to the limits, and how many have it because of them."""
    rows = reading.marts(
        run,
        """SELECT product_id, count(*) FILTER (without_limits AND NOT offered) AS gave_way,
                  count(*) FILTER (offered AND NOT without_limits) AS came_in
           FROM allocation_changes GROUP BY product_id ORDER BY gave_way DESC, product_id""",
        "allocation_changes",
    )
    return small_groups.rounded(viewer, rows, ("gave_way", "came_in"))


def models(run: Run) -> pd.DataFrame:
    """Return the race of the ranking models, the chosen one first."""
    rows = reading.table(run, "recommendation_models")
    return rows.sort_values(["chosen", "map_at_7", "model"], ascending=[False, False, True], ignore_index=True)


def product_rules(run: Run) -> pd.DataFrame:
    """Return the pair rules, the strongest lift first."""
    rows = reading.table(run, "product_rules")
    return rows.sort_values(["lift", "has_product_id", "takes_product_id"], ascending=[False, True, True])
