"""How a bank with few applications is watched: together with the months before, as many as it takes."""

from __future__ import annotations

import functools
from datetime import datetime

import numpy as np
import pyarrow as pa

from engine.config.risk_oversight import CautionEffect
from engine.risk import caution, monitoring, table
from engine.risk.monitoring import Monitoring
from tests.engine.risk.lending import AS_OF, SETTINGS, lending, run
from tests.engine.risk.test_model import _model


@functools.cache
def _applicants() -> pa.Table:
    tables = lending(customers=4_000, seed=7).tables
    return run(tables, lambda bound: table.applicants(bound, AS_OF, SETTINGS))


def _watched(a_month: int, before: int = 600) -> Monitoring:
    """Monitor a bank with so many applications in each of the last twelve months; who applies never changes."""
    edges = monitoring.month_ends(AS_OF, SETTINGS.stability.months)
    draw = np.random.default_rng(1)
    rows = _applicants().take(pa.array(draw.permutation(_applicants().num_rows)[: before + 12 * a_month]))
    when = [datetime(2024, 1, 1)] * before + [edge.replace(tzinfo=None) for edge in edges[:-1] for _ in range(a_month)]
    place = rows.column_names.index("applied_at")
    rows = rows.set_column(place, "applied_at", pa.array(when, rows.schema.field(place).type))
    return monitoring.monitor(_model(), AS_OF, applicants=rows, customers=())


def _scores(found: Monitoring) -> list[monitoring.Shift]:
    return [
        one for one in found.shifts if (one.population, one.what, one.measure)
        == (monitoring.APPLICATIONS, "score", "population_stability")
    ]  # fmt: skip


def test_stretch_is_the_shortest_that_has_enough_rows() -> None:
    # 60 alone; 10 needs the 60 before it; 30 + 20 are 50 by themselves; 5 needs 30 + 20; 80 alone
    assert monitoring.stretched([60, 10, 30, 20, 5, 80], 50) == [(0, 1), (0, 2), (0, 3), (2, 4), (2, 5), (5, 6)]
    assert monitoring.stretched([10, 10, 10], 50) == [(0, 1), (0, 2), (0, 3)]
    assert monitoring.stretched([], 50) == []


def test_few_applications_a_month_are_judged_together_and_send_nobody_to_a_person() -> None:
    found = _watched(a_month=20)
    scores = _scores(found)
    # 50 rows take three months of 20; the first two months have none before them to take
    assert [one.rows for one in scores] == [20, 40, *[60] * 10]
    assert [one.verdict for one in scores] == ["not_checked", "not_checked", *["stable"] * 10]
    assert scores[-1].ends == AS_OF
    assert not [one for one in found.cautions if one.reason == "not_checked"]
    assert CautionEffect.NO_FAST_TRACK not in caution.effects(found.cautions)


def test_too_few_in_a_whole_year_are_not_checked_and_a_person_looks_unless_settings_say_otherwise() -> None:
    found = _watched(a_month=3)
    assert [one.reason for one in found.cautions] == ["not_checked"]
    assert "36 rows" in found.cautions[0].text
    assert caution.effects(found.cautions) == {CautionEffect.NO_FAST_TRACK}
    quiet = SETTINGS.model_copy(update={"caution": SETTINGS.caution.model_copy(update={"not_checked": ()})})
    told = monitoring.cautions(found.shifts, quiet)
    assert [one.effects for one in told] == [()]
    assert "does nothing about it" in told[0].text
