"""How values look to people: units shown, thousands apart, an em dash where there is no answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from engine.cli.plain import plain
from engine.domain.marts import MARTS
from engine.domain.money import minor_digits
from engine.domain.schema import Kind

DASH: Final = "\u2014"
# a column's kind decides how it is shown; columns of one name have one kind in all marts
KINDS: Final[Mapping[str, Kind]] = {column.name: column.kind for mart in MARTS.values() for column in mart}
_HEADINGS: Final = {"interval_95": "95 % interval", "p_value": "p"}
_NUMBER: Final = re.compile(r"[-+<]?\s?\d[\d .]*( (%|pp|MB|s|min|h|d)( \d+ (s|min|h))?)?")
_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def count(value: int | None) -> str:
    """A whole number with its thousands apart."""
    return DASH if value is None else f"{value:,}".replace(",", " ")


def share(value: float | None, digits: int = 1) -> str:
    """A share between 0 and 1 as percent."""
    return DASH if value is None else f"{value * 100:.{digits}f} %"


def points(value: float | None) -> str:
    """A difference of two shares in percentage points."""
    return DASH if value is None else f"{value * 100:+.2f} pp"


def span(lower: float | None, upper: float | None, show: Callable[[float | None], str]) -> str:
    """An interval, its ends shown alike."""
    return DASH if lower is None or upper is None else f"{show(lower)} to {show(upper)}"


def number(value: float | None) -> str:
    """A number to four significant digits, never in powers of ten for what people count."""
    if value is None:
        return DASH
    if float(value).is_integer() and abs(value) < 1e15:
        return count(int(value))
    return f"{value:,.0f}".replace(",", " ") if abs(value) >= 10_000 else f"{value:.4g}"


def amount(minor: int | None, currency: str = "") -> str:
    """An amount in minor units as its currency writes it."""
    if minor is None:
        return DASH
    digits = minor_digits(currency)
    return f"{minor / 10**digits:,.{digits}f}".replace(",", " ") + (f" {currency}" if currency else "")


def duration(seconds: float | None) -> str:
    """A length of time in the two largest units that say something: 3 d 4 h, 12 min, 0.4 s."""
    if seconds is None:
        return DASH
    if seconds < 60:
        return f"{seconds:.1f} s"
    for index, (size, unit) in enumerate(_UNITS[:-1]):
        if seconds >= size:
            whole, rest = divmod(seconds, size)
            smaller, small_unit = _UNITS[index + 1]
            part = int(rest // smaller)
            return f"{int(whole)} {unit}" + (f" {part} {small_unit}" if part else "")
    return DASH


def moment(value: str) -> str:
    """An instant, as JSON has it, to the minute in UTC; a date, or text that is neither, as it is."""
    try:
        read = datetime.fromisoformat(value)
    except ValueError:
        return value
    if len(value) <= len("2026-06-30"):
        return value
    aware = read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    return aware.strftime("%Y-%m-%d %H:%M UTC")


def cell(name: str, value: Any) -> str:
    """Return the value of a column as people read it; the marts' contracts say what kind of column it is."""
    value = plain(value)
    if value is None or value == "":
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(str(item) for item in value) or DASH
    if isinstance(value, str):
        is_moment = KINDS.get(name) in (Kind.INSTANT, Kind.DATE) or name.endswith(("_at", "_until"))
        return moment(value) if is_moment else value
    return _numeric(name, value)


def _numeric(name: str, value: Any) -> str:
    kind = KINDS.get(name)
    if name.endswith("_minor") or kind is Kind.MONEY:
        return amount(int(value))
    if "seconds" in name:
        return duration(value)
    if name == "p_value":
        return "< 0.001" if value < 0.001 else f"{value:.3f}"
    if kind is Kind.SHARE or name.endswith(("_share", "_rate")):
        return share(value)
    return count(value) if isinstance(value, int) else number(value)


def heading(name: str) -> str:
    """Return a column's name as people read it; amounts without a currency of their own are in the bank's."""
    if name in _HEADINGS:
        return _HEADINGS[name]
    text = name.removesuffix("_minor").replace("_", " ")
    return f"{text} (base currency)" if name.endswith("_minor") else text


def is_number(text: str) -> bool:
    """Whether a shown value is a number with its unit, or none, so that its column is set flush right."""
    return text == DASH or _NUMBER.fullmatch(text) is not None
