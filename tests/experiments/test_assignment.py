"""Assignment: reasons, ramp, settings that cannot be used."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pytest

from engine.config.assignment import AssignmentSettings, ExperimentAssignment, RampStep
from engine.config.load import load, validate
from engine.domain.errors import SettingsFault
from experiments.assignment import assign, buckets, epochs_of_days, planned_epochs
from experiments.sample_ratio import by_group

UNITS = [f"c{number}" for number in range(1_000)]
EVEN = {"A": 0.5, "B": 0.5}


def june(day: int) -> datetime:
    return datetime(2026, 6, day, tzinfo=UTC)


def ramped(*steps: RampStep) -> ExperimentAssignment:
    return ExperimentAssignment(experiment_id="e", ramp=steps)


def test_shipped_rules_let_everybody_take_part():
    bank = load(AssignmentSettings, "assignment")
    found = assign(UNITS, bank.of("any"), EVEN, bank=bank)
    assert found.reason_counts() == {"assigned": 1_000}


def test_the_salt_is_the_id_of_the_experiment_unless_one_is_given():
    named = assign(UNITS, ExperimentAssignment(experiment_id="e"), EVEN)
    salted = assign(UNITS, ExperimentAssignment(experiment_id="other", salt="e"), EVEN)
    assert named.variants() == salted.variants()


def test_weights_in_any_unit_mean_the_same_split():
    rules = ExperimentAssignment(experiment_id="e")
    assert assign(UNITS, rules, {"A": 3, "B": 1}).variants() == assign(UNITS, rules, {"A": 0.75, "B": 0.25}).variants()


def test_weights_that_growthbook_would_replace_are_refused():
    rules = ExperimentAssignment(experiment_id="e", scheme="growthbook_v2")
    with pytest.raises(ValueError, match=r"add up to 1\.3; GrowthBook would split evenly"):
        assign(UNITS, rules, {"A": 0.7, "B": 0.6})


def test_the_first_reason_that_holds_is_told():
    eligible = np.arange(1_000) % 2 == 0
    rules = ExperimentAssignment(experiment_id="e", ramp=(RampStep(coverage=0),))
    found = assign(UNITS, rules, EVEN, bank=AssignmentSettings(holdout_share=1), eligible=eligible)
    assert found.reason_counts() == {"not_eligible": 500, "global_holdout": 500}
    assert assign(UNITS, rules, EVEN).reason_counts() == {"not_covered": 1_000}
    with pytest.raises(ValueError, match="one value per unit"):
        assign(UNITS, rules, EVEN, eligible=eligible[:5])


def test_a_ramp_gives_nobody_a_variant_before_it_starts_and_then_more_and_more():
    rules = ramped(RampStep(starts_at=june(1), coverage=0.1), RampStep(starts_at=june(8), coverage=0.5))
    before, first, second = (assign(UNITS, rules, EVEN, at=at) for at in (june(1).replace(month=5), june(7), june(8)))
    assert before.reason_counts() == {"not_started": 1_000}
    buckets_of = buckets(UNITS, "e", "sha256")
    # coverage 0.1 of two halves: buckets 0 to 0.05 and 0.5 to 0.55
    assert sum(first.counts().values()) == int((buckets_of % 0.5 < 0.05).sum())
    assert sum(second.counts().values()) == int((buckets_of % 0.5 < 0.25).sum())
    assert assign(UNITS, rules, EVEN).variants() == second.variants()


def test_a_change_of_weights_begins_an_epoch_and_a_raise_of_coverage_does_not():
    steps = (
        RampStep(starts_at=june(1), coverage=0.1),
        RampStep(starts_at=june(8), coverage=0.5, weights={"A": 1, "B": 1}),
        RampStep(starts_at=june(15), coverage=0.5, weights={"A": 9, "B": 1}),
        RampStep(starts_at=june(22), coverage=1.0),
    )
    found = planned_epochs(steps, EVEN)
    assert [(one.starts_at, one.ends_at, one.coverage) for one in found] == [
        (june(1), june(15), 0.5),
        (june(15), None, 1.0),
    ]
    assert [one.weights for one in found] == [EVEN, {"A": 0.9, "B": 0.1}]


def test_a_unit_judged_by_its_first_exposure_keeps_its_variant_through_a_change_of_weights():
    steps = (RampStep(starts_at=june(1)), RampStep(starts_at=june(15), weights={"A": 0.9, "B": 0.1}))
    early = assign(UNITS, ramped(steps[0]), EVEN, at=june(3))
    assert assign(UNITS, ramped(*steps), EVEN, at=june(3)).variants() == early.variants()
    assert assign(UNITS, ramped(*steps), EVEN, at=june(20)).variants() != early.variants()


def test_days_of_a_ramp_are_judged_by_the_split_that_was_planned_for_them():
    # half and half until noon of 15 June, then nine to one; nothing was planned for the day of the change
    steps = (RampStep(starts_at=june(10)), RampStep(starts_at=june(15).replace(hour=12), weights={"A": 9, "B": 1}))
    daily = {
        date(2026, 6, 9): {"A": 3},
        date(2026, 6, 10): {"A": 100, "B": 98},
        date(2026, 6, 14): {"A": 95, "B": 101},
        date(2026, 6, 15): {"A": 140, "B": 60},
        date(2026, 6, 16): {"A": 182, "B": 18},
        date(2026, 6, 20): {"A": 177, "B": 23},
    }
    found = epochs_of_days(planned_epochs(steps, EVEN), daily)
    assert [(epoch.name, epoch.counts, plan) for epoch, plan in found] == [
        ("2026-06-09..2026-06-09", {"A": 3}, None),
        ("2026-06-10..2026-06-14", {"A": 195, "B": 199}, EVEN),
        ("2026-06-15..2026-06-15", {"A": 140, "B": 60}, None),
        ("2026-06-16..2026-06-20", {"A": 359, "B": 41}, {"A": 0.9, "B": 0.1}),
    ]
    planned = {epoch.name: (epoch.counts, plan) for epoch, plan in found if plan is not None}
    tests = by_group(
        {name: counts for name, (counts, _) in planned.items()},
        EVEN,
        looks=False,
        plans={name: plan for name, (_, plan) in planned.items()},
    )
    # each is as planned, while all days together would be 697 to 300
    assert min(test.p_value for test in tests) > 0.5


def test_a_change_at_midnight_splits_no_day():
    steps = (RampStep(), RampStep(starts_at=june(15), weights={"A": 9, "B": 1}))
    daily = {date(2026, 6, day): {"A": 1, "B": 1} for day in (14, 15)}
    found = epochs_of_days(planned_epochs(steps, EVEN), daily)
    assert [(epoch.first.day, plan) for epoch, plan in found] == [(14, EVEN), (15, {"A": 0.9, "B": 0.1})]
    assert epochs_of_days(planned_epochs(steps, EVEN), {}) == ()


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"ramp": [{"coverage": 0.5}, {"starts_at": june(8), "coverage": 0.2}]}, "coverage falls from 0.5 to 0.2"),
        ({"ramp": [{"starts_at": june(8)}, {"starts_at": june(1)}]}, "starts after the one before"),
        ({"ramp": []}, "no step"),
        ({"ramp": [{"weights": {"A": 0, "B": 0}}]}, "one of them above 0"),
        ({"scheme": "growthbook_v2", "ramp": [{"weights": {"A": 1, "B": 1}}]}, "add up to 2; GrowthBook would"),
        ({"slot": {"namespace": "n", "lower": 0.5, "upper": 0.5}}, "the slot is empty"),
        ({"scheme": "md5"}, "scheme"),
        ({"holdout_share": 5}, "holdout_share"),
    ],
)
def test_rules_that_cannot_be_used_are_told_with_their_place(values, sentence):
    with pytest.raises(SettingsFault, match=sentence):
        validate(AssignmentSettings, {"experiments": [{"experiment_id": "e", **values}]}, "wayline.toml, [assignment]")


def test_experiments_that_exclude_each_other_may_not_overlap():
    slots = [{"namespace": "n", "lower": 0, "upper": 0.6}, {"namespace": "n", "lower": 0.5, "upper": 1}]
    values = [{"experiment_id": f"e{place}", "slot": slot} for place, slot in enumerate(slots)]
    with pytest.raises(SettingsFault, match=r'experiments\.1\.slot: overlaps the slot of "e0" in the namespace "n"'):
        validate(AssignmentSettings, {"experiments": values}, "wayline.toml, [assignment]")
    with pytest.raises(SettingsFault, match="stands twice"):
        validate(AssignmentSettings, {"experiments": [values[0], values[0]]}, "wayline.toml, [assignment]")
