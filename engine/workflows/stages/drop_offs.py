"""The drop-offs of a run's journeys: a part of the stage `journeys`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import ibis
import pyarrow.compute as pc

from engine.config.journeys import JourneySettings
from engine.config.risk import RiskSettings
from engine.domain.drop_off_marts import DROP_OFF_MARTS
from engine.lake.schema import naive_utc
from engine.workflows.drop_off_tables import Tables
from engine.workflows.stages.context import Context
from journeys import calendar, drop_off_study, signals, spec
from journeys.drop_off_study import Groups
from journeys.event_log import EventLog
from journeys.stays import Observer, Observers
from journeys.value import Money

MARTS: Final = tuple(mart.name for mart in DROP_OFF_MARTS)

_NOW: Final = {"cluster": ("segments", "cluster_name"), "value_tier": ("segments", "value_tier")}
_RISK: Final = {"risk_tier": ("risk", "risk_tier")}
_AGES: Final = ((30, "below 30"), (45, "30 to 44"), (60, "45 to 59"))


def write(context: Context, journeys: Sequence[JourneySettings]) -> None:
    """Write where customers left, what it costs, which friction goes along with it, and who is likely to be next."""
    log = _of_those_who_entered(context, journeys)
    names = log.event_names(context.engine, context.as_of)
    observers = [_observer(context, journey, names) for journey in journeys]
    attributes = {"channel", "product_id", *(name for one in observers for name in one.funnel.attributes())}
    watched = log.map_blocks(
        context.engine, Observers(observers=tuple(observers)), context.as_of, attributes=sorted(attributes)
    )
    groups, money = _groups(context), _money(context)
    tables = Tables()
    for observer in observers:
        study = drop_off_study.study(watched, observer, groups, money, seed=context.seed)
        tables.add(observer.journey, observer.funnel, study, None if money is None else money.currency)
    for name, rows in tables:
        context.builder.write_rows(name, rows)


def _of_those_who_entered(context: Context, journeys: Sequence[JourneySettings]) -> EventLog:
    """Return all events of the customers who took the first step of any journey; nobody else can drop off."""
    log = EventLog(table=context.tables["events"])
    first = sorted({name for journey in journeys for name in journey.steps[0].events})
    events = log.table
    entries = events.filter(events.customer_id.notnull(), events.event_name.isin(first))
    return replace(log, table=events.semi_join(entries.select("customer_id").distinct(), "customer_id"))


def _observer(context: Context, journey: JourneySettings, names: Sequence[str]) -> Observer:
    funnel = spec.of(journey)
    return Observer(
        journey=journey.journey,
        funnel=funnel,
        as_of=calendar.microseconds(context.as_of),
        signals=signals.of(funnel, {None: names}, channels=True),
        silence_seconds=signals.silence_seconds(funnel),
        product="product_id",
        products=journey.products,
    )


def _groups(context: Context) -> Groups:
    """Return the groups that describe who left, and the one known all along: their age."""
    chosen = {**_NOW, **_RISK}
    now = {
        name: context.rows(mart, ["customer_id", column])
        for name, (mart, column) in chosen.items()
        if context.wrote(mart)
    }
    if "customers" not in context.tables:
        return Groups(now=now)
    customers = context.tables["customers"]
    years = customers.birth_date.delta(ibis.date(naive_utc(context.as_of).date()), unit="day") / -365.25
    bands = [(years < below, name) for below, name in _AGES]
    band = ibis.cases((years.isnull(), ibis.null("string")), *bands, else_="60 and over")
    return Groups(now=now, lasting=context.engine.arrow(customers.select("customer_id", age=band)))


def _money(context: Context) -> Money | None:
    """Return margins of the catalogue and default probabilities of this run; None where either is missing."""
    if "products" not in context.tables or not context.wrote("risk"):
        return None
    columns = ("product_id", "annual_margin_minor", "typical_amount_minor", "is_credit", "lgd")
    products = context.engine.arrow(context.tables["products"].select(*columns))
    assumed = context.settings(RiskSettings, "risk").default_lgd
    lgd = pc.fill_null(products.column("lgd"), assumed)
    return Money(
        currency=context.bank.base_currency,
        products=products.set_column(products.schema.get_field_index("lgd"), "lgd", lgd),
        risk=context.rows("risk", ["customer_id", "default_probability"]),
    )
