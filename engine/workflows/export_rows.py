"""Canonical rows of those who may leave: the offer on the channel, the consent, how long it holds, and the contact."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from engine.config.exports import ExportSettings
from engine.domain.words import MARKETING
from engine.exports import members, normalise
from engine.exports.presets.ads import CHANNEL as ADS
from engine.exports.rows import SCORE, Validity, moment
from engine.lake.schema import instant
from engine.recommendations import columns
from engine.workflows.audiences import Opened
from engine.workflows.export_permissions import IDENTIFIERS, Consents, consent_channels
from engine.workflows.export_targets import Target

_OFFER: Final = {
    "recommendation_id": "decision_id",
    "action_code": "product_id",
    "offer_code": "offer_id",
    "action_rank": "rank",
    "score": "propensity",
    "track": "track",
    "reason_text": "reason_1",
    "reason_text_zh": "reason_1_zh",
}
_STAMP: Final = "%Y-%m-%dT%H:%M:%SZ"
_EVERYBODY: Final = "_export_everybody"


def expiry(as_of: datetime, settings: ExportSettings) -> datetime:
    """Return the instant after which no row of a run may be used."""
    return as_of + timedelta(days=settings.valid_days)


def contacts(held: Opened, ids: pa.Array, needed: tuple[str, ...]) -> pa.Table:
    """Return the contacts of some customers in one form: customer_id, email, phone; null for none or not needed.

    Of several the one that was seen last counts. They are identities of the types email and phone.
    """
    found = {name: pa.nulls(len(ids), pa.string()) for name in ("email", "phone")}
    if "identities" in held.tables and needed:
        known = held.tables["identities"].filter(
            lambda row: (
                row.id_type.isin(list(needed)) & (row.first_seen_at.isnull() | (row.first_seen_at <= _now(held)))
            )
        )
        newest = ibis.window(
            group_by=["customer_id", "id_type"],
            order_by=[known.last_seen_at.isnull(), known.last_seen_at.desc(), known.id_value],
        )
        ranked = known.mutate(place=ibis.row_number().over(newest))
        rows = held.engine.arrow(ranked.filter(ranked.place == 0).select("customer_id", "id_type", "id_value"))
        for name in needed:
            own = rows.filter(pc.equal(rows["id_type"], name))
            place = pc.index_in(ids, value_set=columns.plain(own["customer_id"]))
            form = normalise.email if name == "email" else normalise.phone
            found[name] = columns.plain(form(own["id_value"].take(place)))
    return pa.table({"customer_id": ids, **found})


def rows(held: Opened, leaving: pa.Array, consents: Consents, told: pa.Table, target: Target) -> pa.Table:
    """Return the canonical rows of those who may leave, in the order of their ids.

    told : the contacts of these customers at least, as `contacts` returns them.
    """
    channel, purpose = target.channel, target.purpose
    size = len(leaving)
    given = columns.aligned(consents.of(consent_channels(channel)), leaving)
    same = {
        "external_id": leaving,
        "audience_id": _same(target.audience, size),
        "run_id": _same(held.run.run_id, size),
        "channel": _same(channel, size),
        "valid_from": _same(moment(held.run.as_of), size),
        "valid_to": _valid_to(held, leaving, given, target.settings),
        "arm": _arms(held, leaving) if purpose == MARKETING else pa.nulls(size, pa.string()),
        "language": _languages(held, leaving),
        "consent_basis": _same(purpose, size),
        "consent_at": pc.strftime(pc.cast(given["consent_at"], pa.timestamp("s"), safe=False), format=_STAMP),
    }
    made = same | _offers(held, leaving, channel, purpose)
    if target.needs:
        made |= _own_contacts(columns.aligned(told, leaving), consents, channel)
    schema = members.schema(bool(target.needs))
    return pa.table({name: made[name] for name in schema.names}).cast(schema)


def _own_contacts(told: pa.Table, consents: Consents, channel: str) -> dict[str, Any]:
    """Return the contacts; for advertising only those whose own channel was agreed to for that use."""
    found = {name: told[name] for name in ("email", "phone")}
    if channel != ADS:
        return found
    nothing = pa.scalar(None, pa.string())
    for name, channels in IDENTIFIERS.items():
        agreed = pc.is_in(told["customer_id"], value_set=columns.plain(consents.of(channels)["customer_id"]))
        found[name] = pc.if_else(agreed, found[name], nothing)
    return found


def _offers(held: Opened, leaving: pa.Array, channel: str, purpose: str) -> dict[str, Any]:
    """Return each customer's best offer on the channel; nothing for another purpose than marketing, or without one."""
    if purpose != MARKETING or not held.run.has("recommendations"):
        kinds = {column.name: column.kind for column in members.COLUMNS}
        return {name: pa.nulls(len(leaving), kinds[name]) for name in _OFFER}
    source = ds.dataset(held.run.path("recommendations"), format="parquet")
    found = source.to_table(columns=["customer_id", *_OFFER.values()], filter=ds.field("channel") == channel)
    found = found.sort_by([("customer_id", "ascending"), ("rank", "ascending")])
    # the first of each customer is the best one
    best = found.take(columns.places(pc.unique(found["customer_id"]), found["customer_id"]))
    own = columns.aligned(best, leaving)
    return {
        name: pc.cast(pc.round(own[source], 6), SCORE, safe=False) if name == "score" else own[source]
        for name, source in _OFFER.items()
    }


def _valid_to(held: Opened, leaving: pa.Array, given: pa.Table, settings: ExportSettings) -> Any:
    """Return until when each row holds: never after the risk gate's answer, nor after the consent."""
    ends = [pa.table({"customer_id": leaving, "expires_at": given["ends"]})]
    if held.run.has("risk_gate"):
        ends.append(held.run.read("risk_gate", ["customer_id", "expires_at"]))
    first = pa.concat_tables(one.cast(ends[0].schema) for one in ends).group_by("customer_id")
    soonest = first.aggregate([("expires_at", "min")]).rename_columns({"expires_at_min": "expires_at"})
    until = Validity.of(expiry(held.run.as_of, settings), soonest).until(pa.chunked_array([leaving]))
    return columns.plain(until)


def _arms(held: Opened, leaving: pa.Array) -> Any:
    """Return advised or control where the run has a control group; empty where it has none."""
    if not held.run.has("control_group"):
        return pa.nulls(len(leaving), pa.string())
    kept = held.run.read("control_group", ["customer_id"])["customer_id"]
    if not len(kept):
        return pa.nulls(len(leaving), pa.string())
    return pa.array(np.where(columns.places(leaving, kept) >= 0, "control", "advised"), pa.string())


def _languages(held: Opened, leaving: pa.Array) -> Any:
    found = held.engine.arrow(held.tables["customers"].select("customer_id", "language"))
    return columns.aligned(found, leaving)["language"]


def _same(text: str, size: int) -> Any:
    return pa.repeat(pa.scalar(text), size)


def _now(held: Opened) -> Any:
    return instant(held.run.as_of)
