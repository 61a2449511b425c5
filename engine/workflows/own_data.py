"""A bank's own files, from a path to a mapping that `wayline data load` repeats: picked, matched, checked, loaded."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Mapping as Values
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from itertools import islice
from pathlib import Path
from typing import Any, Final, Literal

from engine.config.bank import BankSettings
from engine.config.intake import IntakeSettings
from engine.config.load import read_toml
from engine.domain.access import Right, Viewer
from engine.domain.curated import CURATED
from engine.domain.errors import ContractBroken, SaidInBoth, SettingsFault, WaylineError
from engine.domain.schema import Kind, Table
from engine.domain.words import CONTACT_CHANNELS, MARKETING
from engine.intake import dictionary, error_file, importers, mapping, matching, picking, templates
from engine.intake.mapping import DatabaseSource, Extract, Mapping, TableMapping
from engine.intake.matching import Match
from engine.intake.picking import Head
from engine.lake.jobs import Job
from engine.workflows import jobs, session

MAPPING: Final = "mapping.toml"
ERRORS: Final = "errors.csv"
LIKELY: Final = 0.3
"""The score from which a table is proposed for a file; below it, a person chooses."""
PUBLIC_SETS: Final[Values[str, tuple[str, ...]]] = {
    "berka": ("account.asc", "client.asc", "loan.asc", "disp.asc"),
    "bpi2012": ("bpi2012_events.csv.gz",),
    "vanguard": ("df_final_demo.txt.gz", "visit_steps.csv.gz"),
}
"""Public sets that have an importer of their own, by files that lie in their folders."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One source and what it is taken for: the table, a source column for curated columns, how values are written."""

    head: Head
    table: str | None
    columns: Values[str, str] = field(default_factory=dict)
    constants: Values[str, str] = field(default_factory=dict)
    values: Values[str, Values[str, str]] = field(default_factory=dict)
    date_formats: tuple[str, ...] = ()
    money: Literal["minor", "major"] = "major"
    decimal: Literal[".", ","] = "."
    time_zone: str | None = None
    matches: tuple[Match, ...] = ()
    more: tuple[Head, ...] = ()
    """Other files with the same columns, which are read as one with it."""

    @property
    def name(self) -> str:
        """The name of the source, and how many more are read with it."""
        return self.head.source.name + (f" (+{len(self.more)})" if self.more else "")

    @property
    def missing(self) -> tuple[str, ...]:
        """The required columns that neither a column nor a constant fills."""
        if self.table is None:
            return ()
        filled = {*self.columns, *self.constants}
        return tuple(c.name for c in CURATED[self.table].source_columns if c.required and c.name not in filled)


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """Who agreed to be contacted where: a column of the customers' file for each channel; none when no file says."""

    per_channel: Values[str, str] = field(default_factory=dict)
    recorded_at: str | None = None
    """The column that tells when the customer answered."""
    recorded_on: date | None = None
    """The day on which all answers were recorded, where no column tells."""


def look(viewer: Viewer, home: Path, *paths: str) -> tuple[Head, ...]:
    """Return the sources at some paths with their first rows; those that cannot be read are left out.

    Raises
    ------
    NotAllowed, SettingsFault
    SaidInBoth, UnreadableSource
        Nothing at any of the paths can be read: why the first of it cannot.
    """
    heads, faults = looked_at(viewer, home, *paths)
    if not heads and faults:
        raise faults[0]
    return heads


def looked_at(viewer: Viewer, home: Path, *paths: str) -> tuple[tuple[Head, ...], tuple[WaylineError, ...]]:
    """Return the sources at some paths with their first rows, and why others cannot be read."""
    viewer.require(Right.LOAD_DATA)
    workspace = session.workspace_at(home)
    rules = session.settings(workspace, IntakeSettings, "intake")
    heads, faults = list[Head](), list[WaylineError]()
    for path in paths:
        for source in picking.look(path, allowed=rules.picking.folders, kept_out=workspace.home):
            try:
                heads.append(picking.head(source, rules))
            except (SaidInBoth, ContractBroken) as fault:
                faults.append(fault)
    return tuple(heads), tuple(faults)


def public_set(path: str) -> str | None:
    """Return the public data set whose folder a path is, if Wayline has an importer for it."""
    folder = Path(path.strip())
    for name, members in PUBLIC_SETS.items():
        if name in importers.NAMES and all((folder / one).is_file() for one in members):
            return name
    return None


def keep_upload(viewer: Viewer, home: Path, name: str, content: bytes) -> Path:
    """Keep an uploaded file in the workspace and return its path; a former one of that name is replaced.

    Raises
    ------
    NotAllowed
    SaidInBoth
        It is larger than uploads may be.
    """
    viewer.require(Right.LOAD_DATA)
    workspace = session.workspace_at(home)
    most = session.settings(workspace, IntakeSettings, "intake").picking.upload_megabytes
    if len(content) > most * 1_000_000:
        raise SaidInBoth(
            f"{name} is larger than {most} MB. Put it on this machine and name its path.",
            f"{name} 超过 {most} MB，请放到本机并填写路径。",
        )
    folder = workspace.home / picking.UPLOADS
    folder.mkdir(parents=True, exist_ok=True)
    plain = re.sub(r"[^\w.\- ]", "_", Path(name).name).lstrip(".") or "file.csv"
    (folder / plain).write_bytes(content)
    return folder / plain


def propose(viewer: Viewer, home: Path, heads: Sequence[Head], currency: str = "") -> tuple[File, ...]:
    """Return what each source is taken for: each table from one source, or from several with the same columns.

    `currency` is that of amounts in files that name none; by default the bank's own.
    """
    viewer.require(Right.LOAD_DATA)
    currency = currency or session.settings(session.workspace_at(home), BankSettings, "bank").base_currency
    grouped: dict[tuple[str, ...], list[Head]] = {}
    for head in heads:
        grouped.setdefault((head.source.kind, head.source.path.suffix, *head.columns), []).append(head)
    ranked = {key: matching.tables(group[0].source.name, group[0].columns) for key, group in grouped.items()}
    pairs = sorted(
        ((one.score, key, one.table) for key, found in ranked.items() for one in found if one.score >= LIKELY),
        key=lambda pair: (-pair[0], pair[1]),
    )
    chosen: dict[tuple[str, ...], str] = {}
    for _, key, table in pairs:
        if key not in chosen and table not in chosen.values():
            chosen[key] = table
    return tuple(_taken(group, chosen.get(key), currency) for key, group in grouped.items())


def _taken(group: Sequence[Head], table: str | None, currency: str) -> File:
    return taken_for(File(head=group[0], table=None, more=tuple(group[1:])), table, currency)


def taken_for(file: File, table: str | None, currency: str) -> File:
    """Return a source as it is matched to a table; with no table it is left out."""
    if table is None:
        return File(head=file.head, more=file.more, table=None)
    contract, head = CURATED[table], file.head
    matches = matching.columns(contract, head.columns)
    money = [match.source for match in matches if contract.column(match.column).kind is Kind.MONEY]
    amounts = [value for source in money for value in head.columns[source]]
    found = {match.column for match in matches}
    needs_currency = "currency" in contract.names and "currency" not in found
    return File(
        head=head,
        more=file.more,
        table=table,
        columns={match.column: match.source for match in matches},
        constants={"currency": currency} if needs_currency else {},
        values={match.column: dict(match.values) for match in matches if match.values},
        date_formats=tuple(dict.fromkeys(one for match in matches for one in match.formats)),
        money=matching.money_of(money, amounts),
        decimal=matching.decimal_of(amounts),
        matches=matches,
    )


def rematched(file: File, columns: Values[str, str], constants: Values[str, str]) -> File:
    """Return a source with the columns that a person chose; how they are written is found out again.

    Formats and words of columns that were matched before stay where the column stays.
    """
    assert file.table is not None, "only a file that is taken for a table has columns to choose"
    contract = CURATED[file.table]
    formats: list[str] = []
    values: dict[str, Values[str, str]] = {}
    for name, source in columns.items():
        _, written, words = matching.fit_of(
            contract, contract.column(name), [v.strip() for v in file.head.columns[source] if v.strip()]
        )
        formats += written
        if words:
            values[name] = words
    kept = {name: value for name, value in constants.items() if value and name not in columns}
    return replace(
        file, columns=dict(columns), constants=kept, values=values, date_formats=tuple(dict.fromkeys(formats))
    )


def suggested_consent(files: Sequence[File]) -> Consent:
    """Return the columns of the customers' file that look like a yes or no to a channel, and like the day of it."""
    customers = next((file for file in files if file.table == "customers"), None)
    if customers is None:
        return Consent()
    found: dict[str, str] = {}
    names = {
        "email": ("mail", "邮件", "邮箱"),
        "sms": ("sms", "短信"),
        "phone": ("phone", "call", "电话"),
        "push": ("push", "推送"),
        "post": ("post", "letter", "信函", "邮寄"),
    }
    for channel, words in names.items():
        for source in customers.head.columns:
            if any(word in source.lower() for word in words) and is_answer(customers, source):
                found.setdefault(channel, source)
    if not found:
        return Consent()
    left = {name: values for name, values in customers.head.columns.items() if name not in customers.columns.values()}
    dated = [match for match in matching.columns(CURATED["consents"], left) if match.column == "recorded_at"]
    told = dated[0].source if dated and "name" in dated[0].by else None
    return Consent(per_channel=found, recorded_at=told)


def is_answer(file: File, source: str) -> bool:
    """Return whether a column holds yes or no."""
    values = [value.strip() for value in file.head.columns[source] if value.strip()]
    granted = CURATED["consents"].column("granted")
    return bool(values) and matching.fit_of(CURATED["consents"], granted, values)[0] >= 0.9


def exportable(files: Sequence[File], consent: Consent) -> tuple[str, ...]:
    """Return the channels for which anybody may be contacted by what the files say; none means nothing leaves."""
    if any(file.table == "consents" for file in files):
        return CONTACT_CHANNELS  # the file says, row by row
    return tuple(channel for channel in CONTACT_CHANNELS if channel in consent.per_channel)


def to_mapping(files: Sequence[File], consent: Consent, until: datetime | date | None, zone: str | None) -> Mapping:
    """Return the mapping that loads the files as they are taken.

    Raises
    ------
    SaidInBoth
        Nothing is taken for a table, a table is filled twice, a required column is not filled, or consents have no day.
    """
    taken = [file for file in files if file.table is not None]
    _refuse_gaps(taken, consent)
    tables = {name: _section(file) for name in CURATED for file in taken if file.table == name}
    if consent.per_channel and "consents" not in tables:
        tables["consents"] = _consents(next(file for file in taken if file.table == "customers"), consent)
    return Mapping(extract=Extract(until=until, time_zone=zone), tables=tables)


def _refuse_gaps(taken: Sequence[File], consent: Consent) -> None:
    if not taken:
        raise SaidInBoth("No file is taken for a table. Choose one above.", "尚未为任何文件选择数据表，请在上方选择。")
    twice = sorted({str(f.table) for f in taken if sum(other.table == f.table for other in taken) > 1})
    if twice:
        raise SaidInBoth(
            f"Two files are taken for {', '.join(twice)}. Give one of them another table, or leave it out.",
            f"有两个文件对应 {'、'.join(twice)}，请为其一选择其他数据表或不使用。",
        )
    gaps = {file.name: file.missing for file in taken if file.missing}
    if gaps:
        listed = "; ".join(f"{name}: {', '.join(missing)}" for name, missing in gaps.items())
        raise SaidInBoth(
            f"Required columns are not filled: {listed}. Choose a column or one value for all rows.",
            f"必填列尚未填写：{listed}。请选择一列，或为所有行填写同一个值。",
        )
    if consent.per_channel and consent.recorded_at is None and consent.recorded_on is None:
        raise SaidInBoth(
            "Consents need the day on which they were given: choose the column that tells, or one day for all.",
            "同意须注明日期：请选择记录日期的列，或为全部填写同一天。",
        )
    if consent.per_channel and not any(file.table == "customers" for file in taken):
        raise SaidInBoth(
            "Consents by channel are columns of the customers' file, and no file is taken for customers.",
            "按渠道的同意来自客户文件，但尚无文件对应客户表。",
        )


def _section(file: File) -> TableMapping:
    options = {
        # a column called like one of the table that was not chosen for it must not fill it
        "ignore": tuple(name for name in file.head.columns if name in _left_out(file)),
        "columns": {name: source for name, source in file.columns.items() if name != source},
        "constants": dict(file.constants),
        "values": {name: dict(words) for name, words in file.values.items() if name in file.columns},
        "date_formats": _formats(file),
        "money": file.money,
        "decimal": file.decimal,
        "time_zone": file.time_zone,
    }
    return TableMapping(**_source(file), **options)


def _left_out(file: File) -> set[str]:
    names = set(CURATED[file.table or ""].names)
    return {name for name in file.head.columns if name in names and name not in file.columns.values()}


def _formats(file: File) -> tuple[str, ...]:
    """Return the formats of all dates of a file: those of ISO 8601 must stand there too once any format does."""
    if not file.date_formats:
        return ()
    contract = CURATED[file.table or ""]
    dated = [s for n, s in file.columns.items() if contract.column(n).kind in (Kind.DATE, Kind.INSTANT)]
    iso = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d")
    others = any(re.match(r"\d{4}-\d{2}-\d{2}", value) for source in dated for value in file.head.columns[source])
    return (*file.date_formats, *iso) if others else file.date_formats


def _source(file: File) -> dict[str, Any]:
    source = file.head.source
    if source.kind == "database":
        return {"database": DatabaseSource(url=picking.address(source), table=source.part)}
    paths = tuple(str(one.source.path) for one in (file.head, *file.more))
    found: dict[str, Any] = {"source": paths[0] if len(paths) == 1 else paths, "csv": file.head.csv}
    return found | ({"sheet": source.part} if source.part else {}) | {"format": source.kind}


def _consents(file: File, consent: Consent) -> TableMapping:
    words = {
        value: word
        for source in consent.per_channel.values()
        for value, word in matching.fit_of(
            CURATED["consents"],
            CURATED["consents"].column("granted"),
            [v.strip() for v in file.head.columns[source] if v.strip()],
        )[2].items()
    }
    columns = {"customer_id": file.columns["customer_id"]} if "customer_id" in file.columns else {}
    constants: dict[str, str | int | float | bool] = {"purpose": MARKETING}
    formats: tuple[str, ...] = ()
    if consent.recorded_at is not None:
        columns["recorded_at"] = consent.recorded_at
        values = [value.strip() for value in file.head.columns[consent.recorded_at] if value.strip()]
        formats = matching.fit_of(CURATED["consents"], CURATED["consents"].column("recorded_at"), values)[1]
    elif consent.recorded_on is not None:
        constants["recorded_at"] = datetime.combine(consent.recorded_on, time.min, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return TableMapping(
        **_source(file),
        columns=columns,
        constants=constants,
        values={"granted": words} if words else {},
        per_channel=dict(consent.per_channel),
        ignore=_all_others(file, consent, columns),
        date_formats=formats,
        time_zone=file.time_zone,
    )


def _all_others(file: File, consent: Consent, columns: Values[str, str]) -> tuple[str, ...]:
    used = {*consent.per_channel.values(), *columns.values()}
    return tuple(name for name in file.head.columns if name not in used)


def save(viewer: Viewer, home: Path, made: Mapping) -> Path:
    """Write the mapping into the workspace, read it back to be sure of it, and return its path.

    Raises
    ------
    NotAllowed
    SettingsFault
        The mapping is wrong; every fault is listed.
    """
    viewer.require(Right.LOAD_DATA)
    workspace = session.workspace_at(home)
    workspace.home.mkdir(parents=True, exist_ok=True)
    target = workspace.home / MAPPING
    aside = target.with_name(f"{MAPPING}.new")
    try:
        mapping.write(made, aside)
        if mapping.read(aside) != made:
            raise SettingsFault(MAPPING, ["it does not read as it was written; report this, with the file."])
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)
    return target


def keep_currency(viewer: Viewer, home: Path, currency: str) -> None:
    """Make a currency the workspace's base currency; what is the base currency already is left as it is.

    Raises
    ------
    NotAllowed
    SaidInBoth
        It is no currency code, or the workspace's settings name another on purpose.
    """
    viewer.require(Right.LOAD_DATA)
    workspace = session.workspace_at(home)
    if currency == session.settings(workspace, BankSettings, "bank").base_currency:
        return
    if not re.fullmatch("[A-Z]{3}", currency):
        raise SaidInBoth(
            f'"{currency}" is no currency code. Write three capital letters, such as EUR.',
            f"“{currency}”不是币种代码，请写三个大写字母，如 EUR。",
        )
    file = workspace.settings_file
    if file.is_file() and "bank" in read_toml(file):
        raise SaidInBoth(
            f"The settings of this workspace name another base currency. Change it under [bank] in {file.name}.",
            f"本工作区设置了其他本位币，请在 {file.name} 的 [bank] 中修改。",
        )
    before = file.read_text(encoding="utf-8").rstrip() + "\n\n" if file.is_file() else ""
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_name(f"{file.name}.new")
    aside.write_text(
        f'{before}[bank]\nbase_currency = "{currency}"\n\n[bank.rates]\n{currency} = 1.0\n', encoding="utf-8"
    )
    aside.replace(file)


def begin_check(viewer: Viewer, home: Path) -> Job:
    """Start the check of the saved mapping as a job; its result is the report, its errors a file in the workspace."""
    place = session.workspace_at(home).home
    (place / ERRORS).unlink(missing_ok=True)
    return jobs.start(viewer, home, "check", [str(place / MAPPING), "--errors", str(place / ERRORS)])


def begin_load(viewer: Viewer, home: Path) -> Job:
    """Start the load of the saved mapping as a job."""
    return jobs.start(viewer, home, "load", [str(session.workspace_at(home).home / MAPPING)])


def errors_file(viewer: Viewer, home: Path) -> bytes | None:
    """Return the file of rows to mend that the last check wrote, values masked; None where it wrote none."""
    viewer.require(Right.LOAD_DATA)
    path = session.workspace_at(home).home / ERRORS
    return path.read_bytes() if path.is_file() else None


def examples(viewer: Viewer, home: Path, each: int = 3) -> list[dict[str, str]]:
    """Return the first rows to mend of every table, column and code that the last check found, values masked."""
    content = errors_file(viewer, home)
    if content is None:
        return []
    seen: dict[tuple[str, str, str], int] = {}
    found = []
    for row in islice(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))), 200_000):
        key = (row["table"], row["field"], row["error_code"])
        seen[key] = seen.get(key, 0) + 1
        if seen[key] <= each:
            found.append(row)
    return found


def sample_values(file: File, column: str, source: str, count: int = 5) -> list[str]:
    """Return some values of a source column as they may be shown beside the curated column: personal ones veiled."""
    table = CURATED[file.table] if file.table else None
    values = list(dict.fromkeys(value for value in file.head.columns.get(source, ()) if value.strip()))[:count]
    return [_shown(table, column, value) for value in values]


def _shown(table: Table | None, column: str, value: str) -> str:
    return error_file.masked(table, column, value) if table else error_file.veiled(value)


def templates_zip() -> bytes:
    """Return a file for every table with its header and three example rows, a mapping of them, and the dictionary."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in templates.render().items():
            archive.writestr(name, text)
        for language in ("en", "zh"):
            archive.writestr(f"dictionary.{language}.md", dictionary.render(language))
    return packed.getvalue()
