"""What the page of audiences asks: which there are, what rules may be about, whom a draft has, who is reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from engine.config.audiences import Audience
from engine.config.load import load, validate
from engine.config.segments import SegmentSettings
from engine.domain.access import Right, Viewer
from engine.domain.errors import UnknownName
from engine.domain.marts import MARTS
from engine.domain.schema import Kind
from engine.features.table import FEATURES
from engine.lake.runs import Run
from engine.lake.workspace import Workspace
from engine.workflows import audience_overlap, audience_reach, audiences, held_audiences
from engine.workflows.view import eligibility, reading, selection, small_groups

_MOST_VALUES: Final = 60  # of a column of text, beyond which nobody chooses from a list
_NAMED: Final = {
    "event": ("events", "event_name"),
    "experiment": ("exposures", "experiment_id"),
    "product": ("products", "product_id"),
    "channel": ("events", "channel"),
}
"""Kinds of names in the bank's tables: the table and the column that hold them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """What a rule may be about: columns by their kind of value, values of columns of text, and names in the data.

    `names` has event, channel, experiment, product, journey and audience; `arms` the variants of each experiment;
    `groups` the groups of each segmentation with their English and Chinese names; `by_risk` whether the risk tier is.
    """

    features: Mapping[str, str]
    segments: Mapping[str, str]
    values: Mapping[str, tuple[str, ...]]
    names: Mapping[str, tuple[str, ...]]
    arms: Mapping[str, tuple[str, ...]]
    groups: Mapping[str, Mapping[str, tuple[str, str]]]
    by_risk: bool = True


def stamp(home: Path) -> str:
    """Return a text that is another one as soon as an audience was saved, verified, retired or built."""
    rows = audiences.listed(home)["audiences"]
    return repr(
        [(row["audience"], row["version"], row["is_verified"], row["retired_at"], row["sizes"]) for row in rows]
    )


def listed(home: Path, _stamp: str = "") -> list[dict[str, Any]]:
    """Return every audience by name; see `audiences.listed`.

    Here and below `_stamp` is what tells a remembered answer from that of before.
    """
    found: list[dict[str, Any]] = audiences.listed(home)["audiences"]
    return found


def builds(run: Run) -> pd.DataFrame:
    """Return what a run did with every audience; raises MartMissing."""
    return reading.table(run, "audience_builds")


def definition(home: Path, name: str) -> dict[str, Any]:
    """Return what an audience is defined by; raises UnknownName."""
    workspace = Workspace(home.expanduser().resolve())
    one = held_audiences.one_of(held_audiences.kept(workspace), name)
    return one.definition.model_dump(mode="json", by_alias=True, exclude_none=True)


def choices(viewer: Viewer, run: Run, workspace: Workspace, _stamp: str = "") -> Choices:
    """Return what a rule of the viewer's may be about on a run; raises NotAllowed."""
    viewer.require(Right.BUILD_AUDIENCE)
    segments = {one.name: _kind(one.kind) for one in MARTS["segments"] if one.name not in ("customer_id", "rfm_cell")}
    segments = {name: kind for name, kind in segments.items() if not name.endswith("_zh")}
    features = {name: _kind(one.kind) for name, one in FEATURES.items() if one.kind not in (Kind.DATE, Kind.INSTANT)}
    groups, by_risk = _groups(run), viewer.may(Right.SEE_RISK)
    if not by_risk:
        hidden = _segmentations_of_risk(workspace)
        features = {name: kind for name, kind in features.items() if not eligibility.tells_of_risk(name)}
        groups = {name: one for name, one in groups.items() if name not in hidden}
    texts = {name: "features" for name, kind in features.items() if kind == "text"}
    texts |= {name: "segments" for name, kind in segments.items() if kind == "text"}
    values = {name: _distinct(run.path(mart), name) for name, mart in texts.items() if run.has(mart)}
    names = {
        kind: _distinct(workspace.curated(table), column)
        for kind, (table, column) in _NAMED.items()
        if workspace.curated(table).is_dir()
    }
    if run.has("journey_stages"):
        names["journey"] = _distinct(run.path("journey_stages"), "journey")
    names["audience"] = tuple(sorted(held_audiences.kept(workspace)))
    arms = {}
    for one in names.get("experiment", ()):
        found = reading.sql(
            {"exposures": workspace.curated("exposures")},
            "SELECT DISTINCT variant FROM exposures WHERE experiment_id = ? ORDER BY 1",
            [one],
        )
        arms[one] = tuple(found["variant"])
    return Choices(
        features=features,
        segments=segments,
        values=values,
        names=names,
        arms=arms,
        groups=groups,
        by_risk=by_risk,
    )


def tried(viewer: Viewer, home: Path, draft: Mapping[str, Any], run: Run, _stamp: str = "") -> dict[str, Any]:
    """Return how many a draft would have on a run, and a few of them with their ids masked.

    Raises
    ------
    SettingsFault, UnknownName, NotEnoughData, RunMissing
    NotAllowed
        To build audiences, or by risk.
    """
    _may_build(viewer, home, draft)
    counted = audiences.count_definition(home, _audience(draft), run.run_id)
    small_groups.checked(viewer, counted["members"])
    return {**counted, "sample": [masked(one) for one in counted["sample"]]}


def why(viewer: Viewer, home: Path, draft: Mapping[str, Any], customer_id: str) -> dict[str, Any]:
    """Return whether a customer would belong to a draft, and why; raises CustomerMissing, or like `tried`."""
    viewer.require(Right.SEE_CUSTOMERS)
    _may_build(viewer, home, draft)
    return audiences.explain_definition(home, _audience(draft), customer_id)


def reach(viewer: Viewer, home: Path, name: str, run: Run, _stamp: str = "") -> dict[str, Any]:
    """Return the reach of a kept audience on a run; see `audience_reach.reach`; raises GroupTooSmall too."""
    found = audience_reach.reach(home, name, run_id=run.run_id)
    small_groups.checked(viewer, found["members"])
    return found


def overlap(viewer: Viewer, home: Path, names: tuple[str, ...], run: Run, _stamp: str = "") -> dict[str, Any]:
    """Return what audiences share on a run; see `audience_overlap.shared`.

    Raises GroupTooSmall where any of its counts is one that the viewer may not see: the others would tell it.
    """
    found = audience_overlap.shared(home, names, run.run_id)
    counts = [found["in_all"], *(one[name] for one in found["audiences"] for name in ("members", "in_no_other"))]
    counts += [value for pair in found["pairs"] for value in pair.values() if isinstance(value, int)]
    for count in counts:
        small_groups.checked(viewer, count)
    return found


def save(viewer: Viewer, home: Path, draft: Mapping[str, Any]) -> dict[str, Any]:
    """Keep a draft under the viewer's name; raises SettingsFault, UnknownName, NotAllowed."""
    _may_build(viewer, home, draft)
    return audiences.save_definition(home, _audience(draft), viewer.name)


def verify(viewer: Viewer, home: Path, name: str) -> dict[str, Any]:
    """Enter the viewer as the second person; raises UnknownName, RefusedByPolicy, NotAllowed."""
    viewer.require(Right.VERIFY_AUDIENCE)
    return audiences.verify(home, name, viewer.name)


def masked(customer_id: str) -> str:
    """Return an id of which only the first sign and the last two are shown; of a short one nothing."""
    return "…" if len(customer_id) < 6 else f"{customer_id[:1]}…{customer_id[-2:]}"


def _may_build(viewer: Viewer, home: Path, draft: Mapping[str, Any]) -> None:
    """Raise NotAllowed where a rule, or that of an audience in it, tells of risk to who may not see risk."""
    viewer.require(Right.BUILD_AUDIENCE)
    if viewer.may(Right.SEE_RISK):
        return
    workspace = Workspace(home.expanduser().resolve())
    by_risk = _segmentations_of_risk(workspace)
    found = held_audiences.kept(workspace).items()
    kept = {name: one.definition.model_dump(mode="json", by_alias=True, exclude_none=True) for name, one in found}
    if _tells_of_risk(draft.get("rule"), kept, by_risk, frozenset()):
        viewer.require(Right.SEE_RISK)


def tells_of_risk(workspace: Workspace, name: str) -> bool:
    """Return whether who belongs to a kept audience tells how risky they are; of one that is not kept, that it does."""
    found = held_audiences.kept(workspace)
    if name not in found:
        return True
    kept = {
        each: one.definition.model_dump(mode="json", by_alias=True, exclude_none=True) for each, one in found.items()
    }
    return _tells_of_risk(kept[name].get("rule"), kept, _segmentations_of_risk(workspace), frozenset({name}))


def _tells_of_risk(
    rule: Any, kept: Mapping[str, Mapping[str, Any]], by_risk: frozenset[str], seen: frozenset[str]
) -> bool:
    if isinstance(rule, (list, tuple)):
        return any(_tells_of_risk(one, kept, by_risk, seen) for one in rule)
    if not isinstance(rule, Mapping):
        return False
    if "risk_tier" in rule or rule.get("segmentation") in by_risk:
        return True
    if eligibility.tells_of_risk(str(rule.get("feature"))) or _list_of_risk(rule):
        return True
    for key in ("audience", "lookalike"):
        named = str(rule.get(key))
        if named in kept and named not in seen:
            inner = kept[named].get("rule")
            if _tells_of_risk(inner, kept, by_risk, seen | {named}):
                return True
    return any(_tells_of_risk(one, kept, by_risk, seen) for one in rule.values())


def _list_of_risk(rule: Mapping[str, Any]) -> bool:
    """Return whether a rule is a frozen list of whom somebody chose by their risk; what cannot be told is one."""
    if "frozen" not in rule:
        return False
    try:
        return Right.SEE_RISK in selection.read(str(rule.get("what", "")).partition(" (")[0]).rights
    except UnknownName:
        return True


def _segmentations_of_risk(workspace: Workspace) -> frozenset[str]:
    """Return the named segmentations that look at how risky a customer is."""
    rules = load(SegmentSettings, "segments", workspace.settings_file)
    return frozenset(
        one.segmentation
        for one in rules.segmentations
        if any(eligibility.tells_of_risk(test.column) for group in one.groups for test in (*group.all, *group.any))
    )


def _groups(run: Run) -> dict[str, dict[str, tuple[str, str]]]:
    if not run.has("segmentation_profiles"):
        return {}
    rows = reading.marts(
        run,
        """SELECT DISTINCT segmentation, segment_group, group_name, group_name_zh FROM segmentation_profiles
           ORDER BY segmentation, segment_group""",
        "segmentation_profiles",
    )
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for row in reading.records(rows):
        found.setdefault(row["segmentation"], {})[row["segment_group"]] = (row["group_name"], row["group_name_zh"])
    return found


def _audience(draft: Mapping[str, Any]) -> Audience:
    return validate(Audience, dict(draft), "the draft")


def _kind(kind: Kind) -> str:
    return "text" if kind is Kind.TEXT else "boolean" if kind is Kind.BOOLEAN else "number"


def _distinct(folder: Path, column: str) -> tuple[str, ...]:
    found = reading.sql(
        {"rows": folder}, f"SELECT DISTINCT {column} AS value FROM rows WHERE {column} IS NOT NULL ORDER BY 1"
    )
    return tuple(str(value) for value in found["value"].head(_MOST_VALUES))
