"""Workspaces that live decisions are asked of: the runs of a shared one, with a database and settings of their own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.config.live import LiveSettings
from engine.config.load import load

RUN_CLOCK = '[live]\nclock = "run"\n'


def live_settings(flags: Mapping[str, Any] | None = None) -> LiveSettings:
    return load(LiveSettings, "live", flags=flags)


def beside(shared: Path, folder: Path, settings: str = RUN_CLOCK) -> Path:
    """Return a workspace in a folder that reads the tables and runs of a shared one and changes nothing of it."""
    home = folder / "live-home"
    home.mkdir()
    for part in ("curated", "runs"):
        (home / part).symlink_to(shared / part)
    (home / "wayline.toml").write_text(settings, encoding="utf-8")
    return home
