"""Signing in with a provider of OpenID Connect, in a real browser: the role follows, others do not get in or see."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from engine.lake.workspace import Workspace
from engine.store import Store
from engine.workflows import personal, session
from tests.doors import provider, sent
from tests.doors.sent import Sent
from tests.doors.served import CHROMIUM, HERE, NO_CHROMIUM, Watched, serving
from tests.engine.ui import bank

pytestmark = [pytest.mark.browser, pytest.mark.skipif(not CHROMIUM.exists(), reason=NO_CHROMIUM)]

PERSONS = {
    "ann": {"email": "ann@bank.example", "email_verified": True, "groups": ["staff", "wl-m"]},
    "rui": {"email": "rui@bank.example", "email_verified": True, "groups": ["wl-r"]},
    "mallory": {"email": "mallory@bank.example", "email_verified": True, "groups": ["staff"]},
}
ACCESS = """
[access]
mode = "oidc"

[access.roles]
marketing = ["wl-m"]
risk = ["wl-r"]
"""
SECRETS = """
[auth]
redirect_uri = "{app}/oauth2callback"
cookie_secret = "a secret of this test alone, long enough"
client_id = "{client}"
client_secret = "of the test"
server_metadata_url = "{provider}/.well-known/openid-configuration"
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("signed_in")
    bank.make(folder)
    (folder / "wayline.toml").write_text(ACCESS, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def address(home: Path) -> Iterator[str]:
    with provider.providing(PERSONS) as providing, socket.socket() as free:
        free.bind((HERE, 0))
        port = free.getsockname()[1]
        free.close()
        told = SECRETS.format(app=f"http://{HERE}:{port}", client=provider.CLIENT, provider=providing.address)
        secrets = home.parent / "secrets.toml"
        secrets.write_text(told, encoding="utf-8")
        with serving(home, home / "app.log", port=port, options=(f"--secrets.files={secrets}",)) as served:
            yield served


class Person:
    """A browser of one's own, with all that it was sent."""

    def __init__(self, browser: Any) -> None:
        self.context = browser.new_context(viewport={"width": 1440, "height": 900})
        self.watched = Watched(self.context.new_page())
        self.page = self.watched.page
        self.frames: list[bytes] = []
        self.page.on("websocket", lambda socket: socket.on("framereceived", self._heard))

    def _heard(self, payload: Any) -> None:
        if isinstance(payload, bytes):
            self.frames.append(payload)

    def sign_in(self, address: str, name: str) -> None:
        self.page.goto(address)
        self.page.get_by_role("button", name="Sign in").first.click()
        self.page.get_by_role("link", name=name, exact=True).click()
        self.page.wait_for_selector("h1")
        self.watched.settle()

    def sent(self) -> Sent:
        return sent.of(ForwardMsg.FromString(frame) for frame in self.frames)


@pytest.fixture
def person(browser: Any) -> Iterator[Person]:
    one = Person(browser)
    yield one
    one.context.close()


def test_nobody_is_sent_anything_before_signing_in_and_a_link_to_a_page_leads_to_the_sign_in(
    address: str, person: Person
) -> None:
    person.watched.open(f"{address}/customer?c_id=C00001")
    assert person.page.get_by_role("heading", name="Sign in").is_visible()
    told = person.sent()
    assert "C00001" not in told.text().replace("c_id=C00001", "") and "Secret" not in told.text()
    assert not person.page.get_by_role("link", name="Journeys").is_visible()


def test_role_follows_from_the_groups_and_hidden_pages_refuse_by_address(address: str, person: Person) -> None:
    person.sign_in(address, "ann")
    assert person.page.get_by_role("button", name="ann@bank.example · Marketing").is_visible()
    assert person.page.get_by_role("link", name="Journeys").is_visible()
    assert not person.page.get_by_role("link", name="Risk", exact=True).is_visible()
    person.watched.open(f"{address}/risk")
    assert person.page.get_by_text("This page holds nothing for the role Marketing").is_visible()
    assert "default_probability" not in person.sent().names
    person.page.get_by_role("button", name="ann@bank.example · Marketing").click()
    assert person.page.get_by_text("You work as").count() == 0, "there is nothing to choose"
    person.page.get_by_role("button", name="Sign out").click()
    person.page.get_by_role("button", name="Sign in").first.wait_for()
    person.watched.open(f"{address}/journeys")
    assert person.page.get_by_role("heading", name="Sign in").is_visible()


def test_somebody_of_no_mapped_group_does_not_get_in(address: str, person: Person) -> None:
    person.sign_in(address, "mallory")
    assert person.page.get_by_text("none of your groups has a role here").is_visible()
    assert person.page.get_by_role("button", name="Sign out").is_visible()
    assert not person.page.get_by_role("link", name="Journeys").is_visible()
    told = person.sent()
    assert "C000" not in told.text() and not told.names & {"step", "customers", "dropped"}


def test_two_at_once_neither_sees_the_others_state_nor_what_was_revealed(
    address: str, home: Path, browser: Any, person: Person
) -> None:
    rui = Person(browser)
    try:
        person.sign_in(address, "ann")
        rui.sign_in(address, "rui")
        person.watched.open(f"{address}/customer?c_id=C00001")
        rui.watched.open(f"{address}/customer?c_id=C00001")
        assert rui.page.get_by_role("button", name="rui@bank.example · Risk and compliance").is_visible()
        rui.page.get_by_role("button", name="Reveal").click()
        dialog = rui.page.get_by_role("dialog")
        dialog.get_by_role("combobox").press_sequentially("complaint")
        dialog.get_by_role("combobox").press("Enter")
        dialog.get_by_role("button", name="Reveal").click()
        dialog.get_by_text("Person Secret1").wait_for()
        assert dialog.get_by_text("+8613800000001").is_visible()
        dialog.get_by_role("button", name="Close").click()
        rui.watched.settle()
        rui.page.reload()
        rui.watched.settle()
        assert rui.page.get_by_text("Person Secret1").count() == 0, "it lasted for that look"
        person.page.reload()
        person.watched.settle()
        told, seen = person.sent(), rui.sent()
    finally:
        rui.context.close()
    assert "Person Secret1" in seen.text() and "default_probability" not in told.names
    assert "Secret1" not in told.text() and "+8613800000001" not in told.text()
    assert "rui@bank.example" not in told.text() and "ann@bank.example" not in seen.text()
    with Store(session.database_url(Workspace(home))) as store:
        (entry,) = store.audit_trail(action=personal.ACTION)
    assert (entry.actor, entry.details["reason"]) == ("rui@bank.example", "complaint")
