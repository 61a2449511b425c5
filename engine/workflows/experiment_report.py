"""Write the report of an experiment as JSON, Markdown or one page of HTML."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, get_args

from engine.domain.errors import SettingsFault
from experiments import report, report_markdown, report_page
from experiments.report_words import Language

Format = Literal["json", "md", "html"]

FORMATS: Final[tuple[Format, ...]] = get_args(Format)


def format_of(path: Path) -> Format:
    """Return the format that a file's name asks for.

    Raises
    ------
    SettingsFault
        It ends in nothing that a report can be.
    """
    ending = path.suffix.lower().removeprefix(".")
    if ending not in FORMATS:
        raise SettingsFault(
            path.name, [f"a report is written as one of {', '.join(FORMATS)}; end the name in one of them"]
        )
    return ending


def text(facts: Mapping[str, Any], form: Format, language: Language = "en", *, show_withheld: bool = False) -> str:
    """Return the report of a result, as JSON writes it, in one of the formats.

    show_withheld : with False no number of an experiment that failed a check is in it, whatever the result holds.
    """
    made = report.make(facts, show_withheld=show_withheld)
    if form == "html":
        return report_page.render(made, language)
    if form == "md":
        return report_markdown.render(made, language)
    return json.dumps(made.facts, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write(
    facts: Mapping[str, Any],
    path: Path,
    form: Format | None = None,
    language: Language = "en",
    *,
    show_withheld: bool = False,
) -> Path:
    """Write the report to a file, whole or not at all, and return where it lies.

    form : by default the one that the name of the file asks for.

    Raises
    ------
    SettingsFault
        The name of the file asks for no format, or its folder cannot be written to.
    """
    written = text(facts, form or format_of(path), language, show_withheld=show_withheld)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(written, encoding="utf-8", newline="\n")
        aside.replace(path)
    except OSError as fault:
        aside.unlink(missing_ok=True)
        raise SettingsFault(
            path.name, [f"the report cannot be written there ({fault.strerror}); name another place"]
        ) from None
    return path
