"""Named segmentations: who is in which group by hand, their profiles and crossings, and definitions that cannot be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from engine.config.load import load, validate
from engine.config.segmentations import SegmentationSettings
from engine.config.segments import SegmentSettings
from engine.domain.errors import SettingsFault, UnknownName
from engine.domain.segment_marts import SEGMENTATION_CROSSINGS, SEGMENTATION_PROFILES, SEGMENTATIONS
from engine.lake.schema import arrow_schema
from engine.segments import segmentations

SETTINGS = load(SegmentSettings, "segments")
NAMED = {one.segmentation: one for one in SETTINGS.segmentations}
PEOPLE = ("ann", "bob", "cem", "dee", "eve", "fay")
CUSTOMERS = pa.table(
    {
        "customer_id": PEOPLE,
        "is_open": [True, True, True, True, False, True],
        "age_years": pa.array([20, 70, 40, 29, 50, None], pa.int64()),
        "employment": ["student", "employed", "employed", "employed", "employed", None],
        "dependants": pa.array([0, 0, 2, None, 1, None], pa.int64()),
        "events_app_90d": [9, 0, 3, 4, 0, 0],
        "events_web_90d": [2, 0, 3, 5, 0, 0],
        "events_branch_90d": [0, 4, 0, 0, 0, 0],
        "events_call_centre_90d": [0, 1, 0, 0, 0, 0],
        "days_since_last_transaction": pa.array([3, 100, 50, 10, 300, None], pa.int64()),
        "holdings_open": [1, 2, 1, 1, 0, 1],
        "complaints_open": [0, 0, 0, 1, 0, 0],
        "holdings_closed_365d": [0, 0, 0, 0, 3, 0],
        "value_tier": ["low", "top", "top", None, "none", "middle"],
        "risk_tier": ["low", "low", "high", "high", "high", None],
    }
)


def _groups(name: str, customers: pa.Table = CUSTOMERS) -> dict[str, str]:
    settings = NAMED[name]
    names = [one.group for one in settings.groups]
    codes = segmentations.groups(customers, settings)
    return dict(zip(PEOPLE, [names[code] for code in codes], strict=True))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("life_stage", ("student", "retired", "family", "starting_out", "left", "unknown")),
        # equal counts go to the channel that is named first; dee uses the web more than the app
        ("channel_preference", ("app", "branch", "app", "web", "none", "none")),
        ("value_tier", ("low", "top", "top", "none", "none", "middle")),
        ("risk_tier", ("low", "low", "high", "high", "high", "unknown")),
        ("churn_risk", ("low", "high", "medium", "medium", "left", "unknown")),
    ],
)
def test_everybody_is_in_the_first_group_whose_rule_holds(name: str, expected: tuple[str, ...]) -> None:
    assert tuple(_groups(name).values()) == expected


def test_marts_have_every_customer_once_per_segmentation_and_crossings_add_up() -> None:
    made = segmentations.segment(CUSTOMERS, SETTINGS.segmentations, ("age_years",), SETTINGS.crossed)
    assert made.members.schema == arrow_schema(SEGMENTATIONS)
    assert made.profiles.schema == arrow_schema(SEGMENTATION_PROFILES)
    assert made.crossings.schema == arrow_schema(SEGMENTATION_CROSSINGS)
    # nobody's journey is known, so that segmentation is not made
    assert made.notes == ("no journey_stage: the bank's data give none of journey_stage",)
    assert made.members.num_rows == 6 * 5
    cells = made.crossings.to_pylist()
    value_by_risk = [
        row for row in cells if (row["segmentation"], row["other_segmentation"]) == ("value_tier", "risk_tier")
    ]
    assert sum(row["customers"] for row in value_by_risk) == 6
    top_and_high = next(row for row in value_by_risk if (row["segment_group"], row["other_group"]) == ("top", "high"))
    # bob and cem are top, three are high: 2 x 3 / 6 expected, cem is both
    assert (top_and_high["customers"], top_and_high["expected_customers"]) == (1, pytest.approx(1.0))


def test_profiles_are_means_over_those_of_whom_the_feature_is_known() -> None:
    made = segmentations.segment(CUSTOMERS, [NAMED["risk_tier"]], ("age_years",), ())
    rows = {row["segment_group"]: row for row in made.profiles.to_pylist()}
    assert (rows["low"]["mean"], rows["high"]["mean"]) == (45, pytest.approx(119 / 3))
    assert rows["low"]["overall_mean"] == pytest.approx(209 / 5)
    assert (rows["unknown"]["customers"], rows["unknown"]["mean"]) == (1, None)  # fay's age is not known
    assert (rows["medium"]["customers"], rows["medium"]["mean"]) == (0, None)
    assert rows["high"]["group_name_zh"] == "高"


def test_the_order_of_customers_changes_nobodys_group() -> None:
    order = np.random.default_rng(1).permutation(6)
    shuffled = CUSTOMERS.take(pa.array(order))
    for name, settings in NAMED.items():
        codes = segmentations.groups(CUSTOMERS, settings)
        assert (segmentations.groups(shuffled, settings) == codes[order]).all(), name


def test_no_customers_at_all_make_empty_tables() -> None:
    made = segmentations.segment(CUSTOMERS.slice(0, 0), SETTINGS.segmentations, ("age_years",), SETTINGS.crossed)
    assert made.members.num_rows == made.profiles.num_rows == made.crossings.num_rows == 0
    assert len(made.notes) == len(NAMED)


def test_a_misspelt_column_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match=r'"age_yeers".*Did you mean "age_years"'):
        segmentations.check((), ("age_yeers",), ("age_years", "is_open"))


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ([{"group": "a", "all": [{"column": "x"}]}, {"group": "b"}], '"x" is not tested'),
        ([{"group": "a"}, {"group": "b"}], "the last group, and no other"),
        ([{"group": "a", "all": [{"column": "x", "below": 1}]}], "at least 2 items"),
        ([{"group": "a", "all": [{"column": "x", "below": 1}]}, {"group": "a"}], "two groups have one name"),
    ],
)
def test_a_definition_that_cannot_be_is_refused_with_the_reason(groups: list[dict[str, Any]], said: str) -> None:
    named = [{"name": "n", "name_zh": "名", **one} for one in groups]
    with pytest.raises(SettingsFault, match=said):
        validate(SegmentationSettings, {"segmentation": "s", "name": "n", "name_zh": "名", "groups": named}, "test")
