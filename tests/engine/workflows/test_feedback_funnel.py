"""A funnel counts customers, not reports; its rates have intervals, and the control group is compared by openings."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pytest import approx

from engine.domain.contact_marts import CONTROL_GROUP
from engine.domain.curated import CUSTOMERS, HOLDINGS
from engine.domain.errors import NotEnoughData, SettingsFault, UnknownName
from engine.domain.marts import DECISIONS
from engine.domain.schema import Table
from engine.lake.runs import RunBuilder
from engine.lake.schema import arrow_schema
from engine.lake.workspace import Workspace
from engine.numerics.intervals import newcombe, wilson
from engine.store import NewFeedback, Store
from engine.workflows import feedback_funnel, session

AS_OF = datetime(2026, 6, 1, tzinfo=UTC)
RUN = "20260601T000000Z-0000000001"
SENT = NewFeedback(
    event_id="s", type="sent", customer_id="C1", channel="email", occurred_at=AS_OF, run_id=RUN, audience_id="savers"
)


def _rows(table: Table, rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=arrow_schema(table))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Customers A0 to A3 advised and K0 to K3 kept out by a run, N for whom there was nothing; three of them opened."""
    monkeypatch.delenv("WAYLINE_DATABASE_URL", raising=False)
    workspace = Workspace(tmp_path)
    ids = [f"{group}{number}" for group in "AK" for number in range(4)] + ["N"]
    opened = [("A0", 1), ("A1", 30), ("A1", 2), ("K0", 3), ("A2", 31), ("K1", -1), ("N", 5)]
    curated = {
        CUSTOMERS: [{"customer_id": one, "joined_at": AS_OF.replace(tzinfo=None)} for one in ids],
        HOLDINGS: [
            {
                "holding_id": str(place),
                "customer_id": who,
                "opened_at": (AS_OF + timedelta(days=day)).replace(tzinfo=None),
            }
            for place, (who, day) in enumerate(opened)
        ],
    }
    for table, rows in curated.items():
        workspace.curated(table.name).mkdir(parents=True)
        pq.write_table(_rows(table, rows), workspace.curated(table.name) / "part-00000.parquet")
    report = {
        "mapping_sha256": "0", "seconds": 0.0, "identity": None, "tables": [],
        "until": (AS_OF + timedelta(days=40)).isoformat(),
    }  # fmt: skip
    workspace.report_path.write_text(json.dumps(report))
    builder = RunBuilder(workspace, RUN, AS_OF, {"as_of": AS_OF.isoformat(), "seed": 1, "inputs": {}})
    with builder.stage("recommendations"):
        control = [
            {"customer_id": f"K{number}", "control_period": "2026-06", "serves": "nothing"} for number in range(4)
        ]
        builder.write_rows("control_group", _rows(CONTROL_GROUP, control))
        decided = [{"customer_id": one, "product_id": "p", "refused_mask": int(one == "N")} for one in ids]
        builder.write_rows("decisions", _rows(DECISIONS, decided))
    builder.publish()
    return tmp_path


def _told(home: Path, *items: tuple[str, str, str], **more: Any) -> None:
    with Store(session.database_url(Workspace(home))) as store:
        store.add_feedback(
            [replace(SENT, event_id=event, type=kind, customer_id=who, **more) for event, kind, who in items]
        )


def test_a_customer_counts_once_at_each_step_whatever_was_reported_and_in_whatever_order(home: Path) -> None:
    _told(home, ("1", "clicked", "A0"), ("2", "clicked", "A0"), ("3", "sent", "A0"), ("4", "delivered", "A1"))
    _told(home, ("5", "sent", "A2"), ("6", "bounced", "A2"), ("7", "converted", "A0"), ("8", "unsubscribed", "A1"))
    _told(home, ("9", "opened", "A1"), machine_open=True)
    (group,) = feedback_funnel.funnel(home)["groups"]
    assert group["customers"] == {
        "sent": 3,
        "delivered": 2,  # A1 by its report, A0 since it clicked
        "machine_opened": 1,
        "opened": 1,
        "clicked": 1,
        "converted": 1,
        "bounced": 1,
        "failed": 0,
        "unsubscribed": 1,
        "complained": 0,
    }
    click, interval = group["rates"]["click"], wilson(1, 2)
    assert (click["rate"], click["lower"], click["upper"], click["of"]) == (
        1 / 2,
        interval.lower,
        interval.upper,
        "delivered",
    )
    assert group["rates"]["delivery"]["rate"] == approx(2 / 3)


def test_what_a_programme_opened_is_no_answer(home: Path) -> None:
    _told(home, ("1", "sent", "A0"), ("2", "sent", "A1"))
    _told(home, ("3", "opened", "A0"), machine_open=True)
    (group,) = feedback_funnel.funnel(home)["groups"]
    assert (group["customers"]["opened"], group["customers"]["machine_opened"]) == (0, 1)


def test_where_a_tool_reports_no_deliveries_rates_are_of_what_was_sent_and_say_so(home: Path) -> None:
    _told(home, ("1", "sent", "A0"), ("2", "sent", "A1"), ("3", "clicked", "A0"))
    (group,) = feedback_funnel.funnel(home)["groups"]
    assert group["customers"]["delivered"] is None
    assert group["rates"]["delivery"]["reason"] == "the tool reports no deliveries"
    assert (group["rates"]["click"]["rate"], group["rates"]["click"]["of"]) == (1 / 2, "sent")


def test_where_nobody_was_sent_anything_a_rate_is_undefined_with_its_reason(home: Path) -> None:
    _told(home, ("1", "converted", "A0"), value_minor=500, currency="CNY")
    _told(home, ("2", "converted", "A1"), value_minor=200, currency="CNY")
    (group,) = feedback_funnel.funnel(home)["groups"]
    assert group["rates"]["conversion"] == {
        "rate": None,
        "lower": None,
        "upper": None,
        "of": "sent",
        "reason": "nobody was sent",
    }
    assert group["converted_minor"] == {"CNY": 700}


def test_groups_are_by_audience_run_and_tool(home: Path) -> None:
    _told(home, ("1", "sent", "A0"))
    _told(home, ("2", "sent", "A0"), source="braze")
    _told(home, ("3", "sent", "A0"), audience_id=None, run_id=None)
    groups = feedback_funnel.funnel(home)["groups"]
    assert [(one["audience"], one["run_id"], one["source"]) for one in groups] == [
        ("savers", RUN, "braze"),
        ("savers", RUN, "generic"),
        (None, None, "generic"),
    ]
    assert len(feedback_funnel.funnel(home, audience="savers")["groups"]) == 2
    with pytest.raises(UnknownName, match='Did you mean "savers"'):
        feedback_funnel.funnel(home, audience="saver")
    with pytest.raises(NotEnoughData, match="nothing was reported of the run"):
        feedback_funnel.funnel(home, run_id="20200101T000000Z-0000000000")
    with pytest.raises(SettingsFault, match="one day at least"):
        feedback_funnel.funnel(home, days=0)


def test_advice_is_compared_with_none_by_what_was_opened_among_those_for_whom_there_was_something(home: Path) -> None:
    _told(home, ("1", "sent", "A0"))
    (found,) = feedback_funnel.funnel(home, days=30)["comparisons"]
    # of A0 to A3 two opened within 30 days (A2 on day 31), of K0 to K3 one (K1 before the run); N had no offer
    interval = newcombe(2, 4, 1, 4)
    assert (found["control"], found["advised"], found["advised_opened"]) == ("nothing", 4, 2)
    assert (found["control_customers"], found["control_opened"]) == (4, 1)
    assert (found["difference"], found["lower"], found["upper"]) == (2 / 4 - 1 / 4, interval.lower, interval.upper)


def test_a_window_that_is_not_over_compares_nothing(home: Path) -> None:
    _told(home, ("1", "sent", "A0"))
    (found,) = feedback_funnel.funnel(home, days=41)["comparisons"]
    assert found["difference"] is None
    assert "the data end on 2026-07-11" in found["reason"]


def test_a_run_that_is_gone_compares_nothing(home: Path) -> None:
    _told(home, ("1", "sent", "A0"), run_id="20260601T000000Z-0000000002")
    (found,) = feedback_funnel.funnel(home)["comparisons"]
    assert found["reason"] == "the run is not here any more"


def test_nothing_reported_is_no_funnel(home: Path) -> None:
    with pytest.raises(NotEnoughData, match="wayline feedback load"):
        feedback_funnel.funnel(home)
