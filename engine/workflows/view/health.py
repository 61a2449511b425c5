"""Whether the sources are whole, whether customers and the model's inputs have drifted, which runs there are."""

from __future__ import annotations

from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from engine.domain.access import Right
from engine.domain.curated import CURATED
from engine.domain.schema import Kind
from engine.features.table import FEATURES
from engine.intake import error_file
from engine.lake.engine import identifier
from engine.lake.runs import Run, list_runs
from engine.lake.workspace import Workspace
from engine.risk.metrics import population_stability
from engine.workflows import doctor
from engine.workflows.view import reading
from engine.workflows.view.guard import needs, needs_one_of

WATCH, ACT = 0.1, 0.25
"""Siddiqi's rules of thumb: below the first a distribution is stable, above the second it has changed."""
BINS: Final = 10
SAMPLED: Final = 50_000  # customers a side: the index of two such samples that do not differ stays below 0.001
_FLOOR: Final = 1e-4  # share of an empty bin: a bin that only one side fills counts, and is not infinite
_NUMERIC: Final = (Kind.INTEGER, Kind.NUMBER, Kind.SHARE, Kind.MONEY)
EXAMPLES: Final = 5


def completeness(workspace: Workspace) -> pd.DataFrame:
    """Return for each curated table the share of cells that are filled, and its emptiest column that is not empty.

    Columns that the source never had are counted apart: they are a choice of the extract, not a gap in it.
    """
    lines = []
    for name in workspace.curated_tables():
        filled, rows = _filled(workspace.curated(name))
        there = {column: count for column, count in filled.items() if count and column in CURATED[name].names}
        emptiest = min(there, key=lambda column: there[column], default=None)
        lines.append(
            {
                "table": name,
                "filled": sum(there.values()) / (rows * len(there)) if rows and there else None,
                "emptiest": emptiest,
                "emptiest_filled": there[emptiest] / rows if emptiest and rows else None,
                "absent": sum(column.name not in there for column in CURATED[name].source_columns),
            }
        )
    return pd.DataFrame(lines, columns=["table", "filled", "emptiest", "emptiest_filled", "absent"])


def _filled(folder: Path) -> tuple[dict[str, int], int]:
    """Return how many values each column of a table holds, and its rows, out of the files' own statistics."""
    filled: dict[str, int] = {}
    rows = 0
    for path in folder.rglob("*.parquet"):
        with pq.ParquetFile(path) as file:
            footer = file.metadata
            rows += footer.num_rows
            for number in range(footer.num_row_groups):
                group = footer.row_group(number)
                for place in range(group.num_columns):
                    column = group.column(place)
                    empty = column.statistics.null_count if column.statistics is not None else 0
                    name = column.path_in_schema
                    filled[name] = filled.get(name, 0) + group.num_rows - int(empty or 0)
    return filled, rows


@needs(Right.LOAD_DATA)
def refused_examples(workspace: Workspace, table: str, code: str, column: str) -> pd.DataFrame:
    """Return the first rows that were refused for one reason, with their values masked."""
    found = error_file.examples(workspace.home / "curated" / "_quarantine", EXAMPLES)
    rows = [one for one in found if (one["table"], one["error_code"], one["field"]) == (table, code, column)]
    return pd.DataFrame(rows, columns=list(error_file.HEADER))


def earlier(workspace: Workspace, run: Run) -> Run | None:
    """Return the newest run of an earlier date, with features, to compare with; None where there is none."""
    found = [one for one in list_runs(workspace) if one.as_of < run.as_of and one.has("features")]
    return max(found, key=lambda one: (one.as_of, one.manifest["finished_at"]), default=None)


def features_drift(run: Run, before: Run) -> pd.DataFrame:
    """Return how far each numeric feature of the customers has moved from an earlier run, the most first.

    The bins are tenths of the earlier run, empty values a bin of their own; each side is a sample of at most SAMPLED
    customers. A feature without any value on one side is left out.
    """
    now, then = _sample(run), _sample(before)
    lines = [
        {"feature": name, "value": index, "rows": len(now), "reference_rows": len(then)}
        for name in now.columns
        if (index := _index(then[name].to_numpy(), now[name].to_numpy())) is not None
    ]
    rows = pd.DataFrame(lines, columns=["feature", "value", "rows", "reference_rows"])
    return rows.sort_values(["value", "feature"], ascending=[False, True], ignore_index=True)


def distribution(run: Run, before: Run, feature: str) -> pd.DataFrame:
    """Return the share of customers in each bin of one feature, now and in the earlier run."""
    name = next(one for one in FEATURES if one == feature)
    now, then = (_column(one, name) for one in (run, before))
    edges = _edges(then)
    shares = {"before": _shares(then, edges), "now": _shares(now, edges)}
    labels = _labels(edges)
    return pd.DataFrame(
        [
            {"place": place, "bin": labels[place], "run": side, "share": float(found[place])}
            for side, found in shares.items()
            for place in range(len(labels))
        ]
    )


def _numeric() -> list[str]:
    return [name for name, feature in FEATURES.items() if feature.kind in _NUMERIC]


def _sample(run: Run) -> pd.DataFrame:
    columns = ", ".join(f"CAST({identifier(name)} AS DOUBLE) AS {identifier(name)}" for name in _numeric())
    return reading.marts(run, f"SELECT {columns} FROM {_some()}", "features")


def _column(run: Run, name: str) -> np.ndarray:
    text = f"SELECT CAST({identifier(name)} AS DOUBLE) AS value FROM {_some()}"
    found: np.ndarray = reading.marts(run, text, "features")["value"].to_numpy()
    return found


def _some() -> str:
    # by a hash of the id, so that the same customers are looked at in both runs, and again tomorrow
    return f"(SELECT * FROM features ORDER BY hash(customer_id) LIMIT {SAMPLED})"


def _edges(values: np.ndarray) -> np.ndarray:
    known = values[np.isfinite(values)]
    return np.unique(np.quantile(known, np.linspace(0, 1, BINS + 1)[1:-1], method="lower")) if len(known) else known


def _shares(values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the share in each bin: up to the first edge, between edges, above the last, without a value."""
    known = np.isfinite(values)
    counts = np.bincount(np.searchsorted(edges, values[known], side="left"), minlength=len(edges) + 1)
    shares: np.ndarray = np.append(counts, (~known).sum()) / max(len(values), 1)
    return shares


def _index(then: np.ndarray, now: np.ndarray) -> float | None:
    edges = _edges(then)
    if not len(edges) or not np.isfinite(now).any():
        return None
    return population_stability(_shares(then, edges), _shares(now, edges), floor=_FLOOR)


def _labels(edges: np.ndarray) -> list[str]:
    told = [f"{edge:,.6g}" for edge in edges]
    inner = [f"{low} – {high}" for low, high in pairwise(told)]
    return [f"≤ {told[0]}", *inner, f"> {told[-1]}", "—"] if told else ["…", "—"]


@needs(Right.SEE_RISK)
def model_drift(run: Run) -> pd.DataFrame:
    """Return the stability index of the risk model's score and characteristics in the newest month."""
    return reading.marts(
        run,
        """SELECT population, what, value, "limit", verdict, ends, rows FROM risk_stability
           WHERE measure = 'population_stability' AND value IS NOT NULL
           QUALIFY row_number() OVER (PARTITION BY population, what ORDER BY ends DESC) = 1
           ORDER BY population, value DESC, what""",
        "risk_stability",
    )


@needs(Right.SEE_RISK)
def model_history(run: Run, population: str, what: str) -> pd.DataFrame:
    """Return the stability index of one characteristic month by month."""
    return reading.marts(
        run,
        """SELECT ends, value, "limit" FROM risk_stability
           WHERE measure = 'population_stability' AND population = $1 AND what = $2 ORDER BY ends""",
        "risk_stability",
        parameters=(population, what),
    )


@needs(Right.SEE_RISK)
def models(run: Run) -> pd.DataFrame:
    """Return how well the run's models do on what they have not seen: model, measure, value and its interval."""
    parts = []
    if run.has("risk_validation"):
        parts.append(
            reading.marts(
                run,
                """SELECT 'risk' AS family, model, 'auc' AS measure, value, lower, upper, rows FROM risk_validation
                   WHERE measure = 'auc' AND sample = 'out_of_time' ORDER BY model""",
                "risk_validation",
            )
        )
    if run.has("recommendation_models"):
        parts.append(
            reading.marts(
                run,
                """SELECT 'recommendation' AS family, model, 'map_at_7' AS measure, map_at_7 AS value,
                   map_lower AS lower, map_upper AS upper, customers AS rows FROM recommendation_models WHERE chosen""",
                "recommendation_models",
            )
        )
    columns = ["family", "model", "measure", "value", "lower", "upper", "rows"]
    return pd.concat(parts, ignore_index=True)[columns] if parts else pd.DataFrame(columns=columns)


def runs(workspace: Workspace) -> pd.DataFrame:
    """Return all completed runs, the newest made first."""
    lines = [
        {
            "run_id": run.run_id,
            "as_of": run.as_of,
            "finished_at": run.manifest["finished_at"],
            "seconds": sum(stage.get("seconds") or 0.0 for stage in run.manifest["stages"]),
            "skipped": sum(stage["status"] == "skipped" for stage in run.manifest["stages"]),
            "rows": sum(facts["rows"] for facts in run.manifest["marts"].values()),
        }
        for run in reversed(list_runs(workspace))
    ]
    return pd.DataFrame(lines, columns=["run_id", "as_of", "finished_at", "seconds", "skipped", "rows"])


@needs_one_of(Right.LOAD_DATA, Right.ADMINISTER)
def machine(home: Path) -> list[dict[str, Any]]:
    """Return what `wayline doctor` finds: of the machine, the settings, the workspace and the database."""
    return [asdict(check) for check in doctor.diagnose(home)]
