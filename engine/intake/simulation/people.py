"""Who the customers are: segment, age, income, work, household, relationship, life events, and their names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.config.simulation import Employment
from engine.domain.words import KYC_STATUSES
from engine.intake.simulation import ids
from engine.intake.simulation import vocabulary as say
from engine.intake.simulation.world import DAY, NEVER, YEAR, Bools, Floats, Ints, World, pick, pick_by_row

EMPLOYMENT: Final[tuple[Employment, ...]] = ("employed", "self_employed", "student", "retired", "unemployed")
EDUCATION = ("basic", "secondary", "tertiary")
MARITAL = ("single", "married", "divorced", "widowed")
GENDERS = ("female", "male", "other")
LANGUAGES = ("en", "zh")


@dataclass(frozen=True, slots=True, kw_only=True)
class People:
    """The customers of one chunk, one array per attribute; codes index the tuples of this module.

    Columns that a bank does not always know hold -1 (codes) or NEVER (numbers) where it does not; `income_true`
    is known to the simulation alone. `twin_of` is the row of the same person's first customer id, else -1.
    """

    number: Ints
    segment: Ints
    age: Floats
    born: Ints
    gender: Ints
    region: Ints
    language: Ints
    household: Ints
    employment: Ints
    education: Ints
    marital: Ints
    dependants: Ints
    income_minor: Ints
    income_true: Floats
    income_z: Floats
    joined: Ints
    closed: Ints
    kyc_status: Ints
    kyc_expires: Ints
    main_bank: Bools
    app: Bools
    web: Bools
    unhappy: Floats
    active: Floats
    job_lost: Ints
    job_found: Ints
    child: Ints
    moved: Ints
    twin_of: Ints
    name: pa.Array

    def __len__(self) -> int:
        return len(self.number)

    @property
    def ids(self) -> pa.Array:
        """The customer ids, in order."""
        return ids.numbered("C", self.number, 8)

    def alive(self, when: Ints, who: Ints) -> Bools:
        """Mark the instants that lie within the relationship of the customers named by row."""
        closed = self.closed[who]
        within: Bools = (when >= self.joined[who]) & ((closed == NEVER) | (when < closed))
        return within


def make(world: World, chunk: int) -> People:
    """Return the customers of one chunk."""
    rng = world.rng(chunk, "people")
    first = chunk * world.rules.chunk_customers
    size = min(world.rules.chunk_customers, world.customers - first)
    segment = pick(rng, [each.share for each in world.rules.segments], size)
    age = _ages(rng, world, segment)
    joined, closed, unhappy = _relationship(rng, world, segment, age)
    twin_of = _twins(rng, world, joined, closed)
    person = np.where(twin_of >= 0, twin_of, np.arange(size))
    status, expires = _kyc(rng, world, joined)
    return People(
        number=np.arange(first + 1, first + size + 1),
        segment=segment[person],
        age=age[person],
        joined=joined,
        closed=closed,
        kyc_status=status,
        kyc_expires=expires,
        unhappy=unhappy,
        active=rng.gamma(2.0, 0.5, size),
        twin_of=twin_of,
        **_traits(rng, world, segment[person], age[person], person),
        **_habits(rng, world, segment[person], age[person], twin_of),
        household=_households(rng, first, age[person]),
    )


def _traits(rng: np.random.Generator, world: World, segment: Ints, age: Floats, person: Ints) -> dict[str, Any]:
    """Return what the two ids of one person share, and what the bank wrote down of it."""
    size = len(segment)
    employment = _employment(rng, world, segment, age)[person]
    income, income_z = _incomes(rng, world, segment, employment)
    marital = _marital(rng, age)
    language = np.where(rng.random(size) < np.where(age > 55, 0.04, 0.15), 0, 1)[person]
    gender = pick(rng, [0.497, 0.499, 0.004], size)[person]
    return {
        "born": world.end // DAY - (age * 365.25).astype(np.int64),
        "gender": np.where(rng.random(size) < 0.01, -1, gender),
        "region": pick(rng, say.REGION_SHARES, size)[person],
        "language": language,
        "employment": employment,
        "education": np.where(rng.random(size) < 0.10, -1, _education(rng, segment)),
        "marital": np.where(rng.random(size) < 0.05, -1, marital),
        "dependants": np.where(rng.random(size) < 0.06, NEVER, _dependants(rng, marital, age)),
        "income_minor": _declared(rng, world, income[person]),
        "income_true": income[person],
        "income_z": income_z[person],
        "name": names(rng, language, size).take(pa.array(person)),
    }


def _habits(rng: np.random.Generator, world: World, segment: Ints, age: Floats, twin_of: Ints) -> dict[str, Any]:
    """Return how customers use the bank, and what life does to them within the history."""
    size = len(segment)
    share = np.array([[each.main_bank_share, each.app_share] for each in world.rules.segments])[segment]
    app = rng.random(size) < share[:, 1]
    lost, found = _job_loss(rng, world, age)
    return {
        "main_bank": (rng.random(size) < share[:, 0]) & (twin_of < 0) & (age >= 18),
        "app": app,
        "web": rng.random(size) < np.where(app, 0.55, 0.35),
        "job_lost": lost,
        "job_found": found,
        "child": _life_event(rng, world, 0.06 * np.exp(-(((age - 31) / 6) ** 2))),
        "moved": _life_event(rng, world, np.where(age < 45, 0.05, 0.015)),
    }


def _ages(rng: np.random.Generator, world: World, segment: Ints) -> Floats:
    truth = np.array([[each.age_mean, each.age_spread] for each in world.rules.segments])[segment]
    return np.clip(rng.normal(truth[:, 0], truth[:, 1]), 12.0, 93.0)


def _employment(rng: np.random.Generator, world: World, segment: Ints, age: Floats) -> Ints:
    shares = np.array([[each.employment.get(name, 0.0) for name in EMPLOYMENT] for each in world.rules.segments])
    drawn = pick_by_row(rng, shares[segment])
    drawn = np.where((age >= 66) & (rng.random(len(age)) < 0.9), EMPLOYMENT.index("retired"), drawn)
    drawn = np.where((age < 55) & (drawn == EMPLOYMENT.index("retired")), EMPLOYMENT.index("employed"), drawn)
    student = EMPLOYMENT.index("student")
    drawn = np.where((drawn == student) & (age > 27), EMPLOYMENT.index("employed"), drawn)
    return np.where(age < 18, student, drawn)


def _incomes(rng: np.random.Generator, world: World, segment: Ints, employment: Ints) -> tuple[Floats, Floats]:
    """Return the true income a month in minor units, and its logarithm standardised over the whole bank."""
    truth = world.rules.segments
    medians = np.log([each.income_median_minor for each in truth])
    spreads = np.array([each.income_spread for each in truth])
    factor = np.log([world.rules.employment_income.get(name, 1.0) for name in EMPLOYMENT])
    log_income = medians[segment] + factor[employment] + rng.normal(0, 1, len(segment)) * spreads[segment]
    shares = np.array([each.share for each in truth])
    centre = float(shares @ medians) - 0.12
    spread = float(np.sqrt(shares @ (spreads**2 + (medians - centre) ** 2))) + 0.12
    return np.exp(log_income), np.clip((log_income - centre) / spread, -3, 3)


def _declared(rng: np.random.Generator, world: World, income: Floats) -> Ints:
    rounded = (np.round(income / 10_000) * 10_000).astype(np.int64)
    return np.where(rng.random(len(income)) < world.rules.unknown_income_share, NEVER, rounded)


def _relationship(rng: np.random.Generator, world: World, segment: Ints, age: Floats) -> tuple[Ints, Ints, Floats]:
    """Return when each customer joined and left, and how unhappy each is at heart (0 mean, 1 spread)."""
    size, span = len(segment), world.end - world.start
    # the bank opened its doors 26 years before the history begins
    years = np.minimum(rng.exponential(world.rules.history_years, size), 26)
    years = np.minimum(years, np.maximum(age - 13, 0.5))
    old = rng.random(size) < world.rules.joined_before_share
    before = world.start - (years * YEAR).astype(np.int64) - DAY
    joined = np.where(old, before, world.start + (rng.random(size) * (span - 2 * DAY)).astype(np.int64))
    unhappy = rng.normal(0, 1, size)
    churn = np.array([each.churn_yearly for each in world.rules.segments])[segment] * np.exp(0.6 * unhappy - 0.18)
    wait = (rng.exponential(1, size) / churn * YEAR).astype(np.int64)
    # nobody leaves within 60 days of joining
    left = np.maximum(joined + 60 * DAY, world.start) + wait
    return _office_hours(joined, world), np.where(left <= world.end, _office_hours(left, world), NEVER), unhappy


def _office_hours(when: Ints, world: World) -> Ints:
    """Move instants to 9 to 17 o'clock local time of the same day, keeping them within the extract."""
    second = 9 * 3600 + (when * 7919 % (8 * 3600)) - world.zone_offset
    return np.asarray(np.minimum(when // DAY * DAY + second % DAY, world.end), dtype=np.int64)


def _marital(rng: np.random.Generator, age: Floats) -> Ints:
    married = np.clip((age - 22) / 14, 0.0, 0.78)
    widowed = np.clip((age - 60) / 90, 0.0, 0.35)
    shares = np.column_stack([1 - married, married * 0.9 - widowed * 0.8, married * 0.1, widowed])
    return pick_by_row(rng, np.maximum(shares, 0))


def _dependants(rng: np.random.Generator, marital: Ints, age: Floats) -> Ints:
    mean = np.where((marital > 0) & (age > 26) & (age < 58), 1.1, 0.08)
    return np.minimum(rng.poisson(mean), 5).astype(np.int64)


def _education(rng: np.random.Generator, segment: Ints) -> Ints:
    shares = np.array([[0.05, 0.3], [0.1, 0.4], [0.03, 0.22], [0.45, 0.4], [0.3, 0.5], [0.15, 0.45]])
    chosen = shares[segment % len(shares)]
    return pick_by_row(rng, np.column_stack([chosen, 1 - chosen.sum(axis=1)]))


def _households(rng: np.random.Generator, first: int, age: Floats) -> Ints:
    """Number the households: about a fifth of the grown-ups live with the previous customer of the chunk."""
    joins = (age >= 24) & (rng.random(len(age)) < 0.25)
    joins[:1] = False
    # no more than two customers in a row, so that households stay small
    joins[1:] &= ~joins[:-1]
    return first + np.cumsum(~joins)


def _twins(rng: np.random.Generator, world: World, joined: Ints, closed: Ints) -> Ints:
    """Return, per customer, the row of the same person's earlier id, or -1. Only live customers have twins."""
    size = len(joined)
    twin_of = np.full(size, -1)
    rows = rng.permutation(size)[: 2 * int(np.ceil(size * world.rules.identity.twin_share))]
    left, right = rows[: len(rows) // 2], rows[len(rows) // 2 : 2 * (len(rows) // 2)]
    earlier = joined[left] <= joined[right]
    original, copy = np.where(earlier, left, right), np.where(earlier, right, left)
    usable = (closed[original] == NEVER) & (closed[copy] == NEVER)
    twin_of[copy[usable]] = original[usable]
    return twin_of


def _job_loss(rng: np.random.Generator, world: World, age: Floats) -> tuple[Ints, Ints]:
    lost = _life_event(rng, world, np.where((age >= 22) & (age < 60), 0.025, 0.0))
    months = rng.uniform(3, 9, len(age))
    found = np.where(lost == NEVER, NEVER, lost + (months * 30 * DAY).astype(np.int64))
    return lost, found


def _life_event(rng: np.random.Generator, world: World, yearly: Floats) -> Ints:
    """Return when an event first met each customer within the history, NEVER if it did not."""
    wait = rng.exponential(1, len(yearly)) / np.maximum(yearly, 1e-9) * YEAR
    when = world.start + np.minimum(wait, 4e9).astype(np.int64)
    return np.where(when <= world.end, when, NEVER)


def _kyc(rng: np.random.Generator, world: World, joined: Ints) -> tuple[Ints, Ints]:
    status = pick(rng, [0.955, 0.022, 0.018, 0.005], len(joined))
    today = world.end // DAY
    ahead = today + rng.integers(20, 5 * 365, len(joined))
    passed = today - rng.integers(1, 300, len(joined))
    status = np.where(joined > world.end - 20 * DAY, np.where(status == 0, 1, status), status)
    expires = np.where(status == KYC_STATUSES.index("expired"), passed, ahead)
    return status, np.where(status == KYC_STATUSES.index("failed"), NEVER, expires)


def names(rng: np.random.Generator, language: Ints, size: int) -> pa.Array:
    """Return invented names: Chinese ones, and English ones where the language is English."""
    chinese = pc.binary_join_element_wise(
        *(_drawn(rng, pool, size) for pool in (say.SURNAMES_ZH, say.GIVEN_FIRST_ZH, say.GIVEN_SECOND_ZH)), ""
    )
    english = pc.binary_join_element_wise(*(_drawn(rng, pool, size) for pool in (say.GIVEN_EN, say.SURNAMES_EN)), " ")
    return pc.if_else(pa.array(language == LANGUAGES.index("en")), english, chinese)


def _drawn(rng: np.random.Generator, pool: list[str], size: int) -> pa.Array:
    return ids.words(rng.integers(0, len(pool), size), pool)


def columns(people: People) -> dict[str, pa.Array | Ints]:
    """Return the columns of the customers table."""
    return {
        "customer_id": people.ids,
        "full_name": people.name,
        "birth_date": people.born,
        "gender": ids.words(people.gender, GENDERS),
        "region": ids.words(people.region, say.REGIONS),
        "language": ids.words(people.language, LANGUAGES),
        "household_id": ids.numbered("H", people.household, 8),
        "employment": ids.words(people.employment, EMPLOYMENT),
        "education": ids.words(people.education, EDUCATION),
        "marital_status": ids.words(people.marital, MARITAL),
        "dependants": people.dependants,
        "income_monthly_minor": people.income_minor,
        "joined_at": people.joined,
        "closed_at": people.closed,
        "kyc_status": ids.words(people.kyc_status, KYC_STATUSES),
        "kyc_expires_on": people.kyc_expires,
    }
