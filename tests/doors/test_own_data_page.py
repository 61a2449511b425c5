"""The page Use my data: five steps in a session, and a browser from an empty workspace to a bank with its run."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from engine.domain.access import Role, Viewer
from engine.lake.runs import folder_digest
from engine.lake.workspace import Workspace
from engine.ui.words import LANGUAGES, Language, Words
from engine.workflows import jobs, load
from tests.conftest import REPOSITORY

OWNER = Viewer(name="ann", role=Role.OWNER)
CUSTOMERS = (
    "客户号,Name,OpenDate,Sex,mail_ok\n"
    "C1,Ada Long,2015-06-01,F,yes\nC2,Bob Short,2011-01-20,M,no\nC3,Cy Round,sometime,M,\n"
)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "extract"
    folder.mkdir()
    (folder / "customers.csv").write_text(CUSTOMERS, encoding="utf-8")
    return folder


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AppTest:
    monkeypatch.setenv("WAYLINE_HOME", str(tmp_path / "home"))
    return opened("en")


def opened(language: Language) -> AppTest:
    app = AppTest.from_file(str(REPOSITORY / "app.py"), default_timeout=60)
    app.query_params["lang"] = language
    app.run()
    app.switch_page("engine/ui/pages/load.py")
    return app.run()


def press(app: AppTest, label: str, words: Words) -> None:
    next(button for button in app.button if button.label == words.t(label)).click()
    app.run()
    assert not app.exception


def fill(app: AppTest, label: str, value: str, words: Words) -> None:
    next(field for field in app.text_input if field.label == words.t(label)).set_value(value)


def at(app: AppTest, step: str) -> None:
    """Open a step by its address, as a link does."""
    app.query_params["l_step"] = step
    app.run()
    assert not app.exception


def sentences(app: AppTest) -> str:
    kinds = (app.markdown, app.info, app.error, app.caption, app.warning, app.success)
    return "\n".join(element.value for kind in kinds for element in kind).replace("\\", "")


def ended(home: Path) -> None:
    ends = time.monotonic() + 60
    while jobs.under_way(home):
        assert time.monotonic() < ends
        time.sleep(0.1)


@pytest.mark.parametrize("language", LANGUAGES)
def test_files_go_from_their_path_through_five_steps_into_the_tables(
    monkeypatch: pytest.MonkeyPatch, files: Path, tmp_path: Path, language: Language
) -> None:
    words, home = Words(language=language), tmp_path / "home"
    monkeypatch.setenv("WAYLINE_HOME", str(home))
    app = opened(language)
    fill(app, "load.path", str(files), words)
    press(app, "load.look", words)
    at(app, "map")
    assert words.t("load.found", files="1", matched="1") in sentences(app)
    picked = {box.label.rpartition(": ")[2]: box.value for box in app.selectbox}
    assert (picked["customer_id"], picked["joined_at"], picked["gender"]) == ("客户号", "OpenDate", "Sex")
    assert "A******g (8)" in sentences(app), "a name is not shown"
    assert "Ada Long" not in sentences(app)
    at(app, "check")
    press(app, "load.check_go", words)
    ended(home)
    app.run()
    assert words.t("load.check_some", kept="2", rows="3", refused="1") in sentences(app)
    at(app, "consent")
    channels = words.t("load.consent_some", channels=words.t("load_channel.email"))
    assert words.t("load.consent_undated") in sentences(app)
    assert not (home / "curated").exists()
    next(field for field in app.text_input if field.label == words.t("load.consent_day")).set_value("2024-01-01")
    app.run()
    assert channels in sentences(app)
    at(app, "load")
    press(app, "load.load_go", words)
    ended(home)
    app.run()
    assert words.t("load.load_done", rows="5", kept="4", refused="1") in sentences(app)
    again = tmp_path / "again"
    load.load(again, home / "mapping.toml")
    tables = Workspace(home).curated_tables()
    assert tables == ("customers", "consents")
    assert [folder_digest(Workspace(home).curated(table)) for table in tables] == [
        folder_digest(Workspace(again).curated(table)) for table in tables
    ]


def test_bad_path_is_told_and_the_page_goes_on(app: AppTest) -> None:
    fill(app, "load.path", "/nowhere/at/all", Words())
    press(app, "load.look", Words())
    assert "there is no such file or folder" in sentences(app)


def test_without_any_consent_it_is_said_that_nothing_can_be_exported(app: AppTest, files: Path) -> None:
    (files / "customers.csv").write_text(CUSTOMERS.replace("mail_ok", "colour"), encoding="utf-8")
    fill(app, "load.path", str(files), Words())
    press(app, "load.look", Words())
    at(app, "consent")
    assert Words().t("load.consent_none") in sentences(app)


def test_table_that_a_person_chooses_is_matched_anew(app: AppTest, files: Path) -> None:
    fill(app, "load.path", str(files), Words())
    press(app, "load.look", Words())
    at(app, "map")
    next(box for box in app.selectbox if box.label == Words().t("load.table")).set_value("watchlists")
    app.run()
    assert not app.exception
    picked = {box.label.rpartition(": ")[2]: box.value for box in app.selectbox}
    assert picked["full_name"] == "Name"
    at(app, "check")
    press(app, "load.check_go", Words()) if app.button and not app.error else None
    assert "Required columns are not filled" in sentences(app)


def test_steps_opened_without_files_say_what_is_missing(app: AppTest) -> None:
    for step in ("map", "check", "consent", "load"):
        at(app, step)
        assert len(app.info) == 1
