"""A points scorecard: logistic regression on weights of evidence, scaled so that every so many points double the odds.

The score of a customer is a sum of points, one attribute per characteristic. A block of rows and one dict are scored
from the same tables by the same additions in the same order, and agree to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from math import log
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from scipy.stats import chi2
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from engine.config.risk import BinningSettings, ScalingSettings
from engine.domain.errors import NotEnoughData
from engine.risk import binning
from engine.risk.binning import MISSING_INDEX, Bins, Codes

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
YES: Final = "yes"
"""What a column that tells whether anything was asked holds where it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """One characteristic of the scorecard: its bins and what each adds to the log-odds of being good.

    `asked` names the column that tells whether there was anything to read the value from ("yes": a bureau record, an
    application). The bins are learned from those rows alone; for the others the characteristic adds 0, and whether the
    lack itself tells something is the business of the column that `asked` names.
    """

    bins: Bins
    coefficient: float
    asked: str | None = None

    @property
    def weights(self) -> Floats:
        """What each bin adds to the log-odds, before the intercept; last, what it adds where nothing was asked."""
        return np.append(self.coefficient * np.array(self.bins.evidence), 0.0)

    @property
    def not_asked(self) -> int:
        """The place of "nothing was asked" among the weights and points."""
        return self.bins.size

    def codes(self, columns: Mapping[str, pa.ChunkedArray], rows: int) -> Codes:
        """Return the place of every row among the weights; a column that is not there is missing."""
        if self.bins.name in columns:
            codes = self.bins.codes(columns[self.bins.name])
        else:
            codes = np.full(rows, self.bins.size - 1, dtype=np.intp)
        return codes if self.asked is None else np.where(_was_asked(columns, self.asked, rows), codes, self.not_asked)

    def code(self, values: Mapping[str, object]) -> int:
        """Return the place of one customer, the same as `codes` of a table that holds it."""
        if self.asked is not None and values.get(self.asked) != YES:
            return self.not_asked
        return self.bins.code(values.get(self.bins.name))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values that JSON keeps exactly."""
        return {
            "bins": self.bins.to_dict(),
            "coefficient": self.coefficient,
            "asked": self.asked,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Attributes:
        """Return what `to_dict` described."""
        return cls(**{**values, "bins": Bins.from_dict(values["bins"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """A characteristic that earned no place, and why."""

    name: str
    information_value: float
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
    """Characteristics in order of information, the intercept of the log-odds, and the scale of the points."""

    attributes: tuple[Attributes, ...]
    intercept: float
    scaling: ScalingSettings
    dropped: tuple[Dropped, ...] = ()

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
            "dropped": [
                {"name": drop.name, "information_value": drop.information_value, "why": drop.why}
                for drop in self.dropped
            ],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Scorecard:
        """Return the scorecard that `to_dict` described."""
        return cls(
            attributes=tuple(Attributes.from_dict(attribute) for attribute in values["attributes"]),
            intercept=values["intercept"],
            scaling=ScalingSettings.model_validate(values["scaling"]),
            dropped=tuple(Dropped(**drop) for drop in values["dropped"]),
        )


def fit(
    columns: Mapping[str, pa.ChunkedArray],
    bad: Bools,
    cutting: BinningSettings,
    scaling: ScalingSettings,
    asked: Mapping[str, str] | None = None,
) -> Scorecard:
    """Learn a scorecard from characteristics and which rows went bad.

    Characteristics with too little information, or whose coefficient would turn the evidence round, are dropped
    and named with the reason.

    Parameters
    ----------
    columns : the characteristics, and the columns named in `asked`; these are characteristics too where they differ.
    asked : for a characteristic, the column that holds "yes" where there was anything to read it from.

    Raises
    ------
    NotEnoughData
        One class only, or no characteristic tells goods from bads.
    """
    if bad.all() or not bad.any():
        raise NotEnoughData("scorecard", f"{int(bad.sum())} of {len(bad)} rows are bad", "both goods and bads")
    asked = asked or {}
    binned = {name: _bin(name, columns, bad, cutting, asked.get(name)) for name in columns}
    constant = [
        Dropped(name=name, information_value=0.0, why="the same for everybody")
        for name, one in binned.items()
        if one is None and name not in asked.values()
    ]
    candidates = [one for one in binned.values() if one is not None]
    strong, weak = _informative(candidates, scaling, frozenset(asked.values()))
    codes = {one.bins.name: one.codes(columns, len(bad)) for one in strong}
    attributes, intercept, turned = _regress(strong, codes, bad, scaling, frozenset(asked.values()))
    if not attributes:
        raise NotEnoughData(
            "scorecard",
            f"none of {len(columns)} characteristics tells goods from bads",
            f"one with an information value of {scaling.min_information_value} or more",
        )
    return Scorecard(attributes=attributes, intercept=intercept, scaling=scaling, dropped=(*turned, *weak, *constant))


def default_probability(log_odds: Floats) -> Floats:
    """Turn log-odds of being good into a probability of default, without overflow."""
    odds = np.exp(-np.abs(log_odds))
    return np.where(log_odds >= 0, odds, 1.0) / (1.0 + odds)


def _bin(
    name: str, columns: Mapping[str, pa.ChunkedArray], bad: Bools, cutting: BinningSettings, asked: str | None
) -> Attributes | None:
    """Return the bins of one characteristic, from the rows that were asked; None when nothing differs among them."""
    rows = np.ones(len(bad), dtype=bool) if asked is None else _was_asked(columns, asked, len(bad))
    if not bad[rows].any() or bad[rows].all() or pc.count_distinct(columns[name], mode="all").as_py() < 2:
        return None
    bins = binning.fit(name, columns[name].filter(pa.array(rows)), bad[rows], cutting)
    return Attributes(bins=bins, coefficient=1.0, asked=asked)


def _informative(
    candidates: Iterable[Attributes], scaling: ScalingSettings, told_by: frozenset[str]
) -> tuple[list[Attributes], list[Dropped]]:
    """Return those with enough information, most first, and the others with the reason.

    Where only some were asked, whether they were always stays (`told_by`): evidence among the asked is set against the
    asked alone, and this one carries how these differ from the rest.
    """
    strong, weak = [], []
    for one in sorted(candidates, key=lambda one: (-one.bins.information_value, one.bins.name)):
        why = None if _levels(one, told_by) else _too_weak(one.bins, scaling)
        if why is None:
            strong.append(one)
        else:
            weak.append(Dropped(name=one.bins.name, information_value=one.bins.information_value, why=why))
    return strong, weak


def _levels(one: Attributes, told_by: frozenset[str]) -> bool:
    """Whether the characteristic sets the level between those who were asked and the others."""
    return one.bins.name in told_by and one.bins.ordinary > 1


def _too_weak(bins: Bins, scaling: ScalingSettings) -> str | None:
    if bins.information_value < scaling.min_information_value:
        return f"information value below {scaling.min_information_value:g}"
    # the information value of groups that do not differ: chi-square, times 1 / goods + 1 / bads, as for stability
    used = sum(good + bad > 0 for good, bad in zip(bins.goods, bins.bads, strict=True))
    chance = float(chi2.isf(scaling.significance, used - 1)) * (1 / sum(bins.goods) + 1 / sum(bins.bads))
    if bins.information_value < chance:
        return f"information value below {chance:.3f}, which noise would pass with so few defaults"
    return None


def _regress(
    strong: list[Attributes], codes: Mapping[str, Codes], bad: Bools, scaling: ScalingSettings, told_by: frozenset[str]
) -> tuple[tuple[Attributes, ...], float, list[Dropped]]:
    """Fit until every coefficient is positive, taking out the most negative one each time."""
    kept, turned, intercept = list(strong), list[Dropped](), 0.0
    while kept:
        design = np.column_stack([one.weights[codes[one.bins.name]] for one in kept])
        coefficients, intercept = _logistic(design, ~bad, scaling.l2)
        # what sets the level between two groups may have either sign
        signed = np.where([_levels(one, told_by) for one in kept], np.inf, coefficients)
        worst = int(np.argmin(signed))
        if signed[worst] > 0:
            fitted = zip(kept, coefficients, strict=True)
            return tuple(replace(one, coefficient=float(value)) for one, value in fitted), intercept, turned
        out = kept.pop(worst).bins
        why = "what it tells, others tell better: its coefficient would have the wrong sign"
        turned.append(Dropped(name=out.name, information_value=out.information_value, why=why))
    return (), intercept, turned


def _logistic(design: Floats, good: Bools, l2: float) -> tuple[Floats, float]:
    # one thread and Newton's method: the same coefficients on every run, to the last bit
    with threadpool_limits(1):
        model = LogisticRegression(C=1.0 / l2, solver="newton-cholesky", tol=1e-10, max_iter=100).fit(design, good)
    return model.coef_[0], float(model.intercept_[0])


def _was_asked(columns: Mapping[str, pa.ChunkedArray], asked: str, rows: int) -> Bools:
    if asked not in columns:
        return np.zeros(rows, dtype=bool)
    answer: Bools = pc.fill_null(pc.equal(columns[asked], YES), False).to_numpy()
    return answer


def _row(bins: Bins, code: int, points: int) -> dict[str, Any]:
    goods, bads = bins.goods[code], bins.bads[code]
    return {
        "characteristic": bins.name,
        "bin_index": MISSING_INDEX if code == bins.size - 1 else code,
        "bin": bins.label(code),
        "points": points,
        "weight_of_evidence": bins.evidence[code],
        "information_value": bins.information[code],
        "goods": goods,
        "bads": bads,
        "bad_rate": bads / (goods + bads) if goods + bads else None,
    }
