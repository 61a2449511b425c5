"""Early warning: what happened to a customer that may end in a default, and the watch list that follows from it.

A trigger is a rule of the settings over the bank's own tables; an event is one time that it fired. The list is worked
out from the events alone: whoever carried enough weight of events at an instant was on it then, so that the same
tables give the same list, entries and exits included, whenever it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.config.risk_warning import SEVERITIES, Trigger, WarningSettings
from engine.domain.curated import CURATED
from engine.lake.schema import instant, naive_utc
from engine.risk.columns import places

Tables = Mapping[str, Any]
Ints = NDArray[np.int64]
Times = NDArray[np.datetime64]

EVENTS: Final = pa.schema([("customer_id", pa.string()), ("trigger", pa.string()), ("occurred_at", pa.timestamp("us"))])
"""One row is one time that a trigger fired for a customer."""
WATCH_LIST: Final = pa.schema(
    [
        ("customer_id", pa.string()), ("status", pa.string()), ("severity", pa.string()), ("weight", pa.int64()),
        ("escalated", pa.bool_()), ("entered_at", pa.timestamp("us")), ("left_at", pa.timestamp("us")),
        ("triggers", pa.string()), ("last_event_at", pa.timestamp("us")), ("next_review_at", pa.timestamp("us")),
    ]
)  # fmt: skip
_DAY: Final = np.timedelta64(86_400_000_000, "us")
_TICK: Final = np.timedelta64(1, "us")


def events(tables: Tables, as_of: datetime, settings: WarningSettings) -> tuple[Any | None, dict[str, str]]:
    """Return every event by `as_of` as one expression with EVENTS' columns, and why some triggers cannot fire.

    None where no trigger has its table. Triggers of kind "tier" are not looked at here: see `tier_events`. Whoever has
    left the bank has no events.
    """
    parts, silent = [], {}
    moment = instant(as_of)
    for trigger in settings.triggers:
        if trigger.kind == "tier":
            continue
        if trigger.table not in tables:
            silent[trigger.code] = f"the bank has no table {trigger.table}"
            continue
        earliest = moment - ibis.interval(days=settings.looks_back_days)
        found = _BY_KIND[trigger.kind](_recent(tables, trigger, moment, settings), moment, trigger)
        found = found.filter((found.occurred_at <= moment) & (found.occurred_at > earliest))
        parts.append(found.mutate(trigger=ibis.literal(trigger.code)).select(*EVENTS.names))
    if not parts:
        return None, silent
    every = ibis.union(*parts, distinct=False) if len(parts) > 1 else parts[0]
    return every.anti_join(_left(tables, moment), "customer_id"), silent


def tier_events(before: pa.Table, after: pa.Table, settings: WarningSettings, order: Sequence[str]) -> pa.Table:
    """Return an event, on the later date, for every customer whose tier is worse than on the date before.

    Parameters
    ----------
    before, after : customer_id, at, risk_tier on two dates that follow each other, each customer once.
    order : the tiers from best to worst; any other, such as unknown, neither worsens nor is worse.
    """
    trigger = next((each for each in settings.triggers if each.kind == "tier"), None)
    if trigger is None:
        return EVENTS.empty_table()
    then, now = (_places(rows["risk_tier"], order) for rows in (before, after))
    found = places(after["customer_id"], before["customer_id"])
    earlier = np.where(found < 0, -1, then[found]) if len(then) else found
    kept = after.filter(pa.array((earlier >= 0) & (now - earlier >= int(trigger.at_least or 1))))
    codes = pa.array([trigger.code] * kept.num_rows, pa.string())
    return pa.table([kept["customer_id"], codes, kept["at"].cast(pa.timestamp("us"))], schema=EVENTS)


def _places(tiers: pa.ChunkedArray, order: Sequence[str]) -> NDArray[np.int64]:
    found: NDArray[np.int64] = pc.fill_null(pc.index_in(tiers, value_set=pa.array(order)), -1).to_numpy()
    return found.astype(np.int64)


def silent_triggers(found: pa.Table, settings: WarningSettings, absent: Mapping[str, str]) -> dict[str, str]:
    """Return the triggers that never fired, and why where it is known: quiet for want of data is no good news."""
    fired = set(pc.unique(found["trigger"]).to_pylist())
    quiet = {
        trigger.code: f"did not fire in {settings.looks_back_days} days"
        + (f" (categories: {', '.join(trigger.categories)})" if trigger.categories else "")
        for trigger in settings.triggers
        if trigger.code not in fired
    }
    return {**quiet, **absent}


def watch_list(
    found: pa.Table, as_of: datetime, settings: WarningSettings, reviewed: Mapping[str, datetime] | None = None
) -> pa.Table:
    """Return who is on the list at `as_of`, and who left it lately: WATCH_LIST's columns, one row a customer, sorted.

    Parameters
    ----------
    found : events by `as_of`, with EVENTS' columns, in any order.
    reviewed : when a person last looked at a customer, where known; the next review is counted from then.

    Returns
    -------
    table
        status is "watched" or "left"; triggers are the codes that hold, or held when the customer left, with a space
        between; a new event does not put the next review off, and whoever has left has none.
    """
    spans = _spans(found, settings)
    moment = np.datetime64(naive_utc(as_of), "us")
    spells = _spells(spans, settings)
    oldest = moment - settings.shows_left_days * _DAY
    last = np.ones(len(spells.who), dtype=bool)
    last[:-1] = spells.who[1:] != spells.who[:-1]
    shown = last & (spells.ends > oldest)
    spells = _Spells(who=spells.who[shown], starts=spells.starts[shown], ends=spells.ends[shown])
    return _described(spans, spells, moment, settings, reviewed or {})


def with_reviews(listed: pa.Table, settings: WarningSettings, reviewed: Mapping[str, datetime]) -> pa.Table:
    """Return a watch list with its next reviews counted from when people last looked."""
    severity = pc.index_in(listed["severity"], value_set=pa.array(SEVERITIES)).to_numpy().astype(np.int64)
    entered = listed["entered_at"].to_numpy().astype("datetime64[us]")
    review = _next_review(entered, severity, listed["customer_id"].combine_chunks(), settings, reviewed)
    left = pc.not_equal(listed["status"], "watched").to_numpy()
    place = listed.column_names.index("next_review_at")
    return listed.set_column(place, "next_review_at", pa.array(review, mask=left))


def watch_texts(listed: pa.Table, settings: WarningSettings) -> pa.Table:
    """Return a watch list with `text` and `text_zh`: why each customer is or was on it, in a sentence."""
    known = {trigger.code: trigger for trigger in settings.triggers}
    coded = listed["triggers"].combine_chunks().dictionary_encode()
    why = [[known[code] for code in codes.split()] for codes in coded.dictionary.to_pylist()]
    english = pa.array([_sentence([one.text for one in each]) for each in why], pa.string())
    chinese = pa.array([f"{'；'.join(one.text_zh for one in each)}。" for each in why], pa.string())
    columns = {"text": english.take(coded.indices), "text_zh": chinese.take(coded.indices)}
    for name, column in columns.items():
        listed = listed.append_column(name, column)
    return listed


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spans:
    """Stretches of time in which one trigger held for one customer, sorted by customer; `ids` by customer's code."""

    ids: pa.Array
    who: Ints
    trigger: Ints
    starts: Times
    ends: Times
    last_event: Times


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spells:
    """Stretches of time in which a customer carried enough weight to be on the list, sorted by customer and time."""

    who: Ints
    starts: Times
    ends: Times


def _spans(found: pa.Table, settings: WarningSettings) -> _Spans:
    """Join the events of one trigger and customer as long as each follows while the one before still holds."""
    coded = pa.chunked_array(found["customer_id"].chunks, pa.string()).combine_chunks().dictionary_encode()
    who = coded.indices.to_numpy().astype(np.int64)
    codes = pa.array([trigger.code for trigger in settings.triggers])
    trigger = pc.index_in(found["trigger"], value_set=codes).to_numpy().astype(np.int64)
    at = found["occurred_at"].to_numpy().astype("datetime64[us]")
    order = np.lexsort((at, trigger, who))
    who, trigger, at = who[order], trigger[order], at[order]
    until = at + np.array([each.holds_days for each in settings.triggers], dtype=np.int64)[trigger] * _DAY
    first = np.ones(len(at), dtype=bool)
    first[1:] = (who[1:] != who[:-1]) | (trigger[1:] != trigger[:-1]) | (at[1:] > until[:-1])
    last = np.append(first[1:], True)[: len(at)]
    return _Spans(
        ids=coded.dictionary, who=who[first], trigger=trigger[first], starts=at[first], ends=until[last],
        last_event=at[last],
    )  # fmt: skip


def _spells(spans: _Spans, settings: WarningSettings) -> _Spells:
    """Sweep over the beginnings and ends of each customer's spans and keep where the weight is enough."""
    weight = _weights(settings)[spans.trigger]
    who = np.concatenate([spans.who, spans.who])
    at = np.concatenate([spans.starts, spans.ends])
    change = np.concatenate([weight, -weight])
    # a beginning before an end at the same instant, so that the list is not left in between
    order = np.lexsort((-change, at, who))
    on = np.cumsum(change[order]) >= settings.enters_at
    turned = np.flatnonzero(np.diff(np.concatenate([[False], on])))
    starts, ends = order[turned[0::2]], order[turned[1::2]]
    return _Spells(who=who[starts], starts=at[starts], ends=at[ends])


def _described(
    spans: _Spans, spells: _Spells, moment: np.datetime64, settings: WarningSettings, reviewed: Mapping[str, datetime]
) -> pa.Table:
    if not len(spells.who):
        return WATCH_LIST.empty_table()
    row_of = np.full(len(spans.ids), -1, dtype=np.int64)
    row_of[spells.who] = np.arange(len(spells.who))
    watched = spells.ends > moment
    looked_at = np.where(watched, moment, spells.ends - _TICK)
    row = row_of[spans.who]
    holds = (row >= 0) & (spans.starts <= looked_at[row]) & (spans.ends > looked_at[row])
    row, trigger = row[holds], spans.trigger[holds]
    weight = np.bincount(row, weights=_weights(settings)[trigger], minlength=len(watched)).astype(np.int64)
    last_event = np.full(len(watched), np.datetime64(0, "us"))
    np.maximum.at(last_event, row, spans.last_event[holds])
    worst = np.zeros(len(watched), dtype=np.int64)
    np.maximum.at(worst, row, np.array([SEVERITIES.index(each.severity) for each in settings.triggers])[trigger])
    escalated = weight >= settings.escalates_at
    severity = np.minimum(worst + escalated, len(SEVERITIES) - 1)
    ids = spans.ids.take(pa.array(spells.who))
    review = _next_review(spells.starts, severity, ids, settings, reviewed)
    table = pa.table(
        [
            ids,
            pa.array(np.where(watched, "watched", "left")),
            pa.array(SEVERITIES).take(pa.array(severity)),
            pa.array(weight),
            pa.array(escalated),
            pa.array(spells.starts),
            pa.array(spells.ends, mask=watched),
            _codes(row, trigger, len(watched), settings),
            pa.array(last_event),
            pa.array(review, mask=~watched),
        ],
        schema=WATCH_LIST,
    )
    return table.sort_by([("customer_id", "ascending")])


def _next_review(
    entered: Times, severity: Ints, ids: pa.Array, settings: WarningSettings, reviewed: Mapping[str, datetime]
) -> Times:
    days = np.array([settings.review_days.of(each) for each in SEVERITIES])[severity]
    seen = np.array([_at(reviewed.get(customer)) for customer in ids.to_pylist()], dtype="datetime64[us]")
    since = np.where(seen > entered, seen, entered)  # a comparison with NaT is false
    return np.asarray(since + days * _DAY)


def _at(moment: datetime | None) -> np.datetime64:
    return np.datetime64("NaT", "us") if moment is None else np.datetime64(naive_utc(moment), "us")


def _codes(row: Ints, trigger: Ints, rows: int, settings: WarningSettings) -> pa.Array:
    """Return the codes of the triggers of each row, in the order of the settings, with a space between."""
    order = np.lexsort((trigger, row))
    names = pa.array([each.code for each in settings.triggers], pa.string()).take(pa.array(trigger[order]))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=rows))]).astype(np.int32)
    return pc.binary_join(pa.ListArray.from_arrays(pa.array(offsets), names), " ")


def _weights(settings: WarningSettings) -> Ints:
    return np.array([settings.weights.of(trigger.severity) for trigger in settings.triggers], dtype=np.int64)


def _recent(tables: Tables, trigger: Trigger, moment: Any, settings: WarningSettings) -> Any:
    """Return the rows that can matter: those looked back at, and as many days before as the rule itself needs."""
    rows, time = tables[trigger.table], CURATED[trigger.table].time_column
    if trigger.table == "bureau":
        return rows
    days = settings.looks_back_days + (trigger.within_days or 0) + (trigger.gap_days or 0)
    return rows.filter(rows[time] > moment - ibis.interval(days=days))


def _sentence(parts: Sequence[str]) -> str:
    said = "; ".join(parts)
    return f"{said[:1].upper()}{said[1:]}."


def _left(tables: Tables, moment: Any) -> Any:
    customers = tables["customers"]
    return customers.filter(customers.closed_at.notnull() & (customers.closed_at <= moment)).select("customer_id")


def _reports(table: Any, trigger: Trigger) -> Any:
    time = CURATED[trigger.table].time_column
    rows = table.select("customer_id", occurred_at=time, number=table[str(trigger.column)].cast("float64"))
    return rows.filter(rows.number.notnull())


def _rise(table: Any, moment: Any, trigger: Trigger) -> Any:
    rows = _reports(table, trigger)
    back = int(trigger.reports_back or 1)
    window = ibis.window(group_by=rows.customer_id, order_by=rows.occurred_at, preceding=(back, 1))
    compared = rows.mutate(lowest=rows.number.min().over(window))
    # 1e-9: .5 - .2 is a little less than .3 in floats
    return compared.filter(compared.number - compared.lowest >= float(trigger.at_least or 0) - 1e-9)


def _level(table: Any, moment: Any, trigger: Trigger) -> Any:
    rows = _reports(table, trigger)
    window = ibis.window(group_by=rows.customer_id, order_by=rows.occurred_at)
    compared = rows.mutate(before=rows.number.lag(1).over(window))
    reached = float(trigger.at_least or 0)
    return compared.filter((compared.number >= reached) & (compared.before < reached))


def _bookings(table: Any, moment: Any, trigger: Trigger) -> Any:
    rows = table.filter(table.category.isin(trigger.categories))
    return _repeated(rows.select("customer_id", occurred_at="booked_at", key="transaction_id"), trigger)


def _interactions(table: Any, moment: Any, trigger: Trigger) -> Any:
    rows = table.filter(table.kind.isin(trigger.kinds))
    return _repeated(rows.select("customer_id", "occurred_at", key="interaction_id"), trigger)


def _balance(table: Any, moment: Any, trigger: Trigger) -> Any:
    rows = table.filter(table.balance_after_minor.notnull())
    # most accounts never get there, and to sort their bookings is what takes long
    low = rows.filter(rows.balance_after_minor < trigger.below_minor).select(low_holding="holding_id").distinct()
    rows = rows.semi_join(low, rows.holding_id == low.low_holding)
    order = ibis.window(group_by=rows.holding_id, order_by=(rows.booked_at, rows.transaction_id))
    compared = rows.mutate(before=rows.balance_after_minor.lag(1).over(order))
    below = trigger.below_minor
    fell = compared.filter((compared.balance_after_minor < below) & (compared.before >= below))
    return _repeated(fell.select("customer_id", occurred_at="booked_at", key="transaction_id"), trigger)


def _missed(table: Any, moment: Any, trigger: Trigger) -> Any:
    """Return when a payment that had come regularly had not come for so long."""
    paid = table.filter(table.category.isin(trigger.categories) & (table.booked_at <= moment))
    rows = paid.select("customer_id", "booked_at", key="transaction_id")
    order = ibis.window(group_by=rows.customer_id, order_by=(rows.booked_at, rows.key))
    seen = rows.mutate(
        first=rows.booked_at.lag(int(trigger.times or 1) - 1).over(order), next=rows.booked_at.lead(1).over(order)
    )
    waited = seen.booked_at + ibis.interval(days=int(trigger.gap_days or 1))
    regular = seen.first >= seen.booked_at - ibis.interval(days=int(trigger.within_days or 1))
    return seen.filter(regular & (seen.next.isnull() | (seen.next > waited))).select("customer_id", occurred_at=waited)


def _repeated(rows: Any, trigger: Trigger) -> Any:
    """Return the rows that are the last of so many within so many days."""
    order = ibis.window(group_by=rows.customer_id, order_by=(rows.occurred_at, rows.key))
    compared = rows.mutate(first=rows.occurred_at.lag(int(trigger.times or 1) - 1).over(order))
    return compared.filter(compared.first >= compared.occurred_at - ibis.interval(days=int(trigger.within_days or 1)))


_BY_KIND: Final[Mapping[str, Callable[[Any, Any, Trigger], Any]]] = {
    "rise": _rise,
    "level": _level,
    "bookings": _bookings,
    "missed": _missed,
    "balance": _balance,
    "interactions": _interactions,
}
