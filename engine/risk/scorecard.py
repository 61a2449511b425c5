"""A points scorecard: points per bin by logistic regression, scaled so that every so many points double the odds.

The score of a customer is a sum of points, one attribute per characteristic. A block of rows and one dict are scored
from the same tables by the same additions in the same order, and agree to the last bit (`engine.risk.scorer`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from math import log
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.stats import chi2

from engine.config.risk import BinningSettings, ScalingSettings
from engine.domain.errors import ContractBroken, MissingInputs, NotEnoughData
from engine.risk import binning, regression, sealing
from engine.risk.attributes import Attributes, was_asked
from engine.risk.binning import MISSING_INDEX, Bins, Codes

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
NAME: Final = "scorecard"
"""What this kind of model is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """A characteristic that earned no place, and why."""

    name: str
    information_value: float
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """A characteristic that predicts too well to have been known before the outcome, and the sentence that says so."""

    name: str
    information_value: float
    auc: float
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A block of scored rows: bin per characteristic, log-odds of being good, probability of default, points."""

    codes: tuple[Codes, ...]
    log_odds: Floats
    probability: Floats
    points: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorecard:
    """Characteristics in order of information, the intercept of the log-odds, and the scale of the points.

    `dropped` are the candidates that earned no place, `suspects` those that may know the outcome.
    """

    attributes: tuple[Attributes, ...]
    intercept: float
    scaling: ScalingSettings
    dropped: tuple[Dropped, ...] = ()
    suspects: tuple[Suspect, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The characteristics, most informative first."""
        return tuple(attribute.bins.name for attribute in self.attributes)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The columns that scoring reads."""
        asked = (attribute.asked for attribute in self.attributes if attribute.asked is not None)
        return tuple(dict.fromkeys((*self.names, *asked)))

    @property
    def factor(self) -> float:
        """Points for one unit of log-odds."""
        return self.scaling.points_to_double_odds / log(2)

    @property
    def offset(self) -> float:
        """Points at even odds."""
        return self.scaling.base_points - self.factor * log(self.scaling.base_odds)

    def points(self) -> tuple[Floats, ...]:
        """Return the exact points by characteristic and bin; intercept and offset are shared evenly."""
        base = (self.offset + self.factor * self.intercept) / len(self.attributes)
        return tuple(base + self.factor * attribute.weights for attribute in self.attributes)

    def whole_points(self) -> tuple[NDArray[np.int64], ...]:
        """Return the points as given to customers, each off by half a point at most."""
        return tuple(np.rint(points).astype(np.int64) for points in self.points())

    def score(self, columns: Mapping[str, pa.ChunkedArray], rows: int) -> Scored:
        """Score every row. `columns` are the characteristics and the columns that tell what was asked; see `inputs`."""
        log_odds, points = np.full(rows, self.intercept), np.zeros(rows, dtype=np.int64)
        all_codes = []
        for attribute, whole in zip(self.attributes, self.whole_points(), strict=True):
            codes = attribute.codes(columns, rows)
            log_odds += attribute.weights[codes]
            points += whole[codes]
            all_codes.append(codes)
        return Scored(
            codes=tuple(all_codes), log_odds=log_odds, probability=default_probability(log_odds), points=points
        )

    def score_one(self, values: Mapping[str, object]) -> tuple[int, float]:
        """Return the points and default probability of one customer, bit for bit those of `score`."""
        log_odds, points = np.array([self.intercept]), 0
        for attribute, whole in zip(self.attributes, self.whole_points(), strict=True):
            code = attribute.code(values)
            log_odds += attribute.weights[code]
            points += int(whole[code])
        return points, float(default_probability(log_odds)[0])

    def shifted(self, log_odds: float) -> Scorecard:
        """Return the same scorecard with the intercept moved, points included."""
        return replace(self, intercept=self.intercept + log_odds)

    def rows(self) -> list[dict[str, Any]]:
        """Return the scorecard as a table: one row per bin of each characteristic, missing last."""
        return [
            _row(attribute.bins, code, int(points))
            for attribute, whole in zip(self.attributes, self.whole_points(), strict=True)
            for code, points in enumerate(whole[: attribute.bins.size])
        ]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON keeps exactly."""
        return {
            "attributes": [attribute.to_dict() for attribute in self.attributes],
            "intercept": self.intercept,
            "scaling": self.scaling.model_dump(),
            "dropped": [asdict(drop) for drop in self.dropped],
            "suspects": [asdict(suspect) for suspect in self.suspects],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Scorecard:
        """Return the scorecard that `to_dict` described."""
        return cls(
            attributes=tuple(Attributes.from_dict(attribute) for attribute in values["attributes"]),
            intercept=values["intercept"],
            scaling=ScalingSettings.model_validate(values["scaling"]),
            dropped=tuple(Dropped(**drop) for drop in values["dropped"]),
            suspects=tuple(Suspect(**suspect) for suspect in values["suspects"]),
        )

    def to_json(self) -> str:
        """Return the scorecard as JSON under a checksum; the same scorecard gives the same text."""
        return sealing.written(NAME, self.to_dict())

    @classmethod
    def from_json(cls, text: str, source: str = "the scorecard") -> Scorecard:
        """Return the scorecard that `to_json` wrote; `source` names the file in an error.

        Raises
        ------
        ModelSpoilt
            The text was changed, cut short, or holds something else.
        """
        return sealing.made(text, NAME, source, cls.from_dict)

    def require(self, columns: Iterable[str], source: str) -> None:
        """Check that a table brings every column that scoring reads; a value may be empty, a column may not be absent.

        Raises
        ------
        MissingInputs
            Columns are absent; all of them are named.
        """
        found = tuple(columns)
        missing = [name for name in self.inputs if name not in found]
        if missing:
            raise MissingInputs(source, missing, found)


def fit(
    columns: Mapping[str, pa.ChunkedArray],
    bad: Bools,
    cutting: BinningSettings,
    scaling: ScalingSettings,
    asked: Mapping[str, str] | None = None,
    *,
    weights: Floats | None = None,
) -> Scorecard:
    """Learn a scorecard from characteristics and which rows went bad.

    Characteristics with too little information, or that tell nothing which the others do not tell better, are dropped
    and named with the reason. One that predicts too well to have been known before the outcome stays, and is flagged.

    Parameters
    ----------
    columns : the characteristics, and the columns named in `asked`; these are characteristics too where they differ.
    asked : for a characteristic, the column that holds "yes" where there was anything to read it from.
    weights : what each row counts, 0 or more; 1 each when left out.

    Raises
    ------
    NotEnoughData
        One class only, or no characteristic tells goods from bads.
    ContractBroken
        A column is neither numbers nor text, or weights are negative, not finite or not one for each row.
    """
    _check(bad, weights)
    asked = asked or {}
    told_by = frozenset(asked.values())
    binned = {name: _bin(name, columns, bad, cutting, asked=asked.get(name), weights=weights) for name in columns}
    constant = [
        Dropped(name=name, information_value=0.0, why="the same for everybody")
        for name, one in binned.items()
        if one is None and name not in told_by
    ]
    candidates = [one for one in binned.values() if one is not None]
    strong, weak = _informative(candidates, scaling, asked)
    attributes, intercept, idle = _regress(strong, columns, bad, scaling, asked=asked, weights=weights)
    if not attributes:
        raise NotEnoughData(
            "scorecard",
            f"none of {len(columns)} characteristics tells goods from bads",
            f"one with an information value of {scaling.min_information_value} or more that noise would not pass",
        )
    return Scorecard(
        attributes=attributes,
        intercept=intercept,
        scaling=scaling,
        dropped=(*idle, *weak, *constant),
        suspects=tuple(_suspects(candidates, scaling)),
    )


def default_probability(log_odds: Floats) -> Floats:
    """Turn log-odds of being good into a probability of default, without overflow."""
    odds = np.exp(-np.abs(log_odds))
    return np.where(log_odds >= 0, odds, 1.0) / (1.0 + odds)


def _check(bad: Bools, weights: Floats | None) -> None:
    if weights is not None and (weights.shape != bad.shape or not np.isfinite(weights).all() or (weights < 0).any()):
        raise ContractBroken(
            f"The weights of {len(bad):,} rows must be as many finite numbers, 0 or more. Mend them, or leave them out."
        )
    counted = bad if weights is None else bad[weights > 0]
    if counted.all() or not counted.any():
        raise NotEnoughData("scorecard", f"{int(counted.sum())} of {len(counted)} rows are bad", "both goods and bads")


def _bin(
    name: str,
    columns: Mapping[str, pa.ChunkedArray],
    bad: Bools,
    cutting: BinningSettings,
    *,
    asked: str | None,
    weights: Floats | None,
) -> Bins | None:
    """Return the bins of one characteristic, from the rows that were asked; None when nothing differs among them."""
    column = columns[name]
    if asked is not None:
        rows = was_asked(columns, asked, len(bad))
        column, bad = column.filter(pa.array(rows)), bad[rows]
        weights = None if weights is None else weights[rows]
    if not bad.any() or bad.all():
        return None
    bins = binning.fit(name, column, bad, cutting, weights)
    used = sum(good + bad > 0 for good, bad in zip(bins.goods, bins.bads, strict=True))
    return bins if used > 1 or not _is_constant(column) else None


def _is_constant(column: pa.ChunkedArray) -> bool:
    return bool(pc.count_distinct(column, mode="all").as_py() < 2)


def _suspects(candidates: Iterable[Bins], scaling: ScalingSettings) -> Iterable[Suspect]:
    """Yield the characteristics that separate goods from bads beyond belief, the most telling first."""
    for bins in sorted(candidates, key=lambda bins: (-bins.information_value, bins.name)):
        information, area = bins.information_value, bins.auc
        if area >= scaling.suspect_auc or information >= scaling.suspect_information_value:
            why = (
                f'"{bins.name}" alone separates goods from bads with an AUC of {area:.3f} (information value '
                f"{information:.2f}), more than what is known before the outcome tells. If it was written after "
                f"the outcome, it leaks it: leave it out."
            )
            yield Suspect(name=bins.name, information_value=information, auc=area, why=why)


def _informative(
    candidates: Iterable[Bins], scaling: ScalingSettings, asked: Mapping[str, str]
) -> tuple[list[Bins], list[Dropped]]:
    """Return those with enough information, most first, and the others with the reason.

    Where only some were asked, whether they were stays as long as anything asked of them does: evidence among the asked
    is set against the asked alone, and this one carries how these differ from the rest.
    """
    found = {bins.name: _too_weak(bins, scaling) for bins in candidates}
    told_by = frozenset(asked[name] for name, why in found.items() if why is None and name in asked)
    strong, weak = [], []
    for bins in sorted(candidates, key=lambda bins: (-bins.information_value, bins.name)):
        why = found[bins.name]
        if why is None or _levels(bins, told_by):
            strong.append(bins)
        else:
            weak.append(Dropped(name=bins.name, information_value=bins.information_value, why=why))
    return strong, weak


def _levels(bins: Bins, told_by: frozenset[str]) -> bool:
    """Whether the characteristic sets the level between those who were asked and the others."""
    return bins.name in told_by and bins.ordinary > 1


def _too_weak(bins: Bins, scaling: ScalingSettings) -> str | None:
    pooled = f"; {bins.pooled:,} categories too rare to tell apart share a bin" if bins.pooled else ""
    if bins.information_value < scaling.min_information_value:
        return f"information value below {scaling.min_information_value:g}{pooled}"
    # the information value of groups that do not differ: chi-square, times 1 / goods + 1 / bads, as for stability
    used = sum(good + bad > 0 for good, bad in zip(bins.goods, bins.bads, strict=True))
    chance = float(chi2.isf(scaling.significance, used - 1)) * (1 / sum(bins.goods) + 1 / sum(bins.bads))
    if bins.information_value < chance:
        return f"information value below {chance:.3f}, which noise would pass with so few defaults{pooled}"
    return None


def _regress(
    strong: list[Bins],
    columns: Mapping[str, pa.ChunkedArray],
    bad: Bools,
    scaling: ScalingSettings,
    *,
    asked: Mapping[str, str],
    weights: Floats | None,
) -> tuple[tuple[Attributes, ...], float, list[Dropped]]:
    """Return the characteristics with what their bins add, the intercept, and those that add next to nothing."""
    if not strong:
        return (), 0.0, []
    told_by = frozenset(asked.values())
    blank = [Attributes(bins=bins, log_odds=bins.evidence, asked=asked.get(bins.name)) for bins in strong]
    seen = [_seen(one, columns, len(bad), _levels(one.bins, told_by)) for one in blank]
    fitted = regression.fit(seen, ~bad, scaling.l2, scaling.step_l2, weights)
    kept, idle = [], []
    for one, column, table in zip(blank, seen, fitted.tables, strict=True):
        # less than half a point between the best and the worst: no customer would ever see it
        if column.free or np.ptp(table) * scaling.points_to_double_odds / log(2) >= 0.5:
            kept.append(replace(one, log_odds=tuple(table[:-1].tolist())))
        else:
            why = "what it tells, others tell better: it would add less than half a point"
            idle.append(Dropped(name=one.bins.name, information_value=one.bins.information_value, why=why))
    return tuple(kept), fitted.intercept, idle


def _seen(one: Attributes, columns: Mapping[str, pa.ChunkedArray], rows: int, free: bool) -> regression.Column:
    counted = np.array(one.bins.goods, dtype=np.float64) + np.array(one.bins.bads)
    return regression.Column(codes=one.codes(columns, rows), evidence=one.weights, rows=counted, free=free)


def _row(bins: Bins, code: int, points: int) -> dict[str, Any]:
    goods, bads = bins.goods[code], bins.bads[code]
    return {
        "characteristic": bins.name,
        "bin_index": MISSING_INDEX if code == bins.size - 1 else code,
        "bin": bins.label(code),
        "points": points,
        "weight_of_evidence": bins.evidence[code],
        "information_value": bins.information[code],
        "goods": round(goods),
        "bads": round(bads),
        "bad_rate": bads / (goods + bads) if goods + bads else None,
    }
