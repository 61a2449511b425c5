"""`wayline experiment analyze EXPOSURES --events EVENTS`: two logs as they lie."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest import approx

from tests.doors.experiment_files import Ask, Refuse, Write, check

EXPOSED = "customer_id,variant,exposed_at,region"
HAPPENED = "customer_id,event_name,occurred_at,value"

ARMS = ("--variant", "variant", "--control", "a")


@pytest.fixture
def logs(write: Write) -> tuple[Path, str, Path]:
    """60 customers exposed on 1 March, the evens to a; each of b and every other of a buys for 10 the day after."""
    exposures = [(place, "ab"[place % 2], "2026-03-01 10:00:00", "nw"[place % 3 > 0]) for place in range(60)]
    exposures += [(0, "a", "2026-03-02 10:00:00", "n")]  # seen again: the first counts
    exposures += [(1, "a", "2026-03-03 10:00:00", "n")]  # seen in both arms: counts nowhere
    events = [(place, "buy", "2026-03-02 10:00:00", 10) for place in range(60) if place % 2 or place % 4]
    events += [(0, "buy", "2026-03-01 09:00:00", 500)]  # before the exposure
    events += [(2, "buy", "2026-03-20 10:00:00", 700), (3, "look", "2026-03-21 10:00:00", "")]  # after the window
    return write(EXPOSED, exposures, "exposures.csv"), "--events", write(HAPPENED, events, "events.csv")


def test_first_exposure_window_and_units_in_several_arms(ask: Ask, logs: tuple[Path, str, Path]) -> None:
    found = ask(*logs, *ARMS, "--metric", "buy:proportion", "--window", "7d")
    (bought,) = found["metrics"]
    assert bought["n"] == {"a": 30, "b": 29}
    # 15 of the 30 evens are no multiple of 4
    assert bought["value"] == {"a": 0.5, "b": 1.0}
    assert check(found, "several_variants")["detail"].startswith("1 of 60")
    assert found["as_of"].startswith("2026-03-21T10:00:00")


def test_amounts_ratios_retention_and_times_of_logs(ask: Ask, logs: tuple[Path, str, Path]) -> None:
    found = ask(
        *logs, *ARMS, "--metric", "buy:mean", "--ratio", "buy/look", "--retention", "look:14-21",
        "--window", "30d", "--as-of", "2026-04-30",
    )  # fmt: skip
    amount, _, kept = found["metrics"]
    # customer 2 of a bought for 700 more
    assert amount["value"] == {"a": approx((15 * 10 + 700) / 30), "b": 10.0}
    # day 20 after the exposure, by one of b
    assert (kept["metric"], kept["value"]) == ("look", {"a": 0.0, "b": approx(1 / 29)})


def test_customers_whose_window_is_open_do_not_count_yet(ask: Ask, logs: tuple[Path, str, Path]) -> None:
    found = ask(*logs, *ARMS, "--metric", "buy:proportion", "--window", "30d")
    assert found["metrics"][0]["n"] == {"a": 0, "b": 0}
    assert "59 of 59 customers still have time" in check(found, "left_out.buy")["detail"]


def test_plan_in_a_file_reads_logs_as_a_run_does(ask: Ask, logs: tuple[Path, str, Path], tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(
        'experiment_id = "shop"\ncontrol = "a"\nweights = { a = 1, b = 1 }\nsegments = ["region"]\n'
        '[[metrics]]\nmetric = "bought"\nkind = "time_to_event"\nevent = "buy"\nhorizon_days = 7\n'
    )
    found = ask(*logs, "--spec", plan, "--as-of", "2026-04-30")
    (bought,) = found["metrics"]
    # all of b bought, so that nobody is left who was watched to the end without it
    assert bought["value"] == {"a": approx(0.5), "b": None}
    assert check(found, "plan")["status"] == "ok"
    assert check(found, "sample_ratio_by.region")["status"] == "ok"


def test_every_unusable_log_gets_its_sentence(
    ask: Ask, refusal: Refuse, logs: tuple[Path, str, Path], write: Write
) -> None:
    asked = (*ARMS, "--metric", "buy:proportion")
    assert 'Unknown event "bye"' in refusal(*logs, *ARMS, "--metric", "bye:proportion", code=2)
    assert 'Unknown variant column "v"' in refusal(*logs, "--variant", "v", "--control", "a", *asked[4:], code=2)
    assert 'Unknown arm "c"' in refusal(*logs, "--variant", "variant", "--control", "c", *asked[4:], code=2)
    events = write("who,event_name,occurred_at", [(1, "buy", "2026-03-02")], "others.csv")
    assert 'Unknown column of others.csv "customer_id"' in refusal(logs[0], "--events", events, *asked, code=2)
    several = write(
        "experiment_id,customer_id,variant,exposed_at",
        [("x", 1, "a", "2026-03-01"), ("y", 2, "b", "2026-03-01")],
        "several.csv",
    )
    assert "holds 2 experiments (x, y)" in refusal(several, *logs[1:], *asked)
    timeless = write("customer_id,variant", [(1, "a"), (2, "b")], "timeless.csv")
    assert "name it with --exposed-at" in refusal(timeless, *logs[1:], *asked, code=2)
