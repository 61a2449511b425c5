"""A journey type and its facts, and how they are told: in phrases, names and sentences, in English and Chinese."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from engine.numerics.intervals import Interval

_HARDLY_ANYBODY: Final = 0.01
_LONGEST_PATH: Final = 12
_SPANS: Final = ((86_400, "d", "天"), (3_600, "h", "小时"), (60, "min", "分钟"), (1, "s", "秒"))


class Kind(StrEnum):
    """What a fact is about."""

    ENDS = "ends"
    BEGINS = "begins"
    HAS = "has"
    LACKS = "lacks"
    GOES = "goes"
    REPEATS = "repeats"
    SHORT = "short"
    LONG = "long"
    CHANNEL = "channel"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What sets a type apart: a share of its customers (of its events, for a channel) against that of all others.

    what : the events, or the channel; the two of a transition; several that as many customers have or lack; for SHORT
        and LONG the seconds that journeys take at most, or more than.
    lift : share over share_elsewhere; None where nobody else does it.
    effect : Cohen's h; below 0 for `LACKS` alone.
    """

    kind: Kind
    what: tuple[str, ...]
    share: float
    share_elsewhere: float
    effect: float

    @property
    def lift(self) -> float | None:
        """How many times as common it is as elsewhere; None where nobody else does it."""
        return self.share / self.share_elsewhere if self.share_elsewhere > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """A path that stands for a type; events in a row of one name are told once, with how often they come.

    `share` of the type's customers take just this path, repeats apart; None where it is only the most central one.
    """

    events: tuple[str, ...]
    times: tuple[int, ...]
    share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JourneyType:
    """One type of journey.

    number : from 1, the largest first. Seconds are from the first event to the last, quartiles of all its customers.
    converted, conversion : None where no event counts as a conversion.
    """

    number: int
    name_en: str
    name_zh: str
    customers: int
    share: float
    facts: tuple[Fact, ...]
    path: Path
    median_events: float
    seconds: tuple[float, float, float]
    channels: tuple[tuple[str, float], ...]
    converted: int | None
    conversion: float | None
    conversion_interval: Interval | None


_PHRASES: Final = {
    Kind.ENDS: ("ends with {0}", "止于{0}"),
    Kind.BEGINS: ("begins with {0}", "始于{0}"),
    Kind.HAS: ("with {0}", "有{0}"),
    Kind.LACKS: ("without {0}", "无{0}"),
    Kind.GOES: ("{0} then {1}", "{0}后接{1}"),
    Kind.REPEATS: ("{0} again and again", "反复{0}"),
    Kind.SHORT: ("over within {0}", "{0}内结束"),
    Kind.LONG: ("lasting more than {0}", "历时超过{0}"),
    Kind.CHANNEL: ("mostly by {0}", "多经{0}"),
}


def phrase(fact: Fact) -> tuple[str, str]:
    """Return a fact as a phrase in English and in Chinese; of many events alike the first stands for all."""
    english, chinese = _PHRASES[fact.kind]
    if fact.kind in (Kind.SHORT, Kind.LONG):
        seconds = float(fact.what[0])
        return english.format(_span(seconds)), chinese.format(_span(seconds, zh=True))
    more = len(fact.what) - 1 if fact.kind in (Kind.HAS, Kind.LACKS) else 0
    also, also_zh = (f" and {more} more", f"等{more + 1}项") if more else ("", "")
    return english.format(*fact.what) + also, chinese.format(*fact.what) + also_zh


def name(facts: Sequence[Fact]) -> tuple[str, str]:
    """Return a name: one phrase after the other, of which later ones narrow earlier ones."""
    phrases = [phrase(fact) for fact in facts]
    if not phrases:
        return "Like the others", "与其他相近"
    return _begun(facts[0], ", ".join(one for one, _ in phrases)), "，".join(one for _, one in phrases)


def _begun(fact: Fact, text: str) -> str:
    """Begin a text with a capital, unless it begins with the name of an event."""
    return text if _PHRASES[fact.kind][0].startswith("{") else text[0].upper() + text[1:]


def portrait(one: JourneyType) -> tuple[str, str]:
    """Return a type in sentences, in English and in Chinese."""
    low, median, high = one.seconds
    english = [
        f"{one.customers:,} customers ({one.share:.0%}), {one.median_events:g} "
        f"{'event' if one.median_events == 1 else 'events'} in {_span(median)} at the median "
        f"(middle half {_span(low)} to {_span(high)})."
    ]
    chinese = [
        f"{one.customers:,} 位客户（{one.share:.0%}），中位数 {one.median_events:g} 个事件，"
        f"历时 {_span(median, zh=True)}（中间一半 {_span(low, zh=True)} 至 {_span(high, zh=True)}）。"
    ]
    for fact in one.facts:
        told, told_zh = phrase(fact)
        # times of hardly anything say nothing
        telling = fact.lift is not None and fact.effect > 0 and fact.share_elsewhere >= _HARDLY_ANYBODY
        lift = f", {fact.lift:.1f} times as common" if telling else ""
        lift_zh = f"，为其他的 {fact.lift:.1f} 倍" if telling else ""
        english.append(f"{_begun(fact, told)}: {_share(fact)} here, {_share(fact, there=True)} elsewhere{lift}.")
        chinese.append(f"{told_zh}：本类 {_share(fact)}，其他 {_share(fact, there=True)}{lift_zh}。")
    if one.path.events:
        how = "the most central path" if one.path.share is None else f"the path of {one.path.share:.0%}"
        how_zh = "最居中的路径" if one.path.share is None else f"{one.path.share:.0%} 的客户走此路径"
        english.append(f"Typical: {_line(one.path)} ({how}).")
        chinese.append(f"典型：{_line(one.path)}（{how_zh}）。")
    if one.conversion is not None and one.conversion_interval is not None:
        ends = f"{one.conversion_interval.lower:.1%} to {one.conversion_interval.upper:.1%}"
        ends_zh = f"{one.conversion_interval.lower:.1%} 至 {one.conversion_interval.upper:.1%}"
        english.append(f"{one.conversion:.1%} convert (95 % interval {ends}).")
        chinese.append(f"转化 {one.conversion:.1%}（95% 区间 {ends_zh}）。")
    if one.channels:
        name, share = one.channels[0]
        english.append(f"Most events by {name} ({share:.0%}).")
        chinese.append(f"最多经 {name}（{share:.0%}）。")
    return " ".join(english), "".join(chinese)


def _share(fact: Fact, *, there: bool = False) -> str:
    """Return a share in percent; for what a type lacks, of those who lack it."""
    share = fact.share_elsewhere if there else fact.share
    share = 1 - share if fact.kind is Kind.LACKS else share
    return "<1%" if 0 < share < _HARDLY_ANYBODY else ">99%" if 1 - _HARDLY_ANYBODY < share < 1 else f"{share:.0%}"


def _line(path: Path) -> str:
    """Return a path in one line, its middle left out where it is long."""
    steps = [name if times == 1 else f"{name} x{times}" for name, times in zip(path.events, path.times, strict=True)]
    if len(steps) > _LONGEST_PATH:
        half = _LONGEST_PATH // 2
        steps = [*steps[:half], f"({len(steps) - 2 * half} more)", *steps[-half:]]
    return " > ".join(steps)


def _span(seconds: float, *, zh: bool = False) -> str:
    size, unit, unit_zh = next((span for span in _SPANS if seconds >= span[0]), _SPANS[-1])
    return f"{seconds / size:.3g} {unit_zh if zh else unit}"
