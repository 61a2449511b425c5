"""The feature table: one row per customer as of the run's date."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from engine.features import table
from engine.lake.schema import naive_utc
from engine.workflows.stages.context import Context, Stage

FEATURES = "features"

STALE: Final = timedelta(days=30)
"""A table whose newest row is older than the shortest window that features look back over."""

_STREAMS: Final = ("transactions", "events", "bureau")
"""Tables that never rest in a living bank; an old newest row elsewhere may only mean that nothing happened."""


def write(context: Context, facts: dict[str, Any]) -> None:
    """Write the feature table; the manifest says which themes are empty, and which tables end early."""
    missing = table.themes_missing(context.tables)
    notes = [f"{theme}: no table {', '.join(names)}" for theme, names in sorted(missing.items())]
    facts["notes"] = [*notes, *_stale(context)]
    expression = table.build(context.tables, context.as_of, context.bank)
    context.builder.write(FEATURES, context.engine, expression, order_by=["customer_id"])


def _stale(context: Context) -> Iterator[str]:
    for row in context.engine.arrow(table.newest(context.tables, context.as_of)).to_pylist():
        newest = row["newest_at"]
        if row["table"] in _STREAMS and newest is not None and naive_utc(context.as_of) - newest > STALE:
            yield (
                f"{row['table']} end on {newest:%Y-%m-%d}: windows up to {context.as_of:%Y-%m-%d} are empty because "
                "the extract ended, not because nothing happened. Run with --as-of near that day to look at them."
            )


STAGE = Stage(name="features", write=write, marts=(FEATURES,), needs_tables=("customers",))
