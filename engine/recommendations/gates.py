"""The gates: each may refuse a product to a customer, all are asked about every pair, and silence refuses.

To add one: write a function `(case) -> refused, shape (n, P) or (n, 1) or (P,)` and append a `Gate` to `GATES`;
its place is its bit in `refused_mask`, so append, never reorder.

What risk, identity checks and complaints say comes from the answer of risk's own gate; here it is only looked up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.domain.risk_gate import BITS
from engine.recommendations import conduct_gates, contact_gates
from engine.recommendations.columns import any_of
from engine.recommendations.frame import Flags, Integers
from engine.recommendations.gate import Case, Gate

Masks = NDArray[np.uint64]


def _relationship(case: Case) -> Flags:
    return ~case.block.is_open[:, None]


def _consent(case: Case) -> Flags:
    refused: Flags = ~any_of(case.block.consent)[:, None]
    return refused


def _kyc(case: Case) -> Flags:
    return _gate_says(case, "kyc")


def _holdings(case: Case) -> Flags:
    return case.block.view.owned & ~case.catalogue.multiple


def _prerequisite(case: Case) -> Flags:
    needs = case.catalogue.needs
    # one that the bank does not sell is held by nobody
    missing: Flags = np.zeros(case.value.shape, dtype=bool) | (needs == -2)
    for product, needed in case.catalogue.needing:
        missing[:, product] = ~case.block.view.owned[:, needed]
    return missing


def _age(case: Case) -> Flags:
    age, least, most = case.block.age[:, None], case.catalogue.min_age, case.catalogue.max_age
    # a comparison with NaN is false: an unknown age is not within any limit, an unset limit holds for any age
    old_enough: Flags = np.isnan(least) | (age >= least)
    young_enough: Flags = np.isnan(most) | (age <= most)
    return ~(old_enough & young_enough)


def _on_sale(case: Case) -> Flags:
    return ~case.catalogue.on_sale[None, :]


def _risk_unknown(case: Case) -> Flags:
    return case.catalogue.is_credit & _gate_says(case, "risk_unknown")


def _risk_stale(case: Case) -> Flags:
    return case.catalogue.is_credit & _gate_says(case, "risk_stale")


def _risk_tier(case: Case) -> Flags:
    return case.catalogue.is_credit & _of_family(case, case.block.tier_families)


def _affordability(case: Case) -> Flags:
    lent = case.catalogue.lent
    typical, amount = case.catalogue.amount[lent], case.amount[:, lent]
    # never less than what the typical amount costs a month: a lower limit of risk must not let a new offer past
    with np.errstate(divide="ignore", invalid="ignore"):
        times = np.where(amount > typical, amount / typical, 1.0)
        burden = case.catalogue.instalment[lent] * times + case.block.debts[:, None]
    refused = np.zeros(case.value.shape, dtype=bool)
    refused[:, lent] = ~(burden <= case.settings.gates.max_debt_service_ratio * case.block.income[:, None])
    return refused


def _value(case: Case) -> Flags:
    return ~(case.value > case.settings.gates.min_expected_value_minor)


def _complaint(case: Case) -> Flags:
    return _gate_says(case, "open_complaint")


def _held_back(case: Case) -> Flags:
    return case.block.is_held[:, None]


def _credit_held(case: Case) -> Flags:
    return case.catalogue.is_credit & _of_family(case, case.block.held_families)


def _no_answer(case: Case) -> Flags:
    return ~case.block.is_answered[:, None]


def _gate_says(case: Case, reason: str) -> Flags:
    """Whether the risk gate gave a reason, shape (n, 1); silence of the gate is a refusal of its own, not this one."""
    said: Flags = (case.block.gate_reasons >> BITS[reason] & 1) == 1
    return said[:, None]


def _of_family(case: Case, families: Integers) -> Flags:
    """Whether the bit of each product's family is set, shape (n, P)."""
    bits = case.catalogue.family_places.astype(np.uint16)
    # as narrow as the families allow: their bits are spread over all pairs
    refused: Flags = (families.astype(np.uint16)[:, None] >> bits & 1).astype(bool)
    return refused


GATES: Final = (
    Gate(
        name="relationship_open",
        kind="eligibility",
        reason_code="RELATIONSHIP_CLOSED",
        text_en="The customer has left the bank.",
        text_zh="客户已与本行终止关系。",
        refuses=_relationship,
    ),
    Gate(
        name="consent",
        kind="consent",
        reason_code="NO_CONSENT",
        text_en="No contact channel with a valid consent to marketing.",
        text_zh="没有任何触达渠道持有有效的营销授权。",
        refuses=_consent,
    ),
    Gate(
        name="kyc",
        kind="kyc",
        reason_code="KYC_NOT_VALID",
        text_en="The identity check is missing, failed or has expired.",
        text_zh="身份核验缺失、未通过或已过期。",
        refuses=_kyc,
    ),
    Gate(
        name="already_held",
        kind="applicability",
        reason_code="ALREADY_HELD",
        text_en="The customer holds it already, and may hold only one.",
        text_zh="客户已持有该产品，且只能持有一份。",
        refuses=_holdings,
    ),
    Gate(
        name="prerequisite",
        kind="applicability",
        reason_code="PREREQUISITE_MISSING",
        text_en="Another product must be held first.",
        text_zh="须先持有另一种产品。",
        refuses=_prerequisite,
    ),
    Gate(
        name="age",
        kind="eligibility",
        reason_code="AGE_OUTSIDE_LIMITS",
        text_en="The age is unknown or outside the product's limits.",
        text_zh="年龄未知或不在该产品的销售年龄范围内。",
        refuses=_age,
    ),
    Gate(
        name="not_on_sale",
        kind="eligibility",
        reason_code="NOT_ON_SALE",
        text_en="The product is not on sale on this day.",
        text_zh="该产品当日不在售。",
        refuses=_on_sale,
    ),
    Gate(
        name="risk_unknown",
        kind="risk",
        reason_code="RISK_UNKNOWN",
        text_en="Credit needs a risk signal, and there is none.",
        text_zh="授信产品须有风险信号，而该客户没有。",
        refuses=_risk_unknown,
    ),
    Gate(
        name="risk_stale",
        kind="risk",
        reason_code="RISK_STALE",
        text_en="The risk signal is undated or too old to lend on.",
        text_zh="风险信号无日期或已过时，不足以据此授信。",
        refuses=_risk_stale,
    ),
    Gate(
        name="risk_tier",
        kind="risk",
        reason_code="RISK_TIER_TOO_HIGH",
        text_en="The risk tier is above what this family of credit allows.",
        text_zh="风险等级高于该类授信所允许的上限。",
        refuses=_risk_tier,
    ),
    Gate(
        name="affordability",
        kind="affordability",
        reason_code="NOT_AFFORDABLE",
        text_en="Income is unknown, or instalments would take too large a share of it.",
        text_zh="收入未知，或还款额占收入比例过高。",
        refuses=_affordability,
    ),
    Gate(
        name="negative_value",
        kind="value",
        reason_code="NO_VALUE",
        text_en="The expected value after losses and contact cost is unknown or too low.",
        text_zh="扣除损失与触达成本后的期望价值未知或过低。",
        refuses=_value,
    ),
    Gate(
        name="open_complaint",
        kind="complaint",
        reason_code="OPEN_COMPLAINT",
        text_en="A complaint is still open: settle it first.",
        text_zh="有未办结的投诉，须先行处理。",
        refuses=_complaint,
    ),
    Gate(
        name="contact_cap",
        kind="contact",
        reason_code="CONTACT_CAP",
        text_en="The customer was contacted as often as the policy allows.",
        text_zh="触达次数已达上限。",
        refuses=contact_gates.cap,
    ),
    Gate(
        name="risk_hold",
        kind="risk",
        reason_code="HELD_BY_RISK",
        text_en="The risk gate lets no offer through, for a reason it names.",
        text_zh="风险闸口因其所列原因不放行任何推荐。",
        refuses=_held_back,
    ),
    Gate(
        name="risk_credit",
        kind="risk",
        reason_code="CREDIT_HELD_BY_RISK",
        text_en="The risk gate refuses credit of this family, for a reason it names.",
        text_zh="风险闸口因其所列原因拒绝该类授信。",
        refuses=_credit_held,
    ),
    Gate(
        name="risk_answer",
        kind="risk",
        reason_code="NO_ANSWER_OF_RISK",
        text_en="The risk gate gave no answer, or its answer has expired: nothing is offered.",
        text_zh="风险闸口未作答复或答复已失效，不作任何推荐。",
        refuses=_no_answer,
    ),
    *contact_gates.GATES,
    *conduct_gates.GATES,
)


_MARKS: Final = tuple(np.uint64(1 << bit) for bit in range(64))
_MARKS_OF_BYTE: Final = tuple(np.uint8(1 << place) for place in range(8))

DEMANDED: Final = sum(1 << bit for bit, gate in enumerate(GATES) if gate.kind not in ("contact", "value", "fairness"))
"""Bits of the gates that law, risk or the product itself demand; the others are the bank's own policy and interest."""


def evaluate(case: Case, gates: Sequence[Gate] = GATES) -> Masks:
    """Mark every gate that refuses each product to each customer.

    Returns
    -------
    array, shape (n_customers, n_products)
        Bit i is set where gates[i] refuses. 0 means that every gate lets the product pass.
    """
    shape = case.value.shape
    # what holds for a customer whatever the product, or for a product whoever the customer, is spread over pairs once
    of_customer, customer_marks = [np.zeros((len(case.value), 1), dtype=bool)], [np.uint64(0)]
    of_product = np.zeros((1, case.catalogue.size), dtype=np.uint64)
    # eight gates share a byte of each pair while they are asked: an eighth of the memory to go through every time
    of_pair: dict[int, NDArray[np.uint8]] = {}
    for bit, gate in enumerate(gates):
        found = gate.refuses(case)
        if found.shape == of_customer[0].shape:
            of_customer.append(found)
            customer_marks.append(_MARKS[bit])
        elif found.shape == shape:
            byte, place = divmod(bit, 8)
            marks = found.view(np.uint8) * _MARKS_OF_BYTE[place]
            of_pair[byte] = marks | of_pair[byte] if byte in of_pair else marks
        else:
            of_product |= found * _MARKS[bit]
    marked = np.concatenate(of_customer, axis=1) * np.array(customer_marks)
    refused = np.bitwise_or.reduce(marked, axis=1, keepdims=True) | of_product
    for byte, marks in of_pair.items():
        refused |= marks.astype(np.uint64) << np.uint64(8 * byte)
    return refused


def reasons(mask: int) -> tuple[Gate, ...]:
    """Return the gates that a mask stands for."""
    return tuple(gate for bit, gate in enumerate(GATES) if mask >> bit & 1)
