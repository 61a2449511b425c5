"""What a bank could lend to each of its customers: every customer and family of credit decided, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.config.risk import RiskSettings
from engine.domain.credit_reasons import BITS, OUTCOMES, REASONS, CreditOutcome
from engine.domain.risk_marts import CREDIT_DECISIONS, CREDIT_REASONS
from engine.domain.words import PRODUCT_FAMILIES, RiskTier
from engine.lake.schema import arrow_schema, naive_utc, to_contract
from engine.risk import overrides
from engine.risk.columns import Flags, Floats, Instants, Integers, flags, instants, numbers, plain
from engine.risk.credit import SCORE_REASONS, CreditBlock, CreditDecision, decide_credit
from engine.risk.gate import Say, Watch
from engine.risk.overrides import Departed, Override
from engine.risk.pricing import BANDS, margin_rate
from engine.risk.tiers import TIERS, is_fresh

_DECLINE: Final = OUTCOMES.index(CreditOutcome.DECLINE)
_TOLD_BY_SIGNAL: Final = sum(1 << BITS[code] for code in ("SIGNAL_MISSING", "SIGNAL_STALE", "FAMILY_NOT_LENT"))
"""Reasons that the gate knows by itself: a decline for these alone is not said again."""
_DECLINES: Final = sum(1 << bit for bit, one in enumerate(REASONS) if one.outcome == CreditOutcome.DECLINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lending:
    """What was decided for n customers: the rows of the mart credit_decisions and what that means for the gate.

    `may_increase` tells whose line of credit the policy would approve without a person. `holds` and `only` count, by
    the bit of each reason, the decisions for which it holds and those for which no other does.
    """

    rows: pa.Table
    say: Say
    may_increase: Flags
    holds: Integers
    only: Integers

    def without_rows(self) -> Lending:
        """Return the same once its rows are written, so that they need not be held."""
        return replace(self, rows=self.rows.slice(0, 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Customers:
    """n customers side by side: rows of the mart risk, of `standing.standing`, what they live on, and the watch.

    `living` is what was spent on living a month, NaN where it is not known.
    """

    risk: pa.Table
    known: pa.Table
    living: Floats
    watch: Watch

    def rows(self, start: int, length: int) -> Customers:
        """Return a stretch of the customers."""
        return Customers(
            risk=self.risk.slice(start, length),
            known=self.known.slice(start, length),
            living=self.living[start : start + length],
            watch=self.watch.rows(slice(start, start + length)),
        )


def requests(customers: Customers, settings: RiskSettings, as_of: datetime) -> CreditBlock:
    """Return the customers as requests of no family yet."""
    risk, known, watch = customers.risk, customers.known, customers.watch
    now, size = np.datetime64(naive_utc(as_of), "us"), risk.num_rows
    words = pa.array([str(tier) for tier in TIERS])
    tier = pc.fill_null(pc.index_in(plain(risk["risk_tier"]), value_set=words), TIERS.index(RiskTier.UNKNOWN))
    days_past_due = numbers(known["days_past_due"])
    return CreditBlock(
        customer_ids=plain(risk["customer_id"]),
        family=np.zeros(size, dtype=np.int64),
        tier=np.asarray(tier.to_numpy(), dtype=np.int64),
        default_probability=numbers(risk["default_probability"]),
        is_fresh=is_fresh(instants(risk["signal_at"]), now, settings.signal_max_age_days),
        missing_share=numbers(risk["signal_missing_share"]),
        days_past_due=days_past_due,
        delay_elsewhere=numbers(known["delay_elsewhere_days"]),
        in_default=flags(known["has_defaulted"]) | (days_past_due > settings.staging.stage_3_after_days),
        vulnerable=flags(known["vulnerable"]),
        hardship=flags(known["hardship"]),
        income=numbers(known["income_minor"]),
        debts=numbers(known["debts_minor"]),
        living=customers.living,
        dependants=numbers(known["dependants"]),
        requested=np.full(size, np.nan),
        medium_as_high=watch.medium_as_high,
        needs_person=watch.needs_person,
    )


def lend(
    given: Customers, families: Sequence[str], made: Sequence[Override], settings: RiskSettings, as_of: datetime
) -> Lending:
    """Decide every family of credit for every customer, as if as much as possible were asked for.

    Each family is decided as if nothing else were taken: two limits together may be more than a household can carry.
    `families` are in the order of their names.
    """
    customers = requests(given, settings, as_of)
    places = np.repeat(np.arange(customers.size), len(families))
    codes = np.array([PRODUCT_FAMILIES.index(family) for family in families], dtype=np.int64)
    block = _of_families(customers.rows(places), np.tile(codes, customers.size))
    policy = decide_credit(block, settings.credit)
    departed = overrides.apply(policy, block, made, as_of, settings.overrides)
    reasons = [plain(given.risk[f"reason_{rank}"]).take(pa.array(places)) for rank in (1, 2, 3)]
    rows = _rows(block, policy, departed, reasons, settings)
    shape = (customers.size, len(families))
    held, until = overrides.holds(made, customers.customer_ids, as_of)
    approved = (departed.decision.outcome == 0) & (block.family == PRODUCT_FAMILIES.index("card"))
    masks = policy.reason_mask
    return Lending(
        rows=rows,
        say=Say(
            declined_families=_declined(departed, masks).reshape(shape) @ (1 << codes),
            hold=held,
            until=_earliest(until, departed.until.reshape(shape)),
        ),
        may_increase=approved.reshape(shape).any(axis=1),
        holds=np.array([int((masks >> bit & 1).sum()) for bit in range(len(REASONS))]),
        only=np.array([int((masks == 1 << bit).sum()) for bit in range(len(REASONS))]),
    )


def reason_rows(parts: Sequence[Lending]) -> pa.Table:
    """Return the mart credit_reasons: every reason with its sentences and how often it held, over all blocks."""
    holds, only = np.sum([part.holds for part in parts], axis=0), np.sum([part.only for part in parts], axis=0)
    rows = [
        {
            "bit": bit,
            "reason_code": reason.code,
            "kind": reason.kind,
            "outcome": str(reason.outcome),
            "text_en": reason.text_en,
            "text_zh": reason.text_zh,
            "decisions": int(holds[bit]),
            "decisions_only_by_this": int(only[bit]),
        }
        for bit, reason in enumerate(REASONS)
    ]
    return to_contract(CREDIT_REASONS, pa.Table.from_pylist(rows, arrow_schema(CREDIT_REASONS)))


def _of_families(block: CreditBlock, family: Integers) -> CreditBlock:
    return CreditBlock(
        **{name: getattr(block, name) for name in CreditBlock.__slots__ if name != "family"}, family=family
    )


def _declined(departed: Departed, masks: Integers) -> Integers:
    """Return 1 for each decision that declines for more than what the gate knows by itself."""
    by_person = departed.override_ids > 0
    more = masks & _DECLINES & ~_TOLD_BY_SIGNAL != 0
    declined: Integers = ((departed.decision.outcome == _DECLINE) & (more | by_person)).astype(np.int64)
    return declined


def _earliest(until: Instants, by_family: Instants) -> Instants:
    earliest = until.copy()
    for place in range(by_family.shape[1]):
        earliest = np.fmin(earliest, by_family[:, place])
    return earliest


def _rows(
    block: CreditBlock, policy: CreditDecision, departed: Departed, reasons: Sequence[pa.Array], settings: RiskSettings
) -> pa.Table:
    """Return the decisions as rows, in the order of the block, which is that of the mart's key."""
    made, outcomes = departed.decision, pa.array([str(word) for word in OUTCOMES])
    collateral = {str(name): terms.collateral for name, terms in settings.credit.families.items()}
    by_score = (policy.reason_mask & SCORE_REASONS) != 0
    nothing = pa.nulls(block.size, pa.string())
    columns = {
        "customer_id": block.customer_ids,
        "family": pa.array(PRODUCT_FAMILIES).take(pa.array(block.family)),
        "outcome": outcomes.take(pa.array(made.outcome)),
        "annual_rate": pa.array(made.price, from_pandas=True),
        "margin_rate": pa.array(_margins(block, made.price, settings), from_pandas=True),
        "price_band": pa.array(list(BANDS)).take(pa.array(made.band, mask=(made.band < 0) | np.isnan(made.price))),
        "limit_minor": _whole(made.limit),
        "instalment_minor": _whole(made.instalment),
        "term_months": _whole(made.term_months),
        "collateral": pa.array([collateral.get(name) for name in PRODUCT_FAMILIES]).take(pa.array(block.family)),
        "verify": made.verify,
        "reason_mask": made.reason_mask,
        "reason_codes": _codes(made.reason_mask),
        **{
            f"score_reason_{rank}": pc.if_else(pa.array(by_score), column, nothing)
            for rank, column in enumerate(reasons, start=1)
        },
        "policy_outcome": outcomes.take(pa.array(policy.outcome)),
        "policy_limit_minor": _whole(policy.limit),
        "override_id": pa.array(departed.override_ids, mask=departed.override_ids == 0),
    }
    return pa.table(columns).select(CREDIT_DECISIONS.names).cast(arrow_schema(CREDIT_DECISIONS))


def _margins(block: CreditBlock, price: Floats, settings: RiskSettings) -> Floats:
    lent = {str(name): terms for name, terms in settings.credit.families.items()}
    costs = [
        (lent[name].cost_of_funds_rate, lent[name].operating_cost_rate) if name in lent else (np.nan, np.nan)
        for name in PRODUCT_FAMILIES
    ]
    funds, operations = np.array(costs, dtype=np.float64)[block.family].T
    return margin_rate(price, probability=block.default_probability, funds=funds, operations=operations)


def _codes(masks: Integers) -> pa.Array:
    different, place = np.unique(masks, return_inverse=True)
    words = [" ".join(one.code for bit, one in enumerate(REASONS) if int(mask) >> bit & 1) for mask in different]
    return pa.array(words, pa.string()).take(pa.array(place))


def _whole(amounts: Floats) -> pa.Array:
    unknown = np.isnan(amounts)
    return pa.array(np.where(unknown, 0, amounts).astype(np.int64), mask=unknown)
