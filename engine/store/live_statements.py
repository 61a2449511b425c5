"""The statements of a live turn, in the words of each database: a decision makes few, and none is composed anew.

Lists go in as one value, so that a statement has one text however many customers it asks about.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

SHOW_A_CONTACT: Final = ("sent", "delivered", "opened", "clicked", "bounced")
"""Reports that tell of a contact: who opened a message was sent it, whether that was reported or not."""

MADE, REPORTED, HELD = "made", "reported", "held"
"""What a row of `Statements.known` tells: a live contact, a report of a contact, a cause not to contact."""

_TYPES: Final = ", ".join(f"'{name}'" for name in SHOW_A_CONTACT)
_NONE: Final = "CAST(NULL AS VARCHAR)"
# a message is, as the curated table has it, that of its id, else what one recommendation or run sent on a channel
_KNOWN: Final = f"""
SELECT '{MADE}', customer_id, channel, at, decision_id, {_NONE}, {_NONE}, {_NONE}
FROM live_contacts WHERE customer_id {{among}} AND at > {{one}}
UNION ALL
SELECT '{REPORTED}', customer_id, channel, occurred_at, decision_id, event_id,
coalesce(message_id, recommendation_id, run_id, event_id), product_id
FROM feedback_events WHERE customer_id {{among}} AND type IN ({_TYPES}) AND NOT machine_open AND occurred_at > {{one}}
UNION ALL
SELECT '{HELD}', customer_id, channel, since, {_NONE}, reason, {_NONE}, {_NONE}
FROM suppressions WHERE customer_id {{among}} AND lifted_at IS NULL
"""
_CHARGE: Final = """
UPDATE api_keys SET rows_left_on = {one},
rows_that_day = CASE WHEN rows_left_on = {one} THEN rows_that_day ELSE 0 END + 1
WHERE key_id = {one} AND (row_cap IS NULL OR CASE WHEN rows_left_on = {one} THEN rows_that_day ELSE 0 END < row_cap)
"""
_ALONE: Final = "SELECT pg_advisory_xact_lock(key) FROM unnest(CAST(%s AS bigint[])) AS key"


@dataclass(frozen=True, slots=True)
class Statements:
    """The statements for one kind of database."""

    is_postgresql: bool
    earlier: str
    known: str
    charge: str
    add_decision: str
    add_contact: str
    decision_row: str
    contact_row: str
    alone: str = _ALONE

    def adding(self, insert: str, row: str, count: int) -> str:
        """Return the statement that adds so many rows: one step of the database in place of one a row."""
        return insert + ", ".join([row] * count)

    def listed(self, values: Sequence[str]) -> Any:
        """Return a list as the one value that a statement takes."""
        return list(values) if self.is_postgresql else json.dumps(list(values))

    def moment(self, moment: datetime) -> Any:
        """Return an instant as the database stores it."""
        at = moment.astimezone(UTC)
        return at if self.is_postgresql else at.replace(tzinfo=None).isoformat(" ", "microseconds")


def statements(dialect: str, decision: Sequence[str], contact: Sequence[str]) -> Statements:
    """Return the statements for a database, where `decision` and `contact` are the columns of the two tables."""
    is_postgresql = dialect == "postgresql"
    one = "%s" if is_postgresql else "?"
    words = {"one": one, "among": "= ANY(%s)" if is_postgresql else "IN (SELECT value FROM json_each(?))"}

    def add(table: str, columns: Sequence[str]) -> str:
        return f"INSERT INTO {table} ({', '.join(columns)}) VALUES "

    def row(columns: Sequence[str]) -> str:
        return f"({', '.join([one] * len(columns))})"

    earlier = "SELECT request_key, request_hash, code, answer FROM live_decisions WHERE request_key {among}"
    return Statements(
        is_postgresql=is_postgresql,
        earlier=earlier.format(**words),
        known=_KNOWN.format(**words),
        charge=_CHARGE.format(**words),
        add_decision=add("live_decisions", decision),
        add_contact=add("live_contacts", contact),
        decision_row=row(decision),
        contact_row=row(contact),
    )


def aware(moment: Any) -> datetime:
    """Return an instant as it came out of a database, aware and in UTC."""
    told = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return told.replace(tzinfo=UTC) if told.tzinfo is None else told.astimezone(UTC)
