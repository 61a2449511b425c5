"""The table of a run that keeps what each decision looked at, so that it can be made again."""

from __future__ import annotations

from engine.domain.schema import Column, Kind, Table

T, N, B = Kind.TEXT, Kind.NUMBER, Kind.BOOLEAN
WHOLE = Kind.INTEGER


def _c(name: str, kind: Kind, meaning: str, meaning_zh: str, *, required: bool = False) -> Column:
    return Column(name=name, kind=kind, meaning=meaning, meaning_zh=meaning_zh, required=required)


DECISION_INPUTS = Table(
    name="decision_inputs",
    one_row_is="what the decisions on one customer looked at, beside features and credit decisions",
    one_row_is_zh="对一位客户决策时所依据的数据（特征与授信审批除外）",
    key=("customer_id",),
    columns=(
        _c("customer_id", T, "the customer", "客户号", required=True),
        _c("owned", T, "a 1 or 0 for each product in the order of the bundle: is it held", "是否持有各产品"),
        _c(
            "product_steps",
            T,
            "a letter for each product in the order of the bundle: how far and how lately the customer went towards "
            "it; 0 for no step",
            "对各产品的了解与申请进度",
        ),
        _c("group_code", WHOLE, "group of the customer for popularity; 0 is none", "客群代码"),
        _c("is_open", B, "true while the customer has not left", "是否存续"),
        _c("age", N, "age in years", "年龄"),
        _c("income", N, "monthly net income, declared or by the stand-in of the settings, minor units", "月收入"),
        _c("debts", N, "monthly instalments owed, minor units", "月还款额"),
        _c("default_probability", Kind.SHARE, "probability of default within a year", "违约概率"),
        _c("tier_code", WHOLE, "risk tier: 0 low, 1 medium, 2 high, 3 unknown", "风险等级代码"),
        _c("signal_age_days", N, "days since the risk signal was dated", "风险信号距今天数"),
        _c("value_tier_code", WHOLE, "value tier: 0 top, 1 high, 2 middle, 3 low, 4 none, -1 unknown", "价值等级代码"),
        _c("pace", N, "activity of the last 90 days as a share of the usual", "近期活跃度占比"),
        _c("consent", T, "a 1 or 0 for each contact channel in the order of the bundle: is it agreed to", "各渠道授权"),
        _c("contacts_counted", T, "contacts counted against each cap, in the order of the bundle", "各上限已用次数"),
        _c("unanswered", N, "contacts since the last answer", "连续未回应次数"),
        _c("days_since_contact", N, "days since the last contact; infinite for never", "距上次触达天数"),
        _c("days_since_complaint", N, "days since the last complaint; infinite for never", "距上次投诉天数"),
        _c(
            "contacts_asked",
            T,
            "contacts on each channel, in the order of the bundle",
            "各渠道触达次数",
        ),
        _c("contacts_answered", T, "how many of them were answered, in the order of the bundle", "各渠道回应次数"),
        _c("hour_to_contact", N, "best hour to contact, local to the bank", "最佳触达时点"),
        _c("hour_is_own", B, "true where that hour is the customer's own", "时点是否为客户自身"),
        _c("is_answered", B, "true where the risk gate gave an answer that still holds", "风险闸口是否有效答复"),
        _c("gate_reasons", WHOLE, "reasons of the risk gate, bits as in its mart", "风险闸口原因掩码"),
        _c("tier_families", WHOLE, "families of credit that the tier closes, bits", "等级所限授信类别掩码"),
        _c("held_families", WHOLE, "families of credit that the risk gate holds, bits", "被限授信类别掩码"),
        _c("is_held", B, "true where the risk gate lets no offer through", "是否被风险拦截"),
        _c("needs_person", B, "true where a person looks at all credit", "是否须人工复核"),
        _c(
            "treatment_code",
            WHOLE,
            "what risk does: 0 care, 1 collections, 2 prevention, 3 engagement, 4 none, -1 unknown",
            "风险处置类型代码",
        ),
        _c("days_until_contact", N, "days until risk makes contact for it at the earliest", "距风险最早联系天数"),
        _c("gate_expires_at", Kind.INSTANT, "until when the answer of the risk gate holds", "风险答复有效期"),
    ),
)
"""Together with the marts features and credit_decisions and the bundle, all that `decide` is given; empty: unknown."""
