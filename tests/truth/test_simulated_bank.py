"""The simulated bank looks like a bank: the marginals that data/README.md states hold, within its bands."""

from pathlib import Path

import duckdb
import numpy as np
import pytest

from engine.config.bank import BankSettings
from engine.config.load import load
from engine.config.products import Catalogue
from engine.config.simulation import SimulationSettings
from engine.intake.simulation import frictions, simulate_bank

README = Path(__file__).parents[2] / "data" / "README.md"
BALANCES = """
    SELECT sum(balance_minor) AS b FROM holdings h JOIN products USING (product_id)
    WHERE family IN ('account', 'deposit') AND h.closed_at IS NULL AND currency = 'CNY' GROUP BY customer_id
"""
LIVE = "(SELECT count(*) FROM live)"
EVERYBODY = "(SELECT count(DISTINCT customer_id) FROM customers)"
OPENED = "SELECT avg((depth >= 6)::int) FROM journey_attempts WHERE closed AND journey = "
NOW = "FROM standing WHERE reported_at BETWEEN '2026-06-30' AND '2026-07-01'"
MEASURES = {
    "card_share": f"""SELECT count(DISTINCT customer_id) / {LIVE} FROM holdings h JOIN live USING (customer_id)
        WHERE product_id LIKE 'credit_card%' AND h.closed_at IS NULL""",
    "products_per_customer": f"""SELECT count(*) / {LIVE} FROM holdings h JOIN live USING (customer_id)
        WHERE h.closed_at IS NULL""",
    "main_bank_share": f"""SELECT count(DISTINCT customer_id) / {LIVE} FROM transactions JOIN live USING (customer_id)
        WHERE category IN ('salary', 'pension') AND booked_at >= '2026-04-01'""",
    "app_share": f"""SELECT count(DISTINCT customer_id) / {LIVE} FROM events JOIN live USING (customer_id)
        WHERE channel = 'app' AND occurred_at >= '2026-04-01'""",
    "churn_yearly": "SELECT count(closed_at) / 2 / count(*) FROM customers",
    "balance_gini": f"""
        WITH r AS (SELECT b, row_number() OVER (ORDER BY b) AS i, count(*) OVER () AS n FROM ({BALANCES}))
        SELECT 2 * sum(i * b) / (max(n) * sum(b)) - (max(n) + 1) / max(n) FROM r""",
    "top_tenth_share": f"""WITH r AS ({BALANCES})
        SELECT sum(b) FILTER (b > (SELECT quantile_cont(b, 0.9) FROM r)) / sum(b) FROM r""",
    "bureau_share": f"SELECT count(DISTINCT customer_id) / {EVERYBODY} FROM bureau",
    "approval_rate": "SELECT avg((decision = 'approved')::int) FROM applications WHERE decision <> 'pending'",
    "bookings_per_customer": f"SELECT count(*) / {EVERYBODY} FROM outcomes",
    "matured_share": "SELECT avg((booked_at < '2025-06-30')::int) FROM outcomes",
    "default_rate": """SELECT avg(coalesce(defaulted_at <= booked_at + INTERVAL 365 DAY, false)::int)
        FROM outcomes WHERE booked_at < '2025-06-30'""",
    "late_share": f"SELECT avg((days_past_due BETWEEN 1 AND 29)::int) {NOW}",
    "arrears_share": f"SELECT avg((days_past_due BETWEEN 30 AND 89)::int) {NOW}",
    "bad_share": f"SELECT avg((days_past_due >= 90)::int) {NOW}",
    "care_share": f"SELECT count_if(vulnerable OR hardship) / {EVERYBODY} {NOW}",
    "transactions_per_customer": f"SELECT count(*) / {EVERYBODY} FROM transactions",
    "events_per_customer": f"SELECT count(*) / {EVERYBODY} FROM events",
    "spring_festival": """SELECT avg(x) FILTER (m IN (1, 2)) / avg(x) FROM (
        SELECT month(booked_at) AS m, -sum(amount_minor) / count(DISTINCT customer_id) AS x FROM transactions
        WHERE category IN ('groceries', 'dining', 'shopping', 'travel', 'cash') AND booked_at < '2026-07-01'
        GROUP BY m, year(booked_at))""",
    "weekend_dining": """SELECT avg((dayofweek(booked_at) IN (0, 6))::int) FROM transactions
        WHERE category = 'dining'""",
    "unknown_income": "SELECT avg((income_monthly_minor IS NULL)::int) FROM customers",
    "median_income": "SELECT median(income_monthly_minor) / 100 FROM customers",
    "consent_share": f"""WITH l AS (SELECT customer_id, channel, arg_max(granted, recorded_at) AS g
        FROM consents GROUP BY ALL) SELECT count(DISTINCT customer_id) FILTER (g) / {EVERYBODY} FROM l""",
    "complaints_yearly": f"""SELECT count(*) / 2 / {EVERYBODY} * 1000 FROM interactions WHERE kind = 'complaint'""",
    "two_ids_share": "SELECT avg((customer_id <> person_id)::int) FROM identity_clusters",
    "anonymous_share": "SELECT avg((customer_id IS NULL)::int) FROM events",
    "open_rate": """SELECT count(*) FILTER (event = 'opened') / count(*) FILTER (event = 'delivered')
        FROM offers_feedback""",
    "foreign_share": "SELECT avg((currency IN ('USD', 'EUR', 'HKD'))::int) FROM transactions",
    "card_conversion": f"{OPENED}'credit_card'",
    "loan_conversion": f"{OPENED}'personal_loan'",
    "mortgage_conversion": f"{OPENED}'mortgage'",
    "investing_conversion": f"{OPENED}'investing'",
    # the share of pairs of a default and a good loan in which the default had the higher probability
    "truth_auc": """WITH r AS (SELECT rank() OVER (ORDER BY true_pd) AS i,
            coalesce(defaulted_at <= booked_at + INTERVAL 365 DAY, false) AS bad
        FROM outcomes JOIN default_probability USING (application_id) WHERE booked_at < '2025-06-30')
        SELECT (sum(i) FILTER (bad) - count(*) FILTER (bad) * (count(*) FILTER (bad) + 1) / 2)
            / (count(*) FILTER (bad) * count(*) FILTER (NOT bad)) FROM r""",
}


@pytest.fixture(scope="module")
def bank(tmp_path_factory):
    out = tmp_path_factory.mktemp("bank") / "out"
    catalogue, settings = load(Catalogue, "products"), load(BankSettings, "bank")
    simulate_bank(5_000, 11, out, catalogue=catalogue, bank=settings)
    connection = duckdb.connect()
    connection.execute("SET timezone = 'UTC'")
    for folder in (out / "source").iterdir():
        connection.execute(f"CREATE VIEW {folder.name} AS FROM '{folder}/*.parquet'")
    for path in (out / "truth").iterdir():
        connection.execute(f"CREATE VIEW {path.stem} AS FROM '{path}'")
    connection.execute("CREATE VIEW live AS FROM customers WHERE closed_at IS NULL")
    return connection


def bands():
    rows = [line.split("|")[1:-1] for line in README.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in row] for row in rows if len(row) == 5]
    return {name: (float(low.replace(",", "")), float(high.replace(",", ""))) for name, _, _, low, high in cells[2:]}


def test_every_stated_marginal_is_measured_and_every_measured_one_is_stated():
    assert set(bands()) == set(MEASURES)


@pytest.mark.parametrize("name", MEASURES)
def test_a_bank_of_5000_lies_within_the_stated_band(bank, name):
    low, high = bands()[name]
    assert low <= bank.execute(MEASURES[name]).fetchone()[0] <= high


def test_each_journey_step_goes_on_as_often_as_its_true_probability_says(bank):
    """A chi-square over steps and segments: observed against expected, 3.9 standard deviations at most."""
    steps = bank.execute(
        """
        WITH steps AS (
            SELECT *, row_number() OVER (PARTITION BY journey, segment ORDER BY
                list_position(['product_viewed', 'calculator_used', 'application_started', 'documents_uploaded',
                               'application_submitted', 'product_opened'], step_from)) AS i
            FROM journey_hazards)
        SELECT count(*) AS n, sum((depth > i)::int) AS went_on, any_value(probability) AS p
        FROM journey_attempts a JOIN steps s USING (journey, segment)
        WHERE a.closed AND depth >= i GROUP BY journey, segment, i
        """
    ).fetchall()
    surprises = [(went_on - n * p) / (n * p * (1 - p)) ** 0.5 for n, went_on, p in steps if n * p * (1 - p) > 5]
    assert len(surprises) > 60
    assert sum(z * z for z in surprises) < len(surprises) + 3.9 * (2 * len(surprises)) ** 0.5
    assert max(abs(z) for z in surprises) < 4.2


def test_every_segment_has_about_its_share_of_customers(bank):
    shares = dict(bank.execute("SELECT segment, count(*) / 5000 FROM segments GROUP BY 1").fetchall())
    # binomial with n = 5,000: 4 standard deviations are at most 0.025
    assert shares["young_digital"] == pytest.approx(0.22, abs=0.025)
    assert shares["entrepreneur"] == pytest.approx(0.08, abs=0.016)


def test_true_default_probability_is_calibrated_in_each_third_of_risk(bank):
    rows = bank.execute(
        """
        WITH r AS (SELECT true_pd, coalesce(defaulted_at <= booked_at + INTERVAL 365 DAY, false)::int AS bad,
                          ntile(3) OVER (ORDER BY true_pd) AS third
                   FROM outcomes JOIN default_probability USING (application_id) WHERE booked_at < '2025-06-30')
        SELECT count(*), sum(true_pd), sum(true_pd * (1 - true_pd)), sum(bad) FROM r GROUP BY third ORDER BY third
        """
    ).fetchall()
    for _, expected, variance, observed in rows:
        assert abs(observed - expected) < 4 * variance**0.5
    assert rows[2][3] > 3 * rows[0][3]


def test_savers_hold_deposits_and_the_stretched_do_not(bank):
    held = dict(
        bank.execute(
            """
            SELECT segment, count(DISTINCT h.customer_id) / count(DISTINCT s.customer_id) FROM segments s
            LEFT JOIN holdings h ON h.customer_id = s.customer_id AND h.product_id LIKE 'term_deposit%' GROUP BY 1
            """
        ).fetchall()
    )
    assert held["traditional_saver"] > 4 * held["stretched"]


def test_customers_about_to_leave_are_half_as_active_as_before(bank):
    before, last = bank.execute(
        """
        SELECT count(*) FILTER (occurred_at BETWEEN closed_at - INTERVAL 270 DAY AND closed_at - INTERVAL 180 DAY),
               count(*) FILTER (occurred_at BETWEEN closed_at - INTERVAL 90 DAY AND closed_at - INTERVAL 1 MINUTE)
        FROM events JOIN customers USING (customer_id)
        WHERE closed_at > '2025-06-01' AND joined_at < '2024-07-01'
        """
    ).fetchone()
    assert last < 0.75 * before


JOURNEYS = load(SimulationSettings, "simulation").journeys
CHANNELS = ("branch", "call_centre", "email", "sms", "web")
FRICTIONS = [(journey, friction) for journey in JOURNEYS for friction in journey.frictions]


@pytest.mark.parametrize(("journey", "friction"), FRICTIONS, ids=lambda one: getattr(one, "event", ""))
def test_friction_meets_its_share_and_multiplies_the_odds_of_going_on_by_its_ratio(bank, journey, friction):
    step = journey.steps.index(friction.step) + 1
    rows = bank.execute(
        f"""
        WITH met AS (SELECT DISTINCT customer_id, product_id FROM events WHERE event_name = '{friction.event}')
        SELECT probability, count(*), count(m.customer_id),
               sum((depth > {step})::int) FILTER (m.customer_id IS NOT NULL)
        FROM journey_attempts a LEFT JOIN met m USING (customer_id, product_id)
        JOIN journey_hazards h ON (h.journey, h.segment, step_from) = (a.journey, a.segment, '{friction.step}')
        WHERE a.journey = '{journey.journey}' AND closed AND depth >= {step} GROUP BY probability
        """
    ).fetchall()
    chance, reached, met, went_on = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    troubled, spared = frictions.odds_apart(chance, friction.share, friction.odds_ratio)
    # the definition: the odds stand in the stated ratio, and the average is the probability of the journey
    assert troubled / (1 - troubled) == pytest.approx(friction.odds_ratio * spared / (1 - spared))
    assert friction.share * troubled + (1 - friction.share) * spared == pytest.approx(chance)
    # a twentieth of web and app events reach the bank without a customer id: up to 6 % of the friction is not seen here
    seen = friction.share * 0.97
    assert abs(met.sum() - seen * reached.sum()) < 4 * (reached.sum() * seen * (1 - seen)) ** 0.5
    spread = (met * troubled * (1 - troubled)).sum() ** 0.5
    assert abs(np.nansum(went_on) - (met * troubled).sum()) < 4 * spread


def test_one_friction_does_harm_and_every_other_only_looks_like_it(bank):
    ratios = dict(bank.execute("SELECT journey || ' ' || signal, odds_ratio FROM journey_frictions").fetchall())
    assert ratios.pop("personal_loan documents_rejected") == 0.22
    assert set(ratios.values()) == {1.0}
    assert len(ratios) == 4


def test_openings_pass_through_each_channel_of_enquiries_as_often_as_the_chain_says(bank):
    rows = bank.execute(
        """
        WITH paths AS (
            SELECT a.customer_id, a.product_id, depth >= 6 AS opened, list(channel ORDER BY occurred_at) AS path
            FROM journey_attempts a JOIN events e USING (customer_id, product_id)
            WHERE event_name = 'enquiry_made' AND occurred_at < entered_at AND closed GROUP BY ALL)
        SELECT channel, removal_effect, count(*), sum(list_contains(path, channel)::int),
               avg((path[-1] = channel)::int), any_value(lift)
        FROM paths, channel_effects WHERE opened GROUP BY channel, removal_effect
        """
    ).fetchall()
    for _, truth, size, passed, _, _ in rows:
        assert abs(passed - size * truth) < 4 * (size * truth * (1 - truth)) ** 0.5
    most_passed, last_most = (max(rows, key=lambda row: row[place])[0] for place in (1, 4))
    assert (most_passed, last_most) == ("branch", "email")
    lifts = {row[0]: row[5] for row in rows}
    assert lifts == {"branch": 3.0, "call_centre": 1.0, "email": 1.0, "sms": 1.0, "web": 1.0}


def test_an_enquiry_in_a_branch_multiplies_the_odds_of_opening_and_no_other_does(bank):
    """A logistic regression on the touches of each channel, by Newton's method: log odds within 4 standard errors."""
    columns = ", ".join(f"count(*) FILTER (channel = '{name}')" for name in CHANNELS)
    table = bank.execute(
        f"""
        SELECT any_value((depth >= 6)::int), 1, {columns}
        FROM journey_attempts a JOIN events e USING (customer_id, product_id)
        WHERE event_name = 'enquiry_made' AND occurred_at < entered_at AND closed GROUP BY a.customer_id, a.journey
        """
    ).fetchall()
    data = np.array(table, dtype=float)
    opened, touches, weights = data[:, 0], data[:, 1:], np.zeros(6)
    for _ in range(25):
        chance = 1 / (1 + np.exp(-touches @ weights))
        information = (touches * (chance * (1 - chance))[:, None]).T @ touches
        weights += np.linalg.solve(information, touches.T @ (opened - chance))
    errors = np.linalg.inv(information).diagonal() ** 0.5
    truth = np.log([3.0, 1.0, 1.0, 1.0, 1.0])
    assert (np.abs(weights[1:] - truth) < 4 * errors[1:]).all()
    assert weights[1] > 4 * errors[1]
