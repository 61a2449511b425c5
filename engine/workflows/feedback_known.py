"""What the bank knows of the ids that feedback names: customers, addresses, runs, offers, decisions."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import pyarrow.compute as pc
import pyarrow.dataset as ds

from engine.domain.errors import RunMissing
from engine.domain.words import CONTACT_CHANNELS
from engine.exports.feedback_items import WITHDRAWALS, Item, Refused
from engine.lake.runs import MANIFEST, SUCCESS, Run, open_run
from engine.lake.workspace import Workspace
from engine.numerics.chain import digest
from engine.store import Store
from engine.store.live_contacts import LiveOffer
from engine.workflows import session

_OFFER: Final = ("customer_id", "rank", "decision_id", "product_id", "channel")


@lru_cache(maxsize=4_096)
def _bundles(folder: Path) -> tuple[str, ...]:
    """Return the bundles that a run decided by; a run never changes, so that a server reads each manifest once."""
    stages = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["stages"]
    return tuple(stage["bundle"] for stage in stages if "bundle" in stage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One offer of a run to one customer."""

    run_id: str
    customer_id: str
    rank: int
    product_id: str
    channel: str | None


@dataclass(slots=True)
class Register:
    """Looks ids up in a workspace, some items at a time; remembers which runs there are as long as it lives."""

    workspace: Workspace
    _runs: dict[str, Run | None] = field(default_factory=dict)
    _by_bundle: dict[str, list[str]] | None = None

    def known(self, items: Iterable[Item]) -> Known:
        """Return all that these items ask for, in few readings."""
        wanted = list(items)
        emails = {_address(one.email) for one in wanted if one.customer_id is None and one.email is not None}
        found = self._addresses(emails)
        ids = {one.customer_id for one in wanted if one.customer_id is not None}
        ids |= {customer for customers in found.values() for customer in customers}
        return Known(
            register=self,
            customers=self._customers(ids),
            addresses=found,
            offers=self._offers(wanted, ids),
            decisions=self._decisions({one.decision_id for one in wanted if one.decision_id is not None}),
        )

    def run(self, run_id: str) -> Run | None:
        """Return a run by its id, None where there is none."""
        if run_id not in self._runs:
            try:
                self._runs[run_id] = open_run(self.workspace, run_id)
            except (RunMissing, ValueError):
                self._runs[run_id] = None
        return self._runs[run_id]

    def _decisions(self, ids: set[str]) -> dict[str, LiveOffer]:
        if not ids or not session.has_register(self.workspace):
            return {}
        with Store(session.database_url(self.workspace)) as store:
            return store.live_offers(sorted(ids))

    def _customers(self, ids: set[str]) -> frozenset[str]:
        return frozenset(row["customer_id"] for row in self._rows("customers", ["customer_id"], "customer_id", ids))

    def _addresses(self, emails: set[str]) -> dict[str, list[str]]:
        """Return the customers of each address; the table may hold addresses or their hashes."""
        asked = {text: email for email in emails for text in (email, digest(email))}
        if not asked:
            return {}
        found: dict[str, set[str]] = defaultdict(set)
        folder = self.workspace.curated("identities")
        if folder.is_dir():
            value = pc.utf8_lower(ds.field("id_value"))
            condition = (ds.field("id_type") == "email") & value.isin(sorted(asked))
            rows = ds.dataset(folder, format="parquet").to_table(columns=["customer_id", "id_value"], filter=condition)
            for row in rows.to_pylist():
                found[asked[row["id_value"].lower()]].add(row["customer_id"])
        return {email: sorted(customers) for email, customers in found.items()}

    def _offers(self, items: Sequence[Item], ids: set[str]) -> dict[str, Offer]:
        """Return offers by their id, and the first offer of each run to each customer under `run/customer`."""
        runs = {run.run_id: run for one in items if one.recommendation_id for run in self._of_id(one.recommendation_id)}
        runs |= {run.run_id: run for one in items if one.run_id and (run := self.run(one.run_id)) is not None}
        offers: dict[str, Offer] = {}
        # the newest run last: an offer that several runs made is that of the newest
        for run in sorted(runs.values(), key=lambda run: str(run.manifest["finished_at"])):
            if not run.has("recommendations"):
                continue
            for row in run.read("recommendations", list(_OFFER), where={"customer_id": ids}).to_pylist():
                offer = Offer(
                    run_id=run.run_id,
                    customer_id=row["customer_id"],
                    rank=row["rank"],
                    product_id=row["product_id"],
                    channel=row["channel"],
                )
                offers[row["decision_id"]] = offer
                offers[f"{run.run_id}/{row['decision_id']}"] = offer
                if row["rank"] == 1:
                    offers[f"{run.run_id}/{row['customer_id']}"] = offer
        return offers

    def _of_id(self, recommendation_id: str) -> list[Run]:
        bundle = recommendation_id.partition("-")[0]
        if self._by_bundle is None:
            self._by_bundle = defaultdict(list)
            folders = sorted(self.workspace.runs.glob(f"*/{SUCCESS}")) if self.workspace.runs.is_dir() else []
            for done in folders:
                for name in _bundles(done.parent):
                    self._by_bundle[name].append(done.parent.name)
        found = (self.run(run_id) for run_id in self._by_bundle.get(bundle, []))
        return [run for run in found if run is not None]

    def _rows(self, table: str, columns: list[str], key: str, ids: set[str]) -> list[dict[str, Any]]:
        folder = self.workspace.curated(table)
        if not ids or not folder.is_dir():
            return []
        found = ds.dataset(folder, format="parquet").to_table(columns=columns, filter=ds.field(key).isin(sorted(ids)))
        rows: list[dict[str, Any]] = found.to_pylist()
        return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What is known of the ids of some items."""

    register: Register
    customers: frozenset[str]
    addresses: dict[str, list[str]]
    offers: dict[str, Offer]
    decisions: dict[str, LiveOffer]

    def resolved(self, item: Item) -> list[Item]:
        """Return an item with its customer, product, channel and run filled in; several where an address has several.

        A withdrawal counts for everybody who has the address; anything else must be of one customer.

        Raises
        ------
        Refused
            The customer, run or offer is not known, or the item belongs to no contact of ours.
        """
        return [self._attributed(one) for one in self._of_customers(item)]

    def _of_customers(self, item: Item) -> list[Item]:
        if item.customer_id is not None:
            if item.customer_id not in self.customers:
                raise Refused("unknown_customer", "The bank has no customer of this id. Send the id that was exported.")
            return [item]
        customers = self.addresses.get(_address(item.email or ""), [])
        if not customers:
            raise Refused("unknown_customer", "No customer has this address. Send the id that was exported.")
        if len(customers) == 1:
            return [replace(item, customer_id=customers[0])]
        if item.type not in WITHDRAWALS and item.bounce != "hard":
            raise Refused("ambiguous_customer", "Several customers have this address. Send the id that was exported.")
        return [
            replace(item, customer_id=customer, event_id=f"{item.event_id}/{place}")
            for place, customer in enumerate(customers, start=1)
        ]

    def _attributed(self, item: Item) -> Item:
        if item.run_id is not None and self.register.run(item.run_id) is None:
            return self._unattributed(item, "unknown_run", "run_id: no such completed run. Send the one of the export.")
        offer = self._offer(item)
        if item.recommendation_id is not None and offer is None:
            detail = "recommendation_id: no run offered this to the customer. Send it back as it was exported."
            return self._unattributed(item, "unknown_recommendation", detail)
        decision = None if item.decision_id is None else self.decisions.get(item.decision_id)
        if item.decision_id is not None and (decision is None or decision.customer_id != item.customer_id):
            detail = "decision_id: no such live decision offered this customer anything. Send it back as it came."
            return self._unattributed(item, "unknown_decision", detail)
        for found in (offer, decision):
            if found is not None:
                item = replace(
                    item,
                    run_id=item.run_id or found.run_id,
                    product_id=item.product_id or found.product_id,
                    # a live decision may have been shown in a channel that no message goes out on
                    channel=item.channel or (found.channel if found.channel in CONTACT_CHANNELS else None),
                )
        if item.type in _OURS and not (item.run_id or item.recommendation_id or item.decision_id or item.product_id):
            detail = (
                "recommendation_id: missing, and neither run_id, decision_id nor product_id says which contact it was."
            )
            raise Refused("not_attributed", detail)
        return item

    def _offer(self, item: Item) -> Offer | None:
        """Return the offer that an item is about; of a run alone, the first one to the customer."""
        if item.recommendation_id is None:
            return self.offers.get(f"{item.run_id}/{item.customer_id}")
        place = item.recommendation_id if item.run_id is None else f"{item.run_id}/{item.recommendation_id}"
        offer = self.offers.get(place)
        return offer if offer is not None and offer.customer_id == item.customer_id else None

    def _unattributed(self, item: Item, code: str, detail: str) -> Item:
        # whoever withdraws is heard, whatever else the tool got wrong
        if item.type in WITHDRAWALS or item.bounce == "hard":
            return replace(item, run_id=None, recommendation_id=None, decision_id=None)
        raise Refused(code, detail)


_OURS: Final = frozenset({"sent", "delivered", "opened", "clicked"})
"""What only tells something of a contact that the bank asked for."""


def _address(email: str) -> str:
    return email.strip().lower()
