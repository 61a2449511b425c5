"""Named segmentations: who is in which group of each, what every group is like, and how they cross."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.config.segments import SegmentSettings
from engine.domain.segment_marts import SEGMENT_MARTS
from engine.features.table import FEATURES
from engine.recommendations.columns import aligned, plain
from engine.segments import segmentations
from engine.workflows.stages.context import Context, Stage

MARTS: Final = tuple(mart.name for mart in SEGMENT_MARTS)

_OTHERS: Final = {"segments": ("value_tier", "rfm_cell", "cluster_name"), "risk": ("risk_tier",)}
_JOURNEY: Final = "journey_stage"


def write(context: Context, facts: dict[str, Any]) -> None:
    """Write who is in which group, the profile of each, and the crossed tables."""
    settings = context.settings(SegmentSettings, "segments")
    named = settings.segmentations
    known = [*FEATURES, *(name for names in _OTHERS.values() for name in names), _JOURNEY]
    segmentations.check(named, settings.profiled, known)
    wanted = segmentations.columns(named, settings.profiled)
    present = set(context.columns("features"))
    customers = context.rows("features", ["customer_id", *(name for name in wanted if name in present)])
    customers = customers.sort_by("customer_id").combine_chunks()
    for mart, names in _OTHERS.items():
        asked = [name for name in names if name in wanted]
        if asked and context.wrote(mart):
            customers = _joined(customers, context.rows(mart, ["customer_id", *asked]))
    if _JOURNEY in wanted and context.wrote("journey_stages"):
        customers = _joined(customers, _under_way(context))
    made = segmentations.segment(customers, named, settings.profiled, settings.crossed)
    facts["notes"] = list(made.notes)
    for mart, rows in zip(MARTS, (made.members, made.profiles, made.crossings), strict=True):
        context.builder.write_rows(mart, rows)


def _joined(customers: pa.Table, rows: pa.Table) -> pa.Table:
    """Return the customers with the other columns of the rows; null for whoever has no row."""
    beside = aligned(rows, plain(customers["customer_id"])).drop_columns("customer_id")
    for name in beside.column_names:
        customers = customers.append_column(name, beside[name])
    return customers


def _under_way(context: Context) -> pa.Table:
    """Return the stage of every customer with a journey under way: of the one that moved last, the first by name."""
    rows = context.rows("journey_stages", ["customer_id", "journey", "stage", "stage_since", "status"])
    rows = rows.filter(pc.equal(rows["status"], "in_progress"))
    order = [("customer_id", "ascending"), ("stage_since", "descending"), ("journey", "ascending")]
    rows = rows.sort_by(order).combine_chunks()
    ids = rows["customer_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    first = np.flatnonzero(np.diff(ids, prepend=-1))
    return pa.table(
        {name: rows[old].take(pa.array(first)) for name, old in (("customer_id",) * 2, (_JOURNEY, "stage"))}
    )


STAGE = Stage(name="segmentations", write=write, marts=MARTS, needs_marts=("features",))
