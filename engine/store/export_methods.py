"""The store's methods on exports; each change and its audit entry are one transaction."""

from __future__ import annotations

from sqlmodel import Session, col, select

from engine.domain.errors import UnknownName
from engine.numerics.chain import digest
from engine.store import export_acts
from engine.store.base import Base, now
from engine.store.export_acts import NewAck, NewApproval, NewBundle, NewRevocation
from engine.store.records import AckRecord, ApprovalRecord, BundleRecord, ExportRecord, RevocationRecord
from engine.store.tables import ExportRow, RunRow


class ExportMethods(Base):
    """Bundles that left, what destinations acknowledged, and who approved or took back."""

    def record_export(
        self,
        export_id: str,
        *,
        run_id: str,
        audience: str,
        file_format: str,
        destination: str,
        rows: int,
        sha256: str,
        bundle: NewBundle | None = None,
    ) -> ExportRecord:
        """Note that a bundle left the engine; the same export made again replaces its row and is audited again.

        bundle : of an audience, what the destination may acknowledge later.

        Raises
        ------
        UnknownName
            The run was never started.
        RefusedByPolicy
            The run was taken back at the destination of the bundle.
        """
        with self._write() as session:
            require_run(session, run_id)
            row = ExportRow(
                export_id=export_id,
                run_id=run_id,
                audience=audience,
                file_format=file_format,
                destination=destination,
                rows=rows,
                sha256=sha256,
                exported_by=self.actor,
                exported_at=now(),
            )
            details = {"run_id": run_id, "audience": audience, "format": file_format, "rows": rows, "sha256": sha256}
            if bundle is not None:
                export_acts.hand_over(session, bundle, self.actor, now())
                details |= {
                    "to": bundle.destination,
                    "mode": bundle.mode,
                    "content_sha256": bundle.content_sha256,
                    "approved_by": bundle.approved_by or "",
                }
            self._note(session, "export.recorded", export_id, details)
            return _export(session.merge(row))

    def exports(self, run_id: str | None = None, limit: int | None = None) -> list[ExportRecord]:
        """Return the exports, of one run or of all, the newest first."""
        query = select(ExportRow).order_by(col(ExportRow.exported_at).desc(), col(ExportRow.export_id)).limit(limit)
        if run_id is not None:
            query = query.where(ExportRow.run_id == run_id)
        with self._read() as session:
            return [_export(row) for row in session.exec(query)]

    def export_bundles(self, audience: str | None = None, run_id: str | None = None) -> list[BundleRecord]:
        """Return the contents handed to destinations, the newest first."""
        with self._read() as session:
            return export_acts.bundles(session, audience, run_id)

    def ack_export(self, ack: NewAck) -> AckRecord:
        """Enter that a destination has loaded a bundle; raises UnknownName, CheckFailed, see `acknowledge`."""
        with self._write() as session:
            made, is_new = export_acts.acknowledge(session, ack, self.actor, now())
            if is_new:
                details = {
                    "run_id": ack.run_id,
                    "content_sha256": ack.content_sha256,
                    "rows": ack.received_rows,
                    "rejected": len(made.rejected),
                }
                self._note(session, "export.acknowledged", f"{ack.audience}/{ack.destination}", details)
            return made

    def last_ack(self, audience: str, destination: str) -> AckRecord | None:
        """Return the bundle that a destination acknowledged last, None before the first."""
        with self._read() as session:
            return export_acts.last_ack(session, audience, destination)

    def export_acks(self, audience: str | None = None) -> list[AckRecord]:
        """Return what destinations acknowledged, the newest bundle first."""
        with self._read() as session:
            return export_acts.acks(session, audience)

    def revoke_export(self, wanted: NewRevocation) -> RevocationRecord:
        """Enter that the actor takes a run back at a destination; raises RefusedByPolicy, see `export_acts.revoke`."""
        with self._write() as session:
            made, is_new = export_acts.revoke(session, wanted, self.actor, now())
            if is_new:
                details = {"run_id": wanted.run_id, "note_sha256": digest(wanted.note)}
                self._note(session, "export.revoked", f"{wanted.audience}/{wanted.destination}", details)
            return made

    def export_revocation(self, audience: str, destination: str, run_id: str) -> RevocationRecord | None:
        """Return that a run was taken back at a destination, None where it was not."""
        with self._read() as session:
            return export_acts.revocation(session, audience, destination, run_id)

    def export_revocations(self, audience: str | None = None) -> list[RevocationRecord]:
        """Return what was taken back, the newest first."""
        with self._read() as session:
            return export_acts.revocations(session, audience)

    def approve_export(self, wanted: NewApproval) -> ApprovalRecord:
        """Enter the actor's approval of an export; raises RefusedByPolicy, see `export_acts.approve`."""
        with self._write() as session:
            made, is_new = export_acts.approve(session, wanted, self.actor)
            if is_new:
                self._note(session, "export.approved", wanted.name, export_acts.audited_approval(made, wanted.note))
            return made

    def export_approvals(self, name: str) -> list[ApprovalRecord]:
        """Return the approvals of an export, the newest first."""
        with self._read() as session:
            return export_acts.approvals(session, name)


def require_run(session: Session, run_id: str) -> RunRow:
    """Return a run's row; raises UnknownName with the newest ones."""
    row = session.get(RunRow, run_id)
    if row is None:
        newest = session.exec(select(RunRow.run_id).order_by(col(RunRow.started_at).desc()).limit(5))
        raise UnknownName("run", run_id, newest)
    return row


def _export(row: ExportRow) -> ExportRecord:
    return ExportRecord(**row.model_dump())
