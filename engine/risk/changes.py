"""The smallest change of a model that is a sum, in words, English and Chinese."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor, inf, log10
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.config.risk import RiskSettings, ScalingSettings, Way
from engine.domain.credit_reasons import REASONS, CreditOutcome
from engine.domain.words import RiskTier
from engine.risk import counterfactual
from engine.risk.binning import RARE, Bins
from engine.risk.calibrators import Calibrator, log_odds
from engine.risk.characteristics import reason_text
from engine.risk.counterfactual import LACKS, STAYS, Lack
from engine.risk.file_model import Columns, FileModel, on_scale
from engine.risk.file_reasons import meaning
from engine.risk.scorecard import Scorecard, default_probability

Floats = NDArray[np.float64]
_MARGIN: Final = 1e-9  # log-odds beyond a cut-off: a sum in another order still passes it
_EXTREME: Final = 40.0  # log-odds; beyond, a probability is 0 or 1 to the last bit

NO_SUM: Final = (
    "The model that decides is no sum of characteristics: what one change would do depends on all the others.",
    "做出决定的模型不是各特征之和：某项变化的影响取决于其他所有特征。",
)
_LACKING: Final[Mapping[Lack, tuple[str, str]]] = {
    Lack.NOT_NEEDED: ("The cut-off is reached as it is.", "目前已达到准入分数线。"),
    Lack.NOTHING_TO_CHANGE: (
        "Of what the score reads, nothing that an applicant is known to be able to change would add points. What "
        "can be changed stands under [risk.changeable].",
        "评分所用特征中，已知申请人可改变的均无法加分。哪些特征可以改变，见 [risk.changeable]。",
    ),
    Lack.OUT_OF_REACH: (
        "Not even all that an applicant can change would together reach the cut-off.",
        "即使改变申请人所能改变的全部特征，仍达不到准入分数线。",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One characteristic of a smallest change: the bins from and to, and what has to be, in both languages."""

    name: str
    from_bin: int
    to_bin: int
    text_en: str
    text_zh: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The smallest change of one row: its parts, or none and why, in both languages."""

    parts: tuple[Part, ...]
    why_not: tuple[str, str] | None = None

    def text(self) -> tuple[str, str] | None:
        """Return the whole change as one clause; None where there is none."""
        if not self.parts:
            return None
        return "; and ".join(one.text_en for one in self.parts), "；并且".join(one.text_zh for one in self.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sum:
    """A model as a sum: its bins, what each adds, the bin of every row, and what each row lacks to the cut-off."""

    bins: tuple[Bins, ...]
    amounts: tuple[Floats, ...]
    codes: tuple[NDArray[Any], ...]
    short: Floats


def of_file(model: FileModel, columns: Columns, rows: int, cut_off: int, ways: Mapping[str, Way]) -> list[Change]:
    """Return the smallest change of every row that would bring its points to the cut-off.

    `columns` hold the inputs of the model, `rows` of each. What the model protects, or gives as a reason to nobody, is
    never changed, whatever `ways` say.
    """
    told = _sum(model, columns, rows, cut_off)
    if told is None:
        return [Change(parts=(), why_not=NO_SUM)] * rows
    never = {*model.protected, *model.never_a_reason}
    allowed: dict[str, Way] = {name: way for name, way in ways.items() if name not in never}
    return _changes(told, allowed, [meaning(model, one.name) for one in told.bins])


def of_card(card: Scorecard, columns: Columns, rows: int, probability: float, ways: Mapping[str, Way]) -> list[Change]:
    """Return the smallest change of every row that would bring its default probability below `probability`."""
    least = float(log_odds(np.array([probability]))[0]) + _MARGIN
    told = _Sum(
        bins=tuple(one.bins for one in card.attributes),
        amounts=tuple(one.weights for one in card.attributes),
        codes=tuple(one.codes(columns, rows) for one in card.attributes),
        short=least - card.score(columns, rows).log_odds,
    )
    return _changes(told, ways, [reason_text(name) for name in card.names])


def below(reason_mask: int, family: str, settings: RiskSettings, probability: float) -> float | None:
    """Return the default probability below which the score no longer declines a family of credit.

    `probability` is the one that it was declined with: a medium tier that would be lent to and was declined all the
    same counts as high while the model is under watch, so that the low tier has to be reached. None where a rule of the
    bank declines it whatever the score, and where tiers go by the expected loss, which depends on more than the score.
    """
    declines = {
        one.code for bit, one in enumerate(REASONS) if reason_mask >> bit & 1 and one.outcome == CreditOutcome.DECLINE
    }
    tier = "TIER_TOO_HIGH" in declines
    if declines - {"PROBABILITY_TOO_HIGH", "TIER_TOO_HIGH"} or (tier and settings.tiers.by != "default_probability"):
        return None
    terms = {str(name): terms for name, terms in settings.credit.families.items()}.get(family)
    lent = {} if terms is None else {str(name): most for name, most in terms.max_limit_minor.items()}
    cut, most = settings.tiers, settings.credit.cut_offs.decline_from
    if not tier:
        return most if declines else None
    if lent.get(RiskTier.MEDIUM.value, 0) > 0 and probability >= cut.high_from:
        return min(most, cut.high_from)
    return min(most, cut.medium_from) if lent.get(RiskTier.LOW.value, 0) > 0 else None


def _sum(model: FileModel, columns: Columns, rows: int, cut_off: int) -> _Sum | None:
    card = model.card
    if card is None:
        return None
    scored = card.score(columns, rows)
    bins, bend = tuple(one.bins for one in card.attributes), model.bend
    if bend is None:
        return _Sum(
            bins=bins,
            amounts=tuple(points.astype(np.float64) for points in card.whole_points()),
            codes=scored.codes,
            short=cut_off - scored.points.astype(np.float64),
        )
    return _Sum(
        bins=bins,
        amounts=tuple(one.weights for one in card.attributes),
        codes=scored.codes,
        short=_least(bend, model.scaling, cut_off) - scored.log_odds,
    )


def _least(bend: Calibrator, scaling: ScalingSettings, cut_off: int) -> float:
    """Return the least log-odds of being good, before calibration, whose points reach the cut-off; inf: none does."""

    def reaches(own: float) -> bool:
        return bool(on_scale(log_odds(bend.apply(default_probability(np.array([own])))), scaling)[0] >= cut_off)

    low, high = -_EXTREME, _EXTREME
    if not reaches(high):
        return float("inf")
    while high - low > _MARGIN:  # a calibrator never falls, so that halving finds it
        middle = (low + high) / 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high + _MARGIN


def _changes(told: _Sum, ways: Mapping[str, Way], meanings: Sequence[tuple[str, str]]) -> list[Change]:
    """Return the smallest change of every row in words."""
    found = counterfactual.smallest(told.bins, told.amounts, told.codes, told.short, ways)
    made = []
    for lack, to, *codes in zip(found.lack.tolist(), found.to, *told.codes, strict=True):
        if lack >= 0:
            made.append(Change(parts=(), why_not=_LACKING[LACKS[lack]]))
            continue
        moved = np.flatnonzero(to != STAYS).tolist()
        parts = [
            _part(told.bins[at], told.amounts[at], int(codes[at]), int(to[at]), means=meanings[at]) for at in moved
        ]
        made.append(Change(parts=tuple(parts)))
    return made


def _part(bins: Bins, amounts: Floats, from_bin: int, to_bin: int, *, means: tuple[str, str]) -> Part:
    english, chinese = _category(bins, to_bin) if bins.kind == "category" else _range(bins, amounts, from_bin, to_bin)
    return Part(
        name=bins.name,
        from_bin=from_bin,
        to_bin=to_bin,
        text_en=f"{means[0]}: {english}",
        text_zh=f"{means[1]}：{chinese}",
    )


def _category(bins: Bins, to_bin: int) -> tuple[str, str]:
    names = [value for value in bins.groups[to_bin] if value != RARE]
    return " or ".join(names), "或".join(names)


def _range(bins: Bins, amounts: Floats, from_bin: int, to_bin: int) -> tuple[str, str]:
    """Return where a number has to lie: beyond an edge where all beyond it is at least as safe, else within the bin."""
    edges = (-inf, *bins.edges, inf)
    low, high = edges[to_bin], edges[to_bin + 1]
    least = amounts[to_bin]
    if to_bin < from_bin and (amounts[:to_bin] >= least).all():
        low = -inf
    if to_bin > from_bin and (amounts[to_bin + 1 : bins.ordinary] >= least).all():
        high = inf
    above, upto = (None if abs(edge) == inf else edge for edge in (low, high))
    more = None if above is None else _figure(above, bins.name, ceil, high - low)
    most = None if upto is None else _figure(upto, bins.name, floor, high - low)
    if more is None:
        return f"at most {most}", f"不超过{most}"
    if most is None:
        return f"more than {more}", f"高于{more}"
    return f"more than {more} and at most {most}", f"高于{more}且不超过{most}"


def _figure(edge: float, name: str, rounded: Any, width: float) -> str:
    """Return an edge to four figures, rounded to the side on which what is said stays true; money in whole units."""
    if name.endswith("_minor"):
        edge, width = edge / 100, width / 100
    digits = 3 - floor(log10(abs(edge))) if edge else 0
    if width < inf:
        digits = max(digits, 2 - floor(log10(width)))
    scale = 10.0 ** min(max(digits, 0), 12)
    # what an edge is as a decimal must not be rounded away from because of the binary next to it
    near = round(edge * scale, 3)
    return f"{rounded(near) / scale:,.12f}".rstrip("0").rstrip(".")
