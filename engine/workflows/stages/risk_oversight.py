"""Watching the model and the portfolio, as part of the stage risk: what it finds makes the gate careful.

Everything is worked out from the tables of the run, the past too: earlier runs are not read, so that a run made again
comes out the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.config.risk import RiskSettings
from engine.domain.errors import NotEnoughData
from engine.domain.marts import MARTS
from engine.domain.words import RiskTier
from engine.lake.schema import arrow_schema, naive_utc, to_contract
from engine.numerics.months import months_before
from engine.risk import early_warning, fairness, migration, model, monitoring, reassessment, table, validation
from engine.risk.caution import Caution
from engine.risk.early_warning import watch_texts
from engine.risk.fairness import Cases
from engine.risk.model import RiskModel
from engine.risk.rejects import Applicants, infer
from engine.risk.stability import Shift
from engine.risk.tiers import is_fresh
from engine.workflows.stages.context import Context

WRITES: Final = (
    "risk_stability",
    "risk_cautions",
    "risk_moves",
    "risk_vintages",
    "risk_watch_list",
    "risk_reassessment",
    "risk_fairness",
    "risk_reject_inference",
)
_ORDER: Final = (RiskTier.LOW.value, RiskTier.MEDIUM.value, RiskTier.HIGH.value)
_TIERS: Final = {"customer_id": "string", "risk_tier": "string"}
_STATES: Final = (*_ORDER, RiskTier.UNKNOWN.value, migration.NEW, migration.LEFT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overseen:
    """What the gate is told: why to be careful, and by when every customer of the mart risk is assessed again.

    `reassess_at` is NaT for who was never assessed.
    """

    cautions: tuple[Caution, ...]
    reassess_at: np.ndarray


def oversee(
    context: Context, settings: RiskSettings, fitted: RiskModel | None, graded: pa.Table, facts: dict[str, Any]
) -> Overseen:
    """Write every mart of WRITES that can be made, note why the others cannot, and return what the gate is told."""
    applicants = _applicants(context, settings)
    months = Months() if fitted is None else _through_the_months(context, settings, fitted)
    found = _monitored(context, settings, fitted, applicants, months)
    _write(context, "risk_stability", found.to_rows())
    _write(context, "risk_cautions", [{"place": at, **row} for at, row in enumerate(found.caution_rows())])
    _write(context, "risk_moves", _moves(context, settings, graded, months.before))
    _write(context, "risk_vintages", _vintages(context, settings))
    events, silent = _events(context, settings, months.worsened)
    watched = early_warning.watch_list(events, context.as_of, settings.early_warning)
    _write_table(context, "risk_watch_list", watch_texts(watched, settings.early_warning))
    due = reassessment.due_dates(graded, watched, context.as_of, settings.reassessment)
    _write_table(context, "risk_reassessment", due)
    _fair(context, settings, fitted, applicants, facts)
    _rejects(context, settings, fitted, applicants, facts)
    facts["notes"] = [*facts.get("notes", ()), *found.notes, *(f"caution: {each.text}" for each in found.cautions)]
    facts["silent_triggers"] = silent
    return Overseen(cautions=found.cautions, reassess_at=_bounds(due))


def _bounds(due: pa.Table) -> np.ndarray:
    """Return until when an answer may rest on the last assessment: not at all where there never was one.

    Such a customer is due at once and is refused credit for want of a signal; that is no reason for the rest of the
    answer to end in the instant in which it is given.
    """
    at: np.ndarray = due["reassess_at"].to_numpy().astype("datetime64[us]")
    return np.where(pc.is_null(due["last_assessed_at"]).to_numpy(), np.datetime64("NaT"), at)


def _applicants(context: Context, settings: RiskSettings) -> pa.Table | None:
    if "applications" not in context.tables:
        return None
    rows: pa.Table = context.engine.arrow(table.applicants(context.tables, context.as_of, settings))
    # the engine gives rows in any order, and sums of another order differ in their last bits
    return rows.sort_by("application_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Months:
    """What the customers at the month's ends told: how they moved, whose tier got worse, and the tiers to compare with.

    `before` holds customer_id, at and risk_tier as many months ago as settings compare; None where that is no month's
    end, and without a model.
    """

    shifts: tuple[Shift, ...] = ()
    worsened: tuple[pa.Table, ...] = ()
    before: pa.Table | None = None


def _through_the_months(context: Context, settings: RiskSettings, fitted: RiskModel) -> Months:
    """Look at the customers of one month's end after the other, so that no more than two are in memory."""
    ends = monitoring.month_ends(context.as_of, settings.stability.months)
    compared = months_before(context.as_of, settings.migration.months)
    first = _snapshot(context, settings, fitted, ends[0])
    bases, tiers = monitoring.references(fitted, first), _tiers(fitted, first)
    shifts, worsened, before = [], [], tiers if ends[0] == compared else None
    for begins, end in pairwise(ends):
        rows = _snapshot(context, settings, fitted, end)
        shifts += monitoring.of_customers(fitted, bases, rows, begins, end)
        earlier, tiers = tiers, _tiers(fitted, rows)
        worsened.append(early_warning.tier_events(earlier, tiers, settings.early_warning, _ORDER))
        before = tiers if end == compared else before
    return Months(shifts=tuple(shifts), worsened=tuple(worsened), before=before)


def _snapshot(context: Context, settings: RiskSettings, fitted: RiskModel, at: datetime) -> pa.Table:
    rows: pa.Table = context.engine.arrow(table.snapshot(context.tables, at, settings, fitted.scorecard.inputs))
    return rows


def _tiers(fitted: RiskModel, snapshot: pa.Table) -> pa.Table:
    return snapshot.select(["customer_id", "at"]).append_column("risk_tier", fitted.tiers(snapshot))


def _monitored(
    context: Context,
    settings: RiskSettings,
    fitted: RiskModel | None,
    applicants: pa.Table | None,
    months: Months,
) -> monitoring.Monitoring:
    if fitted is not None:
        return monitoring.monitor(fitted, context.as_of, applicants=applicants, customers=months.shifts)
    caution = monitoring.unmodelled(settings, "too few defaults are known.", "已知违约过少。")
    return monitoring.Monitoring(shifts=(), cautions=(caution,), notes=())


def _moves(context: Context, settings: RiskSettings, graded: pa.Table, before: pa.Table | None) -> list[dict[str, Any]]:
    rules = settings.migration
    found = []
    if before is not None:
        sides = {"_tiers_before": before, "_tiers_after": graded}
        for name, rows in sides.items():
            context.engine.attach(name, rows.select(["customer_id", "risk_tier"]))
        counted = context.engine.arrow(migration.tier_moves(*(ibis.table(_TIERS, name=name) for name in sides)))
        found += [{"kind": "tier", **move.to_row()} for move in migration.moves(counted, _STATES, rules)]
    delays = migration.delays(context.tables, context.as_of)
    if delays is not None:
        counted = context.engine.arrow(migration.roll_moves(delays, rules))
        rolled = migration.moves(counted, migration.buckets(rules), rules)
        found += [{"kind": "days_past_due", **move.to_row()} for move in rolled]
    return found


def _vintages(context: Context, settings: RiskSettings) -> list[dict[str, Any]]:
    if "outcomes" not in context.tables:
        return []
    counts = migration.vintage_counts(context.tables["outcomes"], context.as_of, settings.migration)
    cells = migration.vintages(context.engine.arrow(counts), settings.migration)
    return [cell.to_row() for cell in cells]


def _events(context: Context, settings: RiskSettings, worsened: Sequence[pa.Table]) -> tuple[pa.Table, dict[str, str]]:
    """Return every event of every trigger, and why some never fired."""
    rules = settings.early_warning
    expression, absent = early_warning.events(context.tables, context.as_of, rules)
    found = early_warning.EVENTS.empty_table() if expression is None else context.engine.arrow(expression)
    found = pa.concat_tables([found.cast(early_warning.EVENTS), *worsened])
    return found, early_warning.silent_triggers(found, rules, absent)


def _fair(
    context: Context,
    settings: RiskSettings,
    fitted: RiskModel | None,
    applicants: pa.Table | None,
    facts: dict[str, Any],
) -> None:
    if fitted is None or applicants is None:
        why = "there is no table applications" if applicants is None else "there is no model to look at"
        facts["absent"] = {**facts.get("absent", {}), "risk_fairness": f"Groups cannot be compared: {why}."}
        return
    cases = _cases(context, settings, fitted, applicants)
    found = fairness.assess(cases, settings.fairness, settings.credit.cut_offs.decline_from)
    _write(context, "risk_fairness", found.to_rows())
    facts["notes"] = [*facts.get("notes", ()), *(f"fairness: {note}" for note in found.notes)]


def _rejects(
    context: Context,
    settings: RiskSettings,
    fitted: RiskModel | None,
    applicants: pa.Table | None,
    facts: dict[str, Any],
) -> None:
    """Write what the scorecard would be with the refused guessed at; it decides nothing."""
    if fitted is None or applicants is None:
        why = "there is no table applications" if applicants is None else "there is no model to compare with"
        facts["absent"] = {**facts.get("absent", {}), "risk_reject_inference": f"No reject inference: {why}."}
        return
    accepted = model.of_known_outcome(applicants.filter(pc.equal(applicants["outcome_state"], table.KNOWN)))[0]
    # what the run's own model may learn from, by the loans that it learns from
    found = model.candidates(validation.split(accepted, settings)[0], settings)
    people = Applicants(
        accepted=accepted.select(found.names),
        bad=accepted["bad"].to_numpy().astype(bool),
        rejected=applicants.filter(pc.equal(applicants["decision"], "declined")).select(found.names),
        asked=found.asked,
    )
    cut_off = settings.credit.cut_offs.decline_from
    try:
        made = [infer(people, each, settings, cut_off, context.seed) for each in settings.reject_inference.methods]
    except NotEnoughData as fault:
        facts["absent"] = {**facts.get("absent", {}), "risk_reject_inference": fault.sentence}
        return
    _write(context, "risk_reject_inference", [row for each in made for row in each.to_rows()])
    facts["notes"] = [*facts.get("notes", ()), *sorted({f"rejects: {each.caution}" for each in made})]


def _cases(context: Context, settings: RiskSettings, fitted: RiskModel, applicants: pa.Table) -> Cases:
    """Return all applications for credit as cases; the price is the list rate of the product, where it was approved."""
    recorded = {
        name.removeprefix(table.RECORDED): applicants[name].to_numpy()
        for name in applicants.column_names
        if name.startswith(table.RECORDED)
    }
    ages = applicants["age_years"].to_numpy().astype(float) if "age_years" in applicants.column_names else None
    bands = {} if ages is None else {"age_band": fairness.age_bands(ages, settings.fairness)}
    groups = {**recorded, **bands}
    points, probability = fitted.points_and_probability(applicants)
    asked_at, signal_at = (applicants[name].to_numpy().astype("datetime64[us]") for name in ("applied_at", "signal_at"))
    # the engine's own rule: without a fresh record there is no tier, whatever the rest would say
    scored = is_fresh(signal_at, asked_at, settings.signal_max_age_days)
    decision = applicants["decision"].to_numpy()
    approved = np.select([decision == "approved", decision == "declined"], [1.0, 0.0], np.nan)
    rates = np.where(approved == 1, _list_rates(context, applicants), np.nan)
    return Cases(
        groups={name: groups[name] for name in settings.fairness.attributes if name in groups},
        probability=np.where(scored, probability, np.nan),
        score=np.where(scored, points, np.nan),
        approved=approved,
        rate=rates if np.isfinite(rates).any() else None,
        bad=applicants["bad"].cast(pa.float64()).to_numpy(),
    )


def _list_rates(context: Context, applicants: pa.Table) -> np.ndarray:
    if "products" not in context.tables:
        return np.full(applicants.num_rows, np.nan)
    rates = context.engine.arrow(context.tables["products"].select("product_id", "annual_rate"))
    place = pc.index_in(applicants["product_id"], value_set=rates["product_id"].combine_chunks())
    found: np.ndarray = rates["annual_rate"].take(place).to_numpy().astype(float)
    return found


def _write(context: Context, mart: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write plain rows as a mart; aware instants become naive UTC as they lie on disk."""
    stored = [
        {name: naive_utc(value) if hasattr(value, "tzinfo") else value for name, value in row.items()} for row in rows
    ]
    _write_table(context, mart, pa.Table.from_pylist(stored, arrow_schema(MARTS[mart])))


def _write_table(context: Context, mart: str, rows: pa.Table) -> None:
    context.builder.write_rows(mart, to_contract(MARTS[mart], rows))
