"""What a command does differently when it is a job of the app: it tells its record how far it is and how it ended."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from engine.lake.jobs import VARIABLE, Reporter

_current: list[Reporter] = []


@contextmanager
def told() -> Iterator[Callable[[int], None]]:
    """Open the record named in the environment, if one is, and yield what notes the exit code in it."""
    # taken out: processes that this one starts are not the job
    folder = os.environ.pop(VARIABLE, "")
    if not folder:
        yield lambda code: None
        return
    reporter = Reporter(Path(folder))
    _current.append(reporter)
    signal.signal(signal.SIGTERM, _interrupt)  # ends as Ctrl-C does: everything half done is taken back
    try:
        yield lambda code: _end(reporter, code)
    finally:
        _current.remove(reporter)


def _end(reporter: Reporter, code: int) -> None:
    sys.stdout.flush()  # whoever sees the end reads the whole result
    reporter.end(code)


def reporter() -> Reporter | None:
    """Return what tells the record of this process; None when it is no job."""
    return _current[-1] if _current else None


def _interrupt(sign: int, frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once is enough: what is taken back must not be interrupted
    raise KeyboardInterrupt
