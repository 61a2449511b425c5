"""The sentences of a notice of adverse action in English and Chinese; our own words, to be checked by counsel."""

from __future__ import annotations

from datetime import date
from typing import Final

_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip

TEXTS: Final[dict[str, dict[str, str]]] = {
    "en": {
        "title_decline": "Notice: we cannot grant the credit you asked for",
        "title_counter_offer": "Notice: we cannot grant the credit on the terms you asked for",
        "head": "Date: {date}\nYour application: {reference}",
        "opening_decline": "We have looked at the application that was complete on {received}, and have refused it.",
        "opening_counter_offer": (
            "We have looked at the application that was complete on {received}. We cannot grant it on the terms asked "
            "for, and offer you others."
        ),
        "policy_reasons": "What stood against it under our rules for lending:",
        "score_reasons": "What weighed most against it in our assessment of risk, the weightiest first:",
        "score": (
            "Our assessment gave your application {points} points on {made}. It can give from {lowest} to {highest}; "
            "more points mean less risk."
        ),
        "bureau": (
            "We used a report from {bureau}. The bureau did not make this decision and cannot tell you the reasons for "
            "it. You may ask the bureau for a copy of your report, free of charge within {days} days of this notice, "
            "and may dispute with it whatever in the report is incomplete or wrong."
        ),
        "change": "The smallest change that would have changed the outcome, all else the same: {change}.",
        "review": (
            "The assessment was made automatically. You may ask for a person to look at it, tell us your view, and "
            "contest the decision: {contact}."
        ),
        "equal": (
            "The law forbids creditors to treat applicants for credit worse because of race, colour, religion, "
            "national origin, sex, marital status or age (of those old enough to contract), because income comes from "
            "public assistance, or because they used their rights under consumer credit law."
        ),
        "supervisor": " The authority that sees to this for us is {supervisor}.",
    },
    "zh": {
        "title_decline": "通知：我们无法批准您的信贷申请",
        "title_counter_offer": "通知：我们无法按您申请的条件批准信贷",
        "head": "日期：{date}\n申请编号：{reference}",
        "opening_decline": "您的申请资料已于{received}齐备。经审核，我们未予批准。",
        "opening_counter_offer": (
            "您的申请资料已于{received}齐备。经审核，我们无法按您申请的条件批准，但可提供其他条件。"
        ),
        "policy_reasons": "根据我行信贷规则，未获批准的原因：",
        "score_reasons": "风险评估中对结果影响最大的因素，按影响大小排列：",
        "score": "{made}，您的申请评得{points}分。评分范围为{lowest}至{highest}分，分数越高风险越低。",
        "bureau": (
            "我们使用了{bureau}的征信报告。该机构并未作出本决定，也无法说明原因。您可在本通知之日起{days}日内向其免费索取"
            "一份报告，并可对其中不完整或不正确的内容提出异议。"
        ),
        "change": "在其他条件不变的情况下，足以改变结果的最小变化：{change}。",
        "review": "本评估由系统自动作出。您可要求人工复核、表达意见并对决定提出异议：{contact}。",
        "equal": (
            "法律禁止债权人因种族、肤色、宗教、原籍国、性别、婚姻状况、年龄（具有缔约能力者）、收入来自公共救助，"
            "或因行使消费信贷法规定的权利，而给予信贷申请人较差的待遇。"
        ),
        "supervisor": "对我行负有监督职责的机构是{supervisor}。",
    },
}


def day(moment: date, language: str) -> str:
    """Return a date as letters write it: 3 July 2026, 2026年7月3日."""
    if language == "zh":
        return f"{moment.year}年{moment.month}月{moment.day}日"
    return f"{moment.day} {_MONTHS[moment.month - 1]} {moment.year}"
