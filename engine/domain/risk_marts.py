"""The tables of a run about what risk expects, decides and allows: losses, credit, treatments, the gate's answers.

All money is minor units of the base currency.
"""

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

RISK_LOSSES = Table(
    name="risk_losses",
    one_row_is="one customer with open credit",
    one_row_is_zh="一位有未结清授信的客户",
    key=("customer_id",),
    columns=(
        _CUSTOMER,
        _c("ifrs9_stage", COUNT, "stage under IFRS 9, 1 to 3", "IFRS 9 阶段"),
        _c(
            "stage_reason",
            T,
            "performing, significant_increase, delay_elsewhere, days_past_due or in_default",
            "阶段原因",
        ),
        _c("days_past_due", COUNT, "by the bank's own records; empty when there are none", "本行逾期天数"),
        _c("default_probability", S, "probability of default within 12 months", "12月违约概率"),
        _c("probability_at_origination", S, "the same when the newest loan here was applied for", "发放时违约概率"),
        _c("drawn_minor", M, "what is owed now", "已用余额"),
        _c("limit_minor", M, "limits of lines of credit", "循环额度"),
        _c("at_default_minor", M, "owed at a default: drawn, and a share of what is undrawn", "违约敞口"),
        _c("loss_minor", M, "lost in a default: owed at a default x loss given default", "违约损失"),
        _c("expected_loss_12m_minor", M, "probability x loss, 12 months", "12月预期损失"),
        _c("expected_loss_lifetime_minor", M, "over the remaining life, discounted", "整个存续期预期损失"),
        _c("allowance_minor", M, "12 months' loss in stage 1, the life's in 2, the whole loss in 3", "损失准备"),
    ),
)
CREDIT_DECISIONS = Table(
    name="credit_decisions",
    one_row_is="one family of credit decided for one customer, as if as much as possible were asked for",
    one_row_is_zh="对一位客户一类授信的审批（按最高可授信额度）",
    key=("customer_id", "family"),
    columns=(
        _CUSTOMER,
        _c("family", T, "family of products", "产品大类", required=True),
        _c("outcome", T, "approve, refer (a person decides) or decline", "审批结论"),
        _c("annual_rate", N, "price a year; empty when declined or not known", "年利率"),
        _c(
            "margin_rate",
            N,
            "what that price leaves a year after funds and operations, before losses, of each unit lent",
            "扣除资金与运营成本后、损失前的年利差",
        ),
        _c("price_band", T, "A is the cheapest; empty without a price", "定价档"),
        _c("limit_minor", M, "the most that may be lent; empty when declined or not known", "可授信额度"),
        _c("instalment_minor", M, "instalment a month at that limit and price", "月还款额"),
        _c("term_months", COUNT, "months over which it is repaid; 0 for a line without a term", "期限（月）"),
        _c("collateral", T, "none, vehicle or property", "担保方式"),
        _c("verify", B, "true when income must be verified before the money is out", "是否须核验收入"),
        _c("reason_mask", COUNT, "bit i is set where reason i of credit_reasons holds", "原因掩码"),
        _c("reason_codes", T, "the codes of all reasons, with a space between; empty text for none", "全部原因码"),
        _c("score_reason_1", T, "where the score is a reason: what costs the most points", "首要扣分项"),
        _c("score_reason_2", T, "the next", "次要扣分项"),
        _c("score_reason_3", T, "the next", "第三扣分项"),
        _c("policy_outcome", T, "what the policy alone had decided", "政策结论"),
        _c("policy_limit_minor", M, "the limit that the policy alone had set", "政策额度"),
        _c("override_id", COUNT, "the override of a person that decided; empty for none", "人工例外号"),
    ),
)
CREDIT_REASONS = Table(
    name="credit_reasons",
    one_row_is="one reason that a credit decision may give",
    one_row_is_zh="审批的一个原因",
    key=("bit",),
    columns=(
        _c("bit", COUNT, "its bit in reason_mask", "位", required=True),
        _c("reason_code", T, "its code", "原因码"),
        _c("kind", T, "policy, or score when what cost points explains it", "类型"),
        _c("outcome", T, "refer or decline", "结论"),
        _c("text_en", T, "sentence in English", "英文说明"),
        _c("text_zh", T, "sentence in Chinese", "中文说明"),
        _c("decisions", COUNT, "decisions for which it holds", "涉及审批数"),
        _c("decisions_only_by_this", COUNT, "decisions with no other reason", "唯一原因审批数"),
    ),
)
RISK_TREATMENTS = Table(
    name="risk_treatments",
    one_row_is="one customer",
    one_row_is_zh="一位客户",
    key=("customer_id",),
    columns=(
        _CUSTOMER,
        _c("treatment", T, "what to do, by the name it has in the settings", "处置"),
        _c("kind", T, "care, collections, prevention, engagement or none", "处置类型"),
        _c("reason_en", T, "why, in English", "理由（英）"),
        _c("reason_zh", T, "why, in Chinese", "理由（中）"),
        _c("channel", T, "how to reach the customer; empty when there is no contact", "触达渠道"),
        _c("needs_person", B, "true when only a person may make contact", "是否须人工联系"),
        _c("not_before", W, "no contact before this instant", "最早联系时间"),
        _c("contacts", COUNT, "contacts sent within the window of the cap", "窗口内触达次数"),
        _c("self_cure_rate", S, "planning share that pays without being asked; empty when nothing is due", "自愈率"),
        _c("limit_change", T, "increase, decrease, freeze or keep", "额度调整"),
        _c("limit_reason", T, "the treatment, or why an increase is withheld", "额度调整原因"),
        _c("limit_minor", M, "limits of lines of credit now; empty when there is none", "现有额度"),
        _c("proposed_limit_minor", M, "the limit proposed; empty when there is no line", "建议额度"),
        _c("terms_change", T, "offered on what is owed: none, pause, longer_term or restructure", "条件调整"),
    ),
)
RISK_OVERRIDES = Table(
    name="risk_overrides",
    one_row_is="one override of a person that was in force",
    one_row_is_zh="一条生效的人工例外",
    key=("override_id",),
    columns=(
        _c("override_id", COUNT, "its number", "例外号", required=True),
        _c("customer_id", T, "the customer", "客户号"),
        _c("family", T, "family of credit; empty for all", "产品大类"),
        _c("kind", T, "approve, decline, limit or hold", "类型"),
        _c("limit_minor", M, "limit that it sets", "额度"),
        _c("owner", T, "who answers for it", "责任人"),
        _c("second", T, "who agreed; empty while nobody has", "复核人"),
        _c("made_at", W, "when it was made", "录入时间"),
        _c("expires_at", W, "when it ends", "失效时间"),
    ),
)

RISK_MARTS = (
    RISK_GATE,
    RISK_GATE_REASONS,
    RISK_LOSSES,
    CREDIT_DECISIONS,
    CREDIT_REASONS,
    RISK_TREATMENTS,
    RISK_OVERRIDES,
)
