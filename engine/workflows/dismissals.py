"""What a person put off the own list of the first page: nobody else's list changes, and a new run begins it anew."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from engine.domain.access import Viewer
from engine.store import Dismissals, Store
from engine.workflows import session


def add(home: Path, viewer: Viewer, run_id: str, item: str, reason: str) -> None:
    """Put something off the viewer's list; raises RefusedByPolicy without a reason."""
    workspace = session.workspace_at(home)
    workspace.report()
    with Store(session.database_url(workspace), actor=viewer.name) as store:
        Dismissals(store).add(run_id, item, reason)


def show_again(home: Path, viewer: Viewer, run_id: str) -> None:
    """Show the viewer everything of a run again."""
    with Store(session.database_url(session.workspace_at(home)), actor=viewer.name) as store:
        Dismissals(store).take_back(run_id)


def of(home: Path, viewer: Viewer, run_id: str) -> dict[str, tuple[str, datetime]]:
    """Return what the viewer put off of a run, with the reason and the instant; looking makes no database."""
    workspace = session.workspace_at(home)
    if not session.has_register(workspace):
        return {}
    with Store(session.database_url(workspace)) as store:
        return Dismissals(store).of(viewer.name, run_id)
