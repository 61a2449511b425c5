"""A run is complete or not there at all."""

from datetime import UTC, datetime
from pathlib import Path

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.domain.errors import MartMissing, RunMissing, WorkspaceBusy, WorkspaceMissing
from engine.domain.marts import SEGMENT_CHOICES
from engine.lake.engine import DuckDBEngine
from engine.lake.files import ROW_GROUP_ROWS
from engine.lake.runs import RunBuilder, latest_run, list_runs, open_run, run_id_of
from engine.lake.schema import arrow_schema, instant, to_contract
from engine.lake.workspace import Workspace

AS_OF = datetime(2026, 3, 31, 16, tzinfo=UTC)


def choices(*clusters: int) -> pa.Table:
    figures = {name: [0.5] * len(clusters) for name in ("silhouette", "stability", "weakest_cluster")}
    rows = pa.table({"clusters": list(clusters), **figures, "chosen": [True] * len(clusters)})
    return to_contract(SEGMENT_CHOICES, rows)


def begin(home: Path, run_id: str = "20260331T160000Z-0000000000") -> RunBuilder:
    return RunBuilder(Workspace(home), run_id, AS_OF, {"seed": 1})


def test_a_run_is_read_only_after_it_was_published(tmp_path: Path) -> None:
    builder = begin(tmp_path)
    with builder.stage("segments"):
        builder.write_rows("segment_choices", choices(3, 4))
    with pytest.raises(RunMissing):
        latest_run(Workspace(tmp_path))
    builder.publish()
    run = latest_run(Workspace(tmp_path))
    assert run.read("segment_choices").column("clusters").to_pylist() == [3, 4]
    assert run.manifest["stages"][0]["rows"] == {"segment_choices": 2}
    assert run.as_of == AS_OF


def test_a_look_at_one_row_unpacks_few_whichever_way_the_table_was_written(tmp_path: Path) -> None:
    """Arrow's own groups are of a million rows: a page about one customer of a million unpacked every table whole."""
    rows = 2 * ROW_GROUP_ROWS + 1
    builder = begin(tmp_path)
    builder.write_rows("segment_choices", choices(*range(rows)))
    with DuckDBEngine() as engine:
        builder.write("sorted", engine, ibis.range(rows).unnest().name("n").as_table(), order_by=["n"])
    run = builder.publish()
    for mart in ("segment_choices", "sorted"):
        facts = pq.read_metadata(run.path(mart) / "part-00000.parquet")
        held = [facts.row_group(group).num_rows for group in range(facts.num_row_groups)]
        assert held == [ROW_GROUP_ROWS, ROW_GROUP_ROWS, 1], mart


def test_the_next_run_sweeps_what_a_killed_one_left(tmp_path: Path) -> None:
    killed = begin(tmp_path, "killed")
    killed.write_rows("segment_choices", choices(3))
    begin(tmp_path, "next").publish()
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["CURRENT", "next"]


def test_a_folder_without_success_is_no_run(tmp_path: Path) -> None:
    run = begin(tmp_path).publish()
    (run.folder / "_SUCCESS").unlink()
    assert list_runs(Workspace(tmp_path)) == []
    with pytest.raises(RunMissing) as fault:
        open_run(Workspace(tmp_path), run.run_id)
    assert run.run_id in fault.value.sentence


def test_a_skipped_stage_says_why_its_table_is_missing(tmp_path: Path) -> None:
    builder = begin(tmp_path)
    builder.skip("risk", ["risk"], "there are no outcomes to learn from.")
    run = builder.publish()
    with pytest.raises(MartMissing) as fault:
        run.read("risk")
    assert fault.value.reason == "there are no outcomes to learn from."


def test_a_run_of_the_same_id_gives_way_to_the_newer(tmp_path: Path) -> None:
    for clusters in (3, 5):
        builder = begin(tmp_path)
        builder.write_rows("segment_choices", choices(clusters))
        builder.publish()
    assert [run.read("segment_choices").column("clusters").to_pylist() for run in list_runs(Workspace(tmp_path))] == [
        [5]
    ]


def test_two_writers_are_refused_with_the_name_of_the_first(tmp_path: Path) -> None:
    with (
        Workspace(tmp_path).lock("run"),
        pytest.raises(WorkspaceBusy) as fault,
        Workspace(tmp_path).lock("data load"),
    ):
        pass
    assert "wayline run" in fault.value.holder
    with Workspace(tmp_path).lock("data load"):
        pass


def test_an_empty_workspace_says_so(tmp_path: Path) -> None:
    with DuckDBEngine() as engine, pytest.raises(WorkspaceMissing):
        Workspace(tmp_path).attach(engine)


def test_the_same_rows_give_the_same_bytes_in_any_order(tmp_path: Path) -> None:
    numbers = ibis.table({"n": "int64"}, name="numbers")
    written = []
    for name, rows in (("up", range(5000)), ("down", range(4999, -1, -1))):
        with DuckDBEngine() as engine:
            engine.attach("numbers", pa.table({"n": pa.array(rows, pa.int64())}))
            assert engine.write(numbers.mutate(twice=numbers.n * 2), tmp_path / name, order_by=["n"]) == 5000
        written.append((tmp_path / name / "part-00000.parquet").read_bytes())
    assert written[0] == written[1]


def test_rows_are_read_by_value_and_by_list(tmp_path: Path) -> None:
    builder = begin(tmp_path)
    builder.write_blocks("segment_choices", arrow_schema(SEGMENT_CHOICES), [choices(3, 4), choices(5, 6)])
    run = builder.publish()
    assert run.read("segment_choices", ["clusters"], {"clusters": [4, 6]}).to_pylist() == [
        {"clusters": 4},
        {"clusters": 6},
    ]
    assert run.read("segment_choices", ["clusters"], limit=1).to_pylist() == [{"clusters": 3}]


def test_the_run_id_follows_all_that_goes_in() -> None:
    assert run_id_of(AS_OF, {"seed": 1}) != run_id_of(AS_OF, {"seed": 2})
    assert run_id_of(AS_OF, {"a": 1, "b": 2}) == run_id_of(AS_OF, {"b": 2, "a": 1})


def test_an_instant_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        instant(datetime(2026, 3, 31))
