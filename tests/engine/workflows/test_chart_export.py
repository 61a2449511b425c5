"""What leaves of a chart: on record first, formulas disarmed, small counts kept from who may not see them."""

from __future__ import annotations

from pathlib import Path

import altair as alt
import pandas as pd
import pytest

from engine.domain.access import Role, Viewer
from engine.domain.errors import GroupTooSmall, StoreUnavailable
from engine.lake.runs import Run
from engine.lake.workspace import Workspace
from engine.store import Store
from engine.workflows import session
from engine.workflows.view import chart_export
from engine.workflows.view.chart_export import Chart
from tests.engine.ui import bank

OWNER = Viewer(name="ann", role=Role.OWNER)
MARKETING = Viewer(name="bob", role=Role.MARKETING)
ROWS = pd.DataFrame({"Step": ["1. 查看产品", "=1+1"], "Customers": [3, 120], "Score": [4, 5], "Rate": [0.25, 1e-7]})

Made = tuple[Workspace, Run]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    home: Path = tmp_path_factory.mktemp("charts")
    return Workspace(home), bank.make(home)


def chart(rows: pd.DataFrame = ROWS) -> Chart:
    bars = alt.Chart(rows).mark_bar().encode(x="Customers:Q", y="Step:N")
    return Chart(
        key="j_funnel",
        finding="3 of 123 customers leave.",
        cut_off="Data to 2026-06-30, run R",
        table=rows,
        spec=bars.to_dict,
        uncounted=frozenset({"Score"}),
    )


def test_csv_for_a_tool_has_the_values_as_they_are_and_no_line_beside_them(made: Made) -> None:
    found = chart_export.export(*made, chart(), "csv", OWNER).decode()
    assert found == '"Step","Customers","Score","Rate"\n1. 查看产品,3,4,0.25\n=1+1,120,5,0\n'


def test_csv_for_a_spreadsheet_says_of_which_data_it_is_and_runs_no_formula(made: Made) -> None:
    found = chart_export.export(*made, chart(), "spreadsheet", OWNER)
    assert found.startswith("\ufeff3 of 123 customers leave.".encode())
    lines = found.decode("utf-8-sig").split("\r\n")
    assert lines[1] == '"Data to 2026-06-30, run R"'
    assert lines[-2].startswith("'=1+1,120,"), "a spreadsheet shows the text and does not work it out"


def test_every_export_is_on_record_with_who_took_what(made: Made) -> None:
    workspace, run = made
    body = chart_export.export(workspace, run, chart(), "csv", OWNER)
    with Store(session.database_url(workspace)) as store:
        entry = store.audit_trail(1)[0]
    assert (entry.actor, entry.action, entry.subject) == ("ann", chart_export.EXPORTED, "j_funnel")
    assert entry.details["run_id"] == run.run_id
    assert entry.details["bytes"] == len(body)


def test_nothing_leaves_that_cannot_be_put_on_record(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAYLINE_DATABASE_URL", "sqlite:////nowhere/at/all.db")
    with pytest.raises(StoreUnavailable):
        chart_export.export(*made, chart(), "csv", OWNER)


def test_small_counts_do_not_leave_with_who_may_not_see_them(made: Made) -> None:
    told = chart_export.export(*made, chart(), "csv", MARKETING).decode()
    assert "1. 查看产品,<10,4,0.25" in told, "the count is masked, the score is none"
    assert "=1+1,120,5," in told
    with pytest.raises(GroupTooSmall):
        chart_export.export(*made, chart(), "png", MARKETING)
    large = chart(ROWS.assign(Customers=[30, 120]))
    assert chart_export.export(*made, large, "png", MARKETING).startswith(b"\x89PNG")


def test_the_picture_is_made_without_a_network_and_shows_chinese(made: Made) -> None:
    assert chart_export.export(*made, chart(), "png", OWNER).startswith(b"\x89PNG")
    named = chart().file_name(made[1], "png")
    assert named == f"wayline-j_funnel-{made[1].run_id}.png"
