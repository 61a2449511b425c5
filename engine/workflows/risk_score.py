"""Score a plain file with a model folder: block by block, so that memory stays flat however long the file is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engine.config.risk import Way
from engine.domain.errors import MissingInputs, SettingsFault, UnknownName, UnreadableSource
from engine.exports import csv_dialects, model_folders
from engine.intake import applicant_files
from engine.intake.applicant_files import ROW
from engine.intake.event_files import EventFile
from engine.risk import file_reasons, tiers
from engine.risk.file_model import FileModel
from engine.risk.file_reasons import Words
from engine.risk.file_scorer import FileScorer, Scores
from engine.workflows import risk_notices, risk_sample

BLOCK: Final = 65_536
"""Rows scored at once."""

_MOST_IN_ANSWER: Final = 100_000
_MOST_LISTED: Final = 50
_FORMATS: Final = (".csv", ".parquet")
_PROBABILITY: Final = pa.decimal128(9, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreQuestion:
    """The file, the model, how many reasons, where to; None for `cut_off` takes that of the model.

    notices : a folder for one letter for each refused row. received : the column of the day an application was
    complete, for the letters' clock. changeable : columns that an applicant can change, and which way, for the letters.
    """

    path: Path
    model: Path
    reasons: int = 4
    out: Path | None = None
    cut_off: int | None = None
    id_column: str | None = None
    notices: Path | None = None
    received: str | None = None
    decided_on: date = date(1970, 1, 1)
    creditor: str | None = None
    changeable: Mapping[str, Way] = field(default_factory=dict)
    encoding: str | None = None
    language: Literal["en", "zh"] = "en"
    home: Path = Path("workspace")
    say: Callable[[str], None] = field(default=risk_sample.silent, compare=False)


@dataclass(slots=True)
class _Tally:
    rows: int = 0
    refused: int = 0
    probability: float = 0.0
    graded: int = 0
    missing: int = 0
    unseen: int = 0
    incomplete: int = 0
    tiers: dict[str, int] = field(default_factory=lambda: dict.fromkeys((tier.value for tier in tiers.TIERS), 0))


class _Sink(Protocol):
    def write(self, rows: pa.Table) -> None:
        """Take a block of scored rows."""


def open_model(folder: Path) -> tuple[FileModel, str]:
    """Return the model of a folder, and the checksum that tells it from others.

    Raises
    ------
    UnreadableSource, ModelSpoilt
        There is no model, or one of another version.
    CheckFailed
        It was changed after it was written.
    """
    values, checksum = model_folders.read(folder)
    try:
        return FileModel.from_dict(values, folder.name), checksum
    except (KeyError, TypeError, ValueError) as fault:
        raise UnreadableSource(
            folder.name,
            f"its model is written as this version of Wayline does not know ({type(fault).__name__})",
            "Read it with the Wayline that wrote it, or fit the model again.",
        ) from None


def score(question: ScoreQuestion) -> dict[str, Any]:
    """Score every row of a file and return what became of them; the rows too, where no file was named for them.

    Raises
    ------
    UnreadableSource, UnknownName, SettingsFault, ModelSpoilt, CheckFailed
        File, model or question cannot be used; one sentence says why, and nothing is half written.
    """
    model, checksum = open_model(question.model)
    if question.out is not None and question.out.suffix.lower() not in _FORMATS:
        raise SettingsFault("--out", [f'"{question.out.name}": scores are written as .csv or .parquet'])
    cut_off = model.cut_off if question.cut_off is None else question.cut_off
    with risk_sample.opened(question.path, question.home, question.encoding) as (file, engine):
        refuse_columns(model, file, id_column=question.id_column, received=question.received)
        if question.out is None and file.rows > _MOST_IN_ANSWER:
            raise SettingsFault(
                file.name, [f"{file.rows:,} rows are too many for one answer; name a file for them with --out"]
            )
        kinds: Any = {name: model.kinds[name] for name in model.inputs}
        texts = [name for name in (question.id_column, question.received) if name is not None and name not in kinds]
        tally, scorer = _Tally(), FileScorer(model, question.reasons)
        with _sink(question, scorer.words) as sink, risk_notices.letters(question, scorer, cut_off) as letters:
            for block in applicant_files.batches(file, kinds, engine, texts, size=BLOCK):
                scored = _scored(question, scorer, block, cut_off, tally)
                sink.write(scored)
                letters.write(block, scored)
        for note in file.notes:
            question.say(note)
        answer = _answer(question, model, checksum, cut_off, tally, file)
        answer["notes"] += [said for said in (scorer.silent_at(cut_off),) if said is not None]
        if question.notices is not None:
            answer["notices"] = {"written": letters.written, "folder": str(question.notices)}
        if isinstance(sink, _Listed):
            answer["scores"] = sink.rows
        return answer


def refuse_columns(model: FileModel, file: EventFile, *, id_column: str | None, received: str | None) -> None:
    """Raise MissingInputs where the file lacks a column that the model reads, UnknownName for one that was named."""
    missing = [name for name in model.inputs if name not in file.columns]
    if missing:
        raise MissingInputs(file.name, missing, list(file.columns)[:_MOST_LISTED])
    for what, column in (("id", id_column), ("received", received)):
        if column is not None and column not in file.columns:
            raise UnknownName(f"{what} column", column, list(file.columns)[:_MOST_LISTED])


def _scored(question: ScoreQuestion, scorer: FileScorer, block: pa.Table, cut_off: int, tally: _Tally) -> pa.Table:
    """Return points, probability, tier, outcome and the places of the reasons of a block, and count it."""
    model = scorer.model
    columns = {name: block[name] for name in model.inputs}
    found = scorer.block(columns, block.num_rows)
    unseen = model.unseen(columns)
    ranked = np.ascontiguousarray(found.reasons.T)
    refused = found.known & (found.points < cut_off)
    outcome = np.where(~found.known, 0, np.where(refused, 1, 2))
    _count(tally, found, refused, unseen)
    ids = {"id": block[question.id_column].cast(pa.string())} if question.id_column else {}
    return pa.table(
        {
            **ids,
            "row": block[ROW],
            "points": pa.array(found.points, mask=~found.known),
            "default_probability": pa.array(found.probability, mask=~found.known),
            "tier": pa.array([tier.value for tier in tiers.TIERS]).take(pa.array(found.tier)),
            "outcome": pa.array([None, "decline", "approve"], pa.string()).take(pa.array(outcome)),
            "missing_values": pa.array(found.missing),
            "unseen_values": pa.array(unseen.astype(np.int32)),
            **{f"_{rank}": pa.array(places) for rank, places in enumerate(ranked, start=1)},
        }
    )


def _count(tally: _Tally, found: Scores, refused: Any, unseen: Any) -> None:
    tally.rows += len(found.points)
    tally.refused += int(refused.sum())
    tally.probability += float(found.probability[found.known].sum())
    tally.graded += int(found.known.sum())
    tally.missing += int(found.missing.sum())
    tally.unseen += int(unseen.sum())
    tally.incomplete += int(((found.missing > 0) | (unseen > 0)).sum())
    for place, count in enumerate(np.bincount(found.tier, minlength=len(tiers.TIERS))):
        tally.tiers[tiers.TIERS[place].value] += int(count)


def _answer(  # noqa: PLR0917
    question: ScoreQuestion, model: FileModel, checksum: str, cut_off: int, tally: _Tally, file: EventFile
) -> dict[str, Any]:
    expected = float(model.learned_from["bad_rate"])
    notes = []
    if tally.rows > tally.graded:
        notes.append(f"{tally.rows - tally.graded:,} rows have no value that the model reads and get no score.")
    if file.broken:
        notes.append(f"{file.broken:,} lines are no rows and were left out.")
    return {
        "rows": tally.rows,
        "model": {"champion": model.champion, "sha256": checksum, "learned_from": dict(model.learned_from)},
        "cut_off": cut_off,
        "refused": tally.refused,
        "refused_share": tally.refused / tally.graded if tally.graded else None,
        "mean_default_probability": tally.probability / tally.graded if tally.graded else None,
        "bad_rate_when_learned": expected,
        "tiers": tally.tiers,
        "missing_values": tally.missing,
        "unseen_values": tally.unseen,
        "rows_with_missing_or_unseen": tally.incomplete,
        "out": None if question.out is None else str(question.out),
        "notes": notes,
    }


def worded(rows: pa.Table, words: Words, language: str, most: int) -> pa.Table:
    """Return scored rows with the codes and the words of their reasons instead of places."""
    for rank in range(1, most + 1):
        where = rows[f"_{rank}"].to_numpy()
        rows = rows.append_column(f"reason_{rank}", file_reasons.taken(words.codes, where))
        rows = rows.append_column(f"reason_{rank}_text", file_reasons.taken(words.texts(language), where))
    return rows.drop_columns([f"_{rank}" for rank in range(1, most + 1)])


@contextmanager
def _sink(question: ScoreQuestion, words: Words) -> Iterator[Any]:
    """Yield what takes the rows: a file that is there whole or not at all, or a list."""
    if question.out is None:
        yield _Listed(question, words)
        return
    aside = question.out.with_name(f".{question.out.name}.part")
    try:
        question.out.parent.mkdir(parents=True, exist_ok=True)
        made = _Csv if question.out.suffix.lower() == ".csv" else _Parquet
        with made(aside, question, words) as sink:
            yield sink
        aside.replace(question.out)
    except OSError as fault:
        reason = fault.strerror or "it cannot be used"
        raise SettingsFault(question.out.name, [f"cannot be written there ({reason}); name another place"]) from None
    finally:
        with suppress(OSError):
            aside.unlink()


class _Listed:
    """Rows as plain values, for the answer itself."""

    def __init__(self, question: ScoreQuestion, words: Words) -> None:
        self.rows: list[dict[str, Any]] = []
        self._question, self._words = question, words

    def write(self, rows: pa.Table) -> None:
        codes, texts = self._words.codes, self._words.texts(self._question.language)
        for row in rows.to_pylist():
            places = [row.pop(f"_{rank + 1}") for rank in range(self._question.reasons)]
            reasons = [{"code": codes[place], "text": texts[place]} for place in places if place]
            self.rows.append({**row, "reasons": reasons})


class _Parquet:
    """Rows as a Parquet file."""

    def __init__(self, path: Path, question: ScoreQuestion, words: Words) -> None:
        self._path, self._question, self._words = path, question, words
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> _Parquet:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()

    def write(self, rows: pa.Table) -> None:
        made = worded(rows, self._words, self._question.language, self._question.reasons)
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, made.schema, compression="zstd")
        self._writer.write_table(made)


class _Csv:
    """Rows as a CSV file; text that a spreadsheet would run as a formula gets an apostrophe."""

    def __init__(self, path: Path, question: ScoreQuestion, words: Words) -> None:
        self._file = path.open("wb")
        self._question, self._words = question, words
        self._begun = False

    def __enter__(self) -> _Csv:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, rows: pa.Table) -> None:
        made = csv_dialects.guarded(worded(rows, self._words, self._question.language, self._question.reasons))
        place = made.column_names.index("default_probability")
        made = made.set_column(place, "default_probability", made["default_probability"].cast(_PROBABILITY, safe=False))
        if not self._begun:
            self._file.write(csv_dialects.csv_header(made.column_names, csv_dialects.IMPORT))
            self._begun = True
        self._file.write(csv_dialects.csv_lines(made, csv_dialects.IMPORT))
