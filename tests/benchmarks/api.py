"""Pull an audience over HTTP, page by page, beside an endpoint that answers the same bytes without looking."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from engine.config.audiences import Audience
from engine.config.load import validate
from engine.exports import members
from engine.workflows import api_keys, audiences, demo, service
from engine.workflows.pull_members import pullable
from engine.workflows.service import Service

BARE: Final = """
import sys
import uvicorn
from fastapi import FastAPI
from starlette.responses import Response

size, port = int(sys.argv[1]), int(sys.argv[2])
app, content = FastAPI(), b"x" * size

@app.get("/page")
async def page():
    return Response(content)

uvicorn.run(app, port=port, log_config=None, access_log=False)
"""
_AUDIENCE: Final = {
    "audience": "everyone",
    "name": "Everyone",
    "owner": "ann",
    "channels": ["email"],
    "rule": {"all": [{"feature": "age_years", "at_least": 0}]},
}


@dataclass(frozen=True, slots=True)
class Row:
    """One way to pull: how many rows a second, and what the bare endpoint does of the same pages a second."""

    form: str
    rows: int
    page_rows: int
    seconds: float
    rows_a_second: int
    megabytes: float
    pages_a_second: int
    bare_pages_a_second: int


def run(size: int, folder: Path) -> list[Row]:
    """Pull `size` members as JSON and as lines from a server of its own process."""
    home = folder / "workspace"
    demo.prepare(home, customers=300, seed=1, progress=None)
    definition = validate(Audience, _AUDIENCE, "the benchmark")
    audiences.save_definition(home, definition)
    audiences.build(home, "everyone")
    audiences.verify(home, "everyone", "bob")
    scopes = ["audiences:read"]
    limits = {"requests_per_minute": 10_000_000}
    made = api_keys.create(home, "bench", "ann", scopes=scopes, destination="generic", days=1, **limits)
    with service.opened(home) as held:
        _many(held, made["key"], size)
    return [_pulled(home, made["key"], form, limit) for form, limit in (("json", 1_000), ("ndjson", 10_000))]


def _many(held: Service, key: str, size: int) -> None:
    """Make the release that is pulled: as many members as wanted, where the bank has few."""
    found = pullable(held, held.grant_of(key), "everyone", "email")
    snapshot = found.snapshots[-1]
    kinds = {column.name: column.kind for column in members.COLUMNS}
    number = np.arange(size)
    given = {
        "external_id": pa.array(np.char.add("C", np.char.zfill(number.astype(str), 10))),
        "audience_id": pa.array(np.repeat("everyone", size)),
        "run_id": pa.array(np.repeat(snapshot.run_id, size)),
        "recommendation_id": pa.array(np.char.add("3e98633175c9-", number.astype(str))),
        "action_code": pa.array(np.array(["fund", "mortgage", "savings_account"])[number % 3]),
        "action_rank": pa.array(number % 3 + 1),
        "channel": pa.array(np.repeat("email", size)),
        "track": pa.array(np.repeat("standard", size)),
        "reason_text": pa.array(np.repeat("Began an application for this product in the last 7 days.", size)),
        "reason_text_zh": pa.array(np.repeat("近7天内已开始申请该产品。", size)),
        "valid_to": pa.array(np.repeat("2026-07-30T23:59:59Z", size)),
        "consent_at": pa.array(np.repeat("2025-11-02T09:30:00Z", size)),
    }
    columns = {name: given.get(name, pa.nulls(size, kind)) for name, kind in kinds.items()}
    rows = pa.table(columns, schema=members.schema(False))
    facts = {"run_id": snapshot.run_id, "purpose": "marketing", "channel": "email"}
    found.shelf.made(f"{snapshot.run_id}-v{snapshot.version}", lambda: (rows, facts))


@contextmanager
def _server(words: list[str], port: int, path: str) -> Iterator[http.client.HTTPConnection]:
    process = subprocess.Popen([sys.executable, *words], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while True:
            link = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            try:
                link.request("GET", path)
                link.getresponse().read()
                break
            except OSError:
                assert time.monotonic() < deadline, "the server did not start"
                time.sleep(0.1)
        yield link
    finally:
        process.terminate()
        process.wait()


def _pulled(home: Path, key: str, form: str, limit: int) -> Row:
    lines = form == "ndjson"
    headers = {"Authorization": f"Bearer {key}", "Accept": "application/x-ndjson" if lines else "application/json"}
    command = ["-c", f"from pathlib import Path; from engine.api.server import server; "
               f"server(Path({str(home)!r}), '127.0.0.1', 8690).run()"]  # fmt: skip
    address, rows, sent, pages = f"/v1/audiences/everyone/members?limit={limit}", 0, 0, 0
    with _server(command, 8690, "/v1/health") as link:
        began = time.perf_counter()
        while address:
            link.request("GET", address, headers=headers)
            answer = link.getresponse()
            body = answer.read()
            assert answer.status == 200, body
            sent, pages = sent + len(body), pages + 1
            rows += body.count(b"\n") if lines else body.count(b'"external_id"')
            following = answer.getheader("Link")
            address = following[1:].partition(">")[0] if following else ""
        seconds = time.perf_counter() - began
    return Row(
        form=form,
        rows=rows,
        page_rows=limit,
        seconds=round(seconds, 2),
        rows_a_second=round(rows / seconds),
        megabytes=round(sent / 1e6, 1),
        pages_a_second=round(pages / seconds),
        bare_pages_a_second=_bare(sent // pages, min(pages, 1_000)),
    )


def _bare(size: int, pages: int) -> int:
    with _server(["-c", BARE, str(size), "8691"], 8691, "/page") as link:
        began = time.perf_counter()
        for _ in range(pages):
            link.request("GET", "/page")
            link.getresponse().read()
        return round(pages / (time.perf_counter() - began))


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        for row in run(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000, Path(scratch)):
            sys.stdout.write(json.dumps({name: getattr(row, name) for name in Row.__slots__}) + "\n")
