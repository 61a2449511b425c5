"""The sample that ships with the project: a tiny simulated bank as CSV, a template for a bank's own files.

`python -m engine.intake.simulation.sample data/sample` writes it anew.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Final

from engine.config.bank import BankSettings
from engine.config.load import load
from engine.config.products import Catalogue
from engine.intake.simulation.bank import simulate_bank

CUSTOMERS: Final = 300
SEED: Final = 20260101
MONTHS: Final = 6


def write(folder: Path) -> list[str]:
    """Write the sample's CSV files and mapping into the folder, without the truth, and return their names."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as aside:
        bank = load(BankSettings, "bank")
        catalogue = load(Catalogue, "products")
        made = Path(aside) / "sample"
        simulate_bank(CUSTOMERS, SEED, made, catalogue=catalogue, bank=bank, months=MONTHS, file_format="csv")
        names = sorted(path.name for path in made.iterdir() if path.suffix in {".csv", ".toml"})
        for name in names:
            shutil.copyfile(made / name, folder / name)
    return names


if __name__ == "__main__":
    write(Path(sys.argv[1]))
