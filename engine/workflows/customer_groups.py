"""What a run says of each customer, as columns of the workspace's events: cluster, value tier and risk tier."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

import ibis

from engine.lake.engine import Engine
from engine.lake.runs import open_run
from engine.workflows import session
from journeys.event_log import EventLog

GROUPS: Final = {
    "cluster": ("segments", "cluster_name"),
    "value_tier": ("segments", "value_tier"),
    "risk_tier": ("risk", "risk_tier"),
}
"""Names of groups, as funnels are broken down by, and the table and column of a run where they stand."""

_TABLE: Final = "_customer_groups"
_CUSTOMER: Final = "_grouped_customer"


def with_group(log: EventLog, engine: Engine, home: Path, name: str) -> tuple[EventLog, str]:
    """Return a log whose events know the group of their customer in the current run, and a sentence that says so.

    The group is as of the run and may have been worked out from what came after an event: it tells customers apart,
    but must not be taken for a cause of what they did.

    Raises
    ------
    RunMissing, MartMissing
        There is no run, or it has no such groups.
    """
    run = open_run(session.workspace_at(home))
    mart, column = GROUPS[name]
    run.require(mart)
    engine.attach(_TABLE, run.read(mart, ["customer_id", column]).rename_columns([_CUSTOMER, name]))
    groups = ibis.table({_CUSTOMER: "string", name: "string"}, name=_TABLE)
    table = log.table.left_join(groups, log.table[log.customer] == groups[_CUSTOMER]).drop(_CUSTOMER)
    told = f"The {name.replace('_', ' ')} of a customer is that of run {run.run_id}, as of {run.as_of:%Y-%m-%d}."
    return replace(log, table=table, prepared=None), told
