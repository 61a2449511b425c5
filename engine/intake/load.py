"""Sources to curated tables, all or nothing: staged aside, checked, written sorted, then swapped in by a rename."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from engine.config.bank import BankSettings
from engine.config.intake import IntakeSettings
from engine.domain.curated import CURATED
from engine.domain.errors import ContractBroken
from engine.domain.schema import Table
from engine.intake import identity, mapping, masking, quarantine, staging
from engine.intake.report import FaultReport, IdentityReport, IntakeReport, RepairReport, SourceReport, TableReport
from engine.intake.staging import Staged, Workbench
from engine.lake.engine import DuckDBEngine, identifier, quoted
from engine.lake.files import file_digest
from engine.lake.workspace import Workspace

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many tables are done, and how many there are."""


def load_sources(
    mapping_file: Path,
    workspace: Workspace,
    *,
    bank: BankSettings,
    rules: IntakeSettings,
    engine: DuckDBEngine,
    progress: Progress | None = None,
) -> IntakeReport:
    """Replace the workspace's curated tables by what the mapped sources hold, and return what was done.

    The former tables stay until the new ones are complete; after a fault or a kill they are still there. The report
    lies beside the tables as `report.json`.

    Raises
    ------
    SettingsFault
        The mapping file is wrong; every fault is listed.
    ContractBroken
        A source cannot be loaded; one sentence.
    WorkspaceBusy
        Another process writes to this workspace.
    """
    mapped = mapping.read(mapping_file)
    with workspace.lock("data load"):
        recover(workspace)
        target, spool = workspace.home / "curated.tmp", workspace.spill / "intake"
        for folder in (target, spool):
            shutil.rmtree(folder, ignore_errors=True)
        bench = Workbench(mapping=mapped, base=mapping_file.parent, engine=engine, spool=spool, bank=bank, rules=rules)
        try:
            report = _built(bench, mapping_file, target, progress)
            report.write(target / "report.json")
            _swap(workspace, target)
        finally:
            for folder in (target, spool):
                shutil.rmtree(folder, ignore_errors=True)
    return report


def check_sources(
    mapping_file: Path,
    *,
    bank: BankSettings,
    rules: IntakeSettings,
    engine: DuckDBEngine,
    progress: Progress | None = None,
    refused: Path | None = None,
) -> IntakeReport:
    """Return what loading would do, without a workspace and leaving nothing behind.

    With `refused`, the rows that would be refused are written into that folder, a folder for each table.

    Raises
    ------
    SettingsFault, ContractBroken
        As `load_sources` does.
    """
    mapped = mapping.read(mapping_file)
    with tempfile.TemporaryDirectory(prefix="wayline-check-") as spool:
        bench = Workbench(
            mapping=mapped, base=mapping_file.parent, engine=engine, spool=Path(spool), bank=bank, rules=rules
        )
        return _built(bench, mapping_file, None, progress, refused)


def recover(workspace: Workspace) -> None:
    """Put the former tables back where a kill between the two renames of a swap left them aside."""
    curated, former = workspace.home / "curated", workspace.home / "curated.old"
    if former.is_dir() and not curated.exists():
        former.rename(curated)
    shutil.rmtree(former, ignore_errors=True)


def _swap(workspace: Workspace, target: Path) -> None:
    curated, former = workspace.home / "curated", workspace.home / "curated.old"
    if curated.exists():
        curated.rename(former)
    target.rename(curated)
    shutil.rmtree(former, ignore_errors=True)


def _built(
    bench: Workbench,
    mapping_file: Path,
    target: Path | None,
    progress: Progress | None,
    refused: Path | None = None,
) -> IntakeReport:
    """Stage every mapped table, parents first; with a target, write each as soon as nothing is missing for it."""
    started = time.perf_counter()
    tables = [table for name, table in CURATED.items() if name in bench.mapping.tables]
    _refuse_missing_parents(tables)
    bench.spool.mkdir(parents=True, exist_ok=True)
    reports, waiting, found = [], list[Staged](), None
    for done, table in enumerate(tables):
        if progress is not None:
            progress(table.name, done, len(tables))
        staged = staging.stage(bench, table, frozenset(t.name for t in tables[:done]))
        reports.append(_table_report(bench, staged))
        waiting.append(staged)
        if table.name == "identities":
            found = _stitched(bench, waiting)
        # customers wait for the identities, which tell who is one person
        if "identities" not in {later.name for later in tables[done + 1 :]}:
            for ready in waiting:
                if refused is not None:
                    quarantine.write(bench.engine, ready, refused / ready.table.name)
                _publish(bench, ready, target, stitched=found is not None)
            waiting.clear()
    return IntakeReport(
        mapping_sha256=file_digest(mapping_file),
        until=bench.until,
        tables=tuple(reports),
        identity=found,
        seconds=round(time.perf_counter() - started, 3),
    )


def _refuse_missing_parents(tables: list[Table]) -> None:
    mapped = {table.name for table in tables}
    for table in tables:
        for column in table:
            parent = (column.references or "").partition(".")[0]
            if column.required and parent and parent not in mapped:
                raise ContractBroken(
                    f'The mapping has {table.name} but not {parent}, to which its column "{column.name}" refers. '
                    f"Add a section [{parent}], or take [{table.name}] out."
                )


def _stitched(bench: Workbench, waiting: list[Staged]) -> IdentityReport:
    by_name = {staged.table.name: staged for staged in waiting}
    customers, identities = by_name["customers"].kept_sql(), by_name["identities"].kept_sql()
    return identity.stitch(bench.engine, customers, identities, bench.rules.stitching)


# writing


def _publish(bench: Workbench, staged: Staged, target: Path | None, stitched: bool) -> None:
    """Write the kept rows of one table sorted, its refused rows and unknown columns aside, and free its spool."""
    if target is not None:
        name = staged.table.name
        for bucket in staged.buckets or (1,):
            part = f"month={bucket // 100}-{bucket % 100:02d}" if staged.table.month_partitioned else ""
            if staged.table.month_partitioned and not staged.buckets:
                part = "month=0000-00"  # no row was kept: one empty file still says what the columns are
            _copy(bench, staged, bucket if staged.buckets else None, target / name / part, stitched)
        quarantine.write(bench.engine, staged, target / "_quarantine" / name)
        if staged.plan.extras:
            _copy_extras(bench, staged, target / "_extras" / name)
    bench.engine.connection.execute(f"DROP TABLE {staged.later_table}")
    masking.drop(bench.engine, staged.table)
    shutil.rmtree(staged.folder)
    shutil.rmtree(bench.spool / f"{staged.table.name}.raw", ignore_errors=True)


def _copy(bench: Workbench, staged: Staged, bucket: int | None, folder: Path, stitched: bool) -> None:
    table = staged.table
    free = {name: masking.kept_sql(table, name) for name in masking.columns_of(table)}
    columns = ", ".join(free[name][0] if name in free else _column(name, stitched) for name in table.names)
    joined = f" LEFT JOIN {identity.PERSONS} p USING (customer_id)" if table.name == "customers" and stitched else ""
    joined += "".join(join for _, join in free.values())
    _write(bench, f"SELECT {columns} FROM ({staged.kept_sql(bucket)}) s{joined}", _order(table), folder)


def _column(name: str, stitched: bool) -> str:
    if name == "person_id":
        return "coalesce(p.person_id, s.customer_id) AS person_id" if stitched else "s.customer_id AS person_id"
    return f"s.{identifier(name)}"


def _order(table: Table) -> str:
    """Return the order on disk: by customer and time inside a month, so that one customer's history is one seek."""
    first = ("customer_id", str(table.time_column)) if table.month_partitioned else ()
    return ", ".join(identifier(name) for name in dict.fromkeys((*first, *table.key)))


def _copy_extras(bench: Workbench, staged: Staged, folder: Path) -> None:
    key = [identifier(name) for name in staged.table.key]
    extras = [
        f"{identifier(f'x_{name}')} AS {identifier(name)}"
        for name in staged.plan.extras
        if name not in staged.table.key
    ]
    sql = f"SELECT {', '.join([*key, *extras])} FROM ({staged.kept_sql()})"
    _write(bench, sql, ", ".join(key), folder)


def _write(bench: Workbench, sql: str, order: str, folder: Path) -> None:
    folder.mkdir(parents=True)
    bench.engine.connection.execute(
        f"COPY (SELECT * FROM ({sql}) ORDER BY {order}) TO {quoted(str(folder / 'part-00000.parquet'))} "
        "(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880)"
    )


# the report


def _table_report(bench: Workbench, staged: Staged) -> TableReport:
    quarantined = staged.faults.total() + staged.later.total()
    return TableReport(
        table=staged.table.name,
        sources=tuple(
            SourceReport(name=file.name, sha256=file.sha256, size_bytes=file.size_bytes, rows=file.rows)
            for file in staged.raw.files
        ),
        read=staged.raw.rows,
        kept=staged.kept,
        quarantined=quarantined,
        by_code=_by_code(staged),
        faults=_faults(staged),
        repairs=_repairs(bench, staged),
        unknown_columns=staged.plan.extras,
        absent_columns=staging.absent_columns(staged),
        first_at=staged.first_at,
        last_at=staged.last_at,
        seconds=round(staged.seconds, 3),
        masks=staged.masks,
    )


def _by_code(staged: Staged) -> dict[str, int]:
    counts: dict[str, int] = {}
    for mask, rows in staged.faults.items():
        first = (mask & -mask).bit_length() - 1  # checks lie in the order of precedence
        code = staged.plan.checks[first].code.value
        counts[code] = counts.get(code, 0) + rows
    return dict(sorted({**counts, **staged.later}.items()))


def _faults(staged: Staged) -> tuple[FaultReport, ...]:
    found = []
    for bit, check in enumerate(staged.plan.checks):
        rows = sum(rows for mask, rows in staged.faults.items() if mask >> bit & 1)
        if rows:
            found.append(FaultReport(code=check.code, column=check.column, expected=check.expected, rows=rows))
    key = ", ".join(staged.table.key)
    for code, rows in staged.later.items():
        found.append(FaultReport(code=code, column=key, expected="a key that no earlier row has", rows=rows))
    return tuple(found)


def _repairs(bench: Workbench, staged: Staged) -> tuple[RepairReport, ...]:
    effects = {str(name): rule.effect for name, rule in bench.rules.repairs.items()}
    found = []
    for bit, note in enumerate(staged.plan.notes):
        rows = sum(rows for mask, rows in staged.notes.items() if mask >> bit & 1)
        rows -= sum(rows for mask, rows in staged.later_notes.items() if mask >> bit & 1)
        if rows:
            found.append(RepairReport(rule=note.rule, column=note.column, effect=effects[note.rule], rows=rows))
    return tuple(found)
