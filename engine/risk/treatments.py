"""What to do with each customer: the first rule that fits, as a table with channel, limits, terms and reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

import numpy as np
import pyarrow as pa

from engine.config.treatments import TreatmentRule, TreatmentSettings
from engine.domain.risk_marts import RISK_TREATMENTS
from engine.domain.words import RiskTier
from engine.lake.schema import naive_utc, to_contract
from engine.risk.columns import Flags, Floats, Instants, Integers
from engine.risk.tiers import TIERS

_CHANGES: Final = ("keep", "freeze", "decrease", "increase")
_WITHHELD: Final = ("no_line", "not_approved")


@dataclass(frozen=True, slots=True, kw_only=True)
class TreatmentBlock:
    """n customers with all that the rules look at.

    `days_past_due` is NaN where unknown. `contacts` counts those sent within the window, `last_contact_at` is NaT for
    never. `line_limit` is the sum of limits of lines of credit, NaN for none; `may_increase` tells where the lending
    policy would approve a line without a person.
    """

    customer_ids: pa.Array
    tier: Integers
    days_past_due: Floats
    vulnerable: Flags
    hardship: Flags
    fraud_block: Flags
    in_collections: Flags
    in_default: Flags
    has_credit: Flags
    stage_2: Flags
    contacts: Floats
    last_contact_at: Instants
    line_limit: Floats
    may_increase: Flags

    @property
    def size(self) -> int:
        """How many customers there are."""
        return len(self.tier)

    def rows(self, part: slice) -> TreatmentBlock:
        """Return a stretch of the customers."""
        return TreatmentBlock(**{field.name: getattr(self, field.name)[part] for field in fields(self)})


def first_rule(block: TreatmentBlock, settings: TreatmentSettings) -> Integers:
    """Return the place among the rules of the first that fits each customer; the last rule fits everybody."""
    chosen = np.full(block.size, len(settings.rules) - 1, dtype=np.int64)
    for place in reversed(range(len(settings.rules))):
        chosen[_fits(block, settings.rules[place])] = place
    return chosen


def treat(block: TreatmentBlock, settings: TreatmentSettings, as_of: datetime) -> pa.Table:
    """Return the mart risk_treatments: one row per customer, whose treatment depends on that customer alone.

    Nobody is contacted before the rule's waiting time is over, nor while as many contacts as are allowed lie within the
    window. A vulnerable customer is contacted by persons only, whichever rule fits. A limit is raised only where the
    lending policy would approve it without a person.
    """
    place, rules = first_rule(block, settings), settings.rules
    limit_change, limit_reason = _limit_change(block, place, rules)
    channel = _channels(block, place, rules)
    columns: dict[str, Any] = {
        "customer_id": block.customer_ids,
        "treatment": _words([rule.name for rule in rules], place),
        "kind": _words([rule.kind for rule in rules], place),
        "reason_en": _words([rule.reason_en for rule in rules], place),
        "reason_zh": _words([rule.reason_zh for rule in rules], place),
        "channel": channel,
        "needs_person": np.array([rule.needs_person for rule in rules])[place] | block.vulnerable,
        "not_before": pa.array(_not_before(block, place, settings, as_of), mask=np.asarray(channel.is_null())),
        "contacts": block.contacts.astype(np.int64),
        "self_cure_rate": _words([rule.self_cure_rate for rule in rules], place),
        "limit_change": _words(_CHANGES, limit_change),
        "limit_reason": _words([*_WITHHELD, *(rule.name for rule in rules)], limit_reason),
        "limit_minor": _whole(block.line_limit),
        "proposed_limit_minor": _whole(_proposed(block, place, limit_change, settings)),
        "terms_change": _words([rule.terms for rule in rules], place),
    }
    return to_contract(RISK_TREATMENTS, pa.table(columns))


def _fits(block: TreatmentBlock, rule: TreatmentRule) -> Flags:
    late = np.nan_to_num(block.days_past_due, nan=0.0)
    fits: Flags = np.isin(block.tier, [TIERS.index(RiskTier(tier)) for tier in rule.tiers]) & (late >= rule.from_days)
    if rule.to_days is not None:
        fits &= late <= rule.to_days
    for sign in rule.signs:
        fits &= getattr(block, sign)
    return fits


def _not_before(block: TreatmentBlock, place: Integers, settings: TreatmentSettings, as_of: datetime) -> Instants:
    now = np.datetime64(naive_utc(as_of), "us")
    waits = np.array([rule.wait_days for rule in settings.rules])[place].astype("timedelta64[D]")
    free = block.last_contact_at + np.timedelta64(settings.contact_window_days, "D")
    capped = (block.contacts >= settings.max_contacts) & ~np.isnat(free)
    return np.where(capped, np.fmax(now + waits, free), now + waits).astype("datetime64[us]")


def _limit_change(
    block: TreatmentBlock, place: Integers, rules: tuple[TreatmentRule, ...]
) -> tuple[Integers, Integers]:
    """Return the places of the change among _CHANGES and of its reason among the withheld ones and the rules."""
    wanted = np.array([_CHANGES.index(rule.limit) for rule in rules])[place]
    none = np.isnan(block.line_limit)
    withheld = (wanted == _CHANGES.index("increase")) & ~block.may_increase
    change = np.where(withheld | none, _CHANGES.index("keep"), wanted)
    reason = np.where(none, 0, np.where(withheld, 1, place + len(_WITHHELD)))
    return change, reason


def _proposed(block: TreatmentBlock, place: Integers, change: Integers, settings: TreatmentSettings) -> Floats:
    share = np.array([rule.limit_share for rule in settings.rules])[place]
    sign = np.array([0.0, 0.0, -1.0, 1.0])[change]
    moved = np.floor(block.line_limit * (1.0 + sign * share) / settings.round_limit_to_minor)
    return np.where(sign == 0, block.line_limit, moved * settings.round_limit_to_minor)


def _channels(block: TreatmentBlock, place: Integers, rules: tuple[TreatmentRule, ...]) -> pa.Array:
    """Return how to make contact: to a vulnerable customer a person speaks, whatever the rule would send."""
    none = [rule.channel is None for rule in rules]
    spoken = block.vulnerable & ~np.array(none)[place]
    words = pa.array([*(rule.channel for rule in rules), "phone"], pa.string())
    return words.take(pa.array(np.where(spoken, len(rules), place)))


def _words(values: Sequence[Any], place: Integers) -> pa.Array:
    return pa.array(values).take(pa.array(place))


def _whole(amounts: Floats) -> pa.Array:
    unknown = np.isnan(amounts)
    return pa.array(np.where(unknown, 0, amounts).astype(np.int64), mask=unknown)
