"""The risk table as of an instant: what was known of whoever was lent to, and what is known of every customer now.

Characteristics are those known at the application: the newest bureau record not later than it and that of half a year
before, the whole months of bookings before it (`behaviour`), age and tenure on its day. A customer's income,
employment, education and dependants are kept without history, so that the present value stands in for the one at the
application.

A default counts only inside the outcome window, and a loan counts only when its window has closed by `as_of`, whether
it went bad or not: to take early defaults from windows still open would fill the latest months with bads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

import ibis

from engine.config.bank import BankSettings
from engine.config.risk import RiskSettings
from engine.domain.curated import BUREAU
from engine.domain.errors import NotEnoughData
from engine.domain.schema import Kind
from engine.lake.schema import instant
from engine.risk import behaviour, exposures
from engine.risk.characteristics import ACCOUNT_RECORD, BUREAU_RECORD, CHARACTERISTICS, Characteristic

Tables = Mapping[str, Any]
KNOWN, OPEN, CUT_SHORT = "known", "open", "cut_short"
"""What `outcome_state` says: the outcome is known, its window is open, or observation ended inside the window."""

_BUREAU_FIELDS = tuple(column.name for column in BUREAU if column.kind in (Kind.INTEGER, Kind.NUMBER, Kind.MONEY))
_CUSTOMER_FIELDS = (
    "birth_date", "joined_at", "income_monthly_minor", "dependants", "employment", "education", "gender",
    "marital_status", "region", "language",
)  # fmt: skip
_APPLICATION_FIELDS = ("requested_minor", "instalment_minor", "term_months")
UTILISATION_CHANGE = "utilisation_change_6m"
"""The one characteristic that compares two records of the bureau."""
_HALF_A_YEAR = ibis.interval(months=6)
_RECORDED = ("gender", "marital_status", "region", "language")
RECORDED = "recorded_"
"""How the name of a column begins that is there to compare groups with, and never input."""


def training(tables: Tables, as_of: datetime, settings: RiskSettings) -> Any:
    """Return one row per application booked by `as_of`, with its characteristics and its outcome.

    Columns: application_id, customer_id, applied_at, booked_at, outcome_state, bad (empty unless the state is known),
    signal_at (the bureau record used), application ("yes"), then the characteristics that settings allow.

    Raises
    ------
    NotEnoughData
        There is no table of outcomes.
    """
    if "outcomes" not in tables:
        raise NotEnoughData("default probability", "there is no table outcomes", "booked loans and which defaulted")
    booked = _booked(tables, as_of, settings)
    wide = _at_application(booked, tables)
    kept = ("application_id", "customer_id", "applied_at", "booked_at", "outcome_state", "bad", "signal_at")
    return wide.select(*kept, application=ibis.literal("yes"), **_characteristics(wide, settings))


def scoring(tables: Tables, as_of: datetime, settings: RiskSettings, bank: BankSettings) -> Any:
    """Return one row per customer joined by `as_of`: characteristics as of then, exposure and loss in a default.

    Nobody is applying: `application` is "no" and what is asked for is empty. `signal_at` is the newest bureau
    record; where the bank has no bureau at all it is `as_of`, the instant of the bank's own records.
    """
    wide = _as_of(tables, as_of)
    signal = wide.signal_at if "bureau" in tables else wide.applied_at
    applying = ibis.literal("no")
    scored = wide.select("customer_id", application=applying, **_characteristics(wide, settings), signal_at=signal)
    lent = exposure(tables, as_of, settings, bank)
    joined = scored.left_join(lent, "customer_id")
    return joined.select(
        *scored.columns,
        exposure_minor=joined.exposure_minor.fill_null(0),
        default_loss_minor=joined.default_loss_minor.fill_null(0),
    )


def applicants(tables: Tables, as_of: datetime, settings: RiskSettings) -> Any:
    """Return one row per application for credit handed in by `as_of`, whatever was decided, with its characteristics.

    Columns: application_id, customer_id, product_id, applied_at, decision ("pending" where it was made later),
    booked_at, outcome_state and bad (empty unless it was booked and the outcome is known), signal_at, application
    ("yes"), the characteristics that settings allow, and what they protect under `recorded_` and its name: to compare
    groups with, never as input.

    Raises
    ------
    NotEnoughData
        There is no table of applications.
    """
    if "applications" not in tables:
        raise NotEnoughData("applications", "there is no table applications", "what was applied for, and the decisions")
    asked, moment = tables["applications"], instant(as_of)
    asked = asked.filter(asked.applied_at <= moment)
    if "products" in tables:
        lending = tables["products"].filter(lambda product: product.is_credit).select(of_product="product_id")
        asked = asked.semi_join(lending, asked.product_id == lending.of_product)
    decided = (asked.decided_at <= moment).fill_null(False).ifelse(asked.decision, "pending")
    kept = ("application_id", "customer_id", "product_id", "applied_at")
    rows = asked.select(*kept, decision=decided, **_same(_APPLICATION_FIELDS))
    rows = _with_outcome(rows, tables, as_of, settings)
    wide = _at_application(rows, tables)
    found = ("decision", "booked_at", "outcome_state", "bad", "signal_at")
    made = {name: value for name, value in _characteristics(wide, settings).items() if name != "product_id"}
    recorded = {f"{RECORDED}{name}": wide[name] for name in _RECORDED}
    return wide.select(*kept, *found, application=ibis.literal("yes"), **made, **recorded)


def snapshot(tables: Tables, at: datetime, settings: RiskSettings, only: Collection[str] | None = None) -> Any:
    """Return one row per customer joined by a date: what `scoring` gives for it, without exposure.

    Columns: customer_id, at, signal_at, application ("no"), then the characteristics that settings allow, or those
    `only`, such as the inputs of a scorecard: what nobody asks for is not worked out for every month's end.
    """
    wide = _as_of(tables, at, only)
    signal = wide.signal_at if "bureau" in tables else wide.applied_at
    applying = ibis.literal("no")
    made = {name: one for name, one in _characteristics(wide, settings).items() if only is None or name in only}
    return wide.select("customer_id", at=wide.applied_at, signal_at=signal, application=applying, **made)


def exposure(tables: Tables, as_of: datetime, settings: RiskSettings, bank: BankSettings) -> Any:
    """Return, per customer with credit, what is owed or could be drawn and what a default would lose of it.

    In minor units of the base currency; see `exposures.lines`.
    """
    if "holdings" not in tables or "products" not in tables:
        zero = ibis.literal(0, type="int64")
        none = tables["customers"].filter(ibis.literal(False))
        return none.select("customer_id", exposure_minor=zero, default_loss_minor=zero)
    return exposures.per_customer(tables, as_of, settings, bank)


def allowed(settings: RiskSettings) -> tuple[Characteristic, ...]:
    """Return the characteristics that may be input: all but those the settings protect."""
    return tuple(one for one in CHARACTERISTICS if one.name not in settings.protected)


def _booked(tables: Tables, as_of: datetime, settings: RiskSettings) -> Any:
    """Return the booked loans with what was asked for, and the state of their outcome."""
    outcomes = tables["outcomes"]
    booked = _labelled(outcomes.filter(outcomes.booked_at <= instant(as_of)), as_of, settings)
    if "applications" not in tables:
        return booked.mutate(applied_at=booked.booked_at, **{name: _null("int64") for name in _APPLICATION_FIELDS})
    asked = tables["applications"].select("application_id", asked_at="applied_at", **_same(_APPLICATION_FIELDS))
    joined = booked.left_join(asked, "application_id").select(*booked.columns, "asked_at", *_APPLICATION_FIELDS)
    # an application cannot follow its booking: where the dates say so, the booking is when it was known
    applied = ibis.least(joined.asked_at.coalesce(joined.booked_at), joined.booked_at)
    return joined.mutate(applied_at=applied).drop("asked_at")


def _with_outcome(rows: Any, tables: Tables, as_of: datetime, settings: RiskSettings) -> Any:
    if "outcomes" not in tables:
        unknown = {"booked_at": _null("timestamp(6)"), "outcome_state": _null("string"), "bad": _null("boolean")}
        return rows.mutate(**unknown)
    outcomes = tables["outcomes"]
    known = _labelled(outcomes.filter(outcomes.booked_at <= instant(as_of)), as_of, settings)
    known = known.select("application_id", "booked_at", "outcome_state", "bad")
    return rows.left_join(known, "application_id").select(*rows.columns, "booked_at", "outcome_state", "bad")


def _labelled(outcomes: Any, as_of: datetime, settings: RiskSettings) -> Any:
    moment = instant(as_of)
    kept = ("application_id", "customer_id", "product_id", "booked_at")
    if settings.outcome == "ever":
        ever = outcomes.defaulted_at.notnull() & (outcomes.defaulted_at <= moment)
        return outcomes.select(*kept, outcome_state=ibis.literal(KNOWN), bad=ever)
    closes = outcomes.booked_at + ibis.interval(months=settings.outcome_months)
    within = outcomes.defaulted_at.notnull() & (outcomes.defaulted_at <= closes)
    state = ibis.cases(
        (closes > moment, OPEN), (within, KNOWN), (outcomes.observed_until < closes, CUT_SHORT), else_=KNOWN
    )
    stated = outcomes.select(*kept, outcome_state=state, within=within)
    bad = (stated.outcome_state == KNOWN).ifelse(stated.within, _null("boolean"))
    return stated.mutate(bad=bad).drop("within")


def _as_of(tables: Tables, at: datetime, only: Collection[str] | None = None) -> Any:
    """Return every customer joined by an instant with what was known then; what is in `only` at least."""
    customers, moment = tables["customers"], instant(at)
    people = customers.filter(customers.joined_at <= moment).select("customer_id", applied_at=moment)
    people = people.mutate(product_id=_null("string"), **{name: _null("int64") for name in _APPLICATION_FIELDS})
    lived = only is None or not {ACCOUNT_RECORD, *behaviour.COUNTED}.isdisjoint(only)
    known = behaviour.add(people, tables if lived else {}, ACCOUNT_RECORD, at)
    change = only is None or UTILISATION_CHANGE in only
    dates = _dates_per_customer(tables, moment)
    return _with_bureau(_with_customer(known, tables["customers"]), tables, dates, "customer_id", change=change)


def _at_application(rows: Any, tables: Tables) -> Any:
    """Add what was known of each row's customer at its `applied_at`."""
    # first, while the rows are narrow: they are read once for each thing that is joined
    known = behaviour.add(rows, tables, ACCOUNT_RECORD)
    dates = _dates_per_application(rows, tables)
    return _with_bureau(_with_customer(known, tables["customers"]), tables, dates, "application_id", change=True)


def _with_customer(rows: Any, customers: Any) -> Any:
    known = customers.select("customer_id", **_same(_CUSTOMER_FIELDS))
    return rows.left_join(known, "customer_id").select(*rows.columns, *_CUSTOMER_FIELDS)


def _dates_per_application(booked: Any, tables: Tables) -> Any:
    """Return the newest bureau record not later than each application, and than half a year before it."""
    if "bureau" not in tables:
        return None
    records = tables["bureau"].select(of_customer="customer_id", reported_at="reported_at")
    earlier = (booked.customer_id == records.of_customer) & (records.reported_at <= booked.applied_at)
    pairs = booked.inner_join(records, earlier)
    long_before = pairs.reported_at <= pairs.applied_at - _HALF_A_YEAR
    newest = pairs.group_by("application_id").agg(
        signal_at=pairs.reported_at.max(), before_at=pairs.reported_at.max(where=long_before)
    )
    return newest.select("signal_at", "before_at", of_row="application_id")


def _dates_per_customer(tables: Tables, moment: Any) -> Any:
    if "bureau" not in tables:
        return None
    records = tables["bureau"]
    records = records.filter(records.reported_at <= moment)
    newest = records.group_by("customer_id").agg(
        signal_at=records.reported_at.max(),
        before_at=records.reported_at.max(where=records.reported_at <= moment - _HALF_A_YEAR),
    )
    return newest.select("signal_at", "before_at", of_row="customer_id")


def _with_bureau(rows: Any, tables: Tables, dates: Any, key: str, *, change: bool) -> Any:
    """Add the bureau record of the given dates and, for a `change`, what was in use of limits half a year before."""
    if dates is None:
        fields = {name: _null("float64") for name in (*_BUREAU_FIELDS, "utilisation_before")}
        return rows.mutate(signal_at=_null("timestamp(6)"), **fields)
    dated = rows.left_join(dates, rows[key] == dates.of_row).drop("of_row")
    records = tables["bureau"].select(of_customer="customer_id", reported_at="reported_at", **_same(_BUREAU_FIELDS))
    same = (dated.customer_id == records.of_customer) & (dated.signal_at == records.reported_at)
    now = dated.left_join(records, same).drop("of_customer", "reported_at")
    if not change:
        return now.mutate(utilisation_before=_null("float64")).drop("before_at")
    earlier = tables["bureau"].select(
        of_customer="customer_id", reported_at="reported_at", utilisation_before="utilisation_rate"
    )
    before = (now.customer_id == earlier.of_customer) & (now.before_at == earlier.reported_at)
    return now.left_join(earlier, before).drop("of_customer", "reported_at", "before_at")


def _characteristics(wide: Any, settings: RiskSettings) -> dict[str, Any]:
    """Return the allowed characteristics as expressions over the joined row: numbers as floats, words as text."""
    income = wide.income_monthly_minor.nullif(0).cast("float64")
    days = wide.applied_at.date().delta(wide.joined_at.date(), unit="day")
    made = {
        "age_years": (wide.applied_at.date().delta(wide.birth_date, unit="day") / 365.25).floor(),
        "tenure_months": (days >= 0).ifelse((days / 30.4375).floor(), _null("float64")),
        BUREAU_RECORD: wide.signal_at.notnull().ifelse("yes", "no"),
        UTILISATION_CHANGE: wide.utilisation_rate - wide.utilisation_before,
        "debt_to_income": wide.instalments_monthly_minor / income,
        "balance_to_income": wide.total_balance_minor / income,
        "requested_to_income": wide.requested_minor / income,
        "instalment_to_income": wide.instalment_minor / income,
    }
    types = {Kind.TEXT: "string", Kind.NUMBER: "float64"}
    return {
        one.name: (made[one.name] if one.name in made else wide[one.name]).cast(types[one.kind])
        for one in allowed(settings)
    }


def _null(kind: str) -> Any:
    return ibis.null(kind)


def _same(names: Iterable[str]) -> dict[str, str]:
    return {name: name for name in names}
