"""The tables of a run about free text: what was said and felt, by contact, by customer and by step of a journey."""

from __future__ import annotations

from typing import Final

from engine.domain.schema import Column, Kind, Table

T, COUNT, N, S, W = Kind.TEXT, Kind.INTEGER, Kind.NUMBER, Kind.SHARE, Kind.INSTANT

TOPIC_WORDS: Final = {
    "app_login": ("logging in to the app", "登录"),
    "card_payment": ("cards and payments", "银行卡支付"),
    "fees": ("fees", "费用"),
    "loan_status": ("loans", "贷款"),
    "branch_wait": ("branches and waiting", "网点排队"),
    "transfer": ("transfers", "转账"),
    "fraud_worry": ("fraud", "欺诈担忧"),
    "advice": ("advice and investing", "理财咨询"),
    "other": ("anything else", "其他"),
}
"""What a text may be about, in English and in Chinese."""


def _c(name: str, kind: Kind, meaning: str, meaning_zh: str, *, required: bool = False) -> Column:
    return Column(name=name, kind=kind, meaning=meaning, meaning_zh=meaning_zh, required=required)


_CUSTOMER: Final = _c("customer_id", T, "the customer", "客户号", required=True)
_SENTIMENT: Final = _c(
    "sentiment_mean", N, "mean sentiment score of the texts that could be read, -1 to 1", "平均情感得分（-1 至 1）"
)
_NEGATIVE: Final = _c("negative_share", S, "share of them that are negative", "负面占比")

TEXT_CONTACTS: Final = Table(
    name="text_contacts",
    one_row_is="one contact with a text",
    one_row_is_zh="一次有文本的联系",
    key=("interaction_id",),
    columns=(
        _c("interaction_id", T, "the contact", "交互号", required=True),
        _CUSTOMER,
        _c("occurred_at", W, "when it happened", "发生时间", required=True),
        _c("language", T, "language by its letters: en or zh", "文本语言"),
        _c("topic", T, "what it is about, as the model reads it", "主题"),
        _c("topic_probability", S, "how sure the model is of the topic", "主题概率"),
        _c("sentiment", T, "negative, neutral or positive", "情感"),
        _c("sentiment_score", N, "probability of positive less that of negative, -1 to 1", "情感得分"),
        _c("reason", T, "why the others are empty: no letters, or unknown language", "无结果原因"),
    ),
)
CUSTOMER_TEXTS: Final = Table(
    name="customer_texts",
    one_row_is="one customer who was in contact",
    one_row_is_zh="一位有过联系的客户",
    key=("customer_id",),
    columns=(
        _CUSTOMER,
        _c("contacts", COUNT, "complaints, calls and surveys", "联系次数", required=True),
        _c("texts_read", COUNT, "of them, with a text that could be read", "可读文本数", required=True),
        *(
            _c(f"texts_{topic}", COUNT, f"texts about {words}", f"{zh}文本数", required=True)
            for topic, (words, zh) in TOPIC_WORDS.items()
        ),
        _SENTIMENT,
        _NEGATIVE,
        _c("worst_topic", T, "topic with the lowest mean sentiment; empty where none is below 0", "最差主题"),
        _c("newest_topic", T, "topic of the newest text that could be read", "最近主题"),
        _c("newest_sentiment", T, "its sentiment", "最近情感"),
        _c("newest_satisfaction", COUNT, "newest satisfaction score, 1 to 5", "最近满意度"),
        _c("newest_contact_at", W, "when the newest contact was", "最近联系时间"),
    ),
)
STEP_FEELINGS: Final = Table(
    name="step_feelings",
    one_row_is="one step of one journey at which customers stand",
    one_row_is_zh="旅程中客户所处的一个步骤",
    key=("journey", "current_step"),
    columns=(
        _c("journey", T, "the journey", "旅程", required=True),
        _c("current_step", T, "step that customers reached last", "当前步骤", required=True),
        _c("customers", COUNT, "customers who stand there", "客户数", required=True),
        _c("contacts", COUNT, "their contacts in the days after they reached it", "其后联系次数", required=True),
        _c("scored_customers", COUNT, "of the customers, gave a satisfaction score in these days", "评分客户数"),
        _c("satisfaction_mean", N, "mean of their mean scores, 1 to 5; empty below the smallest cell", "平均满意度"),
        _c("satisfaction_lower", N, "lower end of its 95 % interval", "满意度95%下限"),
        _c("satisfaction_upper", N, "upper end of its 95 % interval", "满意度95%上限"),
        _c("heard_customers", COUNT, "of the customers, wrote a text that could be read in these days", "有文本客户数"),
        _SENTIMENT,
        _c("sentiment_lower", N, "lower end of its 95 % interval", "情感95%下限"),
        _c("sentiment_upper", N, "upper end of its 95 % interval", "情感95%上限"),
        _NEGATIVE,
        _c("reason", T, "why a figure is empty", "无结果原因"),
    ),
)
TEXT_MARTS: Final = (TEXT_CONTACTS, CUSTOMER_TEXTS, STEP_FEELINGS)
