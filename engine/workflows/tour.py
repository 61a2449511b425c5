"""How far each person has come in the tour of the app; kept in the workspace, one small file a person."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Final, Literal

from engine.domain.access import Right, Viewer
from engine.lake.jobs import put
from engine.lake.runs import Run
from engine.workflows import demo, session
from engine.workflows.view import reading

Step = int | Literal["new", "ended"]
"""The place of the step that is shown; `new` for who has neither taken nor declined it, `ended` for who has."""
FOLDER: Final = "people"


def step(viewer: Viewer, home: Path) -> Step:
    """Return where a person stands in the tour."""
    try:
        kept = json.loads(_file(viewer, home).read_text(encoding="utf-8"))["tour"]
    except (OSError, ValueError, KeyError):
        return "new"
    return kept if isinstance(kept, int) and kept >= 0 else "ended"


def go_to(viewer: Viewer, home: Path, step: int | None) -> None:
    """Keep where a person stands; None ends the tour."""
    path = _file(viewer, home)
    path.parent.mkdir(parents=True, exist_ok=True)
    put(path, {"tour": step if step is not None else "ended"})


def is_demo(home: Path) -> bool:
    """Return whether the workspace holds the demo bank, on which the tour offers itself."""
    return (session.workspace_at(home).home / demo.MARK).is_file()


def a_customer(viewer: Viewer, run: Run) -> str | None:
    """Return the first customer by id who is offered something; None where nobody is, or the run has no offers."""
    viewer.require(Right.SEE_CUSTOMERS)
    if not run.has("recommendations"):
        return None
    found = reading.marts(run, "SELECT min(customer_id) AS first FROM recommendations", "recommendations")
    first = found["first"].iloc[0]
    return first if isinstance(first, str) else None


def _file(viewer: Viewer, home: Path) -> Path:
    # a name may hold anything; its digest is a file name
    digest = hashlib.sha256(viewer.name.encode()).hexdigest()[:24]
    return session.workspace_at(home).home / FOLDER / f"{digest}.json"
