"""Blocks as one page of HTML that needs nothing else: no script, no request, light and dark, and good on paper.

Colours are Okabe and Ito's blue and vermillion, told apart with every kind of colour vision and lighter on a dark
ground; they are never alone: a sign stands with each.
"""

from __future__ import annotations

from html import escape
from typing import Final

from engine.documents.blocks import Badge, Block, Cell, Drawing, Items, Section, Table, Warning

HARD: Final = "\u00a0"
"""A space at which no line breaks."""

SIGNS: Final = {
    "better": "▲",
    "worse": "▼",
    "open": "○",
    "withheld": "—",
    "ok": "✓",
    "warning": "!",
    "stop": "✕",
}

STYLE: Final = """
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
.banner strong{font-size:1.7rem;line-height:1.25;display:block;overflow-wrap:anywhere}
.banner ul{margin:.5rem 0 0;padding-left:1.2rem}li{overflow-wrap:anywhere}
p.warning{border:2px solid var(--worse);border-radius:.3rem;padding:.6rem .9rem;font-weight:600}
.wide{overflow-x:auto;margin:.6rem 0}
table{border-collapse:collapse;width:100%;font-size:.84rem;font-variant-numeric:tabular-nums}
th,td{text-align:left;vertical-align:top;padding:.3rem .7rem .3rem 0;border-bottom:1px solid var(--rule)}
th{color:var(--quiet);font-weight:600}td{overflow-wrap:break-word;max-width:32rem}
:lang(zh) td{word-break:keep-all}
.b{font-weight:600}.b.better{color:var(--better)}.b.worse{color:var(--worse)}
.b.ok{color:var(--better)}.b.stop,.b.warning{color:var(--worse)}.b.open,.b.withheld{color:var(--open)}
figure{margin:1rem 0}figcaption{font-weight:600;margin-bottom:.5rem;overflow-wrap:anywhere}
.legend{color:var(--quiet);font-size:.84rem;margin:.3rem 0}.legend span{margin-right:1.2rem;display:inline-block}
@media print{body{max-width:none;padding:0;font-size:10pt}.wide{overflow:visible}
table{font-size:7.5pt}td,th{padding-right:.3rem}tr,.banner,svg{break-inside:avoid}
h2{break-after:avoid}thead{display:table-header-group}*{print-color-adjust:exact}}
"""

_FLUSH: Final = ",".join(f".c{place}>*>*>:nth-child({place + 1})" for place in range(12)) + "{text-align:right}"

# a browser that reads this refuses scripts and requests, whatever a name in the document holds
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


def whole(*, title: str, body: str, language: str, style: str = "") -> str:
    """Return a page around a body that is HTML already; `style` is added to that of every document."""
    return (
        f'<!DOCTYPE html>\n<html lang="{language}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n"
        f"<style>{STYLE}{style}{_FLUSH}</style>\n</head>\n"
        f"<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
    )


def section(part: Section) -> str:
    """Return a section with its title."""
    return f"<section>\n<h2>{escape(part.title)}</h2>\n{''.join(block(one) for one in part.blocks)}</section>\n"


def block(one: Block) -> str:
    """Return a block; every name in it is escaped."""
    if isinstance(one, Warning):
        return f'<p class="warning">{escape(one.text)}</p>\n'
    if isinstance(one, Items):
        return f"<ul>{''.join(f'<li>{escape(item)}</li>' for item in one.items)}</ul>\n"
    if isinstance(one, Table):
        return _table(one)
    if isinstance(one, Drawing):
        note = f'<p class="legend">{escape(one.note)}</p>' if one.note else ""
        title = f"<figcaption>{escape(one.title)}</figcaption>"
        return f'<figure>{title}\n<div class="wide">{one.svg}</div>{note}</figure>\n'
    return f"<p>{escape(one)}</p>\n"


def _table(table: Table) -> str:
    # which columns are flush right is said once for the table: a class in every cell would be a tenth of the page
    flush = " ".join(f"c{place}" for place in sorted(table.numeric))
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in table.columns)
    rows = "".join(
        f"<tr{_data(table, number)}>{''.join(f'<td>{_cell(cell)}</td>' for cell in row)}</tr>\n"
        for number, row in enumerate(table.rows)
    )
    return (
        f'<div class="wide"><table class="{flush}"><thead><tr>{heads}</tr></thead>\n'
        f"<tbody>{rows}</tbody></table></div>\n"
    )


def _data(table: Table, number: int) -> str:
    if not table.data:
        return ""
    return "".join(f' data-{name}="{escape(value)}"' for name, value in table.data[number].items())


def _cell(cell: Cell) -> str:
    if isinstance(cell, Badge):
        return f'<span class="b {cell.mark}">{SIGNS[cell.mark]}{HARD}{escape(cell.text)}</span>'
    return escape(cell)
