"""Two persons at two browsers: a case's whole life, and a change of the policy that another person approves."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.domain.access import Role, Viewer
from engine.lake.runs import latest_run
from engine.ui.views import cases as views
from engine.ui.words import Words
from engine.workflows import cases, held_catalogue, policy_approvals, session
from engine.workflows.view import cases as view
from engine.workflows.view.cases import Asked
from engine.workflows.view.desk import newest
from tests.doors.served import CHROMIUM, NO_CHROMIUM, Watched, serving

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=NO_CHROMIUM),
]
EN = Words()
ANN = Viewer(name="Ann", role=Role.OWNER)


@pytest.fixture(scope="module")
def home(small_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("work") / "home"
    shutil.copytree(small_home, folder)
    return folder


@pytest.fixture(scope="module")
def address(home: Path) -> Iterator[str]:
    with serving(home, home / "app.log") as served:
        yield served


def at(browser: Any, address: str, name: str) -> Watched:
    """Somebody at a browser of one's own, under that name."""
    watched = Watched(browser.new_context(viewport={"width": 1440, "height": 1000}).new_page())
    watched.open(address)
    side = watched.page.get_by_test_id("stSidebar")
    side.get_by_role("button").filter(has_text=EN.label("viewer_role", "owner")).click()
    field = watched.page.get_by_label(EN.t("sign_in.name"), exact=True)
    field.fill(name)
    field.press("Enter")
    watched.settle()
    watched.page.keyboard.press("Escape")
    return watched


def go(watched: Watched, page: str) -> None:
    """Choose a page as a reader does: a new address would be a new session."""
    watched.page.get_by_test_id("stSidebarNav").get_by_role("link", name=EN.t(f"{page}.title"), exact=True).click()
    watched.page.get_by_role("heading", name=EN.t(f"{page}.title"), level=1).wait_for()
    watched.settle()


def press(watched: Watched, label: str) -> None:
    watched.page.get_by_role("button", name=label).last.click()
    watched.settle()


def fill(watched: Watched, label: str, text: str) -> None:
    field = watched.page.get_by_label(label, exact=True).locator("visible=true").last
    field.fill(text)
    field.press("Tab")


def test_a_case_lives_from_the_inbox_to_its_outcome_under_two_persons(browser: Any, address: str, home: Path) -> None:
    ann, bob = at(browser, address, "Ann"), at(browser, address, "Bob")
    _, rows = view.inbox(*newest(home), ANN, Asked())
    ref = str(rows["alert_id"].iloc[0])
    for one in (ann, bob):
        go(one, "cases")
        one.choose(EN.t("cases.pick"), views.named(rows.iloc[0].to_dict(), EN))
        press(one, EN.t("cases.open_button"))
    press(ann, EN.t("cases.to_me"))
    assert ann.page.get_by_text(EN.t("cases.of_whom", name="Ann")).count() >= 1
    press(bob, EN.t("cases.to_me"))
    assert bob.page.get_by_text("changed while you looked at it: Ann").count() == 1
    assert cases.shown(home, ANN, ref)["assignee"] == "Ann"
    fill(bob, EN.t("comments.text"), "<b>called</b>, no answer")
    press(bob, EN.t("comments.send"))
    assert bob.page.get_by_text("<b>called</b>, no answer").count() == 1
    press(bob, EN.t("cases.close"))
    fill(bob, EN.t("cases.note"), "settled")
    bob.page.get_by_test_id("stPopoverBody").get_by_role("button", name=EN.t("cases.close")).click()
    bob.settle()
    found = cases.shown(home, ANN, ref)
    assert (found["status"], found["outcome"]) == ("resolved", "confirmed_risk")
    assert [(one["by"], one["act"]) for one in found["history"]] == [
        ("Ann", "opened"), ("Ann", "assigned"), ("Bob", "closed"),
    ]  # fmt: skip
    assert ann.errors == bob.errors == []
    assert ann.outside == bob.outside == []


def test_a_change_is_tried_proposed_and_approved_by_another_person(browser: Any, address: str, home: Path) -> None:
    workspace = session.workspace_at(home)
    before = held_catalogue.in_force(workspace, latest_run(workspace).as_of).policies.top_n
    ann, bob = at(browser, address, "Ann"), at(browser, address, "Bob")
    go(ann, "recommendations")
    slider = ann.page.get_by_role("slider", name=EN.t("what_if.top_n"))
    slider.focus()
    slider.press("ArrowLeft")
    press(ann, EN.t("what_if.compare"))
    fill(ann, EN.t("policies.note"), "fewer and better")
    press(ann, EN.t("policies.propose"))
    assert ann.page.get_by_text(EN.t("policies.own")).count() == 1, "nobody approves one's own"
    assert ann.page.get_by_role("button", name=EN.t("policies.approve"), exact=True).count() == 0
    go(bob, "risk")
    bob.page.get_by_role("radio", name=EN.label("risk_part", "changes")).click()
    bob.settle()
    bob.page.get_by_role("button", name=EN.t("policies.approve")).click()
    fill(bob, EN.t("policies.note"), "agreed")
    bob.page.get_by_test_id("stPopoverBody").get_by_role("button", name=EN.t("policies.approve")).click()
    bob.settle()
    one, standing = policy_approvals.standings(workspace)[0]
    assert (standing, one.author, one.decided_by) == ("approved", "Ann", "Bob")
    now = latest_run(workspace).as_of + timedelta(days=1)
    assert held_catalogue.in_force(workspace, now).policies.top_n == before - 1
    assert ann.errors == bob.errors == []
