"""The operational database behind typed methods: nobody else sees a table, a session or an address.

Every change and its entry in the audit log are one transaction: neither is there without the other.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any

from sqlmodel import Session, col, select

from engine.numerics.chain import Break, Head, Link, canonical, walk
from engine.store import audience_acts, catalogues, everything, models, overrides, trail, versions
from engine.store.base import now
from engine.store.export_methods import ExportMethods, require_run
from engine.store.feedback_methods import FeedbackMethods
from engine.store.records import (
    AudienceActRecord,
    AudienceRecord,
    AuditRecord,
    CatalogueRecord,
    ExperimentDecisionRecord,
    ExperimentRecord,
    ModelRecord,
    OverrideRecord,
    RunRecord,
)
from engine.store.schedule_methods import ScheduleMethods
from engine.store.tables import AudienceRow, CatalogueRow, ExperimentDecisionRow, ExperimentRow, RunRow


class Store(FeedbackMethods, ExportMethods, ScheduleMethods):
    """The operational database at an address, such as `sqlite:///workspace/wayline.db`.

    Making one connects to nothing; the first use creates or migrates the tables, unless `migrate` is false.
    `actor` is who does what follows; it stands in the audit log.

    Raises
    ------
    StoreUnavailable
        On first use: the database cannot be reached, or is of a newer version.
    """

    # Runs

    def start_run(self, run_id: str, as_of: datetime, seed: int, facts: Mapping[str, Any] | None = None) -> RunRecord:
        """Note that a run begins; one that was begun before begins again, counted as one more attempt."""
        with self._write() as session:
            earlier = session.get(RunRow, run_id)
            row = RunRow(
                run_id=run_id,
                as_of=as_of,
                seed=seed,
                status="running",
                attempts=earlier.attempts + 1 if earlier else 1,
                started_at=now(),
                facts=canonical(facts or {}),
            )
            self._note(session, "run.started", run_id, {"attempt": row.attempts, "seed": seed})
            return _run(session.merge(row))

    def finish_run(self, run_id: str, facts: Mapping[str, Any] | None = None) -> RunRecord:
        """Note that a run is complete; `facts` join those given at its start.

        Raises
        ------
        UnknownName
            It was never started.
        """
        with self._write() as session:
            row = require_run(session, run_id)
            row.status, row.finished_at, row.reason = "done", now(), None
            row.facts = canonical({**json.loads(row.facts), **(facts or {})})
            session.add(row)
            self._note(session, "run.finished", run_id, {"attempt": row.attempts})
            return _run(row)

    def fail_run(self, run_id: str, reason: str) -> RunRecord:
        """Note that a run failed, and why, in a sentence without personal data; raises UnknownName like finish_run."""
        with self._write() as session:
            row = require_run(session, run_id)
            row.status, row.finished_at, row.reason = "failed", now(), reason
            session.add(row)
            self._note(session, "run.failed", run_id, {"attempt": row.attempts, "reason": reason})
            return _run(row)

    def runs(self, limit: int | None = None) -> list[RunRecord]:
        """Return the runs, the one started last first."""
        query = select(RunRow).order_by(col(RunRow.started_at).desc(), col(RunRow.run_id)).limit(limit)
        with self._read() as session:
            return [_run(row) for row in session.exec(query)]

    # Experiments and audiences: versions that never change

    def register_experiments(self, specs: Mapping[str, Mapping[str, Any]]) -> list[ExperimentRecord]:
        """Register designs by experiment; what is registered already in the same words is left as it is.

        Returns the current version of each, in the order given. A changed design is a new version: the old one stays.
        """
        with self._write() as session:
            return [
                _experiment(self._save(session, ExperimentRow, "experiment.registered", name, spec))
                for name, spec in specs.items()
            ]

    def experiments(self) -> list[ExperimentRecord]:
        """Return the current version of every registered experiment, by id."""
        with self._read() as session:
            return [_experiment(row) for row in versions.latest(session, ExperimentRow)]

    def first_experiments(self) -> list[ExperimentRecord]:
        """Return every registered experiment as it was designed before its first look, by id."""
        with self._read() as session:
            return [_experiment(row) for row in versions.first(session, ExperimentRow)]

    def decide_experiment(self, experiment_id: str, decision: Mapping[str, Any]) -> ExperimentDecisionRecord:
        """Keep what a person decided on an experiment, and note it in the audit log; the same again changes nothing.

        decision : run_id, action, instead_of, owner, note and spec_hash.
        """
        with self._write() as session:
            row, is_new = versions.save(session, ExperimentDecisionRow, experiment_id, decision, self.actor)
            if is_new:
                details = {name: decision[name] for name in ("run_id", "action", "instead_of", "owner", "note")}
                self._note(session, "experiment.decided", experiment_id, {"version": row.version, **details})
            return _decided(row)

    def experiment_decisions(self, experiment_id: str) -> list[ExperimentDecisionRecord]:
        """Return what persons decided on an experiment, the newest first."""
        with self._read() as session:
            return [_decided(row) for row in versions.every(session, ExperimentDecisionRow, experiment_id)][::-1]

    def save_audience(self, name: str, definition: Mapping[str, Any]) -> AudienceRecord:
        """Keep an audience's definition under a name; a changed one becomes its next version."""
        with self._write() as session:
            return _audience(self._save(session, AudienceRow, "audience.saved", name, definition))

    def save_catalogue(
        self, definition: Mapping[str, Any], effective_from: date, note: str
    ) -> tuple[CatalogueRecord, bool]:
        """Keep the catalogue and its policies as the actor's next version; the same as the newest makes none.

        Returns the version and whether it is new. A day that another version begins on is that of the later one.
        """
        wanted = catalogues.NewCatalogue(
            definition=definition, effective_from=effective_from, owner=self.actor, note=note
        )
        with self._write() as session:
            saved, is_new = catalogues.save(session, wanted, self.actor)
            if is_new:
                self._note(session, "catalogue.saved", catalogues.CATALOGUE, catalogues.audited(saved))
            return saved, is_new

    def catalogues(self) -> list[CatalogueRecord]:
        """Return every version of the catalogue, the oldest first.

        Raises
        ------
        CheckFailed
            One is not what was saved.
        """
        with self._read() as session:
            return [catalogues.record(row) for row in versions.every(session, CatalogueRow, catalogues.CATALOGUE)]

    def audiences(self) -> list[AudienceRecord]:
        """Return the current version of every audience, by name."""
        with self._read() as session:
            return [_audience(row) for row in versions.latest(session, AudienceRow)]

    def verify_audience(self, name: str, rule_hash: str) -> AudienceActRecord:
        """Enter the actor as the second person who found the rule right; see `audience_acts.verify`."""
        with self._write() as session:
            return self._done(session, *audience_acts.verify(session, name, self.actor, rule_hash))

    def retire_audience(self, name: str, note: str) -> AudienceActRecord:
        """Enter that the actor retires an audience as it is now; raises UnknownName."""
        with self._write() as session:
            return self._done(session, *audience_acts.retire(session, name, self.actor, note))

    def audience_acts(self) -> list[AudienceActRecord]:
        """Return what persons did with audiences, by audience and then the oldest first."""
        with self._read() as session:
            return audience_acts.listed(session)

    def _done(self, session: Session, one: AudienceActRecord, is_new: bool) -> AudienceActRecord:
        if is_new:
            self._note(session, f"audience.{one.act}", one.name, audience_acts.audited(one))
        return one

    def _save(
        self, session: Session, table: type[versions.Row], action: str, name: str, content: Mapping[str, Any]
    ) -> versions.Row:
        row, is_new = versions.save(session, table, name, content, self.actor)
        if is_new:
            self._note(session, action, name, {"version": row.version, "hash": row.content_hash})
        return row

    # Overrides of lending decisions

    def add_override(self, wanted: overrides.NewOverride) -> OverrideRecord:
        """Enter an override of the actor's; see `overrides.add`."""
        with self._write() as session:
            return self._noted(session, "override.added", overrides.add(session, wanted, self.actor, now()))

    def agree_to_override(self, override_id: int) -> OverrideRecord:
        """Enter the actor as the second person; raises UnknownName or RefusedByPolicy, see `overrides.agree`."""
        with self._write() as session:
            return self._noted(session, "override.agreed", overrides.agree(session, override_id, self.actor, now()))

    def revoke_override(self, override_id: int) -> OverrideRecord:
        """Take an override back; raises UnknownName or RefusedByPolicy, see `overrides.revoke`."""
        with self._write() as session:
            return self._noted(session, "override.revoked", overrides.revoke(session, override_id, self.actor, now()))

    def overrides(self, customer_id: str | None = None) -> list[OverrideRecord]:
        """Return all overrides ever made, of one customer or of all, the oldest first."""
        with self._read() as session:
            return overrides.listed(session, customer_id)

    def _noted(self, session: Session, action: str, one: OverrideRecord) -> OverrideRecord:
        self._note(session, action, f"override/{one.override_id}", overrides.audited(one))
        return one

    # Default models

    def propose_model(self, wanted: models.NewModel) -> ModelRecord:
        """Enter a model of the actor's as a challenger; raises RefusedByPolicy, see `models.propose`."""
        with self._write() as session:
            return self._told(session, models.PROPOSED, models.propose(session, wanted, self.actor, now()))

    def approve_model(self, model_id: int, note: str) -> ModelRecord:
        """Make a challenger the champion, approved by the actor; see `models.approve` for what is refused."""
        with self._write() as session:
            approved, replaced = models.approve(session, model_id, self.actor, note, now())
            if replaced is not None:
                self._told(session, models.RETIRED, replaced)
            return self._told(session, models.APPROVED, approved)

    def retire_model(self, model_id: int, note: str) -> ModelRecord:
        """Retire a model; raises UnknownName or RefusedByPolicy, see `models.retire`."""
        with self._write() as session:
            return self._told(session, models.RETIRED, models.retire(session, model_id, self.actor, note, now()))

    def models(self) -> list[ModelRecord]:
        """Return every model ever proposed, the oldest first."""
        with self._read() as session:
            return models.listed(session)

    def champion(self, purpose: str) -> tuple[ModelRecord, str] | None:
        """Return the approved model of a purpose and its content, if any; raises ModelSpoilt, see `models.champion`."""
        with self._read() as session:
            return models.champion(session, purpose)

    def model(self, model_id: int) -> tuple[ModelRecord, str, str | None]:
        """Return a model, its content and its card; raises UnknownName or ModelSpoilt, see `models.opened`."""
        with self._read() as session:
            return models.opened(session, model_id)

    def _told(self, session: Session, action: str, one: ModelRecord) -> ModelRecord:
        self._note(session, action, models.subject(one.model_id), models.audited(one))
        return one

    # Audit

    def audit(
        self, action: str, subject: str, details: Mapping[str, Any] | None = None, *, actor: str | None = None
    ) -> AuditRecord:
        """Append who did what to what; `details` are ids, counts and hashes, never personal data."""
        with self._write() as session:
            entry = trail.Entry(actor=actor or self.actor, action=action, subject=subject, details=details or {})
            return trail.append(session, now(), entry)

    def audit_trail(
        self, limit: int = 100, before: int | None = None, subject: str | None = None, action: str | None = None
    ) -> list[AuditRecord]:
        """Return entries of the audit log, the newest first; `before` a number pages on."""
        with self._read() as session:
            return trail.newest(session, limit, before, subject, action)

    def audit_sought(self, what: trail.Sought, limit: int, offset: int = 0) -> tuple[int, list[AuditRecord]]:
        """Return how many entries of the audit log are asked for, and a page of them, the newest first."""
        with self._read() as session:
            return trail.count(session, what), trail.sought(session, what, limit, offset)

    def audit_named(self) -> tuple[list[str], list[str]]:
        """Return who stands in the audit log, and what was done, each by name."""
        with self._read() as session:
            return trail.named(session)

    def audit_before(self, seq: int) -> AuditRecord | None:
        """Return the last entry on the same subject before an entry."""
        with self._read() as session:
            return trail.before(session, seq)

    def everything_of(self, customer_id: str) -> dict[str, list[dict[str, Any]]]:
        """Return all rows of a customer by table of the register, the empty tables too."""
        with self._read() as session:
            return everything.of_customer(session, customer_id)

    def audit_head(self) -> Head:
        """Return the newest entry's number and hash, to be sealed and kept elsewhere."""
        with self._read() as session:
            return trail.head(session)

    def verify_audit(self) -> Break | None:
        """Return the first entry at which the audit log does not hold, or None when it holds."""
        with self.audit_links() as links:
            return walk(links)[1]

    @contextmanager
    def audit_links(self) -> Iterator[Iterator[Link]]:
        """Open the whole chain for a check, streamed in the order of its numbers."""
        with self._read() as session:
            yield trail.links(session)


def _run(row: RunRow) -> RunRecord:
    return RunRecord(**{**row.model_dump(), "facts": json.loads(row.facts)})


def _experiment(row: ExperimentRow) -> ExperimentRecord:
    return ExperimentRecord(
        experiment_id=row.name,
        version=row.version,
        spec=json.loads(row.content),
        spec_hash=row.content_hash,
        registered_by=row.saved_by,
        registered_at=row.saved_at,
    )


def _decided(row: ExperimentDecisionRow) -> ExperimentDecisionRecord:
    return ExperimentDecisionRecord(
        experiment_id=row.name,
        version=row.version,
        decided_by=row.saved_by,
        decided_at=row.saved_at,
        **json.loads(row.content),
    )


def _audience(row: AudienceRow) -> AudienceRecord:
    return AudienceRecord(
        name=row.name,
        version=row.version,
        definition=json.loads(row.content),
        definition_hash=row.content_hash,
        saved_by=row.saved_by,
        saved_at=row.saved_at,
    )
