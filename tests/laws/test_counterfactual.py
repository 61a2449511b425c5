"""What must hold of the smallest change that would change the outcome, for any data a scorecard is learned from."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config.load import load
from engine.config.risk import RiskSettings, ScalingSettings
from engine.domain.errors import NotEnoughData
from engine.risk import changes, scorecard
from engine.risk.binning import RARE, Bins
from engine.risk.file_model import FileModel
from engine.risk.models import ScorecardModel
from engine.risk.scorecard import Scorecard

SETTINGS = load(RiskSettings, "risk")
WAYS = ("up", "down", "either", "never")
NAMES = ("used", "income", "debts", "job")


def loans(seed: int, rows: int = 400) -> tuple[dict[str, pa.ChunkedArray], np.ndarray]:
    draw = np.random.default_rng(seed)
    numbers = {name: draw.integers(0, 12, rows).astype(float) for name in NAMES[:3]}
    job = draw.choice(["clerk", "farmer", "none"], rows)
    odds = -1.5 + 0.3 * numbers["used"] - 0.2 * numbers["income"] + 0.1 * numbers["debts"] + 1.2 * (job == "none")
    table = {
        name: pa.chunked_array([pa.array(values, mask=draw.random(rows) < 0.1)]) for name, values in numbers.items()
    }
    table["job"] = pa.chunked_array([pa.array(job, mask=draw.random(rows) < 0.05)])
    return table, draw.random(rows) < 1 / (1 + np.exp(-odds))


def model_of(card: Scorecard, scaling: ScalingSettings, cut_off: int, protected: tuple[str, ...] = ()) -> FileModel:
    return FileModel(
        champion="scorecard", models={"scorecard": ScorecardModel(card=card)}, kinds={}, seen={}, meanings={},
        bureau=(), protected=protected, never_a_reason=(), scaling=scaling, tiers=SETTINGS.tiers, cut_off=cut_off,
        learned_from={},
    )  # fmt: skip


def value_in(bins: Bins, code: int, from_code: int) -> object:
    """The value of a bin that is nearest to where a customer comes from."""
    if bins.kind == "category":
        return next(value for value in bins.groups[code] if value != RARE)
    return bins.edges[code] if code < from_code else float(np.nextafter(bins.edges[code - 1], np.inf))


@given(st.integers(0, 30), st.lists(st.sampled_from(WAYS), min_size=4, max_size=4), st.integers(0, 250))
@settings(deadline=None, max_examples=30)
def test_change_reaches_the_cut_off_no_part_can_be_spared_and_nothing_smaller_does(
    seed: int, allowed: list[str], above: int
) -> None:
    table, bad = loans(seed)
    try:
        card = scorecard.fit(table, bad, SETTINGS.binning, SETTINGS.scaling)
    except NotEnoughData:
        return
    ways = dict(zip(NAMES, allowed, strict=True))
    head = {name: column.slice(0, 25) for name, column in table.items()}
    cut_off = int(card.score(head, 25).points.min()) + above
    told = changes.of_file(model_of(card, SETTINGS.scaling, cut_off), head, 25, cut_off, ways)
    bins = {one.bins.name: one.bins for one in card.attributes}
    for row, change in enumerate(told):
        values = {name: column[row].as_py() for name, column in head.items()}
        points, _ = card.score_one(values)
        new = {part.name: value_in(bins[part.name], part.to_bin, part.from_bin) for part in change.parts}
        if change.parts:
            assert points < cut_off <= card.score_one(values | new)[0]
            for left_out in new:
                rest = {name: value for name, value in new.items() if name != left_out}
                assert card.score_one(values | rest)[0] < cut_off
        for part in change.parts:
            way, step = ways[part.name], part.to_bin - part.from_bin
            assert way != "never"
            if bins[part.name].kind == "number":
                assert step > 0 if way == "up" else step < 0 if way == "down" else step != 0
                nearer = part.to_bin - (1 if step > 0 else -1)
                if nearer != part.from_bin:
                    # a bin less would miss the cut-off
                    short = new | {part.name: value_in(bins[part.name], nearer, part.from_bin)}
                    assert card.score_one(values | short)[0] < cut_off
        fewest = _fewest(card, values, cut_off, ways)
        assert len(change.parts) == (fewest or 0)
        assert (change.why_not is not None) == (fewest is None or points >= cut_off)


def _fewest(card: Scorecard, values: dict[str, object], cut_off: int, ways: dict[str, str]) -> int | None:
    """How many characteristics must change, by trying every set of them: the slow way."""
    gains = []
    for one, whole in zip(card.attributes, card.whole_points(), strict=True):
        bins, now = one.bins, one.code(values)
        allowed = [
            to
            for to in range(bins.ordinary)
            if now < bins.ordinary
            and bins.goods[to] + bins.bads[to] > 0
            and ways[bins.name] != "never"
            and (bins.kind == "category" or {"up": to > now, "down": to < now, "either": True}[ways[bins.name]])
        ]
        gains.append(max([0, *(int(whole[to] - whole[now]) for to in allowed)]))
    short = cut_off - card.score_one(values)[0]
    if short <= 0:
        return None
    sizes = range(1, len(gains) + 1)
    return next((size for size in sizes if any(sum(each) >= short for each in combinations(gains, size))), None)


def test_a_block_gives_what_each_row_gives_alone() -> None:
    table, bad = loans(3)
    card = scorecard.fit(table, bad, SETTINGS.binning, SETTINGS.scaling)
    cut_off = int(np.median(card.score(table, 400).points))
    model, ways = model_of(card, SETTINGS.scaling, cut_off), dict.fromkeys(NAMES, "either")
    block = changes.of_file(model, table, 400, cut_off, ways)
    for row in range(0, 400, 40):
        one = {name: column.slice(row, 1) for name, column in table.items()}
        assert changes.of_file(model, one, 1, cut_off, ways) == [block[row]]


def test_what_is_protected_is_never_changed_whatever_is_asked() -> None:
    table, bad = loans(3)
    card = scorecard.fit(table, bad, SETTINGS.binning, SETTINGS.scaling)
    model = model_of(card, SETTINGS.scaling, 10_000, protected=("job", "income"))
    cut_off = int(np.median(card.score(table, 400).points))
    found = changes.of_file(model, table, 400, cut_off, dict.fromkeys(NAMES, "either"))
    named = {part.name for change in found for part in change.parts}
    assert named
    assert not named & {"job", "income"}


@pytest.mark.parametrize("asked_below", [0.15, 0.25, 0.4])
def test_change_of_a_bank_s_own_model_brings_the_probability_below_what_is_lent_on(asked_below: float) -> None:
    table, bad = loans(3)
    table["record"] = pa.chunked_array([pa.array(np.where(np.arange(400) % 4, "yes", "no"))])
    card = scorecard.fit(table, bad, SETTINGS.binning, SETTINGS.scaling, asked={"used": "record"})
    found = changes.of_card(card, table, 400, asked_below, {"used": "down", "income": "up"})
    bins = {one.bins.name: one.bins for one in card.attributes}
    moved = 0
    for row, change in enumerate(found):
        values = {name: column[row].as_py() for name, column in table.items()}
        new = {part.name: value_in(bins[part.name], part.to_bin, part.from_bin) for part in change.parts}
        # where there was nothing to read a value from, none can be changed
        assert "used" not in new or values["record"] == "yes"
        if new:
            assert card.score_one(values | new)[1] < asked_below <= card.score_one(values)[1]
            moved += 1
    assert moved > 10
