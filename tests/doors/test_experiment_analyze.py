"""`wayline experiment analyze` on small files, on the public experiments, and on everything that is not one."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pytest import approx

from engine.cli.main import main
from tests.doors.experiment_files import COLUMNS, Ask, Refuse, Write, check


def test_answer_has_what_the_documented_json_has(ask: Ask, write: Write) -> None:
    path = write("u,v,m", [(place, "ab"[place % 2], place % 3) for place in range(60)])
    found = ask(path, *COLUMNS, "--metric", "m:mean")
    (metric,) = found["metrics"]
    assert {"check", "status", "p_value", "detail", "detail_zh"} == set(found["health"][0])
    assert {"metric", "variant", "control", "n", "value", "absolute", "relative", "adjusted", "verdict"} <= set(metric)
    assert {"difference", "interval", "p_value"} == set(metric["absolute"])
    assert {"lift", "interval", "p_value"} == set(metric["relative"])
    assert {"action", "reasons"} <= set(found["decision"])
    assert (metric["n"], metric["value"]) == ({"a": 30, "b": 30}, {"a": 1.0, "b": 1.0})
    assert metric["adjusted"] is None


def test_welch_of_a_file_is_that_of_scipy(ask: Ask, write: Write) -> None:
    from scipy import stats

    rows = [(place, "ab"[place % 2], (place * 7919) % 101 + 3 * (place % 2)) for place in range(400)]
    metric = ask(write("u,v,m", rows), *COLUMNS, "--metric", "m:mean")["metrics"][0]
    a, b = ([value for _, arm, value in rows if arm == name] for name in "ab")
    expected = stats.ttest_ind(b, a, equal_var=False)
    assert metric["absolute"]["p_value"] == approx(expected.pvalue, rel=1e-12)
    assert metric["absolute"]["interval"] == approx(list(expected.confidence_interval()), rel=1e-12)


def test_covariate_narrows_the_interval_and_control_keeps_its_value(ask: Ask, write: Write) -> None:
    # the covariate, 1 more in b, and a hair of chance
    known = [(place // 2 * 37) % 50 for place in range(400)]
    rows = [(place, "ab"[place % 2], one + place % 2 + 0.1 * (place // 2 % 3), one) for place, one in enumerate(known)]
    metric = ask(write("u,v,m,c", rows), *COLUMNS, "--metric", "m:mean", "--covariate", "c")["metrics"][0]
    assert metric["adjusted"]["absolute"]["difference"] == approx(1, abs=1e-9)
    low, high = metric["adjusted"]["absolute"]["interval"]
    assert high - low < 0.05
    assert metric["absolute"]["interval"][1] - metric["absolute"]["interval"][0] > 5
    assert metric["verdict"] == "better"


def test_ratio_is_the_sum_by_the_sum(ask: Ask, write: Write) -> None:
    rows = [(place, "ab"[place % 2], 10 * (place % 4), place % 4) for place in range(80)]
    metric = ask(write("u,v,r,o", rows), *COLUMNS, "--ratio", "r/o")["metrics"][0]
    assert (metric["metric"], metric["value"]) == ("r/o", {"a": 10.0, "b": 10.0})


def test_same_numbers_come_out_of_parquet_and_of_csv_whatever_the_words_for_true(
    ask: Ask, write: Write, tmp_path: Path
) -> None:
    arms = ["ab"[place % 2] for place in range(90)]
    bought = [place % 3 == 0 for place in range(90)]
    table = pa.table({"u": range(90), "v": arms, "m": bought})
    pq.write_table(table, tmp_path / "test.parquet")
    expected = ask(tmp_path / "test.parquet", *COLUMNS, "--metric", "m:proportion")["metrics"]
    for yes, no in (("true", "false"), ("1", "0"), ("Yes", "No"), ("1.0", "0.0")):
        words = [yes if one else no for one in bought]
        path = write("u,v,m", list(zip(range(90), arms, words, strict=True)))
        assert ask(path, *COLUMNS, "--metric", "m:proportion")["metrics"] == expected


def test_nothing_in_a_cell_is_not_zero_and_is_told(ask: Ask, write: Write) -> None:
    rows = [
        (0, "a", 4),
        (1, "a", ""),
        (2, "a", "NA"),
        (3, "a", 6),
        (4, "b", 1),
        (5, "b", "nan"),
        (6, "b", 3),
        (7, "b", 2),
    ]
    found = ask(write("u,v,m", rows), *COLUMNS, "--metric", "m:mean")
    assert (found["metrics"][0]["n"], found["metrics"][0]["value"]) == ({"a": 2, "b": 3}, {"a": 5.0, "b": 2.0})
    assert check(found, "unknown_values.m")["detail"].startswith("3 of 8")


def test_broken_split_withholds_every_number_and_keeps_the_counts(ask: Ask, write: Write) -> None:
    rows = [(place, "a" if place < 1000 else "b", place % 2) for place in range(2200)]
    path = write("u,v,m", rows)
    found = ask(path, *COLUMNS, "--metric", "m:proportion", code=3)
    ratio, metric = check(found, "sample_ratio"), found["metrics"][0]
    # chi-square 200^2 / 2200 = 18.18
    assert (ratio["status"], ratio["p_value"]) == ("stop", approx(2.00787e-05, rel=1e-5))
    assert (metric["n"], metric["value"]) == ({"a": 1000, "b": 1200}, {"a": None, "b": None})
    assert (metric["absolute"]["difference"], metric["verdict"]) == (None, "withheld")
    assert "Sample ratio mismatch" in metric["absolute"]["why"]
    assert found["decision"]["action"] == "review"
    shown = ask(path, *COLUMNS, "--metric", "m:proportion", "--show-withheld", code=3)
    assert shown["metrics"][0]["value"]["a"] == 0.5
    planned = ask(path, *COLUMNS, "--metric", "m:proportion", "--weights", "a=10,b=12")
    assert check(planned, "sample_ratio")["status"] == "ok"


def test_unit_in_two_arms_is_left_out_and_counted(ask: Ask, write: Write) -> None:
    rows = [(place, "ab"[place % 2], 1) for place in range(100)] + [(0, "b", 9)]
    found = ask(write("u,v,m", rows), *COLUMNS, "--metric", "m:mean")
    assert found["metrics"][0]["n"] == {"a": 49, "b": 50}
    assert check(found, "several_variants")["detail"].startswith("1 of 100")


def test_unit_in_several_rows_is_refused_or_is_a_cluster(ask: Ask, refusal: Refuse, write: Write) -> None:
    rows = [(place % 40, "ab"[place % 2], place % 5) for place in range(120)]
    path = write("u,v,m", rows)
    told = refusal(path, *COLUMNS, "--metric", "m:mean")
    assert '40 of 40 values of "u" stand in several rows' in told
    assert "--cluster u" in told
    found = ask(path, "--cluster", "u", *COLUMNS[2:], "--metric", "m:mean")
    assert found["metrics"][0]["n"] == {"a": 20, "b": 20}
    assert found["metrics"][0]["value"]["a"] == approx(sum(value for unit, arm, value in rows if arm == "a") / 60)


def test_segments_show_their_effects_and_whether_they_differ(ask: Ask, write: Write) -> None:
    rows = [
        (place, "ab"[place % 2], place % 2 * (place % 4 > 1) * 5 + place % 7, "xy"[place % 4 > 1])
        for place in range(800)
    ]
    (metric,) = ask(write("u,v,m,s", rows), *COLUMNS, "--metric", "m:mean", "--segment", "s")["metrics"]
    (broken,) = metric["segments"]
    assert [one["of"] for one in broken["values"]] == ["x", "y"]
    assert broken["values"][0]["n"] == {"a": 200, "b": 200}
    assert broken["interaction"]["p_value"] < 1e-6


def test_every_unusable_question_gets_its_sentence(ask: Ask, refusal: Refuse, write: Write, tmp_path: Path) -> None:
    three = write("u,v,m,k", [(1, "a", 1, "x"), (2, "b", 2, "y"), (3, "a", 3, "x")])
    assert 'Unknown variant column "z"' in refusal(
        three, "--unit", "u", "--variant", "z", "--control", "a", "--metric", "m:mean", code=2
    )
    assert 'Unknown metric column "n"' in refusal(three, *COLUMNS, "--metric", "n:mean", code=2)
    assert 'Unknown arm "c". Known: a, b.' in refusal(
        three, *COLUMNS[:4], "--control", "c", "--metric", "m:mean", code=2
    )
    assert '"k": 3 of 3 values are no numbers' in refusal(three, *COLUMNS, "--metric", "k:mean", code=2)
    assert "2 of 3 values are neither 0 nor 1" in refusal(three, *COLUMNS, "--metric", "m:proportion", code=2)
    assert "no metric" in refusal(three, *COLUMNS, code=2)
    assert "names no metric" in refusal(three, *COLUMNS, "--metric", "m", code=2)
    assert "no such file" in refusal(tmp_path / "none.csv", *COLUMNS, "--metric", "m:mean")
    (metric,) = ask(three, *COLUMNS, "--metric", "m:mean")["metrics"]
    assert metric["absolute"] == {
        "difference": None,
        "interval": None,
        "p_value": None,
        "why": "fewer than two customers in a group",
        "why_zh": "某组不足两位客户",
    }


def test_one_arm_too_many_arms_no_spread_and_nothing_known_each_get_their_sentence(
    ask: Ask, refusal: Refuse, write: Write
) -> None:
    metric = ("--metric", "m:mean")
    assert "one arm only" in refusal(write("u,v,m", [(place, "a", place) for place in range(9)]), *COLUMNS, *metric)
    arms = write("u,v,m", [(place, f"arm{place % 500}", place) for place in range(1500)])
    assert "500 different values" in refusal(arms, *COLUMNS[:4], "--control", "arm0", *metric)
    (flat,) = ask(write("u,v,m", [(place, "ab"[place % 2], 5) for place in range(40)]), *COLUMNS, *metric)["metrics"]
    assert (flat["value"], flat["verdict"]) == ({"a": 5.0, "b": 5.0}, "withheld")
    assert "every customer has the same value" in flat["why"]
    (empty,) = ask(write("u,v,m", [(place, "ab"[place % 2], "") for place in range(40)]), *COLUMNS, *metric)["metrics"]
    assert (empty["n"], empty["value"]) == ({"a": 0, "b": 0}, {"a": None, "b": None})
    assert empty["why"] == "fewer than two customers in a group"


def test_cookie_cats_has_its_published_retention(ask: Ask, real_data: Path) -> None:
    found = ask(
        real_data / "cookie_cats" / "cookie_cats.csv.gz",
        "--unit", "userid", "--variant", "version", "--control", "gate_30",
        "--metric", "retention_1:proportion", "--metric", "retention_7:proportion",
    )  # fmt: skip
    first, seventh = found["metrics"]
    assert first["n"] == {"gate_30": 44_700, "gate_40": 45_489}
    assert (round(first["value"]["gate_30"], 4), round(first["value"]["gate_40"], 4)) == (0.4482, 0.4423)
    assert (round(seventh["value"]["gate_30"], 4), round(seventh["value"]["gate_40"], 4)) == (0.1902, 0.1820)
    assert first["absolute"]["p_value"] == approx(0.0744, abs=1e-4)
    assert seventh["absolute"]["p_value"] == approx(0.00155, abs=1e-5)
    assert [round(end, 5) for end in seventh["absolute"]["interval"]] == [-0.01328, -0.00312]


def test_hillstrom_has_its_published_visits_in_three_arms(ask: Ask, real_data: Path) -> None:
    found = ask(
        real_data / "hillstrom" / "hillstrom.csv.gz", "--variant", "segment", "--control", "No E-Mail",
        "--metric", "visit:proportion", "--metric", "spend:mean",
    )  # fmt: skip
    visits = {one["variant"]: one["value"] for one in found["metrics"] if one["metric"] == "visit"}
    assert round(visits["Mens E-Mail"]["Mens E-Mail"], 4) == 0.1828
    assert round(visits["Womens E-Mail"]["Womens E-Mail"], 4) == 0.1514
    assert round(visits["Womens E-Mail"]["No E-Mail"], 4) == 0.1062
    spend = {one["variant"]: one["value"] for one in found["metrics"] if one["metric"] == "spend"}
    assert round(spend["Mens E-Mail"]["Mens E-Mail"], 3) == 1.423
    assert found["decision"]["action"] == "ship"


def test_vanguard_is_withheld_for_its_split_and_has_its_completion_when_shown(
    ask: Ask, real_data: Path, tmp_path: Path
) -> None:
    with gzip.open(real_data / "vanguard" / "client_step_counts.csv.gz", "rt") as counts:
        (tmp_path / "clients.csv").write_text(counts.read())
    question = (
        tmp_path / "clients.csv", "--unit", "client_id", "--variant", "variation", "--control", "Control",
        "--metric", "process_completed:proportion",
    )  # fmt: skip
    withheld = ask(*question, code=3)
    assert check(withheld, "sample_ratio")["status"] == "stop"
    assert withheld["metrics"][0]["verdict"] == "withheld"
    value = ask(*question, "--show-withheld", code=3)["metrics"][0]["value"]
    assert (round(value["Control"], 4), round(value["Test"], 4)) == (0.6559, 0.6929)


def test_visits_that_stand_in_both_arms_of_vanguard_are_left_out(ask: Ask, real_data: Path) -> None:
    found = ask(
        real_data / "vanguard" / "visits.csv.gz", "--unit", "visit_id", "--variant", "Variation",
        "--control", "Control", "--metric", "Confirm:proportion", code=3,
    )  # fmt: skip
    assert check(found, "several_variants")["detail"].startswith("120 of 69 183")


def test_people_are_shown_the_same(tmp_path: Path, write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    path = write("u,v,m", [(place, "ab"[place % 2], place % 2) for place in range(400)])
    assert (
        main(["experiment", "analyze", str(path), *COLUMNS, "--metric", "m:proportion", "--home", str(tmp_path)]) == 0
    )
    out = capsys.readouterr().out
    assert "sample_ratio" in out
    assert "100.0 %" in out
    assert "Ship b" in out
