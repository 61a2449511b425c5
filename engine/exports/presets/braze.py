"""Braze: Cloud Data Ingestion from storage (JSON lines, Parquet) and the CSV of its dashboard.

A member is a custom attribute. Nothing is written to `email_subscribe`, `push_subscribe` or subscription groups, and no
UPDATED_AT, which storage does not support; no identifier stands inside the payload.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pyarrow as pa

from engine.exports import csv_dialects as text
from engine.exports.presets.base import FLAG, Context, Preset, WireColumn, always, attributes, membership, wire

_CHANNELS: Final = ("email", "sms", "push")
_ID: Final = WireColumn(name="external_id", source="external_id", meaning="the bank's id of the customer", pii="id")


def _payload(columns: Callable[[Context], tuple[WireColumn, ...]]) -> WireColumn:
    def source(rows: pa.Table, context: Context) -> Any:
        return text.json_objects(wire(rows, columns(context), context))

    return WireColumn(name="payload", source=source, meaning="the attributes to set, as a JSON text")


def _member(is_one: bool) -> Callable[[Context], tuple[WireColumn, ...]]:
    return lambda context: (membership(context, is_one),)


def _set(context: Context) -> tuple[WireColumn, ...]:
    return (*_member(True)(context), *attributes(context))


def _forbid(context: Context) -> tuple[WireColumn, ...]:
    meaning = "true: must not be contacted; leave everybody out of a campaign for whom it is set"
    name = f"{context.prefix}_suppressed"
    return (*_member(False)(context), WireColumn(name=name, source=always(True, FLAG), kind=FLAG, meaning=meaning))


BRAZE_CDI: Final = Preset(
    name="braze_cdi",
    title="Braze Cloud Data Ingestion",
    limits="braze_cdi",
    channels=_CHANNELS,
    formats=("jsonl", "parquet"),
    add=lambda _: (_ID, _payload(_set)),
    remove=lambda _: (_ID, _payload(_member(False))),
    suppress=lambda _: (_ID, _payload(_forbid)),
    stamped=True,
    how_en="Three syncs of attributes, one per folder. Who is removed has the member attribute false; no profile goes.",
    how_zh="按文件夹建立三个属性同步。移出仅将成员属性置为 false，不删除用户档案。",
)


def _csv(columns: Callable[[Context], tuple[WireColumn, ...]]) -> Callable[[Context], tuple[WireColumn, ...]]:
    def made(context: Context) -> tuple[WireColumn, ...]:
        return (_ID, *columns(context)) if context.settings.presets.braze_csv.attributes else (_ID,)

    return made


BRAZE_CSV: Final = Preset(
    name="braze_csv",
    title="Braze CSV import",
    limits="braze_csv",
    channels=_CHANNELS,
    formats=("csv",),
    add=_csv(_set),
    remove=_csv(_member(False)),
    suppress=_csv(_forbid),
    how_en="Import the files of each folder in the dashboard. Blank cells leave a value as it is.",
    how_zh="在控制台逐个文件夹导入。空单元格不覆盖原值。",
)
