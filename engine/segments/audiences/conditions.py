"""Every condition of a rule as a column of truth over the customers: no value is no match, so that nothing is unknown.

Conditions on one table are read together: the columns of a mart in one join, the events that are merely counted in one
pass. Each of the rest is the set of customers that fulfil it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import reduce
from typing import Any, Final

import ibis

from engine.config import audiences as rules
from engine.domain.errors import NotEnoughData, SettingsFault, UnknownName
from engine.lake.schema import instant
from engine.segments.audiences import moments, sequences

Tables = Mapping[str, Any]
FEATURES, SEGMENTS, RISK = "features", "segments", "risk"
"""The marts whose columns conditions compare."""

Columned = rules.Feature | rules.Segment | rules.Risk
Condition = (
    Columned
    | rules.Journey
    | rules.Experiment
    | rules.Segmentation
    | rules.Recommendation
    | rules.Lookalike
    | rules.Frozen
    | rules.Happened
    | rules.Sequence
)  # fmt: skip
_OF: Final[dict[type[Any], str]] = {rules.Feature: FEATURES, rules.Segment: SEGMENTS, rules.Risk: RISK}


def columns_of(people: Any, conditions: Mapping[str, Condition], tables: Tables, as_of: datetime) -> Any:
    """Return the people (customer_id) with one column of truth for each condition, by its name.

    Raises
    ------
    NotEnoughData
        A table that a condition needs is not there.
    UnknownName
        A column, journey, experiment or product that does not exist.
    """
    rows = people
    compared = {name: one for name, one in conditions.items() if isinstance(one, Columned)}
    for mart in (FEATURES, SEGMENTS, RISK):
        own = {name: one for name, one in compared.items() if _OF[type(one)] == mart}
        rows = _with_columns(rows, own, _table(tables, mart, own), mart) if own else rows
    counted = {name: one for name, one in conditions.items() if isinstance(one, rules.Happened) and _is_counted(one)}
    if counted:
        rows = _with_counts(rows, counted, _table(tables, "events", counted), as_of)
    others = {name: one for name, one in conditions.items() if name not in compared and name not in counted}
    return _with_members(rows, {name: _members(one, tables, as_of) for name, one in others.items()}) if others else rows


def column_name(condition: Columned) -> str:
    """Return the name of the column that a condition compares."""
    if isinstance(condition, rules.Risk):
        return "risk_tier"
    return condition.feature if isinstance(condition, rules.Feature) else condition.segment


def _is_counted(condition: rules.Happened) -> bool:
    return condition.within_days is None


def _table(tables: Tables, name: str, needed: Iterable[str]) -> Any:
    if name not in tables:
        raise NotEnoughData(
            f"audience: {', '.join(needed)}", f"there is no table {name}", f"{name}, loaded or made by a run"
        )
    return tables[name]


def _with_columns(rows: Any, conditions: Mapping[str, Columned], mart: Any, what: str) -> Any:
    for one in conditions.values():
        if column_name(one) not in mart.columns or column_name(one) == "customer_id":
            raise UnknownName(
                f"column of the {what}", column_name(one), [c for c in mart.columns if c != "customer_id"]
            )
    told = mart.select(
        of_customer="customer_id",
        **{name: _compared(mart[column_name(one)], one) for name, one in conditions.items()},
    )
    joined = rows.left_join(told, rows.customer_id == told.of_customer)
    # who is missing from the table has no value: that fulfils `known = false` alone
    absent = {name: _is_absence(one) for name, one in conditions.items()}
    filled = {name: joined[name].fill_null(absent[name]) for name in conditions}
    return joined.mutate(**filled).drop("of_customer")


def _is_absence(one: Columned) -> bool:
    return not isinstance(one, rules.Risk) and one.known is False


def _compared(column: Any, one: Columned) -> Any:
    """Return whether a value fulfils all that is asked of it."""
    if isinstance(one, rules.Risk):
        return column.isin(one.risk_tier).fill_null(False)
    parts = []
    if one.known is not None:
        parts.append(column.notnull() if one.known else column.isnull())
    if one.is_ is not None:
        parts.append(column == _alike(column, one.is_))
    if one.is_not is not None:
        parts.append(column != _alike(column, one.is_not))
    if one.one_of is not None:
        parts.append(column.isin([_alike(column, each) for each in one.one_of]))
    if one.none_of is not None:
        parts.append(column.notin([_alike(column, each) for each in one.none_of]))
    limits = {"at_least": one.at_least, "above": one.above, "at_most": one.at_most, "below": one.below}
    for name, limit in limits.items():
        if limit is not None:
            if not column.type().is_numeric():
                raise _unfit(column_name(one), f"{name} = {limit:g}", "is, is_not, one_of, none_of or known")
            parts.append(_LIMITS[name](column, limit))
    return reduce(lambda one, other: one & other, [part.fill_null(False) for part in parts])


_LIMITS: Final[dict[str, Any]] = {
    "at_least": lambda column, limit: column >= limit,
    "above": lambda column, limit: column > limit,
    "at_most": lambda column, limit: column <= limit,
    "below": lambda column, limit: column < limit,
}


def _alike(column: Any, value: rules.Value) -> Any:
    """Return a value in the type of the column; raises UnknownName where it is of another kind."""
    kind = column.type()
    fits = (
        (kind.is_string() and isinstance(value, str))
        or (kind.is_boolean() and isinstance(value, bool))
        or (kind.is_numeric() and isinstance(value, (int, float)) and not isinstance(value, bool))
    )
    if not fits:
        expected = "text" if kind.is_string() else "true or false" if kind.is_boolean() else "a number"
        raise _unfit(column.get_name(), f"{value!r}", expected if not kind.is_temporal() else "known = true or false")
    return value


def _unfit(column: str, given: str, expected: str) -> SettingsFault:
    return SettingsFault("the rule", [f"{column}: compared with {given}. Expected {expected}"])


def _with_counts(rows: Any, conditions: Mapping[str, rules.Happened], events: Any, as_of: datetime) -> Any:
    """Add whether each event happened often enough: one pass over the events for all of them."""
    named = sorted({name for one in conditions.values() for name in one.event})
    known = events.filter(
        events.customer_id.notnull(), events.event_name.isin(named), events.occurred_at <= instant(as_of)
    )
    counts = known.group_by(of_customer=known.customer_id).agg(
        **{name: known.count(where=_counts(known, one, as_of)) for name, one in conditions.items()}
    )
    joined = rows.left_join(counts, rows.customer_id == counts.of_customer)
    enough = {}
    for name, one in conditions.items():
        times = joined[name].fill_null(0)
        held = times >= one.times_at_least
        enough[name] = held if one.times_at_most is None else held & (times <= one.times_at_most)
    return joined.mutate(**enough).drop("of_customer")


def _counts(events: Any, one: rules.Happened, as_of: datetime) -> Any:
    return moments.is_within(events, one, as_of) & moments.matches(events, one)


def _with_members(rows: Any, sets: Mapping[str, Any]) -> Any:
    """Add whether each customer is in each set, by one join for all: a join for each nests too deep in a long rule."""
    listed = [
        members.select(of_customer="customer_id", place=ibis.literal(place, "int64"))
        for place, members in enumerate(sets.values())
    ]
    whole = _together(listed)
    told = whole.group_by("of_customer").agg(**{name: (whole.place == place).any() for place, name in enumerate(sets)})
    joined = rows.left_join(told, rows.customer_id == told.of_customer)
    return joined.mutate(**{name: joined[name].fill_null(False) for name in sets}).drop("of_customer")


def _together(parts: list[Any]) -> Any:
    if len(parts) == 1:
        return parts[0]
    half = len(parts) // 2
    return ibis.union(_together(parts[:half]), _together(parts[half:]), distinct=False)


def _members(one: Condition, tables: Tables, as_of: datetime) -> Any:
    if isinstance(one, rules.Happened):
        return sequences.customers_close_together(_table(tables, "events", one.event), one, as_of)
    if isinstance(one, rules.Sequence):
        return sequences.customers_with(_table(tables, "events", ["a sequence"]), one, as_of)
    return _of_rows(one, tables, as_of)


def _of_rows(one: Condition, tables: Tables, as_of: datetime) -> Any:
    """Return the rows of whoever fulfils a condition on tables that say of customers what holds of them."""
    if isinstance(one, rules.Journey):
        return _on_journey(one, _table(tables, "journey_stages", [one.journey]))
    if isinstance(one, rules.Experiment):
        return _exposed(one, _table(tables, "exposures", [one.experiment]), as_of)
    if isinstance(one, rules.Segmentation):
        groups = _table(tables, "segmentations", [one.segmentation])
        return groups.filter(groups.segmentation == one.segmentation, groups.segment_group.isin(one.group))
    if isinstance(one, rules.Lookalike):
        return _table(tables, one.table, ["a lookalike"])
    if isinstance(one, rules.Frozen):
        return _table(tables, one.table, ["a frozen list"])
    assert isinstance(one, rules.Recommendation)
    return _recommended(one, tables)


def _on_journey(one: rules.Journey, stages: Any) -> Any:
    rows = stages.filter(stages.journey == one.journey)
    if one.stage is not None:
        rows = rows.filter(rows.stage.isin(one.stage))
    return rows if one.status is None else rows.filter(rows.status.isin(one.status))


def _exposed(one: rules.Experiment, exposures: Any, as_of: datetime) -> Any:
    rows = exposures.filter(exposures.experiment_id == one.experiment, exposures.exposed_at <= instant(as_of))
    return rows if one.arm is None else rows.filter(rows.variant.isin(one.arm))


def _recommended(one: rules.Recommendation, tables: Tables) -> Any:
    if one.refused:
        decisions = _table(tables, "decisions", [one.recommendation])
        return decisions.filter(decisions.product_id == one.recommendation, decisions.refused_mask != 0)
    offers = _table(tables, "recommendations", [one.recommendation])
    rows = offers.filter(offers.product_id == one.recommendation)
    return rows if one.rank_at_most is None else rows.filter(rows["rank"] <= one.rank_at_most)
