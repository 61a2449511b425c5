"""How far customers went as intended: fitness to the steps, what deviates at each, and which rules were broken.

Blocks give one row per customer for the steps, and one per breach for the rules with the counts beside them, so that
blocks of different customers add up; the summaries are made of all rows together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.config.journeys import ANY_EVENT, JourneySettings, RuleSettings
from engine.domain.marts import JOURNEY_FINDINGS
from engine.lake.engine import Engine
from engine.lake.schema import to_contract
from engine.numerics.intervals import Interval, wilson
from engine.numerics.ratios import ratio
from journeys import alignment, attempts, histories, rules, spec
from journeys.attempts import Attempts
from journeys.event_log import EventLog
from journeys.histories import NOTHING, Histories
from journeys.rules import Checked, Span
from journeys.spec import Funnel, Step

PRODUCT: Final = "product_id"
"""The attribute by which events are narrowed to the products of a journey."""

SEVERITIES: Final = ("critical", "high", "medium", "low")

CASES: Final = pa.schema(
    [
        ("customer_id", pa.string()),
        ("events", pa.int64()),
        ("deepest", pa.int64()),
        ("cost", pa.int64()),
        ("fitness", pa.float64()),
        ("met", pa.list_(pa.bool_())),
        ("skipped", pa.list_(pa.bool_())),
        ("misplaced", pa.list_(pa.bool_())),
        ("repeats", pa.list_(pa.int64())),
    ]
)
"""One row per customer with an event of some step, as `alignment.Aligned` says; lists have one item per step."""

BREACHES: Final = pa.schema(
    [
        ("journey", pa.int64()),
        ("rule", pa.int64()),
        ("customer_id", pa.string()),
        ("breach", pa.string()),
        ("at", pa.timestamp("us")),
        ("checked", pa.int64()),
        ("open", pa.int64()),
    ]
)
"""One row per breach, and per journey and rule one without a customer that counts who was checked and who is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """So many of so many, with the 95 % interval of the share (Wilson); None without anybody."""

    count: int
    of: int

    @property
    def share(self) -> float | None:
        """The share."""
        return None if not self.of else self.count / self.of

    @property
    def interval(self) -> Interval:
        """The interval of the share."""
        return wilson(self.count, self.of)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepConformance:
    """One step. expected : cases whose model has it and does not leave it free.

    skipped, misplaced : of those expected. repeated : of those with an event in its place. extra_events : events
    beyond the one in its place.
    """

    step: str
    optional: bool
    in_place: int
    skipped: Share
    misplaced: Share
    repeated: Share
    extra_events: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Conformance:
    """All cases along the steps. events : of the steps. conforming : cases that cost nothing.

    mean_fitness : over cases. log_fitness : of all cases together, 1 - cost / worst cost. None without a case.
    """

    cases: int
    events: int
    conforming: Share
    completed: Share
    mean_fitness: float | None
    log_fitness: float | None
    fitness_percentiles: Mapping[str, float] | None
    steps: tuple[StepConformance, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleResult:
    """One rule of one journey. breached : customers, of those checked. kinds : how many in which way.

    open : customers for whom it is not yet decided, not among those checked.
    """

    journey: str
    rule: RuleSettings
    breached: Share
    open: int
    kinds: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Intended:
    """A journey whose rules are to be checked. products : those that it is about; none named: all."""

    journey: str
    funnel: Funnel
    rules: tuple[RuleSettings, ...]
    products: tuple[str, ...] = ()

    def names(self) -> tuple[str, ...] | None:
        """Return the events that matter, sorted; None when all do."""
        steps, more = self.funnel.names(), rules.concerned(self.rules)
        return None if steps is None or ANY_EVENT in more else tuple(sorted({*steps, *more}))

    def attributes(self) -> tuple[str, ...]:
        """Return the attributes that are read, sorted."""
        conditions = {name for rule in self.rules for name in rule.where}
        return tuple(sorted({*self.funnel.attributes(), *conditions, *([PRODUCT] if self.products else [])}))


def cases(block: pa.Table, steps: Sequence[Step], *, complete: bool = False) -> pa.Table:
    """Return the rows of `CASES` of a block of events."""
    people = histories.of(block)
    found = alignment.align(people, steps, complete=complete)
    columns = {
        "customer_id": people.ids.cast(pa.string()).take(pa.array(found.customer)),
        **{name: getattr(found, name) for name in ("events", "deepest", "cost", "fitness")},
        **{name: _lists(getattr(found, name)) for name in ("met", "skipped", "misplaced", "repeats")},
    }
    return pa.Table.from_arrays(
        [pa.array(columns[name]).cast(CASES.field(name).type) for name in CASES.names], schema=CASES
    )


def _lists(columns: NDArray[np.generic]) -> pa.ListArray:
    offsets = np.arange(len(columns) + 1, dtype=np.int32) * np.int32(columns.shape[1])
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(columns.ravel()))


def summarise(found: pa.Table, steps: Sequence[Step]) -> Conformance:
    """Sum up the rows of `CASES`."""
    cost, events, fitness = (np.asarray(found.column(name)) for name in ("cost", "events", "fitness"))
    deepest = np.asarray(found.column("deepest"))
    required = np.array([not step.optional for step in steps])
    worst = events + np.concatenate([[0], np.cumsum(required)])[deepest]
    met, skipped, misplaced, repeats = (
        np.asarray(found.column(name).combine_chunks().flatten()).reshape(len(found), len(steps))
        for name in ("met", "skipped", "misplaced", "repeats")
    )
    marks = {"p05": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95}
    return Conformance(
        cases=len(found),
        events=int(events.sum()),
        conforming=Share(count=int((cost == 0).sum()), of=len(found)),
        completed=Share(count=int(met[:, len(steps) - 1].sum()), of=len(found)),
        mean_fitness=_known(ratio(float(fitness.sum()), len(found))),
        log_fitness=_known(1 - ratio(float(cost.sum()), float(worst.sum()))),
        fitness_percentiles={n: float(np.quantile(fitness, q)) for n, q in marks.items()} if len(found) else None,
        steps=tuple(
            StepConformance(
                step=step.name,
                optional=step.optional,
                in_place=int(met[:, place].sum()),
                skipped=Share(count=int(skipped[:, place].sum()), of=int((deepest > place).sum())),
                misplaced=Share(count=int(misplaced[:, place].sum()), of=int((deepest > place).sum())),
                repeated=Share(count=int((repeats[:, place] > 0).sum()), of=int(met[:, place].sum())),
                extra_events=int(repeats[:, place].sum()),
            )
            for place, step in enumerate(steps)
        ),
    )


def _known(number: float) -> float | None:
    return None if math.isnan(number) else number


def intended(journeys: Sequence[JourneySettings], *, by_product: bool = True) -> tuple[Intended, ...]:
    """Return the journeys of the settings that have rules; `by_product=False` for a log that names no products."""
    return tuple(
        Intended(
            journey=one.journey,
            funnel=spec.of(one),
            rules=one.rules,
            products=one.products if by_product else (),
        )
        for one in journeys
        if one.rules
    )


def check(engine: Engine, log: EventLog, asked: Sequence[Intended], as_of: datetime) -> pa.Table:
    """Check the rules of journeys on a log and return the rows of `BREACHES`; the events are read once."""
    if not asked:
        return BREACHES.empty_table()
    named = [one.names() for one in asked]
    names = None if None in named else sorted({name for listed in named for name in listed or ()})
    now = round(as_of.timestamp() * 1_000_000)
    events = log.events(ordered=False)
    first = engine.arrow(events.aggregate(at=events.at.min().cast("timestamp(6)"))).column("at")[0]
    begins = first.cast(pa.timestamp("us")).cast(pa.int64()).as_py()
    return log.map_blocks(
        engine,
        partial(breaches, asked=tuple(asked), span=Span(begins=now if begins is None else begins, as_of=now)),
        as_of,
        names=names,
        attributes=sorted({name for one in asked for name in one.attributes()}),
        ordered=False,
    )


def breaches(block: pa.Table, asked: Sequence[Intended], span: Span) -> pa.Table:
    """Return the rows of `BREACHES` of a block of events, none of them outside the span."""
    people = histories.of(block)
    pieces = [BREACHES.empty_table()]
    for place, intended in enumerate(asked):
        own, found = _attempted(people, intended)
        for number, rule in enumerate(intended.rules):
            checked = rules.check(own, found, intended.funnel, rule, span)
            pieces.append(_rows(people, checked, place, number))
    return pa.concat_tables(pieces)


def _attempted(people: Histories, intended: Intended) -> tuple[Histories, Attempts]:
    """Return the events that matter to a journey's rules, and the attempts at its funnel in them.

    An event about none of the journey's products reaches no step; one about no product at all, such as an identity
    check, still counts for the rules.
    """
    if not intended.products:
        return people, attempts.find(people, intended.funnel)
    product = people.attributes[PRODUCT]
    about = np.isin(product.codes, [product.code_of(name) for name in intended.products])
    of_rules = np.flatnonzero(about | (product.codes == NOTHING))
    found = attempts.find(people.keep(about), intended.funnel)
    row = np.searchsorted(of_rules, np.append(np.flatnonzero(about), 0)[found.row])
    own = people.keep(about | (product.codes == NOTHING))
    return own, replace(found, row=np.where(found.row >= 0, row, -1))


def _rows(people: Histories, checked: Checked, journey: int, rule: int) -> pa.Table:
    broken = np.flatnonzero(checked.breach >= 0)
    kinds = pa.array([breach.value for breach in rules.BREACHES], pa.string())
    n_rows = len(broken) + 1
    counts = np.zeros((2, n_rows), dtype=np.int64)
    counts[:, 0] = len(checked.customer), checked.n_open
    # the row of counts comes first, without a customer
    whom = pa.array(np.concatenate([[0], checked.customer[broken]]), mask=np.arange(n_rows) == 0)
    how = pa.array(np.concatenate([[0], checked.breach[broken]]), mask=np.arange(n_rows) == 0)
    at = pa.array(np.concatenate([[0], checked.at[broken]]), mask=np.arange(n_rows) == 0)
    return pa.table(
        {
            "journey": np.full(n_rows, journey),
            "rule": np.full(n_rows, rule),
            "customer_id": people.ids.cast(pa.string()).take(whom),
            "breach": kinds.take(how),
            "at": at.cast(pa.timestamp("us")),
            "checked": counts[0],
            "open": counts[1],
        }
    ).cast(BREACHES)


def results(found: pa.Table, asked: Sequence[Intended]) -> tuple[RuleResult, ...]:
    """Sum up the rows of `BREACHES`: the most severe rules first, among equals those surely broken most."""
    summed = []
    for place, intended in enumerate(asked):
        for number, rule in enumerate(intended.rules):
            own = found.filter((pc.field("journey") == place) & (pc.field("rule") == number))
            kinds = {
                row["values"]: row["counts"] for row in own.column("breach").drop_null().value_counts().to_pylist()
            }
            checked = Share(count=sum(kinds.values()), of=pc.sum(own.column("checked"), min_count=0).as_py())
            still_open = pc.sum(own.column("open"), min_count=0).as_py()
            summed.append(
                RuleResult(journey=intended.journey, rule=rule, breached=checked, open=still_open, kinds=kinds)
            )
    return tuple(sorted(summed, key=_worst_first))


def _worst_first(result: RuleResult) -> tuple[int, float, str, str]:
    surely = result.breached.interval.lower if result.breached.of else 0.0
    return SEVERITIES.index(result.rule.severity), -surely, result.journey, result.rule.rule


def evidence(found: pa.Table, asked: Sequence[Intended]) -> pa.Table:
    """Return the breaches with the words of their rules, in order of journey, rule and customer."""
    broken = found.filter(pc.is_valid(found.column("customer_id")))
    pairs = zip(broken.column("journey").to_pylist(), broken.column("rule").to_pylist(), strict=True)
    told = [(asked[place].journey, asked[place].rules[number]) for place, number in pairs]
    columns = {
        "journey": [journey for journey, _ in told],
        "rule": [rule.rule for _, rule in told],
        "kind": [rule.kind for _, rule in told],
        "severity": [rule.severity for _, rule in told],
        "owner": [rule.owner for _, rule in told],
        "text_en": [rule.text_en for _, rule in told],
        "text_zh": [rule.text_zh for _, rule in told],
    }
    rows = pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})
    for name, column in (("customer_id", "customer_id"), ("breach", "breach"), ("breached_at", "at")):
        rows = rows.append_column(name, broken.column(column))
    return rows.sort_by([(name, "ascending") for name in ("journey", "rule", "text_en", "customer_id")])


def findings(found: pa.Table, asked: Sequence[Intended]) -> pa.Table:
    """Return the breaches as the mart `journey_findings`."""
    return to_contract(JOURNEY_FINDINGS, evidence(found, asked))
