"""Colours: told apart by who sees fewer of them, seen on either ground, and every one known to the dark theme.

Colour blindness is simulated by the matrices of Machado, Oliveira and Fernandes (2009) at full severity, in linear RGB;
distances are Euclidean in CIE L*a*b* (D65). A just noticeable difference is about 2.3.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Sequence

import altair as alt
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from engine.ui.views import (
    experiment_groups,
    figure,
    risk_attention,
    risk_lending,
    risk_losses,
    risk_model,
    what_if,
)
from engine.ui.views.theme import GROUND, ON_DARK, on_dark
from tests.conftest import REPOSITORY

SEEN = {
    "everything": np.eye(3),
    "no red cones": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "no green cones": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "no blue cones": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = np.array([0.95047, 1.0, 1.08883])
TOLD_APART = 12.0
GRAPHICS = 3.0  # WCAG 2.2, 1.4.11: contrast of what a chart is read by

TOGETHER = {
    "outcomes": (figure.CONTINUED, figure.GOOD, figure.WAITING, figure.DROPPED),
    "verdicts": (figure.GOOD, figure.BAD, figure.NEUTRAL),
    "tiers": tuple(figure.TIER_COLOURS.values()),
    "safety": tuple(experiment_groups._SAFETY.values()),
    "severities": tuple(risk_attention._SEVERITIES.values()),
    "price bands": risk_lending._BANDS,
    "losses": risk_losses._COLOURS,
    "tier moves": tuple(risk_model._MOVES.values()),
    "methods": tuple(risk_model._METHODS.values()),
    "who gains": tuple(what_if._MOVES.values()),
}


def _linear(colour: str) -> npt.NDArray[np.float64]:
    share = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def _lab(linear: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    x, y, z = (XYZ @ np.clip(linear, 0, 1)) / WHITE
    f = [np.cbrt(v) if v > 216 / 24_389 else (24_389 / 27 * v + 16) / 116 for v in (x, y, z)]
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def _apart(colours: Sequence[str], eyes: npt.NDArray[np.float64]) -> float:
    seen = [_lab(eyes @ _linear(colour)) for colour in colours]
    return min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(seen, 2))


def _contrast(colour: str, ground: str) -> float:
    bright, dim = sorted((float(XYZ[1] @ _linear(one)) for one in (colour, ground)), reverse=True)
    return (bright + 0.05) / (dim + 0.05)


def _theme() -> dict[str, dict[str, list[str]]]:
    return tomllib.loads((REPOSITORY / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["theme"]


def test_black_and_white_are_21_to_1_and_100_apart() -> None:
    assert _contrast("#FFFFFF", "#000000") == pytest.approx(21.0)
    assert _apart(("#FFFFFF", "#000000"), SEEN["everything"]) == pytest.approx(100.0, abs=0.01)


@pytest.mark.parametrize("eyes", SEEN)
@pytest.mark.parametrize("ground", GROUND)
@pytest.mark.parametrize("palette", TOGETHER)
def test_colours_of_one_chart_are_told_apart(palette: str, ground: str, eyes: str) -> None:
    colours = TOGETHER[palette] if ground == "light" else [ON_DARK.get(one, one) for one in TOGETHER[palette]]
    assert _apart(colours, SEEN[eyes]) >= TOLD_APART


@pytest.mark.parametrize("eyes", SEEN)
@pytest.mark.parametrize("ground", GROUND)
def test_colours_of_categories_are_told_apart_and_seen(ground: str, eyes: str) -> None:
    colours = _theme()[ground]["chartCategoricalColors"]
    assert len(colours) == 8
    assert _apart(colours, SEEN[eyes]) >= TOLD_APART
    assert min(_contrast(colour, GROUND[ground]) for colour in colours) >= GRAPHICS


@pytest.mark.parametrize("ground", GROUND)
def test_what_a_chart_is_read_by_is_seen_on_its_ground(ground: str) -> None:
    marks = (
        figure.CONTINUED,
        figure.GOOD,
        figure.BAD,
        figure.NEUTRAL,
        *figure.DIVERGING[::2],
        *risk_lending._BANDS[:2],
    )
    shown = [ON_DARK[one] if ground == "dark" and one in ON_DARK else one for one in marks]
    assert {one: _contrast(one, GROUND[ground]) for one in shown if _contrast(one, GROUND[ground]) < GRAPHICS} == {}


def test_every_colour_that_is_too_dim_on_a_dark_ground_has_a_counterpart() -> None:
    """White and what is light enough stay; a colour somebody adds must be seen there, or be put into the table."""
    found: set[str] = set()
    for path in (REPOSITORY / "engine" / "ui").rglob("*.py"):
        if path.name != "theme.py":
            found |= set(re.findall(r'"(#[0-9A-F]{6})"', path.read_text(encoding="utf-8")))
    dim = {one for one in found if _contrast(one, GROUND["dark"]) < GRAPHICS}
    assert len(found) > 20
    assert dim - set(ON_DARK) == set()


def test_a_chart_on_a_dark_ground_keeps_its_rows_and_the_chart_it_came_from() -> None:
    rows = pd.DataFrame({"colour": ["#0846C2"], "n": [1]})
    chart = alt.Chart(rows).mark_bar(color="#0846C2", stroke="#FFFFFF").encode(y="n:Q")
    words = chart.mark_text(color="#FFFFFF")
    dark = on_dark(chart + words).to_dict()
    light = (chart + words).to_dict()
    assert [layer["mark"]["color"] for layer in dark["layer"]] == ["#4F83F1", "#FFFFFF"]
    assert dark["layer"][0]["mark"]["stroke"] == GROUND["dark"]
    assert dark["datasets"] == light["datasets"]
    assert light["layer"][0]["mark"]["color"] == "#0846C2"
