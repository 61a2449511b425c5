"""One source column to one curated column: the SQL that trims, translates and types a value.

Three names per column c, each layer reading the one before: `r_c` the trimmed source value, `v_c` the typed value,
and helpers `s_c` (amount in minor units before rounding) and `a_c` (true where a text instant carries an offset).
DuckDB SQL, and only here and in the modules of intake that run it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from engine.config.bank import BankSettings
from engine.config.intake import IntakeSettings
from engine.domain.money import minor_digits
from engine.domain.schema import Column, Kind, Table
from engine.intake.mapping import Scalar, TableMapping
from engine.lake.engine import identifier, quoted

SQL_TYPE: Final = {
    Kind.TEXT: "VARCHAR",
    Kind.INTEGER: "BIGINT",
    Kind.NUMBER: "DOUBLE",
    Kind.SHARE: "DOUBLE",
    Kind.MONEY: "BIGINT",
    Kind.BOOLEAN: "BOOLEAN",
    Kind.DATE: "DATE",
    Kind.INSTANT: "TIMESTAMP",
}
# an offset counts only after a time of day, so that the last "-05" of a bare date is none
_OFFSET: Final = r"[T ]\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?\s*([Zz]|[+-]\d{2}(:?\d{2})?)$"
_INTEGERS: Final = (
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
    "HUGEINT",
)
# not the no-break space: it is the last byte of many Chinese characters read in the wrong encoding
BLANKS: Final = " \t\r\n\u3000\ufeff"
_EPOCHS: Final = {"epoch_s": 1_000_000, "epoch_ms": 1_000, "epoch_us": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """How one curated column comes about. `source_type` is empty for a constant."""

    column: Column
    source: str
    source_type: str
    raw: str
    helpers: tuple[tuple[str, str], ...]
    value: str

    @property
    def is_text(self) -> bool:
        """Whether the source holds text, so that anything may stand in it."""
        return self.source_type == "VARCHAR"

    @property
    def name(self) -> str:
        """The curated name."""
        return self.column.name

    @property
    def may_be_wrong(self) -> bool:
        """Whether a value may fail to become what the column holds."""
        infinite = self.column.kind in {Kind.NUMBER, Kind.SHARE}
        return bool(self.source_type) and (infinite or self.source_type != SQL_TYPE[self.column.kind])


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the cells of one table need to know beside their own column."""

    table: Table
    mapping: TableMapping
    zone: str | None
    bank: BankSettings
    rules: IntakeSettings

    def enabled(self, repair: str) -> bool:
        """Whether a repair is switched on."""
        return any(name == repair and rule.enabled for name, rule in self.rules.repairs.items())


def is_human_text(table: Table, column: Column) -> bool:
    """Say whether people wrote or read the text, so that a wrong encoding may have spoilt it; ids are left alone."""
    plain = column.kind is Kind.TEXT and not column.choices and column.references is None
    return plain and column.name not in {*table.key, "id_value", "currency"} and not column.name.endswith("_id")


def build(reading: Reading, source_types: Mapping[str, str]) -> tuple[Cell, ...]:
    """Return the cells of every curated column that the source or a constant fills, in the contract's order."""
    cells = []
    for column in reading.table.source_columns:
        if column.name in reading.mapping.constants:
            cells.append(_constant(reading, column, reading.mapping.constants[column.name]))
            continue
        source = reading.mapping.columns.get(column.name, column.name)
        left_out = source in reading.mapping.ignore and column.name not in reading.mapping.columns
        if source in source_types and not left_out:
            cells.append(_cell(reading, column, source, source_types[source]))
    return tuple(cells)


def _constant(reading: Reading, column: Column, constant: Scalar) -> Cell:
    text = str(constant).lower() if isinstance(constant, bool) else str(constant)
    cell = _cell(reading, column, "", "VARCHAR")
    return Cell(column=column, source="", source_type="", raw=quoted(text), helpers=cell.helpers, value=cell.value)


def _cell(reading: Reading, column: Column, source: str, source_type: str) -> Cell:
    kind = _plain_type(source_type)
    raw = _raw(reading, column, identifier(source), kind)
    helpers, value = _typed(reading, column, kind)
    return Cell(column=column, source=source, source_type=kind, raw=raw, helpers=helpers, value=value)


def _plain_type(source_type: str) -> str:
    """Return one name for instants of any precision, with an offset or without."""
    if not source_type.startswith("TIMESTAMP"):
        return source_type
    return "TIMESTAMPTZ" if source_type.startswith("TIMESTAMPTZ") or "TIME ZONE" in source_type else "TIMESTAMP"


def trimmed(reading: Reading, source: str) -> str:
    """Return SQL of a source text without blanks around it; empty is NULL.

    In Parquet only spaces are looked for: tabs and line ends come from text files, and looking for all of them takes
    as long as everything else that is asked of a row.
    """
    blanks = "" if reading.mapping.kind == "parquet" else f", {quoted(BLANKS)}"
    return f"nullif(trim({source}{blanks}), '')"


def _raw(reading: Reading, column: Column, source: str, kind: str) -> str:
    if kind == "VARCHAR":
        text = trimmed(reading, source) if reading.enabled("trim_space") else f"nullif({source}, '')"
        if column.kind is not Kind.TEXT:
            text = f"CASE WHEN lower({text}) NOT IN ({_listed(reading.rules.judgement.null_words)}) THEN {text} END"
        return _translated(reading, column, text)
    if kind in {"FLOAT", "DOUBLE"}:
        return f"CASE WHEN NOT isnan({source}) THEN {source} END"
    if column.name in reading.mapping.values:
        return _translated(reading, column, f"CAST({source} AS VARCHAR)")
    return source


def _translated(reading: Reading, column: Column, text: str) -> str:
    pairs = reading.mapping.values.get(column.name)
    if not pairs:
        return text
    cases = " ".join(f"WHEN {quoted(old)} THEN {quoted(new)}" for old, new in pairs.items())
    return f"CASE {text} {cases} ELSE {text} END"


def _typed(reading: Reading, column: Column, kind: str) -> tuple[tuple[tuple[str, str], ...], str]:
    raw = identifier(f"r_{column.name}")
    if column.name in reading.mapping.values:
        kind = "VARCHAR"
    if column.kind is Kind.MONEY:
        return _money(reading, column, raw, kind)
    if column.kind is Kind.INSTANT:
        return _instant(reading, column, raw, kind)
    if column.kind is Kind.TEXT:
        return (), _text(reading, column, raw, kind)
    plain = {Kind.INTEGER: _integer, Kind.BOOLEAN: _boolean}
    written = {Kind.NUMBER: _number, Kind.SHARE: _number, Kind.DATE: _date}
    return (), plain[column.kind](raw, kind) if column.kind in plain else written[column.kind](reading, raw, kind)


def _text(reading: Reading, column: Column, raw: str, kind: str) -> str:
    text = raw
    if kind in {"FLOAT", "DOUBLE"}:  # an id that a spreadsheet made a number
        whole = f"CAST(CAST({raw} AS BIGINT) AS VARCHAR)"
        text = f"CASE WHEN {raw} = trunc({raw}) THEN {whole} ELSE CAST({raw} AS VARCHAR) END"
    elif kind != "VARCHAR":
        text = f"CAST({raw} AS VARCHAR)"
    if column.name == "currency":
        return f"upper({text})" if reading.enabled("fold_choice") else text
    if not column.choices:
        return text
    listed = _listed(column.choices)
    folded = f"replace(replace(lower({text}), ' ', '_'), '-', '_')"
    other = f" WHEN {folded} IN ({listed}) THEN {folded}" if reading.enabled("fold_choice") else ""
    return f"CASE WHEN {text} IN ({listed}) THEN {text}{other} END"


def _integer(raw: str, kind: str) -> str:
    if kind in _INTEGERS:
        return f"TRY_CAST({raw} AS BIGINT)"
    if kind == "VARCHAR":
        return f"CASE WHEN regexp_full_match({raw}, '[+-]?\\d+(\\.0*)?') THEN TRY_CAST({raw} AS BIGINT) END"
    if kind in {"FLOAT", "DOUBLE"} or kind.startswith("DECIMAL"):
        return f"CASE WHEN {raw} = trunc({raw}) THEN TRY_CAST({raw} AS BIGINT) END"
    return "NULL::BIGINT"


def _number(reading: Reading, raw: str, kind: str) -> str:
    number = f"TRY_CAST({_point(reading, raw) if kind == 'VARCHAR' else raw} AS DOUBLE)"
    return f"CASE WHEN isfinite({number}) THEN {number} END"


def _point(reading: Reading, raw: str) -> str:
    """Return SQL of a number's text with a point for its decimal sign and no thousands separators."""
    thousands = "." if reading.mapping.decimal == "," else ","
    plain = f"replace({raw}, '{thousands}', '')"
    return f"replace({plain}, ',', '.')" if reading.mapping.decimal == "," else plain


def _money(reading: Reading, column: Column, raw: str, kind: str) -> tuple[tuple[tuple[str, str], ...], str]:
    if kind in _INTEGERS and reading.mapping.money == "minor":
        return (), f"TRY_CAST({raw} AS BIGINT)"
    amount = f"TRY_CAST({_point(reading, raw) if kind == 'VARCHAR' else raw} AS DECIMAL(28, 8))"
    if reading.mapping.money == "major":
        amount = f"{amount} * {_units(reading, column)}"
    helper = f"s_{column.name}"
    exact = identifier(helper)
    whole = f"TRY_CAST(round({exact}) AS BIGINT)"
    if not reading.enabled("round_money"):
        whole = f"CASE WHEN {exact} = round({exact}) THEN {whole} END"
    return ((helper, amount),), whole


def _units(reading: Reading, column: Column) -> str:
    """Return SQL of how many minor units one major unit of the row's currency has."""
    base = 10 ** minor_digits(reading.bank.base_currency)
    if "base currency" in (column.unit or "") or "currency" not in reading.table.names:
        return f"{base}::DECIMAL(4, 0)"
    odd = {c: 10 ** minor_digits(c) for c in sorted(reading.bank.rates) if minor_digits(c) != 2}
    cases = " ".join(f"WHEN {quoted(currency)} THEN {units}" for currency, units in odd.items())
    return f"(CASE v_currency {cases} ELSE 100 END)::DECIMAL(4, 0)" if cases else "100::DECIMAL(4, 0)"


def _boolean(raw: str, kind: str) -> str:
    if kind == "BOOLEAN":
        return raw
    text = f"lower(CAST({raw} AS VARCHAR))"
    return (
        f"CASE WHEN {text} IN ('true', 't', 'yes', 'y', '1', '1.0') THEN true "
        f"WHEN {text} IN ('false', 'f', 'no', 'n', '0', '0.0') THEN false END"
    )


def _date(reading: Reading, raw: str, kind: str) -> str:
    if kind in {"DATE", "TIMESTAMP", "TIMESTAMPTZ"}:
        return f"CAST({raw} AT TIME ZONE 'UTC' AS DATE)" if kind == "TIMESTAMPTZ" else f"CAST({raw} AS DATE)"
    text = raw if kind == "VARCHAR" else f"CAST({raw} AS VARCHAR)"
    moment = parsed(reading, text)
    return f"CASE WHEN isfinite({moment}) THEN CAST({moment} AS DATE) END"


def parsed(reading: Reading, text: str) -> str:
    """Return SQL of the naive instant that a text gives in one of the mapping's formats; NULL when it gives none."""
    formats = [f for f in reading.mapping.date_formats if f not in _EPOCHS]
    if formats:
        return f"try_strptime({text}, [{_listed(formats)}])"
    return f"TRY_CAST({text} AS TIMESTAMP)"


def _instant(reading: Reading, column: Column, raw: str, kind: str) -> tuple[tuple[tuple[str, str], ...], str]:
    epochs = [name for name in reading.mapping.date_formats if name in _EPOCHS]
    if epochs and (kind in _INTEGERS or kind == "VARCHAR"):
        return (), f"make_timestamp(TRY_CAST({raw} AS BIGINT) * {_EPOCHS[epochs[0]]})"
    if kind == "TIMESTAMPTZ":
        return (), f"CAST({raw} AT TIME ZONE 'UTC' AS TIMESTAMP)"
    if kind in {"TIMESTAMP", "DATE"}:
        return (), in_zone(f"CAST({raw} AS TIMESTAMP)", reading.zone)
    text = raw if kind == "VARCHAR" else f"CAST({raw} AS VARCHAR)"
    aware = identifier(f"a_{column.name}")
    naive = in_zone(parsed(reading, text), reading.zone)
    moment = f"CASE WHEN {aware} THEN TRY_CAST({text} AS TIMESTAMPTZ) AT TIME ZONE 'UTC' ELSE {naive} END"
    return ((f"a_{column.name}", has_offset(text)),), f"CASE WHEN isfinite({moment}) THEN {moment} END"


def has_offset(text: str) -> str:
    """Return SQL that says whether an instant's text carries an offset from UTC."""
    return f"regexp_matches({text}, {quoted(_OFFSET)})"


def in_zone(naive: str, zone: str | None) -> str:
    """Return SQL of the naive UTC instant at which clocks of a zone show a naive one; None is UTC."""
    if zone in {None, "UTC"}:
        return naive
    return f"timezone('UTC', timezone({quoted(zone or 'UTC')}, {naive}))"


def base_amount(bank: BankSettings, amount: str, currency: str) -> str:
    """Return SQL of an amount in minor units of the base currency at the bank's reference rate.

    Exact decimal arithmetic, rounded half away from zero as a ledger does.
    """
    base = minor_digits(bank.base_currency)
    cases = [f"WHEN {quoted(bank.base_currency)} THEN {amount}"]
    for code, rate in sorted(bank.rates.items()):
        if code != bank.base_currency:
            factor = Decimal(str(rate)).scaleb(base - minor_digits(code))
            exact = f"CAST({amount} AS DECIMAL(20, 0)) * CAST('{factor:f}' AS DECIMAL(18, 8))"
            cases.append(f"WHEN {quoted(code)} THEN TRY_CAST(round({exact}) AS BIGINT)")
    return f"CASE {currency} {' '.join(cases)} END"


def _listed(values: Iterable[str]) -> str:
    return ", ".join(quoted(value) for value in values)
