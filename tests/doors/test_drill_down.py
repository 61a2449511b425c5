"""From a mark to its customers, to one of them, and to an audience: on every page, by keyboard and by mouse."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest

from engine.lake.runs import latest_run
from engine.lake.workspace import Workspace
from engine.workflows import audiences
from engine.workflows.view import people, selection
from tests.doors.served import CHROMIUM, NO_CHROMIUM, Watched, serving
from tests.engine.ui.bank import OWNER

pytestmark = [pytest.mark.browser, pytest.mark.skipif(not CHROMIUM.exists(), reason=NO_CHROMIUM)]

PAGES = {
    "journeys": "j",
    "segments": "s",
    "recommendations": "r",
    "experiments": "e",
    "risk": "k",
    "risk?r_part=attention": "k",
}
"""Pages with a figure behind which customers are, and the letter of each."""


@pytest.fixture(scope="module")
def bank_home(small_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(small_home, tmp_path_factory.mktemp("drill") / "home"))


@pytest.fixture(scope="module")
def address(bank_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(bank_home, tmp_path_factory.mktemp("log") / "app.log") as served:
        yield served


def panel(watched: Watched) -> Any:
    found = watched.page.get_by_role("dialog")
    found.wait_for(timeout=20_000)
    watched.settle()
    return found


def chosen(watched: Watched, letter: str) -> selection.Selection:
    """Return the selection that stands in the address."""
    return selection.read(parse_qs(urlparse(watched.page.url).query)[f"{letter}_sel"][0])


def told(dialog: Any) -> list[int]:
    """Return the numbers in the title of the panel: rows and customers where they differ, else customers."""
    title = dialog.locator("h1, h2, [role=heading]").first.inner_text()
    return [int(number.replace(",", "")) for number in re.findall(r"[\d,]*\d", title)]


@pytest.mark.parametrize("page", PAGES)
def test_every_page_leads_by_keyboard_from_a_mark_to_a_customer_and_to_an_audience(
    watched: Watched, address: str, bank_home: Path, page: str
) -> None:
    letter = PAGES[page]
    watched.open(f"{address}/{page}")
    picker = watched.page.get_by_role("combobox", name="Customers behind").first
    picker.focus()
    picker.press("ArrowDown")
    picker.press("Enter")
    dialog = panel(watched)
    one = chosen(watched, letter)
    workspace = Workspace(bank_home)
    counted = people.counted(workspace, latest_run(workspace), one, OWNER)
    assert told(dialog) == ([counted.customers] if one.told.unit == "customers" else [counted.rows, counted.customers])
    first = people.page(workspace, latest_run(workspace), one, OWNER)["customer_id"][0]
    dialog.get_by_role("radio", name="Save as audience").click()
    watched.settle()
    identifier = f"of_{letter}_{len(one.values)}_{len(PAGES[page] + page)}"
    dialog.get_by_role("textbox", name="Id of the audience").fill(identifier)
    dialog.get_by_role("button", name="Save the audience").click()
    saved = dialog.get_by_text(re.compile("Saved: "))
    saved.wait_for(timeout=20_000)
    assert f"{counted.customers:,} members" in saved.inner_text()
    kept = {row["audience"] for row in audiences.listed(bank_home)["audiences"]}
    assert identifier in kept
    dialog.get_by_role("radio", name="View", exact=True).click()
    watched.settle()
    customer = dialog.get_by_role("combobox", name="Customer to open")
    customer.focus()
    customer.press_sequentially(str(first))
    customer.press("Enter")
    watched.settle()
    dialog.get_by_role("link", name=f"Open customer {first}").click()
    watched.page.wait_for_url(re.compile(rf"/customer\?.*c_id={first}"))
    watched.settle()
    assert watched.page.locator("h1").inner_text() == "Customer"
    assert watched.errors == []


def test_a_click_on_a_bar_opens_its_customers_and_a_colleague_opens_the_same_by_the_link(
    watched: Watched, address: str, bank_home: Path
) -> None:
    watched.open(f"{address}/journeys")
    watched.page.locator('[data-testid="stVegaLiteChart"] path[aria-roledescription="bar"]').first.click()
    dialog, one = panel(watched), chosen(watched, "j")
    workspace = Workspace(bank_home)
    count = people.counted(workspace, latest_run(workspace), one, OWNER).customers
    assert told(dialog) == [count]
    link = watched.page.url
    dialog.get_by_role("button", name="Close").click()
    watched.settle()
    assert "j_sel" not in watched.page.url
    watched.open(link + "&lang=zh")
    assert told(panel(watched)) == [count]


def test_paths_and_the_way_to_an_export_open_from_the_panel(watched: Watched, address: str) -> None:
    watched.open(f"{address}/segments?s_sel=rfm/5/5")
    dialog = panel(watched)
    dialog.get_by_role("radio", name="Show paths").click()
    watched.settle()
    assert dialog.get_by_text(re.compile("^Before: ")).is_visible()
    dialog.get_by_role("radio", name="Export").click()
    watched.settle()
    dialog.get_by_role("textbox", name="Id of the audience").fill("for_export")
    dialog.get_by_role("button", name="Save the audience").click()
    dialog.get_by_role("link", name=re.compile("Go on to the export")).click()
    watched.page.wait_for_url(re.compile("/exports.*x_audience=for_export"))
    watched.settle()
    assert watched.page.get_by_text(re.compile(r"of \d+ members would leave")).first.is_visible()
    assert watched.errors == []


def test_a_chart_leaves_as_a_table_and_as_a_picture(watched: Watched, address: str) -> None:
    watched.open(f"{address}/journeys?j_view=flow")
    watched.page.get_by_role("button", name="Download", exact=True).first.click()
    for form, ending in (("CSV for a tool", ".csv"), ("Picture (PNG)", ".png")):
        with watched.page.expect_download(timeout=60_000) as waited:
            watched.page.get_by_role("button", name=form).first.click()
        assert waited.value.suggested_filename.endswith(ending)
        body = Path(waited.value.path()).read_bytes()
        assert body.startswith(b"\x89PNG" if ending == ".png" else b'"From","To","Customers"')
