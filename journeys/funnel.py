"""Count how far customers get in the bank's journeys, where they leave them, and how long each step takes.

The events of all journeys are read once; their attempts, one narrow row per customer and journey, give both marts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

import ibis
import numpy as np
import pyarrow as pa

from engine.config.journeys import JourneySettings
from engine.domain.marts import JOURNEY_FUNNELS, JOURNEY_STAGES
from engine.lake.engine import Engine
from engine.lake.schema import empty, to_contract
from journeys import attempts, funnel_counts, histories, spec, stages
from journeys.event_log import EVENTS_PER_BLOCK, EventLog
from journeys.histories import Coded, Histories, Ints

_ATTEMPTS: Final = "_journey_attempts"
_CHANNEL: Final = "channel"
_PRODUCT: Final = "product"
_LIFECYCLE: Final = "lifecycle"


@dataclass(frozen=True, slots=True, kw_only=True)
class FunnelTables:
    """All journeys, computed: the marts `journey_stages` and `journey_funnels`, sorted by key."""

    stages: pa.Table
    funnels: pa.Table


def run(
    engine: Engine, log: EventLog, journeys: Sequence[JourneySettings], as_of: datetime, groups: Any = None
) -> FunnelTables:
    """Compute all journeys as of a date.

    Parameters
    ----------
    groups : table with customer_id and one text column per breakdown, or None. A customer whom it does not know
        counts in the group "unknown". The channel of the entry event is always a breakdown.
    """
    staged, counted = [empty(JOURNEY_STAGES)], [empty(JOURNEY_FUNNELS)]
    known = None if groups is None else engine.arrow(groups)
    for journey, found, stood in _each(engine, log, journeys, as_of):
        staged.append(stood)
        counted.append(funnel_counts.count(found, stood.column("status"), journey, known))
    return FunnelTables(
        stages=to_contract(JOURNEY_STAGES, pa.concat_tables(staged)),
        funnels=to_contract(JOURNEY_FUNNELS, pa.concat_tables(counted)),
    )


def where_customers_stand(
    engine: Engine, log: EventLog, journeys: Sequence[JourneySettings], as_of: datetime
) -> pa.Table:
    """Return the mart `journey_stages` of some journeys as of any date: nothing later counts."""
    stood = [stood for _, _, stood in _each(engine, log, journeys, as_of)]
    return to_contract(JOURNEY_STAGES, pa.concat_tables([empty(JOURNEY_STAGES), *stood]))


def _each(
    engine: Engine, log: EventLog, journeys: Sequence[JourneySettings], as_of: datetime
) -> Iterator[tuple[JourneySettings, pa.Table, pa.Table]]:
    """Yield every journey with its attempts and its part of the mart `journey_stages`, both in order of customers."""
    found = attempted(engine, log, journeys, as_of) if journeys else None
    for place, journey in enumerate(journeys):
        own = _of_journey(found, place).sort_by("customer_id")
        engine.attach(_ATTEMPTS, own)
        best = ibis.table(_columns(len(journey.steps)), name=_ATTEMPTS)
        yield journey, own, to_contract(JOURNEY_STAGES, engine.arrow(stages.table(best, journey, as_of)))


def attempted(engine: Engine, log: EventLog, journeys: Sequence[JourneySettings], as_of: datetime) -> pa.Table:
    """Return the attempts at all journeys that count, one row per customer and journey, in no order.

    Columns: journey (its place among them), customer_id, channel (of the entry event), depth, entered_at, open_until
    (null when nothing can go on any more), standing (the step at which the customer stands, see `stages`),
    standing_since, stage_since, and reached_1 to reached_K, K being the most steps of any journey.
    """
    events = _events(log, journeys, as_of)
    asked = tuple(
        _Asked(
            funnel=spec.of(journey),
            products=journey.products if log.product is not None else (),
            stages=tuple(step.stage for step in journey.steps),
            last_stage=journey.stage_names[-1],
        )
        for journey in journeys
    )
    function = partial(_attempts_of_block, asked=asked, as_of=round(as_of.timestamp() * 1_000_000))
    rows = engine.arrow(events.aggregate(n=events.count())).column("n")[0].as_py()
    return engine.map_blocks(events, histories.CUSTOMER, function, blocks=1 + int(rows) // EVENTS_PER_BLOCK)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What is asked of one journey. stages : those of its steps; last_stage : the last of the journey."""

    funnel: spec.Funnel
    products: tuple[str, ...]
    stages: tuple[str, ...]
    last_stage: str


def _events(log: EventLog, journeys: Sequence[JourneySettings], as_of: datetime) -> Any:
    """Return the events that can matter to any journey, with the roles that they read as columns of fixed names."""
    asked = [spec.of(journey) for journey in journeys]
    named = [funnel.names() for funnel in asked]
    names = None if None in named else sorted({name for listed in named for name in listed or ()})
    roles = {_CHANNEL: log.channel, _PRODUCT: log.product, _LIFECYCLE: log.lifecycle}
    table = log.table.mutate(
        **{f"_{role}": ibis.null("string") if column is None else log.table[column] for role, column in roles.items()}
    )
    products = {product for journey in journeys for product in journey.products}
    if log.product is not None and all(journey.products for journey in journeys):
        table = table.filter(table[log.product].isin(sorted(products)))
    conditions = {name for funnel in asked for name in funnel.attributes()}
    read = [_CHANNEL, *([_PRODUCT] if products else []), *([_LIFECYCLE] if _LIFECYCLE in conditions else [])]
    columns = sorted(conditions - {_CHANNEL, _LIFECYCLE})
    # which of the tied events of one instant comes first does not matter here
    own = EventLog(table=table, customer=log.customer, event=log.event, time=log.time, seq=None)
    events = own.events(as_of, names=names, attributes=[*(f"_{role}" for role in read), *columns], ordered=False)
    return events.rename({role: f"_{role}" for role in read})


def _attempts_of_block(block: pa.Table, *, asked: Sequence[_Asked], as_of: int) -> pa.Table:
    people = histories.of(block)
    longest = max(len(one.funnel.steps) for one in asked)
    pieces = []
    for place, one in enumerate(asked):
        own = people.keep(_about(people.attributes[_PRODUCT], one.products)) if one.products else people
        pieces.append(_rows(own, one, place, longest, as_of))
    return pa.concat_tables(pieces)


def _about(product: Coded, products: Sequence[str]) -> Any:
    return np.isin(product.codes, [product.code_of(name) for name in products])


def _rows(people: Histories, asked: _Asked, place: int, longest: int, as_of: int) -> pa.Table:
    found = attempts.find(people, asked.funnel)
    stands = stages.standing(people, asked.funnel, found, stages=asked.stages, last_stage=asked.last_stage, as_of=as_of)
    reached = np.full((len(found.customer), longest), attempts.MISSING)
    reached[:, : len(asked.funnel.steps)] = found.at
    return pa.table(
        {
            "journey": np.full(len(found.customer), place, dtype=np.int64),
            "customer_id": people.ids.cast(pa.string()).take(found.customer),
            "channel": people.attributes[_CHANNEL].texts(found.row[:, 0]),
            "depth": found.depth.astype(np.int64),
            "entered_at": _times(found.at[:, 0]),
            "open_until": _times(found.open_until),
            "standing": stands.step.astype(np.int64),
            "standing_since": _times(stands.since),
            "stage_since": _times(stands.stage_since),
            **{f"reached_{step + 1}": _times(reached[:, step]) for step in range(longest)},
        }
    )


def _times(at: Ints) -> pa.Array:
    return pa.array(at, mask=at == attempts.MISSING).cast(pa.timestamp("us"))


def _of_journey(found: pa.Table, place: int) -> pa.Table:
    return found.filter(pa.array(np.asarray(found.column("journey")) == place))


def _columns(steps: int) -> dict[str, str]:
    """Return the columns of one journey's attempts and their types."""
    reached = [f"reached_{step}" for step in range(1, steps + 1)]
    times = dict.fromkeys(["entered_at", "open_until", "standing_since", "stage_since", *reached], "timestamp(6)")
    return {"customer_id": "string", "channel": "string", "depth": "int64", "standing": "int64", **times}
