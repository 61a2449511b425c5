"""The report as Markdown: the same sections, sentences and tables as the page; the chart is its table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from experiments import report_document
from experiments.report import Report
from experiments.report_document import Badge, Block, Cell, Chart, Items, Table, Warning
from experiments.report_words import Language

_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>|#~$&])")
_SPACE: Final = re.compile(r"\s+")


def render(report: Report, language: Language = "en") -> str:
    """Return the whole report; names cannot become markup."""
    document = report_document.write(report, language)
    parts = [f"# {escape(document.title)}", f"**{escape(document.headline)}**"]
    if document.reasons:
        parts.append(_items(document.reasons))
    for section in document.sections:
        parts.append(f"## {escape(section.title)}")
        parts += [text for block in section.blocks for text in _block(block)]
    return "\n\n".join(parts) + "\n"


def escape(text: str) -> str:
    """Return text as Markdown shows it: on one line, nothing in it markup."""
    return _SPECIAL.sub(r"\\\1", _SPACE.sub(" ", text).strip())


def _block(block: Block) -> Iterator[str]:
    if isinstance(block, Chart):
        yield f"**{escape(block.title)}**"
    elif isinstance(block, Warning):
        yield f"> **{escape(block.text)}**"
    elif isinstance(block, Items):
        yield _items(block.items)
    elif isinstance(block, Table):
        yield _table(block)
    else:
        yield escape(block)


def _items(items: tuple[str, ...]) -> str:
    return "\n".join(f"- {escape(one)}" for one in items)


def _table(table: Table) -> str:
    rules = ["---:" if place in table.numeric else "---" for place in range(len(table.columns))]
    rows = [[escape(name) for name in table.columns], rules, *([_cell(cell) for cell in row] for row in table.rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cell(cell: Cell) -> str:
    return escape(cell.text if isinstance(cell, Badge) else cell)
