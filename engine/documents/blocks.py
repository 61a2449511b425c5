"""What a document is made of: sections of sentences, lists, tables and drawings, in one language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Badge:
    """A word with a mark, which a page draws with a colour and a sign."""

    text: str
    mark: str


Cell = str | Badge


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table; `numeric` are the places of columns that are set flush right.

    `data` are facts about each row that a page carries for programs, as data attributes.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numeric: frozenset[int] = frozenset()
    data: tuple[Mapping[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Warning:
    """A sentence that must not be overlooked."""

    text: str


@dataclass(frozen=True, slots=True)
class Items:
    """A list of sentences."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A drawing as SVG, its title, which says what it shows, and a note below; in Markdown the title alone is left."""

    title: str
    svg: str
    note: str = ""


Block = str | Warning | Items | Table | Drawing


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A titled part."""

    title: str
    blocks: tuple[Block, ...]
