"""The next best action over real HTTP: counted once, within the key's rights, told in full, never an offer in doubt."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine.lake.runs import open_run
from engine.lake.workspace import Workspace
from engine.store import LiveLedger
from engine.workflows import session
from tests.engine.api.conftest import key_of, served
from tests.engine.workflows.live_homes import RUN_CLOCK, beside


@pytest.fixture(scope="module")
def home(demo_home: Path, database: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return beside(demo_home, tmp_path_factory.mktemp("decisions"), RUN_CLOCK + "stale_after_hours = 8000\n")


@pytest.fixture(scope="module")
def api(home: Path) -> Iterator[httpx.Client]:
    key = key_of(home, "site", requests_per_minute=100_000)
    with served(home) as address, httpx.Client(base_url=address, headers=key, timeout=60) as client:
        yield client


@pytest.fixture(scope="module")
def customers(home: Path) -> Iterator[str]:
    """Customers with an offer and room under their caps, each once."""
    run = open_run(Workspace(home))
    left = run.read("decision_inputs", columns=["customer_id", "contacts_counted"]).to_pylist()
    room = {row["customer_id"] for row in left if max(map(float, row["contacts_counted"].split(","))) < 1}
    offers = run.read("recommendations", columns=["customer_id"], where={"rank": 1})["customer_id"].to_pylist()
    return iter([one for one in offers if one in room])


def path(customer_id: str) -> str:
    return f"/v1/customers/{customer_id}/next-best-action"


def test_a_decision_is_told_and_kept_and_counts_as_a_contact(
    api: httpx.Client, home: Path, customers: Iterator[str]
) -> None:
    customer = next(customers)
    answer = api.post(path(customer), json={"channel": "web", "page": "/cards", "offers": 3})
    told = answer.json()
    assert (answer.status_code, told["code"], told["counted"]) == (200, "OFFERED", True)
    assert answer.headers["cache-control"] == "no-store"
    assert api.post(path(customer), json={}).json()["reasons"][0]["code"] == "QUIET_AFTER_CONTACT"
    with LiveLedger(session.database_url(Workspace(home))) as ledger:
        kept = ledger.decision(told["decision_id"])
    assert kept is not None
    assert json.loads(kept.answer) == told
    assert kept.asked_by == "api/site"


def test_the_same_key_of_a_request_gives_the_same_bytes_and_another_content_is_refused(
    api: httpx.Client, customers: Iterator[str]
) -> None:
    customer, header = next(customers), {"Idempotency-Key": "visit-7"}
    first, again = (api.post(path(customer), json={"channel": "app"}, headers=header) for _ in range(2))
    assert first.content == again.content
    assert ("idempotent-replayed" in first.headers, again.headers["idempotent-replayed"]) == (False, "true")
    other = api.post(path(customer), json={"channel": "web"}, headers=header)
    assert (other.status_code, other.json()["field"]) == (422, "Idempotency-Key")


def test_a_look_counts_nothing_is_small_and_says_how_long_it_keeps(api: httpx.Client, customers: Iterator[str]) -> None:
    customer = next(customers)
    for _ in range(2):
        answer = api.get(path(customer), params={"offers": 3})
        assert answer.json()["action"] is not None
        assert not answer.json()["counted"]
        assert answer.headers["cache-control"] == "private, max-age=60"
    asked = {"reserve": "true", "request_id": "mail-1"}
    reserved = [api.get(path(customer), params=asked) for _ in range(2)]
    assert reserved[0].content == reserved[1].content
    assert reserved[0].json()["counted"]
    assert api.get(path(customer)).json()["action"] is None
    refused = api.get(path(customer), params={"reserve": "true"})
    assert (refused.status_code, refused.json()["field"]) == (422, "query.request_id")


def test_every_look_at_a_hundred_customers_stays_below_four_thousand_bytes(api: httpx.Client, home: Path) -> None:
    ids = open_run(Workspace(home)).read("decision_inputs", columns=["customer_id"])["customer_id"].to_pylist()
    sizes = [len(api.get(path(one), params={"offers": 3}).content) for one in ids[:: len(ids) // 100]]
    assert max(sizes) < 4_000


def test_a_key_may_do_what_its_scopes_and_channel_say(api: httpx.Client, home: Path, customers: Iterator[str]) -> None:
    customer = next(customers)
    looks = key_of(home, "looks", scopes=["decisions:read"])
    assert api.get(path(customer), headers=looks).status_code == 200
    for answer in (
        api.post(path(customer), json={}, headers=looks),
        api.get(path(customer), params={"reserve": "true", "request_id": "r"}, headers=looks),
    ):
        assert (answer.status_code, answer.json()["field"]) == (403, "decisions:write")
    by_sms = key_of(home, "texts", channel="sms")
    wrong = api.post(path(customer), json={"channel": "email"}, headers=by_sms)
    assert (wrong.status_code, wrong.json()["code"]) == (403, "not_granted")
    told = api.post(path(customer), json={"counts": False}, headers=by_sms).json()
    assert told["action"] is None or told["action"]["channel"] == "sms"


def test_a_key_with_a_cap_on_rows_gets_no_more_decisions_than_that(
    api: httpx.Client, home: Path, customers: Iterator[str]
) -> None:
    capped = key_of(home, "capped", row_cap=2)
    answers = [api.post(path(next(customers)), json={}, headers=capped) for _ in range(3)]
    assert [one.status_code for one in answers] == [200, 200, 403]
    assert answers[2].json()["code"] == "row_cap_reached"


def test_an_unknown_customer_is_an_answer_without_an_offer_and_without_the_id(api: httpx.Client) -> None:
    for answer in (api.get(path("nobody@example.com")), api.post(path("nobody@example.com"), json={})):
        assert (answer.status_code, answer.json()["code"], answer.json()["action"]) == (200, "UNKNOWN_CUSTOMER", None)
        assert "nobody" not in answer.text
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"channel": "pigeon"}, "body.channel"),
        ({"channel": "web", "placment": "x"}, "body.placment"),
        ({"placement": "nowhere"}, "placement"),
        ({"basket": [""]}, "body.basket.0"),
        ({"seen": ["x"] * 201}, "body.seen"),
        ({"seen": ["\u2028"]}, "seen"),
        ({"offers": 0}, "body.offers"),
        ({"page": "a\nb"}, "body.page"),
        ([], "body"),
    ],
)
def test_a_context_that_is_none_is_refused_by_name(api: httpx.Client, body: Any, field: str) -> None:
    answer = api.post(path("C1"), json=body)
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "invalid_request", field)


def test_without_a_run_every_answer_is_200_without_an_offer(empty: httpx.Client, empty_home: Path) -> None:
    answer = empty.post(path("C1"), json={}, headers=key_of(empty_home, "early"))
    assert (answer.status_code, answer.json()["code"], answer.json()["action"]) == (200, "NO_RUN", None)
    assert answer.json()["reasons"][0]["text_zh"]


def test_answers_are_what_the_description_says(api: httpx.Client, customers: Iterator[str]) -> None:
    from engine.api.routes.decisions import NextBestAction

    bodies = [api.post(path(next(customers)), json={"offers": 3}) for _ in range(20)]
    bodies += [api.post(path("C9999999"), json={})]
    for body in bodies:
        assert set(body.json()) == set(NextBestAction.model_fields)
        NextBestAction.model_validate_json(body.content, strict=False)
        if (action := body.json()["action"]) is not None:
            assert set(action) == set(type(NextBestAction.model_validate_json(body.content).action).model_fields)
