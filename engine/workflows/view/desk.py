"""What every page begins with: the workspace, its current run, and what the bank calls its own things."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from engine.config.bank import BankSettings
from engine.config.load import load, read_defaults, read_toml
from engine.features.table import FEATURES
from engine.lake.runs import Run, latest_run
from engine.lake.workspace import Workspace
from engine.risk.characteristics import BY_NAME, MISSING_SUFFIX, reason_text
from engine.workflows.view import reading

Names = Mapping[str, Mapping[str, tuple[str, str]]]


def newest(home: Path) -> tuple[Workspace, Run]:
    """Return the workspace at a path and its current run; raises RunMissing when there is none."""
    workspace = Workspace(home.expanduser().resolve())
    return workspace, latest_run(workspace)


def base_currency(workspace: Workspace) -> str:
    """Return the currency in which all amounts of a run are kept."""
    return load(BankSettings, "bank", workspace.settings_file).base_currency


def names(workspace: Workspace) -> Names:
    """Return what things are called: kind -> id -> English and Chinese.

    Products, journeys and experiments have the bank's names, features and characteristics the engine's.
    """
    products = {}
    catalogue = workspace.curated("products")
    if catalogue.is_dir():
        rows = reading.sql({"products": catalogue}, "SELECT product_id, name_en, name_zh FROM products")
        products = {row["product_id"]: (row["name_en"], row["name_zh"]) for row in reading.records(rows)}
    return {
        "product": products,
        "journey": _named(workspace, "journeys", "journey"),
        "experiment": _named(workspace, "experiments", "experiment_id"),
        "feature": {
            **{name: (_short(one.meaning), _short(one.meaning_zh)) for name, one in FEATURES.items()},
            **_words_of_clusters(workspace),
        },
        "characteristic": {code: reason_text(code) for name in BY_NAME for code in (name, name + MISSING_SUFFIX)},
    }


def reloaded_at(workspace: Workspace, run: Run) -> datetime | None:
    """Return when data were loaded after the run was made, which the run therefore does not know; else None."""
    if not workspace.report_path.is_file():
        return None
    loaded = datetime.fromtimestamp(workspace.report_path.stat().st_mtime).astimezone()
    return loaded if loaded > datetime.fromisoformat(run.manifest["finished_at"]) else None


def _short(meaning: str) -> str:
    """Cut what is said about empty values off a meaning."""
    return re.split("[;；]", meaning)[0]


def _words_of_clusters(workspace: Workspace) -> dict[str, tuple[str, str]]:
    """Return what a word that clusters look at is called, such as retired for employment_retired."""
    listed = read_defaults("segments").get("clusters", {})
    if workspace.settings_file.is_file():
        listed = {**listed, **read_toml(workspace.settings_file).get("segments", {}).get("clusters", {})}
    entries = [entry for entry in listed.get("features", []) if entry.get("equals")]
    return {f"{entry['name']}_{entry['equals']}": (entry["high"], entry["high_zh"]) for entry in entries}


def _named(workspace: Workspace, section: str, key: str) -> dict[str, tuple[str, str]]:
    """Read names alone, so that the page also opens on settings that another version wrote."""
    listed = read_defaults(section)
    if workspace.settings_file.is_file():
        listed = {**listed, **read_toml(workspace.settings_file).get(section, {})}
    entries = listed.get(section, [])
    return {entry[key]: (entry.get("name_en", entry[key]), entry.get("name_zh", "")) for entry in entries}
