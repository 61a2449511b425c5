"""Reject inference: what a scorecard would be if the refused had been lent to, under an assumption that is said.

Nobody knows what the refused would have done. To guess it from those who were accepted adds an assumption and no data,
so that every result here stands beside the one without it, and the scorecard that decides is made without.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.config.risk import RiskSettings
from engine.config.risk_oversight import RejectSettings
from engine.domain.errors import NotEnoughData
from engine.numerics.ratios import or_none
from engine.risk import cuts, metrics
from engine.risk import scorecard as cards
from engine.risk.scorecard import Scorecard, default_probability

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Method = Literal["none", "fuzzy", "parcelling"]

TRAINED_AUC: Final = "auc_of_accepted"
IMPLIED: Final = "implied_bad_rate_of_rejected"
IMPLIED_OF_ALL: Final = "implied_bad_rate_of_all"
CAUTION: Final = (
    "Reject inference adds an assumption, not data: the refused are taken to have {factor:g} times the odds of default "
    "of accepted applicants alike. Nothing here shows that they do.",
    "拒绝推断增加的是假设而非数据：假定被拒者的违约几率是同类获批者的 {factor:g} 倍，此处没有任何数据能证实。",
)
_LEFT_OUT: Final = (
    "The refused are left out: the scorecard speaks of people like the accepted.",
    "未纳入被拒者：评分卡只反映与获批者相似的人群。",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Applicants:
    """Applicants as a table of characteristics; `asked` as `scorecard.fit` takes it.

    bad : whether each accepted one defaulted, in the order of `accepted`.
    """

    accepted: pa.Table
    bad: Bools
    rejected: pa.Table
    asked: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One measure without and with the inference; None where undefined."""

    method: Method
    measure: str
    without: float | None
    inferred: float | None
    text: str
    text_zh: str

    def to_row(self) -> dict[str, Any]:
        """Return the row of the mart RISK_REJECT_INFERENCE."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """The scorecard of the accepted alone, the one with the refused guessed at, and both measured side by side.

    implied_bad_rate : of the refused, as the method took it to be; with "none", what the accepted's own card predicts.
    caution, caution_zh : the assumption; to be shown wherever the figures are.
    """

    method: Method
    without: Scorecard
    inferred: Scorecard
    implied_bad_rate: float
    compared: tuple[Compared, ...]
    caution: str
    caution_zh: str

    def to_rows(self) -> list[dict[str, Any]]:
        """Return one plain row per measure."""
        return [one.to_row() for one in self.compared]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cards:
    """The card of the accepted alone, what it predicts of the refused, what these are taken to be, and the other card.

    predicted, implied : shape (refused,), default probabilities; by parcelling `implied` is 1 or 0.
    """

    without: Scorecard
    inferred: Scorecard
    predicted: Floats
    implied: Floats


def learn(people: Applicants, method: Method, settings: RiskSettings, seed: int) -> Cards:
    """Learn both cards; what the method does and what it raises is told at `infer`."""
    if people.rejected.num_rows == 0:
        raise NotEnoughData("reject inference", "nobody was refused", "applications that were declined")
    rules = settings.reject_inference
    base = cards.fit(_columns(people.accepted), people.bad, settings.binning, settings.scaling, people.asked)
    predicted = _probability(base, people.rejected)
    if method == "none":
        return Cards(without=base, inferred=base, predicted=predicted, implied=predicted)
    implied = _raised(predicted, rules.bad_odds_factor) if method == "fuzzy" else _drawn(people, base, rules, seed)
    card = _with_rejects(people, implied, settings)
    return Cards(without=base, inferred=card, predicted=predicted, implied=implied)


def infer(people: Applicants, method: Method, settings: RiskSettings, cut_off: float, seed: int) -> Inference:
    """Learn a scorecard with the refused guessed at, and compare it with that of the accepted alone.

    "fuzzy" counts each of the refused twice: as a defaulter with the weight of the default probability that the
    accepted's card gives after its odds are raised by the factor of the settings, and as a good payer with the rest.
    "parcelling" cuts the score into bands, raises the odds of each band's observed bad rate alike, and draws that many
    defaulters among the refused of the band. "none" leaves the refused out: both cards are the same.

    Parameters
    ----------
    cut_off : default probability from which an applicant is refused; approval rates are those of this rule.
    seed : for the draws of "parcelling", which depend on what the rows hold and never on their order.

    Raises
    ------
    NotEnoughData
        One class only among the accepted, nothing that tells them apart, or nobody was refused.

    References
    ----------
    Siddiqi (2006), Credit Risk Scorecards, chapter on reject inference; Hand and Henley (1993) on why it adds no data.
    """
    made = learn(people, method, settings, seed)
    base, card = made.without, made.inferred
    told = _LEFT_OUT if method == "none" else CAUTION
    text, text_zh = (each.format(factor=settings.reject_inference.bad_odds_factor) for each in told)
    pair = (float(made.predicted.mean()), float(made.implied.mean()))
    return Inference(
        method=method,
        without=base,
        inferred=card,
        implied_bad_rate=pair[1],
        compared=tuple(_worded(method, name, *values) for name, values in _measured(people, base, card, cut_off, pair)),
        caution=text,
        caution_zh=text_zh,
    )


def _with_rejects(people: Applicants, implied: Floats, settings: RiskSettings) -> Scorecard:
    """Learn from the accepted and, by weight, from each of the refused as a good payer and as a defaulter."""
    refused = people.rejected.select(people.accepted.column_names)
    rows = pa.concat_tables([people.accepted, refused, refused], promote_options="permissive")
    size = len(implied)
    bad = np.concatenate([people.bad, np.zeros(size, dtype=bool), np.ones(size, dtype=bool)])
    weights = np.concatenate([np.ones(len(people.bad)), 1 - implied, implied])
    return cards.fit(_columns(rows), bad, settings.binning, settings.scaling, people.asked, weights=weights)


def _raised(probability: Floats, factor: float) -> Floats:
    odds = factor * probability / (1 - np.minimum(probability, 1 - 1e-12))
    return np.asarray(odds / (1 + odds))


def _drawn(people: Applicants, base: Scorecard, rules: RejectSettings, seed: int) -> Floats:
    """Return 1 for each of the refused who is drawn as a defaulter, band by band, and 0 for the others."""
    accepted, rejected = _log_odds(base, people.accepted), _log_odds(base, people.rejected)
    edges = cuts.quantiles(np.sort(accepted), rules.bands)
    band, band_of_rejected = (np.searchsorted(edges, each, side="left") for each in (accepted, rejected))
    size = len(edges) + 1
    bads = np.bincount(band, weights=people.bad, minlength=size)
    # half a defaulter more: a band without any is not free of risk
    rate = (bads + 0.5) / (np.bincount(band, minlength=size) + 1.0)
    draw = np.empty(len(rejected))
    draw[_by_content(people.rejected)] = np.random.default_rng(seed).random(len(rejected))
    return (draw < _raised(rate, rules.bad_odds_factor)[band_of_rejected]).astype(np.float64)


def _by_content(rows: pa.Table) -> NDArray[np.intp]:
    """Return the order of rows by all that they hold: the same draw falls to the same applicant in any order of rows.

    Rows alike in everything are alike to the scorecard too, so which of them is drawn makes no difference.
    """
    keys = [(name, "ascending") for name in sorted(rows.column_names)]
    order: NDArray[np.intp] = pc.sort_indices(rows, sort_keys=keys).to_numpy().astype(np.intp)
    return order


def _measured(
    people: Applicants, base: Scorecard, card: Scorecard, cut_off: float, implied: tuple[float, float]
) -> Iterator[tuple[str, tuple[float, float]]]:
    """Yield every measure, without and with the inference."""
    sides = [people.accepted, people.rejected]
    moved = [(_log_odds(card, rows) - _log_odds(base, rows)) * base.factor for rows in sides]
    accepted, rejected = ([_probability(each, rows) for each in (base, card)] for rows in sides)
    everyone = [np.concatenate(both) for both in zip(accepted, rejected, strict=True)]
    yield TRAINED_AUC, _pair(metrics.auc(each, people.bad).value for each in accepted)
    yield "bad_rate_of_accepted", _pair([people.bad.mean()] * 2)
    yield IMPLIED, implied
    yield "approval_rate", _pair((each < cut_off).mean() for each in everyone)
    yield "approval_rate_of_rejected", _pair((each < cut_off).mean() for each in rejected)
    yield "characteristics", _pair(len(each.names) for each in (base, card))
    yield "mean_points_shift_of_accepted", _pair([0.0, moved[0].mean()])
    yield "mean_points_shift_of_rejected", _pair([0.0, moved[1].mean()])
    yield "typical_points_shift", _pair([0.0, np.abs(np.concatenate(moved)).mean()])


def _pair(values: Iterable[float]) -> tuple[float, float]:
    without, inferred = (float(value) for value in values)
    return without, inferred


_SAID: Final = {
    TRAINED_AUC: ("area under the curve on the accepted it learned from", "在获批样本（训练）上的 AUC", ".3f"),
    "bad_rate_of_accepted": ("default rate of the accepted", "获批者违约率", ".1%"),
    IMPLIED: ("default rate that the refused are taken to have", "被拒者推定违约率", ".1%"),
    IMPLIED_OF_ALL: ("default rate of all applicants, so taken", "由此推定的全部申请人违约率", ".1%"),
    "approval_rate": ("share of all applicants below the cut-off", "全部申请人中通过分界的占比", ".1%"),
    "approval_rate_of_rejected": ("share of the refused below the cut-off", "被拒者中通过分界的占比", ".1%"),
    "characteristics": ("characteristics in the scorecard", "入模特征数", ".0f"),
    "mean_points_shift_of_accepted": ("mean change of the accepted's points", "获批者评分平均变化", "+.1f"),
    "mean_points_shift_of_rejected": ("mean change of the refused's points", "被拒者评分平均变化", "+.1f"),
    "typical_points_shift": ("mean size of the change of points", "评分变化平均幅度", ".1f"),
}


def named(measure: str) -> tuple[str, str]:
    """Return what a measure is called in English and Chinese."""
    name, name_zh, _ = _SAID[measure]
    return name, name_zh


def written(measure: str, value: float | None) -> str:
    """Return a value of a measure as it is shown; a dash where it is undefined."""
    return "\u2014" if value is None else format(value, _SAID[measure][2])


def _worded(method: Method, measure: str, without: float, inferred: float) -> Compared:
    name, name_zh, form = _SAID[measure]
    one, other = (format(value, form) for value in (without, inferred))
    return Compared(
        method=method,
        measure=measure,
        without=or_none(without),
        inferred=or_none(inferred),
        text=f"{name[0].upper()}{name[1:]}: {one} without, {other} with {method}.",
        text_zh=f"{name_zh}：不推断 {one}，{_METHODS[method]} {other}。",
    )


_METHODS: Final = {"none": "不推断", "fuzzy": "模糊加权", "parcelling": "分段打包"}


def _columns(rows: pa.Table) -> dict[str, pa.ChunkedArray]:
    return {name: rows[name] for name in rows.column_names}


def _log_odds(card: Scorecard, rows: pa.Table) -> Floats:
    return card.score(_columns(rows), rows.num_rows).log_odds


def _probability(card: Scorecard, rows: pa.Table) -> Floats:
    return default_probability(_log_odds(card, rows))
