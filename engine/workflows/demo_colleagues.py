"""What a demo bank's colleagues have done before somebody looks: audiences, an export, one that waits, cases begun.

Every step is the one that a person takes, by the same rules and into the same audit log.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from engine.config.audiences import Audience
from engine.domain.access import Role, Viewer
from engine.domain.errors import WaylineError
from engine.workflows import audiences, cases, export_acks, export_approvals, export_audience
from engine.workflows.cases import Seen
from engine.workflows.export_acks import Ack
from engine.workflows.export_plan import Wanted
from engine.workflows.view.cases import Asked

MARKETER: Final = Viewer(name="ann", role=Role.MARKETING)
RISK: Final = Viewer(name="bob", role=Role.RISK)

_AUDIENCES: Final[tuple[dict[str, Any], ...]] = (
    {
        "audience": "mortgage_lookers",
        "name": "Worked out a mortgage, did not apply",
        "name_zh": "试算过按揭但未申请",
        "owner": MARKETER.name,
        "channels": ["email", "push"],
        "schedule": "every_run",
        "rule": {
            "all": [
                {"event": "calculator_used", "in_last_days": 90},
                {"not": {"event": "application_submitted", "in_last_days": 90}},
                {"feature": "age_years", "at_least": 25},
            ]
        },
    },
    {
        "audience": "quiet_top_customers",
        "name": "Valuable customers who have gone quiet",
        "name_zh": "近期沉寂的高价值客户",
        "owner": MARKETER.name,
        "channels": ["email"],
        "schedule": "every_run",
        "rule": {
            "all": [
                {"segment": "value_tier", "one_of": ["top", "high"]},
                {"feature": "sessions_90d", "at_most": 1},
            ]
        },
    },
)
_CASES: Final = 3  # taken up; the others are nobody's yet


def furnish(home: Path) -> None:
    """Let two colleagues work on the newest run of a demo bank, once; what a small bank cannot give is left out."""
    if audiences.listed(home)["audiences"]:
        return
    for one in _AUDIENCES:
        audiences.save_definition(home, Audience.model_validate(one), MARKETER.name)
        audiences.build(home, one["audience"])
    with suppress(WaylineError):
        _exported(home, _AUDIENCES[0]["audience"])
    with suppress(WaylineError):  # refused until somebody else agrees: it waits on the page Exports
        export_audience.audience(home, Wanted(audience=_AUDIENCES[1]["audience"], preset="generic", by=MARKETER.name))
    with suppress(WaylineError):
        _cases_begun(home)


def _exported(home: Path, audience: str) -> None:
    audiences.verify(home, audience, RISK.name)
    export_approvals.approve(home, audience, ("generic", None), RISK.name, "Consents and texts checked.")
    made = export_audience.audience(home, Wanted(audience=audience, preset="generic", by=MARKETER.name))
    ack = Ack(
        audience=audience,
        preset="generic",
        channel=None,
        run_id=made["run_id"],
        content_sha256=made["content_sha256"],
        received_rows=made["counts"]["exported"],
    )
    export_acks.acknowledge(home, ack, by=MARKETER.name)


def _cases_begun(home: Path) -> None:
    """Take up the most urgent alerts: one is given to a colleague, one waits for a customer, one is put off."""
    first, second, third = cases.listed(home, RISK, Asked(limit=_CASES))["items"]
    for one in (first, second):
        cases.assign(home, RISK, Seen(ref=one["alert_id"]), RISK.name)
    cases.comment(home, RISK, first["alert_id"], "Asked the branch for the customer's letter.")
    cases.move(home, RISK, Seen(ref=second["alert_id"]), "waiting_for_action")
    week = datetime.now(UTC) + timedelta(days=7)
    cases.snooze(home, RISK, Seen(ref=third["alert_id"]), week, "The refund is under way; look again in a week.")
