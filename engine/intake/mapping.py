"""The mapping file: which file, folder or database table feeds which curated table, and how it is written.

Paths are relative to the mapping file. One `[table]` per curated table, `[extract]` for what holds for all:

    [extract]
    until = 2026-06-30T23:59:59Z        # the data ends here; anything later is an error

    [transactions]
    source = "export/bookings-*.csv"
    money = "major"                     # 12.34 in the file is 1234 minor units here

    [transactions.columns]
    booked_at = "BOOKING_DATE"          # a column of the same name needs no line

    [transactions.constants]
    currency = "CNY"
"""

from __future__ import annotations

from collections.abc import Mapping as Values
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from engine.config.load import Model, Settings, read_toml, validate
from engine.domain.curated import CURATED
from engine.domain.errors import SettingsFault, UnknownName
from engine.domain.schema import Table
from engine.domain.words import CONTACT_CHANNELS

Format = Literal["csv", "parquet", "jsonl", "excel", "database"]
Scalar = str | int | float | bool

_FORMAT_OF_SUFFIX: dict[str, Format] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".asc": "csv",
    ".zip": "csv",
    ".parquet": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".xlsx": "excel",
}


class Extract(Settings):
    """What holds for the whole delivery: the instant up to which it is complete, the zone of instants without one."""

    until: datetime | date | None = None
    time_zone: str | None = None

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, zone: str | None) -> str | None:
        return _checked_zone(zone)

    @property
    def until_instant(self) -> datetime | None:
        """The cut-off as an aware instant; a bare day ends at its last microsecond, in the extract's time zone."""
        if self.until is None:
            return None
        zone = ZoneInfo(self.time_zone or "UTC")
        if not isinstance(self.until, datetime):
            return datetime.combine(self.until, time.max, zone).astimezone(UTC)
        return (self.until if self.until.tzinfo else self.until.replace(tzinfo=zone)).astimezone(UTC)


class CsvOptions(Settings):
    """How a CSV file is written."""

    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    quote: Annotated[str, Field(max_length=1)] = '"'
    encoding: str = "utf-8"


class DatabaseSource(Settings):
    """A table or query of a source database; `url_env` names an environment variable that holds the address."""

    url: str | None = None
    url_env: str | None = None
    table: str | None = None
    query: str | None = None


class TableMapping(Settings):
    """How one curated table is filled. A source column of the curated name needs no entry in `columns`.

    `ignore` are source columns that nothing is made of, whatever they are called. `per_channel`, of consents alone,
    names a source column for each channel: yes or no to being contacted there. One row of the source becomes one
    consent for each channel that was answered.
    """

    source: str | tuple[str, ...] | None = None
    format: Format | None = None
    columns: dict[str, str] = Field(default_factory=dict)
    constants: dict[str, Scalar] = Field(default_factory=dict)
    values: dict[str, dict[str, str]] = Field(default_factory=dict)
    ignore: tuple[str, ...] = ()
    per_channel: dict[str, str] = Field(default_factory=dict)
    csv: CsvOptions = CsvOptions()
    sheet: str | None = None
    database: DatabaseSource | None = None
    date_formats: tuple[str, ...] = ()
    money: Literal["minor", "major"] = "minor"
    decimal: Literal[".", ","] = "."
    time_zone: str | None = None
    note: str | None = None

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, zone: str | None) -> str | None:
        return _checked_zone(zone)

    @property
    def sources(self) -> tuple[str, ...]:
        """The paths or patterns, as a tuple."""
        return (self.source,) if isinstance(self.source, str) else tuple(self.source or ())

    @property
    def kind(self) -> Format:
        """The format as given, or as the first source's suffix tells; a folder holds Parquet."""
        if self.format is not None:
            return self.format
        if self.database is not None:
            return "database"
        suffixes = [suffix for suffix in Path(self.sources[0]).suffixes if suffix != ".gz"]
        return _FORMAT_OF_SUFFIX.get(suffixes[-1].lower(), "csv") if suffixes else "parquet"


class Mapping(Settings):
    """A whole mapping file."""

    extract: Extract = Extract()
    tables: dict[str, TableMapping]


def read(path: Path) -> Mapping:
    """Return the mapping of a file, fully checked.

    Raises
    ------
    SettingsFault
        The file is not TOML, or any key or value is wrong; every fault is listed.
    """
    content = read_toml(path)
    faults = [_unknown_table(name) for name in content if name != "extract" and name not in CURATED]
    extract = _section_of(Extract, "extract", content.get("extract", {}), faults) or Extract()
    tables: dict[str, TableMapping] = {}
    for name in (name for name in content if name in CURATED):
        table = _section_of(TableMapping, name, content[name], faults)
        if table is not None:
            tables[name] = table
            faults += _faults_of(CURATED[name], table)
    if not tables and not faults:
        faults.append("no table is mapped. Add one section per table, such as [customers].")
    if faults:
        raise SettingsFault(path.name, faults)
    return Mapping(extract=extract, tables=tables)


def _section_of(model: type[Model], name: str, values: Any, faults: list[str]) -> Model | None:
    try:
        return validate(model, values, name)
    except SettingsFault as fault:
        faults += [f"[{name}] {text}" for text in fault.faults]
        return None


def write(mapping: Mapping, path: Path) -> None:
    """Write a mapping as TOML that `read` gives back unchanged."""
    content = mapping.model_dump(exclude_defaults=True, exclude_none=True)
    sections = {"extract": content.get("extract", {}), **content["tables"]}
    blocks = [_section(name, values) for name, values in sections.items() if values]
    path.write_text("\n".join(blocks), encoding="utf-8")


def toml_value(value: object) -> str:
    """Return a scalar, a list or a small table as TOML text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    if isinstance(value, Values):
        return "{ " + ", ".join(f"{_key(key)} = {toml_value(item)}" for key, item in value.items()) + " }"
    return _quoted(str(value))


def _section(name: str, values: Values[str, Any]) -> str:
    plain = {key: value for key, value in values.items() if not isinstance(value, Values)}
    nested = {key: value for key, value in values.items() if isinstance(value, Values) and value}
    lines = [
        *([f"[{name}]"] if plain or not nested else []),
        *(f"{_key(key)} = {toml_value(value)}" for key, value in plain.items()),
    ]
    return "\n".join([*lines, "", *(_section(f"{name}.{_key(key)}", value) for key, value in nested.items())])


def _key(name: str) -> str:
    bare = name.replace("_", "").replace("-", "")
    return name if bare.isascii() and bare.isalnum() else _quoted(name)


def _quoted(text: str) -> str:
    named = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return '"' + "".join(named.get(c, c if ord(c) >= 32 and ord(c) != 127 else f"\\u{ord(c):04x}") for c in text) + '"'


def _checked_zone(zone: str | None) -> str | None:
    if zone is None:
        return None
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise ValueError(f'no time zone of that name; write one such as "Europe/Prague", not "{zone}"') from None
    return zone


def _unknown_table(name: str) -> str:
    return str(UnknownName("table", name, CURATED))


def _faults_of(table: Table, mapping: TableMapping) -> list[str]:
    where = f"[{table.name}]"
    faults = _source_faults(where, mapping)
    names = tuple(column.name for column in table.source_columns)
    for key in ("columns", "constants", "values"):
        for column in getattr(mapping, key):
            if column not in names:
                faults.append(f"[{table.name}.{key}]: {UnknownName('column', column, names)}")
    faults += _channel_faults(table, mapping)
    both = sorted(set(mapping.columns) & set(mapping.constants))
    faults += [f"{where} {name}: both a column and a constant. Keep one." for name in both]
    return faults


def _channel_faults(table: Table, mapping: TableMapping) -> list[str]:
    if not mapping.per_channel:
        return []
    if table.name != "consents":
        return [f"[{table.name}] per_channel: only consents are told channel by channel. Take it out."]
    faults = [
        f"[consents.per_channel]: {UnknownName('channel', name, CONTACT_CHANNELS)}"
        for name in mapping.per_channel
        if name not in CONTACT_CHANNELS
    ]
    twice = sorted({"channel", "granted"} & {*mapping.columns, *mapping.constants})
    if twice:
        faults.append(f"[consents] {' and '.join(twice)}: per_channel gives them already. Keep one.")
    return faults


def _source_faults(where: str, mapping: TableMapping) -> list[str]:
    if mapping.source is not None and mapping.database is not None:
        return [f"{where}: both source and database are given. Keep one."]
    if mapping.database is None:
        if mapping.format == "database":
            return [f'{where}: format = "database" needs [{where[1:-1]}.database] with url or url_env.']
        return [] if mapping.sources else [f"{where} source: missing. Name a file, a pattern, a folder or a database."]
    given = mapping.database
    faults = []
    if (given.url is None) == (given.url_env is None):
        faults.append(f"{where} database: give either url or url_env.")
    if (given.table is None) == (given.query is None):
        faults.append(f"{where} database: give either table or query.")
    return faults
