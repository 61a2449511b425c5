"""What intake did, table by table: rows read, kept, repaired, quarantined, and why. No value of any row is in it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from engine.config.load import Settings


class SourceReport(Settings):
    """One source file as it was read."""

    name: str
    sha256: str
    size_bytes: int
    rows: int


class FaultReport(Settings):
    """One check that rows failed; a row that failed several is counted under each."""

    code: str
    column: str
    expected: str
    rows: int


class RepairReport(Settings):
    """One repair of one column; `effect` is changed, emptied, filled or noted."""

    rule: str
    column: str
    effect: str
    rows: int


class MaskReport(Settings):
    """What was masked in one column of free text: how often each kind, and how many rows were cut at the limit."""

    column: str
    rows: int
    kinds: dict[str, int]
    cut_rows: int


class TableReport(Settings):
    """One curated table. `read = kept + quarantined`, and `by_code` (a row's first code) sums to `quarantined`."""

    table: str
    sources: tuple[SourceReport, ...]
    read: int
    kept: int
    quarantined: int
    by_code: dict[str, int]
    faults: tuple[FaultReport, ...]
    repairs: tuple[RepairReport, ...]
    unknown_columns: tuple[str, ...]
    absent_columns: tuple[str, ...]
    first_at: datetime | None
    last_at: datetime | None
    seconds: float
    masks: tuple[MaskReport, ...] = ()


class OversizeIdentifiers(Settings):
    """Identifiers of one type seen with more customers than the limit; they joined nobody."""

    id_type: str
    identifiers: int
    most_customers: int


class IdentityReport(Settings):
    """Who turned out to be one person."""

    customers: int
    persons: int
    customers_joined: int
    pairs_kept_apart: int
    oversize: tuple[OversizeIdentifiers, ...]


class IntakeReport(Settings):
    """The whole intake of one mapping file."""

    mapping_sha256: str
    until: datetime | None
    tables: tuple[TableReport, ...]
    identity: IdentityReport | None
    seconds: float

    def table(self, name: str) -> TableReport:
        """Return the report of one table; raises KeyError when it was not mapped."""
        for report in self.tables:
            if report.table == name:
                return report
        raise KeyError(name)

    @property
    def read(self) -> int:
        """Rows read of all tables."""
        return sum(table.read for table in self.tables)

    @property
    def kept(self) -> int:
        """Rows kept of all tables."""
        return sum(table.kept for table in self.tables)

    @property
    def quarantined(self) -> int:
        """Rows set aside of all tables."""
        return sum(table.quarantined for table in self.tables)

    def write(self, path: Path) -> None:
        """Write the report as JSON."""
        path.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")


def read(path: Path) -> IntakeReport:
    """Return a report from its JSON."""
    return IntakeReport.model_validate_json(path.read_text(encoding="utf-8"))
