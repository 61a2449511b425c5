"""What an administrator looks after is told to administrators alone, and without secrets."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.domain.access import RIGHTS, Right, Role, Viewer
from engine.domain.errors import NotAllowed
from engine.lake.workspace import Workspace
from engine.store import Store
from engine.ui.views import settings as views
from engine.ui.words import LANGUAGES, Words
from engine.workflows import session, webhooks
from engine.workflows.view import settings

ADMIN = Viewer(name="Ada", role=Role.ADMIN)


def test_nobody_but_administrators_asks_for_settings_or_makes_keys(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    for role in (Role.MARKETING, Role.PRODUCT, Role.RISK, Role.AUDITOR):
        viewer = Viewer(name="Ann", role=role)
        for question in (
            lambda viewer=viewer: settings.access(viewer, workspace),
            lambda viewer=viewer: settings.rights(viewer),
            lambda viewer=viewer: settings.keys(viewer, tmp_path),
            lambda viewer=viewer: settings.schedules(viewer, tmp_path),
            lambda viewer=viewer: settings.hooks(viewer, tmp_path),
            lambda viewer=viewer: settings.create_key(
                viewer, tmp_path, "k", scopes=["journal:read"], destination="x", days=1
            ),
            lambda viewer=viewer: settings.revoke_key(viewer, tmp_path, "k"),
        ):
            with pytest.raises(NotAllowed):
                question()
    assert not (tmp_path / "wayline.db").exists()


def test_a_key_is_told_once_is_answered_for_and_can_be_replaced_and_ended(tmp_path: Path) -> None:
    made = settings.create_key(ADMIN, tmp_path, "braze", scopes=["journal:read"], destination="braze", days=30)
    again = settings.rotate_key(ADMIN, tmp_path, "braze", days=60, overlap_hours=1)
    assert made["key"] != again["key"]
    listed = settings.keys(ADMIN, tmp_path)
    assert {one["status"] for one in listed} == {"in_use", "replaced"}
    assert made["key"] not in str(listed) and again["key"] not in str(listed)
    settings.revoke_key(ADMIN, tmp_path, "braze")
    assert {one["status"] for one in settings.keys(ADMIN, tmp_path)} == {"revoked"}
    with Store(session.database_url(Workspace(tmp_path))) as store:
        assert {one.actor for one in store.audit_trail()} == {"Ada"}


def test_of_a_webhook_the_host_alone_is_told(tmp_path: Path) -> None:
    webhooks.add(tmp_path, "crm", "https://hooks.bank.example/T0/secret-token", "ada")
    (one,) = settings.hooks(ADMIN, tmp_path)
    assert (one.host, one.dead) == ("hooks.bank.example", 0)
    assert "secret" not in str(one)


def test_table_of_rights_is_that_of_the_domain_and_every_rule_has_words(tmp_path: Path) -> None:
    for language in LANGUAGES:
        words = Words(language=language)
        table = views.rights(settings.rights(ADMIN), words)
        for role in Role:
            held = table[words.label("viewer_role", role)] == views.HELD
            assert held.tolist() == [right in RIGHTS[role] for right in Right]
        assert len(views.rules(settings.rules(ADMIN, Workspace(tmp_path)), words)) == 9
        assert len(views.presets(settings.presets(ADMIN, Workspace(tmp_path)), words)) == 9
