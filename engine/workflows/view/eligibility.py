"""What those see of risk who may not see risk: whether it lets something be offered, and no more than that.

All gates that would tell a tier, a probability, a watch list or a collection are one gate to them, "risk": in counts,
lists, grids and sentences alike. What an offer is worth, at which price and up to which limit follows from the default
probability for credit, and is left out with it; so are tracks, whose reasons name the tier.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pandas as pd

from engine.domain.access import Right, Viewer
from engine.domain.errors import UnknownName
from engine.features.table import FEATURES
from engine.lake.runs import Run
from engine.workflows.view import reading

GATE: Final = "risk"
"""The one gate that stands for all gates of risk."""
_TEXT: Final = ("Risk does not let it be offered.", "风险管控不允许推荐。")
GATES_OF_RISK: Final = frozenset(
    {
        "risk_unknown",
        "risk_stale",
        "risk_tier",
        "risk_hold",
        "risk_credit",
        "risk_answer",
        "affordability",
        "likely_to_default",
        "treatment_waits",
    }
)
"""Gates that tell of a tier, a probability, what somebody can repay, a watch list or a collection."""
_BUREAU: Final = "bureau"
OF_OFFERS: Final = (
    "expected_loss_minor", "annual_rate", "limit_minor", "amount_minor", "break_even_default_probability",
    "terms_note", "terms_note_zh", "track", "track_reason", "track_reason_zh",
)  # fmt: skip
"""What an offer tells of the risk of who gets it."""


def tells_of_risk(column: str) -> bool:
    """Return whether a column tells how risky a customer is: the tier, and what credit bureaus know."""
    return column == "risk_tier" or (column in FEATURES and FEATURES[column].theme == _BUREAU)


def is_of_risk(gates: pd.DataFrame) -> pd.Series:
    """Return for each gate whether it is one of risk."""
    found: pd.Series = gates["gate"].isin(GATES_OF_RISK)
    return found


def mask_of(run: Run) -> int:
    """Return the bits of all gates of risk of a run."""
    rows = reading.table(run, "gates")
    return sum(1 << int(bit) for bit in rows.loc[is_of_risk(rows), "bit"])


def gates(viewer: Viewer, run: Run) -> pd.DataFrame:
    """Return every gate with what it refused, in the order of its bit; those of risk as one to who may not see risk."""
    rows = reading.table(run, "gates")
    told = is_of_risk(rows)
    if viewer.may(Right.SEE_RISK) or not told.any():
        return rows
    mask = sum(1 << int(bit) for bit in rows.loc[told, "bit"])
    counted = reading.marts(
        run,
        """SELECT count(*) AS refused_pairs, count(*) FILTER ((refused_mask & ~$1) = 0) AS refused_only_by_this,
                  count(DISTINCT customer_id) AS customers
           FROM decisions WHERE (refused_mask & $1) <> 0""",
        "decisions",
        parameters=(mask,),
    )
    first = int(rows.loc[told, "bit"].min())
    one = {"bit": first, "gate": GATE, "kind": "risk", "reason_code": "RISK", "text_en": _TEXT[0], "text_zh": _TEXT[1]}
    one |= {name: int(counted[name].iloc[0]) for name in counted.columns}
    return pd.concat([rows[~told], pd.DataFrame([one])]).sort_values("bit", ignore_index=True)


def mask_of_gate(run: Run, gate: str) -> int:
    """Return the bits of a gate, of all of risk for GATE; raises UnknownName."""
    rows = reading.table(run, "gates")
    found = rows[is_of_risk(rows)] if gate == GATE else rows[rows["gate"] == gate]
    if found.empty:
        raise UnknownName("gate", gate, sorted(rows["gate"]))
    return sum(1 << int(bit) for bit in found["bit"])


def decisions(viewer: Viewer, run: Run, rows: pd.DataFrame, lent: frozenset[str]) -> pd.DataFrame:
    """Return what was decided of one customer, as the viewer may see it; `lent` are the products that are credit."""
    if viewer.may(Right.SEE_RISK) or not len(rows):
        return rows
    known = reading.table(run, "gates")
    mask, first = mask_of(run), int(known.loc[is_of_risk(known), "bit"].min())
    given = rows["refused_mask"].to_numpy(dtype=np.uint64)
    held = (given & np.uint64(mask)) != 0
    kept = given & np.uint64(~mask & (1 << 64) - 1)
    told = rows.assign(refused_mask=(kept | (held.astype(np.uint64) << np.uint64(first))).astype("int64"))
    return _worth(told, lent)


def offers(viewer: Viewer, rows: pd.DataFrame, lent: frozenset[str]) -> pd.DataFrame:
    """Return what customers are offered, as the viewer may see it; `lent` are the products that are credit."""
    if viewer.may(Right.SEE_RISK):
        return rows
    return _worth(rows.drop(columns=[name for name in OF_OFFERS if name in rows.columns]), lent)


def simulated(viewer: Viewer, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a trial of other limits does, as the viewer may see it.

    Without the right to risk: no losses, no tracks, nothing by risk tier, no gates of risk, and nobody by name, as
    limits of risk tried one after the other would tell what each customer's probability is.
    """
    if viewer.may(Right.SEE_RISK):
        return dict(found)
    told = {name: value for name, value in found.items() if name != "tracks"}
    told["totals"] = [one for one in found["totals"] if one["measure"] != "expected_loss_minor"]
    told["products"] = [
        {name: value for name, value in one.items() if "expected_loss" not in name} for one in found["products"]
    ]
    told["gates"] = [one for one in found["gates"] if one["gate"] not in GATES_OF_RISK]
    moves = found["moves"]
    told["moves"] = {**moves, "by": [one for one in moves["by"] if one["breakdown"] != "risk_tier"], "named": {}}
    told["under_served"] = {**found["under_served"], "lowest_after": []}
    return told


def state_of(viewer: Viewer, run: Run, customer_id: str) -> str | None:
    """Return whether risk lets anything be offered to a customer: open or blocked; None where the run does not say.

    Raises
    ------
    NotAllowed
    """
    viewer.require(Right.SEE_ELIGIBILITY)
    found: Mapping[str, Any] | None = reading.only(run, "risk_gate", customer_id)
    return None if found is None else "open" if found["outcome"] == "allow" else "blocked"


def _worth(rows: pd.DataFrame, lent: frozenset[str]) -> pd.DataFrame:
    """Leave out what credit is worth to the bank: its expected loss is part of it."""
    return rows.assign(expected_value_minor=rows["expected_value_minor"].where(~rows["product_id"].isin(lent)))
