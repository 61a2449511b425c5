"""The arrays that decisions are made of: a catalogue of P products and blocks of n customers.

A block of one customer and a block of 50,000 go through the same code and come out the same to the bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.config.contact import ContactPolicy
from engine.config.recommendations import RecommendationSettings
from engine.domain.words import RiskTier
from engine.recommendations import columns, contact, credit, interest
from engine.recommendations.credit import Credit
from engine.recommendations.grouping import Grouping
from engine.recommendations.inputs import Inputs

Floats: TypeAlias = columns.Floats
Flags: TypeAlias = columns.Flags
Integers: TypeAlias = columns.Integers
Codes: TypeAlias = interest.Codes

TIERS: Final = (RiskTier.LOW, RiskTier.MEDIUM, RiskTier.HIGH, RiskTier.UNKNOWN)
"""In order of risk; the code of a tier is its place here, so that a higher code is never the better risk."""

VALUE_TIERS: Final = ("top", "high", "middle", "low", "none")
"""What a customer earns the bank, the most first; the code of a tier is its place here, -1 for unknown."""

TREATMENTS: Final = ("care", "collections", "prevention", "engagement", "none")
"""Kinds of treatment that risk chooses; the code of a kind is its place here, -1 for unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What models may see of n customers: holdings (n, P), features (n, D) with NaN for unknown, and a group code.

    `steps` (n, P) are codes of how far each went towards each product, see `interest`; None where nobody keeps that.
    """

    owned: Flags
    x: NDArray[np.float32]
    group: Integers
    steps: Codes | None = None

    @property
    def size(self) -> int:
        """How many customers there are."""
        return len(self.owned)

    def rows(self, index: Any) -> View:
        """Return some of the customers."""
        return View(
            owned=self.owned[index],
            x=self.x[index],
            group=self.group[index],
            steps=None if self.steps is None else self.steps[index],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionBlock:
    """n customers, sorted by id, with all that a decision looks at; NaN is unknown.

    `consent` (n, C) is one flag per contact channel in the order of the settings, `contacts` (n, K) what counts against
    each contact cap in theirs; the days since the last contact and complaint are infinite for never, and contacts were
    `unanswered` since the last answer: see `contact.reading`. `asked` and `answered` (n, C) count earlier contacts by
    channel, `contact_hour` is the hour to contact, maybe the customer's own: see `responses`. What risk's gate answered
    stands in `is_answered` (it answered, and the answer still holds), `gate_reasons` (bits as in `risk_gate.REASONS`),
    `is_held` and two masks of product families, bit i for PRODUCT_FAMILIES[i]: see the mart risk_gate. `treatment` is
    the place in TREATMENTS of what risk does with the customer, who is contacted for it in `days_until_contact` at the
    earliest.
    """

    customer_ids: pa.Array
    view: View
    is_open: Flags
    age: Floats
    income: Floats
    debts: Floats
    default_probability: Floats
    tier: Integers
    signal_age_days: Floats
    value_tier: Integers
    pace: Floats
    consent: Flags
    contacts: Floats
    unanswered: Floats
    days_since_contact: Floats
    days_since_complaint: Floats
    asked: Floats
    answered: Floats
    contact_hour: Floats
    hour_is_own: Flags
    is_answered: Flags
    gate_reasons: Integers
    tier_families: Integers
    held_families: Integers
    is_held: Flags
    needs_person: Flags
    gate_expires_at: NDArray[np.datetime64]
    treatment: Integers
    days_until_contact: Floats
    credit: Credit

    @property
    def size(self) -> int:
        """How many customers there are."""
        return self.view.size

    def one(self, row: int) -> DecisionBlock:
        """Return a block of one customer."""
        return self.rows(slice(row, row + 1))

    def rows(self, part: slice | Integers) -> DecisionBlock:
        """Return a stretch of the customers, or those at some places, each as often as its place is named."""
        ids = self.customer_ids[part] if isinstance(part, slice) else self.customer_ids.take(pa.array(part))
        parts: dict[str, Any] = {
            "customer_ids": ids,
            "view": self.view.rows(part),
            "credit": self.credit.rows(part),
        }
        own = {one.name: getattr(self, one.name)[part] for one in fields(self) if one.name not in parts}
        return DecisionBlock(**parts, **own)


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """The customers of one instant, aligned and sorted by id: what blocks are cut from."""

    as_of: datetime
    customer_ids: pa.Array
    owned: Flags
    opened: Flags | None
    steps: Codes
    features: pa.Table
    feature_rows: Integers
    group: Integers
    profile: pa.Table
    risk: pa.Table | None = None
    gate: pa.Table | None = None
    relationship: pa.Table | None = None
    treatments: pa.Table | None = None
    credit: Mapping[str, pa.Table] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many customers there are."""
        return len(self.customer_ids)

    @property
    def ages(self) -> Floats:
        """The age of each customer in years, NaN for unknown."""
        return columns.values(self.profile["age_years"], np.nan)


def align(
    inputs: Inputs,
    product_ids: Sequence[str],
    *,
    grouping: Grouping,
    together: Sequence[str] | None = None,
    risk: pa.Table | None = None,
    gate: pa.Table | None = None,
    decided: pa.Table | None = None,
    treatments: pa.Table | None = None,
    opened_after: datetime | None = None,
) -> Base:
    """Bring all that is known of the customers at one instant into the order of their sorted ids.

    A holding of a product or a customer that is not known is passed over. With `opened_after` the holdings opened
    later than that are marked in `opened`. `decided` is the mart credit_decisions, `treatments` risk_treatments.
    `together` is one label a product, equal for those that customers choose between; without them no step towards one
    product says anything of another.
    """
    profile = inputs.profile.sort_by("customer_id").combine_chunks()
    ids = columns.plain(profile["customer_id"])
    owned, opened = _owned(inputs, ids, product_ids, opened_after)
    return Base(
        as_of=inputs.as_of,
        customer_ids=ids,
        owned=owned,
        opened=opened,
        steps=interest.codes(
            inputs.steps,
            inputs.holdings,
            ids,
            product_ids=product_ids,
            together=product_ids if together is None else together,
            as_of=inputs.as_of,
        ),
        features=inputs.features,
        feature_rows=columns.places(ids, inputs.features["customer_id"]),
        group=grouping.of(columns.values(profile["age_years"], np.nan), inputs.features, ids),
        profile=profile,
        risk=None if risk is None else columns.aligned(risk, ids),
        gate=None if gate is None else columns.aligned(gate, ids),
        relationship=None if inputs.relationship is None else columns.aligned(inputs.relationship, ids),
        treatments=None if treatments is None else columns.aligned(treatments, ids),
        credit={} if decided is None else credit.by_family(decided, ids),
    )


def picked(base: Base, rows: Integers) -> Base:
    """Return some of the customers, at rising rows, as a base of their own; there must be one at least."""
    places = pa.array(rows)

    def taken(held: Any) -> Any:
        if isinstance(held, pa.Table):
            return held.take(places).combine_chunks()
        if isinstance(held, Mapping):
            return {name: taken(table) for name, table in held.items()}
        if held is None:
            return None
        return held.take(places) if isinstance(held, pa.Array) else held[rows]

    # features lie in an order of their own, to which feature_rows point
    apart = ("as_of", "features")
    return replace(base, **{one.name: taken(getattr(base, one.name)) for one in fields(base) if one.name not in apart})


def _owned(
    inputs: Inputs, ids: pa.Array, product_ids: Sequence[str], opened_after: datetime | None
) -> tuple[Flags, Flags | None]:
    customers = columns.places(inputs.holdings["customer_id"], ids)
    products = columns.places(inputs.holdings["product_id"], pa.array(product_ids, pa.string()))
    known = (customers >= 0) & (products >= 0)
    owned = np.zeros((len(ids), len(product_ids)), dtype=bool)
    owned[customers[known], products[known]] = True
    if opened_after is None:
        return owned, None
    opened = np.zeros_like(owned)
    new = known & (inputs.holdings["opened_at"].to_numpy().astype("datetime64[us]") > columns.naive(opened_after))
    opened[customers[new], products[new]] = True
    return owned, opened


def features_of(base: Base, names: Sequence[str], rows: Any) -> NDArray[np.float32]:
    """Return the features (rows, D) in the order of `names`; NaN for unknown, or for a feature the table lacks."""
    return matrix(base.features, names, base.feature_rows[rows])


def matrix(features: pa.Table, names: Sequence[str], places: Integers) -> NDArray[np.float32]:
    """Return the features at some places of a table, shape (len(places), D); NaN for unknown, or at a place of -1."""
    known = places >= 0
    x = np.full((len(places), len(names)), np.nan, dtype=np.float32)
    if not known.any():
        return x
    for index, name in enumerate(names):
        if name in features.column_names:
            column = pc.cast(_picked(features[name], places), pa.float64())
            x[:, index] = np.where(known, columns.values(column, np.nan), np.nan)
    return x


def _picked(column: Any, places: Integers) -> Any:
    """Return the rows of a column; a stretch of rows is a slice and copies nothing."""
    if places[0] >= 0 and np.array_equal(places, np.arange(places[0], places[0] + len(places))):
        return column.slice(places[0], len(places))
    return column.take(pa.array(np.maximum(places, 0)))


def view_of(base: Base, names: Sequence[str], rows: Any) -> View:
    """Return what models may see of some of the customers."""
    x = features_of(base, names, rows)
    return View(owned=base.owned[rows], x=x, group=base.group[rows], steps=base.steps[rows])


def blocks(
    base: Base, names: Sequence[str], settings: RecommendationSettings, customers: int
) -> Iterator[DecisionBlock]:
    """Cut the base into blocks of at most so many customers, in the order of their ids.

    Where no income was declared, the feature that the assumptions name stands in.
    """
    for start in range(0, base.size, customers):
        yield _block(base, names, settings, np.arange(start, min(start + customers, base.size)))


def _block(base: Base, names: Sequence[str], settings: RecommendationSettings, rows: Integers) -> DecisionBlock:
    assumed = settings.assumptions
    income = (assumed.income_feature, assumed.income_feature_months) if assumed.income_feature else None
    profile = base.profile.slice(rows[0], len(rows))
    pd, tier, signal_age = _risk(base, rows)
    value_tier, pace = _relationship(base, rows)
    treatment, days_until_contact = _treatment(base, rows)
    return DecisionBlock(
        customer_ids=base.customer_ids[rows[0] : rows[-1] + 1],
        view=view_of(base, names, rows),
        is_open=columns.flags(profile["is_open"]),
        age=columns.values(profile["age_years"], np.nan),
        income=_income(base, profile, rows, income),
        debts=columns.values(profile["debts_minor"], np.nan),
        default_probability=pd,
        tier=tier,
        signal_age_days=signal_age,
        value_tier=value_tier,
        pace=pace,
        consent=np.column_stack([columns.flags(profile[f"consent_{name}"]) for name in settings.contact_cost_minor]),
        **_contact(base, profile, settings.contact),
        **_responses(profile, settings.contact_cost_minor),
        **_gate(base, rows),
        treatment=treatment,
        days_until_contact=days_until_contact,
        credit=credit.credit_of(base.credit, int(rows[0]), len(rows)),
    )


def _income(base: Base, profile: pa.Table, rows: Integers, stand_in: tuple[str, float] | None) -> Floats:
    declared = columns.values(profile["income_minor"], np.nan)
    if stand_in is None:
        return declared
    feature, months = stand_in
    seen = features_of(base, [feature], rows)[:, 0].astype(np.float64) / months
    return np.where(np.isnan(declared), seen, declared)


def _contact(base: Base, profile: pa.Table, policy: ContactPolicy) -> dict[str, Any]:
    unanswered = columns.values(profile["unanswered"], np.nan)
    known = {"contact": ~np.isnan(unanswered), "complaint": columns.flags(profile["complaints_known"])}
    days = {
        # never is long ago, but only where it would have been written down
        f"days_since_{what}": np.where(
            known[what], columns.values(columns.days_before(base.as_of, profile[f"last_{what}_at"]), np.inf), np.nan
        )
        for what in known
    }
    counts = [columns.values(profile[contact.column(cap)], np.nan) for cap in policy.caps]
    return {"contacts": np.column_stack(counts), "unanswered": unanswered, **days}


def _responses(profile: pa.Table, channels: Iterable[str]) -> dict[str, Any]:
    counts = {
        what: np.column_stack([columns.values(profile[f"{what}_{name}"], 0) for name in channels])
        for what in ("asked", "answered")
    }
    hour = columns.values(profile["contact_hour"], np.nan)
    return counts | {"contact_hour": hour, "hour_is_own": columns.flags(profile["contact_hour_is_own"])}


def _risk(base: Base, rows: Integers) -> tuple[Floats, Integers, Floats]:
    unknown = len(TIERS) - 1
    if base.risk is None:
        nothing = np.full(len(rows), np.nan)
        return nothing, np.full(len(rows), unknown, dtype=np.int64), nothing
    risk = base.risk.slice(rows[0], len(rows))
    codes = pc.index_in(columns.plain(risk["risk_tier"]), value_set=pa.array([str(tier) for tier in TIERS]))
    age = columns.values(columns.days_before(base.as_of, risk["signal_at"]), np.nan)
    return columns.values(risk["default_probability"], np.nan), columns.values(codes, unknown).astype(np.int64), age


def _relationship(base: Base, rows: Integers) -> tuple[Integers, Floats]:
    if base.relationship is None:
        return np.full(len(rows), -1, dtype=np.int64), np.full(len(rows), np.nan)
    known = base.relationship.slice(rows[0], len(rows))
    codes = pc.index_in(columns.plain(known["value_tier"]), value_set=pa.array(VALUE_TIERS))
    return columns.values(codes, -1).astype(np.int64), columns.values(known["pace"], np.nan)


def _treatment(base: Base, rows: Integers) -> tuple[Integers, Floats]:
    if base.treatments is None:
        return np.full(len(rows), -1, dtype=np.int64), np.full(len(rows), np.nan)
    chosen = base.treatments.slice(rows[0], len(rows))
    codes = pc.index_in(columns.plain(chosen["kind"]), value_set=pa.array(TREATMENTS))
    # taken from 0 and not turned round: the sign of NaN and of 0 stays what it is when read back
    days = 0.0 - columns.values(columns.days_before(base.as_of, chosen["not_before"]), np.nan)
    return columns.values(codes, -1).astype(np.int64), days


def _gate(base: Base, rows: Integers) -> dict[str, Any]:
    """Return what the gate answered; an answer that is missing or has ceased to hold is none."""
    size = len(rows)
    if base.gate is None:
        nothing = np.zeros(size, dtype=np.int64)
        no, never = np.zeros(size, dtype=bool), np.full(size, np.datetime64("NaT", "us"))
        masks = dict.fromkeys(("gate_reasons", "tier_families", "held_families"), nothing)
        return {"is_answered": no, "is_held": no, "needs_person": ~no, "gate_expires_at": never, **masks}
    gate = base.gate.slice(rows[0], size)
    expires_at = columns.plain(gate["expires_at"]).cast(pa.timestamp("us")).to_numpy(zero_copy_only=False)
    return {
        # a comparison with NaT is false: an answer that says no end does not hold either
        "is_answered": columns.known(gate["reason_mask"]) & (expires_at >= columns.naive(base.as_of)),
        "is_held": columns.flags(gate["is_held"]),
        "needs_person": columns.flags(gate["needs_person"]),
        "gate_reasons": columns.integers(gate["reason_mask"]),
        "tier_families": columns.integers(gate["tier_families"]),
        "held_families": columns.integers(gate["held_families"]),
        "gate_expires_at": expires_at.astype("datetime64[us]"),
    }
