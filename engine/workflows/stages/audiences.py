"""Audiences: who belongs to each that is due, who came and went since the last time; one that fails stops no run."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import ibis
import pyarrow as pa

from engine.config.recommendations import RecommendationSettings
from engine.domain.audience_marts import AUDIENCE_BUILDS, AUDIENCE_MEMBERS
from engine.domain.errors import WaylineError
from engine.lake.memberships import Membership
from engine.lake.schema import arrow_schema
from engine.segments.audiences import audience as rules
from engine.workflows import audience_lookalikes, audience_tables
from engine.workflows.held_audiences import Planned
from engine.workflows.stages.context import Context, Stage

MARTS: Final = (AUDIENCE_BUILDS.name, AUDIENCE_MEMBERS.name)
_NOW, _BEFORE = "_audience_now", "_audience_before"
_ID: Final = {"customer_id": "string"}


def write(context: Context, facts: dict[str, Any]) -> None:
    """Write who belongs to the audiences that are due, and of every audience what became of it."""
    marts = {name: context.builder.folder / name for name in audience_tables.RULED if context.wrote(name)}
    tables = audience_tables.attached(context.engine, context.tables, marts)
    others = {one.name: one.kept.definition for one in context.audiences if one.kept is not None}
    held = context.catalogue
    training = (held.policies if held else context.settings(RecommendationSettings, "recommendations")).training
    builds = []
    with context.builder.writer(AUDIENCE_MEMBERS.name, arrow_schema(AUDIENCE_MEMBERS)) as writer:
        for one in context.audiences:
            row = {"audience": one.name, "version": one.record.version, "schedule": _schedule(one)}
            if one.standing != "due" or one.kept is None:
                builds.append(row | {"status": one.standing, "reason": one.reason})
                continue
            try:
                root = rules.tree(one.kept.definition, others)
                listed = audience_tables.with_frozen(context.engine, context.workspace, tables, root)
                chosen, _ = audience_lookalikes.chosen(context.engine, listed, root, context.as_of, training)
                members = context.engine.arrow(rules.members(root, chosen, context.as_of).order_by("customer_id"))
            except WaylineError as fault:
                told = f'The audience "{one.name}" was not built: {fault.sentence}'
                builds.append(row | {"status": "failed", "reason": told})
                continue
            writer.write_table(_rows(one.name, members))
            builds.append(row | {"status": "built"} | _moved(context, members, one.before))
    table = pa.Table.from_pylist(builds, schema=arrow_schema(AUDIENCE_BUILDS))
    context.builder.write_rows(AUDIENCE_BUILDS.name, table)
    facts["notes"] = _notes(builds)


def _schedule(one: Planned) -> str | None:
    return None if one.kept is None else one.kept.definition.schedule


def _rows(name: str, members: pa.Table) -> pa.Table:
    own = pa.repeat(pa.scalar(name, pa.string()), members.num_rows)
    return pa.table({"audience": own, "customer_id": members["customer_id"]}, schema=arrow_schema(AUDIENCE_MEMBERS))


def _moved(context: Context, members: pa.Table, before: Membership | None) -> dict[str, Any]:
    """Return how many belong, and how many came and went since the snapshot before, if there is one."""
    told: dict[str, Any] = {"members": members.num_rows}
    if before is None:
        return told
    context.engine.attach(_NOW, members)
    context.engine.attach(_BEFORE, before.rows)
    now, then = ibis.table(_ID, name=_NOW), ibis.table(_ID, name=_BEFORE)
    stayed = context.engine.arrow(now.semi_join(then, "customer_id").agg(stayed=lambda rows: rows.count()))
    both = stayed["stayed"][0].as_py()
    return told | {
        "compared_with": before.run_id,
        "before": before.size,
        "entered": members.num_rows - both,
        "left": before.size - both,
    }


def _notes(builds: list[dict[str, Any]]) -> list[str]:
    counted = Counter(row["status"] for row in builds)
    built = [f"Built {counted['built']} of {len(builds)} audiences."] if builds else []
    return [*built, *(row["reason"] for row in builds if row["status"] in ("failed", "not_due"))]


STAGE: Final = Stage(name="audiences", write=write, marts=MARTS, needs_tables=("customers",))
