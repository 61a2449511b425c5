"""A feed that begins in the midst of the loans learned from: its characteristics are no candidates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest

from engine.risk import coverage, model, table
from tests.engine.risk.lending import AS_OF, SETTINGS, lending, run

RECORDS = ("record",)


def named(columns: dict[str, Sequence[float | str | None]], limit: float = 0.25) -> list[str]:
    return [one.name for one in coverage.moved(pa.table(columns), RECORDS, limit, 0.01)]


def test_share_without_a_value_is_compared_between_stretches_of_equally_many_loans() -> None:
    quarters = [*[None] * 100, *[1.0] * 300]
    found = coverage.moved(pa.table({"late": quarters}), RECORDS, 0.25, 0.01)
    assert [(one.name, one.lowest, one.highest) for one in found] == [("late", 0.0, 1.0)]
    assert named({"late": quarters[::-1]}) == ["late"]  # a feed that ends is no better
    # as many missing, but in every stretch alike
    assert named({"late": [None, 1.0, 1.0, 1.0] * 100}) == []


def test_record_that_says_no_is_no_value_and_any_other_text_is_one() -> None:
    answers = [*["no"] * 200, *["yes"] * 200]
    assert named({"record": answers, "answer": answers}) == ["record"]
    assert named({"record": [*[None] * 200, *["yes"] * 200]}) == ["record"]


def test_chance_among_few_loans_names_nothing() -> None:
    few = [None, None, 1.0, None, 1.0, 1.0, 1.0, 1.0]  # shares 1, 1/2, 0, 0 of two loans each
    assert named({"few": few}) == []
    assert named({"few": np.repeat(np.array(few, dtype=object), 50).tolist()}) == ["few"]
    assert named({"few": [None, 1.0]}) == []
    assert named({"few": []}) == []


def test_move_within_the_limit_is_let_in() -> None:
    rising = [value for share in (10, 15, 20, 30) for value in [*[None] * share * 10, *[1.0] * (100 - share) * 10]]
    assert named({"rising": rising}) == []  # 30 % less 10 %
    assert named({"rising": rising}, limit=0.15) == ["rising"]


@pytest.mark.parametrize(("without", "is_input"), [(0.0, True), (0.3, False)])
def test_model_learns_from_what_all_its_loans_have(without: float, is_input: bool) -> None:
    tables = lending(customers=4_000, seed=7).tables
    rows = run(tables, lambda bound: table.training(bound, AS_OF, SETTINGS))
    rows = rows.sort_by([("booked_at", "ascending"), ("application_id", "ascending")])
    place = rows.column_names.index("utilisation_rate")
    early = np.arange(rows.num_rows) < without * rows.num_rows
    values = pa.array(np.where(early, np.nan, rows["utilisation_rate"].to_numpy()), mask=early)
    fitted = model.fit(rows.set_column(place, "utilisation_rate", values), SETTINGS, AS_OF)
    assert ("utilisation_rate" in fitted.scorecard.names) == is_input
    assert any(note.startswith("left out: share of revolving limits in use, since") for note in fitted.notes) == (
        not is_input
    )
    allowed = SETTINGS.model_copy(update={"missing_share_may_move": 1.0})
    again = model.candidates(rows.set_column(place, "utilisation_rate", values), allowed)
    assert "utilisation_rate" in again.names
    assert again.moved == ()


def test_without_the_record_its_values_are_no_candidates_either() -> None:
    tables = lending(customers=4_000, seed=7).tables
    rows = run(tables, lambda bound: table.training(bound, AS_OF, SETTINGS))
    rows = rows.sort_by([("booked_at", "ascending"), ("application_id", "ascending")])
    early = np.arange(rows.num_rows) < rows.num_rows // 2
    place = rows.column_names.index("bureau_record")
    found = model.candidates(rows.set_column(place, "bureau_record", pa.array(np.where(early, "no", "yes"))), SETTINGS)
    assert [one.name for one in found.moved] == ["bureau_record"]
    assert not {"utilisation_rate", "inquiries_6m"} & set(found.names)
    assert not set(found.asked.values()) & {"bureau_record"}
    assert "income_monthly_minor" in found.names
