"""All rows of the register that are of one customer, whichever table they stand in."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlmodel import Session

from engine.store.tables import Stored

COLUMN = "customer_id"


def of_customer(session: Session, customer_id: str) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of a customer by table; a table with a customer's id and no row of this one is there, empty."""
    found = {}
    for name, table in sorted(Stored.metadata.tables.items()):
        if COLUMN in table.c:
            query = select(table).where(table.c[COLUMN] == customer_id)
            found[name] = [dict(row._mapping) for row in session.connection().execute(query)]
    return found
