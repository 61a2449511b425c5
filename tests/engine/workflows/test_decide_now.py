"""One decision in real time: in the ledger before it is told, within every cap, and never an offer when in doubt."""

from __future__ import annotations

import itertools
import json
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset as ds
import pytest

from engine.domain.errors import SettingsFault, StoreUnavailable, UnknownName
from engine.lake.runs import CURRENT, Run, open_run
from engine.lake.workspace import Workspace
from engine.store import LiveLedger, NewFeedback, Store
from engine.workflows import live_replay, session
from engine.workflows import run as workflow
from engine.workflows.decide_now import DecideNow
from engine.workflows.live_requests import LiveRequest
from engine.workflows.live_turns import RequestChanged
from tests.engine.workflows.live_homes import RUN_CLOCK, beside

Ask = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def run(demo_home: Path) -> Run:
    return open_run(Workspace(demo_home))


@pytest.fixture(scope="module")
def kept(demo_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The records of the shared run, made once."""
    home = beside(demo_home, tmp_path_factory.mktemp("records"))
    with DecideNow(home) as decide:
        assert decide.ready()
    return home / "live"


@pytest.fixture
def home(demo_home: Path, kept: Path, tmp_path: Path) -> Path:
    made = beside(demo_home, tmp_path)
    shutil.copytree(kept, made / "live")
    return made


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def any_database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "postgresql":
        monkeypatch.setenv("WAYLINE_DATABASE_URL", request.getfixturevalue("postgres_address"))


@pytest.fixture
def decide(home: Path, run: Run) -> Iterator[DecideNow]:
    with DecideNow(home, clock=lambda: run.as_of) as opened:
        yield opened


@pytest.fixture
def ask(decide: DecideNow) -> Ask:
    return lambda customer_id, **asked: decide.answer(LiveRequest(customer_id=customer_id, **asked)).facts


def offered(run: Run, count: int = 1, **where: Any) -> list[dict[str, Any]]:
    """Return first offers of the run, of customers who were not contacted lately and may be twice more."""
    rows = run.read("recommendations", where={"rank": 1, **where}).to_pylist()
    left = run.read("decision_inputs", columns=["customer_id", "contacts_counted", "unanswered"]).to_pylist()
    room = {
        row["customer_id"]
        for row in left
        if max(map(float, row["contacts_counted"].split(","))) < 1 and row["unanswered"] < 3
    }
    return [row for row in rows if row["customer_id"] in room][:count]


def test_a_thousand_customers_are_decided_live_as_by_the_run_to_the_bit(
    decide: DecideNow, home: Path, run: Run
) -> None:
    ids = run.read("decision_inputs", columns=["customer_id"])["customer_id"].to_pylist()
    drawn = sorted(np.random.default_rng(3).choice(ids, 1_000, replace=False).tolist())
    futures = [decide.submit(LiveRequest(customer_id=one, offers=10, counts=False)) for one in drawn]
    answers = {future.result(30).facts["customer_id"]: future.result().facts for future in futures}
    decisions: dict[str, list[dict[str, Any]]] = {}
    for row in run.read("decisions", where={"customer_id": drawn}).to_pylist():
        decisions.setdefault(row["customer_id"], []).append(row)
    offers: dict[str, list[dict[str, Any]]] = {one: [] for one in drawn}
    for row in run.read("recommendations", where={"customer_id": drawn}).to_pylist():
        offers[row["customer_id"]].append(row)
    with LiveLedger(session.database_url(Workspace(home))) as ledger:
        for one in drawn:
            written = ledger.decision(answers[one]["decision_id"])
            assert written is not None and written.outcome is not None
            outcome = json.loads(written.outcome)
            assert outcome["propensity"] == [row["propensity"] for row in decisions[one]]
            assert outcome["value"] == [row["expected_value_minor"] for row in decisions[one]]
            assert outcome["refused"] == [row["refused_mask"] for row in decisions[one]]
            assert outcome["rank"] == [row["rank"] or 0 for row in decisions[one]]
            told = [answers[one]["action"], *answers[one]["alternatives"]] if answers[one]["action"] else []
            for name in ("product_id", "rank", "channel", "propensity", "selection", "selection_probability", "track"):
                assert [row[name] for row in told] == [row[name] for row in offers[one]]
    assert sum(answer["action"] is not None for answer in answers.values()) > 200
    assert sum(answer["action"] is None for answer in answers.values()) > 200


@pytest.mark.usefixtures("any_database")
def test_a_decision_is_in_the_ledger_with_all_that_a_replay_needs_and_comes_out_the_same(home: Path, run: Run) -> None:
    customer = offered(run)[0]["customer_id"]
    with DecideNow(home, clock=lambda: run.as_of) as decide:
        first = decide.answer(LiveRequest(customer_id=customer, channel="web", page="/cards", offers=3)).facts
        second = decide.answer(LiveRequest(customer_id=customer, channel="web", offers=2)).facts
    assert first["action"] and first["counted"]
    assert second["action"] is None and second["reasons"][0]["code"] == "QUIET_AFTER_CONTACT"
    for answer in (first, second):
        again = live_replay.replayed(home, customer, answer["decision_id"])
        assert again["equal"] and again["inputs_equal"] and again["bundle_equal"] and again["told_equal"]
        assert len(again["products"]) == 24 and all(one["equal"] for one in again["products"])
        told = live_replay.explained(home, customer, answer["decision_id"])
        assert told["answer"] == answer
        assert told["bundle"] == next(stage["bundle"] for stage in run.manifest["stages"] if "bundle" in stage)
    caps = live_replay.explained(home, customer, second["decision_id"])["seen"]
    assert caps["since"]["contacts"][0] == 1 and caps["since"]["days_since_contact"] == 0.0
    assert caps["counted"]["customer_month"] >= 1


def test_a_replay_tells_a_ledger_that_was_changed_from_outside(home: Path, run: Run) -> None:
    customer = offered(run)[0]["customer_id"]
    with DecideNow(home, clock=lambda: run.as_of) as decide:
        told = decide.answer(LiveRequest(customer_id=customer)).facts
    with Store(session.database_url(Workspace(home))) as store, store.writing() as opened:
        connection = opened.connection()
        connection.exec_driver_sql("DROP TRIGGER live_decisions_no_update")
        (outcome,) = connection.exec_driver_sql("SELECT outcome FROM live_decisions").one()
        content = json.loads(outcome)
        content["propensity"][0] = float(np.nextafter(content["propensity"][0], 1))
        connection.exec_driver_sql("UPDATE live_decisions SET outcome = ?", (json.dumps(content),))
    again = live_replay.replayed(home, customer, told["decision_id"])
    assert not again["equal"]
    assert [one["differences"][0]["column"] for one in again["products"] if not one["equal"]] == ["propensity"]


def test_the_same_request_gets_the_same_answer_and_makes_one_contact(decide: DecideNow, home: Path, run: Run) -> None:
    customer = offered(run)[0]["customer_id"]
    request = LiveRequest(customer_id=customer, request_id="r-1", asker="crm")
    futures = [decide.submit(request) for _ in range(8)]
    answers = [future.result(30) for future in futures]
    assert len({answer.body for answer in answers}) == 1
    assert [answer.repeated for answer in answers] == [False] + [True] * 7
    with pytest.raises(RequestChanged, match="used before"):
        decide.answer(LiveRequest(customer_id=customer, request_id="r-1", asker="crm", channel="sms"))
    # another asker's ids are others
    assert not decide.answer(LiveRequest(customer_id=customer, request_id="r-1", asker="other")).repeated
    with LiveLedger(session.database_url(Workspace(home))) as ledger:
        assert len(ledger.decisions(customer)) == 2
        assert sum(one.counted for one in ledger.decisions(customer)) == 1


@pytest.mark.usefixtures("any_database")
def test_no_cap_is_exceeded_by_threads_and_servers_that_ask_at_once(home: Path, run: Run) -> None:
    """Two servers on one database and sixteen threads ask for six customers over and over, an hour after each other."""
    rows = offered(run, 6)
    hours, tick = itertools.count(), threading.Lock()

    def clock() -> datetime:
        with tick:
            return run.as_of + timedelta(hours=next(hours))

    with DecideNow(home, clock=clock) as one, DecideNow(home, clock=clock) as other, ThreadPoolExecutor(16) as pool:
        one.settings = other.settings = one.settings.model_copy(update={"stale_after_hours": 8_000})
        requests = [LiveRequest(customer_id=rows[place % 6]["customer_id"]) for place in range(480)]
        asked = enumerate(requests)
        answers = list(pool.map(lambda pair: (one, other)[pair[0] % 2].answer(pair[1]).facts, asked))
    told = Counter(answer["customer_id"] for answer in answers if answer["counted"])
    kept = {row["customer_id"]: row["contacts_counted"] for row in run.read("decision_inputs").to_pylist()}
    full = 0
    with LiveLedger(session.database_url(Workspace(home))) as ledger:
        assert ledger.unmatched() == 0
        for row in rows:
            made = sorted(
                (one for one in ledger.decisions(row["customer_id"], 1_000) if one.counted),
                key=lambda decision: decision.decided_at,
            )
            assert len(made) == told[row["customer_id"]]
            before = float(kept[row["customer_id"]].split(",")[0])
            assert before + len(made) <= 4  # the cap of 30 days
            full += before + len(made) == 4
            apart = [later.decided_at - earlier.decided_at for earlier, later in itertools.pairwise(made)]
            assert all(gap >= timedelta(days=2) for gap in apart)  # the quiet days
            by_sms = [one.decided_at for one in made if json.loads(one.answer)["action"]["channel"] == "sms"]
            assert all(later - earlier >= timedelta(days=7) for earlier, later in itertools.pairwise(by_sms))
    assert full >= 3  # the cap did stand in the way


def test_an_unsubscription_acts_on_the_very_next_decision(ask: Ask, home: Path, run: Run) -> None:
    row = offered(run, channel="sms")[0]
    before = ask(row["customer_id"], counts=False)
    assert before["action"]["channel"] == "sms"
    address = session.database_url(Workspace(home))
    with Store(address, actor="crm") as store:
        gone = NewFeedback(
            event_id="e1", type="unsubscribed", customer_id=row["customer_id"], channel="sms", occurred_at=run.as_of
        )
        store.add_feedback([gone])
        after = ask(row["customer_id"], counts=False)
        assert after["action"] is None or after["action"]["channel"] != "sms"
        assert ask(row["customer_id"], counts=False, channel="sms")["action"] is None
        store.suppress(row["customer_id"], None, "asked at the desk")
    last = ask(row["customer_id"], counts=False)
    assert last["action"] is None
    assert "NO_CONSENT" in {one["code"] for one in last["reasons"]}


def test_a_sent_message_of_an_export_uses_up_the_caps_of_live_decisions(ask: Ask, home: Path, run: Run) -> None:
    row = offered(run)[0]
    assert ask(row["customer_id"], counts=False)["action"]
    sent = NewFeedback(
        event_id="e1", type="sent", customer_id=row["customer_id"], channel="email", occurred_at=run.as_of,
        product_id=row["product_id"], recommendation_id=row["decision_id"],
    )  # fmt: skip
    with Store(session.database_url(Workspace(home)), actor="crm") as store:
        store.add_feedback([sent])
    after = ask(row["customer_id"], counts=False)
    assert after["action"] is None
    assert after["reasons"][0]["code"] == "QUIET_AFTER_CONTACT"


def test_what_the_request_says_narrows_and_is_told_as_such(ask: Ask, run: Run) -> None:
    row = offered(run)[0]
    wide = ask(row["customer_id"], counts=False, offers=3)
    shown = [wide["action"], *wide["alternatives"]]
    assert [one["rank"] for one in shown] == list(range(1, len(shown) + 1))
    ids = [one["product_id"] for one in shown]
    narrow = ask(row["customer_id"], counts=False, offers=3, seen=(ids[0],), basket=())
    assert ids[0] not in [one["product_id"] for one in (narrow["action"], *narrow["alternatives"]) if one]
    every = tuple(sorted({one["product_id"] for one in run.read("decisions", limit=24).to_pylist()}))
    none = ask(row["customer_id"], counts=False, basket=every)
    assert none["action"] is None and none["reasons"][0]["code"] == "NOTHING_ASKED_FOR"
    assert not none["counted"]


def test_placements_and_pages_are_those_of_the_settings(home: Path, run: Run) -> None:
    with (home / "wayline.toml").open("a", encoding="utf-8") as settings:
        settings.write(
            '[live.placements.banner]\noffers = 2\nfamilies = ["insurance"]\n[live.pages]\n"/cards" = ["card"]\n'
        )
    rows = offered(run, 40)
    with DecideNow(home, clock=lambda: run.as_of) as decide:

        def families(**asked: Any) -> Counter[str]:
            asking = [LiveRequest(customer_id=row["customer_id"], counts=False, **asked) for row in rows]
            told = [decide.answer(request).facts for request in asking]
            assert max(1 + len(one["alternatives"]) for one in told) == (2 if "placement" in asked else 1)
            return Counter(family_of[one["action"]["product_id"]] for one in told if one["action"])

        bundle = decide._snapshots.current()
        catalogue = bundle.bundle.catalogue  # type: ignore[union-attr]
        family_of = dict(zip(catalogue.product_ids, catalogue.families, strict=True))
        assert set(families(placement="banner")) == {"insurance"}
        assert families(page="/cards")["card"] > families(page="/elsewhere")["card"]
        with pytest.raises(UnknownName, match="banner"):
            decide.answer(LiveRequest(customer_id="C1", placement="bannr"))


def test_the_household_has_caps_together(home: Path, run: Run, demo_home: Path) -> None:

    homes = (
        ds.dataset(demo_home / "curated" / "customers").to_table(columns=["customer_id", "household_id"]).to_pandas()
    )
    known = {row["customer_id"]: row for row in offered(run, 10_000)}
    sizes = homes[homes.customer_id.isin(known)].groupby("household_id").customer_id.apply(list)
    members = next(names for names in sizes if len(names) >= 2)
    with Store(session.database_url(Workspace(home)), actor="crm") as store:
        store.add_feedback(
            [
                NewFeedback(
                    event_id=f"e{number}", type="sent", customer_id=members[0], channel="email",
                    occurred_at=run.as_of - timedelta(hours=number), message_id=f"m{number}",
                )
                for number in range(8)
            ]
        )  # fmt: skip
    with DecideNow(home, clock=lambda: run.as_of) as decide:
        told = decide.answer(LiveRequest(customer_id=members[1])).facts
    assert told["action"] is None
    assert told["reasons"][0]["code"] == "HOUSEHOLD_CAP"


@pytest.mark.parametrize(
    ("days", "code"), [(0, "OFFERED"), (1.9, "OFFERED"), (2.1, "STALE_RUN")], ids=["fresh", "almost", "stale"]
)
def test_a_run_that_looks_from_too_long_ago_offers_nothing(home: Path, run: Run, days: float, code: str) -> None:
    customer = offered(run)[0]["customer_id"]
    with DecideNow(home, clock=lambda: run.as_of + timedelta(days=days)) as decide:
        told = decide.answer(LiveRequest(customer_id=customer)).facts
    assert told["code"] == code
    assert (told["action"] is None) == (code == "STALE_RUN")
    if code == "STALE_RUN":
        assert told["reasons"][0]["text_en"].startswith("The latest run looks from too long ago")
        assert told["reasons"][0]["text_zh"]
        with pytest.raises(live_replay.NothingDecided, match="STALE_RUN"):
            live_replay.replayed(home, customer, told["decision_id"])


def test_without_a_run_or_with_one_that_was_changed_nothing_is_offered(
    tmp_path: Path, demo_home: Path, run: Run
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with DecideNow(empty) as decide:
        assert not decide.ready()
        assert decide.answer(LiveRequest(customer_id="C1")).facts["code"] == "NO_RUN"
    spoilt = beside(demo_home, tmp_path)
    (spoilt / "runs").unlink()
    shutil.copytree(demo_home / "runs", spoilt / "runs")
    path = spoilt / "runs" / run.run_id / "decision_bundle.json"
    path.write_text(path.read_text(encoding="utf-8").replace("0x1.", "0x2.", 1), encoding="utf-8")
    with DecideNow(spoilt) as decide:
        told = decide.answer(LiveRequest(customer_id=offered(run)[0]["customer_id"])).facts
    assert told["code"] == "RUN_NOT_USABLE" and told["action"] is None


def test_a_customer_whom_the_run_does_not_know_is_not_kept_by_name(ask: Ask, home: Path) -> None:
    told = ask("zq@example.com")
    assert (told["code"], told["action"], told["counted"]) == ("UNKNOWN_CUSTOMER", None, False)
    assert told["customer_id"] is None
    assert b"zq@example" not in (home / "wayline.db").read_bytes() + (home / "wayline.db-wal").read_bytes()


def test_a_database_that_does_not_answer_is_an_error_and_no_offer(home: Path, run: Run, monkeypatch: Any) -> None:
    monkeypatch.setenv("WAYLINE_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    with DecideNow(home, clock=lambda: run.as_of) as decide, pytest.raises(StoreUnavailable):
        decide.answer(LiveRequest(customer_id=offered(run)[0]["customer_id"]))


def test_a_newer_run_takes_over_at_once_and_an_answer_is_of_one_run(tmp_path: Path, demo_home: Path, run: Run) -> None:
    home = beside(demo_home, tmp_path, RUN_CLOCK + "look_for_runs_seconds = 0\n")
    (home / "runs").unlink()
    shutil.copytree(demo_home / "runs", home / "runs")
    newer = home / "runs" / "20260701T000000Z-0123456789"
    shutil.copytree(home / "runs" / run.run_id, newer)
    manifest = json.loads((newer / "manifest.json").read_text(encoding="utf-8"))
    manifest |= {"run_id": newer.name, "finished_at": "2026-12-01T00:00:00+00:00"}
    (newer / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    customer = offered(run)[0]["customer_id"]
    with DecideNow(home, clock=lambda: run.as_of) as decide:
        assert decide.answer(LiveRequest(customer_id=customer, counts=False)).facts["run_id"] == run.run_id
        (home / "runs" / CURRENT).write_text(newer.name, encoding="utf-8")
        seen = [decide.answer(LiveRequest(customer_id=customer, counts=False)).facts["run_id"]]
        decide._snapshots.close()
        seen.append(decide.answer(LiveRequest(customer_id=customer, counts=False)).facts["run_id"])
    assert seen[-1] == newer.name
    assert set(seen) <= {run.run_id, newer.name}
    assert len(list((home / "live").iterdir())) == 2


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"customer_id": ""}, "customer_id: expected 1 to 200"),
        ({"customer_id": "C\x00"}, "customer_id"),
        ({"customer_id": "C" * 201}, "customer_id"),
        ({"customer_id": "C\ud800"}, "customer_id"),
        ({"basket": ("",)}, "basket: expected at most 200 ids"),
        ({"seen": ("a",) * 201}, "seen"),
        ({"offers": 0}, "offers: expected 1 to 10"),
        ({"request_id": "\n"}, "request_id"),
        ({"page": ""}, "page"),
    ],
)
def test_what_is_no_request_is_refused_with_a_sentence(decide: DecideNow, asked: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsFault, match=said) as fault:
        decide.answer(LiveRequest(**({"customer_id": "C1"} | asked)))
    assert "C\x00" not in fault.value.sentence and "CCC" not in fault.value.sentence


def test_a_channel_that_is_none_is_named_with_those_that_are(decide: DecideNow) -> None:
    with pytest.raises(UnknownName, match='Did you mean "email"'):
        decide.answer(LiveRequest(customer_id="C1", channel="emial"))


def test_a_contact_counts_once_live_and_once_in_the_next_run_and_never_twice(small_home: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(small_home, home)
    (home / "wayline.toml").write_text(RUN_CLOCK, encoding="utf-8")
    first = open_run(Workspace(home))
    reported, silent = (row["customer_id"] for row in offered(first, 2))
    address = session.database_url(Workspace(home))

    def counts(customer_id: str) -> tuple[int, float]:
        """How many contacts are counted beside the run's, and how many in all, of a month."""
        with DecideNow(home) as decide:
            told = decide.answer(LiveRequest(customer_id=customer_id, counts=False)).facts
        seen = live_replay.explained(home, customer_id, told["decision_id"])["seen"]
        return seen["since"]["contacts"][0], seen["counted"]["customer_month"]

    before = {one: counts(one)[1] for one in (reported, silent)}
    with DecideNow(home) as decide:
        told = {one: decide.answer(LiveRequest(customer_id=one)).facts for one in (reported, silent)}
    assert all(answer["counted"] for answer in told.values())
    sent = NewFeedback(
        event_id="e1", type="sent", customer_id=reported, channel=told[reported]["action"]["channel"],
        product_id=told[reported]["action"]["product_id"], decision_id=told[reported]["decision_id"],
        occurred_at=datetime.fromisoformat(told[reported]["decided_at"]),
    )  # fmt: skip
    with Store(address, actor="crm") as store:
        store.add_feedback([sent])
    assert {one: counts(one) for one in before} == {one: (1, count + 1) for one, count in before.items()}
    workflow.run(home, seed=1)
    assert open_run(Workspace(home)).run_id != first.run_id
    assert {one: counts(one) for one in before} == {one: (0, count + 1) for one, count in before.items()}
