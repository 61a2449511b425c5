"""The command line: data to standard output, messages to standard error, and exit codes that a script can trust."""

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engine.cli import faults
from engine.cli.main import main
from engine.domain.errors import CheckFailed, RefusedByPolicy, UnknownName, WorkspaceMissing
from engine.store import Store
from engine.workflows.run import STAGES

WAYLINE = [sys.executable, "-m", "engine.cli.main"]
COMMANDS = {
    "demo": [],
    "init": [],
    "doctor": [],
    "simulate": [],
    "data": ["check", "load", "report", "dictionary"],
    "run": [],
    "export": ["recommendations", "verify", "approve", "ack", "audience", "keys", "list"],
    "experiment": ["list", "report", "decide", "plan", "simulate"],
    "journey": [
        *("list", "show", "funnel", "stages", "dropoff", "transitions", "variants", "flow", "step-matrix", "retention"),
        *("lifecycle", "stickiness", "churn", "sessions", "channels", "attribution", "conformance", "types", "compare"),
        "prepare",
    ],
    "decide": [],
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


# On a bank


@pytest.fixture(scope="module")
def bank(demo_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the demo workspace that these tests may write to."""
    home = tmp_path_factory.mktemp("cli") / "bank"
    shutil.copytree(demo_home, home)
    return home


def test_the_same_run_again_is_the_one_that_was_made(wayline: Any, bank: Path) -> None:
    first = wayline("run", "--home", bank, "--json").json
    again = wayline("run", "--home", bank, "--json")
    assert (again.code, again.err) == (0, "")
    assert again.json["reused"] is True
    assert again.json["run_id"] == first["run_id"]
    assert [stage["status"] for stage in again.json["stages"]] == ["done"] * len(STAGES)
    assert again.json["as_of"].endswith("+00:00")
    shown = wayline("run", "--home", bank)
    assert "made before" in shown.out
    assert "MB" in shown.out


def test_journeys_are_listed_and_shown_with_their_units(wayline: Any, bank: Path) -> None:
    rows = wayline("journey", "list", "--home", bank, "--json").json
    assert {row["journey"] for row in rows} == {"credit_card", "personal_loan", "mortgage", "investing"}
    steps = wayline("journey", "show", "credit_card", "--home", bank, "--json").json
    reached = [step["customers"] for step in steps]
    assert reached == sorted(reached, reverse=True)
    assert steps[0]["rate_from_previous"] is None
    shown = wayline("journey", "show", "credit_card", "--home", bank)
    assert "100.0 %" in shown.out
    assert "—" in shown.out
    assert max(len(line) - len(line.rstrip()) for line in shown.out.splitlines()) == 0


def test_an_unknown_name_is_answered_with_the_nearest_known_one(wayline: Any, bank: Path) -> None:
    answer = wayline("journey", "show", "credit_crad", "--home", bank)
    assert answer.code == 2
    assert 'Did you mean "credit_card"?' in answer.err
    assert wayline("journey", "show", "credit_card", "--by", "colour", "--home", bank).code == 2
    assert wayline("experiment", "report", "card_onbording", "--home", bank).code == 2


def test_one_customer_is_explained_product_by_product_without_the_name(wayline: Any, bank: Path) -> None:
    customer_id = next(iter(offers(wayline, bank)))
    facts = wayline("explain", customer_id, "--home", bank, "--json").json
    assert facts["customer_id"] == customer_id
    assert "full_name" not in facts["profile"]
    assert {row["decision"] for row in facts["products"]} <= {"offered", "allowed", "refused"}
    refused = [row for row in facts["products"] if row["decision"] == "refused"]
    assert all(row["refusals"] for row in refused)
    for language, key in (("en", "text_en"), ("zh", "text_zh")):
        shown = wayline("explain", customer_id, "--home", bank, "--lang", language).out
        assert refused[0]["refusals"][0][key] in shown
        assert [said for said in facts["told"] if said[key] not in shown] == []


def offers(wayline: Any, bank: Path) -> list[str]:
    made = wayline("export", "recommendations", "--format", "jsonl", "--home", bank, "--json").json
    lines = [
        line
        for path in sorted(Path(made["destination"]).rglob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    return [json.loads(line)["external_id"] for line in lines]


def test_limits_on_all_offers_are_shown_and_where_none_is_set_it_says_how_to(wayline: Any, bank: Path) -> None:
    shown = wayline("recommend", "limits", "--home", bank, "--json").json
    assert shown["limits"] == []
    assert "[allocation]" in shown["caption"]


def test_an_export_is_made_noted_verified_and_found_out_when_touched(wayline: Any, bank: Path, tmp_path: Path) -> None:
    outbox = tmp_path / "outbox"
    made = wayline("export", "recommendations", "--to", outbox, "--home", bank, "--json")
    assert made.code == 0
    assert made.json["exported"] > 0
    assert wayline("export", "verify", outbox, "--json").json["ok"] is True
    with Store(f"sqlite:///{bank}/wayline.db") as store:
        assert str(outbox) in {export.destination for export in store.exports()}
        assert store.verify_audit() is None
    part = next(path for path in sorted(outbox.rglob("*.csv")) if path.stat().st_size > 0)
    part.write_bytes(part.read_bytes() + b"\n")
    found = wayline("export", "verify", outbox, "--json")
    assert found.code == 3
    assert found.json["error"]["exit_code"] == 3


def test_a_report_says_what_was_read_kept_and_quarantined(wayline: Any, bank: Path) -> None:
    facts = wayline("data", "report", "--home", bank, "--json").json
    for table in facts["tables"]:
        assert table["read"] == table["kept"] + table["quarantined"]
    shown = wayline("data", "report", "--home", bank).out
    assert "quarantined" in shown
    assert "duplicate_key" in shown


def test_a_check_that_finds_bad_rows_exits_with_3_and_keeps_nothing(
    wayline: Any, demo_home: Path, tmp_path: Path
) -> None:
    mapping = demo_home / "simulated" / "mapping.toml"
    answer = wayline("data", "check", mapping, "--home", tmp_path / "new", "--json")
    assert answer.code == 3
    assert sum(table["quarantined"] for table in answer.json["tables"]) > 0
    assert not (tmp_path / "new" / "curated").exists()


def test_a_workspace_is_made_of_a_simulated_bank_once(wayline: Any, tmp_path: Path) -> None:
    assert wayline("simulate", "-n", 20, "--out", tmp_path / "small", "--quiet").code == 0
    words = ("init", "--from", "simulated", tmp_path / "small", "--home", tmp_path / "new", "--json")
    made = wayline(*words)
    assert made.code == 0
    assert made.json["report"]["tables"][0]["table"] == "customers"
    assert f"wayline run --home {tmp_path / 'new'}" in made.err
    again = wayline(*words)
    assert again.code == 4
    assert again.json["error"]["kind"] == "RefusedByPolicy"
    strict = wayline("data", "load", tmp_path / "small" / "mapping.toml", "--home", tmp_path / "new", "--strict")
    assert strict.code == 5


def test_quiet_says_nothing_on_the_way(wayline: Any, tmp_path: Path) -> None:
    words = ("simulate", "-n", 20, "--out", tmp_path / "small")
    told, silent = wayline(*words), wayline(*words, "--quiet")
    assert (told.code, silent.code) == (0, 0)
    assert "wayline init --from simulated" in told.err
    assert silent.err == ""
    assert "transactions" in silent.out


@pytest.fixture(scope="module")
def split_home(demo_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace that holds an experiment and nothing to lend, whose planned split is not what was observed."""
    home = tmp_path_factory.mktemp("split")
    (home / "curated").mkdir()
    for table in ("customers", "events", "exposures", "report.json"):
        source = demo_home / "curated" / table
        (shutil.copytree if source.is_dir() else shutil.copy)(source, home / "curated" / table)
    (home / "wayline.toml").write_text(
        """
        [[experiments.experiments]]
        experiment_id = "card_onboarding"
        name_en = "Card onboarding checklist"
        control = "control"
        weights = { control = 0.9, checklist = 0.1 }
        metrics = [{ metric = "activation", kind = "proportion", event = "card_activated", window_days = 30 }]
        """,
        encoding="utf-8",
    )
    return home


def test_a_run_that_skips_a_stage_tells_why_and_only_strict_minds(wayline: Any, split_home: Path) -> None:
    answer = wayline("run", "--home", split_home, "--json")
    assert answer.code == 0
    skipped = [stage for stage in answer.json["stages"] if stage["status"] == "skipped"]
    assert "recommendations" in {stage["stage"] for stage in skipped}
    assert all(stage["reason"] for stage in skipped)
    strict = wayline("run", "--home", split_home, "--strict", "--quiet")
    assert strict.code == 5
    assert skipped[0]["reason"] in strict.out


def test_an_experiment_whose_split_is_broken_exits_with_3_and_withholds(wayline: Any, split_home: Path) -> None:
    wayline("run", "--home", split_home)
    withheld = wayline("experiment", "report", "card_onboarding", "--home", split_home, "--json")
    assert withheld.code == 3
    assert withheld.json["metrics"][0]["absolute"]["difference"] is None
    shown = wayline("experiment", "report", "card_onboarding", "--home", split_home, "--show-withheld", "--json")
    assert shown.code == 3
    assert shown.json["metrics"][0]["absolute"]["difference"] is not None
    assert "withheld" in wayline("experiment", "report", "card_onboarding", "--home", split_home).out


def test_the_doctor_finds_a_healthy_bank_and_a_settings_fault(wayline: Any, bank: Path, tmp_path: Path) -> None:
    healthy = wayline("doctor", "--home", bank, "--json")
    assert healthy.code == 0
    assert {check["status"] for check in healthy.json} <= {"ok", "warning"}
    (tmp_path / "wayline.toml").write_text("[bank]\nbase_curency = 'CNY'\n", encoding="utf-8")
    ill = wayline("doctor", "--home", tmp_path)
    assert ill.code == 3
    assert "base_curency" in ill.out


def test_ctrl_c_is_told_in_a_sentence(tmp_path: Path) -> None:
    # where the tests run in the background of a shell, their children would ignore Ctrl-C; nobody's terminal does
    ours = signal.signal(signal.SIGINT, signal.default_int_handler)
    running = subprocess.Popen(
        [*WAYLINE, "simulate", "-n", "200000", "--out", str(tmp_path / "big"), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    signal.signal(signal.SIGINT, ours)
    until = time.monotonic() + 30
    while not any(tmp_path.iterdir()) and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.5)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130
    assert json.loads(out)["error"]["kind"] == "Interrupted"
    assert "Traceback" not in err
    assert not (tmp_path / "big" / "_SUCCESS").exists()


# The app


def test_the_app_answers_on_this_machine_and_ends_with_its_command(demo_home: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    running = subprocess.Popen(
        [*WAYLINE, "app", "--home", str(demo_home), "--port", str(port), "--headless", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert answers(f"http://127.0.0.1:{port}/_stcore/health", seconds=30)
        taken = process("app", "--port", port, "--json")
        assert taken.returncode == 1
        assert f"Port {port} is taken" in taken.stderr
    finally:
        running.terminate()
        out, _ = running.communicate(timeout=30)
    assert f'"address": "http://127.0.0.1:{port}"' in out
    assert not answers(f"http://127.0.0.1:{port}/_stcore/health", seconds=0.5)


def answers(address: str, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(address, timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            time.sleep(0.2)
    return False
