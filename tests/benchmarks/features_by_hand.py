"""The feature table as a data engineer would write it for DuckDB alone: each fact read as few times as pays."""

from __future__ import annotations

from datetime import datetime

from engine.config.bank import BankSettings
from engine.domain.schema import Kind
from engine.domain.words import PRODUCT_FAMILIES
from engine.features.activity import SPEND_GROUPS
from engine.features.channels import CHANNELS
from engine.features.journeys import STEPS
from engine.features.profile import COPIED
from engine.features.table import FEATURES
from engine.lake.schema import naive_utc


def by_hand(as_of: datetime, bank: BankSettings) -> str:
    """Return SQL with the columns of the feature table, in any order."""
    moment = naive_utc(as_of)
    now = f"TIMESTAMP '{moment}'"
    parts = {
        "h": _holdings(now, moment, bank),
        "g": _families(now),
        "al": _last(now),
        "ay": _year(now),
        "aq": _quarter(now, bank),
        "b": _balances(now, bank),
        "l": _logins(now),
        "e": _events(now),
        "j": _steps(now),
        "s": _service(now),
        "r": _bureau(now),
        "f": _feedback(now),
    }
    ctes = ", ".join(f"{name} AS ({sql})" for name, sql in parts.items())
    joins = " ".join(f"LEFT JOIN {name} USING (customer_id)" for name in parts)
    return f"WITH {ctes} SELECT {_columns(now, moment)} FROM customers c {joins} WHERE c.joined_at <= {now}"


def scan(as_of: datetime) -> str:
    """Return SQL that only reads the columns that features need, each table once, up to the moment."""
    now = f"TIMESTAMP '{naive_utc(as_of)}'"
    reads = {
        "transactions": (
            "booked_at",
            "customer_id, holding_id, transaction_id, category, currency, amount_base_minor, balance_after_minor",
        ),
        "events": ("occurred_at", "customer_id, event_name, channel, session_id, product_id"),
        "holdings": ("opened_at", "customer_id, product_id, closed_at, currency, limit_minor"),
        "bureau": ("reported_at", "customer_id, utilisation_rate, total_limit_minor, total_balance_minor"),
        "offers_feedback": ("occurred_at", "customer_id, campaign_id, product_id, channel, event"),
        "interactions": ("occurred_at", "customer_id, kind, satisfaction_score, resolved_at"),
        "customers": ("joined_at", "customer_id, birth_date, region"),
    }
    selects = [
        f"(SELECT {' + '.join(f'count({name})' for name in names.split(', '))} FROM {table} WHERE {at} <= {now})"
        for table, (at, names) in reads.items()
    ]
    return f"SELECT {' + '.join(selects)}"


def _columns(now: str, moment: datetime) -> str:
    today = moment.month * 100 + moment.day
    own = {
        "age_years": f"{moment.year} - year(birth_date)"
        f" - (month(birth_date) * 100 + day(birth_date) > {today})::BIGINT",
        "tenure_months": _months("c.joined_at", moment),
        "is_open": f"c.closed_at IS NULL OR c.closed_at > {now}",
        "kyc_days_left": f"date_diff('day', {now}::DATE, kyc_expires_on)",
        **{name: f"c.{name}" for name in ("income_monthly_minor", "dependants", *COPIED)},
        **{f"has_{family}": f"coalesce(held_{family} > 0, false)" for family in PRODUCT_FAMILIES},
    }
    columns = ["c.customer_id"]
    for name, feature in FEATURES.items():
        value = own.get(name, f"r.{name.removeprefix('bureau_')}" if feature.theme == "bureau" else name)
        if feature.zero_without_rows and name not in own:
            value = f"coalesce({value}, 0)"
        whole = "::BIGINT" if feature.kind in (Kind.INTEGER, Kind.MONEY) else ""
        columns.append(f"({value}){whole} AS {name}")
    return ", ".join(columns)


def _months(at: str, moment: datetime) -> str:
    return f"12 * ({moment.year} - year({at})) + {moment.month} - month({at}) - (day({at}) > {moment.day})::BIGINT"


def _days(at: str, now: str) -> str:
    return f"date_diff('day', {at}::DATE, {now}::DATE)"


def _within(at: str, days: int, now: str) -> str:
    return f"{at} > {now} - INTERVAL {days} DAY"


def _base(amount: str, bank: BankSettings) -> str:
    cases = " ".join(
        f"WHEN '{code}' THEN round({amount}::DECIMAL(18, 0) * '{rate}'::DECIMAL(19, 8))::BIGINT"
        for code, rate in bank.rates.items()
        if code != bank.base_currency
    )
    return f"CASE currency WHEN '{bank.base_currency}' THEN {amount} {cases} END"


def _holdings(now: str, moment: datetime, bank: BankSettings) -> str:
    still = f"(closed_at IS NULL OR closed_at > {now})"
    return f"""
        SELECT customer_id, count(DISTINCT product_id) FILTER ({still}) AS products_held,
          count(*) FILTER ({still}) AS holdings_open, {_months("max(opened_at)", moment)} AS months_since_last_opening,
          count(*) FILTER ({_within("opened_at", 90, now)}) AS holdings_opened_90d,
          count(*) FILTER ({_within("opened_at", 365, now)}) AS holdings_opened_365d,
          count(*) FILTER (closed_at <= {now} AND {_within("closed_at", 365, now)}) AS holdings_closed_365d,
          sum({_base("limit_minor", bank)}) FILTER ({still}) AS credit_limit_minor
        FROM holdings WHERE opened_at <= {now} GROUP BY customer_id"""


def _families(now: str) -> str:
    counts = ", ".join(f"count(*) FILTER (family = '{name}') AS held_{name}" for name in PRODUCT_FAMILIES)
    return f"""
        SELECT customer_id, {counts}, count(*) FILTER (is_credit) AS credit_held
        FROM holdings JOIN products USING (product_id)
        WHERE opened_at <= {now} AND (closed_at IS NULL OR closed_at > {now}) GROUP BY customer_id"""


def _last(now: str) -> str:
    return f"""SELECT customer_id, {_days("max(booked_at)", now)} AS days_since_last_transaction
        FROM transactions WHERE booked_at <= {now} GROUP BY customer_id"""


def _moved(days: int) -> str:
    groups = ", ".join(
        f"-sum(amount_base_minor) FILTER (amount_base_minor < 0 AND category IN ({_listed(categories)}))"
        f" AS spend_{group}_{days}d_minor"
        for group, categories in SPEND_GROUPS.items()
    )
    return f"""count(*) AS transactions_{days}d,
        sum(amount_base_minor) FILTER (amount_base_minor > 0) AS money_in_{days}d_minor,
        -sum(amount_base_minor) FILTER (amount_base_minor < 0) AS money_out_{days}d_minor, {groups}"""


def _listed(values: tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values)


def _year(now: str) -> str:
    return f"""
        SELECT customer_id, {_moved(365)},
          -sum(amount_base_minor) FILTER (amount_base_minor < 0 AND category = 'fees') AS fees_365d_minor
        FROM transactions WHERE booked_at <= {now} AND {_within("booked_at", 365, now)} GROUP BY customer_id"""


def _quarter(now: str, bank: BankSettings) -> str:
    month, two = _within("booked_at", 30, now), _within("booked_at", 60, now)
    salary = "category = 'salary' AND amount_base_minor > 0"
    return f"""
        SELECT customer_id, {_moved(90)}, count(*) FILTER ({month}) AS transactions_30d,
          sum(amount_base_minor) FILTER (amount_base_minor > 0 AND {month}) AS money_in_30d_minor,
          -sum(amount_base_minor) FILTER (amount_base_minor < 0 AND {month}) AS money_out_30d_minor,
          sum(amount_base_minor) FILTER ({salary}) AS salary_90d_minor,
          max(({salary} AND {month})::INT) + max(({salary} AND {two} AND NOT {month})::INT)
            + max(({salary} AND NOT {two})::INT) AS salary_months_90d,
          count(DISTINCT category) AS categories_90d,
          -min(amount_base_minor) FILTER (amount_base_minor < 0) AS largest_debit_90d_minor,
          coalesce(sum(abs(amount_base_minor)) FILTER (currency <> '{bank.base_currency}'), 0)
            / nullif(sum(abs(amount_base_minor)), 0) AS fx_share_90d
        FROM transactions WHERE booked_at <= {now} AND {_within("booked_at", 90, now)} GROUP BY customer_id"""


def _balances(now: str, bank: BankSettings) -> str:
    recent, month = _within("booked_at", 90, now), _within("booked_at", 30, now)
    order = "{'at': booked_at, 'id': transaction_id}"
    return f"""
        WITH told AS (
          SELECT customer_id, holding_id, booked_at, {order} AS place, {_base("balance_after_minor", bank)} AS balance
          FROM transactions WHERE booked_at <= {now} AND balance_after_minor IS NOT NULL
        ), accounts AS (
          SELECT customer_id, holding_id, max_by(balance, place) FILTER ({month}) AS newest,
            max_by(balance, place) FILTER ({recent} AND NOT {month}) AS middle,
            max_by(balance, place) FILTER (NOT {recent}) AS oldest,
            min(balance) FILTER ({recent}) AS lowest, count(*) FILTER ({recent} AND balance < 0) AS below,
            count(*) FILTER ({recent}) AS told
          FROM told GROUP BY customer_id, holding_id
        )
        SELECT customer_id, sum(coalesce(newest, middle, oldest)) AS balance_minor,
          sum(coalesce(middle, oldest)) AS balance_30d_ago_minor, sum(oldest) AS balance_90d_ago_minor,
          balance_minor - balance_90d_ago_minor AS balance_change_90d_minor,
          min(lowest) AS balance_min_90d_minor, sum(below) / nullif(sum(told), 0) AS below_zero_share_90d
        FROM accounts GROUP BY customer_id"""


def _logins(now: str) -> str:
    return f"""SELECT customer_id, {_days("max(occurred_at)", now)} AS days_since_last_login
        FROM events WHERE event_name = 'login' AND occurred_at <= {now} GROUP BY customer_id"""


def _events(now: str) -> str:
    month = _within("occurred_at", 30, now)
    counts = ", ".join(f"count(*) FILTER (channel = '{name}') AS events_{name}_90d" for name in CHANNELS)
    return f"""
        SELECT customer_id, count(*) AS events_90d, {counts},
          count(*) FILTER (channel IN ('web', 'app')) / count(*) AS digital_share_90d,
          count(DISTINCT session_id) FILTER ({month}) AS sessions_30d, count(DISTINCT session_id) AS sessions_90d,
          count(*) FILTER ({month} AND event_name = 'login') AS logins_30d
        FROM events WHERE occurred_at <= {now} AND {_within("occurred_at", 90, now)} GROUP BY customer_id"""


def _steps(now: str) -> str:
    counts = ", ".join(
        f"count(*) FILTER (event_name = '{name}' AND {_within('occurred_at', days, now)}) AS {feature}_{days}d"
        for feature, (name, _, _) in STEPS.items()
        for days in (30, 90)
    )
    names = _listed(tuple(name for name, _, _ in STEPS.values()))
    viewed = "event_name = 'product_viewed'"
    last = _days(f"max(occurred_at) FILTER ({viewed})", now)
    return f"""
        SELECT customer_id, {counts}, {last} AS days_since_last_product_view,
          count(DISTINCT product_id) FILTER ({viewed} AND {_within("occurred_at", 90, now)}) AS products_viewed_90d
        FROM events WHERE event_name IN ({names}) AND occurred_at <= {now} GROUP BY customer_id"""


def _service(now: str) -> str:
    quarter, year = _within("occurred_at", 90, now), _within("occurred_at", 365, now)
    last = _days("max(occurred_at) FILTER (kind = 'complaint')", now)
    return f"""
        SELECT customer_id, count(*) FILTER (kind = 'complaint' AND {quarter}) AS complaints_90d,
          count(*) FILTER (kind = 'complaint' AND {year}) AS complaints_365d,
          count(*) FILTER (kind = 'complaint' AND (resolved_at IS NULL OR resolved_at > {now})) AS complaints_open,
          {last} AS days_since_last_complaint,
          sum(satisfaction_score) FILTER ({year}) / nullif(count(satisfaction_score) FILTER ({year}), 0)
            AS satisfaction_mean_365d,
          count(*) FILTER (kind = 'call' AND {quarter}) AS calls_90d
        FROM interactions WHERE occurred_at <= {now} GROUP BY customer_id"""


def _bureau(now: str) -> str:
    return f"""
        SELECT customer_id, newest.* EXCLUDE (reported_at), {_days("newest.reported_at", now)} AS age_days FROM (
          SELECT customer_id, max_by(struct_pack(reported_at, utilisation_rate, credit_lines, total_limit_minor,
            total_balance_minor, instalments_monthly_minor, delinquencies_12m, worst_days_past_due_12m, inquiries_6m,
            oldest_line_months, public_records), reported_at) AS newest
          FROM bureau WHERE reported_at <= {now} GROUP BY customer_id)"""


def _feedback(now: str) -> str:
    quarter = _within("occurred_at", 90, now)
    return f"""
        SELECT customer_id, sum(sends) AS offers_sent_90d, sum(clicks) AS offers_clicked_90d,
          sum(goodbyes) AS unsubscribes_365d,
          count(*) FILTER (sends > 0 AND clicks > 0) / nullif(count(*) FILTER (sends > 0), 0) AS offer_click_rate_90d
        FROM (
          SELECT customer_id, count(*) FILTER (event = 'sent' AND {quarter}) AS sends,
            count(*) FILTER (event = 'clicked' AND {quarter}) AS clicks,
            count(*) FILTER (event = 'unsubscribed' AND {_within("occurred_at", 365, now)}) AS goodbyes
          FROM offers_feedback WHERE occurred_at <= {now} GROUP BY customer_id, campaign_id, product_id, channel
        ) GROUP BY customer_id"""
