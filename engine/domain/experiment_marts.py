"""The tables of a run about experiments: results and checks, decisions, and what lies behind them.

What a failed check withholds is in none of them: an experiment that fails one has rows of results without numbers, its
checks and its decision.
"""

from __future__ import annotations

from engine.domain.schema import Column, Kind, Table

T, N, S, B, D = Kind.TEXT, Kind.NUMBER, Kind.SHARE, Kind.BOOLEAN, Kind.DATE
COUNT = Kind.INTEGER


def _c(name: str, kind: Kind, meaning: str, meaning_zh: str, *, required: bool = False) -> Column:
    return Column(name=name, kind=kind, meaning=meaning, meaning_zh=meaning_zh, required=required)


_EXPERIMENT = _c("experiment_id", T, "the experiment", "实验", required=True)
_METRIC = _c("metric", T, "the metric", "指标", required=True)
_VARIANT = _c("variant", T, "the variant, compared with control", "分组", required=True)
_COMPARED = (
    _c("variant_units", COUNT, "customers in the variant", "实验组人数"),
    _c("control_units", COUNT, "customers in control", "对照组人数"),
    _c("variant_mean", N, "mean or rate", "实验组均值"),
    _c("control_mean", N, "mean or rate", "对照组均值"),
    _c("difference", N, "variant - control", "差值"),
    _c("lower", N, "lower end of its interval", "下限"),
    _c("upper", N, "upper end of its interval", "上限"),
    _c("p_value", S, "two-sided", "p 值"),
)

EXPERIMENT_RESULTS = Table(
    name="experiment_results",
    one_row_is="one metric of one variant against control",
    one_row_is_zh="一项实验结果",
    key=("experiment_id", "metric", "variant"),
    columns=(
        _c("experiment_id", T, "the experiment", "实验", required=True),
        _c("metric", T, "the metric", "指标", required=True),
        _c("role", T, "goal, secondary or guardrail", "角色"),
        _c("metric_kind", T, "mean, proportion, ratio, quantile, retention, time_to_event or composite", "指标类型"),
        _c("variant", T, "the variant", "分组", required=True),
        _c("control", T, "what it is compared with", "对照组"),
        _c("variant_units", COUNT, "customers in the variant", "实验组人数"),
        _c("control_units", COUNT, "customers in control", "对照组人数"),
        _c("variant_mean", N, "mean or rate; empty when withheld", "实验组均值"),
        _c("control_mean", N, "mean or rate; empty when withheld", "对照组均值"),
        _c("difference", N, "variant - control; empty when withheld", "差值"),
        _c("lower", N, "lower end of its 95 % interval", "95% 下限"),
        _c("upper", N, "upper end of its 95 % interval", "95% 上限"),
        _c("p_value", S, "two-sided", "p 值"),
        _c("relative_difference", N, "difference / control; empty when control is 0", "相对差"),
        _c("relative_lower", N, "lower end of its 95 % interval (Fieller)", "相对下限"),
        _c("relative_upper", N, "upper end of its 95 % interval (Fieller)", "相对上限"),
        _c("adjusted_difference", N, "difference, adjusted by what was known before", "调整后差值"),
        _c("adjusted_lower", N, "lower end of its 95 % interval", "调整后下限"),
        _c("adjusted_upper", N, "upper end of its 95 % interval", "调整后上限"),
        _c("adjusted_p_value", S, "two-sided, of the adjusted difference", "调整后 p 值"),
        _c("judged_lower", N, "lower end of what the verdict rests on: at this look, of all comparisons", "判定下限"),
        _c("judged_upper", N, "its upper end", "判定上限"),
        _c("judged_p_value", S, "two-sided, valid at this look, corrected for the comparisons", "判定 p 值"),
        _c("judged_relative_lower", N, "lower end of what the verdict rests on, relative (Fieller)", "判定相对下限"),
        _c("judged_relative_upper", N, "its upper end", "判定相对上限"),
        _c("verdict", T, "better, worse, no_difference_shown or withheld", "结论"),
        _c("withheld_reason", T, "why numbers are withheld", "隐藏原因"),
        _c("spec_hash", T, "SHA-256 of the plan that the result was made by", "计划指纹"),
    ),
)
EXPERIMENT_HEALTH = Table(
    name="experiment_health",
    one_row_is="one check of one experiment",
    one_row_is_zh="实验的一项检查",
    key=("experiment_id", "check"),
    columns=(
        _c("experiment_id", T, "the experiment", "实验", required=True),
        _c("check", T, "sample_ratio, several_variants, ...", "检查", required=True),
        _c("status", T, "ok, warning or stop", "状态"),
        _c("p_value", S, "where the check is a test", "p 值"),
        _c("statistic", N, "where the check is a test", "统计量"),
        _c("detail", T, "what was found, in a sentence", "说明"),
        _c("detail_zh", T, "the same in Chinese", "中文说明"),
    ),
)
EXPERIMENT_DECISIONS = Table(
    name="experiment_decisions",
    one_row_is="the decision on one experiment, with its whole result",
    one_row_is_zh="一项实验的结论与完整结果",
    key=("experiment_id",),
    columns=(
        _EXPERIMENT,
        _c("action", T, "ship, roll_back, continue or review, by the rules written before", "结论"),
        _c("variant", T, "the one to ship", "上线分组"),
        _c("days", COUNT, "for how long to go on, where known", "继续天数"),
        _c("headline", T, "the decision as a banner shows it", "结论标题"),
        _c("headline_zh", T, "the same in Chinese", "中文标题"),
        _c("reasons", T, "the reasons, one a line", "理由"),
        _c("reasons_zh", T, "the same in Chinese", "中文理由"),
        _c("spec_hash", T, "SHA-256 of the plan that it was made by", "计划指纹"),
        _c("changed", T, "settings changed after the first look, by comma; empty when none", "首次查看后修改"),
        _c("result", T, "the whole result as JSON, as `wayline experiment report --json` writes it", "完整结果 JSON"),
    ),
)
EXPERIMENT_DAYS = Table(
    name="experiment_days",
    one_row_is="the effect on one metric by one day",
    one_row_is_zh="一项指标到某日的效应",
    key=("experiment_id", "metric", "variant", "clock", "day"),
    columns=(
        _EXPERIMENT,
        _METRIC,
        _VARIANT,
        _c("clock", T, "calendar or since_exposure", "时间轴", required=True),
        _c(
            "day",
            COUNT,
            "days since the first exposure of anyone, or days since the customer's own",
            "天",
            required=True,
        ),
        _c("date", D, "last day of first exposures, of the calendar", "日期"),
        _c("measure", T, "all_until_then, cumulative_share or daily_mean", "度量"),
        *_COMPARED,
    ),
)
EXPERIMENT_SEGMENTS = Table(
    name="experiment_segments",
    one_row_is="the effect on one metric within one segment",
    one_row_is_zh="一项指标在某人群内的效应",
    key=("experiment_id", "metric", "variant", "segment", "segment_value"),
    columns=(
        _EXPERIMENT,
        _METRIC,
        _VARIANT,
        _c("segment", T, "the attribute", "属性", required=True),
        _c("segment_value", T, "its value", "取值", required=True),
        *_COMPARED,
        _c("interaction_p_value", S, "that the effect is the same in all values of the attribute", "交互 p 值"),
        _c("interaction_adjusted_p_value", S, "corrected for all tests of the experiment", "校正后交互 p 值"),
        _c("reason", T, "why there is no effect", "原因"),
        _c("reason_zh", T, "the same in Chinese", "中文原因"),
    ),
)
EXPERIMENT_FAIRNESS = Table(
    name="experiment_fairness",
    one_row_is="how one protected group fares on one metric",
    one_row_is_zh="某受保护群体在一项指标上的情况",
    key=("experiment_id", "metric", "variant", "attribute", "group"),
    columns=(
        _EXPERIMENT,
        _METRIC,
        _VARIANT,
        _c("attribute", T, "the protected attribute", "受保护属性", required=True),
        _c("group", T, "the group", "群体", required=True),
        _c("safety", T, "safe, harmed, unknown, or suppressed where a group is too small to be shown", "是否安全"),
        *_COMPARED,
        _c("bound", N, "the worst that its effect may be; a share of control where the margin is one", "最坏可能"),
        _c("harm_p_value", S, "one-sided, corrected for the groups", "受损 p 值"),
        _c("is_worst", B, "whether it fares worst of those shown", "最差"),
        _c("interaction_p_value", S, "that the effect is the same in all groups shown", "交互 p 值"),
        _c("widest_gap", N, "largest difference between the effects of two groups", "最大差距"),
        _c("widest_gap_p_value", S, "of it, corrected for the pairs", "差距 p 值"),
        _c("reason", T, "why nothing is shown", "原因"),
        _c("reason_zh", T, "the same in Chinese", "中文原因"),
    ),
)
EXPERIMENT_OVERLAPS = Table(
    name="experiment_overlaps",
    one_row_is="two experiments that share customers",
    one_row_is_zh="两项共享客户的实验",
    key=("experiment_id", "other_experiment_id"),
    columns=(
        _EXPERIMENT,
        _c("other_experiment_id", T, "the other experiment", "另一实验", required=True),
        _c("customers", COUNT, "customers in both", "共同客户数"),
        _c("independence_p_value", S, "that arms were drawn independently, corrected for the pairs", "独立性 p 值"),
        _c("reason", T, "why the two were not crossed", "未交叉的原因"),
        _c("reason_zh", T, "the same in Chinese", "中文原因"),
    ),
)
EXPERIMENT_INTERACTIONS = Table(
    name="experiment_interactions",
    one_row_is="what a variant does on one metric under another experiment's variant, minus under its control",
    one_row_is_zh="另一实验对本实验效应的影响",
    key=("experiment_id", "metric", "variant", "other_experiment_id", "other_variant"),
    columns=(
        _EXPERIMENT,
        _METRIC,
        _VARIANT,
        _c("other_experiment_id", T, "the other experiment", "另一实验", required=True),
        _c("other_variant", T, "its variant", "其分组", required=True),
        _c("alone", N, "the effect under the other's control", "单独效应"),
        _c("together", N, "the effect under the other's variant", "共同效应"),
        _c("difference", N, "together - alone", "差值"),
        _c("lower", N, "lower end of its interval", "下限"),
        _c("upper", N, "upper end of its interval", "上限"),
        _c("p_value", S, "two-sided", "p 值"),
        _c("adjusted_p_value", S, "corrected for all crossings of the run", "校正后 p 值"),
        _c("reason", T, "why there is no number", "原因"),
        _c("reason_zh", T, "the same in Chinese", "中文原因"),
    ),
)

EXPERIMENT_MARTS = (
    EXPERIMENT_RESULTS,
    EXPERIMENT_HEALTH,
    EXPERIMENT_DECISIONS,
    EXPERIMENT_DAYS,
    EXPERIMENT_SEGMENTS,
    EXPERIMENT_FAIRNESS,
    EXPERIMENT_OVERLAPS,
    EXPERIMENT_INTERACTIONS,
)
