"""Share out the next batch of units between arms by what a log of past ones showed, and give units their arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from engine.domain.errors import NotEnoughData, SettingsFault, UnknownName
from engine.intake import event_files
from engine.intake.sql import first_row
from engine.lake.engine import DuckDBEngine, identifier, quoted
from engine.workflows import decision_logs, session, unit_lists
from engine.workflows.decision_logs import DECISIONS, Columns
from experiments import bandits, estimates
from experiments.bandits import Allocation, ArmShare, Rules
from experiments.estimates import ArmEstimate

_ASKED: Final = "wayline experiment bandit"
_MOST_ARMS: Final = 100
_MOST_SEGMENTS: Final = 1_000
_SAME: Final = 1e-9
_WEIGHTED: Final = (
    "The propensities of an arm changed on the way, so each reward counts with the inverse of its own: an arm that was "
    "given more often in good weeks is not taken for a better one."
)
_NO_FLOOR: Final = (
    "Without a floor an arm may get a share of nearly 0; what its units show can then hardly be judged afterwards."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which log, its columns, and the rules of the next batch.

    propensity : the chance with which the row's arm was given; asked for where shares changed on the way.
    segment : shares are worked out by its values; rewards are 0 or 1 then.
    new_arms, retired : arms that the log does not hold yet, and arms of the log that are not given any more.
    seed, salt : what the draw of arms descends from, beside the unit's id; a new seed for each batch.
    assign : a file of the units of the next batch, `column` that of their ids. out : a CSV or Parquet file, by its
        ending, that their rows are written to instead of being returned.
    """

    path: Path
    unit: str
    arm: str
    reward: str
    propensity: str | None = None
    segment: str | None = None
    new_arms: Sequence[str] = ()
    retired: Sequence[str] = ()
    rules: Rules
    seed: int
    salt: str = "bandit"
    assign: Path | None = None
    column: str | None = None
    out: Path | None = None
    encoding: str | None = None
    home: Path = Path("workspace")


def share_out(question: Question) -> dict[str, Any]:
    """Return what is believed of every arm and its share of the next batch; with `assign` also one row per unit.

    Raises
    ------
    SettingsFault, UnknownName
        Rules, columns or arms cannot be used, or a reward or propensity is none.
    UnreadableSource, NotEnoughData
        A file cannot be read, or holds nothing to judge by, one arm or far too many.
    """
    if question.out is not None and question.assign is None:
        raise SettingsFault(_ASKED, ["--out is where the units of the next batch go; name their file with --assign"])
    if question.segment is not None and question.propensity is not None:
        told = "within a segment rewards are counted as they are, not by their propensity; leave out one of"
        raise SettingsFault(_ASKED, [f"{told} --segment and --propensity"])
    unit_lists.refuse_out(_ASKED, question.out)
    with session.files_aside(question.home) as aside:
        engine = aside.engine
        file = event_files.read(question.path, engine, aside.folder("log"), aside.rules, encoding=question.encoding)
        texts = None if question.segment is None else {"segment": question.segment}
        columns = Columns(
            unit=question.unit, arm=question.arm, reward=question.reward, propensity=question.propensity, texts=texts
        )
        counts = decision_logs.attach(file, columns, engine, aside.scratch)
        read = _read(question, engine, file.name)
        answer = _answer(question, read) | {"counts": asdict(counts) | dict(read.counts)}
        answer["notes"] += [*file.notes, *read.notes]
        if question.assign is None:
            return answer
        units = event_files.read(
            question.assign, engine, aside.folder("units"), aside.rules, encoding=question.encoding
        )
        return answer | _drawn(question, read.allocations, units, engine)


# Reading the log


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """The log by arm. `allocations` are by segment, that of all units under None."""

    means: Mapping[str, float]
    allocations: Mapping[str | None, Allocation]
    kind: str
    belief: str
    counts: Mapping[str, int]
    notes: Sequence[str]


def _read(question: Question, engine: DuckDBEngine, name: str) -> _Read:
    rows = engine.query(
        "SELECT arm, count(*) AS n, sum(reward) AS total, avg(reward) AS mean, var_samp(reward) AS variance, "
        "bool_and(reward IN (0, 1)) AS binary, max(propensity) - min(propensity) AS moved "
        f"FROM {DECISIONS} GROUP BY arm ORDER BY arm LIMIT {_MOST_ARMS + 1}"
    ).to_pylist()
    arms = _arms(question, [row["arm"] for row in rows], name)
    known = {row["arm"]: row for row in rows if row["arm"] in arms}
    binary = all(row["binary"] for row in known.values())
    moved = any(row["moved"] is not None and row["moved"] > _SAME for row in known.values())
    _check(question.rules, len(arms))
    allocations: dict[str | None, Allocation] = {}
    notes = [] if question.rules.floor > 0 else [_NO_FLOOR]
    if question.segment is not None and not binary:
        told = f'--segment: shares by segment are worked out for rewards of 0 or 1; "{question.reward}" holds others'
        raise SettingsFault(_ASKED, [told])
    if moved:
        notes.append(_WEIGHTED)
        weighted = _weighted(engine)
        allocations[None] = bandits.share_means({arm: weighted.get(arm) for arm in arms}, question.rules)
    elif binary:
        counted = {arm: (int(known[arm]["total"]), known[arm]["n"]) if arm in known else (0, 0) for arm in arms}
        allocations[None] = bandits.share_proportions(counted, question.rules)
        if question.segment is not None:
            allocations |= _by_segment(question, arms, engine)
    else:
        allocations[None] = bandits.share_means({arm: _plain(known.get(arm)) for arm in arms}, question.rules)
    retired, units, decisions = first_row(
        engine,
        f"SELECT count(*) FILTER ({_is_retired(question)}), count(DISTINCT unit), count(*) FROM {DECISIONS}",
    )
    if units < decisions:
        several = f"{decisions - units:,} rows are of units that have one already"
        notes.append(f"{several}; each row counts as a decision of its own.")
    return _Read(
        means={arm: row["mean"] for arm, row in known.items()},
        allocations=allocations,
        kind="proportion" if binary else "mean",
        belief="normal" if moved or not binary else "beta",
        counts={"retired": retired},
        notes=notes,
    )


def _arms(question: Question, found: Sequence[str], name: str) -> list[str]:
    """Return the arms of the next batch: those of the log but the retired ones, then the new ones."""
    if len(found) > _MOST_ARMS:
        raise NotEnoughData(
            "allocation",
            f'"{question.arm}" of {name} has more than {_MOST_ARMS} different values, too many for arms',
            f"the column of the arm, with at most {_MOST_ARMS}",
        )
    for arm in question.retired:
        if arm not in found:
            raise UnknownName("arm", arm, found)
    if known := [arm for arm in question.new_arms if arm in found]:
        raise SettingsFault(_ASKED, [f'--new-arm "{known[0]}": the log holds it already; leave the option out'])
    arms = [*(arm for arm in found if arm not in question.retired), *dict.fromkeys(question.new_arms)]
    if len(arms) < 2:
        only = f'one arm is left, "{arms[0]}"' if arms else "no arm is left"
        raise NotEnoughData(
            "allocation",
            f'in "{question.arm}" of {name} {only}, and a bandit chooses between at least two',
            "rows of another arm, or --new-arm NAME for one that was never given",
        )
    return arms


def _check(rules: Rules, arms: int) -> None:
    try:
        rules.check(arms)
    except ValueError as fault:
        shares = "" if "prior" in str(fault) else ". For 5 % write 0.05"
        raise SettingsFault(_ASKED, [f"--{fault}{shares}."]) from None


def _plain(row: Mapping[str, Any] | None) -> ArmEstimate | None:
    if row is None or row["variance"] is None:
        return None
    return ArmEstimate(value=row["mean"], variance=row["variance"] / row["n"], n=row["n"])


def _weighted(engine: DuckDBEngine) -> dict[str, ArmEstimate | None]:
    rows = engine.query(
        f"WITH weighed AS (SELECT arm, reward, 1 / propensity AS w FROM {DECISIONS}), "
        "centre AS (SELECT arm, sum(w * reward) / sum(w) AS mean FROM weighed GROUP BY arm) "
        "SELECT arm, count(*), sum(w), sum(w * w), sum(w * reward), sum(w * w * (reward - mean) ** 2) "
        "FROM weighed JOIN centre USING (arm) GROUP BY arm"
    )
    by_row = zip(*(column.to_pylist() for column in rows.columns), strict=True)
    return {arm: estimates.inverse_weighted(*sums) for arm, *sums in by_row}


def _by_segment(question: Question, arms: Sequence[str], engine: DuckDBEngine) -> dict[str | None, Allocation]:
    rows = engine.query(
        f"SELECT segment, arm, sum(reward)::BIGINT AS total, count(*) AS n FROM {DECISIONS} "
        "WHERE segment IS NOT NULL GROUP BY ALL ORDER BY ALL"
    ).to_pylist()
    counted: dict[str, dict[str, tuple[int, int]]] = {}
    for row in rows:
        # every arm in every segment, so that new arms have their place too
        of_segment = counted.setdefault(row["segment"], dict.fromkeys(arms, (0, 0)))
        if row["arm"] in of_segment:
            of_segment[row["arm"]] = (row["total"], row["n"])
    if len(counted) > _MOST_SEGMENTS:
        told = f'"{question.segment}" has {len(counted):,} different values; at most {_MOST_SEGMENTS:,} are segments'
        raise SettingsFault(_ASKED, [f"--segment: {told}"])
    made: dict[str | None, Allocation] = {}
    made.update(bandits.share_by_segment(counted, question.rules))
    return made


def _is_retired(question: Question) -> str:
    from_log = ", ".join(quoted(arm) for arm in question.retired)
    return f"arm IN ({from_log})" if from_log else "false"


# What is told


def _answer(question: Question, read: _Read) -> dict[str, Any]:
    rules = question.rules
    answer: dict[str, Any] = {
        "reward": {"column": question.reward, "kind": read.kind, "direction": rules.direction},
        "belief": read.belief,
        "rules": asdict(rules) | {"seed": question.seed, "salt": question.salt},
        "arms": [_told(row, read.means) for row in read.allocations[None].rows],
        "notes": [],
    }
    if question.segment is not None:
        answer["segments"] = [
            {"segment": segment, "evidence": allocation.evidence, "arms": [_told(row) for row in allocation.rows]}
            for segment, allocation in read.allocations.items()
            if segment is not None
        ]
    return answer


def _told(row: ArmShare, means: Mapping[str, float] | None = None) -> dict[str, Any]:
    observed = {} if means is None else {"mean": means.get(row.arm)}
    known = row.lower is not None and row.upper is not None
    return {
        "arm": row.arm,
        "n": row.n,
        **observed,
        "posterior_mean": row.value,
        "posterior_interval": [row.lower, row.upper] if known else None,
        "chance_best": row.best,
        "propensity": row.share,
        "reason": row.reason,
    } | ({"why": row.reason} if row.best is None else {})


# Units of the next batch


def _drawn(
    question: Question,
    allocations: Mapping[str | None, Allocation],
    file: event_files.EventFile,
    engine: DuckDBEngine,
) -> dict[str, Any]:
    """Return one row per unit in the order of the file, each id once."""
    column = unit_lists.id_column(question.column, file)
    segment = question.segment
    if segment is not None and segment not in file.columns:
        raise UnknownName("segment column", segment, list(file.columns))
    of_segment = "NULL" if segment is None else unit_lists.text(segment)
    row = identifier(file.row)
    found = engine.query(
        f"SELECT unit, arg_min(segment, place) AS segment, count(*) AS times FROM (SELECT {unit_lists.text(column)} "
        f"AS unit, {of_segment} AS segment, {row} AS place FROM ({file.sql})) "
        "WHERE unit IS NOT NULL GROUP BY unit ORDER BY min(place)"
    )
    if not found.num_rows:
        raise NotEnoughData("batch", f'no row of {file.name} has an id in "{column}"', "a row for each unit")
    units = found.column("unit").to_pylist()
    table = _arms_of(question, allocations, units, found.column("segment").to_pylist())
    times = int(np.sum(found.column("times").to_numpy()))
    return {
        "batch": {"rows": file.rows, "left_out": file.rows - times, "repeated": times - len(units)},
        "given": {arm: int(n) for arm, n in zip(*_counted(table), strict=True)},
        **unit_lists.given(table, question.out),
    }


def _arms_of(
    question: Question,
    allocations: Mapping[str | None, Allocation],
    units: list[str],
    segments: Sequence[str | None],
) -> pa.Table:
    places = {name: place for place, name in enumerate(allocations)}
    of_unit = np.array([places.get(one, places[None]) for one in segments], dtype=np.int64)
    ids = np.array(units, dtype=object)
    arms = np.empty(len(units), dtype=object)
    propensity, uniform = np.empty(len(units)), np.empty(len(units), dtype=bool)
    for name, allocation in allocations.items():
        here = of_unit == places[name]
        drawn = bandits.draw(allocation, ids[here].tolist(), f"{question.salt}:{question.seed}")
        arms[here] = np.array(drawn.arms, dtype=object)[drawn.arm]
        propensity[here], uniform[here] = drawn.propensity, drawn.is_uniform
    columns = {
        "unit": units,
        "arm": arms.tolist(),
        "propensity": propensity,
        "uniform": uniform,
        "batch": np.full(len(units), question.seed),
    }
    return pa.table(columns if question.segment is None else columns | {"segment": list(segments)})


def _counted(table: pa.Table) -> tuple[list[str], list[int]]:
    names, counts = np.unique(np.array(table.column("arm").to_pylist()), return_counts=True)
    return names.tolist(), counts.tolist()
