"""What a gate is: a question about every customer and product, with the code and sentences of its refusal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from engine.config.recommendations import RecommendationSettings
from engine.recommendations.frame import DecisionBlock, Flags, Floats
from engine.recommendations.products import Catalogue

Kind: TypeAlias = Literal[
    "eligibility",
    "applicability",
    "suitability",
    "consent",
    "kyc",
    "affordability",
    "risk",
    "complaint",
    "contact",
    "value",
    "fairness",
]
"""What a gate protects; every gate is of one kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What gates look at: n customers, P products, the limits, and of each pair the expected value and the amount.

    Both are minor units, shape (n, P), NaN for unknown; `amount` is what the value of credit counts.
    """

    block: DecisionBlock
    catalogue: Catalogue
    settings: RecommendationSettings
    value: Floats
    amount: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One gate: its name and kind, the code and sentences given with a refusal, and the question it asks."""

    name: str
    kind: Kind
    reason_code: str
    text_en: str
    text_zh: str
    refuses: Callable[[Case], Flags]
