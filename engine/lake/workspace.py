"""A workspace: the one directory in which a bank's tables, runs, exports and settings lie."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.domain.curated import CURATED
from engine.domain.errors import WorkspaceBusy, WorkspaceMissing
from engine.lake.engine import Engine
from engine.lake.schema import unbound


@dataclass(frozen=True, slots=True)
class Workspace:
    """The paths of one workspace; reading one creates nothing."""

    home: Path

    def curated(self, table: str) -> Path:
        """The folder of one curated table."""
        return self.home / "curated" / table

    def quarantine(self, table: str) -> Path:
        """The folder of the rows of one table that intake refused."""
        return self.home / "curated" / "_quarantine" / table

    @property
    def report_path(self) -> Path:
        """The report of the last intake."""
        return self.home / "curated" / "report.json"

    @property
    def runs(self) -> Path:
        """The folder of all runs."""
        return self.home / "runs"

    @property
    def exports(self) -> Path:
        """The folder of all exports."""
        return self.home / "exports"

    @property
    def audiences(self) -> Path:
        """The folder of the members of all audiences, run by run."""
        return self.home / "audiences"

    def frozen(self, sha256: str) -> Path:
        """The file of a frozen list of customers."""
        return self.home / "lists" / f"{sha256}.parquet"

    @property
    def settings_file(self) -> Path:
        """The workspace's own settings, which override the shipped defaults."""
        return self.home / "wayline.toml"

    @property
    def spill(self) -> Path:
        """Where the engine puts what does not fit into memory."""
        return self.home / "tmp"

    def curated_tables(self) -> tuple[str, ...]:
        """The curated tables that are there, in the order of the contracts."""
        return tuple(name for name in CURATED if self.curated(name).is_dir())

    def report(self) -> dict[str, Any]:
        """Return the report of the last intake; raises WorkspaceMissing where nothing was loaded."""
        if not self.report_path.is_file():
            raise WorkspaceMissing(str(self.home))
        content: dict[str, Any] = json.loads(self.report_path.read_text(encoding="utf-8"))
        return content

    def attach(self, engine: Engine) -> dict[str, Any]:
        """Attach every curated table that is there and return them as unbound expressions by name.

        Raises
        ------
        WorkspaceMissing
            No curated table is there.
        """
        present = self.curated_tables()
        if not present:
            raise WorkspaceMissing(str(self.home))
        for name in present:
            engine.attach(name, self.curated(name))
        return {name: unbound(CURATED[name]) for name in present}

    @contextmanager
    def lock(self, purpose: str) -> Iterator[None]:
        """Hold the workspace for one writer; the lock dies with the process, so a killed one leaves none behind.

        Raises
        ------
        WorkspaceBusy
            Another process holds it; the sentence says what for and since which process.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        with (self.home / ".lock").open("a+", encoding="utf-8") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                handle.seek(0)
                raise WorkspaceBusy(str(self.home), handle.read().strip() or "another process") from None
            handle.truncate(0)
            handle.write(f"`wayline {purpose}` (process {os.getpid()})")
            handle.flush()
            yield
