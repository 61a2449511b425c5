"""Every page in both languages and themes, wide and narrow: no error, no request outside, no barrier that is ours.

The suite takes two looks in which everything differs, and of public data one each; `make looks` takes all.
Pictures are kept in `artefacts/looks`, which is not under version control.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.cli.main import main
from engine.ui.navigation import SPECS
from tests.conftest import REPOSITORY
from tests.doors import looks
from tests.doors.served import CHROMIUM, NO_CHROMIUM, Watched, serving

KEPT = REPOSITORY / "artefacts" / "looks"
# of workspaces without half of a bank's tables one look each: what differs is what a page lacks
PUBLIC = {
    "berka": looks.Look(language="zh", theme="dark", width=1024),
    "bpi2012": looks.Look(language="en", theme="light", width=1440),
}
OF_DATA = ("home", "journeys", "segments", "customer", "recommendations", "experiments", "risk", "data")
"""Pages that show less where a bank has less; the others show what people do."""

pytestmark = [pytest.mark.browser, pytest.mark.skipif(not CHROMIUM.exists(), reason=NO_CHROMIUM)]


@pytest.fixture(scope="module")
def demo(demo_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    with serving(demo_home, tmp_path_factory.mktemp("looks") / "app.log") as address:
        yield address, looks.addresses(demo_home)


@pytest.mark.parametrize("page", [spec.name for spec in SPECS])
def test_a_page_of_the_demo_bank_is_well_however_it_is_looked_at(
    watched: Watched, demo: tuple[str, dict[str, str]], page: str
) -> None:
    address, queries = demo
    seen = 0
    for look in looks.walk(watched, address, page, queries[page], looks.OPPOSITE):
        assert looks.faults(watched) + looks.barriers(watched) == [], str(look)
        watched.page.screenshot(path=str(_kept("demo", page, look)))
        seen += 1
    assert seen == 2


@pytest.mark.parametrize("data", PUBLIC)
def test_pages_of_public_data_are_well(watched: Watched, real_data: Path, tmp_path: Path, data: str) -> None:
    home = tmp_path / "home"
    source = [str(real_data / data), "--assume-consent"]
    assert main(["init", "--from", data, *source, "--home", str(home), "--quiet"]) == 0
    assert main(["run", "--home", str(home), "--quiet"]) in (0, 5)
    with serving(home, tmp_path / "app.log") as address:
        queries = looks.addresses(home)
        for page, query in ((page, queries[page]) for page in OF_DATA):
            for look in looks.walk(watched, address, page, query, [PUBLIC[data]]):
                assert looks.faults(watched) == [], f"{page} {look}"
                watched.page.screenshot(path=str(_kept(data, page, look)))


def _kept(data: str, page: str, look: looks.Look) -> Path:
    folder = KEPT / data
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{page}-{look}.png"
