"""Simulate a bank with known truth."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from engine.config.bank import BankSettings
from engine.config.load import load
from engine.config.products import Catalogue
from engine.domain.errors import RefusedByPolicy
from engine.intake.simulation import SimulationSummary, simulate_bank


def simulate(
    customers: int,
    seed: int | None,
    out: Path,
    *,
    file_format: Literal["parquet", "csv"] = "parquet",
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> SimulationSummary:
    """Write a simulated bank of that many customers, with its truth beside it, into a new folder.

    Raises
    ------
    RefusedByPolicy
        The folder is there and holds something that no simulation wrote: nothing of the user's is overwritten.
    """
    target = out.expanduser().resolve()
    if target.exists() and any(target.iterdir()) and not (target / "_SUCCESS").exists():
        raise RefusedByPolicy(f"{target.name} holds files that no simulation wrote. Name a new or an empty folder.")
    bank = load(BankSettings, "bank")
    return simulate_bank(
        customers,
        bank.seed if seed is None else seed,
        target,
        catalogue=load(Catalogue, "products"),
        bank=bank,
        file_format=file_format,
        workers=workers,
        progress=progress,
    )
