"""What audiences share on a run: how many belong to each, to both of each pair, to all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from engine.domain.errors import SettingsFault
from engine.segments.audiences import audience as rules
from engine.segments.audiences import overlap
from engine.workflows import held_audiences
from engine.workflows.audiences import opened

_MOST: Final = 12  # more than that nobody reads, and the pairs grow with the square


def shared(home: Path, names: Sequence[str], run_id: str | None = None) -> dict[str, Any]:
    """Return sizes and overlaps of kept audiences by their rules of today on a run.

    Raises
    ------
    SettingsFault
        Fewer than two different audiences are named, or too many.
    UnknownName, NotEnoughData, RunMissing, WorkspaceMissing
    """
    chosen = list(dict.fromkeys(names))
    if not 2 <= len(chosen) <= _MOST:
        told = f"{len(chosen)} different audiences are named. Name 2 to {_MOST}"
        raise SettingsFault("the overlap", [told])
    with opened(home, run_id) as held:
        others = held_audiences.definitions(held.audiences)
        roots = {name: rules.tree(held.kept(name).definition, others, f"a{place}") for place, name in enumerate(chosen)}
        whole = rules.Node(kind="any", name="whole", parts=tuple(roots.values()))
        rows = rules.side_by_side(roots, held.with_lookalikes(whole), held.run.as_of)
        found = overlap.overlap(held.engine.arrow(overlap.counted(rows, chosen)), chosen)
        return {
            "run_id": held.run.run_id,
            "as_of": held.run.as_of,
            "customers": found.customers,
            "audiences": [
                {"audience": name, "members": found.sizes[name], "in_no_other": found.alone[name]} for name in chosen
            ],
            "in_all": found.in_all,
            "in_any": found.in_any,
            "pairs": [asdict(pair) for pair in found.pairs],
        }
