"""Who may ask, for what, how often: keys over real HTTP."""

from __future__ import annotations

import time
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import MetaData, select

from engine.domain.errors import RefusedByPolicy, UnknownName
from engine.store import Keyring, Store
from engine.store.connection import open_engine
from engine.workflows import api_keys, session
from tests.engine.api.conftest import key_of


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["instance"] == answer.headers["x-request-id"]


def test_without_a_key_nothing_is_shown_and_the_ways_to_send_one_are_named(empty: httpx.Client) -> None:
    answer = empty.get("/v1/journal")
    refused(answer, 401, "key_refused")
    assert {"Bearer", "Basic"} <= set(answer.headers["www-authenticate"].replace(",", " ").split())


@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer  x",
        "Bearer wayline.0000000000000000.wrong",
        "Bearer \u00ff",
        "Basic !!!",
        "Basic " + b64encode(b"no colon").decode(),
        "Digest username=x",
        "x" * 4_000,
    ],
)
def test_what_is_no_key_is_refused_alike(empty: httpx.Client, header: str) -> None:
    refused(empty.get("/v1/journal", headers={"Authorization": header.encode("latin-1")}), 401, "key_refused")


def test_a_key_opens_as_bearer_and_as_basic_and_is_nowhere_in_the_database(
    empty: httpx.Client, empty_home: Path
) -> None:
    header = key_of(empty_home, "both")
    assert empty.get("/v1/journal", headers=header).status_code == 200
    whole = header["Authorization"].removeprefix("Bearer ")
    _, key_id, secret = whole.split(".")
    for password in (whole, secret):
        assert empty.get("/v1/journal", auth=(key_id, password)).status_code == 200
    refused(empty.get("/v1/journal", auth=("0" * 16, whole)), 401, "key_refused")
    engine = open_engine(session.database_url(session.workspace_at(empty_home)))
    kept = MetaData()
    kept.reflect(engine)
    with engine.connect() as connection:
        rows = [str(row) for table in kept.sorted_tables for row in connection.execute(select(table))]
    assert any(key_id in row for row in rows)
    assert not any(secret in row for row in rows)


def test_a_key_without_the_scope_is_refused_and_told_which_it_needs(empty: httpx.Client, empty_home: Path) -> None:
    header = key_of(empty_home, "narrow", scopes=["audiences:read"])
    answer = empty.get("/v1/journal", headers=header)
    refused(answer, 403, "not_granted")
    assert answer.json()["field"] == "journal:read"


def test_an_expired_key_opens_nothing(empty: httpx.Client, empty_home: Path) -> None:
    header = key_of(empty_home, "old", days=-1)
    refused(empty.get("/v1/journal", headers=header), 401, "key_refused")


def test_after_a_rotation_both_keys_open_until_the_overlap_ends(empty: httpx.Client, empty_home: Path) -> None:
    old = key_of(empty_home, "turning", row_cap=7)
    made = api_keys.rotate(empty_home, "turning", "ann", days=30, overlap_hours=1)
    new = {"Authorization": f"Bearer {made['key']}"}
    assert made["row_cap"] == 7
    assert [empty.get("/v1/journal", headers=one).status_code for one in (old, new)] == [200, 200]
    again = api_keys.rotate(empty_home, "turning", "ann", days=30, overlap_hours=0)
    time.sleep(2.1)  # for as long a key that was looked up is believed
    refused(empty.get("/v1/journal", headers=new), 401, "key_refused")
    assert empty.get("/v1/journal", headers={"Authorization": f"Bearer {again['key']}"}).status_code == 200


def test_a_revoked_key_ends_within_two_seconds(empty: httpx.Client, empty_home: Path) -> None:
    header = key_of(empty_home, "leaked")
    assert empty.get("/v1/journal", headers=header).status_code == 200
    api_keys.revoke(empty_home, "leaked", "ann")
    time.sleep(2.1)
    refused(empty.get("/v1/journal", headers=header), 401, "key_refused")
    with pytest.raises(UnknownName):
        api_keys.revoke(empty_home, "leaked", "ann")


def test_a_key_that_asks_too_often_waits_and_others_do_not(empty: httpx.Client, empty_home: Path) -> None:
    hasty, calm = key_of(empty_home, "hasty", requests_per_minute=30), key_of(empty_home, "calm")
    answers = [empty.get("/v1/journal", headers=hasty) for _ in range(8)]
    # a tenth of a minute's 30 may come at once
    assert [one.status_code for one in answers[:3]] == [200] * 3
    refused(answers[-1], 429, "too_many_requests")
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 2
    assert empty.get("/v1/journal", headers=calm).status_code == 200


def test_a_key_needs_a_scope_that_exists_somebody_who_answers_and_a_name_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="audiences:read"):
        key_of(tmp_path, scopes=["audience:read"])
    with pytest.raises(RefusedByPolicy, match="scope"):
        key_of(tmp_path, scopes=[])
    with pytest.raises(UnknownName, match="audience"):
        key_of(tmp_path, audiences=["savers"])
    with pytest.raises(RefusedByPolicy, match="by name"):
        api_keys.create(tmp_path, "crm", " ", scopes=["journal:read"], destination="generic", days=1)
    key_of(tmp_path)
    with pytest.raises(RefusedByPolicy, match="in use"):
        key_of(tmp_path)


def test_what_becomes_of_a_key_is_in_the_audit_log_and_when_it_was_last_used_on_record(
    empty: httpx.Client, empty_home: Path
) -> None:
    key_of(empty_home, "kept")
    api_keys.rotate(empty_home, "kept", "bob", days=30, overlap_hours=0)
    api_keys.revoke(empty_home, "kept", "bob")
    address = session.database_url(session.workspace_at(empty_home))
    with Store(address) as store:
        trail = [(one.action, one.actor) for one in store.audit_trail(subject="api_key/kept")]
        assert trail == [("api_key.revoked", "bob"), ("api_key.rotated", "bob"), ("api_key.created", "ann")]
        keyring = Keyring(store)
        key_id = keyring.every()[0].key_id
        moment = datetime.now(UTC)
        keyring.used({key_id: moment})
        keyring.used({key_id: moment - timedelta(days=1)})  # an older one does not undo a newer one
        assert keyring.every()[0].last_used_at == moment
