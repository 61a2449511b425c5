"""Audiences of a workspace: kept with a version and an owner, built on runs, compared, and explained.

Definitions lie in the operational database; who belonged lies in `engine.lake.memberships`, run by run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

import ibis

from engine.config.audiences import Audience, Experiment, Happened, Journey, Recommendation, Sequence, Step
from engine.config.load import read_toml, validate
from engine.domain.errors import RefusedByPolicy, UnknownName
from engine.domain.marts import MARTS
from engine.features.table import CONTRACT as FEATURES
from engine.features.table import FEATURES as FEATURE_LIST
from engine.lake import memberships
from engine.lake.engine import DuckDBEngine
from engine.lake.memberships import Membership
from engine.lake.runs import Run, open_run
from engine.lake.schema import ibis_schema
from engine.lake.workspace import Workspace
from engine.segments.audiences import audience as rules
from engine.segments.audiences import words
from engine.store.facade import Store
from engine.store.records import AudienceRecord
from engine.workflows import session
from engine.workflows.explain import CustomerMissing

_MARTS: Final = {
    **{name: MARTS[name] for name in ("segments", "risk", "journey_stages", "recommendations", "decisions")},
    "features": FEATURES,
}
_MEANINGS: Final = {name: (feature.meaning, feature.meaning_zh) for name, feature in FEATURE_LIST.items()}
_SAMPLE: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An audience as it is kept: its definition with version, hash and who saved it."""

    definition: Audience
    record: AudienceRecord


def save(home: Path, file: Path) -> dict[str, Any]:
    """Keep the audience that a TOML file defines; a changed one becomes its next version.

    Raises
    ------
    SettingsFault
        The file is no audience, or names itself through others.
    UnknownName
        It names an audience that is not kept.
    """
    workspace = session.workspace_at(home)
    definition = validate(Audience, read_toml(file), file.name)
    rules.tree(definition, _with(_kept(workspace), definition))
    with Store(session.database_url(workspace)) as store:
        before = {one.name: one.version for one in store.audiences()}
        record = store.save_audience(
            definition.audience, definition.model_dump(mode="json", by_alias=True, exclude_none=True)
        )
    return {
        "audience": record.name,
        "version": record.version,
        "definition_sha256": record.definition_hash,
        "is_new": before.get(record.name) != record.version,
    }


def listed(home: Path) -> dict[str, Any]:
    """Return every audience by name with its size on the latest date that it was built for, and how that moved."""
    workspace = session.workspace_at(home)
    rows = []
    for name, kept in sorted(_kept(workspace).items()):
        snapshots = memberships.every(workspace, name)
        latest = snapshots[-1] if snapshots else None
        before = _before(snapshots, latest)
        rows.append(
            {
                "audience": name,
                "name": kept.definition.name,
                "owner": kept.definition.owner,
                "purpose": kept.definition.purpose,
                "channels": list(kept.definition.channels),
                "version": kept.record.version,
                "saved_by": kept.record.saved_by,
                "retires_on": kept.definition.retires_on,
                "members": latest.size if latest else None,
                "before": before.size if before else None,
                "as_of": latest.as_of if latest else None,
                "run_id": latest.run_id if latest else None,
                "is_of_this_version": latest.version == kept.record.version if latest else None,
            }
        )
    return {"audiences": rows}


def build(home: Path, name: str, run_id: str | None = None) -> dict[str, Any]:
    """Write who belongs to an audience as a run saw the bank; built again, the same bytes.

    Raises
    ------
    UnknownName
        No such audience, or a condition names what does not exist.
    RefusedByPolicy
        The audience had been retired by the run's date.
    RunMissing, WorkspaceMissing, NotEnoughData, SettingsFault
    """
    with _opened(home, run_id) as opened:
        kept = opened.kept(name)
        retires = kept.definition.retires_on
        if retires is not None and opened.run.as_of.astimezone(UTC).date() > retires:
            raise RefusedByPolicy(
                f'The audience "{name}" was retired after {retires}, and the run is of {opened.run.as_of:%Y-%m-%d}. '
                "Save it with a later retires_on to use it again."
            )
        root = rules.tree(kept.definition, opened.definitions(kept.definition))
        facts = {
            "as_of": opened.run.as_of.isoformat(),
            "definition_sha256": kept.record.definition_hash,
            "purpose": kept.definition.purpose,
            "channels": list(kept.definition.channels),
        }
        with opened.workspace.lock("audience"):
            made = memberships.write(
                opened.workspace, opened.engine, rules.members(root, opened.tables, opened.run.as_of),
                audience=name, version=kept.record.version, run_id=opened.run.run_id, facts=facts,
            )  # fmt: skip
        return {**made.manifest, "folder": made.folder, "notes": _notes(opened, root)}


def count(home: Path, file: Path, run_id: str | None = None) -> dict[str, Any]:
    """Return how many an audience in a file would have on a run, and a few of them; nothing is kept.

    Raises
    ------
    SettingsFault, UnknownName, NotEnoughData, RunMissing, WorkspaceMissing
    """
    definition = validate(Audience, read_toml(file), file.name)
    with _opened(home, run_id) as opened:
        root = rules.tree(definition, opened.definitions(definition))
        found = opened.engine.arrow(rules.members(root, opened.tables, opened.run.as_of).order_by("customer_id"))
        everybody = rules.members(rules.EVERYBODY, opened.tables, opened.run.as_of)
        return {
            "audience": definition.audience,
            "run_id": opened.run.run_id,
            "members": found.num_rows,
            "customers": opened.engine.arrow(everybody.agg(size=everybody.count()))["size"][0].as_py(),
            "sample": found["customer_id"].slice(0, _SAMPLE).to_pylist(),
            "notes": _notes(opened, root),
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
    _one(_kept(workspace), name)
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
    with _opened(home, run_id) as opened:
        kept = opened.kept(name)
        root = rules.tree(kept.definition, opened.definitions(kept.definition))
        rows = opened.engine.arrow(rules.flags(root, opened.tables, opened.run.as_of, only=customer_id)).to_pylist()
        if not rows:
            raise CustomerMissing
        return {
            "audience": name,
            "version": kept.record.version,
            "run_id": opened.run.run_id,
            "customer_id": customer_id,
            "belongs": rows[0][rules.MATCHED],
            "why": list(_told(root, rows[0], 0)),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """A run with its tables attached, and the audiences of its workspace."""

    workspace: Workspace
    engine: DuckDBEngine
    run: Run
    tables: dict[str, Any]
    audiences: Mapping[str, Kept]

    def kept(self, name: str) -> Kept:
        return _one(self.audiences, name)

    def definitions(self, definition: Audience) -> dict[str, Audience]:
        return _with(self.audiences, definition)


@contextmanager
def _opened(home: Path, run_id: str | None) -> Iterator[_Opened]:
    workspace = session.workspace_at(home)
    run = open_run(workspace, run_id)
    audiences = _kept(workspace)
    with session.duckdb(workspace) as engine:
        tables = workspace.attach(engine)
        for name, contract in _MARTS.items():
            if run.has(name):
                engine.attach(f"_mart_{name}", run.path(name))
                tables[name] = ibis.table(ibis_schema(contract), name=f"_mart_{name}")
        yield _Opened(workspace=workspace, engine=engine, run=run, tables=tables, audiences=audiences)


def _kept(workspace: Workspace) -> dict[str, Kept]:
    if not session.has_register(workspace):
        return {}
    with Store(session.database_url(workspace)) as store:
        records = store.audiences()
    return {
        one.name: Kept(definition=validate(Audience, one.definition, f'the audience "{one.name}"'), record=one)
        for one in records
    }


def _with(audiences: Mapping[str, Kept], definition: Audience) -> dict[str, Audience]:
    """Return the definitions of all audiences, the one at hand in place of what is kept under its name."""
    return {**{name: kept.definition for name, kept in audiences.items()}, definition.audience: definition}


def _one(audiences: Mapping[str, Kept], name: str) -> Kept:
    if name not in audiences:
        raise UnknownName("audience", name, sorted(audiences))
    return audiences[name]


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


def _notes(opened: _Opened, root: rules.Node) -> list[str]:
    """Say which names in the rule nothing in the bank's data bears: a slip of the pen makes an audience of nobody."""
    asked: dict[str, set[str]] = {"event": set(), "journey": set(), "experiment": set(), "product": set()}
    for condition in root.conditions().values():
        if isinstance(condition, Happened):
            asked["event"].update(condition.event)
        elif isinstance(condition, Sequence):
            asked["event"].update(name for step in _steps(condition) for name in step.event)
        elif isinstance(condition, Journey):
            asked["journey"].add(condition.journey)
        elif isinstance(condition, Experiment):
            asked["experiment"].add(condition.experiment)
        elif isinstance(condition, Recommendation):
            asked["product"].add(condition.recommendation)
    found = []
    for kind, names in asked.items():
        if names:
            known = _known(opened, kind)
            found += [_missing(kind, name, known) for name in sorted(names - known)]
    return found


def _steps(condition: Sequence) -> Iterable[Step]:
    others = (condition.without, condition.not_followed_by)
    return [*condition.sequence, *(one for one in others if one is not None)]


_WHERE: Final = {
    "event": ("events", "event_name"),
    "journey": ("journey_stages", "journey"),
    "experiment": ("exposures", "experiment_id"),
    "product": ("products", "product_id"),
}
"""For each kind of name, the table and column that hold those that there are."""


def _known(opened: _Opened, kind: str) -> set[str]:
    table, column = _WHERE[kind]
    if table not in opened.tables:
        return set()
    values = opened.engine.arrow(opened.tables[table].select(column).distinct())
    return set(values[column].drop_null().to_pylist())


def _missing(kind: str, name: str, known: set[str]) -> str:
    near = get_close_matches(name, sorted(known), n=1)
    hint = f' Did you mean "{near[0]}"?' if near else ""
    return f'No {kind} "{name}" is in the data, so nobody fulfils what asks for it.{hint}'
