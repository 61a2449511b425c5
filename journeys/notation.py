r"""How a funnel is written on one line: its steps, window, exclusions and breakdown, as a command takes them.

Steps are divided by commas; a step of several events divides them by a bar; * is any event. A backslash before a
comma, bar, colon or backslash makes it part of a name: `paid\, in full` is one name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from engine.domain.errors import SettingsFault, UnknownName
from journeys.breakdown import Attribution, Breakdown
from journeys.outcomes import Status
from journeys.spec import Effect, Exclusion, Funnel, Order, Reentry, Step, WindowFrom

UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
"""Seconds in each unit of a window."""

LONGEST_DAYS: Final = 36_525
"""A hundred years."""

_WINDOW: Final = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)\s*([smhdw])")
_RANGE: Final = re.compile(r"(.*):(\d+)-(\d+)", re.DOTALL)
_STEP: Final = re.compile(r"step:(\d+)")
_ESCAPABLE: Final = ",|:\\"

DEFAULT_WINDOW_SECONDS: Final = 14 * 86_400


def steps(text: str, optional: tuple[int, ...] = ()) -> tuple[Step, ...]:
    """Return the steps of `view,apply|call,*,open`; `optional` are the numbers, from 1, of those one may leave out.

    A step is named as it is written, without backslashes.

    Raises
    ------
    SettingsFault
        A step has no name, or there is no such optional step.
    """
    made = []
    for number, word in enumerate(split(text, ","), start=1):
        events = [name.strip() for name in split(word, "|")]
        if not all(events):
            raise SettingsFault(
                "--steps", [f"step {number} is empty; write names divided by commas, such as view,apply,open"]
            )
        made.append(
            Step(
                name=" | ".join(_plain(name) for name in events),
                events=tuple(map(_plain, events)),
                optional=number in optional,
            )
        )
    if any(not 1 <= number <= len(made) for number in optional):
        raise SettingsFault("--optional", [f"expected numbers from 1 to {len(made)}, which are the steps"])
    return tuple(made)


def seconds(text: str, option: str = "--window") -> float:
    """Return the seconds of 30s, 15m, 12h, 14d or 2w.

    Raises
    ------
    SettingsFault
        It is written otherwise, is no time at all, or is more than a hundred years.
    """
    read = _WINDOW.fullmatch(text.strip())
    if read is None:
        raise SettingsFault(
            option, [f'"{text}" is no length of time; write a number and one of s, m, h, d, w, such as 14d']
        )
    found = float(read[1]) * UNITS[read[2]]
    if found <= 0:
        raise SettingsFault(option, [f'"{text}" leaves no time; expected more than 0, such as 14d'])
    if found > LONGEST_DAYS * UNITS["d"]:
        raise SettingsFault(option, [f'"{text}" is more than a hundred years; expected {LONGEST_DAYS}d at most'])
    return found


def exclusion(text: str, n_steps: int, effect: Effect) -> Exclusion:
    """Return the exclusion of `error:2-3`: no such event between steps 2 and 3; without a range, between any two.

    Raises
    ------
    SettingsFault
        It names no event. Whether there are such steps the funnel says.
    """
    ranged = _RANGE.fullmatch(text)
    named, after, before = (ranged[1], int(ranged[2]), int(ranged[3])) if ranged else (text, 1, n_steps)
    events = tuple(_plain(name.strip()) for name in split(named, "|"))
    if not all(events):
        raise SettingsFault("--exclude", [f'"{text}" names no event; write EVENT:FROM-TO, such as error:1-2'])
    return Exclusion(events=events, after_step=after, before_step=before, effect=effect)


def breakdown(attribute: str, attribution: str, n_steps: int) -> Breakdown:
    """Return the breakdown by an attribute with `first`, `last`, `step:2` or `all`.

    Raises
    ------
    SettingsFault
        There is no such attribution or step.
    """
    step = _STEP.fullmatch(attribution)
    if step is not None and 1 <= int(step[1]) <= n_steps:
        return Breakdown(attribute=attribute, attribution=Attribution.STEP, step=int(step[1]))
    if attribution in (Attribution.FIRST, Attribution.LAST, Attribution.ALL):
        return Breakdown(attribute=attribute, attribution=Attribution(attribution))
    raise SettingsFault(
        "--attribution", [f'"{attribution}": expected first, last, all, or step:K with K from 1 to {n_steps}']
    )


def split(text: str, mark: str) -> list[str]:
    """Cut a text at a mark that no backslash stands before; the backslashes stay."""
    parts, current, escaped = [], "", False
    for character in text:
        if character == mark and not escaped:
            parts.append(current)
            current = ""
        else:
            current += character
        escaped = character == "\\" and not escaped
    return [*parts, current]


def listed(text: str) -> tuple[str, ...]:
    """Return the names of `web,app`, divided by commas, without the backslashes that make a comma part of a name."""
    return tuple(_plain(name.strip()) for name in split(text, ",") if name.strip())


def whole_numbers(option: str, texts: list[str]) -> tuple[int, ...]:
    """Return the numbers of `2` or `2,4`.

    Raises
    ------
    SettingsFault
        One is no whole number.
    """
    words = [word.strip() for text in texts for word in text.split(",")]
    wrong = [word for word in words if not word.isdecimal()]
    if wrong:
        raise SettingsFault(option, [f'"{word}" is no number of a step; write 2, or 2,4' for word in wrong])
    return tuple(int(word) for word in words)


def step_number(option: str, number: int | None, n_steps: int) -> int | None:
    """Return the number of a step, or None as given.

    Raises
    ------
    SettingsFault
        There is no such step.
    """
    if number is not None and not 1 <= number <= n_steps:
        raise SettingsFault(option, [f"there is no step {number}; expected a number from 1 to {n_steps}"])
    return number


def members(text: str, n_steps: int, option: str = "--members") -> tuple[int, Status, str | None]:
    """Return the step of `2:dropped:web`, how it went on from there, and the group; `2` alone is all who reached it.

    Raises
    ------
    SettingsFault
        There is no such step.
    UnknownName
        There is no such status.
    """
    number, word, group = (*text.split(":", 2), "", "")[:3]
    if not number.isdecimal():
        raise SettingsFault(option, [f'"{text}": expected STEP:STATUS, such as 2:dropped'])
    step_number(option, int(number), n_steps)
    statuses = [status.value for status in Status]
    if word and word not in statuses:
        raise UnknownName("status", word, statuses)
    return int(number), Status(word) if word else Status.REACHED, group or None


def funnel(
    base: Funnel | None,
    *,
    written: str | None,
    window: str | None = None,
    window_from: str | None = None,
    order: str | None = None,
    reentry: str | None = None,
    exclude: Sequence[str] = (),
    effect: str = Effect.DROP_CUSTOMER,
    optional: Sequence[str] = (),
) -> Funnel:
    """Return a funnel as it is written, or another one with what is written changed.

    Raises
    ------
    SettingsFault
        Something is written wrong, both or neither of the funnel and the steps are given, or they cannot be answered.
    """
    if (base is None) == (written is None):
        raise SettingsFault(
            "--steps", ["name the steps, such as --steps view,apply,open, or a --journey, and not both"]
        )
    numbers = whole_numbers("--optional", list(optional))
    if base is not None and numbers:
        raise SettingsFault("--optional", ["the journey says itself which of its steps are optional"])
    made = base.steps if base is not None else steps(written or "", numbers)
    own = Funnel(steps=made, window_seconds=DEFAULT_WINDOW_SECONDS) if base is None else base
    more = tuple(exclusion(text, len(made), Effect(effect)) for text in exclude)
    return replace(
        own,
        window_seconds=own.window_seconds if window is None else seconds(window),
        window_from=own.window_from if window_from is None else WindowFrom(window_from),
        order=own.order if order is None else Order(order),
        reentry=own.reentry if reentry is None else Reentry(reentry),
        exclusions=(*own.exclusions, *more),
    )


def _plain(name: str) -> str:
    """Return a name without the backslashes that were put before marks."""
    made, escaped = "", False
    for character in name:
        if escaped:
            made += character if character in _ESCAPABLE else "\\" + character
            escaped = False
        elif character == "\\":
            escaped = True
        else:
            made += character
    return made + ("\\" if escaped else "")
