"""The model card of a fit: what the fit knows, put into the object that is written down."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.compliance.model_card import Band, Both, Data, ModelCard, Moved
from engine.config.regimes import Regime
from engine.numerics.ratios import or_none
from engine.risk import fairness, stability
from engine.risk.calibrators import Line, log_odds
from engine.risk.fairness import Cases, Fairness
from engine.risk.file_model import points_of, probability_at
from engine.risk.file_scorer import FileScorer
from engine.risk.metrics import Estimate
from engine.risk.models import ScorecardModel
from engine.risk.stability import Period
from engine.workflows.risk_sample import LEFT_OUT, unread_words

if TYPE_CHECKING:
    from engine.workflows.risk_fit import Fitted

Floats = NDArray[np.float64]
_FEW_BADS: Final = 100
_DISTINCT_NUMBERS: Final = 10
_EXCLUDED: Final[Both] = ("left out by --exclude", "通过 --exclude 指定不使用")


def card(fitted: Fitted, settings: Mapping[str, Any], regimes: tuple[Regime, ...], version: str) -> ModelCard:
    """Return the card of a fit; `settings` are those that it names."""
    trials = fitted.trials
    champion = trials.compared.champion
    return ModelCard(
        data=_data(fitted),
        champion=trials.champion,
        champion_reasons=trials.reasons,
        cut_off=fitted.cut_off,
        scale={
            "base": fitted.settings.scaling.base_points,
            "odds": fitted.settings.scaling.base_odds,
            "double": fitted.settings.scaling.points_to_double_odds,
        },
        points=trials.scorecard.rows(),
        own_points=own_points(fitted),
        dropped=tuple((one.name, one.information_value, _dropped(one.why)) for one in trials.scorecard.dropped),
        meanings=fitted.meanings,
        flagged=trials.flagged,
        trials=trials.trials(),
        calibration=tuple(map(_band, champion.folds.reliability)),
        tiers=tuple(map(_band, champion.folds.by_tier)),
        rejects=fitted.rejects,
        moved=tuple(_moved(fitted)),
        fairness=_fairness(fitted),
        limits=tuple(_limits(fitted)),
        settings=settings,
        regimes=regimes,
        approvals=(),
        version=version,
    )


def own_points(fitted: Fitted) -> list[dict[str, Any]]:
    """Return the points of a model that decides and is a sum, but not the scorecard; none of any other."""
    model = fitted.model
    if isinstance(model.decider, ScorecardModel) or model.card is None or model.bend is not None:
        return []
    return model.card.rows()


_DROPPED_ZH: Final = (
    (re.compile(r"^the same for everybody$"), "各行相同"),
    (re.compile(r"^information value below ([\d.e-]+), which noise.*$"), r"信息值低于\1，样本如此之少时噪声也可达到"),
    (re.compile(r"^information value below ([\d.e-]+)(;.*)?$"), r"信息值低于\1"),
    (re.compile(r"^what it tells, others tell better.*$"), "其信息已由其他特征更好地体现"),
)


def _dropped(why: str) -> Both:
    chinese = next((pattern.sub(zh, why) for pattern, zh in _DROPPED_ZH if pattern.match(why)), why)
    return why, chinese


def validation(made: ModelCard) -> dict[str, Any]:
    """Return all that was measured, in plain values: trials, calibration, tiers, stability, fairness."""
    return {
        "trials": [_plain(asdict(one)) for one in made.trials],
        "calibration": [_plain(asdict(one)) for one in made.calibration],
        "tiers": [_plain(asdict(one)) for one in made.tiers],
        "stability": [_plain(one.to_dict()) for one in made.moved],
        "reject_inference": None if made.rejects is None else _plain(made.rejects.to_dict()),
        "fairness": None if made.fairness is None else [_plain(row) for row in made.fairness.to_rows()],
        "fairness_notes": [] if made.fairness is None else list(made.fairness.notes),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return or_none(value) if isinstance(value, float) else value


def _data(fitted: Fitted) -> Data:
    sample, asked = fitted.sample, fitted.question.sample
    days = None
    if sample.times is not None:
        first, last = (instant.astype("datetime64[D]").item() for instant in (sample.times[0], sample.times[-1]))
        days = (first, last)
    listed = [(one.name, _left_out(one.why, one.values)) for one in sample.left_out]
    return Data(
        file=sample.name,
        checksum=sample.digest,
        rows=sample.rows,
        known=len(sample.bad),
        bads=sample.bads,
        target=asked.target,
        bad_values=asked.bad,
        period=days,
        kinds=dict(Counter(sample.kinds.values())),
        left_out=(*listed, *((name, _EXCLUDED) for name in sample.asked_out)),
        read_as_missing=tuple((one.name, unread_words(one)) for one in sample.unread),
    )


def _left_out(why: str, values: int) -> Both:
    english, chinese = LEFT_OUT[why]
    return english.format(values=f"{values:,}"), chinese.format(values=f"{values:,}")


def _band(line: Line) -> Band:
    label = str(int(line.group)) if line.group.isdigit() else line.group
    return Band(label=label, rows=line.rows, predicted=line.level.predicted, observed=line.level.observed)


def _moved(fitted: Fitted) -> Iterator[Moved]:
    """Yield how far score and characteristics of the deciding model moved from the earlier rows to the later."""
    later, times = fitted.trials.compared.later, fitted.sample.times
    if times is None or not later.any():
        return
    settings, scorer = fitted.settings.stability, FileScorer(fitted.model)
    points = scorer.block(fitted.sample.columns, len(later)).points
    columns = {stability.SCORE: pa.chunked_array([pa.array(points)])}
    columns |= {name: fitted.sample.columns[name] for name in fitted.model.inputs}
    begins, ends = (instant.item().replace(tzinfo=UTC) for instant in (times[later][0], times[-1]))
    held = {name: column.filter(pa.array(later)) for name, column in columns.items()}
    period = Period(begins=begins, ends=ends, columns=held)
    for name, column in columns.items():
        base = stability.reference(name, column.filter(pa.array(~later)), settings)
        compared = 1 if name == stability.SCORE else len(columns) - 1
        index, missing = stability.compare(base, period, settings, population=fitted.sample.name, compared=compared)
        yield Moved(name=name, index=index, missing=missing)


def _fairness(fitted: Fitted) -> Fairness | None:
    sample, trials = fitted.sample, fitted.trials
    if not sample.groups:
        return None
    probability = trials.unseen
    settings = fitted.settings.fairness
    groups = {name: _labels(name, column, fitted) for name, column in sample.groups.items()}
    scaling = fitted.settings.scaling
    cases = Cases(
        groups=groups,
        probability=probability,
        score=points_of(log_odds(probability), scaling),
        bad=sample.bad.astype(float),
    )
    return fairness.assess(cases, settings, probability_at(fitted.cut_off, scaling))


def _labels(name: str, column: pa.ChunkedArray, fitted: Fitted) -> Any:
    """Return the groups of a protected column: its words, or bands of its numbers where these are many."""
    texts = np.array(column.to_pylist(), dtype=object)
    numbers = np.array([_number(text) for text in texts])
    filled = ~np.isnan(numbers)
    if filled.sum() < sum(text is not None for text in texts) or len(np.unique(numbers[filled])) <= _DISTINCT_NUMBERS:
        return texts
    if "age" in name.lower():
        return fairness.age_bands(numbers, fitted.settings.fairness)
    edges = np.unique(np.quantile(numbers[filled], [0.25, 0.5, 0.75], method="inverted_cdf"))
    names = [
        f"up to {edges[0]:g}",
        *(f"above {low:g} to {high:g}" for low, high in itertools.pairwise(edges)),
    ]
    named = np.array([*names, f"above {edges[-1]:g}"], dtype=object)
    return np.where(filled, named[np.searchsorted(edges, np.where(filled, numbers, 0.0), side="left")], "")


def _number(text: object) -> float:
    try:
        return float("nan") if text is None else float(str(text))
    except ValueError:
        return float("nan")


def _limits(fitted: Fitted) -> list[Both]:
    sample = fitted.sample
    found: list[Both] = [
        (
            "Anything but credit risk: not for insurance, jobs, housing or prices of other things.",
            "信用风险以外的任何用途：不得用于保险、招聘、住房或其他定价。",
        ),
        (
            "Borrowers unlike those of the file: whoever was refused then is not in it, and the outcome is known of "
            "those alone to whom money was lent.",
            "与样本不同的借款人：当时被拒绝者不在样本中，结果仅对获得贷款者已知。",
        ),
        (
            "A decision by the machine alone where the law asks for a person.",
            "法律要求人工参与时的纯自动化决策。",
        ),
    ]
    if sample.bads < _FEW_BADS:
        found.append(_small(sample.bads, len(sample.bad), fitted.trials.compared.champion.folds.auc))
    if sample.times is None:
        found.append(
            (
                "A claim that it holds over time: no column of time was named, so nothing was tried on later rows.",
                "声称其随时间稳定：未指定时间列，未在后期数据上检验。",
            )
        )
    return found


def _small(bads: int, rows: int, area: Estimate) -> Both:
    span = f"{area.lower:.3f} \u2013 {area.upper:.3f}"
    return (
        f"Fine distinctions: with {bads} bad of {rows:,} rows the AUC lies somewhere in {span} at 95 %. More loans "
        "whose outcome is known would tell more than another model.",
        f"精细区分：{rows:,}行中仅{bads}笔违约，AUC的95%区间为{span}。增加结果已知的样本比更换模型更有用。",
    )
