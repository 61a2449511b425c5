"""Segments: who the customers are by value and by behaviour."""

from __future__ import annotations

from typing import Any

from engine.config.segments import SegmentSettings
from engine.segments.assign import assign, columns
from engine.workflows.stages.context import Context, Stage

MARTS = ("segments", "segment_profiles", "segment_choices")


def write(context: Context, facts: dict[str, Any]) -> None:
    """Write the members, profiles and the numbers of clusters that were tried."""
    settings = context.settings(SegmentSettings, "segments")
    # of a million customers the whole feature table would take a gigabyte
    wanted = [name for name in columns(settings) if name in context.columns("features")]
    segmentation = assign(context.rows("features", wanted), settings, context.seed)
    facts["notes"] = list(segmentation.notes)
    for mart, rows in zip(MARTS, (segmentation.members, segmentation.profiles, segmentation.choices), strict=True):
        context.builder.write_rows(mart, rows)


STAGE = Stage(name="segments", write=write, marts=MARTS, needs_marts=("features",))
