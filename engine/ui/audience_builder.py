"""The controls that a rule of an audience is built with: groups of conditions joined by all or any, each may be turned.

What they hold lies in the session under keys that begin with `b_`, so that it outlives a look at another part of the
page; the rule is made from it anew on every run of the page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import streamlit as st

from engine.ui import state
from engine.ui.words import Words
from engine.workflows.view.audiences import Choices

Rule = dict[str, Any]
KEPT: Final = "b_"
GROUPS: Final = "b_groups"
_NEXT: Final = "b_next"
KINDS: Final = (
    "feature", "segment", "segmentation", "risk_tier", "event", "sequence", "journey", "recommendation", "experiment",
    "audience", "lookalike",
)  # fmt: skip
_LIMITS: Final = ("at_least", "at_most", "above", "below", "known", "unknown")
_TIERS: Final = ("low", "medium", "high", "unknown")
_STAGES: Final = ("awareness", "consideration", "decision", "retention")
_STATUSES: Final = ("in_progress", "converted", "dropped")


def rule(words: Words, choices: Choices) -> Rule | None:
    """Draw the groups with their conditions and return the rule; None while nothing is asked for."""
    groups: list[list[int]] = state.held(GROUPS, [[0]])
    state.held(_NEXT, 1)
    join = "all"
    if len(groups) > 1:
        join = _switch(words, "builder.groups_joined", ("all", "any"), f"{KEPT}join")
    made = [one for place, group in enumerate(groups) if (one := _group(words, choices, place, group)) is not None]
    st.button(words.t("builder.add_group"), icon=":material/library_add:", key="bx_group", on_click=_add_group)
    if not made:
        return None
    return made[0] if len(made) == 1 else {join: made}


def _group(words: Words, choices: Choices, place: int, group: list[int]) -> Rule | None:
    first = group[0]
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            join = _switch(words, "builder.conditions_joined", ("all", "any"), f"{KEPT}g{first}_join")
            turned = st.toggle(words.t("builder.not_group"), key=f"{KEPT}g{first}_turned")
        made = []
        for one in group:
            with st.container(border=True):
                condition = _condition(words, choices, one)
            if condition is not None:
                made.append(condition)
        with st.container(horizontal=True):
            add = words.t("builder.add_condition")
            st.button(add, icon=":material/add:", key=f"bx_add_{first}", on_click=_add, args=(place,))
            if len(state.held(GROUPS, [[0]])) > 1:
                remove = words.t("builder.remove_group")
                st.button(remove, icon=":material/delete:", key=f"bx_del_{first}", on_click=_drop_group, args=(place,))
    if not made:
        return None
    whole = made[0] if len(made) == 1 else {join: made}
    return {"not": whole} if turned else whole


def _condition(words: Words, choices: Choices, number: int) -> Rule | None:
    key = f"{KEPT}{number}"
    top = st.columns([3, 2, 1], vertical_alignment="bottom")
    with top[0]:
        kinds = tuple(one for one in KINDS if choices.by_risk or one != "risk_tier")
        kind = _pick(words, "builder.kind", kinds, f"{key}_kind", lambda one: words.t(f"builder_kind.{one}"))
    with top[1]:
        turned = st.toggle(words.t("builder.not"), key=f"{key}_turned")
    with top[2]:
        alone = [number] in state.held(GROUPS, [[0]]) and len(state.held(GROUPS, [[0]])) == 1
        remove = words.t("builder.remove")
        st.button(remove, key=f"bx_{number}", on_click=_drop, args=(number,), disabled=alone, type="tertiary")
    draw = {"feature": _feature, "segment": _segment, "segmentation": _segmentation,
            "risk_tier": _risk, "event": _event, "sequence": _sequence,
            "journey": _journey, "recommendation": _recommendation, "experiment": _experiment,
            "audience": _audience, "lookalike": _lookalike}  # fmt: skip
    made = draw[kind](words, choices, key)
    if made is None:
        return None
    return {"not": made} if turned else made


def _feature(words: Words, choices: Choices, key: str) -> Rule | None:
    name = _pick(words, "builder.feature", tuple(choices.features), f"{key}_f", lambda one: words.name("feature", one))
    compared = _compared(words, choices, (name, choices.features[name]), f"{key}_{name}")
    return None if compared is None else {"feature": name, **compared}


def _segment(words: Words, choices: Choices, key: str) -> Rule | None:
    told = lambda one: words.t(f"builder_segment.{one}")  # noqa: E731
    name = _pick(words, "builder.segment", tuple(choices.segments), f"{key}_s", told)
    compared = _compared(words, choices, (name, choices.segments[name]), f"{key}_{name}")
    return None if compared is None else {"segment": name, **compared}


def _compared(words: Words, choices: Choices, column: tuple[str, str], key: str) -> Rule | None:
    name, kind = column
    if kind == "boolean":
        yes = _switch(words, "builder.is", ("yes", "no"), f"{key}_b")
        return {"is": yes == "yes"}
    if kind == "text":
        kinds = {"cluster_name": "cluster"}.get(name, name)
        chosen = _many(words, "builder.one_of", choices.values.get(name, ()), f"{key}_v",
                       lambda one: words.label(kinds, one))  # fmt: skip
        return {"one_of": chosen} if chosen else None
    left, right = st.columns(2)
    with left:
        how = _pick(words, "builder.how", _LIMITS, f"{key}_how", lambda one: words.t(f"builder_how.{one}"))
    if how in ("known", "unknown"):
        return {"known": how == "known"}
    money = name.endswith("_minor")
    with right:
        label = words.t("builder.amount", currency=words.currency) if money else words.t("builder.value")
        empty = words.t("builder.number")
        value = st.number_input(label, value=None, step=1.0, key=f"{key}_n", format="%g", placeholder=empty)
    if value is None:
        return None
    return {how: value / words.major(1) if money else value}


def _segmentation(words: Words, choices: Choices, key: str) -> Rule | None:
    known = tuple(choices.groups)
    if not known:
        return _none(words)
    name = _pick(words, "builder.segmentation", known, f"{key}_sg", lambda one: words.name("segmentation", one))
    named = choices.groups[name]
    groups = _many(words, "builder.one_of", tuple(named), f"{key}_{name}", lambda one: words.pick(*named[one]))
    return {"segmentation": name, "group": groups} if groups else None


def _risk(words: Words, _: Choices, key: str) -> Rule | None:
    chosen = _many(words, "builder.one_of", _TIERS, f"{key}_r", lambda one: words.label("risk_tier", one))
    return {"risk_tier": chosen} if chosen else None


def _event(words: Words, choices: Choices, key: str) -> Rule | None:
    chosen = _events(words, "builder.event", choices, f"{key}_e")
    left, middle, right = st.columns(3)
    with left:
        times = ("at_least", "never")
        how = _pick(words, "builder.how_often", times, f"{key}_t", lambda one: words.t(f"builder_times.{one}"))
    with middle:
        least = 1
        if how == "at_least":
            least = int(st.number_input(words.t("builder.times"), min_value=1, value=1, step=1, key=f"{key}_n"))
    with right:
        days = _days(words, "builder.in_last_days", f"{key}_d")
    if not chosen:
        return None
    often = {"times_at_least": 0, "times_at_most": 0} if how == "never" else {"times_at_least": least}
    return {"event": chosen, **often, **({"in_last_days": days} if days else {})}


def _sequence(words: Words, choices: Choices, key: str) -> Rule | None:
    steps = int(st.number_input(words.t("builder.steps"), min_value=2, max_value=5, value=2, step=1, key=f"{key}_c"))
    chosen = []
    for place, column in enumerate(st.columns(steps)):
        with column:
            name = words.t("builder.step", number=place + 1)
            found = _events(words, name, choices, f"{key}_q{place}", is_text=True)
        if found:
            chosen.append({"event": found})
    left, middle, right = st.columns(3)
    with left:
        days = _days(words, "builder.within_days", f"{key}_d")
    with middle:
        without = _events(words, "builder.without", choices, f"{key}_w")
    with right:
        after = _events(words, "builder.not_followed_by", choices, f"{key}_a")
    if len(chosen) < steps:
        return None
    made: Rule = {"sequence": chosen}
    made |= {"within_days": days} if days else {}
    made |= {"without": {"event": without}} if without else {}
    return made | ({"not_followed_by": {"event": after}} if after else {})


def _journey(words: Words, choices: Choices, key: str) -> Rule | None:
    known = choices.names.get("journey", ())
    if not known:
        return _none(words)
    journey = _pick(words, "builder.journey", known, f"{key}_j", lambda one: words.name("journey", one))
    left, right = st.columns(2)
    with left:
        stages = _many(words, "builder.stage", _STAGES, f"{key}_g", lambda one: words.label("stage", one))
    with right:
        status = _many(words, "builder.status", _STATUSES, f"{key}_u", lambda one: words.label("status", one))
    return {"journey": journey, **({"stage": stages} if stages else {}), **({"status": status} if status else {})}


def _recommendation(words: Words, choices: Choices, key: str) -> Rule | None:
    known = choices.names.get("product", ())
    if not known:
        return _none(words)
    product = _pick(words, "builder.product", known, f"{key}_p", lambda one: words.name("product", one))
    how = _switch(words, "builder.is", ("offered", "first", "refused"), f"{key}_o")
    more: Rule = {"refused": True} if how == "refused" else {"rank_at_most": 1} if how == "first" else {}
    return {"recommendation": product, **more}


def _experiment(words: Words, choices: Choices, key: str) -> Rule | None:
    known = choices.names.get("experiment", ())
    if not known:
        return _none(words)
    name = _pick(words, "builder.experiment", known, f"{key}_x", lambda one: words.name("experiment", one))
    arms = _many(
        words, "builder.arm", choices.arms.get(name, ()), f"{key}_{name}", lambda one: words.label("variant", one)
    )
    return {"experiment": name, **({"arm": arms} if arms else {})}


def _audience(words: Words, choices: Choices, key: str) -> Rule | None:
    known = choices.names.get("audience", ())
    return {"audience": _pick(words, "builder.audience", known, f"{key}_m", str)} if known else _none(words)


def _lookalike(words: Words, choices: Choices, key: str) -> Rule | None:
    known = choices.names.get("audience", ())
    if not known:
        return _none(words)
    seeds = _pick(words, "builder.seeds", known, f"{key}_k", str)
    empty = words.t("builder.number")
    size = st.number_input(words.t("builder.size"), min_value=1, value=None, step=1, key=f"{key}_z", placeholder=empty)
    return None if size is None else {"lookalike": seeds, "size": int(size)}


def _none(words: Words) -> Rule | None:
    st.caption(words.t("builder.nothing_known"))
    return None


def _events(words: Words, label: str, choices: Choices, key: str, *, is_text: bool = False) -> list[str]:
    known = choices.names.get("event", ())
    return _many(words, label, known, key, lambda one: words.label("event", one), is_text=is_text)


def _days(words: Words, label: str, key: str) -> int | None:
    empty = words.t("builder.ever")
    days = st.number_input(words.t(label), min_value=1, value=None, step=1, key=key, placeholder=empty)
    return None if days is None else int(days)


def _pick(words: Words, label: str, options: Sequence[str], key: str, told: Callable[[str], str]) -> str:
    if state.held(key, options[0]) not in options:
        state.hold(key, options[0])
    return str(st.selectbox(words.t(label), options, format_func=told, key=key))


def _switch(words: Words, label: str, options: Sequence[str], key: str) -> str:
    state.held(key, options[0])
    told = {one: words.t(f"builder_switch.{one}") for one in options}
    return str(st.segmented_control(words.t(label), options, format_func=lambda one: told[one], required=True, key=key))


def _many(
    words: Words, label: str, options: Sequence[str], key: str, told: Callable[[str], str], *, is_text: bool = False
) -> list[str]:
    name = label if is_text else words.t(label)
    return [
        str(one)
        for one in st.multiselect(name, options, format_func=told, key=key, placeholder=words.t("control.choose"))
    ]


def _add(place: int) -> None:
    groups = state.held(GROUPS, [[0]])
    groups[place].append(_number())


def _add_group() -> None:
    state.held(GROUPS, [[0]]).append([_number()])


def _drop(number: int) -> None:
    groups = [[one for one in group if one != number] for group in state.held(GROUPS, [[0]])]
    state.hold(GROUPS, [group for group in groups if group] or [[_number()]])


def _drop_group(place: int) -> None:
    groups = state.held(GROUPS, [[0]])
    state.hold(GROUPS, [*groups[:place], *groups[place + 1 :]] or [[_number()]])


def _number() -> int:
    number = int(state.held(_NEXT, 1))
    state.hold(_NEXT, number + 1)
    return number
