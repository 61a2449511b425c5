"""The parts of a report of an experiment that other documents have not, and the report itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from engine.documents.blocks import Items, Table, Warning
from experiments.report import Line
from experiments.report_plots import Point
from experiments.report_words import Language


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """The lines that a forest plot draws, and its title, which says what was found."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """Effects of groups as dots or of days as a line; the title says what was found, `write` how values are written."""

    title: str
    kind: Literal["dots", "days"]
    points: tuple[Point, ...]
    write: Callable[[float | None], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """A table that a page shows when asked for, such as the numbers of a drawing; `summary` is what to click."""

    summary: str
    table: Table


Block = str | Warning | Items | Table | Folded | Chart | Drawing


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A titled part."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A whole report in one language."""

    language: Language
    title: str
    headline: str
    action: str
    reasons: tuple[str, ...]
    sections: tuple[Section, ...]
