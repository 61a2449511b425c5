"""The audiences of a workspace as they are kept: definitions, who verified or retired them, and which a run builds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final, Literal

import ibis

from engine.config.audiences import Audience
from engine.config.load import validate
from engine.domain.audience_marts import AUDIENCE_MEMBERS
from engine.domain.errors import SettingsFault, UnknownName
from engine.lake import memberships
from engine.lake.engine import DuckDBEngine
from engine.lake.memberships import Membership
from engine.lake.runs import Run
from engine.lake.schema import ibis_schema
from engine.lake.workspace import Workspace
from engine.numerics.chain import canonical, digest
from engine.segments.audiences import audience as rules
from engine.segments.audiences import schedule
from engine.store import AudienceActRecord, AudienceRecord, Store
from engine.workflows import session

_MEMBERS: Final = "_audience_members"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An audience as it is kept: its definition with version, hash and who saved it, and the acts of persons on it."""

    definition: Audience
    record: AudienceRecord
    acts: tuple[AudienceActRecord, ...] = ()

    @property
    def retired(self) -> AudienceActRecord | None:
        """The act that retired this version, if there is one."""
        found = [one for one in self.acts if one.act == "retired" and one.audience_version >= self.record.version]
        return found[-1] if found else None

    def verified(self, rule_hash: str) -> AudienceActRecord | None:
        """Return the act that verified this rule, if there is one; of an edited rule there is none."""
        found = [one for one in self.acts if one.act == "verified" and one.rule_hash == rule_hash]
        return found[-1] if found else None

    def not_after(self, day: date) -> str | None:
        """Say why it is not to be used on a day: somebody retired it, or its own date has passed; else None."""
        name, ends = self.record.name, self.definition.retires_on
        if self.retired is not None:
            one = self.retired
            return f'The audience "{name}" was retired by {one.done_by} on {one.done_at:%Y-%m-%d}.'
        if ends is not None and day > ends:
            return f'The audience "{name}" was retired after {ends}, and the run is of {day}.'
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What a run does with an audience: builds it, or not and why; `before` is the snapshot to compare with.

    `kept` is None where its definition cannot be read, as of another version of Wayline.
    """

    record: AudienceRecord
    kept: Kept | None
    standing: Literal["due", "not_due", "retired", "failed"]
    reason: str | None = None
    before: Membership | None = None

    @property
    def name(self) -> str:
        """The audience's id."""
        return self.record.name


def kept(workspace: Workspace) -> dict[str, Kept]:
    """Return every audience that can be read by name; looking makes no database."""
    return {one.record.name: one for one in _all(workspace) if isinstance(one, Kept)}


def unreadable(workspace: Workspace) -> list[str]:
    """Return a sentence for every audience that cannot be read, as one of another version of Wayline."""
    return [one.reason or "" for one in _all(workspace) if isinstance(one, Planned)]


def one_of(audiences: Mapping[str, Kept], name: str) -> Kept:
    """Return one audience; raises UnknownName."""
    if name not in audiences:
        raise UnknownName("audience", name, sorted(audiences))
    return audiences[name]


def definitions(audiences: Mapping[str, Kept], definition: Audience | None = None) -> dict[str, Audience]:
    """Return the definitions of all audiences, the one at hand in place of what is kept under its name."""
    own = {} if definition is None else {definition.audience: definition}
    return {**{name: one.definition for name, one in audiences.items()}, **own}


def rule_hash(definition: Audience, others: Mapping[str, Audience]) -> str:
    """Return the sha256 of all that decides who belongs: the rule, and those of the audiences that it names."""
    named = sorted({definition.audience, *rules.tree(definition, others).audiences()})
    told = {name: others.get(name, definition).model_dump(mode="json", by_alias=True, exclude_none=True)["rule"]
            for name in named}  # fmt: skip
    return digest(canonical({**told, "purpose": definition.purpose, "channels": list(definition.channels)}))


def plan(workspace: Workspace, as_of: datetime) -> tuple[Planned, ...]:
    """Return what a run of a date does with every audience, by name; one that cannot be read is told as failed."""
    return tuple(one if isinstance(one, Planned) else _planned(workspace, one, as_of) for one in _all(workspace))


def facts(plans: Iterable[Planned]) -> dict[str, Any]:
    """Return what a run's manifest says of the audiences it builds; nothing where there are none."""
    told = {
        one.name: {
            "version": one.record.version,
            "hash": one.record.definition_hash,
            "standing": one.standing,
            "compared_with": one.before and [one.before.run_id, one.before.manifest["sha256"]],
        }
        for one in plans
    }
    return {"audiences": told} if told else {}


def keep(workspace: Workspace, engine: DuckDBEngine, run: Run, plans: Iterable[Planned]) -> None:
    """Write the snapshots of a completed run that are not there yet."""
    if not run.has(AUDIENCE_MEMBERS.name):
        return
    built = {row["audience"] for row in run.read("audience_builds", where={"status": "built"}).to_pylist()}
    missing = [one for one in plans if one.name in built and not _is_there(workspace, one, run)]
    if not missing:
        return
    engine.attach(_MEMBERS, run.path(AUDIENCE_MEMBERS.name))
    rows = ibis.table(ibis_schema(AUDIENCE_MEMBERS), name=_MEMBERS)
    for one in missing:
        own = rows.filter(rows.audience == one.name).select("customer_id")
        assert one.kept is not None, "what was built could be read"
        snapshot(workspace, engine, own, one.kept, run)


def snapshot(workspace: Workspace, engine: DuckDBEngine, members: Any, one: Kept, run: Run) -> Membership:
    """Write who belongs to an audience on a run, an expression of customer_id."""
    told = {
        "as_of": run.as_of.isoformat(),
        "definition_sha256": one.record.definition_hash,
        "purpose": one.definition.purpose,
        "channels": list(one.definition.channels),
    }
    return memberships.write(
        workspace, engine, members, audience=one.record.name, version=one.record.version, run_id=run.run_id, facts=told
    )


def _is_there(workspace: Workspace, one: Planned, run: Run) -> bool:
    version = one.record.version
    found = memberships.every(workspace, one.name)
    return any(each.run_id == run.run_id and each.version == version for each in found)


def _all(workspace: Workspace) -> list[Kept | Planned]:
    """Return every audience by name, one that cannot be read as a plan that has failed."""
    if not session.has_register(workspace):
        return []
    with Store(session.database_url(workspace)) as store:
        records, acts = store.audiences(), store.audience_acts()
    return [_read(one, acts) for one in sorted(records, key=lambda record: record.name)]


def _read(one: AudienceRecord, acts: Iterable[AudienceActRecord]) -> Kept | Planned:
    try:
        definition = validate(Audience, one.definition, f'the audience "{one.name}"')
    except SettingsFault as fault:
        told = f'The audience "{one.name}" cannot be read: {fault.sentence}'
        return Planned(record=one, kept=None, standing="failed", reason=told)
    return Kept(definition=definition, record=one, acts=tuple(act for act in acts if act.name == one.name))


def _planned(workspace: Workspace, one: Kept, as_of: datetime) -> Planned:
    record, asked = one.record, one.definition.schedule
    gone = one.not_after(as_of.astimezone(UTC).date())
    if gone is not None:
        return Planned(record=record, kept=one, standing="retired", reason=gone)
    snapshots = memberships.every(workspace, record.name)
    dates = [each.as_of for each in snapshots if each.version == record.version and each.as_of <= as_of]
    last = max(dates, default=None)
    if not schedule.is_due(asked, as_of, last):
        told = schedule.not_due(record.name, asked, last)
        return Planned(record=record, kept=one, standing="not_due", reason=told)
    earlier = [each for each in snapshots if each.as_of < as_of]
    return Planned(record=record, kept=one, standing="due", before=earlier[-1] if earlier else None)
