"""Which events a path is made of, and under which names: wildcards, exclusions, groups, repeats.

A pattern is a name in which `*` stands for any text, also none, and `?` for one character; everything else is meant
as it stands, capitals too. Of several groups that an event fits, the first counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.domain.errors import UnknownName
from journeys.histories import Coded, Histories

# of the events that a log has, in a sentence about one that it has not
_MOST_NAMED: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewriting:
    """How events become the steps of a path, in this order.

    only : patterns of the events that are kept; none: all.
    exclude : patterns of the events that are left out.
    groups : patterns and the name that their events go by.
    merge_repeats : whether an event that comes again straight after itself, by the new names, counts once. The
        first of a run stays.
    """

    only: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    groups: tuple[tuple[str, str], ...] = ()
    merge_repeats: bool = False


def fits(name: str, pattern: str) -> bool:
    """Return whether a name fits a pattern."""
    parts = (".*" if part == "*" else "." if part == "?" else re.escape(part) for part in pattern)
    return re.fullmatch("".join(parts), name, re.DOTALL) is not None


def matching(names: Iterable[str], patterns: Sequence[str]) -> tuple[str, ...]:
    """Return the names that fit any of some patterns, in their order."""
    return tuple(name for name in names if any(fits(name, pattern) for pattern in patterns))


def renamed(name: str, rewriting: Rewriting) -> str | None:
    """Return what an event goes by in a path; None when it is left out."""
    if rewriting.only and not matching([name], rewriting.only):
        return None
    if matching([name], rewriting.exclude):
        return None
    return next((group for pattern, group in rewriting.groups if fits(name, pattern)), name)


def vocabulary(names: Iterable[str], rewriting: Rewriting) -> tuple[str, ...]:
    """Return every name that paths of a log with these event names can hold, sorted."""
    return tuple(sorted({new for name in names if (new := renamed(name, rewriting)) is not None}))


def check(names: Sequence[str], rewriting: Rewriting) -> None:
    """Refuse a pattern that no event fits.

    Raises
    ------
    UnknownName
        Names the pattern and the events of the log.
    """
    for pattern in (*rewriting.only, *rewriting.exclude, *(pattern for pattern, _ in rewriting.groups)):
        known(names, pattern)


def known(names: Sequence[str], pattern: str) -> tuple[str, ...]:
    """Return the names that fit a pattern.

    Raises
    ------
    UnknownName
        None does.
    """
    found = matching(names, [pattern])
    if not found:
        near = get_close_matches(pattern, names, n=3)
        raise UnknownName("event", pattern, list(dict.fromkeys([*near, *sorted(names)]))[:_MOST_NAMED])
    return found


def beside(name: str | None, marks: Sequence[str]) -> str | None:
    """Return an event's name as it is written in a table that also holds marks such as "(start)".

    A name that is one of them, or one of them in more parentheses, gets one more pair: no two names become one.
    """
    if name is None:
        return None
    bare = name
    while bare.startswith("((") and bare.endswith("))"):
        bare = bare[1:-1]
    return f"({name})" if bare in marks else name


def rewrite(histories: Histories, rewriting: Rewriting) -> Histories:
    """Return the histories with the events of a rewriting; a customer without any left stays, with none."""
    event = histories.event
    if rewriting.only or rewriting.exclude or rewriting.groups:
        values = vocabulary(event.values, rewriting)
        places = {value: place for place, value in enumerate(values)}
        names = [renamed(name, rewriting) for name in event.values]
        new = np.array([-1 if name is None else places[name] for name in names], dtype=np.int32)
        event = Coded(codes=new.take(event.codes) if len(new) else event.codes, values=values)
    made = Histories(
        ids=histories.ids, starts=histories.starts, at=histories.at, event=event, attributes=histories.attributes
    )
    if rewriting.only or rewriting.exclude:
        made = made.keep(event.codes >= 0)
    return without_repeats(made) if rewriting.merge_repeats else made


def without_repeats(histories: Histories) -> Histories:
    """Return the histories with only the first of the same event straight after each other."""
    repeats = repeated(histories)
    return histories.keep(~repeats) if repeats.any() else histories


def repeated(histories: Histories) -> NDArray[np.bool_]:
    """Mark the events that come straight after the same event of the same customer."""
    codes = histories.event.codes
    marks = np.zeros(len(codes), dtype=np.bool_)
    marks[1:] = codes[1:] == codes[:-1]
    marks[histories.first_of_customer()] = False
    return marks
