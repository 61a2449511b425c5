"""The operational database: runs, exports, experiments, audiences, audit."""

from engine.store.facade import Store
from engine.store.records import AudienceRecord, AuditRecord, ExperimentRecord, ExportRecord, RunRecord

__all__ = ["AudienceRecord", "AuditRecord", "ExperimentRecord", "ExportRecord", "RunRecord", "Store"]
