"""Kill the server while it decides, again and again, and look at what is left.

    python -m tests.benchmarks.live_kills [kills] [postgresql://user@host/database]

Sixteen connections ask for few customers without a pause, so that caps fill, each request with a key of its own. At a
random moment the server is killed with no chance to tidy up, and started again on the same database. What was told must
be in the ledger to the byte, what was asked again after a kill must be told as it was decided, if it was, and neither
caps nor the agreement of ledger and contacts may break.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from engine.lake.runs import open_run
from engine.lake.workspace import Workspace
from engine.recommendations.bundle import Bundle
from engine.store import LiveDecision, LiveLedger
from engine.workflows import api_keys, demo, session
from engine.workflows import run as workflow
from engine.workflows.stages.recommendations import BUNDLE
from tests.benchmarks import http_load

CONNECTIONS, ASKED = 16, 12
SETTINGS: Final = """\
[live]
clock = "run"
stale_after_hours = 8000
[recommendations.contact]
quiet_after_contact_days = 0
[recommendations.contact.caps.customer_month]
max_contacts = 12
[recommendations.contact.fatigue]
max_unanswered = 40
"""


@dataclass(slots=True)
class Told:
    """What clients were told: the body by key, the keys that were sent and never answered, and every decision's id."""

    bodies: dict[str, bytes] = field(default_factory=dict)
    open: dict[str, str] = field(default_factory=dict)
    repeated: int = 0


def prepared(home: Path, customers: int = 300) -> Path:
    """Return a workspace with a run whose policy has no quiet days, so that nothing but caps ends the contacts."""
    demo.prepare(home, customers=customers, seed=1)
    (home / "wayline.toml").write_text(SETTINGS, encoding="utf-8")
    workflow.run(home, seed=1)
    return home


def run(home: Path, kills: int = 30, seed: int = 1) -> dict[str, Any]:
    """Kill so often and return what was found; raises AssertionError where anything that was told is lost or wrong."""
    draw, told = random.Random(seed), Told()
    asks = _asks(home)
    for _ in range(kills):
        port = http_load.free_port()
        command, address = http_load.api(home, port)
        with http_load.process(command, address, home) as server:
            # others each time, whose caps are not used up yet
            some = replace(asks, customers=tuple(draw.sample(asks.customers, min(ASKED, len(asks.customers)))))
            asyncio.run(_until_killed(port, some, told, server, draw.uniform(0.1, 1.6)))
    port = http_load.free_port()
    command, address = http_load.api(home, port)
    with http_load.process(command, address, home):
        asyncio.run(_ask_again(port, asks, told))
    return _checked(home, told, kills)


@dataclass(frozen=True, slots=True)
class _Asks:
    header: str
    customers: tuple[str, ...]

    def request(self, key: str, customer: str) -> bytes:
        headers = {"Authorization": self.header, "Content-Type": "application/json", "Idempotency-Key": key}
        return http_load.request("POST", f"/v1/customers/{customer}/next-best-action", headers, b"{}")


def _asks(home: Path) -> _Asks:
    given = {"scopes": ["decisions:write"], "destination": "generic", "days": 1, "requests_per_minute": 10**7}
    key = api_keys.create(home, f"kills-{os.getpid()}", "bench", **given)["key"]
    rows = open_run(Workspace(home)).read("recommendations", columns=["customer_id"], where={"rank": 1})
    return _Asks(f"Bearer {key}", tuple(rows["customer_id"].to_pylist()))


async def _until_killed(port: int, asks: _Asks, told: Told, server: Any, after: float) -> None:
    """Ask until the server is gone; what was asked in vain before is asked again first."""
    numbers: Iterator[tuple[str, str]] = iter(list(told.open.items()))
    sockets = http_load.Sockets(port)

    async def one() -> None:
        while True:
            key, customer = next(numbers, (os.urandom(8).hex(), random.choice(asks.customers)))
            told.open[key] = customer
            reply = await sockets.ask(asks.request(key, customer), 0.0)
            assert reply.status == 200, reply.body
            _note(told, key, reply.body)

    async def kill() -> None:
        await asyncio.sleep(after)
        server.kill()

    async def client() -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            await one()

    await asyncio.gather(kill(), *(client() for _ in range(CONNECTIONS)))
    sockets.close()


def _note(told: Told, key: str, body: bytes) -> None:
    before = told.bodies.setdefault(key, body)
    assert before == body, "the same request was told two different things"
    told.open.pop(key, None)


async def _ask_again(port: int, asks: _Asks, told: Told) -> None:
    sockets = http_load.Sockets(port)
    for key, customer in list(told.open.items()):
        reply = await sockets.ask(asks.request(key, customer), 0.0)
        assert reply.status == 200, reply.body
        _note(told, key, reply.body)
    # and some that were told before a kill, which a later server must tell alike
    for key in list(told.bodies)[:: max(len(told.bodies) // 200, 1)]:
        customer = json.loads(told.bodies[key])["customer_id"]
        reply = await sockets.ask(asks.request(key, customer), 0.0)
        _note(told, key, reply.body)
        told.repeated += 1
    sockets.close()


def _checked(home: Path, told: Told, kills: int) -> dict[str, Any]:
    answers = {key: json.loads(body) for key, body in told.bodies.items()}
    with LiveLedger(session.database_url(Workspace(home))) as ledger:
        for key, answer in answers.items():
            kept = ledger.decision(answer["decision_id"])
            assert kept is not None, "a decision that was told is lost"
            assert kept.answer.encode() == told.bodies[key], "the ledger says something else than was told"
        assert ledger.unmatched() == 0, "ledger and contacts do not agree"
        customers = {answer["customer_id"] for answer in answers.values()}
        made = {one: ledger.decisions(one, 100_000) for one in customers}
    counted = {one: [decision for decision in found if decision.counted] for one, found in made.items()}
    full = _check_caps(home, counted)
    return {
        "kills": kills,
        "told": len(answers),
        "decided": sum(map(len, made.values())),
        "contacts": sum(map(len, counted.values())),
        "told again alike": told.repeated,
        "customers at a cap": full,
        "codes": dict(Counter(answer["code"] for answer in answers.values())),
    }


def _check_caps(home: Path, counted: dict[str, list[LiveDecision]]) -> int:
    """Check every cap at every contact, the run's own counts included; return how many customers have none left."""
    run_of = open_run(Workspace(home))
    caps = Bundle.from_json(run_of.text(BUNDLE)).settings.contact.caps
    inputs = run_of.read("decision_inputs", columns=["customer_id", "contacts_counted"]).to_pylist()
    before = {
        row["customer_id"]: dict(zip(caps, map(float, row["contacts_counted"].split(",")), strict=True))
        for row in inputs
    }
    full = set[str]()
    for customer, decisions in counted.items():
        contacts = [(one.decided_at, json.loads(one.answer)["action"]["channel"]) for one in decisions]
        for name, cap in caps.items():
            if cap.per == "household":
                continue
            mine = [at for at, channel in contacts if cap.channel in (None, channel)]
            most = before[customer][name] + _most_within(mine, timedelta(days=cap.days))
            assert not mine or most <= cap.max_contacts, f"{name} was exceeded: {most}"
            if mine and most == cap.max_contacts:
                full.add(customer)
    return len(full) + _check_homes(home, counted, before, caps)


def _check_homes(home: Path, counted: dict[str, list[LiveDecision]], before: Any, caps: Any) -> int:
    import pyarrow.dataset as ds

    table = ds.dataset(home / "curated" / "customers").to_table(columns=["customer_id", "household_id"]).to_pylist()
    members = defaultdict[str, list[str]](list)
    for row in table:
        if row["household_id"]:
            members[row["household_id"]].append(row["customer_id"])
    full = 0
    for name in [name for name, cap in caps.items() if cap.per == "household"]:
        for who in members.values():
            mine = [one.decided_at for member in who for one in counted.get(member, ())]
            most = max((before[member][name] for member in who if member in before), default=0.0) + len(mine)
            assert not mine or most <= caps[name].max_contacts, f"{name} was exceeded: {most}"
            full += bool(mine) and most == caps[name].max_contacts
    return full


def _most_within(moments: Sequence[datetime], window: timedelta) -> int:
    ordered = sorted(moments)
    return max((sum(at - window < one <= at for one in ordered) for at in ordered), default=0)


def main(arguments: Sequence[str]) -> None:
    """Print what was found."""
    if len(arguments) > 1:
        os.environ["WAYLINE_DATABASE_URL"] = arguments[1]
    with tempfile.TemporaryDirectory(prefix="wayline-kills-") as scratch:
        found = run(prepared(Path(scratch) / "workspace"), int(arguments[0]) if arguments else 30)
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
