"""Portraits: effect sizes by hand, and no sentence that a figure does not carry."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config.load import load
from engine.config.personas import PersonaSettings
from engine.segments import personas
from engine.segments.personas import Fact, Measure

CHOSEN = load(PersonaSettings, "personas")


def share(values: list[float], kind: str = "product", subject: str = "card") -> Measure:
    text = ("{inside} hold it, {outside} of everyone else.", "{inside}持有，其余客户{outside}。")
    return Measure(kind=kind, subject=subject, text=text, values=np.array(values, dtype=float), is_share=True)


def mean(values: list[float], kind: str = "behaviour", subject: str = "visits") -> Measure:
    text = ("Visits: {inside}, {outside} for everyone else.", "到访：{inside}，其余客户{outside}。")
    return Measure(kind=kind, subject=subject, text=text, values=np.array(values, dtype=float))


def of(labels: list[int], *measures: Measure) -> list[Fact]:
    return personas.facts(np.array(labels), measures, CHOSEN, "CNY")


def test_effect_of_a_share_is_the_angle_between_two() -> None:
    # 60 of 100 inside, 20 of 200 outside; h = 2 asin(sqrt .6) - 2 asin(sqrt .1) = 1.7722 - 0.6435
    first, second = of([0] * 100 + [1] * 200, share([1] * 60 + [0] * 40 + [1] * 20 + [0] * 180))
    assert (first.inside, first.outside) == (0.6, 0.1)
    assert first.effect == pytest.approx(1.1287, abs=1e-4)
    # its standard error is sqrt(1 / 100 + 1 / 200) = 0.12247
    assert first.upper - first.effect == pytest.approx(1.95996 * 0.12247, abs=1e-4)
    assert second.effect == pytest.approx(-first.effect)
    assert first.text == ("60.0 % hold it, 10.0 % of everyone else.", "60.0 %持有，其余客户10.0 %。")
    assert first.told


def test_effect_of_a_mean_is_in_pooled_standard_deviations() -> None:
    # 50 twos and 50 fours against 50 ones and 50 threes: means 3 and 2, within each side a variance of 1
    values = [2, 4] * 50 + [1, 3] * 50
    first, _ = of([0] * 100 + [1] * 100, mean(values))
    # pooled: sqrt(200 / 198)
    assert first.effect == pytest.approx(1 / np.sqrt(200 / 198))
    assert first.upper - first.effect == pytest.approx(1.95996 * np.sqrt(2 / 100 + first.effect**2 / 400), rel=1e-5)
    assert first.text[0] == "Visits: 3.0, 2.0 for everyone else."


def test_who_has_no_cluster_or_no_value_is_in_no_figure() -> None:
    labels = [0] * 40 + [1] * 40 + [-1] * 100
    values = [1.0] * 20 + [0.0] * 10 + [np.nan] * 10 + [0.0] * 40 + [1.0] * 100
    first, second = of(labels, share(values))
    assert (first.inside, first.known_inside, first.known_outside) == (pytest.approx(2 / 3), 30, 40)
    assert (second.inside, second.known_inside) == (0.0, 40)


def test_nothing_is_told_of_too_few_or_where_nothing_varies() -> None:
    few, _ = of([0] * 20 + [1] * 400, share([1] * 20 + [0] * 400))
    assert few.effect > 3
    assert not few.told
    same, _ = of([0] * 100 + [1] * 100, mean([5] * 200))
    assert np.isnan(same.effect)
    assert not same.told
    (alone,) = of([0] * 100, share([1] * 100))
    assert np.isnan(alone.outside)
    assert not alone.told
    assert alone.text[0] == "100.0 % hold it, – of everyone else."


def test_no_cluster_has_no_facts_and_no_portrait() -> None:
    assert of([-1, -1], share([1, 0])) == []
    assert personas.portraits([], [], CHOSEN) == []


def test_what_a_few_pull_the_other_way_is_not_told() -> None:
    # nearly all inside have more than those outside, but one outside has as much as all of them together
    inside, outside = [30.0] * 100, [10.0] * 99 + [1_000_000.0]
    first, _ = of([0] * 100 + [1] * 100, mean(inside + outside))
    assert first.inside < first.outside
    assert np.isnan(first.effect)
    assert not first.told


def test_approach_names_the_offer_the_channel_and_what_to_mind() -> None:
    labels = [0] * 100 + [1] * 100
    offer = replace(share([1] * 40 + [0] * 160, "offer", "fund"), text=("Fund to {inside}.", "基金{inside}。"))
    channel = replace(share([1] * 70 + [0] * 130, "channel", "app"), text=("{inside} use the app.", "{inside}用手机。"))
    risky = replace(share([1] * 60 + [0] * 140, "risk", "high"), text=("{inside} high.", "{inside}高。"))
    found = of(labels, offer, channel, risky)
    first, second = personas.portraits(found, [100, 100], CHOSEN)
    assert (
        first.approach[0]
        == "Fund to 40.0 %. Where to reach them: 70.0 % use the app. Do not lead with credit: 60.0 % high."
    )
    assert first.approach[1] == "基金40.0 %。触达渠道：70.0 %用手机。不宜以授信产品开场：60.0 %高。"
    # of the others none has that offer, that channel or that risk
    assert second.approach == ("Too little is known of them to say.", "已知信息不足，暂无建议。")


@given(
    st.lists(st.integers(-1, 3), min_size=1, max_size=300),
    st.integers(0, 10_000),
)
@settings(max_examples=60, deadline=None)
def test_every_number_of_a_portrait_is_one_of_its_facts(labels: list[int], seed: int) -> None:
    random, size = np.random.default_rng(seed), len(labels)
    chosen = CHOSEN.model_copy(update={"minimum_customers": 2})
    measures = [
        share(random.integers(0, 2, size).tolist(), "product", "card"),
        share(np.where(random.random(size) < 0.3, np.nan, random.integers(0, 2, size)).tolist(), "channel", "app"),
        mean((random.lognormal(3, 2, size) * (1 + np.array(labels))).tolist()),
    ]
    found = personas.facts(np.array(labels), measures, chosen, "CNY")
    sizes = np.bincount([label for label in labels if label >= 0], minlength=max(labels) + 1).tolist()
    for portrait in personas.portraits(found, sizes, chosen):
        own = [one for one in found if one.cluster == portrait.cluster]
        told = [one for one in own if one.told]
        assert all(one.is_clear and abs(one.effect) >= chosen.smallest_effect for one in told)
        said = set(re.findall(r"\d[\d,.]*\d|\d", portrait.portrait[0]))
        carried = {number for one in told for number in re.findall(r"\d[\d,.]*\d|\d", one.text[0])}
        size_now = sizes[portrait.cluster]
        size_told = {f"{size_now:,}", f"{size_now / sum(sizes) * 100:.1f}", f"{chosen.smallest_effect:g}"}
        assert said <= carried | size_told
        assert all(one.text[1] in portrait.portrait[1] for one in told)


def test_labels_drawn_by_chance_tell_next_to_nothing() -> None:
    random = np.random.default_rng(5)
    labels = random.integers(0, 4, 4000).tolist()
    measures = [share(random.integers(0, 2, 4000).tolist(), "product", f"p{place}") for place in range(25)]
    # 100 comparisons of 1,000 with 3,000: an effect of 0.2 is more than five standard errors
    assert not any(one.told for one in of(labels, *measures))
