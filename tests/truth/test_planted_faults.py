"""The simulated bank plants faults and writes them down: intake finds at least 99 % and refuses no clean row."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.dataset as ds
import pytest

from engine.config.bank import BankSettings
from engine.config.intake import IntakeSettings
from engine.config.load import load
from engine.config.products import Catalogue
from engine.intake.load import load_sources
from engine.intake.report import IntakeReport
from engine.intake.simulation.bank import simulate_bank
from engine.lake.engine import DuckDBEngine
from engine.lake.workspace import Workspace

CUSTOMERS = 2000
REPAIRS = {
    "unknown_value": {"empty_unknown_choice"},
    "bad_encoding": {"mend_mojibake", "empty_unreadable"},
    "orphan_reference": {"empty_orphan"},
    "late_event": {"note_late_row"},
}


@dataclass(frozen=True)
class Found:
    report: IntakeReport
    planted: Any
    refused: Any
    bank: Path
    workspace: Workspace


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Found:
    folder = tmp_path_factory.mktemp("faults")
    settings, workspace = load(BankSettings, "bank"), Workspace(folder / "workspace")
    bank = folder / "bank"
    simulate_bank(CUSTOMERS, 11, bank, catalogue=load(Catalogue, "products"), bank=settings, months=12)
    with DuckDBEngine(memory_limit="1GB") as engine:
        rules = load(IntakeSettings, "intake")
        report = load_sources(bank / "mapping.toml", workspace, bank=settings, rules=rules, engine=engine)
    planted = pd.read_parquet(bank / "truth" / "planted_faults.parquet")
    refused = [
        ds.dataset(folder, format="parquet").to_table().to_pandas().assign(table=folder.name)
        for folder in (workspace.home / "curated" / "_quarantine").iterdir()
    ]
    return Found(report=report, planted=planted, refused=pd.concat(refused), bank=bank, workspace=workspace)


def _joined(found: Found) -> Any:
    """Planted and refused rows side by side, by file and row number."""
    planted = found.planted.loc[found.planted["expected"] == "quarantine"]
    name = planted["source_file"].map(lambda path: Path(path).name)
    refused = found.refused.assign(name=found.refused["source_file"].map(lambda path: Path(path).name))
    return planted.assign(name=name).merge(
        refused, on=["table", "name", "row_number"], how="outer", suffixes=("_planted", "_refused"), indicator=True
    )


def test_at_least_99_percent_of_the_faults_are_found(found: Found) -> None:
    both = _joined(found)
    planted = both.loc[both["_merge"] != "right_only"]
    assert len(planted) > 100
    assert (planted["_merge"] == "both").mean() >= 0.99


def test_no_clean_row_is_quarantined(found: Found) -> None:
    both = _joined(found)
    assert both.loc[both["_merge"] == "right_only", ["table", "name", "row_number", "code"]].to_dict("records") == []


def test_each_fault_is_called_by_its_name(found: Found) -> None:
    both = _joined(found).query("_merge == 'both'")
    assert (both["fault"] == both["code"]).mean() >= 0.99


def test_what_intake_mends_is_counted_as_mended(found: Found) -> None:
    planted = found.planted.loc[found.planted["expected"] != "quarantine"]
    for (table, fault, column), rows in planted.groupby(["table", "fault", "column"]):
        mended = sum(
            repair.rows
            for repair in found.report.table(table).repairs
            if repair.rule in REPAIRS[fault] and repair.column == column
        )
        assert mended == pytest.approx(len(rows), rel=0.01), (table, fault)


def test_every_row_is_accounted_for(found: Found) -> None:
    for table in found.report.tables:
        assert table.read == table.kept + table.quarantined
        rows = ds.dataset(found.workspace.curated(table.table), format="parquet").count_rows()
        assert table.kept == rows


def test_the_true_identity_clusters_are_recovered(found: Found) -> None:
    truth = pd.read_parquet(found.bank / "truth" / "identity_clusters.parquet")
    stitched = ds.dataset(found.workspace.curated("customers"), format="parquet").to_table(
        columns=["customer_id", "person_id"]
    )
    both = truth.merge(stitched.to_pandas(), on="customer_id", suffixes=("_true", ""))
    twins = both.loc[both.groupby("person_id_true")["customer_id"].transform("size") > 1]
    assert len(twins) > 0
    assert (twins["person_id"] == twins["person_id_true"]).mean() >= 0.99
    alone = both.drop(twins.index)
    assert (alone["person_id"] == alone["customer_id"]).mean() >= 0.999  # a shared tablet merges no town
