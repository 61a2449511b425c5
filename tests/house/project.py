"""The project as its files tell it."""

import re
import tomllib
from pathlib import Path
from typing import Any

from tests.conftest import REPOSITORY

DOCUMENTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")


def pyproject() -> dict[str, Any]:
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))


def document(name: str) -> str:
    return (REPOSITORY / name).read_text(encoding="utf-8")


def code_spans(text: str) -> list[str]:
    """What stands between backticks, and the lines of fenced blocks."""
    fences = re.findall(r"```\w*\n(.*?)```", text, flags=re.DOTALL)
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return spans + [line.strip() for fence in fences for line in fence.splitlines() if line.strip()]


def packages_of(package: str) -> list[str]:
    folder = REPOSITORY / package
    return sorted(path.parent.name for path in folder.glob("*/__init__.py"))


def python_files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (REPOSITORY / folder).rglob("*.py"))
