"""The words of a report in English and Chinese, and how its numbers are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import floor, log10
from typing import Final, Literal

from experiments.report import Line, Reading, Report
from experiments.report_vocabulary import MORE_WORDS
from experiments.writing import grouped

Language = Literal["en", "zh"]

DASH: Final = "\u2014"
MINUS: Final = "\u2212"
HARD: Final = "\u00a0"
"""A space at which no line breaks."""

_LEAST: Final = 1e-6  # a number nearer to 0 than this is written as such
_NAMED: Final = 3  # comparisons that a finding names; the others are counted

_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "ship": ("Ship", "上线"),
    "roll_back": ("Roll back", "回滚"),
    "continue": ("Continue", "继续"),
    "review": ("Review", "人工复核"),
    "better": ("better", "更好"),
    "worse": ("worse", "更差"),
    "won": ("won", "更好"),
    "lost": ("lost", "更差"),
    "safe": ("safe", "安全"),
    "harmed": ("harmed", "受损"),
    "unknown": ("not known to be safe", "尚未确认安全"),
    "flat": ("no difference", "无差异"),
    "undecided": ("no difference shown", "未显示差异"),
    "no_difference_shown": ("no difference shown", "未显示差异"),
    "withheld": ("withheld", "暂不展示"),
    "suppressed": ("too few to show", "人数过少不展示"),
    "goal": ("Goal", "目标指标"),
    "guardrail": ("Guardrail", "护栏指标"),
    "secondary": ("Secondary", "次要指标"),
    "goals": ("Goals", "目标指标"),
    "guardrails": ("Guardrails", "护栏指标"),
    "secondaries": ("Secondary metrics", "次要指标"),
    "ok": ("ok", "通过"),
    "warning": ("warning", "注意"),
    "stop": ("failed", "未通过"),
    "decrease": ("less is better", "越低越好"),
    "any_time": ("always valid, looked at whenever one likes", "任何时候查看都有效"),
    "fixed": ("one look at the planned end", "仅在计划结束时查看一次"),
    "planned": ("planned looks", "按计划查看"),
    "report_of": ("Experiment report", "实验报告"),
    "decision": ("Decision", "结论"),
    "checks": ("Health checks", "健康检查"),
    "checks_ok": ("Every check passed.", "所有检查均通过。"),
    "checks_warn": ("No check withholds results; read the warnings.", "没有检查阻止展示结果；请阅读注意事项。"),
    "checks_stop": (
        "A check failed. Every number of this experiment is withheld until its cause is known.",
        "有检查未通过。查明原因之前，本实验的所有数字均不展示。",
    ),
    "anyway": (
        "A check failed. The numbers below are shown on request; do not decide on them.",
        "有检查未通过。以下数字应要求展示，请勿据此决策。",
    ),
    "check": ("check", "检查"),
    "status": ("status", "状态"),
    "detail": ("what was found", "说明"),
    "reasons_cut": ("and {more} more, in the JSON form", "另有 {more} 条，见 JSON"),
    "results": ("Results", "结果"),
    "metric": ("metric", "指标"),
    "role": ("role", "角色"),
    "variant": ("variant", "实验组"),
    "n_control": ("n, control", "对照组人数"),
    "n_variant": ("n, variant", "实验组人数"),
    "control_value": ("control", "对照组"),
    "variant_value": ("variant value", "实验组值"),
    "difference": ("difference", "差值"),
    "lift": ("relative", "相对差"),
    "p": ("p", "p 值"),
    "verdict": ("verdict", "判断"),
    "margin": ("accepted harm", "可接受的恶化"),
    "axis": ("difference as a share of control", "差值占对照组的比例"),
    "legend_now": ("interval that the verdict rests on", "判断所依据的区间"),
    "legend_planned": ("interval for one look at the end", "只看一次时的区间"),
    "legend_margin": ("end of the accepted harm", "可接受恶化的界限"),
    "legend_bound": ("one-sided bound that a guardrail is judged by", "判断护栏指标所用的单侧界限"),
    "not_drawn": ("Not drawn, for want of a relative effect", "没有相对效应，未绘制"),
    "nothing_drawn": ("No comparison has a relative effect to draw.", "没有可绘制的相对效应。"),
    "adjusted": ("Adjusted for what was known before", "按实验前信息调整"),
    "unadjusted": ("unadjusted", "未调整"),
    "with_adjusted": ("adjusted", "调整后"),
    "looks": ("Looks", "查看次数"),
    "looks_text": (
        "On the left the interval for a single look at the planned end, on the right the one that the verdict rests "
        "on: {design}.",
        "左侧为仅在计划结束时查看一次的区间，右侧为判断所依据的区间：{design}。",
    ),
    "one_look": ("one look", "只看一次"),
    "this_look": ("this look", "本次查看"),
    "bayes": ("The same estimates as odds", "同一估计的概率表述"),
    "bayes_text": (
        "They say what to believe; the verdict does not rest on them. Losses are in the metric's unit.",
        "说明可信程度；判断不以此为依据。损失以指标单位计。",
    ),
    "chance": ("chance to win", "更优概率"),
    "loss_shipped": ("loss if shipped", "上线的期望损失"),
    "loss_kept": ("loss if kept", "维持的期望损失"),
    "prior": ("prior", "先验"),
    "flat_prior": ("flat", "无信息"),
    "segments": ("Segments", "细分人群"),
    "segments_text": (
        "Effects of single segments differ by chance. Only the first table says whether they differ at all; the second "
        "is not corrected for the number of its rows.",
        "各细分人群的效应会随机波动。只有第一张表说明效应是否真的不同；第二张表未按行数校正。",
    ),
    "segments_cut": ("{shown} of {all} rows; all are in the JSON form.", "共 {all} 行，显示 {shown} 行；其余见 JSON。"),
    "adjusted_p": ("p, corrected", "校正后 p 值"),
    "segment": ("segment", "人群"),
    "fairness": ("Protected groups", "受保护群体"),
    "group": ("group", "群体"),
    "safety": ("is it safe", "是否安全"),
    "one_sided": ("one-sided bound", "单侧界限"),
    "bound": ("worst that it may be", "最坏可能"),
    "widest": ("Widest gap between groups", "群体间最大差距"),
    "worst": ("Worst for", "受影响最差的群体"),
    "plan": ("Plan", "计划"),
    "plan_hash": ("Fingerprint of the plan (SHA-256): {hash}.", "计划指纹（SHA-256）：{hash}。"),
    "plan_changed": (
        "The plan was changed after the first look: {what}. Results after that are not what was agreed before.",
        "计划在首次查看之后被修改：{what}。其后的结果不再是事先约定的检验。",
    ),
    "plan_same": ("No change since a first look is on record.", "没有首次查看之后修改计划的记录。"),
    "setting": ("setting", "设置"),
    "value": ("value", "值"),
    "methods": ("Methods and sources", "方法与来源"),
    "intervals": (
        "The level is {level}. Intervals are as much wider as looks and the number of comparisons ask for.",
        "置信水平为 {level}。区间已按查看次数和比较数量加宽。",
    ),
    "run": ("Run {run}, as of {as_of}.", "运行 {run}，截止 {as_of}。"),
    "nothing": ("Nothing was compared.", "没有可比较的内容。"),
    **MORE_WORDS,
}

_CHECKS: Final[Mapping[str, str]] = {
    "plan": "计划",
    "sample_ratio": "分流比例",
    "sample_ratio_by": "分流比例，按",
    "sample_ratio_by_day": "每日分流比例",
    "several_variants": "进入多个组",
    "unknown_variants": "计划外的组",
    "incomplete_exposures": "不完整的曝光",
    "incomplete_rows": "不完整的行",
    "allocation": "分流变更",
    "balance": "实验前均衡",
    "left_out": "未计入",
    "unknown_values": "缺失值",
    "exposure_race": "曝光先后",
    "late_events": "迟到事件",
    "duplicates": "重复",
    "weekdays": "星期",
    "activation": "激活",
    "outside_period": "实验期外",
    "sample_ratio_by_epoch": "各时段分流比例",
    "unjudged_spans": "未比较的时段",
}

_METHODS: Final[Mapping[str, tuple[str, str]]] = {
    "welch": (
        "Means: Welch's test with each arm's own spread. Welch (1947), Biometrika 34.",
        "均值：Welch 检验，各组用自己的方差。Welch (1947), Biometrika 34.",
    ),
    "wald": (
        "Shares with 10 or more of each outcome in both arms: Wald's test, p (1 - p) / n of each arm.",
        "两组的两种结果均不少于 10 例的比例：Wald 检验，各组方差 p (1 - p) / n。",
    ),
    "delta": (
        "Ratios of sums: the delta method. Deng, Knoblich and Lu (2018), KDD.",
        "总和之比：delta 方法。Deng, Knoblich and Lu (2018), KDD.",
    ),
    "fisher": (
        "Small counts: Fisher's exact test, with score intervals that say the same. "
        "Miettinen and Nurminen (1985), Statistics in Medicine 4.",
        "小计数：Fisher 精确检验及与之一致的得分区间。Miettinen and Nurminen (1985), Statistics in Medicine 4.",
    ),
    "clustered": (
        "Clusters: totals per cluster by the delta method. Deng, Lu and Litz (2017), WSDM.",
        "整群：按群汇总并用 delta 方法。Deng, Lu and Litz (2017), WSDM.",
    ),
    "regression_adjusted": (
        "Adjusted: regression on covariates, each arm with its own slopes. Lin (2013), Annals of Applied Statistics 7.",
        "调整：对协变量回归，各组斜率不同。Lin (2013), Annals of Applied Statistics 7.",
    ),
    "post_stratified": (
        "Strata: arms are compared within strata, weighted by size. Miratrix, Sekhon and Yu (2013), JRSS B 75.",
        "分层：层内比较，按层大小加权。Miratrix, Sekhon and Yu (2013), JRSS B 75.",
    ),
    "quantile": ("Quantiles: by the density at the quantile, clustered.", "分位数：按分位点密度，考虑整群。"),
    "kaplan_meier": (
        "Rates at a horizon while accounts mature: Kaplan and Meier (1958), JASA 53.",
        "账户尚未成熟时的期限发生率：Kaplan and Meier (1958), JASA 53.",
    ),
    "any_time": (
        "Looks at any time: asymptotic confidence sequences. Waudby-Smith and others (2024), Annals of Statistics 52.",
        "随时查看：渐近置信序列。Waudby-Smith 等 (2024), Annals of Statistics 52.",
    ),
    "planned": (
        "Planned looks: alpha spending. Lan and DeMets (1983), Biometrika 70.",
        "按计划查看：alpha 消耗。Lan and DeMets (1983), Biometrika 70.",
    ),
    "fieller": (
        "Relative effects: Fieller's interval at the critical value of the difference, so that both give one verdict. "
        "Fieller (1954), JRSS B 16.",
        "相对效应：Fieller 区间，与差值用同一临界值，判断一致。Fieller (1954), JRSS B 16.",
    ),
    "sample_ratio": (
        "Split: a chi-square test that may be looked at every day. Lindon and Malek (2022), NeurIPS.",
        "分流：可每日查看的卡方检验。Lindon and Malek (2022), NeurIPS.",
    ),
    "bayes": (
        "Odds: normal estimate and normal prior in closed form. Gelman and others (2013), section 2.5.",
        "概率：正态估计与正态先验的闭式解。Gelman 等 (2013)，2.5 节。",
    ),
    "by_epoch": (
        "A split that changed: effects within each span of one split, weighted by its customers. Cochran (1954), "
        "Biometrics 10.",
        "分流变更：在各时段内比较，按客户数加权合并。Cochran (1954), Biometrics 10.",
    ),
    "over_time": (
        "Days: confidence sequences by the calendar; since exposure Kaplan-Meier and daily means, the level shared out "
        "among the days.",
        "按日：日历用置信序列；曝光后用 Kaplan-Meier 与当日均值，显著性水平分摊到各天。",
    ),
    "fairness": (
        "Protected groups: one-sided tests in each group, Holm; gaps by Bonferroni. Holm (1979), Scandinavian Journal "
        "of Statistics 6.",
        "受保护群体：逐群体单侧检验，Holm 校正；差距用 Bonferroni。Holm (1979), Scandinavian Journal of Statistics 6.",
    ),
    "interactions": (
        "Other experiments: the effect where the other's variant is on minus where its control is, Holm; independence "
        "by chi-square.",
        "其他实验：对方为实验组与为对照组时的效应之差，Holm 校正；独立性用卡方检验。",
    ),
    "segments": (
        "Segments: Cochran's Q, corrected by Benjamini and Hochberg. Cochran (1954), Biometrics 10.",
        "细分：Cochran Q 检验，Benjamini-Hochberg 校正。Cochran (1954), Biometrics 10.",
    ),
}


def say(key: str, language: Language, **parts: str) -> str:
    """Return a word or a sentence in a language, its parts filled in."""
    return _WORDS[key][0 if language == "en" else 1].format(**parts)


def check_name(check: str, language: Language) -> str:
    """Return the name of a check; what follows its first dot is the name of a metric or a dimension."""
    name, _, rest = check.partition(".")
    told = name.replace("_", " ") if language == "en" else _CHECKS.get(name, name)
    return f"{told}: {rest}" if rest else told


def method(name: str, language: Language) -> str | None:
    """Return what a method does and where it comes from; None for one without a note."""
    found = _METHODS.get(name)
    return None if found is None else found[0 if language == "en" else 1]


def percent(value: float | None, *, sign: bool = False, digits: int = 2) -> str:
    """Return a share as percent, a change with its sign."""
    if value is None:
        return DASH
    return _minus(f"{value * 100:{'+' if sign else ''}.{digits}f}{HARD}%")


def number(value: float | None, *, sign: bool = False) -> str:
    """Return a number to four significant digits, and whole above ten thousand."""
    if value is None:
        return DASH
    plus = "+" if sign else ""
    if 0 < abs(value) < _LEAST:
        return f"<{HARD}{_LEAST:f}" if value > 0 else f">{HARD}{MINUS}{_LEAST:f}"
    if abs(value) >= 10_000:
        return _minus(f"{value:{plus},.0f}".replace(",", HARD))
    text = f"{value:{plus}.4g}"
    if "e" in text:  # four significant digits all the same, written out
        text = f"{value:{plus}.{3 - floor(log10(abs(value)))}f}"
    return _minus(text)


def level(line: Line) -> Callable[[float | None], str]:
    """Return how values of a line's metric are written."""
    return percent if is_share(line.kind) else number


def change(kind: str, value: float | None) -> str:
    """Return a difference: percentage points of a share, the metric's unit otherwise."""
    if value is None:
        return DASH
    return _minus(f"{value * 100:+.2f}{HARD}pp") if is_share(kind) else number(value, sign=True)


def is_share(kind: str) -> bool:
    """Whether the values of a kind of metric are shares."""
    return kind in ("proportion", "retention", "time_to_event")


def signed(value: float | None) -> str:
    """Return a lift."""
    return percent(value, sign=True)


def span(found: Reading, write: Callable[[float | None], str]) -> str:
    """Return an interval, in brackets so that signs are read right."""
    if found.lower is None or found.upper is None:
        return DASH
    return f"[{write(found.lower)},{HARD}{write(found.upper)}]"


def span_of(lower: float, upper: float, write: Callable[[float | None], str]) -> str:
    """Return the interval of two ends."""
    return span(Reading(lower=lower, upper=upper), write)


def with_span(found: Reading, write: Callable[[float | None], str]) -> str:
    """Return a value with its interval; a line may break between the two and nowhere else."""
    return DASH if found.value is None else f"{write(found.value)} {span(found, write)}"


def p_value(value: float | None) -> str:
    """Return a p-value to three digits."""
    if value is None:
        return DASH
    return f"<{HARD}0.001" if value < 0.001 else f"{value:.3f}"


def count(value: int | None) -> str:
    """Return a count with a space between thousands."""
    return DASH if value is None else grouped(value).replace(" ", HARD)


def headline(report: Report, language: Language) -> str:
    """Return the decision as the banner shows it."""
    written = report.facts["decision"].get("headline" if language == "en" else "headline_zh")
    return str(written) if written else say(report.action, language)


def reasons(report: Report, language: Language) -> tuple[str, ...]:
    """Return the reasons of the decision."""
    decision = report.facts["decision"]
    return tuple(decision.get("reasons_zh" if language == "zh" else "reasons") or decision["reasons"])


def because(why: str | None, why_zh: str | None, language: Language) -> str:
    """Return why there is no number, in the language where the result has it; empty where nothing says why."""
    return (why_zh if language == "zh" else None) or why or ""


def finding(report: Report, language: Language) -> str:
    """Return what was found in one sentence: the title of the chart. It is made of the lines that the chart draws."""
    if report.withheld:
        return say("checks_stop", language)
    if not report.lines:
        return say("nothing", language)
    parts = []
    for role, plural in (("goal", "goals"), ("guardrail", "guardrails"), ("secondary", "secondaries")):
        lines = [line for line in report.lines if line.role == role]
        if lines:
            parts.append(f"{say(plural, language)}{': ' if language == 'en' else '：'}{_outcomes(lines, language)}")
    return ". ".join(parts) + "." if language == "en" else "。".join(parts) + "。"


def _outcomes(lines: list[Line], language: Language) -> str:
    if len(lines) == 1:
        return _named(lines[0], language)
    called = [line for line in lines if line.mark in ("better", "worse")]
    told = [_named(line, language) for line in called[:_NAMED]]
    rest = [line.mark for line in called[_NAMED:]]
    if rest:
        counted = [(rest.count(mark), say(mark, language)) for mark in ("better", "worse")]
        if language == "en":
            told.append(", ".join(f"{many} more {word}" for many, word in counted if many))
        else:
            told.append("，".join(f"另有 {many} 项{word}" for many, word in counted if many))
    silent = len(lines) - len(called)
    if silent:
        told.append(
            f"nothing shown in {silent} of {len(lines)} comparisons"
            if language == "en"
            else f"{len(lines)} 项比较中 {silent} 项未显示差异"
        )
    return ("; " if language == "en" else "；").join(told)


def _named(line: Line, language: Language) -> str:
    where = f"{line.metric} ({line.variant})"
    effect = signed(line.relative.value) if line.relative.value is not None else change(line.kind, line.absolute.value)
    told = f"{where} {say(line.verdict, language)}"
    return f"{told}, {effect}" if line.absolute.value is not None else told


def _minus(text: str) -> str:
    return text.replace("-", MINUS)
