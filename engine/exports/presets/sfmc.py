"""Salesforce Marketing Cloud: a data extension keyed by SubscriberKey; `Subscriber Status` is never written."""

from __future__ import annotations

import json
from typing import Any, Final

from engine.exports.envelopes import Envelope
from engine.exports.presets.base import COUNT, Context, Preset, WireColumn, or_none

_KEY: Final = WireColumn(
    name="SubscriberKey", source="external_id", meaning="primary key: the bank's id of the customer", pii="id"
)
_FIELDS: Final = (
    ("ActionCode", or_none("action_code"), 100, "the product to offer on this channel, or none"),
    ("OfferCode", or_none("offer_code"), 100, "the offer it is made in, or none"),
    ("ReasonText", "reason_text", 4000, "why, in English"),
    ("ReasonTextZh", "reason_text_zh", 4000, "why, in Chinese"),
    ("ValidFrom", "valid_from", 20, "instant from which it holds, UTC"),
    ("ValidTo", "valid_to", 20, "instant after which it must not be used, UTC"),
    ("Arm", "arm", 20, "advised or control"),
    ("Language", "language", 5, "language to address the customer in"),
    ("ConsentBasis", "consent_basis", 100, "what the consent is for"),
    ("ConsentAt", "consent_at", 20, "when the customer gave it, UTC"),
    ("AudienceId", "audience_id", 60, "the audience"),
    ("RecommendationId", or_none("recommendation_id"), 254, "send it back with every response"),
    ("RunId", "run_id", 60, "the run that decided"),
)


def _add(_: Context) -> tuple[WireColumn, ...]:
    fields = (
        WireColumn(name=name, source=source, meaning=meaning, nullable=True) for name, source, _, meaning in _FIELDS
    )
    rank = WireColumn(
        name="ActionRank", source="action_rank", kind=COUNT, nullable=True, meaning="1 is the best of the offers"
    )
    return (_KEY, *fields, rank)


def _keys(_: Context) -> tuple[WireColumn, ...]:
    return (_KEY,)


def _envelope(context: Context) -> Envelope:
    return Envelope(items=("items",), paths={column.name: (column.name,) for column in _add(context)})


def _extension(context: Context) -> dict[str, str]:
    """Describe the data extension to create before the first import: without a primary key only Overwrite works."""

    def field(name: str, **more: Any) -> dict[str, Any]:
        return {"name": name, "type": "Text", "isPrimaryKey": False, "isNullable": True} | more

    told = {
        "name": f"{context.prefix}_{context.audience}",
        "isSendable": True,
        "sendableField": {"dataExtension": "SubscriberKey", "subscriber": "Subscriber Key"},
        "fields": [
            field("SubscriberKey", maxLength=254, isPrimaryKey=True, isNullable=False),
            *(field(name, maxLength=length) for name, _, length, _ in _FIELDS),
            field("ActionRank", type="Number"),
        ],
    }
    return {"data_extension.json": json.dumps(told, indent=1) + "\n"}


SFMC_DE: Final = Preset(
    name="sfmc_de",
    title="Salesforce Marketing Cloud data extension",
    limits="sfmc_de",
    channels=("email", "sms", "push"),
    formats=("csv", "api"),
    add=_add,
    remove=_keys,
    suppress=_keys,
    envelope=_envelope,
    most_id_bytes=254,
    notes=_extension,
    how_en=(
        "Create the data extension of data_extension.json first. Import add with Add and Update; delete the rows of "
        "remove and suppress by key. The bodies of add are for PUT /data/v1/async/dataextensions/key:{key}/rows."
    ),
    how_zh="先按 data_extension.json 建立数据扩展。add 以“添加并更新”导入；按主键删除 remove 与 suppress 中的行。",
)
