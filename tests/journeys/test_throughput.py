"""How long cases take, where they wait and what is done again, worked by hand, by walking through, and on real data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import csv

from journeys import throughput
from journeys.throughput import ActivityTimes, Throughput

Told = tuple[str, float, str]
"""An activity, its second, and its phase."""


def block(cases: dict[str, list[Told]]) -> pa.Table:
    """Events in the order in which they are told."""
    rows = [(case, *one) for case, told in cases.items() for one in told]
    return pa.table(
        {
            "customer": pa.array([row[0] for row in rows], pa.string()),
            "event": pa.array([row[1] for row in rows], pa.string()),
            "at": pa.array([round(row[2] * 1e6) for row in rows], pa.timestamp("us")),
            "seq": pa.array(range(len(rows)), pa.int64()),
            "lifecycle": pa.array([row[3] or None for row in rows], pa.string()),
        }
    )


def plain(told: str) -> list[Told]:
    words = [word.split("@") for word in told.split()]
    return [(name, float(at), "") for name, at in words]


def study(cases: dict[str, list[Told]], *, phases: bool = False) -> Throughput:
    return throughput.summarise(throughput.count(block(cases), phases=phases))


def of(found: Throughput, activity: str) -> ActivityTimes:
    return next(one for one in found.activities if one.activity == activity)


def test_case_takes_from_its_first_to_its_last_event() -> None:
    found = study({"a": plain("A@0 B@10"), "b": plain("A@5"), "c": plain("A@0 B@20 C@50")})
    assert (found.cases, found.events) == (3, 6)
    assert found.duration.mean_seconds == pytest.approx((10 + 0 + 50) / 3)
    assert found.duration.percentiles_seconds is not None
    assert found.duration.percentiles_seconds["median"] == 10


def test_steps_are_ranked_by_the_time_that_all_cases_waited_before_them() -> None:
    found = study({"a": plain("A@0 B@10 C@15"), "b": plain("A@0 B@20 C@21")})
    assert [one.activity for one in found.activities] == ["B", "C", "A"]
    assert of(found, "B").waiting.mean_seconds == 15
    assert of(found, "B").waiting_share == pytest.approx(30 / 36)
    # nothing waits for the first event of a case
    assert (of(found, "A").waiting.count, of(found, "A").waiting.mean_seconds) == (0, None)


def test_repeats_are_counted_by_case_and_by_event() -> None:
    found = study({"a": plain("A@0 B@1 B@2 B@3"), "b": plain("A@0 B@1"), "c": plain("A@0 B@1 A@2")})
    assert (of(found, "B").cases_with_repeats, of(found, "B").repeats, of(found, "B").occurrences) == (1, 2, 5)
    assert found.cases_with_repeats == 2


def test_service_runs_from_start_to_complete_and_the_wait_ends_at_the_start() -> None:
    told = [("A", 0.0, "complete"), ("B", 10.0, "start"), ("B", 25.0, "COMPLETE"), ("C", 30.0, "complete")]
    found = study({"a": told}, phases=True)
    assert (of(found, "B").service.mean_seconds, of(found, "B").waiting.mean_seconds) == (15, 10)
    assert (of(found, "C").service.count, of(found, "C").waiting.mean_seconds) == (0, 5)
    assert of(found, "B").occurrences == 1


def test_completion_takes_the_earliest_start_that_is_not_yet_completed() -> None:
    told = [("A", 0.0, "start"), ("A", 4.0, "start"), ("A", 10.0, "complete"), ("A", 11.0, "complete")]
    told.append(("A", 20.0, "complete"))  # nothing had begun
    found = study({"a": told}, phases=True)
    assert of(found, "A").service.count == 2
    assert of(found, "A").service.mean_seconds == pytest.approx((10 + 7) / 2)


def test_no_events_give_no_times_rather_than_zero() -> None:
    found = study({})
    assert (found.cases, found.duration.mean_seconds, found.activities) == (0, None, ())


phased = st.tuples(st.sampled_from("AB"), st.integers(0, 4), st.sampled_from(["start", "complete", "schedule", ""]))


@settings(max_examples=150, deadline=None)
@given(logs=st.lists(st.lists(phased, min_size=1, max_size=9), min_size=1, max_size=4))
def test_pairs_are_those_of_a_queue_per_case_and_activity(logs: list[list[Any]]) -> None:
    cases = {
        f"c{n}": sorted(((a, float(at), p) for a, at, p in log), key=lambda one: one[1]) for n, log in enumerate(logs)
    }
    found = study(cases, phases=True)
    served: dict[str, list[float]] = {"A": [], "B": []}
    waited: dict[str, list[float]] = {"A": [], "B": []}
    for told in cases.values():
        queues: dict[str, list[int]] = {"A": [], "B": []}
        for place, (activity, at, phase) in enumerate(told):
            if phase == "start":
                queues[activity].append(place)
            elif phase in {"complete", ""}:
                begun = place
                if queues[activity]:
                    begun = queues[activity].pop(0)
                    served[activity].append(at - told[begun][1])
                if begun:
                    waited[activity].append(told[begun][1] - told[begun - 1][1])
    for activity in {told[0] for log in cases.values() for told in log}:
        one = of(found, activity)
        for times, expected in ((one.service, served[activity]), (one.waiting, waited[activity])):
            assert times.count == len(expected)
            assert times.total_days * 86_400 == pytest.approx(sum(expected))


@settings(max_examples=30, deadline=None)
@given(logs=st.lists(st.lists(phased, min_size=1, max_size=6), max_size=5), cut=st.integers(0, 5))
def test_blocks_of_cases_add_up_and_all_waits_to_all_durations(logs: list[list[Any]], cut: int) -> None:
    cases = {f"c{n}": [(a, float(at), p) for a, at, p in log] for n, log in enumerate(logs)}
    halves = [dict(list(cases.items())[:cut]), dict(list(cases.items())[cut:])]
    parts = throughput.summarise(pa.concat_tables([throughput.count(block(half), phases=False) for half in halves]))
    whole = study(cases)
    assert parts == whole
    waited = sum(one.waiting.total_days for one in whole.activities)
    assert waited == pytest.approx(whole.duration.total_days)


def bpi2012(folder: Path) -> pa.Table:
    types = {"case": pa.string(), "timestamp": pa.timestamp("us", "UTC")}
    read = csv.read_csv(
        folder / "bpi2012" / "bpi2012_events.csv.gz", convert_options=csv.ConvertOptions(column_types=types)
    )
    return pa.table(
        {
            "customer": read["case"],
            "event": read["activity"],
            "at": read["timestamp"].cast(pa.timestamp("us")),
            "seq": np.arange(len(read)),
            "lifecycle": read["lifecycle"],
        }
    )


@pytest.mark.real_data
def test_loan_applications_take_eight_and_a_half_days_on_average(real_data: Path) -> None:
    found = throughput.summarise(throughput.count(bpi2012(real_data), phases=True))
    assert (found.cases, found.events) == (13_087, 262_200)
    assert found.duration.mean_seconds is not None
    assert found.duration.percentiles_seconds is not None
    assert found.duration.mean_seconds / 86_400 == pytest.approx(8.62, abs=0.005)
    assert found.duration.percentiles_seconds["median"] / 3_600 == pytest.approx(19.4, abs=0.05)
    assert found.activities[0].activity == "W_Nabellen offertes"


@pytest.mark.real_data
def test_times_and_repeats_are_those_of_pm4py(real_data: Path) -> None:
    pm4py = pytest.importorskip("pm4py", reason="pm4py is not installed; it is compared with, never depended on")
    table = bpi2012(real_data)
    frame = pm4py.format_dataframe(table.to_pandas(), case_id="customer", activity_key="event", timestamp_key="at")
    found = throughput.summarise(throughput.count(table, phases=False))
    durations = pm4py.get_all_case_durations(frame)
    assert found.duration.total_days * 86_400 == pytest.approx(sum(durations))
    assert found.duration.percentiles_seconds is not None
    assert found.duration.percentiles_seconds["median"] == pytest.approx(float(np.median(durations)))
    rework = pm4py.get_rework_cases_per_activity(frame)
    assert {one.activity: one.cases_with_repeats for one in found.activities if one.cases_with_repeats} == rework
