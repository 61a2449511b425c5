"""The page of alerts and cases: the same counts as the inbox, a case's whole life by its controls, two at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from engine.domain.access import Role, Viewer
from engine.ui import state
from engine.ui.words import LANGUAGES, Language, Words
from engine.workflows import cases, comments
from engine.workflows.cases import Seen
from engine.workflows.view import cases as view
from engine.workflows.view.cases import Asked
from engine.workflows.view.desk import newest
from tests.conftest import REPOSITORY
from tests.engine.ui import bank

ANN = Viewer(name="ann", role=Role.OWNER)
BOB = Viewer(name="bob", role=Role.RISK)
EN = Words()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    bank.make(tmp_path)
    monkeypatch.setenv("WAYLINE_HOME", str(tmp_path))
    monkeypatch.delenv("WAYLINE_DATABASE_URL", raising=False)
    return tmp_path


def opened(**address: str) -> AppTest:
    app = AppTest.from_file(str(REPOSITORY / "app.py"), default_timeout=120)
    app.query_params.update(address)
    app.run()
    app.switch_page("engine/ui/pages/cases.py")
    app.query_params.update(address)
    return app.run()


def said(app: AppTest) -> str:
    kinds: Iterator[object] = (element.value for kind in (app.markdown, app.text, app.caption) for element in kind)
    return "\n".join(map(str, kinds))


def press(app: AppTest, label: str) -> AppTest:
    next(one for one in app.button if one.label == label).click()
    return app.run()


def first(home: Path) -> str:
    return str(view.inbox(*newest(home), ANN, Asked(kind="watch_list"))[1]["alert_id"].iloc[0])


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_inbox_shows_the_counts_that_are_counted(home: Path, language: Language) -> None:
    app, words = opened(lang=language), Words(language=language)
    counts = view.counts(view.summary(*newest(home), ANN))
    assert not app.exception
    shown = {one.label: one.value for one in app.metric}
    assert shown[words.t("cases.open")] == words.number(counts["inbox"])
    assert shown[words.t("cases.late")] == words.number(counts["late"])
    _, rows = view.inbox(*newest(home), ANN, Asked())
    table = next(one.value for one in app.dataframe if words.t("cases.due") in one.value.columns)
    assert len(table) == len(rows)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_case_goes_from_alert_to_outcome_by_the_controls_of_its_page(home: Path, language: Language) -> None:
    ref, words = first(home), Words(language=language)
    app = opened(q_id=ref, lang=language)
    assert words.t("cases.alert") in app.header[0].value
    press(app, words.t("cases.to_me"))
    assert words.t("cases.case_n", n=1) in app.header[0].value
    app.text_area[0].input("<script>alert(1)</script> called, *no* answer")
    press(app, words.t("comments.send"))
    assert "<script>alert(1)</script> called, *no* answer" in [one.value for one in app.text], "shown as it was written"
    app.text_input(key="q_close_note").input("not ours")
    press(app, words.t("cases.close"))
    assert words.label("case_status", "resolved") in said(app) or not app.exception
    found = cases.shown(home, ANN, ref)
    assert (found["status"], found["outcome"]) == ("resolved", "confirmed_risk")
    assert [one["act"] for one in found["history"]] == ["opened", "assigned", "closed"]
    assert [one["text"] for one in found["comments"]] == ["<script>alert(1)</script> called, *no* answer"]


def test_who_comes_second_is_told_and_sees_what_the_first_did(home: Path) -> None:
    ref = first(home)
    cases.begin(home, ANN, ref)
    app = opened(q_id=ref)
    cases.assign(home, BOB, Seen(ref=ref), "bob")
    press(app, EN.t("cases.to_me"))
    assert "bob" in app.error[0].value
    assert cases.shown(home, ANN, ref)["assignee"] == "bob"


def test_without_a_reason_nothing_is_closed_and_a_broken_link_says_so(home: Path) -> None:
    ref = first(home)
    app = opened(q_id=ref)
    press(app, EN.t("cases.close"))
    assert "needs a note" in app.error[0].value
    assert cases.shown(home, ANN, ref)["status"] == "pending"
    assert "no alert or case" in opened(q_id="watch_list/nobody").warning[0].value


def test_only_its_author_is_offered_to_withdraw_a_comment(home: Path) -> None:
    case = cases.begin(home, ANN, first(home))
    me = state.viewer().name
    for author in (BOB, Viewer(name=me, role=Role.OWNER)):
        comments.add(home, author, "case", str(case.case_id), f"of {author.name}")
    app = opened(q_id=case.alert_id)
    assert [one.label for one in app.button].count(EN.t("comments.withdraw")) == 1
    press(app, EN.t("comments.withdraw"))
    texts = [one.value for one in app.text]
    assert "of bob" in texts
    assert f"of {me}" not in texts
    assert EN.t("comments.withdrawn") in said(app)


def test_marketing_reads_nothing_of_a_case(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "viewer", lambda: Viewer(name="mia", role=Role.MARKETING))
    app = opened(q_id=first(home))
    assert not app.metric
    assert not app.dataframe
    told = [one.value for kind in (app.error, app.info, app.warning, app.markdown) for one in kind]
    assert any("Marketing" in one for one in told)
    assert not [one for one in told if "C000" in one]
