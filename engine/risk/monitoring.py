"""One look at a model: has who applies moved, who the customers are, what became of the loans; how careful to be.

The model is made anew from the tables each time, and the past is read from the same tables, so that the same data and
settings give the same report, whatever was run before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.config.risk import RiskSettings
from engine.config.risk_oversight import CautionEffect, StabilitySettings
from engine.lake.schema import naive_utc
from engine.numerics.months import months_before
from engine.risk import performance, stability, validation
from engine.risk.caution import Caution
from engine.risk.metrics import Estimate
from engine.risk.model import RiskModel
from engine.risk.stability import SCORE, Period, Reference, Shift
from engine.risk.table import KNOWN

APPLICATIONS: Final = "applications"
CUSTOMERS: Final = "customers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitoring:
    """What was compared, what the gate should be careful about, and what could not be looked at."""

    shifts: tuple[Shift, ...]
    cautions: tuple[Caution, ...]
    notes: tuple[str, ...]

    def to_rows(self) -> list[dict[str, Any]]:
        """Return one plain row per shift; `since` is when a drift that lasts began, None where there is none."""
        return [{**shift.to_row(), "since": stability.since(self.shifts, shift)} for shift in self.shifts]

    def caution_rows(self) -> list[dict[str, Any]]:
        """Return one plain row per caution."""
        return [caution.to_row() for caution in self.cautions]


def month_ends(as_of: datetime, months: int) -> list[datetime]:
    """Return the instants one month apart that end with `as_of`, the oldest first: one more than there are months."""
    return [months_before(as_of, back) for back in range(months, -1, -1)]


def monitor(
    model: RiskModel, as_of: datetime, *, applicants: pa.Table | None, customers: Sequence[Shift]
) -> Monitoring:
    """Compare the last months with what came before them.

    Parameters
    ----------
    applicants : of `table.applicants`: each of the last months is compared with all applications before the first of
        them; a month of few applications together with those before it, see `stretched`. None where the bank has no
        such table; that is noted, and makes the gate cautious.
    customers : what `of_customers` found at the month's ends; empty where nobody was looked at.
    """
    settings = model.settings.stability
    edges = month_ends(as_of, settings.months)
    shifts: list[Shift] = []
    notes = []
    if applicants is None:
        notes.append("there is no table of applications: who applies could not be compared with who applied before")
    else:
        shifts += _of_applications(model, applicants, edges)
        shifts += _of_loans(model, applicants, edges[-1])
    shifts += customers
    return Monitoring(shifts=tuple(shifts), cautions=tuple(cautions(shifts, model.settings)), notes=tuple(notes))


def references(model: RiskModel, snapshot: pa.Table) -> list[Reference]:
    """Return how the customers of the oldest snapshot were spread, to compare those of later months with."""
    return _references(_fresh(model, snapshot), model.settings.stability)


def of_customers(
    model: RiskModel, bases: Sequence[Reference], snapshot: pa.Table, begins: datetime, ends: datetime
) -> list[Shift]:
    """Compare the customers of a month's end (`table.snapshot` on `ends`) with `references`.

    Only whom the engine would score is compared: whose record is missing or too old has no tier to begin with.
    """
    month = Period(begins=begins, ends=ends, columns=_fresh(model, snapshot))
    return stability.watch(bases, [month], model.settings.stability, CUSTOMERS)


def cautions(shifts: Sequence[Shift], settings: RiskSettings) -> list[Caution]:
    """Return why the gate should be careful: what drifts in its latest period, and what nobody could check there.

    That nobody could check is said where no population's score could be: neither the applications of the whole window
    together nor the customers are enough to compare, or there is nothing to compare with. The gate then does what
    `[risk.caution] not_checked` says. As shipped, a person looks at every approval: with so few of them that is little
    work, and it is the only check there is. A bank that wants it otherwise sets it to []: the caution is told all the
    same.
    """
    latest: dict[tuple[str, str, str], Shift] = {}
    for shift in shifts:
        key = (shift.population, shift.what, shift.measure)
        if key not in latest or shift.ends > latest[key].ends:
            latest[key] = shift
    found = [_caution(shift, shifts, settings) for shift in latest.values() if shift.verdict == "drifted"]
    score = [shift for shift in latest.values() if shift.what == SCORE and shift.measure == stability.INDEX]
    if not any(shift.verdict != "not_checked" for shift in score):
        found.append(_not_checked(score, settings.caution.not_checked))
    return found


def unmodelled(settings: RiskSettings, reason: str, reason_zh: str) -> Caution:
    """Return the caution of a bank that has no model at all to watch."""
    return Caution(
        reason="not_checked", what=SCORE, value=None, limit=None, since=None, effects=settings.caution.not_checked,
        text=f"There is no model to watch: {reason}", text_zh=f"没有可监测的模型：{reason_zh}",
    )  # fmt: skip


def stretched(rows: Sequence[int], smallest: int) -> list[tuple[int, int]]:
    """Return, month by month, the edges between which there are enough rows to judge it: start and end.

    A month with fewer rows than `smallest` is judged together with as many of the months before it as it takes, so that
    a bank with few applications is watched as well as one with many, only less promptly. Where all months to the first
    are too few, the stretch is all of them, and nobody can judge it.

    Parameters
    ----------
    rows : of each month, the oldest first; the months lie between edges 0, 1, 2 and so on.
    """
    found, start = [], 0
    held = 0
    for end, count in enumerate(rows, start=1):
        held += count
        # months that it no longer takes are left behind; what later months need is never before it
        while start < end - 1 and held - rows[start] >= smallest:
            held -= rows[start]
            start += 1
        found.append((start, end))
    return found


def _of_applications(model: RiskModel, applicants: pa.Table, edges: Sequence[datetime]) -> list[Shift]:
    scored = _scored(model, applicants)
    when = applicants["applied_at"].to_numpy().astype("datetime64[us]")
    instants = np.array([naive_utc(edge) for edge in edges], dtype="datetime64[us]")
    rows = np.diff(np.searchsorted(np.sort(when), instants)).tolist()
    periods = [
        Period(begins=edges[start], ends=edges[end], columns=_between(scored, when, edges[start], edges[end]))
        for start, end in stretched(rows, model.settings.stability.smallest)
    ]
    before = _between(scored, when, datetime(1, 1, 1, tzinfo=UTC), edges[0])
    return _watch(model, before, periods, APPLICATIONS)


def _fresh(model: RiskModel, snapshot: pa.Table) -> dict[str, pa.ChunkedArray]:
    at, signal_at = (snapshot[name].to_numpy().astype("datetime64[us]") for name in ("at", "signal_at"))
    age = at - signal_at
    return _scored(model, snapshot.filter(pa.array(age <= np.timedelta64(model.settings.signal_max_age_days, "D"))))


def _of_loans(model: RiskModel, applicants: pa.Table, as_of: datetime) -> list[Shift]:
    """Look at the loans held back when the model was made: it learned from none of them."""
    settings = model.settings
    known = applicants.filter(pc.equal(applicants["outcome_state"], KNOWN))
    if settings.outcome == "ever" or known.num_rows == 0:
        return []
    ordered = known.sort_by([("booked_at", "ascending"), ("application_id", "ascending")])
    later = validation.split(ordered, settings)[1]
    if later.num_rows == 0:
        return []
    sample = model.sample("later", later)
    booked = later["booked_at"].to_numpy().astype("datetime64[us]")
    made = next((one for one in model.measures if (one.sample, one.measure) == ("train", "auc")), None)
    edges = [months_before(as_of, settings.outcome_months)]
    while np.datetime64(naive_utc(edges[0]), "us") > booked.min():
        edges.insert(0, months_before(edges[0], settings.stability.cohort_months))
    return performance.cohorts(
        sample, booked, edges, made.estimate if made else Estimate(value=float("nan")),
        base_rows=made.rows if made else 0, settings=settings.stability,
    )  # fmt: skip


def _watch(
    model: RiskModel, before: Mapping[str, pa.ChunkedArray], periods: Sequence[Period], population: str
) -> list[Shift]:
    settings = model.settings.stability
    return stability.watch(_references(before, settings), periods, settings, population)


def _references(before: Mapping[str, pa.ChunkedArray], settings: StabilitySettings) -> list[Reference]:
    bases = [stability.reference(name, column, settings) for name, column in before.items()]
    # what is asked for says nothing of a customer who is not applying
    return [base for base in bases if base.rows == 0 or base.counts[-1] < base.rows]


def _scored(model: RiskModel, rows: pa.Table) -> dict[str, pa.ChunkedArray]:
    """Return the score, then the characteristics that make it."""
    points, _ = model.points_and_probability(rows)
    names = [name for name in model.scorecard.names if name in rows.column_names]
    return {SCORE: pa.chunked_array([pa.array(points)]), **{name: rows[name] for name in names}}


def _between(
    columns: Mapping[str, pa.ChunkedArray], when: Any, begins: datetime, ends: datetime
) -> dict[str, pa.ChunkedArray]:
    first, last = (np.datetime64(naive_utc(edge), "us") for edge in (begins, ends))
    return _where(columns, (when >= first) & (when < last))


def _where(columns: Mapping[str, pa.ChunkedArray], kept: Any) -> dict[str, pa.ChunkedArray]:
    mask = pa.array(kept)
    return {name: column.filter(mask) for name, column in columns.items()}


def _caution(shift: Shift, shifts: Sequence[Shift], settings: RiskSettings) -> Caution:
    began = stability.since(shifts, shift)
    effects = _effects(shift, settings)
    does, does_zh = effects_told(effects)
    since = "" if began is None else f" So since {began:%Y-%m-%d}."
    since_zh = "" if began is None else f"自 {began:%Y-%m-%d} 起持续。"
    return Caution(
        reason=_reason(shift),
        what=shift.what,
        value=shift.value,
        limit=shift.limit,
        since=began,
        effects=effects,
        text=f"{shift.text}{since} {does}",
        text_zh=f"{shift.text_zh}{since_zh}{does_zh}",
    )


def _reason(shift: Shift) -> str:
    by_measure = {performance.AUC_LOSS: "separation_lost", performance.LEVEL: "calibration_off"}
    return by_measure.get(shift.measure, "score_drift" if shift.what == SCORE else "characteristic_drift")


def _effects(shift: Shift, settings: RiskSettings) -> tuple[CautionEffect, ...]:
    if shift.measure in (performance.AUC_LOSS, performance.LEVEL):
        return settings.caution.performance
    return settings.caution.score if shift.what == SCORE else settings.caution.characteristic


def _not_checked(score: Sequence[Shift], effects: tuple[CautionEffect, ...]) -> Caution:
    does, does_zh = effects_told(effects)
    why, why_zh = ("there is no reference to compare the score with", "没有可与评分比较的参照样本")
    if score:
        why, why_zh = score[-1].text.rstrip("."), score[-1].text_zh.rstrip("。")
    return Caution(
        reason="not_checked", what=SCORE, value=None, limit=None, since=None, effects=effects,
        text=f"Whether the score has drifted is not known: {why}. {does}",
        text_zh=f"评分是否漂移未知：{why_zh}。{does_zh}",
    )  # fmt: skip


_DOES: Final = {
    CautionEffect.NO_FAST_TRACK: ("nothing is approved without a person", "取消自动快速审批"),
    CautionEffect.MEDIUM_AS_HIGH: ("medium risk is treated as high for new credit", "新增授信时中风险按高风险处理"),
    CautionEffect.REFER_NOT_APPROVE: ("what would be approved is referred to a person", "拟批准的转人工复核"),
}


def effects_told(effects: Sequence[CautionEffect]) -> tuple[str, str]:
    """Return what the gate does, as a sentence in English and in Chinese."""
    if not effects:
        return "The gate does nothing about it.", "闸口不作处理。"
    said = [_DOES[effect] for effect in effects]
    return f"The gate: {'; '.join(en for en, _ in said)}.", f"闸口：{'；'.join(zh for _, zh in said)}。"
