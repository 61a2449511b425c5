"""A table of units becomes the same moments as arithmetic on its rows, whatever is missing, large or cut in pieces."""

from __future__ import annotations

from typing import Any

import ibis
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx

from engine.lake.engine import DuckDBEngine
from experiments import unit_tables
from experiments.moments import Moments
from experiments.unit_tables import Cells, Measure

MEAN = Measure(name="m", kind="mean", columns=("m",))
ADJUSTED = Measure(name="m", kind="mean", columns=("m",), covariates=("c",))


def collect(measure: Measure, keys: tuple[str, ...] = (), **columns: Any) -> Cells:
    with DuckDBEngine(threads=1) as engine:
        engine.attach("units", pa.table(columns))
        table = ibis.table(ibis.schema({name: kind(values) for name, values in columns.items()}), name="units")
        return unit_tables.collect(engine, table, [measure], keys)


def kind(values: Any) -> str:
    return "string" if any(isinstance(value, str) for value in values) else "float64"


def test_unknown_values_count_nowhere_and_not_as_rows() -> None:
    cells = collect(MEAN, arm=["a", "a", "a", "b"], m=[1.0, None, 4.0, float("nan")])
    one = cells.moments(MEAN, arm="a")
    assert (one.n, one.mean, one.variance) == (2, 2.5, 4.5)
    assert (cells.count(arm="a"), cells.moments(MEAN, arm="b").n) == (3, 0)


def test_unknown_covariate_leaves_the_unit_in() -> None:
    cells = collect(ADJUSTED, arm=["a"] * 4, m=[1.0, 2.0, 3.0, None], c=[5.0, None, 7.0, 100.0])
    one = cells.moments(ADJUSTED, arm="a")
    assert (one.n, one.take("value").mean) == (3, 2.0)
    # the pilot mean of 5, 7 and 100 stands for the one that is not known; the 100 is of a unit without a value
    assert one.take("c").mean == approx((5 + 112 / 3 + 7) / 3)


def test_large_numbers_do_not_cancel() -> None:
    values = 1e8 + np.random.default_rng(1).normal(size=20_000)
    one = collect(MEAN, arm=["a"] * len(values), m=values).moments(MEAN, arm="a")
    assert one.variance == approx(values.var(ddof=1), rel=1e-9)


def test_products_with_covariates_are_those_of_the_rows() -> None:
    rng = np.random.default_rng(2)
    m, c = rng.normal(50, 3, 500), rng.normal(1e6, 10, 500)
    one = collect(ADJUSTED, arm=["a"] * 500, m=m, c=c).moments(ADJUSTED, arm="a")
    assert one.covariance == approx(np.cov([m, c]), rel=1e-9)


def test_ratio_needs_both_of_its_parts() -> None:
    ratio = Measure(name="r", kind="ratio", columns=("x", "y"))
    one = collect(ratio, arm=["a"] * 3, x=[1.0, 2.0, None], y=[2.0, None, 5.0]).moments(ratio, arm="a")
    assert (one.n, list(one.means)) == (1, [1.0, 2.0])


@settings(max_examples=20, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.floats(-1e4, 1e4) | st.none()),
        min_size=1,
        max_size=40,
    )
)
def test_cells_add_up_to_the_whole(rows: list[tuple[str, str, float | None]]) -> None:
    arms, groups, values = zip(*rows, strict=True)
    cells = collect(MEAN, ("s",), arm=arms, s=groups, m=pa.array(values, pa.float64()))
    for arm in set(arms):
        known = [value for name, _, value in rows if name == arm and value is not None]
        whole, direct = cells.moments(MEAN, arm=arm), Moments.of_values(("value",), known)
        assert whole.n == len(known)
        if known:
            assert whole.mean == approx(direct.mean, rel=1e-9, abs=1e-6)
        if len(known) > 1:
            assert whole.variance == approx(direct.variance, rel=1e-6, abs=1e-6)


@settings(max_examples=20, deadline=None)
@given(rows=st.lists(st.tuples(st.sampled_from("ab"), st.integers(-(10**6), 10**6)), min_size=1, max_size=40))
def test_sums_of_whole_numbers_are_exact_however_far_apart_arms_are(rows: list[tuple[str, int]]) -> None:
    arms, values = zip(*rows, strict=True)
    with DuckDBEngine(threads=1) as engine:
        engine.attach("units", pa.table({"arm": arms, "m": pa.array(values, pa.int64())}))
        table = ibis.table({"arm": "string", "m": "int64"}, name="units")
        cells = unit_tables.collect(engine, table, [MEAN], whole=["m"])
    for arm in set(arms):
        known = [value for name, value in rows if name == arm]
        exact = Moments.of(len(known), sum(known), sum(value**2 for value in known))
        assert cells.moments(MEAN, arm=arm).about(exact.shift).products == approx(exact.products, rel=1e-12, abs=1e-3)


@pytest.mark.parametrize(("units", "expected"), [(["x", "y", "z"], False), (["x", "y", "x"], True)])
def test_unit_that_stands_twice_is_found(units: list[str], expected: bool) -> None:
    with DuckDBEngine(threads=1) as engine:
        engine.attach("units", pa.table({"u": units}))
        table = ibis.table({"u": "string"}, name="units")
        assert unit_tables.doubled(engine, table, "u") is expected


@pytest.mark.spark
def test_moments_are_the_same_on_spark(spark: Any) -> None:
    rng = np.random.default_rng(3)
    m = [
        None if place % 7 == 0 else float("nan") if place % 11 == 0 else value
        for place, value in enumerate(rng.normal(9, 2, 200))
    ]
    rows = pa.table(
        {
            "arm": ["ab"[place % 2] for place in range(200)],
            "s": [None if place % 13 == 0 else "xyz"[place % 3] for place in range(200)],
            "m": pa.array(m, pa.float64()),
            "c": rng.normal(1e6, 5, 200),
        }
    )
    table = ibis.table({"arm": "string", "s": "string", "m": "float64", "c": "float64"}, name="units")
    with DuckDBEngine(threads=1) as duckdb:
        duckdb.attach("units", rows)
        here = unit_tables.collect(duckdb, table, [ADJUSTED], ["s"])
    spark.attach("units", rows)
    there = unit_tables.collect(spark, table, [ADJUSTED], ["s"])
    assert here.keys == there.keys
    assert (here.rows == there.rows).all()
    for one, other in zip(here.measures["m"], there.measures["m"], strict=True):
        assert one.n == other.n
        assert other.about(one.shift).total == approx(one.total, rel=1e-9, abs=1e-6)
        assert other.about(one.shift).products == approx(one.products, rel=1e-9, abs=1e-6)
