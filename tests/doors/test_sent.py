"""What each role's browser is sent, page by page: read from the messages themselves, not from what is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from google.protobuf.message import Message
from streamlit.testing.v1 import AppTest, local_script_runner

from engine.domain.access import RIGHTS, Right, Role
from engine.lake.runs import Run
from engine.ui.navigation import SPECS
from engine.ui.words import Words
from tests.conftest import REPOSITORY
from tests.doors import sent
from tests.doors.sent import Sent
from tests.engine.ui import bank

CUSTOMER: Final = "C00001"
PERSONAL: Final = ("Secret1", "+8613800000001", "secret1@mail.example", "secret-card-01", "Secret words")
OF_RISK: Final = frozenset(
    {"default_probability", "risk_tier", "score", "expected_loss_minor", "price_band", "annual_rate", "track",
     "track_reason", "break_even_default_probability", "severity", "reason_codes"}
)  # fmt: skip
"""Columns that no table or chart of somebody's may have who may not see risk."""
MORE: Final = (
    ("customer", {"c_id": CUSTOMER}),
    *(
        ("risk", {"r_part": part})
        for part in ("lending", "losses", "model", "scorecard", "groups", "attention", "movement")
    ),
    *(("audiences", {"a_part": part}) for part in ("build", "reach", "overlap")),
    *(("journeys", {"j_id": "credit_card", "j_by": by}) for by in ("risk_tier", "value_tier")),
    *(("audit", {"y_part": part}) for part in ("checks", "replay", "subject")),
    *(("settings", {"z_part": part}) for part in ("keys", "rules", "jobs")),
    ("recommendations", {"r_gate": "risk_tier"}),
    ("recommendations", {"r_sel": "gate/risk_tier/all"}),
    ("recommendations", {"r_sel": "gate/risk/all"}),
    ("recommendations", {"r_sel": "gate/consent/all"}),
    ("journeys", {"j_sel": "journey_step/credit_card/1/reached/all/all"}),
    ("journeys", {"j_sel": "journey_step/credit_card/1/reached/risk_tier/high"}),
    ("risk", {"k_sel": "tier/high"}),
    ("segments", {"s_sel": "value_risk/top/high"}),
)
ADDRESSES: Final = (*((spec.name, {}) for spec in SPECS), *MORE)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return bank.make(tmp_path_factory.mktemp("sent"))


@pytest.fixture(scope="module")
def home(run: Run) -> Path:
    return run.folder.parent.parent


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Message]]:
    """All messages of the last run of a script, as its browser gets them."""
    kept: list[Message] = []
    parse: Callable[[list[Any]], Any] = local_script_runner.parse_tree_from_messages

    def keeping(given: list[Any]) -> Any:
        kept[:] = given
        return parse(given)

    monkeypatch.setattr(local_script_runner, "parse_tree_from_messages", keeping)
    yield kept


def opened(home: Path, role: Role) -> AppTest:
    app = AppTest.from_file(str(REPOSITORY / "app.py"), default_timeout=60)
    app.session_state["me_role"] = role.value
    app.session_state["me_name"] = "Ann"
    return app


def turned(app: AppTest, page: str, address: dict[str, str], messages: list[Message]) -> Sent:
    app.switch_page(f"engine/ui/pages/{page}.py")
    app.query_params.clear()
    app.query_params.update(address)
    app.run()
    assert not app.exception, (page, address)
    return sent.of(messages)


@pytest.mark.parametrize("role", Role)
def test_browser_of_a_role_is_sent_nothing_that_the_role_may_not_see(
    monkeypatch: pytest.MonkeyPatch, run: Run, home: Path, messages: list[Message], role: Role
) -> None:
    monkeypatch.setenv("WAYLINE_HOME", str(home))
    risk = run.read("risk").to_pylist()
    probabilities = {row["default_probability"] for row in risk if row["default_probability"] is not None}
    own = next(row for row in risk if row["customer_id"] == CUSTOMER)
    app, words, seen = opened(home, role), Words(), Sent()
    app.run()
    leaks = []
    for page, address in ADDRESSES:
        found = turned(app, page, address, messages)
        told = [one for one in PERSONAL if one in found.text()]
        if Right.SEE_CUSTOMERS not in RIGHTS[role] and "c_id" not in address and "C000" in found.text():
            told.append("a customer's id")
        if Right.SEE_RISK not in RIGHTS[role]:
            told += [*(OF_RISK & found.names), *map(str, probabilities & found.numbers)]
            if "c_id" in address:
                own_words = (words.share(own["default_probability"], 2), words.t("customer.risk_tier"))
                told += [
                    one for one in own_words if one in found.texts or f"default within 12 months {one}" in found.text()
                ]
        leaks += [(page, address, one) for one in told]
        seen.add_all(found)
    assert leaks == []
    if Right.SEE_RISK in RIGHTS[role]:
        assert words.share(own["default_probability"], 2) in seen.text(), "who may see it is sent it: the test can fail"
    assert (r"P\*\*\*" in seen.text()) == (Right.SEE_NAMES in RIGHTS[role])


def test_who_takes_another_role_begins_anew_and_sees_what_that_role_sees(
    monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setenv("WAYLINE_HOME", str(home))
    app = opened(home, Role.OWNER)
    app.run()
    app.session_state["r_compared"] = "what an owner asked for"
    app.selectbox(key="me_role").set_value("marketing").run()
    assert not app.exception
    assert "r_compared" not in app.session_state, "what one role asked for is not another's"
    app.switch_page("engine/ui/pages/risk.py").run()
    assert Words().t("head.closed", role="Marketing") in [one.value for one in app.info]
    app.text_input(key="me_name").set_value("  Bo ").run()
    assert "what an owner asked for" not in [str(app.session_state[key]) for key in ("me_name", "me_role")]
    assert app.session_state["me_role"] == "marketing", "a name changes no role"
