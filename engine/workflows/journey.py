"""Read the journeys of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from engine.domain.errors import UnknownName
from engine.lake.runs import open_run
from engine.workflows import session


def listing(home: Path, run_id: str | None = None) -> list[dict[str, Any]]:
    """Return one row per journey: who entered, who completed it, the share, and how many are still on the way."""
    run = open_run(session.workspace_at(home), run_id)
    rows = run.read("journey_funnels", where={"breakdown": "all"}).to_pylist()
    return [
        _overview([row for row in rows if row["journey"] == name]) for name in dict.fromkeys(r["journey"] for r in rows)
    ]


def show(home: Path, journey: str, by: str = "all", run_id: str | None = None) -> list[dict[str, Any]]:
    """Return the funnel of one journey, a row per group and step.

    Raises
    ------
    RunMissing, MartMissing
    UnknownName
        The run has no journey, or no breakdown, of that name.
    """
    run = open_run(session.workspace_at(home), run_id)
    steps = run.read("journey_funnels", ["journey", "breakdown"]).to_pylist()
    _known("journey", journey, [row["journey"] for row in steps])
    _known("breakdown", by, [row["breakdown"] for row in steps])
    rows: list[dict[str, Any]] = run.read("journey_funnels", where={"journey": journey, "breakdown": by}).to_pylist()
    return rows


def _overview(steps: list[dict[str, Any]]) -> dict[str, Any]:
    first, last = steps[0], steps[-1]
    return {
        "journey": first["journey"],
        "steps": len(steps),
        "entered": first["customers"],
        "completed": last["customers"],
        "completed_share": last["rate_from_first"],
        "in_progress": sum(step["in_progress"] for step in steps),
    }


def _known(what: str, name: str, names: list[str]) -> None:
    known = sorted(set(names))
    if name not in known:
        raise UnknownName(what, name, known)
