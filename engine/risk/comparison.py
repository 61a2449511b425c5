"""The scorecard and its challengers side by side on rows they have not seen, and which of them should decide.

Separation (AUC, KS, Gini, lift) is that of the models as learned; truth (Brier, calibration) that of the calibrated
probabilities. Whatever cannot be computed is `nan`, and `note` says why or what limits it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import nan

import numpy as np
from numpy.typing import NDArray

from engine.config.risk import RiskSettings
from engine.risk import calibrators, championship, crossvalidation, metrics, models, probes
from engine.risk.calibrators import Line, Tested
from engine.risk.challengers.training import Training
from engine.risk.championship import Rival, Verdict
from engine.risk.crossvalidation import Unseen
from engine.risk.metrics import Estimate
from engine.risk.models import DefaultModel
from engine.risk.probes import Probed
from engine.risk.scorecard import NAME as SCORECARD

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
LIFT_SHARE = 0.1
"""The riskiest share whose bad rate is set against that of all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """How a model does on rows it has not seen.

    `auc` carries DeLong's interval; `auc_sd` is the spread over folds, `nan` out of time. `by_tier` compares predicted
    and observed default rates by the tier that the model gives.
    """

    rows: int
    bads: int
    auc: Estimate
    auc_sd: float
    ks: float
    gini: Estimate
    lift: float
    brier: float
    calibration_error: float
    tested: Tested
    reliability: tuple[Line, ...]
    by_tier: tuple[Line, ...]
    note: str | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Result:
    """One model: learned from all earlier rows and calibrated, with what its way of learning did on unseen ones.

    `folds` are out-of-fold measures among the earlier rows, `out_of_time` those on later rows; None where none are held
    back. `unseen` is the calibrated probability of every row by a model that had not seen it, in the order given.
    """

    name: str
    model: DefaultModel
    fit_seconds: float
    folds: Measures
    out_of_time: Measures | None
    probed: Probed
    unseen: Floats

    @property
    def monotonic_violations(self) -> int:
        """How many probes went against a direction."""
        return self.probed.violations


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Comparison:
    """All models, the scorecard first, with the champion proposed and why.

    `later` marks the rows held back, `fold` is the part of every earlier row (-1 for later ones). `flagged` are the
    characteristics that whoever prepared the data holds for leaks, with the reason: it is passed through, and no
    champion is believed while there are any.
    """

    results: tuple[Result, ...]
    verdict: Verdict
    bad: Bools
    later: Bools
    fold: NDArray[np.intp]
    directions: Mapping[str, int]
    flagged: Mapping[str, str] = field(default_factory=dict)

    @property
    def champion(self) -> Result:
        """The model that should decide."""
        return self.of(self.verdict.champion)

    def of(self, name: str) -> Result:
        """Return the result of a model."""
        return next(one for one in self.results if one.name == name)


def compare(training: Training, later: Bools | None = None, flagged: Mapping[str, str] | None = None) -> Comparison:
    """Learn and try every model, and say which should decide.

    Parameters
    ----------
    training : all rows of known outcome; its seed draws the folds.
    later : rows held back to try on, later than all others; they teach nothing. None holds nothing back.
    flagged : characteristics that may be leaks, with the reason.

    Raises
    ------
    NotEnoughData
        The earlier rows are of one class, or nothing tells the classes apart.
    """
    held = np.zeros(training.rows, dtype=bool) if later is None else later
    earlier = training.part(np.flatnonzero(~held)) if held.any() else training
    latest = training.part(np.flatnonzero(held)) if held.any() else None
    made = crossvalidation.parts(earlier, training.settings.calibration.folds)
    earlier.prepare()
    tried = {name: crossvalidation.unseen(name, earlier, made, training.settings.calibration) for name in models.KINDS}
    results = tuple(_result(one, earlier, latest, held) for one in tried.values())
    fold = np.full(training.rows, -1, dtype=np.intp)
    fold[~held] = tried[SCORECARD].fold
    incumbent, *others = results
    rivals = [_rival(one, incumbent, training.bad, held) for one in others]
    return Comparison(
        results=results,
        verdict=championship.judge(incumbent.name, rivals, training.settings.champion, flagged or {}),
        bad=training.bad,
        later=held,
        fold=fold,
        directions=earlier.directions,
        flagged=flagged or {},
    )


def measure(probability: Floats, bad: Bools, settings: RiskSettings, raw: Floats | None = None) -> Measures:
    """Measure calibrated probabilities on rows unseen; `raw` are those before calibration, which separation is of."""
    order = probability if raw is None else raw
    area = metrics.auc(order, bad)
    return Measures(
        rows=len(bad),
        bads=int(bad.sum()),
        auc=area,
        auc_sd=nan,
        ks=metrics.ks(order, bad),
        gini=metrics.gini(area),
        lift=metrics.lift(order, bad, LIFT_SHARE),
        brier=metrics.brier(probability, bad),
        calibration_error=metrics.calibration_error(probability, bad),
        tested=calibrators.assess(probability, bad),
        reliability=calibrators.reliability(probability, bad, settings.calibration.groups),
        by_tier=calibrators.by_tier(probability, bad, settings.tiers),
        note=limits(bad, settings.small_sample_bads),
    )


def limits(bad: Bools, small: int) -> str | None:
    """Return why measures of these rows are undefined or little known; None where nothing limits them."""
    rows, bads = len(bad), int(bad.sum())
    if rows == 0:
        return "no rows were held back"
    if bads in (0, rows):
        return f"undefined: {'none' if bads == 0 else 'all'} of {rows:,} rows went bad"
    return None if bads >= small else f"small sample: {bads:,} of {rows:,} rows went bad"


def _result(tried: Unseen, earlier: Training, latest: Training | None, held: Bools) -> Result:
    settings = earlier.settings
    calibrator = calibrators.fit(settings.calibration.method, tried.raw, earlier.bad, earlier.weights)
    model = models.calibrated(models.fit(tried.name, earlier), calibrator)
    areas = tried.auc_by_fold(earlier.bad)
    folds = measure(tried.probability, earlier.bad, settings, tried.raw)
    unseen = np.empty(len(held))
    unseen[~held] = tried.probability
    if latest is not None:
        unseen[held] = model.default_probability(latest.columns, latest.rows)
    return Result(
        name=tried.name,
        model=model,
        fit_seconds=tried.fit_seconds,
        folds=replace(folds, auc_sd=float(np.std(areas, ddof=1))),
        out_of_time=None if latest is None else measure(unseen[held], latest.bad, settings),
        probed=probes.probe(
            model,
            earlier.columns,
            promised(model, earlier.directions),
            probes=settings.challengers.probes,
            seed=earlier.seed,
            special={name: settings.binning.specials(name) for name in earlier.directions},
        ),
        unseen=unseen,
    )


def promised(model: DefaultModel, learned: Mapping[str, int]) -> dict[str, int]:
    """Return the directions that a model is held to: its own where it has any, else those learned for all.

    A scorecard's bins are monotone one characteristic at a time, and may count a number the other way than what is
    learned beside all others: its promise is that of its points, which whoever reads them sees.
    """
    return {name: model.directions.get(name) or way for name, way in learned.items()}


def _rival(one: Result, incumbent: Result, bad: Bools, held: Bools) -> Rival:
    """Return what the choice of a champion needs to know of a model."""
    gains = [metrics.auc_gain(one.unseen[rows], incumbent.unseen[rows], bad[rows]) for rows in (~held, held)]
    return Rival(
        name=one.name,
        gain=gains[0],
        gain_later=gains[1] if held.any() else None,
        violations=one.monotonic_violations,
        probes=one.probed.probes,
    )
