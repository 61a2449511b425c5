"""What must hold for any data a scorecard is learned from."""

from __future__ import annotations

import json
from math import isnan

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config.load import load
from engine.config.risk import RiskSettings
from engine.domain.errors import NotEnoughData
from engine.risk import binning, metrics, probes, scorecard
from engine.risk.binning import Bins
from engine.risk.models import ScorecardModel
from engine.risk.scorecard import Scorecard
from engine.risk.scorer import Scorer

SETTINGS = load(RiskSettings, "risk")
CUTTING = SETTINGS.binning.model_copy(update={"special_values": (-9.0,)})

values = st.one_of(
    st.none(), st.just(-9.0), st.floats(allow_nan=True, allow_infinity=True), st.integers(-5, 5).map(float)
)
words = st.one_of(st.none(), st.sampled_from(["yes", "no", "maybe", "学生"]))
columns = st.lists(st.tuples(values, words, st.booleans()), min_size=4, max_size=120).filter(
    lambda rows: len({bad for *_, bad in rows}) == 2
)


def _unpacked(rows: list[tuple[float | None, str | None, bool]]) -> tuple[dict[str, pa.ChunkedArray], np.ndarray]:
    numbers, texts, bads = zip(*rows, strict=True)
    table = {
        "number": pa.chunked_array([pa.array(numbers, pa.float64())]),
        "word": pa.chunked_array([pa.array(texts, pa.string())]),
    }
    return table, np.array(bads)


@given(columns)
@settings(deadline=None, max_examples=60)
def test_bad_rate_and_evidence_are_monotone_over_the_ordinary_bins_of_a_number(rows: list) -> None:
    table, bad = _unpacked(rows)
    bins = binning.fit("number", table["number"], bad, CUTTING)
    goods, bads = np.array(bins.goods[: bins.ordinary]), np.array(bins.bads[: bins.ordinary])
    rates = (bads / np.maximum(goods + bads, 1))[goods + bads > 0]
    steps = np.diff(rates)
    assert (steps >= 0).all() or (steps <= 0).all()
    way = 1 if bins.trend == "rising" else -1
    assert (way * np.diff(bins.evidence[: bins.ordinary]) <= 1e-12).all()


@given(st.integers(0, 2**32 - 1), st.integers(150, 700), st.floats(0.3, 2.0))
@settings(deadline=None, max_examples=25)
def test_no_probe_goes_against_the_trend_of_a_characteristic(seed: int, rows: int, strength: float) -> None:
    draw = np.random.default_rng(seed)
    first, second = draw.normal(size=(2, rows)).round(2)
    first[draw.random(rows) < 0.1] = -9.0
    bad = draw.random(rows) < 1 / (1 + np.exp(1.8 + strength * (second - first)))
    table = {name: pa.chunked_array([pa.array(one)]) for name, one in (("number", first), ("other", second))}
    try:
        card = scorecard.fit(table, bad, CUTTING, SETTINGS.scaling)
    except NotEnoughData:
        return
    model = ScorecardModel(card=card)
    trends = {one.bins.name: 1 if one.bins.trend == "rising" else -1 for one in card.attributes if one.bins.trend}
    special = {name: CUTTING.specials(name) for name in trends}
    assert probes.probe(model, table, trends, probes=200, seed=1, special=special).violations == 0


@given(columns)
@settings(deadline=None, max_examples=60)
def test_every_row_falls_in_one_bin_and_missing_and_special_values_in_their_own(rows: list) -> None:
    table, bad = _unpacked(rows)
    for name, column in table.items():
        bins = binning.fit(name, column, bad, CUTTING)
        codes = bins.codes(column)
        assert sum(bins.goods) + sum(bins.bads) == len(rows)
        assert bins.ordinary <= CUTTING.max_bins
        for value, code in zip(column.to_pylist(), codes, strict=True):
            assert bins.code(value) == code
            is_missing = value is None or (isinstance(value, float) and isnan(value))
            assert (code == bins.size - 1) == is_missing
            assert bins.label(int(code)) == "= -9" if value == -9 else bins.label(int(code)) != "= -9"


@given(columns, st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=40)
def test_the_order_of_rows_changes_no_bin(rows: list, random: object) -> None:
    table, bad = _unpacked(rows)
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    other, other_bad = _unpacked(shuffled)
    for name in table:
        assert binning.fit(name, table[name], bad, CUTTING) == binning.fit(name, other[name], other_bad, CUTTING)


@given(columns)
@settings(deadline=None, max_examples=40)
def test_a_scorecard_scores_one_as_it_scores_a_block_and_survives_json(rows: list) -> None:
    table, bad = _unpacked(rows)
    try:
        card = scorecard.fit(table, bad, CUTTING, SETTINGS.scaling, asked={"number": "word"})
    except NotEnoughData:
        return
    assert Scorecard.from_json(card.to_json()) == card
    scorer = Scorer(card)
    block, plain = scorer.block(table, len(rows)), card.score(table, len(rows))
    assert block.log_odds.tobytes() == plain.log_odds.tobytes()
    reasons = [column.to_pylist() for column in block.reason_columns()]
    for at, (number, word, _) in enumerate(rows):
        answer = scorer.one({"number": number, "word": word})
        assert answer.points == block.points[at] == plain.points[at]
        assert answer.log_odds == block.log_odds[at]
        assert answer.default_probability == block.probability[at] == plain.probability[at]
        assert list(answer.reasons) == [rank[at] for rank in reasons if rank[at] is not None]
        assert sum(scorer.contributions(answer).values()) == pytest.approx(
            card.offset + card.factor * answer.log_odds, abs=1e-9
        )
        if answer.points < scorer.reasons.unexplained:
            assert answer.reasons


@given(columns)
@settings(deadline=None, max_examples=30)
def test_reasons_are_the_attributes_that_lose_most_dearest_first(rows: list) -> None:
    table, bad = _unpacked(rows)
    try:
        card = scorecard.fit(table, bad, CUTTING, SETTINGS.scaling)
    except NotEnoughData:
        return
    scorer = Scorer(card, most=2)
    for number, word, _ in rows[:20]:
        answer = scorer.one({"number": number, "word": word})
        lost = {}
        for one, points, code in zip(card.attributes, card.points(), answer.codes, strict=True):
            seen = [
                at for at, (good, bads) in enumerate(zip(one.bins.goods, one.bins.bads, strict=True)) if good + bads
            ]
            lost[one.bins.name] = max(points[seen]) - points[code]
        costly = sorted((name for name in lost if lost[name] > 0), key=lambda name: -lost[name])
        told = [reason.removesuffix("_missing").removesuffix("_special") for reason in answer.reasons]
        assert [lost[name] for name in told] == [lost[name] for name in costly]


@given(columns)
@settings(deadline=None, max_examples=40)
def test_points_are_the_scaled_log_odds_within_half_a_point_per_characteristic(rows: list) -> None:
    table, bad = _unpacked(rows)
    try:
        card = scorecard.fit(table, bad, CUTTING, SETTINGS.scaling)
    except NotEnoughData:
        return
    block = card.score(table, len(rows))
    exact = card.offset + card.factor * block.log_odds
    assert np.abs(block.points - exact).max() <= 0.5 * len(card.attributes) + 1e-9
    for attribute in card.attributes:
        order = np.argsort(attribute.bins.evidence, kind="stable")
        assert (np.diff(np.array(attribute.log_odds)[order]) >= 0).all()


@given(st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=2, max_size=60))
@settings(deadline=None)
def test_auc_of_the_reversed_score_is_what_is_left_to_one(rows: list) -> None:
    risk, bad = np.array([float(score) for score, _ in rows]), np.array([bad for _, bad in rows])
    area, reversed_area = metrics.auc(risk, bad).value, metrics.auc(-risk, bad).value
    if bad.all() or not bad.any():
        assert np.isnan(area)
    else:
        assert area + reversed_area == pytest.approx(1.0)
        assert metrics.ks(risk, bad) == pytest.approx(metrics.ks(-risk, bad))


def test_bins_of_json_are_the_same_to_the_last_bit() -> None:
    bins = Bins(
        name="x", kind="number", edges=(0.1 + 0.2,), goods=(1, 2, 0), bads=(1, 0, 0), evidence=(1 / 3, -1 / 7, 0.0),
        information=(1e-17, 2.0, 0.0),
    )  # fmt: skip
    assert Bins.from_dict(json.loads(json.dumps(bins.to_dict()))) == bins
