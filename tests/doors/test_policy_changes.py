"""A change of the policy is proposed with its effect, approved by another person, taken by the next run, revocable."""

from __future__ import annotations

import json
import shutil
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from engine.cli.main import main
from engine.domain.access import Role, Viewer
from engine.domain.errors import NotAllowed, RefusedByPolicy, SettingsFault
from engine.lake.runs import latest_run
from engine.store import PolicyChangeRecord, Store
from engine.workflows import held_catalogue, policy_approvals, session
from engine.workflows.recommend_simulate import Policy

ANN = Viewer(name="ann", role=Role.MARKETING)
BOB = Viewer(name="bob", role=Role.RISK)
STRICTER = Policy(values={"gates": {"max_default_probability": 0.02}}, source="stricter")
FEWER = Policy(values={"top_n": 1}, source="fewer")


@pytest.fixture(scope="module")
def made(small_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("policies") / "home"
    shutil.copytree(small_home, home)
    return home


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def home(request: pytest.FixtureRequest, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    address = f"sqlite:///{tmp_path}/wayline.db"
    if request.param == "postgresql":
        address = request.getfixturevalue("postgres_address")
    monkeypatch.setenv("WAYLINE_DATABASE_URL", address)
    return made


def limit(home: Path, days: int = 0) -> float:
    """The limit of default probability that a run of the last cut-off, or of so many days later, would go by."""
    workspace = session.workspace_at(home)
    moment = latest_run(workspace).as_of + timedelta(days=days)
    return held_catalogue.in_force(workspace, moment).policies.gates.max_default_probability


def proposed(home: Path, policy: Policy = STRICTER) -> PolicyChangeRecord:
    return policy_approvals.propose(home, ANN, policy, "losses of the autumn")


def test_a_change_waits_with_what_it_would_do_and_names_no_customer(home: Path) -> None:
    before = limit(home)
    one = proposed(home)
    assert (one.status, one.author) == ("waiting", "ann")
    assert one.changes == ({"setting": "gates.max_default_probability", "before": before, "after": 0.02},)
    totals = {total["measure"]: total for total in one.effect["totals"]}
    assert totals["customers_reached"]["after"] <= totals["customers_reached"]["before"]
    ids = latest_run(session.workspace_at(home)).read("features", columns=["customer_id"])["customer_id"].to_pylist()
    assert not [customer for customer in ids if customer in json.dumps(dict(one.effect))]
    assert limit(home) == before, "nothing changes before somebody approves"


@pytest.mark.parametrize("name", ["ann", " Ann ", "ANN"])
def test_nobody_approves_a_change_of_ones_own(home: Path, name: str) -> None:
    one = proposed(home)
    with pytest.raises(RefusedByPolicy, match="a second person"):
        policy_approvals.approve(home, Viewer(name=name, role=Role.RISK), one.number, "fine")
    with pytest.raises(NotAllowed):
        policy_approvals.approve(home, Viewer(name="mia", role=Role.MARKETING), one.number, "fine")
    assert policy_approvals.listed(home)[0]["status"] == "waiting"


def test_an_approved_change_holds_from_its_day_until_it_is_revoked(home: Path) -> None:
    before, cutoff = limit(home), latest_run(session.workspace_at(home)).as_of.date()
    one = proposed(home)
    done = policy_approvals.approve(home, BOB, one.number, "agreed", cutoff + timedelta(days=10))
    assert (done.status, done.decided_by) == ("approved", "bob")
    assert [limit(home, days) for days in (0, 9, 10, 400)] == [before, before, 0.02, 0.02]
    gone = policy_approvals.revoke(home, BOB, one.number, "complaints")
    assert gone.status == "revoked"
    assert [limit(home, days) for days in (0, 10, 400)] == [before] * 3
    with Store(session.database_url(session.workspace_at(home))) as store:
        acts = [entry.action for entry in store.audit_trail() if entry.action.startswith("policy.")]
        assert acts == ["policy.revoked", "policy.approved", "policy.proposed"]
        assert store.verify_audit() is None


def test_a_change_that_was_tried_against_another_policy_is_tried_again(home: Path) -> None:
    first, second = proposed(home), proposed(home, FEWER)
    policy_approvals.approve(home, BOB, first.number, "agreed")
    assert [one["status"] for one in policy_approvals.listed(home)] == ["stale", "approved"]
    with pytest.raises(RefusedByPolicy, match="Simulate it again"):
        policy_approvals.approve(home, BOB, second.number, "agreed")
    again = proposed(home, FEWER)
    assert [one["setting"] for one in again.changes] == ["top_n"], "compared with the policy that holds, not the run's"
    policy_approvals.approve(home, BOB, again.number, "agreed")
    assert limit(home) == 0.02


def test_what_was_changed_again_since_is_not_revoked(home: Path) -> None:
    first = proposed(home)
    policy_approvals.approve(home, BOB, first.number, "agreed")
    second = proposed(home, Policy(values={"gates": {"max_default_probability": 0.01}}, source="strictest"))
    policy_approvals.approve(home, BOB, second.number, "agreed")
    with pytest.raises(RefusedByPolicy, match="was changed since"):
        policy_approvals.revoke(home, BOB, first.number, "too much")
    policy_approvals.revoke(home, BOB, second.number, "too much")
    assert limit(home) == 0.02


def test_of_two_approvals_at_once_one_holds(home: Path) -> None:
    one = proposed(home)
    told: list[object] = []

    def approve(name: str) -> None:
        try:
            told.append(policy_approvals.approve(home, Viewer(name=name, role=Role.RISK), one.number, "agreed"))
        except RefusedByPolicy as fault:
            told.append(fault)

    both = [threading.Thread(target=approve, args=(name,)) for name in ("bob", "cy")]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(timeout=60)
    assert sorted(type(entry).__name__ for entry in told) == ["PolicyChangeRecord", "RefusedByPolicy"]
    with Store(session.database_url(session.workspace_at(home))) as store:
        assert len(store.catalogues()) == 1


def test_refused_and_withdrawn_changes_wait_no_more(home: Path) -> None:
    first, second = proposed(home), proposed(home, FEWER)
    assert policy_approvals.refuse(home, BOB, first.number, "no").status == "refused"
    assert policy_approvals.refuse(home, ANN, second.number, "a mistake").status == "withdrawn"
    for one in (first, second):
        with pytest.raises(RefusedByPolicy, match="waits no more"):
            policy_approvals.approve(home, BOB, one.number, "late")


def test_what_cannot_be_tried_or_changes_nothing_is_not_proposed(home: Path) -> None:
    for values in ({"horizon_days": 30}, {"gates": {"max_default_probability": limit(home)}}, {"top_n": -1}):
        with pytest.raises(SettingsFault):
            proposed(home, Policy(values=values, source="wrong"))
    with pytest.raises(RefusedByPolicy, match="a note"):
        policy_approvals.propose(home, ANN, FEWER, " ")
    assert policy_approvals.listed(home) == []


def test_the_commands_tell_the_same(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "fewer.toml"
    file.write_text("[recommendations]\ntop_n = 1\n", encoding="utf-8")

    def ask(*words: str, code: int = 0) -> object:
        capsys.readouterr()
        assert main(["policy", *words, "--home", str(home), "--json"]) == code
        return json.loads(capsys.readouterr().out)

    ask("propose", str(file), "--note", "fewer", "--by", "ann")
    ask("approve", "1", "--note", "fine", "--by", "ann", code=4)
    ask("approve", "1", "--note", "fine", "--by", "bob")
    ask("revoke", "1", "--note", "no", "--by", "bob")
    listed = ask("list")
    assert isinstance(listed, list)
    assert [one["status"] for one in listed] == ["revoked"]
