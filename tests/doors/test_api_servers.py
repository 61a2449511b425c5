"""`wayline api` and `wayline serve` as processes: where they listen, what they refuse, how they end."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from engine.cli.main import main


def start(*words: str, home: Path) -> tuple[subprocess.Popen[str], dict[str, Any]]:
    """Start a command that serves and return it with the addresses that it tells as JSON."""
    command = [sys.executable, "-m", "engine.cli.main", *words, "--home", str(home), "--json", "--quiet"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    told = ""
    while not told.endswith("}\n"):
        line = process.stdout.readline()
        assert line, process.communicate()
        told += line
    return process, json.loads(told)


def answer(address: str) -> httpx.Response:
    """Ask until there is an answer."""
    deadline = time.monotonic() + 60
    with httpx.Client(timeout=10) as client:  # one for all attempts: making one costs more than asking
        while True:
            try:
                return client.get(address)
            except httpx.TransportError:
                assert time.monotonic() < deadline, f"nothing answers at {address}"
                time.sleep(0.1)


def test_the_api_listens_on_this_machine_answers_and_ends_when_told(tmp_path: Path) -> None:
    process, told = start("api", home=tmp_path)
    assert told["address"].startswith("http://127.0.0.1:")
    health = answer(f"{told['address']}/v1/health")
    assert health.json()["status"] == "ok" and "server" not in health.headers
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=30)
    assert process.returncode in (0, -signal.SIGTERM)
    assert "/v1/health 200" in log and "Traceback" not in log


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "bank.example"])
@pytest.mark.parametrize("command", ["api", "serve"])
def test_an_address_that_others_reach_is_refused_unless_asked_for_in_so_many_words(
    command: str, host: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--host", host, "--home", str(tmp_path)]) == 4
    assert "--public" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_is_taken_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["api", "--port", str(port), "--home", str(tmp_path)]) == 1
    assert f"Port {port} is taken" in capsys.readouterr().err


def test_keys_are_made_listed_rotated_and_revoked_at_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def ask(*words: str, code: int = 0) -> Any:
        assert main(["api", "keys", *words, "--home", str(tmp_path), "--json"]) == code
        return json.loads(capsys.readouterr().out)

    assert ask("list") == {"keys": []} and list(tmp_path.iterdir()) == []
    made = ask("create", "crm", "--scope", "journal:read", "--row-cap", "10", "--by", "ann")
    assert made["key"].startswith(f"wayline.{made['key_id']}.") and made["status"] == "in_use"
    turned = ask("rotate", "crm", "--by", "bob", "--overlap-hours", "0")
    assert turned["key"] != made["key"] and turned["row_cap"] == 10
    assert [one["status"] for one in ask("list")["keys"]] == ["expired", "in_use"]
    assert made["key"].rsplit(".", 1)[1] not in json.dumps(ask("list"))
    assert ask("revoke", "crm", "--by", "bob")["revoked"] == [turned["key_id"]]
    assert ask("create", "crm", "--scope", "everything", "--by", "ann", code=2)["error"]["kind"] == "UnknownName"
    assert main(["api", "keys", "list", "--home", str(tmp_path)]) == 0
    assert "revoked" in capsys.readouterr().out


@pytest.mark.parametrize("way", [(), ("--two-processes",)])
def test_serve_starts_the_app_and_the_api_and_ends_both(way: tuple[str, ...], tmp_path: Path) -> None:
    process, told = start("serve", *way, home=tmp_path)
    assert (told["api"] == told["app"]) is (way == ())
    health = answer(f"{told['api']}/v1/health")
    assert health.json()["status"] == "ok" and health.headers["cache-control"] == "no-store"
    assert answer(f"{told['app']}/_stcore/health").text == "ok"
    assert "<title>" in answer(told["app"]).text
    missing = answer(f"{told['api']}/v1/nothing")
    assert (missing.status_code, missing.json()["code"]) == (404, "no_such_path")
    process.send_signal(signal.SIGINT)
    _, log = process.communicate(timeout=40)
    assert process.returncode in (0, -signal.SIGINT)
    assert "Traceback" not in log and "/v1/health 200" in log
    for address in (told["api"], told["app"]):
        with pytest.raises(httpx.TransportError):
            httpx.get(address)


def test_one_process_is_for_this_machine_and_has_one_port(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--api-port", "8799", "--home", str(tmp_path)]) == 2
    assert "--two-processes" in capsys.readouterr().err


def test_what_forbids_to_serve_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "wayline.db").mkdir()  # no database can be opened there
    process, _ = start("serve", home=tmp_path)
    _, log = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "cannot be used" in log and "Traceback" not in log


def test_when_the_api_ends_by_itself_serve_ends_the_app_too_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "wayline.db").mkdir()  # no database can be opened there
    process, _ = start("serve", "--two-processes", home=tmp_path)
    _, log = process.communicate(timeout=60)
    assert process.returncode == 1 and "The API ended by itself" in log
    assert "cannot be used" in log and "Traceback" not in log
