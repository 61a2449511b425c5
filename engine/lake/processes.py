"""Which process works on something, told so that others can find out whether it still lives."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_STARTED: Final = 19  # the field of /proc/PID/stat behind the name, counted from the state: see proc_pid_stat(5)


def this_process() -> str:
    """Return the name of this process: its machine and what shares its numbers, its number, when it began."""
    return f"{_machine()}/{os.getpid()}/{_began(os.getpid()) or ''}"


def is_dead(name: str) -> bool:
    """Whether the process of a name has certainly ended; false where that cannot be told from here."""
    machine, _, rest = name.rpartition("/")[0].rpartition("/")
    began = name.rpartition("/")[2]
    if machine != _machine() or not rest.isdigit():
        return False
    if began:
        # another process may have the number by now
        return _began(int(rest)) != began
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def _machine() -> str:
    try:
        # processes of two containers may have the same number, and the machine the same name
        space = (_PROC / "self/ns/pid").readlink()
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return socket.gethostname()
    return f"{socket.gethostname()}:{boot}:{space}"


def _began(number: int) -> str | None:
    """Return when a process began, in ticks of the machine; None where there is none, or nobody tells."""
    try:
        told = (_PROC / str(number) / "stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return None
    fields = told.rpartition(")")[2].split()
    # a process that ended and that nobody has asked about works on nothing
    return None if fields[0] in ("Z", "X") else fields[_STARTED]
