"""Offers that a run of the simulated bank drew tell what another policy would have brought: the truth is known."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.cli.main import main
from engine.lake.runs import Run, open_run
from engine.lake.workspace import Workspace
from engine.workflows import load as loading
from engine.workflows import recommend_off_policy
from engine.workflows import run as running
from engine.workflows import simulate as simulating
from experiments import off_policy
from experiments.off_policy import Log

THEN = datetime(2026, 3, 31, 23, 59, 59, tzinfo=UTC)
SETTINGS = """
[recommendations.exploration]
strategy = "softmax"
temperature = 0.5
[recommendations.exploration.control]
share = 0.2
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run, pd.DataFrame]:
    """A bank whose run at an earlier date drew offers, which were sent and answered as the true propensities say.

    Returns the workspace, the run, and the true chance of an answer to each first offer and to what is worth most.
    """
    root = tmp_path_factory.mktemp("drawn")
    bank, home = root / "bank", root / "home"
    simulating.simulate(3000, 8, bank)
    home.mkdir()
    (home / "wayline.toml").write_text(SETTINGS, encoding="utf-8")
    loading.load(home, bank / "mapping.toml")
    running.run(home, THEN)
    run = open_run(Workspace(home))
    truth = _truth(run, bank)
    feedback = bank / "source" / "offers_feedback"
    schema = pq.read_schema(feedback / "part-00000.parquet")
    pq.write_table(_answers(truth, schema), feedback / "part-00001.parquet")
    loading.load(home, bank / "mapping.toml")
    return home, run, truth


def _truth(run: Run, bank: Path) -> pd.DataFrame:
    chances = pd.read_parquet(bank / "truth" / "propensities.parquet").set_index("customer_id")
    # a bank's propensities are of a quarter; answers to an offer are more frequent
    answers = np.clip(6 * chances, 0, 0.8)
    offers = run.read("recommendations", where={"rank": 1}).to_pandas()
    offers = offers[offers["customer_id"].isin(answers.index)]
    decided = run.read("decisions").to_pandas()
    open_ = decided[(decided["refused_mask"] == 0) & (decided["expected_value_minor"] > 0)]
    order = open_.sort_values(["customer_id", "expected_value_minor", "product_id"], ascending=[True, False, True])
    best = order.groupby("customer_id").first()["product_id"]
    open_ = open_[open_["customer_id"].isin(answers.index)]
    each = [answers.at[who, what] for who, what in zip(open_["customer_id"], open_["product_id"], strict=True)]
    even = pd.Series(each, index=open_["customer_id"]).groupby(level=0).mean()
    offers["best"] = offers["customer_id"].map(best)
    offers["even_chance"] = offers["customer_id"].map(even)
    for name, column in (("chance", "product_id"), ("best_chance", "best")):
        offers[name] = [answers.at[who, what] for who, what in zip(offers["customer_id"], offers[column], strict=True)]
    return offers


def _answers(truth: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    """Return what was sent two days after the run, and the answers a day later, drawn by the true chances."""
    answered = np.random.default_rng(3).random(len(truth)) < truth["chance"].to_numpy()
    parts = []
    for event, days, rows in (("sent", 2, truth), ("converted", 3, truth[answered])):
        columns = {name: pa.array(rows[name]) for name in ("customer_id", "product_id", "channel")}
        columns |= {name: pa.array([word] * len(rows)) for name, word in (("campaign_id", "run"), ("event", event))}
        columns["feedback_id"] = pa.array([f"X{event}{place}" for place in range(len(rows))])
        columns["occurred_at"] = pa.array([THEN + timedelta(days=days)] * len(rows))
        parts.append(pa.table(columns).select(schema.names).cast(schema))
    return pa.concat_tables(parts)


@pytest.mark.parametrize(("policy", "column"), [("best", "best_chance"), ("even", "even_chance")])
def test_value_of_another_policy_lies_in_the_interval_of_its_estimates(
    world: tuple[Path, Run, pd.DataFrame], policy: str, column: str
) -> None:
    home, _, truth = world
    found = recommend_off_policy.evaluate(recommend_off_policy.Question(home=home, policy=policy))
    assert found["log"]["decisions"] == len(truth)
    assert found["log"]["drawn"] > 0.9 * len(truth)
    (judged,) = found["policies"]
    estimates = {one["method"]: one for one in judged["estimates"]}
    told = [name for name in ("ips", "snips", "doubly_robust") if estimates[name]["value"] is not None]
    assert len(told) >= 2
    for name in told:
        low, high = estimates[name]["interval"]
        assert low <= truth[column].mean() <= high, name
    assert 100 < judged["overlap"]["effective_n"] < len(truth)
    # weights average 1 where logged chances are right
    overlap = judged["overlap"]
    assert abs(overlap["mean_weight"] - 1) < 4 * overlap["mean_weight_error"]


def test_intervals_cover_the_truth_as_often_as_they_say(world: tuple[Path, Run, pd.DataFrame]) -> None:
    truth = world[2]
    names = tuple(sorted({*truth["product_id"], *truth["best"]}))
    arm, best = (truth[name].map(names.index).to_numpy() for name in ("product_id", "best"))
    n = len(truth)
    chances = np.zeros((n, len(names)))
    logged = truth["selection_probability"].to_numpy()
    chances[:] = ((1 - logged) / (len(names) - 1))[:, None]
    chances[np.arange(n), arm] = logged
    policy = np.zeros_like(chances)
    policy[np.arange(n), best] = 1
    random = np.random.default_rng(11)
    covered = 0
    for _ in range(200):
        reward = (random.random(n) < truth["chance"].to_numpy()).astype(float)
        found = off_policy.self_normalised(Log(arms=names, arm=arm, reward=reward, propensities=chances), policy)
        assert found.lower is not None and found.upper is not None
        covered += found.lower <= truth["best_chance"].mean() <= found.upper
    # products were drawn once and stay, so that the same estimate leans one way in all 200: less is asked than 95 %
    assert covered >= 0.85 * 200


def test_command_tells_what_was_left_out_and_keeps_the_log(
    world: tuple[Path, Run, pd.DataFrame], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home, run, truth = world

    def ask(*words: object, code: int = 0) -> Any:
        capsys.readouterr()
        assert main(["recommend", "off-policy", *map(str, words), "--home", str(home), "--json"]) == code
        told = capsys.readouterr()
        return json.loads(told.out) if code == 0 else told.err + told.out

    out = tmp_path / "log.csv"
    found = ask("--out", out, "--reward", "converted")
    kept = pd.read_csv(out)
    assert len(kept) == found["log"]["decisions"] == len(truth)
    assert kept["reward"].mean() == pytest.approx(found["logged"]["value"])
    assert set(kept["selection"]) == {"best", "explored", "control"}
    # the file is a log as `wayline experiment off-policy` reads it
    words = ["--action", "product_id", "--reward", "reward", "--propensity", "selection_probability"]
    capsys.readouterr()
    assert main(["experiment", "off-policy", str(out), *words, "--policy", "policy_product", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["policies"][0]["estimates"][0]["value"] == pytest.approx(found["policies"][0]["estimates"][0]["value"])
    assert "the data end on 2026-06-30" in ask("--days", 400, code=1)
    assert "name another run" in ask("--policy", run.run_id, code=2)
    assert "ends in .csv or .parquet" in ask("--out", "log.txt", code=2)
    refuse = partial(ask, "--policy", "20200101T000000Z-0000000000", code=1)
    assert "20200101T000000Z" in refuse()
    other = running.run(home, THEN, seed=99)
    judged = ask("--policy", other.run_id, "--run", run.run_id)
    assert judged["run_id"] == run.run_id
    assert judged["log"]["decisions"] + judged["log"]["without_policy"] == len(truth)
    assert judged["policies"][0]["policy"] == other.run_id
    assert judged["policies"][0]["estimates"][0]["value"] is not None
    taken = ask("--reward", "taken", "--days", 60)
    assert taken["log"]["not_sent"] == 0
