"""Comments on audiences, experiments, policy changes, exports and cases: one table, the same rules everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from engine.domain.access import Right, Viewer
from engine.store import CommentRecord, Comments, Store
from engine.workflows import session

_CASE: Final = "case"


def on(home: Path, viewer: Viewer, kind: str, subject: str) -> tuple[CommentRecord, ...]:
    """Return the comments on a thing, the oldest first; those on a case for whoever sees cases. Raises NotAllowed."""
    if kind == _CASE:
        viewer.require(Right.SEE_CASES)
    workspace = session.workspace_at(home)
    if not session.has_register(workspace):
        return ()
    with Store(session.database_url(workspace)) as store:
        return tuple(Comments(store).on(kind, subject))


def add(home: Path, viewer: Viewer, kind: str, subject: str, text: str) -> CommentRecord:
    """Write a comment; raises NotAllowed, UnknownName, RefusedByPolicy."""
    viewer.require(Right.COMMENT, *([Right.SEE_CASES] if kind == _CASE else []))
    workspace = session.workspace_at(home)
    workspace.report()
    with Store(session.database_url(workspace), actor=viewer.name) as store:
        return Comments(store).add(kind, subject, text)


def withdraw(home: Path, viewer: Viewer, number: int) -> CommentRecord:
    """Withdraw a comment of one's own; raises NotAllowed, UnknownName, RefusedByPolicy."""
    viewer.require(Right.COMMENT)
    with Store(session.database_url(session.workspace_at(home)), actor=viewer.name) as store:
        return Comments(store).withdraw(number)
