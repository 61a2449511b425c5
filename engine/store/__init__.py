"""The operational database: runs, exports, experiments, audiences, overrides, audit."""

from engine.store.facade import Store
from engine.store.overrides import NewOverride
from engine.store.records import (
    AudienceRecord,
    AuditRecord,
    ExperimentRecord,
    ExportRecord,
    OverrideRecord,
    RunRecord,
)

__all__ = [
    "AudienceRecord",
    "AuditRecord",
    "ExperimentRecord",
    "ExportRecord",
    "NewOverride",
    "OverrideRecord",
    "RunRecord",
    "Store",
]
