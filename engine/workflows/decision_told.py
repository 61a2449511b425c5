"""What would turn a decision and what comes next, as sentences in English and Chinese."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np

from engine.domain.labels import Both, filled, label, texts
from engine.domain.money import minor_digits
from engine.domain.risk_gate import REASONS
from engine.recommendations.bundle import Bundle
from engine.recommendations.flips import FIRST, REFUSED, Flip
from engine.recommendations.frame import DecisionBlock
from engine.recommendations.gates import GATES
from engine.recommendations.levers import Change

_MONEY: Final = ("debts", "income", "margin")
_SHARES: Final = ("default_probability", "margin_rate")


@dataclass(frozen=True, slots=True, kw_only=True)
class Naming:
    """What sentences about a decision need: the names of products, the currency, and what risk's gate named."""

    bundle: Bundle
    block: DecisionBlock
    currency: str

    def product(self, product_id: str) -> Both:
        """Return what a product is called."""
        catalogue = self.bundle.catalogue
        place = catalogue.product_ids.index(product_id)
        return catalogue.names_en[place], catalogue.names_zh[place]

    def money(self, minor: float) -> str:
        """Return an amount to its last minor unit."""
        digits = minor_digits(self.currency)
        return f"{minor / 10**digits:,.{digits}f} {self.currency}"

    @property
    def reasons(self) -> Both:
        """What risk's gate named against the customer."""
        said = int(self.block.gate_reasons[0])
        named = [(one.text_en, one.text_zh) for bit, one in enumerate(REASONS) if said >> bit & 1]
        return _listed(_plain(one) for one in named) if named else _say("words.nothing_named")


def flip(one: Flip, naming: Naming, *, before: str) -> Both:
    """Return what turns a decision that came out as `before` says, and how it comes out then, in one sentence."""
    if one.shut:
        return _say("flip.shut", gates=_gates(one.shut))
    key = "flip.opens" if before == REFUSED else "flip.turns"
    changes = _listed(change(each, naming) for each in one.changes)
    return _say(key, changes=changes, outcome=_outcome(one, naming, before=before))


def steady() -> Both:
    """Return that nothing was found that turns a decision."""
    return _say("flip.steady")


def change(one: Change, naming: Naming) -> Both:
    """Return one change as part of a sentence."""
    kind = "known" if np.isnan(one.then) else "up" if one.by > 0 else "down"
    days = one.within_days
    return _say(
        f"change.{one.lever}_{kind}",
        then=_value(one.then, one, naming),
        now=_value(one.now, one, naming),
        by=_value(abs(one.by), one, naming),
        subject=_subject(one, naming),
        reasons=naming.reasons,
        # a day that has begun is not over: rounded up, to hundredths
        days="" if np.isnan(days) else f"{np.ceil(days * 100) / 100:g}",
    )


def runner_up(product_id: str | None, behind: float, naming: Naming) -> Both:
    """Return what comes next and how much less it is worth."""
    if product_id is None:
        return _say("runner_up.alone")
    return _say("runner_up.behind", product=naming.product(product_id), behind=naming.money(behind))


def gives_way(product_id: str) -> Both:
    """Return that others of the household are contacted, and what would have been offered first."""
    return _say("household.gives_way", product=product_id)


def unexplained(reason: str) -> Both:
    """Return why a run's decisions cannot be explained further."""
    return _say("unexplained.run", reason=reason)


def _outcome(one: Flip, naming: Naming, *, before: str) -> Both:
    if one.outcome == REFUSED:
        return _say("outcome.refused", gates=_gates(one.refused_by))
    if before == FIRST and one.first:
        return _say("outcome.gives_way", first=naming.product(one.first))
    return _say(f"outcome.{one.outcome}")


def _gates(names: Sequence[str]) -> Both:
    return _listed(_plain((gate.text_en, gate.text_zh)) for gate in GATES if gate.name in names)


def _subject(one: Change, naming: Naming) -> Both:
    if one.lever in ("owned", "margin", "on_sale", "under_review"):
        return naming.product(one.subject)
    if one.lever == "gate_reason":
        return _plain(next((each.text_en, each.text_zh) for each in REASONS if each.name == one.subject))
    if one.lever in ("tier_family", "held_family", "margin_rate"):
        return label("family", one.subject)
    if one.lever == "consent":
        return label("channel", one.subject)
    return one.subject, one.subject


def _value(value: float, one: Change, naming: Naming) -> str:
    if np.isnan(value):
        return "\N{EM DASH}"
    if one.lever in _MONEY:
        return naming.money(value)
    return f"{value * 100:.4f} %" if one.lever in _SHARES else f"{value:g}"


def _plain(sentence: Both) -> Both:
    """Return a sentence as part of another: without its stop."""
    return sentence[0].rstrip("."), sentence[1].rstrip("。")


def _listed(parts: Iterable[Both]) -> Both:
    found, between = list(parts), _say("words.and")
    return between[0].join(one[0] for one in found), between[1].join(one[1] for one in found)


@cache
def _sentences() -> Mapping[str, Both]:
    return texts("engine.workflows", "decision_told.toml")


def _say(key: str, **values: str | Both) -> Both:
    return filled(_sentences()[key], **values)
