"""In a browser, from an empty workspace to a bank with its run: by one's own files, and by a public set."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.lake.runs import latest_run
from engine.lake.workspace import Workspace
from engine.ui.words import Words
from engine.workflows import simulate
from tests.doors.served import CHROMIUM, NO_CHROMIUM, Watched, serving

WORDS = Words()
MINUTES = 180_000  # milliseconds: a run on a machine that others use too

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=NO_CHROMIUM),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("first") / "home"


@pytest.fixture(scope="module")
def address(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(home, tmp_path_factory.mktemp("app") / "app.log") as found:
        yield found


def press(page: Any, label: str) -> None:
    from playwright.sync_api import expect

    button = page.get_by_role("button", name=WORDS.t(label), exact=True)
    expect(button).to_have_count(1, timeout=MINUTES)  # that of the step before may still be there for a moment
    button.click(timeout=MINUTES)


def test_own_files_become_a_bank_with_its_run(watched: Watched, address: str, home: Path, tmp_path: Path) -> None:
    simulate.simulate(300, 1, tmp_path / "files", file_format="csv")
    page = watched.page
    page.goto(address)
    page.get_by_role("link", name=WORDS.t("first_run.own_start")).click(timeout=MINUTES)
    page.get_by_role("textbox", name=WORDS.t("load.path")).fill(str(tmp_path / "files"), timeout=MINUTES)
    press(page, "load.look")
    page.get_by_text(WORDS.t("load.found", files="16", matched="15")).wait_for(timeout=MINUTES)
    press(page, "load.next")
    press(page, "load.check_go")
    page.get_by_role("button", name=WORDS.t("load.errors_get")).wait_for(timeout=MINUTES)
    press(page, "load.next")
    page.get_by_text(WORDS.t("load.consent_file")).wait_for(timeout=MINUTES)
    press(page, "load.next")
    press(page, "load.load_go")
    press(page, "load.run_go")
    page.get_by_role("link", name=WORDS.t("load.see")).click(timeout=MINUTES)
    customers = latest_run(Workspace(home)).read("segments").num_rows
    page.get_by_test_id("stMetricValue").first.get_by_text(WORDS.number(customers), exact=True).wait_for(
        timeout=MINUTES
    )


def test_public_set_is_taken_in_from_its_folder(watched: Watched, real_data: Path, tmp_path: Path) -> None:
    if not (real_data / "berka" / "account.asc").is_file():
        pytest.skip("the public set berka is not here")
    page = watched.page
    with serving(tmp_path / "home", tmp_path / "app.log") as address:
        page.goto(f"{address}/load")
        page.get_by_role("textbox", name=WORDS.t("load.path")).fill(str(real_data / "berka"), timeout=MINUTES)
        press(page, "load.look")
        page.get_by_role("button", name=WORDS.t("load.public_go", name="berka")).click(timeout=MINUTES)
        press(page, "load.run_go")
        page.get_by_role("link", name=WORDS.t("load.see")).wait_for(timeout=MINUTES)
    assert latest_run(Workspace(tmp_path / "home")).read("segments").num_rows == 5_369
