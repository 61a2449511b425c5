"""The app in a real browser: no error, no request to anywhere else, and a list as long as its bar."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doors.served import CHROMIUM, NO_CHROMIUM, Watched, serving
from tests.engine.ui import bank

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=NO_CHROMIUM),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("browser")
    bank.make(folder)
    return folder


@pytest.fixture(scope="module")
def address(home: Path) -> Iterator[str]:
    with serving(home, home / "app.log") as served:
        yield served


@pytest.fixture(scope="module")
def address_of_a_run(small_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app on a bank that was really run, so that its decisions can be made again."""
    with serving(small_home, tmp_path_factory.mktemp("app") / "app.log") as served:
        yield served


def test_limits_are_said_in_words_with_their_price_in_both_languages(watched: Watched, address: str) -> None:
    for language, words in (("en", "One more CNY of the budget would earn 41.50 CNY."), ("zh", "可多得 41.50 CNY")):
        watched.open(f"{address}/recommendations?lang={language}")
        said = watched.page.get_by_text(words).first
        said.wait_for(timeout=20_000)
        assert watched.page.get_by_text("99.19 %").first.is_visible()
        said.scroll_into_view_if_needed()


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
