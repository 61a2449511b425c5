"""Audiences handed to campaign tools from the command line, as a marketer, an approver and a tool go about it."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from engine.cli.main import main
from engine.domain.errors import CheckFailed
from engine.exports import audience_verify, members
from engine.lake.runs import list_runs, open_run
from engine.lake.workspace import Workspace
from engine.store import NewFeedback, Store
from engine.workflows import run as running

EVERYBODY = """
audience = "everybody"
name = "Everybody"
owner = "ann"
channels = ["email", "sms", "push"]
[rule]
all = []
"""
# the earlier run keeps three in ten out of offers
HOLDOUT = """
[recommendations.exploration]
strategy = "epsilon_greedy"
epsilon = 0.5
[recommendations.exploration.control]
share = 0.3
serves = "nothing"
"""
EARLIER = datetime.fromisoformat("2026-06-10T23:59:59+00:00")


class Desk:
    """A workspace with two runs and an audience, and the command line on it."""

    def __init__(self, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.home, self.capsys = home, capsys
        self.earlier, self.later = sorted(run.run_id for run in list_runs(Workspace(home)))

    def ask(self, *words: object, code: int = 0) -> Any:
        self.capsys.readouterr()
        assert main([*map(str, words), "--home", str(self.home), "--json"]) == code, self.capsys.readouterr().err
        told = json.loads(self.capsys.readouterr().out)
        return told if code == 0 else told["error"]["sentence"]

    def capsys_of(self, *words: str) -> str:
        assert main(list(words)) == 2
        return self.capsys.readouterr().err

    def export(self, *words: object, to: str = "generic", code: int = 0) -> Any:
        return self.ask("export", "everybody", "--to", to, "--by", "ann", *words, code=code)

    def ack(self, made: dict[str, Any], to: str = "generic", **more: Any) -> Any:
        counts = made["counts"]
        rows = sum(counts[name] for name in ("added", "updated", "removed", "to_suppress"))
        words = [word for name, value in more.items() for word in (f"--{name}", value)]
        return self.ask(
            "export", "ack", "everybody", "--to", to, "--run", made["run_id"], "--content", made["content_sha256"],
            "--rows", rows, "--by", "tool", *words,
        )  # fmt: skip

    def settings(self, text: str) -> None:
        (self.home / "wayline.toml").write_text(text, encoding="utf-8")

    def change(self, table: str, how: Callable[[pa.Table], pa.Table]) -> None:
        path = self.home / "curated" / table / "part-00000.parquet"
        pq.write_table(how(pq.read_table(path)), path)

    def curated(self, table: str) -> list[dict[str, Any]]:
        return pq.read_table(self.home / "curated" / table / "part-00000.parquet").to_pylist()  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def bank(small_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("exported") / "home"
    shutil.copytree(small_home, home)
    (home / "wayline.toml").write_text(HOLDOUT, encoding="utf-8")
    running.run(home, as_of=EARLIER)
    (home / "wayline.toml").unlink()
    later = max(run.run_id for run in list_runs(Workspace(home)))
    (home / "runs" / "CURRENT").write_text(later, encoding="utf-8")
    (home / "everybody.toml").write_text(EVERYBODY, encoding="utf-8")
    for words in (["save", str(home / "everybody.toml")], ["verify", "everybody", "--by", "bob"]):
        assert main(["audience", *words, "--home", str(home), "--quiet"]) == 0
    return home


@pytest.fixture
def desk(bank: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    shutil.copytree(bank, tmp_path / "home")
    return Desk(tmp_path / "home", capsys)


def lines(made: dict[str, Any], op: str) -> list[dict[str, Any]]:
    paths = sorted((Path(made["folder"]) / op).glob("*.jsonl"))
    return [json.loads(line) for path in paths for line in path.open("rb")]


def ids(made: dict[str, Any], op: str) -> set[str]:
    return {row["external_id"] for row in lines(made, op)}


class Tool:
    """A campaign tool that does as README.txt says: suppress, remove, add; a resync drops what it holds."""

    def __init__(self) -> None:
        self.members: set[str] = set()
        self.suppressed: set[str] = set()

    def load(self, made: dict[str, Any]) -> None:
        audience_verify.verify(Path(made["folder"]))
        if made["resync"] or made["mode"] == "mirror":
            self.members.clear()
        self.suppressed |= ids(made, "suppress")
        self.members -= ids(made, "remove")
        self.members |= ids(made, "add")
        assert not self.members & self.suppressed


# Who leaves


def test_a_dry_run_shows_who_would_leave_and_writes_nothing(desk: Desk) -> None:
    told = desk.ask("export", "audience", "everybody", "--to", "generic", "--by", "ann", "--dry-run")
    assert not list((desk.home / "exports").rglob("*")) if (desk.home / "exports").exists() else True
    assert told["refused"] == []
    steps, counts = told["steps"], told["counts"]
    assert counts["selected"] - sum(step["removed"] for step in steps) == steps[-1]["remaining"] == counts["exported"]
    assert desk.export()["counts"] == counts
    assert sum(told["reasons"].values()) == counts["selected"] - counts["exported"] - counts["rejected"]


def test_nobody_leaves_without_a_consent_that_holds_nor_from_the_control_group(desk: Desk) -> None:
    """Read once more from the tables of the bank, row by row."""
    made = desk.export("--run", desk.earlier)
    now = EARLIER.replace(tzinfo=None)
    answers: dict[str, dict[str, Any]] = defaultdict(dict)
    for row in sorted(desk.curated("consents"), key=lambda one: one["recorded_at"]):
        if row["purpose"] == "marketing" and row["channel"] == "email":
            answers[row["customer_id"]]["now"] = row
            if row["recorded_at"] <= now:
                answers[row["customer_id"]]["then"] = row

    def holds(customer: str) -> bool:
        then, last = answers[customer].get("then"), answers[customer].get("now")
        if then is None or last is None or not (then["granted"] and last["granted"]):
            return False
        return then["expires_at"] is None or then["expires_at"] > now

    gone = ids(made, "add")
    assert gone
    assert all(holds(customer) for customer in gone)
    kept = open_run(Workspace(desk.home), desk.earlier).read("control_group", where={"serves": "nothing"})
    held_out = set(kept["customer_id"].to_pylist())
    assert held_out
    assert not gone & held_out
    assert made["counts"]["holdout"] == len(held_out)
    said = {
        row["customer_id"] for row in desk.curated("offers_feedback") if row["event"] in ("unsubscribed", "complained")
    }
    lifted = {row["external_id"] for row in lines(made, "add") if row["external_id"] in said}
    for customer in lifted:
        last = max(row["occurred_at"] for row in desk.curated("offers_feedback") if row["customer_id"] == customer
                   and row["event"] in ("unsubscribed", "complained"))  # fmt: skip
        assert answers[customer]["then"]["recorded_at"] > last


def test_a_row_never_holds_longer_than_the_consent_behind_it(desk: Desk) -> None:
    soon = datetime(2026, 7, 3, 12)
    desk.change(
        "consents", lambda rows: rows.set_column(rows.column_names.index("expires_at"), "expires_at",
                                                 pa.repeat(pa.scalar(soon, pa.timestamp("us")), rows.num_rows)),
    )  # fmt: skip
    assert {row["valid_to"] for row in lines(desk.export(), "add")} == {"2026-07-03T12:00:00Z"}


@pytest.mark.parametrize(("channel", "reason"), [("push", "unsubscribed"), (None, "manual")])
def test_an_opt_out_on_any_channel_takes_a_person_out_under_every_id_at_once(
    channel: str | None, reason: str, desk: Desk
) -> None:
    tool = Tool()
    first = desk.export()
    tool.load(first)
    desk.ack(first)
    one, other = sorted(tool.members)[:2]

    def same_person(rows: pa.Table) -> pa.Table:
        place = rows.column_names.index("person_id")
        is_other = pc.equal(rows["customer_id"], other)
        person = rows.filter(pc.equal(rows["customer_id"], one))["person_id"][0]
        return rows.set_column(place, "person_id", pc.if_else(is_other, person, rows["person_id"]))

    desk.change("customers", same_person)
    with Store(f"sqlite:///{desk.home}/wayline.db", actor="ann") as store:
        if channel is None:
            store.suppress(one, None, "asked for it")
        else:
            now = datetime.fromisoformat("2026-06-30T23:00:00+00:00")
            event = NewFeedback(event_id="e1", type=reason, customer_id=one, channel=channel, occurred_at=now)
            store.add_feedback([event])
    changed = desk.export("--mode", "delta")
    assert ids(changed, "remove") == {one, other}
    assert {row["external_id"]: row["reason_code"] for row in lines(changed, "suppress")}.items() >= {
        (one, reason), (other, reason)
    }  # fmt: skip
    assert lines(changed, "add") == []
    tool.load(changed)
    assert {one, other} <= tool.suppressed


def test_offers_to_who_opted_out_since_the_run_are_withheld_and_counted(desk: Desk) -> None:
    def exported() -> tuple[dict[str, Any], list[str]]:
        made = desk.ask("export", "recommendations", "--format", "jsonl")
        paths = sorted((Path(made["destination"]) / "add").iterdir())
        return made, [json.loads(line)["external_id"] for path in paths for line in path.open("rb")]

    before, offered = exported()
    one = offered[0]
    with Store(f"sqlite:///{desk.home}/wayline.db", actor="ann") as store:
        store.suppress(one, None, "asked for it")
    after, left = exported()
    assert left == [customer for customer in offered if customer != one]
    assert after["withheld"] - before["withheld"] == offered.count(one)
    assert after["selected"] == before["selected"] == after["withheld"] + after["exported"]
    assert json.loads(_said(desk, "export", "verify", after["destination"], "--json"))["ok"] is True


# What a tool holds


def test_a_tool_that_follows_changes_holds_what_a_full_export_has(desk: Desk) -> None:
    tool = Tool()
    first = desk.export("--run", desk.earlier, "--mode", "delta")
    assert first["mode"] == "full"
    assert "not acknowledged any export" in first["resync"]
    tool.load(first)
    desk.ack(first)
    second = desk.export("--mode", "delta")
    assert (second["mode"], second["prev_run_id"]) == ("delta", desk.earlier)
    tool.load(second)
    full = desk.export()
    assert tool.members == {row["external_id"] for row in lines(full, "add")}
    counts = second["counts"]
    assert counts["exported"] == counts["added"] + counts["updated"] + counts["unchanged"] == len(tool.members)
    digest = audience_verify.verify(Path(second["folder"])).manifest.members_sha256
    assert digest == audience_verify.verify(Path(full["folder"])).manifest.members_sha256
    desk.ack(second)
    third = desk.export("--mode", "delta")
    assert (third["counts"]["unchanged"], lines(third, "add"), lines(third, "remove")) == (len(tool.members), [], [])


def test_who_was_rejected_by_the_tool_comes_again(desk: Desk, tmp_path: Path) -> None:
    made = desk.export()
    refused = sorted(ids(made, "add"))[:3]
    (tmp_path / "rejected.txt").write_text("\n".join(refused), encoding="utf-8")
    told = desk.ack(made, rejected=tmp_path / "rejected.txt")
    assert told["members"] == made["counts"]["exported"] - 3
    assert ids(desk.export("--mode", "delta"), "add") == set(refused)


def test_a_predecessor_that_is_too_old_or_forgotten_forces_a_full_export(desk: Desk) -> None:
    desk.ack(desk.export("--run", desk.earlier))
    desk.settings("[exports]\nsnapshot_days = 5\n")
    made = desk.export("--mode", "delta")
    assert (made["mode"], made["prev_run_id"]) == ("full", None)
    assert "is 20 days old; at most 5 count" in made["resync"]
    assert made["counts"]["added"] == made["counts"]["exported"]
    assert "is not remembered any more" in desk.export("--mode", "delta")["resync"]
    desk.ack(made)
    assert "is of a later date" in desk.export("--mode", "delta", "--run", desk.earlier, "--allow-shrink")["resync"]


def test_an_acknowledgement_of_something_else_is_refused(desk: Desk) -> None:
    made = desk.export()
    words = ("export", "ack", "everybody", "--to", "generic", "--run", made["run_id"], "--by", "tool", "--rows")
    assert "not loaded whole" in desk.ask(*words, 1, "--content", made["content_sha256"], code=3)
    assert "Unknown export" in desk.ask(*words, 1, "--content", "f" * 64, code=2)
    desk.ack(made)
    listed = desk.ask("export", "list", "everybody")["exports"]
    assert [(one["to"], one["acked_by"], one["members"]) for one in listed] == [
        ("generic/email", "tool", made["counts"]["exported"])
    ]


def test_removing_many_at_once_needs_to_be_meant(desk: Desk) -> None:
    desk.ack(desk.export())
    half = EVERYBODY.replace("all = []", 'all = [{ feature = "age_years", at_least = 55 }]')
    (desk.home / "half.toml").write_text(half, encoding="utf-8")
    desk.ask("audience", "save", desk.home / "half.toml")
    desk.ask("audience", "verify", "everybody", "--by", "bob")
    before = {path: path.stat().st_mtime_ns for path in (desk.home / "exports").rglob("*")}
    for mode in ("delta", "full", "mirror"):
        assert "--allow-shrink" in desk.export("--mode", mode, code=4)
    assert {path: path.stat().st_mtime_ns for path in (desk.home / "exports").rglob("*")} == before
    made = desk.export("--mode", "delta", "--allow-shrink")
    assert made["counts"]["removed"] > made["counts"]["exported"] / 5
    refused = [one for one in audit(desk) if one.action == "export.refused"]
    assert len(refused) == 3


def audit(desk: Desk) -> list[Any]:
    with Store(f"sqlite:///{desk.home}/wayline.db") as store:
        assert store.verify_audit() is None
        return list(store.audit_trail())


# What is refused


def nothing_left(desk: Desk) -> bool:
    return not list((desk.home / "exports").rglob("_SUCCESS"))


def test_without_consents_nobody_leaves(desk: Desk) -> None:
    shutil.rmtree(desk.home / "curated" / "consents")
    assert "keeps no consents" in desk.export(code=4)
    assert nothing_left(desk)


def test_where_every_consent_has_expired_nobody_leaves(desk: Desk) -> None:
    over = pa.scalar(datetime(2026, 6, 1), pa.timestamp("us"))
    desk.change(
        "consents",
        lambda rows: rows.set_column(
            rows.column_names.index("expires_at"), "expires_at", pa.repeat(over, rows.num_rows)
        ),
    )
    counts = desk.export()["counts"]
    assert (counts["exported"], counts["added"]) == (0, 0)
    assert counts["no_consent"] > 0


def test_when_opt_outs_are_too_old_to_trust_nobody_leaves(desk: Desk) -> None:
    limit = pa.scalar(datetime(2026, 6, 30) - timedelta(days=20), pa.timestamp("us"))
    for table, column in (("consents", "recorded_at"), ("offers_feedback", "occurred_at")):
        desk.change(table, lambda rows, name=column: rows.filter(pc.less(rows[name], limit)))
    assert "too old to know who has opted out" in desk.export(code=4)
    assert nothing_left(desk)


@pytest.mark.parametrize(
    ("words", "to", "told"),
    [
        (("--channel", "post"), "generic", "not for post"),
        (("--channel", "carrier_pigeon"), "generic", "not for carrier_pigeon"),
        (("--channel", "sms"), "hubspot", "hubspot is for email, not for sms"),
        ((), "ads_hashed_meta", "ads_hashed_meta is for none of them"),
        (("--mode", "delta", "--format", "csv_spreadsheet"), "generic", "to be read by people"),
    ],
)
def test_what_does_not_go_together_is_refused(words: tuple[str, ...], to: str, told: str, desk: Desk) -> None:
    assert told in desk.export(*words, to=to, code=4)
    assert nothing_left(desk)


def test_wrong_names_are_told_with_those_that_exist(desk: Desk) -> None:
    assert 'Did you mean "hubspot"' in desk.export(to="hubspott", code=2)
    assert "Known: csv, api" in desk.export("--format", "parquet", to="hubspot", code=2)
    assert 'Unknown audience "everybdy"' in desk.ask("export", "everybdy", "--to", "generic", code=2)
    assert 'Did you mean "verify"' in desk.capsys_of("export", "verfy")
    assert "No run" in desk.export("--run", "../../etc", code=1)


def test_an_audience_for_another_purpose_leaves_for_that_purpose_alone(desk: Desk) -> None:
    """C1 agreed to matching by e-mail, C2 by telephone, nobody else: no address and no id of theirs leaves."""
    ads = EVERYBODY.replace('"everybody"', '"matched"').replace('["email", "sms", "push"]', '["ads"]')
    (desk.home / "ads.toml").write_text(ads, encoding="utf-8")
    desk.ask("audience", "save", desk.home / "ads.toml")
    desk.ask("audience", "verify", "matched", "--by", "bob")
    export = ("export", "matched", "--to", "ads_hashed_google", "--by", "ann")
    assert 'has the purpose "marketing"' in desk.ask(*export, code=4)
    (desk.home / "ads.toml").write_text(f'purpose = "ads_matching"\n{ads}', encoding="utf-8")
    desk.ask("audience", "save", desk.home / "ads.toml")
    desk.ask("audience", "verify", "matched", "--by", "bob")
    assert "was ever asked to agree" in desk.ask(*export, code=4)

    known = desk.curated("identities")
    reached = {kind: [row["customer_id"] for row in known if row["id_type"] == kind] for kind in ("email", "phone")}
    free = ids(desk.export(), "add")
    one = next(customer for customer in reached["email"] if customer in free and customer in reached["phone"])
    two = next(customer for customer in reached["phone"] if customer in free and customer != one)

    def agreed(rows: pa.Table) -> pa.Table:
        more = [
            {"customer_id": customer, "purpose": "ads_matching", "channel": channel, "granted": True,
             "recorded_at": datetime(2026, 6, 1), "expires_at": None}
            for customer, channel in ((one, "email"), (two, "phone"))
        ]  # fmt: skip
        return pa.concat_tables([rows, pa.Table.from_pylist(more, schema=rows.schema)])

    desk.change("consents", agreed)
    made = desk.ask(*export)
    assert (made["counts"]["exported"], made["channel"]) == (2, "ads")
    content = b"".join(path.read_bytes() for path in sorted((Path(made["folder"]) / "add").iterdir()))
    rows = [line.split(",") for line in content.decode().splitlines()[1:]]
    assert sorted((bool(email), bool(phone)) for email, phone in rows) == [(False, True), (True, False)]
    values = [row["id_value"] for row in known if row["customer_id"] in (one, two)] + [one, two]
    assert not any(value.encode() in content for value in values)


def test_a_tool_that_knows_addresses_gets_nobody_without_one_nor_who_shares_it_with_somebody_opted_out(
    desk: Desk,
) -> None:
    free = ids(desk.export(), "add")
    known = {row["customer_id"]: row["id_value"] for row in desk.curated("identities") if row["id_type"] == "email"}
    stopped, shares = sorted(free & set(known))[:2]

    def shared(rows: pa.Table) -> pa.Table:
        own = pc.and_(pc.equal(rows["customer_id"], shares), pc.equal(rows["id_type"], "email"))
        place = rows.column_names.index("id_value")
        return rows.set_column(place, "id_value", pc.if_else(own, known[stopped].upper(), rows["id_value"]))

    desk.change("identities", shared)
    with Store(f"sqlite:///{desk.home}/wayline.db", actor="ann") as store:
        store.suppress(stopped, None, "asked for it")
    made = desk.export(to="hubspot")
    content = b"".join(path.read_bytes() for path in (Path(made["folder"]) / "add").iterdir())
    assert known[stopped].encode() not in content
    assert made["reasons"]["SHARED_CONTACT"] == 1
    assert made["counts"]["rejected"] == len(free - set(known) - {stopped, shares}) > 0
    assert made["counts"]["exported"] == len(free & set(known)) - 2
    assert lines(made, "suppress") == [], "who was never sent there is not told there"


def test_a_retired_audience_leaves_no_more(desk: Desk) -> None:
    desk.ask("audience", "retire", "everybody", "--by", "bob", "--note", "over")
    assert "It is exported no more" in desk.export(code=4)
    assert nothing_left(desk)


@pytest.mark.postgres
def test_what_a_tool_holds_is_kept_in_postgresql_as_well(
    desk: Desk, postgres_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAYLINE_DATABASE_URL", postgres_address)
    desk.ask("audience", "save", desk.home / "everybody.toml")
    assert "no second person has verified" in desk.export(code=4)
    desk.ask("export", "approve", "everybody", "--to", "generic", "--by", "bob", "--run", desk.earlier)
    tool = Tool()
    first = desk.export("--run", desk.earlier)
    tool.load(first)
    desk.ack(first)
    desk.ask("audience", "verify", "everybody", "--by", "bob")
    second = desk.export("--mode", "delta")
    assert second["prev_run_id"] == desk.earlier
    tool.load(second)
    assert len(tool.members) == second["counts"]["exported"]


# A second person


def test_an_unverified_or_a_large_audience_needs_somebody_else_to_approve(desk: Desk) -> None:
    desk.settings("[exports.approval]\nrows_above = 10\n")
    export = ("export", "everybody", "--to", "generic")
    assert "Say with --by who asks" in desk.ask(*export, code=4)
    assert "export approve everybody --to generic --channel email" in desk.export(code=4)
    desk.ask("export", "approve", "everybody", "--to", "generic", "--by", "Ann ")
    assert "cannot ask for it too" in desk.export(code=4)
    desk.ask("export", "approve", "everybody", "--to", "generic", "--by", "bob", "--note", "seen")
    assert desk.export("--run", desk.earlier, code=4), "it was approved for another run"
    made = desk.export()
    assert made["approved_by"] == "bob"
    assert audience_verify.verify(Path(made["folder"])).manifest.approved_by == "bob"
    actions = [one.action for one in audit(desk)]
    assert actions[0] == "export.recorded"
    assert actions.count("export.approved") == 2
    assert "seen" not in str(audit(desk)[2].details)


# Proof


def test_a_bundle_is_proved_far_from_its_workspace(desk: Desk, tmp_path: Path) -> None:
    key = desk.ask("export", "keys", "--out", tmp_path / "bank.pem")
    assert key["is_new"] is True
    assert desk.ask("export", "keys")["public_key"] == key["public_key"]
    made = desk.export("--out", tmp_path / "outbox")
    shutil.rmtree(desk.home)
    told = json.loads(_said(desk, "export", "verify", made["folder"], "--public-key", tmp_path / "bank.pem", "--json"))
    assert told["ok"] is True
    assert told["signed_by"] == key["key_id"]
    assert told["counts"] == made["counts"]
    part = next((tmp_path / "outbox" / "add").iterdir())
    part.write_bytes(part.read_bytes() + b"\n")
    with pytest.raises(CheckFailed):
        audience_verify.verify(tmp_path / "outbox")


def _said(desk: Desk, *words: object) -> str:
    desk.capsys.readouterr()
    assert main([str(word) for word in words]) == 0
    return desk.capsys.readouterr().out


def test_the_same_export_again_gives_the_same_bytes(desk: Desk) -> None:
    def content() -> dict[str, bytes]:
        folder = Path(desk.export("--mode", "mirror", "--format", "parquet")["folder"])
        return {path.name: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    assert content() == content()


def test_what_people_are_told_is_in_the_columns_of_the_contract() -> None:
    assert [one.name for one in members.COLUMNS if one.pii != "none"] == ["external_id"]


# Taken back


def test_an_export_that_was_taken_back_cannot_be_loaded_and_the_next_one_removes_its_members(desk: Desk) -> None:
    tool = Tool()
    first = desk.export("--run", desk.earlier)
    tool.load(first)
    desk.ack(first)
    wrong = desk.export("--run", desk.later)
    tool.load(wrong)  # though it never acknowledged it
    words = ("export", "revoke", "everybody", "--to", "generic", "--run", desk.later, "--by", "ann")
    told = desk.ask(*words, "--note", "for C00000001 alone")
    assert (told["to"], told["folders"], told["next_is_full"]) == ("generic/email", [wrong["folder"]], True)
    with pytest.raises(CheckFailed, match="was taken back"):
        audience_verify.verify(Path(wrong["folder"]))
    assert not (Path(wrong["folder"]) / "_SUCCESS").exists()
    again = desk.ask(*words)
    assert again == told | {"folders": []}
    assert "was taken back by ann" in desk.export("--run", desk.later, code=4)

    assert "max_removed_share" in desk.export("--run", desk.earlier, code=4), "a person says that so many go"
    following = desk.export("--run", desk.earlier, "--mode", "delta", "--allow-shrink")
    assert following["mode"] == "full" and "was taken back" in following["resync"]
    whole = desk.export("--run", desk.earlier, "--allow-shrink")
    assert ids(whole, "remove") == ids(wrong, "add") - ids(first, "add") != set()
    tool.load(whole)
    assert tool.members == ids(first, "add")
    desk.ack(whole)
    assert desk.export("--run", desk.earlier, "--mode", "delta")["mode"] == "delta"
    listed = {(one["run_id"], one["revoked_by"]) for one in desk.ask("export", "list", "everybody")["exports"]}
    assert listed == {(desk.earlier, None), (desk.later, "ann")}
    with Store(f"sqlite:///{desk.home}/wayline.db") as store:
        (entry,) = store.audit_trail(action="export.revoked")
        assert (entry.actor, entry.subject) == ("ann", "everybody/generic/email")
        assert "C00000001" not in json.dumps(entry.details)
        assert store.verify_audit() is None


def test_what_was_never_handed_over_cannot_be_taken_back_and_nobody_does_it_namelessly(desk: Desk) -> None:
    words = ("export", "revoke", "everybody", "--to", "generic", "--run", desk.later)
    assert "export" in desk.ask(*words, "--by", "ann", code=2)
    made = desk.export("--run", desk.later)
    assert "Say who it is" in desk.ask(*words, "--by", " ", code=4)
    assert "export" in desk.ask(*words, "--channel", "sms", "--by", "ann", code=2)
    audience_verify.verify(Path(made["folder"]))


def test_taking_back_what_a_tool_has_replaced_since_leaves_its_deltas_alone(desk: Desk) -> None:
    desk.ack(desk.export("--run", desk.earlier))
    desk.ack(desk.export("--run", desk.later))
    told = desk.ask("export", "revoke", "everybody", "--to", "generic", "--run", desk.earlier, "--by", "ann")
    assert told["next_is_full"] is False
    assert desk.export("--run", desk.later, "--mode", "delta")["mode"] == "delta"
