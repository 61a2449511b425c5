"""The operational database: what was run, exported, defined, decided and asked for, and by whom."""

from engine.store.acknowledgements import Acknowledgements
from engine.store.export_acts import NewAck, NewApproval, NewBundle
from engine.store.facade import Store
from engine.store.feedback import Added, NewFeedback
from engine.store.feedback_batches import Claim, NewBatch
from engine.store.journal import Journal
from engine.store.keyring import Keyring, NewKey
from engine.store.live import LiveContact, LiveDecision, LiveLedger, LiveSuppression
from engine.store.models import NewModel
from engine.store.overrides import NewOverride
from engine.store.records import (
    AcknowledgementRecord,
    AckRecord,
    AlertRecord,
    ApiKeyRecord,
    ApprovalRecord,
    AudienceActRecord,
    AudienceRecord,
    AuditRecord,
    BundleRecord,
    CatalogueRecord,
    DeliveryRecord,
    ExperimentRecord,
    ExportRecord,
    FeedbackBatchRecord,
    FeedbackRecord,
    JournalRecord,
    ModelRecord,
    OverrideRecord,
    RunRecord,
    ScheduleRecord,
    SuppressionRecord,
    TurnRecord,
    WebhookRecord,
)
from engine.store.schedules import Due, NewSchedule
from engine.store.suppression_feed import SuppressionFeed
from engine.store.webhooks import DueDelivery, Webhooks

__all__ = [
    "AckRecord",
    "AcknowledgementRecord",
    "Acknowledgements",
    "Added",
    "AlertRecord",
    "ApiKeyRecord",
    "ApprovalRecord",
    "AudienceActRecord",
    "AudienceRecord",
    "AuditRecord",
    "BundleRecord",
    "CatalogueRecord",
    "Claim",
    "DeliveryRecord",
    "Due",
    "DueDelivery",
    "ExperimentRecord",
    "ExportRecord",
    "FeedbackBatchRecord",
    "FeedbackRecord",
    "Journal",
    "JournalRecord",
    "Keyring",
    "LiveContact",
    "LiveDecision",
    "LiveLedger",
    "LiveSuppression",
    "ModelRecord",
    "NewAck",
    "NewApproval",
    "NewBatch",
    "NewBundle",
    "NewFeedback",
    "NewKey",
    "NewModel",
    "NewOverride",
    "NewSchedule",
    "OverrideRecord",
    "RunRecord",
    "ScheduleRecord",
    "Store",
    "SuppressionFeed",
    "SuppressionRecord",
    "TurnRecord",
    "WebhookRecord",
    "Webhooks",
]
