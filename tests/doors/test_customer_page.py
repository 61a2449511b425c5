"""The page Customer: who may stop contacting somebody, and what that is."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from engine.domain.access import Role, Viewer
from engine.domain.errors import NotAllowed
from engine.lake.workspace import Workspace
from engine.ui.words import Words
from engine.workflows import suppressed
from engine.workflows.view import customer
from tests.conftest import REPOSITORY
from tests.engine.ui import bank

WHO = "C00001"


def test_contact_is_stopped_on_the_page_with_a_reason_and_shown_from_then_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    bank.make(tmp_path)
    monkeypatch.setenv("WAYLINE_HOME", str(tmp_path))
    words = Words()
    app = AppTest.from_file(str(REPOSITORY / "app.py"), default_timeout=120)
    app.query_params["c_id"] = WHO
    app.run()
    app.switch_page("engine/ui/pages/customer.py").run()
    assert words.t("customer.may_contact") in [one.value for one in app.markdown]
    stop = next(one for one in app.button if one.label == words.t("customer.stop"))
    stop.click().run()
    assert app.error, "no reason is given"
    assert not suppressed.table(Workspace(tmp_path)).num_rows
    app.text_input(key="c_stop_note").set_value("Asked in the branch.")
    next(one for one in app.button if one.label == words.t("customer.stop")).click().run()
    assert not app.error
    held = suppressed.table(Workspace(tmp_path)).to_pylist()
    assert [(one["customer_id"], one["channel"], one["reason"]) for one in held] == [(WHO, None, "manual")]
    assert words.t("customer.may_contact") not in [one.value for one in app.markdown]
    shown = next(one.value for one in app.dataframe if words.t("customer.held_by") in one.value.columns)
    assert shown[words.t("customer.held_by")].tolist() == [words.t("customer.held_manual")]


@pytest.mark.parametrize("role", [Role.PRODUCT, Role.AUDITOR, Role.ADMIN])
def test_other_roles_stop_nobody(tmp_path: Path, role: Role) -> None:
    bank.make(tmp_path)
    with pytest.raises(NotAllowed):
        customer.stop_contacting(Viewer(name="eve", role=role), Workspace(tmp_path), WHO, None, "because")
    assert not suppressed.table(Workspace(tmp_path)).num_rows
