"""Who an effect is different for: segments with one corrected test, and protected groups with harm and suppression."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from engine.ui.views import effects
from engine.ui.views.experiment_parts import Unit, attribute, comparisons, named, unit, value, why
from engine.ui.views.figure import BAD, GOOD, NEUTRAL, Figure
from engine.ui.words import UNDEFINED, Words
from experiments.report import Facts, Report, reading

MOST_DRAWN: Final = 30
"""Segments that are drawn; all are in the table."""

_SAFETY: Final = {"safe": GOOD, "harmed": BAD, "unknown": "#C9A24A"}


# Segments


def segmented(report: Report) -> dict[str, Facts]:
    """Return the comparisons that are broken down by segments, by key."""
    return {key: one for key, one in comparisons(report).items() if one.get("segments")}


def attributes(one: Facts) -> dict[str, Facts]:
    """Return the breakdowns of one comparison by attribute."""
    return {part["segment"]: part for part in one["segments"]}


def tests(report: Report, w: Words) -> tuple[str, pd.DataFrame]:
    """Return whether any effect differs between segments at all, and the corrected test of each breakdown."""
    found = [(one, part) for one in segmented(report).values() for part in one["segments"]]
    rows, differ = [], []
    for one, part in found:
        p_value = part["interaction"]["adjusted_p_value"]
        name = w.t("experiments.by", name=named(one, w), attribute=attribute(part["segment"], w))
        differ += [name] if p_value is not None and p_value < 1 - report.level else []
        rows.append(
            {
                w.t("experiments.metric"): named(one, w),
                w.t("experiments.attribute"): attribute(part["segment"], w),
                w.t("experiments.adjusted_p"): w.probability(p_value),
                w.t("experiments.found"): _differs(part, report, w),
            }
        )
    if differ:
        finding = w.t("experiments.segments_some", names=w.t("word.comma").join(differ[:3]), n=w.number(len(differ)))
    else:
        finding = w.t("experiments.segments_none", n=w.number(len(found)))
    return finding, pd.DataFrame(rows)


def _differs(part: Facts, report: Report, w: Words) -> str:
    test = part["interaction"]
    p_value = test["adjusted_p_value"]
    if p_value is None:
        return why(test, w) or w.t("experiments.not_comparable")
    return w.t("experiments.differs" if p_value < 1 - report.level else "experiments.alike")


def segments(one: Facts, part: Facts, report: Report, w: Words) -> Figure:
    """Return the effect within each value of an attribute, with that among everybody above them."""
    how = unit(one.get("kind", ""), w)
    told = {"name": named(one, w), "attribute": attribute(part["segment"], w)}
    p_value = part["interaction"]["adjusted_p_value"]
    if p_value is None:
        finding = w.t("experiments.finding_segments_unknown", why=_differs(part, report, w), **told)
    else:
        kind = "differ" if p_value < 1 - report.level else "alike"
        finding = w.t(f"experiments.finding_segments_{kind}", p=w.probability(p_value), **told)
    largest = sorted(part["values"], key=lambda found: -sum(found["n"].values()))[:MOST_DRAWN]
    shown = [found for found in part["values"] if found in largest]
    names = {"everybody": w.t("experiments.everybody"), "segment": w.t("experiments.one_segment")}
    rows = [_row(w.t("experiments.everybody"), one, one, how, mark=names["everybody"], w=w)]
    rows += [_row(value(found["of"], w), found, one, how, mark=names["segment"], w=w) for found in shown]
    drawn = pd.DataFrame([row for row in rows if row["lower"] is not None])
    chart = None
    if len(drawn) > 1:
        colours = {names["everybody"]: effects.LINE, names["segment"]: NEUTRAL}
        chart = effects.dots(drawn, title=how.axis, form=how.form, colours=colours, tooltip=_tooltip(w))
    table = pd.DataFrame([_segment(found, one, how, w) for found in part["values"]])
    note = w.t("experiments.note_segments")
    if len(shown) < len(part["values"]):
        note = f"{w.t('experiments.note_cut', n=w.number(MOST_DRAWN), all=w.number(len(part['values'])))} {note}"
    return Figure(finding=finding, chart=chart, alt=finding, table=table, note=note)


def _row(name: str, found: Facts, one: Facts, how: Unit, *, mark: str, w: Words) -> dict[str, Any]:
    effect = reading(found["absolute"], "difference")
    whole = effect.whole
    return {
        "name": name,
        "mark": mark,
        "value": effect.value * how.times if whole and effect.value is not None else None,
        "lower": effect.lower * how.times if whole and effect.lower is not None else None,
        "upper": effect.upper * how.times if whole and effect.upper is not None else None,
        "written": how.step(effect.value),
        "span": how.span(effect),
        "customers": w.t(
            "experiments.sizes",
            control=w.number(found["n"][one["control"]]),
            variant=w.number(found["n"][one["variant"]]),
        ),
    }


def _tooltip(w: Words) -> dict[str, str]:
    return {
        "name": w.t("experiments.group"),
        "written": w.t("experiments.difference"),
        "span": w.t("experiments.interval"),
        "customers": w.t("word.customers"),
    }


def _segment(found: Facts, one: Facts, how: Unit, w: Words) -> dict[str, str]:
    effect = reading(found["absolute"], "difference")
    return {
        w.t("experiments.group"): value(found["of"], w),
        w.t("experiments.n_control"): w.number(found["n"][one["control"]]),
        w.t("experiments.n_variant"): w.number(found["n"][one["variant"]]),
        w.t("experiments.control"): how.level(found["value"][one["control"]]),
        w.t("experiments.variant"): how.level(found["value"][one["variant"]]),
        w.t("experiments.difference"): how.step(effect.value),
        w.t("experiments.interval"): how.span(effect),
        w.t("word.note"): why(found["absolute"], w),
    }


# Protected groups


def protected(report: Report) -> dict[str, dict[str, Facts]]:
    """Return the assessments of protected groups: attribute -> key of the comparison -> assessment."""
    made: dict[str, dict[str, Facts]] = {}
    for one in report.facts.get("fairness") or ():
        made.setdefault(one["attribute"], {})[f"{one['metric']}.{one['variant']}"] = one
    return made


def fairness(one: Facts, report: Report, w: Words) -> Figure:
    """Return how each protected group fares: the effect, coloured by whether it is safe from a harm that matters.

    A group too small to be shown has its name in the table, and nothing else.
    """
    how = unit(one["kind"], w)
    shown = [group for group in one["groups"] if group["safety"] != "suppressed"]
    finding = _fares(one, shown, w)
    names = {safety: w.label("safety", safety) for safety in _SAFETY}
    rows = [
        _row(value(group["of"], w), group, one, how, mark=names[group["safety"]], w=w)
        | {"safety": names[group["safety"]]}
        for group in shown
    ]
    drawn = pd.DataFrame([row for row in rows if row["lower"] is not None])
    chart = None
    if len(drawn):
        there = set(drawn["mark"])
        colours = {names[safety]: colour for safety, colour in _SAFETY.items() if names[safety] in there}
        tooltip = _tooltip(w) | {"safety": w.t("experiments.safety")}
        chart = effects.dots(drawn, title=how.axis, form=how.form, colours=colours, tooltip=tooltip)
    table = pd.DataFrame([_group(group, one, how, w) for group in one["groups"]])
    return Figure(finding=finding, chart=chart, alt=finding, table=table, note=_about(one, shown, report, how, w))


def _fares(one: Facts, shown: list[Facts], w: Words) -> str:
    told = {"name": named(one, w), "attribute": attribute(one["attribute"], w)}
    by_safety = {safety: [value(group["of"], w) for group in shown if group["safety"] == safety] for safety in _SAFETY}
    if not shown:
        return w.t("experiments.finding_groups_hidden", **told)
    for safety in ("harmed", "unknown"):
        if by_safety[safety]:
            groups = w.t("word.comma").join(by_safety[safety])
            return w.t(f"experiments.finding_groups_{safety}", groups=groups, **told)
    return w.t("experiments.finding_groups_safe", **told)


def _about(one: Facts, shown: list[Facts], report: Report, how: Unit, w: Words) -> str:
    """Say which group fares worst, how far groups lie apart, and how many are hidden."""
    said = []
    if one["worst"] is not None and len(shown) > 1:
        said.append(w.t("experiments.note_worst", group=value(one["worst"], w)))
    widest = one["widest"]
    if widest is not None:
        effect = reading(widest, "difference")
        p_value = widest["adjusted_p_value"]
        differs = p_value is not None and p_value < 1 - report.level
        said.append(
            w.t(
                "experiments.note_gap",
                group=value(widest["group"], w),
                other=value(widest["other"], w),
                gap=how.step(effect.value),
                span=how.span(effect),
                p=w.probability(p_value),
                verdict=w.t("experiments.differs" if differs else "experiments.alike"),
            )
        )
    hidden = len(one["groups"]) - len(shown)
    if hidden:
        smallest = ((report.plan.get("fairness") or {}).get("smallest")) or UNDEFINED
        said.append(w.t("experiments.note_hidden", n=w.number(hidden), smallest=smallest))
    return " ".join(said)


def _group(group: Facts, one: Facts, how: Unit, w: Words) -> dict[str, str]:
    if group["safety"] == "suppressed":
        cells = (*(UNDEFINED,) * 5, w.label("safety", "suppressed"))
    else:
        effect, bound = reading(group["absolute"], "difference"), group["bound"]
        worst = (
            f"{w.signed(bound * 100, 1)} %"
            if bound is not None and group["bound_is"] == "relative"
            else how.step(bound)
        )
        cells = (
            w.number(group["n"][one["control"]]),
            w.number(group["n"][one["variant"]]),
            how.step(effect.value),
            how.span(effect),
            worst,
            w.label("safety", group["safety"]),
        )
    columns = ("group", "n_control", "n_variant", "difference", "interval", "bound", "safety")
    return {
        w.t(f"experiments.{name}"): cell for name, cell in zip(columns, (value(group["of"], w), *cells), strict=True)
    }
