"""The tables that rules of audiences are about: those of the bank, and those of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import ibis

from engine.domain.errors import NotEnoughData
from engine.domain.marts import MARTS
from engine.domain.schema import Table
from engine.features.table import CONTRACT as FEATURES
from engine.lake.engine import DuckDBEngine
from engine.lake.schema import ibis_schema
from engine.lake.workspace import Workspace
from engine.segments.audiences.audience import Node

_MARTS: Final = ("segments", "segmentations", "risk", "journey_stages", "recommendations", "decisions")
RULED: Final[dict[str, Table]] = {
    **{name: MARTS[name] for name in _MARTS},
    "features": FEATURES,
}
"""The marts that a rule may be about."""


def attached(engine: DuckDBEngine, curated: dict[str, Any], marts: dict[str, Path]) -> dict[str, Any]:
    """Return the bank's tables with those of a run that rules may be about, given by their folders."""
    tables = dict(curated)
    for name, contract in RULED.items():
        if name in marts:
            engine.attach(f"_ruled_{name}", marts[name])
            tables[name] = ibis.table(ibis_schema(contract), name=f"_ruled_{name}")
    return tables


def with_frozen(engine: DuckDBEngine, workspace: Workspace, tables: dict[str, Any], root: Node) -> dict[str, Any]:
    """Return the tables with the frozen lists that a rule names.

    Raises
    ------
    NotEnoughData
        A list is not in the workspace, as where a definition was brought here without it.
    """
    found = dict(tables)
    for one in root.frozen():
        place = workspace.frozen(one.frozen)
        if not place.is_file():
            have = f"the list {one.frozen[:12]}… is not in this workspace"
            raise NotEnoughData("frozen list", have, f"the file {place.name} under {place.parent.name}/")
        engine.attach(one.table, place)
        found[one.table] = ibis.table({"customer_id": "string"}, name=one.table)
    return found
