"""Feedback over real HTTP: per item, once for ever, on disk before the answer; files as jobs that outlive a server."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine.lake.runs import open_run
from engine.lake.workspace import Workspace
from engine.store import Store
from engine.workflows import session
from tests.engine.api.conftest import key_of, served

NOW = datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Served:
    """A server over a small bank, the header of a key, and the offers that the bank made."""

    home: Path
    client: httpx.Client
    key: dict[str, str]
    offers: list[dict[str, Any]]

    def item(self, name: str, kind: str, place: int = 0, **more: Any) -> dict[str, Any]:
        return item_of(self.offers[place], name, kind) | more

    def post(self, items: Any, headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
        return self.client.post("/v1/feedback", json=items, headers={**self.key, **(headers or {})}, **more)

    def store(self) -> Store:
        return Store(session.database_url(Workspace(self.home)))


def item_of(offer: dict[str, Any], name: str, kind: str) -> dict[str, Any]:
    return {
        "event_id": name,
        "type": kind,
        "external_id": offer["customer_id"],
        "recommendation_id": offer["decision_id"],
        "occurred_at": (NOW - timedelta(hours=1)).isoformat(),
    }


@pytest.fixture(scope="module")
def bank_home(small_home: Path, database: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("feedback") / "home"
    home.mkdir()
    for name in ("curated", "runs"):
        (home / name).symlink_to(small_home / name)
    return home


@pytest.fixture(scope="module")
def bank(bank_home: Path) -> Iterator[Served]:
    offers = open_run(Workspace(bank_home)).read("recommendations", where={"rank": 1}).to_pylist()
    with served(bank_home) as address, httpx.Client(base_url=address, timeout=30) as client:
        yield Served(home=bank_home, client=client, key=key_of(bank_home), offers=offers)


def _problem(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


def test_each_item_is_answered_and_what_is_accepted_is_in_the_database(bank: Served) -> None:
    items = [bank.item("a1", "sent"), bank.item("a2", "unsubscribed"), bank.item("a3", "sent", external_id="nobody"), 7]
    answer = bank.post(items)
    assert answer.status_code == 207
    told = answer.json()
    assert (told["accepted"], told["duplicate"], told["suppressed"]) == (2, 0, 1)
    assert [(one["index"], one["code"]) for one in told["rejected"]] == [(2, "unknown_customer"), (3, "malformed_item")]
    with bank.store() as store:
        assert [one.customer_id for one in store.suppressions()] == [bank.offers[0]["customer_id"]]
        assert store.feedback()[0].received_by == "api/crm"
        journal = bank.client.get("/v1/journal", headers=bank.key).json()["events"]
        assert journal[-1]["event"] == "suppression_added"
    again = bank.post(items[:2])
    assert (again.status_code, again.json()["duplicate"]) == (200, 2)


def test_lines_are_items_too(bank: Served) -> None:
    lines = "\n".join(
        [json.dumps(bank.item("l1", "sent", 1)), "", "{nothing", json.dumps(bank.item("l2", "opened", 1))]
    )
    answer = bank.client.post(
        "/v1/feedback", content=lines, headers={**bank.key, "Content-Type": "application/x-ndjson; charset=utf-8"}
    )
    assert (answer.status_code, answer.json()["accepted"]) == (207, 2)
    assert [one["index"] for one in answer.json()["rejected"]] == [1]


@pytest.mark.parametrize(
    ("content", "kind", "status", "code"),
    [
        (b"[{", "application/json", 400, "malformed_request"),
        (b"[" * 5000, "application/json", 400, "malformed_request"),
        (b"{}", "application/json", 422, "invalid_request"),
        (b"[]", "text/plain", 415, "unsupported_media_type"),
        (b"[" + b",".join([b"1"] * 1001) + b"]", "application/json", 422, "invalid_request"),
        (b" " * (4 << 20) + b"[]", "application/json", 413, "body_too_large"),
        (b"\xff\xfe", "application/json", 400, "malformed_request"),
    ],
)
def test_a_body_that_is_none_is_refused_as_a_whole(
    bank: Served, content: bytes, kind: str, status: int, code: str
) -> None:
    answer = bank.client.post("/v1/feedback", content=content, headers={**bank.key, "Content-Type": kind})
    _problem(answer, status, code)


def test_a_key_without_the_scope_or_for_another_channel_is_told_so(bank: Served) -> None:
    reader = key_of(bank.home, "reader", scopes=["journal:read"])
    _problem(bank.client.post("/v1/feedback", json=[], headers=reader), 403, "not_granted")
    channel = bank.offers[2]["channel"]
    other = key_of(bank.home, "other", channel="sms" if channel != "sms" else "email")
    items = [bank.item("k1", "sent", 2), bank.item("k2", "unsubscribed", 2)]
    told = bank.client.post("/v1/feedback", json=items, headers=other).json()
    assert (told["accepted"], [one["code"] for one in told["rejected"]]) == (1, ["not_granted"])


def test_the_same_delivery_has_one_answer_and_another_body_none(bank: Served) -> None:
    key = {"Idempotency-Key": "batch-1"}
    first = bank.post([bank.item("i1", "sent", 3)], key)
    assert bank.post([bank.item("i1", "sent", 3)], key).json() == first.json()
    assert first.json()["accepted"] == 1
    _problem(bank.post([bank.item("i2", "sent", 3)], key), 422, "idempotency_key_reused")
    # the key belongs to its sender
    other = key_of(bank.home, "second")
    answer = bank.client.post("/v1/feedback", json=[bank.item("i3", "sent", 3)], headers={**other, **key})
    assert answer.json()["accepted"] == 1


def test_two_senders_of_the_same_events_at_once_enter_each_once(bank: Served) -> None:
    items = [bank.item(f"t{number}", "clicked", number % 20) for number in range(200)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: bank.post(items).json(), range(4)))
    assert sum(one["accepted"] for one in answers) == 200
    assert sum(one["duplicate"] for one in answers) == 600


def _done(bank: Served, job: str) -> dict[str, Any]:
    for _ in range(300):
        told: dict[str, Any] = bank.client.get(f"/v1/feedback/jobs/{job}", headers=bank.key).json()
        if told["status"] != "running":
            return told
        time.sleep(0.1)
    raise AssertionError("the job did not end")


def test_a_file_is_a_job_whose_errors_can_be_fetched(bank: Served) -> None:
    lines = [json.dumps(bank.item(f"f{number}", "delivered", number)) for number in range(5)]
    content = "\n".join([*lines, json.dumps(bank.item("f9", "seen"))]) + "\n"
    headers = {**bank.key, "Content-Type": "application/x-ndjson", "Idempotency-Key": "file-1"}
    answer = bank.client.post("/v1/feedback/file", content=content, headers=headers)
    assert answer.status_code == 202
    job = answer.json()["job"]
    assert answer.headers["location"] == f"/v1/feedback/jobs/{job}"
    told = _done(bank, job)
    assert (told["status"], told["rows"], told["accepted"], told["rejected"]) == ("done", 6, 5, 1)
    assert told["codes"] == {"unknown_type": 1}
    listed = bank.client.get(f"/v1/feedback/jobs/{job}/errors", headers=bank.key)
    assert listed.headers["content-type"].startswith("text/csv")
    assert listed.text.splitlines()[1].startswith("6,unknown_type,")
    assert bank.client.post("/v1/feedback/file", content=content, headers=headers).json()["job"] == job
    _problem(bank.client.post("/v1/feedback/file", content=b"x", headers=headers), 422, "idempotency_key_reused")


def test_a_file_that_cannot_be_read_fails_with_a_sentence(bank: Served) -> None:
    headers = {**bank.key, "Content-Type": "application/vnd.apache.parquet"}
    job = bank.client.post("/v1/feedback/file", content=b"PAR1 cut", headers=headers).json()["job"]
    told = _done(bank, job)
    assert (told["status"], "cut" in told["error"]) == ("failed", True)
    headers["Content-Type"] = "application/zip"
    _problem(bank.client.post("/v1/feedback/file", content=b"x", headers=headers), 415, "unsupported_media_type")
    headers["Content-Type"] = "text/csv"
    _problem(bank.client.post("/v1/feedback/file?from=brase", content=b"x", headers=headers), 404, "not_found")


def test_nobody_sees_the_jobs_of_another(bank: Served) -> None:
    headers = {**bank.key, "Content-Type": "text/csv"}
    job = bank.client.post("/v1/feedback/file", content=b"a\n1\n", headers=headers).json()["job"]
    other = key_of(bank.home, "third")
    _problem(bank.client.get(f"/v1/feedback/jobs/{job}", headers=other), 404, "not_found")
    _problem(bank.client.get(f"/v1/feedback/jobs/{job}/errors", headers=other), 404, "not_found")
    _problem(bank.client.get("/v1/feedback/jobs/..%2f..%2fsecret", headers=bank.key), 404, "no_such_path")
    _problem(bank.client.get("/v1/feedback/jobs/fb_zz", headers=bank.key), 422, "invalid_request")


def test_a_job_that_a_dead_server_left_is_done_by_the_next(small_home: Path, own_database: str, tmp_path: Path) -> None:
    from engine.store import NewBatch
    from engine.workflows import feedback_file

    home = tmp_path / "home"
    home.mkdir()
    for name in ("curated", "runs"):
        (home / name).symlink_to(small_home / name)
    job = "fb_" + "0" * 24
    offers = open_run(Workspace(home)).read("recommendations", where={"rank": 1}).to_pylist()
    folder = feedback_file.folder_of(Workspace(home), job)
    folder.mkdir(parents=True)
    (folder / "body.jsonl").write_text(json.dumps(item_of(offers[4], "d1", "unsubscribed")) + "\n")
    key = key_of(home)
    with Store(session.database_url(Workspace(home))) as store:
        store.claim_feedback(
            NewBatch(batch_id=job, sender="crm", idempotency_key=None, body_sha256="aa", source="generic")
        )
        with store._engine.begin() as connection:
            connection.exec_driver_sql("UPDATE feedback_batches SET held_until = '2020-01-01 00:00:00.000000'")
    with served(home) as address, httpx.Client(base_url=address, timeout=60) as client:
        told = _done(Served(home=home, client=client, key=key, offers=[]), job)
    assert (told["status"], told["accepted"], told["suppressed"]) == ("done", 1, 1)
