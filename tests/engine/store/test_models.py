"""Default models are kept with their owner, who approved them and how they ended, and audited; tampering is found."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from engine.domain.errors import ModelSpoilt, RefusedByPolicy, UnknownName
from engine.store import ModelRecord, NewModel, Store
from engine.store.connection import writing

FIRST = NewModel(
    purpose="runs",
    model="scorecard",
    source="20260331-a",
    learned_until=datetime(2026, 3, 31, tzinfo=UTC),
    content='{"points": [1, 2]}',
    card=None,
    figures={"auc": 0.71},
    note="the first",
)
SECOND = replace(FIRST, content='{"points": [1, 3]}', note="more loans")


def _propose(store: Store, wanted: NewModel = FIRST, owner: str = "ann") -> ModelRecord:
    store.actor = owner
    return store.propose_model(wanted)


def _approve(store: Store, one: ModelRecord, approver: str = "bob") -> ModelRecord:
    store.actor = approver
    return store.approve_model(one.model_id, "validated")


def _edit(store: Store, statement: str, **values: object) -> None:
    with writing(store._engine).begin() as connection:
        connection.execute(text(statement), values)


def test_a_model_decides_once_a_second_person_approved_it_and_the_next_one_takes_its_place(store: Store) -> None:
    one, two = _propose(store), _propose(store, SECOND)
    assert [each.status for each in store.models()] == ["challenger", "challenger"]
    assert store.champion("runs") is None
    _approve(store, one)
    found = store.champion("runs")
    assert found is not None
    assert (found[0].model_id, found[0].approver, found[1]) == (one.model_id, "bob", FIRST.content)
    assert store.champion("files") is None
    _approve(store, two)
    first, second = store.models()
    assert (first.status, first.retired_by, first.retirement_note) == (
        "retired",
        "bob",
        f"gave way to model {two.model_id}",
    )
    assert (second.status, second.learned_until, second.figures) == ("champion", FIRST.learned_until, {"auc": 0.71})


@pytest.mark.parametrize("again", ["ann", " Ann ", "ANN"])
def test_nobody_approves_a_model_of_their_own(store: Store, again: str) -> None:
    made = _propose(store)
    with pytest.raises(RefusedByPolicy, match="another person must approve"):
        _approve(store, made, again)
    assert store.models()[0].status == "challenger"
    with pytest.raises(IntegrityError):
        _edit(store, "UPDATE risk_models SET status = 'champion', approver = owner")


def test_the_same_model_is_proposed_once_unless_it_was_retired(store: Store) -> None:
    made = _propose(store)
    with pytest.raises(RefusedByPolicy, match=f"model {made.model_id}, which ann proposed.*challenger already"):
        _propose(store, owner="cy")
    store.retire_model(made.model_id, "a slip")
    assert _propose(store).model_id != made.model_id


def test_a_retired_model_is_neither_approved_nor_retired_again(store: Store) -> None:
    made = _approve(store, _propose(store))
    with pytest.raises(RefusedByPolicy, match="was approved by bob"):
        _approve(store, made, "cy")
    store.retire_model(made.model_id, "drifted")
    assert store.champion("runs") is None
    for act in (store.approve_model, store.retire_model):
        with pytest.raises(RefusedByPolicy, match="was retired by cy"):
            act(made.model_id, "again")
    with pytest.raises(UnknownName, match=f"Known: {made.model_id}"):
        store.retire_model(99, "why")


def test_every_step_is_in_the_audit_log_with_who_approved_which_content(store: Store) -> None:
    one, two = _propose(store), _propose(store, SECOND)
    _approve(store, one)
    _approve(store, two, "cy")
    entries = store.audit_trail(subject=f"model/{one.model_id}")
    assert [(entry.action, entry.actor) for entry in reversed(entries)] == [
        ("model.proposed", "ann"),
        ("model.approved", "bob"),
        ("model.retired", "cy"),
    ]
    assert {entry.details["content_hash"] for entry in entries} == {one.content_hash}
    assert entries[1].details["approval_note"] == "validated"
    assert store.verify_audit() is None


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE risk_models SET content = '{}' WHERE model_id = :id", "the checksum differs"),
        ("UPDATE risk_models SET content = '{}', content_hash = :hash WHERE model_id = :id", "by the audit log"),
    ],
)
def test_a_model_that_was_changed_in_the_database_decides_nothing(store: Store, statement: str, said: str) -> None:
    made = _approve(store, _propose(store))
    other = _propose(store, SECOND)
    forged = {"hash": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"}  # sha256 of {}
    for one in (made, other):
        _edit(store, statement, id=one.model_id, **(forged if ":hash" in statement else {}))
        if one is made:
            with pytest.raises(ModelSpoilt, match=f"Model {made.model_id} .*not what was approved.*{said}"):
                store.champion("runs")
            store.retire_model(made.model_id, "spoilt")
    with pytest.raises(ModelSpoilt, match="not what was proposed"):
        _approve(store, other)


def test_a_champion_that_nobody_approved_or_that_was_retired_decides_nothing(store: Store) -> None:
    made = _propose(store)
    crown = "UPDATE risk_models SET status = 'champion', approver = 'bob' WHERE model_id = :id"
    _edit(store, crown, id=made.model_id)
    with pytest.raises(ModelSpoilt, match="by the audit log it was not approved"):
        store.champion("runs")
    _edit(store, "UPDATE risk_models SET status = 'challenger', approver = NULL")
    _approve(store, made)
    store.retire_model(made.model_id, "drifted")
    _edit(store, crown, id=made.model_id)
    with pytest.raises(ModelSpoilt, match="or not last"):
        store.champion("runs")


def test_the_database_itself_lets_a_purpose_have_one_champion(store: Store) -> None:
    _approve(store, _propose(store))
    other = _propose(store, SECOND)
    with pytest.raises(IntegrityError):
        _edit(
            store, "UPDATE risk_models SET status = 'champion', approver = 'x' WHERE model_id = :id", id=other.model_id
        )


RACE = """
import sys
from dataclasses import replace
from engine.domain.errors import RefusedByPolicy
from engine.store import Store
from tests.engine.store.test_models import FIRST
with Store(sys.argv[1], actor=sys.argv[2]) as store:
    own = store.propose_model(replace(FIRST, content=sys.argv[2]))
    try:
        same = store.propose_model(FIRST).model_id
    except RefusedByPolicy:
        same = None
    store.actor = "approver of " + sys.argv[2]
    store.approve_model(own.model_id, "raced")
    print(own.model_id, same, flush=True)
    if sys.argv[3] == "die":
        import os
        held = store._write()
        session = held.__enter__()
        from engine.store import models
        from datetime import UTC, datetime
        models.propose(session, replace(FIRST, content="half"), "ann", datetime.now(UTC))
        os._exit(9)
"""


def test_proposals_that_race_and_one_killed_half_way_leave_one_champion_and_a_whole_log(
    store: Store, address: str
) -> None:
    store.models()  # the tables are there
    running = [
        subprocess.Popen([sys.executable, "-c", RACE, address, name, end], stdout=subprocess.PIPE, text=True)
        for name, end in (("ann", "live"), ("cy", "die"))
    ]
    told = [process.communicate(timeout=60)[0].split() for process in running]
    assert [process.returncode for process in running] == [0, 9]
    # the very same model was taken from one of them; what was half done when its process ended is not there
    assert sorted(same == "None" for _, same in told) == [False, True]
    models = store.models()
    assert len(models) == 3
    assert sorted(one.status for one in models) == ["challenger", "champion", "retired"]
    assert store.verify_audit() is None
    found = store.champion("runs")
    assert found is not None
    assert found[1] in ("ann", "cy")
