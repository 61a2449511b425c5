"""The tables of a run about what risk allows: the gate's answers and the reasons it gave."""

from __future__ import annotations

from engine.domain.schema import Column, Kind, Table

T, N, S, M, B, W = Kind.TEXT, Kind.NUMBER, Kind.SHARE, Kind.MONEY, Kind.BOOLEAN, Kind.INSTANT
COUNT = Kind.INTEGER


def _c(name: str, kind: Kind, meaning: str, meaning_zh: str, *, required: bool = False) -> Column:
    return Column(name=name, kind=kind, meaning=meaning, meaning_zh=meaning_zh, required=required)


_CUSTOMER = _c("customer_id", T, "the customer", "客户号", required=True)

RISK_GATE = Table(
    name="risk_gate",
    one_row_is="one customer",
    one_row_is_zh="一位客户",
    key=("customer_id",),
    columns=(
        _CUSTOMER,
        _c("outcome", T, "allow, service_only (no offer at all) or block (nothing at all may be sent)", "闸口结论"),
        _c("reason_mask", COUNT, "bit i is set where reason i of risk_gate_reasons holds", "原因掩码"),
        _c("reason_codes", T, "the codes of all reasons, with a space between; empty text for none", "全部原因码"),
        _c("refused_families", COUNT, "bit i is set where credit of product family i is refused", "拒绝授信的产品大类"),
        _c("tier_families", COUNT, "those refused since the risk tier is too high", "因风险等级拒绝的大类"),
        _c(
            "held_families",
            COUNT,
            "those refused for another reason than signal, tier, identity, complaint",
            "因其他原因拒绝的大类",
        ),
        _c(
            "is_held",
            B,
            "no offer at all, for another reason than identity or complaint",
            "是否因其他原因全部暂停",
        ),
        _c("needs_person", B, "true when a person must look at every approval", "是否须人工复核审批"),
        _c("expires_at", W, "after this instant the answer must not be used", "失效时间"),
    ),
)
RISK_GATE_REASONS = Table(
    name="risk_gate_reasons",
    one_row_is="one reason that the gate may give",
    one_row_is_zh="闸口的一个原因",
    key=("bit",),
    columns=(
        _c("bit", COUNT, "its bit in reason_mask", "位", required=True),
        _c("reason", T, "its name in the settings", "原因"),
        _c("reason_code", T, "its code in results", "原因码"),
        _c("text_en", T, "sentence in English", "英文说明"),
        _c("text_zh", T, "sentence in Chinese", "中文说明"),
        _c("effect", T, "note, no_credit, service_only or block", "效果"),
        _c("customers", COUNT, "customers for whom it holds", "涉及客户数"),
        _c("customers_only_by_this", COUNT, "customers with no other reason", "唯一原因客户数"),
    ),
)

RISK_MARTS = (RISK_GATE, RISK_GATE_REASONS)
