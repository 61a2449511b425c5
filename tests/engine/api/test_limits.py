"""What a server must take from anybody: malformed requests, bodies without end, its own description turned on it."""

from __future__ import annotations

import itertools
import json
import logging
import os
import random
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx
import pytest

from engine.api.problems import KINDS, MEDIA_TYPE
from tests.engine.api.conftest import key_of, served

BODY_BYTES: Final = 4 * 1024 * 1024
ACK: Final = "/v1/runs/20260630T235959Z-0000000000/ack"
EXAMPLES: Final = os.environ.get("WAYLINE_API_EXAMPLES", "3")  # of the fuzzer, for each operation; more take longer

PHASES: Final = {"sqlite": "examples,coverage,fuzzing", "postgresql": "examples"}

CONFIG: Final = """
[checks.positive_data_acceptance]
# a cursor that nobody gave out, or a key of a delivery used twice, is a text like any other to the description
enabled = false

[[operations]]
include-name = "POST /v1/feedback"
# an item that is wrong is told of in the answer, and the others are taken
checks.negative_data_rejection.enabled = false
"""


@pytest.fixture(scope="module")
def home(database: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("limits") / "workspace"
    folder.mkdir()
    (folder / "wayline.toml").write_text("[api]\nrequests_per_minute = 10000000\nrefused_per_minute = 10000000\n")
    return folder


@pytest.fixture(scope="module")
def address(home: Path) -> Iterator[str]:
    with served(home) as made:
        yield made


@pytest.fixture(scope="module")
def key(home: Path, address: str) -> dict[str, str]:
    return key_of(home)


def said(answer: httpx.Response) -> str:
    """Check that an answer is a problem of ours, and return its code."""
    assert answer.headers["content-type"] == MEDIA_TYPE, answer.text
    body = answer.json()
    assert body["status"] == answer.status_code == KINDS[body["code"]].status
    assert body["doc"] == f"/v1/problems/{body['code']}" and body["detail"]
    return str(body["code"])


def test_each_kind_of_problem_is_explained_to_everybody(address: str) -> None:
    with httpx.Client(base_url=address, timeout=60) as client:
        for code, kind in KINDS.items():
            assert client.get(f"/v1/problems/{code}").json()["status"] == kind.status
        assert said(client.get("/v1/problems/none")) == "not_found"


def test_an_unknown_path_another_method_and_no_workspace_data_are_problems_too(
    address: str, key: dict[str, str]
) -> None:
    with httpx.Client(base_url=address, headers=key, timeout=60) as client:
        assert said(client.get("/v2/audiences")) == "no_such_path"
        assert said(client.get("/v1/audiences/")) == "no_such_path"
        answer = client.delete("/v1/audiences")
        assert said(answer) == "method_not_allowed" and answer.headers["allow"] == "GET"
        assert said(client.get("/v1/recommendations")) == "not_found"  # there is no run yet
        assert client.get("/v1/audiences").json() == {"audiences": []}
        assert said(client.post(ACK, content=b"x=1", headers={"Content-Type": "text/plain"})) == "invalid_request"


def test_no_answer_may_be_kept_or_framed_or_guessed_at(address: str, key: dict[str, str]) -> None:
    answer = httpx.get(f"{address}/v1/audiences", headers=key)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


def malformed(draw: random.Random) -> Iterator[httpx.Request]:
    """Requests that are wrong, each in one of a few ways, without end."""
    words = ["", "a", "é", "\u202e", "%00", "../..", "-1", "1e9", "null", "[]", "'; DROP TABLE runs; --", "x" * 3_000]
    bodies = [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"received_rows": 1e400}', b"[" * 50_000, b'{"a":1,"a":2}']
    values = [None, -1, 1.5, True, "1", [], {}, 10**30, "\ud800", "0" * 64]
    names = ["received_rows", "content_sha256", "loaded", "rejected", "audience", "channel"]
    whole = {"received_rows": 1, "content_sha256": "0" * 64, "loaded": 1, "rejected": []}
    for number in itertools.count():
        word = draw.choice(words)
        match number % 5:
            case 0:
                parameter = draw.choice(["run", "channel", "fields", "limit", "offset"])
                yield httpx.Request("GET", "http://x/v1/audiences/savers/members", params={parameter: f"!{word}"})
            case 1:
                yield httpx.Request("GET", f"http://x/v1/{draw.choice(['audiences', 'runs', ''])}/{word}!/x")
            case 2:
                kind = {"Content-Type": draw.choice(["application/json", "application/json; charset=utf-16"])}
                yield httpx.Request("POST", f"http://x{ACK}", content=draw.choice(bodies), headers=kind)
            case 3:
                broken = whole | {draw.choice(names): draw.choice(values)}
                text = json.dumps({**broken, "surprise": word}).encode("utf-8", "surrogatepass")
                yield httpx.Request(
                    "POST", f"http://x{ACK}", content=text, headers={"Content-Type": "application/json"}
                )
            case 4:
                method = draw.choice(["PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "HEAD", "BREW"])
                yield httpx.Request(method, f"http://x/v1/{draw.choice(['audiences', 'journal', 'health'])}")


def test_a_thousand_malformed_requests_are_each_refused_cleanly(address: str, key: dict[str, str]) -> None:
    codes: dict[str, int] = {}
    with httpx.Client(base_url=address, timeout=60) as client:
        for request in itertools.islice(malformed(random.Random(20260630)), 1_000):
            url = request.url.copy_with(scheme="http", host="127.0.0.1", port=httpx.URL(address).port)
            headers = {name: value for name, value in request.headers.items() if name != "host"}
            answer = client.request(request.method, url, content=request.content, headers=headers | key)
            assert 400 <= answer.status_code < 500, (request, answer.text)
            if request.method != "HEAD":
                codes[said(answer)] = codes.get(said(answer), 0) + 1
        assert client.get("/v1/health").status_code == 200
    assert codes.keys() == {"invalid_request", "malformed_request", "no_such_path", "method_not_allowed"}


@pytest.mark.parametrize("line", [b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01", b"GET  \r\nHost\r\n\r\n"])
def test_what_is_no_http_at_all_is_answered_and_the_connection_ended(address: str, line: bytes) -> None:
    with connected(address) as link:
        link.sendall(line + b"\r\n\r\n")
        assert link.recv(100).startswith(b"HTTP/1.1 400")


def connected(address: str) -> socket.socket:
    url = httpx.URL(address)
    return socket.create_connection((url.host, url.port or 80), timeout=20)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_a_gigabyte_is_refused_at_the_limit_and_the_rest_is_never_read(
    address: str, key: dict[str, str], chunked: bool
) -> None:
    length = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 1000000000"
    head = b"POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Type: application/json\r\n%s\r\n\r\n"
    piece = b"x" * 65_536
    framed = b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece
    sent, began = 0, time.monotonic()
    with connected(address) as link:
        link.sendall(head % (ACK.encode(), key["Authorization"].encode(), length))
        link.settimeout(2)
        answer = b""
        try:
            while sent < 1_000_000_000:
                link.sendall(framed)
                sent += len(piece)
        except OSError:  # the server hung up
            pass
        try:
            answer = link.recv(4_096)
        except OSError:
            answer = b""
    # what the kernel holds on both sides comes on top of the limit
    assert sent < BODY_BYTES + 16_000_000
    assert time.monotonic() - began < 10
    assert answer == b"" or answer.startswith(b"HTTP/1.1 413")
    with httpx.Client(base_url=address, headers=key, timeout=60) as client:
        small = client.post(ACK, content=b" " * (BODY_BYTES + 1), headers={"Content-Type": "application/json"})
        assert said(small) == "body_too_large" and small.headers["connection"] == "close"
        assert client.get("/v1/health").status_code == 200


def test_the_log_names_the_route_and_the_key_and_neither_customer_nor_value(
    address: str, key: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level("INFO", logger="wayline.api"),
        httpx.Client(base_url=address, headers=key, timeout=60) as client,
    ):
        client.get("/v1/audiences/c00000042/members", params={"run": "C00000042"})
        client.get("/v1/customers/C00000042/anything")
    told = "\n".join(caplog.messages)
    assert "/v1/audiences/{audience}/members 404" in told
    assert key["Authorization"].split(".")[1] in told
    assert "42" not in re.sub(r"\b[0-9a-f]{16}\b|[0-9.]+ ms", "", told)


def test_a_logging_set_up_by_others_later_brings_no_path_into_the_log(
    address: str, key: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    # what a library does that configures the server's parent logger: its children report upwards again
    logging.getLogger("uvicorn.access").propagate = True
    with caplog.at_level("INFO"), httpx.Client(base_url=address, headers=key, timeout=60) as client:
        client.get("/v1/customers/C00000042/anything")
    assert not [one for one in caplog.records if one.name.startswith("uvicorn") and "C00000042" in one.getMessage()]


def test_the_fuzzer_finds_no_server_error_and_no_answer_that_is_not_described(
    address: str, key: dict[str, str], database: str, tmp_path: Path
) -> None:
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG)
    words = ["-m", "schemathesis.cli", "--config-file", str(config), "run", f"{address}/v1/openapi.json", "--no-color"]
    more = ["-H", f"Authorization: {key['Authorization']}", "--max-examples", EXAMPLES, "--seed", "7"]
    # the description is the same on both databases: on one the fuzzer looks at every corner, on the other at examples
    checks = ["--phases", os.environ.get("WAYLINE_API_PHASES", PHASES[database])]
    done = subprocess.run(
        [sys.executable, *words, *more, *checks], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]
    assert re.search(r"[1-9]\d* generated", done.stdout)
