"""The page of exports on a bank that has exported: its counts are the manifest's, a second person approves."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from engine.cli.main import main
from engine.domain.access import Role, Viewer
from engine.domain.errors import NotAllowed
from engine.lake.runs import latest_run
from engine.lake.workspace import Workspace
from engine.store import Store
from engine.ui.views import exports as views
from engine.ui.words import LANGUAGES, Language, Words, catalogue
from engine.workflows import export_acks, export_approvals, export_audience, session
from engine.workflows.export_plan import Wanted
from engine.workflows.view import exports, people
from tests.conftest import REPOSITORY
from tests.engine.ui.bank import OWNER

AUDIENCE = """
audience = "{id}"
name = "{name}"
name_zh = "{zh}"
owner = "ann"
channels = ["email"]
[rule]
all = []
"""


@pytest.fixture(scope="module")
def bank(small_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bank that exported everybody, whose tool loaded it and reported, and where another export waits."""
    home = tmp_path_factory.mktemp("exported") / "home"
    shutil.copytree(small_home, home)
    for name, zh in (("everybody", "全部"), ("doubted", "待定")):
        file = home / f"{name}.toml"
        file.write_text(AUDIENCE.format(id=name, name=name.capitalize(), zh=zh), encoding="utf-8")
        assert main(["audience", "save", str(file), "--home", str(home), "--quiet"]) == 0
    for words in (["audience", "verify", "everybody", "--by", "bob"], ["export", "recommendations"]):
        assert main([*words, "--home", str(home), "--quiet"]) == 0
    made = export_audience.audience(home, Wanted(audience="everybody", preset="generic", by="ann"))
    rows = sum(made["counts"][name] for name in ("added", "updated", "removed", "to_suppress"))
    ack = export_acks.Ack(
        audience="everybody",
        preset="generic",
        channel=None,
        run_id=made["run_id"],
        content_sha256=made["content_sha256"],
        received_rows=rows,
    )
    export_acks.acknowledge(home, ack, "tool")
    _report(home, made)
    assert main(["export", "doubted", "--to", "hubspot", "--by", "ann", "--home", str(home), "--quiet"]) == 4
    return home


def _report(home: Path, made: dict[str, Any]) -> None:
    """Report of everybody that the message was sent and delivered; five clicked, one left."""
    paths = sorted((Path(made["folder"]) / "add").glob("*.jsonl"))
    who = [json.loads(line)["external_id"] for path in paths for line in path.open("rb")]
    at = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    told = [(one, kind) for one in who for kind in ("sent", "delivered")]
    told += [(one, "clicked") for one in who[:5]] + [(who[0], "unsubscribed")]
    items = [
        {
            "event_id": str(number),
            "type": kind,
            "external_id": one,
            "run_id": made["run_id"],
            "audience_id": "everybody",
            "channel": "email",
            "occurred_at": at,
        }
        for number, (one, kind) in enumerate(told)
    ]
    file = home / "told.jsonl"
    file.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    assert main(["feedback", "load", str(file), "--home", str(home), "--quiet"]) == 0


def opened(monkeypatch: pytest.MonkeyPatch, home: Path, **address: str) -> AppTest:
    monkeypatch.setenv("WAYLINE_HOME", str(home))
    app = AppTest.from_file(str(REPOSITORY / "app.py"), default_timeout=120)
    app.query_params.update(address)
    app.run()
    app.switch_page("engine/ui/pages/exports.py")
    app.query_params.update(address)
    return app.run()


def texts(app: AppTest) -> str:
    told = [element.value for kind in (app.markdown, app.caption, app.error, app.success) for element in kind]
    return "\n".join(told + [frame.value.to_string() for frame in (*app.dataframe, *app.table)])


def of_everybody(home: Path) -> exports.Handed:
    _, rows = exports.handed(OWNER, home, exports.stamp(home))
    return next(one for one in rows if one.audience == "everybody")


def newest(home: Path) -> exports.Handed:
    return exports.handed(OWNER, home, exports.stamp(home))[1][0]


@pytest.mark.parametrize("language", LANGUAGES)
def test_counts_on_the_page_are_those_of_the_manifest(
    monkeypatch: pytest.MonkeyPatch, bank: Path, language: Language
) -> None:
    one, words = of_everybody(bank), Words(language=language)
    app = opened(monkeypatch, bank, lang=language, x_id=one.key)
    assert not app.exception and not app.info and not app.error
    assert one.folder is not None and one.manifest is not None
    manifest = json.loads((one.folder / "manifest.json").read_bytes())
    counts = manifest["counts"]
    steps = [name for name in manifest["counts"] if f"export_step.{name}" in catalogue()]
    shown: dict[str, int] = dict(views.inside(one, words).table.itertuples(index=False))
    assert shown[words.t("exports.selected")] == counts["selected"]
    assert shown[words.t("exports.exported")] == counts["exported"]
    assert {name: shown[words.t(f"export_step.{name}")] for name in steps} == {name: counts[name] for name in steps}
    assert counts["selected"] == sum(counts[name] for name in steps) + counts["exported"]
    told = texts(app)
    assert words.t("exports.finding_inside", exported=words.number(counts["exported"]),
                   selected=words.number(counts["selected"]),
                   share=words.share(counts["exported"] / counts["selected"])) in told  # fmt: skip
    assert all(file["sha256"] in told for file in manifest["files"])
    assert not any(code in told for code in manifest["reasons"]), "every reason is said in words"
    assert "wayline export everybody --to generic --channel email --mode full" in app.code[0].value


def test_what_came_back_is_what_the_tool_reported_with_why_there_is_no_comparison(
    monkeypatch: pytest.MonkeyPatch, bank: Path
) -> None:
    one = of_everybody(bank)
    told = texts(opened(monkeypatch, bank, x_id=one.key))
    sent = one.counts["exported"]
    assert f"Of {sent} customers sent to, 5 clicked ({100 * 5 / sent:.1f} %) and 0 converted" in told
    assert "1 unsubscribed" in told
    assert "No comparison: the run kept nobody out" in told
    assert "该次运行未留出对照组" in texts(opened(monkeypatch, bank, x_id=one.key, lang="zh"))


def test_no_customer_is_named_on_the_page(monkeypatch: pytest.MonkeyPatch, bank: Path) -> None:
    one = of_everybody(bank)
    assert one.folder is not None
    file = next((one.folder / "add").glob("*.jsonl"))
    ids = [json.loads(line)["external_id"] for line in file.open("rb")]
    told = texts(opened(monkeypatch, bank, x_id=one.key))
    assert ids and not any(customer in told for customer in ids)


def test_offers_of_a_whole_run_are_an_export_too(monkeypatch: pytest.MonkeyPatch, bank: Path) -> None:
    total, rows = exports.handed(OWNER, bank)
    assert total == len(rows) == 2
    offers = next(one for one in rows if not one.is_of_audience)
    app = opened(monkeypatch, bank, x_id=offers.key)
    assert not app.exception
    assert f"of {offers.counts['selected']:,} offers left" in texts(app)
    assert "No tool has reported anything of this export yet" in texts(app)
    assert app.code[1].value.startswith("wayline export recommendations --run")


def test_a_bundle_that_was_changed_is_said_to_be_and_none_of_its_counts_is_shown(
    monkeypatch: pytest.MonkeyPatch, bank: Path, tmp_path: Path
) -> None:
    one = of_everybody(bank)
    assert one.folder is not None
    app = opened(monkeypatch, bank, x_id=one.key)
    part = next((one.folder / "add").glob("*.jsonl"))
    whole = part.read_bytes()
    try:
        app.button[0].click().run()
        assert "are what was exported" in texts(app)
        part.write_bytes(whole[:-2])
        app.button[0].click().run()
        assert not app.exception
        assert part.name in "".join(info.value for info in app.info)
    finally:
        part.write_bytes(whole)
    (one.folder / "manifest.json").rename(tmp_path / "manifest.json")
    try:
        gone = of_everybody(bank)
        assert (gone.manifest, gone.counts, gone.folder) == (None, {}, None)
        assert gone.rows == one.rows
    finally:
        (tmp_path / "manifest.json").rename(one.folder / "manifest.json")


def test_a_second_person_approves_on_the_page_and_the_one_who_asked_cannot(
    monkeypatch: pytest.MonkeyPatch, bank: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(bank, home)
    app = opened(monkeypatch, home)
    assert "Nobody else has agreed yet to 1 of them." in texts(app)
    app.text_input(key="me_name").set_value(" ANN ").run()
    next(one for one in app.button if one.label == Words().t("exports.approve")).click().run()
    assert "ann asked for this export" in app.error[0].value
    app.text_input(key="me_name").set_value("carla").run()
    next(one for one in app.button if one.label == Words().t("exports.approve")).click().run()
    assert not app.exception and not app.error
    (one,) = export_approvals.waiting(Workspace(home))
    assert (one.approved_by, one.cause) == ("carla", "unverified")
    again = "wayline export doubted --to hubspot --channel email"
    assert any(again in code.value for code in app.code), "whoever asked is told how to go on"
    made = export_audience.audience(home, Wanted(audience="doubted", preset="hubspot", by="ann"))
    assert made["approved_by"] == "carla"
    assert export_approvals.waiting(Workspace(home)) == [], "what has left waits no more"


def test_an_export_is_taken_back_on_the_page_with_a_reason_by_whom_it_is_for(
    monkeypatch: pytest.MonkeyPatch, bank: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.copytree(bank, home)
    # one that lies in the copy: the bank's own lie where they were written
    export_audience.audience(home, Wanted(audience="everybody", preset="braze_cdi", by="ann"))
    one = newest(home)
    assert one.to == "braze_cdi/email" and one.folder is not None and one.folder.is_relative_to(home)
    for role in (Role.MARKETING, Role.AUDITOR):
        with pytest.raises(NotAllowed):
            exports.revoke(Viewer(name="eve", role=role), home, one, "why not")
    app = opened(monkeypatch, home, x_id=one.key)
    take = Words().t("exports.take_back")
    next(button for button in app.button if button.label == take).click().run()
    assert "needs a note" in app.error[0].value
    app.text_input(key="x_revoke_note").set_value("The wrong list was meant.")
    next(button for button in app.button if button.label == take).click().run()
    assert not app.exception and not app.error, [one.value for one in app.error]
    gone = newest(home)
    assert (gone.key, gone.revoked_by is None, gone.manifest) == (one.key, False, None)
    assert f"{gone.revoked_by} took this export back" in texts(app)
    assert not [button for button in app.button if button.label == take]


def test_what_was_asked_for_by_another_definition_waits_no_more(bank: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(bank, home)
    assert len(export_approvals.waiting(Workspace(home))) == 1
    changed = AUDIENCE.format(id="doubted", name="Doubted", zh="待定").replace("all = []", 'event = ["login"]')
    (home / "doubted.toml").write_text(changed, encoding="utf-8")
    assert main(["audience", "save", str(home / "doubted.toml"), "--home", str(home), "--quiet"]) == 0
    assert export_approvals.waiting(Workspace(home)) == []
    with Store(session.database_url(Workspace(home))) as store:
        assert store.verify_audit() is None


def test_members_of_an_export_are_listed_as_many_as_left(bank: Path) -> None:
    one = of_everybody(bank)
    workspace, run = Workspace(bank), latest_run(Workspace(bank))
    marks = views.member_marks(one, Words())
    assert [mark.selection.kind for mark in marks] == ["exported"]
    assert people.counted(workspace, run, marks[0].selection, OWNER).customers == one.counts["exported"]
    product = Viewer(name="kim", role=Role.PRODUCT)
    with pytest.raises(NotAllowed):
        people.counted(workspace, run, marks[0].selection, product)


def test_a_new_export_says_first_who_would_leave(monkeypatch: pytest.MonkeyPatch, bank: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(bank, home)
    app = opened(monkeypatch, home, x_audience="everybody")
    found = exports.dry_run(OWNER, home, Wanted(audience="everybody", preset="generic", channel="email"))
    assert f"{found['counts']['exported']:,} of {found['counts']['selected']:,} members would leave" in texts(app)
    assert not app.exception
    app = opened(monkeypatch, home, x_audience="nobody_knows")
    assert any('"nobody_knows"' in one.value for one in app.warning), "a link of old says that its audience is gone"
