"""Drawings of a model card as inline SVG: predicted against observed, and where in the score goods and bads lie.

Colours are classes that the page defines, so that one drawing serves light, dark and paper; numbers stand beside.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from math import floor, isfinite, log10
from typing import Final

from engine.compliance import card_words as words
from engine.compliance.card_words import Language, say
from engine.compliance.model_card import Band

STYLE: Final = """
.cal{display:block;width:100%;max-width:46rem;height:auto}
.cal text{font-size:12px;fill:var(--quiet)}.cal .axis{stroke:var(--rule)}
.cal .even{stroke:var(--quiet);stroke-dasharray:4 4}
.cal .reach{stroke:var(--better);stroke-width:2}.cal .off .reach{stroke:var(--worse)}
.cal .dot{fill:var(--better)}.cal .off .dot{fill:var(--worse)}
.cal .end{text-anchor:end}.cal .mid{text-anchor:middle}
.banner.model{border-left-color:var(--better)}
@media print{.cal{max-width:60%}}
"""

_WIDTH: Final = 640
_HEIGHT: Final = 330
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 620, 14, 282
_TICKS: Final = 5


def calibration(bands: Sequence[Band], language: Language) -> str:
    """Return predicted against observed default rates with 95 % intervals; on the dashed line they are equal."""
    most = _round_up(max(_ends(bands), default=1.0))
    title = say("calibration", language)
    told = "; ".join(
        f"{band.label}: {words.share(band.predicted)} / {words.share(band.observed.value)}" for band in bands
    )
    return (
        f'<svg class="cal" role="img" viewBox="0 0 {_WIDTH} {_HEIGHT}" aria-labelledby="calt cald">'
        f'<title id="calt">{escape(title)}</title><desc id="cald">{escape(told)}</desc>'
        f"{''.join(_frame(most, language))}{''.join(_band(band, most) for band in bands)}</svg>"
    )


def _round_up(most: float) -> float:
    """Return the end of the axis: five steps of 1, 2, 4 or 5 times a power of ten."""
    step = max(most, 1e-6) / _TICKS
    power = 10.0 ** floor(log10(step))
    return _TICKS * power * next(nice for nice in (1, 2, 4, 5, 10) if nice * power >= step)


def _ends(bands: Sequence[Band]) -> Iterator[float]:
    for band in bands:
        yield from (end for end in (band.predicted, band.observed.upper, band.observed.value) if isfinite(end))


def _frame(most: float, language: Language) -> Iterator[str]:
    for place in range(_TICKS + 1):
        value = most * place / _TICKS
        x, y = _x(value, most), _y(value, most)
        yield f'<line class="axis" x1="{_LEFT}" x2="{_RIGHT}" y1="{y}" y2="{y}"/>'
        yield f'<text class="end" x="{_LEFT - 8}" y="{y + 4}">{words.share(value, 0 if most > 0.2 else 1)}</text>'
        yield f'<text class="mid" x="{x}" y="{_BOTTOM + 18}">{words.share(value, 0 if most > 0.2 else 1)}</text>'
    yield f'<line class="even" x1="{_LEFT}" y1="{_BOTTOM}" x2="{_RIGHT}" y2="{_TOP}"/>'
    yield f'<text class="mid" x="{(_LEFT + _RIGHT) / 2}" y="{_HEIGHT - 8}">{escape(say("predicted", language))}</text>'
    middle = (_TOP + _BOTTOM) / 2
    turned = f'transform="rotate(-90 14 {middle})"'
    yield f'<text class="mid" x="14" y="{middle}" {turned}>{escape(say("observed", language))}</text>'


def _band(band: Band, most: float) -> str:
    if not isfinite(band.observed.value):
        return ""
    x, y = _x(band.predicted, most), _y(band.observed.value, most)
    low, high = _y(band.observed.lower, most), _y(band.observed.upper, most)
    off = ' class="off"' if is_off(band) else ""
    # a square where prediction and outcome differ, so that colour is not alone
    sign = (
        f'<rect class="dot" x="{x - 4.5}" y="{y - 4.5}" width="9" height="9"/>'
        if off
        else f'<circle class="dot" cx="{x}" cy="{y}" r="4.5"/>'
    )
    return f'<g{off}><line class="reach" x1="{x}" x2="{x}" y1="{low}" y2="{high}"/>{sign}</g>'


def is_off(band: Band) -> bool:
    """Whether what was observed does not allow, at 95 %, what was predicted."""
    return not band.observed.lower <= band.predicted <= band.observed.upper


def _x(value: float, most: float) -> float:
    return round(_LEFT + (_RIGHT - _LEFT) * value / most, 1)


def _y(value: float, most: float) -> float:
    return round(_BOTTOM - (_BOTTOM - _TOP) * value / most, 1)
