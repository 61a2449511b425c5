"""Webhooks: signatures that another library verifies, no event lost or told twice at once, dead letters."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from engine.domain.errors import RefusedByPolicy, UnknownName
from engine.store import Journal, Store, Webhooks, journal
from engine.store.base import now
from engine.workflows import session, webhooks
from tests.engine.api.conftest import served


class Receiver:
    """An address on this machine that keeps what it is sent and answers with a status."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.status, self.location = 204, ""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(receiver.status)
                if receiver.location:
                    self.send_header("Location", receiver.location)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"


@contextmanager
def receiving() -> Iterator[Receiver]:
    made = Receiver()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        made.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def home(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if request.param == "postgresql":
        monkeypatch.setenv("WAYLINE_DATABASE_URL", request.getfixturevalue("postgres_address"))
    (tmp_path / "wayline.toml").write_text("[webhooks]\nretry_seconds = [0.05, 0.05]\ntimeout_seconds = 2\n")
    return tmp_path


def store_of(home: Path) -> Store:
    return Store(session.database_url(session.workspace_at(home)))


def tell(home: Path, event: str = "run_published", subject: str = "r1") -> None:
    with store_of(home) as store:
        Journal(store).append(event, subject, {"run_id": subject})


def test_an_event_arrives_signed_as_another_library_verifies_it_and_thin(home: Path, receiver: Receiver) -> None:
    made = webhooks.add(home, "crm", receiver.url, "ann", ["run_published"])
    tell(home)
    tell(home, "audience_published", "savers")  # nobody asked to be told of that
    assert webhooks.deliver(home) == {"delivered": 1, "put_off": 0, "dead": 0}
    ((headers, body),) = receiver.got
    assert Webhook(made["secret"]).verify(body, headers) == json.loads(body)
    assert json.loads(body)["type"] == "run_published" and json.loads(body)["data"] == {"offset": 1}
    with pytest.raises(WebhookVerificationError):
        Webhook(made["secret"]).verify(body.replace(b'"offset":1', b'"offset":2'), headers)
    assert webhooks.deliver(home) == {"delivered": 0, "put_off": 0, "dead": 0}
    told = webhooks.listed(home)
    assert [one["status"] for one in told["deliveries"]] == ["delivered"]
    assert made["secret"] not in json.dumps(told, default=str)


def test_what_is_undone_is_told_to_nobody(home: Path, receiver: Receiver) -> None:
    webhooks.add(home, "crm", receiver.url, "ann")
    with store_of(home) as store:
        with pytest.raises(ZeroDivisionError), store.writing() as opened:
            journal.append(opened, "run_published", "r1", {}, at=now())
            raise ZeroDivisionError
        assert Journal(store).after(0, 9) == ([], 0)
    assert webhooks.listed(home)["deliveries"] == []


def test_a_receiver_that_fails_is_tried_again_with_the_same_id_then_given_up_and_revived(
    home: Path, receiver: Receiver
) -> None:
    made = webhooks.add(home, "crm", receiver.url, "ann")
    receiver.status = 503
    tell(home)
    counts = [webhooks.deliver(home)]
    for _ in range(2):
        threading.Event().wait(0.08)
        counts.append(webhooks.deliver(home))
    assert [one["put_off"] for one in counts] == [1, 1, 0] and counts[-1]["dead"] == 1
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1 and len(receiver.got) == 3
    dead = webhooks.listed(home, "dead")["deliveries"]
    assert [(one["attempts"], one["last_outcome"]) for one in dead] == [(3, "status 503")]
    receiver.status = 200
    assert webhooks.retry(home, "crm", "ann")["due_again"] == 1
    assert webhooks.deliver(home)["delivered"] == 1
    Webhook(made["secret"]).verify(receiver.got[-1][1], receiver.got[-1][0])


def test_nobody_is_redirected_and_a_silent_receiver_is_put_off(home: Path, receiver: Receiver) -> None:
    with receiving() as other:
        receiver.status, receiver.location = 302, other.url
        webhooks.add(home, "crm", receiver.url, "ann")
        assert webhooks.test(home, "crm")["outcome"] == "status 302"
        assert other.got == []
    webhooks.add(home, "gone", other.url, "ann", ["run_published"])
    tell(home)
    assert webhooks.deliver(home)["put_off"] == 2
    outcomes = {one["webhook"]: one["last_outcome"] for one in webhooks.listed(home, "pending")["deliveries"]}
    assert outcomes == {"crm": "status 302", "gone": "ConnectError"}


def test_while_a_secret_is_replaced_both_sign_and_a_removed_webhook_is_told_nothing_more(
    home: Path, receiver: Receiver
) -> None:
    first = webhooks.add(home, "crm", receiver.url, "ann")["secret"]
    second = webhooks.add(home, "crm", receiver.url, "bob")["secret"]
    assert webhooks.test(home, "crm")["delivered"]
    headers, body = receiver.got[-1]
    assert len(headers["webhook-signature"].split()) == 2
    for secret in (first, second):
        Webhook(secret).verify(body, headers)
    with store_of(home) as store:
        Webhooks(store).add("crm", receiver.url, [], webhooks.webhook_signing.new_secret(), timedelta(0))
    webhooks.test(home, "crm")
    assert len(receiver.got[-1][0]["webhook-signature"].split()) == 1
    tell(home)
    webhooks.remove(home, "crm", "bob")
    assert webhooks.deliver(home) == {"delivered": 0, "put_off": 0, "dead": 0}
    with pytest.raises(UnknownName):
        webhooks.test(home, "crm")


def test_two_that_deliver_at_once_tell_each_event_once(home: Path, receiver: Receiver) -> None:
    webhooks.add(home, "crm", receiver.url, "ann")
    for number in range(12):
        tell(home, subject=f"r{number}")
    threads = [threading.Thread(target=webhooks.deliver, args=(home,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = [headers["webhook-id"] for headers, _ in receiver.got]
    assert sorted(ids) == sorted(set(ids)) and len(ids) == 12


def test_a_running_api_delivers_by_itself(home: Path, receiver: Receiver) -> None:
    webhooks.add(home, "crm", receiver.url, "ann")
    with served(home):
        tell(home)
        arrived = threading.Event()
        for _ in range(100):
            if receiver.got or arrived.wait(0.05):
                break
    assert len(receiver.got) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://crm.example/hook",
        "ftp://crm.example/hook",
        "https://user:secret@crm.example/hook",
        "https://",
        "https://crm.example:99999/",
        "//crm.example",
        "https://crm.example/#x",
        "http://127.0.0.1.crm.example/",
    ],
)
def test_an_address_is_https_or_on_this_machine(tmp_path: Path, url: str) -> None:
    with pytest.raises(RefusedByPolicy):
        webhooks.add(tmp_path, "crm", url, "ann")
    assert list(tmp_path.iterdir()) == []


def test_names_events_and_persons_are_checked(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="run_published"):
        webhooks.add(tmp_path, "crm", "https://crm.example/", "ann", ["run_publishd"])
    with pytest.raises(RefusedByPolicy, match="--by"):
        webhooks.add(tmp_path, "crm", "https://crm.example/", " ")
    with pytest.raises(RefusedByPolicy, match="name"):
        webhooks.add(tmp_path, "C R M", "https://crm.example/", "ann")
    webhooks.add(tmp_path, "crm", "https://crm.example/", "ann")
    with pytest.raises(RefusedByPolicy, match="another address"):
        webhooks.add(tmp_path, "crm", "https://other.example/", "ann")
