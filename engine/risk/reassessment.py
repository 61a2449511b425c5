"""By when every customer is to be assessed again: by the tier, and sooner where the watch list asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.config.risk_warning import SEVERITIES, ReassessmentSettings
from engine.domain.words import RiskTier
from engine.lake.schema import naive_utc
from engine.risk.tiers import TIERS

Times = NDArray[np.datetime64]

DUE: Final = pa.schema(
    [
        ("customer_id", pa.string()), ("risk_tier", pa.string()), ("last_assessed_at", pa.timestamp("us")),
        ("reassess_at", pa.timestamp("us")), ("cause", pa.string()), ("is_due", pa.bool_()),
    ]
)  # fmt: skip
_NEVER: Final = np.datetime64("NaT", "us")
_DAY: Final = np.timedelta64(86_400_000_000, "us")


def due_dates(
    risk: pa.Table,
    watch_list: pa.Table,
    as_of: datetime,
    settings: ReassessmentSettings,
    reviewed: Mapping[str, datetime] | None = None,
) -> pa.Table:
    """Return by when each customer is to be assessed again: DUE's columns, in the order of the mart risk.

    The last assessment is that of the newest risk record, which the engine grades anew whenever it runs, or of a
    person's review, whichever is later. Working it out twice gives the same dates: nothing is put off by asking.

    Parameters
    ----------
    risk : customer_id, risk_tier, signal_at and exposure_minor of every customer.
    watch_list : of `early_warning.watch_list`, made with the same reviews.

    Returns
    -------
    table
        cause is "tier", "watch_list", "no_signal" (credit is out to a customer without a fresh record: due soon after
        the last one, at once where there never was one) or "nothing_lent" (no tier, no credit: reassess_at is empty).
    """
    moment = np.datetime64(naive_utc(as_of), "us")
    tier = pc.index_in(risk["risk_tier"], value_set=pa.array([each.value for each in TIERS])).to_numpy()
    days = np.array([settings.low_days, settings.medium_days, settings.high_days, settings.unknown_days])[tier]
    assessed = _latest(_times(risk["signal_at"]), _reviews(risk["customer_id"], reviewed or {}))
    known = risk["risk_tier"].to_numpy() != RiskTier.UNKNOWN.value
    lent = pc.fill_null(risk["exposure_minor"], 0).to_numpy() > 0
    by_tier = np.where(known | lent, np.where(np.isnat(assessed), moment, assessed + days * _DAY), _NEVER)
    watched = _watched(risk["customer_id"], watch_list, assessed, settings)
    sooner = ~np.isnat(watched) & (np.isnat(by_tier) | (watched < by_tier))
    cause = np.select([sooner, known, lent], ["watch_list", "tier", "no_signal"], "nothing_lent")
    at = np.where(sooner, watched, by_tier)
    return pa.table(
        [
            risk["customer_id"],
            risk["risk_tier"],
            pa.array(assessed, mask=np.isnat(assessed)),
            pa.array(at, mask=np.isnat(at)),
            pa.array(cause),
            pa.array(at <= moment),
        ],
        schema=DUE,
    )


def _watched(
    customer_ids: pa.ChunkedArray, watch_list: pa.Table, assessed: Times, settings: ReassessmentSettings
) -> Times:
    """Return the next review that the watch list asks for; none where a newer record has been graded and suffices."""
    place = pc.index_in(customer_ids, value_set=watch_list["customer_id"].combine_chunks())
    review, last_event = (_times(watch_list[name].take(place)) for name in ("next_review_at", "last_event_at"))
    rank = pc.index_in(watch_list["severity"], value_set=pa.array(SEVERITIES)).take(place)
    by_person = pc.fill_null(rank, 0).to_numpy() >= SEVERITIES.index(settings.person_from)
    suffices = ~by_person & (assessed > last_event)
    return np.where(suffices, _NEVER, review)


def _reviews(customer_ids: pa.ChunkedArray, reviewed: Mapping[str, datetime]) -> Times:
    names = pa.array(list(reviewed), pa.string())
    when = pa.chunked_array([pa.array([naive_utc(each) for each in reviewed.values()], pa.timestamp("us"))])
    return _times(when.take(pc.index_in(customer_ids, value_set=names)))


def _times(column: pa.ChunkedArray) -> Times:
    times: Times = column.cast(pa.timestamp("us")).to_numpy().astype("datetime64[us]")
    return times


def _latest(one: Times, other: Times) -> Times:
    latest: Times = np.fmax(one, other)
    return latest
