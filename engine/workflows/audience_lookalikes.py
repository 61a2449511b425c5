"""Lookalike audiences: whom the lookalikes in a rule choose on a run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import ibis
import pyarrow as pa

from engine.config.audiences import Lookalike
from engine.config.recommendations import Training
from engine.domain.errors import NotEnoughData
from engine.features.table import PROPENSITY_INPUTS
from engine.lake.engine import DuckDBEngine
from engine.recommendations import columns, lookalikes
from engine.recommendations.lookalikes import Lookalikes
from engine.recommendations.panel import model_features
from engine.segments.audiences import audience as rules

_ID: Final = {"customer_id": "string"}


def chosen(
    engine: DuckDBEngine, tables: Mapping[str, Any], root: rules.Node, as_of: datetime, training: Training
) -> tuple[dict[str, Any], dict[str, Lookalikes]]:
    """Return the tables with those whom each lookalike in a rule chooses, and how each was made, by its table's name.

    Raises
    ------
    NotEnoughData
        There are too few seeds, or they have nothing in common; or the run has no features.
    UnknownName, SettingsFault
        As of the seeds' own rule.
    """
    found, made = dict(tables), {}
    for node in root.lookalikes():
        condition = node.condition
        assert isinstance(condition, Lookalike)
        if condition.table in found:
            continue
        seeds = _seeds(engine, found, node, as_of)
        made[condition.table] = one = _choose(engine, found, condition, seeds, training)
        engine.attach(condition.table, pa.table({"customer_id": one.chosen}))
        found[condition.table] = ibis.table(_ID, name=condition.table)
    return found, made


def _seeds(engine: DuckDBEngine, tables: Mapping[str, Any], node: rules.Node, as_of: datetime) -> pa.Array:
    if node.seeds is not None:
        return columns.plain(engine.arrow(rules.members(node.seeds, tables, as_of))["customer_id"])
    assert isinstance(node.condition, Lookalike)
    return pa.array(sorted(set(node.condition.lookalike)), pa.string())


def _choose(
    engine: DuckDBEngine, tables: Mapping[str, Any], condition: Lookalike, seeds: pa.Array, training: Training
) -> Lookalikes:
    if "features" not in tables:
        raise NotEnoughData("lookalikes", "the run made no features", "features, made by a run")
    features = tables["features"]
    wanted = [name for name in PROPENSITY_INPUTS if name in features.columns]
    rows = engine.arrow(features.select("customer_id", *wanted).order_by("customer_id")).combine_chunks()
    names = model_features(rows, training.excluded_features)
    return lookalikes.choose(
        rows, names, seeds, size=condition.size, share=condition.share, training=training, draw=condition.draw
    )


def told(one: Lookalikes) -> dict[str, Any]:
    """Return how lookalikes were made, in figures and names of features."""
    return {
        "seeds": one.seeds,
        "unknown_seeds": one.unknown_seeds,
        "candidates": one.candidates,
        "chosen": len(one.chosen),
        "auc": one.separation.value,
        "auc_lower": one.separation.lower,
        "auc_upper": one.separation.upper,
        "more_of": [name for name, more in one.telling if more],
        "less_of": [name for name, more in one.telling if not more],
    }
