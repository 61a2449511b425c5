"""The gate: what may be offered to each customer, with every reason and an instant after which to ask again.

It fails closed: a signal that is missing, undated, too old or of the future refuses credit, and whoever has no answer
of the gate at all is offered nothing. All reasons are always looked at; none hides another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.config.credit import GateSettings
from engine.config.risk_oversight import CautionEffect
from engine.domain.risk_gate import BITS, EFFECTS, HOLD_ALL_APART, HOLD_CREDIT_APART, OUTCOMES, REASONS
from engine.domain.risk_marts import RISK_GATE, RISK_GATE_REASONS
from engine.domain.words import PRODUCT_FAMILIES, RiskTier
from engine.lake.schema import arrow_schema, naive_utc, to_contract
from engine.risk.caution import Caution, effects
from engine.risk.columns import Flags, Floats, Instants, Integers, flags, instants, never, numbers, plain
from engine.risk.standing import WARNINGS
from engine.risk.tiers import TIERS, is_fresh

ALL_FAMILIES: Final = (1 << len(PRODUCT_FAMILIES)) - 1
"""The mask of all product families: bit i stands for PRODUCT_FAMILIES[i]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What monitoring says of n customers: how careful to be, and until when the last assessment holds.

    `medium_as_high` is set where a medium tier counts as high for new credit, `needs_person` where nothing may be
    approved without a person looking at it. `reassess_at` is NaT where no reassessment is due.
    """

    medium_as_high: Flags
    needs_person: Flags
    reassess_at: Instants

    @classmethod
    def of(cls, cautions: Iterable[Caution], customers: int, reassess_at: Instants | None = None) -> Watch:
        """Return what cautions about the model mean for each of its customers; without any, nothing."""
        told = effects(cautions)
        person = CautionEffect.NO_FAST_TRACK in told or CautionEffect.REFER_NOT_APPROVE in told
        return cls(
            medium_as_high=np.full(customers, CautionEffect.MEDIUM_AS_HIGH in told),
            needs_person=np.full(customers, person),
            reassess_at=never(customers) if reassess_at is None else reassess_at,
        )

    def rows(self, part: slice) -> Watch:
        """Return what is said of a stretch of the customers."""
        return Watch(
            medium_as_high=self.medium_as_high[part],
            needs_person=self.needs_person[part],
            reassess_at=self.reassess_at[part],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class GateBlock:
    """n customers with all that the gate looks at.

    `tier` is a place in `tiers.TIERS`; `kyc_ok` is 1, 0 or NaN for unknown, `kyc_expires_at` the instant at which the
    check ceases to hold, NaT for never;
    `days_past_due` is NaN where nothing is known of delays, which is no delay; `declined_families` has bit i set where
    credit of PRODUCT_FAMILIES[i] would be declined; `hold` is a person's word that nothing be offered until
    `hold_until`, and `override_until` the end of any other override that the answer rests on.
    """

    customer_ids: pa.Array
    tier: Integers
    default_probability: Floats
    signal_at: Instants
    kyc_ok: Floats
    kyc_expires_at: Instants
    has_complaint: Flags
    days_past_due: Floats
    in_collections: Flags
    in_default: Flags
    vulnerable: Flags
    hardship: Flags
    fraud_block: Flags
    declined_families: Integers
    medium_as_high: Flags
    needs_person: Flags
    reassess_at: Instants
    hold: Flags
    override_until: Instants

    @property
    def size(self) -> int:
        """How many customers there are."""
        return len(self.tier)

    def rows(self, part: slice) -> GateBlock:
        """Return a stretch of the customers."""
        return GateBlock(**{field.name: getattr(self, field.name)[part] for field in fields(self)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """What the lending decision and persons say of n customers, beside their grade and standing.

    `declined_families` as in GateBlock; `hold` where a person wants nothing offered; `until` is the end of the
    overrides that either rests on, NaT for none.
    """

    declined_families: Integers
    hold: Flags
    until: Instants

    @classmethod
    def nothing(cls, customers: int) -> Say:
        """Return what is said where nothing was decided."""
        none = np.zeros(customers, dtype=np.int64)
        return cls(declined_families=none, hold=none.astype(bool), until=never(customers))

    @classmethod
    def joined(cls, parts: Sequence[Say]) -> Say:
        """Return what was said of several blocks of customers, one after the other."""
        return cls(
            declined_families=np.concatenate([part.declined_families for part in parts]),
            hold=np.concatenate([part.hold for part in parts]),
            until=np.concatenate([part.until for part in parts]),
        )


def block_of(risk: pa.Table, found: pa.Table, watch: Watch, say: Say) -> GateBlock:
    """Return the customers of the mart risk with their standing (see `standing.standing`) beside them.

    All are in that order already. Whoever has no row of standing has no valid identity check.
    """
    days_past_due = numbers(found["days_past_due"])
    words = pa.array([str(tier) for tier in TIERS])
    tier = pc.fill_null(pc.index_in(plain(risk["risk_tier"]), value_set=words), TIERS.index(RiskTier.UNKNOWN))
    return GateBlock(
        customer_ids=plain(risk["customer_id"]),
        tier=tier.to_numpy().astype(np.int64),
        default_probability=numbers(risk["default_probability"]),
        signal_at=instants(risk["signal_at"]),
        kyc_ok=np.where(flags(pc.is_valid(found["customer_id"])), numbers(found["kyc_ok"]), 0.0),
        kyc_expires_at=instants(found["kyc_expires_at"]),
        has_complaint=flags(found["has_complaint"]),
        days_past_due=days_past_due,
        in_default=flags(found["has_defaulted"]),
        declined_families=say.declined_families,
        medium_as_high=watch.medium_as_high,
        needs_person=watch.needs_person,
        reassess_at=watch.reassess_at,
        hold=say.hold,
        override_until=say.until,
        **{name: flags(found[name]) for name in WARNINGS},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class GateTable:
    """What the gate answered for n customers.

    `outcome` is a place in `risk_gate.OUTCOMES`; bit i of `reason_mask` is reason i of `risk_gate.REASONS`; the family
    masks have bit i set for PRODUCT_FAMILIES[i]: those whose credit is refused for any reason, for the tier, and for a
    reason that has no bit of its own in a decision. `is_held` says that such a reason refuses every offer. After
    `expires_at` the answer must not be used.
    """

    customer_ids: pa.Array
    outcome: Integers
    reason_mask: Integers
    refused_families: Integers
    tier_families: Integers
    held_families: Integers
    is_held: Flags
    needs_person: Flags
    expires_at: Instants

    def table(self) -> pa.Table:
        """Return the mart risk_gate."""
        columns = {
            "customer_id": self.customer_ids,
            "outcome": pa.array([str(word) for word in OUTCOMES]).take(pa.array(self.outcome)),
            "reason_mask": self.reason_mask,
            "reason_codes": _codes(self.reason_mask),
            "refused_families": self.refused_families,
            "tier_families": self.tier_families,
            "held_families": self.held_families,
            "is_held": self.is_held,
            "needs_person": self.needs_person,
            "expires_at": pa.array(self.expires_at),
        }
        return to_contract(RISK_GATE, pa.table(columns))


def gate(block: GateBlock, settings: GateSettings, as_of: datetime, max_age_days: int) -> GateTable:
    """Answer for every customer what may be offered; rows never influence each other.

    Parameters
    ----------
    max_age_days : days after which a risk signal is too old to lend on.

    Returns
    -------
    GateTable
        Where the outcome is not "allow", or credit of a family that is lent at all is refused, at least one reason is
        given. `expires_at` is never later than the age limit of a signal that the answer rests on.
    """
    now = np.datetime64(naive_utc(as_of), "us")
    fresh = is_fresh(block.signal_at, now, max_age_days)
    too_risky = _too_risky(block.tier, settings)
    own = {
        "risk_tier": too_risky,
        "credit_declined": block.declined_families & ~too_risky,
        "caution": _too_risky(_cautious(block), settings) & ~too_risky,
    }
    found = _found(block, settings, fresh=fresh, own=own, now=now)
    levels = {name: EFFECTS.index(effect) for name, effect in settings.effects.items()}
    # some reasons are about credit of one family, most about all
    families = {
        name: own[name] if name in own else np.where(holds, ALL_FAMILIES, 0)
        for name, holds in found.items()
        if levels[name] > 0
    }
    return GateTable(
        customer_ids=block.customer_ids,
        outcome=_highest(found, levels, block.size),
        reason_mask=_union({name: holds.astype(np.int64) << BITS[name] for name, holds in found.items()}, block.size),
        refused_families=_union(families, block.size),
        tier_families=too_risky,
        held_families=_union(_but(families, HOLD_CREDIT_APART), block.size),
        needs_person=block.needs_person,
        is_held=_highest(_but(found, HOLD_ALL_APART), levels, block.size) > 0,
        expires_at=_expiry(block, settings, now=now, fresh=fresh, max_age_days=max_age_days),
    )


def _cautious(block: GateBlock) -> Integers:
    medium, high = TIERS.index(RiskTier.MEDIUM), TIERS.index(RiskTier.HIGH)
    return np.where(block.medium_as_high & (block.tier == medium), high, block.tier)


def _highest(found: Mapping[str, Flags], levels: Mapping[str, int], size: int) -> Integers:
    """Return the place among the outcomes that the strictest reason of each customer leads to."""
    level = np.zeros(size, dtype=np.int64)
    for name, holds in found.items():
        # a note and a refusal of credit both leave the outcome at "allow"
        np.maximum(level, np.where(holds, max(0, levels[name] - 1), 0), out=level)
    return level


def _union(masks: Mapping[str, Integers], size: int) -> Integers:
    union = np.zeros(size, dtype=np.int64)
    for mask in masks.values():
        union |= mask
    return union


def _but(found: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: values for name, values in found.items() if name not in names}


def _found(
    block: GateBlock, settings: GateSettings, *, fresh: Flags, own: Mapping[str, Integers], now: Any
) -> dict[str, Flags]:
    """Return whom each reason holds for, in the order of the bits."""
    probability = block.default_probability
    known = (block.tier != TIERS.index(RiskTier.UNKNOWN)) & (probability >= 0) & (probability <= 1)
    kyc = np.where(np.isnan(block.kyc_ok), settings.kyc_verified, block.kyc_ok == 1)
    found = {
        "risk_unknown": ~known,
        "risk_stale": ~fresh,
        "risk_tier": own["risk_tier"] & lent(settings) != 0,
        "kyc": ~kyc | (block.kyc_expires_at <= now),
        "open_complaint": block.has_complaint,
        "in_arrears": block.days_past_due >= settings.arrears_from_days,
        "in_collections": block.in_collections,
        "in_default": block.in_default,
        "vulnerable": block.vulnerable,
        "hardship": block.hardship,
        "fraud_block": block.fraud_block,
        "credit_declined": own["credit_declined"] != 0,
        "caution": own["caution"] != 0,
        "reassessment_overdue": block.reassess_at < now,
        "override_hold": block.hold,
    }
    return {name: np.asarray(found[name], dtype=bool) for name in BITS}


def lent(settings: GateSettings) -> int:
    """Return the mask of the families whose credit is lent to somebody: of the others no customer is to blame."""
    limits = {str(family): str(tier) for family, tier in settings.max_risk_tier.items()}
    return sum(1 << bit for bit, family in enumerate(PRODUCT_FAMILIES) if limits.get(family, "none") != "none")


def _too_risky(tier: Integers, settings: GateSettings) -> Integers:
    """Return the families whose credit the tier is too high for; of a family without a limit, every tier is."""
    limits = {str(family): str(tier) for family, tier in settings.max_risk_tier.items()}
    found = np.zeros(len(tier), dtype=np.int64)
    for bit, family in enumerate(PRODUCT_FAMILIES):
        limit = limits.get(family, "none")
        highest = -1 if limit == "none" else TIERS.index(RiskTier(limit))
        found |= (tier > highest).astype(np.int64) << bit
    return found


def _expiry(block: GateBlock, settings: GateSettings, *, now: Any, fresh: Flags, max_age_days: int) -> Instants:
    """Return the earliest instant at which anything that the answer rests on ceases to hold."""
    expiry = np.full(block.size, now + np.timedelta64(settings.valid_days, "D"))
    signal_ends = np.where(fresh, block.signal_at + np.timedelta64(max_age_days, "D"), np.datetime64("NaT"))
    for ends in (signal_ends, block.kyc_expires_at, block.reassess_at, block.override_until):
        # what has ended already is a reason by itself; fmin passes over NaT
        expiry = np.fmin(expiry, np.where(ends >= now, ends, np.datetime64("NaT")))
    return expiry.astype("datetime64[us]")


def count(answers: GateTable, settings: GateSettings) -> pa.Table:
    """Return the mart risk_gate_reasons: every reason with its sentences, its effect and whom it held back."""
    rows = [
        {
            "bit": bit,
            "reason": reason.name,
            "reason_code": reason.code,
            "text_en": reason.text_en,
            "text_zh": reason.text_zh,
            "effect": settings.effects[reason.name],
            "customers": int((answers.reason_mask >> bit & 1).sum()),
            "customers_only_by_this": int((answers.reason_mask == 1 << bit).sum()),
        }
        for bit, reason in enumerate(REASONS)
    ]
    return to_contract(RISK_GATE_REASONS, pa.Table.from_pylist(rows, arrow_schema(RISK_GATE_REASONS)))


def _codes(masks: Integers) -> pa.Array:
    """Return the codes of the reasons of each mask, with a space between; empty text where there is none."""
    different, place = np.unique(masks, return_inverse=True)
    words = [" ".join(one.code for bit, one in enumerate(REASONS) if int(mask) >> bit & 1) for mask in different]
    return pa.array(words, pa.string()).take(pa.array(place))
