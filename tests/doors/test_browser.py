"""The app in a real browser: no error, no request to anywhere else, and a list as long as its bar."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest

from engine.lake.runs import latest_run
from engine.lake.workspace import Workspace
from engine.ui.navigation import SPECS
from tests.conftest import REPOSITORY
from tests.engine.ui import bank

CHROMIUM = Path("/usr/bin/chromium")
HERE = "127.0.0.1"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason="Debian's chromium is not installed: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    bank.make(folder)
    return folder


@pytest.fixture(scope="module")
def address(home: Path) -> Iterator[str]:
    yield from _app_on(home, home / "app.log")


@pytest.fixture(scope="module")
def address_of_a_run(small_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app on a bank that was really run, so that its decisions can be made again."""
    yield from _app_on(small_home, tmp_path_factory.mktemp("app") / "app.log")


def _app_on(home: Path, log: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind((HERE, 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(REPOSITORY / "app.py"), f"--server.port={port}"]
    with log.open("wb") as out:
        app = subprocess.Popen(command, env={**os.environ, "WAYLINE_HOME": str(home)}, stdout=out, stderr=out)
        try:
            _wait_for(port, app, log)
            yield f"http://{HERE}:{port}"
        finally:
            app.terminate()
            app.wait(timeout=30)


def _wait_for(port: int, app: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        assert app.poll() is None, f"the app ended: {log.read_text(encoding='utf-8')[-500:]}"
        with socket.socket() as probe:
            if probe.connect_ex((HERE, port)) == 0:
                return
        time.sleep(0.2)
    raise AssertionError("the app did not answer within a minute")


class Watched:
    """A browser page that keeps what went wrong and which other hosts were asked."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.errors: list[str] = []
        self.outside: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda fault: self.errors.append(str(fault)))
        page.on("request", self._asked)

    def _heard(self, message: Any) -> None:
        # the browser asks for two of Streamlit's own addresses below the page's name first, then at the root
        own = "_stcore" in str(message.location.get("url", ""))
        if message.type == "error" and not own:
            self.errors.append(f"{message.text} {message.location}")

    def _asked(self, request: Any) -> None:
        url = urlparse(request.url)
        if url.scheme in ("http", "https", "ws", "wss") and url.hostname != HERE:
            self.outside.append(request.url)

    def open(self, url: str) -> None:
        self.page.goto(url)
        self.page.wait_for_selector("h1")
        self.settle()

    def settle(self) -> None:
        """Wait until the script has rested for a second: a chart that was just drawn may start it once more."""
        rested, deadline = 0, time.monotonic() + 60
        while rested < 5:
            assert time.monotonic() < deadline, "the page did not come to rest within a minute"
            self.page.wait_for_timeout(200)
            state = self.page.locator('[data-testid="stApp"]').get_attribute("data-test-script-state")
            rested = rested + 1 if state == "notRunning" else 0

    def choose(self, label: str, option: str) -> None:
        """Choose by keyboard alone, as somebody does who cannot click on a chart."""
        picker = self.page.get_by_role("combobox", name=label, exact=True)
        picker.focus()
        picker.press_sequentially(option)
        picker.press("Enter")
        self.settle()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        flags = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"]
        opened = started.chromium.launch(executable_path=str(CHROMIUM), args=flags)
        yield opened
        opened.close()


@pytest.fixture
def watched(browser: Any) -> Iterator[Watched]:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light")
    yield Watched(context.new_page())
    context.close()


@pytest.mark.parametrize("name", [spec.name for spec in SPECS])
def test_page_shows_no_error_and_asks_no_other_host(watched: Watched, address: str, name: str) -> None:
    path = "" if name == "home" else name
    watched.open(f"{address}/{path}?c_id=C00001&j_by=value_tier&e_id=card_onboarding")
    assert watched.page.locator('[data-testid="stException"]').count() == 0
    assert watched.page.locator('[data-testid="stVegaLiteChart"] [role="alert"]').count() == 0
    assert watched.errors == []
    assert watched.outside == []


def test_limits_are_said_in_words_with_their_price_in_both_languages(watched: Watched, address: str) -> None:
    for language, words in (("en", "One more CNY of the budget would earn 41.50 CNY."), ("zh", "可多得 41.50 CNY")):
        watched.open(f"{address}/recommendations?lang={language}")
        said = watched.page.get_by_text(words).first
        said.wait_for(timeout=20_000)
        assert watched.page.get_by_text("99.19 %").first.is_visible()
        said.scroll_into_view_if_needed()


def test_list_behind_a_bar_is_as_long_as_the_bar_says(watched: Watched, address: str, home: Path) -> None:
    watched.open(f"{address}/journeys?j_id=credit_card")
    watched.choose("Step", "Calculator used")
    watched.choose("What became of them", "Continued")
    rows = latest_run(Workspace(home)).read("journey_funnels", where={"journey": "credit_card", "breakdown": "all"})
    bar = rows.to_pylist()[1]
    shown = watched.page.get_by_text(re.compile(r"^\d+ customers: Continued")).inner_text()
    assert int(shown.split()[0]) == bar["continued"]
    assert "j_step=2" in watched.page.url and "j_outcome=continued" in watched.page.url


def test_click_on_a_bar_opens_the_customers_behind_it(watched: Watched, address: str, home: Path) -> None:
    watched.open(f"{address}/journeys?j_id=credit_card&j_step=3")
    bars = watched.page.locator('[data-testid="stVegaLiteChart"] path[aria-roledescription="bar"]')
    bars.first.click()
    watched.settle()
    shown = watched.page.get_by_text(re.compile(r"^\d+ customers: ")).inner_text()
    rows = latest_run(Workspace(home)).read("journey_funnels", where={"journey": "credit_card", "breakdown": "all"})
    first = rows.to_pylist()[0]
    outcome = {"Continued": "continued", "Dropped off": "dropped", "In progress": "in_progress"}
    named = shown.split(": ")[1].split(",")[0]
    assert int(shown.split()[0]) == first[outcome[named]]
    assert shown.endswith("Product viewed")


def test_customer_picked_from_the_list_opens_on_a_page_of_its_own(watched: Watched, address: str, home: Path) -> None:
    watched.open(f"{address}/journeys?j_id=credit_card&lang=zh")
    rows = latest_run(Workspace(home)).read("journey_stages", where={"journey": "credit_card", "reached_step": 1})
    left = [row for row in rows.to_pylist() if row["status"] == "dropped"]
    customer = max(left, key=lambda row: (row["stage_since"], -int(row["customer_id"][1:])))["customer_id"]
    watched.choose("客户", customer)
    watched.page.get_by_role("link", name=f"打开客户 {customer}").click()
    watched.page.wait_for_url(re.compile(rf"/customer\?.*c_id={customer}"))
    watched.settle()
    assert watched.page.locator("h1").inner_text() == "客户"
    assert watched.page.get_by_role("textbox").first.input_value() == customer


def test_language_chosen_on_one_page_holds_on_the_next(watched: Watched, address: str) -> None:
    watched.open(address)
    watched.page.get_by_role("radio", name="中文").click()
    watched.settle()
    watched.page.get_by_role("link", name="风险").click()
    watched.settle()
    assert watched.page.locator("h1").inner_text() == "风险"
    watched.page.reload()
    watched.page.wait_for_selector("h1")
    watched.settle()
    assert watched.page.locator("h1").inner_text() == "风险"


@pytest.mark.parametrize(
    ("language", "button", "finding", "by", "heading"),
    [
        ("en", "Compare", r"^\d+ offers become \d+: expected value", "Risk tier", "What if the policy were otherwise?"),
        ("zh", "比较", r"^推荐由 \d+ 条变为 \d+ 条：期望价值", "风险等级", "若政策改变会怎样？"),
    ],
)
def test_a_policy_is_tried_on_the_page(
    watched: Watched, address_of_a_run: str, *, language: str, button: str, finding: str, by: str, heading: str
) -> None:
    watched.open(f"{address_of_a_run}/recommendations?lang={language}")
    debt_service = watched.page.get_by_role("slider").first
    debt_service.focus()
    for _ in range(25):
        debt_service.press("ArrowLeft")
    watched.page.get_by_role("button", name=button).last.click()
    watched.page.get_by_text(re.compile(finding)).first.wait_for(timeout=60_000)
    watched.settle()
    shown = watched.page.get_by_text(re.compile(finding)).first.inner_text()
    # the same sentence is what a screen reader hears of the chart
    assert (
        watched.page.locator(f'[aria-label="{shown}"]').count() + watched.page.locator(f'[alt="{shown}"]').count() > 0
    )
    watched.page.get_by_role("radio", name=by).last.click()
    watched.settle()
    assert "r_if_by=risk_tier" in watched.page.url
    assert watched.page.get_by_text(re.compile(finding)).count() > 0, "the comparison outlives a click on the page"
    assert watched.page.locator('[data-testid="stException"]').count() == 0
    assert watched.errors == []
    assert watched.outside == []


@pytest.mark.parametrize(
    ("language", "about", "event", "kind", "login", "days"),
    [
        ("en", "About", "Event", "Something that happened", "Login", "In the last days"),
        ("zh", "关于", "事件", "发生过的事件", "登录", "最近天数"),
    ],
)
def test_an_audience_is_counted_while_it_is_built_and_says_why_somebody_is_out(
    watched: Watched, address_of_a_run: str, *, language: str, about: str, event: str, kind: str, login: str, days: str
) -> None:
    watched.open(f"{address_of_a_run}/audiences?a_part=build&lang={language}")
    watched.choose(about, kind)
    assert watched.page.get_by_test_id("stMetricValue").count() == 0, "nothing is asked for yet"
    watched.choose(event, login)
    watched.page.keyboard.press("Escape")  # the list of several stays open, and hides the rest of the page meanwhile
    everybody, share = watched.page.get_by_test_id("stMetricValue").all_inner_texts()
    assert 0 < int(everybody) <= 300
    assert share.endswith(" %")
    field = watched.page.get_by_label(days, exact=True)
    field.fill("30")
    field.press("Enter")
    watched.settle()
    lately, _ = watched.page.get_by_test_id("stMetricValue").all_inner_texts()
    assert int(lately) < int(everybody)
    # ids of members are masked: they stand here for what they are, not to be looked up
    assert watched.page.get_by_text(re.compile(r"C…\d\d")).count() > 0
    watched.page.get_by_role("textbox").last.fill("C00000001")
    watched.page.get_by_role("textbox").last.press("Enter")
    watched.settle()
    assert watched.page.get_by_text(re.compile("^C00000001 ")).count() == 1
    assert watched.page.locator('[data-testid="stException"]').count() == 0
    assert watched.errors == []
    assert watched.outside == []
