"""The report as one page that needs nothing else: no script, no request, light and dark, and good on paper."""

from __future__ import annotations

from html import escape
from typing import Final

from engine.documents import page
from engine.documents.page import SIGNS
from experiments import report_chart, report_document, report_plots
from experiments.report import Report
from experiments.report_blocks import Block, Chart, Document, Drawing, Folded, Section
from experiments.report_words import Language, say

_STYLE: Final = """
.banner.ship{border-left-color:var(--better)}.banner.roll_back{border-left-color:var(--worse)}
.forest{display:block;width:100%;min-width:44rem;height:auto}
.forest text{font-size:12.5px;fill:var(--ink)}.forest .note,.forest .tick{fill:var(--quiet);font-size:11px}
.forest .tick{text-anchor:middle}.forest .name{font-weight:600}
.forest path{fill:none;stroke:currentColor}.forest .grid{stroke:var(--rule)}
.forest .zero{stroke:var(--quiet);stroke-width:1.5}
.forest .better{color:var(--better)}.forest .worse{color:var(--worse)}.forest .open{color:var(--open)}
.forest .planned{stroke-width:7;opacity:.3}.forest .now,.forest .arrow{stroke-width:1.8}
.forest .bound{stroke-width:2}
.forest .sign{fill:currentColor;stroke:var(--ground);stroke-width:1}
.forest .open .sign{fill:var(--ground);stroke:currentColor;stroke-width:2}
.forest .margin{stroke:var(--margin);stroke-width:2;stroke-dasharray:3 3}
.forest .end{text-anchor:end}.forest .band{fill:var(--better);opacity:.16}
.forest .line{fill:none;stroke:var(--better);stroke-width:1.8}.forest .dot{fill:var(--better)}
.forest .open.dot{fill:var(--open)}.forest .worse.dot{fill:var(--worse)}
summary{cursor:pointer;color:var(--quiet);font-size:.84rem}
.legend i{display:inline-block;width:1.6rem;vertical-align:middle;margin-right:.4rem;border-top:2px solid var(--open)}
.legend i.p{border-top:7px solid var(--open);opacity:.4}.legend i.m{width:0;height:1rem;border-top:0;
border-left:2px dashed var(--margin)}
.legend i.o{width:.4rem;height:1rem;border:2px solid var(--open);border-right:0}
@media print{.forest{min-width:0}}
"""


def render(report: Report, language: Language = "en") -> str:
    """Return the whole page; every name in it is escaped."""
    document = report_document.write(report, language)
    body = _banner(document) + "".join(
        _section(section, language, f"s{place}") for place, section in enumerate(document.sections)
    )
    title = f"{document.headline} · {report.experiment}"
    return page.whole(title=title, body=body, language=language, style=_STYLE)


def _banner(document: Document) -> str:
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in document.reasons)
    return (
        f'<h1>{escape(document.title)}</h1>\n<div class="banner {escape(document.action)}" '
        f'data-action="{escape(document.action)}"><strong>{escape(document.headline)}</strong>'
        f"<ul>{reasons}</ul></div>\n"
    )


def _section(section: Section, language: Language, name: str) -> str:
    blocks = "".join(_block(block, language, f"{name}b{place}") for place, block in enumerate(section.blocks))
    return f"<section>\n<h2>{escape(section.title)}</h2>\n{blocks}</section>\n"


def _block(block: Block, language: Language, name: str) -> str:
    if isinstance(block, Chart):
        return _chart(block, language)
    if isinstance(block, Drawing):
        return _drawing(block, name)
    if isinstance(block, Folded):
        table = page.block(block.table)
        return f"<details><summary>{escape(block.summary)}</summary>\n{table}</details>\n"
    return page.block(block)


def _drawing(drawing: Drawing, name: str) -> str:
    draw = report_plots.dots if drawing.kind == "dots" else report_plots.days
    drawn = draw(drawing.points, drawing.title, drawing.write, name)
    return f'<figure><figcaption>{escape(drawing.title)}</figcaption>\n<div class="wide">{drawn}</div></figure>\n'


def _chart(chart: Chart, language: Language) -> str:
    if not chart.lines:
        return f"<p><strong>{escape(chart.title)}</strong></p>\n"
    drawings = "\n".join(report_chart.draw(chart.lines, chart.title, language))
    keys = [("", "legend_now")]
    if any(line.planned.whole and line.planned != line.relative for line in chart.lines):
        keys.append((' class="p"', "legend_planned"))
    if any(line.margin is not None for line in chart.lines):
        keys.append((' class="m"', "legend_margin"))
    if any(line.bound is not None for line in chart.lines):
        keys.append((' class="o"', "legend_bound"))
    legend = "".join(f"<span><i{css}></i>{escape(say(key, language))}</span>" for css, key in keys)
    signs = "".join(
        f'<span class="b {mark}">{SIGNS[mark]} {escape(say(word, language))}</span>'
        for mark, word in (("better", "better"), ("worse", "worse"), ("open", "no_difference_shown"))
    )
    return (
        f"<figure><figcaption>{escape(chart.title)}</figcaption>\n"
        f'<div class="wide">{drawings}</div>\n<p class="legend">{signs}</p><p class="legend">{legend}</p></figure>\n'
    )
