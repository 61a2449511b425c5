"""Hashed identifiers for advertising networks: no address and no id of the bank leaves, and no order that tells one.

Each network has its own rule for telephone numbers and its own headers; all of them want SHA-256 in small hex,
unsalted. Customers must have agreed to this use: the purpose is another one than marketing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from engine.exports import normalise
from engine.exports.presets.base import Columns, Context, Preset, WireColumn

CHANNEL: Final = "ads"
"""The channel of audiences that are for this; it is no contact channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Network:
    """One network: its headers, and whether it hashes telephone numbers with their plus sign."""

    name: str
    title: str
    email: str
    phone: str
    plus: bool
    where_en: str
    where_zh: str


_NETWORKS: Final = (
    _Network(
        name="google", title="Google Customer Match", email="Email", phone="Phone", plus=True,
        where_en="Upload as a customer list of hashed data.", where_zh="作为已哈希的客户名单上传。",
    ),
    _Network(
        name="meta", title="Meta custom audience", email="email", phone="phone", plus=False,
        where_en="Upload as a customer list of hashed data.", where_zh="作为已哈希的客户名单上传。",
    ),
    _Network(
        name="x", title="X list custom audience", email="email", phone="phone", plus=True,
        where_en="Upload one column at a time, as hashed data.", where_zh="逐列上传，数据已哈希。",
    ),
)  # fmt: skip


def _email(rows: pa.Table, _: Context) -> Any:
    return normalise.hashed_email(rows["email"])


def _phone(plus: bool) -> Callable[[pa.Table, Context], Any]:
    return lambda rows, _: normalise.hashed_phone(rows["phone"], plus=plus)


def _columns(network: _Network) -> Columns:
    told = (
        WireColumn(name=network.email, source=_email, nullable=True, meaning="SHA-256 of the address", pii="contact"),
        WireColumn(
            name=network.phone,
            source=_phone(network.plus),
            nullable=True,
            meaning=f"SHA-256 of the number in E.164{'' if network.plus else ' without its plus sign'}",
            pii="contact",
        ),
    )
    return lambda _: told


def _preset(network: _Network) -> Preset:
    columns = _columns(network)
    return Preset(
        name=f"ads_hashed_{network.name}",
        title=network.title,
        limits="ads_hashed",
        channels=(CHANNEL,),
        formats=("csv",),
        add=columns,
        remove=columns,
        suppress=columns,
        contact={CHANNEL: ("email", "phone")},
        ordered_by=(network.email, network.phone),
        how_en=f"{network.where_en} Remove the rows of remove and of suppress from it.",
        how_zh=f"{network.where_zh}从名单中删除 remove 与 suppress 的行。",
    )


ADS_HASHED: Final = tuple(map(_preset, _NETWORKS))
