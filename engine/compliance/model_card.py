"""The card of a default model: one object that says all that somebody who answers for the model must know.

`card_document` writes it down in English or Chinese; the object holds numbers and names, no sentence but those that the
makers of the model gave.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from engine.config.regimes import Regime
from engine.domain.errors import ModelSpoilt
from engine.risk.fairness import Fairness
from engine.risk.metrics import Estimate
from engine.risk.reject_comparison import RejectReport
from engine.risk.stability import Shift

Both = tuple[str, str]
"""A sentence in English and in Chinese."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """What the model was learned from. `period` is that of the time column; None where the file has none.

    `kinds` counts the characteristics by kind. `left_out` are columns with the reason, `read_as_missing` cells.
    """

    file: str
    checksum: str
    rows: int
    known: int
    bads: int
    target: str
    bad_values: tuple[str, ...]
    period: tuple[date, date] | None
    kinds: Mapping[str, int]
    left_out: tuple[tuple[str, Both], ...]
    read_as_missing: tuple[tuple[str, Both], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How one model did on rows that it had not seen. `violations` are None for a model that promises no direction.

    sample : "folds" (each fold predicted by the model of the others) or "out_of_time" (the latest rows held back).
    """

    name: str
    sample: str
    rows: int
    bads: int
    auc: Estimate
    auc_sd: float | None
    ks: float
    brier: float
    violations: int | None
    probes: int | None
    why: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A range of predicted probabilities: mean predicted, and observed with its interval."""

    label: str
    rows: int
    predicted: float
    observed: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """How far the deciding model's score, or one of its characteristics, has moved from the earlier to the later rows.

    index : of how the values are spread; missing : of the share without a value. Both with their limits and verdict.
    """

    name: str
    index: Shift
    missing: Shift

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "name": self.name,
            "index": self.index.value,
            "chance_limit": self.index.chance_limit,
            "limit": self.index.limit,
            "decided_by": self.index.decided_by,
            "verdict": self.index.verdict,
            "missing_share_change": self.missing.value,
            "missing_share_limit": self.missing.limit,
            "missing_share_verdict": self.missing.verdict,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Who said what about the model, and when."""

    by: str
    on: date
    decision: Literal["proposed", "approved", "retired"]
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """All that the card says.

    points : rows of the scorecard, as `Scorecard.rows` gives them. own_points : those of another sum that decides, else
    none. dropped : characteristics without a place and why.
    meanings : of a characteristic in both languages, where somebody said it.
    flagged : characteristics that tell too much to be true, with the reason.
    rejects : the scorecard with the refused guessed at; None where the file held loans alone.
    """

    # JSON has no word for what is undefined among numbers
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(ser_json_inf_nan="strings")

    data: Data
    champion: str
    champion_reasons: tuple[Both, ...]
    cut_off: int
    scale: Mapping[str, float]
    points: Sequence[Mapping[str, Any]]
    own_points: Sequence[Mapping[str, Any]]
    dropped: tuple[tuple[str, float, Both], ...]
    meanings: Mapping[str, Both]
    flagged: tuple[tuple[str, Both], ...]
    trials: tuple[Trial, ...]
    calibration: tuple[Band, ...]
    tiers: tuple[Band, ...]
    rejects: RejectReport | None
    moved: tuple[Moved, ...]
    fairness: Fairness | None
    limits: tuple[Both, ...]
    settings: Mapping[str, Any]
    regimes: tuple[Regime, ...]
    approvals: tuple[Approval, ...]
    version: str

    def to_json(self) -> str:
        """Return the card as JSON, from which `from_json` makes the very same card."""
        return TypeAdapter(ModelCard).dump_json(self, indent=1).decode() + "\n"

    @classmethod
    def from_json(cls, text: str, source: str) -> ModelCard:
        """Return the card that `to_json` wrote; raises ModelSpoilt, naming `source`, where it is none."""
        try:
            return TypeAdapter(cls).validate_json(text)
        except ValidationError as fault:
            problem = f"its card is not written as this version of Wayline writes one ({fault.error_count()} faults)"
            raise ModelSpoilt(source, problem) from None

    def approved(self, approvals: tuple[Approval, ...]) -> ModelCard:
        """Return the card with what was said about the model since it was learned."""
        return replace(self, approvals=approvals)
