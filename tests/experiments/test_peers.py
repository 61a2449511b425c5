"""Other programs agree on 200 random inputs within 1e-9 where the method is the same.

scipy is always here. statsmodels, tea-tasting and gbstats are asked where they are installed; none of them is needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from scipy import stats

from experiments import clusters, effects, estimates, exact
from experiments.adjustment import adjust
from experiments.exact import Counts
from experiments.moments import Moments

RUNS = 200
CLOSE = 1e-9


def samples(seed: int, columns: int = 1) -> Iterator[tuple[Any, Any]]:
    """Two arms of 5 to 400 units with skewed values of any size, related between the columns."""
    rng = np.random.default_rng(seed)
    for _ in range(RUNS):
        scale = 10.0 ** rng.uniform(-3, 4)
        both = []
        for size in rng.integers(5, 400, size=2):
            rows = rng.gamma(rng.uniform(0.5, 5), scale, size=(int(size), columns))
            rows[:, 1:] += 0.5 * rows[:, :1]
            both.append(rows)
        yield both[0], both[1]


def tables(seed: int, most: int, least: int = 1) -> Iterator[Counts]:
    rng = np.random.default_rng(seed)
    for _ in range(RUNS):
        n, m = (int(size) for size in rng.integers(least, most + 1, size=2))
        yield Counts(
            successes=int(rng.integers(0, n + 1)), n=n, control_successes=int(rng.integers(0, m + 1)), control_n=m
        )


def moments(rows: Any, *columns: str) -> Moments:
    return Moments.of_values(columns or ("value",), rows)


def close(ours: Any, theirs: Any) -> bool:
    return bool(np.allclose(np.asarray(ours, float), np.asarray(theirs, float), rtol=CLOSE, atol=CLOSE))


def as_table(seen: Counts) -> list[list[int]]:
    return [
        [seen.successes, seen.control_successes],
        [seen.n - seen.successes, seen.control_n - seen.control_successes],
    ]


def test_welch_of_scipy() -> None:
    for one, other in samples(1):
        effect = effects.means(moments(one), moments(other))
        theirs = stats.ttest_ind(one[:, 0], other[:, 0], equal_var=False)
        interval = theirs.confidence_interval(0.95)
        assert close([effect.p_value, effect.lower, effect.upper], [theirs.pvalue, interval.low, interval.high])
        assert close(effect.degrees, theirs.df)


def test_one_sided_welch_of_scipy() -> None:
    sides: tuple[effects.Side, ...] = ("greater", "less")
    for one, other in samples(2):
        effect = effects.means(moments(one), moments(other))
        for side in sides:
            theirs = stats.ttest_ind(one[:, 0], other[:, 0], equal_var=False, alternative=side)
            interval = theirs.confidence_interval(0.95)
            found = effects.one_sided(effect, side)
            assert close(found.p_value, theirs.pvalue)
            assert close(found.bound, interval.low if side == "greater" else interval.high)


def test_fisher_of_scipy() -> None:
    for seen in tables(3, 60):
        assert close(exact.p_value(seen, "fisher"), stats.fisher_exact(as_table(seen)).pvalue)


def test_boschloo_of_scipy_within_what_its_search_finds() -> None:
    """Both search over the common share; scipy stops a few 1e-9 short of the top, never above it."""
    for seen in list(tables(4, 10))[:60]:
        theirs = min(float(stats.boschloo_exact(as_table(seen)).pvalue), 1.0)
        if 0 < seen.successes + seen.control_successes < seen.n + seen.control_n:
            assert exact.p_value(seen, "boschloo") == pytest.approx(theirs, abs=1e-7)


def test_barnard_is_never_below_the_peak_that_scipy_finds() -> None:
    for seen in list(tables(5, 12))[:60]:
        if 0 < seen.successes + seen.control_successes < seen.n + seen.control_n:
            assert exact.p_value(seen, "barnard") >= float(stats.barnard_exact(as_table(seen)).pvalue) - 1e-7


def test_z_of_the_pooled_share_and_wald_of_statsmodels() -> None:
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    for seen in tables(6, 5_000, 200):
        pair = [seen.successes, seen.control_successes], [seen.n, seen.control_n]
        z, p_value = proportion.proportions_ztest(*pair)
        assert close([exact.difference_statistic(seen, 0.0), exact.p_value(seen, "score")], [z, p_value])
        if seen.smallest >= effects.SMALL:
            effect = effects.proportions(
                Moments.of_count(seen.successes, seen.n), Moments.of_count(seen.control_successes, seen.control_n)
            )
            low, high = proportion.confint_proportions_2indep(
                seen.successes, seen.n, seen.control_successes, seen.control_n, method="wald", compare="diff"
            )
            assert close([effect.lower, effect.upper], [low, high])


def test_score_statistic_of_a_ratio_of_statsmodels() -> None:
    """For differences statsmodels' shares are not the most likely ones; ours are held to the likelihood elsewhere."""
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    rng = np.random.default_rng(7)
    for seen in tables(7, 300, 10):
        if seen.smallest == 0:
            continue  # statsmodels moves counts of 0
        four = seen.successes, seen.n, seen.control_successes, seen.control_n
        ratio = float(rng.uniform(0.5, 2.0))
        theirs = proportion.score_test_proportions_2indep(*four, value=ratio, compare="ratio", correction=False)
        assert close(exact.ratio_statistic(seen, ratio), float(theirs[0]))


def test_regression_of_each_arm_in_statsmodels() -> None:
    """The part of the variance that an arm has for itself is that of its regression's prediction at the means."""
    linear = pytest.importorskip("statsmodels.regression.linear_model")
    columns = ("value", "x", "y")
    for one, other in samples(8, 3):
        if min(len(one), len(other)) < 25:
            continue
        found = adjust({"b": moments(one, *columns), "a": moments(other, *columns)}, "value", ["x", "y"])
        assert found is not None and all(found.own_slopes.values())
        means = np.concatenate([one, other])[:, 1:].mean(axis=0)
        for name, rows in (("b", one), ("a", other)):
            design = np.column_stack([np.ones(len(rows)), rows[:, 1:]])
            theirs = linear.OLS(rows[:, 0], design).fit().get_prediction(np.array([[1.0, *means]]))
            assert close(found.adjusted[name].value / rows[:, 0].mean(), theirs.predicted_mean[0] / rows[:, 0].mean())
            assert close(found.own[name] / theirs.se_mean[0] ** 2, 1.0)


def test_cluster_robust_regression_of_statsmodels() -> None:
    """For clusters of one size our variance is the robust one with n / (n - 1) clusters."""
    linear = pytest.importorskip("statsmodels.regression.linear_model")
    rng = np.random.default_rng(9)
    for _ in range(RUNS):
        count, size = int(rng.integers(3, 40)), int(rng.integers(2, 12))
        rows = rng.normal(rng.normal(size=(count, 1)), 1.0, size=(count, size))
        groups = np.repeat(np.arange(count), size)
        whole = np.column_stack([rows.sum(axis=1), np.full(count, size)])
        estimate = clusters.mean(moments(whole, clusters.TOTAL, clusters.SIZE))
        theirs = linear.OLS(rows.ravel(), np.ones(rows.size)).fit(
            cov_type="cluster", cov_kwds={"groups": groups, "use_correction": False}
        )
        assert estimate is not None
        robust = float(np.asarray(theirs.cov_params()).item()) * count / (count - 1)
        assert close([estimate.value, estimate.variance], [float(theirs.params[0]), robust])


def test_means_ratios_and_cuped_of_tea_tasting() -> None:
    tea = pytest.importorskip("tea_tasting")
    columns = ("n", "d", "n_before", "d_before")
    metrics = {
        "mean": tea.Mean("n"),
        "ratio": tea.RatioOfMeans("n", "d"),
        "cuped": tea.Mean("n", covariate="n_before"),
        "adjusted_ratio": tea.RatioOfMeans("n", "d", "n_before", "d_before"),
    }
    for one, other in samples(10, 4):
        read = {"a": aggregates(tea, other, columns), "b": aggregates(tea, one, columns)}
        theirs = {name: metric.analyze(read, "a", "b") for name, metric in metrics.items()}
        both = {"a": moments(other, *columns), "b": moments(one, *columns)}
        ratio = [estimates.ratio(both[name], "n", "d") for name in "ba"]
        assert ratio[0] is not None and ratio[1] is not None
        ours = {
            "mean": effects.means(both["b"].take("n"), both["a"].take("n")),
            "ratio": effects.contrast(ratio[0], ratio[1], method="delta"),
            "cuped": common_slope(both, "n", "n_before"),
            "adjusted_ratio": common_slope(both, ("n", "d"), ("n_before", "d_before")),
        }
        for name, effect in ours.items():
            scale = abs(theirs[name].effect_size_ci_upper) + abs(theirs[name].effect_size_ci_lower)
            assert close(effect.p_value, theirs[name].pvalue), name
            assert close((effect.lower or 0.0) / scale, theirs[name].effect_size_ci_lower / scale), name
            assert close((effect.upper or 0.0) / scale, theirs[name].effect_size_ci_upper / scale), name


def common_slope(both: dict[str, Moments], outcome: Any, before: Any) -> effects.Effect:
    """tea-tasting's slope: from both arms as one."""
    whole = both["a"] + both["b"]
    of = dict(zip(whole.columns, whole.means, strict=True))

    def weights(term: Any) -> dict[str, float]:
        if isinstance(term, str):
            return {term: 1.0}
        return {term[0]: 1 / of[term[1]], term[1]: -of[term[0]] / of[term[1]] ** 2}

    form = np.array([[weights(term).get(column, 0.0) for column in whole.columns] for term in (outcome, before)])
    spread = form @ whole.covariance @ form.T
    found = adjust(both, outcome, [before], slopes=[float(spread[0, 1] / spread[1, 1])])
    assert found is not None
    return found.effect("b", "a").adjusted


def aggregates(tea: Any, rows: Any, columns: tuple[str, ...]) -> Any:
    """What tea-tasting makes of the rows of one arm in any backend."""
    spread = np.atleast_2d(np.cov(rows, rowvar=False))
    places = range(len(columns))
    return tea.aggr.Aggregates(
        count_=len(rows),
        mean_=dict(zip(columns, rows.mean(axis=0), strict=True)),
        var_={columns[i]: spread[i, i] for i in places},
        cov_={(columns[i], columns[j]): spread[i, j] for i in places for j in places if i < j},
    )


def test_tea_tasting_makes_the_same_of_rows() -> None:
    tea, pandas = pytest.importorskip("tea_tasting"), pytest.importorskip("pandas")
    one, other = next(samples(10, 2))
    rows = pandas.DataFrame(np.concatenate([other, one]), columns=["n", "d"])
    rows["variant"] = np.repeat(["a", "b"], [len(other), len(one)])
    read = {"a": aggregates(tea, other, ("n", "d")), "b": aggregates(tea, one, ("n", "d"))}
    metric = tea.RatioOfMeans("n", "d")
    assert close(metric.analyze(rows, "a", "b", "variant").pvalue, metric.analyze(read, "a", "b").pvalue)


def test_pooled_z_of_tea_tasting() -> None:
    tea = pytest.importorskip("tea_tasting")
    metric = tea.Proportion("done", method="norm", correction=False)
    for seen in tables(11, 400, 50):
        if not 0 < seen.successes + seen.control_successes < seen.n + seen.control_n:
            continue
        read = {
            "a": tea.aggr.Aggregates(count_=seen.control_n, mean_={"done": seen.control_successes / seen.control_n}),
            "b": tea.aggr.Aggregates(count_=seen.n, mean_={"done": seen.successes / seen.n}),
        }
        assert close(exact.p_value(seen, "score"), metric.analyze(read, "a", "b").pvalue)


def test_means_and_ratios_of_gbstats() -> None:
    tests = pytest.importorskip("gbstats.frequentist.tests")
    statistics = pytest.importorskip("gbstats.models.statistics")

    def summary(column: Any) -> Any:
        return statistics.SampleMeanStatistic(n=len(column), sum=column.sum(), sum_squares=(column**2).sum())

    def ratio(rows: Any) -> Any:
        return statistics.RatioStatistic(
            n=len(rows),
            m_statistic=summary(rows[:, 0]),
            d_statistic=summary(rows[:, 1]),
            m_d_sum_of_products=(rows[:, 0] * rows[:, 1]).sum(),
        )

    absolute = tests.FrequentistConfig(difference_type="absolute")
    relative = tests.FrequentistConfig(difference_type="relative")
    for one, other in samples(12, 2):
        both = [moments(rows, "numerator", "denominator") for rows in (one, other)]
        mean, of_sums = effects.means(both[0].take("numerator"), both[1].take("numerator")), effects.ratios(*both)
        for effect, made in (
            (mean, [summary(rows[:, 0]) for rows in (other, one)]),
            (of_sums, [ratio(other), ratio(one)]),
        ):
            theirs = tests.TwoSidedTTest(*made, absolute).compute_result()
            width = (effect.upper or 0.0) - (effect.lower or 0.0)
            assert close(effect.p_value, theirs.p_value)
            assert close([(effect.lower or 0.0) / width, (effect.upper or 0.0) / width], np.array(theirs.ci) / width)
            # theirs from the delta method, made of our two estimates
            assert effect.variant is not None and effect.control is not None and effect.degrees is not None
            share = effect.variant.value / effect.control.value
            error = (effect.variant.variance + share**2 * effect.control.variance) ** 0.5 / effect.control.value
            theirs = tests.TwoSidedTTest(*made, relative).compute_result()
            assert close([effect.relative_difference, error], [theirs.expected, theirs.uplift.stddev])
