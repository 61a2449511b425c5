"""What customers allowed and took back, as far as an export goes: it may lower a permission and never raise one.

A consent counts when it held at the run's date and still is the last word; what was granted later does not count yet,
what was withdrawn later counts at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import ibis
import pyarrow as pa
import pyarrow.compute as pc

from engine.config.exports import ExportSettings
from engine.domain.errors import RefusedByPolicy
from engine.domain.words import CONTACT_CHANNELS, MARKETING
from engine.exports.presets.ads import CHANNEL as ADS
from engine.exports.rows import Permission
from engine.lake.schema import instant, naive_utc
from engine.workflows import session, suppressed
from engine.workflows.audiences import Opened

IDENTIFIERS: Final = {"email": ("email",), "phone": ("phone", "sms")}
"""The contacts that may be hashed for advertising, and the channels whose consent to that use counts for each."""

_STAMP: Final = pa.timestamp("us")
_OPT_OUTS: Final = ("unsubscribed", "complained")
"""What the bank's own feedback says for good; its bounces do not tell a full mailbox from one that is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Consents:
    """Who allowed a purpose on which channel: customer_id, channel, consent_at and ends (null: open), naive UTC."""

    rows: pa.Table

    def of(self, channels: Sequence[str]) -> pa.Table:
        """Return the consents on some channels, one per customer: when the last was given, when the first ends."""
        rows = self.rows.filter(pc.is_in(self.rows["channel"], value_set=pa.array(channels, pa.string())))
        ends = pc.fill_null(rows["ends"], pa.scalar(_NEVER, _STAMP))
        told = rows.set_column(rows.column_names.index("ends"), "ends", ends).group_by("customer_id")
        found = told.aggregate([("consent_at", "max"), ("ends", "min")])
        return found.rename_columns({"consent_at_max": "consent_at", "ends_min": "ends"})


_NEVER: Final = datetime(9999, 12, 31)
_NOBODY: Final = pa.schema([("customer_id", pa.string()), ("consent_at", _STAMP), ("ends", _STAMP)]).empty_table()


def consent_channels(channel: str) -> tuple[str, ...]:
    """Return the channels of consents that a channel of exports goes by."""
    return tuple(name for names in IDENTIFIERS.values() for name in names) if channel == ADS else (channel,)


def consents(held: Opened, purpose: str, channel: str) -> Consents:
    """Return the consents to a purpose that hold on a channel.

    Raises
    ------
    RefusedByPolicy
        The bank keeps no consents, or nobody was ever asked for this purpose on this channel.
    """
    if "consents" not in held.tables:
        raise RefusedByPolicy(
            "The bank keeps no consents here, so nobody has agreed to anything and nobody is exported. Load the table "
            "consents; what a run assumes of consents never counts for an export."
        )
    wanted = consent_channels(channel)
    found = _standing(held, purpose, wanted)
    asked = _asked(held, purpose, wanted)
    if not found.rows.num_rows and not held.engine.arrow(asked.agg(n=asked.count()))["n"][0].as_py():
        raise RefusedByPolicy(
            f'No customer was ever asked to agree to the purpose "{purpose}" on {", ".join(wanted)}, so nobody is '
            "exported. Silence is no consent: load the answers into the table consents."
        )
    return found


def _asked(held: Opened, purpose: str, channels: Sequence[str]) -> Any:
    return held.tables["consents"].filter(lambda row: (row.purpose == purpose) & row.channel.isin(list(channels)))


def _standing(held: Opened, purpose: str, channels: Sequence[str]) -> Consents:
    asked, key = _asked(held, purpose, channels), ("customer_id", "channel")
    now = instant(held.run.as_of)
    then = asked.filter(asked.recorded_at <= now).mutate(ends=lambda row: row.expires_at.fill_null(_NEVER))
    by_then = then.group_by(*key).agg(
        granted=then.granted.argmax(then.recorded_at),
        consent_at=then.recorded_at.max(),
        ends=then.ends.argmax(then.recorded_at),
    )
    last_word = asked.group_by(*key).agg(still=asked.granted.argmax(asked.recorded_at))
    joined = by_then.join(last_word, list(key))
    holds = joined.filter(joined.granted & joined.still & (joined.ends > now))
    return Consents(rows=held.engine.arrow(holds.select("customer_id", "channel", "consent_at", "ends")))


def check_feed(held: Opened, settings: ExportSettings) -> None:
    """Raise RefusedByPolicy when the newest consent or feedback is too old to trust that nobody has opted out since."""
    now, latest = naive_utc(held.run.as_of), []
    for table, column in (("consents", "recorded_at"), ("offers_feedback", "occurred_at")):
        if table in held.tables:
            rows = held.tables[table].filter(lambda row, name=column: row[name] <= instant(held.run.as_of))
            latest.append(held.engine.arrow(rows.agg(newest=rows[column].max()))["newest"][0].as_py())
    newest = max((one for one in latest if one is not None), default=None)
    limit = settings.suppression_feed_days
    if newest is None or now - newest > timedelta(days=limit):
        told = "there is none" if newest is None else f"the newest is of {newest:%Y-%m-%d}, the run of {now:%Y-%m-%d}"
        raise RefusedByPolicy(
            f"Consents and feedback are too old to know who has opted out since: {told}, and at most {limit} days are "
            "allowed (suppression_feed_days under [exports]). Load them again, run, and export."
        )


def sticky(held: Opened, channel: str, settings: ExportSettings, given: pa.Table) -> pa.Table:
    """Return who must not be contacted on a channel whatever else holds, one row per customer, sorted.

    Columns customer_id, reason_code, since (naive UTC). An opt-out counts for every customer id of the same person.
    What the bank's own feedback says is outweighed by a consent that was given on the channel later; what campaign
    tools reported, or a person entered, stands until a person lifts it.

    given : consents on the channel, as `Consents.of` returns them.
    """
    stored = suppressed.table(held.workspace)
    rows = pa.table(
        {"customer_id": stored["customer_id"], "channel": stored["channel"], "reason_code": stored["reason"],
         "since": stored["since"]}
    )  # fmt: skip
    own = _opt_outs(held)
    if own is not None:
        place = pc.index_in(own["customer_id"], value_set=_plain(given["customer_id"]))
        later = pc.fill_null(pc.greater(given["consent_at"].take(place), own["since"]), False)
        rows = pa.concat_tables([rows, own.filter(pc.invert(later))])
    everywhere = pc.is_in(rows["reason_code"], value_set=pa.array(settings.across_channels, pa.string()))
    meant = pc.is_in(rows["channel"], value_set=pa.array(consent_channels(channel), pa.string()))
    rows = rows.filter(pc.or_(pc.or_(everywhere, meant), pc.is_null(rows["channel"])))
    return _first(of_the_same_people(held, rows.drop_columns(["channel"])))


def now(held: Opened) -> Permission:
    """Return who may still be offered something for marketing on which channel; it lowers what the run allowed.

    Where the bank keeps no consents the run went by what it assumes of them, and only opt-outs are looked at.
    """
    settings = session.settings(held.workspace, ExportSettings, "exports")
    nobody = pa.array([], pa.string())
    given = _standing(held, MARKETING, CONTACT_CHANNELS) if "consents" in held.tables else None
    blocked, allowed = [nobody], [nobody]
    for channel in CONTACT_CHANNELS:
        own = _NOBODY if given is None else given.of((channel,))
        ids = _plain(sticky(held, channel, settings, own)["customer_id"])
        blocked.append(Permission.key(ids, pa.scalar(channel)))
        allowed.append(Permission.key(_plain(own["customer_id"]), pa.scalar(channel)))
    return Permission(allowed=None if given is None else pa.concat_arrays(allowed), blocked=pa.concat_arrays(blocked))


def _opt_outs(held: Opened) -> pa.Table | None:
    """Return what the curated feedback says, whatever its date: customer_id, channel, reason_code, since."""
    if "offers_feedback" not in held.tables:
        return None
    said = held.tables["offers_feedback"].filter(lambda row: row.event.isin(list(_OPT_OUTS)))
    found = said.group_by("customer_id", "channel", reason_code=said.event).agg(since=said.occurred_at.max())
    return held.engine.arrow(found.select("customer_id", "channel", "reason_code", "since"))


def of_the_same_people(held: Opened, rows: pa.Table) -> pa.Table:
    """Return rows (customer_id, reason_code, since) with those of every other customer id of the same persons."""
    held.engine.attach("_export_sticky", rows)
    told = ibis.table(
        {"customer_id": "string", "reason_code": "string", "since": "timestamp(6)"}, name="_export_sticky"
    )
    people = held.tables["customers"].filter(lambda row: row.person_id.notnull()).select("customer_id", "person_id")
    owners = told.join(people, "customer_id").select("person_id", "reason_code", "since")
    others = owners.join(people, "person_id").select("customer_id", "reason_code", "since")
    return pa.concat_tables([rows, held.engine.arrow(others).cast(rows.schema)])


def _first(rows: pa.Table) -> pa.Table:
    """Return one row per customer: what was said first, of several at once the first by name."""
    ordered = rows.sort_by([("customer_id", "ascending"), ("since", "ascending"), ("reason_code", "ascending")])
    ids = _plain(ordered["customer_id"])
    if len(ids) < 2:
        return ordered
    new = pc.not_equal(ids.slice(1), ids.slice(0, len(ids) - 1))
    return ordered.filter(pa.concat_arrays([pa.array([True]), new]))


def _plain(column: Any) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
