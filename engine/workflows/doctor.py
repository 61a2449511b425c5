"""Say whether this machine and this workspace are fit to run, and what to do where they are not."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from engine.config.allocation import AllocationSettings
from engine.config.bank import BankSettings
from engine.config.catalogue import CatalogueSettings
from engine.config.experiments import Experiments
from engine.config.journeys import Journeys
from engine.config.load import Settings
from engine.config.recommendations import RecommendationSettings
from engine.config.risk import RiskSettings
from engine.config.runtime import RuntimeSettings
from engine.config.segments import SegmentSettings
from engine.domain.errors import WaylineError
from engine.lake.runs import latest_run
from engine.lake.workspace import Workspace
from engine.store.facade import Store
from engine.workflows import session

Status = Literal["ok", "warning", "fail"]

SECTIONS: Final[dict[str, type[Settings]]] = {
    "allocation": AllocationSettings,
    "bank": BankSettings,
    "catalogue": CatalogueSettings,
    "experiments": Experiments,
    "journeys": Journeys,
    "recommendations": RecommendationSettings,
    "risk": RiskSettings,
    "runtime": RuntimeSettings,
    "segments": SegmentSettings,
}
_LIBRARIES: Final = (
    "duckdb",
    "ibis-framework",
    "pyarrow",
    "scikit-learn",
    "implicit",
    "mlxtend",
    "sqlmodel",
    "streamlit",
)
_GIB: Final = 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at; `remedy` says what to do unless it is ok."""

    name: str
    status: Status
    detail: str
    remedy: str = ""


def diagnose(home: Path) -> list[Check]:
    """Return every check of the machine, the settings and the workspace."""
    workspace = session.workspace_at(home)
    checks: list[Callable[[], Check]] = [
        _python,
        _libraries,
        _memory,
        lambda: _disk(workspace),
        lambda: _settings(workspace),
        lambda: _time_zone(workspace),
        lambda: _data(workspace),
        lambda: _runs(workspace),
        lambda: _database(workspace),
        lambda: _extra("postgres", "psycopg", "an operational database in PostgreSQL"),
        lambda: _extra("spark", "pyspark", "runs on Spark"),
    ]
    return [check() for check in checks]


def _python() -> Check:
    # the installer refuses Python older than 3.11
    return Check(name="python", status="ok", detail=platform.python_version())


def _libraries() -> Check:
    found, missing = [], []
    for name in _LIBRARIES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        remedy = "Install what requirements.lock names."
        return Check(name="libraries", status="fail", detail=f"missing: {', '.join(missing)}", remedy=remedy)
    return Check(name="libraries", status="ok", detail=", ".join(found))


def _memory() -> Check:
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return Check(name="memory", status="warning", detail="unknown on this system", remedy="8 GiB carry 1 million.")
    size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIB
    if size < 4:
        remedy = "Lower [runtime] memory_limit in wayline.toml to half of the memory."
        return Check(name="memory", status="warning", detail=f"{size:.1f} GiB", remedy=remedy)
    return Check(name="memory", status="ok", detail=f"{size:.1f} GiB")


def _disk(workspace: Workspace) -> Check:
    place = next(folder for folder in (workspace.home, *workspace.home.parents) if folder.exists())
    if not os.access(place, os.W_OK):
        remedy = "Name a folder that you may write to with --home."
        return Check(name="disk", status="fail", detail=f"{place} cannot be written to", remedy=remedy)
    free = shutil.disk_usage(place).free / _GIB
    if free < 2:
        remedy = "Free some, or name another disk with --home; 1 million customers take about 10 GiB."
        return Check(name="disk", status="warning", detail=f"{free:.1f} GiB free", remedy=remedy)
    return Check(name="disk", status="ok", detail=f"{free:.1f} GiB free")


def _settings(workspace: Workspace) -> Check:
    faults = []
    for section, model in SECTIONS.items():
        try:
            session.settings(workspace, model, section)
        except WaylineError as fault:
            faults.append(fault.sentence)
    if faults:
        return Check(name="settings", status="fail", detail=" ".join(faults), remedy="Mend wayline.toml.")
    origin = "wayline.toml over the defaults" if workspace.settings_file.exists() else "the shipped defaults"
    return Check(name="settings", status="ok", detail=origin)


def _time_zone(workspace: Workspace) -> Check:
    try:
        name = session.settings(workspace, BankSettings, "bank").time_zone
        ZoneInfo(name)
    except (WaylineError, ZoneInfoNotFoundError, ValueError):
        remedy = "Name one such as Asia/Shanghai in [bank] time_zone."
        return Check(name="time zone", status="fail", detail="the bank's time zone is not known here", remedy=remedy)
    return Check(name="time zone", status="ok", detail=f"{name}; instants are kept in UTC")


def _data(workspace: Workspace) -> Check:
    present = workspace.curated_tables()
    if not present:
        remedy = "Run `wayline demo`, or `wayline init --from ...`."
        return Check(name="data", status="warning", detail="nothing is loaded", remedy=remedy)
    return Check(name="data", status="ok", detail=f"{len(present)} tables: {', '.join(present)}")


def _runs(workspace: Workspace) -> Check:
    try:
        run = latest_run(workspace)
    except WaylineError:
        return Check(name="runs", status="warning", detail="no completed run", remedy="Run `wayline run`.")
    skipped = [stage["stage"] for stage in run.manifest["stages"] if stage["status"] == "skipped"]
    detail = f"{run.run_id}" + (f"; skipped: {', '.join(skipped)}" if skipped else "")
    return Check(name="runs", status="ok", detail=detail)


def _database(workspace: Workspace) -> Check:
    if "WAYLINE_DATABASE_URL" not in os.environ and not workspace.home.exists():
        return Check(name="database", status="ok", detail="SQLite, made with the workspace")
    try:
        with Store(session.database_url(workspace)) as store:
            broken, address = store.verify_audit(), store.address
    except WaylineError as fault:
        remedy = "Check WAYLINE_DATABASE_URL, or unset it to use SQLite in the workspace."
        return Check(name="database", status="fail", detail=fault.sentence, remedy=remedy)
    if broken is not None:
        remedy = "Somebody changed the audit log. Restore the database from a backup and find out who."
        return Check(name="database", status="fail", detail=f"the audit chain breaks: {broken}", remedy=remedy)
    return Check(name="database", status="ok", detail=f"{address}; the audit chain is whole")


def _extra(name: str, module: str, purpose: str) -> Check:
    if find_spec(module) is None:
        return Check(name=name, status="ok", detail=f"not installed; needed only for {purpose}")
    return Check(name=name, status="ok", detail=f"{module} {version(module)}")
