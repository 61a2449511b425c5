"""`wayline recommend evaluate` on small files, on public holdings, and on everything that is none."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from engine.cli.main import main
from engine.recommendations.race import ORDER

Ask = Callable[..., dict[str, Any]]
Refuse = Callable[..., str]


@pytest.fixture
def ask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Ask:
    def asked(*arguments: object, code: int = 0) -> dict[str, Any]:
        command = ["recommend", "evaluate", *map(str, arguments), "--home", str(tmp_path / "home"), "--json"]
        assert main(command) == code, capsys.readouterr()
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    return asked


@pytest.fixture
def refusal(ask: Ask, tmp_path: Path) -> Refuse:
    def refused(rows: Mapping[str, Any], *options: str, code: int) -> str:
        pd.DataFrame(rows).to_csv(tmp_path / "customers.csv", index=False)
        return str(ask(tmp_path / "customers.csv", *options, code=code)["error"]["sentence"])

    return refused


def _customers(count: int) -> pd.DataFrame:
    """Card goes with loan, fund with a high age; the later half hold the same, only later."""
    random = np.random.default_rng(5)
    age = random.integers(18, 80, count)
    card = random.random(count) < 0.5
    return pd.DataFrame(
        {
            "id": [f"C{number}" for number in range(count)],
            "joined": pd.date_range("2024-01-01", periods=count, freq="h").strftime("%Y-%m-%d"),
            "age": age,
            "region": np.array(["north", "south", "east"])[random.integers(0, 3, count)],
            "savings": random.random(count) < 0.6,
            "card": card.astype(int),
            "loan": np.where(card & (random.random(count) < 0.7), "yes", "no"),
            "fund": ((age > 50) & (random.random(count) < 0.8)) * 2,
            "pension": random.random(count) < 0.1,
        }
    )


COLUMNS = ("--customer", "id", "--products", "savings,card,loan,fund,pension")


def test_nine_models_are_judged_on_later_customers_each_with_its_interval(ask: Ask, tmp_path: Path) -> None:
    _customers(1500).to_csv(tmp_path / "customers.csv", index=False)
    found = ask(
        tmp_path / "customers.csv", *COLUMNS, "--profile", "age,region", "--time", "joined", "--k", 3, "--seed", 2
    )
    assert list(found)[:5] == ["rows", "products", "split", "models", "champion"]
    assert (found["rows"], found["products"]) == (1500, 5)
    # hour 1,200 of 1,500 is 20 February 2024, and all who came on that day are later customers
    assert (found["split"]["kind"], found["split"]["from"]) == ("later_cohort", "2024-02-20T00:00:00")
    assert [one["name"] for one in found["models"]] == list(ORDER)
    for one in found["models"]:
        keys = ["name", "map_at_k", "interval", "recall_at_k", "ece", "fit_seconds", "score_seconds_per_million"]
        assert list(one)[:7] == keys
        assert one["interval"][0] <= one["map_at_k"] <= one["interval"][1]
        assert one["ece_interval"][0] <= one["ece"] <= one["ece_interval"][1]
        assert one["fit_seconds"] > 0 and one["score_seconds_per_million"] > 0
    of = {one["name"]: one for one in found["models"]}
    assert of[found["champion"]]["beats_popularity"]
    # age decides on the fund, which no model of holdings alone can know
    assert found["champion"] in {"softmax", "logistic", "boosted_trees"}
    assert of["softmax"]["gain_over_popularity"][0] > 0


def test_same_seed_gives_the_same_answer_but_for_the_seconds(ask: Ask, tmp_path: Path) -> None:
    _customers(300).to_parquet(tmp_path / "customers.parquet")
    answers = [ask(tmp_path / "customers.parquet", *COLUMNS, "--seed", 3) for _ in range(2)]
    for answer in answers:
        for one in answer["models"]:
            del one["fit_seconds"], one["score_seconds_per_million"]
    assert answers[0] == answers[1]
    assert answers[0]["split"]["kind"] == "random"


def test_ten_customers_rank_by_popularity_and_the_rest_says_why_it_has_no_number(ask: Ask, tmp_path: Path) -> None:
    _customers(10).to_csv(tmp_path / "customers.csv", index=False)
    found = ask(tmp_path / "customers.csv", *COLUMNS)
    assert found["champion"] == "popularity"
    assert not math.isnan(found["models"][0]["map_at_k"])
    for one in found["models"][1:]:
        assert (one["map_at_k"], one["interval"], one["ece"]) == (None, None, None)
        assert one["why"].startswith("not run: ")


def test_wrong_files_and_questions_are_told_in_a_sentence(refusal: Refuse) -> None:
    rows = {"id": ["a", "b"], "x": [1, 1], "y": [1, 0], "when": ["soon", "later"]}
    xy = ("--customer", "id", "--products", "x,y")
    assert "names 0 columns: expected at least two" in refusal(rows, "--customer", "id", "--products", ",", code=2)
    assert "names 1 column: expected at least two" in refusal(rows, "--customer", "id", "--products", "x", code=2)
    assert 'Unknown product column "z"' in refusal(rows, "--customer", "id", "--products", "x,z", code=2)
    assert 'Unknown customer column "ID"' in refusal(rows, "--customer", "ID", "--products", "x,y", code=2)
    assert "2 of 2 values are no dates" in refusal(rows, *xy, "--time", "when", code=2)
    assert "--k 0: expected how many" in refusal(rows, *xy, "--k", "0", code=2)
    assert '"x" is named twice' in refusal(rows, *xy, "--profile", "x", code=2)
    assert '"y": 1 of 2 values are neither numbers nor yes or no, the first in row 2' in refusal(
        rows | {"y": ["1", "perhaps"]}, *xy, code=2
    )
    assert "none of 2 customers holds two of the 2 products" in refusal(rows | {"y": [0, 0]}, *xy, code=1)
    assert '1 of 2 rows repeat a value of "id"' in refusal(rows | {"id": ["a", "a"]}, *xy, code=1)


@pytest.mark.real_data
def test_later_customers_of_an_insurer_are_named_their_hidden_product(
    ask: Ask, real_data: Path, tmp_path: Path
) -> None:
    # half of the rows and few trees: the test stays short, and the softmax has to win with less
    (tmp_path / "home").mkdir()
    settings = "[recommendations.training]\nhidden_rows = 25000\nboosted_trees = 5\n"
    (tmp_path / "home" / "wayline.toml").write_text(settings, encoding="utf-8")
    path = real_data / "zimnat" / "Train.csv.gz"
    products = list(pd.read_csv(path, nrows=0).columns[8:])
    profile = "sex,marital_status,birth_year,branch_code,occupation_code,occupation_category_code"
    columns = ("--customer", "ID", "--products", ",".join(products), "--profile", profile, "--time", "join_date")
    found = ask(path, *columns)
    assert found["rows"] == 29_132
    of = {one["name"]: one for one in found["models"]}
    champion = of[found["champion"]]
    assert champion["map_at_k"] >= 0.89
    assert champion["ece"] <= 0.005
    # measured by an independent implementation: popularity .762, EASE .874, rules .865
    assert of["popularity"]["map_at_k"] == pytest.approx(0.762, abs=0.01)
    assert of["ease"]["map_at_k"] == pytest.approx(0.874, abs=0.01)
    assert of["pair_rules"]["map_at_k"] == pytest.approx(0.865, abs=0.01)


@pytest.mark.real_data
def test_policies_of_a_small_insurer_are_told_from_each_other_and_popularity_is_beaten(
    ask: Ask, real_data: Path, tmp_path: Path
) -> None:
    rows = pd.read_csv(real_data / "coil2000" / "ticdata.csv.gz")
    assert len(rows) == 9822
    rows["CARAVAN"] = (rows["CARAVAN"] == "insurance").astype(int)
    assert (rows["CARAVAN"][:5822].sum(), rows["CARAVAN"][5822:].sum()) == (348, 238)
    products = list(rows.columns[64:])
    assert len(products) == 22
    rows[products].assign(customer=range(len(rows))).to_parquet(tmp_path / "policies.parquet")
    found = ask(tmp_path / "policies.parquet", "--customer", "customer", "--products", ",".join(products))
    of = {one["name"]: one for one in found["models"]}
    champion = of[found["champion"]]
    assert champion["beats_popularity"]
    # all that can be hidden of four splits gave .8554 with a spread of .0037; one product of each adds as much again
    assert champion["map_at_k"] == pytest.approx(0.8554, abs=0.02)
    assert champion["ece"] <= 0.005
