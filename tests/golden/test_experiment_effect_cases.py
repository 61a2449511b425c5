"""Reference cases of effects: published inputs, published answers, and faults of other programs turned round.

Where a program shows a relative interval that contradicts its own test (delta or log method), its digits are made here
from our estimates, which shows that they are the same; what we show beside them is Fieller's.
"""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from math import exp, sqrt
from operator import add
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from experiments import effects, estimates, exact
from experiments.adjustment import Adjustment, adjust
from experiments.effects import Effect
from experiments.estimates import ArmEstimate
from experiments.exact import Counts
from experiments.moments import Moments
from experiments.stratification import post_stratify

# growthbook/gbstats, test of the two-sided t-test
CONTROL = Moments.of(3407, 1396.87, 52377.9767)
FEWER = Moments.of(3000, 1396.87, 52377.9767)
TREATMENT = Moments.of(3461, 2422.7, 134698.29)

# growthbook/gbstats, test of a regression adjusted ratio: outcome m / d, the same before the start
RATIO_COLUMNS = ("m", "d", "m_before", "d_before")
RATIO_CONTROL = Moments.of_sums(
    RATIO_COLUMNS,
    100,
    [485.112236689623, 679.9093275844917, 192.59138069991536, 290.1398399750233],
    [
        [2715.484666118136, 3602.146836776702, 1113.6215759318352, 1559.2878434944676],
        [3602.146836776702, 4939.424001640236, 1460.3181079276983, 2130.9404074446747],
        [1113.6215759318352, 1460.3181079276983, 460.076026390857, 634.239482353647],
        [1559.2878434944676, 2130.9404074446747, 634.239482353647, 920.9461385038898],
    ],
)
RATIO_TREATMENT = Moments.of_sums(
    RATIO_COLUMNS,
    100,
    [514.7757826608777, 705.4090874383759, 206.94157227402536, 302.54389139107326],
    [
        [2994.897482705013, 3918.1561431600717, 1237.0953021125997, 1701.0287270040265],
        [3918.1561431600717, 5291.36604146392, 1604.0759503266522, 2292.081739775257],
        [1237.0953021125997, 1604.0759503266522, 514.2903702246757, 698.4173425817908],
        [1701.0287270040265, 2292.081739775257, 698.4173425817908, 994.4506208125663],
    ],
)

# tea-tasting, make_users_data(rng=42, covariates=True): sums over users
SHOP_COLUMNS = ("sessions", "orders", "revenue", "sessions_before", "orders_before")
SHOP_CONTROL = Moments.of_sums(
    SHOP_COLUMNS,
    2023,
    [4038, 1073, 10602.6, 4031, 1090],
    [
        [10098, 2648, 25951.34, 9932, 2715],
        [2648, 2073, 20072.84, 2692, 1691],
        [25951.34, 20072.84, 243736.4268, 26781.25, 16873.08],
        [9932, 2692, 26781.25, 13779, 3701],
        [2715, 1691, 16873.08, 3701, 2720],
    ],
)
SHOP_TREATMENT = Moments.of_sums(
    SHOP_COLUMNS,
    1977,
    [3920, 1133, 11328.43, 3941, 1006],
    [
        [9698, 2730, 27030.29, 9738, 2407],
        [2730, 2121, 20982.39, 2721, 1551],
        [27030.29, 20982.39, 278029.8889, 26389.36, 14913.96],
        [9738, 2721, 26389.36, 13579, 3324],
        [2407, 1551, 14913.96, 3324, 2380],
    ],
)


def by_delta(effect: Effect) -> tuple[float, float, float]:
    """The relative interval and p-value of the delta method: of variant / control linearised at the estimates."""
    one, other, degrees = arms(effect)
    share = one.value / other.value
    error = sqrt(one.variance + share**2 * other.variance) / other.value
    lift = share - 1
    half = float(stats.t.ppf(0.975, degrees)) * error
    return lift - half, lift + half, float(2 * stats.t.sf(abs(lift) / error, degrees))


def by_log(effect: Effect) -> tuple[float, float]:
    """The relative interval from the logarithm of variant / control, with the degrees of freedom of that."""
    one, other, _ = arms(effect)
    parts = [arm.variance / arm.value**2 for arm in (one, other)]
    degrees = sum(parts) ** 2 / sum(part**2 / arm.degrees for part, arm in zip(parts, (one, other), strict=True))
    factor = exp(float(stats.t.ppf(0.975, degrees)) * sqrt(sum(parts)))
    share = one.value / other.value
    return share / factor - 1, share * factor - 1


def arms(effect: Effect) -> tuple[ArmEstimate, ArmEstimate, float]:
    assert effect.variant is not None and effect.control is not None and effect.degrees is not None
    return effect.variant, effect.control, effect.degrees


def says_one_thing(effect: Effect) -> bool:
    assert effect.p_value is not None and effect.lower is not None and effect.upper is not None
    assert effect.relative_lower is not None and effect.relative_upper is not None
    out = [low > 0 or high < 0 for low, high in (
        (effect.lower, effect.upper), (effect.relative_lower, effect.relative_upper))]  # fmt: skip
    return out == [effect.p_value < effects.ALPHA] * 2


def test_case_1_welch_difference_of_two_means() -> None:
    effect = effects.means(TREATMENT, CONTROL)
    assert effect.difference == pytest.approx(0.29, abs=1e-9)
    assert (effect.lower, effect.upper) == pytest.approx((0.045378, 0.534622), abs=1e-6)
    assert effect.p_value == pytest.approx(0.0201584, abs=1e-7)


def test_case_2_relative_delta_interval_contradicts_the_test_and_ours_does_not() -> None:
    effect = effects.means(TREATMENT, CONTROL)
    assert effect.relative_difference == pytest.approx(0.707317, abs=1e-6)
    assert by_delta(effect) == pytest.approx((-0.035260, 1.449894, 0.0619118), abs=1e-6)
    assert says_one_thing(effect)


def test_case_2b_fieller_with_the_normal_critical_value_and_the_log_interval() -> None:
    effect = effects.redraw(effects.means(TREATMENT, CONTROL), effects.critical_value(0.05))
    assert (effect.relative_lower, effect.relative_upper) == pytest.approx((0.094169, 1.708403), abs=1e-6)
    one, other, _ = arms(effect)
    error = sqrt(one.variance / one.value**2 + other.variance / other.value**2)
    bounds = [one.value / other.value * exp(side * 1.959963984540054 * error) - 1 for side in (-1, 1)]
    assert bounds == pytest.approx([0.105254, 1.637341], abs=1e-6)


def test_case_3_two_small_proportions_relative() -> None:
    # theirs has p (1 - p) / n and the degrees of freedom of a t-test
    both = [estimates.proportion(Moments.of_count(*seen)) for seen in ((16, 30), (14, 28))]
    as_t_test = [replace(arm, degrees=float(arm.n - 1)) for arm in both if arm is not None]
    effect = effects.contrast(*as_t_test, method="wald")
    assert effect.relative_difference == pytest.approx(0.066667, abs=1e-6)
    assert by_delta(effect) == pytest.approx((-0.477674, 0.611007, 0.807072), abs=1e-6)
    assert says_one_thing(effect)


def test_case_4_ratio_of_sums() -> None:
    variant, control = estimates.ratio(RATIO_TREATMENT, "m", "d"), estimates.ratio(RATIO_CONTROL, "m", "d")
    assert variant is not None and control is not None
    effect = effects.contrast(variant, control, method="delta")
    assert effect.difference == pytest.approx(0.0162595, abs=1e-7)
    assert (effect.lower, effect.upper) == pytest.approx((-0.0225547, 0.0550736), abs=1e-7)
    assert effect.p_value == pytest.approx(0.409747, abs=1e-6)


def test_case_4_ratio_adjusted_for_the_ratio_before() -> None:
    arms_ = {"control": RATIO_CONTROL, "treatment": RATIO_TREATMENT}
    plain, before = ("m", "d"), ("m_before", "d_before")
    # their slope: covariances of both arms over variances of both arms
    forms = [ratio_form(moments, plain, before) for moments in arms_.values()]
    slope = sum(form[0, 1] for form in forms) / sum(form[1, 1] for form in forms)
    found = adjust(arms_, plain, [before], slopes=[slope])
    assert found is not None
    effect = found.effect("treatment", "control").adjusted
    control = found.unadjusted["control"].value
    # they divide by the ratio of control as it is, not as adjusted
    assert effect.difference is not None and effect.degrees is not None
    assert effect.difference / control == pytest.approx(-0.000701483, abs=1e-9)
    error = their_relative_error(forms, slope, control, effect.difference)
    half = float(stats.t.ppf(0.975, effect.degrees)) * error
    lift = effect.difference / control
    assert (lift - half, lift + half) == pytest.approx((-0.00840779, 0.00700482), abs=2e-7)
    assert 2 * stats.t.sf(abs(lift) / error, effect.degrees) == pytest.approx(0.857710, abs=2e-6)
    assert says_one_thing(effect)


def ratio_form(moments: Moments, outcome: tuple[str, str], before: tuple[str, str]) -> np.ndarray:
    """The covariance per unit of two ratios in their linear form."""
    of = dict(zip(moments.columns, moments.means, strict=True))
    rows = []
    for above, below in (outcome, before):
        weights = {above: 1 / of[below], below: -of[above] / of[below] ** 2}
        rows.append([weights.get(column, 0.0) for column in moments.columns])
    form = np.array(rows)
    return np.asarray(form @ moments.covariance @ form.T)


def their_relative_error(forms: list[np.ndarray], slope: float, control: float, difference: float) -> float:
    """d(difference / control): control's plain ratio moves both the difference and what it is divided by."""
    of_control = np.array([-(1 + difference / control), slope]) / control
    of_variant = np.array([1.0, -slope]) / control
    return sqrt(of_control @ forms[0] @ of_control / 100 + of_variant @ forms[1] @ of_variant / 100)


def test_case_7_one_sided_test_of_a_greater_mean() -> None:
    effect = effects.means(TREATMENT, FEWER)
    found = effects.one_sided(effect, "greater")
    assert effect.difference == pytest.approx(0.234377, abs=1e-6)
    assert found.bound == pytest.approx(0.0207915, abs=1e-7)
    assert found.p_value == pytest.approx(0.0355427, abs=1e-7)


def shop(above: str, below: str | None = None) -> Effect:
    both = []
    for moments in (SHOP_TREATMENT, SHOP_CONTROL):
        both.append(estimates.mean(moments.take(above)) if below is None else estimates.ratio(moments, above, below))
    assert both[0] is not None and both[1] is not None
    return effects.contrast(both[0], both[1], method="welch")


def test_case_22_orders_by_session_orders_and_revenue() -> None:
    effect = shop("orders", "sessions")
    one, other, _ = arms(effect)
    assert (other.value, one.value) == pytest.approx((0.265726, 0.289031), abs=1e-6)
    assert (effect.lower, effect.upper) == pytest.approx((-0.00245943, 0.04906944), abs=1e-8)
    assert by_log(effect) == pytest.approx((-0.00894, 0.19378), abs=5e-6)
    assert effect.p_value == pytest.approx(0.0762376, abs=1e-7)
    assert shop("orders").p_value == pytest.approx(0.1177318, abs=1e-7)
    assert shop("revenue").p_value == pytest.approx(0.1230699, abs=1e-7)


def shop_adjusted(outcome: str | tuple[str, str], before: str | tuple[str, str]) -> Adjustment:
    """tea-tasting's CUPED: one slope for both arms, from both together."""
    arms_ = {"control": SHOP_CONTROL, "treatment": SHOP_TREATMENT}
    both = SHOP_CONTROL + SHOP_TREATMENT
    if isinstance(outcome, tuple) and isinstance(before, tuple):
        spread = ratio_form(both, outcome, before)
    else:
        assert isinstance(outcome, str) and isinstance(before, str)
        spread = both.take(outcome, before).covariance
    found = adjust(arms_, outcome, [before], slopes=[spread[0, 1] / spread[1, 1]])
    assert found is not None
    return found


def of_own_spread(found: Adjustment, effect: Effect) -> Effect:
    """The effect with the spread that each arm has for itself: tea-tasting takes the common mean before as known."""
    variant, control, _ = arms(effect)
    own = [replace(arm, variance=found.own[name]) for arm, name in ((variant, "treatment"), (control, "control"))]
    return replace(effect, variant=own[0], control=own[1])


def test_case_23_cuped_of_orders() -> None:
    found = shop_adjusted("orders", "orders_before")
    effect = found.effect("treatment", "control").adjusted
    assert effect.relative_difference == pytest.approx(0.1115, abs=5e-5)
    assert effect.p_value == pytest.approx(0.00733041, abs=1e-8)
    assert by_log(of_own_spread(found, effect)) == pytest.approx((0.02881, 0.20094), abs=5e-6)
    assert says_one_thing(effect)


def test_case_23_cuped_of_orders_by_session() -> None:
    found = shop_adjusted(("orders", "sessions"), ("orders_before", "sessions_before"))
    effect = found.effect("treatment", "control")
    assert effect.adjusted.relative_difference == pytest.approx(0.1213, abs=5e-5)
    assert effect.adjusted.p_value == pytest.approx(0.00229294, abs=1e-8)
    assert by_log(of_own_spread(found, effect.adjusted)) == pytest.approx((0.04165, 0.20710), abs=5e-6)
    assert effect.variance_removed is not None and effect.variance_removed > 0.3


def test_case_23_own_slopes_and_several_covariates_agree_with_cuped_and_remove_more() -> None:
    arms_ = {"control": SHOP_CONTROL, "treatment": SHOP_TREATMENT}
    found = adjust(arms_, "orders", ["orders_before", "sessions_before"])
    assert found is not None
    several, one = found.effect("treatment", "control"), shop_adjusted("orders", "orders_before")
    cuped = one.effect("treatment", "control")
    assert several.adjusted.difference == pytest.approx(cuped.adjusted.difference, abs=0.005)
    assert several.variance_removed is not None and cuped.variance_removed is not None
    assert several.variance_removed > cuped.variance_removed


def test_case_25_four_tests_of_two_proportions() -> None:
    counts = Counts(successes=130, n=1000, control_successes=100, control_n=1000)
    assert exact.p_value(counts, "score") == pytest.approx(0.0354885, abs=1e-7)
    assert exact.p_value(counts, "fisher") == pytest.approx(0.0419045, abs=1e-7)
    assert exact.p_value(counts, "boschloo") == pytest.approx(0.0383796, abs=1e-7)
    # scipy, and tea-tasting with it, finds .0369577 for Barnard: its search over the common share stops at a lower
    # peak. At a share of .0055 results as far apart as these have a probability of .0393, added up here one by one.
    assert exact.p_value(counts, "barnard") == pytest.approx(chance_of_as_far(counts, 0.0055), abs=1e-4)
    assert chance_of_as_far(counts, 0.0055) > 0.0369577


def chance_of_as_far(counts: Counts, share: float) -> float:
    """The probability of all results whose pooled z is at least as far from 0, for a common share near 0."""
    seen = abs(exact.difference_statistic(counts, 0.0))
    total = 0.0
    for x in range(40):  # at 5.5 of 1,000 expected, 40 and more have a probability below 1e-20
        for y in range(40):
            found = Counts(successes=x, n=counts.n, control_successes=y, control_n=counts.control_n)
            if abs(exact.difference_statistic(found, 0.0)) >= seen - 1e-12:
                total += float(stats.binom.pmf(x, counts.n, share) * stats.binom.pmf(y, counts.control_n, share))
    return total


def test_case_26_relative_difference_of_two_means() -> None:
    effect = effects.means(Moments.of(2461, 1922.7, 94698.29), Moments.of(2507, 1196.87, 37377.9767))
    assert effect.relative_difference == pytest.approx(0.63646, abs=1e-5)
    assert by_delta(effect) == pytest.approx((-0.0875, 1.36048, 0.08487), abs=5e-5)
    assert says_one_thing(effect)


def test_case_27_relative_difference_of_two_proportions() -> None:
    one, other = Moments.of_count(62, 1471), Moments.of_count(87, 1529)
    effect = effects.proportions(one, other)
    assert effect.relative_difference == pytest.approx(-0.25925, abs=1e-5)
    variant, control, _ = arms(effect)
    # theirs has the degrees of freedom of a t-test
    as_t_test = [replace(arm, degrees=float(arm.n - 1)) for arm in (variant, control)]
    theirs = effects.contrast(*as_t_test, method="welch")
    assert by_delta(theirs) == pytest.approx((-0.49475, -0.02376, 0.030960), abs=5e-6)
    # they call it significant, their own absolute test does not
    assert effect.p_value is not None and effect.p_value > 0.05
    assert says_one_thing(effect)


def test_case_29_wald_and_its_margin() -> None:
    effect = effects.proportions(Moments.of_count(10, 1000), Moments.of_count(20, 1000))
    assert (effect.lower, effect.upper) == pytest.approx((-0.0206453, 0.0006453), abs=1e-7)
    assert effect.p_value == pytest.approx(0.0655997, abs=1e-7)
    # 2 % of control's 0.02, taken as known
    found = effects.non_inferiority(effect, "increase", margin=0.02 * 0.02)
    assert found.bound == pytest.approx(-0.0189338, abs=1e-7)
    assert found.p_value == pytest.approx(0.961428, abs=1e-6)


@pytest.mark.parametrize(
    ("later", "control", "z", "p_value"),
    [(20_119, 20_034, -1.78409, 0.0744097), (8_279, 8_502, -3.16436, 0.00155425)],
)
def test_case_30_cookie_cats(later: int, control: int, z: float, p_value: float) -> None:
    counts = Counts(successes=later, n=45_489, control_successes=control, control_n=44_700)
    assert exact.difference_statistic(counts, 0.0) == pytest.approx(z, abs=1e-5)
    assert exact.p_value(counts, "score") == pytest.approx(p_value, abs=1e-7)
    assert effects.of_counts(counts, "score").p_value == exact.p_value(counts, "score")


def test_fault_1_units_without_a_value_are_not_in_n() -> None:
    """tea-tasting divides by all rows: half of the values missing gave p = .0762 for a correct .2102."""
    values = np.array([1.0, np.nan, 2.0, np.nan, 4.0])
    known = values[~np.isnan(values)]
    estimate = estimates.mean(Moments.of_values(("value",), known))
    assert estimate is not None
    # 7 / 3; the variance of 1, 2, 4 is 7 / 3
    assert (estimate.n, estimate.value, estimate.variance) == (3, pytest.approx(7 / 3), pytest.approx(7 / 9))


def test_fault_2_spread_survives_a_large_mean() -> None:
    """gbstats finds a variance of -1.31 for a hundred thousand numbers of N(10^8, 1)."""
    numbers = np.random.default_rng(1).normal(1e8, 1.0, size=100_000)
    estimate = estimates.mean(Moments.of_values(("value",), numbers))
    assert estimate is not None
    assert estimate.variance * 100_000 == pytest.approx(float(np.var(numbers - 1e8, ddof=1)), rel=1e-9)


def test_fault_2_adjustment_survives_a_large_mean() -> None:
    rng = np.random.default_rng(2)
    before = rng.normal(1e8, 1.0, size=(2, 5_000))
    after = before + rng.normal(0, 0.5, size=(2, 5_000))
    columns = ("value", "before")
    arms_ = {
        name: Moments.of_values(columns, np.column_stack([after[place], before[place]]))
        for place, name in enumerate("ab")
    }
    found = adjust(arms_, "value", ["before"])
    assert found is not None
    # of a variance of 1 + 0.25 the covariate explains 1
    assert found.effect("b", "a").variance_removed == pytest.approx(0.8, abs=0.02)


def test_fault_4_absolute_and_relative_are_one_verdict() -> None:
    """gbstats, PostHog and Eppo: p = .020 for the difference of case 1 and .062 for the relative one."""
    assert says_one_thing(effects.means(TREATMENT, CONTROL))


def test_fault_6_exact_tests_have_finite_intervals() -> None:
    """tea-tasting shows no interval beside an exact test."""
    counts = Counts(successes=0, n=12, control_successes=4, control_n=11)
    for test in ("fisher", "boschloo", "barnard", "score"):
        effect = effects.of_counts(counts, test)
        assert says_one_thing(effect)
        assert effect.lower is not None and -1 <= effect.lower <= -4 / 11


def test_fault_6_control_has_one_adjusted_value_whichever_variant_it_meets() -> None:
    """tea-tasting fits each pair anew, so that control's mean differs from pair to pair."""
    rng = np.random.default_rng(3)
    arms_ = {}
    for name in "abc":
        before = rng.normal(size=200)
        arms_[name] = Moments.of_values(("value", "before"), np.column_stack([before + rng.normal(size=200), before]))
    found = adjust(arms_, "value", ["before"])
    assert found is not None
    assert found.effect("b", "a").adjusted.control == found.effect("c", "a").adjusted.control


def test_fault_7_a_ratio_of_columns_that_do_not_exist_is_refused() -> None:
    """cluster-experiments ignores unknown keys and prints a conversion of 1.000."""
    with pytest.raises(ValueError):
        estimates.ratio(SHOP_CONTROL, "orders", "session")


# growthbook/gbstats, test of post-stratification: units, sum, sum of squares of control and treatment in five strata
STRATA = [
    ((21, 330.0696210595999, 5377.811252605509), (42, 708.1220000911836, 12249.255519049513)),
    ((65, 1391.96628040659, 30546.63404187155), (75, 1807.4703052657744, 45000.287664918586)),
    ((102, 2916.824124651419, 86396.06886690554), (101, 3104.5399914554023, 98365.40553530994)),
    ((151, 5172.587929941052, 182453.04528037464), (121, 4613.696610070716, 180520.64781229294)),
    ((160, 6539.348445231273, 274981.98909352464), (162, 7431.953259880505, 349244.6690736718)),
]


def test_post_stratified_means_of_gbstats() -> None:
    cells = {
        name: {str(row): Moments.of(*pair[place]) for row, pair in enumerate(STRATA)}
        for place, name in enumerate(("control", "treatment"))
    }
    found = post_stratify(cells, "value")
    assert found is not None
    effect = found.effect("treatment", "control").adjusted
    assert effect.difference == pytest.approx(3.548094377986586, abs=1e-12)
    assert effect.standard_error == pytest.approx(0.37634374823059685, abs=1e-12)
    assert effect.relative_difference == pytest.approx(0.10994584851937336, abs=1e-12)


@pytest.mark.real_data
def test_hillstrom_effects_stay_where_they_are_and_grow_surer_with_what_was_known_before(real_data: Path) -> None:
    rows = read(real_data, "hillstrom", "hillstrom.csv.gz")
    before = ("recency", "history", "mens", "womens", "newbie")
    columns = ("visit", "conversion", "spend", *before)
    cells: dict[str, dict[str, Moments]] = {}
    for arm, of_arm in rows.groupby("segment"):
        cells[str(arm)] = {
            str(place): Moments.of_values(columns, own[list(columns)].to_numpy(float))
            for place, own in of_arm.groupby("channel")
        }
    whole = {arm: reduce(add, strata.values()) for arm, strata in cells.items()}
    published = {"visit": (0.1828, 0.1514, 0.1062), "conversion": (0.01253, 0.00884, 0.00573)}
    for metric, rates in published.items():
        adjusted = adjust(whole, metric, before)
        strata = post_stratify(cells, metric)
        assert adjusted is not None and strata is not None
        for arm, rate in zip(("Mens E-Mail", "Womens E-Mail", "No E-Mail"), rates, strict=True):
            assert adjusted.unadjusted[arm].value == pytest.approx(rate, abs=6e-5)
        for found in (adjusted.effect("Mens E-Mail", "No E-Mail"), strata.effect("Mens E-Mail", "No E-Mail")):
            assert found.variance_removed is not None and found.variance_removed > 0
            assert effects.verdict(found.adjusted, "increase") == "better"
            plain, error = found.unadjusted.difference, found.unadjusted.standard_error
            assert plain is not None and error is not None
            assert found.adjusted.difference == pytest.approx(plain, abs=error)


def read(folder: Path, *parts: str) -> pd.DataFrame:
    source = folder.joinpath(*parts)
    if not source.exists():
        pytest.skip(f"no {source.name} among the public data sets here")
    return pd.read_csv(source)
