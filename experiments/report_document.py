"""The report as sections of sentences, tables and charts in one language: what page and Markdown both write down."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from engine.documents.blocks import Badge, Cell, Items, Table, Warning
from experiments import report_behind
from experiments import report_words as words
from experiments.report import Facts, Line, Report, reading
from experiments.report_blocks import Block, Chart, Document, Section
from experiments.report_words import Language, say

MOST_REASONS: Final = 12
"""Reasons that the banner gives; the JSON form has all."""


def write(report: Report, language: Language = "en") -> Document:
    """Return the report in sections, checks first."""
    titled = (
        ("checks", _checks(report, language)),
        ("results", _results(report, language)),
        ("adjusted", _adjusted(report, language)),
        ("looks", _looks(report, language)),
        ("bayes", _bayes(report, language)),
        ("over_time", report_behind.over_time(report, language)),
        ("segments", report_behind.segments(report, language)),
        ("fairness", report_behind.fairness(report, language)),
        ("interactions", report_behind.interactions(report, language)),
        ("plan", _plan(report, language)),
        ("methods", _methods(report, language)),
    )
    sections = [Section(title=say(name, language), blocks=tuple(blocks)) for name, blocks in titled]
    return Document(
        language=language,
        title=f"{say('report_of', language)}: {report.experiment}",
        headline=words.headline(report, language),
        action=report.action,
        reasons=_reasons(report, language),
        sections=tuple(section for section in sections if section.blocks),
    )


def _reasons(report: Report, language: Language) -> tuple[str, ...]:
    found = words.reasons(report, language)
    if len(found) <= MOST_REASONS:
        return found
    return *found[:MOST_REASONS], say("reasons_cut", language, more=words.count(len(found) - MOST_REASONS))


def _columns(language: Language, *names: str) -> tuple[str, ...]:
    return tuple(say(name, language) for name in names)


def _checks(report: Report, language: Language) -> Iterator[Block]:
    statuses = [check["status"] for check in report.facts["health"]]
    if report.anyway:
        yield Warning(say("anyway", language))
    elif report.withheld:
        yield Warning(say("checks_stop", language))
    else:
        yield say("checks_warn" if "warning" in statuses else "checks_ok", language)
    order = ("stop", "warning", "ok")
    rows = [
        (
            words.check_name(check["check"], language),
            Badge(text=say(check["status"], language), mark=check["status"]),
            words.p_value(check.get("p_value")),
            _detail(check, language),
        )
        for check in sorted(report.facts["health"], key=lambda check: order.index(check["status"]))
    ]
    yield Table(columns=_columns(language, "check", "status", "p", "detail"), rows=tuple(rows), numeric=frozenset({2}))


def _detail(check: Facts, language: Language) -> str:
    """Return what a check found, in the language where the result has it."""
    return str(check.get("detail_zh") or check["detail"]) if language == "zh" else str(check["detail"])


def _results(report: Report, language: Language) -> Iterator[Block]:
    if not report.lines:
        yield say("nothing", language)
        return
    data = tuple({"metric": line.metric, "variant": line.variant} for line in report.lines)
    if report.withheld:
        rows = [(line.metric, say(line.role, language), line.variant, _badge(line, language)) for line in report.lines]
        yield Table(columns=_columns(language, "metric", "role", "variant", "verdict"), rows=tuple(rows), data=data)
        return
    drawn = tuple(line for line in report.lines if line.relative.whole)
    yield Chart(title=words.finding(report, language), lines=drawn)
    if not drawn:
        yield say("nothing_drawn", language)
    missing = [f"{line.metric} ({line.variant})" for line in report.lines if not line.relative.whole]
    if drawn and missing:
        yield f"{say('not_drawn', language)}: {', '.join(missing)}."
    names = ("metric", "role", "variant", "n_control", "n_variant", "control_value", "variant_value", "difference")
    yield Table(
        columns=_columns(language, *names, "lift", "p", "one_sided", "margin", "verdict"),
        rows=tuple(_result(line, language) for line in report.lines),
        numeric=frozenset(range(3, 12)),
        data=data,
    )
    yield say("intervals", language, level=words.percent(report.level, digits=0 if report.level == 0.95 else 1))
    said = [
        f"{line.metric} ({line.variant})" + say("colon", language) + words.because(line.why, line.why_zh, language)
        for line in report.lines
        if line.why
    ]
    if said:
        yield Items(tuple(dict.fromkeys(said)))


def _result(line: Line, language: Language) -> tuple[Cell, ...]:
    value = words.level(line)
    return (
        line.metric,
        say(line.role, language) + (f", {say('decrease', language)}" if line.direction == "decrease" else ""),
        line.variant,
        words.count(line.n[0]),
        words.count(line.n[1]),
        value(line.values[0]),
        value(line.values[1]),
        words.with_span(line.absolute, lambda end: words.change(line.kind, end)),
        words.with_span(line.relative, words.signed),
        words.p_value(line.absolute.p_value),
        words.signed(line.bound),
        words.signed(line.margin),
        _badge(line, language),
    )


def _badge(line: Line, language: Language) -> Badge:
    return Badge(text=say(line.verdict, language), mark=line.mark)


def _adjusted(report: Report, language: Language) -> Iterator[Block]:
    rows = []
    for one in report.facts["metrics"]:
        if not one.get("adjusted"):
            continue
        plain, other = reading(one["relative"], "lift"), reading(one["adjusted"]["relative"], "lift")
        rows.append(
            (
                one["metric"],
                *_sizes(one),
                words.with_span(plain, words.signed),
                words.p_value(plain.p_value),
                words.with_span(other, words.signed),
                words.p_value(other.p_value),
            )
        )
    if rows:
        names = ("metric", "variant", "n_control", "n_variant", "unadjusted", "p", "with_adjusted", "p")
        yield Table(columns=_columns(language, *names), rows=tuple(rows), numeric=frozenset(range(2, 8)))


def _sizes(one: Facts) -> tuple[str, str, str]:
    return one["variant"], words.count(one["n"][one["control"]]), words.count(one["n"][one["variant"]])


def _looks(report: Report, language: Language) -> Iterator[Block]:
    design = report.facts.get("looks")
    if report.withheld or design is None or not report.lines:
        return
    yield say("looks_text", language, design=say(design, language))
    rows = tuple(
        (
            line.metric,
            line.variant,
            words.count(line.n[0]),
            words.count(line.n[1]),
            words.span(line.planned, words.signed),
            words.p_value(line.planned.p_value),
            words.span(line.relative, words.signed),
            words.p_value(line.absolute.p_value),
            _badge(line, language),
        )
        for line in report.lines
    )
    names = ("metric", "variant", "n_control", "n_variant", "one_look", "p", "this_look", "p", "verdict")
    yield Table(columns=_columns(language, *names), rows=rows, numeric=frozenset(range(2, 8)))


def _bayes(report: Report, language: Language) -> Iterator[Block]:
    rows = [
        (
            one["metric"],
            *_sizes(one),
            words.percent(one["bayes"]["chance_to_win"], digits=1),
            words.number(one["bayes"]["loss_if_shipped"]),
            words.number(one["bayes"]["loss_if_kept"]),
            _prior(one["bayes"]["prior"], language),
        )
        for one in report.facts["metrics"]
        if one.get("bayes")
    ]
    if rows:
        yield say("bayes_text", language)
        names = ("metric", "variant", "n_control", "n_variant", "chance", "loss_shipped", "loss_kept", "prior")
        yield Table(columns=_columns(language, *names), rows=tuple(rows), numeric=frozenset(range(2, 7)))


def _prior(prior: Mapping[str, Any], language: Language) -> str:
    if prior["sd"] is None:
        return say("flat_prior", language)
    return f"N({words.number(prior['mean'])}, {words.number(prior['sd'])}²), {prior['source']}"


def _plan(report: Report, language: Language) -> Iterator[Block]:
    facts = report.facts
    if report.fingerprint:
        yield say("plan_hash", language, hash=report.fingerprint)
    if facts.get("changed"):
        yield Warning(say("plan_changed", language, what=", ".join(facts["changed"])))
        yield from _changed(facts.get("plan_changes") or (), language)
    elif report.fingerprint:
        yield say("plan_same", language)
    if facts.get("run_id"):
        yield say("run", language, run=str(facts["run_id"]), as_of=str(facts.get("as_of", words.DASH)))
    override = facts["decision"].get("override")
    if override and override.get("decided_at"):
        told = {"owner": override["owner"], "note": override["note"], "before": say(override["instead_of"], language)}
        yield say("decided_by", language, when=str(override["decided_at"])[:10], **told)
    rows = tuple(_settings(report.plan))
    if rows:
        yield Table(columns=_columns(language, "setting", "value"), rows=rows)


def _changed(found: Sequence[Facts], language: Language) -> Iterator[Block]:
    rows = tuple((one["setting"], one["before"] or words.DASH, one["after"] or words.DASH) for one in found)
    if rows:
        yield Table(columns=_columns(language, "setting", "at_first_look", "now_planned"), rows=rows)


def _settings(plan: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Return what the plan says as rows; what it leaves open is left out."""
    for name, value in plan.items():
        where = f"{before}{name}"
        if value in (None, [], {}, ()):
            continue
        if isinstance(value, Mapping):
            yield where, _flat(value)
        elif isinstance(value, list | tuple) and any(isinstance(one, Mapping) for one in value):
            yield from ((f"{where} {place}", _flat(one)) for place, one in enumerate(value, 1))
        else:
            yield where, _plain(value)


def _flat(value: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {_plain(one)}" for key, one in value.items() if one not in (None, [], {}, ()))


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return _flat(value)
    return ", ".join(map(_plain, value)) if isinstance(value, list | tuple) else str(value)


def _methods(report: Report, language: Language) -> Iterator[Block]:
    notes = [found for name in _methods_used(report) if (found := words.method(name, language)) is not None]
    yield Items(tuple(dict.fromkeys(notes)))


def _methods_used(report: Report) -> Iterable[str]:
    facts = report.facts
    used: Sequence[Any] = [check["check"].partition(".")[0] for check in facts["health"]]
    if report.withheld:
        return used
    methods = [line.method for line in report.lines if line.method]
    methods += [one["method"] for one in facts["metrics"] if one.get("method")]
    methods += ["fieller", *([facts["looks"]] if facts.get("looks") else [])]
    methods += [name for name in ("bayes", "over_time", "segments") if any(one.get(name) for one in facts["metrics"])]
    methods += [name for name in ("fairness", "interactions") if facts.get(name)]
    return [*used, *methods]
