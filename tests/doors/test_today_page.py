"""The first page: what has most at stake first, what waits for this viewer, dismissals, changes since before."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from engine.domain.access import Role, Viewer
from engine.domain.errors import ApprovalNeeded, RefusedByPolicy
from engine.ui import state
from engine.ui.views import today as views
from engine.ui.words import LANGUAGES, Language, Words
from engine.workflows import cases, dismissals, experiment
from engine.workflows.cases import Seen
from engine.workflows.view import cases as inbox
from engine.workflows.view import today, waiting
from engine.workflows.view.desk import newest
from engine.workflows.view.today import Attention, Headline
from tests.conftest import REPOSITORY
from tests.engine.ui import bank

EN = Words()
ANN = Viewer(name="ann", role=Role.RISK)
MARKETER = Viewer(name="mia", role=Role.MARKETING)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    bank.make(tmp_path)
    monkeypatch.setenv("WAYLINE_HOME", str(tmp_path))
    monkeypatch.delenv("WAYLINE_DATABASE_URL", raising=False)
    return tmp_path


def test_what_has_most_money_at_stake_comes_first_and_the_unknown_keeps_its_order() -> None:
    items = [Attention(kind=kind, count=1, page="data", money_minor=money) for kind, money in
             (("a", None), ("b", 5), ("c", None), ("d", 70))]  # fmt: skip
    assert [one.kind for one in today.by_money(items)] == ["d", "b", "a", "c"]


def test_cases_and_requests_wait_for_who_may_look_at_them_and_not_for_who_asked(home: Path) -> None:
    workspace, run = newest(home)
    ref = str(inbox.inbox(workspace, run, ANN, inbox.Asked(kind="watch_list"))[1]["alert_id"].iloc[0])
    cases.assign(home, ANN, Seen(ref=ref), "ann")
    product = Viewer(name="pia", role=Role.PRODUCT)
    with pytest.raises(ApprovalNeeded):
        experiment.decide(home, "card_onboarding", "ship", owner=product, note="the season ends")
    kinds = {one.kind for one in waiting.for_viewer(workspace, run, ANN)}
    assert {"cases_mine", "cases_late", "review_waiting"} <= kinds
    asker = Viewer(name="Pia", role=Role.RISK)
    assert "review_waiting" not in {one.kind for one in waiting.for_viewer(workspace, run, asker)}
    assert waiting.for_viewer(workspace, run, MARKETER) == ()
    late = next(one for one in waiting.for_viewer(workspace, run, ANN) if one.kind == "cases_late")
    assert late.count == inbox.counts(inbox.summary(workspace, run, ANN))["late"]


def test_a_dismissal_is_ones_own_has_a_reason_and_ends_when_the_size_changes(home: Path) -> None:
    _, run = newest(home)
    item = Attention(kind="risk_held", count=7, page="recommendations")
    with pytest.raises(RefusedByPolicy, match="Say why"):
        dismissals.add(home, ANN, run.run_id, item.item, " ")
    dismissals.add(home, ANN, run.run_id, item.item, "known")
    dismissals.add(home, ANN, run.run_id, item.item, "known")
    assert [reason for reason, _ in dismissals.of(home, ANN, run.run_id).values()] == ["known"]
    assert dismissals.of(home, MARKETER, run.run_id) == {}
    assert Attention(kind="risk_held", count=8, page="recommendations").item not in dismissals.of(home, ANN, run.run_id)
    dismissals.show_again(home, ANN, run.run_id)
    assert dismissals.of(home, ANN, run.run_id) == {}


def test_a_tile_tells_its_change_since_the_run_before_and_its_course_over_the_runs() -> None:
    def counted(customers: int, active: int | None) -> Headline:
        return Headline(
            customers=customers, active=active, with_offer=1, held_by_risk=1, experiments=1, experiments_flagged=0
        )

    tiles = views.tiles(counted(110, None), EN, [counted(90, 5), counted(100, 6)])
    assert (tiles[0].change, tiles[0].course) == ("+10", (90, 100, 110))
    assert (tiles[1].value, tiles[1].change) == ("—", None)
    assert views.tiles(counted(110, 1), EN)[0].course == ()


def test_earlier_runs_are_those_of_earlier_cut_offs(home: Path) -> None:
    workspace, run = newest(home)
    assert today.earlier(workspace, run) == ()
    later = type("Later", (), {"as_of": run.as_of + timedelta(days=30)})()
    assert [one.run_id for one in today.earlier(workspace, later)] == [run.run_id]


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_dismissed_leaves_the_page_and_can_be_shown_again(home: Path, language: Language) -> None:
    app, words = AppTest.from_file(str(REPOSITORY / "app.py"), default_timeout=120), Words(language=language)
    app.query_params["lang"] = language
    app.run()
    before = [one for one in app.button if one.label == words.t("home.dismiss")]
    app.text_input(key="h_reason_0").input("known to everybody")
    before[0].click()
    app.run()
    assert not app.exception
    assert len([one for one in app.button if one.label == words.t("home.dismiss")]) == len(before) - 1
    me = state.viewer()
    assert len(dismissals.of(home, me, newest(home)[1].run_id)) == 1
    next(one for one in app.button if one.label == words.t("home.show_again")).click()
    app.run()
    assert len([one for one in app.button if one.label == words.t("home.dismiss")]) == len(before)
