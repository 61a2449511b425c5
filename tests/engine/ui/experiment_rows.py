"""Two experiments made by hand for the pages: one whole, one whose sample ratio is broken.

Tables and the kept result say the same; every number is made up, none is computed by the engine.
"""

from __future__ import annotations

import json
from typing import Any

MARTS = ("experiment_results", "experiment_health", "experiment_decisions")
BROKEN = "planned 50:50, observed 5 412:4 603."
BROKEN_ZH = "计划 50:50，实际 5 412:4 603。"

Rows = list[dict[str, Any]]
Facts = dict[str, Any]


def marts() -> dict[str, Rows]:
    """Return the rows of results, checks and decisions."""
    whole = (onboarding(), reminder())
    return {
        "experiment_results": [_result(one, of) for of in whole for one in of["metrics"]],
        "experiment_health": [check | {"experiment_id": of["experiment"]} for of in whole for check in of["health"]],
        "experiment_decisions": [
            {
                "experiment_id": of["experiment"],
                "action": of["decision"]["action"],
                "headline": of["decision"]["headline"],
                "headline_zh": of["decision"]["headline_zh"],
                "reasons": "\n".join(of["decision"]["reasons"]),
                "reasons_zh": "\n".join(of["decision"]["reasons_zh"]),
                "result": json.dumps(of, ensure_ascii=False),
            }
            for of in whole
        ],
    }


def _result(one: Facts, of: Facts) -> dict[str, Any]:
    held = of["metrics"][0]["verdict"] == "withheld"
    return {
        "experiment_id": of["experiment"],
        "metric": one["metric"],
        "role": one["role"],
        "metric_kind": one["kind"],
        "variant": one["variant"],
        "control": one["control"],
        "variant_units": one["n"][one["variant"]],
        "control_units": one["n"][one["control"]],
        "verdict": one["verdict"],
        "withheld_reason": BROKEN if held else None,
    }


def onboarding() -> Facts:
    """Return an experiment that won: a checklist that lifts activation by 5 points of 41 %."""
    return {
        "experiment": "card_onboarding",
        "alpha": 0.05,
        "health": [
            {"check": "sample_ratio", "status": "ok", "p_value": 0.68, "detail": "planned 50:50, observed 5 020:4 980."}
            | {"detail_zh": "计划 50:50，实际 5 020:4 980。"}
        ],
        "metrics": [
            _metric("card_activation", 0.05, (0.02, 0.08))
            | {"role": "goal", "direction": "increase", "verdict": "better", "outcome": "won"},
            _metric("complaint", 0.001, (-0.004, 0.006))
            | {"role": "guardrail", "direction": "decrease", "harm": None, "safety": None}
            | {"verdict": "no_difference_shown", "outcome": "unknown"},
        ],
        "fairness": [fairness()],
        "interactions": {
            "shared": [
                {"with": "loan_reminder", "customers": 1_307, "independence_p_value": 1.0}
                | {"why": "a health check failed", "why_zh": "有健康检查未通过"},
                {"with": "savings_banner", "customers": 1_279, "independence_p_value": 0.55},
            ],
            "crossings": [crossing(0.03, (-0.08, 0.14), 0.6), crossing(0.09, (0.02, 0.16), 0.01, metric="complaint")],
        },
        "decision": {
            "action": "continue",
            "variant": None,
            "days": 6,
            "headline": "Continue for 6 days",
            "headline_zh": "继续 6 天",
            "reasons": ['checklist: guardrail "complaint" is not known to be safe.'],
            "reasons_zh": ['checklist：护栏指标 "complaint" 尚不能确认安全。'],
            "override": None,
        },
        "plan": {"fairness": {"smallest": 20}, "metrics": []},
        "spec_hash": "0" * 64,
        "changed": [],
    }


def reminder() -> Facts:
    """Return an experiment that shows no number: its sample ratio is not the planned one."""
    nothing = {"interval": None, "p_value": None, "why": BROKEN}
    return {
        "experiment": "loan_reminder",
        "alpha": 0.05,
        "health": [
            {"check": "sample_ratio", "status": "stop", "p_value": 6e-16, "detail": BROKEN, "detail_zh": BROKEN_ZH},
            {"check": "several_variants", "status": "ok", "detail": "nobody saw both.", "detail_zh": "无人进入两组。"},
        ],
        "metrics": [
            {
                "metric": "application_submitted",
                "kind": "proportion",
                "role": "goal",
                "direction": "increase",
                "variant": "reminder",
                "control": "none",
                "n": {"none": 5_412, "reminder": 4_603},
                "value": {"none": None, "reminder": None},
                "absolute": {"difference": None, **nothing},
                "relative": {"lift": None, **nothing},
                "adjusted": None,
                "verdict": "withheld",
                "why": BROKEN,
            }
        ],
        "decision": {
            "action": "review",
            "variant": None,
            "days": None,
            "headline": "Review",
            "headline_zh": "人工复核",
            "reasons": [BROKEN],
            "reasons_zh": [BROKEN_ZH],
            "override": None,
        },
        "plan": {},
        "spec_hash": "1" * 64,
        "changed": [],
    }


def effect(difference: float, interval: tuple[float, float], p_value: float = 0.01) -> Facts:
    """Return a difference and its relative twin, from a control of 41 %."""
    return {
        "absolute": {"difference": difference, "interval": list(interval), "p_value": p_value},
        "relative": {"lift": difference / 0.41, "interval": [end / 0.41 for end in interval], "p_value": p_value},
    }


def _metric(name: str, difference: float, interval: tuple[float, float]) -> Facts:
    return {
        "metric": name,
        "kind": "proportion",
        "variant": "checklist",
        "control": "control",
        "n": {"control": 5_020, "checklist": 4_980},
        "value": {"control": 0.41, "checklist": 0.41 + difference},
        "method": "wald",
        **effect(difference, interval),
        "adjusted": None,
        "now": {"method": "wald", **effect(difference, interval)},
        "segments": [breakdown()],
        "over_time": over_time(difference),
    }


def day(at: str | int, difference: float, width: float, n: int = 100) -> Facts:
    """Return one point of a series."""
    return {
        "day": at,
        "n": {"control": n, "variant": n},
        "value": {"control": 0.41, "variant": 0.41 + difference},
        **effect(difference, (difference - width, difference + width)),
    }


def over_time(difference: float) -> Facts:
    """Return four days of each clock, whose intervals narrow from 0.6 to 0.03."""
    widths = (0.6, 0.2, 0.04, 0.03)
    return {
        "calendar": [day(f"2026-04-0{at}", difference, width, 100 * at) for at, width in enumerate(widths, 1)],
        "since_exposure": {
            "measure": "cumulative_share",
            "days": [day(at, difference, width) for at, width in enumerate(widths, 1)],
            "wear": None,
        },
    }


def breakdown(p_value: float | None = 0.31) -> Facts:
    """Return a breakdown by region with a small region that has no effect."""
    cells = {"Beijing": (0.2, (0.09, 0.31)), "Fujian": (-0.01, (-0.17, 0.15)), "(none)": (0.05, (-0.1, 0.2))}
    values = [
        {"of": name, "n": {"control": 160, "checklist": 150}, "value": {"control": 0.4, "checklist": 0.5}}
        | effect(*told)
        for name, told in cells.items()
    ]
    none = {"interval": None, "p_value": None, "why": "fewer than 2 customers in an arm"}
    alone = {"of": "Hainan", "n": {"control": 1, "checklist": 0}, "value": {"control": None, "checklist": None}}
    values.append(alone | {"absolute": {"difference": None, **none}, "relative": {"lift": None, **none}})
    return {
        "segment": "region",
        "interaction": {"p_value": p_value, "adjusted_p_value": p_value},
        "values": values,
    }


def fairness(**changed: Any) -> Facts:
    """Return groups by gender: one safe, one not known to be, one too small to be shown."""
    shown = {"n": {"control": 700, "checklist": 690}, "value": {"control": 0.39, "checklist": 0.5}}
    about = {"bound_is": "relative", "safe_p_value": 0.001, "harm_p_value": 1.0}
    return {
        "attribute": "gender",
        "metric": "card_activation",
        "kind": "proportion",
        "variant": "checklist",
        "control": "control",
        "interaction": {"p_value": 0.4, "adjusted_p_value": None},
        "groups": [
            {"of": "female", "safety": "safe", "bound": 0.16, **shown, **about, **effect(0.11, (0.06, 0.16))},
            {"of": "male", "safety": "unknown", "bound": -0.2, **shown, **about, **effect(0.01, (-0.09, 0.11))},
            {"of": "other", "safety": "suppressed", "n": None, "value": None, "why": "not shown: too few"},
        ],
        "worst": "male",
        "widest": {"group": "female", "other": "male", "difference": 0.1, "interval": [-0.02, 0.22]}
        | {"p_value": 0.1, "adjusted_p_value": 0.1},
    } | changed


def crossing(
    difference: float, interval: tuple[float, float], adjusted: float, metric: str = "card_activation"
) -> Facts:
    """Return what the green banner does to an effect of the checklist."""
    return {
        "with": "savings_banner",
        "metric": metric,
        "variant": "checklist",
        "other_variant": "green",
        "contrast": effect(difference, interval)["absolute"],
        "alone": effect(0.08, (0.0, 0.16))["absolute"],
        "together": effect(0.08 + difference, (0.04, 0.2))["absolute"],
        "adjusted_p_value": adjusted,
    }
