"""The credit that customers have: what is drawn and could be drawn of each line and loan, and what a default loses."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import ibis
import pyarrow as pa

from engine.config.bank import BankSettings
from engine.config.risk import RiskSettings
from engine.domain.money import minor_digits
from engine.lake.schema import instant

Tables = Mapping[str, Any]

NO_LINES: Final = pa.table(
    {
        "holding_id": pa.array([], pa.string()),
        "customer_id": pa.array([], pa.string()),
        "family": pa.array([], pa.string()),
        "drawn_minor": pa.array([], pa.int64()),
        "limit_minor": pa.array([], pa.int64()),
        "exposure_minor": pa.array([], pa.int64()),
        "at_default_minor": pa.array([], pa.int64()),
        "loss_minor": pa.array([], pa.int64()),
        "annual_rate": pa.array([], pa.float64()),
        "life_months": pa.array([], pa.float64()),
        "amortises": pa.array([], pa.bool_()),
    }
)
"""What `lines` gives of a bank that keeps no record of its holdings."""


def lines(tables: Tables, as_of: datetime, settings: RiskSettings, bank: BankSettings) -> Any:
    """Return one row per open credit holding, amounts in minor units of the base currency.

    Columns: holding_id, customer_id, family, drawn_minor (what is owed), limit_minor (0 where there is none),
    exposure_minor (what is owed or could be drawn), at_default_minor (what is owed at a default: of the undrawn limit
    the share that the family's conversion factor says), loss_minor (at_default x loss given default), annual_rate,
    life_months (left of the product's typical term, at least one; for a line without a term that of the settings) and
    amortises. Needs the tables holdings and products. A loan whose balance was taken after `as_of` counts with the
    amount lent.
    """
    credit = _open_credit(tables, as_of)
    rate = _rate(credit.currency, bank)
    limit = (credit.limit_minor.fill_null(0).cast("float64") * rate).round()
    drawn = (credit.owed.cast("float64") * rate).round()
    conversion = _conversion(credit.family, settings)
    at_default = (drawn + conversion * ibis.greatest(limit - drawn, 0.0)).round()
    age_months = credit.opened_at.date().delta(instant(as_of).date(), unit="day") / -30.4375
    has_term = credit.typical_term_months.fill_null(0) > 0
    left = ibis.greatest(1.0, (credit.typical_term_months - age_months).round())
    return credit.select(
        "holding_id",
        "customer_id",
        "family",
        drawn_minor=drawn.cast("int64"),
        limit_minor=limit.cast("int64"),
        exposure_minor=ibis.greatest(drawn, limit).cast("int64"),
        at_default_minor=at_default.cast("int64"),
        loss_minor=(at_default * credit.lgd.fill_null(settings.default_lgd)).round().cast("int64"),
        annual_rate=(credit.annual_rate > 0)
        .ifelse(credit.annual_rate, settings.losses.discount_rate)
        .fill_null(settings.losses.discount_rate),
        life_months=has_term.ifelse(left, float(settings.losses.revolving_life_months)),
        amortises=has_term,
    )


def per_customer(tables: Tables, as_of: datetime, settings: RiskSettings, bank: BankSettings) -> Any:
    """Return one row per customer with credit: exposure_minor and default_loss_minor, the sums over `lines`."""
    found = lines(tables, as_of, settings, bank)
    return found.group_by("customer_id").agg(
        exposure_minor=_sum(found.exposure_minor), default_loss_minor=_sum(found.loss_minor)
    )


def _conversion(family: Any, settings: RiskSettings) -> Any:
    """Return the share of an undrawn limit that is drawn until a default, by family."""
    known = sorted((str(name), float(share)) for name, share in settings.losses.credit_conversion.items())
    return family.cases(*known, else_=settings.losses.credit_conversion_otherwise)


def _open_credit(tables: Tables, as_of: datetime) -> Any:
    """Return the open credit holdings with what is owed on each, in its own currency, and their product's terms."""
    moment, holdings = instant(as_of), tables["holdings"]
    opened = holdings.opened_at <= moment
    still = holdings.closed_at.isnull() | (holdings.closed_at > moment)
    taken = holdings.balance_at.isnull() | (holdings.balance_at <= moment)
    balance = taken.ifelse(holdings.balance_minor, ibis.null("int64"))
    # the greatest of null and 0 would be 0: an unknown balance must not read as nothing owed
    owed = balance.isnull().ifelse(holdings.opening_minor.abs().fill_null(0), ibis.greatest(-balance, 0))
    open_now = holdings.mutate(owed=owed).filter(opened & still)
    products = tables["products"]
    terms = {name: name for name in ("family", "lgd", "annual_rate", "typical_term_months")}
    lending = products.filter(products.is_credit).select(of_product="product_id", **terms)
    return open_now.inner_join(lending, open_now.product_id == lending.of_product)


def _rate(currency: Any, bank: BankSettings) -> Any:
    """Return how many minor units of the base currency one minor unit of the row's currency is worth."""
    base = minor_digits(bank.base_currency)
    rates = [(code, rate * 10.0 ** (base - minor_digits(code))) for code, rate in sorted(bank.rates.items())]
    return currency.cases(*rates, else_=ibis.null("float64"))


def _sum(minor: Any) -> Any:
    # DuckDB widens a sum of integers to 128 bits; Ibis takes it for int64 and would leave out a direct cast back
    return minor.sum().cast("decimal(38, 0)").cast("int64")
