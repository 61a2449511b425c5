"""Numbers that nobody guesses, many at a time: asking the system for each alone takes longer than what it is for."""

from __future__ import annotations

import os
import secrets
from collections import deque
from collections.abc import Callable
from typing import Final

_TOGETHER: Final = 256


def hex_digits(count: int) -> Callable[[], str]:
    """Return what returns so many hexadecimal digits, an even number, new ones each time; safe from several threads."""
    ready: deque[str] = deque()

    def fetched() -> str:
        digits = secrets.token_hex(count // 2 * _TOGETHER)
        ready.extend(digits[place : place + count] for place in range(count, len(digits), count))
        return digits[:count]

    def one() -> str:
        try:
            return ready.popleft()
        except IndexError:
            return fetched()

    # two processes must not hand out the same
    os.register_at_fork(after_in_child=ready.clear)
    return one
