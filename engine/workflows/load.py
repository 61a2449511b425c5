"""Bring a bank's data into a workspace: make one, check a mapping, load it, tell what was done."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from engine.config.bank import BankSettings
from engine.config.intake import IntakeSettings
from engine.domain.errors import RefusedByPolicy, SettingsFault, UnknownName
from engine.intake import dictionary as dictionaries
from engine.intake import error_file, importers
from engine.intake.load import Progress, check_sources, load_sources
from engine.intake.report import IntakeReport
from engine.workflows import reported, session

PUBLIC: Final = importers.NAMES
SIMULATED: Final = "simulated"


@dataclass(frozen=True, slots=True, kw_only=True)
class InitResult:
    """A workspace that is ready to run, and what intake did to fill it."""

    home: Path
    source: str
    report: IntakeReport


def init(
    home: Path,
    source: str,
    folder: Path | None = None,
    *,
    assume_consent: bool = False,
    progress: Progress | None = None,
) -> InitResult:
    """Make a workspace of a public data set, of a simulated bank, or of a bank's own files, and load it.

    Parameters
    ----------
    source : berka, bpi2012 or vanguard with the folder of its files; `simulated` with the folder that
        `wayline simulate` wrote; or the path of a mapping file.
    assume_consent : for a public data set without consents: offer as if everybody had agreed. Never for real people.

    Raises
    ------
    UnknownName, SettingsFault, ContractBroken, WorkspaceBusy
    RefusedByPolicy
        The workspace holds data already.
    """
    workspace = session.workspace_at(home)
    if workspace.curated_tables():
        raise RefusedByPolicy(
            f"The workspace {workspace.home.name} holds data already. Name a new one with --home, or replace its data "
            "with `wayline data load`."
        )
    if source in PUBLIC:
        report = _import(home, source, _needed(source, folder), assume_consent, progress)
    elif source == SIMULATED:
        report = load(home, _needed(source, folder) / "mapping.toml", progress=progress)
    elif source.endswith(".toml"):
        report = load(home, Path(source), progress=progress)
    else:
        raise UnknownName("source", source, [*PUBLIC, SIMULATED, "the path of a mapping file (.toml)"])
    return InitResult(home=workspace.home, source=source, report=report)


def _needed(source: str, folder: Path | None) -> Path:
    if folder is None:
        raise SettingsFault("init", [f"--from {source} needs the folder of its files, such as --from {source} DIR."])
    if not folder.is_dir():
        raise SettingsFault("init", [f"{folder}: there is no such folder. Check the path."])
    return folder


def _import(home: Path, source: str, folder: Path, assume_consent: bool, progress: Progress | None) -> IntakeReport:
    """Turn a public format into source files aside, load them, and keep its settings in the workspace."""
    workspace = session.workspace_at(home)
    workspace.home.mkdir(parents=True, exist_ok=True)
    bank = session.settings(workspace, BankSettings, "bank")
    with tempfile.TemporaryDirectory(dir=workspace.home, prefix="import-") as aside:
        mapping_file = importers.prepare(source, folder, Path(aside), bank, assume_consent=assume_consent)
        shutil.copyfile(Path(aside) / "wayline.toml", workspace.settings_file)
        return load(home, mapping_file, progress=progress)


def load(home: Path, mapping_file: Path, *, progress: Progress | None = None) -> IntakeReport:
    """Replace the workspace's tables by what the mapped files hold: all of it or nothing."""
    workspace = session.workspace_at(home)
    bank, rules = _rules(home)
    with session.duckdb(workspace) as engine:
        report = load_sources(
            mapping_file.expanduser().resolve(), workspace, bank=bank, rules=rules, engine=engine, progress=progress
        )
        # what campaign tools reported is the store's, and stays when the bank's own tables are replaced
        with workspace.lock("data load"):
            reported.bring_in(workspace, engine)
        return report


def check(
    mapping_file: Path, home: Path, *, progress: Progress | None = None, errors: Path | None = None
) -> IntakeReport:
    """Return what loading would do, and write nothing but `errors`: the rows to mend as CSV, their values masked."""
    bank, rules = _rules(home)
    with (
        tempfile.TemporaryDirectory(prefix="wayline-check-") as aside,
        session.engine_aside(home, Path(aside)) as engine,
    ):
        refused = Path(aside) / "refused"
        told = check_sources(
            mapping_file.expanduser().resolve(),
            bank=bank,
            rules=rules,
            engine=engine,
            progress=progress,
            refused=refused,
        )
        if errors is not None:
            error_file.write(refused, errors)
        return told


def errors(home: Path, target: Path) -> int:
    """Write the rows that the last load refused as CSV, their values masked, and return how many there are.

    Raises
    ------
    WorkspaceMissing
        Nothing was loaded.
    """
    workspace = session.workspace_at(home)
    workspace.report()
    return error_file.write(workspace.home / "curated" / "_quarantine", target)


def _rules(home: Path) -> tuple[BankSettings, IntakeSettings]:
    workspace = session.workspace_at(home)
    return (
        session.settings(workspace, BankSettings, "bank"),
        session.settings(workspace, IntakeSettings, "intake"),
    )


def report(home: Path) -> dict[str, Any]:
    """Return the report of the last load; raises WorkspaceMissing where nothing was loaded."""
    return session.workspace_at(home).report()


def dictionary(language: Literal["en", "zh"]) -> str:
    """Return the data dictionary, made from the contracts, as Markdown."""
    return dictionaries.render(language)
