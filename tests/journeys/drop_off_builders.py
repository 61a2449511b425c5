"""Logs with channels, and simulated stays whose truth is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from journeys import calendar, signals, stays
from journeys.attempts import MISSING
from journeys.histories import Coded
from journeys.spec import Funnel
from journeys.stays import Observer, Observers, Stays
from tests.journeys.builders import block, moment

DAY = 86_400
DAY_US = DAY * 1_000_000
NAMES = ("A", "B", "C", "error_shown", "login")


def observer(funnel: Funnel, today_seconds: float, **more: Any) -> Observer:
    """Watch a funnel from so many seconds after START; "A:app@5" is the event A in the channel app at second 5."""
    given: dict[str, Any] = {"silence_seconds": signals.silence_seconds(funnel), "channel": "page"} | more
    found = signals.of(funnel, {None: NAMES}, channels=given["channel"] is not None)
    return Observer(
        journey="test", funnel=funnel, as_of=calendar.microseconds(moment(today_seconds)), signals=found, **given
    )


def watched(people: Mapping[str, str], seen: Observer) -> pa.Table:
    """Return the stays of {"ann": "A:app@0 B@60"}."""
    return Observers(observers=(seen,))(block(people))


def met(people: Mapping[str, str], seen: Observer, step: int = 1) -> dict[str, dict[str, float]]:
    """Return, by customer, which signals were met at a step and how many seconds after it."""
    found = stays.view(watched(people, seen), stays.FORWARD)
    names = [signal.label for signal in seen.signals]
    told = {}
    for row in np.flatnonzero(found.step == step):
        since = (found.met[row] - found.reached_at[row]) / 1e6
        who = found.ids[int(found.customer[row])].as_py()
        told[who] = {name: at for name, at, raw in zip(names, since, found.met[row], strict=True) if raw != MISSING}
    return told


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """Stays with the code of each one's segment; today and the window in microseconds."""

    stays: Stays
    segment: NDArray[np.int32]
    today: int
    window: int


def made(columns: Mapping[str, NDArray[Any]], channel: NDArray[np.int32], met_at: NDArray[np.int64]) -> Stays:
    """Return stays of these columns; what is left out does not matter to the test."""
    n = len(channel)
    none = Coded(codes=np.full(n, -1, dtype=np.int32), values=())
    plain: dict[str, Any] = {
        "customer": np.arange(n, dtype=np.int32),
        "step": np.ones(n, dtype=np.int32),
        "settled": np.ones(n, dtype=np.bool_),
        "entered_at": np.zeros(n, dtype=np.int64),
        "reached_at": np.zeros(n, dtype=np.int64),
    } | dict(columns)
    plain.setdefault("attempt", plain["customer"])
    plain.setdefault("next_step", plain["step"] + 1)
    return Stays(
        ids=pa.array([f"c{number}" for number in range(n)]),
        channel=Coded(codes=channel, values=("app", "web")),
        product=none,
        next_channel=none,
        next_event=none,
        groups={},
        met=met_at,
        last_at=plain["reached_at"],
        next_at=plain["reached_at"],
        **plain,
    )


def troubled(n: int, odds_ratio: float, seed: int) -> Simulated:
    """Simulate one step that 30 % meet an error at, minutes after it, which multiplies their odds of going on.

    7 of 10 of these repeat the step within the hour, which does nothing. Odds differ by segment and channel; those
    whose odds are low meet more errors, so that to leave the segment out would blame the error for it.
    """
    rng = np.random.default_rng(seed)
    window = 30 * DAY_US
    segment, channel = rng.integers(0, 3, n).astype(np.int32), rng.integers(0, 2, n).astype(np.int32)
    error = rng.random(n) < np.array([0.45, 0.3, 0.2])[segment]
    odds = 1.5 * np.array([0.6, 1.0, 1.6])[segment] * np.array([1.0, 1.3])[channel] * np.where(error, odds_ratio, 1.0)
    went_on = rng.random(n) < odds / (1 + odds)
    took = np.minimum(np.exp(rng.normal(0, 1, n)) * 2 * DAY_US, 0.8 * window).astype(np.int64) + 10
    room = np.where(went_on, took * 2 // 5, window)
    error_at = np.minimum((np.exp(rng.normal(0, 1, n)) * 600e6).astype(np.int64), room)
    again_at = error_at + np.minimum(3_600_000_000, room)
    again = error & (rng.random(n) < 0.7)
    columns = {
        "outcome": np.where(went_on, stays.WENT_ON, stays.DROPPED).astype(np.int32),
        "ended_at": np.where(went_on, took, window),
        "closes_at": np.full(n, window),
    }
    met_at = np.stack([np.where(error, error_at, MISSING), np.where(again, again_at, MISSING)], axis=1)
    return Simulated(stays=made(columns, channel, met_at), segment=segment, today=window + 1, window=window)


def over_time(n: int, seed: int, *, segments_differ: bool) -> Simulated:
    """Simulate two years of entries to four steps, each with its chance to go on; an error at the third hurts."""
    rng = np.random.default_rng(seed)
    window, today = 30 * DAY_US, 700 * DAY_US
    entered = rng.integers(0, today, n)
    segment, channel = rng.integers(0, 4, n).astype(np.int32), rng.integers(0, 2, n).astype(np.int32)
    factor = np.array([0.3, 0.7, 1.3, 2.5])[segment] if segments_differ else np.ones(n)
    reached, here, parts = entered.copy(), np.ones(n, dtype=np.bool_), []
    for step, chance in enumerate((0.56, 0.62, 0.70, 0.84), start=1):
        error = (rng.random(n) < 0.3) & (step == 3)
        odds = chance / (1 - chance) * factor * np.where(error, 0.25, 1.0)
        goes_on = here & (rng.random(n) < odds / (1 + odds))
        took = np.minimum(np.exp(rng.normal(0, 1, n)) * 1.5 * DAY_US, 0.2 * window).astype(np.int64) + 1
        error_at = reached + np.minimum((np.exp(rng.normal(0, 1, n)) * 600e6).astype(np.int64), took * 2 // 5)
        closes, shown = entered + window, here & (reached <= today)
        went_on = goes_on & (reached + took <= today)
        ended = np.where(went_on, reached + took, np.minimum(closes, today))
        outcome = np.where(went_on, stays.WENT_ON, np.where(closes >= today, stays.IN_PROGRESS, stays.DROPPED))
        columns = {
            "customer": np.arange(n),
            "step": np.full(n, step),
            "outcome": outcome,
            "settled": closes < today,
            "entered_at": entered,
            "reached_at": reached,
            "ended_at": ended,
            "closes_at": closes,
            "segment": segment,
            "channel": channel,
            "met": np.where(error & (error_at < ended), error_at, MISSING),
        }
        parts.append({name: column[shown] for name, column in columns.items()})
        here, reached = goes_on, reached + took
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    small = {name: whole.pop(name).astype(np.int32) for name in ("customer", "step", "outcome", "segment", "channel")}
    met_at = whole.pop("met")[:, None]
    columns = whole | {name: small[name] for name in ("customer", "step", "outcome")}
    found = made(columns, small["channel"], met_at)
    return Simulated(stays=found, segment=small["segment"], today=today, window=window)
