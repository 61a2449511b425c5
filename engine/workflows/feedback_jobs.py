"""Files of feedback that came over the API: on disk before the sender hears of it, entered afterwards, kill or not."""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from engine.domain.errors import CheckFailed, DeliveryUnderWay, KeyReused, UnknownName, WaylineError
from engine.domain.grants import Grant
from engine.lake.files import file_digest
from engine.store import FeedbackBatchRecord, NewBatch
from engine.workflows import feedback, feedback_file
from engine.workflows.service import Service

SUFFIXES: Final = {
    "text/csv": ".csv",
    "application/x-ndjson": ".jsonl",
    "application/vnd.apache.parquet": ".parquet",
}
"""What a file may be, by the type that its sender names."""

LOG: Final = logging.getLogger("wayline.api")

_BODY: Final = "body"
_LOOK_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file as it lies in the folder of its job, complete and on disk."""

    job: str
    path: Path
    source: str
    idempotency_key: str | None


def landing(service: Service, job: str, content_type: str) -> Path:
    """Return where the body of a job is written to; its folder is made."""
    folder = feedback_file.folder_of(service.workspace, job)
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{_BODY}{SUFFIXES[content_type]}"


def accept(service: Service, grant: Grant, upload: Upload) -> dict[str, Any]:
    """Take a file on, and return its job; both are on disk when this returns.

    Under an idempotency key the same file is the job that it was before.

    Raises
    ------
    NotGranted
    UnknownName
        There is no such preset.
    KeyReused
        Another file was sent under the key.
    """
    grant.require("feedback:write")
    feedback.desk(service.workspace, upload.source)
    _sync(upload.path.parent)
    batch = NewBatch(
        batch_id=upload.job,
        sender=grant.name,
        idempotency_key=upload.idempotency_key,
        body_sha256=file_digest(upload.path),
        source=upload.source,
    )
    claim = service.store.acting(grant.actor).claim_feedback(batch)
    if claim.batch.batch_id != upload.job:
        upload.path.unlink()
        upload.path.parent.rmdir()
    if claim.state == "other_body":
        raise KeyReused
    return told(claim.batch)


def shown(service: Service, grant: Grant, job: str) -> dict[str, Any]:
    """Return how a job stands; raises NotGranted, or UnknownName for one that is not of this key's name."""
    return told(_own(service, grant, job))


def errors(service: Service, grant: Grant, job: str) -> Path | None:
    """Return the file that lists the rejected rows of a job, None where there are none.

    Raises
    ------
    NotGranted, UnknownName
        As for `shown`.
    DeliveryUnderWay
        It is not done yet.
    """
    batch = _own(service, grant, job)
    if batch.status == "running":
        raise DeliveryUnderWay
    path = feedback_file.folder_of(service.workspace, batch.batch_id) / feedback_file.ERRORS
    return path if path.is_file() else None


def _own(service: Service, grant: Grant, job: str) -> FeedbackBatchRecord:
    grant.require("feedback:write")
    batch = service.store.feedback_batch(job)
    if batch.sender != grant.name:
        raise UnknownName("delivery of feedback", job, [])
    return batch


def told(batch: FeedbackBatchRecord) -> dict[str, Any]:
    """Return a job as the API tells of it; counts are None until it is done."""
    answer = batch.answer or {}
    names = ("rows", "accepted", "duplicate", "ignored", "rejected", "suppressed", "codes", "error")
    counts = {name: answer.get(name) for name in names}
    if isinstance(counts["rejected"], list):
        counts["rejected"] = len(counts["rejected"])
    return {
        "job": batch.batch_id,
        "status": batch.status,
        "source": batch.source,
        "started_at": batch.started_at,
        "finished_at": batch.finished_at,
        **counts,
    }


class _Stopped(BaseException):
    """The server ends; the rest of the file is the next one's."""


@dataclass(slots=True)
class Worker:
    """Enters the files of a service, one after the other, and takes over those that a dead server left."""

    service: Service
    _mine: list[str] = field(default_factory=list)
    _wake: threading.Event = field(default_factory=threading.Event)
    _ends: bool = False
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to work in a thread of its own."""
        self._thread = threading.Thread(target=self._work, name="feedback", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the rows that are being entered; the rest waits for the next server."""
        self._ends = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join()

    def take(self, job: str) -> None:
        """Work on a job that was just accepted."""
        self._mine.append(job)
        self._wake.set()

    def _work(self) -> None:
        while not self._ends:
            self._wake.clear()
            try:
                while self._mine and not self._ends:
                    self._enter(self.service.store.feedback_batch(self._mine.pop(0)))
                for batch in self.service.store.lapsed_feedback():
                    if not self._ends and self._taken_over(batch):
                        self._enter(batch)
            except _Stopped:
                return
            except WaylineError:
                pass  # the database is away for the moment; what was accepted is still there
            self._wake.wait(_LOOK_SECONDS)

    def _taken_over(self, batch: FeedbackBatchRecord) -> bool:
        again = NewBatch(
            batch_id=batch.batch_id,
            sender=batch.sender,
            idempotency_key=batch.idempotency_key,
            body_sha256=batch.body_sha256,
            source=batch.source,
        )
        return self.service.store.claim_feedback(again).state == "mine"

    def _enter(self, batch: FeedbackBatchRecord) -> None:
        bodies = sorted(feedback_file.folder_of(self.service.workspace, batch.batch_id).glob(f"{_BODY}.*"))
        if batch.status != "running":
            return
        if not bodies:
            fault = CheckFailed("It was interrupted, and what was sent is not here. Send it again.")
            self.service.store.finish_feedback(batch.batch_id, {"error": fault.sentence}, failed=True)
            return
        try:
            reader = feedback.desk(self.service.workspace, batch.source)
            store = self.service.store.acting(f"api/{batch.sender}")
            feedback_file.work(store, self.service.home, reader, batch.batch_id, bodies[0], progress=self._go_on)
        except WaylineError:
            pass  # kept with the job, for its sender to see
        except Exception as fault:
            # one file must not keep the others waiting; only the kind is told, since a message may quote a value
            LOG.error("feedback %s %s", batch.batch_id, type(fault).__name__)
        else:
            bodies[0].unlink(missing_ok=True)

    def _go_on(self, *_: int) -> None:
        if self._ends:
            raise _Stopped


def _sync(folder: Path) -> None:
    """Return once the name of a file in a folder, and the folder's own, have reached the disk."""
    for one in (folder, folder.parent):
        handle = os.open(one, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
