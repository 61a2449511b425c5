"""Segments: who the customers are by value and by behaviour."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from engine.config.segments import SegmentSettings
from engine.lake.runs import Run, list_runs
from engine.lake.workspace import Workspace
from engine.segments.assign import Earlier, assign, columns
from engine.workflows.stages.context import Context, Stage

MARTS = ("segments", "segment_profiles", "segment_choices")


def earlier(workspace: Workspace, moment: datetime) -> Run | None:
    """Return the run of the latest date before, of several of that date the last made, whose clusters go on."""
    before = [run for run in list_runs(workspace) if run.as_of < moment and run.has("segment_profiles")]
    return max(before, key=lambda run: (run.as_of, run.manifest["finished_at"], run.run_id), default=None)


def clusters_of(run: Run | None) -> Earlier | None:
    """Return who was in which cluster of a run, and what the clusters were called; None where it has none."""
    if run is None:
        return None
    profiles = run.read("segment_profiles", columns=["cluster_id", "cluster_name", "cluster_name_zh"]).to_pylist()
    names = {row["cluster_id"]: (row["cluster_name"], row["cluster_name_zh"]) for row in profiles}
    return Earlier(members=run.read("segments", columns=["customer_id", "cluster_id"]), names=names)


def write(context: Context, facts: dict[str, Any]) -> None:
    """Write the members, profiles and the numbers of clusters that were tried."""
    settings = context.settings(SegmentSettings, "segments")
    # of a million customers the whole feature table would take a gigabyte
    wanted = [name for name in columns(settings) if name in context.columns("features")]
    segmentation = assign(context.rows("features", wanted), settings, context.seed, clusters_of(context.earlier))
    facts["notes"] = list(segmentation.notes)
    for mart, rows in zip(MARTS, (segmentation.members, segmentation.profiles, segmentation.choices), strict=True):
        context.builder.write_rows(mart, rows)


STAGE = Stage(name="segments", write=write, marts=MARTS, needs_marts=("features",))
