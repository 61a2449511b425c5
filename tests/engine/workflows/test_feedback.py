"""Feedback is taken in by item: known ids, any order, any repetition, withdrawals at once; files row by row."""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.domain.errors import DeliveryUnderWay, KeyReused, SettingsFault, UnknownName
from engine.lake.runs import Run, open_run
from engine.lake.workspace import Workspace
from engine.store import LiveDecision, LiveLedger, NewBatch, Store
from engine.workflows import feedback, feedback_file, session
from engine.workflows.feedback import Delivery

NOW = datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Bank:
    """A workspace that shares the tables and runs of a small bank, with a database of its own."""

    home: Path
    run: Run
    offers: list[dict[str, Any]]
    store: Store

    def item(self, place: int, kind: str, **more: Any) -> dict[str, Any]:
        """Return an item about one customer's first offer, an hour ago."""
        offer = self.offers[place]
        return {
            "event_id": f"{kind}-{place}",
            "type": kind,
            "external_id": offer["customer_id"],
            "recommendation_id": offer["decision_id"],
            "occurred_at": (NOW - timedelta(hours=1)).isoformat(),
        } | more

    def receive(self, *items: Mapping[str, Any], key: str | None = None, body: str = "aa") -> dict[str, Any]:
        """Take items in as one request."""
        delivery = Delivery(sender="braze", idempotency_key=key, body_sha256=body)
        return feedback.receive(self.store, feedback.desk(Workspace(self.home)), items, delivery)


@pytest.fixture
def bank(small_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bank]:
    monkeypatch.delenv("WAYLINE_DATABASE_URL", raising=False)
    home = tmp_path / "home"
    home.mkdir()
    for name in ("curated", "runs"):
        (home / name).symlink_to(small_home / name)
    workspace = Workspace(home)
    run = open_run(workspace)
    offers = run.read("recommendations", where={"rank": 1}).to_pylist()
    with Store(session.database_url(workspace)) as store:
        yield Bank(home=home, run=run, offers=offers, store=store)


def _codes(answer: Mapping[str, Any]) -> list[tuple[int, str]]:
    return [(one["index"], one["code"]) for one in answer["rejected"]]


def test_an_item_is_filled_in_from_the_offer_that_it_is_about(bank: Bank) -> None:
    assert bank.receive(bank.item(0, "sent"))["accepted"] == 1
    kept, offer = bank.store.feedback()[0], bank.offers[0]
    assert (kept.run_id, kept.product_id, kept.channel) == (bank.run.run_id, offer["product_id"], offer["channel"])


def test_every_item_has_an_answer_of_its_own(bank: Bank) -> None:
    bank.receive(bank.item(0, "sent"))
    stranger = bank.offers[1]["decision_id"]
    answer = bank.receive(
        bank.item(0, "sent"),
        bank.item(
            0, "sent", external_id=bank.offers[2]["customer_id"], recommendation_id=bank.offers[2]["decision_id"]
        ),
        bank.item(1, "sent", external_id="nobody"),
        bank.item(2, "sent", recommendation_id=stranger),
        bank.item(3, "sent", recommendation_id=None),
        bank.item(4, "sent", run_id="20200101T000000Z-0000000000"),
        bank.item(5, "clicked"),
    )
    assert (answer["accepted"], answer["duplicate"]) == (1, 1)
    assert _codes(answer) == [
        (1, "conflict"),
        (2, "unknown_customer"),
        (3, "unknown_recommendation"),
        (4, "not_attributed"),
        (5, "unknown_run"),
    ]
    assert "nobody" not in json.dumps(answer)


def test_a_withdrawal_is_heard_whatever_else_the_tool_got_wrong(bank: Bank) -> None:
    answer = bank.receive(
        bank.item(0, "unsubscribed", recommendation_id="none-of-ours", run_id="no-run", channel="sms"),
        bank.item(1, "complained", recommendation_id=None),
        bank.item(2, "bounced", bounce="hard"),
        bank.item(3, "bounced", bounce="soft"),
    )
    assert (answer["accepted"], answer["suppressed"]) == (4, 3)
    held = {(one.customer_id, one.channel, one.reason) for one in bank.store.suppressions()}
    assert held == {
        (bank.offers[0]["customer_id"], "sms", "unsubscribed"),
        (bank.offers[1]["customer_id"], None, "complained"),
        (bank.offers[2]["customer_id"], bank.offers[2]["channel"], "hard_bounce"),
    }


def test_an_address_stands_for_its_customer_in_plain_or_as_a_hash(bank: Bank, tmp_path: Path) -> None:
    rows = pq.read_table(bank.home / "curated" / "identities").to_pylist()
    known = next(row for row in rows if row["id_type"] == "email")
    answer = bank.receive(
        bank.item(0, "unsubscribed", external_id=None, email=f" {known['id_value'].upper()} ", recommendation_id=None),
        bank.item(1, "unsubscribed", external_id=None, email="nobody@mail.example", recommendation_id=None),
    )
    assert (answer["accepted"], _codes(answer)) == (1, [(1, "unknown_customer")])
    assert bank.store.suppressions()[0].customer_id == known["customer_id"]


def test_everybody_who_has_an_address_is_suppressed_by_it_and_nothing_else_is_taken_for_all(
    bank: Bank, tmp_path: Path
) -> None:
    (bank.home / "curated").unlink()
    folder = bank.home / "curated"
    for name in ("customers", "identities"):
        (folder / name).mkdir(parents=True)
    pq.write_table(pa.table({"customer_id": ["A", "B"]}), folder / "customers" / "part-0.parquet")
    shared = {"customer_id": ["A", "B"], "id_type": ["email", "email"], "id_value": ["us@mail.example"] * 2}
    pq.write_table(pa.table(shared), folder / "identities" / "part-0.parquet")
    said = {"external_id": None, "email": "us@mail.example", "recommendation_id": None}
    answer = bank.receive(bank.item(0, "unsubscribed", **said), bank.item(0, "converted", **said))
    assert (answer["accepted"], answer["suppressed"], _codes(answer)) == (1, 2, [(1, "ambiguous_customer")])
    assert [one.customer_id for one in bank.store.suppressions()] == ["A", "B"]
    assert bank.receive(bank.item(0, "unsubscribed", **said))["duplicate"] == 1


def test_a_live_decision_is_known_by_its_id_to_its_own_customer_alone(bank: Bank) -> None:
    offer = bank.offers[0]
    decision = LiveDecision(
        decision_id="d1",
        request_key=None,
        request_hash="h",
        asked_by="crm",
        customer_id=offer["customer_id"],
        run_id=bank.run.run_id,
        bundle=None,
        inputs_sha256=None,
        decided_at=NOW - timedelta(hours=2),
        code="offered",
        counted=True,
        asked="{}",
        seen=None,
        outcome=None,
        answer=json.dumps({"action": {"product_id": "P7", "channel": "sms"}}),
    )
    bank.store.upgrade()
    with LiveLedger(session.database_url(Workspace(bank.home))).turn(["x"]) as turn:
        turn.write([(decision, "sms")])
    said = {"recommendation_id": None, "decision_id": "d1"}
    answer = bank.receive(
        bank.item(0, "clicked", **said), bank.item(1, "clicked", **said), bank.item(1, "unsubscribed", **said)
    )
    assert (answer["accepted"], _codes(answer)) == (2, [(1, "unknown_decision")])
    clicked, unsubscribed = bank.store.feedback()
    assert (clicked.product_id, clicked.channel, clicked.decision_id) == ("P7", "sms", "d1")
    assert (unsubscribed.decision_id, unsubscribed.channel) == (None, None)


def _state(store: Store) -> tuple[set[Any], set[Any]]:
    events = {(one.event_id, one.content_hash) for one in store.feedback(limit=None)}
    return events, {(one.customer_id, one.channel, one.since, one.reason) for one in store.suppressions()}


def test_any_order_and_any_repetition_ends_in_the_same_state(bank: Bank, tmp_path: Path) -> None:
    kinds = ("sent", "delivered", "opened", "clicked", "converted", "unsubscribed")
    items = [bank.item(place, kind) for place in range(8) for kind in kinds]
    bank.receive(*items)
    expected = _state(bank.store)
    for seed in range(3):
        shuffled = items + random.Random(seed).sample(items, 20)
        random.Random(seed).shuffle(shuffled)
        with Store(f"sqlite:///{tmp_path}/other{seed}.db") as store:
            reader = feedback.desk(Workspace(bank.home))
            for start in range(0, len(shuffled), 7):
                feedback.entered(store, reader, shuffled[start : start + 7])
            assert _state(store) == expected


def test_a_repeated_delivery_gets_the_answer_of_the_first(bank: Bank) -> None:
    first = bank.receive(bank.item(0, "sent"), bank.item(1, "sent", external_id="nobody"), key="k1")
    assert bank.receive(bank.item(0, "sent"), key="k1") == first
    assert bank.receive(bank.item(0, "sent"))["duplicate"] == 1
    with pytest.raises(KeyReused):
        bank.receive(bank.item(2, "sent"), key="k1", body="bb")
    assert len(bank.store.feedback()) == 1


def test_a_delivery_that_is_worked_on_is_not_worked_on_twice(bank: Bank) -> None:
    batch = NewBatch(batch_id="b", sender="braze", idempotency_key="k1", body_sha256="aa", source="generic")
    bank.store.claim_feedback(batch)
    with pytest.raises(DeliveryUnderWay):
        bank.receive(bank.item(0, "sent"), key="k1")


def test_too_many_items_are_too_many(bank: Bank) -> None:
    with pytest.raises(SettingsFault, match="at most 1,000"):
        bank.receive(*[bank.item(0, "sent")] * 1001)


def _load(bank: Bank, path: Path, preset: str = "generic", **more: Any) -> feedback_file.Loaded:
    return feedback_file.load(bank.home, path, preset, **more)


def _lines(path: Path, items: Sequence[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    return path


def test_a_file_counts_every_row_once_and_lists_what_was_rejected_by_its_number(bank: Bank, tmp_path: Path) -> None:
    path = _lines(tmp_path / "told.jsonl", [bank.item(0, "sent"), bank.item(1, "seen"), bank.item(2, "unsubscribed")])
    path.write_text(path.read_text() + "[1]\n" + json.dumps(bank.item(0, "sent")) + "\n")
    dry = _load(bank, path, dry_run=True)
    assert (dry.rows, dry.accepted, dry.codes, bank.store.last_feedback()) == (
        5,
        3,
        {"broken_row": 1, "unknown_type": 1},
        0,
    )
    made = _load(bank, path)
    assert (made.rows, made.accepted, made.duplicate, made.rejected, made.suppressed) == (5, 2, 1, 2, 1)
    assert made.errors is not None
    with made.errors.open(newline="") as handle:
        assert [row[:2] for row in csv.reader(handle)] == [
            ["row_number", "error_code"],
            ["2", "unknown_type"],
            ["4", "broken_row"],
        ]
    again = _load(bank, path)
    assert (again.accepted, again.duplicate, again.suppressed) == (0, 3, 0)
    assert [one["status"] for one in feedback.status(bank.home)["deliveries"]] == ["done", "done"]


def test_the_same_items_as_csv_and_as_parquet_are_the_same_events(bank: Bank, tmp_path: Path) -> None:
    items = [bank.item(place, "delivered", message_id=f"m{place}") for place in range(6)]
    table = pa.Table.from_pylist(items)
    with (tmp_path / "told.csv").open("w", encoding="utf-16", newline="") as handle:
        writer = csv.DictWriter(handle, table.column_names, delimiter=";")
        writer.writeheader()
        writer.writerows(items)
    pq.write_table(table, tmp_path / "told.parquet")
    assert _load(bank, tmp_path / "told.csv").accepted == 6
    assert _load(bank, tmp_path / "told.parquet").duplicate == 6


def test_instants_of_parquet_are_utc(bank: Bank, tmp_path: Path) -> None:
    moment = (NOW - timedelta(hours=2)).replace(tzinfo=None)
    table = pa.Table.from_pylist([bank.item(0, "sent", occurred_at=moment)])
    pq.write_table(table, tmp_path / "told.parquet")
    assert _load(bank, tmp_path / "told.parquet").accepted == 1
    assert bank.store.feedback()[0].occurred_at == moment.replace(tzinfo=UTC)


def test_a_tool_that_is_unknown_is_named_with_the_nearest(bank: Bank, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match='Did you mean "hubspot"'):
        _load(bank, _lines(tmp_path / "told.jsonl", [bank.item(0, "sent")]), "hubspt")


def test_a_bank_brings_a_preset_of_its_own(bank: Bank, tmp_path: Path) -> None:
    (bank.home / "wayline.toml").write_text(
        """
        [feedback.presets.ours]
        about = "The bank's own mailer."
        time = "%d.%m.%Y %H:%M"
        time_zone = "Europe/Berlin"
        channel = "email"
        derives_event_id = true
        [feedback.presets.ours.fields]
        customer_id = ["Kunde"]
        type = ["Was"]
        occurred_at = ["Wann"]
        product_id = ["Produkt"]
        [feedback.presets.ours.events]
        raus = { type = "sent" }
        """
    )
    path = tmp_path / "told.csv"
    offer = bank.offers[0]
    path.write_text(f"Kunde,Was,Wann,Produkt\n{offer['customer_id']},RAUS,01.07.2026 11:30,{offer['product_id']}\n")
    assert _load(bank, path, "ours").accepted == 1
    # 11:30 in Berlin in summer is two hours ahead of UTC
    assert bank.store.feedback()[0].occurred_at == datetime(2026, 7, 1, 9, 30, tzinfo=UTC)
