"""Make an audience of the customers behind a selection: by a rule where one says the same, else as a frozen list."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from engine.config.audiences import Audience, Frozen
from engine.config.load import validate
from engine.domain.access import Right, Viewer
from engine.domain.errors import NotEnoughData, RefusedByPolicy
from engine.lake.files import write_synced
from engine.lake.runs import Run
from engine.lake.workspace import Workspace
from engine.workflows import audiences, held_audiences
from engine.workflows.view import people, reading, selected
from engine.workflows.view.selection import Selection

Way = Literal["rule", "frozen"]
_MOST_NAMED: Final = 480  # of the 500 signs in which a definition says what its list was made of


def as_rule(one: Selection) -> dict[str, Any] | None:
    """Return the rule of an audience that means the same customers on every run; None where none can say it."""
    said: dict[str, Any] | None = None
    if one.kind == "cluster":
        said = {"segment": "cluster_name", "is": one["cluster"]}
    elif one.kind == "rfm":
        scores = {"recency_score": one["recency"], "frequency_score": one["frequency"]}
        said = {"all": [{"segment": name, "is": int(value)} for name, value in scores.items()]}
    elif one.kind == "value_risk":
        said = {"all": [{"segment": "value_tier", "is": one["value_tier"]}, {"risk_tier": one["risk_tier"]}]}
    elif one.kind == "tier":
        said = {"risk_tier": one["risk_tier"]}
    elif one.kind == "offers" and one["channel"] == "all":
        said = {"recommendation": one["product"]}
    elif one.kind == "arm":
        said = {"experiment": one["experiment"], "arm": one["arm"]}
    elif one.kind == "audience":
        said = {"audience": one["audience"]}
    return said


def kept(workspace: Workspace, run: Run, one: Selection) -> str | None:
    """Return the audience that was saved of a selection before: by its rule, or frozen on this very run."""
    rule = as_rule(one)
    same = None if rule is None else _definition("same", "same", "nobody", rule).rule
    for name, held in held_audiences.kept(workspace).items():
        own = held.definition.rule
        frozen = isinstance(own, Frozen) and own.what == _what(run, one)
        if held.retired is None and (frozen or own == same):
            return name
    return None


def _definition(
    audience: str, name: str, owner: str, rule: dict[str, Any], channels: Sequence[str] = ("email",)
) -> Audience:
    values = {"audience": audience, "name": name, "owner": owner, "channels": list(channels), "rule": rule}
    return validate(Audience, values, "the audience")


def save(
    workspace: Workspace,
    run: Run,
    one: Selection,
    viewer: Viewer,
    *,
    audience: str,
    name: str,
    way: Way,
    channels: Sequence[str] = ("email",),
) -> dict[str, Any]:
    """Keep the customers behind a selection as an audience, and return what `audiences.save_definition` does.

    Parameters
    ----------
    way : `rule` follows customers from run to run; `frozen` keeps these very ones.

    Raises
    ------
    NotAllowed, GroupTooSmall
    RefusedByPolicy
        An audience of that id is kept already, of other customers.
    NotEnoughData
        No rule means these customers: they have to be frozen; or nobody is behind the selection.
    SettingsFault, UnknownName, MartMissing
    """
    viewer.require(Right.BUILD_AUDIENCE)
    counted = people.counted(workspace, run, one, viewer)
    if not counted.customers:
        raise NotEnoughData("audience", "nobody is behind this selection", "a selection of at least one customer")
    rule = as_rule(one) if way == "rule" else _frozen(workspace, run, one)
    if rule is None:
        raise _no_rule("no rule of an audience says what this selection is about")
    definition = _definition(audience, name, viewer.name, rule, channels)
    before = held_audiences.kept(workspace).get(audience)
    if before is not None and before.definition.rule != definition.rule:
        raise RefusedByPolicy(f'An audience "{audience}" is kept already, of other customers. Choose another id.')
    found = audiences.count_definition(workspace.home, definition, run.run_id)["members"]
    if found != counted.customers:
        raise _no_rule(f"by its rule the audience would have {found:,} members, and {counted.customers:,} are selected")
    return {**audiences.save_definition(workspace.home, definition, viewer.name), "members": found}


def _no_rule(have: str) -> NotEnoughData:
    return NotEnoughData("audience by a rule", have, "a frozen list of these customers")


def _frozen(workspace: Workspace, run: Run, one: Selection) -> dict[str, Any]:
    """Write the list of a selection's customers, named by its own checksum, and return the rule that means it."""
    found = selected.rows(workspace, run, one)
    text = f", chosen AS ({found.text}) SELECT DISTINCT customer_id FROM chosen ORDER BY customer_id"
    ids = reading.arrow(found.sources, text, found.values)["customer_id"].cast(pa.string()).combine_chunks()
    sha256 = hashlib.sha256("\n".join(ids.to_pylist()).encode()).hexdigest()
    place = workspace.frozen(sha256)
    if not place.is_file():
        place.parent.mkdir(parents=True, exist_ok=True)
        sink = pa.BufferOutputStream()
        pq.write_table(pa.table({"customer_id": ids}), sink, compression="zstd")
        building = place.with_name(f"_building-{place.name}")
        write_synced(building, sink.getvalue())
        building.replace(place)
    return {"frozen": sha256, "what": _what(run, one), "customers": len(ids)}


def _what(run: Run, one: Selection) -> str:
    return f"{one.written()[: _MOST_NAMED - len(run.run_id)]} ({run.run_id})"
