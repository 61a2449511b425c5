"""OptBinning as an oracle: the same evidence for the same bins, and as much information out of bins of our own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from engine.config.load import load
from engine.config.risk import RiskSettings
from engine.risk import binning

PLAIN = load(RiskSettings, "risk").binning.model_copy(update={"smoothing_bads": 0.0})


def sample(rows: int = 4_000) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(11)
    values = draw.beta(2, 3, rows)
    bad = draw.random(rows) < 1 / (1 + np.exp(3.0 - 4.0 * values))
    values[draw.random(rows) < 0.1] = np.nan
    return values, bad


@pytest.fixture(scope="module")
def peer() -> Any:
    return pytest.importorskip("optbinning", reason="optbinning is not installed; it is an oracle, never a dependency")


def test_evidence_and_information_of_the_same_bins_are_optbinnings(peer: Any) -> None:
    values, bad = sample()
    bins = binning.fit("used", pa.array(values, from_pandas=True), bad, PLAIN)
    # ours close a bin on the right, theirs on the left: an edge a hair higher parts the same rows
    edges = np.nextafter(np.array(bins.edges), np.inf)
    found = peer.OptimalBinning(user_splits=edges, user_splits_fixed=[True] * len(edges), max_pvalue=None)
    table = found.fit(values, bad.astype(int)).binning_table.build()
    whole = table[~table["Bin"].isin(["Special"]) & (table.index != "Totals")]
    assert list(whole["Event"]) == list(bins.bads)
    assert list(whole["Non-event"]) == list(bins.goods)
    assert list(whole["WoE"].astype(float)) == pytest.approx(list(bins.evidence), abs=1e-9)
    assert list(whole["IV"].astype(float)) == pytest.approx(list(bins.information), abs=1e-9)


def test_monotone_bins_hold_as_much_information_as_optimal_ones(peer: Any) -> None:
    values, bad = sample()
    bins = binning.fit("used", pa.array(values, from_pandas=True), bad, PLAIN)
    found = peer.OptimalBinning(
        monotonic_trend="ascending", max_n_bins=PLAIN.max_bins, min_bin_size=PLAIN.min_bin_share
    )
    table = found.fit(values, bad.astype(int)).binning_table.build()
    assert bins.information_value >= 0.98 * float(table.loc["Totals", "IV"])
