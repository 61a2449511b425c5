"""Personas: what sets each behavioural cluster apart from everyone else, in figures and then in sentences of them.

Every sentence is made of one fact, so that a portrait cannot say what the figures do not. A fact is a mean or a share
inside a cluster beside that of all other customers with a cluster, with an effect size and its interval.

References
----------
Cohen (1988), Statistical Power Analysis for the Behavioral Sciences: d and h.
Hedges and Olkin (1985), Statistical Methods for Meta-Analysis: the variance of d.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from engine.config.personas import PersonaSettings
from engine.domain.money import minor_digits
from engine.numerics.ratios import ratios
from engine.segments.columns import signed_log

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

KINDS: Final = ("life", "behaviour", "product", "channel", "journey", "risk", "offer")
"""In the order in which a portrait tells them; an offer is what the bank does, and only an approach tells it."""

_WIDTH: Final = 1.959963984540054
# beyond this many times its median a figure has a long tail, and its logarithm is what is compared
_LONG_TAIL: Final = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One figure of all n customers, NaN where unknown; a share is 0 or 1 for each.

    `text` is the sentence in English and Chinese with {inside} and {outside} in it, `written` how these are: money in
    minor units, shares of 1 in percent, or plain numbers.
    """

    kind: str
    subject: str
    text: tuple[str, str]
    values: Floats
    is_share: bool = False
    written: Literal["number", "money", "percent"] = "number"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One measure of one cluster; NaN where there is no answer."""

    cluster: int
    kind: str
    subject: str
    inside: float
    outside: float
    known_inside: int
    known_outside: int
    effect: float
    lower: float
    upper: float
    text: tuple[str, str]
    told: bool = False

    @property
    def is_clear(self) -> bool:
        """Whether chance alone hardly makes such a difference."""
        return self.lower > 0 or self.upper < 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Portrait:
    """Who the customers of a cluster are, and how to approach them, in English and Chinese."""

    cluster: int
    portrait: tuple[str, str]
    approach: tuple[str, str]


def facts(labels: Labels, measures: Iterable[Measure], settings: PersonaSettings, currency: str) -> list[Fact]:
    """Return every measure of every cluster, in the order of the measures; `told` marks what a portrait says.

    labels : the cluster of each customer, a number below 0 for none: those are in no figure. No cluster gives no fact.
    """
    clusters = int(labels.max(initial=-1)) + 1
    counted = labels >= 0
    found: list[Fact] = []
    for measure in measures:
        found += _of_measure(labels[counted], clusters, measure, measure.values[counted], currency)
    return [_chosen(one, found, settings) for one in found]


def _of_measure(labels: Labels, clusters: int, measure: Measure, values: Floats, currency: str) -> list[Fact]:
    known = ~np.isnan(values)
    labels, values = labels[known], values[known]
    rows = np.bincount(labels, minlength=clusters).astype(np.int64)
    sums = np.bincount(labels, weights=values, minlength=clusters)
    others, other_sums = rows.sum() - rows, sums.sum() - sums
    inside, outside = ratios(sums, rows), ratios(other_sums, others)
    if measure.is_share:
        effects, errors = _between_shares(inside, outside, rows, others)
    else:
        effects, errors = _between_means(labels, _bent(values), rows)
        # what the few with very much pull one way and the many the other cannot be said in a sentence
        effects = np.where(np.sign(effects) == np.sign(inside - outside), effects, np.nan)
    return [
        Fact(
            cluster=cluster,
            kind=measure.kind,
            subject=measure.subject,
            inside=float(inside[cluster]),
            outside=float(outside[cluster]),
            known_inside=int(rows[cluster]),
            known_outside=int(others[cluster]),
            effect=float(effects[cluster]),
            lower=float(effects[cluster] - _WIDTH * errors[cluster]),
            upper=float(effects[cluster] + _WIDTH * errors[cluster]),
            text=_sentence(measure, float(inside[cluster]), float(outside[cluster]), currency),
        )
        for cluster in range(clusters)
    ]


def _bent(values: Floats) -> Floats:
    """Return values on the logarithm where a few have very many times the usual."""
    sizes = np.abs(values[values != 0])
    if not len(sizes) or sizes.max() <= _LONG_TAIL * np.median(sizes):
        return values
    return signed_log(values, float(np.median(sizes)))


def _between_shares(inside: Floats, outside: Floats, rows: Labels, others: Labels) -> tuple[Floats, Floats]:
    effects = 2 * (np.arcsin(np.sqrt(np.clip(inside, 0, 1))) - np.arcsin(np.sqrt(np.clip(outside, 0, 1))))
    with np.errstate(divide="ignore"):
        return effects, np.sqrt(1 / rows + 1 / others)


def _between_means(labels: Labels, values: Floats, rows: Labels) -> tuple[Floats, Floats]:
    """Return d of each cluster against all others, by the pooled standard deviation, and its standard error."""
    total, others = len(values), rows.sum() - rows
    centred = values - (values.mean() if total else 0.0)
    sums = np.bincount(labels, weights=centred, minlength=len(rows))
    squares = np.bincount(labels, weights=centred**2, minlength=len(rows))
    inside, outside = ratios(sums, rows), ratios(sums.sum() - sums, others)
    within = squares.sum() - rows * inside**2 - others * outside**2
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = np.sqrt(np.maximum(within, 0.0) / np.maximum(total - 2, 1))
        effects = np.where(spread > 1e-12, (inside - outside) / spread, np.nan)
        errors = np.sqrt(1 / rows + 1 / others + effects**2 / (2 * total))
    return effects, errors


def _sentence(measure: Measure, inside: float, outside: float, currency: str) -> tuple[str, str]:
    told = {"inside": _number(inside, measure, currency), "outside": _number(outside, measure, currency)}
    english, chinese = (text.format(**told) for text in measure.text)
    return english, chinese


def _number(value: float, measure: Measure, currency: str) -> str:
    """Write a figure; a dash where there is none."""
    if np.isnan(value):
        return "–"
    if measure.is_share or measure.written == "percent":
        return f"{value * 100:.1f} %"
    if measure.written == "money":
        return f"{value / 10 ** minor_digits(currency):,.0f} {currency}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.1f}" if abs(value) >= 1 else f"{value:,.2f}"


def _chosen(one: Fact, among: Sequence[Fact], settings: PersonaSettings) -> Fact:
    rivals = [other for other in among if (other.cluster, other.kind) == (one.cluster, one.kind)]
    worth = [other for other in rivals if _is_worth_telling(other, settings)]
    worth.sort(key=lambda other: (-abs(other.effect), other.subject))
    told = one in worth[: settings.most.get(one.kind, 0)]
    return replace(one, told=told)


def _is_worth_telling(one: Fact, settings: PersonaSettings) -> bool:
    enough = min(one.known_inside, one.known_outside) >= settings.minimum_customers
    return enough and one.is_clear and abs(one.effect) >= settings.smallest_effect


def portraits(found: Sequence[Fact], sizes: Sequence[int], settings: PersonaSettings) -> list[Portrait]:
    """Return the portrait of each cluster: its size, what is told of it, and how to approach it."""
    everyone = max(sum(sizes), 1)
    return [
        Portrait(
            cluster=cluster,
            portrait=_portrait([one for one in found if one.cluster == cluster], size, size / everyone, settings),
            approach=_approach([one for one in found if one.cluster == cluster], settings),
        )
        for cluster, size in enumerate(sizes)
    ]


def _portrait(own: Sequence[Fact], size: int, share: float, settings: PersonaSettings) -> tuple[str, str]:
    told = [one.text for kind in KINDS for one in _clearest(own, kind) if one.told]
    begins = (
        f"{size:,} customers, {share * 100:.1f} % of all with a cluster.",
        f"共{size:,}位客户，占有聚类客户的{share * 100:.1f} %。",
    )
    nothing = (
        f"No figure differs from everyone else's by an effect size of {settings.smallest_effect:g} or more.",
        f"没有任何指标与其余客户的差异达到效应量{settings.smallest_effect:g}。",
    )
    sentences = [begins, *(told or [nothing])]
    return " ".join(english for english, _ in sentences), "".join(chinese for _, chinese in sentences)


def _clearest(own: Sequence[Fact], kind: str) -> list[Fact]:
    return sorted((one for one in own if one.kind == kind), key=lambda one: (-abs(one.effect), one.subject))


def _approach(own: Sequence[Fact], settings: PersonaSettings) -> tuple[str, str]:
    """Return what to say and where: the offer most of them get, the channel most of them use, and what to mind."""
    said: list[tuple[str, str]] = []
    enough = [one for one in own if one.known_inside >= settings.minimum_customers and not np.isnan(one.inside)]
    said += [one.text for one in _largest(enough, "offer")]
    said += [
        (f"Where to reach them: {one.text[0][0].lower()}{one.text[0][1:]}", f"触达渠道：{one.text[1]}")
        for one in _largest(enough, "channel")
    ]
    for one in own:
        if one.told and one.effect > 0 and (one.kind, one.subject) == ("risk", "high"):
            said.append((f"Do not lead with credit: {one.text[0]}", f"不宜以授信产品开场：{one.text[1]}"))
        if one.told and one.effect > 0 and (one.kind, one.subject) == ("behaviour", "complaints_365d"):
            said.append((f"Settle complaints first: {one.text[0]}", f"先处理投诉：{one.text[1]}"))
    if not said:
        said = [("Too little is known of them to say.", "已知信息不足，暂无建议。")]
    return " ".join(english for english, _ in said), "".join(chinese for _, chinese in said)


def _largest(own: Sequence[Fact], kind: str) -> list[Fact]:
    """Return the fact of a kind with the largest share, if it is of anybody."""
    found = [one for one in own if one.kind == kind and one.inside > 0]
    return sorted(found, key=lambda one: (-one.inside, one.subject))[:1]
