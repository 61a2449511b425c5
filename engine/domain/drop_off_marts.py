"""The tables of a run about drop-offs: what they cost, which friction, what if, and which open journeys are next."""

from __future__ import annotations

from engine.domain.schema import Column, Kind, Table

T, N, S, M, B, W = Kind.TEXT, Kind.NUMBER, Kind.SHARE, Kind.MONEY, Kind.BOOLEAN, Kind.INSTANT
COUNT = Kind.INTEGER


def _c(name: str, kind: Kind, meaning: str, meaning_zh: str, *, required: bool = False) -> Column:
    return Column(name=name, kind=kind, meaning=meaning, meaning_zh=meaning_zh, required=required)


_JOURNEY = _c("journey", T, "the journey", "旅程", required=True)
_STEP = (
    _c("step_index", COUNT, "1-based", "步骤序号", required=True),
    _c("step", T, "name of the step", "步骤"),
)
_NEXT = _c("next_step", T, "the next step that must be reached", "下一必经步骤")

JOURNEY_DROP_OFFS = Table(
    name="journey_drop_offs",
    one_row_is="the drop-off at one step of one journey for one group",
    one_row_is_zh="旅程某步某组的流失",
    key=("journey", "breakdown", "group", "step_index"),
    columns=(
        _JOURNEY,
        _c(
            "breakdown",
            T,
            "all, cluster, value_tier, risk_tier, age or channel (of the step)",
            "拆分维度",
            required=True,
        ),
        _c("group", T, "group within the breakdown; 'all' without one", "组别", required=True),
        *_STEP,
        _NEXT,
        _c("rank", COUNT, "1 is the step with the most at stake, within the group", "排序"),
        _c("customers", COUNT, "customers who reached the step", "到达客户数"),
        _c("continued", COUNT, "of them, reached the next step in time", "继续"),
        _c("dropped", COUNT, "of them, did not and no longer can", "流失"),
        _c("in_progress", COUNT, "of them, did not yet and still can", "进行中"),
        _c("settled", COUNT, "of them, those whose window has closed: the rate is theirs", "窗口已关闭"),
        _c("drop_rate", S, "share of the settled who did not go on", "流失率"),
        _c("drop_rate_lower", S, "lower end of its 95 % interval", "95% 下限"),
        _c("drop_rate_upper", S, "upper end of its 95 % interval", "95% 上限"),
        _c("last_seen_seconds", N, "median time from the step to the last event within the window", "末次活动中位秒"),
        _c("last_seen_lower", N, "lower end of its 95 % interval", "95% 下限"),
        _c("last_seen_upper", N, "upper end of its 95 % interval", "95% 上限"),
        _c("came_back_seconds", N, "median time to the next event, of those who came back", "再次出现中位秒"),
        _c("left_from", T, "channel of the step that most of them left from", "流失渠道"),
        _c("left_from_share", S, "share of those who dropped off", "占比"),
        _c("next_channel", T, "channel that most of them used next; 'nothing' when none", "下一渠道"),
        _c("next_channel_share", S, "share of those who dropped off", "占比"),
        _c("next_event", T, "what most of them did next; 'nothing' when nothing", "下一事件"),
        _c("next_event_share", S, "share of those who dropped off", "占比"),
        _c("converters", N, "of them, would have completed, had they gone on as others did", "可挽回转化数"),
        _c("unvalued", COUNT, "of them, those whose value is unknown: in no amount", "价值未知客户数"),
        _c("gross_minor", M, "margin a year that these conversions would bring, base currency", "损失毛利"),
        _c("expected_loss_minor", M, "loss expected on them: probability x loss given default x amount", "预期损失"),
        _c("net_minor", M, "margin less expected loss: the value at stake", "净价值"),
        _c("loss_share", N, "expected loss / margin", "预期损失占毛利"),
        _c("currency", T, "of the amounts", "币种"),
        _c("no_value_reason", T, "why amounts are empty", "无金额原因"),
    ),
)
JOURNEY_DROP_OFF_MOVES = Table(
    name="journey_drop_off_moves",
    one_row_is="one channel or event before or after a drop-off",
    one_row_is_zh="流失前后的一种去向",
    key=("journey", "step_index", "kind", "what"),
    columns=(
        _JOURNEY,
        *_STEP,
        _c("kind", T, "left_from, next_channel or next_event; the five most frequent of each", "类别", required=True),
        _c("what", T, "the channel or event; 'nothing' when nothing came", "取值", required=True),
        _c("customers", COUNT, "of those who dropped off there", "客户数"),
        _c("share", S, "of those who dropped off there", "占比"),
    ),
)
JOURNEY_FRICTION = Table(
    name="journey_friction",
    one_row_is="one signal of friction at one step",
    one_row_is_zh="某步的一种摩擦信号",
    key=("journey", "step_index", "kind", "signal"),
    columns=(
        _JOURNEY,
        *_STEP,
        _c("kind", T, "error, repeat, back_step, rework, ping_pong or silence", "类别", required=True),
        _c("signal", T, "the event of an error, else the kind", "信号", required=True),
        _c("rank", COUNT, "1 costs the journey the most customers", "排序"),
        _c("met", COUNT, "customers who met it while at the step", "遇到客户数"),
        _c("compared", COUNT, "of them, those with somebody to compare with", "可比客户数"),
        _c("chance_with", S, "share of the compared who went on", "遇到后继续率"),
        _c("chance_without", S, "share who would have, had they gone on as those compared with", "未遇到继续率"),
        _c("difference", N, "with - without", "差值"),
        _c("lower", N, "lower end of its 95 % interval", "95% 下限"),
        _c("upper", N, "upper end of its 95 % interval", "95% 上限"),
        _c("odds_ratio", N, "of going on, with against without", "优势比"),
        _c("odds_ratio_lower", N, "lower end of its 95 % interval", "95% 下限"),
        _c("odds_ratio_upper", N, "upper end of its 95 % interval", "95% 上限"),
        _c("p_value", S, "two-sided", "p 值"),
        _c("q_value", S, "corrected for all signals and steps of the journey", "校正 p 值"),
        _c("lost", N, "how many more would have reached the next step", "少到下一步"),
        _c("lost_lower", N, "lower end of its 95 % interval", "95% 下限"),
        _c("lost_upper", N, "upper end of its 95 % interval", "95% 上限"),
        _c("lost_converters", N, "of these, would have completed the journey", "少转化"),
        _c("met_before_going_on", S, "share of those who went on that met it first", "继续者遇到率"),
        _c("structural", B, "true where the flow leads nearly everyone through it", "流程所致"),
        _c("harmful", B, "true where fewer go on after it, beyond chance", "有害"),
        _c("note", T, "what limits the reading", "说明"),
    ),
)
JOURNEY_WHAT_IFS = Table(
    name="journey_what_ifs",
    one_row_is="one step of one journey, had every group gone on as the best one does",
    one_row_is_zh="若各组达到最佳组水平",
    key=("journey", "breakdown", "step_index"),
    columns=(
        _JOURNEY,
        _c("breakdown", T, "channel of the step, or age: what was known before", "拆分维度", required=True),
        *_STEP,
        _c("benchmark", T, "the group that goes on most, chance allowed for", "标杆组"),
        _c("others", COUNT, "customers at the step in the other groups", "其他组客户数"),
        _c("rate", S, "share of them who went on", "继续率"),
        _c("benchmark_rate", S, "that of the benchmark, drawn towards the others as chance demands", "标杆继续率"),
        _c("benchmark_lower", S, "lower end of its 95 % interval", "95% 下限"),
        _c("benchmark_upper", S, "upper end of its 95 % interval", "95% 上限"),
        _c("more_going_on", N, "more customers at the next step", "多到下一步"),
        _c("more_going_on_lower", N, "lower end of its 95 % interval", "95% 下限"),
        _c("more_going_on_upper", N, "upper end of its 95 % interval", "95% 上限"),
        _c("more_converters", N, "more customers who complete the journey", "多转化"),
        _c("more_converters_lower", N, "lower end of its 95 % interval", "95% 下限"),
        _c("more_converters_upper", N, "upper end of its 95 % interval", "95% 上限"),
        _c("extra_minor", M, "what these are worth a year net of expected loss, base currency", "增加净价值"),
        _c("extra_lower_minor", M, "lower end of its 95 % interval", "95% 下限"),
        _c("extra_upper_minor", M, "upper end of its 95 % interval", "95% 上限"),
    ),
)
JOURNEY_HAZARDS = Table(
    name="journey_hazards",
    one_row_is="one period since reaching a step",
    one_row_is_zh="到达某步后的一个时段",
    key=("journey", "step_index", "period"),
    columns=(
        _JOURNEY,
        *_STEP,
        _c("period", COUNT, "1-based; as many go on in each, but for the last", "时段序号", required=True),
        _c("from_seconds", N, "since reaching the step", "起秒"),
        _c("to_seconds", N, "since reaching the step", "止秒"),
        _c("at_risk", COUNT, "still at the step when it begins, and watched through it", "在险客户数"),
        _c("continued", COUNT, "of them, went on in it", "继续"),
        _c("hazard", S, "continued / at risk", "继续风险率"),
        _c("lower", N, "lower end of its 95 % interval", "95% 下限"),
        _c("upper", N, "upper end of its 95 % interval", "95% 上限"),
    ),
)
JOURNEY_OPEN = Table(
    name="journey_open",
    one_row_is="one customer with a journey still open",
    one_row_is_zh="一位仍在旅程中的客户",
    key=("journey", "customer_id"),
    columns=(
        _JOURNEY,
        _c("customer_id", T, "the customer", "客户号", required=True),
        *_STEP,
        _NEXT,
        _c("channel", T, "channel of the step", "渠道"),
        _c("reached_at", W, "when the step was reached", "到达时间"),
        _c("closes_at", W, "when the window closes", "窗口关闭时间"),
        _c("drop_probability", S, "chance not to reach the next step in time", "流失概率"),
        _c("method", T, "logistic where it beat kaplan_meier out of time, else kaplan_meier", "方法"),
        _c("friction_met", T, "signals of friction met at the step so far", "已遇摩擦"),
    ),
)
JOURNEY_OPEN_VALIDATION = Table(
    name="journey_open_validation",
    one_row_is="one measure of how forecasts for open journeys came true",
    one_row_is_zh="流失概率的一项时间外检验",
    key=("journey", "measure"),
    columns=(
        _JOURNEY,
        _c(
            "measure",
            T,
            "of the logistic model: auc, brier, gain (in Brier score over kaplan_meier); of kaplan_meier: "
            "auc_kaplan_meier, brier_kaplan_meier; of the method used: drop_rate, decile_01 to decile_10",
            "指标",
            required=True,
        ),
        _c("predicted", S, "mean forecast, for a rate", "平均预测"),
        _c("value", N, "the measure; for a rate, what was observed", "值"),
        _c("lower", N, "lower end of the 95 % interval", "95% 下限"),
        _c("upper", N, "upper end of the 95 % interval", "95% 上限"),
        _c("stays", COUNT, "journeys asked about", "样本量"),
        _c("note", T, "the method used, or why nothing could be tried", "说明"),
    ),
)

DROP_OFF_MARTS = (
    JOURNEY_DROP_OFFS,
    JOURNEY_DROP_OFF_MOVES,
    JOURNEY_FRICTION,
    JOURNEY_WHAT_IFS,
    JOURNEY_HAZARDS,
    JOURNEY_OPEN,
    JOURNEY_OPEN_VALIDATION,
)
