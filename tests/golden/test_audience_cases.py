"""Rules worked out by hand on eight customers: who belongs, and the same on DuckDB and on Spark.

As of 30 June 2026, 23:59:59. The customers, what is known of them and what they did:

| customer | age | balance | value tier | risk | events (June, at noon unless told) |
|---|---|---|---|---|---|
| ana | 25 | 100 | top | low | calculator 20, 28; apply 29 |
| ben | 35 | 200 | high | low | calculator 20, 28 |
| cem | 45 | unknown | low | medium | calculator 1, 28 (27 days apart) |
| dan | 55 | 400 | none | high | view 10, calculator 12, apply 15 on the app, call 16 |
| eva | 65 | -50 | top | unknown | view 10, call 11, calculator 12, apply 20 in a branch |
| fay | unknown | 0 | no row | no row | view and calculator in one instant on 5; apply 500 on 6 |
| gus | 30 | 300 | middle | low | nothing |
| hal | joined on 1 July: not a customer yet |
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.config.audiences import Audience
from engine.config.load import validate
from engine.domain.curated import CURATED
from engine.domain.marts import MARTS
from engine.lake.engine import DuckDBEngine, Engine
from engine.lake.schema import arrow_schema, unbound
from engine.segments.audiences import audience

AS_OF = datetime(2026, 6, 30, 23, 59, 59, tzinfo=UTC)
EVERYBODY = {"ana", "ben", "cem", "dan", "eva", "fay", "gus"}
FEATURES = pa.schema(
    [("customer_id", pa.string()), ("age_years", pa.float64()), ("balance_minor", pa.int64()), ("is_open", pa.bool_()),
     ("employment", pa.string())]
)  # fmt: skip


def june(day: int, hour: int = 12) -> datetime:
    return datetime(2026, 6, day, hour)


def happened(customer: str | None, name: str, at: datetime, **more: Any) -> dict[str, Any]:
    more = {"channel": "web", **more}
    return {
        "event_id": f"{customer} {name} {at}",
        "customer_id": customer,
        "event_name": name,
        "occurred_at": at,
        **more,
    }


ROWS: dict[str, list[dict[str, Any]]] = {
    "customers": [
        *({"customer_id": who, "joined_at": datetime(2020, 1, 1)} for who in sorted(EVERYBODY)),
        {"customer_id": "hal", "joined_at": datetime(2026, 7, 1)},
    ],
    "events": [
        *(happened("ana", "calculator", june(day)) for day in (20, 28)),
        happened("ana", "apply", june(29)),
        *(happened("ben", "calculator", june(day)) for day in (20, 28)),
        *(happened("cem", "calculator", june(day)) for day in (1, 28)),
        happened("dan", "view", june(10)),
        happened("dan", "calculator", june(12)),
        happened("dan", "apply", june(15), channel="app"),
        happened("dan", "call", june(16), channel="phone"),
        happened("eva", "view", june(10)),
        happened("eva", "call", june(11), channel="phone"),
        happened("eva", "calculator", june(12)),
        happened("eva", "apply", june(20), channel="branch"),
        happened("fay", "view", june(5)),
        happened("fay", "calculator", june(5)),
        happened("fay", "apply", june(6), value=500.0),
        # of nobody known, and of the day after: neither counts
        happened(None, "apply", june(7)),
        happened("gus", "apply", datetime(2026, 7, 1)),
    ],
    "exposures": [
        {"experiment_id": "welcome", "customer_id": "ana", "variant": "offer", "exposed_at": june(1)},
        {"experiment_id": "welcome", "customer_id": "ben", "variant": "control", "exposed_at": june(1)},
        {"experiment_id": "welcome", "customer_id": "gus", "variant": "offer", "exposed_at": datetime(2026, 7, 2)},
    ],
    "features": [
        {"customer_id": "ana", "age_years": 25.0, "balance_minor": 100, "is_open": True, "employment": "employed"},
        {"customer_id": "ben", "age_years": 35.0, "balance_minor": 200, "is_open": True, "employment": "employed"},
        {"customer_id": "cem", "age_years": 45.0, "balance_minor": None, "is_open": True, "employment": "retired"},
        {"customer_id": "dan", "age_years": 55.0, "balance_minor": 400, "is_open": False, "employment": None},
        {"customer_id": "eva", "age_years": 65.0, "balance_minor": -50, "is_open": True, "employment": "retired"},
        {"customer_id": "fay", "age_years": None, "balance_minor": 0, "is_open": True, "employment": "student"},
        {"customer_id": "gus", "age_years": 30.0, "balance_minor": 300, "is_open": True, "employment": "employed"},
    ],
    "segments": [
        {"customer_id": who, "value_tier": tier, "recency_score": score}
        for who, tier, score in (
            ("ana", "top", 5), ("ben", "high", 4), ("cem", "low", 1), ("dan", "none", None), ("eva", "top", 2),
            ("gus", "middle", 3),
        )
    ],
    "segmentations": [
        {"segmentation": "life", "customer_id": who, "segment_group": group}
        for who, group in (("ana", "young"), ("ben", "family"), ("cem", "family"), ("dan", "settled"))
    ] + [{"segmentation": "channel", "customer_id": "eva", "segment_group": "young"}],
    "risk": [
        {"customer_id": who, "risk_tier": tier, "exposure_minor": 0}
        for who, tier in (
            ("ana", "low"), ("ben", "low"), ("cem", "medium"), ("dan", "high"), ("eva", "unknown"), ("gus", "low"),
        )
    ],
    "journey_stages": [
        {"journey": "mortgage", "customer_id": "ana", "stage": "decision", "status": "open"},
        {"journey": "mortgage", "customer_id": "dan", "stage": "retention", "status": "completed"},
        {"journey": "mortgage", "customer_id": "eva", "stage": "decision", "status": "dropped"},
        {"journey": "card", "customer_id": "ben", "stage": "decision", "status": "open"},
    ],
    "recommendations": [
        {"customer_id": "ana", "product_id": "mortgage", "rank": 1},
        {"customer_id": "ben", "product_id": "mortgage", "rank": 3},
        {"customer_id": "ben", "product_id": "card", "rank": 1},
    ],
    "decisions": [
        {"customer_id": "ana", "product_id": "mortgage", "refused_mask": 0},
        {"customer_id": "cem", "product_id": "mortgage", "refused_mask": 6},
        {"customer_id": "gus", "product_id": "mortgage", "refused_mask": 0},
    ],
}  # fmt: skip


def age(**compared: Any) -> dict[str, Any]:
    return {"feature": "age_years", **compared}


def event(name: str | list[str], **more: Any) -> dict[str, Any]:
    return {"event": name, **more}


def row(*names: str, **more: Any) -> dict[str, Any]:
    return {"sequence": [{"event": name} for name in names], **more}


CASES: dict[str, tuple[dict[str, Any], str]] = {
    # a value, and none
    "at least is met by the limit itself": (age(at_least=45), "cem dan eva"),
    "above is not": (age(above=45), "dan eva"),
    "at most": (age(at_most=30), "ana gus"),
    "below": (age(below=30), "ana"),
    "between": (age(at_least=30, below=45), "ben gus"),
    "unknown is not below anything": ({"feature": "balance_minor", "below": 1}, "eva fay"),
    "not turns the unknown in": ({"not": age(at_least=30)}, "ana fay"),
    "known": (age(known=True), "ana ben cem dan eva gus"),
    "unknown": ({"feature": "balance_minor", "known": False}, "cem"),
    "unknown where there is no row": ({"segment": "recency_score", "known": False}, "dan fay"),
    "not and known": ({"all": [{"not": age(at_least=30)}, age(known=True)]}, "ana"),
    "is": ({"feature": "employment", "is": "retired"}, "cem eva"),
    "is not needs a value": ({"feature": "employment", "is_not": "retired"}, "ana ben fay gus"),
    "one of": ({"feature": "employment", "one_of": ["student", "retired"]}, "cem eva fay"),
    "none of needs a value": ({"feature": "employment", "none_of": ["employed", "retired"]}, "fay"),
    "true": ({"feature": "is_open", "is": False}, "dan"),
    # other tables of the run
    "value tier": ({"segment": "value_tier", "one_of": ["top", "high"]}, "ana ben eva"),
    "score": ({"segment": "recency_score", "at_least": 3}, "ana ben gus"),
    "group of a segmentation, and not of another": ({"segmentation": "life", "group": "young"}, "ana"),
    "one of two groups": ({"segmentation": "life", "group": ["family", "settled"]}, "ben cem dan"),
    "risk tier": ({"risk_tier": "low"}, "ana ben gus"),
    "unknown risk is a tier, no row is not": ({"risk_tier": ["high", "unknown"]}, "dan eva"),
    "on a journey": ({"journey": "mortgage"}, "ana dan eva"),
    "in a stage": ({"journey": "mortgage", "stage": "decision"}, "ana eva"),
    "in a stage and open": ({"journey": "mortgage", "stage": "decision", "status": "open"}, "ana"),
    "exposed, and not only later": ({"experiment": "welcome"}, "ana ben"),
    "in an arm": ({"experiment": "welcome", "arm": "control"}, "ben"),
    "offered": ({"recommendation": "mortgage"}, "ana ben"),
    "offered first": ({"recommendation": "mortgage", "rank_at_most": 1}, "ana"),
    "refused": ({"recommendation": "mortgage", "refused": True}, "cem"),
    # events
    "ever": (event("calculator"), "ana ben cem dan eva fay"),
    "any of two": (event(["apply", "call"]), "ana dan eva fay"),
    "twice": (event("calculator", times_at_least=2), "ana ben cem"),
    "once and no more": (event("calculator", times_at_most=1), "dan eva fay"),
    "never": (event("apply", times_at_least=0, times_at_most=0), "ben cem gus"),
    "in the last days": (event("calculator", in_last_days=3), "ana ben cem"),
    "a day ends at midnight, not at noon": (event("apply", since="2026-06-15", until="2026-06-15"), "dan"),
    "on a channel": (event("apply", channel=["app", "branch"]), "dan eva"),
    "carrying a value": (event("apply", value_at_least=500), "fay"),
    "twice within 14 days": (event("calculator", times_at_least=2, within_days=14), "ana ben"),
    "exactly 8 days apart": (event("calculator", times_at_least=2, within_days=8), "ana ben"),
    "just under 8 days": (event("calculator", times_at_least=2, within_days=7.99), ""),
    "twice within 14 days and not applied": (
        {"all": [event("calculator", times_at_least=2, within_days=14), {"not": event("apply")}]}, "ben",
    ),
    # one after the other
    "one after the other; of one instant is no order": (row("view", "calculator"), "dan eva"),
    "three in a row": (row("view", "calculator", "apply"), "dan eva"),
    "within 5 days from first to last": (row("view", "calculator", "apply", within_days=5), "dan"),
    "nothing of a kind between": (row("view", "apply", without={"event": "call"}), "dan fay"),
    "nothing of a kind after": (row("view", "apply", not_followed_by={"event": "call"}), "eva fay"),
    "the same twice": (row("calculator", "calculator"), "ana ben cem"),
    "the latest start counts": (row("calculator", "apply", within_days=1), "ana fay"),
    "order matters": (row("apply", "calculator"), ""),
    "steps on a channel": (
        {"sequence": [{"event": "calculator"}, {"event": "apply", "channel": "branch"}]}, "eva",
    ),
    # joined
    "all": ({"all": [age(at_least=30), {"risk_tier": "low"}]}, "ben gus"),
    "any": ({"any": [age(below=30), {"risk_tier": "high"}]}, "ana dan"),
    "a column and a sequence": ({"all": [age(at_least=60), row("view", "apply")]}, "eva"),
    "columns within, and never": (
        {"all": [{"all": [age(at_least=30), age(below=50)]}, event("apply", times_at_least=0, times_at_most=0)]},
        "ben cem gus",
    ),
    "all of nothing is everybody": ({"all": []}, " ".join(sorted(EVERYBODY))),
    "any of nothing is nobody": ({"any": []}, ""),
    "members of another audience": ({"all": [{"audience": "young"}, {"risk_tier": "low"}]}, "ana gus"),
    "not of another audience, which names a third": ({"not": {"audience": "young_or_applied"}}, "ben cem"),
}  # fmt: skip

OTHERS = {
    "young": {"rule": age(at_most=30)},
    "young_or_applied": {
        "rule": {"any": [{"audience": "young"}, event("apply"), {"segment": "value_tier", "is": "none"}]}
    },
}


def made(rule: Mapping[str, Any], name: str = "tried") -> Audience:
    return validate(Audience, {"audience": name, "name": name, "owner": "test", "rule": rule}, name)


def stored(folder: Path) -> None:
    for name, rows in ROWS.items():
        schema = FEATURES if name == "features" else arrow_schema({**CURATED, **MARTS}[name])
        pq.write_table(pa.Table.from_pylist(rows, schema), folder / f"{name}.parquet")


def bound() -> dict[str, Any]:
    features = ibis.table(
        {"customer_id": "string", "age_years": "float64", "balance_minor": "int64", "is_open": "boolean",
         "employment": "string"}, name="features",
    )  # fmt: skip
    return {**{name: unbound({**CURATED, **MARTS}[name]) for name in ROWS if name != "features"}, "features": features}


OTHER_AUDIENCES = {name: made(one["rule"], name) for name, one in OTHERS.items()}


def belonging(engine: Engine, rule: Mapping[str, Any]) -> set[str]:
    found = engine.arrow(audience.members(audience.tree(made(rule), OTHER_AUDIENCES), bound(), AS_OF))
    ids = found["customer_id"].to_pylist()
    assert len(ids) == len(set(ids))
    return set(ids)


@pytest.fixture(scope="module")
def duck(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("audiences")
    stored(folder)
    with DuckDBEngine(threads=1) as engine:
        for name in ROWS:
            engine.attach(name, folder / f"{name}.parquet")
        yield engine


ROOT = audience.tree(made({"any": [rule for rule, _ in CASES.values()]}), OTHER_AUDIENCES)


@pytest.fixture(scope="module")
def told(duck: Engine) -> dict[str, dict[str, Any]]:
    rows = duck.arrow(audience.flags(ROOT, bound(), AS_OF)).to_pylist()
    assert len(rows) == len(EVERYBODY)
    return {row["customer_id"]: row for row in rows}


@pytest.mark.parametrize("case", CASES)
def test_members_are_those_worked_out_by_hand(told: dict[str, dict[str, Any]], case: str) -> None:
    part = ROOT.parts[list(CASES).index(case)]
    assert {who for who, row in told.items() if audience.held(part, row)} == set(CASES[case][1].split())


ALONE = ("unknown is not below anything", "twice within 14 days and not applied", "nothing of a kind after",
         "not of another audience, which names a third", "any of nothing is nobody",
         "a column and a sequence", "columns within, and never")  # fmt: skip


@pytest.mark.parametrize("case", ALONE)
def test_a_rule_alone_gives_its_members_and_its_not_everybody_else(duck: Engine, case: str) -> None:
    rule, expected = CASES[case]
    assert belonging(duck, rule) == set(expected.split())
    assert belonging(duck, {"not": rule}) == EVERYBODY - set(expected.split())


@pytest.mark.parametrize("who", ["eva", "gus"])
def test_one_customer_is_told_what_all_are_told_together(
    duck: Engine, told: dict[str, dict[str, Any]], who: str
) -> None:
    assert duck.arrow(audience.flags(ROOT, bound(), AS_OF, only=who)).to_pylist() == [told[who]]
    assert told[who][audience.MATCHED] == audience.held(ROOT, told[who])


@pytest.mark.spark
def test_spark_gives_the_same_members(spark: Engine, tmp_path: Path) -> None:
    stored(tmp_path)
    for name in ROWS:
        spark.attach(name, tmp_path / f"{name}.parquet")
    rows = {row["customer_id"]: row for row in spark.arrow(audience.flags(ROOT, bound(), AS_OF)).to_pylist()}
    assert set(rows) == EVERYBODY
    for part, (_, expected) in zip(ROOT.parts, CASES.values(), strict=True):
        assert {who for who, row in rows.items() if audience.held(part, row)} == set(expected.split())
