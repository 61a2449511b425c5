"""How customers of the simulated bank stand fits what else is known of them, and changes nothing else."""

import hashlib

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from engine.config.bank import BankSettings
from engine.config.load import load
from engine.config.products import Catalogue
from engine.config.simulation import SimulationSettings
from engine.intake.simulation import simulate_bank

CATALOGUE, BANK, RULES = load(Catalogue, "products"), load(BankSettings, "bank"), load(SimulationSettings, "simulation")
DAY = pd.Timedelta(days=1)


def simulate(out, customers=5_000, rules=RULES):
    simulate_bank(customers, 5, out, catalogue=CATALOGUE, bank=BANK, rules=rules)
    return out


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    return simulate(tmp_path_factory.mktemp("standing") / "bank")


def clean(bank, table):
    rows = pq.read_table(bank / "source" / table).to_pandas()
    faults = pq.read_table(bank / "truth" / "planted_faults.parquet").to_pandas()
    added = faults[(faults.table == table) & (faults.expected == "quarantine")].row_number
    return rows.drop(index=added)


def test_whoever_is_90_days_late_has_defaulted_and_whoever_has_defaulted_is_late_until_settled(bank):
    reports, loans = clean(bank, "standing"), clean(bank, "outcomes")
    bad = loans[loans.defaulted_at.notna()]
    assert len(bad) > 30
    first = bad.groupby("customer_id").defaulted_at.min()
    late = reports[reports.days_past_due >= 90]
    assert (late.reported_at >= first.reindex(late.customer_id).array).all()
    # the report that follows a default counts the days since the instalment missed 90 days before it
    due = reports.merge(bad[["customer_id", "defaulted_at"]])
    next_report = due[(due.reported_at >= due.defaulted_at) & (due.reported_at < due.defaulted_at + 28 * DAY)]
    counted = (next_report.reported_at - next_report.defaulted_at + 90 * DAY) // DAY
    assert len(next_report) > 30
    assert (next_report.days_past_due >= counted).all()


def test_some_delays_of_31_to_89_days_are_paid_and_the_bureau_counts_those(bank):
    reports = clean(bank, "standing").sort_values(["customer_id", "reported_at"])
    later = reports.groupby("customer_id").days_past_due.shift(-1)
    cured = reports[reports.days_past_due.between(31, 89) & (later < 31)]
    assert len(cured) > 20
    bureau = clean(bank, "bureau").sort_values(["customer_id", "reported_at"])
    # those of the last months are not yet in any report of the bureau
    old = cured.reported_at + 62 * DAY < reports.reported_at.max()
    known = cured[cured.customer_id.isin(bureau.customer_id) & old]
    # the bureau says so on the first of the month after next at the latest, of whoever is still a customer then
    said = bureau.merge(known[["customer_id", "reported_at"]], on="customer_id", suffixes=("", "_own"))
    said = said[(said.reported_at > said.reported_at_own) & (said.reported_at < said.reported_at_own + 62 * DAY)]
    worst = said.groupby(["customer_id", "reported_at_own"]).worst_days_past_due_12m.max()
    assert len(worst) > 15
    assert (worst >= 30).all()


def test_reports_come_every_month_from_the_first_on_and_only_of_customers(bank):
    reports, people = clean(bank, "standing"), clean(bank, "customers").set_index("customer_id")
    month = reports.reported_at.dt.year * 12 + reports.reported_at.dt.month
    spans = month.groupby(reports.customer_id).agg(lambda months: months.max() - months.min() + 1)
    assert (spans == reports.groupby("customer_id").size()).all()
    assert (reports.reported_at.array >= people.joined_at.reindex(reports.customer_id).array).all()
    left = people.closed_at.reindex(reports.customer_id).array
    # whoever has left is reported on only until nothing is overdue any more
    after = reports[reports.reported_at.array >= left].sort_values("reported_at")
    last = after.groupby("customer_id").tail(1)
    assert len(last) > 0
    assert (last.days_past_due > 0).all()
    with_credit = reports.days_past_due.notna()
    assert 0.8 < with_credit.mean() < 1


def test_few_are_vulnerable_in_hardship_or_blocked_and_all_of_them_are_some(bank):
    newest = clean(bank, "standing")
    newest = newest[newest.reported_at == newest.reported_at.max()]
    shares = newest[["vulnerable", "hardship", "fraud_block", "in_collections"]].sum() / 3_000
    assert (shares > 0).all()
    assert (shares < [0.02, 0.02, 0.01, 0.03]).all()


def test_how_customers_stand_leaves_every_other_table_as_it_is(tmp_path):
    def others(name, **update):
        rules = RULES.model_copy(update={"standing": RULES.standing.model_copy(update=update)})
        out = simulate(tmp_path / name, customers=300, rules=rules)
        files = sorted(path for path in (out / "source").rglob("*.parquet") if path.parent.name != "standing")
        assert len(files) == 14
        return [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]

    assert others("plain") == others("late", early_share=0.2, own_share=1.0, vulnerable_share=0.3)


def test_a_customer_in_several_delays_counts_the_longest():
    from engine.intake.simulation import standing

    days, ends = np.zeros((1, 3), dtype=np.int64), np.array([30, 60, 90]) * 86_400
    who, missed, paid = np.array([0, 0]), np.array([20, 50]) * 86_400, np.array([70, 100]) * 86_400
    standing._late(days, ends, who, missed=missed, paid=paid)
    # at day 60 both are open, 40 and 10 days old; at day 90 only the second is
    assert days.tolist() == [[10, 40, 40]]
