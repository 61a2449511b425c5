"""Who acts at the command line: a person with a name, who holds the rights of the owner of the installation."""

# ruff: noqa: PLC0415  the engine is imported when a command runs, so that help answers at once
from __future__ import annotations

from engine.domain.access import Role, Viewer


def viewer(by: str | None = None) -> Viewer:
    """Return who acts: the person named, else the account that runs the command."""
    from engine.workflows import session

    return session.this_person() if by is None else Viewer(name=by, role=Role.OWNER)
