"""What the importers share: finding a file of a set, reading it as text, writing source files and settings."""

from __future__ import annotations

from collections.abc import Mapping as Values
from pathlib import Path
from typing import Any, Final

import pandas as pd

from engine.domain.errors import UnreadableSource
from engine.domain.words import CONTACT_CHANNELS
from engine.intake.mapping import Extract, Mapping, TableMapping, toml_value, write

ASSUMED: Final = (
    "ASSUMED, not in the data: consent and identity checks, to demonstrate on public data. "
    "The importer was told to; never do so for real customers."
)
NO_HISTORY: Final = (
    "ASSUMED, not in the data: that nobody was contacted before and nobody complained, to demonstrate on public data."
)


def find(folder: Path, *names: str) -> Path:
    """Return the first of the names, plain or with .gz, that lies in the folder."""
    for name in names:
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    raise UnreadableSource(
        str(folder), f"there is no {' or '.join(names)}", "Name the folder that holds the set's own files."
    )


def read_text(folder: Path, name: str, separator: str = ",") -> pd.DataFrame:
    """Return a delimited file with every value as text; empty values are empty texts."""
    path = find(folder, name)
    try:
        return pd.read_csv(path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8")
    except (OSError, EOFError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as fault:
        raise UnreadableSource(path.name, f"cannot be read ({type(fault).__name__})", "Download it again.") from None


def number(column: pd.Series) -> pd.Series:
    """Return a text column as numbers; what is none is missing."""
    return pd.to_numeric(column, errors="coerce")


def write_source(out: Path, name: str, rows: pd.DataFrame) -> None:
    """Write one source file; instants carry a Z."""
    folder = out / "source"
    folder.mkdir(parents=True, exist_ok=True)
    rows.to_csv(folder / f"{name}.csv", index=False, encoding="utf-8", date_format="%Y-%m-%dT%H:%M:%S.%fZ")


def write_mapping(
    out: Path, until: Any, tables: Values[str, TableMapping], *, assume_consent: bool, zone: str = "UTC"
) -> Path:
    """Write the mapping of the source files and return its path; consents only when they are assumed.

    With assumed consents the settings, which must be written before, say that no history of contacts is an empty one.
    """
    mapped = {name: table.model_copy(update={"source": f"source/{name}.csv"}) for name, table in tables.items()}
    if assume_consent:
        customers = mapped["customers"]
        constants = {**customers.constants, "kyc_status": "verified"}
        mapped["customers"] = customers.model_copy(update={"constants": constants, "note": ASSUMED})
        mapped["consents"] = TableMapping(source="source/consents.csv", note=ASSUMED)
        customer_rows = pd.read_csv(out / "source" / "customers.csv", dtype=str, usecols=["customer_id", "joined_at"])
        write_source(out, "consents", _assumed_consents(customer_rows))
        _assume_no_history(out)
    path = out / "mapping.toml"
    write(Mapping(extract=Extract(until=until, time_zone=zone), tables=mapped), path)
    return path


def _assume_no_history(out: Path) -> None:
    lines = ["", f"# {NO_HISTORY}", "[recommendations.assumptions]"]
    lines += ['empty_histories = ["offers_feedback", "interactions"]', ""]
    with (out / "wayline.toml").open("a", encoding="utf-8") as settings:
        settings.write("\n".join(lines))


def _assumed_consents(customers: pd.DataFrame) -> pd.DataFrame:
    """Return a yes of every customer to marketing in every channel, dated at the beginning of the relationship."""
    rows = customers.rename(columns={"joined_at": "recorded_at"}).merge(
        pd.DataFrame({"channel": CONTACT_CHANNELS}), how="cross"
    )
    return rows.assign(purpose="marketing", granted="true")


def write_settings(out: Path, note: str, sections: Values[str, Values[str, Any]]) -> None:
    """Write the workspace's wayline.toml: one table per section, lists of tables as TOML has them."""
    lines = [f"# {line}" for line in note.splitlines()]
    for section, values in sections.items():
        lines += ["", f"[{section}]"]
        lines += [f"{key} = {toml_value(value)}" for key, value in values.items() if not _is_tables(value)]
        for key, value in values.items():
            if _is_tables(value):
                lines += _tables(f"{section}.{key}", value)
    (out / "wayline.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _tables(path: str, rows: list[dict[str, Any]]) -> list[str]:
    lines: list[str] = []
    for row in rows:
        lines += ["", f"[[{path}]]"]
        lines += [f"{key} = {toml_value(value)}" for key, value in row.items() if not _is_tables(value)]
        for key, value in row.items():
            if _is_tables(value):
                lines += _tables(f"{path}.{key}", value)
    return lines
