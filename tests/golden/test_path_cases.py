"""Worked cases of paths: what was published, or agreed with another tool, and what our counts give.

The drop-offs were read from PostHog's test_person_dropoffs; the notation is ours. The figures of the loan applications
are those that pm4py 2.7.23 gives for the same file, with ties in the order of the file: each of its transitions, their
medians and all of its variants are equal to ours, and some stand here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.workflows import journey_paths
from engine.workflows.event_logs import LogSource
from journeys import flows
from journeys.paths import Wanted
from tests.journeys.path_builders import block

PATHS = [("1 2", 5), ("1 2 3", 10), ("1 2 3 4", 20)]


def test_published_drop_offs_per_place() -> None:
    """35 reach 2, where 5 stop; 30 reach 3, where 10 stop; 20 reach 4, the end of all of them."""
    people = {
        f"{path}/{number}": " ".join(f"{event}@{place}" for place, event in enumerate(path.split()))
        for path, count in PATHS
        for number in range(count)
    }
    nodes = flows.nodes(flows.table(flows.count_block(block(people), Wanted(), 0, 3))).to_pylist()
    assert {node["event"]: (node["dropped"], node["reached"], node["went_on"]) for node in nodes if node["place"]} == {
        "2": (5, 35, 30),
        "3": (10, 30, 20),
        "4": (20, 20, 0),
    }


@pytest.fixture
def loan_applications(real_data: Path) -> LogSource:
    source = real_data / "bpi2012" / "bpi2012_events.csv.gz"
    if not source.exists():
        pytest.skip("no events of the BPI Challenge 2012 among the public data sets here")
    return LogSource(path=source, case="case", event="activity", time="timestamp")


@pytest.mark.real_data
def test_transitions_of_loan_applications(loan_applications: LogSource) -> None:
    found = journey_paths.transition_graph(loan_applications, Wanted())["transitions"]
    edges = {(edge["from"], edge["to"]): edge for edge in found}
    assert len(edges) == 137
    counts = {
        ("(start)", "A_SUBMITTED"): 13_087,
        ("A_SUBMITTED", "A_PARTLYSUBMITTED"): 13_087,
        ("W_Completeren aanvraag", "W_Completeren aanvraag"): 38_004,
        ("W_Nabellen offertes", "W_Nabellen offertes"): 36_084,
        ("A_PREACCEPTED", "W_Completeren aanvraag"): 7_367,
        ("O_CREATED", "O_SENT"): 7_030,
        ("A_PARTLYSUBMITTED", "A_DECLINED"): 3_429,
        ("A_DECLINED", "(end)"): 3_429,
    }
    assert {edge: edges[edge]["count"] for edge in counts} == counts
    # 262 200 events: as many transitions out of them as there are
    assert sum(edge["count"] for edge in found if edge["from"] != "(start)") == 262_200


@pytest.mark.real_data
def test_variants_and_times_of_loan_applications(loan_applications: LogSource) -> None:
    found = journey_paths.most_frequent_variants(loan_applications, Wanted(), 5)
    assert (found["cases"], found["variants"]) == (13_087, 4_366)
    assert [one["count"] for one in found["top"]] == [3_429, 1_872, 271, 209, 160]
    assert list(found["top"][0]["path"]) == ["A_SUBMITTED", "A_PARTLYSUBMITTED", "A_DECLINED"]
    assert found["mean_seconds"] / 86_400 == pytest.approx(8.6238, abs=1e-4)  # 8.62 days
    assert found["median_seconds"] == pytest.approx(69_857.434)  # 19.4 hours


@pytest.mark.real_data
def test_every_transition_and_variant_of_loan_applications_is_that_of_pm4py(loan_applications: LogSource) -> None:
    """An oracle where somebody has installed it; never a dependency."""
    pm4py = pytest.importorskip("pm4py", reason="pm4py is not installed; it is an oracle, never a dependency")
    theirs = _oracle(pm4py, loan_applications)
    edges = journey_paths.transition_graph(loan_applications, Wanted())["transitions"]
    assert {(edge["from"], edge["to"]): edge["count"] for edge in edges} == theirs["edges"]
    inner = {(edge["from"], edge["to"]): edge["median_seconds"] for edge in edges if edge["median_seconds"] is not None}
    assert inner == pytest.approx(theirs["medians"])
    found = journey_paths.most_frequent_variants(loan_applications, Wanted(), 100_000)
    assert {tuple(one["path"]): one["count"] for one in found["top"]} == theirs["variants"]
    assert found["median_seconds"] == pytest.approx(theirs["median_seconds"])


def _oracle(pm4py: Any, source: LogSource) -> dict[str, Any]:
    import pandas as pd

    rows = pd.read_csv(str(source.path), dtype=str)
    rows["timestamp"] = pd.to_datetime(rows["timestamp"], utc=True, format="ISO8601")
    log = pm4py.format_dataframe(rows, case_id="case", activity_key="activity", timestamp_key="timestamp")
    inner, first, last = pm4py.discover_dfg(log)
    waits, _, _ = pm4py.discover_performance_dfg(log)
    return {
        "edges": dict(inner)
        | {("(start)", name): count for name, count in first.items()}
        | {(name, "(end)"): count for name, count in last.items()},
        "medians": {edge: wait["median"] for edge, wait in waits.items()},
        "variants": dict(pm4py.get_variants(log)),
        "median_seconds": float(pd.Series(pm4py.get_all_case_durations(log)).median()),
    }
