"""On which channel to contact: the one that brings most after its cost, by what was answered on each.

A channel's rate of response is drawn to that of all contacts as by a Beta prior at the overall rate. How strong the
prior is follows from the bank's own data, by moments: as strong as channels do not differ beyond chance, and never
weaker than the settings say. The same is done for the families of products on each channel, around what the channel
does to all families, and for a customer's own contacts around the channel, with the strength of the settings.

The propensity of a product is that of the usual mix of contacts, so only what a channel does relative to the others
counts: a rate over the family's own, and a customer's own answers over what that customer answers in general.

References
----------
Casella (1985), The American Statistician 39, on empirical Bayes; DerSimonian and Laird (1986), Controlled Clinical
Trials 7, on the variance between groups by moments.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa

from engine.config.responses import ResponsePolicy
from engine.domain.contact_marts import CHANNEL_RESPONSES
from engine.lake.schema import arrow_schema, to_contract
from engine.recommendations.columns import any_of
from engine.recommendations.frame import Flags, Floats, Integers

ALL: Final = "all"
"""Stands for all families in the mart channel_responses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a channel: its word and the sentences."""

    name: str
    text_en: str
    text_zh: str


REASONS: Final = (
    Reason(
        name="cheapest",
        text_en="The cheapest channel that is open: too few answers to earlier contacts are known to choose by them.",
        text_zh="可用渠道中成本最低：以往触达的回应太少，无法据此选择。",
    ),
    Reason(
        name="responses",
        text_en="Of the open channels it brings most after its cost, by answers to earlier contacts.",
        text_zh="按以往触达的回应，扣除成本后收益最高的可用渠道。",
    ),
    Reason(
        name="only_open",
        text_en="The only channel that is open.",
        text_zh="唯一可用的渠道。",
    ),
    Reason(
        name="only_tried",
        text_en="The cheapest open channel: on none of those open has the bank tried enough contacts yet.",
        text_zh="可用渠道中成本最低：本行在这些渠道上的触达次数尚不足。",
    ),
    Reason(
        name="cheapest_by_choice",
        text_en="The cheapest channel that is open, as the settings say.",
        text_zh="按设置选用成本最低的可用渠道。",
    ),
    Reason(
        name="of_the_offer",
        text_en="The cheapest open channel on which the best offer may go out.",
        text_zh="最佳推荐方案允许使用的可用渠道中成本最低。",
    ),
    Reason(
        name="asked_for",
        text_en="Of the channels that the request asks for.",
        text_zh="按请求指定的渠道。",
    ),
)
CHEAPEST, RESPONSES, ONLY_OPEN, UNTRIED, BY_CHOICE, OFFER_CHANNEL, ASKED_FOR = range(len(REASONS))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelResponses:
    """What was answered on C channels: `rate` (C,) after the prior, and whether a channel was `tried` often enough.

    `relative` (C, P) is how often a contact for a product is answered on a channel over how often on the usual mix.
    `own_prior` is how many contacts at the channel's rate a customer's own are mixed with.
    """

    rate: Floats
    tried: Flags
    relative: Floats
    own_prior: float

    def own(self, asked: Floats, answered: Floats) -> Floats:
        """Return how much more than usual each customer answers on each channel than on all, shape (n, C).

        1 for who was never contacted. Sums run channel by channel, the same for one customer as for many.
        """
        expected, total, all_asked = np.zeros(len(asked)), np.zeros(len(asked)), np.zeros(len(asked))
        for channel in range(asked.shape[1]):
            expected += asked[:, channel] * self.rate[channel]
            total += answered[:, channel]
            all_asked += asked[:, channel]
        usual = np.where(all_asked > 0, expected / np.maximum(all_asked, 1.0), 1.0)
        everywhere = (total + self.own_prior * usual) / ((all_asked + self.own_prior) * usual)
        here = (answered + self.own_prior * self.rate) / ((asked + self.own_prior) * self.rate)
        found: Floats = here / everywhere[:, None]
        return found


def learn(
    counts: pa.Table | None, channels: Sequence[str], families: Sequence[str], policy: ResponsePolicy
) -> ChannelResponses | None:
    """Return what the bank's contacts teach; None where they are too few, so that the cheapest channel is taken.

    `counts` are rows of `responses.by_channel`; `families` has the family of each product, shape (P,).
    """
    if policy.channel_from == "cheapest":
        return None
    asked, answered, names = _cells(counts, channels)
    if asked.sum() < policy.min_contacts or answered.sum() < policy.min_responses:
        return None
    overall = answered.sum() / asked.sum()
    of_channel, got = asked.sum(axis=0), answered.sum(axis=0)
    strength = prior_strength(got, of_channel, np.full(len(channels), overall), policy.least_prior_contacts)
    rate = (got + strength * overall) / (of_channel + strength)
    by_family = _by_family(asked, answered, rate / overall, policy.least_prior_contacts)
    relative = np.column_stack(
        [by_family[names.index(family)] if family in names else rate / overall for family in families]
    )
    tried = of_channel >= policy.min_channel_contacts
    return ChannelResponses(rate=rate, tried=tried, relative=relative, own_prior=policy.own_prior_contacts)


def prior_strength(answered: Floats, asked: Floats, expected: Floats, least: float) -> float:
    """Return how many contacts at the expected rate each group is mixed with, by moments; infinity is not returned.

    Where groups differ no more than chance alone would make them, the strength is a million million contacts: as good
    as no difference. Groups nobody was asked in say nothing.
    """
    some = asked > 0
    n, rate = asked[some], expected[some]
    if len(n) < 2:
        return _FIRM
    noise = rate * (1 - rate)
    weight = n / noise
    spread = float((weight * (answered[some] / n - rate) ** 2).sum())
    room = float(weight.sum() - (weight**2).sum() / weight.sum())
    between = max(spread - (len(n) - 1), 0.0) / room if room > 0 else 0.0
    if between == 0:
        return _FIRM
    return float(np.clip(noise.mean() / between - 1, least, _FIRM))


_FIRM: Final = 1e12


def _by_family(asked: Floats, answered: Floats, relative: Floats, least: float) -> Floats:
    """Return what each channel does to each family, relative to the family's own rate, shape (F, C)."""
    total, got = asked.sum(axis=1, keepdims=True), answered.sum(axis=1, keepdims=True)
    # the family's rate at which its mix of channels would have brought the answers that it had
    mixed = (asked * relative).sum(axis=1, keepdims=True)
    level = np.where(mixed > 0, got / np.where(mixed > 0, mixed, 1.0), 0.0)
    expected = np.clip(level * relative, 0.0, 1.0)
    judged = (expected > 0) & (expected < 1)
    strength = prior_strength(answered[judged], asked[judged], expected[judged], least) if judged.any() else _FIRM
    made = (answered + strength * expected) / (asked + strength)
    found: Floats = np.where((total > 0) & (level > 0), made / np.where(level > 0, level, 1.0), relative)
    return found


def _cells(counts: pa.Table | None, channels: Sequence[str]) -> tuple[Floats, Floats, list[str]]:
    """Return contacts and answers by family and channel, shape (F, C), and the families; channels in given order."""
    rows = [] if counts is None else counts.to_pylist()
    names = sorted({row["family"] for row in rows})
    asked, answered = np.zeros((len(names), len(channels))), np.zeros((len(names), len(channels)))
    for row in rows:
        if row["channel"] in channels:
            cell = names.index(row["family"]), list(channels).index(row["channel"])
            asked[cell] += row["asked"]
            answered[cell] += row["answered"]
    return asked, answered, names


def choose(usable: Flags, costs: Sequence[int], worth: Floats, learned: ChannelResponses) -> tuple[Integers, Integers]:
    """Return the place of the channel for each customer and that of the reason, shape (n,); -1 where none is usable.

    `usable` (n, C) are the channels agreed to that no cap closes; `worth` (n, C) is what the best offer is worth on
    each, minus infinity where there is none to make. Of channels tried often enough the best is taken, where none was
    the cheapest; equally good ones in the order of their cost and then as listed. Where offers may go out on none of
    those tried it is the cheapest on which one may, and where there is nothing to offer the cheapest of those tried.
    """
    price = np.array(costs, dtype=np.float64)
    tried, carries = usable & learned.tried, usable & np.isfinite(worth)
    any_tried, by_worth = any_of(tried), any_of(tried & carries)
    elsewhere = any_tried & ~by_worth & any_of(carries)
    among = np.where(elsewhere[:, None], carries, np.where(any_tried[:, None], tried, usable))
    best, highest = np.full(len(usable), -1), np.full(len(usable), -np.inf)
    for channel in np.argsort(price, kind="stable"):
        score = np.where(by_worth, worth[:, channel], -price[channel])
        better = among[:, channel] & ((score > highest) | (best < 0))
        np.copyto(best, channel, where=better)
        np.copyto(highest, score, where=better)
    told = np.where(elsewhere, OFFER_CHANNEL, np.where(any_tried, RESPONSES, UNTRIED))
    return best, reasons(usable, told)


def cheapest_for_best(usable: Flags, costs: Sequence[int], worth: Floats, reason: int) -> tuple[Integers, Integers]:
    """Return for each customer the cheapest usable channel on which the best offer may go out, and the reason.

    Shapes and signs are those of `choose`. Where nothing may be offered it is the cheapest of the usable ones.
    """
    price = np.array(costs, dtype=np.float64)
    by_price = np.argsort(price, kind="stable")
    some = any_of(np.isfinite(np.where(usable, worth, -np.inf)))
    score = np.where(usable, np.where(some[:, None], worth, -price), -np.inf)[:, by_price]
    best = by_price[np.argmax(score, axis=1)]
    cheapest = by_price[np.argmax(usable[:, by_price], axis=1)]
    told = np.where(best == cheapest, reason, OFFER_CHANNEL)
    return np.where(any_of(usable), best, -1), reasons(usable, told)


def reasons(usable: Flags, reason: Integers | int) -> Integers:
    """Return the place of each customer's reason: the one given, unless only one channel is usable, -1 where none."""
    count = np.zeros(len(usable), dtype=np.int64)
    for channel in range(usable.shape[1]):
        count += usable[:, channel]
    return np.where(count == 0, -1, np.where(count == 1, ONLY_OPEN, reason))


def notes(counts: pa.Table | None, learned: ChannelResponses | None, policy: ResponsePolicy) -> tuple[str, ...]:
    """Say where too few answers are known to choose channels by them."""
    if learned is not None or policy.channel_from == "cheapest":
        return ()
    asked, answered = (0 if counts is None else sum(counts[what].to_pylist()) for what in ("asked", "answered"))
    return (
        f"Channels are the cheapest open ones: of {asked:,} contacts {answered:,} were answered ({policy.event}), "
        f"and {policy.min_contacts:,} with {policy.min_responses:,} are needed to choose by them.",
    )


def rows_of(
    counts: pa.Table | None, learned: ChannelResponses | None, channels: Sequence[str], families: Sequence[str]
) -> pa.Table:
    """Return the mart channel_responses: what was asked and answered on each channel, of all and of each family."""
    asked, answered, names = _cells(counts, channels)
    all_asked, all_answered = asked.sum(axis=0), answered.sum(axis=0)
    overall = None if learned is None else learned.rate / (all_answered.sum() / all_asked.sum())
    rows = list(_rows(all_asked, all_answered, ALL, learned, overall))
    for place, family in enumerate(names):
        sold = learned is not None and family in families
        relative = learned.relative[:, list(families).index(family)] if learned is not None and sold else None
        rows += _rows(asked[place], answered[place], family, learned, relative)
    rows = [row | {"channel": channels[row.pop("place")]} for row in rows]
    rows.sort(key=lambda row: (row["family"], row["channel"]))
    return to_contract(CHANNEL_RESPONSES, pa.Table.from_pylist(rows, schema=arrow_schema(CHANNEL_RESPONSES)))


def _rows(
    asked: Floats, answered: Floats, family: str, learned: ChannelResponses | None, relative: Floats | None
) -> Iterator[dict[str, Any]]:
    for place in range(len(asked)):
        yield {
            "family": family,
            "place": place,
            "contacts": int(asked[place]),
            "responses": int(answered[place]),
            "response_rate": float(answered[place] / asked[place]) if asked[place] else None,
            "relative_response": None if relative is None else float(relative[place]),
            "tried": None if learned is None else bool(learned.tried[place]),
        }
