"""Write the report of an experiment as JSON, Markdown or one page of HTML."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Literal, get_args

from engine.config.experiments import Experiments
from engine.domain.errors import CheckFailed, SettingsFault, UnknownName
from engine.lake.runs import Run, open_run
from engine.lake.workspace import Workspace
from engine.store.facade import Store
from engine.workflows import experiment_decided, experiment_sources, session
from experiments import portfolio, report, report_markdown, report_page
from experiments.report_words import Language

Format = Literal["json", "md", "html"]

FORMATS: Final[tuple[Format, ...]] = get_args(Format)


def of_run(home: Path, experiment_id: str, *, show_withheld: bool = False, run_id: str | None = None) -> dict[str, Any]:
    """Return the whole result of an experiment as a run keeps it, with what a person decided on it since.

    show_withheld : with True the numbers that a failed check withholds are computed again from the same data; a run
        does not keep them.

    Raises
    ------
    RunMissing, MartMissing
    UnknownName
        The run has no experiment of that id.
    CheckFailed
        Withheld numbers are asked for, and data or plan have changed since the run.
    """
    workspace = session.workspace_at(home)
    run = open_run(workspace, run_id)
    kept = {row["experiment_id"]: row["result"] for row in run.read("experiment_decisions").to_pylist()}
    if experiment_id not in kept:
        raise UnknownName("experiment", experiment_id, list(kept))
    facts: dict[str, Any] = json.loads(kept[experiment_id])
    if show_withheld and any(check["status"] == "stop" for check in facts["health"]):
        facts = _anyway(workspace, run, facts)
    with Store(session.database_url(workspace)) as store:
        stands = experiment_decided.in_run(store.experiment_decisions(experiment_id), run.run_id)
    return experiment_decided.told(facts, stands) | {"run_id": run.run_id}


def _anyway(workspace: Workspace, run: Run, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the result with the numbers that a failed check withholds, where its checks come out as in the run."""
    name = str(facts["experiment"])
    planned = session.settings(workspace, Experiments, "experiments").experiments
    with Store(session.database_url(workspace)) as store:
        first = {one.experiment_id: one.spec for one in store.first_experiments()}
    with session.duckdb(workspace) as engine:
        found = portfolio.answers(
            experiment_sources.sources(engine, workspace.attach(engine), run.as_of, planned, workspace),
            [one for one in planned if one.experiment_id == name],
            registered=first,
            ramps=experiment_sources.ramps(workspace, planned),
            withhold=False,
        )
    shown = next((dict(one.facts) for one in found), None)
    if shown is None or (shown["spec_hash"], shown["health"]) != (facts["spec_hash"], facts["health"]):
        raise CheckFailed(
            f'The numbers of "{name}" do not come out as run {run.run_id} has them: its data, its plan or the version '
            "of the programme changed since. Make a new run with `wayline run`, and report that."
        )
    return shown


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
