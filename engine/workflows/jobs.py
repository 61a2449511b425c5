"""Long work in processes of its own: the same commands as at a terminal, started, watched and stopped from the app.

A job outlives the app that started it, and is found again by whoever opens the workspace. What commands promise of
themselves holds for jobs too: a load or a run that dies leaves what was there before.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import engine
from engine.domain.access import Right, Viewer
from engine.domain.errors import SaidInBoth, UnknownName
from engine.lake import jobs
from engine.lake.jobs import Job
from engine.workflows import session

KEPT: Final = 40  # records; older ones are removed
_PATIENCE: Final = 8.0  # seconds between asking a job to end and ending it


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of job: the command, the right to start it, and the group of which one job runs at a time."""

    command: tuple[str, ...]
    right: Right
    group: str


KINDS: Final[Mapping[str, Kind]] = {
    # all of these write the workspace's tables or runs, so they wait for each other
    "demo": Kind(command=("demo", "--no-app"), right=Right.LOAD_DATA, group="workspace"),
    "init": Kind(command=("init",), right=Right.LOAD_DATA, group="workspace"),
    "load": Kind(command=("data", "load"), right=Right.LOAD_DATA, group="workspace"),
    "run": Kind(command=("run",), right=Right.LOAD_DATA, group="workspace"),
    "check": Kind(command=("data", "check"), right=Right.LOAD_DATA, group="check"),
    "simulate": Kind(command=("recommend", "simulate"), right=Right.PROPOSE_POLICY, group="simulate"),
    "export": Kind(command=("export", "audience"), right=Right.REQUEST_EXPORT, group="export"),
}


def start(viewer: Viewer, home: Path, kind: str, arguments: Sequence[str] = ()) -> Job:
    """Start a job and return it at once.

    `arguments` are those of the command behind the kind, without --home and --json; paths must be absolute.

    Raises
    ------
    NotAllowed
        The viewer's role lacks the right that the kind asks for.
    SaidInBoth
        A job of the same group is under way.
    """
    if kind not in KINDS:
        raise UnknownName("kind of job", kind, KINDS)
    spec = KINDS[kind]
    viewer.require(spec.right)
    place = session.workspace_at(home).home
    turn = jobs.turn(place, spec.group)
    if turn is None:
        raise SaidInBoth(
            "Other work is under way that must end first. Look at it under Data and health, or stop it there.",
            "另有任务正在进行，须先结束。请在“数据与健康”中查看或停止。",
        )
    try:
        _prune(place)
        folder, lock = jobs.begin(place, kind, tuple(arguments), viewer.name)
        try:
            _spawn(folder, [*spec.command, *arguments, "--home", str(place), "--json"], (turn, lock))
        finally:
            os.close(lock)
    finally:
        os.close(turn)
    job = jobs.read(folder)
    assert job is not None, "the record was written before the process was started"
    return job


def _spawn(folder: Path, arguments: Sequence[str], locks: tuple[int, int]) -> None:
    """Start the process: a session of its own, so that the end of the app or of its terminal does not reach it."""
    # without the package of app.py as first folder, `-m` takes the checkout's own code
    root = Path(engine.__file__).resolve().parent.parent
    environment = {**os.environ, jobs.VARIABLE: str(folder), "NO_COLOR": "1"}
    with (folder / "out.json").open("wb") as out, (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "engine.cli.main", *arguments],
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=log,
            start_new_session=True,
            pass_fds=locks,
        )
    jobs.put(folder / "process.json", {"pid": process.pid})


def _prune(place: Path) -> None:
    for old in [job for job in jobs.every(place) if not job.runs][KEPT:]:
        shutil.rmtree(old.folder, ignore_errors=True)


def listed(home: Path, kinds: Sequence[str] = ()) -> list[Job]:
    """Return the jobs of a workspace, of some kinds or of all, the newest first."""
    found = jobs.every(session.workspace_at(home).home)
    return [job for job in found if not kinds or job.kind in kinds]


def under_way(home: Path) -> list[Job]:
    """Return the jobs whose process is there, the newest first."""
    return [job for job in listed(home) if job.runs]


def find(home: Path, job_id: str) -> Job:
    """Return a job by its id; raises UnknownName where there is none."""
    place = jobs.folder_of(session.workspace_at(home).home)
    known = {job.job_id: job for job in jobs.every(place.parent)}
    if job_id not in known:
        raise UnknownName("job", job_id, list(known)[:5])
    return known[job_id]


def log(viewer: Viewer, home: Path, job_id: str) -> str:
    """Return the last lines that a job wrote; raises NotAllowed for who may neither start it nor administer."""
    job = find(home, job_id)
    if not viewer.may(Right.ADMINISTER):
        viewer.require(KINDS[job.kind].right)
    return job.log()


def stop(viewer: Viewer, home: Path, job_id: str, *, patience: float = _PATIENCE) -> Job:
    """Ask a job to end, end it after some seconds, and return it as it stands then.

    Raises
    ------
    NotAllowed
        Neither is it the viewer's own job nor may the viewer administer.
    """
    job = find(home, job_id)
    if job.owner != viewer.name:
        viewer.require(Right.ADMINISTER)
    if not job.runs or job.pid is None:
        return job
    jobs.put(job.folder / "stopped.json", {"by": viewer.name})
    for sign in (signal.SIGTERM, signal.SIGKILL):
        # while the lock is held the process is there, so its number is nobody else's
        if (now := find(home, job_id)).runs:
            _signal(job.pid, sign)
            now = _awaited(home, job_id, patience)
        if not now.runs:
            return now
    return now


def _signal(pid: int, sign: signal.Signals) -> None:
    try:
        os.killpg(pid, sign)  # its helpers too: a session of its own is a group of its own
    except ProcessLookupError:
        return  # it ended meanwhile


def _awaited(home: Path, job_id: str, patience: float) -> Job:
    ends = time.monotonic() + patience
    while (job := find(home, job_id)).runs and time.monotonic() < ends:
        time.sleep(0.05)
    return job
