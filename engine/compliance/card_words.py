"""The words of a model card in English and Chinese, and how its numbers are written."""

from __future__ import annotations

from math import isfinite
from typing import Final, Literal

from engine.documents.page import HARD
from engine.risk.metrics import Estimate

Language = Literal["en", "zh"]

DASH: Final = "\u2014"

_WORDS: Final[dict[str, tuple[str, str]]] = {
    "card_of": ("Model card: default probability", "模型卡：违约概率"),
    "learned_from": ("learned from {file}", "训练数据：{file}"),
    "headline": (
        "{champion} decides: AUC {auc}, {bads} bad of {rows}",
        "由{champion}决策：AUC {auc}，{rows}笔中{bads}笔违约",
    ),
    "scorecard": ("Scorecard", "评分卡"),
    "glass_box": ("Glass box", "可解释加性模型"),
    "monotone_boosting": ("Monotone boosting", "单调梯度提升"),
    "random_forest": ("Random forest", "随机森林"),
    "purpose": ("What it is for", "用途"),
    "purpose_text": (
        "The model estimates how likely a borrower is to go bad, as defined below. It grades applicants for credit and "
        "customers, beside the bank's rules and not instead of them.",
        "本模型估计借款人变坏（定义见下）的可能性，用于对信贷申请人和客户分级，与银行规则并用，不能替代规则。",
    ),
    "limits": ("What it must not be used for", "不得用于"),
    "data": ("Data", "数据"),
    "fact": ("what", "项目"),
    "value": ("value", "内容"),
    "file": ("file", "文件"),
    "checksum": ("checksum (SHA-256)", "校验值（SHA-256）"),
    "rows": ("rows", "行数"),
    "known": ("rows of known outcome", "结果已知的行数"),
    "bads": ("bad", "违约"),
    "bad_rate": ("bad rate", "违约率"),
    "bad_definition": ("definition of bad", "违约定义"),
    "period": ("period", "期间"),
    "no_period": ("no column of time was named", "未指定时间列"),
    "characteristics": ("characteristics looked at", "候选特征"),
    "of_kinds": ("{number} numbers, {category} of words", "数值{number}个，类别{category}个"),
    "left_out": ("Columns left out", "未使用的列"),
    "column": ("column", "列"),
    "why": ("why", "原因"),
    "missing_read": ("Cells read as missing", "按缺失读取的单元格"),
    "flagged": ("Too good to be true", "好得可疑"),
    "flagged_text": (
        "These tell the outcome better than anything known beforehand should. Make sure that each was known when the "
        "decision was made; if not, leave it out with --exclude and fit again.",
        "以下特征对结果的区分力高于事前信息应有的水平。请确认决策时确已知晓；否则请用 --exclude 剔除后重新拟合。",
    ),
    "models": ("Champion and challengers", "冠军与挑战者"),
    "champion_is": ("{champion} is the champion.", "冠军模型为{champion}。"),
    "folds": ("Five folds: each row predicted by a model that had not seen it", "五折：每行均由未见过它的模型预测"),
    "out_of_time": ("Out of time: the latest rows, held back while learning", "时间外：训练时留出的最新数据"),
    "model": ("model", "模型"),
    "auc": ("AUC [95 %]", "AUC [95%]"),
    "auc_sd": ("sd over folds", "折间标准差"),
    "ks": ("KS", "KS"),
    "brier": ("Brier", "Brier"),
    "violations": ("violations of direction", "单调性违反"),
    "violations_of": ("{violations} in {probes} probes", "{probes}次检验中{violations}次"),
    "promises_none": ("promises no direction", "不保证方向"),
    "points": ("Points", "分值"),
    "points_text": (
        "A score is the sum of one row of points for each characteristic: {base} points at {odds} goods for one bad, "
        "and {double} points more double the odds. More points mean less risk.",
        "评分为每个特征对应一行分值之和：好坏比{odds}:1时为{base}分，每增加{double}分好坏比翻倍。分数越高风险越低。",
    ),
    "points_watching": (
        "These are the points of the scorecard, which watches; {champion} decides on the same scale.",
        "以下为仅作监测的评分卡的分值；{champion}以同一尺度决策。",
    ),
    "points_own": ("The points by which {champion} decides:", "{champion}决策所用的分值："),
    "points_more": (
        "The first {shown} of {all} ranges are listed; {file} has all of them.",
        "共{all}个区间，仅列出前{shown}个，全部见{file}。",
    ),
    "characteristic": ("characteristic", "特征"),
    "meaning": ("meaning", "含义"),
    "bin": ("bin", "分箱"),
    "point": ("points", "分值"),
    "evidence": ("weight of evidence", "证据权重"),
    "share": ("share of rows", "行占比"),
    "goods": ("good", "正常"),
    "dropped": ("Characteristics without a place", "未入模特征"),
    "information": ("information value", "信息值"),
    "calibration": ("Is the probability true?", "概率是否准确"),
    "calibration_off": (
        "Predicted and observed differ beyond chance in these tenths by risk: {bands}.",
        "预测与实际之差在以下风险十分位超出偶然：{bands}。",
    ),
    "calibration_ok": (
        "In every tenth, what was observed allows what was predicted.",
        "每一分位的实际违约均与预测相符。",
    ),
    "predicted": ("predicted", "预测"),
    "observed": ("observed [95 %]", "实际 [95%]"),
    "band": ("tenth by risk", "按风险十等分"),
    "tiers": ("Tiers", "风险等级"),
    "tier": ("tier", "等级"),
    "low": ("low", "低"),
    "medium": ("medium", "中"),
    "high": ("high", "高"),
    "rejects": ("With the refused guessed at", "对被拒者的推断"),
    "rejects_text": (
        "The scorecard that decides is made without the {rejected} applicants who were refused. Beside it stands one "
        "that guesses at them ({method}); both are tried on the {accepted} accepted, of whom alone the outcome is "
        "known, in the same folds.",
        "决策用评分卡未使用{rejected}名被拒申请人。下表并列对其推断（{method}）的评分卡；两者均在相同折中对{accepted}名"
        "获批者（仅其结果已知）检验。",
    ),
    "by_none": ("not at all: both are the same", "不推断：两者相同"),
    "by_fuzzy": ("each counted as good and as bad, by weight", "模糊加权：每人按权重同时计为好与坏"),
    "by_parcelling": ("defaulters drawn in each band of the score", "分段打包：按评分段抽取违约者"),
    "without_rejects": ("without", "不推断"),
    "with_rejects": ("with", "推断后"),
    "points_moved": ("Points that moved", "分值变动"),
    "shift_of_accepted": ("mean change, accepted", "获批者平均变化"),
    "shift_of_rejected": ("mean change, refused", "被拒者平均变化"),
    "largest_shift": ("largest change", "最大变化"),
    "base_points": ("given to everybody", "人人相同的基础分"),
    "came_in": ("only with them", "仅推断后入模"),
    "fell_out": ("only without them", "仅不推断时入模"),
    "auc_unseen": ("AUC on accepted rows unseen", "未见过的获批样本上的 AUC"),
    "ks_unseen": ("KS on accepted rows unseen", "未见过的获批样本上的 KS"),
    "auc_later": ("AUC on the latest accepted", "最新获批样本上的 AUC"),
    "ks_later": ("KS on the latest accepted", "最新获批样本上的 KS"),
    "stability": ("Stability", "稳定性"),
    "stability_text": (
        "How far score and characteristics of the model that decides have moved from the earlier rows, which it was "
        "learned from, to the later, held back. A move counts when it passes both what chance allows for so many rows "
        "and what matters; the higher of the two is the limit.",
        "决策模型的评分与各特征从前期（训练）数据到后期（留出）数据的偏移。须同时超过该样本量下的偶然界限与实质性界限"
        "才计为偏移，两者中较高者为界限。",
    ),
    "limit_of": ("limit set by", "界限依据"),
    "chance": ("chance", "偶然"),
    "materiality": ("what matters", "实质性"),
    "missing_change": ("change of the share missing", "缺失占比变化"),
    "too_few": ("too few rows", "样本过少"),
    "stability_none": (
        "Not known: without a column of time (--time) there is no earlier and later.",
        "未知：未指定时间列（--time），无法区分前后期。",
    ),
    "index": ("stability index (PSI)", "稳定性指数（PSI）"),
    "limit": ("limit", "界限"),
    "moved": ("moved", "有偏移"),
    "steady": ("steady", "稳定"),
    "score": ("score", "评分"),
    "fairness": ("Fairness by group", "分组公平性"),
    "fairness_none": (
        "Not looked at: no protected column was named (--protected).",
        "未评估：未指定受保护列（--protected）。",
    ),
    "fairness_text": (
        "Protected columns are never input. Groups are compared at the cut-off of {cut_off} points. The four-fifths "
        "ratio is a screening figure, not a test of law.",
        "受保护列从不作为输入。各组按{cut_off}分的分界比较。五分之四比率仅为筛查指标，并非法律标准。",
    ),
    "group": ("group", "组别"),
    "measure": ("measure", "指标"),
    "of_group": ("value [95 %]", "数值 [95%]"),
    "ratio": ("ratio or difference", "比率或差值"),
    "verdict": ("reading", "解读"),
    "pass": ("not below four fifths", "不低于五分之四"),
    "below": ("below four fifths", "低于五分之四"),
    "differs": ("differs beyond chance", "差异超出偶然"),
    "no_difference_shown": ("no difference shown", "未显示差异"),
    "reference": ("compared with", "比较基准"),
    "insufficient": ("too few to judge", "样本不足"),
    "not_assessable": ("not assessable", "无法评估"),
    "suppressed": ("too few to show", "人数过少不展示"),
    "described": ("", ""),
    "small": (
        "Small sample: {bads} of {rows} rows went bad. Read the intervals, not the last digits.",
        "样本较小：{rows}行中仅{bads}行违约。请看区间，勿看末位数字。",
    ),
    "nobody_in": (
        "Bins that no row fell in are left out; scorecard.csv has them.",
        "无样本的分箱未列出，见scorecard.csv。",
    ),
    "colon": ("{text}:", "{text}："),
    "tried_on": ("{text}: {rows} rows, {bads} bad.", "{text}：{rows}行，其中违约{bads}行。"),
    "approvals": ("Approvals", "审批"),
    "approvals_none": (
        "None. A model is a proposal until somebody who answers for it approves it.",
        "尚无。在责任人批准之前，模型仅为提议。",
    ),
    "by": ("by", "责任人"),
    "on": ("on", "日期"),
    "decision": ("decision", "决定"),
    "proposed": ("proposed", "提议"),
    "approved": ("approved", "批准"),
    "retired": ("retired", "停用"),
    "note": ("note", "备注"),
    "regimes": ("Rules to look at", "相关法规"),
    "regimes_text": (
        "Taken from secondary sources, in our own words. Have counsel check what applies.",
        "内容来自二手资料并以本产品语言概述，适用性请由法律顾问核实。",
    ),
    "rule": ("rule", "规则"),
    "applies": ("applies", "适用期间"),
    "asks": ("what it asks for", "要求"),
    "from": ("from {day}", "自{day}起"),
    "until": ("until {day}", "至{day}止"),
    "settings": ("Settings", "设置"),
    "setting": ("setting", "设置项"),
    "made_by": (
        "Made by Wayline {version} from the model folder it lies in.",
        "由Wayline {version}根据所在模型文件夹生成。",
    ),
}


def say(key: str, language: Language, **facts: object) -> str:
    """Return a word or sentence of the card, its places filled."""
    text = _WORDS[key][language == "zh"]
    return text.format(**facts) if facts else text


def knows(key: str) -> bool:
    """Whether the card has a word of its own for a name."""
    return key in _WORDS


def number(value: float | None, digits: int = 3) -> str:
    """Return a number to so many digits, a dash where it is not defined."""
    return DASH if value is None or not isfinite(value) else f"{value:,.{digits}f}".replace("-", "\u2212")


def share(value: float | None, digits: int = 1) -> str:
    """Return a share as percent."""
    return DASH if value is None or not isfinite(value) else f"{value * 100:.{digits}f}{HARD}%".replace("-", "\u2212")


def count(value: int) -> str:
    """Return a whole number with its thousands apart."""
    return f"{value:,}".replace(",", HARD)


def with_interval(found: Estimate, *, as_share: bool = False) -> str:
    """Return a value with its 95 % interval behind it, where it has one."""
    write = share if as_share else number
    if not isfinite(found.lower) or not isfinite(found.upper):
        return write(found.value)
    return f"{write(found.value)} [{write(found.lower)},{HARD}{write(found.upper)}]"
