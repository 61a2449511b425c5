"""Experiments: checks first, effects where the checks allow."""

from __future__ import annotations

from typing import Any

from engine.config.experiments import Experiments
from engine.domain.errors import NotEnoughData
from engine.domain.experiment_marts import EXPERIMENT_MARTS
from engine.store.facade import Store
from engine.workflows import experiment_sources, session
from engine.workflows.stages.context import Context, Stage
from experiments import portfolio, spec

MARTS = tuple(mart.name for mart in EXPERIMENT_MARTS)


def write(context: Context, facts: dict[str, Any]) -> None:
    """Write results, checks and decisions of every experiment; the manifest keeps the hash of each plan."""
    experiments = context.settings(Experiments, "experiments").experiments
    if not experiments:
        raise NotEnoughData("experiments", "none is defined", "an [[experiments.experiments]] block in wayline.toml")
    facts["specs"] = {one.experiment_id: spec.fingerprint(one) for one in experiments}
    with Store(session.database_url(context.workspace)) as store:
        first = {one.experiment_id: one.spec for one in store.first_experiments()}
    tables = portfolio.run(
        experiment_sources.sources(context.engine, context.tables, context.as_of, experiments, context.workspace),
        experiments,
        registered=first,
        ramps=experiment_sources.ramps(context.workspace, experiments),
    )
    for name, rows in tables.marts.items():
        context.builder.write_rows(name, rows)


STAGE = Stage(name="experiments", write=write, marts=MARTS, needs_tables=("exposures", "events"))
