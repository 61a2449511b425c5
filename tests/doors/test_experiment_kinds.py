"""`wayline experiment analyze`: caps, quantiles, times to an event, weighted sums, unknown values, plans in a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pytest import approx

from tests.doors.experiment_files import COLUMNS, Ask, Refuse, Write, check


def test_mean_is_shown_with_its_cap_and_without(ask: Ask, write: Write) -> None:
    rows = [(place, "ab"[place % 2], 1 + place // 2 % 2) for place in range(40)] + [(40, "b", 1000)]
    path = write("u,v,m", rows)
    capped, whole = ask(path, *COLUMNS, "--metric", "m:mean", "--cap", "m=10")["metrics"]
    assert (capped["metric"], whole["metric"], whole["role"]) == ("m", "m.uncapped", "secondary")
    # b: 10 ones, 10 twos and the 1000
    assert capped["value"] == {"a": approx(1.5), "b": approx((30 + 10) / 21)}
    assert whole["value"]["b"] == approx(1030 / 21)
    # the 75th percentile of 20 ones, 20 twos and the 1000 is 2
    by_percentile = ask(path, *COLUMNS, "--metric", "m:mean", "--cap", "m=p75")["metrics"][0]
    assert by_percentile["value"]["b"] == approx(32 / 21)


def test_quantiles_are_values_of_the_arm_and_are_shown_by_segment(ask: Ask, write: Write) -> None:
    # a: 1 to 400, b: 101 to 500
    rows = [(place, "ab"[place % 2], 1 + place // 2 + 100 * (place % 2), "xy"[place // 400]) for place in range(800)]
    found = ask(write("u,v,m,s", rows), *COLUMNS, "--metric", "m:median", "--metric", "m:p90", "--segment", "s")
    middle, high = found["metrics"]
    assert (middle["metric"], middle["value"]) == ("m.p50", {"a": 200, "b": 300})
    assert (high["metric"], high["value"]) == ("m.p90", {"a": 360, "b": 460})
    assert (middle["absolute"]["difference"], middle["method"], middle["verdict"]) == (100, "quantile", "better")
    parts = middle["segments"][0]["values"]
    assert [(one["of"], one["value"]["a"], one["absolute"]["difference"]) for one in parts] == [
        ("x", 100, 100),
        ("y", 300, 100),
    ]


def test_rate_by_a_horizon_counts_each_unit_for_the_days_it_was_watched(ask: Ask, write: Write) -> None:
    # of 100 units 20 default on day 2; 40 are watched for 5 days only; of the 40 left 10 default on day 7
    def arm(name: str, late: int) -> list[tuple[str, float, int]]:
        return [(name, 2.5, 1)] * 20 + [(name, 5, 0)] * 40 + [(name, 7, 1)] * late + [(name, 30, 0)] * (40 - late)

    rows = [(place, *row) for place, row in enumerate(arm("a", 10) + arm("b", 20))]
    question = ("--time-to-event", "days/bad:10", "--decrease", "bad")
    (metric,) = ask(write("u,v,days,bad", rows), *COLUMNS, *question)["metrics"]
    # 1 - 0.8 x 30/40, and 1 - 0.8 x 20/40; as shares of all units they would be 0.3 and 0.4
    assert metric["value"] == {"a": approx(0.4), "b": approx(0.6)}
    assert (metric["metric"], metric["kind"], metric["method"]) == ("bad", "time_to_event", "kaplan_meier")
    assert metric["n"] == {"a": 100, "b": 100}


def test_time_that_is_not_known_is_left_out_and_told(ask: Ask, write: Write) -> None:
    rows = [(place, "ab"[place % 2], 3 + place % 20, int(place % 4 > 1)) for place in range(200)]
    rows = [*rows, (200, "a", "", 1), (201, "b", 4, ""), (202, "b", -1, 1)]  # type: ignore[list-item]
    found = ask(write("u,v,days,bad", rows), *COLUMNS, "--time-to-event", "days/bad:15")
    assert found["metrics"][0]["n"] == {"a": 100, "b": 100}
    assert check(found, "unknown_values.bad")["detail"].startswith("3 of 203")


def test_composite_weighs_what_each_unit_has(ask: Ask, write: Write) -> None:
    rows = [(place, "ab"[place % 2], 100 + place % 2, place // 2 % 2, 3) for place in range(80)]
    question = ("--metric", "gain:mean", "--metric", "bad:proportion", "--metric", "calls:mean")
    path = write("u,v,gain,bad,calls", [*rows, (80, "b", "", 1, 3)])
    found = ask(path, *COLUMNS, *question, "--composite", "net=1*gain - 40*bad-2*calls")
    net = found["metrics"][-1]
    # 100 - 40 x 1/2 - 2 x 3, and 1 more in b
    assert (net["metric"], net["value"], net["n"]) == ("net", {"a": approx(74), "b": approx(75)}, {"a": 40, "b": 40})
    assert check(found, "unknown_values.net")["detail"].startswith("1 of 81")


@pytest.mark.parametrize(("policy", "n"), [("drop", 49), ("zero", 50)])
def test_unknown_values_count_as_the_policy_says_and_are_told(ask: Ask, write: Write, policy: str, n: int) -> None:
    # of 1, 2, 3, 1, 2, 3, ... of 50 units in each arm the third is not known
    rows = [(place, "ab"[place % 2], "" if place in (4, 5) else 1 + place // 2 % 3) for place in range(100)]
    found = ask(write("u,v,m", rows), *COLUMNS, "--metric", "m:mean", "--nulls", f"m={policy}")
    metric = found["metrics"][0]
    assert metric["n"] == {"a": n, "b": n}
    # 16 times 1 + 2 + 3, and 1 + 2, without the one 3
    assert metric["value"]["a"] == approx((16 * 6 + 3 - 3) / n)
    assert check(found, "unknown_values.m")["detail"].startswith("2 of 100")


def test_unknown_values_withhold_everything_where_there_may_be_none(ask: Ask, write: Write) -> None:
    rows = [(place, "ab"[place % 2], "" if place == 3 else place) for place in range(100)]
    found = ask(write("u,v,m", rows), *COLUMNS, "--metric", "m:mean", "--nulls", "error", code=3)
    assert check(found, "unknown_values.m")["status"] == "stop"
    assert found["metrics"][0]["verdict"] == "withheld"


PLAN = """
experiment_id = "fees"
control = "a"
weights = { a = 0.5, b = 0.5 }
unit = "u"
strata = ["s", "t"]

[[metrics]]
metric = "spend"
kind = "mean"
column = "m"

[[metrics]]
metric = "complaint"
kind = "proportion"
column = "k"
role = "guardrail"
direction = "decrease"
margin = 0.5
"""

ROWS = [
    (place, "ab"[place % 2], place % 2 + place % 7, int(place % 9 == 0), "xy"[place // 2 % 2], "pq"[place // 4 % 2])
    for place in range(400)
]


def test_plan_in_a_file_says_all_and_its_hash_is_shown(ask: Ask, write: Write, tmp_path: Path) -> None:
    path, plan = write("u,v,m,k,s,t", ROWS), tmp_path / "plan.toml"
    plan.write_text(PLAN)
    found = ask(path, "--variant", "v", "--spec", plan)
    assert [(one["metric"], one["role"]) for one in found["metrics"]] == [("spend", "goal"), ("complaint", "guardrail")]
    assert found["spec_hash"] in check(found, "plan")["detail"]
    by_options = ask(path, *COLUMNS, "--metric", "m:mean", "--metric", "k:proportion")["metrics"]
    for one, other in zip(found["metrics"], by_options, strict=True):
        assert one["absolute"]["interval"] == approx(other["absolute"]["interval"], rel=1e-12)
    # two strata are one of four groups
    assert found["metrics"][0]["adjusted"]["absolute"]["difference"] is not None


def test_plan_that_was_changed_after_the_first_look_is_told(ask: Ask, write: Write, tmp_path: Path) -> None:
    path, plan, first = write("u,v,m,k,s,t", ROWS), tmp_path / "plan.toml", tmp_path / "first.json"
    plan.write_text(PLAN)
    asked = (path, "--variant", "v", "--spec", plan)
    first.write_text(json.dumps(ask(*asked)))
    assert check(ask(*asked, "--first-look", first), "plan")["status"] == "ok"
    plan.write_text(PLAN.replace("margin = 0.5", "margin = 0.9"))
    found = ask(*asked, "--first-look", first)
    assert (check(found, "plan")["status"], found["changed"]) == ("warning", ["metrics"])
    assert "changed after the first look, in: metrics" in check(found, "plan")["detail"]


def test_planned_looks_are_judged_by_their_day(ask: Ask, refusal: Refuse, write: Write, tmp_path: Path) -> None:
    path, plan = write("u,v,m,k,s,t", ROWS), tmp_path / "plan.toml"
    start = "starts_at = 2026-03-01T00:00:00Z\n"
    plan.write_text(start + PLAN.replace("[[metrics]]", "looks = { days = 10 }\n\n[[metrics]]", 1))
    asked = (path, "--variant", "v", "--spec", plan)
    early, last = (ask(*asked, "--as-of", day)["metrics"][0]["now"] for day in ("2026-03-02", "2026-03-10"))
    width = [one["absolute"]["interval"][1] - one["absolute"]["interval"][0] for one in (early, last)]
    assert width[0] > 2 * width[1]
    assert ask(*asked, "--as-of", "2026-03-10")["looks"] == "planned"
    assert "--as-of, the date of this look" in refusal(*asked, code=2)


def test_every_unusable_plan_gets_its_sentence(refusal: Refuse, write: Write, tmp_path: Path) -> None:
    path, plan = write("u,v,m,k,s,t", ROWS), tmp_path / "plan.toml"
    plan.write_text(PLAN)
    asked = (path, "--variant", "v", "--spec", plan)
    assert "--control: the plan in plan.toml says so" in refusal(*asked, "--control", "a", code=2)
    assert "there is no such file" in refusal(path, "--spec", tmp_path / "none.toml", code=2)
    assert "--variant is missing" in refusal(path, "--control", "a", "--metric", "m:mean", code=2)
    plan.write_text(PLAN.replace('column = "m"', 'event = "m"'))
    assert 'metric "spend" reads an event' in refusal(*asked, code=2)
    plan.write_text(PLAN.replace('column = "m"', 'column = "m"\nwindow_days = 7'))
    assert "leave it out" in refusal(*asked, code=2)
    plan.write_text(PLAN.replace("margin", "marge"))
    assert "no such setting" in refusal(*asked, code=2)
    plan.write_text(PLAN.replace("b = 0.5", "c = 0.5"))
    assert 'one arm only of the plan, "a"' in refusal(*asked)
    (tmp_path / "first.json").write_text("{}")
    plan.write_text(PLAN)
    assert "holds no plan" in refusal(*asked, "--first-look", tmp_path / "first.json")


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        (("--metric", "m:p0"), "names no metric"),
        (("--cap", "m"), "is no cap"),
        (("--cap", "n=3"), "no such metric"),
        (("--nulls", "none"), "is no rule for what is not known"),
        (("--time-to-event", "days/bad"), "is no time to an event"),
        (("--composite", "net=m-k"), "is no weighted sum"),
        (("--composite", "net=1*m-1*z"), 'no metric "z" in this experiment'),
        (("--weights", "a=1,a=2"), "each arm once"),
        (("--weights", "a=-1,b=2"), "is no split"),
        (("--retention", "login:7-14"), "reads a log of events"),
        (("--window", "30d"), "name that with --events"),
    ],
)
def test_option_that_cannot_be_read_gets_its_sentence(
    refusal: Refuse, write: Write, option: tuple[str, str], sentence: str
) -> None:
    path = write("u,v,m,k,s,t", ROWS[:8])
    assert sentence in refusal(path, *COLUMNS, "--metric", "m:mean", *option, code=2)
