"""What the credit bureau says month by month, and the true default probability that follows from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from engine.intake.simulation.people import EMPLOYMENT, People
from engine.intake.simulation.world import NEVER, YEAR, Bools, Floats, Ints, World, logistic, month_index

LEAD = 12  # months simulated before the history, so that the first reports already look back a year


@dataclass(frozen=True, slots=True, kw_only=True)
class Bureau:
    """Monthly records of one chunk: arrays of shape (n_customers, months); `known` marks who has any record.

    `late_days` is the longest delay at any lender that came to 30 days or more in a month, 0 where none did.
    """

    known: Bools
    utilisation: Floats
    delinquencies: Ints
    worst_days: Ints
    late_days: Ints
    inquiries: Ints
    oldest: Ints
    lines: Ints
    limit_minor: Ints
    balance_minor: Ints
    instalments_minor: Ints
    public_records: Ints


def make(world: World, chunk: int, people: People) -> Bureau:
    """Return the bureau's view of the customers of one chunk."""
    rng = world.rng(chunk, "bureau")
    size, months = len(people), world.months
    # the character that shows in every record; stretched customers and small incomes carry more of it
    risk = rng.normal(0, 1, size) - 0.25 * people.income_z + np.where(people.segment == 4, 0.5, 0.0)
    out_of_work = _out_of_work(world, people)
    late = rng.poisson(0.017 * np.exp(0.85 * risk)[:, None] * np.where(out_of_work, 3.0, 1.0))
    severity = np.where(late > 0, 30 * rng.geometric(0.62, late.shape), 0)
    inquiries = rng.poisson(0.09 * np.exp(0.35 * risk)[:, None] * np.ones((1, months + LEAD)))
    utilisation = _utilisation(rng, risk, out_of_work)[:, LEAD:]
    lines = np.minimum(1 + rng.poisson(1.6, size), 12)[:, None] + np.zeros((1, months), dtype=np.int64)
    limit = (people.income_true * np.exp(rng.normal(0.4, 0.5, size)) / 100_000).astype(np.int64)[:, None] * 100_000
    limit = limit * lines // 2 + 200_000
    loans = np.where(rng.random(size) < 0.35, people.income_true * rng.gamma(2.0, 3.0, size), 0.0)[:, None]
    owed = limit * utilisation
    oldest = _oldest_line(world, chunk, people, rng.gamma(2.0, 1.0, size))
    return Bureau(
        known=rng.random(size) < world.rules.credit.bureau_share,
        utilisation=np.round(utilisation, 4),
        delinquencies=_rolling_sum(late, 12, months),
        worst_days=np.minimum(_rolling_max(severity, 12, months), 180),
        late_days=severity[:, LEAD:],
        inquiries=_rolling_sum(inquiries, 6, months),
        oldest=oldest,
        lines=lines,
        limit_minor=limit,
        balance_minor=(owed + loans).astype(np.int64),
        instalments_minor=(0.03 * owed + loans / 40).astype(np.int64),
        public_records=_records(rng, risk, months),
    )


def _out_of_work(world: World, people: People) -> Bools:
    """Mark the months, the lead included, in which a customer had lost the job. Shape (n, LEAD + months)."""
    starts = np.concatenate([np.full(LEAD, world.start - YEAR), world.starts[:-1]])
    lost = people.job_lost[:, None]
    marked: Bools = (lost != NEVER) & (starts > lost) & (starts <= people.job_found[:, None])
    return marked


def _utilisation(rng: np.random.Generator, risk: Floats, out_of_work: Bools) -> Floats:
    """Return how much of revolving limits is used: a mean-reverting walk around each customer's habit."""
    size, months = out_of_work.shape
    habit = -0.75 + 0.85 * risk
    level = np.empty((size, months))
    now = habit + rng.normal(0, 0.7, size)
    for month in range(months):
        now = habit + 0.88 * (now - habit) + rng.normal(0, 0.33, size) + 0.35 * out_of_work[:, month]
        level[:, month] = now
    return 1.12 * logistic(level)


def _oldest_line(world: World, chunk: int, people: People, begun: Floats) -> Ints:
    """Return the age of the oldest open credit line in months, by customer and month, from standard gamma draws.

    The oldest line is closed now and then, and the next oldest is any share of its age. Closed at that rate, a gamma
    distribution of shape 2 stays as it is, as it does in a population that people enter young and leave old: with
    lines that only grow older every bank would see its customers drift.
    """
    rng = world.rng(chunk, "credit_lines")
    scale = world.rules.credit.oldest_line_months / 2
    oldest = np.empty((len(people), world.months))
    now = begun * scale
    for month in range(world.months):
        adult = np.maximum((people.age - (world.end - world.starts[month]) / YEAR - 18) * 12, 3)
        closed = rng.random(len(people)) < 1 / scale
        now = np.minimum(np.where(closed, now * rng.random(len(people)), now + 1), adult)
        oldest[:, month] = now
    return oldest.astype(np.int64)


def _rolling_sum(counts: Ints, width: int, months: int) -> Ints:
    total = np.cumsum(np.pad(counts, ((0, 0), (1, 0))), axis=1)
    ends = np.arange(LEAD, LEAD + months)
    summed: Ints = total[:, ends] - total[:, ends - width]
    return summed


def _rolling_max(values: Ints, width: int, months: int) -> Ints:
    worst = np.zeros((len(values), months), dtype=np.int64)
    for back in range(1, width + 1):
        np.maximum(worst, values[:, LEAD - back : LEAD - back + months], out=worst)
    return worst


def _records(rng: np.random.Generator, risk: Floats, months: int) -> Ints:
    marked = rng.random(len(risk)) < np.minimum(0.004 * np.exp(risk), 0.2)
    return np.repeat(marked[:, None].astype(np.int64), months, axis=1)


def default_logit(world: World, people: People, bureau: Bureau, who: Ints, month: Ints) -> Floats:
    """Return the logit of the true default probability of customers, given by row, as of months of the history.

    It uses only what the engine can see: the report of that month, and what the customer declared.
    """
    truth = world.rules.credit
    use = bureau.utilisation[who, month]
    seen = (
        truth.utilisation * use
        + 2.0 * np.maximum(use - 0.9, 0)
        + truth.delinquency * np.sqrt(bureau.delinquencies[who, month])
        + truth.inquiry * np.minimum(bureau.inquiries[who, month], 6)
        + truth.oldest_line * np.log1p(bureau.oldest[who, month] / 12)
    )
    by_employment = {
        "unemployed": truth.unemployed,
        "self_employed": truth.self_employed,
        "retired": truth.retired,
    }
    terms = np.array([by_employment.get(name, 0.0) for name in EMPLOYMENT])
    declared = people.income_minor[who] != NEVER
    age = people.age[who] - (world.end - world.starts[month]) / YEAR
    logit: Floats = (
        truth.base
        + np.where(bureau.known[who], seen, truth.thin_file)
        + np.where(declared, truth.income * people.income_z[who], 0.0)
        + terms[people.employment[who]]
        + truth.youth * np.clip((35 - age) / 17, 0, 1)
    )
    return logit


def mark_defaults(world: World, bureau: Bureau, who: Ints, defaulted: Ints) -> None:
    """Write defaults at this bank into the later reports of the customers who made them, in place."""
    month = month_index(world, defaulted)
    later = np.arange(world.months)[None, :] > month[:, None]
    row, column = np.nonzero(later & (np.arange(world.months)[None, :] <= month[:, None] + 12))
    at = (who[row], column)
    bureau.delinquencies[at] += 3
    bureau.worst_days[at] = np.maximum(bureau.worst_days[at], 120)
    bureau.utilisation[at] = np.maximum(bureau.utilisation[at], 0.9)


def add_own_credit(world: World, bureau: Bureau, who: Ints, booked: Ints, *, amount: Ints, instalment: Ints) -> None:
    """Add credit booked at this bank to the reports that follow, in place."""
    later = world.starts[None, :-1] > booked[:, None]
    row, column = np.nonzero(later)
    at = (who[row], column)
    np.add.at(bureau.lines, at, 1)
    np.add.at(bureau.limit_minor, at, amount[row])
    np.add.at(bureau.balance_minor, at, amount[row] // 2)
    np.add.at(bureau.instalments_minor, at, instalment[row])


def columns(world: World, people: People, bureau: Bureau) -> dict[str, pa.Array | Ints | Floats]:
    """Return the columns of the bureau table: one report on the first day of each month of the relationship."""
    starts = world.starts[:-1]
    alive = bureau.known[:, None] & (starts >= people.joined[:, None])
    alive &= (people.closed[:, None] == NEVER) | (starts < people.closed[:, None])
    at = who, month = np.nonzero(alive)
    return {
        "customer_id": people.ids.take(pa.array(who)),
        "reported_at": starts[month],
        "credit_lines": bureau.lines[at],
        "total_limit_minor": bureau.limit_minor[at],
        "total_balance_minor": bureau.balance_minor[at],
        "instalments_monthly_minor": bureau.instalments_minor[at],
        "utilisation_rate": bureau.utilisation[at],
        "delinquencies_12m": bureau.delinquencies[at],
        "worst_days_past_due_12m": bureau.worst_days[at],
        "inquiries_6m": bureau.inquiries[at],
        "oldest_line_months": bureau.oldest[at],
        "public_records": bureau.public_records[at],
    }
