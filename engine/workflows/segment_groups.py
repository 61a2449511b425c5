"""The groups of a run and of any date, and how customers moved between two of them."""

from __future__ import annotations

from datetime import UTC, datetime, time
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from engine.config.bank import BankSettings
from engine.config.segments import SegmentSettings
from engine.domain.errors import RunMissing, SettingsFault, UnknownName
from engine.features import table
from engine.lake.runs import Run, latest_run, open_run
from engine.lake.workspace import Workspace
from engine.numerics.ratios import or_none
from engine.segments import clusters, movement, profiles
from engine.segments.assign import Segmentation, assign, columns
from engine.workflows import session
from engine.workflows.stages.segments import clusters_of, earlier

CLUSTER: Final = "cluster"

_TELLING: Final = 5


def show(home: Path, run_id: str | None, segmentation: str | None) -> dict[str, Any]:
    """Return the clusters of a run with what sets them apart, its named segmentations and their crossings.

    With a segmentation's name that one alone, with its profiles.

    Raises
    ------
    RunMissing, MartMissing, UnknownName
        There is no such run, it has no segments, or no segmentation of that name.
    """
    run = open_run(session.workspace_at(home), run_id)
    named = _named(run)
    if segmentation is not None and segmentation != CLUSTER:
        if segmentation not in named:
            raise UnknownName("segmentation", segmentation, (CLUSTER, *named))
        rows = run.read("segmentation_profiles", where={"segmentation": segmentation}).to_pylist()
        return {
            "run": run.run_id,
            "as_of": run.as_of.isoformat(),
            "segmentation": segmentation,
            "groups": named[segmentation],
            "profiles": rows,
            "crossings": _crossings(run, segmentation),
        }
    members = run.read("segments", columns=["cluster_id", "cluster_outlier"])
    found = {
        "run": run.run_id,
        "as_of": run.as_of.isoformat(),
        "customers": members.num_rows,
        "unclustered": members["cluster_id"].null_count,
        "outliers": int(pc.sum(members["cluster_outlier"]).as_py() or 0),
        "clusters": _clusters(run.read("segment_profiles").to_pylist()),
        "choices": run.read("segment_choices").to_pylist(),
    }
    return found if segmentation else found | {"segmentations": named, "crossings": _crossings(run, None)}


def fit(home: Path, as_of: datetime | None) -> dict[str, Any]:
    """Return the clusters as of any date, found anew; nothing is written.

    They are compared with those of the run before that date: numbers and names go on, and the agreement is told.

    Raises
    ------
    WorkspaceMissing, NotEnoughData
        Nothing was loaded, or nobody was active by then.
    """
    workspace = session.workspace_at(home)
    moment = as_of or session.end_of_extract(workspace.report())
    settings = session.settings(workspace, SegmentSettings, "segments")
    bank = session.settings(workspace, BankSettings, "bank")
    before = earlier(workspace, moment)
    made = assign(_features(workspace, moment, settings), settings, bank.seed, clusters_of(before))
    answer = {
        "as_of": moment.isoformat(),
        "customers": made.members.num_rows,
        "unclustered": made.members["cluster_id"].null_count,
        "outliers": int(pc.sum(made.members["cluster_outlier"]).as_py() or 0),
        "clusters": _clusters(made.profiles.to_pylist()),
        "choices": made.choices.to_pylist(),
        "notes": list(made.notes),
        "before": None,
    }
    if before is not None:
        moved = movement.flow(_grouped(before.read("segments", ["customer_id", "cluster_id"])), _grouped(made.members))
        answer["before"] = {"run": before.run_id, **_moved(moved, settings, _cluster_names(made, before))}
    return answer


def migrate(home: Path, start: str, end: str, by: str) -> dict[str, Any]:
    """Return how customers moved between two runs, or between two dates.

    Runs are compared as they were made, by cluster or a named segmentation. Dates are compared by one ruler: the
    clusters of the later date, to which everybody of both dates is assigned; so membership is known as of any date.

    Raises
    ------
    SettingsFault
        One is a run and the other a date, dates contradict, or dates are compared by something else than clusters.
    RunMissing, UnknownName, NotEnoughData
        There is no such run or segmentation, or nobody was active.
    """
    workspace = session.workspace_at(home)
    dates = [_date(text) for text in (start, end)]
    settings = session.settings(workspace, SegmentSettings, "segments")
    if all(date is not None for date in dates):
        return _between_dates(workspace, settings, dates, by)  # type: ignore[arg-type]
    if any(date is not None for date in dates):
        raise SettingsFault("migrate", [f'--from "{start}" and --to "{end}": name two runs, or two dates'])
    runs = [open_run(workspace, text) for text in (start, end)]
    if runs[0].as_of > runs[1].as_of:
        raise SettingsFault("migrate", ["the run of --from looks from a later date than that of --to; turn them round"])
    names: dict[str, tuple[str, str]] = {}
    if by == CLUSTER:
        sides = [_grouped(run.read("segments", ["customer_id", "cluster_id"])) for run in runs]
        for run in runs:
            told = clusters_of(run)
            names |= {} if told is None else {str(number): name for number, name in told.names.items()}
    else:
        known = set(_named(runs[0])) & set(_named(runs[1]))
        if by not in known:
            raise UnknownName("segmentation of both runs", by, (CLUSTER, *sorted(known)))
        sides = [
            run.read("segmentations", ["customer_id", "segment_group"], {"segmentation": by}).rename_columns(
                ["customer_id", "group"]
            )
            for run in runs
        ]
        for rows in (_named(run)[by] for run in runs):
            names |= {row["segment_group"]: (row["group_name"], row["group_name_zh"]) for row in rows}
    ends = {"from": runs[0].run_id, "to": runs[1].run_id, "from_as_of": runs[0].as_of.isoformat()}
    found = _moved(movement.flow(*sides), settings, names)
    if by == CLUSTER:
        found["drift"] = _drift(*(run.read("segment_profiles").to_pylist() for run in runs))
    return {**ends, "to_as_of": runs[1].as_of.isoformat(), "by": by, **found}


def latest(home: Path) -> str:
    """Return the id of the current run; raises RunMissing where there is none."""
    return latest_run(session.workspace_at(home)).run_id


def before_latest(home: Path) -> str:
    """Return the id of the run of the latest date before the current one's; raises RunMissing where there is none."""
    workspace = session.workspace_at(home)
    found = earlier(workspace, latest_run(workspace).as_of)
    if found is None:
        raise RunMissing(str(home), "of an earlier date")
    return found.run_id


def _between_dates(workspace: Workspace, settings: SegmentSettings, dates: list[datetime], by: str) -> dict[str, Any]:
    if by != CLUSTER:
        raise SettingsFault("migrate", [f'--by "{by}" between dates: only clusters are; name two runs for others'])
    if dates[0] >= dates[1]:
        raise SettingsFault("migrate", [f"--from {dates[0]:%Y-%m-%d} is not before --to {dates[1]:%Y-%m-%d}"])
    bank = session.settings(workspace, BankSettings, "bank")
    was, now = (_features(workspace, moment, settings).sort_by("customer_id").combine_chunks() for moment in dates)
    ruler = clusters.fit(now, settings.clusters, bank.seed)
    called = profiles.names(profiles.profile(now, ruler), settings.clusters)
    names = {str(number): name for number, name in enumerate(called)}
    labels, _ = clusters.assigned(was, settings.clusters, ruler.model)
    sides = [
        _grouped(pa.table({"customer_id": side["customer_id"], "cluster_id": pa.array(found, mask=found < 0)}))
        for side, found in ((was, labels), (now, ruler.labels))
    ]
    ends = {"from": None, "to": None, "from_as_of": dates[0].isoformat(), "to_as_of": dates[1].isoformat()}
    return {**ends, "by": by, **_moved(movement.flow(*sides), settings, names)}


def _features(workspace: Workspace, moment: datetime, settings: SegmentSettings) -> pa.Table:
    bank = session.settings(workspace, BankSettings, "bank")
    workspace.report()  # says that nothing was loaded, where that is so
    with session.duckdb(workspace) as engine:
        built = table.build(workspace.attach(engine), moment, bank)
        return engine.arrow(built.select([name for name in columns(settings) if name in built.columns]))


def _grouped(members: pa.Table) -> pa.Table:
    return pa.table({"customer_id": members["customer_id"], "group": members["cluster_id"].cast(pa.string())})


def _moved(moved: movement.Flow, settings: SegmentSettings, names: dict[str, tuple[str, str]]) -> dict[str, Any]:
    groups = [{**row, "name": names.get(row["group"], (row["group"],) * 2)[0]} for row in movement.balance(moved)]
    return {
        "agreement": or_none(moved.agreement),
        "stability_index": or_none(movement.stability_index(moved)),
        "groups": groups,
        "moves": movement.migration(moved),
        "notices": movement.notices(moved, settings.movement, names),
    }


def _cluster_names(made: Segmentation, before: Run) -> dict[str, tuple[str, str]]:
    told = clusters_of(before)
    names = {} if told is None else {str(number): name for number, name in told.names.items()}
    return names | {
        str(row["cluster_id"]): (row["cluster_name"], row["cluster_name_zh"]) for row in made.profiles.to_pylist()
    }


def _clusters(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row per cluster, the largest first, with the features that set it apart most."""
    found: dict[int, dict[str, Any]] = {}
    for row in sorted(rows, key=lambda one: (-abs(one["effect_size"] or 0), one["feature"])):
        cluster = found.setdefault(
            row["cluster_id"],
            {name: row[name] for name in ("cluster_id", "cluster_name", "cluster_name_zh", "customers")}
            | {"features": []},
        )
        if len(cluster["features"]) < _TELLING:
            cluster["features"].append({name: row[name] for name in ("feature", "mean", "overall_mean", "effect_size")})
    return sorted(found.values(), key=lambda one: (-one["customers"], one["cluster_id"]))


def _named(run: Run) -> dict[str, list[dict[str, Any]]]:
    """Return the groups of every named segmentation of a run, with their names and sizes."""
    if not run.has("segmentation_profiles"):
        return {}
    wanted = ["segmentation", "segment_group", "group_name", "group_name_zh", "customers"]
    rows = run.read("segmentation_profiles", columns=wanted)
    found: dict[str, list[dict[str, Any]]] = {}
    for row in rows.group_by(wanted).aggregate([]).sort_by([(name, "ascending") for name in wanted]).to_pylist():
        found.setdefault(row.pop("segmentation"), []).append(row)
    return found


def _crossings(run: Run, segmentation: str | None) -> list[dict[str, Any]]:
    if not run.has("segmentation_crossings"):
        return []
    rows: list[dict[str, Any]] = run.read("segmentation_crossings").to_pylist()
    return [row for row in rows if segmentation in (None, row["segmentation"], row["other_segmentation"])]


def _drift(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return how far the centre of each cluster that is on both sides moved, and the feature that moved most.

    A distance is the root mean square, over features, of the difference of the effect sizes.
    """
    was = {(row["cluster_id"], row["feature"]): row["effect_size"] for row in before}
    moved: dict[int, dict[str, float]] = {}
    for row in after:
        key = row["cluster_id"], row["feature"]
        if was.get(key) is not None and row["effect_size"] is not None:
            moved.setdefault(key[0], {})[key[1]] = row["effect_size"] - was[key]
    return [
        {
            "group": str(cluster),
            "distance": (sum(step**2 for step in steps.values()) / len(steps)) ** 0.5,
            "feature": max(steps, key=lambda name: abs(steps[name])),
            "by": max(steps.values(), key=abs),
        }
        for cluster, steps in sorted(moved.items())
    ]


def _date(text: str) -> datetime | None:
    """Return the end of the day that a text names in UTC; None where it is no date, and so a run."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return datetime.combine(moment.date(), time.max, tzinfo=UTC) if len(text) == len("2026-06-30") else None
