"""Recency, frequency, money and lifetime value of the customers of a file of transactions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.config.lifetime import LifetimeSettings
from engine.config.load import changed
from engine.config.segments import SegmentSettings
from engine.domain.errors import NotEnoughData, SettingsFault
from engine.intake import event_files, transaction_files
from engine.intake.transaction_files import TRANSACTIONS, Columns
from engine.lake.engine import DuckDBEngine
from engine.numerics.ratios import or_none
from engine.segments import rfm
from engine.segments.lifetime import holdout, value
from engine.segments.lifetime.histories import AMOUNT, CUSTOMER, DAY, Histories, days_of, histories, per_customer
from engine.workflows import segment_rfm_told as told
from engine.workflows import session

Returns = Literal["net", "ignore", "refuse"]

_EPOCH: Final = date(1970, 1, 1)
_SEEN: Final = 10


def _silent(_: str) -> None:
    """Say nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RfmQuestion:
    """Which file, its columns, and what is asked.

    as_of : nothing later counts; None: the latest row. returns : what amounts below 0 are: counted off the money, left
    out, or a reason to refuse. holdout_from : learn from before this day, judge from it on. top : customers told.
    """

    path: Path
    columns: Columns
    as_of: datetime | None = None
    horizon_days: int | None = None
    margin_share: float | None = None
    discount_yearly: float | None = None
    holdout_from: date | None = None
    returns: Returns = "net"
    top: int = _SEEN
    out: Path | None = None
    encoding: str | None = None
    home: Path = Path("workspace")
    seed: int = 0
    say: Callable[[str], None] = field(default=_silent, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Data:
    """The rows as an expression of customer, day and amount, the engine that knows them, and what was read."""

    engine: DuckDBEngine
    rows: Any
    facts: dict[str, Any]


def study(question: RfmQuestion) -> dict[str, Any]:
    """Return scores by cell, lifetime value and, where asked, the error on days held out.

    Scores stand where no model of lifetime value can be learned; then `lifetime` is None and a note says why.

    Raises
    ------
    UnreadableSource, UnknownName, SettingsFault, NotEnoughData
        The file, a column or an option cannot be used; one sentence says why, and nothing is half written.
    """
    _check(question)
    settings = _settings(question)
    with _transactions(question) as data:
        end = _end(question, data)
        seen = _seen(data, end)
        notes: list[str] = []
        answer: dict[str, Any] = {"file": question.path.name, **data.facts, "as_of": _day(end).isoformat()}
        if question.holdout_from is not None:
            answer["holdout"] = _held_out(question, settings, data, end, notes)
    columns = _scored(seen, end)
    lifetime = _valued(seen, settings, question, columns, notes)
    table = pa.table(columns)
    if question.out is not None:
        told.write(table, question.out)
    answer |= {
        "customers": len(seen),
        "purchases": int((seen.repeats + 1).sum()),
        "returning": int((seen.repeats > 0).sum()),
        "spent": float(seen.spent.sum()),
        "returned": float(seen.returned.sum()),
        "scores": told.levels(table),
        "cells": told.cells(table),
        "lifetime": lifetime,
        "best": told.best(table, question.top),
        "out": None if question.out is None else str(question.out),
        "notes": notes,
    }
    return answer


def _check(question: RfmQuestion) -> None:
    faults = []
    if question.out is not None and question.out.suffix.lower() not in told.FORMATS:
        faults.append(f'--out "{question.out.name}": customers are written as .csv or .parquet')
    if question.horizon_days is not None and not 1 <= question.horizon_days <= 36_500:
        faults.append(f"--horizon-days {question.horizon_days}: expected 1 to 36500")
    if question.margin_share is not None and not 0 <= question.margin_share <= 1:
        faults.append(f"--margin {question.margin_share:g}: expected a share between 0 and 1; for 30 % write 0.3")
    if question.discount_yearly is not None and not 0 <= question.discount_yearly <= 10:
        faults.append(f"--discount {question.discount_yearly:g}: expected 0 to 10; for 10 % a year write 0.1")
    if faults:
        raise SettingsFault("rfm", faults)


def _settings(question: RfmQuestion) -> LifetimeSettings:
    settings = session.settings(session.workspace_at(question.home), SegmentSettings, "segments").lifetime
    asked = {name: getattr(question, name) for name in ("horizon_days", "margin_share", "discount_yearly")}
    return changed(settings, {name: given for name, given in asked.items() if given is not None}, "rfm")


@contextmanager
def _transactions(question: RfmQuestion) -> Iterator[_Data]:
    """Open the file as an expression of customer, day and amount, returns treated as asked."""
    with session.files_aside(question.home) as aside:
        engine = aside.engine
        file = event_files.read(question.path, engine, aside.folder("log"), aside.rules, encoding=question.encoding)
        report, notes = transaction_files.attach(file, question.columns, engine, aside.scratch)
        for note in notes:
            question.say(note)
        left = {name: count for name, count in asdict(report).items() if name not in ("read", "kept") and count}
        if left:
            listed = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in left.items())
            question.say(f"{report.read - report.kept:,} of {report.read:,} rows were left out: {listed}.")
        table = ibis.table({CUSTOMER: "string", "at": "timestamp(6)", AMOUNT: "decimal(28, 6)"}, name=TRANSACTIONS)
        rows = table.select(CUSTOMER, AMOUNT, **{DAY: days_of(table["at"])})
        below = int(engine.arrow((rows[AMOUNT] < 0).sum().name("n").as_table())["n"][0].as_py() or 0)
        if below and question.returns == "refuse":
            raise SettingsFault(
                file.name,
                [
                    f'"{question.columns.amount}": {below:,} of {report.kept:,} amounts are below 0; with --returns '
                    "net they are counted off the money, with --returns ignore they are left out"
                ],
            )
        if question.returns == "ignore":
            rows = rows.filter(rows[AMOUNT] >= 0)
        facts = {"rows": asdict(report), "returns": question.returns, "amounts_below_zero": below}
        yield _Data(engine=engine, rows=rows, facts=facts)


def _end(question: RfmQuestion, data: _Data) -> int:
    if question.as_of is not None:
        return (question.as_of.astimezone(UTC).date() - _EPOCH).days
    latest = data.engine.arrow(data.rows[DAY].max().name("n").as_table())["n"][0].as_py()
    if latest is None:
        raise NotEnoughData("purchases", "no amount is left after --returns ignore", "amounts above 0")
    question.say(f"Looked from the latest day, {_day(latest)}; --as-of names another.")
    return int(latest)


def _seen(data: _Data, end: int) -> Histories:
    found = histories(data.engine.arrow(per_customer(data.rows.filter(data.rows[DAY] <= end))), end)
    if not len(found):
        raise NotEnoughData("purchases", f"no amount above 0 up to {_day(end)}", "an amount above 0 before --as-of")
    return found


def _scored(seen: Histories, end: int) -> dict[str, Any]:
    everybody = np.ones(len(seen), dtype=bool)
    recency, net = end - seen.last_day, seen.spent - seen.returned
    scores = {
        "recency_score": rfm.fifths(-recency, everybody),
        "frequency_score": rfm.fifths(seen.repeats, everybody),
        "monetary_score": rfm.fifths(net, everybody),
    }
    return {
        CUSTOMER: seen.customer_id,
        "recency_days": recency.astype(np.int64),
        "purchases": (seen.repeats + 1).astype(np.int64),
        "net_spend": net,
        **scores,
        "rfm_cell": rfm.cells(scores),
    }


def _valued(
    seen: Histories, settings: LifetimeSettings, question: RfmQuestion, columns: dict[str, Any], notes: list[str]
) -> dict[str, Any] | None:
    """Add each customer's lifetime value to the columns and return what it was learned from."""
    try:
        models = value.learn(seen, settings, question.seed)
    except NotEnoughData as fault:
        notes.append(fault.sentence)
        return None
    found = value.worth(models, seen, settings, settings.horizon_days)
    columns |= {
        "alive_probability": found.alive,
        "expected_purchases": found.purchases,
        "expected_spend_each": found.spend,
        "lifetime_value": found.value,
    }
    notes += _warnings(models, settings)
    facts = _models(models)
    return {
        "horizon_days": settings.horizon_days,
        "margin_share": settings.margin_share,
        "discount_yearly": settings.discount_yearly,
        "expected_purchases": float(found.purchases.sum()),
        "expected_alive": float(found.alive.sum()),
        "lifetime_value": float(found.value.sum()),
        "lifetime_value_mean": float(found.value.mean()),
        **facts,
    }


def _models(models: value.Models) -> dict[str, Any]:
    bought = {key: asdict(models.purchases)[key] for key in ("r", "alpha", "a", "b", "log_likelihood", "customers")}
    spent = {key: asdict(models.spend)[key] for key in ("p", "q", "gamma", "log_likelihood", "customers")}
    spent["correlation"] = or_none(models.spend.correlation)
    return {"returned_share": models.returned_share, "purchase_model": bought, "spend_model": spent}


def _warnings(models: value.Models, settings: LifetimeSettings) -> list[str]:
    notes = []
    if models.purchases.at_limit:
        notes.append(
            "The model of repeat purchases lies at the limit of its search: these data do not tell how rates differ or "
            "whether customers leave. Take its forecast with care."
        )
    if models.spend.at_limit:
        notes.append("The model of amounts lies at the limit of its search: amounts hardly differ between customers.")
    if abs(models.spend.correlation) > settings.dependence_warning:
        notes.append(
            f"How often and how much are related (correlation {models.spend.correlation:.2f}), which the model of "
            "amounts takes for independent: the value of frequent buyers is told too near to the mean."
        )
    return notes


def _held_out(
    question: RfmQuestion, settings: LifetimeSettings, data: _Data, end: int, notes: list[str]
) -> dict[str, Any]:
    assert question.holdout_from is not None
    engine, rows = data.engine, data.rows
    cut = (question.holdout_from - _EPOCH).days
    if cut > end:
        raise NotEnoughData(
            "holdout", f"it would begin on {question.holdout_from}, the data end on {_day(end)}", "a day before that"
        )
    seen = _seen(data, cut - 1)
    models = value.learn(seen, settings, question.seed)
    later = rows.filter((rows[DAY] >= cut) & (rows[DAY] <= end))
    each_day = later.group_by([CUSTOMER, DAY]).aggregate(
        net=later[AMOUNT].sum(), bought=(later[AMOUNT] > 0).any().cast("int64")
    )
    came = engine.arrow(each_day.group_by(CUSTOMER).aggregate(n=each_day.bought.sum(), net=each_day.net.sum()))
    # a customer of before who did not come is 0; one who came for the first time was not there to be forecast
    place = pc.index_in(seen.customer_id, value_set=came[CUSTOMER].combine_chunks())
    bought, net = (pc.fill_null(came[name].cast(pa.float64()).take(place), 0.0).to_numpy() for name in ("n", "net"))
    days = end - cut + 1
    notes += [f"Holdout: {note}" for note in _warnings(models, settings)]
    return {
        "from": question.holdout_from.isoformat(),
        "days": days,
        "customers": len(seen),
        "new_customers": came.num_rows - int((bought > 0).sum() + ((bought == 0) & (net != 0)).sum()),
        "purchases": float(bought.sum()),
        "spend": float(net.sum()),
        "errors": holdout.judge(holdout.forecasts(models, seen, float(days)), bought, net),
        **_models(models),
    }


def _day(number: int) -> date:
    return _EPOCH + timedelta(days=int(number))
