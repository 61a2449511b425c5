"""CSV and JSONL files, block by block through the guard, to a Parquet spool of text in the order of the file."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from engine.config.intake import IntakeSettings
from engine.domain.errors import UnreadableSource
from engine.intake.guards import GuardedStream
from engine.intake.mapping import CsvOptions
from engine.intake.sql import first_row
from engine.lake.engine import DuckDBEngine, identifier, quoted

_BLOCK: Final = 8 << 20
_KEPT_TEXTS: Final = 10_000
_LINE: Final = "line"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spooled:
    """One text file as Parquet: the SQL that gives _row, _broken, _text and its columns, and how many rows it has."""

    sql: str
    columns: tuple[str, ...]
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One text file to spool: where it lies, its name in messages, and the path of the spool without its suffix."""

    path: Path
    name: str
    stem: Path
    engine: DuckDBEngine
    rules: IntakeSettings
    most_columns: int = 100_000


def plain(spool: Path) -> str:
    """Return SQL that reads a spool in which every row of the source is a row."""
    return (
        "SELECT file_row_number AS _row, NULL::VARCHAR AS _broken, NULL::VARCHAR AS _text, "
        f"* EXCLUDE (file_row_number) FROM read_parquet({quoted(str(spool))}, file_row_number = true)"
    )


def spool_csv(job: Job, options: CsvOptions) -> Spooled:
    """Return a CSV file as a relation; rows with another number of fields than the header are in it, marked broken.

    Raises
    ------
    UnreadableSource
        No header, cut, not of the encoding said, or hardly a row fits the header.
    """
    stream = GuardedStream(job.path, job.name, options.encoding, job.rules.limits, options.quote)
    header = _header(stream, job.name, options)
    if len(header) > job.most_columns:
        problem = f"has more than {job.most_columns:,} columns"
        raise UnreadableSource(job.name, problem, "Check the delimiter and the format.")
    parse = pc.ParseOptions(delimiter=options.delimiter, quote_char=options.quote or False, newlines_in_values=True)
    written = _stream_rows(stream, header, parse, job)
    _refuse_cut(stream, written, options)
    _refuse_ragged(job, written)
    sql = _with_ragged(written, job.stem, len(header)) if written.ragged else plain(written.path)
    return Spooled(sql=sql, columns=header, rows=written.rows + len(written.ragged))


def _header(stream: GuardedStream, name: str, options: CsvOptions) -> tuple[str, ...]:
    line = stream.first_line().removeprefix(b"\xef\xbb\xbf").decode()
    quote = options.quote or None
    reader = csv.reader(
        [line], delimiter=options.delimiter, quotechar=quote, quoting=csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE
    )
    names = tuple(cell.strip() for cell in next(reader, []))
    if not any(names):
        raise UnreadableSource(name, "its first line names no columns", "Add a header line.")
    twice = sorted(column for column, times in Counter(names).items() if times > 1)
    if twice:
        raise UnreadableSource(
            name, f"two columns are called {', '.join(twice[:5])!r}", "Give each column its own name."
        )
    return names


@dataclass(slots=True, kw_only=True)
class _Written:
    path: Path
    rows: int = 0
    ragged: list[tuple[int, int, str]] = field(default_factory=list)
    """Row number, how many fields it has, its text where that is kept."""
    last: tuple[str, ...] = ()


def _stream_rows(stream: GuardedStream, header: tuple[str, ...], parse: pc.ParseOptions, job: Job) -> _Written:
    """Copy the rows of a delimited text to Parquet as they are, block by block."""
    written = _Written(path=job.stem.with_suffix(".parquet"))

    def set_aside(row: Any) -> str:
        text = row.text if len(written.ragged) < _KEPT_TEXTS else ""
        written.ragged.append((row.number - 2, row.actual_columns, text))  # numbers are 1-based and count the header
        return "skip"

    parse.invalid_row_handler = set_aside
    _copy(stream, header, parse, written, job.rules, skip_rows=1)
    return written


def _copy(
    stream: GuardedStream,
    header: tuple[str, ...],
    parse: pc.ParseOptions,
    written: _Written,
    rules: IntakeSettings,
    *,
    skip_rows: int,
) -> None:
    schema = pa.schema([(column, pa.string()) for column in header])
    block = max(_BLOCK, 2 * rules.limits.line_bytes)
    reading = pc.ReadOptions(use_threads=False, block_size=block, column_names=list(header), skip_rows=skip_rows)
    with pq.ParquetWriter(written.path, schema, compression="lz4") as writer:
        try:
            for batch in pc.open_csv(
                pa.PythonFile(stream, mode="r"),
                read_options=reading,
                parse_options=parse,
                convert_options=pc.ConvertOptions(column_types=schema, strings_can_be_null=False),
            ):
                writer.write_batch(batch)
                written.rows += batch.num_rows
                written.last = tuple(column[-1].as_py() for column in batch.columns) if len(batch) else written.last
        except pa.ArrowInvalid as fault:
            # a header alone is an empty source, which is said elsewhere
            if not any(words in str(fault) for words in ("Empty CSV file", "Could not skip initial")):
                raise _unparsed(fault, stream.name) from None
        finally:
            stream.close()


def _unparsed(fault: pa.ArrowInvalid, name: str) -> UnreadableSource:
    """Say what the parser found, without the values it quotes."""
    problem = f"cannot be taken apart into rows ({str(fault).split(':')[0]})"
    return UnreadableSource(name, problem, "Check delimiter, quote and line ends.")


def _refuse_cut(stream: GuardedStream, written: _Written, options: CsvOptions) -> None:
    """Raise when the file stops inside a quoted value or a row: the rest of it is missing."""
    last = written.last[-1] if written.last else ""
    unclosed = bool(options.quote) and stream.quotes % 2 == 1 and (last.endswith("\n") or not stream.ends_with_newline)
    last_number = written.rows + len(written.ragged) - 1
    short = bool(written.ragged) and not stream.ends_with_newline and written.ragged[-1][0] == last_number
    if unclosed or short:
        where = "inside a quoted value" if unclosed else "in the middle of a row"
        problem = f"ends {where} (line {stream.newlines + 1}), so it was cut or a quote is never closed"
        raise UnreadableSource(stream.name, problem, "Fetch the file again.")


def _refuse_ragged(job: Job, written: _Written) -> None:
    total, judgement = written.rows + len(written.ragged), job.rules.judgement
    if total >= judgement.broken_min_rows and len(written.ragged) > judgement.broken_share * total:
        raise UnreadableSource(
            job.name,
            f"{len(written.ragged):,} of {total:,} rows have another number of fields than the header",
            "Check delimiter and quote under [<table>.csv].",
        )


def _with_ragged(written: _Written, stem: Path, fields: int) -> str:
    """Return SQL that gives every row its own number again and adds the rows that were set aside."""
    numbers = [number for number, _, _ in written.ragged]
    # the k-th good row has as many ragged rows before it as there are j with numbers[j] - j <= k
    shift = {number - index: index + 1 for index, number in enumerate(numbers)}
    shifts, ragged = stem.with_suffix(".shift.parquet"), stem.with_suffix(".ragged.parquet")
    pq.write_table(pa.table({"at": list(shift), "by_rows": list(shift.values())}), shifts)
    pq.write_table(
        pa.table(
            {
                "_row": pa.array(numbers, pa.int64()),
                "_broken": [f"{fields} fields, found {found}" for _, found, _ in written.ragged],
                "_text": [text for _, _, text in written.ragged],
            }
        ),
        ragged,
    )
    spool, moved = quoted(str(written.path)), quoted(str(shifts))
    return (
        "SELECT s.file_row_number + coalesce(m.by_rows, 0) AS _row, NULL::VARCHAR AS _broken, NULL::VARCHAR AS _text, "
        f"s.* EXCLUDE (file_row_number) FROM read_parquet({spool}, file_row_number = true) s "
        f"ASOF LEFT JOIN read_parquet({moved}) m ON s.file_row_number >= m.at "
        f"UNION ALL BY NAME SELECT _row, _broken, _text FROM read_parquet({quoted(str(ragged))})"
    )


def spool_jsonl(job: Job) -> Spooled:
    """Return a JSONL file as a relation: the keys of its objects as text columns, other lines marked broken.

    Raises
    ------
    UnreadableSource
        Cut, or not UTF-8.
    """
    stream = GuardedStream(job.path, job.name, "utf-8", job.rules.limits)
    # one field a line: JSON must escape the unit separator, so no valid line is split
    parse = pc.ParseOptions(delimiter="\x1f", quote_char=False)
    written = _Written(path=job.stem.with_suffix(".parquet"))
    _copy(stream, (_LINE,), parse, written, job.rules, skip_rows=0)
    lines = f"read_parquet({quoted(str(written.path))}, file_row_number = true)"
    good = f"json_valid({_LINE}) AND json_type(CASE WHEN json_valid({_LINE}) THEN {_LINE} END) = 'OBJECT'"
    if not stream.ends_with_newline and written.rows:
        _refuse_cut_line(job, lines, good, written.rows)
    keys = job.engine.connection.execute(
        f"SELECT DISTINCT unnest(json_keys({_LINE})) AS k FROM {lines} WHERE {good} ORDER BY k"
    ).fetchall()
    columns = tuple(str(key[0]) for key in keys)
    fields = "".join(
        f", CASE WHEN {good} THEN {_LINE} ->> {quoted(_path(key))} END AS {identifier(key)}" for key in columns
    )
    sql = (
        f"SELECT file_row_number AS _row, CASE WHEN {good} THEN NULL ELSE 'a JSON object' END AS _broken, "
        f"CASE WHEN {good} THEN NULL ELSE {_LINE} END AS _text{fields} FROM {lines}"
    )
    return Spooled(sql=sql, columns=columns, rows=written.rows)


def _path(key: str) -> str:
    return '$."' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _refuse_cut_line(job: Job, lines: str, good: str, rows: int) -> None:
    (found,) = first_row(job.engine, f"SELECT {good} FROM {lines} WHERE file_row_number = {rows - 1}")
    if not found:
        raise UnreadableSource(job.name, f"ends in the middle of line {rows}, so it was cut", "Fetch the file again.")
