"""Take in a file of feedback, some rows at a time; what cannot be taken is listed with its row, the rest counts."""

from __future__ import annotations

import csv
import secrets
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, TextIO

from engine.domain.errors import UnreadableSource, WaylineError
from engine.intake import feedback_files
from engine.lake.files import file_digest
from engine.lake.workspace import Workspace
from engine.store import NewBatch, Store
from engine.workflows import feedback, session
from engine.workflows.feedback import Answer, Desk, Rejection

ERRORS: Final = "errors.csv"
_HEADER: Final = ("row_number", "error_code", "error_message")
_BROKEN: Final = "broken_row"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What became of a file: rows read, items accepted, known already, no feedback, rejected by code.

    `errors` is the file that lists the rejected rows; None where there was none, or where nothing was entered.
    """

    file: str
    source: str
    job: str | None
    rows: int
    accepted: int
    duplicate: int
    ignored: int
    rejected: int
    codes: dict[str, int]
    suppressed: int
    errors: Path | None
    dry_run: bool


def load(
    home: Path,
    path: Path,
    preset: str,
    *,
    by: str = "wayline",
    dry_run: bool = False,
    errors: Path | None = None,
    encoding: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Loaded:
    """Take in a file as one of the presets writes it. Loading it again changes nothing.

    Parameters
    ----------
    dry_run : say what would be taken and enter nothing; an event that comes twice in the file is counted twice.
    errors : where rejected rows are listed with their number; by default under feedback/ in the workspace.

    Raises
    ------
    WorkspaceMissing, SettingsFault
    UnknownName
        There is no such preset.
    UnreadableSource, EmptySource
        The file cannot be read.
    """
    workspace = session.workspace_at(home)
    workspace.report()
    reader = feedback.desk(workspace, preset)
    if dry_run:
        return _dry(home, path.expanduser(), reader, errors, encoding)
    job = f"fb_{secrets.token_hex(12)}"
    folder = folder_of(workspace, job)
    folder.mkdir(parents=True)
    with Store(session.database_url(workspace), actor=by) as store:
        source = path.expanduser()
        if not source.is_file():
            raise UnreadableSource(str(source), "no such file", "Check the path.")
        store.claim_feedback(
            NewBatch(batch_id=job, sender=by, idempotency_key=None, body_sha256=file_digest(source), source=preset)
        )
        return work(store, home, reader, job, source, errors=errors, encoding=encoding, progress=progress)


def folder_of(workspace: Workspace, job: str) -> Path:
    """Return the folder of a delivery that came as a file."""
    return workspace.home / "feedback" / job


def work(
    store: Store,
    home: Path,
    reader: Desk,
    job: str,
    path: Path,
    *,
    errors: Path | None = None,
    encoding: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Loaded:
    """Enter the rows of a delivery that was claimed; done again after a kill it enters what is left.

    Raises
    ------
    UnreadableSource, EmptySource
        The delivery is then kept as failed.
    """
    target = errors or folder_of(session.workspace_at(home), job) / ERRORS
    try:
        with _opened(home, path, encoding) as file, _Listed(target) as listed:
            count = _Count()
            for block in file.blocks(reader.settings.block):
                count.add(_entered(store, reader, job, block), listed)
                if progress:
                    progress(count.rows, file.rows)
            loaded = count.loaded(path.name, reader.name, job=job, errors=listed.kept)
    except Exception as fault:
        # whoever is stopped on the way leaves the rest to the next worker; a fault is one for that worker too
        sentence = (
            fault.sentence if isinstance(fault, WaylineError) else f"Something unforeseen: {type(fault).__name__}."
        )
        store.finish_feedback(job, {"error": sentence}, failed=True)
        raise
    store.finish_feedback(job, _told(loaded))
    return loaded


def _told(loaded: Loaded) -> dict[str, Any]:
    names = ("rows", "accepted", "duplicate", "ignored", "rejected", "codes", "suppressed")
    return {name: getattr(loaded, name) for name in names}


def _dry(home: Path, path: Path, reader: Desk, errors: Path | None, encoding: str | None) -> Loaded:
    count = _Count()
    with _opened(home, path, encoding) as file, _Listed(errors) as listed:
        for block in file.blocks(reader.settings.block):
            found = feedback.sort_out(reader, [row.values for row in block if row.values is not None])
            places = [row.number for row in block if row.values is not None]
            told = Answer(
                accepted=len(set(found.places)),
                duplicate=0,
                ignored=found.ignored,
                suppressed=0,
                rejected=found.rejected,
            )
            count.add((block, _numbered(block, told, places)), listed)
        return count.loaded(path.name, reader.name, job=None, errors=listed.kept, dry_run=True)


_Block = tuple[list[feedback_files.Row], Answer]


def _entered(store: Store, reader: Desk, job: str, block: list[feedback_files.Row]) -> _Block:
    items = [row.values for row in block if row.values is not None]
    places = [row.number for row in block if row.values is not None]
    return block, _numbered(block, feedback.entered_in(store, reader, items, job), places)


def _numbered(block: list[feedback_files.Row], told: Answer, places: list[int]) -> Answer:
    """Return an answer whose rejections have the numbers of rows, with the lines that are none among them."""
    broken = [
        Rejection(index=row.number, code=_BROKEN, detail=f"Expected {row.broken}.") for row in block if row.broken
    ]
    found = [Rejection(index=places[one.index], code=one.code, detail=one.detail) for one in told.rejected]
    rejected = tuple(sorted([*found, *broken], key=lambda one: one.index))
    return replace(told, rejected=rejected)


class _Count:
    """Adds up the answers of blocks."""

    def __init__(self) -> None:
        self.rows = self.accepted = self.duplicate = self.ignored = self.suppressed = 0
        self.codes: Counter[str] = Counter()

    def add(self, block: _Block, listed: _Listed) -> None:
        """Add the answer to a block and list what was rejected in it."""
        rows, told = block
        self.rows += len(rows)
        self.accepted += told.accepted
        self.duplicate += told.duplicate
        self.ignored += told.ignored
        self.suppressed += told.suppressed
        self.codes.update(one.code for one in told.rejected)
        listed.write(told.rejected)

    def loaded(self, file: str, source: str, *, job: str | None, errors: Path | None, dry_run: bool = False) -> Loaded:
        return Loaded(
            file=file,
            source=source,
            job=job,
            rows=self.rows,
            accepted=self.accepted,
            duplicate=self.duplicate,
            ignored=self.ignored,
            rejected=self.codes.total(),
            codes=dict(sorted(self.codes.items())),
            suppressed=self.suppressed,
            errors=errors,
            dry_run=dry_run,
        )


class _Listed:
    """The file of rejected rows, made with the first of them; without a path they are only counted."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._handle: TextIO | None = None
        self.kept: Path | None = None

    def __enter__(self) -> _Listed:
        if self._path is not None:
            self._path.unlink(missing_ok=True)  # of a worker that was killed
        return self

    def __exit__(self, *_: object) -> None:
        if self._handle is not None:
            self._handle.close()

    def write(self, rejected: tuple[Rejection, ...]) -> None:
        """List some more rows."""
        if self._path is None or not rejected:
            return
        rows: list[tuple[object, ...]] = [(one.index, one.code, one.detail) for one in rejected]
        if self._handle is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = self._path.open("w", encoding="utf-8", newline="")
            self.kept = self._path
            rows.insert(0, _HEADER)
        csv.writer(self._handle, lineterminator="\n").writerows(rows)


@contextmanager
def _opened(home: Path, path: Path, encoding: str | None) -> Iterator[feedback_files.FeedbackFile]:
    with session.files_aside(home) as aside:
        yield feedback_files.read(path, aside.engine, aside.folder("spool"), aside.rules, encoding=encoding)
