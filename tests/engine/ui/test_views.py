"""A view draws a valid chart, says what the numbers say, and says nothing where there are none."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from engine.domain.marts import MARTS
from engine.lake.runs import Run
from engine.lake.workspace import Workspace
from engine.ui.views import (
    bars,
    experiment_days,
    experiment_groups,
    experiment_others,
    offer_limits,
    risk_attention,
    risk_groups,
    risk_losses,
    risk_model,
    risk_moves,
)
from engine.ui.views import customer as customer_views
from engine.ui.views import data as data_views
from engine.ui.views import drop_offs as drop_off_views
from engine.ui.views import experiments as experiment_views
from engine.ui.views import funnel as funnel_views
from engine.ui.views import recommendations as recommendation_views
from engine.ui.views import risk as risk_views
from engine.ui.views import risk_lending as lending_views
from engine.ui.views import segments as segment_views
from engine.ui.views.figure import Figure
from engine.ui.words import LANGUAGES, Words
from engine.workflows.view import (
    customer,
    data,
    experiments,
    journeys,
    recommendations,
    risk,
    risk_lending,
    risk_watch,
    segments,
)
from tests.engine.ui import bank
from tests.engine.ui.bank import OWNER

EN = Words(language="en")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return bank.make(tmp_path_factory.mktemp("views"))


def figures(run: Run, w: Words) -> dict[str, Figure]:
    workspace = Workspace(run.folder.parent.parent)
    found = customer.find(OWNER, workspace, run, "C00001")
    assert found is not None and found.decisions is not None
    portraits, facts = segments.portraits(OWNER, run), segments.persona_facts(OWNER, run)
    everybody = journeys.funnel(OWNER, run, "credit_card")
    by_tier = journeys.funnel(OWNER, run, "credit_card", "value_tier")
    report = experiments.as_report(run, experiments.result(run, "card_onboarding"), ())
    activation = report.facts["metrics"][0]
    return {
        "funnel": funnel_views.steps(everybody, w, "credit_card", as_share=False),
        "funnel as shares": funnel_views.steps(everybody, w, "credit_card", as_share=True),
        "matrix": funnel_views.matrix(by_tier, everybody, w, "value_tier"),
        "cost of leaving": drop_off_views.cost(journeys.drop_offs(OWNER, run, "credit_card"), w, "credit_card"),
        "friction": drop_off_views.friction(journeys.friction(OWNER, run, "credit_card"), w),
        "cluster": segment_views.cards(segments.clusters(OWNER, run), w, portraits, facts)[0].figure,
        "choices": segment_views.choices(segments.cluster_choices(run), w),
        "rfm": segment_views.rfm(segments.rfm_cells(OWNER, run), w),
        "value by risk": segment_views.value_by_risk(segments.value_by_risk(OWNER, run), w),
        "timeline": customer_views.timeline(found.timeline, w),
        "explain": customer_views.explain(found.decisions, recommendations.gates(OWNER, run), w),
        "gates": recommendation_views.gates(recommendations.gates(OWNER, run), w, 1_600),
        "offers": recommendation_views.offers(recommendations.offers(OWNER, run), w),
        "limits": offer_limits.limits(*recommendations.limits(run), w),
        "limit changes": offer_limits.changes(recommendations.limit_changes(OWNER, run), w),
        "forest": experiment_views.forest(report, w),
        "effect by calendar": experiment_days.calendar(activation, w),
        "effect since exposure": experiment_days.since_exposure(activation, report, w),
        "effect by segment": experiment_groups.segments(activation, activation["segments"][0], report, w),
        "effect by group": experiment_groups.fairness(report.facts["fairness"][0], report, w),
        "crossings": experiment_others.crossings(report, w),
        "tiers": risk_views.tiers(risk.tiers(OWNER, run), w),
        "losses": risk_views.losses(risk.tiers(OWNER, run), w),
        "scores": risk_views.scores(risk.scores(OWNER, run), w),
        "risk answers": lending_views.answers(risk_lending.answers(OWNER, run), w),
        "gate reasons": lending_views.gate_reasons(risk_lending.gate_reasons(OWNER, run), w),
        "credit decisions": lending_views.decisions(risk_lending.decisions(OWNER, run), w),
        "credit reasons": lending_views.credit_reasons(risk_lending.credit_reasons(OWNER, run), w),
        "credit terms": lending_views.terms(risk_lending.terms(OWNER, run, "loan"), w, "loan"),
        "stages": risk_losses.stages(risk_lending.stages(OWNER, run), w),
        "models": risk_model.models(risk.measures(OWNER, run), w),
        "agreement": risk_model.agreement(risk.measures(OWNER, run), w),
        "calibration": risk_model.calibration(risk.measures(OWNER, run), w),
        "stability": risk_model.latest(risk_watch.stability(OWNER, run, "applications"), w),
        "history": risk_model.history(risk_watch.stability(OWNER, run, "applications"), w, "score"),
        "rejects": risk_model.rejects(risk_watch.reject_inference(OWNER, run), w),
        "groups": risk_groups.groups(risk_watch.fairness(OWNER, run, "gender"), w, "approval_rate"),
        "watch list": risk_attention.severities(risk_watch.severities(OWNER, run), ("balance_low",), w),
        "reassessments": risk_attention.reassessments(risk_watch.reassessments(OWNER, run), w),
        "treatments": risk_attention.treatments(risk_watch.treatments(OWNER, run), w),
        "tier moves": risk_moves.moves(risk_watch.moves(OWNER, run, "tier"), w, "tier"),
        "roll rates": risk_moves.moves(risk_watch.moves(OWNER, run, "days_past_due"), w, "days_past_due"),
        "vintages": risk_moves.vintages(risk_watch.vintages(OWNER, run), w),
        "quarantine": data_views.quarantine(data.quarantine(workspace), w),
    }


@pytest.mark.parametrize("language", LANGUAGES)
def test_figure_has_a_valid_chart_a_finding_an_alternative_text_and_a_table(run: Run, language: Any) -> None:
    for name, figure in figures(run, Words(language=language)).items():
        assert figure.chart.to_dict()["$schema"], name
        assert figure.finding and figure.alt, name
        assert len(figure.table), name


def titles(encoding: dict[str, Any]) -> list[str | None]:
    return [encoding[axis].get("title") for axis in ("x", "y") if encoding.get(axis, {}).get("type") == "quantitative"]


def test_every_axis_of_numbers_says_what_it_counts(run: Run) -> None:
    for name, figure in figures(run, EN).items():
        layers = figure.chart.to_dict().get("layer", [figure.chart.to_dict()])
        shown = [title for layer in layers for title in titles({"x": {}, "y": {}} | layer["encoding"]) if title]
        if name not in ("matrix", "rfm", "value by risk", "explain", "timeline", "tier moves", "roll rates"):
            assert shown, name


def steps(*rows: tuple[int, int, int, int]) -> pd.DataFrame:
    """Steps of a journey as reached, continued, dropped, in progress."""
    return pd.DataFrame(
        [
            {
                "journey": "loan",
                "breakdown": "value_tier",
                "group": "top",
                "step_index": place,
                "step": f"step_{place}",
                "stage": "awareness",
                "customers": reached,
                "continued": continued,
                "dropped": dropped,
                "in_progress": waiting,
                "rate_from_first": None,
                "rate_from_previous": None,
                "median_seconds_from_previous": None,
            }
            for place, (reached, continued, dropped, waiting) in enumerate(rows, start=1)
        ]
    ).astype({"median_seconds_from_previous": float, "rate_from_previous": float, "rate_from_first": float})


def test_funnel_names_the_step_after_which_most_customers_leave() -> None:
    rows = steps((100, 60, 30, 10), (60, 20, 40, 0), (20, 20, 0, 0))
    figure = funnel_views.steps(rows, EN, "loan", as_share=False)
    assert figure.finding.startswith("20 of 100 customers complete Loan (20.0 %).")
    assert figure.finding.endswith('Most leave after "Step 2": 40, 66.7 % of those who got there.')


def test_funnel_that_nobody_entered_says_so() -> None:
    figure = funnel_views.steps(steps((0, 0, 0, 0), (0, 0, 0, 0)), EN, "loan", as_share=True)
    assert figure.finding == "Nobody entered Loan yet."
    assert figure.chart.to_dict()


def test_parts_of_a_bar_add_up_to_the_bar() -> None:
    rows = steps((100, 60, 30, 10), (60, 60, 0, 0))
    bars = funnel_views.steps(rows, EN, "loan", as_share=False).chart.to_dict()
    datasets = [row for rows in bars["datasets"].values() for row in rows if "outcome" in row]
    heights: dict[int, float] = {}
    for row in {(row["step_index"], row["outcome"]): row for row in datasets}.values():
        heights[row["step_index"]] = heights.get(row["step_index"], 0) + row["height"]
    assert heights == {1: 100, 2: 60}


def test_small_groups_keep_their_number_and_get_no_colour() -> None:
    everybody = steps((1000, 500, 500, 0), (500, 500, 0, 0))
    few = steps((29, 0, 29, 0), (0, 0, 0, 0))
    figure = funnel_views.matrix(few, everybody, EN, "value_tier")
    assert figure.finding == "No group has 30 customers at a step: too few to compare."
    assert list(figure.table["Drop off here"]) == ["100.0 %"]
    assert list(figure.table["Difference from all"]) == ["—"]


def drop_offs(**columns: list[Any]) -> pd.DataFrame:
    """Two steps that two and four customers left; the value of the second is above its expected loss."""
    told = {
        "step_index": [1, 2],
        "step": ["product_viewed", "calculator_used"],
        "dropped": [2, 4],
        "converters": [1.0, 3.0],
        "unvalued": [0, 1],
        "gross_minor": [10_000, 30_000],
        "expected_loss_minor": [12_000, 20_000],
        "net_minor": [-2_000, 10_000],
    }
    names = [column.name for column in MARTS["journey_drop_offs"]]
    return pd.DataFrame({**{name: [None, None] for name in names}, **told, **columns}, columns=names)


def test_cost_of_leaving_names_the_step_with_the_most_at_stake_after_expected_loss() -> None:
    figure = drop_off_views.cost(drop_offs(), EN, "credit_card")
    assert 'after "Calculator used": 4 left, 3 of them would have completed, worth 100 CNY' in figure.finding
    assert "1 customers who left is unknown" in figure.note


def test_cost_of_leaving_says_when_risk_makes_winning_back_dear_at_every_step() -> None:
    figure = drop_off_views.cost(drop_offs(net_minor=[-2_000, -1_000]), EN, "credit_card")
    assert figure.finding.startswith("At every step, the loss expected on those who left is more than the margin")


def test_drop_offs_without_money_show_customers_and_say_why() -> None:
    figure = drop_off_views.cost(drop_offs(net_minor=[None, None]), EN, "credit_card")
    assert 'Most leave after "Calculator used": 4' in figure.finding
    assert "no default probabilities" in figure.note


def test_friction_within_chance_is_not_called_a_finding() -> None:
    columns = [column.name for column in MARTS["journey_friction"]]
    row = dict.fromkeys(columns) | {"step": "product_viewed", "step_index": 1, "kind": "silence", "rank": 1, "met": 50}
    row |= {"difference": -0.02, "lower": -0.06, "upper": 0.02, "harmful": False, "structural": False}
    figure = drop_off_views.friction(pd.DataFrame([row], columns=columns), EN)
    assert figure.finding == "No sign of friction stands out from chance."


def test_bank_without_any_risk_signal_gets_dashes_and_no_share_of_zero() -> None:
    columns = MARTS["risk"].names
    assert "risk_tier" in columns
    unknown = pd.DataFrame(
        {
            "risk_tier": ["unknown"],
            "customers": [50],
            "default_probability": [float("nan")],
            "exposure_minor": [float("nan")],
            "expected_loss_minor": [float("nan")],
        }
    )
    assert risk_views.tiers(unknown, EN).finding.startswith("None of 50 customers has a risk signal")
    assert risk_views.losses(unknown, EN).chart is None
    assert risk_views.losses(unknown, EN).table["Expected loss"].tolist() == ["—"]


def test_customer_who_does_not_exist_is_none_and_ids_match_whole(run: Run) -> None:
    workspace = Workspace(run.folder.parent.parent)
    assert customer.find(OWNER, workspace, run, "C0000") is None
    assert customer.find(OWNER, workspace, run, "' OR 1=1 --") is None


def test_customer_carries_no_column_that_names_the_person(run: Run) -> None:
    found = customer.find(OWNER, Workspace(run.folder.parent.parent), run, "C00001")
    assert found is not None
    assert "full_name" not in found.record
    assert not found.timeline.astype(str).apply(lambda column: column.str.contains("Secret").any()).any()


@pytest.mark.parametrize(
    ("characteristic", "text", "english", "chinese"),
    [
        ("requested_minor", "above 610,000 to 1,100,000", "above 6,100 to 11,000 CNY", "高于6,100至11,000 CNY"),
        ("utilisation_rate", "up to 0.1804", "up to 18.0 %", "不高于18.0 %"),
        ("delinquencies_12m", "above 1", "above 1", "高于1"),
        ("employment", "employed, retired", "Employed, Retired", "受雇、退休"),
        ("income_monthly_minor", "missing", "missing", "缺失"),
    ],
)
def test_bins_of_the_scorecard_are_in_the_currency_in_percent_and_in_words(
    characteristic: str, text: str, english: str, chinese: str
) -> None:
    empty = dict.fromkeys(("points", "bad_rate", "goods", "bads", "weight_of_evidence", "information_value"), 0)
    rows = pd.DataFrame([{"characteristic": characteristic, "bin": text, **empty}])
    shown = [risk_views.scorecard(rows, w)[w.t("risk.bin")][0] for w in (EN, Words(language="zh"))]
    assert shown == [english, chinese]


def test_long_names_of_bars_stand_on_several_lines_so_that_bars_have_room_on_a_phone() -> None:
    rows = pd.DataFrame([{"name": "The risk tier is above what some families of credit allow.", "n": 3, "part": "a"}])
    chart = bars.stacked(rows, "name", "n", "part", title="n", colours={"a": "#000000"}, tooltip={"n": "n"})
    axis = chart.to_dict()["encoding"]["y"]["axis"]
    assert '["The risk tier is above what", "some families of credit allow."]' in axis["labelExpr"]


def test_shadow_prices_are_said_in_words_and_the_share_of_the_bound_is_never_rounded_up(run: Run) -> None:
    figure = offer_limits.limits(*recommendations.limits(run), EN)
    # 0.991999 of the bound
    assert "99.19 %" in figure.finding
    assert "340 offers instead of 400" in figure.finding
    assert "2 of 3 limits" in figure.finding
    # 41.5 minor units of value for one of cost: as much in whole units for a whole one
    assert "One more CNY of the budget would earn 41.50 CNY." in figure.note
    assert list(figure.table["Used"]) == ["19.95 CNY", "20", "10.0 %"]
    assert list(figure.table["Free"]) == ["0.05 CNY", "30", ""]
    assert figure.table["What one more unit would bring"].iloc[1] == "Nothing: there is room."
    zh = offer_limits.limits(*recommendations.limits(run), Words(language="zh"))
    assert "预算每增加 1 CNY 可多得 41.50 CNY。" in zh.note


def test_who_gave_way_to_limits_is_counted_by_product(run: Run) -> None:
    rows = recommendations.limit_changes(OWNER, run)
    figure = offer_limits.changes(rows, EN)
    assert sorted(zip(rows["gave_way"], rows["came_in"], strict=True)) == [(0, 2), (5, 0)]
    assert figure.finding.startswith("Limits took 5 offers and gave 2 others")
    none = offer_limits.changes(rows.iloc[:0], EN)
    assert none.chart is None and none.finding == "The limits changed no offer."
