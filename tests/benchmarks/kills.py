"""Kill everything that writes, many times over, on SQLite and on PostgreSQL, and look at what is left.

    python -m tests.benchmarks.kills [kills] [words of pytest]

The tests of the suite do it a few times each: an exporter, a server that is pulled from, one that takes in feedback,
one that decides. Here they do it as often as told, 30 times by default.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final

import pytest

TESTS: Final = (
    "tests/doors/test_export_kill.py",
    "tests/engine/api/test_kill.py",
    "tests/doors/test_feedback_kill.py",
    "tests/doors/test_live_kill.py",
)


def main(arguments: Sequence[str]) -> int:
    """Run the tests and return their exit code."""
    os.environ["WAYLINE_KILLS"] = arguments[0] if arguments else "30"
    return int(pytest.main(["-n", "0", "-v", "--durations=0", *TESTS, *arguments[1:]]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
