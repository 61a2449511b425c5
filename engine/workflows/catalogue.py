"""The catalogue of the bank: products, offers, levers, policies, from its files or in versions that hold from a day."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from engine.config.recommendations import RecommendationSettings
from engine.domain.errors import RefusedByPolicy, SettingsFault, UnknownName, WaylineError
from engine.lake.runs import Run
from engine.lake.workspace import Workspace
from engine.recommendations import offers
from engine.recommendations.decide import assess
from engine.recommendations.products import Catalogue
from engine.recommendations.sanity import ShutOut, nobody, shut_out
from engine.store import CatalogueRecord, Store
from engine.workflows import held_catalogue, kept_decisions, session
from engine.workflows.held_catalogue import in_force, of_files, versions

_SAMPLE: Final = 20_000  # customers of the last run whom a catalogue is tried on


def show(home: Path, as_of: datetime | None = None) -> dict[str, Any]:
    """Return every product in the offer that holds on a day, by default at the end of the extract, and where from.

    Raises
    ------
    WorkspaceMissing, SettingsFault, CheckFailed, NotEnoughData
    """
    workspace = session.workspace_at(home)
    moment = as_of or session.end_of_extract(workspace.report())
    held = in_force(workspace, moment)
    return {
        "as_of": moment,
        "version": held.version and _shown(held.version),
        "products": _rows(held.of_day(moment), held.policies),
        "levers": held.offered.levers.model_dump(),
        "policies": held.policies.model_dump(mode="json"),
    }


def check(home: Path, as_of: datetime | None = None) -> dict[str, Any]:
    """Check the workspace's files as a catalogue of a day: what is wrong, and whom nothing can be offered.

    `faults` must be mended before it can be saved; `warnings` are products that nobody can be offered, each with the
    gate that does it, found on the customers of the last run where there is one of the same products.

    Raises
    ------
    WorkspaceMissing, SettingsFault, NotEnoughData
    """
    workspace = session.workspace_at(home)
    moment = as_of or session.end_of_extract(workspace.report())
    held = of_files(workspace)
    faults = offers.faults(held.products, held.policies, held.offered)
    told: dict[str, Any] = {"as_of": moment, "faults": faults, "warnings": [], "tried_on": None}
    if faults:
        return told
    catalogue = held.of_day(moment)
    warnings = shut_out(catalogue, held.policies)
    tried = _tried(workspace, catalogue, held.policies)
    if tried is not None:
        run, customers, found = tried
        known = {one.product_id for one in warnings}
        warnings = (*warnings, *(one for one in found if one.product_id not in known))
        told |= {"tried_on": {"run_id": run.run_id, "customers": customers}}
    rows = [{"product_id": one.product_id, "gate": one.gate, "sentence": one.sentence} for one in warnings]
    return told | {"warnings": rows}


def save(home: Path, *, effective_from: date, owner: str, note: str) -> dict[str, Any]:
    """Keep the workspace's catalogue and policies as a version that runs from a day on go by.

    Raises
    ------
    WorkspaceMissing, NotEnoughData
    SettingsFault
        Something does not fit; nothing is saved.
    RefusedByPolicy
        Nobody answers for it.
    """
    if not owner.strip() or not note.strip():
        raise RefusedByPolicy("A catalogue needs an owner and a note that says why. Give them with --by and --note.")
    workspace = session.workspace_at(home)
    workspace.report()
    held = of_files(workspace)
    faults = offers.faults(held.products, held.policies, held.offered)
    ended = [
        f"offers.{one.offer_id}.valid_until: {one.valid_until} is before the version begins on {effective_from}, so "
        f"that it never holds. Take the offer out or mend a date."
        for one in held.offered.offers
        if one.valid_until is not None and one.valid_until < effective_from
    ]
    if faults or ended:
        raise SettingsFault("catalogue settings", [*faults, *ended])
    kept = held_catalogue.definition(held.products, held.offered, held.policies)
    with Store(session.database_url(workspace), actor=owner) as store:
        saved, is_new = store.save_catalogue(kept, effective_from, note)
    return _shown(saved) | {"is_new": is_new}


def listed(home: Path) -> list[dict[str, Any]]:
    """Return every version ever saved, the oldest first, with what it holds in numbers; raises CheckFailed."""
    workspace = session.workspace_at(home)
    workspace.report()
    return [_shown(one) for one in versions(workspace)]


def opened(home: Path, number: int) -> dict[str, Any]:
    """Return one version whole; raises UnknownName where there is none of that number, CheckFailed."""
    known = versions(session.workspace_at(home))
    found = next((one for one in known if one.version == number), None)
    if found is None:
        raise UnknownName("version of the catalogue", str(number), [str(one.version) for one in known])
    return _shown(found) | {"definition": found.definition}


def _shown(one: CatalogueRecord) -> dict[str, Any]:
    return {
        "version": one.version,
        "effective_from": one.effective_from,
        "owner": one.owner,
        "note": one.note,
        "saved_at": one.saved_at,
        "products": len(one.definition["products"]),
        "offers": len(one.definition["catalogue"]["offers"]),
        "hash": one.content_hash,
    }


def _rows(catalogue: Catalogue, policies: RecommendationSettings) -> list[dict[str, Any]]:
    channels, given = tuple(policies.contact_cost_minor), catalogue.offers

    def known(value: float) -> int | float | None:
        return None if np.isnan(value) else float(value)

    return [
        {
            "product_id": product,
            "offer_id": (given.offer_ids[at] if given else "") or product,
            "family": catalogue.families[at],
            "on_sale": bool(catalogue.on_sale[at]),
            "channels": [name for place, name in enumerate(channels) if given is None or given.channels[at, place]],
            "annual_margin_minor": known(catalogue.margin[at]),
            "offer_cost_minor": float(catalogue.offer_cost[at]),
            "lgd": known(catalogue.lgd[at]),
            "exposure_minor": known(catalogue.amount[at]) if catalogue.is_credit[at] else None,
            "lever": float(catalogue.lever[at]),
        }
        for at, product in enumerate(catalogue.product_ids)
    ]


def _tried(
    workspace: Workspace, catalogue: Catalogue, policies: RecommendationSettings
) -> tuple[Run, int, tuple[ShutOut, ...]] | None:
    """Return the last run, how many of its customers were asked, and the products that none of them passes for.

    None where there is no run whose decisions can be made again, or one of other products, channels or caps.
    """
    try:
        run, bundle = kept_decisions.opened(workspace, None, marts=())
    except WaylineError:
        return None
    before, now = bundle.settings, policies
    same = (
        bundle.catalogue.product_ids == catalogue.product_ids
        and list(before.contact_cost_minor) == list(now.contact_cost_minor)
        and list(before.contact.caps) == list(now.contact.caps)
    )
    ids = run.read(kept_decisions.LOOKED_AT, columns=["customer_id"])["customer_id"].to_pylist()
    block = kept_decisions.block_of(run, bundle, ids[:: max(len(ids) // _SAMPLE, 1)]) if same else None
    if block is None:
        return None
    masks = assess(block, replace(bundle, catalogue=catalogue, settings=policies)).masks
    return run, block.size, nobody(masks, catalogue)
