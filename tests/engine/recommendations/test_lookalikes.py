"""Customers like a few: those who are alike are found, protected attributes say nothing, and chance is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from engine.domain.errors import NotEnoughData
from engine.recommendations import lookalikes
from engine.recommendations.panel import model_features
from tests.engine.recommendations import builders

TRAINING = builders.settings().training
CUSTOMERS = 2_000


@pytest.fixture(scope="module")
def bank() -> dict[str, Any]:
    """Two thousand customers, of whom those with much savings and few visits travel: half of these are the seeds."""
    random = np.random.default_rng(3)
    savings, visits, noise = random.normal(size=(3, CUSTOMERS))
    truth = 1 / (1 + np.exp(-(2.5 * savings - 1.5 * visits - 2)))
    travels = random.random(CUSTOMERS) < truth
    features = pa.table(
        {
            "customer_id": [f"C{number:05d}" for number in range(CUSTOMERS)],
            "savings": np.exp(savings) * 1000,
            "visits": visits,
            "noise": np.where(random.random(CUSTOMERS) < 0.1, np.nan, noise),
            "gender_code": travels.astype(float),
        }
    )
    seeds = np.flatnonzero(travels)[::2]
    return {
        "features": features,
        "travels": travels,
        "truth": truth,
        "seeds": features["customer_id"].take(pa.array(seeds)),
    }


def choose(bank: dict[str, Any], **changes: Any) -> lookalikes.Lookalikes:
    asked = {"size": 100, "share": None, "training": TRAINING, "draw": 1, "seeds": bank["seeds"], **changes}
    names = asked.pop("names", model_features(bank["features"], TRAINING.excluded_features))
    seeds = asked.pop("seeds")
    seeds = seeds.combine_chunks() if isinstance(seeds, pa.ChunkedArray) else seeds
    return lookalikes.choose(bank["features"], names, seeds, **asked)


def test_those_who_are_alike_are_found_among_the_rest(bank: dict[str, Any]) -> None:
    found = choose(bank)
    places = [int(one[1:]) for one in found.chosen.to_pylist()]
    # as good as an oracle that knows how likely each is to travel, within a tenth
    others = np.flatnonzero(~np.isin(bank["features"]["customer_id"].to_numpy(), bank["seeds"].to_numpy()))
    best = others[np.argsort(-bank["truth"][others])[:100]]
    hits, most, chance = (bank["travels"][rows].mean() for rows in (places, best, others))
    assert hits > 0.9 * most > 2.5 * chance
    assert 0.8 < found.separation.lower < found.separation.value < found.separation.upper < 1
    assert found.telling[0] == ("savings", True)
    assert ("visits", False) in found.telling
    assert not set(found.chosen.to_pylist()) & set(bank["seeds"].to_pylist())


def test_the_same_draw_chooses_the_same_and_a_larger_audience_holds_the_smaller(bank: dict[str, Any]) -> None:
    hundred, again, more = choose(bank), choose(bank), choose(bank, size=300)
    assert hundred.chosen.equals(again.chosen)
    assert hundred.separation == again.separation
    assert more.chosen[:100].equals(hundred.chosen)
    tenth = choose(bank, size=None, share=0.1)
    assert len(tenth.chosen) == -(-tenth.candidates // 10)
    assert len(choose(bank, size=10 * CUSTOMERS).chosen) == hundred.candidates


def test_a_protected_attribute_that_tells_everything_says_nothing(bank: dict[str, Any]) -> None:
    assert "gender_code" not in model_features(bank["features"], TRAINING.excluded_features)
    random = np.random.default_rng(8)
    features = (
        bank["features"]
        .select(["customer_id", "gender_code"])
        .append_column("noise", pa.array(random.normal(size=CUSTOMERS)))
    )
    with pytest.raises(NotEnoughData, match="cannot be told from other customers"):
        choose({**bank, "features": features})


def test_seeds_without_anything_in_common_are_refused_and_so_are_too_few(bank: dict[str, Any]) -> None:
    random = np.random.default_rng(1)
    anybody = bank["features"]["customer_id"].take(pa.array(np.sort(random.choice(CUSTOMERS, 200, replace=False))))
    with pytest.raises(NotEnoughData, match=r"95 % interval 0\.4"):
        choose(bank, seeds=anybody)
    with pytest.raises(NotEnoughData, match="49 seeds"):
        choose(bank, seeds=bank["seeds"][:49])
    strangers = pa.array([f"X{number}" for number in range(60)])
    with pytest.raises(NotEnoughData, match="0 of 60 seeds are customers"):
        choose(bank, seeds=strangers)
    with pytest.raises(NotEnoughData, match="every customer is a seed"):
        choose(bank, seeds=bank["features"]["customer_id"])


def test_seeds_that_are_no_customers_are_counted(bank: dict[str, Any]) -> None:
    some = pa.concat_arrays([bank["seeds"].combine_chunks(), pa.array(["X1", "X2"])])
    found = choose(bank, seeds=some)
    assert found.unknown_seeds == 2
    assert found.chosen.equals(choose(bank).chosen)


def test_seeds_told_apart_without_a_mistake_are_not_refused_for_want_of_an_interval() -> None:
    numbers = np.arange(400.0)
    features = pa.table(
        {"customer_id": [f"C{one:05.0f}" for one in numbers], "number": np.where(numbers < 340, 0, 40) + numbers / 400}
    )
    found = choose({"features": features, "seeds": features["customer_id"][340:].combine_chunks()}, size=2)
    assert found.separation.value == 1
    assert np.isnan(found.separation.lower)
    assert found.chosen.to_pylist() == ["C00339", "C00338"]
