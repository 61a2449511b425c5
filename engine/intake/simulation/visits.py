"""Events: visits by app and web, journey steps, branches, calls, cash machines, experiments, farewells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.domain.words import CATEGORIES, CHANNELS
from engine.intake.simulation import calendar, identities, ids, spending, trials
from engine.intake.simulation.contacts import CALL, COMPLAINT, Talks
from engine.intake.simulation.journeys import Attempts
from engine.intake.simulation.money import Ledger
from engine.intake.simulation.people import People
from engine.intake.simulation.trials import Trials
from engine.intake.simulation.world import NEVER, Bools, Floats, Ints, World, expand

PER_CHUNK = 10_000_000  # event and session numbers set aside for each chunk
NAMES = (
    "login", "page_view", "statement_viewed", "push_opened", "branch_visit", "call_placed", "atm_withdrawal",
    "complaint_made", "account_closed",
)  # fmt: skip
APP, WEB, BRANCH, PHONE, ATM, CARD = (
    CHANNELS.index(name) for name in ("app", "web", "branch", "call_centre", "atm", "card")
)
SESSION_GAP = 1800  # seconds after which a further journey step belongs to another visit


@dataclass(frozen=True, slots=True, kw_only=True)
class Visits:
    """Events of one chunk, one array per attribute; `session` is -1 outside visits, `product` -1 where there is none.

    `traceable` events may reach the bank with an identifier but no customer id.
    """

    who: Ints
    when: Ints
    name: Ints
    channel: Ints
    session: Ints
    product: Ints
    value: Floats
    traceable: Bools

    def __len__(self) -> int:
        return len(self.who)


def names(world: World) -> list[str]:
    """Return every event name: those of this module, then journey steps, metric events, frictions and touches."""
    steps = [step for journey in world.rules.journeys for step in journey.steps]
    frictions = [friction.event for journey in world.rules.journeys for friction in journey.frictions]
    metrics = trials.event_names(world.rules)
    return list(dict.fromkeys([*NAMES, *steps, *metrics, *frictions, world.rules.touches.event]))


def make(
    world: World, chunk: int, people: People, *, ledger: Ledger, attempts: Attempts, talks: Talks, tests: Trials
) -> Visits:
    """Return the events of one chunk in order of customer and time."""
    rng = world.rng(chunk, "visits")
    browsing = _sessions(rng, world, people)
    parts = [
        browsing,
        _journeys(rng, world, attempts, int(browsing.session.max(initial=-1)) + 1),
        _branch_visits(rng, world, people),
        _talks(talks),
        _withdrawals(ledger),
        _metrics(world, people, tests),
        _farewells(people),
    ]
    return in_order(world, people, parts)


def in_order(world: World, people: People, parts: list[Visits]) -> Visits:
    """Return the events of all parts that a customer of the bank can have within the history, by customer and time."""
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in Visits.__slots__}
    valid = people.alive(columns["when"], columns["who"]) | (columns["name"] == NAMES.index("account_closed"))
    rows = np.flatnonzero(valid & (columns["when"] >= world.start) & (columns["when"] <= world.end))
    order = rows[np.argsort((columns["who"][rows] << 33) + (columns["when"][rows] - world.start), kind="stable")]
    return Visits(**{name: column[order] for name, column in columns.items()})


def events_of(
    who: Ints,
    when: Ints,
    name: Ints,
    channel: int | Ints,
    *,
    session: Ints | None = None,
    product: Ints | None = None,
    value: Floats | None = None,
    traceable: bool = False,
) -> Visits:
    """Return events of which only some attributes differ from the usual: no visit, no product, no value."""
    size = len(who)
    return Visits(
        who=who,
        when=when,
        name=name,
        channel=np.full(size, channel) if isinstance(channel, int) else channel,
        session=np.full(size, -1) if session is None else session,
        product=np.full(size, -1) if product is None else product,
        value=np.full(size, np.nan) if value is None else value,
        traceable=np.full(size, traceable),
    )


def _named(name: str, size: int) -> Ints:
    return np.full(size, NAMES.index(name))


def _sessions(rng: np.random.Generator, world: World, people: People) -> Visits:
    """Visits by app and web: a login, then pages, statements or a push message that led there."""
    truth = np.array([segment.sessions_per_month for segment in world.rules.segments])[people.segment]
    digital = people.app | people.web
    rate = (truth * people.active * digital * np.where(people.main_bank, 1.5, 0.85))[:, None]
    cell, _ = expand(rng.poisson(rate * spending.fading(world, people)).ravel())
    who, month = cell // world.months, cell % world.months
    start = calendar.moments(rng, world, month, calendar.ONLINE, 1.1)
    by_app = people.app[who] & (~people.web[who] | (rng.random(len(who)) < 0.75))
    session, place = expand(1 + np.minimum(rng.poisson(1.25, len(who)), 8))
    gaps = rng.integers(15, 150, len(session))
    gaps[place == 0] = 0
    through = np.cumsum(gaps)
    first = np.flatnonzero(place == 0)
    when = start[session] + through - np.repeat(through[first], np.diff(np.append(first, len(session))))
    draw = rng.random(len(session))
    page = np.where(draw < 0.72, NAMES.index("page_view"), NAMES.index("statement_viewed"))
    page = np.where((draw > 0.93) & by_app[session], NAMES.index("push_opened"), page)
    name = np.where(place == 0, NAMES.index("login"), page)
    channel = np.where(by_app, APP, WEB)[session]
    return events_of(who[session], when, name, channel, session=session, traceable=True)


def _journeys(rng: np.random.Generator, world: World, attempts: Attempts, next_session: int) -> Visits:
    """The steps of attempts, one event each; steps further apart than a visit lasts have their own session."""
    row, step = np.nonzero(attempts.times != NEVER)
    when = attempts.times[row, step]
    new = (step == 0) | (np.diff(when, prepend=0) > SESSION_GAP)
    known = names(world)
    lookup = np.zeros((len(world.rules.journeys), attempts.times.shape[1]), dtype=np.int64)
    for code, journey in enumerate(world.rules.journeys):
        lookup[code, : len(journey.steps)] = [known.index(name) for name in journey.steps]
    name = lookup[attempts.journey[row], step]
    typical = np.array([product.typical_amount_minor for product in world.products])[attempts.product[row]] / 100
    asks = np.isin(name, [known.index(word) for word in ("calculator_used", "application_submitted") if word in known])
    value = np.where(asks, np.round(typical * rng.lognormal(0, 0.4, len(row)), -2), np.nan)
    # papers are brought to a branch now and then; the first use of a card is a payment
    papers = (name == known.index("documents_uploaded")) & (rng.random(len(row)) < 0.12)
    channel = np.where(papers, BRANCH, attempts.channel[row])
    cards = np.array([product.family == "card" for product in world.products])[attempts.product[row]]
    channel = np.where((name == known.index("first_use")) & cards, CARD, channel)
    session = next_session + np.cumsum(new) - 1
    return events_of(
        attempts.who[row], when, name, channel, session=session, product=attempts.product[row], value=value,
        traceable=True,
    )  # fmt: skip


def _branch_visits(rng: np.random.Generator, world: World, people: People) -> Visits:
    rate = np.where(people.app, 0.05, 0.17) * people.active
    cell, _ = expand(rng.poisson(rate[:, None] * spending.fading(world, people)).ravel())
    who = cell // world.months
    when = calendar.moments(rng, world, cell % world.months, calendar.OFFICE, 0.5)
    return events_of(who, when, _named("branch_visit", len(who)), BRANCH)


def _talks(talks: Talks) -> Visits:
    """A complaint or a call leaves an event at the same instant."""
    rows = np.flatnonzero((talks.kind == COMPLAINT) | (talks.kind == CALL))
    called = talks.kind[rows] == CALL
    name = np.where(called, NAMES.index("call_placed"), NAMES.index("complaint_made"))
    return events_of(talks.who[rows], talks.when[rows], name, talks.channel[rows])


def _withdrawals(ledger: Ledger) -> Visits:
    """Every cash booking is a withdrawal at a machine some seconds before."""
    bookings = ledger.bookings
    rows = np.flatnonzero((bookings.category == CATEGORIES.index("cash")) & (bookings.channel == ATM))
    value = -bookings.amount[rows] / 100
    when = bookings.when[rows] - 20
    return events_of(bookings.who[rows], when, _named("atm_withdrawal", len(rows)), ATM, value=value)


def _metrics(world: World, people: People, tests: Trials) -> Visits:
    """Events that the experiments measure; complaints among them are told by the interactions."""
    known, metric = names(world), trials.event_names(world.rules)
    rows = np.flatnonzero(~np.isin(tests.event, [place for place, word in enumerate(metric) if word in NAMES]))
    name = np.array([known.index(word) for word in metric])[tests.event[rows]]
    who = tests.event_who[rows]
    channel = np.where(people.app[who], APP, np.where(people.web[who], WEB, PHONE))
    return events_of(who, tests.event_when[rows], name, channel, value=tests.event_value[rows])


def _farewells(people: People) -> Visits:
    who = np.flatnonzero(people.closed != NEVER)
    return events_of(who, people.closed[who], _named("account_closed", len(who)), BRANCH)


def columns(world: World, chunk: int, people: People, visits: Visits) -> dict[str, pa.Array | Ints | Floats]:
    """Return the columns of the events table."""
    return told(world.rng(chunk, "identities").spawn(1)[0], world, chunk, people, visits)


def told(
    rng: np.random.Generator, world: World, chunk: int, people: People, visits: Visits, *, numbers_before: int = 0
) -> dict[str, pa.Array | Ints | Floats]:
    """Return events as columns of their table, numbered after those that the chunk already has."""
    size, customers = len(visits), len(people)
    carried = _carried(world, people, visits)
    anonymous = visits.traceable & np.isin(carried, [identities.COOKIE, identities.DEVICE])
    anonymous &= (visits.name != NAMES.index("login")) & (rng.random(size) < world.rules.identity.anonymous_share)
    has_id = carried >= 0
    at = np.where(has_id, carried * customers + visits.who, 0)
    delay = 1 + (rng.random(size) ** 4 * 240).astype(np.int64)
    tie = (np.diff(visits.when, prepend=0) == 0) & (np.diff(visits.who, prepend=-1) == 0)
    run = np.arange(size) - np.maximum.accumulate(np.where(tie, 0, np.arange(size)))
    return {
        "event_id": ids.numbered("E", chunk * PER_CHUNK + numbers_before + np.arange(size), 11),
        "customer_id": people.ids.take(pa.array(visits.who, mask=anonymous)),
        "id_type": ids.words(carried, identities.KINDS),
        "id_value": identities.values(world, people).take(pa.array(at, mask=~has_id)),
        "occurred_at": visits.when,
        "ingested_at": np.minimum(visits.when + delay, world.end),
        "event_name": ids.words(visits.name, names(world)),
        "channel": ids.words(visits.channel, CHANNELS),
        "session_id": _session_ids(chunk, visits.session),
        "product_id": ids.words(visits.product, [product.product_id for product in world.products]),
        "lifecycle": pa.nulls(size, pa.string()),
        "value": visits.value,
        "seq": run,
    }


def _carried(world: World, people: People, visits: Visits) -> Ints:
    """Return the kind of identifier each event carries: cookie, device, or the tablet of a branch; -1 for none."""
    channel = visits.channel
    web = (channel == WEB) & people.web[visits.who]
    app = (channel == APP) & people.app[visits.who]
    tablet = (channel == BRANCH) & (identities.branch_of(world, people)[visits.who] >= 0)
    kind = np.where(web, identities.COOKIE, np.where(app, identities.DEVICE, -1))
    return np.where(tablet, identities.TABLET, kind)


def _session_ids(chunk: int, session: Ints) -> pa.Array:
    text = ids.numbered("S", chunk * PER_CHUNK + np.maximum(session, 0), 11)
    return pc.if_else(pa.array(session >= 0), text, pa.scalar(None, pa.string()))
