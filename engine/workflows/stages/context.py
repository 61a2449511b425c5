"""What every stage of a run is given, and how a stage is run or skipped with its reason."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from engine.config.bank import BankSettings
from engine.domain.errors import NotEnoughData
from engine.domain.marts import MARTS
from engine.lake.engine import DuckDBEngine
from engine.lake.runs import Run, RunBuilder
from engine.lake.schema import ibis_schema
from engine.lake.workspace import Workspace
from engine.risk.overrides import Override
from engine.workflows import session
from engine.workflows.held_audiences import Planned
from engine.workflows.held_catalogue import InForce
from engine.workflows.risk_registry import Approved

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """A run in the making: its inputs, its date, its seed, and where its tables go.

    `overrides` are the departures of persons from lending decisions that nobody took back; `approved` is the risk model
    that grades, None where the run learns its own; `catalogue` the version of the catalogue and the policies of
    recommendations that holds, None where the workspace's files do; `audiences` what is done with every audience;
    `suppressed` whom not to contact, as of `engine.workflows.suppressed`; `current` is true where nothing was loaded
    that is later than the date, so that contacts since then count against the caps of what the run offers.
    """

    workspace: Workspace
    engine: DuckDBEngine
    tables: dict[str, Any]
    builder: RunBuilder
    bank: BankSettings
    as_of: datetime
    seed: int
    overrides: tuple[Override, ...] = ()
    approved: Approved | None = None
    catalogue: InForce | None = None
    earlier: Run | None = None
    audiences: tuple[Planned, ...] = ()
    suppressed: pa.Table | None = None
    current: bool = True

    def settings(self, model: type[Model], section: str) -> Model:
        """Return a section's settings in this workspace."""
        return session.settings(self.workspace, model, section)

    def wrote(self, mart: str) -> bool:
        """Whether an earlier stage of this run wrote that table."""
        return mart in self.builder.marts

    def rows(self, mart: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Return a table that an earlier stage of this run wrote, in the order of its key."""
        return pq.read_table(self.builder.folder / mart, columns=None if columns is None else list(columns))

    def columns(self, mart: str) -> list[str]:
        """Return the names of the columns of a table that an earlier stage of this run wrote."""
        names: list[str] = pq.read_schema(next((self.builder.folder / mart).glob("*.parquet"))).names
        return names

    def attached(self, mart: str) -> Any:
        """Return a table that an earlier stage of this run wrote as an expression, attached to the engine."""
        name = f"_mart_{mart}"
        self.engine.attach(name, self.builder.folder / mart)
        return ibis.table(ibis_schema(MARTS[mart]), name=name)

    @contextmanager
    def with_kept(self, name: str, expression: Any, *, order_by: Sequence[str]) -> Iterator[Context]:
        """Work an expression out once, and yield the context with its rows among the tables under that name.

        They lie on disk beside the run's tables, which memory would not hold, and are gone at the end.
        """
        folder = self.builder.folder / f"_kept_{name}"
        self.engine.write(expression, folder, order_by=order_by)
        try:
            self.engine.attach(f"_kept_{name}", folder)
            table = ibis.table(expression.schema(), name=f"_kept_{name}")
            yield replace(self, tables={**self.tables, name: table})
        finally:
            shutil.rmtree(folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage: the curated tables and marts without which it cannot run, and the marts it writes."""

    name: str
    write: Callable[[Context, dict[str, Any]], None]
    marts: Sequence[str]
    needs_tables: Sequence[str] = ()
    needs_marts: Sequence[str] = ()

    def run(self, context: Context) -> None:
        """Run the stage, or record the sentence that says why it cannot be."""
        missing = self._missing(context)
        if missing:
            context.builder.skip(self.name, self.marts, missing)
            return
        try:
            with context.builder.stage(self.name) as facts:
                self.write(context, facts)
        except NotEnoughData as fault:
            context.builder.skip(self.name, self.marts, fault.sentence)

    def _missing(self, context: Context) -> str | None:
        tables = [name for name in self.needs_tables if name not in context.tables]
        if tables:
            return f"the workspace has no {' and no '.join(tables)}. Map it in the mapping file and load again."
        marts = [name for name in self.needs_marts if not context.wrote(name)]
        return f"the run made no {' and no '.join(marts)}, which it builds on." if marts else None
