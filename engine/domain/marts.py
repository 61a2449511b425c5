"""The tables that a run writes: what the app, the exports and the command line read.

A mart is sorted by its key and byte-identical for the same inputs, settings and seed. The columns of `features`
are registered by the feature package itself, theme by theme; here stand only those that others rely on.
"""

from __future__ import annotations

from engine.domain.allocation_marts import ALLOCATION_MARTS
from engine.domain.audience_marts import AUDIENCE_MARTS
from engine.domain.contact_marts import CHANNEL_RESPONSES, CONTROL_GROUP, WITHHELD_CONTACTS
from engine.domain.decision_marts import DECISION_INPUTS
from engine.domain.drop_off_marts import DROP_OFF_MARTS
from engine.domain.experiment_marts import EXPERIMENT_MARTS
from engine.domain.fairness_marts import OFFER_FAIRNESS
from engine.domain.oversight_marts import OVERSIGHT_MARTS
from engine.domain.persona_marts import PERSONA_FACTS, PERSONAS
from engine.domain.risk_marts import RISK_MARTS
from engine.domain.schema import Column, Kind, Table
from engine.domain.segment_marts import SEGMENT_MARTS
from engine.domain.text_marts import TEXT_MARTS

T, I, N, S, M, B, W = (
    Kind.TEXT,
    Kind.INTEGER,
    Kind.NUMBER,
    Kind.SHARE,
    Kind.MONEY,
    Kind.BOOLEAN,
    Kind.INSTANT,
)


def _c(name: str, kind: Kind, meaning: str, meaning_zh: str, *, required: bool = False) -> Column:
    return Column(name=name, kind=kind, meaning=meaning, meaning_zh=meaning_zh, required=required)


def _customer() -> Column:
    return _c("customer_id", T, "the customer", "客户号", required=True)


SEGMENTS = Table(
    name="segments",
    one_row_is="one customer",
    one_row_is_zh="一位客户",
    key=("customer_id",),
    columns=(
        _customer(),
        _c("recency_score", I, "1 to 5, 5 is the most recent fifth; empty when never active", "近度 1-5"),
        _c("frequency_score", I, "1 to 5", "频度 1-5"),
        _c("monetary_score", I, "1 to 5", "金额 1-5"),
        _c("rfm_cell", T, "the three scores, such as 5-4-3", "RFM 单元"),
        _c("value_tier", T, "top, high, middle, low, none: by what the customer earns the bank", "价值层级"),
        _c("cluster_id", I, "behavioural cluster, 0-based; empty for customers without any activity", "行为群编号"),
        _c("cluster_name", T, "name made from the cluster's profile", "行为群名称"),
        _c("cluster_name_zh", T, "the same in Chinese", "行为群中文名"),
        _c("cluster_outlier", B, "true where the nearest cluster is too far to be like it", "是否离群"),
    ),
)
SEGMENT_PROFILES = Table(
    name="segment_profiles",
    one_row_is="one feature of one cluster",
    one_row_is_zh="行为群的一个特征",
    key=("cluster_id", "feature"),
    columns=(
        _c("cluster_id", I, "behavioural cluster", "行为群编号", required=True),
        _c("cluster_name", T, "its name", "名称"),
        _c("cluster_name_zh", T, "its name in Chinese", "中文名"),
        _c("customers", I, "customers in it", "客户数"),
        _c("feature", T, "feature of the feature table", "特征", required=True),
        _c("mean", N, "mean over the cluster", "群均值"),
        _c("overall_mean", N, "mean over all clustered customers", "总体均值"),
        _c(
            "effect_size",
            N,
            "difference of the means in overall standard deviations, on the scale that clusters are made on",
            "效应量（聚类尺度上的标准差数）",
        ),
    ),
)
SEGMENT_CHOICES = Table(
    name="segment_choices",
    one_row_is="one number of clusters that was tried",
    one_row_is_zh="一次聚类尝试",
    key=("clusters",),
    columns=(
        _c("clusters", I, "number of clusters", "群数", required=True),
        _c("silhouette", N, "mean silhouette on a sample, -1 to 1", "轮廓系数"),
        _c("stability", N, "agreement of divisions of bootstrap samples: adjusted Rand index, 1 is the same", "稳定性"),
        _c("weakest_cluster", N, "overlap of the cluster that samples reproduce worst, 0 to 1", "最弱群复现度"),
        _c("chosen", B, "true for the one used", "是否采用"),
    ),
)
RISK = Table(
    name="risk",
    one_row_is="one customer",
    one_row_is_zh="一位客户",
    key=("customer_id",),
    columns=(
        _customer(),
        _c("score", I, "scorecard points, higher is safer", "评分"),
        _c("default_probability", S, "probability of default within 12 months", "12月违约概率"),
        _c("risk_tier", T, "low, medium, high, or unknown when there is no signal", "风险等级"),
        _c("exposure_minor", M, "what is owed now and could be drawn, base currency", "敞口"),
        _c("expected_loss_minor", M, "probability x loss given default x exposure, base currency", "预期损失"),
        _c("reason_1", T, "characteristic that costs the most points", "首要扣分项"),
        _c("reason_2", T, "the next", "次要扣分项"),
        _c("reason_3", T, "the next", "第三扣分项"),
        _c("signal_at", W, "date of the newest risk record used; old ones make the gates refuse", "风险数据时点"),
        _c("signal_missing_share", S, "share of characteristics with no value", "缺失特征占比"),
    ),
)
RISK_SCORECARD = Table(
    name="risk_scorecard",
    one_row_is="one bin of one characteristic",
    one_row_is_zh="评分卡分箱",
    key=("characteristic", "bin_index"),
    columns=(
        _c("characteristic", T, "what is measured", "特征", required=True),
        _c("bin_index", I, "order of the bin; -1 is missing", "分箱序号", required=True),
        _c("bin", T, "range or values, in words", "分箱"),
        _c("points", I, "points it adds", "得分"),
        _c("weight_of_evidence", N, "ln(share of goods / share of bads)", "WOE"),
        _c("information_value", N, "the bin's part of the characteristic's information value", "IV"),
        _c("goods", I, "non-defaults in training", "好样本"),
        _c("bads", I, "defaults in training", "坏样本"),
        _c("bad_rate", S, "bads / all in training; empty for an empty bin", "坏账率"),
    ),
)
RISK_VALIDATION = Table(
    name="risk_validation",
    one_row_is="one measure of one model on one sample",
    one_row_is_zh="一个模型的一项检验",
    key=("model", "sample", "measure"),
    columns=(
        _c("model", T, "scorecard, glass_box, monotone_boosting or random_forest", "模型", required=True),
        _c("sample", T, "train, out_of_time, or customers: those graded in this run", "样本", required=True),
        _c(
            "measure",
            T,
            "auc, ks, gini, brier, mean_predicted, observed_rate; of a challenger also auc_gain over the "
            "scorecard and the shares of customers whose tier is the same, lower or higher",
            "指标",
            required=True,
        ),
        _c("value", N, "the measure; empty when undefined", "值"),
        _c("lower", N, "lower end of the 95 % interval", "95% 下限"),
        _c("upper", N, "upper end of the 95 % interval", "95% 上限"),
        _c("rows", I, "applications or customers in the sample", "样本量"),
        _c("bads", I, "defaults in the sample; empty for customers", "坏样本数"),
        _c("note", T, "why a value is missing, or what limits it", "说明"),
    ),
)
JOURNEY_STAGES = Table(
    name="journey_stages",
    one_row_is="one customer in one journey",
    one_row_is_zh="客户在一条旅程中的位置",
    key=("journey", "customer_id"),
    columns=(
        _c("journey", T, "the journey", "旅程", required=True),
        _customer(),
        _c("stage", T, "stage in which the customer stands: of the attempt still open, else of the latest", "阶段"),
        _c("reached_step", I, "deepest step reached in the best attempt, which funnels count, 1-based", "已达步骤"),
        _c("step", T, "name of that step", "步骤名"),
        _c("current_step", T, "step at which the customer stands", "当前步骤"),
        _c("next_step", T, "step expected after it, optional ones passed over; empty after the last", "下一步"),
        _c("entered_at", W, "when the best attempt began", "进入时间"),
        _c("channel", T, "channel in which the best attempt began", "进入渠道"),
        _c("stage_since", W, "when the step at which the customer stands was reached", "到达时间"),
        _c("stage_entered_at", W, "when the stage was entered", "进入阶段时间"),
        _c("deadline_at", W, "until when the next step counts; empty once converted", "截止时间"),
        _c("status", T, "converted, dropped or in_progress", "状态"),
    ),
)
JOURNEY_FUNNELS = Table(
    name="journey_funnels",
    one_row_is="one step of one journey for one group",
    one_row_is_zh="旅程某步某组漏斗",
    key=("journey", "breakdown", "group", "step_index"),
    columns=(
        _c("journey", T, "the journey", "旅程", required=True),
        _c("breakdown", T, "all, cluster, value_tier, risk_tier or channel", "拆分维度", required=True),
        _c("group", T, "group within the breakdown; 'all' without one", "组别", required=True),
        _c("step_index", I, "1-based", "步骤序号", required=True),
        _c("step", T, "name of the step", "步骤"),
        _c("stage", T, "stage that the step belongs to", "阶段"),
        _c("customers", I, "customers who reached it", "到达客户数"),
        _c(
            "continued", I, "of them, reached the next step in time; at the last step all of them", "继续（末步为全部）"
        ),
        _c("dropped", I, "of them, did not and no longer can", "流失"),
        _c("in_progress", I, "of them, did not yet and still can", "进行中"),
        _c("rate_from_first", S, "customers / those who entered", "总转化率"),
        _c("rate_from_previous", S, "customers / those at the previous step", "步转化率"),
        _c(
            "median_seconds_from_previous",
            N,
            "median time from the previous step among those who came",
            "中位耗时（秒）",
        ),
    ),
)
JOURNEY_FINDINGS = Table(
    name="journey_findings",
    one_row_is="one rule of one journey that one customer's way broke",
    one_row_is_zh="一位客户在一条旅程中违反的一条规则",
    key=("journey", "rule", "customer_id"),
    columns=(
        _c("journey", T, "the journey", "旅程", required=True),
        _c("rule", T, "the rule", "规则", required=True),
        _customer(),
        _c("kind", T, "mandatory, precedes, within or absent", "规则类型"),
        _c("breach", T, "skipped, wrong_order, expired, too_late or forbidden", "违反方式"),
        _c("breached_at", W, "when it became a fact", "违反时间"),
        _c("severity", T, "low, medium, high or critical", "严重程度"),
        _c("owner", T, "who answers for it", "责任方"),
        _c("text_en", T, "the rule in English", "规则说明（英）"),
        _c("text_zh", T, "the rule in Chinese", "规则说明（中）"),
    ),
)
PRODUCT_RULES = Table(
    name="product_rules",
    one_row_is="one pair of products: who has the first also takes the second",
    one_row_is_zh="一条产品关联规则",
    key=("has_product_id", "takes_product_id"),
    columns=(
        _c("has_product_id", T, "held", "已持有", required=True),
        _c("takes_product_id", T, "also held", "同时持有", required=True),
        _c("customers", I, "who hold both", "同持客户数"),
        _c("support", S, "of all customers, hold both", "支持度"),
        _c("confidence", S, "of those who hold the first, hold the second", "置信度"),
        _c("lift", N, "confidence over the share of all who hold the second", "提升度"),
        _c("leverage", N, "support less what it would be if the two had nothing to do with each other", "杠杆率"),
        _c(
            "zhang",
            N,
            "Zhang's measure of association, -1 to 1; 0 is no relation, empty where one of them all hold",
            "张氏关联度（-1到1）",
        ),
    ),
)
RECOMMENDATION_MODELS = Table(
    name="recommendation_models",
    one_row_is="one model in the race",
    one_row_is_zh="一个候选模型",
    key=("model",),
    columns=(
        _c(
            "model",
            T,
            "popularity, segment_popularity, pair_rules, ease, als, item_knn, softmax, logistic, boosted_trees",
            "模型",
            required=True,
        ),
        _c("map_at_7", S, "mean average precision at 7 on the later window, out of min(7, number opened)", "MAP@7"),
        _c("map_lower", S, "lower end of its 95 % interval", "MAP@7下限"),
        _c("map_upper", S, "upper end of its 95 % interval", "MAP@7上限"),
        _c("gain_lower", N, "lower end of the 95 % interval of its gain over popularity", "较热门度增益下限"),
        _c("gain_upper", N, "upper end of that interval", "较热门度增益上限"),
        _c("recall_at_7", S, "of what was opened, among the first 7", "前7召回率"),
        _c("hit_rate_at_3", S, "customers whose new product was among the first 3", "前3命中率"),
        _c("coverage", S, "products that the first 3 of anybody name", "覆盖率"),
        _c("calibration_error", S, "expected calibration error; empty for models that give no probability", "校准误差"),
        _c(
            "log_loss",
            N,
            "mean over customers of the negative log-likelihood of what they opened; of those that beat popularity the "
            "lowest ranks; empty for models that give no probability",
            "对数损失",
        ),
        _c("customers", I, "customers with a new product in the window", "评估客户数"),
        _c("chosen", B, "true for the one that ranks", "是否采用"),
        _c("note", T, "why it was not run, or what limits it", "说明"),
    ),
)
RECOMMENDATIONS = Table(
    name="recommendations",
    one_row_is="one offer to one customer",
    one_row_is_zh="对一位客户的一条推荐",
    key=("customer_id", "rank"),
    columns=(
        _customer(),
        _c("rank", I, "1 is the best", "排序", required=True),
        _c("decision_id", T, "id of the decision, the same whenever it is recomputed", "决策号"),
        _c("product_id", T, "the product", "产品"),
        _c("offer_id", T, "the offer that it is made in; the product itself where it has none", "推荐方案"),
        _c("lever", N, "what its value counts beside others', by the bank's levers; 1 without any", "权重系数"),
        _c("channel", T, "contact channel that the customer agreed to", "触达渠道"),
        _c("channel_reason", T, "why that channel, in English", "渠道理由（英）"),
        _c("channel_reason_zh", T, "why that channel, in Chinese", "渠道理由（中）"),
        _c(
            "contact_hour",
            I,
            "best hour, 0 to 23, local to the bank; empty where unknown",
            "触达时点（本地小时）",
        ),
        _c("contact_day_part", T, "night, morning, afternoon or evening", "触达时段"),
        _c("contact_hour_reason", T, "why that hour, or why none, in English", "时点理由（英）"),
        _c("contact_hour_reason_zh", T, "why that hour, or why none, in Chinese", "时点理由（中）"),
        _c("propensity", S, "calibrated probability of taking it in the next 90 days", "90天购买概率"),
        _c(
            "expected_value_minor",
            M,
            "share of response left x propensity x (margin - expected loss) - contact cost, base currency",
            "期望价值",
        ),
        _c("expected_loss_minor", M, "loss expected if it is taken, base currency", "预期损失"),
        _c("annual_rate", N, "price a year of credit that risk names; empty for what is no credit", "年利率"),
        _c("limit_minor", M, "the most of this credit that risk would lend, base currency", "可授信额度"),
        _c("amount_minor", M, "amount of credit that value and loss are of: see value.terms", "计价金额"),
        _c(
            "break_even_default_probability",
            S,
            "default probability at which the credit would be worth nothing, all else equal; 1 where none is too high",
            "盈亏平衡违约概率",
        ),
        _c("terms_note", T, "why credit has no price or no limit, in English", "条件缺失原因（英）"),
        _c("terms_note_zh", T, "why credit has no price or no limit, in Chinese", "条件缺失原因（中）"),
        _c(
            "selection",
            T,
            "best: worth most of what was left at its place; explored: drawn, another than that; control: drawn evenly "
            "for the control group",
            "选取方式",
        ),
        _c(
            "selection_probability",
            S,
            "chance that it had of being drawn at this place, given the offers above it; 1 where nothing is drawn, "
            "empty where unknown",
            "选取概率",
        ),
        _c("track", T, "fast_track, standard, extra_verification or retention_offer", "处理通道"),
        _c("track_reason", T, "why it goes on that track, in English", "通道理由（英）"),
        _c("track_reason_zh", T, "why it goes on that track, in Chinese", "通道理由（中）"),
        _c("reason_1", T, "why this product, in English", "推荐理由（英）"),
        _c("reason_1_zh", T, "why this product, in Chinese", "推荐理由（中）"),
        _c("reason_2", T, "the second reason", "理由二（英）"),
        _c("reason_2_zh", T, "the second reason, in Chinese", "理由二（中）"),
    ),
)
DECISIONS = Table(
    name="decisions",
    one_row_is="one product considered for one customer",
    one_row_is_zh="对一位客户考虑的一个产品",
    key=("customer_id", "product_id"),
    columns=(
        _customer(),
        _c("product_id", T, "the product", "产品", required=True),
        _c("propensity", S, "calibrated probability of taking it in the next 90 days", "购买概率"),
        _c("expected_value_minor", M, "expected value, base currency", "期望价值"),
        _c("refused_mask", I, "bit i is set where gate i refuses; 0 lets it pass", "拒绝掩码"),
        _c("rank", I, "rank among the offers made; empty when not offered", "排序"),
    ),
)
GATES = Table(
    name="gates",
    one_row_is="one gate",
    one_row_is_zh="一道闸口",
    key=("bit",),
    columns=(
        _c("bit", I, "its bit in refused_mask", "位", required=True),
        _c("gate", T, "consent, kyc, holdings, age, risk_tier, risk_stale, affordability, ...", "闸口"),
        _c(
            "kind",
            T,
            "what it protects: eligibility, applicability, suitability, consent, kyc, affordability, risk, complaint, "
            "contact, value or fairness",
            "类别",
        ),
        _c("reason_code", T, "code given with a refusal", "原因码"),
        _c("text_en", T, "sentence in English", "英文说明"),
        _c("text_zh", T, "sentence in Chinese", "中文说明"),
        _c("refused_pairs", I, "customer and product pairs that it refused in this run", "拒绝对数"),
        _c("refused_only_by_this", I, "pairs that no other gate refused", "唯一拒绝对数"),
        _c("customers", I, "customers with at least one product refused by it", "涉及客户数"),
    ),
)
MARTS: dict[str, Table] = {
    mart.name: mart
    for mart in (
        SEGMENTS,
        SEGMENT_PROFILES,
        SEGMENT_CHOICES,
        *SEGMENT_MARTS,
        RISK,
        RISK_SCORECARD,
        RISK_VALIDATION,
        *RISK_MARTS,
        *OVERSIGHT_MARTS,
        JOURNEY_STAGES,
        JOURNEY_FUNNELS,
        JOURNEY_FINDINGS,
        *DROP_OFF_MARTS,
        PRODUCT_RULES,
        RECOMMENDATION_MODELS,
        RECOMMENDATIONS,
        DECISIONS,
        DECISION_INPUTS,
        GATES,
        CONTROL_GROUP,
        CHANNEL_RESPONSES,
        OFFER_FAIRNESS,
        WITHHELD_CONTACTS,
        *ALLOCATION_MARTS,
        PERSONAS,
        PERSONA_FACTS,
        *AUDIENCE_MARTS,
        *EXPERIMENT_MARTS,
        *TEXT_MARTS,
    )
}
