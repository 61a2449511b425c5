"""Segments: who the customers are by value and by behaviour."""

from __future__ import annotations

from typing import Any

from engine.config.segments import SegmentSettings
from engine.segments.assign import assign
from engine.workflows.stages.context import Context, Stage

MARTS = ("segments", "segment_profiles", "segment_choices")


def write(context: Context, facts: dict[str, Any]) -> None:
    """Write the members, profiles and the numbers of clusters that were tried."""
    segmentation = assign(context.rows("features"), context.settings(SegmentSettings, "segments"), context.seed)
    facts["notes"] = list(segmentation.notes)
    for mart, rows in zip(MARTS, (segmentation.members, segmentation.profiles, segmentation.choices), strict=True):
        context.builder.write_rows(mart, rows)


STAGE = Stage(name="segments", write=write, marts=MARTS, needs_marts=("features",))
