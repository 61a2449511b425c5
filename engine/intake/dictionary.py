"""The data dictionary, written from the contracts: what a bank's own files should carry, in English or Chinese.

`python -m engine.intake.dictionary data` writes both files anew.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from engine.domain.curated import CURATED
from engine.domain.schema import Column, Kind, Table

Language = Literal["en", "zh"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    """What the dictionary says around the contracts, in one language."""

    title: str
    intro: str
    key: str
    time: str
    headings: tuple[str, ...]
    kinds: dict[Kind, str]
    required: str
    optional: str
    derived: str
    personal: str
    one_of: str
    at_least: str
    at_most: str
    between: str
    refers_to: str
    separator: str


_EN: Final = _Words(
    title="Data dictionary",
    intro=(
        "The tables that Wayline works on, one section each. A source file needs the required columns; the others "
        "may be absent, and what depends on them is then left out and said to be. Instants carry an offset or are "
        "read in the time zone of the mapping; money is in minor units (fen, cents) unless the mapping says "
        "otherwise; an empty value means not known. This page is made from the contracts in "
        "`engine/domain/curated.py`; do not edit it by hand."
    ),
    key="Key",
    time="Known from",
    headings=("Column", "Type", "Needed", "Allowed", "Meaning"),
    kinds={
        Kind.TEXT: "text",
        Kind.INTEGER: "whole number",
        Kind.NUMBER: "number",
        Kind.SHARE: "share, 0 to 1",
        Kind.MONEY: "money",
        Kind.BOOLEAN: "true or false",
        Kind.DATE: "date",
        Kind.INSTANT: "instant (UTC)",
    },
    required="required",
    optional="may be empty",
    derived="made by intake",
    personal="personal data",
    one_of="one of {}",
    at_least="at least {}",
    at_most="at most {}",
    between="{} to {}",
    refers_to="refers to {}",
    separator="; ",
)
_ZH: Final = _Words(
    title="数据字典",
    intro=(
        "Wayline 使用的数据表，每表一节。来源文件须有必填列；其余列可缺，依赖它们的内容会省略并说明。时间须带时区偏移，"
        "否则按映射文件的时区解读；金额默认以最小货币单位（分）计；空值表示未知。"
        "本页由 `engine/domain/curated.py` 中的约定生成，请勿手工修改。"
    ),
    key="主键",
    time="可知时间",
    headings=("列", "类型", "是否必填", "取值", "含义"),
    kinds={
        Kind.TEXT: "文本",
        Kind.INTEGER: "整数",
        Kind.NUMBER: "数值",
        Kind.SHARE: "比例（0 至 1）",
        Kind.MONEY: "金额",
        Kind.BOOLEAN: "是/否",
        Kind.DATE: "日期",
        Kind.INSTANT: "时间（UTC）",
    },
    required="必填",
    optional="可空",
    derived="入库时生成",
    personal="个人信息",
    one_of="限 {}",
    at_least="不小于 {}",
    at_most="不大于 {}",
    between="{} 至 {}",
    refers_to="引用 {}",
    separator="；",
)
_WORDS: Final[dict[Language, _Words]] = {"en": _EN, "zh": _ZH}


def render(language: Language) -> str:
    """Return the whole dictionary as Markdown in one language, ending with a line break."""
    words = _WORDS[language]
    sections = [_section(table, words, language) for table in CURATED.values()]
    return "\n".join([f"# {words.title}", "", words.intro, "", *sections])


def _section(table: Table, words: _Words, language: Language) -> str:
    keys = ", ".join(f"`{name}`" for name in table.key)
    lines = [
        f"## {table.name}",
        "",
        f"{_sentence(table.one_row_is if language == 'en' else table.one_row_is_zh, language)}  ",
        f"{words.key}: {keys}" + (f"  \n{words.time}: `{table.time_column}`" if table.time_column else ""),
        "",
        "| " + " | ".join(words.headings) + " |",
        "|" + "---|" * len(words.headings),
        *(_line(column, words, language) for column in table),
    ]
    return "\n".join([*lines, ""])


def _sentence(what: str, language: Language) -> str:
    return f"One row is {what}." if language == "en" else f"一行是：{what}。"


def _line(column: Column, words: _Words, language: Language) -> str:
    needed = words.derived if column.derived else words.required if column.required else words.optional
    meaning = column.meaning if language == "en" else column.meaning_zh
    cells = (f"`{column.name}`", words.kinds[column.kind], needed, _allowed(column, words), meaning)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _allowed(column: Column, words: _Words) -> str:
    parts = [
        words.one_of.format(", ".join(f"`{choice}`" for choice in column.choices)) if column.choices else "",
        _range(column, words),
        column.unit or "",
        words.refers_to.format(f"`{column.references}`") if column.references else "",
        words.personal if column.personal else "",
    ]
    return words.separator.join(part for part in parts if part)


def _range(column: Column, words: _Words) -> str:
    low, high = column.minimum, column.maximum
    if low is not None and high is not None:
        return words.between.format(f"{low:g}", f"{high:g}")
    if low is not None:
        return words.at_least.format(f"{low:g}")
    return words.at_most.format(f"{high:g}") if high is not None else ""


def write(folder: Path) -> None:
    """Write the dictionary in both languages into the folder."""
    for language in _WORDS:
        (folder / f"dictionary.{language}.md").write_text(render(language), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
