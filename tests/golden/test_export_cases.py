"""What each campaign tool gets for the same few rows, to the byte.

C1 comes in, C9 was held before and goes, C5 unsubscribed. C2 has no offer on the channel: at a tool that leaves a value
as it is when a cell is empty, the word none takes an earlier offer out of force.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from engine.exports import audience_verify, normalise
from engine.exports.presets import PRESETS
from tests.engine.exports import audience_builders as builders

NO_OFFER: dict[str, Any] = dict.fromkeys(
    ("recommendation_id", "action_code", "offer_code", "action_rank", "score", "track", "reason_text", "reason_text_zh")
)
ROWS = [builders.row("C1", reason_text='Saves "a lot", <b>really</b>'), builders.row("C2", **NO_OFFER)]
HELD = [builders.row("C9")]
GONE = [("C5", "unsubscribed")]
ATTRIBUTES = "cj_action,cj_offer,cj_reason,cj_reason_zh,cj_valid_to,cj_arm,cj_recommendation,cj_run"
C1 = 'index_fund,summer,"Saves ""a lot"", really",储蓄较多。,2026-07-30T23:59:59Z,advised,abc-C1,R1'
C2 = "none,none,,,2026-07-30T23:59:59Z,advised,none,R1"


def written(folder: Path, name: str, file_format: Any = None, **more: Any) -> dict[str, str]:
    builders.export(ROWS, folder / name, name, file_format, before=HELD, suppress=GONE, **more)
    assert audience_verify.verify(folder / name).rows == 4
    return builders.files(folder / name)


def test_generic_gets_canonical_rows(tmp_path: Path) -> None:
    found = written(tmp_path, "generic", "csv")
    assert found["suppress/part-00001.csv"] == ("external_id,reason_code,since\nC5,unsubscribed,2026-06-01T00:00:00Z\n")
    assert found["remove/part-00001.csv"] == "external_id,audience_id\nC9,stalled\n"
    assert found["add/part-00001.csv"] == (
        "external_id,op,audience_id,run_id,recommendation_id,action_code,offer_code,action_rank,channel,score,track,"
        "reason_text,reason_text_zh,valid_from,valid_to,arm,language,consent_basis,consent_at\n"
        'C1,add,stalled,R1,abc-C1,index_fund,summer,1,email,0.123457,standard,"Saves ""a lot"", really",储蓄较多。,'
        "2026-06-30T23:59:59Z,2026-07-30T23:59:59Z,advised,zh,marketing,2025-01-02T03:04:05Z\n"
        "C2,add,stalled,R1,,,,,email,,,,,2026-06-30T23:59:59Z,2026-07-30T23:59:59Z,advised,zh,marketing,"
        "2025-01-02T03:04:05Z\n"
    )


def test_braze_cdi_gets_an_id_and_a_payload_and_a_file_name_of_its_own(tmp_path: Path) -> None:
    found = written(tmp_path, "braze_cdi")
    (name,) = [name for name in found if name.startswith("add/")]
    digest = hashlib.sha256(found[name].encode()).hexdigest()
    assert name == f"add/part-00001-R1-{digest[:8]}.jsonl"
    first, second = (json.loads(line) for line in found[name].splitlines())
    assert set(first) == {"external_id", "payload"}
    assert json.loads(first["payload"]) == {
        "cj_stalled_member": True,
        "cj_action": "index_fund",
        "cj_offer": "summer",
        "cj_reason": 'Saves "a lot", really',
        "cj_reason_zh": "储蓄较多。",
        "cj_valid_to": "2026-07-30T23:59:59Z",
        "cj_arm": "advised",
        "cj_recommendation": "abc-C1",
        "cj_run": "R1",
    }
    assert json.loads(second["payload"])["cj_action"] == "none"
    gone, stopped = (
        json.loads(text) for op in ("remove", "suppress") for name, text in found.items() if name.startswith(op)
    )
    assert (gone["external_id"], json.loads(gone["payload"])) == ("C9", {"cj_stalled_member": False})
    assert json.loads(stopped["payload"]) == {"cj_stalled_member": False, "cj_suppressed": True}


def test_braze_csv_gets_attributes_or_ids_alone(tmp_path: Path) -> None:
    found = written(tmp_path, "braze_csv")
    assert found == {
        "suppress/part-00001.csv": "external_id,cj_stalled_member,cj_suppressed\nC5,false,true\n",
        "remove/part-00001.csv": "external_id,cj_stalled_member\nC9,false\n",
        "add/part-00001.csv": f"external_id,cj_stalled_member,{ATTRIBUTES}\nC1,true,{C1}\nC2,true,{C2}\n",
    }
    alone = written(tmp_path / "alone", "braze_csv", presets={"braze_csv": {"attributes": False}})
    assert alone["add/part-00001.csv"] == "external_id\nC1\nC2\n"


def test_sfmc_gets_a_primary_key_fields_and_the_data_extension_to_create(tmp_path: Path) -> None:
    found = written(tmp_path, "sfmc_de")
    header, first, second = found["add/part-00001.csv"].splitlines()
    assert header == (
        "SubscriberKey,ActionCode,OfferCode,ReasonText,ReasonTextZh,ValidFrom,ValidTo,Arm,Language,ConsentBasis,ConsentAt,"
        "AudienceId,RecommendationId,RunId,ActionRank"
    )
    assert first == (
        'C1,index_fund,summer,"Saves ""a lot"", really",储蓄较多。,2026-06-30T23:59:59Z,2026-07-30T23:59:59Z,'
        "advised,zh,marketing,2025-01-02T03:04:05Z,stalled,abc-C1,R1,1"
    )
    assert second.startswith("C2,none,none,,,")
    assert found["remove/part-00001.csv"] == "SubscriberKey\nC9\n"
    extension = json.loads((tmp_path / "sfmc_de" / "data_extension.json").read_text(encoding="utf-8"))
    assert {field["name"] for field in extension["fields"]} == set(header.split(","))
    assert [field["name"] for field in extension["fields"] if field["isPrimaryKey"]] == ["SubscriberKey"]


def test_hubspot_gets_addresses_and_an_opt_out_list(tmp_path: Path) -> None:
    assert written(tmp_path, "hubspot") == {
        "suppress/part-00001.csv": "Email\nC5@mail.example\n",
        "remove/part-00001.csv": "Email,cj_stalled_member\nC9@Mail.example ,false\n",
        "add/part-00001.csv": (
            f"Email,cj_stalled_member,{ATTRIBUTES}\nc1@mail.example,true,{C1}\nc2@mail.example,true,{C2}\n"
        ),
    }


def test_mailchimp_gets_short_merge_tags_dates_and_no_status(tmp_path: Path) -> None:
    found = written(tmp_path, "mailchimp")
    assert found["add/part-00001.csv"] == (
        "Email Address,Tags,CJ_AUD,CJ_ACTION,CJ_OFFER,CJ_REASON,CJ_WHYZH,CJ_UNTIL,CJ_ARM,CJ_REC,CJ_RUN\n"
        'c1@mail.example,cj:stalled,stalled,index_fund,summer,"Saves ""a lot"", really",储蓄较多。,2026-07-30,advised,'
        "abc-C1,R1\n"
        "c2@mail.example,cj:stalled,stalled,none,none,,,2026-07-30,advised,none,R1\n"
    )
    assert all(len(tag) <= 10 for tag in found["add/part-00001.csv"].splitlines()[0].split(",")[2:])


def test_mailchimp_gets_the_last_whole_day_and_texts_of_255_bytes_counted(tmp_path: Path) -> None:
    """100 Chinese characters are 300 bytes: 85 of them are 255. Half of the 10th of July is no day to write on."""
    rows = [builders.row("C1", reason_text_zh="汉" * 100, valid_to="2026-07-10T12:00:00Z"), builders.row("C2")]
    manifest = builders.export(rows, tmp_path / "cut", "mailchimp")
    line = builders.files(tmp_path / "cut")["add/part-00001.csv"].splitlines()[1].split(",")
    assert (line[6], line[7]) == ("汉" * 85, "2026-07-09")
    assert [one.model_dump() for one in manifest.cut] == [
        {"op": "add", "column": "CJ_WHYZH", "rows": 1, "most_bytes": 255}
    ]


def test_klaviyo_gets_the_contact_of_the_channel_alone(tmp_path: Path) -> None:
    found = written(tmp_path, "klaviyo")
    assert found["add/part-00001.csv"].startswith(
        f"External ID,Email,cj_stalled_member,{ATTRIBUTES}\nC1,c1@mail.example,true,{C1}\n"
    )
    rows = [builders.row("C1", channel="sms")]
    builders.export(rows, tmp_path / "sms", "klaviyo", channel="sms")
    (text,) = builders.files(tmp_path / "sms").values()
    assert text.startswith("External ID,Phone Number,cj_stalled_member")
    assert "\nC1,+8613800138000,true," in text
    assert "@" not in text


def test_customerio_gets_unix_seconds(tmp_path: Path) -> None:
    """2026-07-30T23:59:59Z is 1,785,455,999 seconds after 1970."""
    found = written(tmp_path, "customerio")
    assert found["add/part-00001.csv"] == (
        "id,cj_stalled_member,cj_action,cj_offer,cj_reason,cj_reason_zh,cj_arm,cj_recommendation,cj_run,cj_valid_to\n"
        'C1,true,index_fund,summer,"Saves ""a lot"", really",储蓄较多。,advised,abc-C1,R1,1785455999\n'
        "C2,true,none,none,,,advised,none,R1,1785455999\n"
    )


@pytest.mark.parametrize(
    ("network", "header", "number"),
    [
        ("google", "Email,Phone", "+8613800138000"),
        ("meta", "email,phone", "8613800138000"),
        ("x", "email,phone", "+8613800138000"),
    ],
)
def test_an_advertising_network_gets_hashes_in_its_own_form_and_no_order_that_tells(
    network: str, header: str, number: str, tmp_path: Path
) -> None:
    rows = [builders.row(f"C{place}", channel="ads") for place in range(1, 6)]
    builders.export(rows, tmp_path / "ads", f"ads_hashed_{network}", channel="ads")
    (text,) = builders.files(tmp_path / "ads").values()

    def digest(value: str) -> str:
        return hashlib.sha256(value.encode()).hexdigest()

    expected = sorted(f"{digest(f'c{place}@mail.example')},{digest(number)}" for place in range(1, 6))
    assert text.splitlines() == [header, *expected]


def test_the_published_vector_of_a_hashed_address_comes_out() -> None:
    found = normalise.hashed_email(pa.array(["  Jane.Doe+promo@GMAIL.com "]))
    assert found.to_pylist() == ["5f0d1df1fc49e30424381b57b1d4c73e067772a4267dde043a19b026935602c8"]


def test_what_looks_like_a_hash_already_is_not_believed() -> None:
    assert normalise.hashed_email(pa.array(["a" * 64])).to_pylist() == [None]


BODIES = {
    "sfmc_de": ["items"],
    "hubspot": ["inputs"],
    "mailchimp": ["members"],
    "klaviyo": ["data", "attributes", "profiles", "data"],
}
FIRST: dict[str, Any] = {
    "hubspot": {"idProperty": "email", "id": "c1@mail.example"},
    "mailchimp": {"email_address": "c1@mail.example"},
    "klaviyo": {"type": "profile"},
    "sfmc_de": {"SubscriberKey": "C1", "ActionCode": "index_fund", "ActionRank": 1},
}


@pytest.mark.parametrize("name", sorted(BODIES))
def test_bodies_of_requests_are_as_the_vendor_takes_them_and_split_by_its_limit(name: str, tmp_path: Path) -> None:
    rows = [builders.row(f"C{place}") for place in range(1, 6)]
    builders.export(rows, tmp_path / name, name, "api", presets={name: {"api_rows": 2}})
    report = audience_verify.verify(tmp_path / name)
    bodies = [json.loads(text) for text in builders.files(tmp_path / name).values()]
    items = []
    for body in bodies:
        found = body
        for key in BODIES[name]:
            found = found[key]
        items.append(found)
    assert [len(found) for found in items] == [2, 2, 1]
    assert items[0][0].items() >= FIRST[name].items()
    csv = builders.export(rows, tmp_path / "csv", name, "csv")
    assert report.manifest.content_sha256 == csv.content_sha256
    assert "status" not in json.dumps(bodies)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_no_preset_ever_writes_a_subscription_status(name: str, tmp_path: Path) -> None:
    chosen = PRESETS[name]
    channel = chosen.channels[0]
    told = builders.context(channel)
    names = " ".join(
        column.name.lower() for op in ("add", "remove", "suppress") for column in getattr(chosen, op)(told)
    )
    for word in ("subscribe ", "subscribed", "subscription", "status", "opt_in", "optin", "marketing"):
        assert word not in f"{names} ".replace("subscriberkey", "")
