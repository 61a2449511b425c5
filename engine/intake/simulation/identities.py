"""The identifiers that customers are seen with, and where they meet: shared e-mails, a branch's tablet."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from engine.intake.simulation import ids
from engine.intake.simulation.people import People
from engine.intake.simulation.world import DAY, NEVER, Bools, Ints, World

KINDS = ("cookie", "device", "card", "email", "phone", "device")
COOKIE, DEVICE, CARD, EMAIL, PHONE, TABLET = range(6)
BRANCHES = 12  # every branch has one shared tablet


def branch_of(world: World, people: People) -> Ints:
    """Return the branch whose tablet each customer was seen on, or -1."""
    seen = people.number * 2_654_435_761 % 10_000 < 10_000 * world.rules.identity.branch_device_share
    return np.where(seen, people.number % BRANCHES, -1)


def columns(world: World, chunk: int, people: People, has_card: Bools) -> dict[str, pa.Array | Ints]:
    """Return the columns of the identities table, sorted by customer.

    Twins share e-mail and phone with the person's first id; a branch's tablet was seen with many customers.
    """
    rng = world.rng(chunk, "identities")
    size = len(people)
    twin = np.isin(np.arange(size), people.twin_of) | (people.twin_of >= 0)
    has_email, has_phone = rng.random(size) < 0.82, rng.random(size) < 0.93
    tablet = branch_of(world, people) >= 0
    present = [people.web, people.app, has_card, has_email | twin, has_phone | twin, tablet]
    owner = np.concatenate([np.flatnonzero(mask) for mask in present])
    kind = np.concatenate([np.full(int(mask.sum()), code) for code, mask in enumerate(present)])
    order = np.lexsort((kind, owner))
    owner, kind = owner[order], kind[order]
    closed = people.closed[owner]
    last = np.where(closed == NEVER, world.end - rng.integers(0, 60 * DAY, len(owner)), closed)
    first = np.minimum(people.joined[owner] + rng.integers(0, 5 * DAY, len(owner)), world.end)
    return {
        "customer_id": people.ids.take(pa.array(owner)),
        "id_type": ids.words(kind, KINDS),
        "id_value": values(world, people).take(pa.array(kind * size + owner)),
        "first_seen_at": first,
        "last_seen_at": np.maximum(first, last),
    }


def values(world: World, people: People) -> pa.Array:
    """Return the identifiers of all customers, kind after kind: the value of kind k for row i is at k * n + i."""
    person = people.number[np.where(people.twin_of >= 0, people.twin_of, np.arange(len(people)))]
    tablet = branch_of(world, people)
    branch = pa.array([f"branch-{place:02d}" for place in range(BRANCHES)], pa.string())
    return pa.concat_arrays(
        [
            ids.numbered("ck", ids.scrambled(people.number, 9, 1), 9),
            ids.numbered("dv", ids.scrambled(people.number, 9, 2), 9),
            ids.numbered("card", ids.scrambled(people.number, 8, 3), 8),
            ids.numbered("u", ids.scrambled(person, 8, 4), 8, "@mail.example"),
            ids.numbered("+861", ids.scrambled(person, 8, 5), 8),
            branch.take(pa.array(tablet, mask=tablet < 0)),
        ]
    )
