"""Experiments: checks first, effects where the checks allow."""

from __future__ import annotations

from typing import Any

from engine.config.experiments import Experiments
from engine.domain.errors import NotEnoughData
from engine.store.facade import Store
from engine.workflows import session
from engine.workflows.stages.context import Context, Stage
from experiments import analysis, spec

MARTS = ("experiment_results", "experiment_health")


def write(context: Context, facts: dict[str, Any]) -> None:
    """Write the results and checks of every experiment; the manifest keeps the hash of each spec."""
    experiments = context.settings(Experiments, "experiments").experiments
    if not experiments:
        raise NotEnoughData("experiments", "none is defined", "an [[experiments.experiments]] block in wayline.toml")
    facts["specs"] = {one.experiment_id: spec.fingerprint(one) for one in experiments}
    with Store(session.database_url(context.workspace)) as store:
        first = {one.experiment_id: one.spec for one in store.first_experiments()}
    tables = analysis.run(
        context.engine,
        context.tables["exposures"],
        context.tables["events"],
        experiments,
        context.as_of,
        attributes=context.tables.get("customers"),
        registered=first,
    )
    context.builder.write_rows("experiment_results", tables.results)
    context.builder.write_rows("experiment_health", tables.health)


STAGE = Stage(name="experiments", write=write, marts=MARTS, needs_tables=("exposures", "events"))
