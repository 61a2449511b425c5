"""What a run of a date decides by: the version of the catalogue and policies that holds, else the workspace's files."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

import pyarrow as pa

from engine.config.catalogue import CatalogueSettings
from engine.config.load import validate
from engine.config.recommendations import RecommendationSettings
from engine.domain.curated import PRODUCTS
from engine.domain.errors import NotEnoughData
from engine.lake.schema import arrow_schema
from engine.lake.workspace import Workspace
from engine.recommendations import offers
from engine.recommendations.products import Catalogue
from engine.store import CatalogueRecord, Store
from engine.workflows import session

DATES: Final = ("sold_since", "sold_until")
"""Columns of products that a version keeps as text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """What a run of some date decides by: products, policies, offers, levers; `version` None where it is of files."""

    products: pa.Table
    policies: RecommendationSettings
    offered: CatalogueSettings
    version: CatalogueRecord | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """What a run's manifest says of the version it went by; nothing where it went by the workspace's files."""
        one = self.version
        if one is None:
            return {}
        told = {"version": one.version, "effective_from": one.effective_from.isoformat(), "hash": one.content_hash}
        return {"catalogue": told}

    def of_day(self, as_of: datetime) -> Catalogue:
        """Return the catalogue of a day; raises SettingsFault, see `offers.catalogue`."""
        return offers.catalogue(self.products, as_of, self.policies, self.offered)


def notes(held: InForce | None) -> list[str]:
    """Return what a run tells of the version that it went by."""
    if held is None or held.version is None:
        return []
    one = held.version
    return [
        f"Products, offers and policies are those of version {one.version} of the catalogue, which holds from "
        f"{one.effective_from}: what the workspace's files say of them was not looked at."
    ]


def in_force(workspace: Workspace, as_of: datetime) -> InForce:
    """Return the version that holds on a date: that of the latest day from which one holds, else the workspace's files.

    Raises
    ------
    SettingsFault
        The files are wrong, or the version was saved by a Wayline whose settings were others.
    CheckFailed
        The version is not what was saved.
    """
    return in_force_version(workspace, as_of) or of_files(workspace)


def in_force_version(workspace: Workspace, as_of: datetime) -> InForce | None:
    """Return the version that holds on a date, None where none does; raises SettingsFault, CheckFailed."""
    found = version_on(versions(workspace), as_of.astimezone(UTC).date())
    return None if found is None else of_version(found)


def version_on(known: list[CatalogueRecord], day: date) -> CatalogueRecord | None:
    """Return the version that holds on a day: the one that began last, of several of one day the newest."""
    begun = [one for one in known if one.effective_from <= day]
    return max(begun, key=lambda one: (one.effective_from, one.version), default=None)


def versions(workspace: Workspace) -> list[CatalogueRecord]:
    """Return every version ever saved, the oldest first; looking makes no database."""
    if not session.has_register(workspace):
        return []
    with Store(session.database_url(workspace)) as store:
        return store.catalogues()


def of_files(workspace: Workspace) -> InForce:
    """Return what the workspace's files and its table of products say now."""
    with session.duckdb(workspace) as engine:
        tables = workspace.attach(engine)
        if "products" not in tables:
            raise NotEnoughData("catalogue", "no table products", "the products that the bank sells")
        products = engine.arrow(tables["products"])
    return InForce(
        products=products,
        policies=session.settings(workspace, RecommendationSettings, "recommendations"),
        offered=session.settings(workspace, CatalogueSettings, "catalogue"),
    )


def of_version(version: CatalogueRecord) -> InForce:
    """Return what a version says."""
    told, source = version.definition, f"version {version.version} of the catalogue"
    rows = [row | {name: row[name] and date.fromisoformat(row[name]) for name in DATES} for row in told["products"]]
    return InForce(
        products=pa.Table.from_pylist(rows, schema=arrow_schema(PRODUCTS)),
        policies=validate(RecommendationSettings, told["recommendations"], source),
        offered=validate(CatalogueSettings, told["catalogue"], source),
        version=version,
    )


def definition(products: pa.Table, offered: CatalogueSettings, policies: RecommendationSettings) -> dict[str, Any]:
    """Return products, offers and policies as a version keeps them."""
    return {
        "products": [_plain(row) for row in products.sort_by("product_id").to_pylist()],
        "catalogue": offered.model_dump(mode="json"),
        "recommendations": policies.model_dump(mode="json"),
    }


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return row | {name: row[name] and row[name].isoformat() for name in DATES}
