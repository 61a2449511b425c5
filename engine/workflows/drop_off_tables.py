"""The drop-offs of a journey as rows: of the tables of a run, and of what the command answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from engine.domain.marts import MARTS
from engine.lake.schema import arrow_schema, to_contract
from engine.numerics.intervals import Interval
from engine.numerics.ratios import or_none
from journeys import stays as stays_of
from journeys.drop_off_study import Study
from journeys.drop_offs import DropOff, Part
from journeys.friction import Effect
from journeys.hazards import Decile, Trial
from journeys.spec import Funnel

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """Rows by table, gathered journey after journey."""

    rows: dict[str, list[pa.Table]] = field(default_factory=dict)

    def add(self, journey: str, funnel: Funnel, study: Study, currency: str | None) -> None:
        """Add what was found of one journey."""
        for name, rows in of(journey, funnel, study, currency).items():
            schema = arrow_schema(MARTS[name])
            self.rows.setdefault(name, [schema.empty_table()]).append(pa.Table.from_pylist(rows, schema=schema))

    def __iter__(self) -> Iterator[tuple[str, pa.Table]]:
        """Return each table with its name, sorted by its key."""
        return iter((name, to_contract(MARTS[name], pa.concat_tables(parts))) for name, parts in self.rows.items())


def of(journey: str, funnel: Funnel, study: Study, currency: str | None) -> dict[str, list[Row]]:
    """Return the rows of every table for one journey."""
    names = stays_of.names(funnel)
    return {
        "journey_drop_offs": list(_drop_offs(journey, names, study.drop_offs, currency)),
        "journey_drop_off_moves": list(_moves(journey, names, study.drop_offs)),
        "journey_friction": list(_frictions(journey, names, study.frictions)),
        "journey_what_ifs": list(_what_ifs(journey, names, study)),
        "journey_hazards": list(_hazards(journey, names, study)),
        "journey_open": list(_open(journey, names, study)),
        "journey_open_validation": list(_validation(journey, study)),
    }


def _step(journey: str, names: Sequence[str], step: int) -> Row:
    return {"journey": journey, "step_index": step, "step": names[step - 1]}


def _ends(interval: Interval, prefix: str = "") -> Row:
    return {f"{prefix}lower": or_none(interval.lower), f"{prefix}upper": or_none(interval.upper)}


def _drop_offs(journey: str, names: Sequence[str], found: Sequence[DropOff], currency: str | None) -> Iterable[Row]:
    ranks: dict[tuple[str, str], int] = {}
    for one in found:
        rank = ranks[one.breakdown, one.group] = ranks.get((one.breakdown, one.group), 0) + 1
        stake = one.stake
        yield {
            **_step(journey, names, one.step),
            "breakdown": one.breakdown,
            "group": one.group,
            "next_step": names[one.next_step - 1],
            "rank": rank,
            "customers": one.reached,
            "continued": one.went_on,
            "dropped": one.dropped,
            "in_progress": one.in_progress,
            "settled": one.settled,
            "drop_rate": or_none(one.rate),
            **_ends(one.rate_interval, "drop_rate_"),
            "last_seen_seconds": or_none(one.last_seen.seconds),
            **_ends(one.last_seen.interval, "last_seen_"),
            "came_back_seconds": or_none(one.came_back.seconds),
            **_first("left_from", one.left_from),
            **_first("next_channel", one.next_channels),
            **_first("next_event", one.next_events),
            "converters": or_none(stake.converters),
            "unvalued": stake.unvalued,
            "gross_minor": stake.gross_minor,
            "expected_loss_minor": stake.loss_minor,
            "net_minor": stake.net_minor,
            "loss_share": or_none(stake.loss_share),
            "currency": currency,
            "no_value_reason": stake.reason,
        }


def _first(name: str, parts: Sequence[Part]) -> Row:
    return {name: parts[0].value if parts else None, f"{name}_share": parts[0].share if parts else None}


def _moves(journey: str, names: Sequence[str], found: Sequence[DropOff]) -> Iterable[Row]:
    for one in (one for one in found if one.breakdown == "all"):
        kinds = {"left_from": one.left_from, "next_channel": one.next_channels, "next_event": one.next_events}
        for kind, parts in kinds.items():
            for part in parts:
                where = {**_step(journey, names, one.step), "kind": kind, "what": part.value}
                yield {**where, "customers": part.customers, "share": part.share}


def _frictions(journey: str, names: Sequence[str], found: Sequence[Effect]) -> Iterable[Row]:
    for rank, one in enumerate(found, start=1):
        yield {
            **_step(journey, names, one.step),
            "kind": one.signal.kind.value,
            "signal": one.signal.label,
            "rank": rank,
            "met": one.met,
            "compared": one.compared,
            "chance_with": or_none(one.chance_with),
            "chance_without": or_none(one.chance_without),
            "difference": or_none(one.difference),
            **_ends(one.difference_interval),
            "odds_ratio": or_none(one.odds_ratio),
            **_ends(one.odds_ratio_interval, "odds_ratio_"),
            "p_value": or_none(one.p_value),
            "q_value": or_none(one.q_value),
            "lost": or_none(one.lost),
            **_ends(one.lost_interval, "lost_"),
            "lost_converters": or_none(one.completed),
            "met_before_going_on": one.met_before_going_on,
            "structural": one.structural,
            "harmful": one.harmful,
            "note": one.note,
        }


def _what_ifs(journey: str, names: Sequence[str], study: Study) -> Iterable[Row]:
    for breakdown, by_step in study.what_ifs.items():
        for step, one in by_step.items():
            lower, upper = one.extra_interval_minor or (None, None)
            yield {
                **_step(journey, names, step),
                "breakdown": breakdown,
                "benchmark": one.benchmark,
                "others": one.others,
                "rate": one.rate,
                "benchmark_rate": one.benchmark_rate,
                **_ends(one.benchmark_interval, "benchmark_"),
                "more_going_on": one.more_going_on,
                **_ends(one.more_going_on_interval, "more_going_on_"),
                "more_converters": one.more_converters,
                **_ends(one.more_converters_interval, "more_converters_"),
                "extra_minor": one.extra_minor,
                "extra_lower_minor": lower,
                "extra_upper_minor": upper,
            }


def _hazards(journey: str, names: Sequence[str], study: Study) -> Iterable[Row]:
    numbers: dict[int, int] = {}
    for one in study.hazards:
        number = numbers[one.step] = numbers.get(one.step, 0) + 1
        yield {
            **_step(journey, names, one.step),
            "period": number,
            "from_seconds": one.from_seconds,
            "to_seconds": one.to_seconds,
            "at_risk": one.at_risk,
            "continued": one.went_on,
            "hazard": or_none(one.hazard),
            **_ends(one.interval),
        }


def _open(journey: str, names: Sequence[str], study: Study) -> Iterable[Row]:
    found, stays = study.open_journeys, study.open_journeys.stays
    customers, channels = stays.ids.take(pa.array(stays.customer)).to_pylist(), stays.channel.texts().to_pylist()
    for place, customer in enumerate(customers):
        yield {
            **_step(journey, names, int(stays.step[place])),
            "customer_id": customer,
            "next_step": names[int(stays.next_step[place]) - 1],
            "channel": channels[place],
            "reached_at": _naive(int(stays.reached_at[place])),
            "closes_at": _naive(int(stays.closes_at[place])),
            "drop_probability": or_none(float(found.drop_probability[place])),
            "method": found.method,
            "friction_met": found.met[place],
        }


def _naive(microseconds: int) -> datetime:
    seconds, rest = divmod(microseconds, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None, microsecond=rest)


def _validation(journey: str, study: Study) -> Iterable[Row]:
    trial, method = study.trial, study.open_journeys.method
    if not isinstance(trial, Trial):
        yield {"journey": journey, "measure": "none", "note": f"{trial} Method: {method}."}
        return
    better = "is" if trial.beats_baseline else "is not"
    note = f"Method: {method}. The logistic model {better} better than kaplan_meier, beyond chance, out of time."
    parts = trial.deciles if trial.beats_baseline else trial.deciles_baseline
    measures: dict[str, Row] = {
        "auc": {"value": trial.auc, **_ends(trial.auc_interval)},
        "auc_kaplan_meier": {"value": trial.auc_baseline},
        "brier": {"value": trial.brier},
        "brier_kaplan_meier": {"value": trial.brier_baseline},
        "gain": {"value": trial.gain, **_ends(trial.gain_interval)},
        "drop_rate": _compared(trial.overall),
    } | {f"decile_{number:02d}": _compared(part) for number, part in enumerate(parts, start=1)}
    for measure, row in measures.items():
        yield {"journey": journey, "measure": measure, "stays": trial.stays, "note": note, **row}


def _compared(part: Decile) -> Row:
    return {"predicted": part.predicted, "value": part.observed, **_ends(part.interval), "stays": part.stays}


def answer(rows: Mapping[str, Sequence[Row]], journey: str, breakdown: str) -> Row:
    """Return what the command says of one journey, from the rows of its tables; lists in the order of their rank."""
    shown = [row for row in rows["journey_drop_offs"] if row["breakdown"] == breakdown]
    whole = sorted((row for row in rows["journey_drop_offs"] if row["breakdown"] == "all"), key=_in_order)
    return {
        "journey": journey,
        "customers": next((row["customers"] for row in whole if row["step_index"] == 1), 0),
        "currency": whole[0]["currency"] if whole else None,
        "steps": [_told(row) for row in whole],
        "by": None
        if breakdown == "all"
        else {
            group: [_told(row) for row in sorted(shown, key=_in_order) if row["group"] == group]
            for group in sorted({row["group"] for row in shown})
        },
        "moves": [_told(row) for row in rows["journey_drop_off_moves"]],
        "friction": [_told(row) for row in sorted(rows["journey_friction"], key=lambda row: row["rank"])],
        "what_if": [_told(row) for row in rows["journey_what_ifs"] if breakdown in ("all", row["breakdown"])],
        "hazards": [_told(row) for row in rows["journey_hazards"]],
        "open": {
            "count": len(rows["journey_open"]),
            "journeys": [_told(row) for row in sorted(rows["journey_open"], key=_most_likely)],
        },
        "validation": [_told(row) for row in rows["journey_open_validation"]],
    }


def _in_order(row: Row) -> tuple[str, int]:
    return row["group"], row["rank"]


def _most_likely(row: Row) -> tuple[float, str]:
    return -(row["drop_probability"] or 0.0), row["customer_id"]


def _told(row: Row) -> Row:
    """Return a row as JSON shows it: without the journey, instants with their zone."""
    return {
        name: value.replace(tzinfo=UTC).isoformat() if isinstance(value, datetime) else value
        for name, value in row.items()
        if name != "journey"
    }
