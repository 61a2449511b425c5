"""What the README shows of the command line is what the command line shows."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def shown() -> list[tuple[str, str]]:
    """Every command of the README's console blocks with the output printed below it."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```console\n(.*?)```", text, flags=re.DOTALL)
    sessions = re.split(r"^\$ ", "\n".join(blocks), flags=re.MULTILINE)[1:]
    return [(command, output) for command, _, output in (session.partition("\n") for session in sessions)]


def lines(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def test_the_readme_shows_at_least_two_commands() -> None:
    assert len(shown()) >= 2


@pytest.mark.parametrize(("command", "output"), shown())
def test_a_command_of_the_readme_prints_what_the_readme_says(command: str, output: str, demo_home: Path) -> None:
    name, *arguments = command.split()
    assert name == "wayline"
    ran = subprocess.run(
        [sys.executable, "-m", "engine.cli.main", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "WAYLINE_HOME": str(demo_home), "NO_COLOR": "1", "COLUMNS": "200"},
    )
    assert lines(ran.stdout) == lines(output)
