"""The PKDD'99 Czech bank (berka): accounts, cards, loans, orders, clients, and its first transactions.

What the set does not say, and what is made of it:

- a client joined with the first account that names the client; orders carry no date, so they are dated at the end of
  the set, where they are known to exist, and never appear before it;
- a loan is in the set because it was granted; when a bad one went bad is not told. B (finished, not paid) is dated
  at the end of its term, D (running, in debt) at the end of the set. The settings therefore ask for the outcome "ever";
- transactions are booked on the account's owner. `balance` is the balance after the booking.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pandas as pd

from engine.config.bank import BankSettings
from engine.intake.importers import files
from engine.intake.mapping import TableMapping

# the last day of the set: cards were issued up to 1998-12-29
END: Final = datetime(1998, 12, 31, 23, 59, 59, tzinfo=UTC)

_PRODUCTS: Final[list[dict[str, Any]]] = [
    {"product_id": "account", "name_en": "Current account", "name_zh": "活期账户", "family": "account"},
    {"product_id": "card_junior", "name_en": "Junior card", "name_zh": "青少年卡", "family": "card", "max_age": 26},
    {"product_id": "card_classic", "name_en": "Classic card", "name_zh": "普卡", "family": "card", "min_age": 18},
    {"product_id": "card_gold", "name_en": "Gold card", "name_zh": "金卡", "family": "card", "min_age": 18},
    {
        "product_id": "loan", "name_en": "Loan", "name_zh": "贷款", "family": "loan", "min_age": 18,
        "typical_amount_minor": 15141000, "typical_term_months": 36,
    },
    {"product_id": "order_household", "name_en": "Household order", "name_zh": "家用代付", "family": "account"},
    {"product_id": "order_insurance", "name_en": "Insurance order", "name_zh": "保险代付", "family": "insurance"},
    {"product_id": "order_leasing", "name_en": "Leasing order", "name_zh": "租赁代付", "family": "account"},
    {"product_id": "order_other", "name_en": "Other order", "name_zh": "其他代付", "family": "account"},
]  # fmt: skip
# round yearly margins in haler, so that offers can be ranked; the set holds no prices
_MARGINS: Final = {"account": 60000, "card": 90000, "loan": 900000, "insurance": 30000}
_ORDERS: Final = {"SIPO": "order_household", "POJISTNE": "order_insurance", "LEASING": "order_leasing"}
_CATEGORY_OF_SYMBOL: Final = {
    "DUCHOD": "pension",
    "UROK": "interest",
    "SIPO": "utilities",
    "SLUZBY": "fees",
    "SANKC. UROK": "fees",
    "POJISTNE": "insurance_premium",
    "UVER": "instalment",
}
_CATEGORY_OF_OPERATION: Final = {
    "VKLAD": "transfer_in",
    "PREVOD Z UCTU": "transfer_in",
    "PREVOD NA UCET": "transfer_out",
    "VYBER": "cash",
    "VYBER KARTOU": "cash",
}
_CHANNEL: Final = {
    "VKLAD": "branch",
    "VYBER": "branch",
    "VYBER KARTOU": "card",
    "PREVOD Z UCTU": "transfer",
    "PREVOD NA UCET": "transfer",
}
_NOTE: Final = """Settings for the PKDD'99 Czech bank, written by `wayline init --from berka`.
Amounts are Czech crowns. The set has no events and no experiments. It does not tell when a loan went bad, so the
risk model predicts "ever"; it learns from what was asked for, since the set has no bureau and no incomes. Only the
transactions up to 1994-03-31 are usually to be had: behaviour is seen early."""


def prepare(folder: Path, out: Path, bank: BankSettings, *, assume_consent: bool) -> Path:
    """Write the set as Wayline's source files and return the mapping file's path."""
    accounts = _dated(files.read_text(folder, "account.asc", ";"), "date")
    owners = _owners(folder)
    clients = _customers(folder, accounts)
    loans = _loans(folder, owners)
    files.write_source(out, "customers", clients)
    files.write_source(out, "products", _products())
    files.write_source(out, "holdings", _holdings(folder, accounts, owners, loans))
    files.write_source(out, "transactions", _transactions(folder, owners))
    files.write_source(out, "applications", _applications(loans))
    files.write_source(out, "outcomes", _outcomes(loans))
    _write_settings(out, bank)
    return files.write_mapping(out, END, _mapping(), assume_consent=assume_consent)


def _mapping() -> dict[str, TableMapping]:
    crowns: dict[str, Any] = {"constants": {"currency": "CZK"}, "money": "major"}
    return {
        "customers": TableMapping(),
        "products": TableMapping(),
        "holdings": TableMapping(**crowns),
        "transactions": TableMapping(**crowns),
        "applications": TableMapping(money="major"),
        "outcomes": TableMapping(money="major"),
    }


def _write_settings(out: Path, bank: BankSettings) -> None:
    files.write_settings(
        out,
        _NOTE,
        {
            "bank": {
                "name": "Berka",
                "base_currency": "CZK",
                "time_zone": "Europe/Prague",
                "seed": bank.seed,
                "rates": {"CZK": 1.0},
            },
            "journeys": {"journeys": []},
            "experiments": {"experiments": []},
            "risk": {"outcome": "ever", "uses_application": True},
        },
    )


def _dated(rows: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """Return the rows with YYMMDD columns, some with a time of day after, as instants; the set is of the 1990s."""
    parsed = {
        column: pd.to_datetime("19" + rows[column].str.slice(0, 6), format="%Y%m%d", utc=True) for column in columns
    }
    return rows.assign(**parsed)


def _owners(folder: Path) -> pd.DataFrame:
    """Return account_id and customer_id of each account's owner."""
    held = files.read_text(folder, "disp.asc", ";")
    owners = held.loc[held["type"] == "OWNER", ["account_id", "client_id"]]
    return owners.rename(columns={"client_id": "customer_id"})


def _customers(folder: Path, accounts: pd.DataFrame) -> pd.DataFrame:
    clients = files.read_text(folder, "client.asc", ";")
    regions = files.read_text(folder, "district.asc", ";").set_index("A1")["A3"]
    held = files.read_text(folder, "disp.asc", ";").merge(accounts[["account_id", "date"]], on="account_id")
    joined = held.groupby("client_id")["date"].min()
    born = clients["birth_number"]
    month = born.str.slice(2, 4).astype(int)
    is_woman = month > 50  # women's months are written with 50 added
    plain_month = month.where(~is_woman, month - 50).astype(str).str.zfill(2)
    return pd.DataFrame(
        {
            "customer_id": clients["client_id"],
            "birth_date": "19" + born.str.slice(0, 2) + "-" + plain_month + "-" + born.str.slice(4, 6),
            "gender": is_woman.map({True: "female", False: "male"}),
            "region": clients["district_id"].map(regions),
            "joined_at": clients["client_id"].map(joined),
        }
    )


def _products() -> pd.DataFrame:
    rows = pd.DataFrame(_PRODUCTS)
    is_loan, is_order = rows["family"] == "loan", rows["product_id"].str.startswith("order_")
    return rows.assign(
        is_credit=is_loan,
        lgd=is_loan.map({True: 0.45, False: None}),  # Basel's long-used figure for unsecured lending
        annual_margin_minor=rows["family"].map(_MARGINS),
        multiple=is_order,
        # an order without a date cannot be learned from, so it is no product to offer either
        sold_until=is_order.map({True: "1992-12-31", False: None}),
        requires_product_id=rows["product_id"].map(lambda name: None if name == "account" else "account"),
    ).convert_dtypes()


def _loans(folder: Path, owners: pd.DataFrame) -> pd.DataFrame:
    loans = _dated(files.read_text(folder, "loan.asc", ";"), "date").merge(owners, on="account_id")
    days = (files.number(loans["duration"]) * 30.4375).round()
    ends = loans["date"] + pd.to_timedelta(days, unit="D")
    return loans.assign(ends=ends.where(ends < END, pd.Timestamp(END)))


def _holdings(folder: Path, accounts: pd.DataFrame, owners: pd.DataFrame, loans: pd.DataFrame) -> pd.DataFrame:
    cards = _dated(files.read_text(folder, "card.asc", ";"), "issued")
    holders = files.read_text(folder, "disp.asc", ";").set_index("disp_id")["client_id"]
    orders = files.read_text(folder, "order.asc", ";").merge(owners, on="account_id")
    orders = orders.loc[orders["k_symbol"].str.strip() != "UVER"]  # a loan's own instalment is no product
    accounts = accounts.merge(owners, on="account_id")
    finished = loans["status"].isin(["A", "B"])
    parts = [
        _part("A", accounts["account_id"], accounts["customer_id"], accounts["date"]).assign(product_id="account"),
        _part("C", cards["card_id"], cards["disp_id"].map(holders), cards["issued"]).assign(
            product_id="card_" + cards["type"]
        ),
        _part("L", loans["loan_id"], loans["customer_id"], loans["date"]).assign(
            product_id="loan", opening_minor=loans["amount"], closed_at=loans["ends"].where(finished)
        ),
        _part("O", orders["order_id"], orders["customer_id"], pd.Series(END, index=orders.index)).assign(
            product_id=orders["k_symbol"].str.strip().map(_ORDERS).fillna("order_other"),
            opening_minor=orders["amount"],
        ),
    ]
    return pd.concat(parts, ignore_index=True)


def _part(letter: str, ids: pd.Series, customers: pd.Series, opened: pd.Series) -> pd.DataFrame:
    return pd.DataFrame({"holding_id": letter + ids, "customer_id": customers, "opened_at": opened})


def _transactions(folder: Path, owners: pd.DataFrame) -> pd.DataFrame:
    rows = files.read_text(folder, "trans_first_part.asc" if _has_first_part(folder) else "trans.asc", ";")
    rows = _dated(rows, "date").merge(owners, on="account_id", how="left")
    symbol, operation = rows["k_symbol"].str.strip(), rows["operation"].str.strip()
    sign = rows["type"].eq("PRIJEM").map({True: "", False: "-"})  # VYDAJ and VYBER are money out
    return pd.DataFrame(
        {
            "transaction_id": rows["trans_id"],
            "customer_id": rows["customer_id"],
            "holding_id": "A" + rows["account_id"],
            "booked_at": rows["date"],
            "amount_minor": sign + rows["amount"],
            "category": symbol.map(_CATEGORY_OF_SYMBOL).fillna(operation.map(_CATEGORY_OF_OPERATION)),
            "channel": operation.map(_CHANNEL),
            "balance_after_minor": rows["balance"],
        }
    )


def _has_first_part(folder: Path) -> bool:
    return any((folder / f"trans_first_part.asc{suffix}").is_file() for suffix in ("", ".gz"))


def _applications(loans: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "application_id": loans["loan_id"],
            "customer_id": loans["customer_id"],
            "product_id": "loan",
            "applied_at": loans["date"],
            "decision": "approved",
            "decided_at": loans["date"],
            "requested_minor": loans["amount"],
            "term_months": loans["duration"],
            "instalment_minor": loans["payments"],
        }
    )


def _outcomes(loans: pd.DataFrame) -> pd.DataFrame:
    bad = loans["status"].isin(["B", "D"])
    return pd.DataFrame(
        {
            "application_id": loans["loan_id"],
            "customer_id": loans["customer_id"],
            "product_id": "loan",
            "booked_at": loans["date"],
            "observed_until": loans["ends"],
            "defaulted_at": loans["ends"].where(bad),
        }
    )
