"""Blocks as Markdown; names cannot become markup."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from engine.documents.blocks import Badge, Block, Cell, Drawing, Items, Section, Table, Warning

_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>|#~$&])")
_SPACE: Final = re.compile(r"\s+")


def escape(text: str) -> str:
    """Return text as Markdown shows it: on one line, nothing in it markup."""
    return _SPECIAL.sub(r"\\\1", _SPACE.sub(" ", text).strip())


def section(part: Section) -> list[str]:
    """Return the paragraphs of a section, its title first."""
    return [f"## {escape(part.title)}", *(block(one) for one in part.blocks)]


def block(one: Block) -> str:
    """Return a block as Markdown."""
    if isinstance(one, Drawing):
        return f"**{escape(one.title)}**"
    if isinstance(one, Warning):
        return f"> **{escape(one.text)}**"
    if isinstance(one, Items):
        return items(one.items)
    if isinstance(one, Table):
        return table(one)
    return escape(one)


def items(sentences: Iterable[str]) -> str:
    """Return sentences as a list."""
    return "\n".join(f"- {escape(one)}" for one in sentences)


def table(one: Table) -> str:
    """Return a table, numbers flush right."""
    rules = ["---:" if place in one.numeric else "---" for place in range(len(one.columns))]
    rows = [[escape(name) for name in one.columns], rules, *([_cell(cell) for cell in row] for row in one.rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(cell: Cell) -> str:
    return escape(cell.text if isinstance(cell, Badge) else cell)
