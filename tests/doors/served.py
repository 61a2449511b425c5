"""The app as tests open it: its server on a free port, and a browser page that keeps what went wrong."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from tests.conftest import REPOSITORY

CHROMIUM = Path("/usr/bin/chromium")
HERE = "127.0.0.1"
NO_CHROMIUM = "Debian's chromium is not installed: apt-get install chromium"


@contextmanager
def serving(
    home: Path, log: Path, port: int | None = None, options: Sequence[str] = (), script: Path = REPOSITORY / "app.py"
) -> Iterator[str]:
    """The app on a workspace, at the address that is yielded: on a free port, where none is given."""
    if port is None:
        with socket.socket() as free:
            free.bind((HERE, 0))
            port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", str(script), f"--server.port={port}", *options]
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


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser that asks nobody but the pages it opens."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as started:
        flags = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run"]
        opened = started.chromium.launch(executable_path=str(CHROMIUM), args=flags)
        yield opened
        opened.close()


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
