"""HubSpot: contacts by e-mail with properties; marketing status and legal basis are never written."""

from __future__ import annotations

from typing import Final

from engine.exports.envelopes import Envelope
from engine.exports.presets.base import Context, Preset, WireColumn, attributes, membership

_EMAIL: Final = WireColumn(
    name="Email", source="email", meaning="the contact's address, which is its key", pii="contact"
)


def _add(context: Context) -> tuple[WireColumn, ...]:
    return (_EMAIL, membership(context, True), *attributes(context))


def _remove(context: Context) -> tuple[WireColumn, ...]:
    return (_EMAIL, membership(context, False))


def _opt_out(_: Context) -> tuple[WireColumn, ...]:
    return (_EMAIL,)


def _envelope(context: Context) -> Envelope:
    paths = {column.name: ("properties", column.name) for column in _add(context)} | {"Email": ("id",)}
    return Envelope(items=("inputs",), paths=paths, item={"idProperty": "email"})


HUBSPOT: Final = Preset(
    name="hubspot",
    title="HubSpot",
    limits="hubspot",
    channels=("email",),
    formats=("csv", "api"),
    add=_add,
    remove=_remove,
    suppress=_opt_out,
    contact={"email": ("email",)},
    key={"email": "email"},
    envelope=_envelope,
    how_en=(
        "Import add as contacts. Take the addresses of remove off your list. Import suppress as an opt-out list. "
        "The bodies of add are for POST /crm/v3/objects/contacts/batch/upsert."
    ),
    how_zh="add 作为联系人导入；remove 中的地址移出名单；suppress 作为退订名单导入。",
)
