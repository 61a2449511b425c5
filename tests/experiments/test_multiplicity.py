"""Many comparisons: adjusted p-values and intervals that agree, and families that keep their error."""

from __future__ import annotations

from math import inf, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from engine.config.experiments import LookSettings
from experiments import effects, looks, multiplicity
from experiments.effects import Effect
from experiments.estimates import ArmEstimate
from experiments.looks import AnyTime, Planned
from experiments.multiplicity import NOT_TESTED, Method

METHODS: tuple[Method, ...] = ("bonferroni", "sidak", "holm", "hochberg", "benjamini_hochberg")
NOTHING = Effect(method="welch", reason="fewer than two customers in a group")


def effect(z: float, control: float = 0.0, *, of_control: float = 0.5, degrees: float = inf) -> Effect:
    """z standard errors above control; `of_control` is control's share of the variance, which is 1."""
    arm = ArmEstimate(value=50 + control + z, variance=1 - of_control, n=100, degrees=degrees)
    return effects.contrast(
        arm, ArmEstimate(value=50 + control, variance=of_control, n=100, degrees=degrees), method="welch"
    )


def leaves_out_none(found: Effect) -> bool:
    assert found.lower is not None and found.upper is not None
    return found.lower > 0 or found.upper < 0


STATISTICS = st.lists(st.floats(-6, 6), min_size=1, max_size=7)
LOOKS = st.sampled_from([looks.ONCE, AnyTime(units=9_000), looks.of_plan(LookSettings(days=10), units=5_000, day=6)])


@settings(max_examples=150, deadline=None)
@given(zs=STATISTICS, method=st.sampled_from([*METHODS, "dunnett"]), design=LOOKS)
def test_adjusted_p_value_and_interval_are_one_verdict(
    zs: list[float], method: Method | str, design: looks.Looks
) -> None:
    family = [effect(z) for z in zs]
    if method == "dunnett":
        found = multiplicity.dunnett(family, looks=design)
    else:
        found = multiplicity.adjust(family, method, looks=design)  # type: ignore[arg-type]
    for one in found:
        assert one.effect.p_value is not None
        if abs(one.effect.p_value - 0.05) > 1e-7:
            assert leaves_out_none(one.effect) == (one.effect.p_value < 0.05)


@settings(max_examples=60, deadline=None)
@given(zs=STATISTICS, extra=st.floats(-6, 6))
def test_one_more_comparison_never_makes_the_others_more_certain(zs: list[float], extra: float) -> None:
    for method in ("bonferroni", "sidak", "holm"):
        alone = multiplicity.adjust([effect(z) for z in zs], method)
        among = multiplicity.adjust([effect(z) for z in (*zs, extra)], method)
        for before, after in zip(alone, among, strict=False):
            assert before.effect.p_value is not None and after.effect.p_value is not None
            assert after.effect.p_value >= before.effect.p_value - 1e-12


@settings(max_examples=60, deadline=None)
@given(zs=STATISTICS)
def test_corrections_are_ordered_by_how_much_they_promise(zs: list[float]) -> None:
    family = [effect(z) for z in zs]
    found = [np.array([one.effect.p_value for one in multiplicity.adjust(family, method)]) for method in METHODS]
    bonferroni, sidak, holm, hochberg, discovery = found
    assert (bonferroni + 1e-12 >= sidak).all()
    assert (bonferroni + 1e-12 >= holm).all()
    assert (holm + 1e-12 >= hochberg).all()
    assert (hochberg + 1e-12 >= discovery).all()
    dunnett = np.array([one.effect.p_value for one in multiplicity.dunnett(family)])
    assert (sidak + 1e-9 >= dunnett).all()


def test_family_of_one_is_the_plain_effect() -> None:
    alone = effect(2.2)
    for method in METHODS:
        (found,) = multiplicity.adjust([alone], method)
        assert found.effect.p_value == pytest.approx(alone.p_value)
        assert (found.effect.lower, found.effect.upper) == pytest.approx((alone.lower, alone.upper))


def test_what_cannot_be_told_counts_for_nothing() -> None:
    first, nothing, last = multiplicity.adjust([effect(2.2), NOTHING, effect(1.0)], "bonferroni")
    assert nothing.effect is NOTHING and nothing.level is None
    assert first.effect.p_value == pytest.approx(2 * 2 * stats.norm.sf(2.2))
    assert last.level == 0.05 / 2
    assert [one.effect for one in multiplicity.dunnett([NOTHING, NOTHING])] == [NOTHING, NOTHING]


def test_holm_intervals_are_drawn_at_the_level_of_their_step() -> None:
    # p = .0027, .0124, .32: steps .05 / 3 and .05 / 2 call the first two; the third is left with all of .05
    found = multiplicity.adjust([effect(3.0), effect(2.5), effect(1.0)], "holm")
    assert [one.level for one in found] == pytest.approx([0.05 / 3, 0.05 / 2, 0.05])
    assert found[2].effect.upper == pytest.approx(1 + stats.norm.isf(0.025))


def test_intervals_of_what_was_selected_share_the_rate_of_false_discoveries() -> None:
    # two of four called different: each interval at 2 / 4 of alpha (Benjamini and Yekutieli)
    found = multiplicity.adjust([effect(3.5), effect(3.0), effect(0.5), effect(0.1)], "benjamini_hochberg")
    assert {one.level for one in found} == {0.05 * 2 / 4}


def test_each_effect_may_have_its_own_looks() -> None:
    one, other = AnyTime(units=1_000), AnyTime(units=90_000)
    first, second = multiplicity.adjust([effect(3.0), effect(3.0)], "bonferroni", looks=[one, other])
    assert first.effect.p_value == pytest.approx(2 * one.p_value(2 * stats.norm.sf(3.0)))
    assert second.effect.p_value == pytest.approx(2 * other.p_value(2 * stats.norm.sf(3.0)))
    with pytest.raises(ValueError, match="2 effects need 2 designs"):
        multiplicity.adjust([effect(3.0), effect(3.0)], "holm", looks=[one])


# Dunnett


def test_dunnett_of_arms_that_hardly_share_control_is_sidak() -> None:
    family = [effect(z, of_control=1e-9) for z in (2.5, 1.0, -0.5)]
    found = [one.effect.p_value for one in multiplicity.dunnett(family)]
    assert found == pytest.approx([one.effect.p_value for one in multiplicity.adjust(family, "sidak")], abs=1e-6)


def test_dunnett_of_arms_that_are_all_control_is_one_test() -> None:
    family = [effect(z, of_control=1 - 1e-5) for z in (2.5, 1.0, -0.5)]
    found = [one.effect.p_value for one in multiplicity.dunnett(family)]
    assert found == pytest.approx([one.p_value for one in family], abs=0.01)


def test_dunnett_agrees_with_students_t_of_several_dimensions() -> None:
    rng = np.random.default_rng(11)
    for count in (2, 3, 4):
        shares = rng.uniform(0.3, 0.97, count)
        degrees = float(rng.integers(8, 60))
        z = rng.uniform(1.5, 3.0)
        family = [effect(z, of_control=float(share), degrees=inf) for share in shares]
        family = [
            effects.contrast(one.variant, one.control, method="pooled", degrees=degrees)
            for one in family
            if one.variant is not None and one.control is not None
        ]
        root = np.sqrt(shares)
        shape = np.outer(root, root)
        np.fill_diagonal(shape, 1.0)
        student = stats.multivariate_t(shape=shape, df=degrees, seed=1)
        inside = student.cdf([z] * count, lower_limit=[-z] * count, maxpts=400_000)
        for one in multiplicity.dunnett(family):
            assert one.effect.p_value == pytest.approx(1 - inside, abs=2e-5)


def test_dunnett_at_many_looks_is_sidak_over_them() -> None:
    family, design = [effect(3.1), effect(0.2)], AnyTime(units=5_000)
    assert multiplicity.dunnett(family, looks=design) == multiplicity.adjust(family, "sidak", looks=design)


# gatekeeping


def p_of(found: tuple[multiplicity.Adjusted, ...]) -> list[float | None]:
    return [one.effect.p_value for one in found]


def test_secondary_metrics_wait_for_all_goals() -> None:
    goals, secondary = [effect(3.0), effect(1.0)], [effect(5.0)]
    _, (closed,) = multiplicity.gatekeep(goals, secondary, needed="all")
    assert (closed.effect.lower, closed.effect.reason) == (None, NOT_TESTED)
    # its p-value is that of the goal in its way: Holm's second step leaves it as it is
    assert closed.effect.p_value == pytest.approx(2 * stats.norm.sf(1.0))


def test_all_goals_won_pass_all_of_alpha_on() -> None:
    goals, secondary = [effect(3.0), effect(2.8)], [effect(2.3), effect(1.0)]
    _, found = multiplicity.gatekeep(goals, secondary, needed="all")
    # Holm within the second family; .0214 x 2 is above the goals' .0051
    assert p_of(found) == pytest.approx([2 * 2 * stats.norm.sf(2.3), 2 * stats.norm.sf(1.0)])
    assert leaves_out_none(found[0].effect)


def test_one_goal_of_two_passes_half_of_alpha_on() -> None:
    goals, secondary = [effect(3.0), effect(1.0)], [effect(2.3)]
    first, (found,) = multiplicity.gatekeep(goals, secondary, needed="any")
    assert p_of(first) == pytest.approx([2 * 2 * stats.norm.sf(3.0), 2 * 2 * stats.norm.sf(1.0)])
    # half of alpha: .0214 counts twice
    assert found.effect.p_value == pytest.approx(2 * 2 * stats.norm.sf(2.3))
    assert found.level == 0.025


def test_goal_that_cannot_be_told_keeps_the_gate_shut() -> None:
    _, (found,) = multiplicity.gatekeep([effect(4.0), NOTHING], [effect(4.0)], needed="all")
    assert (found.effect.p_value, found.effect.reason) == (1.0, NOT_TESTED)


def test_without_goals_or_without_secondary_metrics_the_family_is_holm() -> None:
    family = [effect(2.4), effect(2.1), NOTHING]
    assert multiplicity.gatekeep([], family)[1] == multiplicity.adjust(family, "holm")
    assert multiplicity.gatekeep(family, [], needed="any")[0] == multiplicity.adjust(family, "holm")


@settings(max_examples=100, deadline=None)
@given(goals=STATISTICS, secondary=STATISTICS, needed=st.sampled_from(["any", "all"]), design=LOOKS)
def test_gate_interval_and_p_value_are_one_verdict(
    goals: list[float], secondary: list[float], needed: str, design: looks.Looks
) -> None:
    for family in multiplicity.gatekeep(
        [effect(z) for z in goals],
        [effect(z) for z in secondary],
        needed=needed,  # type: ignore[arg-type]
        looks=design,
        secondary_looks=design,
    ):
        for one in family:
            assert one.effect.p_value is not None
            if one.effect.lower is None:
                assert one.effect.p_value >= 0.05
            elif abs(one.effect.p_value - 0.05) > 1e-7:
                assert leaves_out_none(one.effect) == (one.effect.p_value < 0.05)


# calibration: small versions of the benchmark; families without any effect, three variants that share control


def false_alarms(method: Method | str, count: int = 3, experiments: int = 2_000) -> float:
    """Return how often some comparison is called different when nothing differs."""
    rng = np.random.default_rng(21)
    control = rng.normal(size=(experiments, 1)) * sqrt(0.5)
    arms = rng.normal(size=(experiments, count)) * sqrt(0.5)
    wrong = 0
    for zs, shift in zip(arms - control, control[:, 0], strict=True):
        family = [effect(float(z), float(shift)) for z in zs]
        found = multiplicity.dunnett(family) if method == "dunnett" else multiplicity.adjust(family, method)  # type: ignore[arg-type]
        wrong += any(one.effect.p_value is not None and one.effect.p_value < 0.05 for one in found)
    return wrong / experiments


def test_dunnett_spends_all_of_alpha_and_no_more() -> None:
    # 2,000 families: a standard error of .0049
    assert false_alarms("dunnett", experiments=1_000) == pytest.approx(0.05, abs=0.02)


@pytest.mark.parametrize("method", METHODS)
def test_families_without_effects_alarm_no_more_often_than_alpha(method: Method) -> None:
    assert false_alarms(method) <= 0.05 + 2 * sqrt(0.05 * 0.95 / 2_000)


def test_three_variants_looked_at_on_28_days_alarm_no_more_often_than_alpha() -> None:
    """20,000 experiments without effects, three variants that share a control, bounds at Šidák's share of alpha."""
    share = 1 - 0.95 ** (1 / 3)
    last = looks.of_plan(LookSettings(days=28), units=28_000, day=28)
    assert isinstance(last, Planned)
    steps = np.random.default_rng(23).normal(size=(20_000, 4, 28)) / sqrt(28)
    walks = np.cumsum(steps, axis=2)
    z = (walks[:, 1:] - walks[:, :1]) / sqrt(2) / np.sqrt(np.arange(1, 29) / 28)
    alarms = (np.abs(z) > last.bounds(share)).any(axis=(1, 2)).mean()
    # below .05, since the variants share their control; not far below
    assert 0.035 <= alarms <= 0.05


@pytest.mark.parametrize("needed", ["any", "all"])
def test_gate_lets_no_more_false_alarms_through_than_alpha(needed: str) -> None:
    """One goal with an effect of 3 standard errors, one goal and two secondary metrics without any."""
    rng = np.random.default_rng(24)
    wrong = 0
    for first, *rest in rng.normal([3.0, 0.0, 0.0, 0.0], 1.0, (2_000, 4)):
        goals, secondary = multiplicity.gatekeep(
            [effect(first), effect(rest[0])],
            [effect(rest[1]), effect(rest[2])],
            needed=needed,  # type: ignore[arg-type]
        )
        called = [one.effect.p_value is not None and one.effect.p_value < 0.05 for one in (*goals[1:], *secondary)]
        wrong += any(called)
    assert wrong / 2_000 <= 0.05 + 2 * sqrt(0.05 * 0.95 / 2_000)


def test_false_discoveries_are_a_small_share_of_what_is_called() -> None:
    """Ten comparisons, five with an effect of 3 standard errors."""
    rng = np.random.default_rng(22)
    truth = np.array([3.0] * 5 + [0.0] * 5)
    shares = []
    for zs in rng.normal(truth, 1.0, (600, 10)):
        found = multiplicity.adjust([effect(float(z)) for z in zs], "benjamini_hochberg")
        called = np.array([one.effect.p_value is not None and one.effect.p_value < 0.05 for one in found])
        shares.append(called[5:].sum() / max(called.sum(), 1))
    assert np.mean(shares) <= 0.05
