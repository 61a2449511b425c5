"""The scorecard of a file without and with the refused guessed at, as the answer and the card tell it."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa

from engine.config.risk import RiskSettings
from engine.domain.errors import NotEnoughData
from engine.risk import reject_comparison, rejects
from engine.risk.challengers.training import Training
from engine.risk.file_model import probability_at
from engine.risk.reject_comparison import RejectReport
from engine.risk.rejects import Applicants, Method
from engine.workflows.risk_sample import RiskSample
from engine.workflows.risk_trials import Trials

_SEPARATION: Final = ("auc", "ks")


def compared(
    sample: RiskSample, training: Training, trials: Trials, method: Method, cut_off: int
) -> RejectReport | None:
    """Return both cards measured on the folds and the later rows of the trials; None where the file holds loans alone.

    Applicants refused after the boundary of the later rows teach nothing, as those accepted do not.

    Raises
    ------
    NotEnoughData
        Nobody was refused before that boundary.
    """
    if sample.refused is None:
        return None
    later = trials.compared.later
    earlier = training.part(np.flatnonzero(~later)) if later.any() else training
    held = training.part(np.flatnonzero(later)) if later.any() else None
    rejected = sample.refused.columns
    if sample.times is not None and later.any():
        boundary = sample.times[later].min()
        rejected = sample.refused.before(boundary)
        if rejected.num_rows == 0:
            raise NotEnoughData(
                "reject inference",
                f"nobody was refused before {boundary.astype('datetime64[D]')}, from when on rows are held back",
                "rows of applicants who were refused earlier, or the same without --time",
            )
    people = Applicants(
        accepted=pa.table(dict(earlier.columns)),
        bad=earlier.bad,
        rejected=rejected,
        asked={},
    )
    return reject_comparison.compare(
        people,
        method,
        _directed(training.settings, training),
        probability_at(cut_off, training.settings.scaling),
        seed=training.seed,
        later=None if held is None else (pa.table(dict(held.columns)), held.bad),
    )


def table(facts: dict[str, Any]) -> list[dict[str, str]]:
    """Return the measures of an answer as words and shown values: `measure`, `without`, `with`."""
    without, inferred = facts["without"], facts["inferred"]
    rows = [
        {"measure": f"{name.upper()} on accepted rows unseen"}
        | {side: _number(one[name]) for side, one in (("without", without), ("with", inferred))}
        for name in _SEPARATION
    ]
    for measure in (name for name in without if name not in _SEPARATION):
        one, other = (rejects.written(measure, side[measure]) for side in (without, inferred))
        rows.append({"measure": rejects.named(measure)[0], "without": one, "with": other})
    return rows


def _number(value: float | None) -> str:
    return "\u2014" if value is None else f"{value:.4f}"


def _directed(settings: RiskSettings, training: Training) -> RiskSettings:
    """Return the settings with the directions that were asked for, as the scorecard that decides has them."""
    return settings.model_copy(update={"binning": settings.binning.directed(training.monotone)})
