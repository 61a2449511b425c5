"""Checks that come before any result: an experiment that fails one shows no numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import inf
from typing import Final, Literal

import numpy as np

from engine.config.experiments import ExperimentSettings, Nulls
from experiments import effects, health_zh
from experiments import sample_ratio as sample_ratios
from experiments.estimates import ArmEstimate
from experiments.sample_ratio import ALARM, FEWEST, SEQUENTIAL_ALARM, Epoch, GroupRatio
from experiments.writing import grouped

DOUBT: Final = 0.01
"""A difference before exposure this unlikely is worth a look, and no reason yet to withhold results."""

MANY_SEVERAL: Final = 0.01
"""Share of customers in several variants above which the rest may no longer be a fair sample."""

MOST_SEVERAL: Final = 0.1
"""The same share above which it certainly is not, so that results are withheld."""

MANY_LATE: Final = 0.01
"""Share to warn of: events that arrived late, rows that repeat another, customers whose event came too early."""

WEEK: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

UNEVEN: Final = 1.25
"""A day of the week with so much more than its seventh of the days tilts the result towards what is done on it."""

Status = Literal["ok", "warning", "stop"]
Ramp = Sequence[tuple[Epoch, Mapping[str, float] | None]]
"""Epochs and the split that was planned for each; None for a day within which the plan changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check: what was found, in a sentence of either language, and whether results may be shown."""

    check: str
    status: Status
    detail: str
    p_value: float | None = None
    statistic: float | None = None
    detail_zh: str = ""


def sample_ratio(experiment: ExperimentSettings, observed: Mapping[str, int], *, looks: bool = True) -> Check:
    """Check the split; `stop` when it is not the planned one.

    looks : with True the p-value may be looked at every day (sequential); with False this is the only look.
    """
    single = sample_ratios.once(observed, experiment.weights)
    found = sample_ratios.sequential_test(observed, experiment.weights) if looks else single
    assumed_zh = "（假定，没有书面记录）" if experiment.weights_assumed else ""
    assumed = " (assumed, nobody wrote it down)" if experiment.weights_assumed else ""
    if found is None or single is None:
        return Check(
            check="sample_ratio",
            status="stop",
            detail=f'Nobody has been exposed to "{experiment.experiment_id}" by this date. Results are withheld.',
            detail_zh=health_zh.nobody(experiment.experiment_id),
        )
    planned, planned_zh = (_split(experiment.weights) + said for said in (assumed, assumed_zh))
    counts = ":".join(grouped(observed.get(name, 0)) for name in experiment.weights)
    statistic = None if found.statistic == inf else found.statistic
    often = ", however often it is looked at" if looks else ""
    if found.p_value >= (SEQUENTIAL_ALARM if looks else ALARM):
        return Check(
            check="sample_ratio",
            status="ok",
            p_value=found.p_value,
            statistic=statistic,
            detail=f"Planned {planned}, observed {counts} "
            f"(chi-square {found.statistic:.1f}, {shown(found.p_value)}{often}).",
            detail_zh=health_zh.ratio(
                planned_zh, counts, f"卡方 {found.statistic:.1f}，{shown(found.p_value)}", often=looks
            ),
        )
    size, size_zh = (
        ("customers in a variant of weight 0", "权重为 0 的组出现客户")
        if statistic is None
        else (f"chi-square {statistic:.1f}, {shown(single.p_value)}", f"卡方 {statistic:.1f}，{shown(single.p_value)}")
    )
    return Check(
        check="sample_ratio",
        status="stop",
        p_value=found.p_value,
        statistic=statistic,
        detail=f'Sample ratio mismatch in "{experiment.experiment_id}": planned {planned}, observed {counts} ({size}). '
        "Results are withheld. Check assignment and exposure logging before anything else.",
        detail_zh=health_zh.mismatch(experiment.experiment_id, planned_zh, counts, size_zh),
    )


def over_time(
    daily: Mapping[date, Mapping[str, int]], weights: Mapping[str, float], today: date, ramp: Ramp = ()
) -> tuple[Check, ...]:
    """Check how customers came in by day: the split of each day, whether it changed on the way, and whole weeks.

    daily : customers of each arm by the day of their first exposure. today : not over yet, so not judged on its own.
    ramp : the epochs for which another split was planned.
    """
    if not daily:
        return ()
    over = {day: counts for day, counts in daily.items() if day < today}
    return (
        sample_ratio_by_day(over, weights, ramp),
        allocation(sample_ratios.epochs(daily)),
        weekdays(min(daily), max(daily)),
    )


def sample_ratio_by_day(
    daily: Mapping[date, Mapping[str, int]], weights: Mapping[str, float], ramp: Ramp = ()
) -> Check:
    """Check the split of each day on its own, corrected for the number of days; a day counts when it is over.

    ramp : the epochs for which another split was planned; their days are held to that one, or to none.
    """
    planned = {day: split for span, split in ramp for day in daily if span.first <= day <= span.last}
    judged = {day: counts for day, counts in sorted(daily.items()) if planned.get(day, weights) is not None}
    days = {day.isoformat(): counts for day, counts in judged.items()}
    plans = {day.isoformat(): split for day, split in planned.items() if split is not None}
    found = sample_ratios.by_group(days, weights, looks=False, plans=plans)
    return _by_group("sample_ratio_by_day", "day", found, weights, alarm=ALARM, plans=plans)


def sample_ratio_by_dimension(
    dimension: str,
    groups: Mapping[str, Mapping[str, int]],
    weights: Mapping[str, float],
    *,
    plans: Mapping[str, Mapping[str, float]] | None = None,
) -> Check:
    """Check the split within each value of a dimension known at exposure, at every look, corrected for their number.

    plans : weights of groups that were planned otherwise: of a value within an epoch of a ramp.
    """
    found = sample_ratios.by_group(groups, weights, looks=True, plans=plans)
    return _by_group(f"sample_ratio_by.{dimension}", dimension, found, weights, alarm=SEQUENTIAL_ALARM, plans=plans)


def sample_ratio_by_epoch(ramp: Ramp) -> Check:
    """Check the split of each epoch of a ramp against the one planned for it; one without a plan is not judged."""
    plans = {span.name: weights for span, weights in ramp if weights is not None}
    counts = {span.name: span.counts for span, weights in ramp if weights is not None}
    found = sample_ratios.by_group(counts, {}, looks=True, plans=plans)
    return _by_group("sample_ratio_by_epoch", "epoch", found, {}, alarm=SEQUENTIAL_ALARM, plans=plans)


def allocation(epochs: Sequence[Epoch]) -> Check:
    """Report when the split changed on the way; effects are then put together from the epochs, never pooled.

    Pooled arms of a changed split differ in when their customers came (Simpson's paradox).
    """
    if len(epochs) < 2:
        return Check(
            check="allocation",
            status="ok",
            detail="The split did not change on the way.",
            detail_zh=health_zh.same_split(),
        )
    seen = [(epoch.first.isoformat(), epoch.last.isoformat(), _split(epoch.counts)) for epoch in epochs]
    spans = "; ".join(f"{first} to {last} {split}" for first, last, split in seen)
    return Check(
        check="allocation",
        status="warning",
        detail=f"The split changed on the way: {spans}. "
        "Arms differ in when their customers came: only effects within these spans are fair.",
        detail_zh=health_zh.changed_split("；".join(f"{first} 至 {last} {split}" for first, last, split in seen)),
    )


def balance(covariates: Mapping[str, Mapping[str, ArmEstimate | None]], control: str) -> Check:
    """Check that what was known before exposure is alike in all arms, corrected for all comparisons (Bonferroni).

    covariates : of each covariate the mean of each arm. What has no spread, or too few customers, is not compared.
    """
    found = {}
    for name, arms in covariates.items():
        of_control = arms[control]
        for variant, estimate in arms.items():
            if variant == control or estimate is None or of_control is None:
                continue
            effect = effects.contrast(estimate, of_control, method="welch")
            if effect.p_value is not None:
                found[name, variant] = effect.p_value
    if not found:
        nothing = "There is no covariate of before exposure to compare."
        return Check(check="balance", status="ok", detail=nothing, detail_zh=health_zh.no_covariate())
    (worst, variant), least = min(found.items(), key=lambda one: one[1])
    p_value = min(1.0, least * len(found))
    of = f"{len(found)} comparisons of covariates with control"
    if p_value >= ALARM:
        return Check(
            check="balance",
            status="ok" if p_value >= DOUBT else "warning",
            p_value=p_value,
            detail=f'Of {of} the largest difference is "{worst}" in "{variant}" ({shown(p_value)}, corrected).',
            detail_zh=health_zh.balance(len(found), worst, variant, shown(p_value)),
        )
    return Check(
        check="balance",
        status="stop",
        p_value=p_value,
        detail=f'"{worst}" differed between "{variant}" and "{control}" before anyone was exposed ({shown(p_value)}, '
        f"corrected for {of}). Results are withheld. Check how customers were assigned.",
        detail_zh=health_zh.imbalance(len(found), worst, variant, control, shown(p_value)),
    )


def several_variants(several: int, units: int) -> Check:
    """Report customers seen in more than one variant; they are in no result."""
    share = several / units if units else 0.0
    found = f"{grouped(several)} of {grouped(units)} customers were seen in several variants and are left out."
    if share > MOST_SEVERAL:
        found += " Results are withheld: who is left is no fair sample. Check how customers are identified."
    return Check(
        check="several_variants",
        status="stop" if share > MOST_SEVERAL else "warning" if share > MANY_SEVERAL else "ok",
        detail=found,
        detail_zh=health_zh.several(grouped(several), grouped(units), stopped=share > MOST_SEVERAL),
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
        detail_zh=health_zh.unplanned(grouped(customers), named) if customers else health_zh.all_planned(),
    )


def incomplete_exposures(exposures: int) -> Check:
    """Report exposures that name no customer or no variant; they count nowhere."""
    return Check(
        check="incomplete_exposures",
        status="warning" if exposures else "ok",
        detail=f"{grouped(exposures)} exposures name no customer or no variant and are left out.",
        detail_zh=health_zh.incomplete(grouped(exposures)),
    )


def outside_period(exposures: int) -> Check:
    """Report exposures before the start or after the end of the experiment; they count nowhere."""
    return Check(
        check="outside_period",
        status="warning" if exposures else "ok",
        detail=f"{grouped(exposures)} exposures are before the start or after the end of the experiment and do not "
        "count.",
        detail_zh=health_zh.outside(grouped(exposures)),
    )


def inactive(event: str, missing: Mapping[str, int], units: Mapping[str, int]) -> Check:
    """Check who never came as far as the activation event; `stop` when that depends on the variant.

    missing : customers of each arm without the event at or after their exposure; they are in no result.
    """
    return _alike(
        "activation",
        f'had no "{event}" after their exposure and are left out',
        missing,
        units,
        what_zh=health_zh.inactive(event),
        warns=False,
    )


def left_out(metric: str, immature: int, unknown: int, units: int, windowed: bool) -> Check:
    """Report for one metric whose window is still open and whose value is not known; neither is in the metric."""
    if windowed:
        found = f"{grouped(immature)} of {grouped(units)} customers still have time in their window and are left out"
    else:
        found = f"No window: all {grouped(units)} customers count with everything until this date"
    if unknown:
        found += f"; {grouped(unknown)} are left out because an event of theirs carries no usable number"
    return Check(
        check=f"left_out.{metric}",
        status="warning" if immature or unknown else "ok",
        detail=f"{found}.",
        detail_zh=health_zh.left_out(
            grouped(immature), grouped(unknown) if unknown else None, grouped(units), windowed=windowed
        ),
    )


def unknown_values(metric: str, unknown: Mapping[str, int], units: Mapping[str, int], nulls: Nulls) -> Check:
    """Check that a metric's value is unknown equally often in every arm; `stop` when the variant changes who is known.

    unknown, units : customers per arm, and those of them without a known value. With nulls "error" one is enough.
    """
    done = {"drop": "are left out", "zero": "count as 0", "error": "may not be there"}[nulls]
    return _alike(
        f"unknown_values.{metric}",
        f"have no known value and {done}",
        unknown,
        units,
        what_zh=health_zh.unknown_values(nulls),
        any_stops=nulls == "error",
    )


def exposure_race(metric: str, early: Mapping[str, int], units: Mapping[str, int]) -> Check:
    """Check for customers whose event came before the exposure that should have caused it.

    early : customers per arm with the metric's event shortly before their first exposure. When that differs between
        arms the exposure is logged too late in one of them, and what it loses is its effect.
    """
    return _alike(
        f"exposure_race.{metric}",
        f'had the event of "{metric}" shortly before exposure',
        early,
        units,
        what_zh=health_zh.early_event(metric),
    )


def late_events(late: int, events: int, days: float) -> Check:
    """Report events that arrived more than `days` after they occurred: the latest days are not complete yet."""
    many = events > 0 and late / events > MANY_LATE
    found = f"{grouped(late)} of {grouped(events)} events arrived more than {days:g} days after they occurred"
    return Check(
        check="late_events",
        status="warning" if many else "ok",
        detail=f"{found}; the last {days:g} days are not complete." if many else f"{found}.",
        detail_zh=health_zh.late(grouped(late), grouped(events), days, many=many),
    )


def duplicates(table: str, repeated: int, rows: int) -> Check:
    """Report rows that repeat another in every column; sums count them twice."""
    return Check(
        check=f"duplicates.{table}",
        status="warning" if rows and repeated / rows > MANY_LATE else "ok",
        detail=f"{grouped(repeated)} of {grouped(rows)} rows of {table} repeat another.",
        detail_zh=health_zh.duplicates(table, grouped(repeated), grouped(rows)),
    )


def weekdays(first: date, last: date) -> Check:
    """Check that every day of the week was seen equally often, from the first to the last day of exposures.

    Over many weeks one more Thursday weighs little: it warns while a day has over a quarter more than its seventh.
    """
    days = (last - first).days + 1
    spare = days % 7
    if days >= 7 and not spare:
        whole = f"{days} days: every day of the week was seen equally often."
        return Check(check="weekdays", status="ok", detail=whole, detail_zh=health_zh.whole_weeks(days))
    names = [(first.weekday() + step) % 7 for step in range(spare)]
    more = ", ".join(WEEK[name] for name in names)
    seen = f"only {more}" if days < 7 else f"{more} once more than the others"
    until = (last + timedelta(days=7 - spare)).isoformat()
    status: Status = "warning" if -(-days // 7) / days > UNEVEN / 7 else "ok"
    return Check(
        check="weekdays",
        status=status,
        detail=f"{days} days saw {seen}. Whole weeks are complete on {until}.",
        detail_zh=health_zh.part_of_week(days, names, until),
    )


def withheld(checks: Sequence[Check]) -> str | None:
    """Return the sentence of the first check that withholds results; None when they may be shown."""
    return next((check.detail for check in checks if check.status == "stop"), None)


def _alike(
    check: str,
    what: str,
    found: Mapping[str, int],
    units: Mapping[str, int],
    *,
    what_zh: str,
    any_stops: bool = False,
    warns: bool = True,
) -> Check:
    """Check that the share of customers of whom something is true does not differ between the arms."""
    some, everybody = sum(found.values()), sum(units.values())
    by_arm = ", ".join(f'"{name}" {grouped(found.get(name, 0))} of {grouped(count)}' for name, count in units.items())
    by_arm_zh = "，".join(f"“{name}” {grouped(found.get(name, 0))}/{grouped(count)}" for name, count in units.items())
    detail = f"{grouped(some)} of {grouped(everybody)} customers {what}"
    sizes = grouped(some), grouped(everybody), what_zh
    p_value = _homogeneity(found, units)
    if any_stops and some:
        return Check(
            check=check,
            status="stop",
            p_value=p_value,
            detail=f"{detail}. Results are withheld.",
            detail_zh=health_zh.alike(*sizes, stopped=True),
        )
    if p_value is not None and p_value < ALARM:
        return Check(
            check=check,
            status="stop",
            p_value=p_value,
            detail=f"{detail}, not equally often in every variant: {by_arm} ({shown(p_value)}). Results are withheld.",
            detail_zh=health_zh.unlike(*sizes, by_arm_zh, shown(p_value)),
        )
    many = warns and everybody > 0 and some / everybody > MANY_LATE
    return Check(
        check=check,
        status="warning" if many else "ok",
        p_value=p_value,
        detail=f"{detail}.",
        detail_zh=health_zh.alike(*sizes),
    )


def _homogeneity(found: Mapping[str, int], units: Mapping[str, int]) -> float | None:
    """Return the p-value of one share in all arms, exact for two arms of small counts; None for nothing to compare."""
    from scipy import stats  # noqa: PLC0415  half a second to import, and few questions need it

    table = np.array([[found.get(name, 0), count - found.get(name, 0)] for name, count in units.items() if count])
    if len(table) < 2 or not table.sum(axis=0).all():
        return None
    expected = stats.contingency.expected_freq(table)
    if len(table) == 2 and expected.min() < FEWEST:
        return float(stats.fisher_exact(table).pvalue)
    return float(stats.chi2_contingency(table, correction=False).pvalue)


def _by_group(
    check: str,
    kind: str,
    found: Sequence[GroupRatio],
    weights: Mapping[str, float],
    *,
    alarm: float,
    plans: Mapping[str, Mapping[str, float]] | None = None,
) -> Check:
    if not found:
        nothing = f"There is no {kind} with customers to compare."
        return Check(check=check, status="ok", detail=nothing, detail_zh=health_zh.no_group(kind))
    worst = min(found, key=lambda one: one.adjusted_p_value)
    p_value = worst.adjusted_p_value
    off = sum(one.adjusted_p_value < alarm for one in found)
    if not off:
        return Check(
            check=check,
            status="ok",
            p_value=p_value,
            detail=f"The split is the planned one in each {kind}, {len(found)} in all ({shown(p_value)}, corrected).",
            detail_zh=health_zh.each_split(kind, len(found), shown(p_value)),
        )
    planned = (plans or {}).get(worst.group, weights)
    counts = ":".join(grouped(worst.counts.get(name, 0)) for name in planned)
    return Check(
        check=check,
        status="stop",
        p_value=p_value,
        detail=f"The split is not the planned one for {off} of {len(found)} values of {kind}, "
        f'most of all "{worst.group}": planned {_split(planned)}, observed {counts} ({shown(p_value)}, corrected). '
        "Results are withheld.",
        detail_zh=health_zh.some_split(
            kind,
            off,
            len(found),
            worst.group,
            {"planned": _split(planned), "counts": counts, "p_value": shown(p_value)},
        ),
    )


def _split(weights: Mapping[str, float]) -> str:
    whole = sum(weights.values())
    return ":".join(f"{100 * weight / whole:.4g}" for weight in weights.values()) if whole else "nobody"


def shown(p_value: float) -> str:
    """Return a p-value as a sentence carries it."""
    return "p < 0.001" if p_value < ALARM else f"p = {p_value:.3f}"
