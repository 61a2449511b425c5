"""Complaints, calls and surveys; consents with their history; campaigns and what became of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from engine.domain.words import CHANNELS, CONTACT_CHANNELS, FEEDBACK_EVENTS, INTERACTION_KINDS, MARKETING
from engine.intake.simulation import calendar, ids, spending, trials
from engine.intake.simulation import vocabulary as say
from engine.intake.simulation.people import LANGUAGES, People
from engine.intake.simulation.trials import Trials
from engine.intake.simulation.world import DAY, NEVER, Bools, Floats, Ints, World, expand, pick, pick_by_row

PER_CHUNK = 1_000_000  # interaction and feedback numbers set aside for each chunk
COMPLAINT, CALL, SURVEY = (INTERACTION_KINDS.index(name) for name in ("complaint", "call", "survey"))
MONTHLY = {COMPLAINT: 0.0035, CALL: 0.026, SURVEY: 0.016}  # per customer and month


@dataclass(frozen=True, slots=True, kw_only=True)
class Talks:
    """Interactions of one chunk by customer and time; `tone` is 0 unhappy, 1 neutral, 2 happy."""

    who: Ints
    when: Ints
    kind: Ints
    topic: Ints
    tone: Ints
    channel: Ints
    score: Ints
    resolved: Ints

    def __len__(self) -> int:
        return len(self.who)


def talk(world: World, chunk: int, people: People, tests: Trials) -> Talks:
    """Return the interactions of one chunk. The unhappy complain more, and those about to leave most of all."""
    rng = world.rng(chunk, "talks")
    drawn = [_drawn(rng, world, people, kind) for kind in MONTHLY]
    parts = [_outside_experiment(world, people, part, tests) for part in drawn]
    parts.append(_complaints_of_experiments(world, tests))
    who, when, kind = (np.concatenate(column) for column in zip(*parts, strict=True))
    kept = np.flatnonzero(people.alive(when, who) & (when <= world.end))
    order = kept[np.lexsort((kind[kept], when[kept], who[kept]))]
    return _told(rng, world, people, who=who[order], when=when[order], kind=kind[order])


def _drawn(rng: np.random.Generator, world: World, people: People, kind: int) -> tuple[Ints, Ints, Ints]:
    """Return customer, instant and kind of interactions of one kind."""
    here = spending.fading(world, people)
    rate = MONTHLY[kind] * (here > 0)
    if kind == COMPLAINT:
        rate = rate * np.exp(0.5 * people.unhappy)[:, None] * np.where((here > 0) & (here < 1), 3.0, 1.0)
    cell, _ = expand(rng.poisson(rate).ravel())
    who, month = cell // world.months, cell % world.months
    return who, calendar.moments(rng, world, month, calendar.OFFICE, 0.3), np.full(len(who), kind)


def _outside_experiment(
    world: World, people: People, part: tuple[Ints, Ints, Ints], tests: Trials
) -> tuple[Ints, Ints, Ints]:
    """Leave out complaints in the month after an exposure: there the experiment's own true rate rules."""
    who, when, kind = part
    outside = np.ones(len(who), dtype=np.bool_)
    for code, truth in enumerate(world.rules.experiments):
        if any(metric.event == "complaint_made" for metric in truth.metrics):
            first = tests.first_exposure(code, len(people))[who]
            inside = (first != NEVER) & (when >= first) & (when <= first + trials.WINDOW * DAY)
            outside &= ~(inside & (kind == COMPLAINT))
    return who[outside], when[outside], kind[outside]


def _complaints_of_experiments(world: World, tests: Trials) -> tuple[Ints, Ints, Ints]:
    names = trials.event_names(world.rules)
    rows = np.flatnonzero(np.isin(tests.event, [place for place, name in enumerate(names) if name == "complaint_made"]))
    return tests.event_who[rows], tests.event_when[rows], np.full(len(rows), COMPLAINT)


def _told(rng: np.random.Generator, world: World, people: People, *, who: Ints, when: Ints, kind: Ints) -> Talks:
    size = len(who)
    mood = 0.8 * people.unhappy[who] + rng.normal(0, 1, size)
    calm = np.where(mood > 1.1, 0, np.where(mood < -0.4, 2, 1))
    tone = np.where(kind == COMPLAINT, 0, np.where(kind == CALL, np.minimum(calm, 1), calm))
    score = np.clip(np.round(3.9 - 0.75 * mood - np.where(kind == COMPLAINT, 1.6, 0.0)), 1, 5).astype(np.int64)
    answered = np.where(kind == SURVEY, 1.0, np.where(kind == COMPLAINT, 0.6, 0.35))
    resolved = when + (rng.lognormal(1.1, 0.8, size) * DAY).astype(np.int64)
    settled = (kind == COMPLAINT) & (resolved <= world.end) & (rng.random(size) < 0.93)
    spots = np.array([CHANNELS.index(name) for name in ("app", "web", "branch", "call_centre", "email")])
    shares = np.where((kind == CALL)[:, None], [0, 0, 0, 1, 0], [0.35, 0.15, 0.2, 0.2, 0.1])
    return Talks(
        who=who,
        when=when,
        kind=kind,
        topic=pick(rng, [0.18, 0.18, 0.16, 0.12, 0.10, 0.12, 0.06, 0.08], size),
        tone=tone,
        channel=spots[pick_by_row(rng, shares.astype(np.float64))],
        score=np.where(rng.random(size) < answered, score, NEVER),
        resolved=np.where(settled, resolved, NEVER),
    )


def talk_columns(chunk: int, people: People, talks: Talks) -> dict[str, pa.Array | Ints]:
    """Return the columns of the interactions table."""
    sentences = [text for topic in say.TOPICS for pair in say.SAID[topic] for text in pair]
    language = people.language[talks.who]
    said = (talks.topic * 3 + talks.tone) * 2 + language
    silent = (talks.kind == SURVEY) & ((talks.when + talks.who) % 10 < 4)
    return {
        "interaction_id": ids.numbered("I", chunk * PER_CHUNK + np.arange(len(talks)), 10),
        "customer_id": people.ids.take(pa.array(talks.who)),
        "occurred_at": talks.when,
        "kind": ids.words(talks.kind, INTERACTION_KINDS),
        "channel": ids.words(talks.channel, CHANNELS),
        "topic": ids.words(talks.topic, say.TOPICS),
        "text": ids.words(np.where(silent, -1, said), sentences),
        "language": ids.words(language, LANGUAGES),
        "satisfaction_score": talks.score,
        "resolved_at": talks.resolved,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """Consents of one chunk by customer and time."""

    who: Ints
    channel: Ints
    granted: Ints
    when: Ints
    expires: Ints


def answer(world: World, chunk: int, people: People) -> Answers:
    """Return the consents: asked at joining for four channels; some withdraw, a few of them come back."""
    rng = world.rng(chunk, "consents")
    asked = np.flatnonzero(rng.random(len(people)) < 0.95)
    channels = np.array([CONTACT_CHANNELS.index(name) for name in ("email", "sms", "phone", "push")])
    who, channel = np.repeat(asked, 4), np.tile(channels, len(asked))
    willing = np.array([segment.marketing_consent for segment in world.rules.segments])[people.segment]
    # who likes to be written to on one channel mostly likes it on the others
    leaning = np.clip(willing + 0.35 * (rng.random(len(people)) - 0.5), 0.02, 0.98)
    shift = np.array([0.05, 0.08, -0.18, 0.0, 0.0])[channel]
    granted = rng.random(len(who)) < np.clip(leaning[who] + shift, 0, 1)
    when = people.joined[who] + 300
    left = np.where(people.closed[who] == NEVER, world.end, people.closed[who])
    withdraws = granted & (rng.random(len(who)) < 0.08)
    second = when + (rng.uniform(0.05, 1, len(who)) * (left - when)).astype(np.int64)
    third = second + (rng.uniform(0.1, 1, len(who)) * (left - second)).astype(np.int64)
    returns = withdraws & (rng.random(len(who)) < 0.15)
    expires = np.where(
        granted & (rng.random(len(who)) < 0.04), world.end + rng.integers(-200, 400, len(who)) * DAY, NEVER
    )
    expires = np.where(expires > when, expires, NEVER)
    rows = [
        (who, channel, granted, when, expires),
        (who[withdraws], channel[withdraws], np.zeros(int(withdraws.sum())), second[withdraws], None),
        (who[returns], channel[returns], np.ones(int(returns.sum())), third[returns], None),
    ]
    merged = [np.concatenate([np.asarray(row[place]) for row in rows]) for place in range(4)]
    ends = np.concatenate([expires, np.full(len(merged[0]) - len(expires), NEVER)])
    order = np.lexsort((merged[1], merged[3], merged[0]))
    return Answers(
        who=merged[0][order],
        channel=merged[1][order],
        granted=merged[2][order].astype(np.bool_),
        when=merged[3][order],
        expires=ends[order],
    )


def consent_columns(people: People, answers: Answers) -> dict[str, pa.Array | Ints]:
    """Return the columns of the consents table."""
    return {
        "customer_id": people.ids.take(pa.array(answers.who)),
        "purpose": ids.words(np.zeros(len(answers.who), dtype=np.int64), (MARKETING,)),
        "channel": ids.words(answers.channel, CONTACT_CHANNELS),
        "granted": answers.granted,
        "recorded_at": answers.when,
        "expires_at": answers.expires,
    }


# campaigns run in each of the last twelve months, these products in turn
CAMPAIGNS = (
    "savings_account",
    "credit_card_classic",
    "money_market_fund",
    "travel_insurance",
    "personal_loan",
    "index_fund",
)
REACHED = 0.09  # share of customers whom one campaign is sent to


def feedback_columns(
    world: World, chunk: int, people: People, answers: Answers, propensity: Floats
) -> dict[str, pa.Array | Ints]:
    """Return the columns of the offers_feedback table: what was sent in campaigns, and what came back."""
    rng = world.rng(chunk, "feedback")
    months = min(12, world.months)
    cell = np.flatnonzero(rng.random(len(people) * months) < REACHED)
    who, turn = cell // months, cell % months
    month = world.months - months + turn
    when = calendar.moments(rng, world, month, calendar.OFFICE, 0.1)
    channel = np.array([CONTACT_CHANNELS.index(name) for name in ("email", "sms", "push")])[
        pick(rng, [4, 3, 3], len(who))
    ]
    kept = np.flatnonzero(people.alive(when, who) & _agreed(people, answers, who, channel, when))
    who, when, channel, turn, month = who[kept], when[kept], channel[kept], turn[kept], month[kept]
    product = np.array([world.product(name) for name in CAMPAIGNS])[turn % len(CAMPAIGNS)]
    code, row, moment = _responses(rng, when, 6 * propensity[who, product])
    late = moment <= world.end
    code, row, moment = code[late], row[late], moment[late]
    order = np.lexsort((code, moment, who[row]))
    code, row, moment = code[order], row[order], moment[order]
    starts = [
        f"{_year_month(world, index)}-{CAMPAIGNS[(index - world.months + months) % len(CAMPAIGNS)]}"
        for index in range(world.months)
    ]
    return {
        "feedback_id": ids.numbered("F", chunk * PER_CHUNK + np.arange(len(row)), 10),
        "campaign_id": ids.words(month[row], starts),
        "customer_id": people.ids.take(pa.array(who[row])),
        "product_id": ids.words(product[row], [each.product_id for each in world.products]),
        "channel": ids.words(channel[row], CONTACT_CHANNELS),
        "event": ids.words(code, FEEDBACK_EVENTS),
        "occurred_at": moment,
    }


def _agreed(people: People, answers: Answers, who: Ints, channel: Ints, when: Ints) -> Bools:
    """Mark the contacts whose customer had agreed to that channel at joining: past campaigns knew no more."""
    latest = np.zeros((len(people), len(CONTACT_CHANNELS)), dtype=np.bool_)
    known = np.full((len(people), len(CONTACT_CHANNELS)), np.int64(2**62))
    latest[answers.who[::-1], answers.channel[::-1]] = answers.granted[::-1]
    known[answers.who[::-1], answers.channel[::-1]] = answers.when[::-1]
    agreed: Bools = latest[who, channel] & (known[who, channel] < when)
    return agreed


def _responses(rng: np.random.Generator, sent: Ints, interest: Floats) -> tuple[Ints, Ints, Ints]:
    """Return what happened to each message: the code of the event, the row of the message, and when."""
    size = len(sent)
    bounced = rng.random(size) < 0.02
    opened = ~bounced & (rng.random(size) < np.clip(0.24 + interest, 0, 0.8))
    clicked = opened & (rng.random(size) < np.clip(0.10 + 2 * interest, 0, 0.7))
    converted = clicked & (rng.random(size) < np.clip(0.03 + 2 * interest, 0, 0.6))
    left = opened & (rng.random(size) < 0.012)
    annoyed = ~bounced & (rng.random(size) < 0.0015)
    marks = {
        "sent": np.ones(size, dtype=np.bool_), "delivered": ~bounced, "bounced": bounced, "opened": opened,
        "clicked": clicked, "converted": converted, "unsubscribed": left, "complained": annoyed,
    }  # fmt: skip
    lag = np.cumsum(rng.exponential(1, (size, 4)) * np.array([60, 20_000, 600, 120_000]), axis=1).astype(np.int64) + 1
    wait = {"sent": None, "delivered": 0, "bounced": 0, "opened": 1, "clicked": 2, "converted": 3, "unsubscribed": 2}
    rows = [np.flatnonzero(mark) for mark in marks.values()]
    times = [
        sent[row] + (0 if wait.get(name, 3) is None else lag[row, wait.get(name, 3)])
        for (name, _), row in zip(marks.items(), rows, strict=True)
    ]
    codes = [np.full(len(row), FEEDBACK_EVENTS.index(name)) for name, row in zip(marks, rows, strict=True)]
    return np.concatenate(codes), np.concatenate(rows), np.concatenate(times)


def _year_month(world: World, index: int) -> str:
    return str(np.datetime64(world.month_starts[index], "s"))[:7]
