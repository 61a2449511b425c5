"""The plan of an experiment, and the fingerprint that shows it was not changed after the results were seen."""

from __future__ import annotations

import hashlib
import json

from engine.config.experiments import ExperimentSettings

_NAMES = {"name_en", "name_zh"}


def fingerprint(experiment: ExperimentSettings) -> str:
    """Return the SHA-256 of everything that decides a result: variants, weights, control, metrics.

    The same plan gives the same 64 characters whatever the order of keys in the file; the names that screens show
    are left out.
    """
    plan = experiment.model_dump(mode="json", exclude=_NAMES)
    canonical = json.dumps(plan, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8")).hexdigest()
