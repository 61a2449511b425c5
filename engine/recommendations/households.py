"""Members of one household in one run: whose contact it is where the caps leave fewer than there are members to reach.

No decision on one customer looks at another, so that each can be made alone; this pass over all customers settles what
that leaves open. A contact is everything that one run sends to one customer. Of the members for whom there is anything
to offer, those whose best offer is worth most keep their contact, equal ones by their id, and all others get nothing in
this run. What counts is the best offer that could be made, not one that was drawn, so that the chances of draws stay
what they are. A member whose offers limits on all offers together withdraw later gives the contact to nobody else.

Known limit: caps count contacts made before the instant, so what an earlier run offered counts once it was sent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.config.contact import ContactPolicy
from engine.domain.contact_marts import WITHHELD_CONTACTS
from engine.lake.schema import arrow_schema
from engine.recommendations import columns, contact, frame
from engine.recommendations.allocation_repair import place_in_group
from engine.recommendations.bundle import Bundle
from engine.recommendations.decide import assess
from engine.recommendations.frame import Base, Flags, Floats, Integers


@dataclass(frozen=True, slots=True, kw_only=True)
class Withheld:
    """Customers who give way to others of their household: their rows in the base, in order, one value for each.

    `worth` is that of the best offer that they would have got and `product` its place; `left` contacts the caps leave
    the household and `wanting` members there was anything to offer to.
    """

    rows: Integers
    worth: Floats
    product: Integers
    left: Integers
    wanting: Integers

    def flags(self, customers: int) -> Flags:
        """Mark them among all customers, shape (n,)."""
        marked = np.zeros(customers, dtype=bool)
        marked[self.rows] = True
        return marked

    def table(self, base: Base, product_ids: tuple[str, ...]) -> pa.Table:
        """Return the mart withheld_contacts, in the order of its key."""
        return pa.table(
            {
                "customer_id": base.customer_ids.take(pa.array(self.rows)),
                "reason_code": pa.array(["HOUSEHOLD_CONTACTED"] * len(self.rows), pa.string()),
                "best_product_id": pa.array(product_ids, pa.string()).take(pa.array(self.product)),
                "best_value_minor": pa.array(self.worth.astype(np.int64)),
                "household_contacts_left": pa.array(self.left),
                "household_members_wanting": pa.array(self.wanting),
            }
        ).cast(arrow_schema(WITHHELD_CONTACTS))


NOBODY = Withheld(
    rows=np.zeros(0, dtype=np.int64),
    worth=np.zeros(0),
    product=np.zeros(0, dtype=np.int64),
    left=np.zeros(0, dtype=np.int64),
    wanting=np.zeros(0, dtype=np.int64),
)


def resolve(base: Base, bundle: Bundle) -> Withheld:
    """Return who gives way. Only members of households that may want more contacts than are left are looked at."""
    home, left = _homes(base.profile, bundle.settings.contact)
    sizes = np.bincount(home[home >= 0], minlength=1)
    rows = np.flatnonzero((home >= 0) & (left > 0) & (sizes[home] > left))
    if len(rows) == 0:
        return NOBODY
    worth, product = _best(frame.picked(base, rows), bundle)
    wants = worth > 0
    rows, worth, product = rows[wants], worth[wants], product[wants]
    order = np.lexsort((rows, -worth))
    place = np.empty(len(rows), dtype=np.int64)
    place[order] = place_in_group(home[rows][order], len(sizes))
    wanting = np.bincount(home[rows], minlength=len(sizes))[home[rows]]
    out = place > left[rows]
    return Withheld(
        rows=rows[out],
        worth=worth[out],
        product=product[out],
        left=left[rows][out].astype(np.int64),
        wanting=wanting[out],
    )


def _homes(profile: pa.Table, policy: ContactPolicy) -> tuple[Integers, Floats]:
    """Return a number for each customer's household, -1 for none, and how many contacts its caps leave it."""
    codes = columns.plain(profile["household_id"]).dictionary_encode().indices
    home = np.asarray(pc.fill_null(codes, -1).to_numpy(zero_copy_only=False), dtype=np.int64)
    left = np.full(len(home), np.inf)
    for name in policy.named("household"):
        # an unknown count is refused for that, whoever else lives there
        counted = columns.values(profile[contact.column(name)], np.inf)
        left = np.minimum(left, policy.caps[name].max_contacts - counted)
    return home, left


def _best(base: Base, bundle: Bundle) -> tuple[Floats, Integers]:
    """Return what the best offer that may be made to each customer is worth, 0 where there is none, and its product."""
    worth, product = [], []
    for block in frame.blocks(base, bundle.features, bundle.settings, bundle.settings.block_customers):
        found = assess(block, bundle)
        values = np.where(found.open, found.worth.value, 0.0)
        worth.append(values.max(axis=1))
        product.append(values.argmax(axis=1))
    return np.concatenate(worth), np.concatenate(product)
