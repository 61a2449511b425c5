"""Every mark of every page: figures as the pages draw them, on any run."""

from __future__ import annotations

from collections.abc import Iterator

from engine.domain.errors import WaylineError
from engine.lake.runs import Run
from engine.ui.views import (
    drop_offs,
    experiments,
    funnel,
    journey_flow,
    offer_limits,
    recommendations,
    risk,
    risk_attention,
    risk_lending,
    risk_losses,
    segments,
)
from engine.ui.views.figure import Mark
from engine.ui.words import Words
from engine.workflows.view import experiments as tests
from engine.workflows.view import journeys
from engine.workflows.view import recommendations as offers
from engine.workflows.view import risk as grades
from engine.workflows.view import risk_lending as lending
from engine.workflows.view import risk_watch as watch
from engine.workflows.view import segments as groups
from tests.engine.ui.bank import OWNER


def on(run: Run, w: Words) -> Iterator[Mark]:
    """Yield every mark of a run that leads to customers."""
    for journey in journeys.listed(run):
        yield from of_journey(run, journey, w)
    yield from of_segments(run, w)
    considered = offers.considered(run)
    yield from recommendations.gates(offers.gates(OWNER, run), w, considered[0]).marks
    yield from recommendations.offers(offers.offers(OWNER, run), w).marks
    yield from recommendations.chosen_marks(offers.selections(OWNER, run), offers.not_contacted(run), w)
    yield from offer_limits.changes(offers.limit_changes(OWNER, run), w).marks
    yield from of_risk(run, w)
    for name in tests.listed(run)["experiment_id"]:
        report = tests.as_report(run, tests.result(run, name), ())
        yield from experiments.arm_marks(report, w)


def of_journey(run: Run, journey: str, w: Words) -> Iterator[Mark]:
    """Yield the marks of a journey: funnel and flow of every group, the matrix, and what leaving costs."""
    everybody = journeys.funnel(OWNER, run, journey, "all")
    for breakdown in journeys.breakdowns(OWNER, run, journey):
        rows = journeys.funnel(OWNER, run, journey, breakdown)
        for group, own in rows.groupby("group"):
            chosen = own.reset_index(drop=True)
            yield from funnel.steps(chosen, w, journey, as_share=False).marks
            yield from journey_flow.flow(rows, w, journey, str(group), as_share=False).marks
        if breakdown != "all":
            yield from funnel.matrix(rows, everybody, w, breakdown).marks
            yield from journey_flow.flow(rows, w, journey, "all", as_share=True).marks
    yield from drop_offs.cost(journeys.drop_offs(OWNER, run, journey), w, journey).marks


def of_segments(run: Run, w: Words) -> Iterator[Mark]:
    """Yield the marks of the page about segments."""
    yield from segments.rfm(groups.rfm_cells(OWNER, run), w).marks
    yield from segments.value_by_risk(groups.value_by_risk(OWNER, run), w).marks


def of_risk(run: Run, w: Words) -> Iterator[Mark]:
    """Yield the marks of the page about risk."""
    tiers = grades.tiers(OWNER, run)
    yield from risk.tiers(tiers, w).marks
    yield from risk.losses(tiers, w).marks
    yield from risk.scores(grades.scores(OWNER, run), w).marks
    yield from risk_lending.answers(lending.answers(OWNER, run), w).marks
    yield from risk_lending.gate_reasons(lending.gate_reasons(OWNER, run), w).marks
    yield from risk_lending.credit_reasons(lending.credit_reasons(OWNER, run), w).marks
    yield from risk_lending.decisions(lending.decisions(OWNER, run), w).marks
    for family in lending.families(OWNER, run):
        yield from risk_lending.terms(lending.terms(OWNER, run, family), w, family).marks
    try:
        yield from risk_losses.stages(lending.stages(OWNER, run), w).marks
        yield from risk_attention.severities(watch.severities(OWNER, run), (), w).marks
        yield from risk_attention.reassessments(watch.reassessments(OWNER, run), w).marks
        yield from risk_attention.treatments(watch.treatments(OWNER, run), w).marks
    except WaylineError:
        return
