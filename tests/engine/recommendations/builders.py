"""Small banks for the tests of the recommendations: seeded, with openings that follow from holdings and savings."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from typing import Any

import duckdb
import ibis
import numpy as np
import pyarrow as pa

from engine.config.load import load
from engine.config.recommendations import RecommendationSettings
from engine.config.risk import RiskSettings
from engine.domain.curated import CURATED, PRODUCTS
from engine.domain.words import CONTACT_CHANNELS, PRODUCT_FAMILIES
from engine.lake.schema import arrow_schema
from engine.recommendations.bundle import Bundle
from engine.recommendations.channels import learn
from engine.recommendations.credit import UNDECIDED, Credit
from engine.recommendations.explore import Evidence
from engine.recommendations.frame import DecisionBlock, View
from engine.recommendations.inputs import Inputs
from engine.recommendations.products import Catalogue, plain_catalogue
from engine.recommendations.recommend import Prepared, recommend
from engine.risk import gate
from engine.risk.gate import Say, Watch
from engine.risk.standing import WARNINGS

AS_OF = datetime(2026, 6, 30, 23, 59, 59, tzinfo=UTC)
HORIZON = timedelta(days=90)


def settings(flags: Mapping[str, Any] | None = None) -> RecommendationSettings:
    return load(RecommendationSettings, "recommendations", flags=flags)


def products(rows: list[dict[str, Any]] | None = None) -> pa.Table:
    """Return products as curated; by default the demo bank's 24."""
    if rows is None:
        text = (files("engine.config") / "defaults" / "products.toml").read_text(encoding="utf-8")
        rows = tomllib.loads(text)["products"]
    empty = {"is_credit": False, "multiple": False, "name_zh": None, **dict.fromkeys(PRODUCTS.names)}
    filled = [empty | {"is_credit": False, "multiple": False} | row for row in rows]
    return pa.Table.from_pylist(filled, schema=arrow_schema(PRODUCTS))


def risk_settings(flags: Mapping[str, Any] | None = None) -> RiskSettings:
    return load(RiskSettings, "risk", flags=flags)


def answers(risk: pa.Table, flags: Mapping[str, Any] | None = None) -> pa.Table:
    """Return what risk's gate answers: a tenth have no valid identity check, a twentieth an open complaint."""
    random, size, chosen = np.random.default_rng(11), risk.num_rows, risk_settings(flags)
    some = random.random((3, size))
    known = {
        "customer_id": risk["customer_id"],
        "kyc_ok": pa.array(some[0] < 0.9, mask=some[1] < 0.02),
        "kyc_expires_at": pa.nulls(size, pa.timestamp("us")),
        "has_complaint": some[2] < 0.05,
        "days_past_due": pa.nulls(size, pa.int64()),
        "has_defaulted": np.zeros(size, dtype=bool),
        **dict.fromkeys(WARNINGS, np.zeros(size, dtype=bool)),
    }
    block = gate.block_of(risk, pa.table(known), Watch.of((), size), Say.nothing(size))
    return gate.gate(block, chosen.gate, AS_OF, chosen.signal_max_age_days).table()


def lent(risk: pa.Table) -> pa.Table:
    """Return what risk decided on credit: a price and a limit for most, no limit for some, nothing for others."""
    random, parts = np.random.default_rng(13), []
    for family, most in (("card", 5_000_000), ("loan", 20_000_000), ("mortgage", 300_000_000)):
        outcome = np.array(["approve", "refer", "decline"])[random.choice(3, risk.num_rows, p=[0.6, 0.25, 0.15])]
        declined, untold = outcome == "decline", random.random(risk.num_rows) < 0.1
        rate = np.round(random.uniform(0.03, 0.2, risk.num_rows), 4)
        parts.append(
            pa.table(
                {
                    "customer_id": risk["customer_id"],
                    "family": pa.repeat(pa.scalar(family), risk.num_rows),
                    "outcome": outcome,
                    "annual_rate": pa.array(rate, mask=declined),
                    "margin_rate": pa.array(rate * 0.4, mask=declined),
                    "limit_minor": pa.array(
                        random.integers(0, most // 100_000, risk.num_rows) * 100_000, mask=declined | untold
                    ),
                }
            )
        )
    return pa.concat_tables(parts)


def treated(risk: pa.Table) -> pa.Table:
    """Return what risk does with each customer: a tenth are cared for or collected from, half of these not yet."""
    random, size = np.random.default_rng(14), risk.num_rows
    kinds = np.array(["care", "collections", "engagement", "none"])[random.choice(4, size, p=[0.04, 0.06, 0.4, 0.5])]
    days = random.integers(-7, 7, size).astype("timedelta64[D]")
    not_before = np.datetime64(AS_OF.replace(tzinfo=None), "us") + days
    return pa.table(
        {
            "customer_id": risk["customer_id"],
            "kind": kinds,
            "not_before": pa.array(not_before, mask=kinds == "none"),
        }
    )


def bank(customers: int, seed: int = 7, further: int = 0) -> tuple[Inputs, Inputs, Inputs, pa.Table]:
    """Return a random bank as of now, one and two windows before, and its risk as of now.

    Every window some customers open a product; whoever has much savings more readily opens a fund, and whoever
    holds a debit card a credit card. So many `further` features, amounts of money, say nothing, and neither do the
    steps that some took towards some products.
    """
    random = np.random.default_rng(seed)
    ids = pa.array([f"C{number:07d}" for number in range(customers)])
    product_ids = sorted(products()["product_id"].to_pylist())
    opened = np.full((customers, len(product_ids)), np.datetime64("NaT", "us"))
    opened[random.random(opened.shape) < 0.1] = np.datetime64(AS_OF.replace(tzinfo=None) - 3 * HORIZON, "us")
    opened[:, product_ids.index("current_account")] = np.datetime64(AS_OF.replace(tzinfo=None) - 4 * HORIZON, "us")
    savings = random.lognormal(11, 2, customers)
    made = []
    for windows in (2, 1, 0):
        found = _inputs(ids, product_ids, opened, savings=savings, as_of=AS_OF - windows * HORIZON, random=random)
        made.append(replace(found, steps=_steps(ids, product_ids, found.as_of, np.random.default_rng([seed, windows]))))
        _open_some(opened, product_ids, savings, AS_OF - windows * HORIZON, random)
    earlier, past, now = (replace(one, features=_wider(one.features, further, random)) for one in made)
    now = replace(now, relationship=_relationship(ids))
    return now, past, earlier, _risk(ids, random)


def _steps(ids: pa.Array, product_ids: list[str], as_of: datetime, random: Any) -> pa.Table:
    rows, places = np.nonzero(random.random((len(ids), len(product_ids))) < 0.05)
    days = random.uniform(0, 200, len(rows))
    back = (days * 86_400e6).astype("timedelta64[us]")
    return pa.table(
        {
            "customer_id": ids.take(pa.array(rows)),
            "product_id": pa.array(product_ids).take(pa.array(places)),
            "last_step_at": np.datetime64(as_of.replace(tzinfo=None), "us") - back,
            "depth": pa.array(random.integers(0, 3, len(rows)), mask=days >= 90),
        }
    )


def _wider(features: pa.Table, further: int, random: Any) -> pa.Table:
    for number in range(further):
        amounts = random.lognormal(8, 2, features.num_rows).astype(np.int64)
        features = features.append_column(f"further_{number:02d}", pa.array(amounts))
    return features


def prepared(
    customers: int,
    flags: Mapping[str, Any] | None = None,
    *,
    seed: int = 1,
    meanings: Mapping[str, tuple[str, str]] | None = None,
    further: int = 0,
) -> Prepared:
    """Return what is recommended to the customers of a random bank, under settings changed by flags."""
    now, past, earlier, risk = bank(customers, further=further)
    return recommend(
        now=now,
        past=past,
        earlier=earlier,
        risk=risk,
        gate=answers(risk),
        credit=lent(risk),
        treatments=treated(risk),
        products=products(),
        settings=settings(flags),
        seed=seed,
        meanings=meanings,
    )


def exploring(bundle: Bundle, exploration: Mapping[str, Any], flags: Mapping[str, Any] | None = None) -> Bundle:
    """Return a bundle that draws its offers: of its products the first nobody opened, the others ever more did."""
    size = bundle.catalogue.size
    positives = np.linspace(0, 400, size)
    evidence = Evidence(seed=5, cases=np.full(size, 2000.0), positives=positives)
    chosen = settings({**(flags or {}), "exploration": exploration})
    return replace(bundle, settings=chosen, evidence=evidence)


def _open_some(opened: Any, product_ids: list[str], savings: Any, since: datetime, random: Any) -> None:
    chance = np.full(opened.shape, 0.002) * np.linspace(0.5, 3, opened.shape[1])
    chance[savings > np.quantile(savings, 0.8), product_ids.index("index_fund")] = 0.15
    card = ~np.isnat(opened[:, product_ids.index("debit_card")])
    chance[card, product_ids.index("credit_card_classic")] = 0.2
    new = np.isnat(opened) & (random.random(opened.shape) < chance)
    opened[new] = np.datetime64(since.replace(tzinfo=None) + timedelta(days=30), "us")


def _inputs(
    ids: pa.Array, product_ids: list[str], opened: Any, *, savings: Any, as_of: datetime, random: Any
) -> Inputs:
    rows, places = np.nonzero(~np.isnat(opened))
    holdings = {
        "customer_id": ids.take(pa.array(rows)),
        "product_id": pa.array(product_ids).take(pa.array(places)),
        "opened_at": pa.array(opened[rows, places]),
    }
    features = {
        "customer_id": ids,
        "savings": savings,
        "visits": random.poisson(4, len(ids)),
        "quiet": np.where(random.random(len(ids)) < 0.3, np.nan, random.normal(size=len(ids))),
        "gender_code": random.integers(0, 2, len(ids)),
    }
    return Inputs(as_of=as_of, features=pa.table(features), holdings=pa.table(holdings), profile=_profile(ids, random))


def _profile(ids: pa.Array, random: Any) -> pa.Table:
    size = len(ids)
    some = random.random((12, size))
    columns = {
        "customer_id": ids,
        "is_open": some[0] < 0.97,
        "household_id": pa.nulls(size, pa.string()),
        "age_years": pa.array(random.integers(10, 90, size), mask=some[1] < 0.03),
        "income_minor": pa.array(random.integers(100_000, 5_000_000, size), mask=some[2] < 0.1),
        "debts_minor": pa.array(random.integers(0, 500_000, size), mask=some[5] < 0.1),
        **_contacts(random, size),
    }
    consents = {f"consent_{channel}": some[7 + place] < 0.4 for place, channel in enumerate(CONTACT_CHANNELS)}
    return pa.table(columns | consents)


def _relationship(ids: pa.Array) -> pa.Table:
    random = np.random.default_rng(12)
    tiers = np.array(["top", "high", "middle", "low", "none"])[random.integers(0, 5, len(ids))]
    pace = pa.array(random.uniform(0, 1.5, len(ids)), mask=random.random(len(ids)) < 0.1)
    return pa.table({"customer_id": ids, "value_tier": tiers, "pace": pace})


def _contacts(random: Any, size: int) -> dict[str, Any]:
    """Return what the ledger says: a fifth were never contacted, a twentieth complained, some of them lately."""
    customer, others = random.integers(0, 6, size), random.integers(0, 5, size)
    days = random.integers(0, 60, (2, size)).astype("timedelta64[D]")
    last = np.datetime64(AS_OF.replace(tzinfo=None), "us") - days
    return {
        "contacts_customer_month": customer,
        "contacts_household_month": customer + others,
        "contacts_sms_week": random.integers(0, 2, size),
        "contacts_phone_quarter": random.integers(0, 2, size),
        "unanswered": random.integers(0, 8, size),
        "last_contact_at": pa.array(last[0], mask=random.random(size) < 0.2),
        "last_complaint_at": pa.array(last[1], mask=random.random(size) < 0.95),
        "complaints_known": np.ones(size, dtype=bool),
        **_responses(random, size),
    }


def _responses(random: Any, size: int) -> dict[str, Any]:
    counts = {f"asked_{channel}": random.integers(0, 5, size) for channel in CONTACT_CHANNELS}
    counts |= {
        f"answered_{channel}": random.integers(0, 1 + counts[f"asked_{channel}"]) for channel in CONTACT_CHANNELS
    }
    hours = pa.array(random.integers(9, 21, size), mask=random.random(size) < 0.1)
    return {**counts, "contact_hour": hours, "contact_hour_is_own": random.random(size) < 0.5}


def by_channel() -> pa.Table:
    """Return contacts and answers: sms is answered twice as often as email, and cards on push hardly ever."""
    rates = {"email": 0.05, "sms": 0.1, "push": 0.05, "phone": 0.3}
    rows = [
        {"family": family, "channel": channel, "asked": 4000, "answered": round(4000 * rate * level * own)}
        for family, level in (("card", 1.0), ("deposit", 0.6), ("investment", 1.4))
        for channel, rate in rates.items()
        for own in (0.2 if (family, channel) == ("card", "push") else 1.0,)
    ]
    return pa.Table.from_pylist(rows)


def responding(bundle: Bundle) -> Bundle:
    """Return a bundle that chooses channels by the answers of `by_channel`."""
    told = tuple(bundle.settings.contact_cost_minor), bundle.catalogue.families
    return replace(bundle, responses=learn(by_channel(), *told, bundle.settings.responses))


def _risk(ids: pa.Array, random: Any) -> pa.Table:
    size = len(ids)
    tiers = np.array(["low", "medium", "high", "unknown"])[random.choice(4, size, p=[0.6, 0.25, 0.1, 0.05])]
    days = random.integers(0, 120, size)
    at = np.datetime64(AS_OF.replace(tzinfo=None), "us") - days.astype("timedelta64[D]")
    return pa.table(
        {
            "customer_id": ids,
            "default_probability": pa.array(random.beta(1, 20, size), mask=tiers == "unknown"),
            "risk_tier": tiers,
            "signal_at": pa.array(at, mask=tiers == "unknown"),
        }
    )


def demo_catalogue() -> Catalogue:
    return plain_catalogue(products(), AS_OF, settings().gates.revolving_payment_share)


def good_customer(catalogue: Catalogue, **changes: Any) -> DecisionBlock:
    """Return one customer whom no gate refuses anything but what is held: the current account."""
    owned = np.array([[product == "current_account" for product in catalogue.product_ids]])
    block = DecisionBlock(
        customer_ids=pa.array(["C1"]),
        view=View(owned=owned, x=np.zeros((1, 0), dtype=np.float32), group=np.zeros(1, dtype=np.int64)),
        is_open=np.array([True]),
        age=np.array([40.0]),
        income=np.array([100_000_000.0]),
        debts=np.array([0.0]),
        default_probability=np.array([0.001]),
        tier=np.array([0]),
        signal_age_days=np.array([5.0]),
        value_tier=np.array([2]),
        pace=np.array([1.0]),
        consent=np.ones((1, 5), dtype=bool),
        contacts=np.zeros((1, 4)),
        unanswered=np.array([0.0]),
        days_since_contact=np.array([np.inf]),
        days_since_complaint=np.array([np.inf]),
        asked=np.zeros((1, 5)),
        answered=np.zeros((1, 5)),
        contact_hour=np.array([np.nan]),
        hour_is_own=np.array([False]),
        is_answered=np.array([True]),
        gate_reasons=np.array([0]),
        tier_families=np.array([0]),
        held_families=np.array([0]),
        is_held=np.array([False]),
        needs_person=np.array([False]),
        gate_expires_at=np.array([np.datetime64("2026-07-30", "us")]),
        treatment=np.array([4]),
        days_until_contact=np.array([np.nan]),
        credit=no_credit(1),
    )
    return replace(block, **changes)


def no_credit(customers: int, **families: tuple[float, float, float]) -> Credit:
    """Return that risk decided nothing, but for the families named: price, margin and limit of each."""
    shape = (customers, len(PRODUCT_FAMILIES))
    found = Credit(outcome=np.full(shape, UNDECIDED), **{
        name: np.full(shape, np.nan) for name in ("rate", "margin_rate", "limit")
    })  # fmt: skip
    for family, (rate, margin_rate, limit) in families.items():
        place = PRODUCT_FAMILIES.index(family)
        found.outcome[:, place] = 0
        found.rate[:, place], found.margin_rate[:, place], found.limit[:, place] = rate, margin_rate, limit
    return found


def run(expression: Any, tables: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Run an expression over rows of curated tables and return its rows by customer."""
    connection = duckdb.connect()
    for name, rows in tables.items():
        schema = arrow_schema(CURATED[name])
        filled = [dict.fromkeys(schema.names) | row for row in rows]
        connection.register(name, pa.Table.from_pylist(filled, schema=schema))
    found = connection.execute(_compiled(expression)).fetchall()
    names = [column[0] for column in connection.description or ()]
    return {row[0]: dict(zip(names, row, strict=True)) for row in found}


@lru_cache(maxsize=8)
def _compiled(expression: Any) -> str:
    # compiling takes far longer than running over a handful of rows
    return str(ibis.to_sql(expression, dialect="duckdb"))
