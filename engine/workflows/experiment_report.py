"""Write the report of an experiment as JSON, Markdown or one page of HTML."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Literal, get_args

import pyarrow as pa

from engine.config.experiments import Experiments, ExperimentSettings
from engine.domain.errors import CheckFailed, SettingsFault, UnknownName
from engine.domain.marts import EXPERIMENT_HEALTH, EXPERIMENT_RESULTS
from engine.domain.schema import Table
from engine.lake.runs import Run, open_run
from engine.lake.schema import arrow_schema, to_contract
from engine.lake.workspace import Workspace
from engine.store.facade import Store
from engine.workflows import session
from experiments import analysis, report, report_markdown, report_page
from experiments.collection import collect
from experiments.report_words import Language
from experiments.result import ExperimentResult

Format = Literal["json", "md", "html"]

FORMATS: Final[tuple[Format, ...]] = get_args(Format)


def of_run(home: Path, experiment_id: str, *, show_withheld: bool = False, run_id: str | None = None) -> dict[str, Any]:
    """Return the result of an experiment as of a run, as JSON writes it, with the plan and the run.

    Decisions, posteriors and intervals at this look are not kept in the run's tables. They are computed again from the
    same data, and only reported when checks and effects come out as the run has them.

    Raises
    ------
    RunMissing, MartMissing
    UnknownName
        The run, or the settings, have no experiment of that id.
    CheckFailed
        Data or plan have changed since the run.
    """
    workspace = session.workspace_at(home)
    run = open_run(workspace, run_id)
    known = list(dict.fromkeys(row["experiment_id"] for row in run.read("experiment_health").to_pylist()))
    planned = {one.experiment_id: one for one in session.settings(workspace, Experiments, "experiments").experiments}
    if experiment_id not in known or experiment_id not in planned:
        raise UnknownName("experiment", experiment_id, [name for name in known if name in planned])
    experiment = planned[experiment_id]
    withheld, shown = _judged(workspace, experiment, run)
    if not _as_in(run, experiment, withheld):
        raise CheckFailed(
            f'The numbers of "{experiment_id}" do not come out as run {run.run_id} has them: its data, its plan or the '
            "version of the programme changed since. Make a new run with `wayline run`, and report that."
        )
    kinds = {metric.metric: metric.kind for metric in experiment.metrics}
    facts = (shown if show_withheld else withheld).to_json()
    for one in facts["metrics"]:
        one["kind"] = kinds.get(one["metric"], "mean")  # what the plan does not name is a mean without its cap
    return facts | {
        "plan": experiment.model_dump(mode="json", exclude_none=True),
        "run_id": run.run_id,
        "as_of": run.as_of.isoformat(),
    }


def _judged(
    workspace: Workspace, experiment: ExperimentSettings, run: Run
) -> tuple[ExperimentResult, ExperimentResult]:
    """Return the result as a run keeps it, and with the numbers that a failed check withholds."""
    with Store(session.database_url(workspace)) as store:
        first = {one.experiment_id: one.spec for one in store.first_experiments()}.get(experiment.experiment_id)
    with session.duckdb(workspace) as engine:
        tables = workspace.attach(engine)
        collected = collect(
            engine,
            tables["exposures"],
            tables["events"],
            experiment,
            run.as_of,
            attributes=tables.get("customers"),
        )
    withheld, shown = (
        analysis.judge(experiment, collected, run.as_of, registered=first, withhold=withhold)
        for withhold in (True, False)
    )
    return withheld, shown


def _as_in(run: Run, experiment: ExperimentSettings, found: ExperimentResult) -> bool:
    """Whether the checks and the effects are those of the run, to the last digit."""
    name = experiment.experiment_id
    rows = analysis.rows(experiment, found, withheld=found.withheld)
    health = [{"experiment_id": name, **asdict(check)} for check in found.health]
    return all(
        [row for row in run.read(table.name).to_pylist() if row["experiment_id"] == name] == _contracted(table, made)
        for table, made in ((EXPERIMENT_RESULTS, rows), (EXPERIMENT_HEALTH, health))
    )


def _contracted(table: Table, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = to_contract(table, pa.Table.from_pylist(rows, arrow_schema(table))).to_pylist()
    return made


def format_of(path: Path) -> Format:
    """Return the format that a file's name asks for.

    Raises
    ------
    SettingsFault
        It ends in nothing that a report can be.
    """
    ending = path.suffix.lower().removeprefix(".")
    if ending not in FORMATS:
        raise SettingsFault(
            path.name, [f"a report is written as one of {', '.join(FORMATS)}; end the name in one of them"]
        )
    return ending


def text(facts: Mapping[str, Any], form: Format, language: Language = "en", *, show_withheld: bool = False) -> str:
    """Return the report of a result, as JSON writes it, in one of the formats.

    show_withheld : with False no number of an experiment that failed a check is in it, whatever the result holds.
    """
    made = report.make(facts, show_withheld=show_withheld)
    if form == "html":
        return report_page.render(made, language)
    if form == "md":
        return report_markdown.render(made, language)
    return json.dumps(made.facts, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def write(
    facts: Mapping[str, Any],
    path: Path,
    form: Format | None = None,
    language: Language = "en",
    *,
    show_withheld: bool = False,
) -> Path:
    """Write the report to a file, whole or not at all, and return where it lies.

    form : by default the one that the name of the file asks for.

    Raises
    ------
    SettingsFault
        The name of the file asks for no format, or its folder cannot be written to.
    """
    written = text(facts, form or format_of(path), language, show_withheld=show_withheld)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_text(written, encoding="utf-8", newline="\n")
        aside.replace(path)
    except OSError as fault:
        with suppress(OSError):
            aside.unlink()
        raise SettingsFault(
            path.name, [f"the report cannot be written there ({fault.strerror}); name another place"]
        ) from None
    return path
