"""Run the engine on a workspace as of a date: features, segments, risk, journeys, offers, audiences, experiments."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from engine.config.bank import BankSettings
from engine.config.experiments import Experiments
from engine.config.load import read_toml
from engine.config.risk import RiskSettings
from engine.domain.errors import NotEnoughData, WaylineError
from engine.lake.engine import DuckDBEngine
from engine.lake.runs import Run, RunBuilder, folder_digest, open_run, peak_memory_mb, run_id_of
from engine.lake.workspace import Workspace
from engine.store.facade import Store
from engine.workflows import (
    held_audiences,
    held_catalogue,
    publishing,
    reported,
    risk_overrides,
    risk_registry,
    session,
    suppressed,
)
from engine.workflows.held_audiences import Planned
from engine.workflows.stages import (
    audiences,
    experiments,
    features,
    journeys,
    personas,
    recommendations,
    risk,
    segmentations,
    segments,
    texts,
)
from engine.workflows.stages.context import Context, Stage

STAGES: Final[tuple[Stage, ...]] = (
    features.STAGE,
    segments.STAGE,
    risk.STAGE,
    journeys.STAGE,
    texts.STAGE,
    segmentations.STAGE,
    recommendations.STAGE,
    personas.STAGE,
    audiences.STAGE,
    experiments.STAGE,
)

Progress = Callable[[str, int, int], None]
"""Called with the name of the stage that begins, how many are done, and how many there are."""

_LIBRARIES: Final = (
    "duckdb",
    "ibis-framework",
    "implicit",
    "mlxtend",
    "numpy",
    "pandas",
    "pyarrow",
    "scikit-learn",
    "scipy",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """A completed run in a few facts; `reused` when the same run had been completed before."""

    run_id: str
    as_of: datetime
    home: Path
    results: Path
    stages: tuple[dict[str, Any], ...]
    seconds: float
    peak_memory_mb: int
    reused: bool

    @property
    def skipped(self) -> tuple[str, ...]:
        """The stages that could not be run."""
        return tuple(stage["stage"] for stage in self.stages if stage["status"] == "skipped")


def run(
    home: Path,
    as_of: datetime | None = None,
    seed: int | None = None,
    again: bool = False,
    progress: Progress | None = None,
) -> RunSummary:
    """Make a run, or return the one that was made of the same inputs, settings, date, seed and versions.

    Parameters
    ----------
    as_of : aware instant; by default the end of the extract that was loaded. Nothing later counts.
    seed : by default the bank's own, of the settings.
    again : make the run anew even when it is there.

    Raises
    ------
    WorkspaceMissing, WorkspaceBusy, SettingsFault
    NotEnoughData
        Nothing says which date to look from.
    ModelSpoilt, RefusedByPolicy
        The approved risk model was changed, or looks ahead of the date.
    """
    workspace = session.workspace_at(home)
    report = workspace.report()
    with workspace.lock("run"), session.duckdb(workspace) as engine:
        bank = session.settings(workspace, BankSettings, "bank")
        ends = _end(report)
        moment = as_of or session.end_of_extract(report)
        told = reported.bring_in(workspace, engine)
        not_to_contact = suppressed.table(workspace)
        chosen_seed = bank.seed if seed is None else seed
        persons = risk_overrides.in_force(workspace, moment)
        approved = risk_registry.in_force(workspace, moment, session.settings(workspace, RiskSettings, "risk"))
        held = held_catalogue.in_force_version(workspace, moment)
        facts = _facts(workspace, moment, chosen_seed) | risk_overrides.facts(persons) | risk_registry.facts(approved)
        plans = held_audiences.plan(workspace, moment)
        facts |= (held.facts if held else {}) | held_audiences.facts(plans)
        facts |= reported.facts(workspace, told) | suppressed.facts(not_to_contact)
        before = segments.earlier(workspace, moment)
        facts |= {"segments_of": before.run_id} if before else {}
        run_id = run_id_of(moment, facts)
        if not again and (done := _completed(workspace, run_id)):
            _published(workspace, engine, done, plans)
            return _summary(workspace, done, reused=True)
        context = Context(
            workspace=workspace,
            engine=engine,
            tables=workspace.attach(engine),
            builder=RunBuilder(workspace, run_id, moment, facts),
            bank=bank,
            as_of=moment,
            seed=chosen_seed,
            overrides=persons,
            approved=approved,
            catalogue=held,
            audiences=plans,
            suppressed=not_to_contact,
            current=ends is None or moment >= ends,
        )
        made = _registered(context, progress)
        _published(workspace, engine, made, plans)
        return _summary(workspace, made, reused=False)


def _end(report: dict[str, Any]) -> datetime | None:
    try:
        return session.end_of_extract(report)
    except NotEnoughData:
        return None


def _published(workspace: Workspace, engine: DuckDBEngine, run: Run, plans: tuple[Planned, ...]) -> None:
    """Keep who belongs to the audiences of a completed run, and tell in the journal that it is there."""
    held_audiences.keep(workspace, engine, run, plans)
    with Store(session.database_url(workspace)) as store:
        publishing.announce(store, run)


def _registered(context: Context, progress: Progress | None) -> Run:
    """Make the run and keep its beginning and its end in the operational database and the audit log."""
    run_id = context.builder.run_id
    with Store(session.database_url(context.workspace)) as store:
        store.start_run(run_id, context.as_of, context.seed, {"inputs": context.builder.facts["inputs"]})
        try:
            made = _made(context, progress)
        except BaseException as fault:
            context.builder.abandon()
            # the sentence of a foreseen fault holds no personal data; of any other, only its kind is kept
            store.fail_run(run_id, fault.sentence if isinstance(fault, WaylineError) else type(fault).__name__)
            raise
        store.register_experiments(_designs(context))
        store.finish_run(run_id, {"marts": {mart: one["rows"] for mart, one in made.manifest["marts"].items()}})
    return made


def _designs(context: Context) -> dict[str, dict[str, Any]]:
    """The experiments as they were designed when the run read them: a design changed later is a version of its own."""
    designs = context.settings(Experiments, "experiments").experiments
    return {one.experiment_id: one.model_dump(mode="json") for one in designs}


def _made(context: Context, progress: Progress | None) -> Run:
    for done, stage in enumerate(STAGES):
        if progress:
            progress(stage.name, done, len(STAGES))
        stage.run(context)
    return context.builder.publish()


def _completed(workspace: Workspace, run_id: str) -> Run | None:
    try:
        return open_run(workspace, run_id)
    except WaylineError:
        return None


def _facts(workspace: Workspace, moment: datetime, seed: int) -> dict[str, Any]:
    """Everything that the tables of a run follow from."""
    return {
        "as_of": moment.isoformat(),
        "seed": seed,
        "inputs": {name: folder_digest(workspace.curated(name)) for name in workspace.curated_tables()},
        "settings": read_toml(workspace.settings_file) if workspace.settings_file.exists() else {},
        "source": source_digest(),
        "versions": {"wayline": version("wayline"), "python": platform.python_version()}
        | {name: version(name) for name in _LIBRARIES},
    }


def source_digest() -> str:
    """The sha256 of the code and of the shipped defaults: who changes either in a checkout gets a run of its own."""
    digest = hashlib.sha256()
    for package in ("engine", "experiments", "journeys"):
        root = Path(str(files(package)))
        for path in sorted([*root.rglob("*.py"), *root.rglob("*.toml")]):
            digest.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return digest.hexdigest()


def _summary(workspace: Workspace, made: Run, *, reused: bool) -> RunSummary:
    manifest = made.manifest
    began, ended = (datetime.fromisoformat(manifest[name]) for name in ("started_at", "finished_at"))
    return RunSummary(
        run_id=made.run_id,
        as_of=made.as_of,
        home=workspace.home,
        results=made.folder,
        stages=tuple(manifest["stages"]),
        seconds=round((ended - began).total_seconds(), 3),
        peak_memory_mb=manifest["peak_memory_mb"] if reused else peak_memory_mb(),
        reused=reused,
    )
