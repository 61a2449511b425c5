"""Which column of a bank's file is which column of a curated table: by name, by synonyms in two languages, by values.

Pure: a few sampled texts go in, a proposal with its confidence comes out. A person confirms it; nothing is loaded here.
"""

from __future__ import annotations

import math
import re
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher
from functools import cache
from importlib.resources import files
from typing import Any, Final, Literal

import numpy as np
from scipy.optimize import linear_sum_assignment

from engine.domain.curated import CURATED
from engine.domain.schema import Column, Kind, Table

Confidence = Literal["sure", "likely", "guess"]
Sample = Mapping[str, Sequence[str]]
"""Column of a file -> some of its values as they stand there; an empty one is an empty text."""

PROPOSED: Final = 0.45
"""A match below this score is not proposed: a wrong match costs a person more than a missing one."""
_SURE, _LIKELY = 0.88, 0.65
_NUMBER: Final = re.compile(r"[+-]?(\d{1,3}([,.' ]\d{3})+|\d+)([.,]\d+)?([eE][+-]?\d+)?")
_WHOLE: Final = re.compile(r"[+-]?\d+(\.0*)?")
_ISO: Final = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}([.,]\d+)?)?\s*([Zz]|[+-]\d{2}(:?\d{2})?)?)?")
_CODE: Final = re.compile(r"[A-Z]{3}")
_TRUTH: Final = frozenset({"true", "t", "yes", "y", "1", "1.0", "false", "f", "no", "n", "0", "0.0"})
_NULLS: Final = frozenset({"", "null", "none", "na", "n/a", "nan", "nat", "-", "\\n", "unknown", "未知"})
FORMATS: Final = (
    "%Y%m%d",
    "%d.%m.%Y",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M:%S",
    "%d-%m-%Y",
    "%Y/%m/%d",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d %H:%M:%S",
    "%Y%m%d%H%M%S",
    "%Y%m%d %H:%M:%S",
    "%Y年%m月%d日",
    "%y%m%d",
    "%y%m%d %H:%M:%S",
)
"""Ways of writing a day or an instant that intake reads when the mapping names them; ISO 8601 needs no name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """A column of the file proposed for a curated column; `score` is 0 to 1.

    `by` says what spoke for it: `name` for the name itself or a known synonym, `likeness` for a similar one, `values`
    for what stands in it. `formats` are those in which its dates are written; `values` translates its words.
    """

    column: str
    source: str
    score: float
    by: tuple[str, ...]
    formats: tuple[str, ...] = ()
    values: Mapping[str, str] | None = None

    @property
    def confidence(self) -> Confidence:
        """The score in a word."""
        return "sure" if self.score >= _SURE else "likely" if self.score >= _LIKELY else "guess"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """How one file may fill one table: its matches, and the required columns that nothing fills."""

    table: str
    score: float
    matches: tuple[Match, ...]
    missing: tuple[str, ...]


@cache
def _known() -> dict[str, Any]:
    return tomllib.loads((files("engine.intake") / "synonyms.toml").read_text(encoding="utf-8"))


def tables(name: str, sample: Sample) -> tuple[Proposal, ...]:
    """Return how a file may fill each table, the likeliest first; tables that nothing speaks for are left out.

    `name` is the file's, which speaks too; a file without columns fits nothing.
    """
    stem = words_of(re.split(r"[./\\]", re.sub(r"\.(gz|zip)$", "", name))[0]) if name else ()
    found = [_rated(table, sample, stem) for table in CURATED.values()]
    return tuple(sorted((one for one in found if one.score > 0), key=lambda one: -one.score))


def _rated(table: Table, sample: Sample, stem: tuple[str, ...]) -> Proposal:
    matches = columns(table, sample)
    known = {match.column: match.score for match in matches}
    required = [column.name for column in table.source_columns if column.required and column.name != "currency"]
    filled = sum(known.get(name, 0.0) for name in required) / len(required)
    used = sum(known.values()) / max(len(sample), 1)
    named = _table_name_score(table.name, stem)
    score = 0.45 * filled + 0.25 * used + 0.3 * named if matches else 0.0
    missing = tuple(c.name for c in table.source_columns if c.required and c.name not in known)
    return Proposal(table=table.name, score=round(score, 4), matches=matches, missing=missing)


def _table_name_score(table: str, stem: tuple[str, ...]) -> float:
    if not stem:
        return 0.0
    names = [words_of(name) for name in (table, *_known()["tables"][table])]
    return max(_overlap(stem, name) for name in names)


def columns(table: Table, sample: Sample) -> tuple[Match, ...]:
    """Return the best match of the file's columns to the table's: each column at most once, in the table's order."""
    sources, wanted = tuple(sample), table.source_columns
    if not sources:
        return ()
    seen = {source: [value.strip() for value in sample[source]] for source in sources}
    filled = {source: [value for value in seen[source] if value.lower() not in _NULLS] for source in sources}
    matches: dict[tuple[int, int], Match] = {
        (row, place): match
        for row, column in enumerate(wanted)
        for place, source in enumerate(sources)
        if (match := _match(table, column, source, filled[source])) is not None
    }
    scores = np.zeros((len(wanted), len(sources)))
    for (row, place), match in matches.items():
        scores[row, place] = match.score
    chosen = zip(*linear_sum_assignment(-scores), strict=True)
    found = [matches[int(row), int(place)] for row, place in chosen if scores[row, place] >= PROPOSED]
    order = {column.name: rank for rank, column in enumerate(wanted)}
    return tuple(sorted(_with_only_date(table, found, filled), key=lambda match: order[match.column]))


def _with_only_date(table: Table, found: list[Match], filled: Mapping[str, list[str]]) -> list[Match]:
    """Add the one column of dates that is left for the time of the table, where that has none."""
    time = table.time_column
    if time is None or any(match.column == time for match in found):
        return found
    free = [source for source in filled if source not in {match.source for match in found}]
    dated = [(source, formats) for source in free if (formats := _formats(filled[source])) is not None]
    if len(dated) != 1:
        return found
    source, formats = dated[0]
    return [*found, Match(column=time, source=source, score=0.5, by=("values",), formats=formats)]


def _match(table: Table, column: Column, source: str, values: list[str]) -> Match | None:
    named, by = _name_score(table, column, source)
    fit, formats, translated = fit_of(table, column, values)
    reasons: tuple[str, ...] = (by,)
    if not values:
        score = 0.8 * named  # nothing stands in it that could speak
    elif named >= PROPOSED:
        # words of a vocabulary may be codes that only the bank can translate; other misfits are another column
        least = 0.5 if column.choices else 0.25
        score, reasons = named * (least + (1 - least) * fit), (by, "values") if fit > 0.9 else (by,)
    elif fit > 0.95 and (column.choices or column.name == "currency") and len(set(values)) > 1:
        score, reasons = 0.5 + 0.2 * named, ("values",)  # words of one vocabulary in a column of another name
    else:
        return None
    if score < PROPOSED:
        return None
    return Match(
        column=column.name, source=source, score=round(score, 4), by=reasons, formats=formats, values=translated or None
    )


# names


def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a header as they are compared: lower case, abbreviations written out, units left out."""
    plain = unicodedata.normalize("NFKC", name)
    plain = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", plain)
    parts = re.findall(r"[一-鿿]+[A-Za-z0-9]*|[^\W_一-鿿]+", plain.lower())
    written = [word for part in parts for word in str(_known()["words"].get(part, part)).split()]
    without = [part for part in written if part not in _FILLERS]
    return tuple(dict.fromkeys(without or written))


_FILLERS: Final = frozenset({"minor", "at", "the", "of", "on", "in", "and", "for", "major", "cny", "usd", "eur", "czk"})


@cache
def _aliases(column: str) -> tuple[tuple[str, ...], ...]:
    names = (column, *_known()["columns"].get(column, ()))
    return tuple(dict.fromkeys(words_of(name) for name in names))


def _name_score(table: Table, column: Column, source: str) -> tuple[float, str]:
    """Return how well a header names a column, 0 to 1, and whether it is the name itself or alike."""
    if source == column.name:
        return 1.0, "name"
    words = words_of(source)
    own = words_of(column.name)
    if words == own or set(words) == set(own):
        return 0.98, "name"
    # the first names are the likelier ones
    rated = enumerate(_aliases(column.name))
    best, exact = max(((_overlap(words, alias) - 0.001 * place, words == alias) for place, alias in rated))
    if words == ("id",) and column.name in table.key and len(table.key) == 1:
        best = max(best, 0.8)
    if words in ({("date",), ("time",), ("日期",), ("时间",)}) and column.name == table.time_column:
        best = max(best, 0.9)
    return (0.95 * best, "name") if exact else (0.85 * best, "likeness")


def _overlap(words: Sequence[str], alias: Sequence[str]) -> float:
    """Return how alike two lists of words are: 1 for the same words, else by what they share and how it is spelt."""
    ours, theirs = set(words), set(alias)
    if ours == theirs:
        return 1.0
    shared = len(ours & theirs) / len(ours | theirs)
    # one name inside the other: customer_since_date holds customer_since
    if len(theirs) > 1 and theirs <= ours:
        shared = max(shared, 0.85)
    one, other = "".join(words), "".join(alias)
    spelt = SequenceMatcher(None, one, other, autojunk=False).ratio() if one and other else 0.0
    if any("一" <= letter <= "鿿" for letter in other) and other in one and len(other) >= 2:
        spelt = max(spelt, 0.88)
    return max(shared, spelt if spelt >= 0.84 else 0.0)


# values


def fit_of(table: Table, column: Column, values: Sequence[str]) -> tuple[float, tuple[str, ...], dict[str, str]]:
    """Return the share of values that the column could hold, the date formats they need, and the words to translate.

    Without any value everything fits.
    """
    if not values:
        return 1.0, (), {}
    if column.choices:
        return _choices_fit(column, values)
    if column.kind in (Kind.DATE, Kind.INSTANT):
        formats = _formats(values)
        return (1.0, formats, {}) if formats is not None else (_iso_share(values), (), {})
    if column.kind is Kind.BOOLEAN:
        return _boolean_fit(values)
    return (_text_fit(table, column, values) if column.kind is Kind.TEXT else _numeric_fit(column, values)), (), {}


def _choices_fit(column: Column, values: Sequence[str]) -> tuple[float, tuple[str, ...], dict[str, str]]:
    known = _known()["values"].get(column.name, {})
    translated, fits = dict[str, str](), 0
    for value in values:
        folded = re.sub(r"[ -]", "_", value.lower())
        word = value if value in column.choices else known.get(value.lower())
        if word in column.choices:
            fits += 1
            if word != value:
                translated[value] = word
        elif folded in column.choices:
            fits += 1  # intake folds it by itself
    return fits / len(values), (), translated


def _boolean_fit(values: Sequence[str]) -> tuple[float, tuple[str, ...], dict[str, str]]:
    known = _known()["booleans"]
    translated = {value: known[value.lower()] for value in values if value.lower() in known}
    fits = sum(value.lower() in _TRUTH or value in translated for value in values)
    return fits / len(values), (), translated


def _text_fit(table: Table, column: Column, values: Sequence[str]) -> float:
    if len(table.key) == 1 and column.name in table.key:
        return max(0.55, len(set(values)) / len(values))  # a key names one row, but for what is delivered twice
    if column.name == "currency":
        return sum(bool(_CODE.fullmatch(value)) for value in values) / len(values)
    if column.name in ("full_name", "name_en", "text"):
        return sum(not _NUMBER.fullmatch(value) for value in values) / len(values)
    if column.name == "name_zh":
        return sum(any("一" <= letter <= "鿿" for letter in value) for value in values) / len(values)
    return 1.0


def _numeric_fit(column: Column, values: Sequence[str]) -> float:
    pattern = _WHOLE if column.kind is Kind.INTEGER else _NUMBER
    return sum(bool(pattern.fullmatch(value)) and _within(column, value) for value in values) / len(values)


def _within(column: Column, text: str) -> bool:
    try:
        number = float(text.replace(",", ""))
    except ValueError:
        return True  # written with a decimal comma: intake tells
    low = -math.inf if column.minimum is None or column.kind is Kind.MONEY else column.minimum
    return low <= number <= (math.inf if column.maximum is None or column.kind is Kind.MONEY else column.maximum)


def _iso_share(values: Sequence[str]) -> float:
    return sum(bool(_ISO.fullmatch(value)) for value in values) / len(values)


def _formats(values: Sequence[str]) -> tuple[str, ...] | None:
    """Return the formats in which all values are dates: none for ISO 8601; None where they are no dates.

    Where a day and a month could be either, both formats fit: the first of FORMATS is taken, day first.
    """
    if not values:
        return None
    if _iso_share(values) == 1.0:
        return ()
    if any(len(value) < 6 for value in values):
        return None
    if sum(1 for value in values if value.isdigit()) == len(values) and len({len(value) for value in values}) > 1:
        return None  # ids of several lengths
    return next(((one,) for one in FORMATS if all(_reads(value, one) for value in values)), None)


def _reads(value: str, form: str) -> bool:
    try:
        moment = datetime.strptime(value, form)
    except ValueError:
        return False
    return 1900 <= moment.year <= 2100


def ambiguous(values: Sequence[str]) -> bool:
    """Return whether dates may be read day first or month first alike, so that a person must say which."""
    kept = [value.strip() for value in values if value.strip()]
    pairs = [
        (one, other) for one in FORMATS for other in FORMATS if one.startswith("%d/%m") and other.startswith("%m/%d")
    ]
    return bool(kept) and any(
        one[5:] == other[5:] and all(_reads(v, one) and _reads(v, other) for v in kept) for one, other in pairs
    )


# how amounts are written


def decimal_of(values: Sequence[str]) -> Literal[".", ","]:
    """Return the decimal sign of amounts: a comma where it stands before the last one or two digits of most."""
    commas = sum(bool(re.fullmatch(r"[+-]?[\d.' ]*\d,\d{1,2}", value.strip())) for value in values)
    points = sum(bool(re.fullmatch(r"[+-]?[\d,' ]*\d\.\d+", value.strip())) for value in values)
    return "," if commas > points else "."


def money_of(names: Sequence[str], values: Sequence[str]) -> Literal["minor", "major"]:
    """Return whether amounts are in units or in hundredths: a fraction or a header without `minor` means units."""
    if any(re.search(r"[.,]\d{1,2}$", value.strip()) and not value.strip().endswith((".0", ".00")) for value in values):
        return "major"
    said = [name for name in names if re.search(r"minor|cents?\b|fen\b|分", name.lower())]
    return "minor" if said else "major"
