"""Files to fill in: a header and three example rows for every table, and the mapping that loads them.

The rows are made from the contracts and belong together: they load as they are, without a row refused.
"""

from __future__ import annotations

import csv
import io
from typing import Final

from engine.domain.curated import CURATED
from engine.domain.schema import Column, Kind, Table

ROWS: Final = 3
UNTIL: Final = "2026-06-30T23:59:59Z"
_KEYS: Final = {"customer_id": "C", "product_id": "P", "holding_id": "H", "application_id": "A"}
_TEXTS: Final = {
    "full_name": ("Ada Long", "Bob Short", "王芳"),
    "region": ("North", "South", "上海"),
    "name_en": ("Current account", "Credit card", "Personal loan"),
    "name_zh": ("活期账户", "信用卡", "个人贷款"),
    "family": ("account", "card", "loan"),
    "is_credit": ("false", "true", "true"),
    "category": ("salary", "groceries", "rent"),
    "event_name": ("product_viewed", "application_started", "application_submitted"),
    "currency": ("CNY", "CNY", "CNY"),
    "id_type": ("email", "phone", "device"),
    "id_value": ("ada@example.org", "+8613800138000", "device-3"),
    "purpose": ("marketing", "marketing", "marketing"),
    "text": ("The app is slow.", "Thank you.", "还款日可以改吗？"),
    "topic": ("app", "service", "loan"),
    "requires_product_id": ("", "", "P1"),
    "lifecycle": ("complete", "complete", "complete"),
    "variant": ("control", "treatment", "control"),
    "decision": ("approved", "approved", "declined"),
    "country": ("", "", ""),
    "min_age": ("18", "18", "18"),
    "max_age": ("", "75", "70"),
}
_LATE: Final = ("closed_at", "defaulted_at", "sold_until", "resolved_at", "kyc_expires_on", "expires_at")


def render() -> dict[str, str]:
    """Return the files by name: one CSV for each table, and `mapping.toml`."""
    files = {f"{name}.csv": _rows(table) for name, table in CURATED.items()}
    sections = [f'[{name}]\nsource = "{name}.csv"\n' for name in CURATED]
    return files | {"mapping.toml": "\n".join([f"[extract]\nuntil = {UNTIL}\n", *sections])}


def _rows(table: Table) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([column.name for column in table.source_columns])
    for number in range(ROWS):
        writer.writerow([_cell(table, column, number) for column in table.source_columns])
    return out.getvalue()


def _cell(table: Table, column: Column, number: int) -> str:
    if column.name in _KEYS:
        return f"{_KEYS[column.name]}{number + 1}"
    if column.name in _TEXTS:
        return _TEXTS[column.name][number]
    if column.choices:
        return column.choices[number % len(column.choices)]
    if column.name in _LATE:
        return ""
    return _of_kind(table, column, number)


def _of_kind(table: Table, column: Column, number: int) -> str:
    low = int(column.minimum or 0)
    if column.kind is Kind.DATE:
        return f"198{number}-03-1{number}" if column.name == "birth_date" else f"202{number}-01-15"
    if column.kind is Kind.INSTANT:
        return f"2025-0{number + 1}-15T09:30:00Z"
    written = {
        Kind.INTEGER: str(low + number + 1),
        Kind.NUMBER: f"0.0{number + 3}",
        Kind.SHARE: f"0.{number + 2}",
        Kind.MONEY: str((number + 1) * 125_000),
        Kind.BOOLEAN: ("true", "false", "true")[number],
    }
    return written.get(column.kind, f"{table.name[:3].upper()}{number + 1}")
