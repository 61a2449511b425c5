"""Paths on Spark: the same transitions, variants, flows and step matrix as on DuckDB."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from engine.lake.engine import DuckDBEngine, Engine
from journeys import flows, step_matrix, transitions, variants
from journeys.flows import AtStep
from journeys.outcomes import Status
from journeys.paths import Wanted
from journeys.patterns import Rewriting
from journeys.spec import Funnel, Step
from tests.journeys.builders import event_log, event_rows, moment

pytestmark = pytest.mark.spark

NAMES = ("A", "B", "C")
FUNNEL = Funnel(steps=tuple(Step(name=name, events=(name,)) for name in "AB"), window_seconds=5)
ASKED: dict[str, tuple[Callable[..., pa.Table], Callable[[pa.Table], Any]]] = {
    "transitions": (
        partial(transitions.count_block, wanted=Wanted(by="channel", session_gap_seconds=3)),
        lambda blocks: transitions.graph(blocks).to_pylist(),
    ),
    "variants": (
        partial(variants.count_block, wanted=Wanted(rewriting=Rewriting(merge_repeats=True)), names=NAMES),
        lambda blocks: variants.most_frequent(blocks, NAMES, 1_000),
    ),
    "flow": (
        partial(flows.count_block, wanted=Wanted(start=("A",)), first=0, last=3),
        lambda blocks: flows.table(blocks).to_pylist(),
    ),
    "flow at a step": (
        partial(
            flows.count_block_at_step,
            wanted=Wanted(),
            at_step=AtStep(funnel=FUNNEL, step=1, as_of=moment(12), status=Status.DROPPED),
            first=0,
            last=3,
        ),
        lambda blocks: flows.table(blocks).to_pylist(),
    ),
    "step matrix": (
        partial(step_matrix.count_block, wanted=Wanted(), centre=("B",), first=-2, last=2),
        lambda blocks: step_matrix.matrix(blocks).to_pylist(),
    ),
}


def test_paths_are_the_same_on_spark(spark: Engine) -> None:
    rng = np.random.default_rng(5)
    people = {
        f"c{number}": [(float(rng.integers(0, 12)), str(rng.choice(NAMES))) for _ in range(rng.integers(1, 8))]
        for number in range(80)
    }
    rows = event_rows(people, channel="web")

    def answers(engine: Engine) -> dict[str, Any]:
        log = event_log(engine, rows)
        return {
            name: finish(log.map_blocks(engine, count, attributes=("channel",)))
            for name, (count, finish) in ASKED.items()
        }

    with DuckDBEngine(threads=1) as duckdb:
        here = answers(duckdb)
    there = answers(spark)
    for name in ASKED:
        assert here[name] == there[name], name
