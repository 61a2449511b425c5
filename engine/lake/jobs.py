"""Records of long work in a workspace: what runs in a process of its own, how far it is, how it ended.

    jobs/<job_id>/job.json      what was started, by whom, when; written before the process is there
                  steps.json    the steps so far, replaced whole by the process
                  out.json      what the command wrote to standard output
                  log.txt       what it wrote to standard error
                  stopped.json  who asked for its end
                  ended.json    exit code and time, written last by the process
                  lock          held by the process as long as it lives, so that a killed one is known to be dead

Nothing but the lock says that work is under way: neither a process number, which another process may have by now, nor
the app, which may have been started again.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

State = Literal["running", "done", "found", "refused", "failed", "stopped", "killed"]

ENDED_AS: Final[Mapping[int, State]] = {0: "done", 3: "found", 4: "refused", 5: "found"}
"""What an exit code says; 3 is a check that found something, 5 is work done in part."""
LOG_LINES: Final = 20
VARIABLE: Final = "WAYLINE_JOB"
"""Environment variable that tells a command the folder of the job that it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a job and when it began."""

    name: str
    began_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One piece of long work as it stands.

    `steps` are those that began, the last one under way while the job runs; `done` of `total` counts what the last
    step counts, None where it counts nothing. `result` is what the command gave as JSON, once it has ended.
    """

    folder: Path
    job_id: str
    kind: str
    arguments: tuple[str, ...]
    owner: str
    started_at: datetime
    ended_at: datetime | None
    pid: int | None
    state: State
    steps: tuple[Step, ...]
    done: int | None
    total: int | None
    stopped_by: str | None
    result: Mapping[str, Any] | None

    @property
    def runs(self) -> bool:
        """Whether the process is there."""
        return self.state == "running"

    @property
    def went_well(self) -> bool:
        """Whether it ended with a result, remarks or not."""
        return self.state in ("done", "found")

    @property
    def error(self) -> str | None:
        """The sentence of the error with which the command ended; None for none."""
        fault = (self.result or {}).get("error")
        return str(fault["sentence"]) if isinstance(fault, Mapping) and "sentence" in fault else None

    def log(self) -> str:
        """Return the last lines that the command wrote for people; commands name no customer in them."""
        path = self.folder / "log.txt"
        if not path.is_file():
            return ""
        lines = path.read_bytes()[-16_384:].decode("utf-8", errors="replace").splitlines()
        return "\n".join(lines[-LOG_LINES:])


def folder_of(home: Path) -> Path:
    """Return the folder of all jobs of a workspace."""
    return home / "jobs"


def begin(home: Path, kind: str, arguments: tuple[str, ...], owner: str) -> tuple[Path, int]:
    """Make the record of a job, and return its folder and the open lock that the job's process must inherit."""
    started = datetime.now(UTC)
    folder = folder_of(home) / f"{started:%Y%m%dT%H%M%S}-{kind}-{secrets.token_hex(3)}"
    folder.mkdir(parents=True)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    facts = {"kind": kind, "arguments": list(arguments), "owner": owner, "started_at": started.isoformat()}
    put(folder / "job.json", facts)
    return folder, lock


def turn(home: Path, group: str) -> int | None:
    """Return the open lock of a group of jobs of which one may run at a time; None when one of them runs."""
    folder_of(home).mkdir(parents=True, exist_ok=True)
    lock = os.open(folder_of(home) / f"{group}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


def put(path: Path, content: Mapping[str, Any]) -> None:
    """Replace a file by JSON, whole or not at all."""
    aside = path.with_name(f"{path.name}.tmp")
    aside.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    aside.replace(path)


class Reporter:
    """Tells the record how far the job's own process is; called as the progress of any workflow is."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._steps: list[dict[str, str]] = []
        self._told = 0.0

    def __call__(self, *news: object) -> None:
        """Note the step that is named, and how many of how many are done; at most some times a second."""
        counted = [item for item in news if isinstance(item, int)]
        named = next((item for item in news if isinstance(item, str)), None)
        now = datetime.now(UTC)
        new = named is not None and (not self._steps or self._steps[-1]["name"] != named)
        if new and named is not None:
            self._steps.append({"name": named, "began_at": now.isoformat()})
        if not new and now.timestamp() - self._told < 0.2:
            return
        self._told = now.timestamp()
        done, total = (counted[0], counted[1]) if len(counted) == 2 else (None, None)
        put(self._folder / "steps.json", {"steps": self._steps, "done": done, "total": total})

    def end(self, code: int) -> None:
        """Note the exit code: the last thing that the process does."""
        put(self._folder / "ended.json", {"code": code, "at": datetime.now(UTC).isoformat()})


def read(folder: Path) -> Job | None:
    """Return a job as it stands; None where the folder holds no record."""
    # the lock is looked at first: who is dead now has written all that it will ever write
    alive = _held(folder / "lock")
    facts = _json(folder / "job.json")
    if facts is None:
        return None
    steps = _json(folder / "steps.json") or {}
    stopped, ended = _json(folder / "stopped.json"), _json(folder / "ended.json")
    return Job(
        folder=folder,
        job_id=folder.name,
        kind=facts["kind"],
        arguments=tuple(facts["arguments"]),
        owner=facts["owner"],
        started_at=datetime.fromisoformat(facts["started_at"]),
        ended_at=datetime.fromisoformat(ended["at"]) if ended else None,
        pid=(_json(folder / "process.json") or {}).get("pid"),
        state=_state(alive, stopped, ended),
        steps=tuple(
            Step(name=one["name"], began_at=datetime.fromisoformat(one["began_at"])) for one in steps.get("steps", [])
        ),
        done=steps.get("done"),
        total=steps.get("total"),
        stopped_by=stopped["by"] if stopped else None,
        result=None if alive else _json(folder / "out.json"),
    )


def _state(alive: bool, stopped: Mapping[str, Any] | None, ended: Mapping[str, Any] | None) -> State:
    if alive:
        return "running"
    if ended is not None and ended["code"] in ENDED_AS:
        return ENDED_AS[ended["code"]]
    if stopped is not None:
        return "stopped"
    return "killed" if ended is None else "failed"


def every(home: Path) -> list[Job]:
    """Return all jobs of a workspace, the newest first."""
    place = folder_of(home)
    folders = sorted((path for path in place.iterdir() if path.is_dir()), reverse=True) if place.is_dir() else []
    return [job for folder in folders if (job := read(folder)) is not None]


def _held(lock: Path) -> bool:
    """Return whether a process holds the lock; readers share it among themselves, so they never look like one."""
    try:
        with lock.open("rb") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _json(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
