"""Write the recommendations as a bundle: parts, manifest, `_SUCCESS` last, all beside the destination, then renamed.

Whatever a killed export leaves behind is a folder of another name without `_SUCCESS`. The same run exported twice
gives the same bytes: no clock is read, the order is that of the key.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engine.config.exports import ExportSettings, FileFormat
from engine.domain.words import MARKETING
from engine.exports import csv_dialects as text
from engine.exports import rows as canonical_rows
from engine.exports.manifest import (
    CONTRACT,
    ERRORS,
    MANIFEST,
    SCHEMA_VERSION,
    SUCCESS,
    Audience,
    Counts,
    FileFacts,
    Manifest,
)
from engine.exports.rows import COLUMNS, EVERYTHING, Permission, Source, Validity
from engine.exports.signing import SigningKey
from engine.lake.files import file_digest, replace_folder, write_synced

EVERYBODY: Final = Audience(id="all", name="All customers")

_SUFFIX = {"csv": "csv", "csv_spreadsheet": "csv", "jsonl": "jsonl", "parquet": "parquet"}
_ERROR_COLUMNS = ("row", "column", "code", "expected")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the rows come from; all of it is written into the manifest."""

    run_id: str
    as_of: datetime
    created_at: datetime
    audience: Audience
    policy_version: str
    model_version: str


@dataclass(slots=True)
class _Tally:
    """What has been written so far."""

    content: Any = field(default_factory=hashlib.sha256)
    selected: int = 0
    withheld: int = 0
    exported: int = 0
    customers: int = 0
    last_customer: str | None = None
    files: list[FileFacts] = field(default_factory=list)
    errors: list[pa.Table] = field(default_factory=list)


def export_recommendations(
    recommendations: Source,
    destination: Path,
    file_format: FileFormat,
    *,
    run_id: str,
    as_of: datetime,
    created_at: datetime,
    settings: ExportSettings,
    audience: Audience = EVERYBODY,
    customer_ids: pa.Array | None = None,
    answers: pa.Table | None = None,
    permission: Permission = EVERYTHING,
    key: SigningKey | None = None,
    policy_version: str = "",
    model_version: str = "",
) -> Manifest:
    """Write the recommendations of a run to a folder that is complete or not there, and return its manifest.

    Parameters
    ----------
    recommendations : the mart recommendations: its folder, a table, or batches in the order of its key.
    destination : the folder to make; an older bundle of that name gives way once the new one is whole.
    file_format : csv (for a campaign tool), csv_spreadsheet (to read), jsonl or parquet.
    created_at : when the run was finished: the bundle tells no time of its own, so that it can be made again.
    customer_ids : only these customers; None for all.
    answers : customer_id and expires_at of the mart risk_gate: no offer holds longer than the answer that allowed it.
        None for a run without them: every offer then holds to the end of the bundle.
    key : signs the manifest, where the workspace has one.
    permission : who may be offered something on which channel by now; other rows are counted as withheld.
    policy_version, model_version : what decided, for the receiver's records.

    Raises
    ------
    CheckFailed
        The recommendations are not in the order of their key.
    """
    origin = Origin(
        run_id=run_id,
        as_of=as_of,
        created_at=created_at,
        audience=audience,
        policy_version=policy_version,
        model_version=model_version,
    )
    building = destination.with_name(f"_building-{destination.name}")
    if building.exists():
        shutil.rmtree(building)
    (building / "add").mkdir(parents=True)
    try:
        validity = Validity.of(as_of + timedelta(days=settings.valid_days), answers)
        manifest = _write(
            canonical_rows.batches(recommendations, customer_ids),
            building,
            file_format,
            origin,
            settings,
            validity=validity,
            permission=permission,
            key=key,
        )
        replace_folder(building, destination)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise
    return manifest


def _write(
    source: Iterator[pa.Table],
    folder: Path,
    file_format: FileFormat,
    origin: Origin,
    settings: ExportSettings,
    *,
    validity: Validity,
    permission: Permission,
    key: SigningKey | None,
) -> Manifest:
    tally = _Tally()
    delimiter = settings.spreadsheet_delimiter if file_format == "csv_spreadsheet" else ","
    kept = (
        _without_dangerous(_canonical(batch, origin, validity), file_format, tally)
        for batch in (_permitted(one, permission, tally) for one in source)
    )
    for number, part in enumerate(_parts(kept, settings.rows_per_part), start=1):
        path = folder / "add" / f"part-{number:05d}.{_SUFFIX[file_format]}"
        _write_part(part, path, file_format, delimiter, tally)
    if tally.errors:
        _write_errors(folder / ERRORS, tally)
    manifest = _manifest(origin, file_format, delimiter, validity.end, tally).signed(key)
    write_synced(folder / MANIFEST, manifest.text().encode())
    write_synced(folder / SUCCESS, file_digest(folder / MANIFEST).encode())
    return manifest


def _permitted(batch: pa.Table, permission: Permission, tally: _Tally) -> pa.Table:
    kept = batch.filter(permission.keeps(batch))
    tally.withheld += batch.num_rows - kept.num_rows
    return kept


def _canonical(batch: pa.Table, origin: Origin, validity: Validity) -> pa.Table:
    return canonical_rows.canonical(
        batch,
        run_id=origin.run_id,
        valid_from=canonical_rows.moment(origin.as_of),
        valid_to=validity.until(batch["customer_id"]),
    )


def _without_dangerous(rows: pa.Table, file_format: FileFormat, tally: _Tally) -> pa.Table:
    """Return the rows as they may be written; in the CSV for campaign tools a formula costs the whole row.

    An apostrophe before it would be a different value to the tool, and left alone it runs on whoever opens the file.
    """
    first, tally.selected = tally.selected, tally.selected + rows.num_rows
    if file_format == "csv":
        faults = text.dangerous(rows)
        if faults.num_rows:
            number = pc.add(faults["row"], first + 1)
            tally.errors.append(faults.set_column(0, "row", number))
            keep = pc.invert(pc.is_in(pa.array(range(rows.num_rows)), value_set=faults["row"].combine_chunks()))
            rows = rows.filter(keep)
    return text.clean(text.guarded(rows) if file_format == "csv_spreadsheet" else rows)


def _parts(batches: Iterator[pa.Table], size: int) -> Iterator[pa.Table]:
    """Cut batches of any size into parts of exactly `size` rows, the last one shorter."""
    waiting: list[pa.Table] = []
    count = 0
    for batch in batches:
        waiting.append(batch)
        count += batch.num_rows
        while count >= size:
            joined = pa.concat_tables(waiting)
            yield joined.slice(0, size)
            waiting, count = [joined.slice(size)], count - size
    if count:
        yield pa.concat_tables(waiting)


def _write_part(part: pa.Table, path: Path, file_format: FileFormat, delimiter: str, tally: _Tally) -> None:
    lines = text.json_lines(part)
    tally.content.update(lines)
    if file_format == "jsonl":
        write_synced(path, lines)
    elif file_format == "parquet":
        pq.write_table(part.combine_chunks(), path, compression="zstd")
    else:
        dialect = text.IMPORT if file_format == "csv" else text.spreadsheet(delimiter)
        write_synced(path, text.csv_header(part.column_names, dialect) + text.csv_lines(part, dialect))
    _count_customers(part, tally)
    tally.exported += part.num_rows
    tally.files.append(_facts(path, f"add/{path.name}", "add", part.num_rows))


def _count_customers(part: pa.Table, tally: _Tally) -> None:
    ids = part["external_id"]
    new = pc.count_distinct(ids).as_py()
    if tally.last_customer == ids[0].as_py():
        new -= 1
    tally.customers += new
    tally.last_customer = ids[-1].as_py()


def _write_errors(path: Path, tally: _Tally) -> None:
    faults = pa.concat_tables(tally.errors)
    said = {
        "code": pa.repeat(pa.scalar("FORMULA"), faults.num_rows),
        "expected": pa.repeat(pa.scalar("a text that no spreadsheet runs as a formula"), faults.num_rows),
    }
    rows = pa.table({"row": faults["row"], "column": faults["column"], **said}).select(_ERROR_COLUMNS)
    write_synced(path, text.csv_header(rows.column_names, text.IMPORT) + text.csv_lines(rows, text.IMPORT))
    tally.files.append(_facts(path, path.name, "errors", rows.num_rows))


def _manifest(origin: Origin, file_format: FileFormat, delimiter: str, expires: datetime, tally: _Tally) -> Manifest:
    return Manifest(
        contract=CONTRACT,
        schema_version=SCHEMA_VERSION,
        run_id=origin.run_id,
        audience=origin.audience,
        mode="full",
        destination="generic",
        file_format=file_format,
        delimiter=delimiter,
        as_of=canonical_rows.moment(origin.as_of),
        created_at=canonical_rows.moment(origin.created_at),
        expires_at=canonical_rows.moment(expires),
        purpose=MARKETING,
        counts=Counts(
            selected=tally.selected + tally.withheld,
            withheld=tally.withheld,
            exported=tally.exported,
            rejected=tally.selected - tally.exported,
            customers=tally.customers,
        ),
        columns=tuple(column.facts() for column in COLUMNS),
        files=tuple(tally.files),
        content_sha256=tally.content.hexdigest(),
        policy_version=origin.policy_version,
        model_version=origin.model_version,
    )


def _facts(path: Path, name: str, op: Any, rows: int) -> FileFacts:
    return FileFacts(path=name, op=op, rows=rows, bytes=path.stat().st_size, sha256=file_digest(path))
