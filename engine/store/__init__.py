"""The operational database: what was run, exported, defined, decided and asked for, and by whom."""

from engine.store.acknowledgements import Acknowledgements
from engine.store.cases import Cases, NewCase, Step
from engine.store.catalogues import NewCatalogue
from engine.store.comments import Comments
from engine.store.export_acts import NewAck, NewApproval, NewBundle, NewRevocation
from engine.store.facade import Store
from engine.store.feedback import Added, NewFeedback
from engine.store.feedback_batches import Claim, NewBatch
from engine.store.journal import Journal
from engine.store.keyring import Keyring, NewKey
from engine.store.live import LiveContact, LiveDecision, LiveLedger, LiveSuppression
from engine.store.models import NewModel
from engine.store.overrides import NewOverride
from engine.store.policies import NewChange, PolicyChanges
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
    RevocationRecord,
    RunRecord,
    ScheduleRecord,
    SuppressionRecord,
    TurnRecord,
    WebhookRecord,
)
from engine.store.reviews import Dismissals, ExperimentReviews, NewReview
from engine.store.schedules import Due, NewSchedule
from engine.store.suppression_feed import SuppressionFeed
from engine.store.webhooks import DueDelivery, Webhooks
from engine.store.work_records import (
    CaseEventRecord,
    CaseRecord,
    CommentRecord,
    ExperimentReviewRecord,
    PolicyChangeRecord,
)

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
    "CaseEventRecord",
    "CaseRecord",
    "Cases",
    "CatalogueRecord",
    "Claim",
    "CommentRecord",
    "Comments",
    "DeliveryRecord",
    "Dismissals",
    "Due",
    "DueDelivery",
    "ExperimentRecord",
    "ExperimentReviewRecord",
    "ExperimentReviews",
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
    "NewCase",
    "NewCatalogue",
    "NewChange",
    "NewFeedback",
    "NewKey",
    "NewModel",
    "NewOverride",
    "NewReview",
    "NewRevocation",
    "NewSchedule",
    "OverrideRecord",
    "PolicyChangeRecord",
    "PolicyChanges",
    "RevocationRecord",
    "RunRecord",
    "ScheduleRecord",
    "Step",
    "Store",
    "SuppressionFeed",
    "SuppressionRecord",
    "TurnRecord",
    "WebhookRecord",
    "Webhooks",
]
