"""Selections: what is written into an address is read back, and the list is as long as its mark says."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.access import Right, Role, Viewer
from engine.domain.errors import GroupTooSmall, NotAllowed, NotEnoughData, RefusedByPolicy, UnknownName
from engine.lake.runs import Run, latest_run
from engine.lake.workspace import Workspace
from engine.ui.views import journey_flow
from engine.ui.views.flow import Flow
from engine.ui.words import Words
from engine.workflows import selected_audiences
from engine.workflows.view import journeys, people, selected_paths, selection
from engine.workflows.view.selection import KINDS, Selection
from tests.engine.ui import bank, every_mark
from tests.engine.ui.bank import OWNER

OF_TESTS = ("arm", "converted")  # the bank made by hand has results of tests, and no exposures behind them

Made = tuple[Workspace, Run]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    home = tmp_path_factory.mktemp("selections")
    return Workspace(home), bank.make(home)


@pytest.fixture
def small_copy(small_home: Path, tmp_path: Path) -> Made:
    """A small simulated bank that a test may write to."""
    workspace = Workspace(Path(shutil.copytree(small_home, tmp_path / "home")))
    return workspace, latest_run(workspace)


@given(kind=st.sampled_from(sorted(KINDS)), data=st.data())
def test_a_selection_is_read_back_from_the_address_whatever_its_values(kind: str, data: st.DataObject) -> None:
    values = tuple(data.draw(st.text(max_size=20)) for _ in KINDS[kind].fields)
    one = Selection(kind=kind, values=values)
    assert selection.read(one.written()) == one


@pytest.mark.parametrize("text", ["", "nothing", "tier", "tier/low/more", "journey_step/loan/1", "<script>"])
def test_an_address_that_names_no_selection_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(UnknownName, match="selection"):
        selection.read(text)


def test_the_list_is_as_long_as_the_mark_says_for_every_mark(made: Made) -> None:
    workspace, run = made
    marks = {one.selection: one for one in every_mark.on(run, Words()) if one.selection.kind not in OF_TESTS}
    assert {one.kind for one in marks} >= {"journey_step", "rfm", "value_risk", "gate", "offers", "tier", "watch"}
    # of the many bars of the journeys, every ninth
    asked = [one for place, one in enumerate(marks) if one.kind != "journey_step" or place % 9 == 0]
    for one in asked:
        assert people.counted(workspace, run, one, OWNER).rows == marks[one].count, marks[one].label


def test_every_mark_of_a_simulated_bank_is_as_long_as_its_list(demo_home: Path) -> None:
    workspace = Workspace(demo_home)
    run = latest_run(workspace)
    marks = {one.selection: one for one in every_mark.on(run, Words())}
    assert {one.kind for one in marks} >= {"arm", "converted", "answer", "gate_reason", "credit_terms"}
    asked = [one for place, one in enumerate(marks) if one.kind != "journey_step" or place % 9 == 0]
    for one in asked:
        assert people.counted(workspace, run, one, OWNER).rows == marks[one].count, marks[one].label


def test_pages_of_a_list_hold_everybody_once(made: Made) -> None:
    workspace, run = made
    one = selection.of("journey_step", journey="credit_card", step=1, outcome="reached", breakdown="all", group="all")
    total = people.counted(workspace, run, one, OWNER).customers
    found = [
        customer
        for offset in range(0, total, people.ROWS)
        for customer in people.page(workspace, run, one, OWNER, offset)["customer_id"]
    ]
    assert len(found) == len(set(found)) == total > people.ROWS


@pytest.mark.parametrize("breakdown", ["all", "channel"])
def test_flow_and_funnel_show_the_same_customers(made: Made, breakdown: str) -> None:
    rows = journeys.funnel(OWNER, made[1], "credit_card", breakdown)
    figure = journey_flow.flow(rows, Words(), "credit_card", "all", as_share=False)
    assert isinstance(figure.chart, Flow)
    counts = {node.name: node.count for node in figure.chart.nodes}
    for row in journeys.funnel(OWNER, made[1], "credit_card", "all").to_dict("records"):
        assert counts[f"{row['step_index']}. {Words().label('step', row['step'])}"] == row["customers"]
    for node in figure.chart.nodes:
        leaving = [band.count for band in figure.chart.bands if band.source == node.name]
        coming = [band.count for band in figure.chart.bands if band.target == node.name]
        assert not leaving or sum(leaving) == node.count, "whoever reached a step goes on, leaves or is on the way"
        assert not coming or sum(coming) == node.count


def test_small_groups_are_hidden_from_who_may_not_see_them(made: Made) -> None:
    workspace, run = made
    marketing = Viewer(name="bob", role=Role.MARKETING)
    sizes = {mark.selection: mark.count for mark in every_mark.of_journey(run, "credit_card", Words())}
    small = next(one for one, count in sizes.items() if 0 < count < 10 and one["breakdown"] != "risk_tier")
    assert people.counted(workspace, run, small, OWNER).customers == sizes[small]
    for ask in (people.counted, people.page, selected_paths.around):
        with pytest.raises(GroupTooSmall):
            ask(workspace, run, small, marketing)


@pytest.mark.parametrize("role", Role)
def test_a_selection_about_risk_needs_the_right_to_see_risk(made: Made, role: Role) -> None:
    workspace, run = made
    viewer = Viewer(name="eve", role=role)
    by_tier = selection.of(
        "journey_step", journey="credit_card", step=1, outcome="reached", breakdown="risk_tier", group="low"
    )
    for one in (selection.of("tier", risk_tier="low"), by_tier):
        if viewer.may(Right.SEE_RISK):
            assert people.counted(workspace, run, one, viewer).customers > 0
        else:
            with pytest.raises(NotAllowed, match=Right.SEE_RISK):
                people.counted(workspace, run, one, viewer)


def test_who_may_not_see_customers_gets_a_rounded_count_no_list_and_no_audience(made: Made) -> None:
    workspace, run = made
    product = Viewer(name="kim", role=Role.PRODUCT)
    one = selection.of("journey_step", journey="credit_card", step=1, outcome="reached", breakdown="all", group="all")
    exact, told = (people.counted(workspace, run, one, viewer) for viewer in (OWNER, product))
    assert told.is_rounded and told.customers % 10 == 0
    assert abs(told.customers - exact.customers) <= 5
    with pytest.raises(NotAllowed, match=Right.SEE_CUSTOMERS):
        selected_paths.around(workspace, run, one, product)
    with pytest.raises(NotAllowed, match=Right.SEE_CUSTOMERS):
        people.page(workspace, run, one, product)
    with pytest.raises(NotAllowed, match=Right.BUILD_AUDIENCE):
        selected_audiences.save(workspace, run, one, product, audience="x", name="X", way="frozen")


def test_a_rule_and_a_frozen_list_mean_the_same_customers_as_the_selection(small_copy: Made) -> None:
    workspace, run = small_copy
    marks = [mark for mark in every_mark.of_segments(run, Words()) if mark.selection.kind == "rfm"]
    cell = max(marks, key=lambda mark: mark.count)
    assert selected_audiences.kept(workspace, run, cell.selection) is None
    made = selected_audiences.save(workspace, run, cell.selection, OWNER, audience="by_rule", name="R", way="rule")
    assert made["members"] == cell.count
    assert selected_audiences.kept(workspace, run, cell.selection) == "by_rule"
    step = next(mark for mark in every_mark.of_journey(run, journeys.listed(run)[0], Words()) if mark.count > 5)
    with pytest.raises(NotEnoughData, match="frozen"):
        selected_audiences.save(workspace, run, step.selection, OWNER, audience="steps", name="S", way="rule")
    frozen = selected_audiences.save(workspace, run, step.selection, OWNER, audience="steps", name="S", way="frozen")
    assert frozen["members"] == step.count
    assert selected_audiences.kept(workspace, run, step.selection) == "steps"
    with pytest.raises(RefusedByPolicy, match="kept already"):
        selected_audiences.save(workspace, run, cell.selection, OWNER, audience="steps", name="O", way="rule")


def test_paths_count_every_customer_once_at_the_moment(small_copy: Made) -> None:
    workspace, run = small_copy
    journey = journeys.listed(run)[0]
    one = selection.of("journey_step", journey=journey, step=1, outcome="reached", breakdown="all", group="all")
    found = selected_paths.around(workspace, run, one, OWNER)
    for side in (found.before, found.after):
        assert sum(node["reached"] for node in side["nodes"] if node["place"] == 0) == found.known
    assert found.known <= found.customers == people.counted(workspace, run, one, OWNER).customers
