"""A random bank in the curated schema, made by DuckDB from hashes: any size, the same for the same size, with gaps.

It has what features must bear: ties at one instant, empty values, customers without any row, rows after the as-of
date, several accounts and currencies. It is shaped for cost and parity, not for truth; the simulated bank is.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb

from engine.domain.curated import CURATED
from engine.domain.schema import Kind
from engine.domain.words import CATEGORIES

MONTHS = [f"{2024 + (6 + i) // 12}-{(6 + i) % 12 + 1:02d}-01" for i in range(24)]  # July 2024 to June 2026

_SQL = {
    Kind.TEXT: "VARCHAR",
    Kind.INTEGER: "BIGINT",
    Kind.NUMBER: "DOUBLE",
    Kind.SHARE: "DOUBLE",
    Kind.MONEY: "BIGINT",
    Kind.BOOLEAN: "BOOLEAN",
    Kind.DATE: "DATE",
    Kind.INSTANT: "TIMESTAMP",
}
_PRODUCTS = {
    "current_account": "account",
    "fx_account": "account",
    "savings_account": "deposit",
    "debit_card": "card",
    "credit_card_classic": "card",
    "personal_loan": "loan",
    "mortgage": "mortgage",
    "life_insurance": "insurance",
    "index_fund": "investment",
}
_EVENTS = ["login"] * 6 + ["page_view"] * 8 + ["product_viewed"] * 3 + ["calculator_used", "application_started"]
_CHANNELS = ["web"] * 4 + ["app"] * 6 + ["branch", "call_centre", "atm"]
_FEEDBACK = ["sent"] * 4 + ["delivered", "opened", "clicked", "unsubscribed"]


def write_bank(folder: Path, customers: int) -> Path:
    """Write all tables that features read, for about 50 bookings and 30 events a customer; return the folder."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("CREATE MACRO u(i, k) AS (hash(i, k) % 1000003) / 1000003.0")
        connection.execute("CREATE MACRO pick(i, k, choices) AS choices[1 + (hash(i, k) % len(choices))::INT]")
        for table, part, select in _selects(customers):
            _copy(connection, folder, table, part, select)
    return folder


def _copy(connection: duckdb.DuckDBPyConnection, folder: Path, table: str, part: str, select: str) -> None:
    target = folder / table / part
    target.parent.mkdir(parents=True, exist_ok=True)
    made = [row[0] for row in connection.execute(f"DESCRIBE {select}").fetchall()]
    columns = ", ".join(
        f"{column.name if column.name in made else 'NULL'}::{_SQL[column.kind]} AS {column.name}"
        for column in CURATED[table]
    )
    connection.execute(f"COPY (SELECT {columns} FROM ({select})) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")


def _selects(customers: int) -> Iterator[tuple[str, str, str]]:
    one = "part-00000.parquet"
    yield "customers", one, _customers(customers)
    yield "products", one, _products()
    yield "holdings", one, _holdings(customers)
    yield "interactions", one, _interactions(customers)
    yield "bureau", one, _bureau(customers)
    yield "offers_feedback", one, _feedback(customers)
    for number, month in enumerate(MONTHS):
        part = f"month={month[:7]}/{one}"
        yield "transactions", part, _transactions(customers, number, month)
        yield "events", part, _events(customers, number, month)


def _ids(customers: int) -> str:
    return f"(SELECT i, 'c' || lpad(i::VARCHAR, 8, '0') AS customer_id FROM range({customers}) t(i))"


def _customers(customers: int) -> str:
    return f"""
        SELECT customer_id, DATE '1940-01-01' + (u(i, 1) * 24000)::INT AS birth_date,
          CASE WHEN u(i, 2) > 0.1 THEN pick(i, 3, ['female', 'male', 'other']) END AS gender,
          pick(i, 4, ['north', 'south', 'east']) AS region, pick(i, 5, ['en', 'zh']) AS language,
          pick(i, 6, ['employed', 'student', 'retired']) AS employment,
          CASE WHEN u(i, 7) > 0.1 THEN pick(i, 7, ['basic', 'tertiary']) END AS education,
          pick(i, 8, ['single', 'married']) AS marital_status, hash(i, 9) % 4 AS dependants,
          CASE WHEN u(i, 10) > 0.2 THEN (u(i, 11) * 3000000)::BIGINT END AS income_monthly_minor,
          TIMESTAMP '2016-01-31 23:59:59' + to_seconds((u(i, 12) * 332000000)::BIGINT) AS joined_at,
          CASE WHEN u(i, 13) < 0.1 THEN TIMESTAMP '2026-01-01' + to_days((u(i, 14) * 250)::INT) END AS closed_at,
          DATE '2026-01-01' + (u(i, 15) * 900)::INT AS kyc_expires_on
        FROM {_ids(customers)}"""


def _products() -> str:
    rows = ", ".join(
        f"('{name}', '{family}', {str(family in ('loan', 'mortgage') or 'credit' in name).lower()})"
        for name, family in _PRODUCTS.items()
    )
    named = f"(VALUES {rows}) t(product_id, family, is_credit)"
    return f"SELECT product_id, product_id AS name_en, family, is_credit FROM {named}"


def _holdings(customers: int) -> str:
    return f"""
        SELECT 'h' || (i * 4 + n) AS holding_id, customer_id,
          CASE WHEN n = 0 THEN 'current_account' ELSE pick(i, n + 20, {list(_PRODUCTS)}) END AS product_id,
          TIMESTAMP '2023-01-01' + to_seconds((u(i, n + 30) * 112000000)::BIGINT) AS opened_at,
          CASE WHEN u(i, n + 40) < 0.2 THEN TIMESTAMP '2025-09-01' + to_days((u(i, n + 50) * 400)::INT) END
            AS closed_at,
          pick(i, n + 60, ['CNY', 'CNY', 'CNY', 'USD', 'EUR']) AS currency,
          CASE WHEN u(i, n + 70) < 0.5 THEN (u(i, n + 80) * 9000000)::BIGINT END AS limit_minor
        FROM {_ids(customers)}, range(4) s(n) WHERE u(i, n + 90) < 0.9"""


def _transactions(customers: int, number: int, month: str) -> str:
    salt = 1000 + number * 100
    return f"""
        SELECT 't' || ({number} * {customers * 8}::BIGINT + i * 8 + n) AS transaction_id, customer_id,
          'h' || (i * 4 + hash(i, {salt} + n + 20) % 2) AS holding_id,
          -- a third is booked at midnight, so that ties are common
          TIMESTAMP '{month}' + to_days((u(i, {salt} + n) * 31)::INT)
            + to_seconds(CASE WHEN u(i, {salt} + n + 10) < 0.3 THEN 0 ELSE (u(i, {salt} + n + 30) * 86399)::INT END)
            AS booked_at,
          (CASE WHEN u(i, {salt} + n + 40) < 0.3 THEN 900000 ELSE -200000 END * u(i, {salt} + n + 41))::BIGINT
            AS amount_minor,
          pick(i, {salt} + n + 50, ['CNY', 'CNY', 'CNY', 'CNY', 'USD']) AS currency,
          CASE WHEN u(i, {salt} + n + 55) > 0.03 THEN pick(i, {salt} + n + 60, {list(CATEGORIES)}) END AS category,
          CASE WHEN u(i, {salt} + n + 70) < 0.7 THEN (u(i, {salt} + n + 80) * 5000000 - 400000)::BIGINT END
            AS balance_after_minor,
          (amount_minor * CASE currency WHEN 'USD' THEN 7.15 ELSE 1 END)::BIGINT AS amount_base_minor
        FROM {_ids(customers)}, range(7) s(n) WHERE n < floor(pow(u(i, 99), 1.5) * 5.25 + u(i, {salt} + 98))
        ORDER BY customer_id, booked_at"""


def _events(customers: int, number: int, month: str) -> str:
    salt = 5000 + number * 100
    return f"""
        SELECT 'e' || ({number} * {customers * 8}::BIGINT + i * 8 + n) AS event_id, customer_id,
          TIMESTAMP '{month}' + to_seconds((u(i, {salt} + n) * 31 * 86400)::INT) AS occurred_at,
          pick(i, {salt} + n + 10, {_EVENTS}) AS event_name, pick(i, {salt} + n + 20, {_CHANNELS}) AS channel,
          CASE WHEN channel IN ('web', 'app') THEN 's' || ({number} * {customers * 2}::BIGINT + i * 2 + n % 2) END
            AS session_id,
          CASE WHEN event_name NOT IN ('login', 'page_view') THEN pick(i, {salt} + n + 40, {list(_PRODUCTS)}) END
            AS product_id, n AS seq
        FROM {_ids(customers)}, range(6) s(n) WHERE n < floor(pow(u(i, 98), 1.5) * 3.15 + u(i, {salt} + 97))
        ORDER BY customer_id, occurred_at"""


def _interactions(customers: int) -> str:
    return f"""
        SELECT 'n' || (i * 3 + n) AS interaction_id, customer_id,
          TIMESTAMP '2025-03-01' + to_seconds((u(i, n + 300) * 45000000)::BIGINT) AS occurred_at,
          pick(i, n + 310, ['complaint', 'call', 'survey', 'call']) AS kind,
          CASE WHEN u(i, n + 320) < 0.5 THEN 1 + hash(i, n + 330) % 5 END AS satisfaction_score,
          CASE WHEN u(i, n + 340) < 0.7 THEN occurred_at + to_days((u(i, n + 350) * 60)::INT) END AS resolved_at
        FROM {_ids(customers)}, range(3) s(n) WHERE u(i, n + 360) < 0.3"""


def _bureau(customers: int) -> str:
    return f"""
        SELECT customer_id, TIMESTAMP '2026-02-01' + to_months(n::INT) AS reported_at,
          hash(i, n + 400) % 9 AS credit_lines,
          hash(i, n + 410) % 90000000 AS total_limit_minor, hash(i, n + 420) % 50000000 AS total_balance_minor,
          hash(i, n + 430) % 900000 AS instalments_monthly_minor,
          CASE WHEN u(i, n + 440) < 0.8 THEN u(i, n + 450) END AS utilisation_rate,
          hash(i, n + 460) % 3 AS delinquencies_12m, hash(i, n + 470) % 95 AS worst_days_past_due_12m,
          hash(i, n + 480) % 5 AS inquiries_6m, hash(i, n + 490) % 300 AS oldest_line_months,
          hash(i, n + 500) % 2 AS public_records
        FROM {_ids(customers)}, range(6) s(n) WHERE u(i, 399) < 0.9"""


def _feedback(customers: int) -> str:
    return f"""
        SELECT 'f' || (i * 6 + n) AS feedback_id, 'k' || (hash(i, n + 600) % 3) AS campaign_id, customer_id,
          pick(i, 610, {list(_PRODUCTS)}) AS product_id, pick(i, n + 620, ['email', 'sms']) AS channel,
          pick(i, n + 630, {_FEEDBACK}) AS event,
          TIMESTAMP '2026-02-01' + to_seconds((u(i, n + 640) * 14000000)::BIGINT) AS occurred_at
        FROM {_ids(customers)}, range(6) s(n) WHERE u(i, n + 650) < 0.5"""
