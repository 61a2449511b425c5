"""How long an audience of five rules with a sequence takes, over customers and events made for it.

    python -m tests.benchmarks.audiences [customers]

Thirty events a customer, written as the lake writes facts: by month, sorted by customer. The members are counted by the
expression that every command and run uses, and again by SQL written by hand; both must name the same customers.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import ibis

from engine.config.audiences import Audience
from engine.config.load import validate
from engine.domain.curated import CURATED
from engine.domain.errors import CheckFailed
from engine.domain.marts import MARTS
from engine.lake.engine import DuckDBEngine
from engine.lake.schema import unbound
from engine.segments.audiences import audience as rules

AS_OF: Final = datetime(2026, 6, 30, 23, 59, 59, tzinfo=UTC)
EVENTS_A_CUSTOMER: Final = 30
Row = dict[str, Any]

FIVE_RULES: Final = validate(
    Audience,
    {
        "audience": "five_rules",
        "name": "Looked at a loan, used the calculator soon after, did not apply",
        "owner": "bench",
        "rule": {
            "all": [
                {
                    "sequence": [{"event": "event_1"}, {"event": "event_2"}, {"event": ["event_3", "event_4"]}],
                    "within_days": 30,
                    "without": {"event": "event_5"},
                    "not_followed_by": {"event": "event_6"},
                },
                {"event": "event_7", "times_at_least": 2, "in_last_days": 180},
                {"feature": "age_years", "at_least": 25, "at_most": 60},
                {"not": {"risk_tier": "high"}},
                {"any": [{"segment": "value_tier", "one_of": ["top", "high"]}, {"event": "event_8", "channel": "web"}]},
            ]
        },
    },
    "the benchmark",
)
_CUSTOMERS: Final = """SELECT printf('C%08d', i) AS customer_id, TIMESTAMP '2020-01-01' AS joined_at
    FROM range({n}) t(i)"""
_FEATURES: Final = """SELECT printf('C%08d', i) AS customer_id, (18 + hash(i) % 70)::BIGINT AS age_years
    FROM range({n}) t(i)"""
_SEGMENTS: Final = """SELECT printf('C%08d', i) AS customer_id,
    (['top', 'high', 'middle', 'low', 'none'])[(hash(i + 1) % 5 + 1)::INT] AS value_tier FROM range({n}) t(i)"""
_RISK: Final = """SELECT printf('C%08d', i) AS customer_id,
    (['low', 'medium', 'high'])[(hash(i + 2) % 3 + 1)::INT] AS risk_tier FROM range({n}) t(i)"""
_EVENTS: Final = """SELECT printf('E%010d', i) AS event_id, printf('C%08d', hash(i * 7 + 1) % {n}) AS customer_id,
    TIMESTAMP '2025-07-01' + to_seconds((hash(i * 7 + 2) % 31535999)::BIGINT) AS occurred_at,
    'event_' || (hash(i * 7 + 3) % 12)::VARCHAR AS event_name,
    (['web', 'app', 'branch'])[(hash(i * 7 + 4) % 3 + 1)::INT] AS channel
    FROM range({n} * {each}) t(i)"""
_BY_HAND: Final = """
WITH seen AS (
    SELECT customer_id, occurred_at AS moment,
        bool_or(event_name = 'event_1') AS one, bool_or(event_name = 'event_2') AS two,
        bool_or(event_name IN ('event_3', 'event_4')) AS three, bool_or(event_name = 'event_5') AS bad
    FROM events WHERE event_name IN ('event_1', 'event_2', 'event_3', 'event_4', 'event_5')
        AND occurred_at <= TIMESTAMP '2026-06-30 23:59:59' GROUP BY ALL),
a AS (SELECT *, CASE WHEN one THEN moment END AS s1 FROM seen),
b AS (SELECT *, CASE WHEN two THEN max(s1) OVER w END AS s2 FROM a
    WINDOW w AS (PARTITION BY customer_id ORDER BY moment ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)),
c AS (SELECT *, CASE WHEN three THEN max(s2) OVER w END AS s3, max(CASE WHEN bad THEN moment END) OVER w AS broke FROM b
    WINDOW w AS (PARTITION BY customer_id ORDER BY moment ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)),
ended AS (SELECT customer_id, max(moment) AS moment FROM c WHERE s3 IS NOT NULL AND moment <= s3 + INTERVAL 30 DAY
    AND (broke IS NULL OR broke <= s3) GROUP BY 1),
counted AS (SELECT customer_id, max(CASE WHEN event_name = 'event_6' THEN occurred_at END) AS spoilt,
    count(*) FILTER (event_name = 'event_7' AND occurred_at >= TIMESTAMP '2026-01-01 23:59:59') AS sevens,
    count(*) FILTER (event_name = 'event_8' AND channel = 'web') AS eights
    FROM events WHERE event_name IN ('event_6', 'event_7', 'event_8')
        AND occurred_at <= TIMESTAMP '2026-06-30 23:59:59' GROUP BY 1)
SELECT count(*) AS members, hash(string_agg(customer_id, '' ORDER BY customer_id)) AS who FROM ended
JOIN counted USING (customer_id) JOIN features USING (customer_id) JOIN risk USING (customer_id)
JOIN segments USING (customer_id)
WHERE (spoilt IS NULL OR spoilt <= moment) AND sevens >= 2 AND age_years BETWEEN 25 AND 60 AND risk_tier <> 'high'
    AND (value_tier IN ('top', 'high') OR eights >= 1)"""


def run(customers: int = 100_000, *, memory_limit: str = "4GB", threads: int = 2) -> list[Row]:
    """Return one row per way to count the members: seconds of wall and CPU, the peak of memory, and how many they are.

    Raises
    ------
    CheckFailed
        The two ways do not name the same customers.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        with DuckDBEngine(memory_limit=memory_limit, threads=threads, spill=folder / "spill") as engine:
            tables = _made(engine, folder, customers)
            members = rules.members(rules.tree(FIVE_RULES, {}), tables, AS_OF)
            counted = members.agg(members=members.count(), ids=members.customer_id.min())
            ways: dict[str, Callable[[], int]] = {
                "wayline": lambda: int(engine.arrow(counted)["members"][0].as_py()),
                "hand-written SQL": lambda: int(engine.query(_BY_HAND)["members"][0].as_py()),
            }
            rows = [{"way": way, "customers": customers, **_timed(work)} for way, work in ways.items()]
    if len({row["members"] for row in rows}) > 1:
        raise CheckFailed(f"The two ways count different members: {[row['members'] for row in rows]}.")
    return rows


def _made(engine: DuckDBEngine, folder: Path, customers: int) -> dict[str, Any]:
    """Write the tables and return them as expressions, with the columns that their contracts have besides."""
    made = {"customers": _CUSTOMERS, "features": _FEATURES, "segments": _SEGMENTS, "risk": _RISK, "events": _EVENTS}
    contracts = {**CURATED, **MARTS}
    found = {}
    for name, sql in made.items():
        text = sql.format(n=customers, each=EVENTS_A_CUSTOMER)
        target = folder / name
        if name == "events":
            month = f"SELECT *, strftime(occurred_at, '%Y-%m') AS month FROM ({text})"
            text = f"{month} ORDER BY month, customer_id, occurred_at"
            engine.connection.execute(f"COPY ({text}) TO '{target}' (FORMAT parquet, PARTITION_BY month)")
        else:
            target.mkdir()
            engine.connection.execute(f"COPY ({text} ORDER BY 1) TO '{target}/part.parquet' (FORMAT parquet)")
        engine.attach(name, target)
        columns = set(engine.query(f"SELECT * FROM {name} LIMIT 0").column_names)
        schema = unbound(contracts[name]).schema() if name in contracts else ibis.schema({"customer_id": "string"})
        kinds = {column: kind for column, kind in schema.items() if column in columns}
        found[name] = ibis.table({**kinds, **({"age_years": "int64"} if name == "features" else {})}, name=name)
    return found


def _timed(work: Callable[[], int]) -> dict[str, Any]:
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    members = work()
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {
        "seconds": round(wall, 2),
        "cpu_seconds": round(cpu, 2),
        "peak_memory_mb": after.ru_maxrss // 1024,
        "members": members,
    }


if __name__ == "__main__":
    for row in run(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000):
        print(row)
