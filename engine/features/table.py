"""The feature table: one row per customer as of an instant, from nothing later than it.

Each theme is one Ibis expression in its own module; here they are joined and given their types.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

import ibis

from engine.config.bank import BankSettings
from engine.domain.curated import CURATED
from engine.domain.schema import Column, Kind, Table
from engine.features import (
    activity,
    balances,
    bureau,
    channels,
    families,
    feedback,
    holdings,
    journeys,
    profile,
    service,
)
from engine.features.feature import CLUSTERING, PROPENSITY, Feature, Moment, Tables, Theme
from engine.lake.schema import ibis_schema

THEMES: Final[tuple[Theme, ...]] = (
    profile.THEME,
    holdings.THEME,
    families.THEME,
    activity.THEME,
    balances.THEME,
    channels.THEME,
    journeys.THEME,
    service.THEME,
    bureau.THEME,
    feedback.THEME,
)

FEATURES: Final[dict[str, Feature]] = {feature.name: feature for theme in THEMES for feature in theme.features}
"""Every feature by name, in the order of the table's columns."""

CONTRACT: Final = Table(
    name="features",
    one_row_is="one customer as of the run's date",
    one_row_is_zh="截至运行日的一位客户",
    key=("customer_id",),
    columns=(
        Column(name="customer_id", kind=Kind.TEXT, required=True, meaning="the customer", meaning_zh="客户号"),
        *(feature.column() for feature in FEATURES.values()),
    ),
)
"""The mart that `build` makes."""

CLUSTERING_INPUTS: Final = tuple(name for name, feature in FEATURES.items() if CLUSTERING in feature.suits)
"""Numeric features that say how a customer behaves: no demographics, and no flag that repeats a count."""

PROPENSITY_INPUTS: Final = tuple(name for name, feature in FEATURES.items() if PROPENSITY in feature.suits)
"""Numeric features that may say what is bought next; which products are held is left to the model that offers them."""


def build(tables: Tables, as_of: datetime, bank: BankSettings) -> Any:
    """Return the feature table as one expression: a row per customer who joined at or before `as_of`.

    Parameters
    ----------
    tables : curated tables by name; all but `customers` may be missing, and their features are then null.
    as_of : aware instant. Nothing later counts; a row exactly at it does.

    Raises
    ------
    ValueError
        `as_of` has no time zone.
    """
    moment = Moment(as_of=as_of)
    joined = profile.build(tables, moment, bank)
    present = [theme for theme in THEMES[1:] if all(name in tables for name in theme.reads)]
    for theme in present:
        features = theme.build(tables, moment, bank)
        # one chain of joins, the repeated keys under names of their own: far shorter SQL than dropping each key
        joined = joined.left_join(features, "customer_id", rname=f"{{name}}_{theme.name}")
    return joined.select("customer_id", **_typed(joined, (profile.THEME, *present)))


def themes_missing(tables: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the themes whose features are null with these tables, and the tables that each lacks."""
    there = set(tables)
    lacks = {theme.name: tuple(name for name in theme.reads if name not in there) for theme in THEMES}
    return {theme: names for theme, names in lacks.items() if names}


def newest(tables: Tables, as_of: datetime) -> Any:
    """Return one row per table that features look back on: its name and the newest instant in it up to `as_of`.

    Where a table ends long before `as_of`, counts over the last days are 0 because the extract ended and not because
    nobody moved; whoever runs the features says so.
    """
    moment, rows = Moment(as_of=as_of), []
    for name in sorted({name for theme in THEMES for name in theme.reads if name in tables}):
        column = CURATED[name].time_column
        if column is not None:
            known = tables[name].filter(moment.known(tables[name][column]))
            rows.append(known.aggregate(newest_at=known[column].max()).mutate(table=ibis.literal(name)))
    return ibis.union(*rows, distinct=False).select("table", "newest_at").order_by("table")


def _typed(joined: Any, present: Iterable[Theme]) -> dict[str, Any]:
    schema, there = ibis_schema(CONTRACT), {theme.name for theme in present}
    columns = {}
    for name, feature in FEATURES.items():
        value = joined[name] if feature.theme in there else ibis.null(schema[name])
        if feature.theme in there and feature.zero_without_rows:
            value = ibis.coalesce(value, feature.kind is not Kind.BOOLEAN and 0)
        columns[name] = value.cast(schema[name])
    return columns
