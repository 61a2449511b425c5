"""The report as Markdown: the same sections, sentences and tables as the page; the chart is its table."""

from __future__ import annotations

from engine.documents import markdown
from engine.documents.markdown import escape
from experiments import report_document
from experiments.report import Report
from experiments.report_blocks import Block, Chart, Drawing, Folded
from experiments.report_words import Language


def render(report: Report, language: Language = "en") -> str:
    """Return the whole report; names cannot become markup."""
    document = report_document.write(report, language)
    parts = [f"# {escape(document.title)}", f"**{escape(document.headline)}**"]
    if document.reasons:
        parts.append(markdown.items(document.reasons))
    for section in document.sections:
        parts.append(f"## {escape(section.title)}")
        parts += map(_block, section.blocks)
    return "\n\n".join(parts) + "\n"


def _block(block: Block) -> str:
    if isinstance(block, Chart | Drawing):
        return f"**{escape(block.title)}**"
    return markdown.block(block.table if isinstance(block, Folded) else block)
