"""Tell in the journal what a run brought: that it is there, and how each audience moved; told once, however often."""

from __future__ import annotations

from typing import Any

from engine.lake.memberships import Membership
from engine.lake.runs import Run
from engine.store import Journal, Store


def announce(store: Store, run: Run) -> None:
    """Tell that a run is complete, and of every audience that it built how many belong, came and went."""
    journal = Journal(store)
    journal.tell_once("run_published", run.run_id, {"run_id": run.run_id, "as_of": run.as_of.isoformat()})
    if not run.has("audience_builds"):
        return
    for row in run.read("audience_builds", where={"status": "built"}).to_pylist():
        moved = {name: row[name] for name in ("version", "members", "before", "entered", "left")}
        journal.tell_once(
            "audience_published", row["audience"], _about(run.run_id, row["version"]) | moved, of="snapshot"
        )


def announce_built(store: Store, snapshot: Membership) -> None:
    """Tell that an audience was built on its own, after the run."""
    about = _about(snapshot.run_id, snapshot.version)
    details = about | {"version": snapshot.version, "members": snapshot.size}
    Journal(store).tell_once("audience_published", str(snapshot.manifest["audience"]), details, of="snapshot")


def _about(run_id: str, version: int) -> dict[str, Any]:
    return {"run_id": run_id, "snapshot": f"{run_id}-v{version}"}
