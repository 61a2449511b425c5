"""The small drawings of a report: effects of groups as dots with intervals, and effects by day as a line with a band.

As the forest plot, they are inline SVG drawn from the values of the report alone, in classes whose colours the page
defines. Every drawing has its finding as accessible name and its numbers as description, and a table beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from statistics import median
from typing import Final

from experiments.report import Mark
from experiments.report_words import span_of

WIDTH: Final = 960

WIDEST: Final = 6.0
"""Reach of an axis in medians of the intervals' reach; what is wider is cut."""

WIDEST_DAY: Final = 2.5
"""The same by day, where the first intervals are as wide as their customers are few."""

_LEFT, _RIGHT = 262, 690  # where dots lie; names stand before them, numbers behind
_STEP, _HEAD, _FOOT = 30, 8, 26
_PLOT: Final = (70.0, 940.0, 14.0, 214.0)  # left, right, top and bottom of the plot of days
_TALL: Final = 246
_LONGEST_NAME: Final = 36
Write = Callable[[float | None], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One effect: its name, the number of customers as words, value and interval, and how its verdict is drawn."""

    name: str
    value: float
    lower: float
    upper: float
    note: str = ""
    mark: Mark = "open"


def dots(points: Sequence[Point], title: str, write: Write, name: str) -> str:
    """Return one row for each point, on one axis with 0 on it; `name` tells this drawing from others of the page."""
    low, high = ends(points, WIDEST)
    height = _HEAD + _STEP * len(points) + _FOOT
    bottom = height - _FOOT

    def x(value: float) -> float:
        return _place(value, low, high, _LEFT, _RIGHT)

    parts = list(_verticals(_ticks(low, high, 6), x, (_HEAD, bottom), write))
    for number, one in enumerate(points):
        y = _HEAD + _STEP * number + _STEP // 2
        parts.append(f'<text class="name" x="0" y="{y - 1}">{escape(_short(one.name))}</text>')
        parts.append(f'<text class="note" x="0" y="{y + 11}">{escape(one.note)}</text>')
        parts.append(
            f'<path class="{one.mark} now" d="M{x(one.lower)} {y}H{x(one.upper)}"/>'
            f'<circle class="{one.mark} dot" cx="{x(one.value)}" cy="{y}" r="5"/>'
        )
        told = f"{write(one.value)} {span_of(one.lower, one.upper, write)}"
        parts.append(f'<text class="value" x="{_RIGHT + 14}" y="{y + 4}">{escape(told)}</text>')
    return _svg(name, title, _told(points, write), height, parts)


def days(points: Sequence[Point], title: str, write: Write, name: str) -> str:
    """Return the values of the points as a line in the band of their intervals, from the first to the last day."""
    low, high = ends(points, WIDEST_DAY)
    left, right, top, bottom = _PLOT
    step = (right - left) / max(len(points) - 1, 1)

    def y(value: float) -> float:
        return round(bottom - (_place(value, low, high, 0, bottom - top)), 1)

    places = [round(left + step * number, 1) for number in range(len(points))]
    parts = []
    for tick in _ticks(low, high, 4):
        kind = "zero" if abs(tick) < 1e-12 else "grid"
        parts.append(f'<path class="{kind}" d="M{left} {y(tick)}H{right}"/>')
        parts.append(f'<text class="note end" x="{left - 8}" y="{y(tick) + 4}">{escape(_tick(tick, write))}</text>')
    for number, css in {0: "note", len(points) // 2: "tick", len(points) - 1: "note end"}.items():
        parts.append(f'<text class="{css}" x="{places[number]}" y="{_TALL - 12}">{escape(points[number].name)}</text>')
    above = " ".join(f"{at},{y(one.upper)}" for at, one in zip(places, points, strict=True))
    below = " ".join(f"{at},{y(one.lower)}" for at, one in zip(places[::-1], points[::-1], strict=True))
    line = " ".join(f"{at},{y(one.value)}" for at, one in zip(places, points, strict=True))
    parts.append(f'<polygon class="band" points="{above} {below}"/><polyline class="line" points="{line}"/>')
    parts += [
        f'<circle class="dot" cx="{at}" cy="{y(one.value)}" r="2.5"/>' for at, one in zip(places, points, strict=True)
    ]
    shown = [points[number] for number in sorted({0, len(points) // 2, len(points) - 1})]
    return _svg(name, title, _told(shown, write), _TALL, parts)


def _svg(name: str, title: str, described: str, height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg class="forest" role="img" viewBox="0 0 {WIDTH} {height}" aria-labelledby="{name}t {name}d">'
        f'<title id="{name}t">{escape(title)}</title><desc id="{name}d">{escape(described)}</desc>'
        f"{''.join(parts)}</svg>"
    )


def _told(points: Sequence[Point], write: Write) -> str:
    return "; ".join(f"{one.name} {write(one.value)} {span_of(one.lower, one.upper, write)}" for one in points[:12])


def _verticals(
    ticks: Sequence[float], x: Callable[[float], float], ends: tuple[float, float], write: Write
) -> Iterator[str]:
    for tick in ticks:
        kind = "zero" if abs(tick) < 1e-12 else "grid"
        yield f'<path class="{kind}" d="M{x(tick)} {ends[0]}V{ends[1]}"/>'
        yield f'<text class="tick" x="{x(tick)}" y="{ends[1] + 15}">{escape(_tick(tick, write))}</text>'


def ends(points: Sequence[Point], widest: float) -> tuple[float, float]:
    """Return the ends of an axis: 0 and every value are on it, and every interval that is not far wider than others."""
    most = widest * median([max(abs(one.lower), abs(one.upper)) for one in points])
    ends = [0.0, *(one.value for one in points)]
    ends += [min(max(end, -most), most) for one in points for end in (one.lower, one.upper)]
    room = 0.05 * (max(ends) - min(ends)) or 0.01
    return min(ends) - room, max(ends) + room


def _ticks(low: float, high: float, wanted: int) -> list[float]:
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    return [place * step for place in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _tick(value: float, write: Write) -> str:
    """Return what stands at a line of the axis; decimals that say nothing are left out."""
    return "0" if abs(value) < 1e-12 else write(value).replace(".00", "")


def _place(value: float, low: float, high: float, first: float, last: float) -> float:
    share = (min(max(value, low), high) - low) / (high - low)
    return round(first + share * (last - first), 1)


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
