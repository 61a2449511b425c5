"""A delivery of files as a bank would hand it over, small enough to check by eye."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.dataset as ds

from engine.config.bank import BankSettings
from engine.config.intake import IntakeSettings
from engine.config.load import load
from engine.intake.load import check_sources, load_sources
from engine.intake.report import IntakeReport
from engine.lake.engine import DuckDBEngine
from engine.lake.workspace import Workspace

BANK = BankSettings(
    name="Test Bank", base_currency="CNY", rates={"CNY": 1.0, "USD": 7.15, "JPY": 0.05}, time_zone="UTC", seed=1
)
RULES = load(IntakeSettings, "intake")
UNTIL = "2026-06-30T23:59:59Z"
CUSTOMERS = "customer_id,joined_at\nC1,2020-01-01T00:00:00Z\nC2,2021-01-01T00:00:00Z\nC3,2022-01-01T00:00:00Z\n"


class Delivery:
    """Files in a folder, a mapping of them, and the workspace they are loaded into."""

    def __init__(self, folder: Path, rules: IntakeSettings = RULES) -> None:
        self.folder, self.rules = folder, rules
        self.workspace = Workspace(folder / "workspace")
        self._mapping = [f"[extract]\nuntil = {UNTIL}\n"]

    def file(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def table(self, name: str, content: str | bytes | None = None, *, source: str = "", more: str = "") -> Delivery:
        """Map a table, by default to a CSV file of its name with this content; `more` is TOML for its section."""
        source = source or f"{name}.csv"
        if content is not None:
            self.file(source, content)
        self._mapping.append(f'[{name}]\nsource = "{source}"\n{more}\n')
        return self

    def section(self, toml: str) -> Delivery:
        self._mapping.append(toml + "\n")
        return self

    def without_extract(self, toml: str = "") -> Delivery:
        self._mapping[0] = toml + "\n"
        return self

    @property
    def mapping_file(self) -> Path:
        return self.file("mapping.toml", "\n".join(self._mapping))

    def load(self) -> IntakeReport:
        with DuckDBEngine(memory_limit="1GB", threads=1) as engine:
            return load_sources(self.mapping_file, self.workspace, bank=BANK, rules=self.rules, engine=engine)

    def check(self) -> IntakeReport:
        with DuckDBEngine(memory_limit="1GB", threads=1) as engine:
            return check_sources(self.mapping_file, bank=BANK, rules=self.rules, engine=engine)

    def rows(self, table: str) -> list[dict[str, Any]]:
        return _rows(self.workspace.curated(table))

    def refused(self, table: str) -> list[dict[str, Any]]:
        folder = self.workspace.quarantine(table)
        return _rows(folder) if folder.exists() else []

    def codes(self, table: str) -> list[tuple[int, str, str]]:
        """Row number, code and column of every refused row."""
        return [(row["row_number"], row["code"], row["column"]) for row in self.refused(table)]

    def repairs(self, report: IntakeReport, table: str) -> dict[tuple[str, str], int]:
        return {(repair.rule, repair.column): repair.rows for repair in report.table(table).repairs}


def _rows(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = ds.dataset(folder, format="parquet").to_table().to_pylist()
    return rows
