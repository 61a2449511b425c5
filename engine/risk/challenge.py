"""The challengers of a run: learned from the loans the scorecard learned from, tried on those it was tried on.

They decide nothing. What they would have said of every customer is set against the tiers that were given, and what they
do on later loans against the scorecard.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.config.risk import RiskSettings
from engine.domain.marts import RISK_VALIDATION
from engine.lake.schema import arrow_schema, to_contract
from engine.numerics.intervals import wilson
from engine.numerics.ratios import ratio
from engine.risk import calibrators, metrics, model, models, tiers, validation
from engine.risk.calibrators import Calibrator
from engine.risk.metrics import Estimate
from engine.risk.model import BLOCK, RiskModel
from engine.risk.models import DefaultModel
from engine.risk.scorecard import NAME as SCORECARD
from engine.risk.validation import Measure, Sample

Floats = NDArray[np.float64]
CUSTOMERS: Final = "customers"
AGREEMENT: Final = ("tier_same", "tier_lower", "tier_higher")
"""Shares of the graded customers whose tier by the challenger is the same, lower risk, or higher risk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """The challengers by name, with what they did on the loans of both samples."""

    models: Mapping[str, DefaultModel]
    measures: tuple[Measure, ...]

    def table(self, deciding: RiskModel, scoring: pa.Table, graded: pa.Table) -> pa.Table:
        """Return the RISK_VALIDATION mart: the model that decides, the challengers, and how their tiers agree."""
        agreed = [
            measure
            for name, challenger in self.models.items()
            for measure in agreement(name, challenger, scoring, graded, deciding.settings)
        ]
        rows = [measure.to_row() for measure in (*deciding.measures, *self.measures, *agreed)]
        return to_contract(RISK_VALIDATION, pa.Table.from_pylist(rows, arrow_schema(RISK_VALIDATION)))


def challenge(training: pa.Table, fitted: RiskModel, seed: int) -> Challenge:
    """Learn every challenger and measure it; `training` is the table that the model was fitted on.

    Their level is moved to that of the latest loans as the scorecard's is, so that tiers can be compared.
    """
    settings = fitted.settings
    earlier, later = validation.split(model.of_known_outcome(training)[0], settings)
    rows = model.training_of(earlier, settings, seed)
    of_card = [fitted.sample(name, loans) for name, loans in (("train", earlier), ("out_of_time", later))]
    made, measures = {}, []
    for name in models.KINDS:
        if name == SCORECARD:
            continue
        raw = models.fit(name, rows)
        samples = [_sample(raw, one, loans) for one, loans in (("train", earlier), ("out_of_time", later))]
        shift, _ = validation.shift_to_latest(samples[1], settings)
        made[name] = models.calibrated(raw, Calibrator(method="sigmoid", shift=shift)) if shift else raw
        measures += [replace(one, model=name) for one in _measured(samples, of_card, settings.small_sample_bads)]
    return Challenge(models=made, measures=tuple(measures))


def agreement(
    name: str, challenger: DefaultModel, scoring: pa.Table, graded: pa.Table, settings: RiskSettings
) -> list[Measure]:
    """Return the shares of graded customers whom the challenger would give the same, a lower or a higher tier.

    Tiers are taken by default probability on both sides, since that is what the models differ in.

    Without anybody graded the shares are `nan`.
    """
    ordered = scoring.sort_by("customer_id")
    probability = np.concatenate(
        [_probability(challenger, ordered.slice(at, BLOCK)) for at in range(0, max(1, ordered.num_rows), BLOCK)]
    )
    given = graded["default_probability"].to_numpy()
    known = ~np.isnan(given)
    own, other = (tiers.codes(side[known], known[known], settings.tiers) for side in (probability, given))
    steps = np.sign(own - other)
    counts = [int((steps == way).sum()) for way in (0, -1, 1)]
    return [_share(name, measure, count, len(steps)) for measure, count in zip(AGREEMENT, counts, strict=True)]


def _share(name: str, measure: str, count: int, rows: int) -> Measure:
    reach = wilson(count, rows)
    return Measure(
        model=name,
        sample=CUSTOMERS,
        measure=measure,
        estimate=Estimate(value=ratio(count, rows), lower=reach.lower, upper=reach.upper),
        rows=rows,
        bads=None,
        note=None if rows else "nobody has a tier to compare with",
    )


def _measured(samples: Sequence[Sample], of_card: Sequence[Sample], small: int) -> list[Measure]:
    measures = []
    for sample, card in zip(samples, of_card, strict=True):
        own = validation.measures(sample, small)
        gain = metrics.auc_gain(-sample.log_odds, -card.log_odds, sample.bad)
        measures += [*own, replace(own[0], measure="auc_gain", estimate=gain)]
    return measures


def _sample(challenger: DefaultModel, name: str, loans: pa.Table) -> Sample:
    probability = _probability(challenger, loans)
    bad = loans["bad"].to_numpy().astype(bool)
    return Sample(name=name, log_odds=calibrators.log_odds(probability), probability=probability, bad=bad)


def _probability(challenger: DefaultModel, rows: pa.Table) -> Floats:
    columns = {name: rows[name] for name in challenger.inputs if name in rows.column_names}
    return challenger.default_probability(columns, rows.num_rows)
