"""The files of a bundle: rows as a preset wants them, cut into parts that the vendor takes, each with its checksum."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from engine.config.exports import ExportFormat
from engine.exports import csv_dialects as text
from engine.exports import plain_text
from engine.exports.audience_manifest import ColumnFacts, Cut, FileFacts, Op
from engine.exports.presets.base import COUNT, FLAG, TEXT, Columns, Context, Preset, WireColumn, wire
from engine.exports.rows import SCORE
from engine.lake.files import file_digest, write_synced

TYPES: Final = {TEXT: "text", COUNT: "integer", FLAG: "boolean", SCORE: "decimal(7,6)"}
KINDS: Final = {word: kind for kind, word in TYPES.items()}
SUFFIX: Final = {"csv": "csv", "csv_spreadsheet": "csv", "jsonl": "jsonl", "parquet": "parquet", "api": "json"}
_ROW_GROUP: Final = 100_000


@dataclass(slots=True)
class Files:
    """What has been written so far: files, what was cut, and the digest of all rows."""

    folder: Path
    preset: Preset
    context: Context
    file_format: ExportFormat
    content: Any = field(default_factory=hashlib.sha256)
    written: list[FileFacts] = field(default_factory=list)
    cut: list[Cut] = field(default_factory=list)

    @property
    def delimiter(self) -> str:
        """What separates the cells of CSV files."""
        return self.context.settings.spreadsheet_delimiter if self.file_format == "csv_spreadsheet" else ","

    def columns(self, op: Op) -> tuple[WireColumn, ...]:
        """Return the columns of an op's files."""
        made: Columns = getattr(self.preset, op)
        return made(self.context)

    def write(self, op: Op, rows: pa.Table) -> None:
        """Write canonical rows as the files of an op; without rows there is no file."""
        begin_op(self.content, op)
        if not rows.num_rows:
            return
        (self.folder / op).mkdir()
        if self.preset.ordered_by:
            place = [(name, "ascending") for name in self.preset.ordered_by]
            rows = rows.take(pc.sort_indices(wire(rows, self.columns(op), self.context), sort_keys=place))
        limits = self.preset.limits_in(self.context.settings)
        is_body = self.file_format == "api" and op == "add"
        most_rows = (limits.api_rows if is_body else None) or limits.rows
        cuts: dict[str, int] = {}
        number = 0
        for start in range(0, rows.num_rows, limits.rows):
            some = self._shaped(rows.slice(start, limits.rows), op, limits.text_bytes, cuts)
            objects = text.json_objects(some)
            self.content.update(text.joined(objects, "\n"))
            most_bytes = (limits.api_bytes if is_body else None) or limits.bytes
            for part, content in self._parts(some, objects, op, (most_rows, most_bytes)):
                number += 1
                self._write_part(op, number, part, content)
        told = (Cut(op=op, column=name, rows=count, most_bytes=limits.text_bytes or 0) for name, count in cuts.items())
        self.cut.extend(one for one in told if one.rows)

    def note(self, name: str, content: bytes, *, op: Any = "note", rows: int = 0, kind: Any = "text") -> None:
        """Write a file that holds no rows of members."""
        path = self.folder / name
        write_synced(path, content)
        self._list(path, name, op, rows, kind)

    def errors(self, rows: pa.Table) -> None:
        """Write why members were rejected; there is a file though there be none, so that its absence says something."""
        content = text.csv_header(rows.column_names, text.IMPORT) + text.csv_lines(text.clean(rows), text.IMPORT)
        self.note("errors.csv", content, op="errors", rows=rows.num_rows, kind="csv")

    def _shaped(self, rows: pa.Table, op: Op, most_bytes: int | None, cuts: dict[str, int]) -> pa.Table:
        columns = self.columns(op)
        made = text.clean(wire(rows, columns, self.context))
        if most_bytes is None:
            return made
        for place, column in enumerate(columns):
            # a key that is cut names somebody else
            if column.kind == TEXT and column.pii == "none":
                short, count = plain_text.cut(made[column.name], most_bytes)
                cuts[column.name] = cuts.get(column.name, 0) + count
                made = made.set_column(place, made.schema.field(place), short)
        return made

    def _parts(
        self, rows: pa.Table, objects: Any, op: Op, most: tuple[int, int]
    ) -> Iterator[tuple[pa.Table, bytes | None]]:
        most_rows, most_bytes = most
        if self.file_format == "parquet":
            # cut by rows alone: how many bytes rows take is known only once they are compressed
            for start in range(0, rows.num_rows, most_rows):
                yield rows.slice(start, most_rows), None
            return
        lines, end, before, after = self._lines(rows, objects, op)
        sizes = pc.add(pc.binary_length(lines), len(end.encode())).to_numpy()
        for start, length in plain_text.parts_by_bytes(sizes, most_rows, most_bytes - len(before) - len(after)):
            content = text.joined(lines.slice(start, length), end)
            if after:  # items of a list: nothing stands behind the last one
                content = content[: -len(end)]
            yield rows.slice(start, length), before + content + after

    def _lines(self, rows: pa.Table, objects: Any, op: Op) -> tuple[Any, str, bytes, bytes]:
        """Return each row as text, what ends it, and what stands before the first and after the last."""
        if self.file_format == "api" and op == "add":
            envelope = self.envelope
            assert envelope is not None, "the format is offered where there is a body"
            return envelope.lines(rows), ",\n", *envelope.wrap()
        if self.file_format == "jsonl":
            return objects, "\n", b"", b""
        dialect = text.spreadsheet(self.delimiter) if self.file_format == "csv_spreadsheet" else text.IMPORT
        shown = text.guarded(rows) if self.file_format == "csv_spreadsheet" else rows
        return text.csv_rows(shown, dialect), dialect.line_end, text.csv_header(rows.column_names, dialect), b""

    @property
    def envelope(self) -> Any:
        """The body of a request that adds rows, None where the files are no bodies."""
        made = self.preset.envelope
        return made(self.context) if self.file_format == "api" and made is not None else None

    def _write_part(self, op: Op, number: int, rows: pa.Table, content: bytes | None) -> None:
        kind: Any = "csv" if self.file_format == "api" and op != "add" else self.file_format
        path = self.folder / op / f"part-{number:05d}.{SUFFIX[kind]}"
        if content is None:
            pq.write_table(rows.combine_chunks(), path, compression="zstd", row_group_size=_ROW_GROUP)
        else:
            write_synced(path, content)
        if self.preset.stamped:
            # a vendor that reads no name twice: the run and the content make it another one
            stamp = f"{self.context.run_id}-{file_digest(path)[:8]}"
            path = path.rename(path.with_name(f"part-{number:05d}-{stamp}.{SUFFIX[kind]}"))
        self._list(path, f"{op}/{path.name}", op, rows.num_rows, kind)

    def _list(self, path: Path, name: str, op: Any, rows: int, kind: Any) -> None:
        facts = FileFacts(path=name, op=op, format=kind, rows=rows, bytes=path.stat().st_size, sha256=file_digest(path))
        self.written.append(facts)


def begin_op(content: Any, op: Op) -> None:
    """Tell the digest of the rows that those of an op follow: a row that is added is another than one removed."""
    content.update(f"{op}\n".encode())


def column_facts(columns: tuple[WireColumn, ...]) -> tuple[ColumnFacts, ...]:
    """Return what the manifest says of columns."""
    return tuple(
        ColumnFacts(
            name=one.name,
            type=TYPES[one.kind],
            nullable=one.nullable,
            pii=one.pii,
            meaning=one.meaning,
        )
        for one in columns
    )
