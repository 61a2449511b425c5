"""What a model must not learn from: rows of a later date, records of a later date, outcomes not yet decided.

Tables built here never hold such rows; one that was made elsewhere, or a file, may. It is refused whole rather than
mended: rows that look ahead are more often a wrong date of the extract than a few strays.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.config.risk import RiskSettings
from engine.domain.errors import LooksAhead
from engine.lake.schema import naive_utc

Bools = NDArray[np.bool_]
Instants = NDArray[np.datetime64]
_CUT: Final = "Cut the extract at that date, or move the date."


def refuse(training: pa.Table, as_of: datetime, settings: RiskSettings) -> None:
    """Check a training table (see `table.training`) against the date that a model is learned as of.

    Raises
    ------
    LooksAhead
        An application or a booking is later than the date, a credit bureau's record is later than the application that
        it describes, or an outcome is told before its window has closed.
    """
    moment, known = naive_utc(as_of), pc.is_valid(training["bad"]).to_numpy()
    for name in ("applied_at", "booked_at"):
        refuse_later(_instants(training, name), np.datetime64(moment, "us"), f"have {name} later than {moment}")
    signal, applied = _instants(training, "signal_at"), _instants(training, "applied_at")
    after = int(np.count_nonzero(signal > applied))
    if after:
        raise LooksAhead(
            "have a bureau record later than the application",
            after,
            training.num_rows,
            "Join the newest record not later than applied_at.",
        )
    if settings.outcome == "within_months":
        refuse_open(_instants(training, "booked_at"), known, np.datetime64(moment, "us"), settings.outcome_months)


def refuse_later(times: Instants, until: np.datetime64, what: str) -> None:
    """Raise LooksAhead where an instant is later than `until`; one that is missing is not."""
    later = times > until
    if later.any():
        raise LooksAhead(what, int(later.sum()), len(times), f"The latest is {_day(times[later].max())}. {_CUT}")


def refuse_open(times: Instants, known: Bools, until: np.datetime64, months: int) -> None:
    """Raise LooksAhead where an outcome is known although its window, so many months from `times`, closes later.

    Those that went bad early would be told and those that are good so far could not be: the latest months would fill
    with bads.
    """
    still_open = known & (closing(times, months) > until)
    if still_open.any():
        raise LooksAhead(
            f"have an outcome though {months} months had not passed by {_day(until)}",
            int(still_open.sum()),
            len(times),
            "Leave out whatever began less than that before, whether it went bad or not, or shorten the window.",
        )


def closing(times: Instants, months: int) -> Instants:
    """Return each instant so many calendar months later; a day that the month lacks becomes its last, as in SQL."""
    month, day = times.astype("datetime64[M]"), times.astype("datetime64[D]")
    target = month + np.timedelta64(months, "M")
    days = day - month.astype(day.dtype)
    last = (target + np.timedelta64(1, "M")).astype(day.dtype) - np.timedelta64(1, "D")
    moved: Instants = np.minimum(target.astype(day.dtype) + days, last).astype(times.dtype) + (times - day)
    return moved


def _instants(rows: pa.Table, name: str) -> Instants:
    found: Instants = rows[name].cast(pa.timestamp("us")).to_numpy().astype("datetime64[us]")
    return found


def _day(moment: np.datetime64) -> str:
    return str(moment.astype("datetime64[D]"))
