"""Changes of the policy that one person proposes and another approves, as versions that hold from a day.

A change is tried on the last run before it is proposed, beside the policy that then holds; what it would do is kept
with it. It can be approved only as long as that policy still holds: else it must be tried again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from engine.config.load import changed
from engine.config.recommendations import RecommendationSettings
from engine.domain.access import Right, Viewer
from engine.domain.errors import RefusedByPolicy, SettingsFault
from engine.lake.runs import Run, latest_run, open_run
from engine.lake.workspace import Workspace
from engine.numerics.chain import canonical, digest
from engine.recommendations import offers
from engine.store import NewCatalogue, NewChange, PolicyChangeRecord, PolicyChanges, Store, persons
from engine.workflows import held_catalogue, session
from engine.workflows.held_catalogue import InForce

if TYPE_CHECKING:
    from engine.workflows.recommend_simulate import Policy, Progress

WAITING: Final = "waiting"
_PERSONS: Final = ("named", "lowest_after")
"""Parts of a simulation that name customers: they are not kept with a change."""


def simulate(
    home: Path, policy: Policy, *, run_id: str | None = None, progress: Progress | None = None
) -> dict[str, Any]:
    """Try a change on a run beside the policy that holds now; see `recommend_simulate.simulate`.

    Beside what that tells, `values` are those of the change and `base_hash` is of the policy that it was tried against.

    Raises
    ------
    SettingsFault
        The change is wrong, changes nothing, or the policy was changed since the run in what a run cannot be tried on.
    """
    # what decides takes seconds to load, and most visits only read which changes there are
    from engine.workflows import recommend_simulate  # noqa: PLC0415

    workspace = session.workspace_at(home)
    run = open_run(workspace, run_id)
    held = held_catalogue.in_force(workspace, run.as_of)
    since = _since(workspace, run, held.policies)
    wanted = recommend_simulate.Policy(values=_over(since, policy.values), source=policy.source)
    against = recommend_simulate.Policy(values=since, source="the policy in force") if since else None
    found = recommend_simulate.simulate(home, wanted, against=against, run_id=run.run_id, progress=progress)
    return {**found, "values": policy.values, "base_hash": _hash(held.policies)}


def propose(
    home: Path,
    viewer: Viewer,
    policy: Policy,
    note: str,
    *,
    simulated: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> PolicyChangeRecord:
    """Propose a change, with what it does to the last run; another person approves or refuses it.

    simulated : what `simulate` just told of the same change; else it is tried here.

    Raises
    ------
    NotAllowed, SettingsFault
    RefusedByPolicy
        No note says why.
    """
    viewer.require(Right.PROPOSE_POLICY)
    _needs(viewer, note)
    workspace = session.workspace_at(home)
    run = latest_run(workspace)
    held = held_catalogue.in_force(workspace, run.as_of)
    now = (run.run_id, policy.values, _hash(held.policies))
    found = simulated
    if found is None or (found["run_id"], found["values"], found["base_hash"]) != now:
        found = simulate(home, policy, run_id=run.run_id, progress=progress)
    _merged(held, policy.values)
    wanted = NewChange(
        run_id=run.run_id,
        policy=policy.values,
        changes=found["changes"],
        effect=_without_persons(found),
        base_hash=found["base_hash"],
        note=note.strip(),
    )
    with Store(session.database_url(workspace), actor=viewer.name) as store:
        return PolicyChanges(store).propose(wanted)


def approve(
    home: Path, viewer: Viewer, number: int, note: str, effective_from: date | None = None
) -> PolicyChangeRecord:
    """Approve another person's change; runs of a data cut-off from that day on go by it.

    effective_from : by default the day of the last run's data cut-off, so that the next run takes it.

    Raises
    ------
    NotAllowed, UnknownName
    RefusedByPolicy
        It is one's own, waits no more, or the policy was changed since it was tried.
    SettingsFault
        With the products and offers that hold then it does not fit.
    """
    viewer.require(Right.APPROVE_POLICY)
    _needs(viewer, note)
    workspace = session.workspace_at(home)
    run = latest_run(workspace)
    with Store(session.database_url(workspace), actor=viewer.name) as store:
        changes = PolicyChanges(store)
        one = changes.one(number)
        day = effective_from or run.as_of.astimezone(UTC).date()
        base = _Base.of(workspace, day)
        if one.status == WAITING and _hash(base.held.policies) != one.base_hash:
            raise RefusedByPolicy(_stale(number, day))
        wanted = base.with_change(one.policy, one.author, f"policy change {number}: {one.note}")
        return changes.approve(number, note.strip(), wanted)


def refuse(home: Path, viewer: Viewer, number: int, note: str) -> PolicyChangeRecord:
    """Refuse a change, or withdraw one's own; raises NotAllowed, UnknownName, RefusedByPolicy."""
    _needs(viewer, note)
    with Store(session.database_url(session.workspace_at(home)), actor=viewer.name) as store:
        changes = PolicyChanges(store)
        own = persons.same(changes.one(number).author, viewer.name)
        viewer.require(Right.PROPOSE_POLICY if own else Right.APPROVE_POLICY)
        return changes.refuse(number, note.strip())


def revoke(home: Path, viewer: Viewer, number: int, note: str) -> PolicyChangeRecord:
    """Take an approved change back: a further version has each setting as it was before, from the same day on.

    Runs that were made under it stay as they are.

    Raises
    ------
    NotAllowed, UnknownName
    RefusedByPolicy
        It is not in force, or a setting of it was changed again since.
    """
    viewer.require(Right.APPROVE_POLICY)
    _needs(viewer, note)
    workspace = session.workspace_at(home)
    run = latest_run(workspace)
    with Store(session.database_url(workspace), actor=viewer.name) as store:
        changes = PolicyChanges(store)
        one = changes.one(number)
        if one.effective_from is None:
            raise RefusedByPolicy(f"Change {number} is not in force but {one.status}: there is nothing to revoke.")
        day = max(one.effective_from, run.as_of.astimezone(UTC).date())
        base = _Base.of(workspace, day)
        now = base.held.policies.model_dump(mode="json")
        again = [str(change["setting"]) for change in one.changes if _at(now, change["setting"]) != change["after"]]
        if again and one.status == "approved":
            raise RefusedByPolicy(
                f"Change {number} cannot be taken back: {', '.join(again)} was changed since. Propose a new change."
            )
        back: dict[str, Any] = {}
        for change in one.changes:
            _put(back, str(change["setting"]), change["before"])
        wanted = base.with_change(back, viewer.name, f"policy change {number} revoked: {note.strip()}")
        return changes.revoke(number, note.strip(), wanted)


def listed(home: Path) -> list[dict[str, Any]]:
    """Return every change ever proposed, the newest first, with how it stands: one that waits may be stale by now."""
    workspace = session.workspace_at(home)
    return [asdict(one) | {"status": standing} for one, standing in standings(workspace)]


def standings(workspace: Workspace) -> list[tuple[PolicyChangeRecord, str]]:
    """Return every change, the newest first, and how it stands; looking makes no database."""
    if not session.has_register(workspace):
        return []
    with Store(session.database_url(workspace)) as store:
        found = PolicyChanges(store).every()[::-1]
    if not any(one.status == WAITING for one in found):
        return [(one, one.status) for one in found]
    held = _hash(held_catalogue.in_force(workspace, latest_run(workspace).as_of).policies)
    return [(one, "stale" if one.status == WAITING and one.base_hash != held else one.status) for one in found]


def _since(workspace: Workspace, run: Run, now: RecommendationSettings) -> dict[str, Any]:
    """Return what was set otherwise since the run, as settings."""
    from engine.workflows import kept_decisions, policy_changes  # noqa: PLC0415

    _, bundle = kept_decisions.opened(workspace, run.run_id, marts=())
    since: dict[str, Any] = {}
    for change in policy_changes.changes(bundle.settings, now):
        _put(since, change.setting, change.after)
    return since


def _merged(held: InForce, values: Mapping[str, Any]) -> RecommendationSettings:
    """Return the policy with a change; raises SettingsFault where products and offers do not fit it."""
    policies = changed(held.policies, values, "the change")
    faults = offers.faults(held.products, policies, held.offered)
    if faults:
        raise SettingsFault("the change", faults)
    return policies


@dataclass(frozen=True, slots=True, kw_only=True)
class _Base:
    """The policy that holds from a day on, and the newest version that was there when it was read."""

    held: InForce
    day: date
    newest: int

    @classmethod
    def of(cls, workspace: Workspace, day: date) -> _Base:
        known = held_catalogue.versions(workspace)
        newest = max((one.version for one in known), default=0)
        return cls(held=held_catalogue.in_force(workspace, _moment(day)), day=day, newest=newest)

    def with_change(self, values: Mapping[str, Any], owner: str, note: str) -> NewCatalogue:
        """Return it with some settings changed, as the version to keep; raises SettingsFault."""
        held = self.held
        definition = held_catalogue.definition(held.products, held.offered, _merged(held, values))
        return NewCatalogue(definition=definition, effective_from=self.day, owner=owner, note=note, after=self.newest)


def _hash(policies: RecommendationSettings) -> str:
    return digest(canonical(policies.model_dump(mode="json")))


def _stale(number: int, day: date) -> str:
    return (
        f"Change {number} was tried against another policy than the one that holds on {day}: settings were changed "
        "since. Simulate it again and propose it anew."
    )


def _moment(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=UTC)


def _without_persons(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return a simulation without the parts that name customers."""
    kept: dict[str, Any] = {}
    for name, value in found.items():
        if name in _PERSONS:
            continue
        kept[name] = _without_persons(value) if isinstance(value, Mapping) else value
        if isinstance(value, datetime):
            kept[name] = value.isoformat()
    return kept


def _over(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for name, value in over.items():
        known = merged.get(name)
        merged[name] = _over(known, value) if isinstance(known, Mapping) and isinstance(value, Mapping) else value
    return merged


def _put(values: dict[str, Any], setting: str, value: Any) -> None:
    *path, last = setting.split(".")
    for name in path:
        values = values.setdefault(name, {})
    values[last] = value


def _at(values: Mapping[str, Any], setting: str) -> Any:
    found: Any = values
    for name in setting.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _needs(viewer: Viewer, note: str) -> None:
    if not viewer.name.strip() or not note.strip():
        raise RefusedByPolicy("A change of the policy needs the name of a person and a note that says why.")
