"""The curated tables: one contract each, in the words that the whole engine uses.

Every instant is UTC, every money column is an integer in minor units, every id is text. A column marked
`derived` is made by intake and never read from a source.
"""

from __future__ import annotations

from engine.domain.schema import Column, Kind, Table
from engine.domain.words import (
    APPLICATION_DECISIONS,
    CHANNELS,
    CONTACT_CHANNELS,
    FEEDBACK_EVENTS,
    IDENTITY_TYPES,
    INTERACTION_KINDS,
    KYC_STATUSES,
    PRODUCT_FAMILIES,
)

T, I, N, S, M, B, D, W = (
    Kind.TEXT,
    Kind.INTEGER,
    Kind.NUMBER,
    Kind.SHARE,
    Kind.MONEY,
    Kind.BOOLEAN,
    Kind.DATE,
    Kind.INSTANT,
)


def _customer(required: bool = True) -> Column:
    return Column(
        name="customer_id",
        kind=T,
        required=required,
        references="customers.customer_id",
        meaning="the customer the row belongs to",
        meaning_zh="该行所属客户",
    )


def _product(required: bool = True) -> Column:
    return Column(
        name="product_id",
        kind=T,
        required=required,
        references="products.product_id",
        meaning="the product the row is about",
        meaning_zh="该行所涉产品",
    )


def _currency() -> Column:
    return Column(
        name="currency",
        kind=T,
        required=True,
        meaning="ISO 4217 code of the amounts in the row; must be one the bank keeps a rate for",
        meaning_zh="本行金额的币种（ISO 4217），须为本行配置汇率的币种",
    )


CUSTOMERS = Table(
    name="customers",
    one_row_is="one person or firm that the bank serves or has served",
    one_row_is_zh="银行现有或曾有的一位客户",
    key=("customer_id",),
    columns=(
        Column(
            name="customer_id",
            kind=T,
            required=True,
            meaning="the bank's own id of the customer",
            meaning_zh="银行客户号",
        ),
        Column(name="full_name", kind=T, personal=True, meaning="name as written by the bank", meaning_zh="客户姓名"),
        Column(name="birth_date", kind=D, personal=True, meaning="date of birth", meaning_zh="出生日期"),
        Column(
            name="gender",
            kind=T,
            choices=("female", "male", "other"),
            meaning="gender as recorded",
            meaning_zh="登记性别",
        ),
        Column(name="region", kind=T, meaning="region of residence, as the bank names it", meaning_zh="居住地区"),
        Column(
            name="language",
            kind=T,
            choices=("en", "zh"),
            meaning="language the customer wants to be addressed in",
            meaning_zh="沟通语言",
        ),
        Column(
            name="household_id",
            kind=T,
            meaning="customers with the same id live in one household",
            meaning_zh="家庭号，同号者同住",
        ),
        Column(
            name="employment",
            kind=T,
            choices=("employed", "self_employed", "student", "retired", "unemployed"),
            meaning="employment",
            meaning_zh="就业状况",
        ),
        Column(
            name="education",
            kind=T,
            choices=("basic", "secondary", "tertiary"),
            meaning="highest education",
            meaning_zh="最高学历",
        ),
        Column(
            name="marital_status",
            kind=T,
            choices=("single", "married", "divorced", "widowed"),
            meaning="marital status",
            meaning_zh="婚姻状况",
        ),
        Column(
            name="dependants",
            kind=I,
            minimum=0,
            maximum=20,
            meaning="persons who depend on the customer's income",
            meaning_zh="被抚养人数",
        ),
        Column(
            name="income_monthly_minor",
            kind=M,
            minimum=0,
            unit="minor units of the base currency a month",
            meaning="declared net income",
            meaning_zh="申报月净收入",
        ),
        Column(
            name="joined_at",
            kind=W,
            required=True,
            meaning="when the relationship began",
            meaning_zh="开户建立关系时间",
        ),
        Column(
            name="closed_at",
            kind=W,
            meaning="when the relationship ended; empty while it lasts",
            meaning_zh="关系终止时间，存续则为空",
        ),
        Column(
            name="kyc_status",
            kind=T,
            choices=KYC_STATUSES,
            meaning="state of the identity check",
            meaning_zh="身份核验状态",
        ),
        Column(
            name="kyc_expires_on",
            kind=D,
            meaning="day on which the identity check must be renewed",
            meaning_zh="身份核验到期日",
        ),
        Column(
            name="person_id",
            kind=T,
            derived=True,
            meaning="rows of one person under several customer ids share it",
            meaning_zh="同一人多个客户号的合并标识",
        ),
    ),
    time_column="joined_at",
)

IDENTITIES = Table(
    name="identities",
    one_row_is="one identifier seen with one customer",
    one_row_is_zh="客户名下出现过的一个标识",
    key=("customer_id", "id_type", "id_value"),
    columns=(
        _customer(),
        Column(
            name="id_type",
            kind=T,
            required=True,
            choices=IDENTITY_TYPES,
            meaning="kind of identifier",
            meaning_zh="标识类型",
        ),
        Column(
            name="id_value",
            kind=T,
            required=True,
            personal=True,
            meaning="the identifier itself, or a hash of it",
            meaning_zh="标识值或其散列",
        ),
        Column(name="first_seen_at", kind=W, meaning="first time it was seen", meaning_zh="首次出现时间"),
        Column(name="last_seen_at", kind=W, meaning="last time it was seen", meaning_zh="最近出现时间"),
    ),
    time_column="first_seen_at",
)

PRODUCTS = Table(
    name="products",
    one_row_is="one product that the bank sells",
    one_row_is_zh="银行销售的一种产品",
    key=("product_id",),
    columns=(
        Column(
            name="product_id", kind=T, required=True, meaning="the bank's code of the product", meaning_zh="产品代码"
        ),
        Column(name="name_en", kind=T, required=True, meaning="name in English", meaning_zh="英文名称"),
        Column(name="name_zh", kind=T, meaning="name in Chinese", meaning_zh="中文名称"),
        Column(
            name="family",
            kind=T,
            required=True,
            choices=PRODUCT_FAMILIES,
            meaning="family of products",
            meaning_zh="产品大类",
        ),
        Column(
            name="is_credit",
            kind=B,
            required=True,
            meaning="true when the bank may lose what it lends",
            meaning_zh="是否授信产品",
        ),
        Column(
            name="annual_margin_minor",
            kind=M,
            unit="minor units of the base currency a year",
            meaning="what one holding earns before losses",
            meaning_zh="单户年毛利（未扣损失）",
        ),
        Column(
            name="typical_amount_minor",
            kind=M,
            minimum=0,
            unit="minor units of the base currency",
            meaning="amount lent or placed in a typical holding",
            meaning_zh="典型金额",
        ),
        Column(
            name="typical_term_months",
            kind=I,
            minimum=0,
            meaning="months over which a typical loan is repaid; empty for revolving and non-credit",
            meaning_zh="典型还款期（月）",
        ),
        Column(
            name="annual_rate",
            kind=N,
            unit="share a year",
            meaning="interest the customer pays or receives",
            meaning_zh="年利率",
        ),
        Column(
            name="lgd",
            kind=S,
            minimum=0,
            maximum=1,
            meaning="share of the exposure lost in a default",
            meaning_zh="违约损失率",
        ),
        Column(
            name="min_age", kind=I, minimum=0, meaning="youngest age at which it may be sold", meaning_zh="最低销售年龄"
        ),
        Column(
            name="max_age", kind=I, minimum=0, meaning="oldest age at which it may be sold", meaning_zh="最高销售年龄"
        ),
        Column(
            name="requires_product_id", kind=T, meaning="product that must be held first", meaning_zh="须先持有的产品"
        ),
        Column(name="multiple", kind=B, meaning="true when a customer may hold several", meaning_zh="可否重复持有"),
        Column(name="sold_since", kind=D, meaning="first day of sale", meaning_zh="开售日"),
        Column(name="sold_until", kind=D, meaning="last day of sale; empty while it is sold", meaning_zh="停售日"),
    ),
)

HOLDINGS = Table(
    name="holdings",
    one_row_is="one account, card, loan, policy or fund position of one customer",
    one_row_is_zh="客户持有的一个账户、卡、贷款、保单或基金",
    key=("holding_id",),
    columns=(
        Column(name="holding_id", kind=T, required=True, meaning="the bank's id of the contract", meaning_zh="合约号"),
        _customer(),
        _product(),
        Column(name="opened_at", kind=W, required=True, meaning="when it was opened", meaning_zh="开立时间"),
        Column(name="closed_at", kind=W, meaning="when it was closed; empty while it is open", meaning_zh="关闭时间"),
        _currency(),
        Column(
            name="opening_minor",
            kind=M,
            unit="minor units",
            meaning="amount at opening: first deposit, sum lent, premium a year",
            meaning_zh="开立金额",
        ),
        Column(
            name="limit_minor", kind=M, minimum=0, unit="minor units", meaning="credit limit", meaning_zh="信用额度"
        ),
        Column(
            name="balance_minor",
            kind=M,
            unit="minor units",
            meaning="balance at balance_at; what is owed is negative",
            meaning_zh="余额，欠款为负",
        ),
        Column(name="balance_at", kind=W, meaning="instant the balance was taken", meaning_zh="余额时点"),
    ),
    time_column="opened_at",
)

TRANSACTIONS = Table(
    name="transactions",
    one_row_is="one booking on one holding",
    one_row_is_zh="一笔账务",
    key=("transaction_id",),
    columns=(
        Column(
            name="transaction_id", kind=T, required=True, meaning="the bank's id of the booking", meaning_zh="流水号"
        ),
        _customer(),
        Column(
            name="holding_id",
            kind=T,
            references="holdings.holding_id",
            meaning="the account or card it is booked on",
            meaning_zh="入账合约号",
        ),
        Column(name="booked_at", kind=W, required=True, meaning="when it was booked", meaning_zh="记账时间"),
        Column(
            name="amount_minor",
            kind=M,
            required=True,
            unit="minor units",
            meaning="money in is positive, money out is negative",
            meaning_zh="金额，入正出负",
        ),
        _currency(),
        Column(name="category", kind=T, meaning="what it was for: salary, rent, groceries, ...", meaning_zh="类别"),
        Column(name="channel", kind=T, choices=CHANNELS, meaning="where it was made", meaning_zh="渠道"),
        Column(
            name="balance_after_minor",
            kind=M,
            unit="minor units",
            meaning="balance of the current account after the booking; empty on other holdings",
            meaning_zh="入账后活期余额",
        ),
        Column(
            name="amount_base_minor",
            kind=M,
            derived=True,
            unit="minor units of the base currency",
            meaning="the amount at the bank's reference rate",
            meaning_zh="折本位币金额",
        ),
    ),
    time_column="booked_at",
    month_partitioned=True,
)

EVENTS = Table(
    name="events",
    one_row_is="one thing that a customer did or that happened to a customer in a channel",
    one_row_is_zh="客户在某渠道的一个行为事件",
    key=("event_id",),
    columns=(
        Column(name="event_id", kind=T, required=True, meaning="id of the event", meaning_zh="事件号"),
        Column(
            name="customer_id",
            kind=T,
            references="customers.customer_id",
            meaning="the customer; may be empty in a source when id_type and id_value tell who it was",
            meaning_zh="客户号；来源可空，由标识补全",
        ),
        Column(
            name="id_type",
            kind=T,
            choices=IDENTITY_TYPES,
            meaning="kind of identifier seen with the event",
            meaning_zh="随事件出现的标识类型",
        ),
        Column(
            name="id_value",
            kind=T,
            personal=True,
            meaning="identifier seen with the event",
            meaning_zh="随事件出现的标识值",
        ),
        Column(name="occurred_at", kind=W, required=True, meaning="when it happened", meaning_zh="发生时间"),
        Column(name="ingested_at", kind=W, meaning="when the bank's systems received it", meaning_zh="接收时间"),
        Column(
            name="event_name",
            kind=T,
            required=True,
            meaning="what happened, in the words of the journey definitions",
            meaning_zh="事件名",
        ),
        Column(name="channel", kind=T, choices=CHANNELS, meaning="where it happened", meaning_zh="渠道"),
        Column(name="session_id", kind=T, meaning="events of one visit share it", meaning_zh="会话号"),
        _product(required=False),
        Column(
            name="lifecycle",
            kind=T,
            meaning="start, complete, schedule: the phase of a longer activity",
            meaning_zh="活动阶段",
        ),
        Column(
            name="value",
            kind=N,
            meaning="a number that the event carries, such as the amount asked for",
            meaning_zh="事件数值",
        ),
        Column(name="seq", kind=I, minimum=0, meaning="order among events of one instant", meaning_zh="同一时刻内次序"),
    ),
    time_column="occurred_at",
    month_partitioned=True,
)

INTERACTIONS = Table(
    name="interactions",
    one_row_is="one complaint, call or survey answer",
    one_row_is_zh="一次投诉、来电或问卷",
    key=("interaction_id",),
    columns=(
        Column(name="interaction_id", kind=T, required=True, meaning="id of the interaction", meaning_zh="交互号"),
        _customer(),
        Column(name="occurred_at", kind=W, required=True, meaning="when it happened", meaning_zh="发生时间"),
        Column(
            name="kind",
            kind=T,
            required=True,
            choices=INTERACTION_KINDS,
            meaning="complaint, call or survey",
            meaning_zh="类型",
        ),
        Column(name="channel", kind=T, choices=CHANNELS, meaning="where it happened", meaning_zh="渠道"),
        Column(name="topic", kind=T, meaning="what it was about", meaning_zh="主题"),
        Column(
            name="text",
            kind=T,
            personal=True,
            free_text=True,
            meaning="free text, in which personal data are masked",
            meaning_zh="文本内容（个人信息已脱敏）",
        ),
        Column(name="language", kind=T, choices=("en", "zh"), meaning="language of the text", meaning_zh="文本语言"),
        Column(
            name="satisfaction_score",
            kind=I,
            minimum=1,
            maximum=5,
            meaning="1 very unhappy to 5 very happy",
            meaning_zh="满意度 1 至 5",
        ),
        Column(
            name="resolved_at", kind=W, meaning="when a complaint was settled; empty while open", meaning_zh="办结时间"
        ),
    ),
    time_column="occurred_at",
)

BUREAU = Table(
    name="bureau",
    one_row_is="what the credit bureau said of one customer on one day",
    one_row_is_zh="某日征信报告中的一位客户",
    key=("customer_id", "reported_at"),
    columns=(
        _customer(),
        Column(name="reported_at", kind=W, required=True, meaning="day of the report", meaning_zh="报告时间"),
        Column(
            name="credit_lines",
            kind=I,
            minimum=0,
            meaning="open credit lines at all lenders",
            meaning_zh="未结清授信笔数",
        ),
        Column(
            name="total_limit_minor",
            kind=M,
            minimum=0,
            unit="minor units of the base currency",
            meaning="sum of limits",
            meaning_zh="授信总额",
        ),
        Column(
            name="total_balance_minor",
            kind=M,
            minimum=0,
            unit="minor units of the base currency",
            meaning="sum owed",
            meaning_zh="负债总额",
        ),
        Column(
            name="instalments_monthly_minor",
            kind=M,
            minimum=0,
            unit="minor units of the base currency a month",
            meaning="instalments due a month",
            meaning_zh="月还款额",
        ),
        Column(
            name="utilisation_rate",
            kind=N,
            minimum=0,
            unit="share",
            meaning="revolving balance over revolving limit; may pass 1",
            meaning_zh="循环额度使用率",
        ),
        Column(
            name="delinquencies_12m",
            kind=I,
            minimum=0,
            meaning="payments 30 days late or more in the last 12 months",
            meaning_zh="近12月逾期次数",
        ),
        Column(
            name="worst_days_past_due_12m",
            kind=I,
            minimum=0,
            unit="days",
            meaning="longest delay in the last 12 months",
            meaning_zh="近12月最长逾期天数",
        ),
        Column(
            name="inquiries_6m",
            kind=I,
            minimum=0,
            meaning="enquiries by lenders in the last 6 months",
            meaning_zh="近6月查询次数",
        ),
        Column(
            name="oldest_line_months",
            kind=I,
            minimum=0,
            unit="months",
            meaning="age of the oldest credit line",
            meaning_zh="最早授信账龄（月）",
        ),
        Column(
            name="public_records", kind=I, minimum=0, meaning="bankruptcies and judgements", meaning_zh="公共负面记录数"
        ),
    ),
    time_column="reported_at",
)

APPLICATIONS = Table(
    name="applications",
    one_row_is="one application for one product",
    one_row_is_zh="一笔产品申请",
    key=("application_id",),
    columns=(
        Column(name="application_id", kind=T, required=True, meaning="id of the application", meaning_zh="申请号"),
        _customer(),
        _product(),
        Column(name="applied_at", kind=W, required=True, meaning="when it was handed in", meaning_zh="申请时间"),
        Column(
            name="decision",
            kind=T,
            required=True,
            choices=APPLICATION_DECISIONS,
            meaning="what the bank or the customer decided",
            meaning_zh="审批结果",
        ),
        Column(name="decided_at", kind=W, meaning="when it was decided; empty while pending", meaning_zh="审批时间"),
        Column(
            name="requested_minor",
            kind=M,
            minimum=0,
            unit="minor units of the base currency",
            meaning="amount asked for",
            meaning_zh="申请金额",
        ),
        Column(
            name="term_months", kind=I, minimum=0, meaning="months over which it is repaid", meaning_zh="期限（月）"
        ),
        Column(
            name="instalment_minor",
            kind=M,
            minimum=0,
            unit="minor units of the base currency a month",
            meaning="instalment a month",
            meaning_zh="月还款额",
        ),
        Column(name="channel", kind=T, choices=CHANNELS, meaning="where it was handed in", meaning_zh="渠道"),
    ),
    time_column="applied_at",
)

OUTCOMES = Table(
    name="outcomes",
    one_row_is="what became of one booked application",
    one_row_is_zh="一笔已放款申请的后续表现",
    key=("application_id",),
    columns=(
        Column(
            name="application_id",
            kind=T,
            required=True,
            references="applications.application_id",
            meaning="the application",
            meaning_zh="申请号",
        ),
        _customer(),
        _product(),
        Column(name="booked_at", kind=W, required=True, meaning="when the money was lent", meaning_zh="放款时间"),
        Column(
            name="observed_until",
            kind=W,
            required=True,
            meaning="how far its behaviour is known",
            meaning_zh="观察截止时间",
        ),
        Column(
            name="defaulted_at",
            kind=W,
            meaning="when it became 90 days past due; empty when it did not in the time observed",
            meaning_zh="违约时间（逾期90天）",
        ),
        Column(
            name="exposure_minor",
            kind=M,
            minimum=0,
            unit="minor units of the base currency",
            meaning="amount owed at default, or now",
            meaning_zh="违约敞口",
        ),
    ),
    time_column="booked_at",
)

CONSENTS = Table(
    name="consents",
    one_row_is="one answer of one customer to one purpose and channel; the latest one holds",
    one_row_is_zh="客户对某用途某渠道的一次授权表态，以最新为准",
    key=("customer_id", "purpose", "channel", "recorded_at"),
    columns=(
        _customer(),
        Column(
            name="purpose",
            kind=T,
            required=True,
            meaning="what the data or the contact is for, such as marketing",
            meaning_zh="用途",
        ),
        Column(
            name="channel",
            kind=T,
            required=True,
            choices=CONTACT_CHANNELS,
            meaning="channel that the answer is about",
            meaning_zh="渠道",
        ),
        Column(name="granted", kind=B, required=True, meaning="true when the customer agreed", meaning_zh="是否同意"),
        Column(name="recorded_at", kind=W, required=True, meaning="when the customer answered", meaning_zh="记录时间"),
        Column(
            name="expires_at", kind=W, meaning="when the answer ceases to hold; empty for never", meaning_zh="失效时间"
        ),
    ),
    time_column="recorded_at",
)

EXPOSURES = Table(
    name="exposures",
    one_row_is="one sight of one variant of one experiment by one customer",
    one_row_is_zh="客户对某实验某分组的一次曝光",
    key=("experiment_id", "customer_id", "variant", "exposed_at"),
    columns=(
        Column(name="experiment_id", kind=T, required=True, meaning="the experiment", meaning_zh="实验号"),
        _customer(),
        Column(name="variant", kind=T, required=True, meaning="the variant seen", meaning_zh="分组"),
        Column(name="exposed_at", kind=W, required=True, meaning="when it was seen", meaning_zh="曝光时间"),
    ),
    time_column="exposed_at",
)

OFFERS_FEEDBACK = Table(
    name="offers_feedback",
    one_row_is="one thing that happened to one offer sent to one customer",
    one_row_is_zh="一次营销触达的反馈",
    key=("feedback_id",),
    columns=(
        Column(name="feedback_id", kind=T, required=True, meaning="id of the feedback", meaning_zh="反馈号"),
        Column(name="campaign_id", kind=T, meaning="the campaign it belongs to", meaning_zh="活动号"),
        _customer(),
        _product(),
        Column(
            name="channel",
            kind=T,
            required=True,
            choices=CONTACT_CHANNELS,
            meaning="channel of the contact",
            meaning_zh="触达渠道",
        ),
        Column(
            name="event", kind=T, required=True, choices=FEEDBACK_EVENTS, meaning="what happened", meaning_zh="反馈类型"
        ),
        Column(name="occurred_at", kind=W, required=True, meaning="when it happened", meaning_zh="发生时间"),
    ),
    time_column="occurred_at",
)

WATCHLISTS = Table(
    name="watchlists",
    one_row_is="one name on one list of persons the bank must not serve unseen",
    one_row_is_zh="名单中的一个条目",
    key=("entry_id",),
    columns=(
        Column(name="entry_id", kind=T, required=True, meaning="id of the entry", meaning_zh="条目号"),
        Column(name="list_name", kind=T, required=True, meaning="the list", meaning_zh="名单"),
        Column(name="full_name", kind=T, required=True, personal=True, meaning="name on the list", meaning_zh="姓名"),
        Column(
            name="birth_date",
            kind=D,
            personal=True,
            meaning="date of birth, when the list gives one",
            meaning_zh="出生日期",
        ),
        Column(name="country", kind=T, meaning="country, when the list gives one", meaning_zh="国家或地区"),
    ),
)

STANDING = Table(
    name="standing",
    one_row_is="how one customer stood with the bank's credit and care systems at one instant; the latest one holds",
    one_row_is_zh="某时点客户在本行信贷与关怀系统中的状况，以最新为准",
    key=("customer_id", "reported_at"),
    columns=(
        _customer(),
        Column(name="reported_at", kind=W, required=True, meaning="instant of the report", meaning_zh="报告时点"),
        Column(
            name="days_past_due",
            kind=I,
            minimum=0,
            unit="days",
            meaning="days since the oldest instalment that is unpaid; 0 when none is, empty without credit here",
            meaning_zh="最早未还一期的逾期天数；无逾期为0，无本行授信为空",
        ),
        Column(
            name="in_collections",
            kind=B,
            meaning="true when collections deal with the customer; empty counts as no, here and below",
            meaning_zh="是否处于催收中；本列及以下各列为空按否处理",
        ),
        Column(
            name="vulnerable",
            kind=B,
            meaning="true when the customer needs care: illness, bereavement, abuse, not able to decide alone",
            meaning_zh="是否弱势客户（疾病、丧亲、受害、行为能力受限）",
        ),
        Column(
            name="hardship",
            kind=B,
            meaning="true when the customer has told of not being able to pay as agreed",
            meaning_zh="是否已申报还款困难",
        ),
        Column(
            name="fraud_block",
            kind=B,
            meaning="true while the customer's accounts are blocked for fraud or its suspicion",
            meaning_zh="是否因欺诈或疑似欺诈被限制",
        ),
    ),
    time_column="reported_at",
)

CURATED: dict[str, Table] = {
    table.name: table
    for table in (
        # parents before the tables that refer to them: intake checks references in this order
        CUSTOMERS,
        PRODUCTS,
        IDENTITIES,
        HOLDINGS,
        TRANSACTIONS,
        EVENTS,
        INTERACTIONS,
        BUREAU,
        APPLICATIONS,
        OUTCOMES,
        CONSENTS,
        EXPOSURES,
        OFFERS_FEEDBACK,
        WATCHLISTS,
        STANDING,
    )
}
