"""The offers of a run as they may be pulled in bulk: on one channel, or on all; the same rows that an export holds."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from engine.config.exports import ExportSettings
from engine.domain.errors import UnknownName
from engine.domain.grants import Grant, NotGranted
from engine.domain.words import CONTACT_CHANNELS, MARKETING
from engine.exports import rows as canonical_rows
from engine.exports.releases import Release
from engine.exports.rows import Validity
from engine.lake.runs import Run, list_runs, open_run
from engine.workflows import audiences, export_permissions, pull_releases, session
from engine.workflows.pull_releases import ANY_CHANNEL, RECOMMENDATIONS, Shelf
from engine.workflows.service import Service

CONTRACT: Final = "recommendations-pull"
SCHEMA_VERSION: Final = "1.0.0"


def release(service: Service, grant: Grant, run: str | None, channel: str | None) -> tuple[Release, Shelf]:
    """Return the release of a run's offers and where it lies; by default on the key's own channel, else on all.

    Raises
    ------
    NotGranted
        The key lacks the scope, or is for some audiences alone.
    UnknownName
        No such channel, or no such run.
    RunMissing, MartMissing, RunExpired
    """
    grant.require("recommendations:read")
    if grant.audiences is not None:
        raise NotGranted(
            "audiences", "The key is for some audiences alone, and offers are of all customers. Pull its audiences."
        )
    wanted = channel or grant.channel
    if wanted is not None:
        grant.require_channel(wanted)
        if wanted not in CONTACT_CHANNELS:
            raise UnknownName("channel", wanted, CONTACT_CHANNELS)
    latest = open_run(service.workspace)
    runs = {one.run_id: one.run_id for one in list_runs(service.workspace)} if run else {latest.run_id: latest.run_id}
    name = pull_releases.chosen(run, runs, latest.run_id, service)
    shelf = Shelf(service=service, subject=RECOMMENDATIONS, channel=wanted or ANY_CHANNEL)
    return shelf.made(name, lambda: _rows(service, open_run(service.workspace, name), wanted), anew=run is None), shelf


def _rows(service: Service, run: Run, channel: str | None) -> tuple[pa.Table, dict[str, Any]]:
    """Return the offers that may still leave, by the rule of exports, and what the manifest says of them."""
    settings = session.settings(service.workspace, ExportSettings, "exports")
    with audiences.opened(service.home, run.run_id) as held:
        permission = export_permissions.now(held)
    answers = run.read("risk_gate", ["customer_id", "expires_at"]) if run.has("risk_gate") else None
    validity = Validity.of(run.as_of + timedelta(days=settings.valid_days), answers)
    found = [pa.schema([(column.name, column.kind) for column in canonical_rows.COLUMNS]).empty_table()]
    selected = on_channel = 0
    for batch in canonical_rows.batches(run.require("recommendations"), None):
        meant = batch if channel is None else batch.filter(pc.equal(batch["channel"], channel))
        kept = meant.filter(permission.keeps(meant))
        selected, on_channel = selected + batch.num_rows, on_channel + meant.num_rows
        until = validity.until(kept["customer_id"])
        since = canonical_rows.moment(run.as_of)
        found.append(canonical_rows.canonical(kept, run_id=run.run_id, valid_from=since, valid_to=until))
    rows = pa.concat_tables(found)
    facts = {
        "contract": CONTRACT,
        "schema_version": SCHEMA_VERSION,
        "audience": None,
        "run_id": run.run_id,
        "as_of": run.as_of.isoformat(),
        "purpose": MARKETING,
        "channel": channel,
        "counts": {
            "selected": selected,
            "excluded": {"other_channel": selected - on_channel, "withheld": on_channel - rows.num_rows},
            "exported": rows.num_rows,
        },
        "reasons": {},
    }
    return rows, facts
