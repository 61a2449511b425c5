"""The report as sections of sentences, tables and charts in one language: what page and Markdown both write down."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from engine.documents.blocks import Badge, Cell, Items, Table, Warning
from experiments import report_words as words
from experiments.report import MARKS, Facts, Line, Report, reading
from experiments.report_words import Language, say

MOST_SEGMENTS: Final = 300
"""Rows of segments that are written; a page of more would be neither read nor mailed."""

MOST_REASONS: Final = 12
"""Reasons that the banner gives; the JSON form has all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """The lines that a forest plot draws, and its title, which says what was found."""

    title: str
    lines: tuple[Line, ...]


Block = str | Warning | Items | Table | Chart


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A titled part."""

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A whole report in one language."""

    language: Language
    title: str
    headline: str
    action: str
    reasons: tuple[str, ...]
    sections: tuple[Section, ...]


def write(report: Report, language: Language = "en") -> Document:
    """Return the report in sections, checks first."""
    titled = (
        ("checks", _checks(report, language)),
        ("results", _results(report, language)),
        ("adjusted", _adjusted(report, language)),
        ("looks", _looks(report, language)),
        ("bayes", _bayes(report, language)),
        ("segments", _segments(report, language)),
        ("fairness", _fairness(report, language)),
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
            check["detail"],
        )
        for check in sorted(report.facts["health"], key=lambda check: order.index(check["status"]))
    ]
    yield Table(columns=_columns(language, "check", "status", "p", "detail"), rows=tuple(rows), numeric=frozenset({2}))


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
    said = [f"{line.metric} ({line.variant}): {line.why}" for line in report.lines if line.why]
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


def _segments(report: Report, language: Language) -> Iterator[Block]:
    """Tell the effect in each segment, and of each dimension whether the effects differ more than by chance."""
    dimensions = [(one, part) for one in report.facts["metrics"] for part in one.get("segments", ())]
    found = [(one, part["segment"], value) for one, part in dimensions for value in part["values"]]
    if not found:
        return
    yield say("segments_text", language)
    names = ("metric", "variant", "segment", "p", "adjusted_p")
    tests = [
        (
            one["metric"],
            one["variant"],
            part["segment"],
            words.p_value(part["interaction"]["p_value"]),
            words.p_value(part["interaction"]["adjusted_p_value"]),
        )
        for one, part in dimensions[:MOST_SEGMENTS]
    ]
    yield Table(columns=_columns(language, *names), rows=tuple(tests), numeric=frozenset({3, 4}))
    if len(found) > MOST_SEGMENTS:
        yield say("segments_cut", language, shown=words.count(MOST_SEGMENTS), all=words.count(len(found)))
    rows = [_segment(one, name, value) for one, name, value in found[:MOST_SEGMENTS]]
    effects = ("segment", "metric", "variant", "n_control", "n_variant", "difference", "lift", "p")
    yield Table(columns=_columns(language, *effects), rows=tuple(rows), numeric=frozenset(range(3, 8)))


def _segment(one: Facts, name: str, found: Facts) -> tuple[Cell, ...]:
    difference, kind = reading(found["absolute"], "difference"), one.get("kind", "")
    return (
        f"{name} = {found['of']}",
        one["metric"],
        one["variant"],
        words.count(found["n"][one["control"]]),
        words.count(found["n"][one["variant"]]),
        words.with_span(difference, lambda end: words.change(kind, end)),
        words.with_span(reading(found["relative"], "lift"), words.signed),
        words.p_value(difference.p_value),
    )


def _fairness(report: Report, language: Language) -> Iterator[Block]:
    """Tell how protected groups fare, in the words of `fairness.Fairness` with metric and variant."""
    for one in report.facts.get("fairness", ()):
        yield f"{one['attribute']}: {one['metric']} ({one['variant']})"
        effects = one["effects"]
        rows = [_group(harm, effects[harm["group"]], language) for harm in one["harms"]]
        names = ("group", "n_control", "n_variant", "difference", "bound", "safety")
        yield Table(columns=_columns(language, *names), rows=tuple(rows), numeric=frozenset(range(1, 5)))
        if one["worst"] is not None:
            yield f"{say('worst', language)}: {one['worst']['group']}."
        widest = one["widest"]
        if widest is not None:
            gap = reading({**widest, "interval": (widest["lower"], widest["upper"])}, "difference")
            told = f"{widest['group']} {words.MINUS} {widest['other']}: {words.with_span(gap, _signed_number)}"
            yield f"{say('widest', language)}: {told}, {say('adjusted_p', language)} " + words.p_value(
                widest["adjusted_p_value"]
            )


def _group(harm: Mapping[str, Any], effect: Mapping[str, Any], language: Language) -> tuple[Cell, ...]:
    hidden = harm["safety"] == "suppressed"
    sizes = [None if hidden or effect[arm] is None else effect[arm]["n"] for arm in ("control", "variant")]
    found = reading({**effect, "interval": (effect["lower"], effect["upper"])}, "difference")
    return (
        harm["group"],
        words.count(sizes[0]),
        words.count(sizes[1]),
        words.DASH if hidden else words.with_span(found, _signed_number),
        words.DASH if hidden else _signed_number(harm["bound"]),
        Badge(text=say(harm["safety"], language), mark="withheld" if hidden else MARKS[harm["safety"]]),
    )


def _signed_number(value: float | None) -> str:
    return words.number(value, sign=True)


def _plan(report: Report, language: Language) -> Iterator[Block]:
    facts = report.facts
    if report.fingerprint:
        yield say("plan_hash", language, hash=report.fingerprint)
    if facts.get("changed"):
        yield Warning(say("plan_changed", language, what=", ".join(facts["changed"])))
    elif report.fingerprint:
        yield say("plan_same", language)
    if facts.get("run_id"):
        yield say("run", language, run=str(facts["run_id"]), as_of=str(facts.get("as_of", words.DASH)))
    rows = tuple(_settings(report.plan))
    if rows:
        yield Table(columns=_columns(language, "setting", "value"), rows=rows)


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
    methods += [name for name in ("bayes", "segments") if any(one.get(name) for one in facts["metrics"])]
    return [*used, *methods]
