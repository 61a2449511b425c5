"""A bank of two hundred customers with a finished run, made by hand for the pages: no part of the engine computes it.

Every table keeps its contract. The counts of the funnel are taken from the stages, so that a bar and the list behind it
can be compared.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine.config.load import read_defaults
from engine.domain.access import Role, Viewer
from engine.domain.curated import CURATED
from engine.domain.marts import MARTS
from engine.domain.schema import Table
from engine.features.table import CONTRACT as FEATURES
from engine.lake.runs import Run, RunBuilder
from engine.lake.schema import arrow_schema
from engine.lake.workspace import Workspace
from tests.engine.recommendations import builders as deciding
from tests.engine.ui import experiment_rows, risk_rows

OWNER = Viewer(name="Lin Wei", role=Role.OWNER)
AS_OF = datetime(2026, 6, 30, 16, tzinfo=UTC)
NOW = AS_OF.replace(tzinfo=None)
CUSTOMERS = 200
STAGES = {
    "features": ("features",),
    "segments": ("segments", "segment_profiles", "segment_choices"),
    "risk": ("risk", "risk_scorecard", "risk_validation", *risk_rows.MARTS),
    "journeys": (
        "journey_stages",
        "journey_funnels",
        "journey_drop_offs",
        "journey_friction",
        "journey_open",
        "journey_open_validation",
    ),
    "recommendations": (
        "recommendations",
        "decisions",
        "gates",
        "recommendation_models",
        "product_rules",
        "offer_fairness",
        "allocation",
        "allocation_limits",
        "allocation_changes",
        "control_group",
        "withheld_contacts",
        "channel_responses",
    ),
    "audiences": ("audience_builds", "audience_members"),
    "experiments": experiment_rows.MARTS,
}
CLUSTERS = (("Everyday savers", "日常储蓄"), ("Card travellers", "出行刷卡"), ("Quiet depositors", "安静存款"))
TIERS = ("low", "medium", "high", "unknown")
GATES = (
    ("consent", "consent", "NO_CONSENT", "No contact channel with a valid consent.", "没有有效的营销授权。"),
    ("already_held", "applicability", "ALREADY_HELD", "The customer holds it already.", "客户已持有该产品。"),
    ("risk_tier", "risk", "RISK_TIER_TOO_HIGH", "The risk tier is above what credit allows.", "风险等级过高。"),
    (
        "affordability",
        "affordability",
        "NOT_AFFORDABLE",
        "Instalments would take too large a share.",
        "还款额占收入比例过高。",
    ),
)

Rows = list[dict[str, Any]]


def make(home: Path, skip: Sequence[str] = ()) -> Run:
    """Make the workspace and its run; the stages in `skip` are recorded as skipped, with a reason."""
    workspace = Workspace(home)
    _curate(workspace)
    builder = RunBuilder(workspace, "20260630T160000Z-0123456789", AS_OF, {"seed": 1})
    tables = marts()
    for stage, names in STAGES.items():
        if stage in skip:
            builder.skip(stage, names, "there are no outcomes to learn from.")
            continue
        with builder.stage(stage):
            for name in names:
                contract = FEATURES if name == "features" else MARTS[name]
                builder.write_rows(name, as_table(contract, tables[name]))
            if stage == "recommendations":
                builder.write_text("decision_bundle.json", _bundle())
    return builder.publish()


@cache
def _bundle() -> str:
    """Return what decides at another bank: here only its limits are read."""
    return deciding.prepared(200, {"training": {"min_buyers": 10_000}}).bundle.to_json()


def as_table(contract: Table, rows: Rows) -> pa.Table:
    """Return rows in the contract's columns, those not named empty, sorted by the key."""
    schema = arrow_schema(contract)
    full = [{name: row.get(name) for name in schema.names} for row in rows]
    return pa.Table.from_pylist(full, schema).sort_by([(name, "ascending") for name in contract.key])


def marts() -> dict[str, Rows]:
    """Return the rows of every mart, drawn from one seed."""
    draw = np.random.default_rng(7)
    ids = [f"C{number:05d}" for number in range(1, CUSTOMERS + 1)]
    quiet = {"transactions_90d": 0, "events_90d": 0}
    features = [{"customer_id": one} | (quiet if one < "C00021" else {"transactions_90d": 4}) for one in ids]
    made: dict[str, Rows] = {"features": features, **_segments(ids, draw), **_risk(ids, draw)}
    made |= risk_rows.marts(made["risk"], NOW)
    made |= _journeys(ids, made, draw)
    made |= _recommendations(ids, made, draw)
    made |= _audiences(ids)
    return made | experiment_rows.marts()


def _audiences(ids: list[str]) -> dict[str, Rows]:
    built = {"version": 1, "schedule": "every_run", "status": "built"}
    failed = {
        "version": 2,
        "schedule": "daily",
        "status": "failed",
        "reason": 'The audience "gone" was not built: why.',
    }
    return {
        "audience_builds": [{"audience": "few", "members": 12, **built}, {"audience": "gone", **failed}],
        "audience_members": [{"audience": "few", "customer_id": one} for one in ids[:12]],
    }


def _segments(ids: list[str], draw: np.random.Generator) -> dict[str, Rows]:
    segments = []
    for customer in ids:
        recency, frequency, money = (int(score) for score in draw.integers(1, 6, 3))
        cluster = int(draw.integers(0, 3)) if draw.random() > 0.05 else None
        segments.append(
            {
                "customer_id": customer,
                "recency_score": recency if cluster is not None else None,
                "frequency_score": frequency,
                "monetary_score": money,
                "rfm_cell": f"{recency}-{frequency}-{money}",
                "value_tier": ("none", "low", "middle", "high", "top")[money - 1],
                "cluster_id": cluster,
                "cluster_name": None if cluster is None else CLUSTERS[cluster][0],
                "cluster_name_zh": None if cluster is None else CLUSTERS[cluster][1],
                "cluster_outlier": None if cluster is None else customer == ids[0],
            }
        )
    features = ("card_spend_90d", "login_days_30d", "balance_average_90d", "transactions_90d", "products_held")
    profiles = [
        {
            "cluster_id": cluster,
            "cluster_name": english,
            "cluster_name_zh": chinese,
            "customers": sum(row["cluster_id"] == cluster for row in segments),
            "feature": feature,
            "mean": float(10 + cluster * place),
            "overall_mean": 12.0,
            "effect_size": float(draw.normal(0, 0.8)),
        }
        for cluster, (english, chinese) in enumerate(CLUSTERS)
        for place, feature in enumerate(features)
    ]
    choices = [
        {
            "clusters": k,
            "silhouette": 0.2 + 0.02 * (k == 3),
            "stability": 0.95 if k <= 3 else 0.6,
            "weakest_cluster": 0.9 if k <= 3 else 0.4,
            "chosen": k == 3,
        }
        for k in range(2, 7)
    ]
    return {"segments": segments, "segment_profiles": profiles, "segment_choices": choices}


def _risk(ids: list[str], draw: np.random.Generator) -> dict[str, Rows]:
    risk = []
    for customer in ids:
        score = int(draw.normal(600, 50))
        tier = "high" if score < 560 else "medium" if score < 610 else "low"
        if draw.random() < 0.06:
            risk.append({"customer_id": customer, "risk_tier": "unknown", "signal_missing_share": 1.0})
            continue
        probability = float(1 / (1 + np.exp((score - 480) / 25)))
        risk.append(
            {
                "customer_id": customer,
                "score": score,
                "default_probability": probability,
                "risk_tier": tier,
                "exposure_minor": 4_000_000,
                "expected_loss_minor": int(4_000_000 * probability * 0.6),
                "reason_1": "utilisation_rate",
                "reason_2": "inquiries_6m",
                "signal_at": NOW - timedelta(days=12),
                "signal_missing_share": 0.0,
            }
        )
    card = [
        {
            "characteristic": name,
            "bin_index": place,
            "bin": text,
            "points": 20 + 15 * place,
            "weight_of_evidence": -0.6 + 0.5 * place,
            "information_value": value,
            "goods": 300,
            "bads": 40 - 10 * place,
            "bad_rate": (40 - 10 * place) / (340 - 10 * place),
        }
        for name, value in (("utilisation_rate", 0.2), ("delinquencies_12m", 0.1), ("oldest_line_months", 0.04))
        for place, text in enumerate(("below 0.3", "0.3 to 0.8", "above 0.8"))
    ]
    validation = [*_measures("scorecard", 0.0), *_measures("glass_box", -0.01), *_tiers_of("glass_box")]
    return {"risk": risk, "risk_scorecard": card, "risk_validation": validation}


def _measures(model: str, better: float) -> Rows:
    judged = {"auc": 0.74, "ks": 0.36, "gini": 0.48, "brier": 0.06, "mean_predicted": 0.05, "observed_rate": 0.06}
    gain = {} if model == "scorecard" else {"auc_gain": better}
    return [
        {
            "model": model,
            "sample": sample,
            "measure": measure,
            "value": value + (better if measure == "auc" else 0),
            "lower": value - 0.04,
            "upper": value + 0.04,
            "rows": 900,
            "bads": 61,
        }
        for sample in ("train", "out_of_time")
        for measure, value in (judged | gain).items()
    ]


def _tiers_of(model: str) -> Rows:
    shares = {"tier_lower": 0.2, "tier_same": 0.7, "tier_higher": 0.1}
    return [
        {"model": model, "sample": "customers", "measure": name, "value": share, "rows": 180}
        for name, share in shares.items()
    ]


def _journeys(ids: list[str], made: dict[str, Rows], draw: np.random.Generator) -> dict[str, Rows]:
    stages: Rows = []
    for journey in read_defaults("journeys")["journeys"]:
        steps = journey["steps"]
        for customer in ids:
            if draw.random() > 0.8:
                continue
            depth = min(len(steps), int(draw.geometric(0.35)))
            reached = NOW - timedelta(hours=int(draw.integers(1, 2_000)))
            status = "converted" if depth == len(steps) else "dropped" if draw.random() < 0.8 else "in_progress"
            stages.append(
                {
                    "journey": journey["journey"],
                    "customer_id": customer,
                    "stage": steps[depth - 1]["stage"],
                    "reached_step": depth,
                    "step": steps[depth - 1]["step"],
                    "current_step": steps[depth - 1]["step"],
                    "next_step": steps[depth]["step"] if depth < len(steps) else None,
                    "entered_at": reached - timedelta(hours=5 * depth),
                    "channel": ("web", "app", "branch")[int(draw.integers(0, 3))],
                    "stage_since": reached,
                    "status": status,
                }
            )
    funnels = _funnels(stages, made)
    return {"journey_stages": stages, "journey_funnels": funnels, **_drop_offs(stages, funnels)}


def _drop_offs(stages: Rows, funnels: Rows) -> dict[str, Rows]:
    """What leaving costs: of those who left half would complete, each worth 40.00, and lose 10.00 a step later."""
    costs, frictions, checks = [], [], []
    for step in funnels:
        if step["breakdown"] != "all" or step["step"] == "first_use":
            continue
        here = {name: step[name] for name in ("journey", "step_index", "step")}
        converters = step["dropped"] / 2
        gross, loss = round(4_000 * converters), round(1_000 * converters * step["step_index"])
        settled = step["customers"] - step["in_progress"]
        costs.append(
            {
                **{
                    name: step[name]
                    for name in ("breakdown", "group", "customers", "continued", "dropped", "in_progress")
                },
                **here,
                "rank": step["step_index"],
                "settled": settled,
                "drop_rate": step["dropped"] / settled if settled else None,
                "next_event": "login",
                "next_event_share": 0.6,
                "converters": converters,
                "unvalued": 1,
                "gross_minor": gross,
                "expected_loss_minor": loss,
                "net_minor": gross - loss,
            }
        )
        frictions.append(
            {
                **here,
                "kind": "error",
                "signal": "form_error",
                "rank": step["step_index"],
                "met": 40,
                "difference": -0.1,
                "lower": -0.15,
                "upper": -0.05,
                "q_value": 0.001,
                "lost": 4.0,
                "lost_converters": 2.0,
                "structural": False,
                "harmful": True,
            }
        )
    open_now = [
        {
            "journey": row["journey"],
            "customer_id": row["customer_id"],
            "step_index": row["reached_step"],
            "step": row["step"],
            "next_step": row["next_step"],
            "reached_at": row["stage_since"],
            "closes_at": row["stage_since"] + timedelta(days=30),
            "drop_probability": 0.1 * row["reached_step"],
            "friction_met": "form_error, silence",
        }
        for row in stages
        if row["status"] == "in_progress"
    ]
    for journey in sorted({row["journey"] for row in stages}):
        rate = {"predicted": 0.6, "value": 0.62, "lower": 0.55, "upper": 0.69, "stays": 100}
        checks.append({"journey": journey, "measure": "drop_rate", **rate})
    return {
        "journey_drop_offs": costs,
        "journey_friction": frictions,
        "journey_open": open_now,
        "journey_open_validation": checks,
    }


def _funnels(stages: Rows, made: dict[str, Rows]) -> Rows:
    values = {row["customer_id"]: row["value_tier"] for row in made["segments"]}
    tiers = {row["customer_id"]: row["risk_tier"] for row in made["risk"]}
    names = {row["customer_id"]: row["cluster_name"] or "unknown" for row in made["segments"]}
    groups = {
        "all": lambda row: "all",
        "cluster": lambda row: names[row["customer_id"]],
        "value_tier": lambda row: values[row["customer_id"]],
        "risk_tier": lambda row: tiers[row["customer_id"]],
        "channel": lambda row: row["channel"],
    }
    rows: Rows = []
    for journey in read_defaults("journeys")["journeys"]:
        entered = [row for row in stages if row["journey"] == journey["journey"]]
        for breakdown, group_of in groups.items():
            for group in sorted({group_of(row) for row in entered}):
                mine = [row for row in entered if group_of(row) == group]
                rows += _steps(journey, breakdown, group, mine)
    return rows


def _steps(journey: dict[str, Any], breakdown: str, group: str, mine: Rows) -> Rows:
    counts = [sum(row["reached_step"] >= level for row in mine) for level in range(1, len(journey["steps"]) + 1)]
    rows = []
    for place, step in enumerate(journey["steps"]):
        here = [row["status"] for row in mine if row["reached_step"] == place + 1]
        dropped, waiting = here.count("dropped"), here.count("in_progress")
        rows.append(
            {
                "journey": journey["journey"],
                "breakdown": breakdown,
                "group": group,
                "step_index": place + 1,
                "step": step["step"],
                "stage": step["stage"],
                "customers": counts[place],
                "continued": counts[place] - dropped - waiting,
                "dropped": dropped,
                "in_progress": waiting,
                "rate_from_first": counts[place] / counts[0] if counts[0] else None,
                "rate_from_previous": counts[place] / counts[place - 1] if place and counts[place - 1] else None,
                "median_seconds_from_previous": 3_600.0 * (place + 1) if place else None,
            }
        )
    return rows


def _recommendations(ids: list[str], made: dict[str, Rows], draw: np.random.Generator) -> dict[str, Rows]:
    products = [product["product_id"] for product in read_defaults("products")["products"]][:8]
    risky = {row["customer_id"] for row in made["risk"] if row["risk_tier"] in ("high", "unknown")}
    decisions: Rows = []
    offers: Rows = []
    for customer in ids:
        silent = draw.random() < 0.15
        open_to = []
        for place, product in enumerate(products):
            mask = (1 if silent else 0) | (2 if draw.random() < 0.3 else 0)
            mask |= 4 if place > 4 and customer in risky else 0
            mask |= 8 if place > 4 and draw.random() < 0.1 else 0
            decisions.append(
                {
                    "customer_id": customer,
                    "product_id": product,
                    "propensity": float(draw.uniform(0.001, 0.2)),
                    "expected_value_minor": int(draw.integers(100, 90_000)),
                    "refused_mask": mask,
                }
            )
            if mask == 0:
                open_to.append(decisions[-1])
        for rank, decision in enumerate(sorted(open_to, key=lambda one: -one["expected_value_minor"])[:3], start=1):
            decision["rank"] = rank
            offers.append(
                decision
                | {
                    "decision_id": f"D{customer[1:]}{rank}",
                    "channel": ("email", "sms", "push")[int(draw.integers(0, 3))],
                    "expected_loss_minor": 0,
                    "selection": "best",
                    "selection_probability": 1.0,
                    "track": "standard",
                    "reason_1": "Salary comes in every month",
                    "reason_1_zh": "每月有工资入账",
                }
            )
    gates = [
        {"bit": bit, "gate": gate, "kind": kind, "reason_code": code, "text_en": english, "text_zh": chinese}
        | {
            "refused_pairs": sum(row["refused_mask"] >> bit & 1 for row in decisions),
            "refused_only_by_this": sum(row["refused_mask"] == 1 << bit for row in decisions),
            "customers": len({row["customer_id"] for row in decisions if row["refused_mask"] >> bit & 1}),
        }
        for bit, (gate, kind, code, english, chinese) in enumerate(GATES)
    ]
    models = [
        {"model": "logistic", "map_at_7": 0.41, "hit_rate_at_3": 0.6, "coverage": 0.9, "calibration_error": 0.01}
        | {"customers": 120, "chosen": True},
        {"model": "popularity", "map_at_7": 0.31, "hit_rate_at_3": 0.5, "coverage": 0.1, "customers": 120}
        | {"chosen": False},
        {"model": "als", "chosen": False, "note": "too few products for its factors"},
    ]
    rules = [
        {"has_product_id": "mortgage", "takes_product_id": "home_insurance", "customers": 31, "support": 0.15}
        | {"confidence": 0.6, "lift": 3.1}
    ]
    return {
        "decisions": decisions,
        "recommendations": offers,
        "gates": gates,
        "recommendation_models": models,
        "product_rules": rules,
        "offer_fairness": _groups(sorted({row["product_id"] for row in decisions})),
        "control_group": [],
        "withheld_contacts": [],
        "channel_responses": [
            {"family": "all", "channel": channel, "contacts": 900, "responses": 60, "response_rate": 60 / 900}
            | {"relative_response": 1.0, "tried": True}
            for channel in ("email", "push", "sms")
        ],
        **_limits(ids, products),
    }


def _limits(ids: list[str], products: list[str]) -> dict[str, Rows]:
    """Return three limits, of which the budget and a minimum share cost value; 5 offers gave way, 2 came in."""
    measures = {
        "bound_minor": 1_000_000.0,
        "value_minor": 991_999.0,
        "share_of_bound": 0.991999,
        "offers": 340.0,
        "offers_without_limits": 400.0,
    }
    limits = (
        ("budget", None, 2_000.0, 1_995.0, 2_600.0, 41.5),
        ("product_capacity", products[1], 50.0, 20.0, 20.0, 0.0),
        ("min_share", products[2], 0.1, 0.1, 0.04, 350.0),
    )
    names = ("kind", "subject", "allowed", "used", "wanted", "shadow_price_minor")
    changed = [(place, products[0], True, False) for place in range(5)]
    changed += [(place, products[2], False, True) for place in range(2)]
    return {
        "allocation": [{"measure": name, "value": value, "text": name} for name, value in measures.items()],
        "allocation_limits": [
            dict(zip(names, row, strict=True)) | {"place": place, "binds": row[-1] > 0}
            for place, row in enumerate(limits)
        ],
        "allocation_changes": [
            {"customer_id": ids[place], "product_id": product, "without_limits": before, "by_prices": after}
            | {"offered": after}
            for place, product, before, after in changed
        ],
    }


def _groups(products: list[str]) -> Rows:
    """Return how often women and men are offered each product; the first differs, unexplained."""
    best = {"customers": 400, "offered_customers": 40, "offer_rate": 0.1, "reference": "male"}
    return [
        {"product_id": product, "attribute": "gender", "group": group, "held_back": False, "verdict": verdict}
        | {"eligible": 300, "text": f"{group}: {verdict}.", "text_zh": f"{group}：{verdict}。"}
        | (best | changes)
        for place, product in enumerate(products)
        for group, verdict, changes in (
            ("male", "reference", {}),
            (
                "female",
                "unexplained",
                {"offer_rate": 0.05, "offered_customers": 20, "ratio": 0.5, "eligible_ratio": 0.5},
            )
            if place == 0
            else ("female", "pass", {"ratio": 1.0}),
        )
    ]


def _curate(workspace: Workspace) -> None:
    draw = np.random.default_rng(11)
    customers = [
        {
            "customer_id": f"C{number:05d}",
            "full_name": f"Person Secret{number}",
            "birth_date": date(1950 + number % 50, 5, 17),
            "joined_at": NOW - timedelta(days=900 + number),
            "kyc_status": "verified",
        }
        for number in range(1, CUSTOMERS + 1)
    ]
    _put(workspace, "customers", customers)
    known = {"phone": "+8613800000001", "email": "secret1@mail.example", "card": "secret-card-01"}
    _put(
        workspace,
        "identities",
        [{"customer_id": "C00001", "id_type": kind, "id_value": value} for kind, value in known.items()],
    )
    _put(workspace, "products", read_defaults("products")["products"])
    _put(workspace, "transactions", _transactions(draw), month="2026-06")
    _put(workspace, "events", _events(draw), month="2026-06")
    calls = [{"interaction_id": "I1", "customer_id": "C00001", "occurred_at": NOW - timedelta(days=3)}]
    _put(workspace, "interactions", [calls[0] | {"kind": "complaint", "topic": "fees", "text": "Secret words"}])
    workspace.report_path.write_text(json.dumps(_report()), encoding="utf-8")


def _transactions(draw: np.random.Generator) -> Rows:
    return [
        {
            "transaction_id": f"T{number}",
            "customer_id": f"C{1 + number % CUSTOMERS:05d}",
            "booked_at": NOW - timedelta(hours=int(draw.integers(0, 600))),
            "amount_minor": int(draw.integers(-90_000, 90_000)),
            "currency": "CNY",
            "category": ("salary", "groceries", "rent")[number % 3],
            "channel": "card",
        }
        for number in range(2_000)
    ]


def _events(draw: np.random.Generator) -> Rows:
    rows = [
        {
            "event_id": f"E{number}",
            "customer_id": f"C{1 + number % CUSTOMERS:05d}",
            "occurred_at": NOW - timedelta(hours=int(draw.integers(0, 600))),
            "event_name": ("login", "product_viewed", "calculator_used")[number % 3],
            "channel": "app",
            "product_id": "mortgage",
        }
        for number in range(2_000)
    ]
    late = {
        "event_id": "late",
        "customer_id": "C00001",
        "occurred_at": NOW + timedelta(hours=1),
        "event_name": "future",
    }
    return [*rows, late]


def _put(workspace: Workspace, name: str, rows: Rows, month: str | None = None) -> None:
    folder = workspace.curated(name) / f"month={month}" if month else workspace.curated(name)
    folder.mkdir(parents=True)
    pq.write_table(as_table(CURATED[name], rows), folder / "part-00000.parquet")


def _report() -> dict[str, Any]:
    fault = {"code": "duplicate_row", "column": "transaction_id", "expected": "each row once", "rows": 7}
    repair = {"rule": "trim_space", "column": "category", "effect": "changed", "rows": 12}
    return {
        "tables": [
            {"table": "customers", "read": 200, "kept": 200, "quarantined": 0, "faults": [], "repairs": []},
            {"table": "transactions", "read": 2_007, "kept": 2_000, "quarantined": 7}
            | {"faults": [fault], "repairs": [repair]},
        ]
    }
