"""A thousand invented loans, as `data/loans.csv` has them: `python -m tests.loans data/loans.csv` makes the file again.

The odds of default rise with the share of the limit in use and fall with income and with months as a customer; whoever
has no job is riskier. Gender tells nothing, the reference and the note even less.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

ROWS = 1_000


def table(rows: int = ROWS, seed: int = 7) -> pa.Table:
    """Return the loans, the earliest first."""
    draw = np.random.default_rng(seed)
    used = draw.beta(2, 3, rows).round(3)
    income = (draw.gamma(6, 1_300, rows) / 10).round() * 10
    months = draw.integers(0, 180, rows)
    job = draw.choice(["clerk", "trade", "farmer", "none"], rows, p=[0.45, 0.3, 0.15, 0.1])
    odds = -1.9 + 4.2 * used - 0.0002 * income - 0.008 * months + np.where(job == "none", 1.5, 0.0)
    bad = draw.random(rows) < 1 / (1 + np.exp(-odds))
    unknown = draw.random(rows) < 0.08
    return pa.table(
        {
            "loan_id": [f"L{place:05d}" for place in range(rows)],
            "booked_on": (np.datetime64("2023-01-02") + np.arange(rows) * 2 // 3).astype(str),
            "limit_used_share": pa.array(used, mask=unknown),
            "income_monthly": income.astype(np.int64),
            "months_as_customer": months,
            "job": job,
            "gender": draw.choice(["female", "male"], rows),
            "branch": ["Harbour"] * rows,
            "status": np.where(bad, "default", "paid"),
        }
    )


def write(path: Path) -> None:
    """Write the loans as CSV."""
    pa.csv.write_csv(table(), path, pa.csv.WriteOptions(quoting_style="needed"))


if __name__ == "__main__":
    write(Path(sys.argv[1]))
