"""Units of the past out of a file: what they say about a metric before an experiment is made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.domain.errors import NotEnoughData, SettingsFault
from engine.intake import event_files, unit_files
from engine.intake.unit_files import UnitRoles, UnitTable
from engine.lake.engine import DuckDBEngine
from engine.workflows import session
from experiments import clusters
from experiments.estimates import DENOMINATOR, NUMERATOR
from experiments.moments import VALUE, Moments
from experiments.plan import Kind

Floats = NDArray[np.float64]

_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryFile:
    """A file with one row per unit and what is read from it: a metric, covariates, a cluster and a time of arrival.

    columns : of the metric; two for a ratio.
    """

    path: Path
    kind: Kind
    columns: tuple[str, ...]
    covariates: tuple[str, ...] = ()
    cluster: str | None = None
    time: str | None = None
    encoding: str | None = None
    home: Path = Path("workspace")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class History:
    """The units whose metric is known.

    values : shape (units, columns), the metric's columns and then the covariates, unknown covariates at their mean.
    cluster : the number of each unit's cluster, shape (units,); None without clusters.
    unknown : rows left out because the metric is not known. units_per_day : None without times.
    """

    kind: Kind
    names: tuple[str, ...]
    values: Floats
    cluster: NDArray[np.int64] | None
    unknown: int
    units_per_day: float | None

    @property
    def covariates(self) -> tuple[str, ...]:
        """The names of the covariates."""
        return self.names[2 if self.kind == "ratio" else 1 :]

    def moments(self) -> Moments:
        """Return the moments of all columns."""
        return Moments.of_values(self.names, self.values)

    def cluster_design(self) -> clusters.Design | None:
        """Return what the clusters are like; None without any, or for a ratio, or for too few of them."""
        if self.cluster is None or self.kind == "ratio":
            return None
        value = self.values[:, 0]
        rows = np.column_stack(
            [
                np.bincount(self.cluster, value),
                np.bincount(self.cluster).astype(np.float64),
                np.bincount(self.cluster, value**2),
            ]
        )
        return clusters.design(Moments.of_values((clusters.TOTAL, clusters.SIZE, clusters.SQUARES), rows))


def read(source: HistoryFile) -> History:
    """Read the units of a file.

    Raises
    ------
    UnreadableSource, UnknownName, SettingsFault, NotEnoughData
        The file or its columns cannot be used, or fewer than two units have a value.
    """
    with session.files_aside(source.home) as aside:
        engine = aside.engine
        file = event_files.read(source.path, engine, aside.folder("file"), aside.rules, encoding=source.encoding)
        roles = UnitRoles(
            unit=None,
            variant=None,
            cluster=source.cluster,
            numbers=source.covariates if source.kind == "proportion" else (*source.columns, *source.covariates),
            shares=source.columns if source.kind == "proportion" else (),
            groups=() if source.time is None else (source.time,),
        )
        units = unit_files.attach(file, roles, engine, aside.scratch)
        return _history(source, units, engine, file.name)


def _history(source: HistoryFile, units: UnitTable, engine: DuckDBEngine, name: str) -> History:
    wanted = [units.of[column] for column in (*source.columns, *source.covariates)]
    asked: dict[str, Any] = {f"n{place}": units.table[column].cast("float64") for place, column in enumerate(wanted)}
    if source.cluster is not None:
        asked["cluster"] = units.table[units.of[source.cluster]].cast("string")
    found = engine.arrow(units.table.select(**asked))
    values = np.column_stack(
        [found.column(f"n{place}").to_numpy().astype(np.float64) for place, _ in enumerate(wanted)]
    )
    known = np.isfinite(values[:, : len(source.columns)]).all(axis=1)
    if known.sum() < 2:
        have = f"{known.sum()} of {len(known)} rows of {name} have a value"
        raise NotEnoughData("history", have, "at least two units with a value")
    kept = values[known]
    for place in range(len(source.columns), kept.shape[1]):
        column = kept[:, place]
        gaps = ~np.isfinite(column)
        column[gaps] = column[~gaps].mean() if not gaps.all() else 0.0
    cluster = None
    if source.cluster is not None:
        names = found.column("cluster").to_numpy(zero_copy_only=False)[known].astype(str)
        cluster = np.unique(names, return_inverse=True)[1].astype(np.int64)
    own = (NUMERATOR, DENOMINATOR) if source.kind == "ratio" else (VALUE,)
    return History(
        kind=source.kind,
        names=(*own, *(f"covariate_{place}" for place, _ in enumerate(source.covariates, start=1))),
        values=kept,
        cluster=cluster,
        unknown=int((~known).sum()),
        units_per_day=_units_per_day(source, units, engine, name),
    )


def _units_per_day(source: HistoryFile, units: UnitTable, engine: DuckDBEngine, name: str) -> float | None:
    """Return the units with a time over the days from the first to the last, both included."""
    if source.time is None:
        return None
    at = units.table[units.of[source.time]].cast("string").try_cast("timestamp")
    row = engine.arrow(units.table.aggregate(first=at.min(), last=at.max(), units=at.count())).to_pylist()[0]
    if row["first"] is None:
        raise SettingsFault(name, [f'"{source.time}": no value is a date or a time; write 2026-06-30'])
    days = (row["last"].date() - row["first"].date()) // _DAY + 1
    return float(row["units"] / days)
