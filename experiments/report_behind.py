"""What stands behind the results of a report: days, segments, protected groups, and other experiments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from engine.documents.blocks import Badge, Cell, Items, Table, Warning
from experiments import report_words as words
from experiments.report import MARKS, Facts, Reading, Report, reading
from experiments.report_blocks import Block, Drawing, Folded
from experiments.report_plots import Point
from experiments.report_words import Language, say

MOST_SEGMENTS: Final = 300
"""Rows of segments that are written; a page of more would be neither read nor mailed."""

MOST_DRAWN: Final = 6
"""Metrics and variants that are drawn by day or by group: goals first, then guardrails."""

MOST_DAYS: Final = 15
"""Rows of the table of days; all are in the JSON form."""

_ROLES: Final = ("goal", "guardrail", "secondary")


def over_time(report: Report, language: Language) -> Iterator[Block]:
    """Draw the effects of goals, guardrails and secondary metrics, in this order, by day."""
    told = [one for one in _in_order(report) if one.get("over_time")]
    if not told:
        return
    yield say("over_time_text", language)
    for one in (one for one in told if "pooled" in one):
        value = words.percent if words.is_share(one.get("kind", "")) else words.number
        arms = {"control": value(one["pooled"][one["control"]]), "variant": value(one["pooled"][one["variant"]])}
        yield say("pooled", language, name=_named(one), **arms)
    for one in told[:MOST_DRAWN]:
        series = one["over_time"]
        yield from _series(one, series["calendar"], "calendar", language)
        since = series["since_exposure"]
        if since is not None:
            yield from _series(one, since["days"], since["measure"], language)
            if since["wear"] is not None and since["wear"]["adjusted_p_value"] is not None:
                yield _wear(one, since["wear"], report.level, language)


def _in_order(report: Report) -> list[Facts]:
    return sorted(report.facts["metrics"], key=lambda one: _ROLES.index(one["role"]))


def _named(one: Facts) -> str:
    return f"{one['metric']} ({one['variant']})"


def _series(one: Facts, days: Sequence[Facts], clock: str, language: Language) -> Iterator[Block]:
    known = [(day, reading(day["absolute"], "difference")) for day in days]
    whole = [(day, found) for day, found in known if found.whole]
    if len(whole) < 2:
        return

    def write(value: float | None) -> str:
        return words.change(one.get("kind", ""), value)

    points = tuple(_point(_day(day["day"], clock, language), found) for day, found in whole)
    yield Drawing(title=_found(_named(one), points, write, language), kind="days", points=points, write=write)
    step = -(-len(whole) // MOST_DAYS)
    summary = say("as_table", language) if step == 1 else say("days_cut", language, step=words.count(step))
    rows = [
        (
            str(day["day"]),
            words.count(day["n"]["control"]),
            words.count(day["n"]["variant"]),
            words.with_span(found, write),
            words.with_span(reading(day["relative"], "lift"), words.signed),
        )
        for day, found in whole[::-1][::step][::-1]
    ]
    columns = (
        say(clock, language),
        *(say(name, language) for name in ("n_control", "n_variant", "difference", "lift")),
    )
    table = Table(columns=columns, rows=tuple(rows), numeric=frozenset(range(1, 5)))
    yield Folded(summary=summary, table=table)


def _day(day: str | int, clock: str, language: Language) -> str:
    return str(day) if clock == "calendar" else say("of_days", language, day=str(day))


def _point(name: str, found: Reading, note: str = "", mark: Any = "open") -> Point:
    return Point(
        name=name,
        value=found.value or 0.0,
        lower=found.lower or 0.0,
        upper=found.upper or 0.0,
        note=note,
        mark=mark,
    )


def _found(name: str, points: Sequence[Point], write: Any, language: Language) -> str:
    told = {"name": name, "value": write(points[-1].value), "day": points[-1].name}
    since = clear_since(points)
    return (
        say("found_open", language, **told) if since is None else say("found_since", language, since=since.name, **told)
    )


def clear_since(points: Sequence[Point]) -> Point | None:
    """Return the first of the days, the last of all among them, whose intervals all leave out 0; None without one."""
    clear = [not one.lower <= 0 <= one.upper for one in points]
    if not clear or not clear[-1]:
        return None
    return points[len(points) - (clear[::-1].index(False) if False in clear else len(points))]


def _wear(one: Facts, wear: Facts, level: float, language: Language) -> Block:
    p_value = words.p_value(wear["adjusted_p_value"])
    if wear["adjusted_p_value"] >= 1 - level:
        return say("wear_same", language, name=_named(one), p=p_value)
    change = words.with_span(reading(wear, "difference"), lambda end: words.number(end, sign=True))
    return Warning(say("wear_off", language, name=_named(one), change=change, p=p_value))


def segments(report: Report, language: Language) -> Iterator[Block]:
    """Tell the effect in each segment, and of each dimension whether the effects differ more than by chance."""
    dimensions = [(one, part) for one in _in_order(report) for part in one.get("segments", ())]
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
    for one, part in dimensions[:MOST_DRAWN]:
        yield from _drawn_segments(one, part, report.level, language)
    if len(found) > MOST_SEGMENTS:
        yield say("segments_cut", language, shown=words.count(MOST_SEGMENTS), all=words.count(len(found)))
    rows = [_segment(one, name, value) for one, name, value in found[:MOST_SEGMENTS]]
    effects = ("segment", "metric", "variant", "n_control", "n_variant", "difference", "lift", "p")
    yield Table(columns=_columns(language, *effects), rows=tuple(rows), numeric=frozenset(range(3, 8)))


def _drawn_segments(one: Facts, part: Facts, level: float, language: Language) -> Iterator[Block]:
    def write(value: float | None) -> str:
        return words.change(one.get("kind", ""), value)

    known = [(value, reading(value["absolute"], "difference")) for value in part["values"]]
    points = tuple(
        _point(f"{part['segment']} = {value['of']}", found, _sizes(value["n"], one))
        for value, found in known
        if found.whole
    )
    if len(points) > 1 and len(points) <= 40:
        yield Drawing(title=_differs(one, part, level, language), kind="dots", points=points, write=write)


def _differs(one: Facts, part: Facts, level: float, language: Language) -> str:
    test, told = part["interaction"], {"name": _named(one), "segment": part["segment"]}
    p_value = test["adjusted_p_value"]
    if p_value is None:
        why = words.because(test.get("why"), test.get("why_zh"), language) or say("not_comparable", language)
        return say("segments_unknown", language, why=why, **told)
    return say(
        "segments_differ" if p_value < 1 - level else "segments_alike", language, p=words.p_value(p_value), **told
    )


def _sizes(n: Mapping[str, int], one: Facts) -> str:
    return f"n {words.count(n[one['control']])} / {words.count(n[one['variant']])}"


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


def fairness(report: Report, language: Language) -> Iterator[Block]:
    """Tell how protected groups fare: who is harmed, who is known to be safe, and how far groups lie apart."""
    found = report.facts.get("fairness") or ()
    if found:
        yield say("fairness_text", language)
    for place, one in enumerate(found):
        yield from _attribute(one, language, drawn=place < MOST_DRAWN)


def _attribute(one: Facts, language: Language, *, drawn: bool) -> Iterator[Block]:
    def write(value: float | None) -> str:
        return words.change(one["kind"], value)

    shown = [group for group in one["groups"] if group["safety"] != "suppressed"]
    known = [(group, reading(group["absolute"], "difference")) for group in shown]
    points = tuple(
        _point(group["of"], found, _sizes(group["n"], one), MARKS[group["safety"]])
        for group, found in known
        if found.whole
    )
    title = _fares(one, shown, language)
    if drawn and len(points) > 1:
        yield Drawing(title=title, kind="dots", points=points, write=write)
    else:
        yield f"{title}."
    bound = words.signed if any(group.get("bound_is") == "relative" for group in shown) else write
    name = "bound_share" if bound is words.signed else "bound_absolute"
    rows = [_group(group, one, bound, language) for group in one["groups"]]
    columns = _columns(language, "group", "n_control", "n_variant", "difference", name, "safety")
    yield Table(columns=columns, rows=tuple(rows), numeric=frozenset(range(1, 5)))
    if one["worst"] is not None and len(shown) > 1:
        yield f"{say('worst', language)}: {one['worst']}."
    widest = one["widest"]
    if widest is not None:
        gap = words.with_span(reading(widest, "difference"), write)
        told = f"{widest['group']} {words.MINUS} {widest['other']}: {gap}"
        p_value = words.p_value(widest["adjusted_p_value"])
        yield f"{say('widest', language)}: {told}, {say('adjusted_p', language)} {p_value}"


def _fares(one: Facts, shown: Sequence[Facts], language: Language) -> str:
    told = {"name": _named(one), "attribute": one["attribute"]}
    harmed = [group["of"] for group in shown if group["safety"] == "harmed"]
    if harmed:
        return say("fair_harmed", language, groups=", ".join(harmed), **told)
    safe = bool(shown) and all(group["safety"] == "safe" for group in shown)
    return say("fair_safe" if safe else "fair_unknown", language, **told)


def _group(group: Facts, one: Facts, bound: Any, language: Language) -> tuple[Cell, ...]:
    if group["safety"] == "suppressed":
        return group["of"], *(words.DASH,) * 4, Badge(text=say("suppressed", language), mark="withheld")
    difference = reading(group["absolute"], "difference")
    return (
        group["of"],
        words.count(group["n"][one["control"]]),
        words.count(group["n"][one["variant"]]),
        words.with_span(difference, lambda end: words.change(one["kind"], end)),
        bound(group["bound"]),
        Badge(text=say(group["safety"], language), mark=MARKS[group["safety"]]),
    )


def interactions(report: Report, language: Language) -> Iterator[Block]:
    """Tell which other experiments share customers, and whether they disturb this one."""
    found = report.facts.get("interactions")
    if found is None:
        return
    if not found["shared"]:
        yield say("interactions_none", language)
        return
    kinds = {one["metric"]: one.get("kind", "") for one in report.facts["metrics"]}
    limit = 1 - report.level
    disturbed = [one for one in found["crossings"] if (p := one["adjusted_p_value"]) is not None and p < limit]
    if found["crossings"] and not disturbed:
        yield say("interactions_quiet", language)
    for one in disturbed:
        yield Warning(_disturbs(one, kinds, language))
    for other in found["shared"]:
        if (p_value := other["independence_p_value"]) is not None and p_value < 0.001:
            yield Warning(say("interactions_drawn", language, other=other["with"], p=words.p_value(p_value)))
    rows = [
        (one["with"], words.count(one["customers"]), words.p_value(one["independence_p_value"]))
        for one in found["shared"]
    ]
    yield Table(columns=_columns(language, "other", "shared", "drawn"), rows=tuple(rows), numeric=frozenset({1, 2}))
    if found["crossings"]:
        names = ("other", "other_variant", "metric", "variant", "alone", "together", "contrast", "adjusted_p")
        crossed = tuple(_crossing(one, kinds) for one in found["crossings"])
        yield Table(columns=_columns(language, *names), rows=crossed, numeric=frozenset(range(4, 8)))
    left = [
        say("interactions_uncrossed", language, other=one["with"], why=one["why" if language == "en" else "why_zh"])
        for one in found["shared"]
        if one.get("why")
    ]
    if left:
        yield Items(tuple(left))


def _disturbs(one: Facts, kinds: Mapping[str, str], language: Language) -> str:
    return say(
        "interactions_found",
        language,
        other=one["with"],
        variant=one["other_variant"],
        name=_named(one),
        change=words.change(kinds.get(one["metric"], ""), one["contrast"]["difference"]),
        p=words.p_value(one["adjusted_p_value"]),
    )


def _crossing(one: Facts, kinds: Mapping[str, str]) -> tuple[Cell, ...]:
    def write(value: float | None) -> str:
        return words.change(kinds.get(one["metric"], ""), value)

    return (
        one["with"],
        one["other_variant"],
        one["metric"],
        one["variant"],
        *(words.with_span(reading(one[part], "difference"), write) for part in ("alone", "together", "contrast")),
        words.p_value(one["adjusted_p_value"]),
    )


def _columns(language: Language, *names: str) -> tuple[str, ...]:
    return tuple(say(name, language) for name in names)
