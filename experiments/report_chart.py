"""The forest plot of a report as inline SVG: every comparison on one axis, the verdict by shape as well as colour.

Drawn from the lines of the report and from nothing else. Colours are classes that the page defines, so that one
drawing serves light, dark and paper.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from statistics import median
from typing import Final

from experiments import report_words as words
from experiments.report import Line, Mark, Reading
from experiments.report_words import Language, say

WIDTH: Final = 960
ROWS: Final = 40
"""Rows of one drawing; more are drawn in several with the same axis, so that paper can break between them."""

_LEFT: Final = 262  # the plot lies between these; names stand before it, numbers after it
_RIGHT: Final = 690
_HEAD: Final = 8
_STEP: Final = 34
_FOOT: Final = 44
_LONGEST_NAME: Final = 36
_WIDEST: Final = 6.0  # reach of the axis in medians of the intervals' reach; wider intervals are cut with an arrow


@dataclass(frozen=True, slots=True)
class Axis:
    """The lifts at both ends of the plot, and where its ticks are."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def x(self, lift: float) -> float:
        """Return where a lift is drawn; what lies beyond the axis is drawn at its end."""
        share = (min(max(lift, self.low), self.high) - self.low) / (self.high - self.low)
        return round(_LEFT + share * (_RIGHT - _LEFT), 1)


def axis(lines: Sequence[Line]) -> Axis:
    """Return one axis for all lines: 0, every effect and margin is on it, and every interval that is not far wider."""
    reaches = [max(abs(line.relative.lower or 0.0), abs(line.relative.upper or 0.0)) for line in lines]
    most = _WIDEST * median(reaches)
    ends = [0.0, *(line.margin for line in lines if line.margin is not None)]
    ends += [line.relative.value or 0.0 for line in lines]
    reaching = [end for line in lines for end in (line.relative.lower, line.relative.upper, line.bound) if end]
    ends += [min(max(end, -most), most) for end in reaching]
    low, high = min(ends), max(ends)
    room = 0.04 * (high - low) or 0.01
    step = _step((high - low + 2 * room) / 6)
    first, last = math.ceil((low - room) / step), math.floor((high + room) / step)
    return Axis(low - room, high + room, tuple(place * step for place in range(first, last + 1)))


def draw(lines: Sequence[Line], title: str, language: Language) -> Iterator[str]:
    """Return the drawings as SVG elements.

    title : what the drawing shows; it is the accessible name. The numbers are its description.
    """
    shared = axis(lines)
    parts = [lines[start : start + ROWS] for start in range(0, len(lines), ROWS)]
    for place, part in enumerate(parts):
        height = _HEAD + _STEP * len(part) + _FOOT
        described = f"{say('axis', language)}. {'; '.join(_alternative(line, language) for line in part[:12])}"
        if len(part) > 12:
            described += " …"
        yield (
            f'<svg class="forest" role="img" viewBox="0 0 {WIDTH} {height}" aria-labelledby="t{place} d{place}">'
            f'<title id="t{place}">{escape(title)}</title><desc id="d{place}">{escape(described)}</desc>'
            f"{''.join(_grid(shared, len(part), language))}"
            f"{''.join(_row(line, number, shared, language) for number, line in enumerate(part))}</svg>"
        )


def _step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))


def _alternative(line: Line, language: Language) -> str:
    where = f"{line.metric} ({line.variant})"
    told = f"{words.signed(line.relative.value)} {words.span(line.relative, words.signed)}"
    return f"{where} {told}, {say(line.verdict, language)}"


def _grid(shared: Axis, rows: int, language: Language) -> Iterator[str]:
    bottom = _HEAD + _STEP * rows
    for tick in shared.ticks:
        x = shared.x(tick)
        kind = "zero" if abs(tick) < 1e-12 else "grid"
        yield f'<path class="{kind}" d="M{x} {_HEAD}V{bottom}"/>'
        digits = max(0, min(3, -math.floor(math.log10(shared.ticks[1] - shared.ticks[0]) + 2 + 1e-9)))
        told = words.percent(tick, sign=True, digits=digits) if kind == "grid" else "0 %"
        yield f'<text class="tick" x="{x}" y="{bottom + 15}">{told}</text>'
    yield f'<text class="tick" x="{(_LEFT + _RIGHT) / 2}" y="{bottom + 34}">{escape(say("axis", language))}</text>'


def _row(line: Line, number: int, shared: Axis, language: Language) -> str:
    y = _HEAD + _STEP * number + _STEP // 2
    name = f"{line.metric} · {line.variant}"
    n = f"{say(line.role, language)}, n {words.count(line.n[0])} / {words.count(line.n[1])}"
    value = line.relative.value or 0.0
    told = words.signed(line.relative.value)
    parts = [
        f'<g class="{line.mark}" data-metric="{escape(line.metric)}" data-variant="{escape(line.variant)}" '
        f'data-verdict="{line.verdict}"><title>{escape(name)}</title>',
        f'<text class="name" x="0" y="{y - 2}">{escape(_short(name))}</text>',
        f'<text class="note" x="0" y="{y + 12}">{escape(n)}</text>',
        _margin(line, shared, y),
        _bar("planned", line.planned, shared, y),
        _bar("now", line.relative, shared, y),
        _bound(line, shared, y),
        _sign(line.mark, shared.x(value), y),
        f'<text class="value" x="{_RIGHT + 14}" y="{y - 2}">{told} {words.span(line.relative, words.signed)}</text>',
        f'<text class="note" x="{_RIGHT + 14}" y="{y + 12}">{escape(say(line.verdict, language))}</text></g>',
    ]
    return "".join(parts)


def _margin(line: Line, shared: Axis, y: int) -> str:
    if line.margin is None:
        return ""
    return f'<path class="margin" d="M{shared.x(line.margin)} {y - 14}v28"/>'


def _bound(line: Line, shared: Axis, y: int) -> str:
    """Return a bracket at the bound, open to the side on which the effect lies."""
    if line.bound is None:
        return ""
    foot = 5 if line.bound <= (line.relative.value or 0.0) else -5
    return f'<path class="bound" d="M{shared.x(line.bound) + foot} {y - 9}h{-foot}v18h{foot}"/>'


def _bar(kind: str, found: Reading, shared: Axis, y: int) -> str:
    if found.lower is None or found.upper is None:
        return ""
    low, high = shared.x(found.lower), shared.x(found.upper)
    drawn = f'<path class="{kind}" d="M{low} {y}H{high}"/>'
    if kind == "now":
        drawn += _end(found.lower < shared.low, low, y, -1) + _end(found.upper > shared.high, high, y, 1)
    return drawn


def _end(cut: bool, x: float, y: int, way: int) -> str:
    """Return the end of an interval: a stroke where it ends, an arrow where it goes on beyond the axis."""
    if cut:
        return f'<path class="arrow" d="M{x - 7 * way} {y - 5}L{x} {y}l{-7 * way} 5"/>'
    return f'<path class="now" d="M{x} {y - 4}v8"/>'


def _sign(mark: Mark, x: float, y: int) -> str:
    """Return the sign of a verdict: the shape says what the colour says."""
    if mark == "better":
        return f'<path class="sign" d="M{x} {y - 7}l7 12h-14z"/>'
    if mark == "worse":
        return f'<path class="sign" d="M{x} {y + 7}l7 -12h-14z"/>'
    return f'<circle class="sign" cx="{x}" cy="{y}" r="5"/>'


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
