"""Which groups of customers there are."""

from __future__ import annotations

import pandas as pd

from engine.domain.access import SMALL_GROUP, Right, Viewer
from engine.lake.runs import Run
from engine.workflows.view import reading, small_groups
from engine.workflows.view.guard import needs


def clusters(viewer: Viewer, run: Run) -> pd.DataFrame:
    """Return the profile of every behavioural cluster, the largest first and its most telling features first.

    Counts may be rounded, see `small_groups`.
    """
    rows = reading.table(run, "segment_profiles")
    rows["strength"] = rows["effect_size"].abs()
    ordered = rows.sort_values(
        ["customers", "cluster_id", "strength", "feature"], ascending=[False, True, False, True], ignore_index=True
    )
    return small_groups.rounded(viewer, ordered.drop(columns="strength"), ("customers",))


def portraits(viewer: Viewer, run: Run) -> pd.DataFrame:
    """Return a row per cluster: cluster_id, approach and approach_zh; no rows where the run has no personas.

    What is said of risk is left out for who may not see risk: the advice stays, its figures go.
    """
    if not run.has("personas"):
        return pd.DataFrame(columns=["cluster_id", "approach", "approach_zh"])
    rows = reading.table(run, "personas")[["cluster_id", "approach", "approach_zh"]]
    if viewer.may(Right.SEE_RISK) or not run.has("persona_facts"):
        return rows
    for fact in reading.records(_facts(run, of_risk=True)):
        for column, text, lead in (("approach", "text", ": "), ("approach_zh", "text_zh", "：")):
            ending = fact[text][-1:]
            rows[column] = rows[column].str.replace(f"{lead}{fact[text]}", ending, regex=False)
    return rows


def persona_facts(viewer: Viewer, run: Run) -> pd.DataFrame:
    """Return what portraits tell, the clearest first: cluster_id, kind, effect_size, text, text_zh; else no rows."""
    if not run.has("persona_facts"):
        return pd.DataFrame(columns=["cluster_id", "kind", "effect_size", "text", "text_zh"])
    rows = _facts(run)
    return rows if viewer.may(Right.SEE_RISK) else rows[rows["kind"] != "risk"].reset_index(drop=True)


def _facts(run: Run, *, of_risk: bool = False) -> pd.DataFrame:
    return reading.marts(
        run,
        f"""SELECT cluster_id, kind, effect_size, text, text_zh FROM persona_facts
            WHERE {"kind = 'risk'" if of_risk else "told"} ORDER BY cluster_id, abs(effect_size) DESC, kind, subject""",
        "persona_facts",
    )


def cluster_names(run: Run) -> dict[str, tuple[str, str]]:
    """Return the English and Chinese name of every cluster by the English one, which groups go by; none without."""
    if not run.has("segment_profiles"):
        return {}
    rows = run.read("segment_profiles", columns=["cluster_name", "cluster_name_zh"]).to_pylist()
    return {row["cluster_name"]: (row["cluster_name"], row["cluster_name_zh"]) for row in rows}


def cluster_choices(run: Run) -> pd.DataFrame:
    """Return how many clusters were tried and how well each separated."""
    return reading.table(run, "segment_choices")


def rfm_cells(viewer: Viewer, run: Run) -> pd.DataFrame:
    """Return customers by recency and frequency score, with the mean money score of each cell.

    Counts may be rounded, see `small_groups`; where they are, a cell of fewer than ten tells no mean.
    """
    rows = reading.marts(
        run,
        """SELECT recency_score, frequency_score, count(*) AS customers, avg(monetary_score) AS monetary_score
           FROM segments WHERE recency_score IS NOT NULL AND frequency_score IS NOT NULL
           GROUP BY ALL ORDER BY ALL""",
        "segments",
    )
    told = small_groups.rounded(viewer, rows, ("customers",))
    if small_groups.is_rounded(told):
        told["monetary_score"] = told["monetary_score"].where(rows["customers"] >= SMALL_GROUP)
    return told


@needs(Right.SEE_RISK)
def value_by_risk(run: Run) -> pd.DataFrame:
    """Return customers by value tier and risk tier; raises MartMissing when either is not there."""
    return reading.marts(
        run,
        """SELECT coalesce(value_tier, 'none') AS value_tier, coalesce(risk_tier, 'unknown') AS risk_tier,
                  count(*) AS customers
           FROM segments LEFT JOIN risk USING (customer_id) GROUP BY ALL ORDER BY ALL""",
        "segments",
        "risk",
    )
