"""A command run apart, so that its memory is not mixed with that of other commands."""

from __future__ import annotations

import subprocess
import sys

# the most memory of a process's children is that of all it ever had, so that each command has a parent of its own
_PARENT = (
    "import resource, sys, subprocess; code = subprocess.run(sys.argv[1:]).returncode; "
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(code)"
)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of Wayline that writes nothing to standard output; there stands its most memory then, in KiB."""
    command = [sys.executable, "-m", "engine.cli.main", *arguments]
    return subprocess.run(
        [sys.executable, "-c", _PARENT, *command], capture_output=True, text=True, timeout=60, check=False
    )
