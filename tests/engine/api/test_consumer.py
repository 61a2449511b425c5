"""A campaign tool that knows the address, a key and the description, and nothing of us: it follows ten runs."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import httpx
import ibis
import jsonschema
import pyarrow as pa
import pytest

from engine.lake import memberships
from engine.lake.engine import DuckDBEngine
from engine.lake.runs import Run, RunBuilder, open_run
from engine.store import Store
from engine.workflows import export_audience, publishing, session, suppressed
from engine.workflows.export_plan import Wanted
from tests.engine.api.conftest import key_of, served
from tests.engine.api.test_pulls import EVERYONE, save

RUNS: Final = 10
NOT_COMPARED: Final = ("run_id", "recommendation_id", "score", "valid_from", "valid_to")
"""What a delta does not send again when nothing else differs."""


class CampaignTool:
    """Holds the members of an audience by what the API says alone; checks every answer against the description."""

    def __init__(self, address: str, key: dict[str, str], page_rows: int) -> None:
        self.client = httpx.Client(base_url=address, headers=key, timeout=60)
        self.description = self.client.get("/v1/openapi.json").json()
        self.page_rows = page_rows
        self.held: dict[str, dict[str, Any]] = {}
        self.suppressed: set[str] = set()
        self.snapshot: str | None = None
        self.offset = self.since = self.resyncs = self.removed = 0

    def ask(self, template: str, address: str | None = None, method: str = "get", **more: Any) -> httpx.Response:
        told = self.description["paths"][template][method]
        path = address or template
        answer = self.client.request(method, path, **more)
        assert str(answer.status_code) in told["responses"], (path, answer.status_code)
        said = told["responses"][str(answer.status_code)]["content"][answer.headers["content-type"].split(";")[0]]
        schema = {**said["schema"], "components": self.description["components"]}
        jsonschema.Draft202012Validator(schema).validate(answer.json())
        return answer

    def pages(self, template: str, **query: Any) -> Iterator[dict[str, Any]]:
        path = template.replace("{audience}", "everyone")
        answer = self.ask(template, path, params={"limit": self.page_rows, **query})
        while answer.status_code == 200:
            yield answer.json()
            if answer.json()["next"] is None:
                return
            answer = self.ask(template, answer.json()["next"])
        assert answer.json()["code"] == "resync_required"

    def follow(self) -> None:
        """Read the journal to its end, and load what it tells of: suppressions, then removes, then adds."""
        page = self.ask("/v1/journal", params={"after": self.offset, "limit": 7}).json()
        events = list(page["events"])
        while page["next_after"] < page["newest"]:
            page = self.ask("/v1/journal", params={"after": page["next_after"], "limit": 7}).json()
            events += page["events"]
        assert [one["offset"] for one in events] == sorted(one["offset"] for one in events)
        self.offset = page["newest"]
        kinds = {one["event"] for one in events}
        if "suppression_added" in kinds:
            self.suppress()
        if "audience_published" in kinds:
            self.load()

    def suppress(self) -> None:
        feed = self.ask("/v1/suppressions/changes", params={"since": self.since, "limit": 3}).json()
        while True:
            for one in feed["suppressions"]:
                if one["channel"] in (None, "email"):
                    self.held.pop(one["external_id"], None)
            self.since = feed["next_since"]
            if self.since == feed["newest"]:
                return
            feed = self.ask("/v1/suppressions/changes", params={"since": self.since, "limit": 3}).json()

    def load(self) -> None:
        pages = list(self.pages("/v1/audiences/{audience}/changes", since=self.snapshot)) if self.snapshot else []
        if not pages:
            self.resyncs += 1
            pages = list(self.pages("/v1/audiences/{audience}/members"))
            self.held = {row["external_id"]: row for page in pages for row in page["members"]}
        for row in (row for page in pages for row in page.get("changes", ())):
            op = row.pop("op")
            if op == "remove":
                self.held.pop(row["external_id"], None)
                self.removed += 1
            else:
                assert (op == "add") == (row["external_id"] not in self.held) or op == "update", "an add is new"
                self.held[row["external_id"]] = row
        self.snapshot = pages[0]["snapshot"]
        received = sum(len(page.get("members", page.get("changes"))) for page in pages)
        said = {
            "audience": "everyone",
            "channel": "email",
            "content_sha256": pages[0]["content_sha256"],
            "received_rows": received,
            "loaded": received,
        }
        assert self.ask("/v1/runs/{run}/ack", f"/v1/runs/{self.snapshot}/ack", "post", json=said).status_code == 200


def next_run(home: Path, number: int, draw: random.Random) -> Run:
    """Publish a run a day later: the decisions of the one before, some offers gone, other members of the audience."""
    workspace = session.workspace_at(home)
    before = open_run(workspace)
    facts = {name: before.manifest[name] for name in ("seed", "inputs", "versions")}
    as_of = before.as_of + timedelta(days=1)
    builder = RunBuilder(workspace, f"{as_of:%Y%m%dT%H%M%SZ}-{number:010x}", as_of, facts)
    for mart in ("decision_inputs", "control_group", "withheld_contacts", "risk_gate", "features", "recommendations"):
        rows = before.read(mart)
        if mart == "recommendations":
            rows = rows.filter(pa.array([draw.random() < 0.97 for _ in range(rows.num_rows)]))
        builder.write_rows(mart, rows)
    for name in before.manifest["texts"]:
        builder.write_text(name, before.text(name))
    made = builder.publish()
    everybody = before.read("decision_inputs", ["customer_id"])
    belongs = everybody.filter(pa.array([draw.random() < 0.9 for _ in range(everybody.num_rows)]))
    with DuckDBEngine(spill=workspace.spill) as engine, Store(session.database_url(workspace)) as store:
        engine.attach("belongs", belongs)
        told = {
            "as_of": as_of.isoformat(),
            "definition_sha256": store.audiences()[0].definition_hash,
            "purpose": "marketing",
            "channels": EVERYONE["channels"],
        }
        expression = ibis.table({"customer_id": "string"}, name="belongs")
        snapshot = memberships.write(
            workspace, engine, expression, audience="everyone", version=1, run_id=made.run_id, facts=told
        )
        publishing.announce(store, made)
        publishing.announce_built(store, snapshot)
    return made


def stripped(rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {
        name: {field: value for field, value in row.items() if field not in NOT_COMPARED} for name, row in rows.items()
    }


@pytest.fixture
def home(small_home: Path, tmp_path: Path) -> Path:
    shutil.copytree(small_home, tmp_path / "home")
    return tmp_path / "home"


@pytest.mark.usefixtures("own_database")
def test_a_campaign_tool_follows_ten_runs_and_ends_with_exactly_the_members_of_the_last_full_export(home: Path) -> None:
    draw = random.Random(7)
    save(home)
    with served(home) as address:
        tool = CampaignTool(address, key_of(home), page_rows=11)
        slow = CampaignTool(address, key_of(home, "slow"), page_rows=1_000)
        tool.follow()
        slow.follow()
        for number in range(RUNS):
            next_run(home, number, draw)
            if number == 5:  # what the slow one holds is kept no longer
                shutil.rmtree(home / "pulls" / "everyone" / "email" / str(slow.snapshot))
            tool.follow()
            if number % 3 == 2:
                slow.follow()
            if number < RUNS - 1 and tool.held:
                one, other = draw.sample(sorted(tool.held), 2)
                suppressed.suppress(home, one, "email", "ann", "asked")
                suppressed.suppress(home, other, None, "ann", "asked")
                if number % 2:  # a person lifts one of them before the next run, so that the run has it back
                    suppressed.lift(home, one, "email", "ann", "asked again")
        slow.follow()
        whole = {
            row["external_id"]: row
            for page in tool.pages("/v1/audiences/{audience}/members")
            for row in page["members"]
        }
    assert tool.resyncs == 1 and slow.resyncs == 2 and tool.removed > RUNS
    assert stripped(tool.held) == stripped(slow.held) == stripped(whole)
    made = export_audience.audience(home, Wanted(audience="everyone", preset="generic", by="carol"))
    lines = [line for path in sorted((Path(made["folder"]) / "add").glob("*.jsonl")) for line in path.open()]
    bundle = {row["external_id"]: row for row in map(json.loads, lines)}
    assert tool.held.keys() == bundle.keys() and len(bundle) > 50
    for row in bundle.values():
        row.pop("op")
    # numbers of six decimals may be written otherwise, and are not compared
    assert stripped(bundle) == stripped(whole)
