"""Reported feedback reaches the curated table once, and the next run goes by it: contacts, caps, withdrawn consents."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.config.experiments import Experiments
from engine.config.load import load
from engine.domain.curated import EVENTS, OFFERS_FEEDBACK
from engine.lake.runs import open_run
from engine.lake.schema import arrow_schema, empty, unbound
from engine.lake.workspace import Workspace
from engine.store import LiveDecision, LiveLedger, NewFeedback, Store
from engine.workflows import reported, reported_events, session
from engine.workflows import run as workflow

AT = datetime(2026, 6, 1, 8, 0, tzinfo=UTC)
SENT = NewFeedback(
    event_id="e1",
    type="sent",
    customer_id="C1",
    product_id="P1",
    channel="email",
    occurred_at=AT,
    run_id="R",
    recommendation_id="r1",
    message_id="m1",
)
SENT_BY_BANK = replace(SENT, event_id="F2", customer_id="C2", channel="sms")
OWN = [
    {"feedback_id": "F1", "customer_id": "C1", "product_id": "P1", "channel": "email", "event": "clicked"},
    {"feedback_id": "F2", "customer_id": "C2", "product_id": "P1", "channel": "sms", "event": "sent"},
]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.delenv("WAYLINE_DATABASE_URL", raising=False)
    made = Workspace(tmp_path)
    folder = made.curated("offers_feedback")
    folder.mkdir(parents=True)
    rows = [one | {"occurred_at": AT.replace(tzinfo=None), "campaign_id": "A"} for one in OWN]
    pq.write_table(pa.Table.from_pylist(rows, schema=arrow_schema(OFFERS_FEEDBACK)), folder / "part-00000.parquet")
    return made


def _brought(workspace: Workspace, *items: NewFeedback) -> tuple[reported.Brought, list[tuple[str, str]]]:
    with Store(session.database_url(workspace)) as store:
        store.add_feedback(items)
    with session.duckdb(workspace) as engine:
        told = reported.bring_in(workspace, engine)
    path = workspace.curated("offers_feedback") / reported.FILE
    rows = pq.read_table(path).to_pylist() if path.exists() else []
    return told, [(row["feedback_id"], row["event"]) for row in rows]


def test_what_the_bank_says_itself_is_not_said_twice(workspace: Workspace) -> None:
    clicked = replace(SENT, event_id="e2", type="clicked", occurred_at=AT + timedelta(milliseconds=300))
    told, rows = _brought(workspace, SENT, clicked, replace(SENT, event_id="F2", customer_id="C2"))
    # e2 is F1 to the second under another id, F2 is there by its id
    assert (told.events, told.rows, told.said, rows) == (3, 1, 2, [("e1", "sent")])


def test_one_message_is_one_contact_however_many_systems_report_it(workspace: Workspace) -> None:
    told, rows = _brought(workspace, SENT, replace(SENT, event_id="e2", occurred_at=AT + timedelta(minutes=1)))
    assert (told.rows, rows) == (1, [("e1", "sent")])


def test_a_delivery_or_an_opening_without_its_sending_is_a_contact_all_the_same_until_that_comes(
    workspace: Workspace,
) -> None:
    opened = replace(SENT, event_id="e8", type="opened", occurred_at=AT + timedelta(hours=2))
    delivered = replace(SENT, event_id="e9", type="delivered", occurred_at=AT + timedelta(hours=1))
    told, rows = _brought(workspace, opened, delivered)
    assert (told.implied, rows) == (1, [("e8", "opened"), ("e9", "delivered"), ("e9:sent", "sent")])
    told, rows = _brought(workspace, SENT)
    assert (told.implied, rows) == (0, [("e1", "sent"), ("e8", "opened"), ("e9", "delivered")])


def test_what_a_mail_programme_opened_is_no_answer_and_what_was_never_sent_no_contact(workspace: Workspace) -> None:
    items = [
        replace(SENT, event_id="e2", type="opened", machine_open=True, message_id="m2"),
        replace(SENT, event_id="e3", type="dropped", message_id="m3"),
        replace(SENT, event_id="e4", type="unsubscribed", product_id=None),
    ]
    assert _brought(workspace, *items)[1] == []


def test_without_a_record_of_contacts_a_few_reports_do_not_make_one(workspace: Workspace) -> None:
    shutil.rmtree(workspace.curated("offers_feedback"))
    told, rows = _brought(workspace, SENT)
    assert (told.rows, rows, "whom it contacted" in (told.reason or "")) == (0, [], True)
    assert not workspace.curated("offers_feedback").exists()
    workspace.settings_file.write_text('[recommendations.assumptions]\nempty_histories = ["offers_feedback"]\n')
    told, rows = _brought(workspace)
    assert (told.rows, rows) == (1, [("e1", "sent")])


def test_what_a_live_decision_made_is_one_contact_whatever_is_reported_of_it(workspace: Workspace) -> None:
    with Store(session.database_url(workspace)) as store:
        store.upgrade()
        with LiveLedger(session.database_url(workspace)).turn(["C1"]) as turn:
            turn.write([(_decision("d1", "P1"), "app"), (_decision("d2", "P2"), "email")])
    reports = [
        replace(SENT, event_id="e1", decision_id="d2", recommendation_id=None, product_id="P2"),
        replace(SENT, event_id="e2", decision_id="d2", recommendation_id=None, product_id="P3", type="delivered"),
        replace(SENT, event_id="e3", decision_id="d9", message_id=None, type="delivered"),
    ]
    told, rows = _brought(workspace, *reports)
    # d1 and d2 were counted when they were made; of d9 only its delivery tells
    assert rows == [
        ("e2", "delivered"),
        ("e3", "delivered"),
        ("e3:sent", "sent"),
        ("live:d1", "sent"),
        ("live:d2", "sent"),
    ]
    assert told.implied == 1


def _decision(decision_id: str, product_id: str) -> LiveDecision:
    return LiveDecision(
        decision_id=decision_id,
        request_key=None,
        request_hash="h",
        asked_by="crm",
        customer_id="C1",
        run_id="R",
        bundle=None,
        inputs_sha256=None,
        decided_at=AT,
        code="offered",
        counted=True,
        asked="{}",
        seen=None,
        outcome=None,
        answer=json.dumps({"action": {"product_id": product_id, "channel": "email"}}),
    )


def test_the_same_reports_give_the_same_bytes(workspace: Workspace) -> None:
    _brought(workspace, SENT)
    path = workspace.curated("offers_feedback") / reported.FILE
    before = path.read_bytes()
    _brought(workspace)
    assert path.read_bytes() == before


def test_experiments_measure_what_was_reported_with_its_worth_and_what_the_bank_says_itself(
    workspace: Workspace,
) -> None:
    bought = replace(
        SENT, event_id="e1", type="converted", customer_id="C9", channel=None, product_id=None, currency="USD",
        value_minor=1_000,
    )  # fmt: skip
    _brought(workspace, bought, replace(SENT, event_id="e2", type="opened", machine_open=True), SENT_BY_BANK)
    tables = {"events": unbound(EVENTS), "offers_feedback": unbound(OFFERS_FEEDBACK)}
    with session.duckdb(workspace) as engine:
        engine.attach("events", empty(EVENTS))
        engine.attach("offers_feedback", workspace.curated("offers_feedback"))
        rows = engine.arrow(reported_events.beside(engine, tables, workspace)).to_pylist()
    told = sorted((row["event_id"], row["event_name"], row["customer_id"], row["value"]) for row in rows)
    assert told == [
        ("F1", "offer_clicked", "C1", None),
        ("F2", "offer_sent", "C2", None),
        ("e1", "offer_converted", "C9", pytest.approx(7_150)),  # 10.00 USD at 7.15 CNY
    ]


def test_an_experiment_asks_for_reports_by_the_names_of_its_events() -> None:
    shipped = load(Experiments, "experiments").experiments
    assert not reported_events.wanted(shipped)
    goal = shipped[0].metrics[0].model_copy(update={"event": "offer_converted"})
    assert reported_events.wanted([shipped[0].model_copy(update={"metrics": (goal,)})])


def test_the_next_run_contacts_nobody_who_unsubscribed_or_was_contacted_up_to_the_cap(
    small_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WAYLINE_DATABASE_URL", raising=False)
    home = tmp_path / "home"
    shutil.copytree(small_home, home)
    before = open_run(Workspace(home))
    offers = before.read("recommendations", where={"rank": 1}).to_pylist()
    gone, written, left = offers[0], offers[1], offers[2]
    now = datetime.now(UTC)
    said = [
        replace(
            SENT, event_id="u1", type="unsubscribed", customer_id=gone["customer_id"], channel=None, occurred_at=now
        ),
        *(
            replace(
                SENT,
                event_id=f"s{number}",
                message_id=f"m{number}",
                customer_id=written["customer_id"],
                product_id=written["product_id"],
                channel=written["channel"],
                occurred_at=now - timedelta(hours=number),
            )
            for number in range(20)
        ),
    ]
    with Store(session.database_url(Workspace(home))) as store:
        store.add_feedback(said)
    made = workflow.run(home)
    after = open_run(Workspace(home), made.run_id)
    assert after.run_id != before.run_id
    reached = set(after.read("recommendations")["customer_id"].to_pylist())
    assert gone["customer_id"] not in reached
    assert written["customer_id"] not in reached
    assert left["customer_id"] in reached
    looked_at = after.read("decision_inputs", where={"customer_id": gone["customer_id"]}).to_pylist()[0]
    assert set(looked_at["consent"]) == {"0"}
    told = after.manifest["feedback"]
    assert (told["events"], told["rows"], told["implied"], told["said"]) == (21, 20, 0, 0)
    assert workflow.run(home).reused
