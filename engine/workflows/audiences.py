"""Audiences of a workspace: kept with a version and an owner, built on runs, compared, and explained.

Definitions lie in the operational database; who belonged lies in `engine.lake.memberships`, run by run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any, Final

import ibis

from engine.config.audiences import Audience
from engine.config.load import read_toml, validate
from engine.config.recommendations import RecommendationSettings, Training
from engine.domain.errors import NotEnoughData, RefusedByPolicy, UnknownName
from engine.features.table import FEATURES as FEATURE_LIST
from engine.lake import memberships
from engine.lake.engine import DuckDBEngine
from engine.lake.memberships import Membership
from engine.lake.runs import Run, open_run
from engine.lake.workspace import Workspace
from engine.segments.audiences import audience as rules
from engine.segments.audiences import words
from engine.store import Store
from engine.workflows import (
    audience_lookalikes,
    audience_names,
    audience_tables,
    held_audiences,
    kept_decisions,
    publishing,
    session,
)
from engine.workflows.explain import CustomerMissing
from engine.workflows.held_audiences import Kept

_MEANINGS: Final = {name: (feature.meaning, feature.meaning_zh) for name, feature in FEATURE_LIST.items()}
_SAMPLE: Final = 10


def save(home: Path, file: Path, by: str | None = None) -> dict[str, Any]:
    """Keep the audience that a TOML file defines; see `save_definition`. Raises SettingsFault for what is none."""
    return save_definition(home, validate(Audience, read_toml(file), file.name), by)


def save_definition(home: Path, definition: Audience, by: str | None = None) -> dict[str, Any]:
    """Keep an audience; a changed one becomes its next version, which nobody has verified where its rule changed.

    Parameters
    ----------
    by : who saves it, by name; by default its owner.

    Raises
    ------
    SettingsFault
        It names itself through others.
    UnknownName
        It names an audience that is not kept.
    """
    workspace = session.workspace_at(home)
    others = held_audiences.definitions(held_audiences.kept(workspace), definition)
    rules.tree(definition, others)
    with Store(session.database_url(workspace), actor=by or definition.owner) as store:
        before = {one.name: one.version for one in store.audiences()}
        record = store.save_audience(
            definition.audience, definition.model_dump(mode="json", by_alias=True, exclude_none=True)
        )
    kept = held_audiences.one_of(held_audiences.kept(workspace), record.name)
    return {
        "audience": record.name,
        "version": record.version,
        "definition_sha256": record.definition_hash,
        "is_new": before.get(record.name) != record.version,
        "is_verified": kept.verified(held_audiences.rule_hash(definition, others)) is not None,
    }


def verify(home: Path, name: str, by: str) -> dict[str, Any]:
    """Enter that a second person looked at an audience's rule and found it right; an edited rule is verified anew.

    Raises
    ------
    UnknownName
    RefusedByPolicy
        Nobody is named, it is the owner or who saved it, or the audience is retired.
    """
    workspace, kept = _one_kept(home, name, by)
    if kept.retired is not None:
        raise RefusedByPolicy(f"{kept.not_after(kept.record.saved_at.date())} Save it again to use it once more.")
    others = held_audiences.definitions(held_audiences.kept(workspace))
    with Store(session.database_url(workspace), actor=by) as store:
        act = store.verify_audience(name, held_audiences.rule_hash(kept.definition, others))
    return {"audience": name, "version": kept.record.version, "verified_by": act.done_by, "verified_at": act.done_at}


def retire(home: Path, name: str, by: str, note: str) -> dict[str, Any]:
    """Enter that an audience is used no more: no run builds it, until a changed definition is saved.

    Raises
    ------
    UnknownName
    RefusedByPolicy
        Nobody is named or no reason is given.
    """
    workspace, kept = _one_kept(home, name, by)
    if not note.strip():
        raise RefusedByPolicy("A retirement needs a note that says why. Give it with --note.")
    with Store(session.database_url(workspace), actor=by) as store:
        act = store.retire_audience(name, note)
    return {"audience": name, "version": kept.record.version, "retired_by": act.done_by, "retired_at": act.done_at}


def listed(home: Path) -> dict[str, Any]:
    """Return every audience by name: who answers for it, its sizes on all dates it was built for, and how it moved."""
    workspace = session.workspace_at(home)
    audiences = held_audiences.kept(workspace)
    others = held_audiences.definitions(audiences)
    rows = [_listed(workspace, one, others) for _, one in sorted(audiences.items())]
    return {"audiences": rows, "notes": held_audiences.unreadable(workspace)}


def _listed(workspace: Workspace, one: Kept, others: Mapping[str, Audience]) -> dict[str, Any]:
    snapshots = memberships.every(workspace, one.record.name)
    latest = snapshots[-1] if snapshots else None
    before = _before(snapshots, latest)
    verified = one.verified(held_audiences.rule_hash(one.definition, others))
    return {
        "audience": one.record.name,
        "name": one.definition.name,
        "name_zh": one.definition.name_zh,
        "owner": one.definition.owner,
        "purpose": one.definition.purpose,
        "channels": list(one.definition.channels),
        "schedule": one.definition.schedule,
        "version": one.record.version,
        "saved_by": one.record.saved_by,
        "is_verified": verified is not None,
        "verified_by": verified.done_by if verified else None,
        "verified_at": verified.done_at if verified else None,
        "retires_on": one.definition.retires_on,
        "retired_by": one.retired.done_by if one.retired else None,
        "retired_at": one.retired.done_at if one.retired else None,
        "members": latest.size if latest else None,
        "before": before.size if before else None,
        "as_of": latest.as_of if latest else None,
        "run_id": latest.run_id if latest else None,
        "is_of_this_version": latest.version == one.record.version if latest else None,
        "sizes": [
            {"as_of": each.as_of, "run_id": each.run_id, "version": each.version, "members": each.size}
            for each in snapshots
        ],
    }


def build(home: Path, name: str, run_id: str | None = None) -> dict[str, Any]:
    """Write who belongs to an audience as a run saw the bank, due or not; built again, the same bytes.

    Raises
    ------
    UnknownName
        No such audience, or a condition names what does not exist.
    RefusedByPolicy
        The audience had been retired by the run's date.
    RunMissing, WorkspaceMissing, NotEnoughData, SettingsFault
    """
    with opened(home, run_id) as held:
        kept = held.kept(name)
        gone = kept.not_after(held.run.as_of.astimezone(UTC).date())
        if gone is not None:
            remedy = "with a later retires_on" if kept.retired is None else "with a changed definition"
            raise RefusedByPolicy(f"{gone} Save it {remedy} to use it again.")
        root = held.root(kept.definition)
        with held.workspace.lock("audience"):
            members = held.members(root)
            made = held_audiences.snapshot(held.workspace, held.engine, members, kept, held.run)
        with Store(session.database_url(held.workspace)) as store:
            publishing.announce_built(store, made)
        return {
            **made.manifest,
            "folder": made.folder,
            "notes": held.notes(root),
        }


def count(home: Path, file: Path, run_id: str | None = None) -> dict[str, Any]:
    """Return how many an audience in a file would have on a run, and a few of them; nothing is kept.

    Raises
    ------
    SettingsFault, UnknownName, NotEnoughData, RunMissing, WorkspaceMissing
    """
    return count_definition(home, validate(Audience, read_toml(file), file.name), run_id)


def count_definition(home: Path, definition: Audience, run_id: str | None = None) -> dict[str, Any]:
    """Return how many an audience would have on a run, and a few of them; raises like `count`."""
    with opened(home, run_id) as held:
        root = held.root(definition)
        found = held.engine.arrow(held.members(root).order_by("customer_id"))
        everybody = rules.members(rules.EVERYBODY, held.tables, held.run.as_of)
        return {
            "audience": definition.audience,
            "run_id": held.run.run_id,
            "members": found.num_rows,
            "customers": held.engine.arrow(everybody.agg(size=everybody.count()))["size"][0].as_py(),
            "sample": found["customer_id"].slice(0, _SAMPLE).to_pylist(),
            "notes": held.notes(root),
        }


def diff(home: Path, name: str, run_id: str | None = None, against: str | None = None) -> dict[str, Any]:
    """Return who entered and who left an audience from one run to another.

    Parameters
    ----------
    run_id : the later run; by default the latest date that the audience was built for.
    against : the earlier one; by default the snapshot before it.

    Raises
    ------
    UnknownName
        No such audience, or it was not built on such a run.
    """
    workspace = session.workspace_at(home)
    held_audiences.one_of(held_audiences.kept(workspace), name)
    snapshots = memberships.every(workspace, name)
    if not snapshots:
        raise UnknownName("run on which it was built", run_id or "latest", [])
    now = memberships.of_run(workspace, name, run_id) if run_id else snapshots[-1]
    before = memberships.of_run(workspace, name, against) if against else _before(snapshots, now)
    with session.duckdb(workspace) as engine:
        later = _attached(engine, "_members_now", now)
        earlier = later.filter(ibis.literal(False)) if before is None else _attached(engine, "_members_before", before)
        entered, left = (
            engine.arrow(one.anti_join(other, "customer_id").order_by("customer_id"))["customer_id"].to_pylist()
            for one, other in ((later, earlier), (earlier, later))
        )
    return {
        "audience": name,
        "run_id": now.run_id,
        "against": before.run_id if before else None,
        "members": now.size,
        "before": before.size if before else 0,
        "entered": entered,
        "left": left,
        "definition_changed": before is not None and before.version != now.version,
    }


def explain(home: Path, name: str, customer_id: str, run_id: str | None = None) -> dict[str, Any]:
    """Return whether a customer belongs, and of every part of the rule whether it holds, in English and Chinese.

    Raises
    ------
    CustomerMissing
        No customer has that id, or had joined by the run's date.
    UnknownName, RunMissing, WorkspaceMissing, NotEnoughData, SettingsFault
    """
    with opened(home, run_id) as held:
        kept = held.kept(name)
        return explained(held, kept.definition, customer_id) | {"version": kept.record.version}


def explain_definition(home: Path, definition: Audience, customer_id: str, run_id: str | None = None) -> dict[str, Any]:
    """Return the same of an audience that is being written; raises like `explain`."""
    with opened(home, run_id) as held:
        return explained(held, definition, customer_id)


def explained(held: Opened, definition: Audience, customer_id: str) -> dict[str, Any]:
    """Return whether a customer belongs, and why, on an opened run; raises CustomerMissing."""
    root = held.root(definition)
    rows = held.engine.arrow(
        rules.flags(root, held.with_lookalikes(root), held.run.as_of, only=customer_id)
    ).to_pylist()
    if not rows:
        raise CustomerMissing
    return {
        "audience": definition.audience,
        "run_id": held.run.run_id,
        "customer_id": customer_id,
        "belongs": rows[0][rules.MATCHED],
        "why": list(_told(root, rows[0], 0)),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A run with its tables attached, and the audiences of its workspace."""

    workspace: Workspace
    engine: DuckDBEngine
    run: Run
    tables: dict[str, Any]
    audiences: Mapping[str, Kept]

    def kept(self, name: str) -> Kept:
        """Return one audience; raises UnknownName."""
        return held_audiences.one_of(self.audiences, name)

    def root(self, definition: Audience) -> rules.Node:
        """Return the rule of an audience with those that it names in their place."""
        return rules.tree(definition, held_audiences.definitions(self.audiences, definition))

    def members(self, root: rules.Node) -> Any:
        """Return who belongs, as an expression of customer_id."""
        return rules.members(root, self.with_lookalikes(root), self.run.as_of)

    def with_lookalikes(self, root: rules.Node) -> dict[str, Any]:
        """Return the tables with the rule's frozen lists and those whom its lookalikes choose; raises NotEnoughData."""
        tables = audience_tables.with_frozen(self.engine, self.workspace, self.tables, root)
        if not root.lookalikes():
            return tables
        return audience_lookalikes.chosen(self.engine, tables, root, self.run.as_of, self.training())[0]

    def notes(self, root: rules.Node) -> list[str]:
        """Return a sentence for everything in a rule that nothing on the run can fulfil."""
        return audience_names.notes(self.engine, self.tables, root, self.run.as_of)

    def training(self) -> Training:
        """Return how the run's models were told to learn; where that cannot be read, what the settings say now."""
        with suppress(NotEnoughData, kept_decisions.BundleOfAnotherVersion):
            return kept_decisions.bundle_of(self.run).settings.training
        return session.settings(self.workspace, RecommendationSettings, "recommendations").training


@contextmanager
def opened(home: Path, run_id: str | None) -> Iterator[Opened]:
    """Open a run for questions about audiences; raises RunMissing."""
    workspace = session.workspace_at(home)
    run = open_run(workspace, run_id)
    audiences = held_audiences.kept(workspace)
    marts = {name: run.path(name) for name in audience_tables.RULED if run.has(name)}
    with session.duckdb(workspace) as engine:
        tables = audience_tables.attached(engine, workspace.attach(engine), marts)
        yield Opened(workspace=workspace, engine=engine, run=run, tables=tables, audiences=audiences)


def _one_kept(home: Path, name: str, by: str) -> tuple[Workspace, Kept]:
    if not by.strip():
        raise RefusedByPolicy("Somebody must answer for it by name. Give it with --by.")
    workspace = session.workspace_at(home)
    return workspace, held_audiences.one_of(held_audiences.kept(workspace), name)


def _before(snapshots: list[Membership], latest: Membership | None) -> Membership | None:
    """Return the snapshot of the date before, or of the version before on the same date."""
    if latest is None:
        return None
    place = snapshots.index(latest)
    return snapshots[place - 1] if place else None


def _attached(engine: DuckDBEngine, name: str, snapshot: Membership) -> Any:
    engine.attach(name, snapshot.rows)
    return ibis.table({"customer_id": "string"}, name=name)


def _told(node: rules.Node, row: Mapping[str, Any], depth: int) -> Iterator[dict[str, Any]]:
    english, chinese = words.of_node(node, _MEANINGS)
    yield {"depth": depth, "holds": rules.held(node, row), "text_en": english, "text_zh": chinese}
    for part in node.parts:
        yield from _told(part, row, depth + 1)
