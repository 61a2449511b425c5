"""Who acts at the command line: a person with a name, who holds the rights of the owner of the installation."""

from __future__ import annotations

from engine.domain.access import Role, Viewer
from engine.workflows import session


def viewer(by: str | None = None) -> Viewer:
    """Return who acts: the person named, else the account that runs the command."""
    return session.this_person() if by is None else Viewer(name=by, role=Role.OWNER)
