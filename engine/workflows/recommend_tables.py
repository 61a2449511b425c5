"""The race of the models of a run, its pair rules, and the limits on all its offers together."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from engine.domain.errors import UnknownName
from engine.lake.runs import open_run
from engine.workflows import session

CAPTION: Final = (
    "A model is used only where it beats popularity beyond chance: the lower end of its gain is above zero."
)

PRICED: Final = (
    "A shadow price is the expected value, in minor units, that one more unit of a limit would bring. No allocation "
    "within the limits is worth more than the bound."
)
UNLIMITED: Final = "No limits were set on all offers together. Set them under [allocation] in wayline.toml."


def models(home: Path, run_id: str | None = None) -> dict[str, Any]:
    """Return how each model did, the chosen one first, then by mean average precision.

    Raises
    ------
    RunMissing, WorkspaceMissing, MartMissing
    """
    run = open_run(session.workspace_at(home), run_id)
    run.require("recommendation_models")
    rows = run.read("recommendation_models").to_pylist()
    rows.sort(key=lambda row: (not row["chosen"], -(row["map_at_7"] or 0.0), row["model"]))
    return {"run_id": run.run_id, "models": rows, "caption": CAPTION}


def rules(home: Path, run_id: str | None = None, has: str | None = None, limit: int = 50) -> dict[str, Any]:
    """Return the pair rules with the strongest lift, of one product held or of all.

    Raises
    ------
    RunMissing, WorkspaceMissing, MartMissing
    UnknownName
        No rule begins with that product.
    """
    run = open_run(session.workspace_at(home), run_id)
    run.require("product_rules")
    rows = run.read("product_rules").to_pylist()
    if has is not None:
        known = sorted({row["has_product_id"] for row in rows})
        if has not in known:
            raise UnknownName("product with rules", has, known)
        rows = [row for row in rows if row["has_product_id"] == has]
    rows.sort(key=lambda row: (-row["lift"], row["has_product_id"], row["takes_product_id"]))
    return {"run_id": run.run_id, "total": len(rows), "rules": rows[:limit]}


def limits(home: Path, run_id: str | None = None) -> dict[str, Any]:
    """Return the limits on all offers of a run together, each with its price and use, and how close the offers came.

    Both lists are empty where no limit was set; `caption` says what the answer means.

    Raises
    ------
    RunMissing, WorkspaceMissing, MartMissing
    """
    run = open_run(session.workspace_at(home), run_id)
    run.require("allocation_limits")
    rows, measures = run.read("allocation_limits").to_pylist(), run.read("allocation").to_pylist()
    caption = PRICED if rows else UNLIMITED
    return {"run_id": run.run_id, "limits": rows, "measures": measures, "caption": caption}
