"""Customer.io: people by id with small-letter attributes and times as unix seconds; `unsubscribed` is never written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from engine.exports.presets.base import (
    COUNT,
    FLAG,
    Context,
    Preset,
    WireColumn,
    always,
    attributes,
    membership,
)

_ID: Final = WireColumn(name="id", source="external_id", meaning="the bank's id of the customer", pii="id")


def _unix(column: str) -> Callable[[pa.Table, Context], Any]:
    return lambda rows, _: pc.strptime(rows[column], format="%Y-%m-%dT%H:%M:%SZ", unit="s").cast(pa.int64())


def _add(context: Context) -> tuple[WireColumn, ...]:
    until = f"{context.prefix}_valid_to"
    told = (one for one in attributes(context) if one.name != until)
    ends = WireColumn(name=until, source=_unix("valid_to"), kind=COUNT, meaning="unix second after which not to use it")
    return (_ID, membership(context, True), *told, ends)


def _remove(context: Context) -> tuple[WireColumn, ...]:
    return (_ID, membership(context, False))


def _suppress(context: Context) -> tuple[WireColumn, ...]:
    name = f"{context.prefix}_suppressed"
    stop = WireColumn(name=name, source=always(True, FLAG), kind=FLAG, meaning="true: must not be contacted")
    return (_ID, membership(context, False), stop)


CUSTOMERIO: Final = Preset(
    name="customerio",
    title="Customer.io",
    limits="customerio",
    channels=("email", "sms", "push"),
    formats=("csv",),
    add=_add,
    remove=_remove,
    suppress=_suppress,
    how_en="Import people by id, ignore empty values, and leave out of every campaign whose suppressed field is true.",
    how_zh="按 id 导入人员并忽略空值；suppressed 字段为 true 的人员不得进入任何活动。",
)
