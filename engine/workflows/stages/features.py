"""The feature table: one row per customer as of the run's date."""

from __future__ import annotations

from typing import Any

from engine.features import table
from engine.workflows.stages.context import Context, Stage

FEATURES = "features"


def write(context: Context, facts: dict[str, Any]) -> None:
    """Write the feature table; the manifest says which themes are empty for want of a table."""
    missing = table.themes_missing(context.tables)
    if missing:
        facts["notes"] = [f"{theme}: no table {', '.join(names)}" for theme, names in sorted(missing.items())]
    expression = table.build(context.tables, context.as_of, context.bank)
    context.builder.write(FEATURES, context.engine, expression, order_by=["customer_id"])


STAGE = Stage(name="features", write=write, marts=(FEATURES,), needs_tables=("customers",))
