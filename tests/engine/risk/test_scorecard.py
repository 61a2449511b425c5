"""What a scorecard does with the data that break others: codes, rare words, leaks, weights, files changed by hand."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression

from engine.config.risk import ColumnBinning
from engine.domain.errors import ContractBroken, MissingInputs, ModelSpoilt, NotEnoughData, UnusableColumn
from engine.risk import binning, regression, scorecard
from engine.risk.scorecard import Scorecard
from tests.engine.risk.lending import SETTINGS

CUTTING, SCALING = SETTINGS.binning, SETTINGS.scaling


def _column(values: Any) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values)])


def _sample(rows: int = 4_000, seed: int = 1) -> tuple[dict[str, pa.ChunkedArray], np.ndarray]:
    """Bad rate rises with `debt`, falls with `savings`, differs by `work`."""
    draw = np.random.default_rng(seed)
    debt, savings, work = draw.random(rows), draw.exponential(1.0, rows), draw.choice(["farm", "shop", "school"], rows)
    log_odds = -2.0 + 2.5 * debt - 0.6 * savings + 0.8 * (work == "farm")
    bad = draw.random(rows) < 1 / (1 + np.exp(-log_odds))
    return {"debt": _column(debt), "savings": _column(savings), "work": _column(work)}, bad


def test_the_bad_rate_rises_or_falls_as_settings_say_and_what_goes_against_it_is_one_bin() -> None:
    columns, bad = _sample()
    told = CUTTING.model_copy(update={"columns": {"debt": ColumnBinning(direction="falling")}})
    assert binning.fit("debt", columns["debt"], bad, CUTTING).trend == "rising"
    against = binning.fit("debt", columns["debt"], bad, told)
    assert against.ordinary <= 2  # noise alone may leave a cut
    assert against.information_value < 0.05 < binning.fit("debt", columns["debt"], bad, CUTTING).information_value


def test_codes_of_one_column_are_no_codes_in_another() -> None:
    columns, bad = _sample()
    marked = {name: _column([*([-1.0] * 300), *columns[name].to_pylist()[300:]]) for name in ("debt", "savings")}
    told = CUTTING.model_copy(update={"columns": {"debt": ColumnBinning(special_values=(-1,))}})
    debt, savings = (binning.fit(name, marked[name], bad, told) for name in ("debt", "savings"))
    assert debt.specials == (-1.0,)
    assert debt.goods[debt.ordinary] + debt.bads[debt.ordinary] == 300
    assert savings.specials == ()


def test_a_word_can_be_a_code_too() -> None:
    words = ["ok"] * 50 + ["refused to say"] * 30 + ["poor"] * 20
    bad = np.array([at % 5 == 0 for at in range(100)])
    told = CUTTING.model_copy(update={"special_values": ("refused to say",)})
    bins = binning.fit("answer", _column(words), bad, told)
    assert bins.label(bins.code("refused to say")) == "= refused to say"
    assert bins.goods[bins.ordinary] + bins.bads[bins.ordinary] == 30


def test_two_thousand_categories_share_the_bin_of_the_rare_and_new_ones_fall_there() -> None:
    draw = np.random.default_rng(5)
    shops = [f"shop {at}" for at in draw.integers(0, 2_000, 6_000)]
    words = shops + ["market"] * 2_000 + ["street"] * 2_000
    bad = np.r_[draw.random(6_000) < 0.1, draw.random(2_000) < 0.3, draw.random(2_000) < 0.05]
    bins = binning.fit("where", _column(words), bad, CUTTING)
    assert bins.groups == (("street",), (binning.RARE,), ("market",))
    assert bins.pooled == len(set(shops))
    assert bins.label(1) == f"rare ({bins.pooled:,} categories) or never seen"
    assert bins.code("shop of tomorrow") == bins.code("shop 7") == 1
    assert bins.goods[1] + bins.bads[1] == 6_000
    assert "shop 7" not in bins.to_dict()["groups"]


def test_categories_that_are_all_rare_earn_no_place_and_the_reason_says_how_many() -> None:
    columns, bad = _sample()
    columns["account"] = _column([f"A{at}" for at in range(len(bad))])
    card = scorecard.fit(columns, bad, CUTTING, SCALING)
    why = next(drop.why for drop in card.dropped if drop.name == "account")
    assert why.endswith("4,000 categories too rare to tell apart share a bin")
    assert "A17" not in card.to_json()


def test_constant_columns_are_dropped_with_the_reason() -> None:
    columns, bad = _sample()
    columns |= {"one": _column([1.0] * len(bad)), "none": _column(pa.nulls(len(bad), pa.float64()))}
    dropped = {drop.name: drop.why for drop in scorecard.fit(columns, bad, CUTTING, SCALING).dropped}
    assert dropped["one"] == dropped["none"] == "the same for everybody"


def test_a_column_that_knows_the_outcome_is_flagged_with_a_sentence() -> None:
    columns, bad = _sample()
    recovered = np.where(bad, 100.0, 0.0)
    recovered[:40] = 5.0
    card = scorecard.fit(columns | {"recovered": _column(recovered)}, bad, CUTTING, SCALING)
    assert [suspect.name for suspect in card.suspects] == ["recovered"]
    assert '"recovered" alone separates goods from bads with an AUC of 0.99' in card.suspects[0].why
    assert scorecard.fit(columns, bad, CUTTING, SCALING).suspects == ()


def test_a_row_that_counts_twice_is_two_rows() -> None:
    columns, bad = _sample(1_500)
    twice = np.arange(1_500) % 3 == 0
    doubled = {
        name: pa.chunked_array([*column.chunks, *column.filter(pa.array(twice)).chunks])
        for name, column in columns.items()
    }
    repeated = scorecard.fit(doubled, np.r_[bad, bad[twice]], CUTTING, SCALING)
    weighted = scorecard.fit(columns, bad, CUTTING, SCALING, weights=np.where(twice, 2.0, 1.0))
    assert repeated.names == weighted.names
    for one, two in zip(repeated.attributes, weighted.attributes, strict=True):
        assert one.bins.edges == two.bins.edges
        assert one.bins.goods == two.bins.goods
        assert one.log_odds == pytest.approx(two.log_odds, abs=1e-8)


def test_a_reject_counted_as_part_good_part_bad_keeps_its_parts() -> None:
    columns, bad = _sample(1_500)
    both = {name: pa.chunked_array([*column.chunks, *column.chunks]) for name, column in columns.items()}
    # every row is there twice: as bad with a weight of .25, as good with .75
    card = scorecard.fit(
        both, np.r_[bad, ~bad], CUTTING, SCALING, weights=np.r_[np.full(1_500, 0.75), np.full(1_500, 0.25)]
    )
    debt = next(one.bins for one in card.attributes if one.bins.name == "debt")
    assert sum(debt.goods) + sum(debt.bads) == pytest.approx(1_500)
    assert sum(debt.bads) == pytest.approx(0.75 * bad.sum() + 0.25 * (~bad).sum())
    assert all(isinstance(row["goods"], int) for row in card.rows())


@pytest.mark.parametrize("weights", [np.ones(3), np.full(1_500, -1.0), np.full(1_500, np.nan)])
def test_weights_that_cannot_be_are_refused(weights: np.ndarray) -> None:
    columns, bad = _sample(1_500)
    with pytest.raises(ContractBroken, match="finite numbers, 0 or more"):
        scorecard.fit(columns, bad, CUTTING, SCALING, weights=weights)


@pytest.mark.parametrize("outcome", [True, False])
def test_one_class_only_is_a_sentence(outcome: bool) -> None:
    columns, _ = _sample(200)
    with pytest.raises(NotEnoughData, match="Needed: both goods and bads"):
        scorecard.fit(columns, np.full(200, outcome), CUTTING, SCALING)


def test_dates_are_no_characteristic_and_text_is_no_number() -> None:
    columns, bad = _sample(200)
    day = _column(np.full(200, np.datetime64("2026-01-01", "D")))
    with pytest.raises(UnusableColumn, match='The column "day" holds date32'):
        scorecard.fit(columns | {"day": day}, bad, CUTTING, SCALING)
    card = scorecard.fit(columns, bad, CUTTING, SCALING)
    with pytest.raises(UnusableColumn, match='The column "debt" holds string, expected numbers'):
        card.score({"debt": _column(["much"])}, 1)


def test_infinite_values_fall_in_the_outer_bins() -> None:
    columns, bad = _sample()
    values = columns["debt"].to_numpy().copy()
    values[:2] = np.inf, -np.inf
    bins = binning.fit("debt", _column(values), bad, CUTTING)
    assert bins.codes(_column(values))[:2].tolist() == [bins.ordinary - 1, 0]
    assert np.isfinite(bins.edges).all()


def test_without_steps_the_regression_is_the_classical_one() -> None:
    # the same likelihood and ridge by scikit-learn, all coefficients positive here
    columns, bad = _sample()
    bins = [binning.fit(name, column, bad, CUTTING) for name, column in columns.items()]
    seen = [
        regression.Column(
            codes=one.codes(columns[one.name]),
            evidence=np.append(one.evidence, 0.0),
            rows=np.array(one.goods) + np.array(one.bads, dtype=float),
        )
        for one in bins
    ]
    fitted = regression.fit(seen, ~bad, 10.0, 1e12)
    design = np.column_stack([column.evidence[column.codes] for column in seen])
    peer = LogisticRegression(C=0.1, solver="newton-cholesky", tol=1e-12).fit(design, ~bad)
    for one, table, coefficient in zip(bins, fitted.tables, peer.coef_[0], strict=True):
        steps, evidence = np.diff(table[: one.size]), np.diff(one.evidence)
        assert steps == pytest.approx(coefficient * evidence, abs=1e-6)


def test_the_order_of_rows_changes_nothing_in_the_file() -> None:
    columns, bad = _sample()
    order = np.random.default_rng(2).permutation(len(bad))
    shuffled = {name: column.take(pa.array(order)) for name, column in columns.items()}
    one, two = (
        scorecard.fit(*sample, CUTTING, SCALING).to_json() for sample in ((columns, bad), (shuffled, bad[order]))
    )
    assert one == two


def test_a_file_that_was_changed_by_hand_is_refused() -> None:
    columns, bad = _sample()
    text = scorecard.fit(columns, bad, CUTTING, SCALING).to_json()
    assert Scorecard.from_json(text).to_json() == text
    values = json.loads(text)
    values["content"]["attributes"][0]["log_odds"][0] += 1e-9
    with pytest.raises(ModelSpoilt, match=r"card\.json.*checksum differs"):
        Scorecard.from_json(json.dumps(values), "card.json")
    with pytest.raises(ModelSpoilt, match="cut short"):
        Scorecard.from_json(text[:-30])
    with pytest.raises(ModelSpoilt, match="not a model written by Wayline"):
        Scorecard.from_json("[]")


def test_a_column_absent_at_scoring_is_a_sentence_at_the_door() -> None:
    columns, bad = _sample()
    card = scorecard.fit(columns, bad, CUTTING, SCALING)
    card.require(columns, "new.csv")
    with pytest.raises(MissingInputs, match=r'new\.csv: the columns "debt", "work" are missing') as fault:
        card.require(["savings", "city"], "new.csv")
    assert set(fault.value.missing) == {"debt", "work"}


def test_a_small_bin_whose_evidence_would_go_against_the_trend_joins_its_neighbour() -> None:
    # 1 bad in 25 (4.0 %), 2 in 45 (4.4 %) and 18 in 90 (20 %) of 160 rows with 21 bads: the bad rate rises. With half a
    # bad and 0.5 * 139 / 21 goods more in each bin, the first has 1.5 / 28.81 = 5.2 %, the second 2.5 / 48.81 = 5.1 %
    values = np.repeat([1.0, 2.0, 3.0], [25, 45, 90])
    bad = np.concatenate([np.arange(25) < 1, np.arange(45) < 2, np.arange(90) < 18])
    cutting = CUTTING.model_copy(update={"min_bin_share": 0.05, "smoothing_bads": 0.5})
    bins = binning.fit("x", pa.chunked_array([pa.array(values)]), bad, cutting)
    assert bins.trend == "rising"
    assert (bins.edges, bins.goods[:2], bins.bads[:2]) == ((2.0,), (67, 72), (3, 18))
    plain = cutting.model_copy(update={"smoothing_bads": 0.0})
    assert binning.fit("x", pa.chunked_array([pa.array(values)]), bad, plain).edges == (1.0, 2.0)
