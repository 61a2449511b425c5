"""One item of feedback as a campaign tool wrote it, read into our words or refused with a code and a sentence.

Nothing here looks at the bank: whether a customer or an offer exists is asked by whoever has the tables. No sentence
repeats a value, since a value may be a customer's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from zoneinfo import ZoneInfo

import orjson

from engine.config.feedback import Outcome, PresetSettings
from engine.domain.money import minor_digits
from engine.domain.words import CONTACT_CHANNELS
from engine.numerics.chain import canonical, digest

WITHDRAWALS: Final = frozenset({"unsubscribed", "complained"})
_LONGEST: Final = 200  # characters of an id
_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_MOST_MINOR: Final = 10**15  # no conversion is worth more; beyond it the bank's sums would not fit
_TRUE: Final = frozenset({"true", "1", "yes", "y", "t"})
_FALSE: Final = frozenset({"false", "0", "no", "n", "f", ""})


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One thing that happened, in our words; `customer_id` or `email` says to whom. Instants are in UTC."""

    event_id: str
    type: str
    customer_id: str | None
    email: str | None
    occurred_at: datetime
    channel: str | None
    run_id: str | None
    recommendation_id: str | None
    decision_id: str | None
    product_id: str | None
    audience_id: str | None
    value_minor: int | None
    currency: str | None
    message_id: str | None
    machine_open: bool
    bounce: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What items are read by: the tool's preset, the currencies that the bank keeps, and the latest instant allowed."""

    preset: PresetSettings
    currencies: frozenset[str]
    latest: datetime

    @classmethod
    def at(cls, now: datetime, preset: PresetSettings, currencies: Iterable[str], future_seconds: int) -> Rules:
        """Return the rules of a moment, with how far a tool's clock may be ahead of it."""
        return cls(preset=preset, currencies=frozenset(currencies), latest=now + timedelta(seconds=future_seconds))


class Refused(Exception):
    """An item cannot be taken: the code, and a sentence that names fields and never a value."""

    def __init__(self, code: str, detail: str) -> None:
        self.code, self.detail = code, detail
        super().__init__(code)


def read(raw: Mapping[str, Any], rules: Rules) -> Item | None:
    """Return an item in our words; None for what is no feedback, by the preset.

    Raises
    ------
    Refused
    """
    told = _Told(raw, rules.preset)
    outcome = _outcome(told, rules.preset)
    if outcome is None:
        return None
    value_minor, currency = _value(told, rules.currencies)
    facts: dict[str, Any] = {name: told.id(name) for name in _IDS}
    facts |= {name: _unnamed(facts[name]) for name in ("event_id", "message_id")}
    if facts["customer_id"] is None and (email := told.text("email")) is None:
        raise Refused("missing_field", f"{told.named('customer_id')}: missing. Say which customer it was.")
    facts |= {
        "type": outcome.type,
        "email": None if facts["customer_id"] is not None else email,
        "occurred_at": _instant(told, rules),
        "channel": _channel(told, outcome, rules.preset),
        "value_minor": value_minor,
        "currency": currency,
        "machine_open": outcome.type == "opened" and (outcome.machine_open or _flag(told, "machine_open")),
        "bounce": _bounce(told, outcome, rules.preset),
    }
    if facts["event_id"] is None:
        facts["event_id"] = _derived(facts, told, rules.preset)
    return Item(**facts)


_IDS: Final = (
    *("event_id", "customer_id", "run_id", "recommendation_id", "decision_id", "product_id", "audience_id"),
    "message_id",
)


def _unnamed(text: str | None) -> str | None:
    # some tools make ids of addresses: such an id does its work as a hash, and names nobody
    return digest(text.lower())[:32] if text is not None and "@" in text else text


class _Told:
    """What an item says under our names, as the preset leads there."""

    def __init__(self, raw: Mapping[str, Any], preset: PresetSettings) -> None:
        self._raw, self._preset = raw, preset

    def named(self, field: str) -> str:
        """Return what the tool calls a field of ours."""
        return self._preset.fields.get(field, (field,))[0]

    def value(self, field: str) -> Any:
        """Return the first value that holds anything, None where none does."""
        for name in self._preset.fields.get(field, ()):
            parts = [self._filled(_at(self._raw, part)) for part in name.split("+")]
            if all(part is not None for part in parts):
                return parts[0] if len(parts) == 1 else ":".join(str(part) for part in parts)
        return None

    def _filled(self, value: Any) -> Any:
        return None if isinstance(value, str) and (not value.strip() or value in self._preset.empty) else value

    def text(self, field: str) -> str | None:
        """Return a value as text without blanks around it; raises Refused for what is no text or number."""
        value = self.value(field)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
            raise Refused("malformed_field", f"{self.named(field)}: expected text.")
        return str(value).strip()

    def id(self, field: str) -> str | None:
        """Return an id; raises Refused for one that is too long or not printable."""
        text = self.text(field)
        if text is not None and (len(text) > _LONGEST or not text.isprintable()):
            raise Refused("malformed_field", f"{self.named(field)}: expected at most {_LONGEST} printable characters.")
        return text


def _at(raw: Mapping[str, Any], path: str) -> Any:
    """Return the value at a path, None where there is none; a name with a point in it is looked for first."""
    if path in raw:
        return raw[path]
    held: Any = raw
    for part in path.split("."):
        held = _opened(held)
        if not isinstance(held, Mapping) or part not in held:
            return None
        held = held[part]
    return held


def _opened(held: Any) -> Any:
    # an object inside a CSV cell or a column of text is JSON
    if isinstance(held, str) and held.startswith("{"):
        try:
            return orjson.loads(held)
        except orjson.JSONDecodeError:
            return None
    return held


def _outcome(told: _Told, preset: PresetSettings) -> Outcome | None:
    said = told.text("type")
    if said is None:
        raise Refused("missing_field", f"{told.named('type')}: missing. Say what happened.")
    word = said.casefold()
    for name, outcome in preset.events.items():
        if name.casefold() == word:
            return outcome
    if any(name.casefold() == word for name in preset.ignored):
        return None
    known = ", ".join(preset.events)
    raise Refused("unknown_type", f"{told.named('type')}: expected one of {known}.")


def _instant(told: _Told, rules: Rules) -> datetime:
    name, said = told.named("occurred_at"), told.text("occurred_at")
    if said is None:
        raise Refused("missing_field", f"{name}: missing. Say when it happened.")
    moment = _parsed(said, name, rules.preset)
    if moment < _EARLIEST:
        raise Refused("malformed_field", f"{name}: expected an instant after {_EARLIEST:%Y}.")
    if moment > rules.latest:
        raise Refused("in_the_future", f"{name}: later than now. Send it once it has happened, and mind the clock.")
    return moment


def _parsed(said: str, name: str, preset: PresetSettings) -> datetime:
    try:
        if preset.time in _UNITS:
            return _EPOCH + timedelta(microseconds=int(Decimal(said) * _UNITS[preset.time]))
        moment = datetime.fromisoformat(said) if preset.time == "iso" else datetime.strptime(said, preset.time)
    except (ValueError, OverflowError, InvalidOperation):
        shape = {
            "iso": "2026-07-01T09:30:00Z",
            "unix": "whole seconds since 1970",
            "unix_ms": "milliseconds since 1970",
        }
        raise Refused("malformed_field", f"{name}: expected {shape.get(preset.time, preset.time)}.") from None
    if moment.tzinfo is None:
        if preset.time_zone is None:
            raise Refused("malformed_field", f"{name}: has no time zone. Write it as 2026-07-01T09:30:00Z.")
        moment = moment.replace(tzinfo=ZoneInfo(preset.time_zone))
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise Refused("malformed_field", f"{name}: expected an instant between the years 2000 and 9999.") from None


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS: Final = {"unix": 1_000_000, "unix_ms": 1_000}


def _channel(told: _Told, outcome: Outcome, preset: PresetSettings) -> str | None:
    said = told.text("channel")
    if said is None:
        return outcome.channel or preset.channel
    word = said.casefold()
    known = {name.casefold(): channel for name, channel in preset.channels.items()}
    known |= {name: name for name in CONTACT_CHANNELS}
    if word not in known:
        raise Refused("unknown_channel", f"{told.named('channel')}: expected one of {', '.join(known)}.")
    return known[word]


def _bounce(told: _Told, outcome: Outcome, preset: PresetSettings) -> str | None:
    if outcome.type != "bounced" or outcome.bounce is not None:
        return outcome.bounce
    said = told.text("bounce")
    known = {name.casefold(): kind for name, kind in preset.bounces.items()}
    # a kind that nobody knows is taken for the mild one: a hard bounce ends all contact on the channel
    return None if said is None else known.get(said.casefold(), "soft")


def _flag(told: _Told, field: str) -> bool:
    value = told.value(field)
    if value is None or isinstance(value, bool):
        return bool(value)
    word = str(value).strip().casefold()
    if word in _TRUE | _FALSE:
        return word in _TRUE
    raise Refused("malformed_field", f"{told.named(field)}: expected true or false.")


def _value(told: _Told, currencies: frozenset[str]) -> tuple[int | None, str | None]:
    """Return the amount in minor units and its currency; both or none."""
    amount, minor, currency = told.value("value"), told.value("value_minor"), told.text("currency")
    if amount is None and minor is None:
        return None, None
    if currency is None:
        raise Refused("missing_field", f"{told.named('currency')}: missing beside an amount.")
    code = currency.upper()
    if code not in currencies:
        raise Refused("unknown_currency", f"{told.named('currency')}: expected one of {', '.join(sorted(currencies))}.")
    name = told.named("value" if minor is None else "value_minor")
    try:
        exact = Decimal(str(amount)) * 10 ** minor_digits(code) if minor is None else Decimal(str(minor))
        whole = int(exact)
        fits = exact.is_finite() and exact == whole and 0 <= whole <= _MOST_MINOR
    except (InvalidOperation, ValueError, OverflowError):
        fits, whole = False, 0
    if not fits or isinstance(minor, bool) or isinstance(amount, bool):
        raise Refused("malformed_field", f"{name}: expected an amount of 0 or more, without fractions of a minor unit.")
    return whole, code


def _derived(facts: Mapping[str, Any], told: _Told, preset: PresetSettings) -> str:
    if not preset.derives_event_id:
        raise Refused("missing_field", f"{told.named('event_id')}: missing. Give every event an id of its own.")
    said = {name: str(value) for name, value in facts.items() if value is not None}
    return f"derived-{digest(canonical(said))[:32]}"
