"""What needs somebody today, as key figures and sentences."""

from __future__ import annotations

from engine.ui.words import Words
from engine.workflows.view.today import Attention, Headline

ICONS = {
    "experiment_stop": ":material/block:",
    "experiment_warning": ":material/warning:",
    "journey_drop": ":material/route:",
    "risk_held": ":material/shield:",
    "quarantined": ":material/rule:",
    "skipped": ":material/skip_next:",
}


def tiles(counts: Headline, w: Words) -> list[tuple[str, str, str]]:
    """Return the key figures: label, value, and what exactly is counted."""
    values = {
        "customers": w.number(counts.customers),
        "active": w.number(counts.active),
        "with_offer": w.number(counts.with_offer),
        "held_by_risk": w.number(counts.held_by_risk),
        "experiments_flagged": w.number(counts.experiments_flagged),
    }
    return [(w.t(f"home.{name}"), value, w.t(f"home.{name}_help")) for name, value in values.items()]


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
    return w.t(f"home.attention_{item.kind}", count=w.number(item.count), **facts)


def button(item: Attention, w: Words) -> str:
    """Return the words on the button that leads to what needs somebody."""
    return w.t(f"home.open_{item.page}")
