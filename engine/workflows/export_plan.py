"""What an export would do, looked at before a byte is written: who may leave, what changes, and what forbids it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engine.config.exports import ExportFormat, ExportSettings, Mode
from engine.domain.errors import RefusedByPolicy, UnknownName
from engine.exports import checking, members
from engine.exports.audience_bundle import Outgoing
from engine.exports.presets import Context, Preset
from engine.recommendations import columns
from engine.store import AckRecord, BundleRecord, Store
from engine.store.export_acts import taken_back
from engine.workflows import (
    export_approvals,
    export_rows,
    export_selection,
    export_states,
    export_targets,
    held_audiences,
    session,
)
from engine.workflows.audiences import Opened
from engine.workflows.export_selection import Selection
from engine.workflows.export_states import Held
from engine.workflows.export_targets import Target
from engine.workflows.held_audiences import Kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An export that somebody asks for.

    channel : by default the audience's first that the preset can be used for. file_format : by default the preset's
    first. by : who asks, by name; None where nobody said. out : by default under exports/ in the workspace.
    """

    audience: str
    preset: str
    mode: Mode = "full"
    file_format: ExportFormat | None = None
    channel: str | None = None
    run_id: str | None = None
    by: str | None = None
    allow_shrink: bool = False
    out: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """All that an export would do, before it does it."""

    kept: Kept
    verified_by: str | None
    target: Target
    run_id: str
    file_format: ExportFormat
    mode: Mode
    before: Held
    resync: str | None
    selection: Selection
    outgoing: Outgoing
    asked: export_approvals.Asked

    @property
    def now(self) -> pa.Table:
        """What the destination holds once it has loaded the bundle."""
        return self.outgoing.change.now

    @property
    def context(self) -> Context:
        """What the columns of the preset depend on."""
        one = self.target
        return Context(audience=one.audience, channel=one.channel, run_id=self.run_id, settings=one.settings)

    @property
    def destination(self) -> str:
        """Where it goes, such as `generic/email`."""
        return self.target.destination


def planned(held: Opened, store: Store, wanted: Wanted) -> Plan:
    """Return what an export would do.

    Raises
    ------
    RefusedByPolicy
        Nobody may leave at all: no consents, opt-outs too old, another channel or purpose, a retired audience.
    UnknownName, NotEnoughData, MartMissing
    """
    kept = held.kept(wanted.audience)
    settings = session.settings(held.workspace, ExportSettings, "exports")
    target = export_targets.target(held, kept, wanted.preset, wanted.channel, settings)
    chosen, where = target.preset, target.destination
    selection, told = _selected(held, kept, target)
    rows = export_rows.rows(held, selection.leaving, selection.consents, told, target)
    context = Context(audience=target.audience, channel=target.channel, run_id=held.run.run_id, settings=settings)
    checked = checking.check(rows, chosen, context)
    ack = store.last_ack(target.audience, where)
    gone = _taken_back(store, target, ack)
    contacts = bool(target.needs)
    before = export_states.held(held.workspace, ack, held.run.as_of, settings, contacts, taken_back=gone)
    mode: Mode = "full" if wanted.mode == "delta" and before.why_not else wanted.mode
    keys = target.needs  # the contacts are what such a vendor knows a person by
    change = (
        members.change(before.rows, checked.rows, settings.refresh_days, keys)
        if mode == "delta"
        else members.whole(before.rows.slice(0, 0) if mode == "mirror" else before.rows, checked.rows, keys)
    )
    verified_by = _verified_by(held, kept)
    return Plan(
        kept=kept,
        verified_by=verified_by,
        target=target,
        run_id=held.run.run_id,
        file_format=_format(chosen, wanted),
        mode=mode,
        before=before,
        resync=before.why_not if wanted.mode == "delta" else None,
        selection=selection,
        outgoing=Outgoing(
            change=change,
            suppress=_to_suppress(held, selection, target),
            checked=checked,
            excluded=selection.excluded(),
            reasons=selection.reason_counts(),
        ),
        asked=export_approvals.Asked(
            kept=kept,
            is_verified=verified_by is not None,
            destination=where,
            members=change.now.num_rows,
            approval=settings.approval,
        ),
    )


def _taken_back(store: Store, target: Target, ack: AckRecord | None) -> list[BundleRecord]:
    """Return what was taken back and the destination may hold: handed over since it acknowledged any, or that one."""
    runs = {one.run_id for one in store.export_revocations(target.audience) if one.destination == target.destination}
    return [
        one
        for one in store.export_bundles(target.audience)
        if one.run_id in runs
        and one.destination == target.destination
        and (ack is None or one.number >= ack.bundle.number)
    ]


def _format(chosen: Preset, wanted: Wanted) -> ExportFormat:
    file_format = wanted.file_format or chosen.formats[0]
    if file_format not in chosen.formats:
        raise UnknownName(f"format of {chosen.name}", file_format, chosen.formats)
    if file_format == "csv_spreadsheet" and wanted.mode == "delta":
        raise RefusedByPolicy(
            "The spreadsheet CSV is to be read by people: what it changed at a tool could not be told. Write it in "
            "full, or take the format csv for a tool."
        )
    return file_format


def _selected(held: Opened, kept: Kept, target: Target) -> tuple[Selection, pa.Table]:
    """Return who may leave, and the contacts of all who might."""
    selection = export_selection.select(held, kept, target.channel, target.settings)
    everybody = pa.concat_arrays([selection.leaving, columns.plain(selection.sticky["customer_id"])]).unique()
    told = export_rows.contacts(held, everybody, target.needs)
    return export_selection.shared_contacts(selection, told, target.needs), told


def _to_suppress(held: Opened, selection: Selection, target: Target) -> pa.Table:
    """Return whom the destination must not contact: of those it may know of, nobody else's id leaves for this.

    A vendor that knows addresses and no ids gets every address that it was ever given of them and is remembered.
    """
    states = export_states.every(held.workspace, target.audience, target.destination)
    sticky = selection.sticky
    rows = pa.table(
        {
            members.ID: sticky["customer_id"],
            "reason_code": sticky["reason_code"],
            "since": pc.strftime(sticky["since"].cast(pa.timestamp("s"), safe=False), format="%Y-%m-%dT%H:%M:%SZ"),
        }
    )
    if not target.needs:
        known = pa.concat_arrays([columns.plain(export_states.ids(states)), selection.ids])
        return rows.filter(pc.is_in(rows[members.ID], value_set=known)).sort_by(members.ID)
    names = [members.ID, *(one.name for one in members.CONTACTS)]
    sent = [pq.read_table(place, columns=names) for place in states]
    empty = members.schema(True).empty_table().select(names)
    given = pa.concat_tables([empty, *(one.replace_schema_metadata(None) for one in sent)])
    given = given.group_by(names).aggregate([])
    place = pc.index_in(given[members.ID], value_set=columns.plain(rows[members.ID]))
    known = given.filter(pc.is_valid(place))
    said = rows.take(columns.plain(pc.drop_null(place)))
    for name in names[1:]:
        said = said.append_column(name, known[name])
    return said.sort_by([(name, "ascending") for name in names])


def faults(held: Opened, store: Store, plan: Plan, wanted: Wanted) -> list[RefusedByPolicy]:
    """Return what forbids the export as it is asked for."""
    gone = store.export_revocation(plan.target.audience, plan.destination, plan.run_id)
    found = [] if gone is None else [taken_back(gone)]
    found += [one for one in (_shrinks(plan),) if one is not None and not wanted.allow_shrink]
    needed = export_approvals.lacking(held, store, plan.asked, wanted.by)
    return found if needed is None else [*found, needed]


def _shrinks(plan: Plan) -> RefusedByPolicy | None:
    before, most = plan.before.rows, plan.target.settings.max_removed_share
    left = pc.is_in(before[members.ID], value_set=columns.plain(plan.now[members.ID]))
    gone = before.num_rows - (pc.sum(left).as_py() or 0)
    if gone <= most * before.num_rows:
        return None
    return RefusedByPolicy(
        f"{gone:,} of {before.num_rows:,} members would be removed at {plan.destination}, more than the share of "
        f"{most:g} that max_removed_share allows. If that is meant, export with --allow-shrink."
    )


def _verified_by(held: Opened, kept: Kept) -> str | None:
    others = held_audiences.definitions(held.audiences)
    found = kept.verified(held_audiences.rule_hash(kept.definition, others))
    return found.done_by if found else None
