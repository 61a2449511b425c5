"""The customers behind a selection: how many there are, and who, a page at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pandas as pd

from engine.domain.access import Right, Viewer
from engine.lake.runs import Run
from engine.lake.workspace import Workspace
from engine.workflows.view import audiences, reading, selected, small_groups
from engine.workflows.view.selection import Selection

ROWS: Final = 25
"""Rows of a page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """How many stand behind a mark.

    rows : what the mark counts, in the unit of its kind. customers : how many different customers they are of.
    step : the name of the step that a journey's selection is at; None for other kinds. is_rounded : to tens, for who
    sees neither small groups nor lists: exact counts of a group and of the whole would tell that of the rest.
    """

    rows: int
    customers: int
    step: str | None = None
    is_rounded: bool = False


def counted(workspace: Workspace, run: Run, one: Selection, viewer: Viewer) -> Counted:
    """Return how many stand behind a selection.

    Raises
    ------
    NotAllowed
        It tells of risk, which the viewer's role does not see.
    GroupTooSmall
        It is so few that the viewer's role does not see how many.
    MartMissing, NotEnoughData, UnknownName
    """
    _require(workspace, one, viewer)
    found = selected.read(
        selected.rows(workspace, run, one),
        "SELECT count(*) AS n, count(DISTINCT customer_id) AS customers FROM chosen",
    )
    rows, customers = int(found["n"].iloc[0]), int(found["customers"].iloc[0])
    small_groups.checked(viewer, customers)
    if not viewer.may(Right.SEE_SMALL_GROUPS) and not viewer.may(Right.SEE_CUSTOMERS):
        rows, customers = small_groups.tens(rows), small_groups.tens(customers)
        return Counted(rows=rows, customers=customers, step=_step(run, one), is_rounded=True)
    return Counted(rows=rows, customers=customers, step=_step(run, one))


def page(workspace: Workspace, run: Run, one: Selection, viewer: Viewer, offset: int = 0) -> pd.DataFrame:
    """Return ROWS of those behind a selection: customer_id and the columns of its kind, in the kind's order.

    Raises
    ------
    NotAllowed
        The viewer's role does not see lists of customers.
    GroupTooSmall, MartMissing, NotEnoughData, UnknownName
    """
    viewer.require(Right.SEE_CUSTOMERS)
    _require(workspace, one, viewer)
    if not viewer.may(Right.SEE_SMALL_GROUPS):
        counted(workspace, run, one, viewer)  # raises where they are too few
    order = f"{one.told.order}, customer_id" if one.told.order else "customer_id"
    return selected.read(
        selected.rows(workspace, run, one), f"SELECT * FROM chosen ORDER BY {order} LIMIT {ROWS:d} OFFSET {offset:d}"
    )


def _require(workspace: Workspace, one: Selection, viewer: Viewer) -> None:
    """Raise NotAllowed where even how many there are tells what the viewer may not know."""
    viewer.require(*one.rights)
    if one.kind in ("audience", "audience_moved") and audiences.tells_of_risk(workspace, one["audience"]):
        viewer.require(Right.SEE_RISK)
    if one.kind in ("exported", "rejected"):
        viewer.require_one_of(Right.REQUEST_EXPORT, Right.APPROVE_EXPORT, Right.SEE_AUDIT)


def _step(run: Run, one: Selection) -> str | None:
    if one.kind != "journey_step":
        return None
    text = "SELECT step FROM journey_funnels WHERE journey = ? AND step_index = ? LIMIT 1"
    found = reading.marts(run, text, "journey_funnels", parameters=(one["journey"], int(one["step"])))
    return str(found["step"].iloc[0]) if len(found) else None
