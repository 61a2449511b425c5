"""The plan of an experiment, and the fingerprint that shows it was not changed after the results were seen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

from pydantic import BaseModel

from engine.config.experiments import (
    Composite,
    CovariateSettings,
    DecisionSettings,
    LookSettings,
    Mean,
    Proportion,
    Quantile,
    Ratio,
    Retention,
    TimeToEvent,
)
from engine.config.experiments import ExperimentSettings as Experiment
from experiments.integrity import Check

__all__ = [
    "Composite",
    "CovariateSettings",
    "DecisionSettings",
    "Experiment",
    "LookSettings",
    "Mean",
    "Proportion",
    "Quantile",
    "Ratio",
    "Retention",
    "TimeToEvent",
    "changes",
    "checks",
    "fingerprint",
]

_NAMES: Final = ("name_en", "name_zh")


def fingerprint(experiment: Experiment) -> str:
    """Return the SHA-256 of everything that decides a result: variants, weights, control, metrics, looks, rules.

    The same plan gives the same 64 characters whatever the order of keys in the file and whether a default is written
    out or not; the names that screens show are left out.
    """
    canonical = json.dumps(_plan(experiment), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8")).hexdigest()


def changes(experiment: Experiment, registered: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the settings in which a plan differs from the one registered before the first look, by name.

    registered : the plan as `model_dump(mode="json")` wrote it, perhaps by an earlier version that knew fewer settings.
    """
    earlier = _plan(Experiment.model_validate(registered))
    now = _plan(experiment)
    return tuple(sorted(name for name in earlier.keys() | now.keys() if earlier.get(name) != now.get(name)))


def checks(experiment: Experiment, first: Mapping[str, Any] | None, *, written: bool) -> list[Check]:
    """Return the check of a plan against that of the first look; none where it is neither written down nor known.

    first : the plan at the first look, where there was one. written : the plan was written before the data was asked.
    """
    if first is None and not written:
        return []
    found = f"SHA-256 of the plan: {fingerprint(experiment)}"
    changed = changes(experiment, first) if first is not None else ()
    if not changed:
        return [Check(check="plan", status="ok", detail=found)]
    named = ", ".join(changed)
    detail = f"{found}. It was changed after the first look, in: {named}."
    return [Check(check="plan", status="warning", detail=detail)]


def _plan(experiment: Experiment) -> dict[str, Any]:
    return {name: value for name, value in _written(experiment).items() if name not in _NAMES}


def _written(model: BaseModel) -> dict[str, Any]:
    """Return what a model says beyond its defaults, so that a setting of a later version changes no earlier plan."""
    plain = model.model_dump(mode="json")
    return {
        name: _nested(getattr(model, name), plain[name])
        for name, field in type(model).model_fields.items()
        if name == "kind" or field.is_required() or getattr(model, name) != field.get_default(call_default_factory=True)
    }


def _nested(value: Any, plain: Any) -> Any:
    if isinstance(value, BaseModel):
        return _written(value)
    if isinstance(value, tuple):
        return [_nested(one, as_plain) for one, as_plain in zip(value, plain, strict=True)]
    return plain
