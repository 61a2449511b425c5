"""The main limits of a run's policy, as a person may try others: see `engine.workflows.recommend_simulate`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from engine.config.recommendations import RecommendationSettings
from engine.domain.errors import NotEnoughData
from engine.lake.runs import Run

_BUNDLE: Final = "decision_bundle.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class MainLimits:
    """What is tried most often; `cap` names the first cap per customer, None where the policy has none."""

    max_debt_service_ratio: float
    max_default_probability: float
    min_expected_value_minor: int
    top_n: int
    cap: str | None
    max_contacts: int

    def changes_from(self, now: MainLimits) -> dict[str, Any]:
        """Return those limits as settings that are others than now: what is not touched is not set."""
        return _differing(self.values(), now.values())

    def values(self) -> dict[str, Any]:
        """Return the limits as settings of [recommendations]."""
        gates = {
            "max_debt_service_ratio": self.max_debt_service_ratio,
            "max_default_probability": self.max_default_probability,
            "min_expected_value_minor": self.min_expected_value_minor,
        }
        caps: Mapping[str, Any] = {} if self.cap is None else {self.cap: {"max_contacts": self.max_contacts}}
        return {"top_n": self.top_n, "gates": gates, "contact": {"caps": caps}}


def _differing(values: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        before = now.get(name)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            inner = _differing(value, before)
            found |= {name: inner} if inner else {}
        elif value != before:
            found[name] = value
    return found


def in_force(run: Run) -> MainLimits:
    """Return the limits that a run decided by.

    Raises
    ------
    MartMissing
    NotEnoughData
        The run did not keep its policy, or in a form that this version does not read.
    """
    run.require("decisions")
    settings = _settings(run)
    named = settings.contact.named("customer")
    cap = named[0] if named else None
    return MainLimits(
        max_debt_service_ratio=settings.gates.max_debt_service_ratio,
        max_default_probability=settings.gates.max_default_probability,
        min_expected_value_minor=settings.gates.min_expected_value_minor,
        top_n=settings.top_n,
        cap=cap,
        max_contacts=0 if cap is None else settings.contact.caps[cap].max_contacts,
    )


def _settings(run: Run) -> RecommendationSettings:
    """Return the settings in the run's bundle, as text: its models bring libraries that take seconds to load."""
    if _BUNDLE not in run.manifest["texts"]:
        raise NotEnoughData("policy to try", "the run did not keep what decides", "a new run: wayline run")
    try:
        return RecommendationSettings.model_validate(json.loads(run.text(_BUNDLE))["bundle"]["settings"]["_settings"])
    except (ValueError, KeyError, TypeError):
        raise NotEnoughData("policy to try", "the run keeps it in another form", "a new run: wayline run") from None
