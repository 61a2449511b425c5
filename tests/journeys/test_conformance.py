"""What happened against what was intended: alignments and rules, worked by hand and against slow references."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import csv

from engine.config.journeys import RuleSettings
from engine.domain.errors import SettingsFault
from engine.domain.marts import JOURNEY_FINDINGS
from engine.lake.engine import DuckDBEngine, Engine
from engine.lake.schema import arrow_schema
from journeys import alignment, attempts, conformance, rules
from journeys.conformance import Intended, Share
from journeys.rules import Breach, Span
from journeys.spec import Step
from tests.journeys.builders import START, asked, block, event_log, event_rows, moment, people_of

FIRST = round(START.timestamp()) * 1_000_000


def aligned(told: str, steps: str, *, complete: bool = False) -> alignment.Aligned:
    return alignment.align(people_of({"ann": told}), asked(steps).steps, complete=complete)


def deviations(told: str, steps: str) -> tuple[list[int], list[int], list[int]]:
    """The numbers of the steps that were skipped and that came in the wrong order, and how often each was repeated."""
    found = aligned(told, steps)
    skipped, misplaced = ([int(n) + 1 for n in marks[0].nonzero()[0]] for marks in (found.skipped, found.misplaced))
    return skipped, misplaced, found.repeats[0].tolist()


@pytest.mark.parametrize(
    ("told", "steps", "cost", "fitness"),
    [
        ("A@0 B@1 C@2", "A B C", 0, 1),
        ("A@0 B@1", "A B C", 0, 1),  # as far as it went
        ("A@0 x@1 B@2 y@3 C@4", "A B C", 0, 1),  # what no step names is not looked at
        ("A@0 C@1", "A B C", 1, 1 - 1 / 5),  # B is missing: 1 of 2 events and 3 steps
        ("C@0", "A B C", 2, 1 - 2 / 4),
        ("A@0 C@1 B@2", "A B C", 2, 1 - 2 / 6),  # B is an event too many there, and missing where it should be
        ("A@0 A@1 B@2 B@3 B@4", "A B C", 3, 1 - 3 / 7),  # three events too many, of five, along two steps
        ("A@0", "A B A", 0, 1),  # one event is the first step, not the third
        ("A@0 B@1 A@2", "A B A", 0, 1),
        ("A@0 C@1", "A B? C", 0, 1),  # what is optional costs nothing
        ("A@0 B@1 C@2", "A B? C", 0, 1),
    ],
)
def test_cost_and_fitness_of_a_case(told: str, steps: str, cost: int, fitness: float) -> None:
    found = aligned(told, steps)
    assert (found.cost.tolist(), found.fitness.tolist()) == ([cost], [pytest.approx(fitness)])


def test_case_that_must_be_complete_costs_the_steps_that_never_came() -> None:
    found = aligned("A@0 B@1", "A B C", complete=True)
    assert (found.cost.tolist(), found.fitness.tolist()) == ([1], [pytest.approx(1 - 1 / 5)])
    assert found.skipped.tolist() == [[False, False, True]]


def test_step_without_any_event_was_skipped_and_one_with_an_event_elsewhere_came_in_the_wrong_order() -> None:
    assert deviations("A@0 C@1", "A B C") == ([2], [], [0, 0, 0])
    assert deviations("A@0 C@1 B@2", "A B C") == ([], [2], [0, 0, 0])


def test_events_beyond_the_one_in_its_place_are_repeats_of_the_step() -> None:
    assert deviations("A@0 A@1 B@2 A@3 C@4", "A B C") == ([], [], [2, 0, 0])


def test_customer_without_any_event_of_the_steps_is_no_case() -> None:
    found = alignment.align(people_of({"ann": "A@0", "bob": "x@0"}), asked("A B").steps)
    assert found.customer.tolist() == [0]


def test_model_without_steps_is_refused() -> None:
    with pytest.raises(SettingsFault, match="expected 1 to"):
        alignment.align(people_of({"ann": "A@0"}), ())


def test_case_of_a_hundred_thousand_events_is_aligned() -> None:
    story = [(float(at), "AB"[at % 2]) for at in range(100_000)]
    found = alignment.align(people_of({"ann": story, "bob": "A@0 B@1"}), asked("A B").steps)
    assert found.cost.tolist() == [99_998, 0]


names = st.lists(st.sampled_from("ABCx"), min_size=1, max_size=7)
MODELS = ("A B C", "A B? C", "A B A", "A|B C B")


@settings(max_examples=120, deadline=None)
@given(told=names, steps=st.sampled_from(MODELS), complete=st.booleans())
def test_cost_is_that_of_trying_every_alignment(told: list[str], steps: str, complete: bool) -> None:
    funnel = asked(steps)
    story = [(float(at), name) for at, name in enumerate(told)]
    found = alignment.align(people_of({"ann": story}), funnel.steps, complete=complete)
    own = [name for name in told if any(name in step.events for step in funnel.steps)]
    if not own:
        assert not len(found.customer)
        return
    model = funnel.steps[: found.deepest[0]]

    def cheapest(event: int, step: int) -> int:
        if event == len(own):
            return sum(not one.optional for one in model[step:])
        ways = [1 + cheapest(event + 1, step)]
        if step < len(model):
            ways.append((not model[step].optional) + cheapest(event, step + 1))
            if own[event] in model[step].events:
                ways.append(cheapest(event + 1, step + 1))
        return min(ways)

    assert found.cost[0] == cheapest(0, 0)
    required = sum(not one.optional for one in model)
    assert found.fitness[0] == pytest.approx(1 - found.cost[0] / (len(own) + required))
    # every event and every required step is accounted for once
    unplaced = len(own) - found.met[0].sum()
    missing = (found.skipped[0] | found.misplaced[0]).sum()
    assert unplaced + missing == found.cost[0]


@settings(max_examples=20, deadline=None)
@given(logs=st.lists(names, min_size=1, max_size=6), cut=st.integers(0, 6))
def test_blocks_of_customers_add_up(logs: list[list[str]], cut: int) -> None:
    people = {f"c{n}": [(float(at), name) for at, name in enumerate(log)] for n, log in enumerate(logs)}
    steps = asked("A B C").steps
    halves = [dict(list(people.items())[:cut]), dict(list(people.items())[cut:])]
    parts = pa.concat_tables([conformance.cases(block(half), steps) for half in halves])
    whole = conformance.cases(block(people), steps)
    assert parts.sort_by("customer_id").to_pylist() == whole.sort_by("customer_id").to_pylist()


def test_summary_counts_cases_and_steps_with_their_intervals() -> None:
    people = {"a": "A@0 B@1 C@2", "b": "A@0 C@1", "c": "A@0", "d": "A@0 B@1 B@2"}
    steps = asked("A B C").steps
    found = conformance.summarise(conformance.cases(block(people), steps), steps)
    assert (found.cases, found.events) == (4, 9)
    assert found.conforming == Share(count=2, of=4)
    assert found.completed == Share(count=2, of=4)
    # 1, 4/5, 1 and 1 - 1/5
    assert found.mean_fitness == pytest.approx((1 + 0.8 + 1 + 0.8) / 4)
    # two events or steps too many or too few, of 9 events and 3 + 3 + 1 + 2 expected steps
    assert found.log_fitness == pytest.approx(1 - 2 / 18)
    second = found.steps[1]
    assert (second.skipped, second.repeated, second.extra_events) == (Share(count=1, of=3), Share(count=1, of=2), 1)
    assert second.skipped.interval.lower == pytest.approx(0.061, abs=0.001)  # Wilson, 1 of 3


def test_summary_of_no_case_is_undefined_not_zero() -> None:
    steps = asked("A B").steps
    found = conformance.summarise(conformance.cases(block({"ann": "x@0"}), steps), steps)
    assert (found.cases, found.mean_fitness, found.log_fitness, found.conforming.share) == (0, None, None, None)


def rule(kind: str, **more: Any) -> RuleSettings:
    values = {"rule": "r", "kind": kind, "events": ("kyc",), "owner": "compliance"}
    return RuleSettings.model_validate(values | more)


def breaches(told: str, one: RuleSettings, steps: str = "apply open", now: float = 1_000, begins: float = 0) -> Any:
    """How ann broke a rule and at which second; None when she did not, "open" when it is not decided."""
    people, funnel = people_of({"ann": told}), named(steps)
    found = attempts.find(people, funnel)
    span = Span(begins=FIRST + round(begins * 1e6), as_of=FIRST + round(now * 1e6))
    checked = rules.check(people, found, funnel, one, span)
    if checked.n_open:
        return "open"
    if not len(checked.customer) or checked.breach[0] < 0:
        return None
    return rules.BREACHES[checked.breach[0]], (checked.at[0] - FIRST) / 1e6


def named(steps: str) -> Any:
    """A funnel whose steps have the names of their events, with a window of 100 seconds."""
    made = asked(steps, 100)
    renamed = [type(step)(name=step.events[0], events=step.events) for step in made.steps]
    return type(made)(steps=tuple(renamed), window_seconds=100)


DAY = 86_400


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("apply@0 kyc@5 open@10", None),
        ("kyc@0 apply@5 open@10", None),  # before the journey began
        ("apply@0 kyc@10 open@10", None),  # at the same instant
        ("apply@0 open@10", (Breach.SKIPPED, 10)),
        ("apply@0 open@10 kyc@11", (Breach.WRONG_ORDER, 10)),
        ("apply@0", None),  # never got there
    ],
)
def test_mandatory_step_must_come_before_the_step_that_needs_it(told: str, expected: Any) -> None:
    assert breaches(told, rule("mandatory", before="open")) == expected
    assert breaches(told, rule("precedes", then=("open",))) == expected


def test_what_had_happened_too_long_before_has_expired() -> None:
    asks = rule("precedes", then=("open",), valid_days=1)
    assert breaches(f"kyc@0 open@{DAY}", asks, now=9 * DAY) is None
    assert breaches(f"kyc@0 open@{DAY + 1}", asks, now=9 * DAY) == (Breach.EXPIRED, DAY + 1)


def test_nothing_is_said_about_what_lies_before_the_log_begins() -> None:
    # valid for a day, and the log begins half a day before the opening
    asks = rule("precedes", then=("open",), valid_days=1)
    assert breaches(f"open@{DAY / 2}", asks, now=9 * DAY) == "open"
    assert breaches(f"open@{DAY}", asks, now=9 * DAY) == (Breach.SKIPPED, DAY)


@pytest.mark.parametrize(
    ("told", "now", "expected"),
    [
        (f"kyc@0 answer@{DAY}", 9 * DAY, None),  # at the edge
        (f"kyc@0 answer@{DAY + 1}", 9 * DAY, (Breach.TOO_LATE, DAY)),
        ("kyc@0", 9 * DAY, (Breach.SKIPPED, DAY)),
        ("kyc@0", DAY, "open"),
        (f"kyc@0 answer@10 kyc@{2 * DAY}", 9 * DAY, (Breach.SKIPPED, 3 * DAY)),  # every one needs its answer
    ],
)
def test_answer_must_follow_within_the_time_allowed(told: str, now: float, expected: Any) -> None:
    assert breaches(told, rule("within", then=("answer",), days=1), now=now) == expected


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("apply@0 kyc@5 open@10", (Breach.FORBIDDEN, 5)),
        ("apply@0 kyc@0 open@10", None),  # at the instant of a step is not between
        ("apply@0 open@10 kyc@10", None),
        ("apply@0 open@10 kyc@11", None),
        ("kyc@0 apply@1 open@10", None),
        ("apply@0 kyc@50", (Breach.FORBIDDEN, 50)),  # on the way
        ("apply@0 kyc@101", None),  # after the window
    ],
)
def test_forbidden_event_between_two_steps(told: str, expected: Any) -> None:
    assert breaches(told, rule("absent", after="apply", before="open")) == expected


def test_attempt_that_goes_on_without_the_forbidden_event_is_not_yet_decided() -> None:
    assert breaches("apply@0", rule("absent"), now=50) == "open"


def test_rule_reads_events_about_no_product_but_none_about_another() -> None:
    funnel = named("apply open")
    one = Intended(journey="card", funnel=funnel, rules=(rule("precedes", then=("open",)),), products=("gold",))
    rows = event_rows({"own": "apply@1 open@5", "other": "apply@1 open@5"}, product_id="gold")
    rows += event_rows({"own": "kyc@0"}) + event_rows({"other": "kyc@0"}, product_id="loan")
    rows += event_rows({"loan": "open@5"}, product_id="loan")
    assert [row["customer_id"] for row in found_by(rows, one).to_pylist()] == ["other"]


def found_by(rows: list[dict[str, Any]], *intended: Intended) -> pa.Table:
    with DuckDBEngine(threads=1) as engine:
        return conformance.findings(checked(engine, rows, *intended), intended)


def checked(engine: Engine, rows: list[dict[str, Any]], *intended: Intended) -> pa.Table:
    return conformance.check(engine, event_log(engine, rows), intended, moment(1_000))


def test_rule_on_any_event_reads_every_event() -> None:
    one = Intended(journey="card", funnel=named("apply open"), rules=(rule("absent", events=("*",)),))
    rows = event_rows({"ann": "apply@0 open@5", "bob": "apply@0 call@2 open@5"})
    assert [row["customer_id"] for row in found_by(rows, one).to_pylist()] == ["bob"]


def test_findings_keep_their_contract_and_name_who_answers_for_them() -> None:
    one = Intended(
        journey="card",
        funnel=named("apply open"),
        rules=(rule("precedes", then=("open",), severity="high", text_en="KYC first"),),
    )
    found = found_by(event_rows({"ann": "open@5", "bob": "kyc@0 open@5"}), one)
    assert found.schema == arrow_schema(JOURNEY_FINDINGS)
    (row,) = found.to_pylist()
    assert (row["customer_id"], row["breach"], row["severity"], row["owner"]) == (
        "ann",
        "skipped",
        "high",
        "compliance",
    )
    assert row["breached_at"] == moment(5).replace(tzinfo=None)


def test_most_severe_rules_come_first_and_then_those_surely_broken_most() -> None:
    asks = [
        rule("precedes", then=("open",)).model_copy(update={"rule": name, "severity": severity, "events": (event,)})
        for name, severity, event in (("few", "high", "kyc"), ("all", "high", "never"), ("dire", "critical", "kyc"))
    ]
    one = Intended(journey="card", funnel=named("apply open"), rules=tuple(asks))
    rows = event_rows({"ann": "open@5", "bob": "kyc@0 open@5", "cat": "kyc@0 open@5"})
    with DuckDBEngine(threads=1) as engine:
        found = conformance.results(checked(engine, rows, one), [one])
    assert [(result.rule.rule, result.breached) for result in found] == [
        ("dire", Share(count=1, of=3)),
        ("all", Share(count=3, of=3)),
        ("few", Share(count=1, of=3)),
    ]


def test_journeys_without_rules_have_no_findings() -> None:
    assert len(found_by([])) == 0


@pytest.mark.spark
def test_spark_finds_the_same(spark: Engine) -> None:
    one = Intended(journey="card", funnel=named("apply open"), rules=(rule("precedes", then=("open",)),))
    rows = event_rows({"ann": "apply@0 open@5", "bob": "kyc@0 apply@1 open@5", "cat": "open@5 apply@6"})
    steps = named("apply open").steps
    tables = []
    with DuckDBEngine(threads=1) as duckdb:
        for engine in (duckdb, spark):
            log = event_log(engine, rows)
            cases = log.map_blocks(engine, partial(conformance.cases, steps=steps), names=("apply", "open"))
            findings = conformance.findings(checked(engine, rows, one), [one])
            tables.append([cases.sort_by("customer_id").to_pylist(), findings.to_pylist()])
    assert tables[0] == tables[1]


LOAN = "A_SUBMITTED A_PARTLYSUBMITTED A_PREACCEPTED W_Completeren_aanvraag A_ACCEPTED A_FINALIZED A_APPROVED"


@pytest.mark.real_data
def test_fitness_of_complete_cases_is_that_of_pm4py(real_data: Path) -> None:
    pm4py = pytest.importorskip("pm4py", reason="pm4py is not installed; it is compared with, never depended on")
    nets = pytest.importorskip("pm4py.objects.petri_net.obj")
    arcs = pytest.importorskip("pm4py.objects.petri_net.utils.petri_utils")
    names = [name.replace("W_Completeren_", "W_Completeren ") for name in LOAN.split()]
    read = csv.read_csv(
        real_data / "bpi2012" / "bpi2012_events.csv.gz",
        convert_options=csv.ConvertOptions(column_types={"case": pa.string(), "timestamp": pa.timestamp("us", "UTC")}),
    )
    kept = pc.and_(pc.is_in(read["activity"], pa.array(names)), pc.equal(read["lifecycle"], "COMPLETE"))
    events = pa.table(
        {
            "customer": read["case"],
            "event": read["activity"],
            "at": read["timestamp"].cast(pa.timestamp("us")),
            "seq": pa.array(range(len(read)), pa.int64()),
        }
    ).filter(kept)
    steps = [Step(name=name, events=(name,)) for name in names]
    found = conformance.summarise(conformance.cases(events, steps, complete=True), steps)

    net = nets.PetriNet("line")
    places = [nets.PetriNet.Place(f"p{number}") for number in range(len(names) + 1)]
    net.places.update(places)
    for number, name in enumerate(names):
        transition = nets.PetriNet.Transition(name, name)
        net.transitions.add(transition)
        arcs.add_arc_from_to(places[number], transition, net)
        arcs.add_arc_from_to(transition, places[number + 1], net)
    frame = pm4py.format_dataframe(events.to_pandas(), case_id="customer", activity_key="event", timestamp_key="at")
    told = pm4py.fitness_alignments(frame, net, nets.Marking({places[0]: 1}), nets.Marking({places[-1]: 1}))
    assert found.mean_fitness == pytest.approx(told["average_trace_fitness"])
    assert found.log_fitness == pytest.approx(told["log_fitness"])
    assert 100 * found.conforming.count / found.cases == pytest.approx(told["percentage_of_fitting_traces"])
