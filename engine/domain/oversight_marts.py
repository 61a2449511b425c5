"""The tables of a run about watching the risk model and the portfolio: drift, moves, warnings, fairness, rejects."""

from __future__ import annotations

from engine.domain.schema import Column, Kind, Table

T, N, S, B, W = Kind.TEXT, Kind.NUMBER, Kind.SHARE, Kind.BOOLEAN, Kind.INSTANT
COUNT = Kind.INTEGER


def _c(name: str, kind: Kind, meaning: str, meaning_zh: str, *, required: bool = False) -> Column:
    return Column(name=name, kind=kind, meaning=meaning, meaning_zh=meaning_zh, required=required)


_CUSTOMER = _c("customer_id", T, "the customer", "客户号", required=True)
_TEXT = (
    _c("text", T, "what was found, in a sentence", "英文说明"),
    _c("text_zh", T, "the same in Chinese", "中文说明"),
)

RISK_STABILITY = Table(
    name="risk_stability",
    one_row_is="one measure of one period against its reference",
    one_row_is_zh="一个期间某项指标与参照样本的比较",
    key=("population", "what", "measure", "begins"),
    columns=(
        _c("population", T, "applications, customers, or loans whose outcome has matured", "样本群体", required=True),
        _c("what", T, "score, or the characteristic", "监测对象", required=True),
        _c("measure", T, "population_stability, missing_share, auc_loss or default_level", "指标", required=True),
        _c("begins", W, "first instant of the period", "期间起", required=True),
        _c("ends", W, "the instant at which it ends", "期间止"),
        _c("rows", COUNT, "rows of the period", "期间行数"),
        _c("reference_rows", COUNT, "rows of the reference, from which the bins come", "参照行数"),
        _c("value", N, "stability index in nats; change of a share; loss of AUC; observed / predicted - 1", "指标值"),
        _c("lower", N, "lower end of the 95 % interval, for matured loans", "95% 下限"),
        _c("upper", N, "upper end of the 95 % interval", "95% 上限"),
        _c("chance_limit", N, "what chance alone would seldom pass, given the numbers of rows", "随机波动上限"),
        _c("limit", N, "the higher of the limits of chance and of what matters", "判定上限"),
        _c("decided_by", T, "chance or materiality: which limit was the higher", "判定依据"),
        _c("verdict", T, "stable, drifted or not_checked", "结论"),
        _c("since", W, "when the drift that lasts began; empty where there is none", "漂移起始"),
        _c("bins", COUNT, "bins that were compared", "分箱数"),
        _c("floored_bins", COUNT, "bins whose share was raised to the floor", "按下限计的分箱数"),
        _c("reason", T, "why it was not checked, in a word", "未检查原因"),
        *_TEXT,
    ),
)
RISK_CAUTIONS = Table(
    name="risk_cautions",
    one_row_is="one reason for the gate to be careful",
    one_row_is_zh="闸口从严的一个原因",
    key=("place",),
    columns=(
        _c("place", COUNT, "order in which it was found", "序号", required=True),
        _c(
            "reason",
            T,
            "score_drift, characteristic_drift, calibration_off, separation_lost or not_checked",
            "原因",
        ),
        _c("what", T, "what moved: the score or a characteristic", "对象"),
        _c("value", N, "how far it moved", "变化"),
        _c("limit", N, "how far it may", "上限"),
        _c("since", W, "when it began; empty where that is not known", "起始"),
        _c("effects", T, "what the gate does: no_fast_track, medium_as_high, refer_not_approve", "闸口动作"),
        *_TEXT,
    ),
)
RISK_MOVES = Table(
    name="risk_moves",
    one_row_is="one move from one state to another",
    one_row_is_zh="一种状态迁移",
    key=("kind", "origin", "target"),
    columns=(
        _c("kind", T, "tier: between two dates; days_past_due: from one report to the next", "类型", required=True),
        _c("origin", T, "tier or bucket before; new for who was not there", "原状态", required=True),
        _c("target", T, "tier or bucket after; left for who is not there any more", "新状态", required=True),
        _c("count", COUNT, "customers, or reports, that made the move", "数量"),
        _c("of", COUNT, "all that were in the state before", "原状态总数"),
        _c("share", S, "count / of", "占比"),
        _c("lower", N, "lower end of the 95 % interval", "95% 下限"),
        _c("upper", N, "upper end of the 95 % interval", "95% 上限"),
        _c("small", B, "true where too few were in the state before", "样本是否过少"),
    ),
)
RISK_VINTAGES = Table(
    name="risk_vintages",
    one_row_is="one cohort of booking at one month on book",
    one_row_is_zh="一个放款批次在某账龄",
    key=("cohort", "month"),
    columns=(
        _c("cohort", T, "quarter of booking, such as 2025Q1", "放款季度", required=True),
        _c("month", COUNT, "months on book", "账龄（月）", required=True),
        _c("loans", COUNT, "loans of the cohort", "贷款数"),
        _c("defaults", COUNT, "of them defaulted by then; empty while any is younger", "违约数"),
        _c("share", S, "defaults / loans; empty while any is younger", "违约率"),
        _c("lower", N, "lower end of the 95 % interval", "95% 下限"),
        _c("upper", N, "upper end of the 95 % interval", "95% 上限"),
    ),
)
RISK_WATCH_LIST = Table(
    name="risk_watch_list",
    one_row_is="one customer on the watch list, or who left it lately",
    one_row_is_zh="预警名单上（或近期移出）的一位客户",
    key=("customer_id",),
    columns=(
        _CUSTOMER,
        _c("status", T, "watched or left", "状态"),
        _c("severity", T, "low, medium or high", "严重程度"),
        _c("weight", COUNT, "sum of the weights of the triggers that hold", "权重合计"),
        _c("escalated", B, "true where so much holds at once that severity is a step higher", "是否升级"),
        _c("entered_at", W, "when the customer came on the list", "列入时间"),
        _c("left_at", W, "when the customer left it; empty while on it", "移出时间"),
        _c("triggers", T, "codes of the triggers that hold, with a space between", "触发规则"),
        _c("last_event_at", W, "when a trigger last fired", "最近触发时间"),
        _c("next_review_at", W, "by when a person looks; empty once left", "下次复核"),
        *_TEXT,
    ),
)
RISK_REASSESSMENT = Table(
    name="risk_reassessment",
    one_row_is="one customer",
    one_row_is_zh="一位客户",
    key=("customer_id",),
    columns=(
        _CUSTOMER,
        _c("risk_tier", T, "the tier now", "风险等级"),
        _c("last_assessed_at", W, "date of the newest risk record graded", "最近评估"),
        _c("reassess_at", W, "by when to assess again; empty where nothing is lent and nothing known", "应重评时间"),
        _c("cause", T, "tier, watch_list, no_signal or nothing_lent", "依据"),
        _c("is_due", B, "true when that instant has come", "是否到期"),
    ),
)
RISK_FAIRNESS = Table(
    name="risk_fairness",
    one_row_is="one measure of one group at one stage of the credit process",
    one_row_is_zh="信贷流程某阶段某群体的一项指标",
    key=("attribute", "group", "stage", "measure"),
    columns=(
        _c("attribute", T, "what is protected, or two of them together", "受保护属性", required=True),
        _c("group", T, "the group; not recorded where nobody wrote it down", "群体", required=True),
        _c("stage", T, "applied, scored, approved, priced or defaulted", "阶段", required=True),
        _c("measure", T, "what is measured", "指标", required=True),
        _c(
            "verdict",
            T,
            "pass, below, differs, no_difference_shown, reference, insufficient, not_assessable, suppressed, described",
            "结论",
        ),
        _c("value", N, "the measure; empty where nothing is shown", "值"),
        _c("lower", N, "lower end of the 95 % interval", "95% 下限"),
        _c("upper", N, "upper end of the 95 % interval", "95% 上限"),
        _c("rows", COUNT, "cases it is taken over", "样本量"),
        _c("reference", T, "the group it is compared with", "参照群体"),
        _c("reference_value", N, "that group's value", "参照值"),
        _c("ratio", N, "value / that of the reference, for shares let through: a screening figure", "比率"),
        _c("ratio_lower", N, "lower end of its 95 % interval", "比率 95% 下限"),
        _c("ratio_upper", N, "upper end of its 95 % interval", "比率 95% 上限"),
        _c("difference", N, "value - that of the reference", "差值"),
        _c("difference_lower", N, "lower end of its 95 % interval", "差值 95% 下限"),
        _c("difference_upper", N, "upper end of its 95 % interval", "差值 95% 上限"),
        _c("p_value", S, "of no difference", "p 值"),
        _c("adjusted_p_value", S, "corrected for all groups compared on the measure (Holm)", "校正 p 值"),
        *_TEXT,
    ),
)

RISK_REJECT_INFERENCE = Table(
    name="risk_reject_inference",
    one_row_is="one measure of the scorecard without and with the refused guessed at",
    one_row_is_zh="评分卡在不推断与拒绝推断下的一项指标",
    key=("method", "measure"),
    columns=(
        _c("method", T, "fuzzy or parcelling", "推断方法", required=True),
        _c("measure", T, "what is measured", "指标", required=True),
        _c("without", N, "value of the scorecard that decides, made of the accepted alone", "不推断的值"),
        _c("inferred", N, "value with the refused guessed at", "推断后的值"),
        *_TEXT,
    ),
)

OVERSIGHT_MARTS = (
    RISK_STABILITY,
    RISK_CAUTIONS,
    RISK_MOVES,
    RISK_VINTAGES,
    RISK_WATCH_LIST,
    RISK_REASSESSMENT,
    RISK_FAIRNESS,
    RISK_REJECT_INFERENCE,
)
