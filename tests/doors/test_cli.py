"""The command line: data to standard output, messages to standard error, and exit codes that a script can trust."""

import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engine.cli import faults
from engine.cli.main import main
from engine.domain.errors import CheckFailed, RefusedByPolicy, UnknownName, WorkspaceMissing

WAYLINE = [sys.executable, "-m", "engine.cli.main"]
COMMANDS = {
    "demo": [],
    "init": [],
    "doctor": [],
    "simulate": [],
    "data": ["check", "load", "report", "dictionary"],
    "run": [],
    "export": ["recommendations", "verify"],
    "experiment": ["list", "report"],
    "journey": ["list", "show"],
    "explain": [],
    "app": [],
}
LEAVES = [f"{name} {leaf}".strip() for name, leaves in COMMANDS.items() for leaf in leaves or [""]]


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def wayline(capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*arguments: object) -> Answer:
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Answer(code, out, err)

    return call


def process(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*WAYLINE, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=60,
        check=False,
    )


# Help


def test_without_a_command_the_help_lists_them_in_the_order_of_a_first_visit(wayline: Any) -> None:
    answer = wayline()
    assert answer.code == 0
    places = [answer.out.index(f"│ {name} ") for name in COMMANDS]
    assert places == sorted(places)
    assert "wayline demo" in answer.out


@pytest.mark.parametrize("command", LEAVES)
def test_every_command_explains_itself_with_examples(wayline: Any, command: str) -> None:
    for flag in ("--help", "-h"):
        answer = wayline(*command.split(), flag)
        assert answer.code == 0
        assert f"Usage: wayline {command}" in answer.out
        assert "Examples" in answer.out
        assert "--json" in answer.out
        assert answer.err == ""


@pytest.mark.parametrize("group", [name for name, leaves in COMMANDS.items() if leaves])
def test_a_group_without_a_command_shows_its_help(wayline: Any, group: str) -> None:
    answer = wayline(group)
    assert answer.code == 0
    assert all(leaf in answer.out for leaf in COMMANDS[group])


def test_the_version_is_one_line(wayline: Any) -> None:
    answer = wayline("--version")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("wayline 0.")


def test_help_needs_no_engine() -> None:
    heavy = "import sys, engine.cli.main as m; m.main(['run', '--help']); print(sorted({'duckdb', 'pandas', 'sklearn', "
    done = subprocess.run(
        [sys.executable, "-c", heavy + "'streamlit', 'ibis'} & set(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


# Wrong usage


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["rum"], "Did you mean 'run'?"),
        (["experiment", "lst"], "Did you mean 'list'?"),
        (["run", "--asof", "2026-06-30"], "Did you mean --as-of?"),
        (["explain"], "Missing argument 'CUSTOMER'."),
        (["simulate", "--out", "x", "-n", "0"], "greater than or equal to 1"),
        (["run", "--as-of", "yesterday"], "Write 2026-06-30 for the end of that day in UTC"),
        (["run", "--as-of", "2026-06-30T12:00:00"], "has no time zone"),
        (["data", "dictionary", "--lang", "fr"], "'zh'"),
    ],
)
def test_wrong_usage_is_one_sentence_with_the_way_out(wayline: Any, words: list[str], meant: str) -> None:
    answer = wayline(*words)
    assert answer.code == 2
    assert answer.out == ""
    assert meant in answer.err
    assert f"See `wayline{' ' if words[0] != 'rum' else ''}" in answer.err
    assert len(answer.err.strip().splitlines()) == 1


def test_wrong_usage_is_json_too_when_json_was_asked_for(wayline: Any) -> None:
    answer = wayline("run", "--jsn", "--json")
    assert answer.code == 2
    assert answer.json["error"]["kind"] == "Usage"
    assert answer.json["error"]["exit_code"] == 2


# Errors


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (WorkspaceMissing("home"), 1),
        (UnknownName("journey", "credit_crad", ["credit_card", "mortgage"]), 2),
        (CheckFailed("offers.csv differs from its manifest."), 3),
        (RefusedByPolicy("The folder holds files."), 4),
        (KeyboardInterrupt(), 130),
        (FileNotFoundError(2, "No such file or directory", "mapping.toml"), 1),
    ],
)
def test_each_kind_of_error_has_its_exit_code_and_a_sentence(
    capsys: pytest.CaptureFixture[str], fault: BaseException, code: int
) -> None:
    assert faults.tell(fault, as_json=True) == code
    out, err = capsys.readouterr()
    assert json.loads(out)["error"]["exit_code"] == code
    assert err.startswith("Error: ")
    assert json.loads(out)["error"]["sentence"] in err
    assert "Traceback" not in err


def test_an_error_as_json_carries_its_facts(capsys: pytest.CaptureFixture[str]) -> None:
    faults.tell(UnknownName("journey", "credit_crad", ["credit_card", "mortgage"]), as_json=True)
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["kind"] == "UnknownName"
    assert error["known"] == ["credit_card", "mortgage"]
    assert 'Did you mean "credit_card"?' in error["sentence"]


def test_what_nobody_foresaw_goes_to_a_log_that_only_its_owner_reads(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ZeroDivisionError("secret value 42")
    except ZeroDivisionError as fault:
        assert faults.tell(fault, as_json=True) == 1
    out, err = capsys.readouterr()
    error = json.loads(out)["error"]
    assert "Traceback" not in err
    assert "42" not in err + out
    log = Path(error["log"])
    assert error["log"] in err
    assert "secret value 42" in log.read_text(encoding="utf-8")
    assert log.stat().st_mode & 0o777 == 0o600
    log.unlink()


def test_a_workspace_without_data_is_named_with_the_next_step(wayline: Any, tmp_path: Path) -> None:
    for words in (["run"], ["journey", "list"], ["experiment", "list"], ["explain", "C1"], ["data", "report"]):
        answer = wayline(*words, "--home", tmp_path / "empty", "--json")
        assert answer.code == 1
        assert answer.json["error"]["kind"] in ("WorkspaceMissing", "RunMissing")
        assert "wayline " in answer.err
    assert not (tmp_path / "empty" / "curated").exists()


def test_the_workspace_can_be_named_by_the_environment(wayline: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("WAYLINE_HOME", str(tmp_path / "elsewhere"))
    assert "elsewhere" in wayline("run").err


# Streams


def test_colours_and_progress_stay_away_from_a_pipe(tmp_path: Path) -> None:
    done = process("experiment", "lst")
    assert "\x1b" not in done.stdout + done.stderr


def test_no_color_is_respected_on_a_terminal() -> None:
    def on_terminal(**environment: str) -> str:
        import pty

        parent, child = pty.openpty()
        plain = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
        running = subprocess.Popen(
            [*WAYLINE, "rum"], stderr=child, stdout=child, env={**plain, "TERM": "xterm-256color", **environment}
        )
        os.close(child)
        seen = io.BytesIO()
        while True:
            try:
                block = os.read(parent, 1024)
            except OSError:  # Linux says so when the other side has gone
                break
            if not block:
                break
            seen.write(block)
        running.wait()
        os.close(parent)
        return seen.getvalue().decode()

    assert "\x1b[1;31m" in on_terminal()
    assert "\x1b[1;31m" not in on_terminal(NO_COLOR="1")


def test_a_reader_that_leaves_early_is_no_error() -> None:
    command = f"{' '.join(WAYLINE)} data dictionary --lang zh | head -1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr == ""
    assert len(done.stdout.splitlines()) == 1


def test_chinese_reaches_a_terminal_that_knows_only_ascii() -> None:
    done = process("data", "dictionary", "--lang", "zh", "--json", PYTHONIOENCODING="ascii")
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert "客户" in json.loads(done.stdout)["markdown"]


def test_the_dictionary_speaks_both_languages(wayline: Any) -> None:
    english, chinese = wayline("data", "dictionary"), wayline("data", "dictionary", "--lang", "zh")
    assert (english.code, chinese.code) == (0, 0)
    assert "customer_id" in english.out
    assert "customer_id" in chinese.out
    assert "the bank's own id of the customer" in english.out
    assert "银行客户号" in chinese.out
