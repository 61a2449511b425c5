"""Drop-offs of the simulated bank: rates, friction and forecasts are its own, within their intervals."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from scipy import stats

from engine.lake.runs import Run, latest_run
from engine.lake.workspace import Workspace

# one in a thousand over all comparisons together, by Bonferroni
ALPHA = 0.001


@pytest.fixture(scope="module")
def made(demo_home: Path) -> Run:
    return latest_run(Workspace(demo_home))


def truth(home: Path, name: str) -> pd.DataFrame:
    return pq.read_table(home / "simulated" / "truth" / f"{name}.parquet").to_pandas()


@pytest.fixture(scope="module")
def frictions(demo_home: Path, made: Run) -> pd.DataFrame:
    """One row per planted friction with what the run found of it, at its step."""
    found = made.read("journey_friction").to_pandas()
    planted = truth(demo_home, "journey_frictions")
    return planted.merge(found, on=["journey", "step", "signal"], suffixes=("_true", ""), how="left")


def test_the_planted_friction_is_ranked_first_in_its_journey(made: Run, frictions: pd.DataFrame) -> None:
    found = made.read("journey_friction").to_pandas()
    harmful = frictions[frictions["odds_ratio_true"] < 1]
    assert len(harmful) >= 1
    for row in harmful.itertuples():
        first = found[(found["journey"] == row.journey) & (found["rank"] == 1)].iloc[0]
        assert (first["step"], first["signal"]) == (row.step, row.signal)
        assert first["harmful"]


def test_the_planted_friction_costs_more_customers_than_any_other_of_any_journey(
    made: Run, frictions: pd.DataFrame
) -> None:
    found = made.read("journey_friction").to_pandas()
    costliest = found[found["harmful"]].sort_values("lost", ascending=False).iloc[0]
    planted = frictions[frictions["odds_ratio_true"] < 1].sort_values("lost", ascending=False).iloc[0]
    assert (costliest["journey"], costliest["step"], costliest["signal"]) == (
        planted["journey"],
        planted["step"],
        planted["signal"],
    )


def test_decoys_that_only_look_like_trouble_are_not_called_harmful(frictions: pd.DataFrame) -> None:
    decoys = frictions[frictions["odds_ratio_true"] == 1]
    assert len(decoys) >= 3
    assert not decoys["harmful"].any()


def test_the_odds_ratio_of_every_planted_friction_lies_within_its_interval(frictions: pd.DataFrame) -> None:
    told = frictions[frictions["p_value"].notna()]
    assert len(told) >= 3
    wide = stats.norm.isf(ALPHA / 2 / len(told)) / stats.norm.isf(0.025)
    for row in told.itertuples():
        # the interval at 95 %, as much wider as the number of comparisons asks for
        lower = row.odds_ratio * (row.odds_ratio_lower / row.odds_ratio) ** wide
        upper = row.odds_ratio * (row.odds_ratio_upper / row.odds_ratio) ** wide
        assert lower <= row.odds_ratio_true <= upper, (row.journey, row.signal)


def test_drop_off_rates_are_those_of_the_banks_own_hazards(demo_home: Path, made: Run) -> None:
    hazards, attempts = truth(demo_home, "journey_hazards"), truth(demo_home, "journey_attempts")
    found = made.read("journey_drop_offs", where={"breakdown": "all"}).to_pandas()
    attempts = attempts[attempts["closed"]]
    scores = {}
    for row in found.itertuples():
        own = hazards[(hazards["journey"] == row.journey) & (hazards["step_from"] == row.step)]
        # how many of each segment were at the step, by the truth; each stays with one less the segment's chance
        there = attempts[(attempts["journey"] == row.journey) & (attempts["depth"] >= row.step_index)]
        stays = 1 - there["segment"].map(own.set_index("segment")["probability"])
        spread = ((stays * (1 - stays)).mean() / row.settled) ** 0.5
        scores[row.journey, row.step] = (row.drop_rate - stays.mean()) / spread
    assert len(scores) == 24
    limit = stats.norm.isf(ALPHA / 2 / len(scores))
    assert {step: score for step, score in scores.items() if abs(score) > limit} == {}


def test_the_chance_to_be_dropped_comes_true_out_of_time(made: Run) -> None:
    """What was forecast for journeys open at dates after those learned from, against what became of them."""
    measured = made.read("journey_open_validation").to_pandas()
    rates = measured[measured["measure"].str.startswith("decile") | (measured["measure"] == "drop_rate")]
    assert rates["journey"].nunique() >= 3
    level = stats.norm.isf(ALPHA / 2 / len(rates))
    for row in rates.itertuples():
        # the score interval of the share that was dropped, at the level that all comparisons together ask for
        spread = (row.predicted * (1 - row.predicted) / row.stays) ** 0.5
        assert abs(row.value - row.predicted) <= level * spread + 0.5 / row.stays, (row.journey, row.measure)


def test_forecasts_tell_who_will_be_dropped_from_who_will_not(made: Run) -> None:
    measured = made.read("journey_open_validation").to_pandas()
    auc = measured[measured["measure"] == "auc"]
    assert (auc["lower"] > 0.8).all()


def test_the_method_used_is_the_one_that_was_better_out_of_time(made: Run) -> None:
    measured = made.read("journey_open_validation").to_pandas()
    used = made.read("journey_open").to_pandas().groupby("journey")["method"].unique()
    for row in measured[measured["measure"] == "gain"].itertuples():
        assert list(used[row.journey]) == ["logistic" if row.lower > 0 else "kaplan_meier"]


def test_drop_offs_are_those_of_the_funnels_and_open_journeys_those_in_progress(made: Run) -> None:
    funnels = made.read("journey_funnels", where={"breakdown": "all"}).to_pandas()
    found = made.read("journey_drop_offs", where={"breakdown": "all"}).to_pandas()
    both = found.merge(funnels, on=["journey", "step_index"], suffixes=("", "_funnel"))
    assert len(both) == 24
    for name in ("customers", "continued", "dropped", "in_progress"):
        assert (both[name] == both[f"{name}_funnel"]).all(), name
    waiting = made.read("journey_stages", where={"status": "in_progress"}).to_pandas()
    open_ = made.read("journey_open").to_pandas()
    assert set(zip(open_["journey"], open_["customer_id"], strict=True)) == set(
        zip(waiting["journey"], waiting["customer_id"], strict=True)
    )
    step = open_.merge(waiting, on=["journey", "customer_id"], suffixes=("", "_stage"))
    assert (step["step"] == step["step_stage"]).all()


def test_value_at_stake_adds_up_over_groups_and_is_nowhere_made_of_unknown_risk(made: Run) -> None:
    found = made.read("journey_drop_offs").to_pandas()
    whole = found[found["breakdown"] == "all"].set_index(["journey", "step_index"])
    by_tier = found[found["breakdown"] == "risk_tier"]
    summed = by_tier.groupby(["journey", "step_index"])[["net_minor", "gross_minor", "unvalued", "dropped"]].sum()
    both = whole.join(summed.add_suffix("_summed"))
    for name in ("net_minor", "gross_minor", "unvalued", "dropped"):
        assert (both[name].fillna(0) == both[f"{name}_summed"]).all(), name
    credit = by_tier["journey"].isin(["credit_card", "personal_loan", "mortgage"])
    unknown = by_tier[credit & (by_tier["group"] == "unknown") & (by_tier["dropped"] > 0)]
    assert unknown["net_minor"].isna().all()
    assert (unknown["unvalued"] == unknown["dropped"]).all()
