"""`wayline journey conformance`, `attribution` and `stages`: on a plain file, and on the workspace."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engine.cli.main import main

LOG = """case,event,time,channel,worth
1,APPLY,2026-01-01,web,
1,KYC,2026-01-02,branch,
1,OPEN,2026-01-03,,1000
2,APPLY,2026-01-01,web,
2,OPEN,2026-01-03,,501
3,APPLY,2026-01-01,app,
3,OPEN,2026-01-02,,
3,KYC,2026-01-05,branch,
3,KYC,2026-01-06,branch,
4,APPLY,2026-01-06,web,
"""


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Call = Callable[..., Answer]


@pytest.fixture
def wayline(capsys: pytest.CaptureFixture[str]) -> Call:
    def call(*arguments: object) -> Answer:
        code = main(["journey", *(str(argument) for argument in arguments)])
        out, err = capsys.readouterr()
        return Answer(code, out, err)

    return call


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.csv"
    path.write_text(LOG, encoding="utf-8")
    return path


def test_conformance_of_a_file_tells_what_was_skipped_by_how_many(wayline: Call, log: Path) -> None:
    found = wayline("conformance", log, "--steps", "APPLY,KYC,OPEN", "--json").json
    assert (found["cases"], found["conforming"]["count"], found["completed"]["count"]) == (4, 2, 3)
    # case 1 and 4 fit; 2 lacks KYC, 1 of 2 events and 3 steps; 3 has two KYC too many there and one too few before
    assert found["mean_fitness"] == pytest.approx((1 + 1 + (1 - 1 / 5) + (1 - 3 / 7)) / 4)
    kyc = found["steps"][1]
    assert (kyc["skipped"]["count"], kyc["wrong_order"]["count"], kyc["skipped"]["of"]) == (1, 1, 3)
    assert [row["case"] for row in found["worst_cases"]] == ["3", "2"]


def test_mandatory_event_that_was_skipped_is_a_finding_with_its_time(wayline: Call, log: Path) -> None:
    found = wayline("conformance", log, "--steps", "APPLY,OPEN", "--mandatory", "KYC:OPEN", "--json").json
    (rule,) = found["rules"]
    assert (rule["text"], rule["breached"]["count"], rule["breached"]["of"]) == ("KYC before OPEN", 2, 3)
    assert [(row["customer_id"], row["breach"], row["breached_at"]) for row in found["findings"]] == [
        ("2", "skipped", "2026-01-03T00:00:00+00:00"),
        ("3", "wrong_order", "2026-01-02T00:00:00+00:00"),
    ]


def test_answer_that_came_too_late_and_the_one_that_may_yet_come_are_apart(wayline: Call, log: Path) -> None:
    found = wayline("conformance", log, "--steps", "APPLY,OPEN", "--within", "APPLY:OPEN:1d", "--json").json
    (rule,) = found["rules"]
    assert (rule["kinds"], rule["breached"]["of"], rule["open"]) == ({"too_late": 2}, 3, 1)


def test_event_that_never_occurs_is_told_and_counted_as_nobody(wayline: Call, log: Path) -> None:
    answer = wayline("conformance", log, "--steps", "APPLIED,NEVER", "--json")
    assert 'The log has no event "APPLIED" (did you mean "APPLY"?).' in answer.err
    assert (answer.json["cases"], answer.json["mean_fitness"], answer.json["conforming"]["share"]) == (0, None, None)
    assert wayline("conformance", log, "--steps", "APPLIED,NEVER", "--times").code == 0


def test_times_are_told_when_asked(wayline: Call, log: Path) -> None:
    found = wayline("conformance", log, "--steps", "APPLY,OPEN", "--times", "--json").json
    # 2, 2, 5 and 0 days
    assert found["throughput"]["duration"]["mean_seconds"] == pytest.approx(9 / 4 * 86_400)


def test_people_read_the_same_as_a_table(wayline: Call, log: Path) -> None:
    told = wayline("conformance", log, "--steps", "APPLY,KYC,OPEN", "--mandatory", "KYC", "--times").out
    assert "KYC before OPEN" in told
    assert "Where cases wait" in told


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "name the steps"),
        (["--steps", "APPLY,OPEN", "--mandatory", "a:b:c"], "expected an event, or EVENT:BEFORE"),
        (["--steps", "APPLY,OPEN", "--within", "a:b"], "EVENT:THEN:TIME"),
        (["--journey", "morgage"], "Unknown journey"),
    ],
)
def test_conformance_that_cannot_be_answered_is_a_sentence(
    wayline: Call, log: Path, tmp_path: Path, options: list[str], sentence: str
) -> None:
    answer = wayline("conformance", log, *options, "--home", tmp_path)
    assert answer.code == 2
    assert sentence in answer.err


def test_attribution_of_a_file_adds_up_in_every_model(wayline: Call, log: Path) -> None:
    found = wayline("attribution", log, "--touch", "channel", "--conversion", "OPEN", "--json").json
    assert (found["conversions"], found["attributed"], found["lost_paths"], found["open_paths"]) == (3, 3, 0, 2)
    assert found["models"]["last"] == {"app": 1, "branch": 1, "web": 1}
    assert found["models"]["first"] == {"app": 1, "branch": 0, "web": 2}
    for given in found["models"].values():
        assert sum(given.values()) == pytest.approx(3)


def test_attribution_divides_the_value_to_the_last_minor_unit(wayline: Call, log: Path) -> None:
    asked = ["--touch", "channel", "--conversion", "OPEN", "--value", "worth", "--model", "linear", "--json"]
    found = wayline("attribution", log, *asked).json
    assert {row["touch"]: row["value_minor"] for row in found["touches"]} == {"web": 1_001, "branch": 500, "app": 0}


def test_events_can_be_the_touches_and_people_read_the_warning(wayline: Call, log: Path) -> None:
    told = wayline("attribution", log, "--touch", "events", "--conversion", "OPEN", "--window", "none").out
    assert "Share of the conversions by model" in told
    assert "Models disagree on" in told


def test_attribution_to_an_event_that_never_occurs_says_which_one_may_be_meant(wayline: Call, log: Path) -> None:
    answer = wayline("attribution", log, "--touch", "channel", "--conversion", "OPENED")
    assert answer.code == 1
    assert 'no event "OPENED" (did you mean "OPEN"?)' in answer.err


def test_unknown_column_of_touches_and_a_model_that_needs_more_are_refused(wayline: Call, log: Path) -> None:
    assert "Unknown column" in wayline("attribution", log, "--touch", "chanel", "--conversion", "OPEN").err
    asked = ["--touch", "channel", "--conversion", "OPEN", "--model", "last_non_direct"]
    assert "--direct" in wayline("attribution", log, *asked).err


def test_stages_of_the_workspace_are_those_of_its_run(wayline: Call, demo_home: Path) -> None:
    from engine.lake.runs import open_run
    from engine.workflows import session

    run = open_run(session.workspace_at(demo_home))
    found = wayline("stages", "--home", demo_home, "--journey", "mortgage", "--json").json
    stages = run.read("journey_stages", where={"journey": "mortgage"}).column("stage").to_pylist()
    assert {row["stage"]: row["customers"] for row in found["stages"]} == {
        stage: stages.count(stage) for stage in ("awareness", "consideration", "decision", "retention")
    }


def test_movements_since_a_date_start_from_the_stages_of_that_date(wayline: Call, demo_home: Path) -> None:
    asked = ["stages", "--home", demo_home, "--journey", "investing", "--json"]
    before = wayline(*asked, "--as-of", "2026-03-31").json["stages"]
    found = wayline(*asked, "--since", "2026-03-31", "--members", "decision").json
    for row in before:
        moved = [one["customers"] for one in found["movements"] if one["from_stage"] == row["stage"]]
        assert sum(moved) == row["customers"]
    decision = next(row for row in found["stages"] if row["stage"] == "decision")
    assert len(found["members"]) == decision["customers"]
    waited = [row["seconds_in_stage"] for row in found["members"]]
    assert waited == sorted(waited, reverse=True)


def test_stages_that_do_not_exist_are_refused_with_those_that_do(wayline: Call, demo_home: Path) -> None:
    assert "Known: awareness" in wayline("stages", "--home", demo_home, "--members", "wonder").err
    assert "expected a date before" in wayline("stages", "--home", demo_home, "--since", "2027-01-01").err


def test_run_writes_who_broke_the_rules_of_a_journey(wayline: Call, demo_home: Path) -> None:
    from engine.lake.runs import open_run
    from engine.workflows import session

    findings = open_run(session.workspace_at(demo_home)).read("journey_findings").to_pylist()
    found = wayline("conformance", "--home", demo_home, "--journey", "credit_card", "--json", "--top", 1_000).json
    assert found["n_findings"] == sum(row["journey"] == "credit_card" for row in findings)
    assert {row["owner"] for row in findings} <= {"compliance", "conduct"}


def test_openings_without_papers_are_those_that_a_plain_query_counts(demo_home: Path) -> None:
    from engine.config.journeys import Journeys
    from engine.config.load import load
    from engine.lake.engine import DuckDBEngine, parquet_scan, quoted
    from engine.lake.runs import open_run
    from engine.workflows import session

    workspace = session.workspace_at(demo_home)
    findings = open_run(workspace).read("journey_findings", where={"rule": "papers_before_opening"}).to_pylist()
    expected = set()
    with DuckDBEngine() as engine:
        for journey in load(Journeys, "journeys").journeys:
            products = ", ".join(quoted(name) for name in journey.products)
            events = f"SELECT * FROM {parquet_scan(workspace.curated('events'))}"
            found = engine.query(f"""
                WITH every AS ({events}), own AS (SELECT * FROM every WHERE product_id IN ({products}))
                SELECT DISTINCT customer_id FROM own AS opened
                WHERE event_name = 'product_opened' AND customer_id IS NOT NULL
                  AND occurred_at >= (SELECT min(occurred_at) FROM every) + INTERVAL 90 DAY
                  AND NOT EXISTS (
                    SELECT 1 FROM own AS papers
                    WHERE papers.customer_id = opened.customer_id AND papers.event_name = 'documents_uploaded'
                      AND papers.occurred_at BETWEEN opened.occurred_at - INTERVAL 90 DAY AND opened.occurred_at)
            """)
            expected |= {(journey.journey, customer) for customer in found.column("customer_id").to_pylist()}
    assert {(row["journey"], row["customer_id"]) for row in findings} == expected
