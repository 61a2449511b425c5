"""A drift planted in the tenth month of the simulated bank is seen in the tenth or eleventh, and nothing before it.

A bank is made in memory, without its payments and visits. The scorecard learns in its first year, on outcomes drawn
with the true default probabilities; then 500 customers a month apply for twelve months.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa
import pytest

from engine.config.bank import BankSettings
from engine.config.load import load
from engine.config.products import Catalogue
from engine.config.risk import RiskSettings
from engine.config.simulation import SimulationSettings
from engine.intake.simulation import bureau, people, world
from engine.intake.simulation.people import EMPLOYMENT
from engine.intake.simulation.world import NEVER, logistic
from engine.risk import scorecard as cards
from engine.risk import stability
from engine.risk.stability import INDEX, SCORE, Period, Shift

SETTINGS = load(RiskSettings, "risk")
LEARNED, WATCHED, APPLICANTS, PLANTED = 12, 12, 500, 10
SEEDS = (1, 2, 3, 4)
AGEING = "oldest_line_months"
Columns = dict[str, pa.ChunkedArray]


@dataclass(frozen=True)
class Bank:
    made: world.World
    folks: people.People
    reports: bureau.Bureau

    def seen(self, who: np.ndarray, month: np.ndarray) -> Columns:
        known, at = self.reports.known[who], (who, month)
        from_bureau = {
            "utilisation_rate": self.reports.utilisation[at],
            "delinquencies_12m": self.reports.delinquencies[at],
            "inquiries_6m": self.reports.inquiries[at],
            "oldest_line_months": self.reports.oldest[at],
        }
        income = self.folks.income_minor[who]
        columns = {name: pa.array(values.astype(float), mask=~known) for name, values in from_bureau.items()}
        columns["income_monthly_minor"] = pa.array(income.astype(float), mask=income == NEVER)
        columns["employment"] = pa.array(np.array(EMPLOYMENT)[self.folks.employment[who]])
        return {name: pa.chunked_array([column]) for name, column in columns.items()}

    def true_probability(self, who: np.ndarray, month: np.ndarray) -> np.ndarray:
        return logistic(bureau.default_logit(self.made, self.folks, self.reports, who, month))


def _bank(seed: int) -> Bank:
    bank = load(BankSettings, "bank")
    made = world.make(
        customers=8_000, seed=seed, until=date(2026, 6, 30), months=LEARNED + WATCHED,
        catalogue=load(Catalogue, "products"), rates=bank.rates, base_currency=bank.base_currency,
        time_zone=bank.time_zone, rules=load(SimulationSettings, "simulation"),
    )  # fmt: skip
    folks = people.make(made, 0)
    return Bank(made=made, folks=folks, reports=bureau.make(made, 0, folks))


Chooses = Callable[[Bank, np.random.Generator, int], np.ndarray]
Changes = Callable[[Columns, int], Columns]


def _anybody(bank: Bank, draw: np.random.Generator, month: int) -> np.ndarray:
    return draw.choice(len(bank.folks), APPLICANTS, replace=False)


def _a_broker_sends_whoever_uses_much_of_the_limits(bank: Bank, draw: np.random.Generator, month: int) -> np.ndarray:
    if month < PLANTED:
        return _anybody(bank, draw, month)
    pull = np.where(bank.reports.utilisation[:, LEARNED + month - 1] > 0.5, 8.0, 1.0)
    return draw.choice(len(bank.folks), APPLICANTS, replace=False, p=pull / pull.sum())


def _as_it_is(columns: Columns, month: int) -> Columns:
    return columns


def _the_bureau_counts_every_enquiry_twice(columns: Columns, month: int) -> Columns:
    return columns if month < PLANTED else {**columns, "inquiries_6m": _times_two(columns["inquiries_6m"])}


def _nobody_closes_a_credit_line_any_more(columns: Columns, month: int) -> Columns:
    """From the year before on, every oldest line grows older by a month a month; whoever had none gets one."""
    known = columns[AGEING]
    older = known.to_numpy() + LEARNED / 2 + month
    return {**columns, AGEING: pa.chunked_array([pa.array(older, from_pandas=True)])}


def _times_two(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(column.to_numpy() * 2, from_pandas=True)])


def _watched(seed: int, chooses: Chooses = _anybody, changes: Changes = _as_it_is) -> list[Shift]:
    bank, draw = _bank(seed), np.random.default_rng(seed)
    who = draw.integers(0, len(bank.folks), APPLICANTS * LEARNED)
    month = np.repeat(np.arange(LEARNED), APPLICANTS)
    learned = bank.seen(who, month)
    bad = draw.random(len(who)) < bank.true_probability(who, month)
    card = cards.fit(learned, bad, SETTINGS.binning, SETTINGS.scaling, {})
    bases = [stability.reference(name, column, SETTINGS.stability) for name, column in _scored(card, learned).items()]
    periods = []
    for number in range(1, WATCHED + 1):
        applying = chooses(bank, draw, number)
        rows = changes(bank.seen(applying, np.full(len(applying), LEARNED + number - 1)), number)
        begins, ends = (datetime.fromtimestamp(bank.made.month_starts[LEARNED + number - 1 + at], UTC) for at in (0, 1))
        periods.append(Period(begins=begins, ends=ends, columns=_scored(card, rows)))
    return stability.watch(bases, periods, SETTINGS.stability, "applications")


def _scored(card: cards.Scorecard, columns: Mapping[str, pa.ChunkedArray]) -> Columns:
    points = card.score(dict(columns), len(next(iter(columns.values())))).points
    return {**columns, SCORE: pa.chunked_array([pa.array(points.astype(float))])}


def _alarms(shifts: list[Shift], what: str | None = None) -> list[int]:
    """Return the months, from 1, in which the score or a characteristic drifted, or only the one asked for."""
    months = sorted({each.begins for each in shifts})
    drifted = [each for each in shifts if each.verdict == "drifted" and what in (None, each.what)]
    return sorted({months.index(each.begins) + 1 for each in drifted})


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_alarms_where_nothing_was_planted(seed: int) -> None:
    assert _alarms(_watched(seed)) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_riskier_applicants_from_month_10_on_alarm_in_month_10_or_11_and_not_before(seed: int) -> None:
    shifts = _watched(seed, chooses=_a_broker_sends_whoever_uses_much_of_the_limits)
    assert _alarms(shifts)[0] in (PLANTED, PLANTED + 1)
    assert _alarms(shifts, SCORE)[0] in (PLANTED, PLANTED + 1)
    last = [each for each in shifts if (each.what, each.measure) == (SCORE, INDEX)][-1]
    began = stability.since(shifts, last)
    assert began == sorted({each.begins for each in shifts})[PLANTED - 1]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_characteristic_that_is_counted_otherwise_from_month_10_on_is_named(seed: int) -> None:
    shifts = _watched(seed, changes=_the_bureau_counts_every_enquiry_twice)
    assert _alarms(shifts)[0] in (PLANTED, PLANTED + 1)
    drifted = {each.what for each in shifts if each.verdict == "drifted"}
    assert "inquiries_6m" in drifted
    assert drifted <= {"inquiries_6m", SCORE}


def test_a_slow_drift_is_seen_before_the_score_drifts() -> None:
    shifts = _watched(SEEDS[0], changes=_nobody_closes_a_credit_line_any_more)
    assert _alarms(shifts, AGEING)[-1] == WATCHED
    assert _alarms(shifts, SCORE) == []
