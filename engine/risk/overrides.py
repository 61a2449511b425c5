"""Departures from a decision by a person: always with an owner and an end, upwards only with a second person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from engine.config.credit import OverrideSettings
from engine.domain.credit_reasons import BITS, OUTCOMES, CreditOutcome
from engine.domain.words import PRODUCT_FAMILIES
from engine.lake.schema import naive_utc
from engine.risk.affordability import instalment_of
from engine.risk.columns import Flags, Instants, Integers, never, places
from engine.risk.credit import CreditBlock, CreditDecision

OverrideKind = Literal["approve", "decline", "limit", "hold"]
_APPROVE, _DECLINE = OUTCOMES.index(CreditOutcome.APPROVE), OUTCOMES.index(CreditOutcome.DECLINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """One person's departure from the policy for one customer.

    family : the family of credit; None for every one of them.
    kind : "approve" what was declined or referred, up to `limit_minor`; "decline"; another "limit"; "hold" all offers.
    owner : who answers for it.
    second : who agreed beside the owner; None while nobody has.
    """

    override_id: int
    customer_id: str
    family: str | None
    kind: OverrideKind
    limit_minor: int | None
    owner: str
    second: str | None
    made_at: datetime
    expires_at: datetime

    @property
    def has_two_persons(self) -> bool:
        """Whether somebody other than the owner agreed."""
        return self.second is not None and self.second.strip().casefold() != self.owner.strip().casefold()

    def to_row(self) -> dict[str, Any]:
        """Return the row of the mart risk_overrides."""
        row = {name: getattr(self, name) for name in self.__slots__}
        return row | {"made_at": naive_utc(self.made_at), "expires_at": naive_utc(self.expires_at)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Departed:
    """Decisions after overrides; `override_ids` is 0 where the policy alone decided, `until` NaT there."""

    decision: CreditDecision
    override_ids: Integers
    until: Instants


def in_force(overrides: Iterable[Override], as_of: datetime) -> tuple[Override, ...]:
    """Return the overrides that have not ended, the oldest first: of two the later one has the last word."""
    return tuple(
        sorted((one for one in overrides if one.expires_at > as_of), key=lambda one: (one.made_at, one.override_id))
    )


def apply(
    decision: CreditDecision,
    block: CreditBlock,
    overrides: Sequence[Override],
    as_of: datetime,
    settings: OverrideSettings,
) -> Departed:
    """Return the decisions as persons want them, where they may.

    One person may decline, or lower a limit. Only two may approve what the policy did not, or raise a limit, and nobody
    lifts the reasons that `never_lifted` names. An override that has ended, or lacks the second person it needs,
    changes nothing. The mask of reasons stays: why the policy had decided otherwise is part of the record.
    """
    made = Departed(decision=decision, override_ids=np.zeros(block.size, dtype=np.int64), until=never(block.size))
    barred = sum(1 << BITS[code] for code in settings.never_lifted)
    live = [one for one in in_force(overrides, as_of) if one.kind != "hold"]
    for one, of_customer in _touched(live, block.customer_ids):
        asked = None if one.family is None else PRODUCT_FAMILIES.index(one.family)
        rows = of_customer if asked is None else of_customer[block.family[of_customer] == asked]
        if len(rows):
            made = _departed(made, one, rows, barred)
    return made


def holds(overrides: Iterable[Override], customer_ids: pa.Array, as_of: datetime) -> tuple[Flags, Instants]:
    """Return whose offers a person put on hold, and until when; one person is enough."""
    held, until = np.zeros(len(customer_ids), dtype=bool), never(len(customer_ids))
    live = [one for one in in_force(overrides, as_of) if one.kind == "hold"]
    for one, rows in _touched(live, customer_ids):
        held[rows], until[rows] = True, np.fmin(until[rows], np.datetime64(naive_utc(one.expires_at), "us"))
    return held, until


def _touched(overrides: Sequence[Override], customer_ids: pa.Array) -> Iterator[tuple[Override, Integers]]:
    """Return each override with the rows of its customer; the ids are gone through once, however many there are."""
    names = pa.array(sorted({one.customer_id for one in overrides}), pa.string())
    code = places(customer_ids, names)
    found = np.flatnonzero(code >= 0)
    for one in overrides:
        yield one, found[code[found] == names.index(one.customer_id).as_py()]


def _departed(made: Departed, one: Override, rows: Integers, barred: int) -> Departed:
    """Return the decisions with one override, where it may be: outcome, limit, price and what follows from them."""
    now = made.decision
    outcome, limit, price, verify = now.outcome.copy(), now.limit.copy(), now.price.copy(), now.verify.copy()
    if one.kind == "decline":
        changed = rows
        outcome[changed], limit[changed], price[changed], verify[changed] = _DECLINE, np.nan, np.nan, False
    elif one.kind == "approve":
        changed = rows[_may_be_approved(one, now, rows, barred)]
        # what the policy did not approve is paid out only after the income was seen
        outcome[changed], limit[changed], price[changed], verify[changed] = (
            _APPROVE,
            one.limit_minor,
            now.quoted[changed],
            True,
        )
    elif one.limit_minor is not None:
        changed = rows[_may_be_limited(one, now, rows)]
        verify[changed] |= ~(now.limit[changed] >= one.limit_minor)
        limit[changed] = one.limit_minor
    else:
        changed = rows[:0]
    ids, until, instalment = made.override_ids.copy(), made.until.copy(), now.instalment.copy()
    ids[changed] = one.override_id
    until[changed] = np.fmin(until[changed], np.datetime64(naive_utc(one.expires_at), "us"))
    instalment[changed] = instalment_of(
        limit[changed], price[changed], now.term_months[changed], now.repayment_share[changed]
    )
    changed_decision = replace(now, outcome=outcome, limit=limit, price=price, verify=verify, instalment=instalment)
    return Departed(decision=changed_decision, override_ids=ids, until=until)


def _may_be_approved(one: Override, now: CreditDecision, rows: Integers, barred: int) -> Flags:
    """Tell which rows two persons may approve: what no reason bars, at a price that may be asked."""
    if one.limit_minor is None or not one.has_two_persons:
        return np.zeros(len(rows), dtype=bool)
    allowed: Flags = (now.reason_mask[rows] & barred == 0) & ~np.isnan(now.quoted[rows])
    return allowed


def _may_be_limited(one: Override, now: CreditDecision, rows: Integers) -> Flags:
    """Tell which rows the limit may be changed of: not what was declined, and upwards only with two persons.

    A limit that could not be told counts as none, so that any amount raises it.
    """
    if one.limit_minor is None:
        return np.zeros(len(rows), dtype=bool)
    lowers = one.limit_minor <= np.nan_to_num(now.limit[rows], nan=0.0)
    allowed: Flags = (now.outcome[rows] != _DECLINE) & (lowers | one.has_two_persons)
    return allowed
