"""Which snapshots of an audience can be pulled on a channel, and their rows: whoever may be contacted there only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final

import pyarrow as pa
import pyarrow.dataset as ds

from engine.config.exports import ExportSettings
from engine.domain.errors import NotEnoughData, RefusedByPolicy
from engine.domain.grants import Grant
from engine.domain.pulls import RunRevoked
from engine.exports.presets.base import destination
from engine.exports.presets.generic import GENERIC
from engine.exports.releases import Release
from engine.lake import memberships
from engine.lake.memberships import Membership
from engine.recommendations import columns
from engine.workflows import (
    audiences,
    export_approvals,
    export_rows,
    export_selection,
    export_targets,
    held_audiences,
    pull_releases,
    session,
)
from engine.workflows.audiences import Opened
from engine.workflows.export_targets import Target
from engine.workflows.held_audiences import Kept
from engine.workflows.pull_releases import Made, Shelf
from engine.workflows.service import Service

CONTRACT: Final = "audience-pull"
SCHEMA_VERSION: Final = "1.0.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pullable:
    """An audience that a key may pull, on one channel, and who asks: its definition, its snapshots, the latest last."""

    service: Service
    by: str
    destination: str
    kept: Kept
    channel: str
    snapshots: tuple[Membership, ...]

    @property
    def name(self) -> str:
        """The audience's id."""
        return self.kept.record.name

    @property
    def shelf(self) -> Shelf:
        """Where its releases lie."""
        return Shelf(service=self.service, subject=self.name, channel=self.channel)

    def release(self, asked: str | None = None) -> Release:
        """Return the release of a snapshot, by its own id or its run's, by default the latest.

        Raises
        ------
        UnknownName, RunExpired
        RefusedByPolicy
            Nobody may leave: no consents, opt-outs too old, a retired audience, or a second person has to approve.
        RunRevoked
            It was taken back at the destination of the key.
        """
        by_name = {snapshot_id(one): one for one in self.snapshots}
        runs = {name: one.run_id for name, one in by_name.items()}
        name = pull_releases.chosen(asked, runs, snapshot_id(self.snapshots[-1]), self.service)
        refuse_revoked(self.service, self.name, self.destination, (name, runs[name]))
        return self.shelf.made(name, lambda: self._rows(by_name[name]), anew=asked is None)

    def _rows(self, snapshot: Membership) -> Made:
        """Return the rows of those who may leave, by the rules of exports, and what the manifest says of them."""
        workspace = self.service.workspace
        settings = session.settings(workspace, ExportSettings, "exports")
        with audiences.opened(workspace.home, snapshot.run_id) as held:
            gone = self.kept.not_after(held.run.as_of.astimezone(UTC).date())
            if gone is not None:
                raise RefusedByPolicy(f"{gone} Nobody can be pulled of it.")
            target = export_targets.target(held, self.kept, GENERIC.name, self.channel, settings)
            purpose = self.kept.definition.purpose
            chosen = export_selection.permitted(held, _ids(snapshot), purpose, self.channel, settings)
            told = export_rows.contacts(held, chosen.leaving, target.needs)
            rows = export_rows.rows(held, chosen.leaving, chosen.consents, told, target)
            verified_by = self._verified_by(held.audiences)
            self._check_approved(held, rows.num_rows, verified_by is not None, target)
        counts = {"selected": len(chosen.ids), "excluded": chosen.excluded(), "exported": rows.num_rows}
        return rows, self._facts(snapshot, verified_by) | {
            "counts": counts,
            "reasons": dict(sorted(chosen.reason_counts().items())),
        }

    def _check_approved(self, held: Opened, members: int, is_verified: bool, target: Target) -> None:
        """Raise RefusedByPolicy where a second person must agree, as to an export of a bundle, and has not."""
        asked = export_approvals.Asked(
            kept=self.kept,
            is_verified=is_verified,
            destination=target.destination,
            members=members,
            approval=target.settings.approval,
        )
        refusal = export_approvals.lacking(held, self.service.store, asked, self.by)
        if refusal is not None:
            raise refusal

    def _verified_by(self, others: Mapping[str, Kept]) -> str | None:
        rule = held_audiences.rule_hash(self.kept.definition, held_audiences.definitions(others))
        found = self.kept.verified(rule)
        return found.done_by if found else None

    def _facts(self, snapshot: Membership, verified_by: str | None) -> dict[str, Any]:
        definition, record = self.kept.definition, self.kept.record
        return {
            "contract": CONTRACT,
            "schema_version": SCHEMA_VERSION,
            "audience": {
                "id": self.name,
                "name": definition.name,
                "name_zh": definition.name_zh,
                "owner": definition.owner,
                "version": snapshot.version,
                "definition_sha256": record.definition_hash,
                "verified_by": verified_by,
            },
            "run_id": snapshot.run_id,
            "as_of": snapshot.as_of.isoformat(),
            "purpose": definition.purpose,
            "channel": self.channel,
        }


def pullable(service: Service, grant: Grant, audience: str, channel: str | None) -> Pullable:
    """Return an audience that a key may pull.

    channel : by default the key's own, else the only one of the audience.

    Raises
    ------
    NotGranted, UnknownName
    NotEnoughData
        It was built on no run yet, or has several channels and none is named.
    """
    grant.require("audiences:read")
    known = held_audiences.kept(service.workspace)
    grant.require_audience(audience, known)
    kept = known[audience]
    snapshots = tuple(memberships.every(service.workspace, audience))
    if not snapshots:
        raise NotEnoughData(f'members of "{audience}"', "it was built on no run yet", "a run: wayline run")
    wanted = _channel(kept, grant, channel)
    return Pullable(
        service=service,
        by=grant.actor,
        destination=destination(grant.destination, wanted),
        kept=kept,
        channel=wanted,
        snapshots=snapshots,
    )


def refuse_revoked(service: Service, audience: str, where: str, snapshot: tuple[str, str]) -> None:
    """Raise RunRevoked where a snapshot, told by its id and its run's, was taken back at a destination."""
    name, run_id = snapshot
    if is_revoked(service, audience, where, run_id):
        raise RunRevoked(name, audience)


def is_revoked(service: Service, audience: str, where: str, run_id: str) -> bool:
    """Whether an audience's run was taken back at a destination."""
    return service.store.export_revocation(audience, where, run_id) is not None


def _channel(kept: Kept, grant: Grant, asked: str | None) -> str:
    own = kept.definition.channels
    wanted = asked or grant.channel or (own[0] if len(own) == 1 else None)
    if wanted is None:
        raise NotEnoughData("channel", f"the audience is for {', '.join(own)}", "one of them as `channel`")
    grant.require_channel(wanted)
    if wanted not in own:
        raise RefusedByPolicy(
            f'The audience "{kept.record.name}" is for {", ".join(own)}, not for {wanted}: an audience is used for '
            "what it was made for."
        )
    return wanted


def _ids(snapshot: Membership) -> pa.Array:
    """Return who belongs, in the order of their ids."""
    rows = ds.dataset(snapshot.rows, format="parquet").to_table(columns=["customer_id"])
    return columns.plain(rows["customer_id"])


def snapshot_id(snapshot: Membership) -> str:
    """Return what a snapshot is called: its run and the version of the definition."""
    return f"{snapshot.run_id}-v{snapshot.version}"
