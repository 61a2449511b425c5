"""What needs somebody today, as key figures and sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from engine.ui.words import Words, plain
from engine.workflows.view.today import Attention, Headline

ICONS = {
    "experiment_stop": ":material/block:",
    "experiment_warning": ":material/warning:",
    "journey_drop": ":material/route:",
    "risk_held": ":material/shield:",
    "quarantined": ":material/rule:",
    "skipped": ":material/skip_next:",
    "cases_mine": ":material/person_alert:",
    "cases_late": ":material/notifications_active:",
    "policy_waiting": ":material/how_to_reg:",
    "export_waiting": ":material/outbox:",
    "review_waiting": ":material/rate_review:",
}
OWNERS: Final = {
    "experiment_stop": "product",
    "experiment_warning": "product",
    "journey_drop": "product",
    "risk_held": "risk",
    "quarantined": "admin",
    "skipped": "admin",
    "cases_late": "risk",
}
"""Whose work something is by its kind; what waits for a second person is the viewer's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A key figure: label, value, what exactly is counted, its change since the run before, and its course."""

    label: str
    value: str
    explained: str
    change: str | None
    course: tuple[int, ...]


def tiles(counts: Headline, w: Words, before: Sequence[Headline] = ()) -> list[Tile]:
    """Return the key figures; `before` are those of earlier runs, the oldest first."""
    values = {
        "customers": w.number(counts.customers),
        "active": w.number(counts.active),
        "with_offer": w.number(counts.with_offer),
        "held_by_risk": w.number(counts.held_by_risk),
        "experiments_flagged": w.number(counts.experiments_flagged),
    }
    return [
        Tile(
            label=w.t(f"home.{name}"),
            value=value,
            explained=w.t(f"home.{name}_help"),
            change=_change(name, counts, before, w),
            course=_course(name, counts, before),
        )
        for name, value in values.items()
    ]


def _change(name: str, counts: Headline, before: Sequence[Headline], w: Words) -> str | None:
    now, then = getattr(counts, name), getattr(before[-1], name) if before else None
    return None if now is None or then is None else w.signed(now - then)


def _course(name: str, counts: Headline, before: Sequence[Headline]) -> tuple[int, ...]:
    """Return the values over the runs, the oldest first; nothing where there are not two."""
    known = [value for one in (*before, counts) if (value := getattr(one, name)) is not None]
    return tuple(known) if len(known) > 1 else ()


def size(item: Attention, w: Words) -> str:
    """Say what is at stake, and whose work it is."""
    owner = OWNERS.get(item.kind)
    whose = w.t("home.yours") if owner is None else w.t("home.whose", role=w.label("viewer_role", owner))
    if item.money_minor is None:
        return whose
    return w.t("home.at_stake", money=w.money(item.money_minor), whose=whose)


def sentence(item: Attention, w: Words) -> str:
    """Say what needs somebody."""
    facts = dict(item.facts)
    if "journey" in facts:
        facts["journey"] = w.name("journey", facts["journey"])
        facts["step"] = w.label("step", facts["step"])
        facts["share"] = w.share(facts["share"])
    if "experiment" in facts:
        facts["experiment"] = w.name("experiment", facts["experiment"])
    if "stage" in facts:
        facts["stage"] = w.label("run_stage", facts["stage"])
    for name in ("author", "note", "name", "name_zh"):
        if name in facts:
            facts[name] = plain(str(facts[name]))
    if "name_zh" in facts:
        facts["name"] = w.pick(facts["name"], facts["name_zh"])
    return w.t(f"home.attention_{item.kind}", count=w.number(item.count), **facts)


def button(item: Attention, w: Words) -> str:
    """Return the words on the button that leads to what needs somebody."""
    return w.t(f"home.open_{item.page}")
