"""Small audiences as canonical rows, and their bundles."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa

from engine.config.exports import ExportFormat, ExportSettings
from engine.config.load import load
from engine.exports import audience_bundle, checking, members
from engine.exports.audience_bundle import About, Handover, Outgoing
from engine.exports.audience_manifest import AudienceFacts, Manifest
from engine.exports.checking import Checked
from engine.exports.members import Change
from engine.exports.presets import Context, Preset, preset
from engine.exports.signing import SigningKey

AS_OF = datetime(2026, 6, 30, 23, 59, 59, tzinfo=UTC)
ABOUT = About(
    audience=AudienceFacts(
        id="stalled",
        name="Stalled",
        name_zh="停滞",
        owner="ann",
        version=1,
        definition_sha256="d" * 64,
        verified_by="bob",
    ),
    as_of=AS_OF,
    created_at=datetime(2026, 7, 1, 6, tzinfo=UTC),
    expires_at=datetime(2026, 7, 30, 23, 59, 59, tzinfo=UTC),
    purpose="marketing",
    mode="full",
    prev_run_id=None,
    resync=None,
    experiment=None,
    policy_version="p1",
    model_version="m1",
    approved_by="bob",
)


def settings(**flags: Any) -> ExportSettings:
    return load(ExportSettings, "exports", flags=flags)


def context(channel: str = "email", run_id: str = "R1", **flags: Any) -> Context:
    return Context(audience="stalled", channel=channel, run_id=run_id, settings=settings(**flags))


def row(customer: str, **changes: Any) -> dict[str, Any]:
    return {
        "external_id": customer,
        "audience_id": "stalled",
        "run_id": "R1",
        "recommendation_id": f"abc-{customer}",
        "action_code": "index_fund",
        "offer_code": "summer",
        "action_rank": 1,
        "channel": "email",
        "score": Decimal("0.123457"),
        "track": "standard",
        "reason_text": "Saves a lot.",
        "reason_text_zh": "储蓄较多。",
        "valid_from": "2026-06-30T23:59:59Z",
        "valid_to": "2026-07-30T23:59:59Z",
        "arm": "advised",
        "language": "zh",
        "consent_basis": "marketing",
        "consent_at": "2025-01-02T03:04:05Z",
        "email": f"{customer}@Mail.example ",
        "phone": "+86 138 0013 8000",
    } | changes


def table(rows: list[dict[str, Any]], *, contacts: bool = True) -> pa.Table:
    return pa.Table.from_pylist(rows, schema=members.schema(contacts))


def suppressions(rows: list[tuple[str, str]], *, contacts: bool = True) -> pa.Table:
    told = {
        "external_id": [customer for customer, _ in rows],
        "reason_code": [reason for _, reason in rows],
        "since": ["2026-06-01T00:00:00Z"] * len(rows),
    }
    own = {"email": [f"{customer}@mail.example" for customer, _ in rows], "phone": ["+8613800138000"] * len(rows)}
    return pa.table(
        {name: pa.array(values, pa.string()) for name, values in (told | (own if contacts else {})).items()}
    )


def outgoing(change: Change, checked: Checked, suppress: pa.Table | None = None) -> Outgoing:
    nobody = suppressions([]) if suppress is None else suppress
    return Outgoing(
        change=change, suppress=nobody, checked=checked, excluded={"no_consent": 2}, reasons={"NO_CONSENT": 2}
    )


def export(
    rows: list[dict[str, Any]],
    destination: Path,
    name: str = "generic",
    file_format: ExportFormat | None = None,
    *,
    channel: str = "email",
    before: list[dict[str, Any]] | None = None,
    suppress: list[tuple[str, str]] | None = None,
    delta: bool = False,
    key: SigningKey | None = None,
    **flags: Any,
) -> Manifest:
    """Write a bundle of an audience that a destination may hold before; two members have no consent."""
    chosen: Preset = preset(name)
    has_contacts = bool(chosen.needs(channel))
    told = context(channel, **flags)
    checked = checking.check(table(rows) if has_contacts else _plain(rows), chosen, told)
    held = table(before or []) if has_contacts else _plain(before or [])
    keys = chosen.needs(channel)
    change = members.change(held, checked.rows, 7, keys) if delta else members.whole(held, checked.rows, keys)
    about = replace(ABOUT, mode="delta", prev_run_id="R0") if delta else ABOUT
    handover = Handover(preset=chosen, context=told, file_format=file_format or chosen.formats[0])
    out = outgoing(change, checked, suppressions(suppress or [], contacts=has_contacts))
    return audience_bundle.write(destination, out, handover, about=about, key=key)


def files(folder: Path) -> dict[str, str]:
    """The files of rows by name, as text."""
    return {
        f"{path.parent.name}/{path.name}": path.read_text(encoding="utf-8")
        for op in ("suppress", "remove", "add")
        for path in sorted((folder / op).glob("*"))
    }


def _plain(rows: list[dict[str, Any]]) -> pa.Table:
    return table(
        [{name: value for name, value in one.items() if name not in ("email", "phone")} for one in rows], contacts=False
    )
