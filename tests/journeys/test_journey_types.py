"""Journey types: planted ones are found and named after what they do; where there are none, it is said."""

import pickle
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from engine.domain.errors import SettingsFault
from engine.lake.engine import DuckDBEngine
from engine.workflows.event_logs import LogSource, opened
from journeys import histories, journey_portraits, journey_types, journey_wording
from journeys.journey_wording import Kind
from tests.journeys import builders

LATER = builders.LATER
# three ways to go: straight on, round and round a form that fails, and a look that leads nowhere
STRAIGHT, ROUND, LOOK = (
    ("view", "apply", "sign"),
    ("view", "apply", "error", "apply", "error", "apply"),
    ("home", "view"),
)
WAYS = {"straight": STRAIGHT, "round": ROUND, "look": LOOK}


def planted(size=300, seed=1):
    """Rows of a log in which half look, a third go straight and the rest go round; some also read the help."""
    rng = np.random.default_rng(seed)
    rows, truth = [], {}
    for number in range(size):
        way = ("look", "look", "look", "straight", "straight", "round")[number % 6]
        customer, second = f"c{number:05d}", 0.0
        names = list(WAYS[way])
        if rng.random() < 0.1:
            names.insert(int(rng.integers(0, len(names))), "help")
        for name in names:
            second += float(rng.exponential(60))
            rows.append({"customer_id": customer, "event_name": name, "occurred_at": builders.moment(second).replace(
                tzinfo=None), "channel": "app" if way == "look" else "web"})  # fmt: skip
        truth[customer] = way
    return rows, truth


def found_in(rows, **more):
    with DuckDBEngine(threads=1) as engine:
        return journey_types.find(engine, builders.event_log(engine, rows), LATER, **more)


def agreement(found, truth):
    told = dict(zip(found.assigned["customer"].to_pylist(), found.assigned["type"].to_pylist(), strict=True))
    return adjusted_rand_score([truth[one] for one in sorted(truth)], [told[one] for one in sorted(truth)])


@pytest.fixture(scope="module")
def three():
    rows, truth = planted()
    return found_in(rows), truth


def test_the_ways_that_were_planted_are_the_types_that_are_found(three):
    found, truth = three
    assert agreement(found, truth) > 0.95
    chosen = [choice for choice in found.choices if choice.chosen]
    assert [choice.types for choice in chosen] == [3]
    assert chosen[0].stability > 0.95


def test_types_are_numbered_by_size_and_named_after_what_they_do(three):
    found, _ = three
    types = journey_portraits.describe(found)
    assert [one.number for one in types] == [1, 2, 3]
    # 300 customers: half look, a third go straight, a sixth go round
    assert [one.customers for one in types] == pytest.approx([150, 100, 50], abs=3)
    assert [one.share for one in types] == [one.customers / 300 for one in types]
    look, straight, round_ = types
    assert look.path.events == ("home", "view")
    assert straight.name_en == "Ends with sign"
    assert straight.name_zh == "止于sign"
    assert round_.path.events == ("view", "apply", "error", "apply", "error", "apply")
    assert any("error" in fact.what for fact in round_.facts)
    assert len({one.name_en for one in types}) == 3


def test_facts_compare_the_type_with_everybody_else(three):
    found, _ = three
    straight = journey_portraits.describe(found)[1]
    ends = next(fact for fact in straight.facts if fact.kind is Kind.ENDS)
    # all who go straight end with sign, nobody else does: 2 asin(1) - 2 asin(0) = pi
    assert (ends.what, ends.share, ends.share_elsewhere, ends.lift) == (("sign",), 1.0, 0.0, None)
    assert ends.effect == pytest.approx(np.pi)
    web = next(fact for fact in straight.facts if fact.kind is Kind.CHANNEL)
    assert (web.what, web.share) == (("web",), 1.0)
    assert straight.channels == (("web", 1.0),)


def test_the_order_of_rows_and_the_cut_into_blocks_change_nothing(three, monkeypatch):
    found, _ = three
    rows, _ = planted()
    shuffled = [rows[place] for place in np.random.default_rng(3).permutation(len(rows))]
    monkeypatch.setattr("journeys.event_log.EVENTS_PER_BLOCK", 200)
    again = found_in(shuffled)
    assert again.assigned.equals(found.assigned)
    assert journey_portraits.describe(again) == journey_portraits.describe(found)


def test_where_a_customer_belongs_depends_on_nobody_else(three):
    found, _ = three
    some = journey_types.in_order(builders_block(planted()[0][:40]))
    label, distance = found.model.place(some)
    told = {one["customer"]: one for one in found.assigned.to_pylist()}
    assert [told[name]["type"] for name in some.ids.to_pylist()[:-1]] == label[:-1].tolist()
    assert [told[name]["distance"] for name in some.ids.to_pylist()[:-1]] == pytest.approx(distance[:-1].tolist())


def builders_block(rows):
    with DuckDBEngine(threads=1) as engine:
        return engine.arrow(builders.event_log(engine, rows).events(LATER, attributes=("channel",)))


def test_what_a_part_of_the_customers_teaches_places_all_of_them():
    rows, truth = planted(size=1_200, seed=2)
    found = found_in(rows, sample=300)
    assert 220 < len(found.sample) < 380  # a draw of 300 in 1,200: standard deviation 15
    assert found.assigned.num_rows == found.customers == 1_200
    assert agreement(found, truth) > 0.95
    assert f"Learned from {len(found.sample)} of 1,200 customers" in found.notes()[-1]


def test_the_seed_draws_other_customers_and_the_types_stay():
    rows, truth = planted(size=900, seed=4)
    one, two = found_in(rows, sample=300, seed=1), found_in(rows, sample=300, seed=2)
    assert one.sample.ids != two.sample.ids
    assert [each.path.events for each in journey_portraits.describe(one)] == [
        each.path.events for each in journey_portraits.describe(two)
    ]
    assert min(agreement(one, truth), agreement(two, truth)) > 0.95


def test_a_journey_like_none_belongs_to_no_type():
    rows, truth = planted()
    odd = [{**rows[0], "customer_id": "odd", "event_name": name} for name in ("fraud", "block", "fraud", "call") * 9]
    found = found_in([*rows, *odd])
    told = dict(zip(found.assigned["customer"].to_pylist(), found.assigned["type"].to_pylist(), strict=True))
    assert told["odd"] == journey_types.OUTSIDE
    assert journey_portraits.outside(found) >= 1
    del told["odd"]
    assert adjusted_rand_score([truth[one] for one in sorted(truth)], [told[one] for one in sorted(truth)]) > 0.9


def test_conversions_do_not_shape_the_types_and_are_counted_with_an_interval():
    rows, truth = planted()
    bought = [customer for place, customer in enumerate(sorted(truth)) if truth[customer] == "straight" and place % 2]
    more = [{**rows[0], "customer_id": customer, "event_name": "buy", "occurred_at": builders.moment(9e4).replace(
        tzinfo=None)} for customer in bought]  # fmt: skip
    found = found_in([*rows, *more], conversion=("buy",))
    types = journey_portraits.describe(found)
    assert [one.customers for one in types] == pytest.approx([150, 100, 50], abs=3)
    straight = types[1]
    assert straight.converted == len(bought) == 50
    assert straight.conversion == 0.5
    # Wilson at 50 of 100: 0.5 -+ 1.96 sqrt(0.25 / 100 + 1.96^2 / 40,000) / (1 + 1.96^2 / 100) = 0.5 -+ 0.0962
    assert straight.conversion_interval.lower == pytest.approx(0.4038, abs=1e-4)
    assert straight.conversion_interval.upper == pytest.approx(0.5962, abs=1e-4)
    assert "50.0% convert (95 % interval 40.4% to 59.6%)." in journey_wording.portrait(straight)[0]
    assert types[0].converted == 0


def test_without_a_conversion_event_nothing_is_said_about_conversion(three):
    one = journey_portraits.describe(three[0])[0]
    assert (one.converted, one.conversion, one.conversion_interval) == (None, None, None)
    assert "convert" not in journey_wording.portrait(one)[0]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        (planted(size=40)[0], "40 customers; types need 50 or more."),
        ([], "0 customers"),
        (builders.event_rows({f"c{n}": "A@0 B@60" for n in range(80)}), "1 different journeys"),
    ],
    ids=["few", "none", "all alike"],
)
def test_no_types_where_there_is_nothing_to_part_and_the_reason_is_told(rows, reason):
    found = found_in(rows)
    assert found.model is None
    assert found.reason.startswith(reason)
    assert journey_portraits.describe(found) == ()


def test_journeys_at_random_have_no_steady_types():
    rng = np.random.default_rng(8)
    people = {
        f"c{n:04d}": [(float(second), str(name)) for second, name in enumerate(rng.choice(list("ABCDEFGH"), 12))]
        for n in range(300)
    }
    found = found_in(builders.event_rows(people))
    assert found.model is None
    assert "was found again on customers drawn anew" in found.reason


def test_a_number_of_types_that_is_asked_for_is_made_and_its_weakness_told():
    rng = np.random.default_rng(8)
    people = {
        f"c{n:04d}": [(float(second), str(name)) for second, name in enumerate(rng.choice(list("ABCDEFGH"), 12))]
        for n in range(120)
    }
    found = found_in(builders.event_rows(people), types=4)
    assert len(journey_portraits.describe(found)) == 4
    assert ["shade into each other" in note or "not steady" in note for note in found.notes()] == [True, True]
    with pytest.raises(SettingsFault, match="1 types: expected 2 or more"):
        found_in(builders.event_rows(people), types=1)


def test_functions_handed_to_an_engine_can_be_sent_to_other_processes(three):
    model = three[0].model
    sent = pickle.loads(pickle.dumps(partial(journey_types._assigned, model=model, channel=None)))
    empty = histories.of(builders_block([]))
    assert sent(builders_block([])).schema == journey_types.ASSIGNED
    assert model.place(empty)[0].tolist() == []


def test_events_in_a_row_are_told_once_with_how_often():
    path = journey_wording.Path(events=("A", "B"), times=(1, 3), share=0.25)
    assert journey_wording._line(path) == "A > B x3"
    long = journey_wording.Path(events=tuple("ABCDEFGHIJKLMN"), times=(1,) * 14, share=None)
    assert journey_wording._line(long) == "A > B > C > D > E > F > (2 more) > I > J > K > L > M > N"


@pytest.mark.real_data
def test_loan_applications_part_into_those_declined_at_once_those_given_an_offer_and_others(real_data: Path):
    source = LogSource(path=real_data / "bpi2012" / "bpi2012_events.csv.gz", case="case", event="activity")
    with opened(source) as log:
        found = journey_types.find(log.engine, log.log, log.as_of)
    types = journey_portraits.describe(found)
    assert sum(one.customers for one in types) + journey_portraits.outside(found) == 13_087
    ends = [(one.path.events[-1], one.customers) for one in types if one.path.share is not None]
    # the most common path of the log, counted in SQL
    assert ("A_DECLINED", 3_429) in ends
    assert types[1].name_en == "Ends with A_DECLINED"
    assert types[1].path.events == ("A_SUBMITTED", "A_PARTLYSUBMITTED", "A_DECLINED")
    offered = next(fact for fact in types[0].facts if "A_FINALIZED" in fact.what)
    assert (offered.share > 0.99, offered.share_elsewhere < 0.01) == (True, True)
