"""Whether the model still holds, how groups fare, who needs attention, and how the portfolio moves."""

from __future__ import annotations

from typing import Final

import pandas as pd

from engine.config.risk_warning import SEVERITIES
from engine.domain.access import Right
from engine.domain.risk_gate import BITS
from engine.lake.runs import Run
from engine.risk.fairness_words import attribute_name, group_name
from engine.workflows.view import reading
from engine.workflows.view.guard import needs


@needs(Right.SEE_RISK)
def cautions(run: Run) -> pd.DataFrame:
    """Return the reasons for the gate to be careful, in the order in which they were found."""
    return reading.table(run, "risk_cautions").sort_values("place", ignore_index=True)


@needs(Right.SEE_RISK)
def under_caution(run: Run) -> int | None:
    """Return how many customers are refused some credit because the gate is careful; None without a gate."""
    bit = 1 << BITS["caution"]
    return reading.count(run, "risk_gate", "count(*) FILTER ((reason_mask & ?) <> 0)", (bit,))


@needs(Right.SEE_RISK)
def populations(run: Run) -> tuple[str, ...]:
    """Return whose distributions were compared month by month."""
    text = "SELECT DISTINCT population FROM risk_stability WHERE measure = 'population_stability' ORDER BY population"
    return tuple(reading.marts(run, text, "risk_stability")["population"])


@needs(Right.SEE_RISK)
def stability(run: Run, population: str) -> pd.DataFrame:
    """Return the stability index of the score and every characteristic by month; the score first, then by name."""
    return reading.marts(
        run,
        """SELECT * FROM risk_stability WHERE measure = 'population_stability' AND population = $1
           ORDER BY what <> 'score', what, ends""",
        "risk_stability",
        parameters=(population,),
    )


@needs(Right.SEE_RISK)
def matured(run: Run) -> pd.DataFrame:
    """Return what loans whose outcome has matured say of the model: loss of AUC, level of defaults."""
    return reading.table(run, "risk_stability", {"population": "loans"})


@needs(Right.SEE_RISK)
def moves(run: Run, kind: str) -> pd.DataFrame:
    """Return moves of one kind, tier or days_past_due."""
    return reading.table(run, "risk_moves", {"kind": kind})


@needs(Right.SEE_RISK)
def vintages(run: Run) -> pd.DataFrame:
    """Return the share defaulted by cohort and month on book, as far as every loan of the cohort is old enough."""
    rows = reading.table(run, "risk_vintages")
    return rows[rows["share"].notna()].sort_values(["cohort", "month"], ignore_index=True)


@needs(Right.SEE_RISK)
def reject_inference(run: Run) -> pd.DataFrame:
    """Return the measures of the scorecard without and with the refused guessed at."""
    return reading.table(run, "risk_reject_inference")


@needs(Right.SEE_RISK)
def attributes(run: Run) -> dict[str, tuple[str, str]]:
    """Return the protected attributes looked at, with their names in English and Chinese, single ones first."""
    text = "SELECT DISTINCT attribute FROM risk_fairness ORDER BY contains(attribute, '×'), attribute"
    return {name: attribute_name(name) for name in reading.marts(run, text, "risk_fairness")["attribute"]}


@needs(Right.SEE_RISK)
def fairness(run: Run, attribute: str) -> pd.DataFrame:
    """Return every measure of every group of an attribute, with the group's name in English and Chinese."""
    return _named(reading.table(run, "risk_fairness", {"attribute": attribute}))


@needs(Right.SEE_RISK)
def flagged(run: Run) -> pd.DataFrame:
    """Return the figures of all attributes that fall below four fifths or differ beyond chance, the surest first."""
    rows = reading.table(run, "risk_fairness", {"verdict": ["below", "differs"]})
    return _named(rows.sort_values(["adjusted_p_value", "attribute", "group", "measure"], ignore_index=True))


def _named(rows: pd.DataFrame) -> pd.DataFrame:
    names = {group: group_name(group) for group in {*rows["group"], *rows["reference"].dropna()}}
    none = ("", "")
    return rows.assign(
        group_en=[names[group][0] for group in rows["group"]],
        group_zh=[names[group][1] for group in rows["group"]],
        reference_en=[names.get(group, none)[0] for group in rows["reference"]],
        reference_zh=[names.get(group, none)[1] for group in rows["reference"]],
    )


@needs(Right.SEE_RISK)
def severities(run: Run) -> pd.DataFrame:
    """Return customers by severity and whether they are on the list or left it lately, and reviews overdue."""
    rows = reading.marts(
        run,
        """SELECT severity, status, count(*) AS customers, count(*) FILTER (next_review_at <= $1) AS overdue
           FROM risk_watch_list GROUP BY ALL""",
        "risk_watch_list",
        parameters=(run.as_of.replace(tzinfo=None),),
    )
    order = {name: place for place, name in enumerate(reversed(SEVERITIES))}
    return rows.sort_values(["severity", "status"], key=lambda values: values.replace(order), ignore_index=True)


@needs(Right.SEE_RISK)
def silent_triggers(run: Run) -> tuple[str, ...]:
    """Return the early-warning triggers that never fired: quiet customers, or a feed that has dried up."""
    stages = [stage for stage in run.manifest["stages"] if stage["stage"] == "risk"]
    return tuple(sorted(stages[0].get("silent_triggers", {}))) if stages else ()


@needs(Right.SEE_RISK)
def reassessments(run: Run) -> pd.DataFrame:
    """Return customers by why and whether their reassessment is due, with the earliest date."""
    return reading.marts(
        run,
        """SELECT cause, is_due, count(*) AS customers, min(reassess_at) AS earliest
           FROM risk_reassessment WHERE cause <> 'nothing_lent' GROUP BY ALL ORDER BY ALL""",
        "risk_reassessment",
    )


@needs(Right.SEE_RISK)
def treatments(run: Run) -> pd.DataFrame:
    """Return customers by treatment, with its reason and what it does, the most frequent first."""
    return reading.marts(
        run,
        """SELECT treatment, kind, any_value(reason_en) AS reason_en, any_value(reason_zh) AS reason_zh,
                  any_value(channel) AS channel, any_value(terms_change) AS terms_change, count(*) AS customers,
                  count(*) FILTER (needs_person) AS by_person,
                  count(*) FILTER (limit_change = 'increase') AS increased,
                  count(*) FILTER (limit_change IN ('decrease', 'freeze') AND limit_minor IS NOT NULL) AS cut
           FROM risk_treatments GROUP BY treatment, kind ORDER BY customers DESC, treatment""",
        "risk_treatments",
    )


LISTED: Final = {
    "watched": (
        "risk_watch_list",
        "customer_id, text AS why, text_zh AS why_zh, next_review_at AS by_when",
        "status = 'watched'",
    ),
    "by_person": (
        "risk_treatments",
        "customer_id, reason_en AS why, reason_zh AS why_zh, not_before AS by_when",
        "needs_person",
    ),
}
"""Lists of customers who need attention (on the watch list, to be contacted by a person only): table, columns, who."""
