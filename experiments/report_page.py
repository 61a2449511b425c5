"""The report as one page that needs nothing else: no script, no request, light and dark, and good on paper."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Final

from experiments import report_chart, report_document
from experiments.report import Report
from experiments.report_document import Badge, Block, Cell, Chart, Document, Items, Section, Table, Warning
from experiments.report_words import HARD, Language, say

SIGNS: Final[Mapping[str, str]] = {
    "better": "▲",
    "worse": "▼",
    "open": "○",
    "withheld": "—",
    "ok": "✓",
    "warning": "!",
    "stop": "✕",
}

# Okabe and Ito's blue and vermillion, told apart with every kind of colour vision; lighter on a dark ground
_STYLE: Final = """
:root{--ground:#fff;--ink:#1c1f23;--quiet:#5a626b;--rule:#d9dee3;--soft:#f3f5f7;--better:#00609a;--worse:#b34700;
--open:#5a626b;--margin:#8a4f7d;color-scheme:light dark}
@media screen and (prefers-color-scheme:dark){:root{--ground:#14171a;--ink:#e8ebee;--quiet:#a3acb5;--rule:#363c43;
--soft:#1e2327;--better:#62b8ec;--worse:#ff9d52;--open:#a3acb5;--margin:#d99ccb}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:76rem;padding:1.5rem;background:var(--ground);color:var(--ink);
font:15px/1.5 system-ui,"Segoe UI","Noto Sans","PingFang SC","Microsoft YaHei","Noto Sans CJK SC",sans-serif}
h1{font-size:1.05rem;font-weight:600;color:var(--quiet);margin:0 0 .75rem;overflow-wrap:anywhere}
p{overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:2.2rem 0 .5rem}
.banner{border:1px solid var(--rule);border-left:.5rem solid var(--open);background:var(--soft);padding:1rem 1.25rem;
border-radius:.3rem}
.banner.ship{border-left-color:var(--better)}.banner.roll_back{border-left-color:var(--worse)}
.banner strong{font-size:1.7rem;line-height:1.25;display:block;overflow-wrap:anywhere}
.banner ul{margin:.5rem 0 0;padding-left:1.2rem}li{overflow-wrap:anywhere}
.warning{border:2px solid var(--worse);border-radius:.3rem;padding:.6rem .9rem;font-weight:600}
.wide{overflow-x:auto;margin:.6rem 0}
table{border-collapse:collapse;width:100%;font-size:.84rem;font-variant-numeric:tabular-nums}
th,td{text-align:left;vertical-align:top;padding:.3rem .45rem .3rem 0;border-bottom:1px solid var(--rule)}
th{color:var(--quiet);font-weight:600}td{overflow-wrap:break-word;max-width:32rem}
:lang(zh) td{word-break:keep-all}
.b{font-weight:600}.b.better{color:var(--better)}.b.worse{color:var(--worse)}
.b.ok{color:var(--better)}.b.stop{color:var(--worse)}.b.open,.b.withheld{color:var(--open)}
figure{margin:1rem 0}figcaption{font-weight:600;margin-bottom:.5rem;overflow-wrap:anywhere}
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
.legend{color:var(--quiet);font-size:.84rem;margin:.3rem 0}.legend span{margin-right:1.2rem;display:inline-block}
.legend i{display:inline-block;width:1.6rem;vertical-align:middle;margin-right:.4rem;border-top:2px solid var(--open)}
.legend i.p{border-top:7px solid var(--open);opacity:.4}.legend i.m{width:0;height:1rem;border-top:0;
border-left:2px dashed var(--margin)}
.legend i.o{width:.4rem;height:1rem;border:2px solid var(--open);border-right:0}
@media print{body{max-width:none;padding:0;font-size:10pt}.wide{overflow:visible}.forest{min-width:0}
table{font-size:7.5pt}td,th{padding-right:.3rem}tr,.banner,svg{break-inside:avoid}
h2{break-after:avoid}thead{display:table-header-group}*{print-color-adjust:exact}}
"""

_FLUSH: Final = ",".join(f".c{place}>*>*>:nth-child({place + 1})" for place in range(12)) + "{text-align:right}"

# a browser that reads this refuses scripts and requests, whatever a name in the report holds
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


def render(report: Report, language: Language = "en") -> str:
    """Return the whole page; every name in it is escaped."""
    document = report_document.write(report, language)
    body = _banner(document) + "".join(_section(section, language) for section in document.sections)
    return (
        f'<!DOCTYPE html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(f'{document.headline} · {report.experiment}')}</title>\n"
        f"<style>{_STYLE}{_FLUSH}</style>\n</head>\n"
        f"<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )


def _banner(document: Document) -> str:
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in document.reasons)
    return (
        f'<h1>{escape(document.title)}</h1>\n<div class="banner {escape(document.action)}" '
        f'data-action="{escape(document.action)}"><strong>{escape(document.headline)}</strong>'
        f"<ul>{reasons}</ul></div>\n"
    )


def _section(section: Section, language: Language) -> str:
    blocks = "".join(_block(block, language) for block in section.blocks)
    return f"<section>\n<h2>{escape(section.title)}</h2>\n{blocks}</section>\n"


def _block(block: Block, language: Language) -> str:
    if isinstance(block, Warning):
        return f'<p class="warning">{escape(block.text)}</p>\n'
    if isinstance(block, Items):
        return f"<ul>{''.join(f'<li>{escape(one)}</li>' for one in block.items)}</ul>\n"
    if isinstance(block, Chart):
        return _chart(block, language)
    if isinstance(block, Table):
        return _table(block)
    return f"<p>{escape(block)}</p>\n"


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


def _table(table: Table) -> str:
    # which columns are flush right is said once for the table: a class in every cell would be a tenth of the page
    flush = " ".join(f"c{place}" for place in sorted(table.numeric))
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in table.columns)
    rows = "".join(
        f"<tr{_keys(table, number)}>{''.join(f'<td>{_cell(cell)}</td>' for cell in row)}</tr>\n"
        for number, row in enumerate(table.rows)
    )
    return (
        f'<div class="wide"><table class="{flush}"><thead><tr>{heads}</tr></thead>\n'
        f"<tbody>{rows}</tbody></table></div>\n"
    )


def _keys(table: Table, number: int) -> str:
    if not table.keys:
        return ""
    metric, variant = table.keys[number]
    return f' data-metric="{escape(metric)}" data-variant="{escape(variant)}"'


def _cell(cell: Cell) -> str:
    if isinstance(cell, Badge):
        return f'<span class="b {cell.mark}">{SIGNS[cell.mark]}{HARD}{escape(cell.text)}</span>'
    return escape(cell)
