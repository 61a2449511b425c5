"""The operational database: runs, exports, experiments, audiences, overrides, models, feedback, suppressions, audit."""

from engine.store.facade import Store
from engine.store.feedback import Added, NewFeedback
from engine.store.feedback_batches import Claim, NewBatch
from engine.store.models import NewModel
from engine.store.overrides import NewOverride
from engine.store.records import (
    AudienceActRecord,
    AudienceRecord,
    AuditRecord,
    CatalogueRecord,
    ExperimentRecord,
    ExportRecord,
    FeedbackBatchRecord,
    FeedbackRecord,
    ModelRecord,
    OverrideRecord,
    RunRecord,
    SuppressionRecord,
)

__all__ = [
    "Added",
    "AudienceActRecord",
    "AudienceRecord",
    "AuditRecord",
    "CatalogueRecord",
    "Claim",
    "ExperimentRecord",
    "ExportRecord",
    "FeedbackBatchRecord",
    "FeedbackRecord",
    "ModelRecord",
    "NewBatch",
    "NewFeedback",
    "NewModel",
    "NewOverride",
    "OverrideRecord",
    "RunRecord",
    "Store",
    "SuppressionRecord",
]
