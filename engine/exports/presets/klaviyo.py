"""Klaviyo: profiles by the bulk import job alone; a subscribe job would lift suppressions, so there is none."""

from __future__ import annotations

from typing import Final

from engine.exports.envelopes import Envelope
from engine.exports.presets.base import Context, Preset, WireColumn, attributes, membership

_ID: Final = WireColumn(name="External ID", source="external_id", meaning="the bank's id of the customer", pii="id")
_CONTACTS: Final = {
    "email": WireColumn(name="Email", source="email", meaning="the profile's address", pii="contact"),
    "sms": WireColumn(name="Phone Number", source="phone", meaning="telephone number in E.164", pii="contact"),
}
_PATHS: Final = {"External ID": "external_id", "Email": "email", "Phone Number": "phone_number"}


def _who(context: Context) -> tuple[WireColumn, ...]:
    """Return what names a profile: only the contact of the export's channel leaves."""
    return (_ID, *(one for channel, one in _CONTACTS.items() if channel == context.channel))


def _add(context: Context) -> tuple[WireColumn, ...]:
    return (*_who(context), membership(context, True), *attributes(context))


def _remove(context: Context) -> tuple[WireColumn, ...]:
    return (*_who(context), membership(context, False))


def _envelope(context: Context) -> Envelope:
    own = {name: ("attributes", path) for name, path in _PATHS.items()}
    paths = {column.name: ("attributes", "properties", column.name) for column in _add(context)}
    return Envelope(
        items=("data", "attributes", "profiles", "data"),
        paths={name: own.get(name, path) for name, path in paths.items()},
        body={"data.type": "profile-bulk-import-job"},
        item={"type": "profile"},
    )


KLAVIYO: Final = Preset(
    name="klaviyo",
    title="Klaviyo",
    limits="klaviyo",
    channels=("email", "sms", "push"),
    formats=("csv", "api"),
    add=_add,
    remove=_remove,
    suppress=_who,
    contact={"email": ("email",), "sms": ("phone",)},
    key={"email": "email", "sms": "phone"},
    envelope=_envelope,
    most_id_bytes=255,
    how_en=(
        "Import add as profiles without consent; take remove off your list; suppress the profiles of suppress. "
        "The bodies of add are for POST /api/profile-bulk-import-jobs. Use no subscribe job: it lifts suppressions."
    ),
    how_zh="add 作为档案导入且不带订阅同意；remove 移出名单；suppress 列入抑制。切勿使用订阅任务，它会解除抑制。",
)
