"""`wayline recommend uplift` on a published campaign, on small files, and on everything that is no test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from engine.cli.main import main


class Door:
    """The command on a file, as a script would call it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.capsys = folder, capsys

    def ask(self, path: Path, *options: str, code: int = 0) -> dict[str, Any]:
        command = ["recommend", "uplift", str(path), *options, "--home", str(self.folder / "home"), "--json"]
        assert main(command) == code, self.capsys.readouterr()
        found: dict[str, Any] = json.loads(self.capsys.readouterr().out)
        return found

    def of(self, rows: dict[str, Any], *options: str, code: int = 0) -> dict[str, Any]:
        path = self.folder / "test.csv"
        pd.DataFrame(rows).to_csv(path, index=False)
        return self.ask(path, *options, code=code)

    def refused(self, rows: dict[str, Any], *options: str, code: int = 2) -> str:
        return str(self.of(rows, *options, code=code)["error"]["sentence"])


@pytest.fixture
def door(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Door:
    return Door(tmp_path, capsys)


COLUMNS = ("--treatment", "sent", "--outcome", "bought", "--profile", "age,region")


def _campaign(customers: int) -> dict[str, Any]:
    random = np.random.default_rng(8)
    return {
        "sent": np.where(random.random(customers) < 0.5, "yes", "no"),
        "age": random.integers(18, 80, customers),
        "region": np.array(["north", "south"])[random.integers(0, 2, customers)],
        "bought": (random.random(customers) < 0.3).astype(int),
    }


def test_letter_that_works_on_nobody_in_particular_has_an_effect_and_no_order(door: Door) -> None:
    rows = _campaign(800)
    rows["bought"] = np.where(np.arange(800) == 5, None, rows["bought"])
    found = door.of(rows, *COLUMNS)
    assert found["rows"] == 799
    assert "1 rows without the outcome were left out." in found["notes"]
    assert found["treated"]["customers"] + found["control"]["customers"] == 799
    assert found["effect"]["interval"][0] < found["effect"]["value"] < found["effect"]["interval"][1]
    assert [one["name"] for one in found["models"]] == ["response", "t_learner", "x_learner"]
    assert (found["champion"], found["why"]) == (None, "no order beats drawing customers at random beyond chance")


def test_campaign_without_a_control_or_without_chance_is_told_so(door: Door) -> None:
    rows = _campaign(800)
    everybody = door.of(rows | {"sent": np.ones(800, dtype=int)}, *COLUMNS)
    assert (everybody["models"], everybody["why"]) == ([], "there is no control: everybody was treated")
    assert everybody["effect"] == {"value": None, "interval": None, "why": "everybody was treated, or nobody"}
    by_age = door.of(rows | {"sent": (rows["age"] > 50).astype(int)}, *COLUMNS)
    assert by_age["champion"] is None
    assert by_age["why"].startswith("chance did not decide who was treated")
    assert by_age["randomised"]["p_value"] < 0.001


def test_wrong_columns_and_values_are_told_in_a_sentence(door: Door) -> None:
    rows = {"sent": ["a", "b", "c"], "age": [30, 40, 50], "region": ["n", "s", "n"], "bought": ["1", "0", "often"]}
    assert '"sent" holds a, b, c: expected 1 and 0 or yes and no' in door.refused(rows, *COLUMNS)
    assert 'Unknown value of "sent" "d". Known: a, b, c.' in door.refused(rows, *COLUMNS, "--control", "d")
    assert '"bought": 1 of 3 values are neither finite numbers nor yes or no, the first in row 3' in door.refused(
        rows, *COLUMNS, "--control", "a"
    )
    assert "--share 30: expected a share above 0 and at most 1" in door.refused(rows, *COLUMNS, "--share", "30")
    assert "name the same value" in door.refused(rows, *COLUMNS, "--control", "a", "--treated", "a")
    assert 'Unknown outcome column "spend"' in door.refused(rows, *COLUMNS[:3], "spend", *COLUMNS[4:])
    assert '"bought" is named twice' in door.refused(rows, *COLUMNS[:5], "age,bought")
    assert "--profile names no column" in door.refused(rows, *COLUMNS[:5], ",")
    ids = {"sent": [f"C{number}" for number in range(30)], "age": 1, "region": 2, "bought": 0}
    sentence = door.refused(ids, *COLUMNS)
    assert "30 different values" in sentence
    assert "C7" not in sentence
    assert "none of 2 rows has a treatment and an outcome" in door.refused(
        {"sent": [1, 0], "age": [1, 2], "region": [1, 2], "bought": [None, None]}, *COLUMNS, code=1
    )


@pytest.mark.real_data
def test_published_campaign_has_its_published_effect_and_an_order_that_beats_the_response(
    door: Door, real_data: Path
) -> None:
    found = door.ask(
        real_data / "hillstrom" / "hillstrom.csv.gz",
        *("--treatment", "segment", "--control", "No E-Mail", "--treated", "Womens E-Mail", "--outcome", "visit"),
        *("--profile", "recency,history,mens,womens,zip_code,newbie,channel"),
    )
    # published: 15.14 % of 21,387 and 10.62 % of 21,306 visited
    assert (found["treated"]["customers"], found["control"]["customers"]) == (21_387, 21_306)
    assert found["treated"]["mean_outcome"] == pytest.approx(0.1514, abs=5e-5)
    assert found["control"]["mean_outcome"] == pytest.approx(0.1062, abs=5e-5)
    assert found["randomised"]["p_value"] > 0.05
    of = {one["name"]: one for one in found["models"]}
    assert found["champion"] in {"t_learner", "x_learner"}
    assert of[found["champion"]]["qini"]["value"] > of["response"]["qini"]["value"]
    # the first 30 % gain more than all do on average, beyond chance
    assert of["x_learner"]["uplift_of_first"]["interval"][0] > found["effect"]["value"]
