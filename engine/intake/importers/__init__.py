"""Public data sets to source files, a mapping and settings: what anyone who downloads them needs to run the engine."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Protocol

from engine.config.bank import BankSettings
from engine.domain.errors import UnknownName
from engine.intake.importers import berka, bpi2012, vanguard


class _Importer(Protocol):
    def __call__(self, folder: Path, out: Path, bank: BankSettings, *, assume_consent: bool) -> Path: ...


IMPORTERS: Final[dict[str, _Importer]] = {
    "berka": berka.prepare,
    "bpi2012": bpi2012.prepare,
    "vanguard": vanguard.prepare,
}
NAMES: Final = tuple(IMPORTERS)


def prepare(name: str, folder: Path, out: Path, bank: BankSettings, *, assume_consent: bool = False) -> Path:
    """Write source files, `mapping.toml` and `wayline.toml` under `out` and return the mapping file's path.

    No public set says who agreed to be contacted, so by default nobody did and every offer is refused for want of
    consent. `assume_consent` writes the assumption into the mapping, as constants with a note; it is for
    demonstrations on public data only.

    Raises
    ------
    UnknownName
        There is no importer of that name.
    UnreadableSource
        A file of the set is missing or cannot be read.
    """
    if name not in IMPORTERS:
        raise UnknownName("public data set", name, IMPORTERS)
    return IMPORTERS[name](folder, out, bank, assume_consent=assume_consent)
