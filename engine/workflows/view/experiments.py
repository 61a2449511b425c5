"""What was tested and what came out."""

from __future__ import annotations

import pandas as pd

from engine.lake.runs import Run
from engine.workflows.view import reading


def results(run: Run) -> pd.DataFrame:
    """Return every metric of every experiment; numbers are empty where results are withheld."""
    return reading.table(run, "experiment_results")


def health(run: Run) -> pd.DataFrame:
    """Return every check of every experiment."""
    return reading.table(run, "experiment_health")
