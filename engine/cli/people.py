"""Who acts at the command line: a person with a name, who holds the rights of the owner of the installation."""

from __future__ import annotations

import getpass

from engine.domain.access import Role, Viewer


def viewer(by: str | None = None) -> Viewer:
    """Return who acts: the person named, else the account that runs the command."""
    return Viewer(name=getpass.getuser() if by is None else by, role=Role.OWNER)
