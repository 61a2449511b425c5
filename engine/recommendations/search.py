"""The least number for which something holds, where each question is dear and many are hardly dearer than one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from engine.recommendations.frame import Flags, Integers

_WIDE: Final = 64  # numbers that are asked about at a time
_FASTER: Final = 4  # times as far as before, until it holds


def least(holds: Callable[[Integers], Flags], low: int, high: int) -> int | None:
    """Return the least number from `low` to `high` that holds, None where the highest does not.

    What holds for a number must hold for every greater one. `holds` answers for many numbers at a time, rising ones.
    """
    if low > high:
        return None
    # ever further away from `low`, since what is looked for is mostly near
    tried = [low]
    while tried[-1] < high:
        tried.append(min(high, tried[-1] * _FASTER + 1))
    while True:
        answers = np.flatnonzero(holds(np.array(tried, dtype=np.int64)))
        if len(answers):
            place = int(answers[0])
            high, low = tried[place], tried[place - 1] + 1 if place else tried[place]
        elif tried[-1] == high:
            return None
        else:
            low = tried[-1] + 1
        if low == high:
            return low
        gap = high - low
        tried = sorted({low + gap * part // (_WIDE + 1) for part in range(_WIDE + 1)})
