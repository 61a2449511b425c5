"""Worked cases of breaking a funnel down by an attribute that changes on the way.

The facts were read from the public tests named with each case; the notation is ours: `two:Safari@1` is the event two,
in Safari, one second after the start.
"""

from __future__ import annotations

import pytest

from journeys import outcomes, spec
from journeys.breakdown import Attribution, Breakdown
from tests.journeys.builders import LATER, block

BROWSER = "page"


def funnel(steps: str, window_seconds: float = 14 * 86_400) -> spec.Funnel:
    return spec.Funnel(
        steps=tuple(spec.Step(name=name, events=(name,)) for name in steps.split()), window_seconds=window_seconds
    )


def reached(people: dict[str, str], steps: str, by: Breakdown) -> dict[str, list[int]]:
    """How many reach each step, by group; groups that nobody entered are left out."""
    wanted = funnel(steps)
    found = outcomes.of(outcomes.rows(block(people), funnel=wanted, by=by), wanted, LATER)
    counted = {name: [step.count for step in outcomes.counts(found.of_group(name))] for name in found.groups}
    return {name: counts for name, counts in counted.items() if counts[0]}


CHANGES_ON_THE_WAY = {"ann": "one:Chrome@0 two:Safari@1 two:Chrome@2 three:Chrome@3"}


@pytest.mark.parametrize(
    ("attribution", "step"),
    [(Attribution.FIRST, None), (Attribution.ALL, None), (Attribution.STEP, 1), (Attribution.STEP, 3)],
)
def test_customer_who_changes_browser_counts_with_that_of_the_first_event_or_of_the_step(
    attribution: Attribution, step: int | None
) -> None:
    """PostHog breakdown_cases.py, step attributions."""
    by = Breakdown(attribute=BROWSER, attribution=attribution, step=step)
    assert reached(CHANGES_ON_THE_WAY, "one two three", by) == {"Chrome": [1, 1, 1]}


def test_customer_with_two_values_at_the_step_stands_in_both_groups() -> None:
    """PostHog breakdown_cases.py: the same customer by the second step."""
    by = Breakdown(attribute=BROWSER, attribution=Attribution.STEP, step=2)
    assert reached(CHANGES_ON_THE_WAY, "one two three", by) == {"Safari": [1, 1, 1], "Chrome": [1, 1, 1]}
    assert by.groups_overlap


def test_property_held_constant_starts_anew_with_its_other_value() -> None:
    """PostHog breakdown_cases.py, all events: sign-up in Chrome; then play, sign-up and play in Safari."""
    people = {"ann": "sign-up:Chrome@0 play:Safari@3600 sign-up:Safari@7200 play:Safari@10800"}
    by = Breakdown(attribute=BROWSER, attribution=Attribution.ALL)
    assert reached(people, "sign-up play", by) == {"Chrome": [1, 0], "Safari": [1, 1]}
    wanted = funnel("sign-up play")
    found = outcomes.of(outcomes.rows(block(people), funnel=wanted, by=by), wanted, LATER)
    # 10 800 - 7 200
    assert outcomes.counts(found.of_group("Safari"))[1].median_seconds_from_previous == 3_600
