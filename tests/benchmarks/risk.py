"""How long a scorecard takes: to learn it from a million rows, to score a block with reasons, to score one customer.

    python -m tests.benchmarks.risk [rows]

The rows are the 30,000 Taiwanese cards (WAYLINE_REAL_DATA) repeated with jitter, or drawn where these are absent. All
seconds are of CPU, one thread. Where optbinning is installed, it bins and fits the same rows in the same process, and
the ratio is what to look at: seconds depend on the machine.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import csv

from engine.config.load import load
from engine.config.risk import RiskSettings
from engine.risk import metrics, scorecard
from engine.risk.scorer import Scorer

SETTINGS = load(RiskSettings, "risk")
Row = dict[str, Any]


def run(rows: int = 1_000_000) -> list[Row]:
    """Return one row per measurement: CPU seconds, rows a second, and how many times faster than the peer."""
    columns, bad = cards(rows)
    card, seconds = _timed(lambda: scorecard.fit(columns, bad, SETTINGS.binning, SETTINGS.scaling))
    scorer = Scorer(card, SETTINGS.never_a_reason)
    block, scoring = min((_timed(lambda: scorer.block(columns, rows)) for _ in range(3)), key=lambda pair: pair[1])
    singly = _one(scorer, columns)
    peer = _optbinning(columns, bad)
    auc = metrics.auc(block.probability, bad).value
    return [
        _row("fit a scorecard", rows, seconds, peer and round(peer["seconds"] / seconds, 1), auc),
        _row("score with four reasons", rows, scoring, None, auc),
        _row("one customer with reasons", 1, singly, None, None),
        *([_row("fit by optbinning", rows, peer["seconds"], 1.0, peer["auc"])] if peer else []),
    ]


def cards(rows: int) -> tuple[dict[str, pa.ChunkedArray], np.ndarray]:
    """Return columns and which rows are bad: the real cards tiled with jitter, or rows drawn in their likeness."""
    draw = np.random.default_rng(42)
    path = Path(os.environ.get("WAYLINE_REAL_DATA", "../shared/data")) / "uci_credit_default"
    file = path / "uci_credit_default.csv.gz"
    if file.exists():
        table = csv.read_csv(file)
        values = [table.column(at).to_numpy().astype(np.float64) for at in range(1, table.num_columns)]
        names, bad = table.column_names[1:-1], values.pop() == 1
    else:
        bad = draw.random(30_000) < 0.22
        names = [f"x{at}" for at in range(23)]
        values = [np.rint(draw.gamma(2.0, 20.0, 30_000) + bad * draw.integers(0, 9)) for _ in names]
    times = -(-rows // len(bad))
    tiled = {
        name: np.tile(value, times)[:rows] + (draw.normal(0, 0.01 * value.std(), rows) if value.std() > 5 else 0.0)
        for name, value in zip(names, values, strict=True)
    }
    return {name: pa.chunked_array([pa.array(value)]) for name, value in tiled.items()}, np.tile(bad, times)[:rows]


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began = time.process_time()
    result = work()
    return result, time.process_time() - began


def _one(scorer: Scorer, columns: dict[str, pa.ChunkedArray]) -> float:
    sample = pa.table({name: column.slice(0, 2_000) for name, column in columns.items()}).to_pylist()
    rounds = (_timed(lambda: [scorer.one(values) for values in sample])[1] for _ in range(5))
    return min(rounds) / len(sample)


def _optbinning(columns: dict[str, pa.ChunkedArray], bad: np.ndarray) -> Row | None:
    try:
        import pandas as pd
        from optbinning import BinningProcess
    except ImportError:
        return None
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    frame = pd.DataFrame({name: column.to_numpy() for name, column in columns.items()})

    def fit() -> Any:
        trend = {name: {"monotonic_trend": "auto_asc_desc"} for name in frame}
        process = BinningProcess(list(frame), binning_fit_params=trend, n_jobs=1)
        woe = process.fit_transform(frame, bad.astype(int))
        return LogisticRegression(C=1.0).fit(woe, bad).predict_proba(woe)[:, 1]

    with threadpool_limits(1):
        probability, seconds = _timed(fit)
    return {"seconds": seconds, "auc": metrics.auc(probability, bad).value}


def _row(what: str, rows: int, seconds: float, times_peer: float | None, auc: float | None) -> Row:
    return {
        "what": what,
        "rows": rows,
        "cpu_seconds": round(seconds, 7 if seconds < 0.01 else 2),
        "rows_per_cpu_second": round(rows / seconds),
        "times_faster_than_optbinning": times_peer,
        "auc_on_the_same_rows": auc and round(auc, 4),
    }


if __name__ == "__main__":
    for row in run(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000):
        print("  ".join(f"{name}={value}" for name, value in row.items()))
