"""Journeys: how far each customer got, where customers drop off, by segment and risk, and which rules were broken."""

from __future__ import annotations

from typing import Any

import ibis

from engine.config.journeys import Journeys
from engine.domain.errors import NotEnoughData
from engine.workflows.stages import drop_offs
from engine.workflows.stages.context import Context, Stage
from journeys import conformance, funnel
from journeys.event_log import EventLog

MARTS = ("journey_stages", "journey_funnels", "journey_findings", *drop_offs.MARTS)
_BREAKDOWNS = {"segments": {"cluster": "cluster_name", "value_tier": "value_tier"}, "risk": {"risk_tier": "risk_tier"}}


def write(context: Context, facts: dict[str, Any]) -> None:
    """Write every customer's place in every journey, the funnels of all groups, rules broken and drop-offs."""
    journeys = context.settings(Journeys, "journeys").journeys
    if not journeys:
        raise NotEnoughData("journeys", "none is defined", "a [[journeys.journeys]] block in wayline.toml")
    log = EventLog(table=context.tables["events"])
    tables = funnel.run(context.engine, log, journeys, context.as_of, _groups(context))
    context.builder.write_rows("journey_stages", tables.stages)
    context.builder.write_rows("journey_funnels", tables.funnels)
    asked = conformance.intended(journeys)
    findings = conformance.findings(conformance.check(context.engine, log, asked, context.as_of), asked)
    context.builder.write_rows("journey_findings", findings)
    facts["findings"] = len(findings)
    drop_offs.write(context, journeys)


def _groups(context: Context) -> Any:
    """The groups of each customer, from what earlier stages of this run wrote; None when they wrote nothing."""
    groups = None
    for mart, columns in _BREAKDOWNS.items():
        if context.wrote(mart):
            part = context.attached(mart).select("customer_id", **columns)
            groups = part if groups is None else _joined(groups, part)
    return groups


def _joined(left: Any, right: Any) -> Any:
    joined = left.outer_join(right, "customer_id")
    known = ibis.coalesce(joined.customer_id, joined.customer_id_right)
    return joined.mutate(customer_id=known).drop("customer_id_right")


STAGE = Stage(name="journeys", write=write, marts=MARTS, needs_tables=("events",))
