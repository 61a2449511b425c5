"""The plan of an experiment, and the fingerprint that shows it was not changed after the results were seen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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
    "differences",
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One setting of a plan that was changed, by its place in the plan; None where it was not set."""

    setting: str
    before: str | None
    after: str | None


def differences(experiment: Experiment, registered: Mapping[str, Any]) -> tuple[Difference, ...]:
    """Return what was changed in the settings that `changes` names, down to the single value: before and after.

    A metric is named by itself, as in `metrics.complaint.margin`, so that the order of metrics is no change.
    """
    named = changes(experiment, registered)
    earlier = Experiment.model_validate(registered).model_dump(mode="json")
    now = experiment.model_dump(mode="json")
    return tuple(one for name in named for one in _differences(name, earlier.get(name), now.get(name)))


def _differences(setting: str, before: Any, after: Any) -> Iterator[Difference]:
    old, new = _parts(before), _parts(after)
    if old is not None and new is not None:
        for name in [*new, *(name for name in old if name not in new)]:
            yield from _differences(f"{setting}.{name}", old.get(name), new.get(name))
    elif before != after:
        yield Difference(setting=setting, before=_text(before), after=_text(after))


def _parts(value: Any) -> dict[str, Any] | None:
    """Return what a setting is made of, by name; None where it is one value."""
    if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
        return {str(one.get("metric") or one.get("covariate") or place): one for place, one in enumerate(value, 1)}
    return value if isinstance(value, dict) else None


def _text(value: Any) -> str | None:
    if value is None or value == []:
        return None
    if isinstance(value, dict):
        return ", ".join(f"{name} {text}" for name, one in value.items() if (text := _text(one)) is not None)
    return ", ".join(_text(one) or "" for one in value) if isinstance(value, list) else str(value)


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
