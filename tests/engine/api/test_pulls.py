"""Members, changes, offers, suppressions, manifests, acknowledgements over real HTTP, as a campaign tool meets them."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest

from engine.config.audiences import Audience
from engine.config.load import validate
from engine.lake.runs import list_runs, open_run
from engine.lake.workspace import Workspace
from engine.store import Store
from engine.workflows import api_keys, audiences, export_audience, export_revoke, session, suppressed
from engine.workflows import run as running
from engine.workflows.export_plan import Wanted
from engine.workflows.export_revoke import Revocation
from tests.engine.api.conftest import key_of, served
from tests.engine.api.test_keys import refused

EVERYONE: dict[str, Any] = {
    "audience": "everyone",
    "name": "Everyone",
    "owner": "ann",
    "channels": ["email"],
    "rule": {"all": [{"feature": "age_years", "at_least": 0}]},
}


def save(home: Path, **changed: Any) -> None:
    """Keep an audience and build it on the current run."""
    definition = validate(Audience, EVERYONE | changed, "the test")
    audiences.save_definition(home, definition)
    audiences.build(home, definition.audience)
    audiences.verify(home, definition.audience, "bob")


@pytest.fixture(scope="module")
def home(small_home: Path, database: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pulls") / "home"
    shutil.copytree(small_home, folder)
    save(folder)
    save(folder, audience="adults", rule={"all": [{"feature": "age_years", "at_least": 40}]}, channels=["email", "sms"])
    return folder


@pytest.fixture(scope="module")
def client(home: Path) -> Iterator[httpx.Client]:
    with served(home) as address, httpx.Client(base_url=address, headers=key_of(home), timeout=60) as made:
        yield made


def pulled(client: httpx.Client, path: str, name: str, **more: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Follow `next` to the end; return all rows and the first page, with the rows withheld of all pages."""
    first = client.get(path, **more).raise_for_status().json()
    rows, page = list(first[name]), first
    while page["next"]:
        page = client.get(page["next"], headers=more.get("headers")).raise_for_status().json()
        assert (page["snapshot"], page["rows"]) == (first["snapshot"], first["rows"])
        rows += page[name]
        first["withheld"] += page["withheld"]
    assert len(rows) + first["withheld"] == first["rows"]
    return rows, first


def test_members_are_those_whom_an_export_would_hold_and_nobody_of_the_control_group(
    client: httpx.Client, home: Path
) -> None:
    rows, first = pulled(client, "/v1/audiences/everyone/members?limit=37", "members")
    ids = [row["external_id"] for row in rows]
    assert ids == sorted(set(ids)) and len(ids) == first["rows"]
    bundle = export_audience.dry_run(home, Wanted(audience="everyone", preset="generic", channel="email"))
    assert len(ids) == bundle["counts"]["exported"]
    kept_out = open_run(session.workspace_at(home)).read("control_group", where={"serves": "nothing"})["customer_id"]
    assert not set(ids) & set(kept_out.to_pylist())


def test_the_manifest_adds_up_and_its_checksum_is_that_of_the_lines(client: httpx.Client) -> None:
    manifest = client.get("/v1/audiences/everyone/runs/latest/manifest").json()
    counts = manifest["counts"]
    assert counts["selected"] == sum(counts["excluded"].values()) + counts["exported"]
    lines, address = b"", "/v1/audiences/everyone/members?limit=50"
    while address:
        answer = client.get(address, headers={"Accept": "application/x-ndjson"})
        assert answer.headers["content-type"] == "application/x-ndjson"
        lines += answer.content
        address = answer.links.get("next", {}).get("url", "")
    assert lines.count(b"\n") == manifest["rows"] == counts["exported"]
    assert hashlib.sha256(lines).hexdigest() == manifest["content_sha256"]


def test_a_manifest_that_a_client_holds_is_not_sent_again(client: httpx.Client) -> None:
    address = "/v1/audiences/everyone/runs/latest/manifest"
    first = client.get(address)
    tag, date = first.headers["etag"], first.headers["last-modified"]
    assert tag == f'"{first.json()["content_sha256"]}"'
    for headers in ({"If-None-Match": tag}, {"If-None-Match": f'"x", W/{tag}'}, {"If-Modified-Since": date}):
        again = client.get(address, headers=headers)
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    other = {"If-None-Match": '"x"', "If-Modified-Since": date}  # the tag outweighs the date
    assert client.get(address, headers=other).status_code == 200


def test_fields_are_those_asked_for_and_one_that_does_not_exist_is_named(client: httpx.Client) -> None:
    rows, _ = pulled(client, "/v1/audiences/everyone/members?fields=run_id&limit=1000", "members")
    assert {tuple(sorted(row)) for row in rows} == {("external_id", "run_id")}
    answer = client.get("/v1/audiences/everyone/members?fields=email_adress")
    refused(answer, 404, "not_found")
    assert "external_id" in answer.json()["detail"]
    refused(client.get("/v1/audiences/everyone/members?feilds=run_id"), 422, "invalid_request")


def test_a_page_of_json_has_at_most_a_thousand_rows_and_an_unknown_form_is_refused(client: httpx.Client) -> None:
    assert client.get("/v1/audiences/everyone/members?limit=10000").status_code == 200
    refused(client.get("/v1/audiences/everyone/members?limit=10001"), 422, "invalid_request")
    refused(client.get("/v1/audiences/everyone/members", headers={"Accept": "text/csv"}), 406, "not_acceptable")


def test_a_cursor_of_another_listing_audience_or_key_or_one_that_was_touched_is_refused(
    client: httpx.Client, home: Path
) -> None:
    page = client.get("/v1/audiences/everyone/members?limit=5").json()
    cursor = httpx.URL(page["next"]).params["cursor"]
    for path in ("/v1/audiences/adults/members", "/v1/audiences/everyone/changes", "/v1/recommendations"):
        refused(client.get(path, params={"cursor": cursor}), 400, "invalid_cursor")
    here = "/v1/audiences/everyone/members"
    refused(client.get(here, params={"cursor": cursor}, headers=key_of(home, "other")), 400, "invalid_cursor")
    for touched in (cursor[:-1], cursor[::-1], f"{cursor}A", "", "é", cursor.swapcase(), "A" * 1999):
        refused(client.get(here, params={"cursor": touched}), 400, "invalid_cursor")
    # a rotated key goes on where the old one was
    made = api_keys.rotate(home, "other", "ann", days=1, overlap_hours=0)
    headers = {"Authorization": f"Bearer {made['key']}"}
    first = client.get(here, params={"limit": 5}, headers=headers).json()
    assert client.get(first["next"], headers=headers).status_code == 200


def test_a_key_sees_its_own_audiences_and_channel_and_what_it_may_not_see_is_as_if_it_were_not_there(
    client: httpx.Client, home: Path
) -> None:
    header = key_of(home, "adults only", audiences=["adults"], channel="sms")
    listed = client.get("/v1/audiences", headers=header).json()["audiences"]
    assert [one["id"] for one in listed] == ["adults"]
    for name in ("everyone", "nothing_like_it"):
        answer = client.get(f"/v1/audiences/{name}/members", headers=header)
        refused(answer, 404, "not_found")
        assert answer.json()["detail"].replace(name, "") == 'Unknown audience "". Known: adults.'
    rows, first = pulled(client, "/v1/audiences/adults/members", "members", headers=header)
    assert first["channel"] == "sms" and {row["channel"] for row in rows} <= {"sms"}
    refused(client.get("/v1/audiences/adults/members?channel=email", headers=header), 403, "not_granted")
    refused(client.get("/v1/recommendations", headers=header), 403, "not_granted")
    refused(client.get("/v1/audiences/everyone/members?channel=sms"), 403, "refused_by_policy")


def test_rows_beyond_the_days_cap_do_not_leave_and_what_left_is_in_the_audit_log_before(
    client: httpx.Client, home: Path
) -> None:
    whole = client.get("/v1/audiences/everyone/members?limit=1").json()["rows"]
    header = key_of(home, "capped", row_cap=whole)
    rows, first = pulled(client, "/v1/audiences/everyone/members?limit=10", "members", headers=header)
    assert len(rows) == whole
    refused(client.get("/v1/audiences/everyone/members?limit=1", headers=header), 403, "row_cap_reached")
    with Store(session.database_url(session.workspace_at(home))) as store:
        entries = [one for one in store.audit_trail(action="api.pulled") if one.actor == "api/capped"]
        # one entry for all pages of a pull
        assert [(one.subject, one.details["rows"], one.details["snapshot"]) for one in entries] == [
            ("audience/everyone", whole, first["snapshot"])
        ]
        assert store.verify_audit() is None


def test_who_unsubscribes_is_not_on_the_next_page_and_in_the_feed_of_suppressions(
    client: httpx.Client, home: Path
) -> None:
    since = client.get("/v1/suppressions/changes").json()["newest"]
    page = client.get("/v1/audiences/everyone/members?limit=5").json()
    rest = client.get(page["next"]).json()["members"]
    gone = rest[0]["external_id"]
    suppressed.suppress(home, gone, "email", "ann", "asked by phone")
    again = client.get(page["next"]).json()
    assert [row["external_id"] for row in again["members"]] == [row["external_id"] for row in rest[1:]]
    assert again["withheld"] == 1
    feed = client.get("/v1/suppressions/changes", params={"since": since, "limit": 1}).json()
    assert [(one["external_id"], one["channel"], one["reason"]) for one in feed["suppressions"]] == [
        (gone, "email", "manual")
    ]
    assert feed["next_since"] == feed["newest"] == since + 1
    # what changed since the same snapshot is that they go; for another channel nothing did
    page = client.get("/v1/audiences/everyone/changes", params={"since": page["snapshot"]}).json()
    assert [(row["op"], row["external_id"]) for row in page["changes"]] == [("remove", gone)]
    assert client.get("/v1/suppressions/changes?channel=sms").json()["suppressions"] == []
    # once lifted they come back, as the receiver took them out
    suppressed.lift(home, gone, "email", "ann", "asked again")
    page = client.get("/v1/audiences/everyone/changes", params={"since": page["snapshot"]}).json()
    assert [(row["op"], row["external_id"]) for row in page["changes"]] == [("update", gone)]
    events = client.get("/v1/journal", params={"limit": 1000}).json()["events"]
    assert [one["event"] for one in events].count("suppression_added") == 1
    assert gone not in client.get("/v1/journal", params={"limit": 1000}).text


def test_offers_in_bulk_are_those_of_the_run_and_one_channel_is_a_part_of_them(
    client: httpx.Client, home: Path
) -> None:
    rows, first = pulled(client, "/v1/recommendations?limit=100", "recommendations")
    offers = open_run(session.workspace_at(home)).read("recommendations")
    manifest = client.get("/v1/recommendations/runs/latest/manifest").json()
    # in their order, without those whose last word is not that they agree, such as by another id of the same person
    decided, shown = offers["decision_id"].to_pylist(), [row["recommendation_id"] for row in rows]
    assert shown == [one for one in decided if one in set(shown)]
    assert len(shown) + first["withheld"] + manifest["counts"]["excluded"]["withheld"] == len(decided)
    assert len(shown) > 0.9 * len(decided)
    assert not {"default_probability", "risk_tier"} & set(rows[0])
    email, _ = pulled(client, "/v1/recommendations?channel=email", "recommendations")
    assert [row for row in rows if row["channel"] == "email"] == email
    assert first["channel"] is None
    assert manifest["content_sha256"] == first["content_sha256"]
    # one who opted out of one channel keeps the offers on others
    both = pa.table({"id": [row["external_id"] for row in rows], "channel": [row["channel"] for row in rows]})
    someone = both.filter(pa.compute.equal(both["channel"], "email"))["id"][0].as_py()
    suppressed.suppress(home, someone, "email", "ann", "asked")
    left, _ = pulled(client, "/v1/recommendations?limit=100", "recommendations")
    assert left == [row for row in rows if (row["external_id"], row["channel"]) != (someone, "email")]
    suppressed.lift(home, someone, "email", "ann", "asked again")


def test_a_receiver_acknowledges_once_and_a_different_word_is_a_conflict(client: httpx.Client) -> None:
    page = client.get("/v1/audiences/adults/members?channel=sms&limit=1").json()
    said = {
        "audience": "adults",
        "channel": "sms",
        "received_rows": page["rows"],
        "content_sha256": page["content_sha256"],
        "loaded": page["rows"],
    }
    address = f"/v1/runs/{page['run_id']}/ack"
    first = client.post(address, json=said)
    assert first.status_code == 200 and first.json()["snapshot"] == page["snapshot"]
    assert client.post(address, json=said).json() == first.json()
    refused(client.post(address, json=said | {"loaded": 0}), 409, "conflict")
    refused(client.post(address, json=said | {"content_sha256": "0" * 64}), 409, "conflict")
    refused(client.post(address, json=said | {"received_rows": page["rows"] + 1}), 409, "conflict")
    refused(client.post("/v1/runs/20200101T000000Z-0000000000/ack", json=said), 404, "not_found")
    refused(client.post(address, json=said | {"surprise": 1}), 422, "invalid_request")
    refused(client.post(address, content=b"{", headers={"Content-Type": "application/json"}), 400, "malformed_request")
    event = client.get("/v1/journal", params={"limit": 1000}).json()["events"][-1]
    assert (event["event"], event["subject"]) == ("delivery_acknowledged", "adults")


def test_a_run_that_is_not_there_a_path_that_climbs_and_an_audience_never_built_are_told_apart(
    client: httpx.Client, home: Path
) -> None:
    refused(client.get("/v1/audiences/everyone/members?run=20200101T000000Z-0000000000"), 404, "not_found")
    for run in ("..", "../../wayline.db", "%2e%2e%2fwayline.db"):
        assert client.get("/v1/audiences/everyone/members", params={"run": run}).status_code in (404, 422)
    for path in (
        "/v1/audiences/..%2f..%2fetc/members",
        "/v1/audiences/%2e%2e/members",
        "/v1/audiences/everyone/runs/..%2f..%2f/manifest",
        "/../wayline.db",
    ):
        answer = client.get(path)
        assert answer.status_code in (404, 422) and answer.json()["code"] in ("no_such_path", "invalid_request")
    audiences.save_definition(home, validate(Audience, EVERYONE | {"audience": "unbuilt"}, "the test"))
    refused(client.get("/v1/audiences/unbuilt/members"), 409, "not_available")


def test_a_snapshot_that_is_kept_no_longer_is_gone_with_the_way_to_begin_again(
    small_home: Path, own_database: str, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(small_home, home)
    save(home)
    with served(home) as address, httpx.Client(base_url=address, headers=key_of(home), timeout=60) as client:
        page = client.get("/v1/audiences/everyone/members?limit=5").json()
        manifest = home / "pulls" / "everyone" / "email" / page["snapshot"] / "manifest.json"
        manifest.write_text(manifest.read_text().replace('"made_at": "20', '"made_at": "19'))
        for path in (page["next"], f"/v1/audiences/everyone/members?run={page['run_id']}"):
            answer = client.get(path)
            refused(answer, 410, "run_expired")
            assert "Begin again" in answer.json()["detail"]
        # begun again it is there anew, and nothing is told from where it was
        assert client.get("/v1/audiences/everyone/members?limit=5").json()["members"] == page["members"]
        changes = client.get("/v1/audiences/everyone/changes", params={"since": "20200101T000000Z-0000000000-v1"})
        refused(changes, 409, "resync_required")


def test_what_was_taken_back_is_gone_for_the_tool_it_was_taken_from_and_for_no_other(
    small_home: Path, own_database: str, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(small_home, home)
    earlier = running.run(home, as_of=datetime.fromisoformat("2026-06-20T23:59:59+00:00")).run_id
    save(home)
    audiences.build(home, "everyone", earlier)
    audiences.build(home, "everyone", max(run.run_id for run in list_runs(Workspace(home))))
    with served(home) as address, httpx.Client(base_url=address, headers=key_of(home), timeout=60) as client:
        page = client.get("/v1/audiences/everyone/members?limit=5").json()
        before = client.get(f"/v1/audiences/everyone/members?limit=5&run={earlier}").json()
        since = f"/v1/audiences/everyone/changes?since={before['snapshot']}&allow_shrink=true"
        assert client.get(since).json()["snapshot"] == page["snapshot"]
        # where the client stands was taken back: it begins anew
        told = export_revoke.revoke(home, Revocation(audience="everyone", preset="generic", run_id=earlier), "ann")
        assert (told["to"], told["folders"]) == ("generic/email", [])
        refused(client.get(since), 409, "resync_required")
        # what it would get was: nothing of it leaves, not even the next page
        export_revoke.revoke(home, Revocation(audience="everyone", preset="generic", run_id=page["run_id"]), "ann")
        manifest = f"/v1/audiences/everyone/runs/{page['run_id']}/manifest"
        for path in (page["next"], f"/v1/audiences/everyone/members?run={page['run_id']}", manifest, since):
            answer = client.get(path)
            refused(answer, 410, "run_revoked")
            assert "was taken back" in answer.json()["detail"]
        refused(client.get("/v1/audiences/everyone/members"), 410, "run_revoked")
        other = key_of(home, "other_tool", destination="braze_cdi")
        assert client.get("/v1/audiences/everyone/members?limit=5", headers=other).json()["members"]


def test_changes_that_would_take_most_members_out_are_refused_unless_that_is_meant(
    small_home: Path, own_database: str, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(small_home, home)
    save(home)
    with served(home) as address, httpx.Client(base_url=address, headers=key_of(home), timeout=60) as client:
        before = client.get("/v1/audiences/everyone/members?limit=5").json()
        since = f"/v1/audiences/everyone/changes?since={before['snapshot']}"
        # whoever withdraws is no matter of the rule: however many they are, they are taken out
        for row in before["members"]:
            suppressed.suppress(home, row["external_id"], "email", "ann", "asked")
        assert len(client.get(since).raise_for_status().json()["changes"]) == 5
        save(home, rule={"all": [{"feature": "age_years", "at_least": 70}]})
        answer = client.get(since)
        refused(answer, 403, "refused_by_policy")
        assert "max_removed_share" in answer.json()["detail"]
        meant = pulled(client, since + "&allow_shrink=true&limit=50", "changes")[0]
        assert sum(row["op"] == "remove" for row in meant) > 0.2 * before["rows"]
        # where the bank allows it nobody has to say so
        (home / "wayline.toml").write_text("[exports]\nmax_removed_share = 1.0\n", encoding="utf-8")
        assert client.get(since).status_code == 200


def test_a_bundle_of_files_is_acknowledged_over_http_and_the_next_delta_follows_it(
    client: httpx.Client, home: Path, tmp_path: Path
) -> None:
    made = export_audience.audience(home, Wanted(audience="adults", preset="generic", channel="email", by="ann"))
    path = f"/v1/exports/{made['run_id']}/ack"
    rows = made["counts"]["exported"]
    said = {"audience": "adults", "content_sha256": made["content_sha256"], "received_rows": rows}
    refused(client.post(path, json=said | {"received_rows": rows + 1}), 409, "conflict")
    refused(client.post(path, json=said | {"content_sha256": "0" * 64}), 404, "not_found")
    told = client.post(path, json=said).raise_for_status().json()
    assert (told["to"], told["members"], told["acked_by"]) == ("generic/email", rows, "api/crm")
    assert client.post(path, json=said).json() == told
    other = key_of(home, "other_tool", destination="braze_cdi")
    refused(client.post(path, json=said, headers=other), 404, "not_found")
    reader = key_of(home, "files_reader", scopes=["audiences:read"])
    refused(client.post(path, json=said, headers=reader), 403, "not_granted")
    planned = export_audience.dry_run(home, Wanted(audience="adults", preset="generic", channel="email", mode="delta"))
    assert planned["mode"] == "delta"
