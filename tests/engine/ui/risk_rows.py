"""Rows of the marts of risk for the pages' bank, made by hand from the grades of its customers.

C00001 is on the watch list, has an override and is in stage 2, so that the page of one customer has everything to show.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from engine.domain import credit_reasons, risk_gate

Rows = list[dict[str, Any]]

MARTS: Final = (
    "risk_gate", "risk_gate_reasons", "risk_losses", "credit_decisions", "credit_reasons", "risk_treatments",
    "risk_overrides", "risk_stability", "risk_cautions", "risk_moves", "risk_vintages", "risk_watch_list",
    "risk_reassessment", "risk_fairness", "risk_reject_inference",
)  # fmt: skip
ALL: Final = 127  # every family of products
TOLD: Final = {"text": "What was found.", "text_zh": "发现的情况。"}


def marts(risk: Rows, now: datetime) -> dict[str, Rows]:
    """Return the rows of every mart of MARTS for the customers of the mart risk."""
    gate = [_gate(row, now) for row in risk]
    return {
        "risk_gate": gate,
        "risk_gate_reasons": _counted(gate, risk_gate.REASONS, "customers"),
        "risk_losses": [_loss(row) for row in risk if row["risk_tier"] != "unknown"],
        **_credit(risk),
        "risk_treatments": [_treatment(row, now) for row in risk],
        "risk_overrides": [_override(now)],
        "risk_watch_list": [_watched(row, now) for row in risk if row["risk_tier"] == "high" or _first(row)],
        "risk_reassessment": [_due(row, now) for row in risk],
        **_model(now),
    }


def _first(row: dict[str, Any]) -> bool:
    return bool(row["customer_id"] == "C00001")


def _gate(row: dict[str, Any], now: datetime) -> dict[str, Any]:
    mask = {"unknown": 0b111, "high": 0b100}.get(row["risk_tier"], 0)
    outcome = "allow"
    if row["customer_id"] == "C00007":
        outcome, mask = "service_only", mask | 1 << risk_gate.BITS["open_complaint"]
    return {
        "customer_id": row["customer_id"],
        "outcome": outcome,
        "reason_mask": mask,
        "reason_codes": " ".join(reason.code for reason in risk_gate.reasons(mask)),
        "refused_families": ALL if mask else 0,
        "tier_families": ALL if mask & 0b100 else 0,
        "held_families": 0,
        "is_held": False,
        "needs_person": False,
        "expires_at": now + timedelta(days=30),
    }


def _counted(rows: Rows, reasons: Any, counted: str) -> Rows:
    listed = []
    for bit, reason in enumerate(reasons):
        held = [row["reason_mask"] for row in rows if row["reason_mask"] >> bit & 1]
        more = (
            {"reason": reason.name, "effect": "no_credit"}
            if counted == "customers"
            else {"kind": reason.kind, "outcome": reason.outcome.value}
        )
        told = {"bit": bit, "reason_code": reason.code, "text_en": reason.text_en, "text_zh": reason.text_zh}
        alone = sum(mask == 1 << bit for mask in held)
        listed.append({**told, **more, counted: len(held), f"{counted}_only_by_this": alone})
    return listed


def _loss(row: dict[str, Any]) -> dict[str, Any]:
    stage = 2 if row["risk_tier"] == "high" or _first(row) else 1
    expected = row["expected_loss_minor"]
    return {
        "customer_id": row["customer_id"],
        "ifrs9_stage": stage,
        "stage_reason": "significant_increase" if stage == 2 else "performing",
        "default_probability": row["default_probability"],
        "drawn_minor": row["exposure_minor"],
        "at_default_minor": row["exposure_minor"],
        "loss_minor": row["exposure_minor"] // 2,
        "expected_loss_12m_minor": expected,
        "expected_loss_lifetime_minor": expected * 3,
        "allowance_minor": expected * 3 if stage == 2 else expected,
    }


def _credit(risk: Rows) -> dict[str, Rows]:
    rows = [_decision(row, family, place) for row in risk for place, family in enumerate(("card", "loan"))]
    return {"credit_decisions": rows, "credit_reasons": _counted(rows, credit_reasons.REASONS, "decisions")}


def _decision(row: dict[str, Any], family: str, place: int) -> dict[str, Any]:
    outcome, code = {
        "low": ("approve", None), "medium": ("refer", "PROBABILITY_BORDERLINE"),
        "high": ("decline", "TIER_TOO_HIGH"), "unknown": ("decline", "SIGNAL_MISSING"),
    }[row["risk_tier"]]  # fmt: skip
    lent = outcome != "decline"
    mask = 0 if code is None else 1 << credit_reasons.BITS[code]
    return {
        "customer_id": row["customer_id"],
        "family": family,
        "outcome": outcome,
        "annual_rate": 0.06 + 0.04 * place if lent else None,
        "price_band": "BC"[place] if lent else None,
        "limit_minor": (5_000_000, 20_000_000)[place] if lent else None,
        "instalment_minor": 250_000 if lent else None,
        "term_months": 36 * place,
        "collateral": "none",
        "verify": False,
        "reason_mask": mask,
        "reason_codes": code or "",
        "score_reason_1": "utilisation_rate" if outcome == "refer" else None,
        "policy_outcome": outcome,
        "override_id": 1 if _first(row) and family == "loan" else None,
    }


def _override(now: datetime) -> dict[str, Any]:
    people = {"owner": "credit.head", "second": "risk.head"}
    span = {"made_at": now - timedelta(days=5), "expires_at": now + timedelta(days=60)}
    return {"override_id": 1, "customer_id": "C00001", "family": "loan", "kind": "limit", "limit_minor": 9_000_000} | (
        people | span
    )


def _treatment(row: dict[str, Any], now: datetime) -> dict[str, Any]:
    risky = row["risk_tier"] == "high" or _first(row)
    return {
        "customer_id": row["customer_id"],
        "treatment": "talk_before_trouble" if risky else "nothing_to_do",
        "kind": "prevention" if risky else "none",
        "reason_en": "High risk with credit." if risky else "Nothing to do.",
        "reason_zh": "高风险且有授信。" if risky else "无须处理。",
        "channel": "phone" if risky else None,
        "needs_person": risky,
        "not_before": now if risky else None,
        "contacts": 0,
        "limit_change": "decrease" if risky else "keep",
        "limit_reason": "talk_before_trouble" if risky else "no_line",
        "limit_minor": 5_000_000 if risky else None,
        "proposed_limit_minor": 4_000_000 if risky else None,
        "terms_change": "longer_term" if risky else "none",
    }


def _watched(row: dict[str, Any], now: datetime) -> dict[str, Any]:
    left = row["customer_id"].endswith("0")
    return {
        "customer_id": row["customer_id"],
        "status": "left" if left else "watched",
        "severity": "medium" if row["customer_id"].endswith("5") else "high",
        "weight": 4,
        "escalated": False,
        "entered_at": now - timedelta(days=50),
        "left_at": now - timedelta(days=3) if left else None,
        "triggers": "late_elsewhere",
        "last_event_at": now - timedelta(days=50),
        "next_review_at": None if left else now + timedelta(days=int(row["customer_id"][-1]) - 3),
        "text": "A payment 30 days late at some lender.",
        "text_zh": "在其他机构出现30天以上逾期。",
    }


def _due(row: dict[str, Any], now: datetime) -> dict[str, Any]:
    due = row["risk_tier"] == "high" or _first(row)
    return {
        "customer_id": row["customer_id"],
        "risk_tier": row["risk_tier"],
        "last_assessed_at": row.get("signal_at"),
        "reassess_at": now - timedelta(days=2) if due else now + timedelta(days=300),
        "cause": "watch_list" if due else "tier",
        "is_due": due,
    }


def _model(now: datetime) -> dict[str, Rows]:
    return {
        "risk_stability": _stability(now),
        "risk_cautions": [
            {"place": 0, "reason": "score_drift", "what": "score", "value": 0.31, "limit": 0.1, "since": now}
            | {"effects": "no_fast_track medium_as_high", **TOLD}
        ],
        "risk_moves": _moves(),
        "risk_vintages": [
            {"cohort": cohort, "month": month, "loans": 200, "defaults": month * slope, "share": month * slope / 200}
            | {"lower": 0.0, "upper": 0.2}
            for cohort, months, slope in (("2025Q1", 12, 1), ("2025Q2", 9, 2))
            for month in range(1, months + 1)
        ],
        "risk_fairness": _fairness(),
        "risk_reject_inference": [
            {"method": method, "measure": measure, "without": without, "inferred": inferred, **TOLD}
            for method, inferred in (("fuzzy", 0.75), ("parcelling", 0.72))
            for measure, without in (("approval_rate", 0.8), ("bad_rate_of_accepted", 0.05))
        ],
    }


def _stability(now: datetime) -> Rows:
    rows = []
    for what, last in (("score", 0.31), ("utilisation_rate", 0.02), ("inquiries_6m", 0.0)):
        for month in range(3):
            value = last if month == 2 else 0.01
            rows.append(
                {
                    "population": "applications",
                    "what": what,
                    "measure": "population_stability",
                    "begins": now - timedelta(days=30 * (3 - month)),
                    "ends": now - timedelta(days=30 * (2 - month)),
                    "rows": 150,
                    "reference_rows": 1_800,
                    "value": value,
                    "chance_limit": 0.08,
                    "limit": 0.1,
                    "decided_by": "materiality",
                    "verdict": "drifted" if value > 0.1 else "stable",
                    "bins": 1 if what == "inquiries_6m" else 5,
                    "floored_bins": 0,
                    **TOLD,
                }
            )
    matured = {"population": "loans", "what": "score", "begins": now - timedelta(days=500), "rows": 456}
    level = {"measure": "default_level", "value": -0.14, "lower": -0.45, "upper": 0.34, "limit": 0.53}
    lost = {"measure": "auc_loss", "verdict": "not_checked", "reason": "few_bads"}
    ended = {"ends": now - timedelta(days=365), **TOLD}
    return [*rows, {**matured, **level, "verdict": "stable", **ended}, {**matured, **lost, **ended}]


def _moves() -> Rows:
    def move(kind: str, origin: str, target: str, count: int, of: int) -> dict[str, Any]:
        span = {"share": count / of, "lower": 0.0, "upper": 1.0, "small": of < 30}
        return {"kind": kind, "origin": origin, "target": target, "count": count, "of": of, **span}

    tiers = [("low", 80, 15, 5), ("medium", 10, 70, 20), ("high", 2, 8, 10)]
    delays = [("current", 90, 8, 2), ("1 to 29", 60, 30, 10), ("30 and over", 20, 10, 70)]
    names = {"tier": ("low", "medium", "high"), "days_past_due": ("current", "1 to 29", "30 and over")}
    return [
        move(kind, origin, target, count, sum(counts))
        for kind, rows in (("tier", tiers), ("days_past_due", delays))
        for origin, *counts in rows
        for target, count in zip(names[kind], counts, strict=True)
    ]


def _fairness() -> Rows:
    def row(group: str, measure: str, verdict: str, **more: Any) -> dict[str, Any]:
        return {"attribute": "gender", "group": group, "stage": "approved", "measure": measure, "verdict": verdict} | (
            TOLD | more
        )

    span = {"lower": 0.5, "upper": 0.9, "rows": 400}
    against = {"reference": "male", "reference_value": 0.8, "ratio": 0.75, "ratio_lower": 0.6, "ratio_upper": 0.9}
    return [
        row("male", "approval_rate", "reference", value=0.8, **span),
        row("female", "approval_rate", "below", value=0.6, **span, **against, adjusted_p_value=0.01),
        row("other", "approval_rate", "insufficient", value=0.7, lower=0.2, upper=0.9, rows=12),
        row("not recorded", "approval_rate", "suppressed"),
        row("male", "mean_score", "reference", value=580.0, lower=575.0, upper=585.0, rows=400),
        row("female", "mean_score", "no_difference_shown", value=581.0, lower=575.0, upper=587.0, rows=400),
    ]
