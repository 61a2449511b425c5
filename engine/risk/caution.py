"""What makes the gate hold back more than grades alone would: a model that drifted, or that nobody can check."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine.config.risk_oversight import CautionEffect


@dataclass(frozen=True, slots=True, kw_only=True)
class Caution:
    """One reason to be careful, and what the gate does about it.

    reason : "score_drift", "characteristic_drift", "calibration_off", "separation_lost" or "not_checked".
    what : the score, or the characteristic or the measure that moved.
    value, limit : how far it moved and how far it may, in the measure's own unit; None where nothing could be computed.
    since : the beginning of the first period from which on it has been beyond its limit; None when not known.
    effects : what the gate does; never lets through what it would otherwise refuse.
    """

    reason: str
    what: str
    value: float | None
    limit: float | None
    since: datetime | None
    effects: tuple[CautionEffect, ...]
    text: str
    text_zh: str

    def to_row(self) -> dict[str, Any]:
        """Return the caution as a plain row; effects are joined by a space."""
        row = {name: getattr(self, name) for name in self.__slots__}
        return {**row, "effects": " ".join(self.effects)}


def effects(cautions: Iterable[Caution]) -> frozenset[CautionEffect]:
    """Return all that the gate does for these cautions together; empty where there is none."""
    return frozenset(effect for caution in cautions for effect in caution.effects)
