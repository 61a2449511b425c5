"""Checks that come before any result: an experiment that fails one shows no numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Final, Literal

from scipy import stats

from engine.config.experiments import ExperimentSettings

ALARM: Final = 0.001
"""A ratio this unlikely is a fault of assignment or logging, not chance: the usual threshold of the trade."""

MANY_SEVERAL: Final = 0.01
"""Share of customers in several variants above which the rest is no longer a fair sample."""

Status = Literal["ok", "warning", "stop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check: what was found, in a sentence, and whether results may be shown."""

    check: str
    status: Status
    detail: str
    p_value: float | None = None
    statistic: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioTest:
    """A chi-square test of observed counts against planned weights."""

    statistic: float
    degrees: int
    p_value: float


def ratio_test(observed: Mapping[str, int], weights: Mapping[str, float]) -> RatioTest | None:
    """Test the counts of the variants against their weights; None when nobody was observed.

    Variants of weight 0 expect nobody and are no degree of freedom; anyone seen in one is impossible (p = 0).
    """
    planned = {name: weight for name, weight in weights.items() if weight > 0}
    units = sum(observed.get(name, 0) for name in planned)
    impossible = sum(observed.get(name, 0) for name in weights if name not in planned)
    degrees = len(planned) - 1
    if impossible:
        return RatioTest(statistic=inf, degrees=degrees, p_value=0.0)
    if not units:
        return None
    whole = sum(planned.values())
    expected = {name: units * weight / whole for name, weight in planned.items()}
    statistic = sum((observed.get(name, 0) - count) ** 2 / count for name, count in expected.items())
    return RatioTest(statistic=statistic, degrees=degrees, p_value=float(stats.chi2.sf(statistic, degrees)))


def sample_ratio(experiment: ExperimentSettings, observed: Mapping[str, int]) -> Check:
    """Check the split; `stop` when it is not the planned one."""
    found = ratio_test(observed, experiment.weights)
    assumed = " (assumed, nobody wrote it down)" if experiment.weights_assumed else ""
    if found is None:
        return Check(
            check="sample_ratio",
            status="stop",
            detail=f'Nobody has been exposed to "{experiment.experiment_id}" by this date. Results are withheld.',
        )
    whole = sum(experiment.weights.values())
    planned = ":".join(f"{100 * weight / whole:.4g}" for weight in experiment.weights.values()) + assumed
    counts = ":".join(grouped(observed.get(name, 0)) for name in experiment.weights)
    statistic = None if found.statistic == inf else found.statistic
    if found.p_value >= ALARM:
        return Check(
            check="sample_ratio",
            status="ok",
            p_value=found.p_value,
            statistic=statistic,
            detail=f"Planned {planned}, observed {counts} (chi-square {found.statistic:.1f}, p = {found.p_value:.3f}).",
        )
    size = "customers in a variant of weight 0" if statistic is None else f"chi-square {statistic:.1f}, p < 0.001"
    return Check(
        check="sample_ratio",
        status="stop",
        p_value=found.p_value,
        statistic=statistic,
        detail=f'Sample ratio mismatch in "{experiment.experiment_id}": planned {planned}, observed {counts} ({size}). '
        "Results are withheld. Check assignment and exposure logging before anything else.",
    )


def several_variants(several: int, units: int) -> Check:
    """Report customers seen in more than one variant; they are in no result."""
    share = several / units if units else 0.0
    return Check(
        check="several_variants",
        status="warning" if share > MANY_SEVERAL else "ok",
        detail=f"{grouped(several)} of {grouped(units)} customers were seen in several variants and are left out.",
    )


def unknown_variants(unknown: Mapping[str, int]) -> Check:
    """Report customers in variants that the plan does not name; they are in no result."""
    customers = sum(unknown.values())
    named = ", ".join(f'"{name}" {grouped(count)}' for name, count in sorted(unknown.items()))
    found = f"{grouped(customers)} customers were seen in variants outside the plan and are left out: {named}."
    return Check(
        check="unknown_variants",
        status="warning" if customers else "ok",
        detail=found if customers else "Every variant seen is in the plan.",
    )


def incomplete_exposures(exposures: int) -> Check:
    """Report exposures that name no customer or no variant; they count nowhere."""
    return Check(
        check="incomplete_exposures",
        status="warning" if exposures else "ok",
        detail=f"{grouped(exposures)} exposures name no customer or no variant and are left out.",
    )


def left_out(metric: str, immature: int, unknown: int, units: int, windowed: bool) -> Check:
    """Report for one metric whose window is still open and whose value is not known; neither is in the metric."""
    if windowed:
        found = f"{grouped(immature)} of {grouped(units)} customers still have time in their window and are left out"
    else:
        found = f"No window: all {grouped(units)} customers count with everything until this date"
    if unknown:
        found += f"; {grouped(unknown)} are left out because an event of theirs carries no usable number"
    return Check(check=f"left_out.{metric}", status="warning" if immature or unknown else "ok", detail=f"{found}.")


def grouped(count: int) -> str:
    """Return a count with a space between thousands."""
    return f"{count:,}".replace(",", " ")
