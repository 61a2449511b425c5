"""Every page in every look: two languages, a light and a dark theme, a desk's and a small laptop's width.

What a look must hold is told here once, for the suite and for whoever wants to see all of it:

    python -m tests.doors.looks demo=HOME berka=HOME --out artefacts/looks
    python -m tests.doors.looks demo=HOME --pictures data/pictures
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from engine.domain.access import Role, Viewer
from engine.lake.runs import latest_run
from engine.lake.workspace import Workspace
from engine.ui.navigation import SPECS
from engine.workflows.view import customer
from tests.doors.served import Watched, chromium, serving

HEIGHT: Final = 900
TALLEST: Final = 6_000  # pixels of a picture
# what Streamlit draws itself, and no page can change: the list of pages puts its groups between list and item
STREAMLITS_OWN: Final = {"list": "stSidebarNavItems", "listitem": "stSidebarNav"}
SERIOUS: Final = ("serious", "critical")
# the pages of the README: what is shown of each
PICTURES: Final[Mapping[str, str]] = {
    "home": "",
    "journeys": "j_id=personal_loan",
    "segments": "",
    "audiences": "",
    "customer": "",
    "recommendations": "",
    "experiments": "e_id=card_onboarding",
    "risk": "",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a page is looked at; `width` in pixels."""

    language: str
    theme: str
    width: int

    def __str__(self) -> str:
        return f"{self.language}-{self.theme}-{self.width}"


EVERY: Final = tuple(
    Look(language=language, theme=theme, width=width)
    for language, theme, width in itertools.product(("en", "zh"), ("light", "dark"), (1440, 1024))
)

# two in which everything differs, for the suite
OPPOSITE: Final = (EVERY[0], EVERY[-1])


def addresses(home: Path) -> dict[str, str]:
    """Return what stands behind the name of each page in the address, so that it shows the most."""
    some = customer.some(Viewer(name="reader", role=Role.OWNER), latest_run(Workspace(home)), limit=1)
    return {spec.name: f"c_id={some[0]}" if spec.name == "customer" and some else "" for spec in SPECS}


def open_page(watched: Watched, address: str, page: str, query: str, language: str) -> None:
    """Open a page in a language and wait until it rests."""
    watched.open(f"{address}/{'' if page == 'home' else page}?lang={language}&{query}")


def faults(watched: Watched) -> list[str]:
    """Return what is wrong with the page as it is shown now: nothing, where all is well."""
    page = watched.page
    found = [f"console: {text}" for text in watched.errors] + [f"asked for {url}" for url in watched.outside]
    watched.errors.clear()
    watched.outside.clear()
    for what, selector in {
        "an exception": '[data-testid="stException"]',
        "a chart that failed": '[data-testid="stVegaLiteChart"] [role="alert"]',
        "an unforeseen error": "text=/error number|错误编号/",
    }.items():
        if page.locator(selector).count():
            found.append(f"{what}: {page.locator(selector).first.inner_text()[:200]}")
    wide, room = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    if wide > room:
        found.append(f"the page is {wide} pixels wide and has room for {room}")
    return found


def barriers(watched: Watched) -> list[str]:
    """Return what axe-core finds serious or critical, and is not Streamlit's own."""
    from axe_playwright_python.sync_playwright import Axe

    violations = Axe().run(watched.page).response["violations"]
    return sorted(
        f"{one['id']}: {node['html'][:120]} {node.get('failureSummary', '')[:200]}"
        for one in violations
        if one["impact"] in SERIOUS
        for node in one["nodes"]
        if not _own(watched, one["id"], node)
    )


def _own(watched: Watched, rule: str, node: Mapping[str, Any]) -> bool:
    within = STREAMLITS_OWN.get(rule)
    if within is None:
        return False
    mark = f"el => el.closest('[data-testid=\"{within}\"]') !== null"
    return bool(watched.page.locator(node["target"][0]).first.evaluate(mark))


def picture(watched: Watched, path: Path, *, whole: bool = True) -> None:
    """Keep the page as a picture: to its end, or only what stands on the screen."""
    page = watched.page
    path.parent.mkdir(parents=True, exist_ok=True)
    size = page.viewport_size
    if whole:
        height = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
        page.set_viewport_size({"width": size["width"], "height": min(int(height) + 20, TALLEST)})
        watched.settle()
    page.screenshot(path=str(path))
    page.set_viewport_size(size)


def walk(watched: Watched, address: str, page: str, query: str, looks: Iterable[Look]) -> Iterator[Look]:
    """Yield one look after the other while the page shows it; for another width alone it is not opened again."""
    opened = None
    for look in looks:
        watched.page.set_viewport_size({"width": look.width, "height": HEIGHT})
        if (look.language, look.theme) != opened:
            watched.page.emulate_media(color_scheme=look.theme)
            open_page(watched, address, page, query, look.language)
            opened = (look.language, look.theme)
        else:
            watched.settle()
        yield look


def main() -> int:
    """Look at everything; print what is wrong, and return 1 where something is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("homes", nargs="+", metavar="NAME=HOME", help="workspaces with a completed run")
    parser.add_argument("--out", type=Path, default=Path("artefacts/looks"), help="where the pictures go")
    parser.add_argument("--pictures", type=Path, help="make only the README's pictures of the first workspace, here")
    asked = parser.parse_args()
    os.environ["LOGNAME"] = "ann"  # whose machine it is stands on every page
    wrong = 0
    for named in asked.homes:
        name, _, home = named.partition("=")
        with (
            tempfile.TemporaryDirectory() as log,
            serving(Path(home).resolve(), Path(log) / "app.log") as address,
            chromium() as browser,
        ):
            context = browser.new_context(viewport={"width": 1440, "height": HEIGHT}, color_scheme="light")
            watched = Watched(context.new_page())
            queries = addresses(Path(home))
            if asked.pictures:
                for page, query in PICTURES.items():
                    open_page(watched, address, page, query or queries[page], "en")
                    picture(watched, asked.pictures / f"{page}.png", whole=False)
                return 0
            for page, query in queries.items():
                for look in walk(watched, address, page, query, EVERY):
                    found = faults(watched) + barriers(watched)
                    picture(watched, asked.out / name / f"{page}-{look}.png")
                    wrong += len(found)
                    print(f"{name} {page} {look}: {'; '.join(found) or 'well'}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
