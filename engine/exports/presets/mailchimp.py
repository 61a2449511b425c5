"""Mailchimp: members by address with merge tags; a status is never written, so nobody is subscribed by an export."""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from engine.exports.envelopes import Envelope
from engine.exports.presets.base import Context, Preset, WireColumn, or_none

_ADDRESS: Final = WireColumn(
    name="Email Address", source="email", meaning="the member's address, which is its key", pii="contact"
)


def _last_day(rows: pa.Table, _: Context) -> Any:
    """Return the last whole day (UTC) on which a row holds: Mailchimp keeps dates, and half a day is none."""
    ends = pc.strptime(rows["valid_to"], format="%Y-%m-%dT%H:%M:%SZ", unit="s").cast(pa.int64())
    days = pc.subtract(pc.divide(pc.add(ends, 1), 86_400), 1)
    return pc.cast(pc.cast(days, pa.int32()).cast(pa.date32()), pa.string())


def _tag(rows: pa.Table, context: Context) -> Any:
    return pa.repeat(pa.scalar(f"{context.prefix}:{context.audience}"), rows.num_rows)


def _merge_tags(context: Context) -> tuple[WireColumn, ...]:
    # Mailchimp takes ten characters for the name of a merge tag
    named = (
        ("AUD", "audience_id", "the audience"),
        ("ACTION", or_none("action_code"), "the product to offer, or none"),
        ("OFFER", or_none("offer_code"), "the offer it is made in, or none"),
        ("REASON", "reason_text", "why, in English"),
        ("WHYZH", "reason_text_zh", "why, in Chinese"),
        ("UNTIL", _last_day, "last day on which it may be used, UTC"),
        ("ARM", "arm", "advised or control"),
        ("REC", or_none("recommendation_id"), "send it back with every response"),
        ("RUN", "run_id", "the run that decided"),
    )
    return tuple(
        WireColumn(name=f"{context.prefix.upper()}_{end}", source=source, meaning=meaning, nullable=True)
        for end, source, meaning in named
    )


def _add(context: Context) -> tuple[WireColumn, ...]:
    return (_ADDRESS, WireColumn(name="Tags", source=_tag, meaning="tag of the audience"), *_merge_tags(context))


def _remove(_: Context) -> tuple[WireColumn, ...]:
    return (_ADDRESS, WireColumn(name="Tags", source=_tag, meaning="tag to take off"))


def _envelope(context: Context) -> Envelope:
    tags = {column.name: ("merge_fields", column.name) for column in _merge_tags(context)}
    paths = {"Email Address": ("email_address",), "Tags": ("merge_fields", f"{context.prefix.upper()}_TAG")}
    return Envelope(items=("members",), paths=paths | tags, body={"update_existing": True})


MAILCHIMP: Final = Preset(
    name="mailchimp",
    title="Mailchimp",
    limits="mailchimp",
    channels=("email",),
    formats=("csv", "api"),
    add=_add,
    remove=_remove,
    suppress=lambda _: (_ADDRESS,),
    contact={"email": ("email",)},
    key={"email": "email"},
    envelope=_envelope,
    how_en=(
        "Update existing members with add; leave out who is none, and never import as subscribed. Take the tag off "
        "the addresses of remove. Unsubscribe those of suppress. The bodies of add are for POST /lists/{list_id}; they "
        "carry no status, so an address that is no member yet is answered with an error and not created."
    ),
    how_zh="add 仅更新已有成员，不新增订阅；remove 去除标签；suppress 退订。请求体不含状态，非成员不会被创建。",
)
