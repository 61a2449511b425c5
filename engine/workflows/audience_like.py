"""Make an audience of customers like those of another audience, or of a list: tried, saved, rebuilt on every run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv as pa_csv

from engine.config.audiences import Audience
from engine.config.load import validate
from engine.domain.errors import MissingColumns, RefusedByPolicy, SettingsFault, UnreadableSource
from engine.segments.audiences import audience as rules
from engine.workflows import audience_lookalikes, audience_tables, audiences
from engine.workflows.audiences import opened

_ID: Final = "customer_id"
_MOST: Final = 100_000
"""Ids that a definition keeps; a longer list is an audience of its own kind, by a rule."""


def like(
    home: Path,
    seed: str,
    *,
    size: int | None,
    share: float | None,
    owner: str,
    name: str | None = None,
    draw: int = 1,
    run_id: str | None = None,
) -> dict[str, Any]:
    """Save an audience of those most like the seeds, and return how well seeds are told from others.

    Parameters
    ----------
    seed : an audience's id, or a CSV file with a column customer_id.
    name : the id to save it under; by default `like_` and the seed's.

    Raises
    ------
    NotEnoughData
        Too few seeds, or nothing that they have in common: nothing is saved.
    UnknownName, SettingsFault, MissingColumns, UnreadableSource, RunMissing, RefusedByPolicy
    """
    if not owner.strip():
        raise RefusedByPolicy("An audience needs an owner. Give one with --by.")
    if size is not None and share is not None:
        raise SettingsFault("the lookalikes", ["a size and a share are given: give one of them"])
    file = Path(seed)
    listed = file.suffix != "" or file.is_file()
    told = {"lookalike": _ids(file) if listed else seed, "draw": draw} | (
        {name: value for name, value in (("size", size), ("share", share)) if value is not None}
    )
    what = file.stem if listed else seed
    values = {
        "audience": name or f"like_{what}"[:60],
        "name": f"Like {what}",
        "name_zh": f"与{what}相似",
        "owner": owner,
        "rule": told,
    }
    definition = validate(Audience, values, f"lookalikes of {what}")
    with opened(home, run_id) as held:
        root = held.root(definition)
        known = audience_tables.with_frozen(held.engine, held.workspace, held.tables, root)
        tables, made = audience_lookalikes.chosen(held.engine, known, root, held.run.as_of, held.training())
        sample = held.engine.arrow(rules.members(root, tables, held.run.as_of).order_by(_ID).limit(10))
        run = held.run.run_id
    figures = audience_lookalikes.told(list(made.values())[-1])
    saved = audiences.save_definition(home, definition, owner)
    return {**saved, "run_id": run, **figures, "sample": sample[_ID].to_pylist()}


def _ids(file: Path) -> list[str]:
    if not file.is_file():
        raise UnreadableSource(str(file), "there is no such file", "Give a CSV file with a column customer_id.")
    try:
        text = pa_csv.ConvertOptions(column_types={_ID: pa.string()})
        rows = pa_csv.read_csv(file, convert_options=text)
    except pa.ArrowInvalid as fault:
        raise UnreadableSource(file.name, "it is no CSV file", "Write a header and one id a line.") from fault
    if _ID not in rows.column_names:
        raise MissingColumns(file.name, "seeds", [_ID], rows.column_names)
    ids = sorted({one.strip() for one in rows[_ID].to_pylist() if one and one.strip()})
    if not ids or len(ids) > _MOST:
        problem = f"it names {len(ids)} customers"
        raise UnreadableSource(file.name, problem, f"Name 50 at least and {_MOST} at most, or describe them by a rule.")
    return ids
