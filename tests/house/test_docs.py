"""What the documents name exists, and what exists is named."""

import re
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from engine.cli.main import wayline
from tests.conftest import REPOSITORY
from tests.house.project import DOCUMENTS, code_spans, document

ROOTS = {path.name for path in REPOSITORY.iterdir()} | {"data", "engine", "tests", "journeys", "experiments"}
# made on the reader's machine or by the reader, so not among the project's files
MADE_LATER = ("workspace", "simulated", ".venv", "dist", "path/to", "downloads")


def commands() -> dict[str, object]:
    """Every command by the words that call it."""
    found: dict[str, object] = {}

    def walk(group: TyperGroup, words: tuple[str, ...]) -> None:
        for name, command in group.commands.items():
            if isinstance(command, TyperGroup):
                walk(command, (*words, name))
            # a group that takes options does something itself
            if not isinstance(command, TyperGroup) or command.params:
                found[" ".join((*words, name))] = command

    root = typer.main.get_command(wayline)
    assert isinstance(root, TyperGroup)
    walk(root, ("wayline",))
    return found


COMMANDS = commands()


def paths_named(text: str) -> set[str]:
    spans = [word for span in code_spans(text) for word in re.split(r"[\s,|=]+", span)]
    spans += re.findall(r"\]\(([^)#]+)\)", text)
    words = {word.strip("'\"();:").removeprefix("./") for word in spans}
    return {
        word
        for word in words
        if word.split("/")[0] in ROOTS
        and ("/" in word or "." in word)
        and not word.startswith(MADE_LATER)
        and not set(word) & set("*<>{}[]$")
    }


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_file_that_a_document_names_is_there(name: str) -> None:
    missing = [path for path in sorted(paths_named(document(name))) if not (REPOSITORY / path).exists()]
    assert missing == []


def test_contributing_names_a_file_for_each_thing_to_add() -> None:
    for thing in ("product", "gate", "metric", "page", "source"):
        match = re.search(rf"\*\*\.\.\. a {thing}\.\*\*(.*?)(?=\n\n|\Z)", document("CONTRIBUTING.md"), flags=re.DOTALL)
        assert match, f"CONTRIBUTING.md does not say how to add a {thing}"
        assert any(Path(path).suffix for path in paths_named(match.group(1))), f"no file is named for a {thing}"


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_is_in_the_readme(command: str) -> None:
    text = document("README.md")
    assert re.search(rf"{re.escape(command)}\b", text), f"README.md does not mention `{command}`"


def test_every_command_that_a_document_calls_exists() -> None:
    known = set(COMMANDS) | {"wayline"}
    groups = {command.rsplit(" ", 1)[0] for command in COMMANDS}
    for name in DOCUMENTS:
        for span in code_spans(document(name)):
            called = re.match(r"(?:\S*/)?(wayline(?: [a-z]+){1,2})", span)
            if not called:
                continue
            words = called.group(1).split()
            candidates = {" ".join(words[:2]), " ".join(words[:3])}
            assert candidates & (known | groups), f"{name} calls `{span}`"


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_help_with_examples_and_speaks_json(command: str) -> None:
    found = COMMANDS[command]
    text = found.help or ""  # type: ignore[attr-defined]
    assert text.splitlines()[0].rstrip().endswith("."), "the first line is a sentence"
    assert "Examples" in text
    assert f"\n  {command}" in text or f"\n      {command}" in text
    options = {name for parameter in found.params for name in parameter.opts}  # type: ignore[attr-defined]
    assert {"--json", "--quiet"} <= options
    for parameter in found.params:  # type: ignore[attr-defined]
        assert getattr(parameter, "help", None), f"{command} {parameter.name} has no help"


def test_the_readme_says_every_exit_code() -> None:
    from engine.cli import faults

    text = document("README.md")
    for code in (faults.OK, faults.ERROR, faults.USAGE, faults.CHECK_FAILED, faults.REFUSED, faults.PARTIAL):
        assert re.search(rf"\b{code} \w+", text)
