"""The operational database: runs, exports, experiments, audiences, overrides, models, audit."""

from engine.store.facade import Store
from engine.store.models import NewModel
from engine.store.overrides import NewOverride
from engine.store.records import (
    AudienceActRecord,
    AudienceRecord,
    AuditRecord,
    CatalogueRecord,
    ExperimentRecord,
    ExportRecord,
    ModelRecord,
    OverrideRecord,
    RunRecord,
)

__all__ = [
    "AudienceActRecord",
    "AudienceRecord",
    "AuditRecord",
    "CatalogueRecord",
    "ExperimentRecord",
    "ExportRecord",
    "ModelRecord",
    "NewModel",
    "NewOverride",
    "OverrideRecord",
    "RunRecord",
    "Store",
]
