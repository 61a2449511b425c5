"""Conversions are attributed to the touches before them, and to no others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import csv

from engine.domain.errors import NotEnoughData, SettingsFault, UnknownName
from engine.lake.engine import DuckDBEngine, Engine
from journeys import attribution, histories, touchpoints
from journeys.attribution import attribute
from journeys.histories import Histories
from tests.journeys.builders import event_log, event_rows, moment

Touch = tuple[float, str]
START = int(moment(0).timestamp() * 1_000_000)
_SCHEMA = pa.schema(
    [
        ("customer", pa.string()),
        ("event", pa.string()),
        ("at", pa.timestamp("us")),
        ("seq", pa.int64()),
        ("channel", pa.string()),
        ("worth", pa.string()),
    ]
)


def told(people: Mapping[str, str | Sequence[Touch]]) -> Histories:
    """Histories of {"ann": "email@0 BUY@60"}: what is no BUY is a visit in that channel; BUY:1250 is worth 1250.

    Events of one instant stand in the order of their channels' names, conversions first.
    """
    rows = []
    for customer, story in people.items():
        touches = [_touch(word) for word in story.split()] if isinstance(story, str) else story
        for seconds, what in touches:
            bought = what.startswith("BUY")
            rows.append(
                {
                    "customer": customer,
                    "event": "BUY" if bought else "visit",
                    "at": moment(seconds).replace(tzinfo=None),
                    "seq": -1 if bought else ("email", "search", "branch").index(what) if what in ORDER else 0,
                    "channel": None if bought else what,
                    "worth": what.partition(":")[2] or None,
                }
            )
    return histories.of(pa.Table.from_pylist(rows, schema=_SCHEMA))


ORDER = ("email", "search", "branch")


def _touch(word: str) -> Touch:
    what, seconds = word.split("@")
    return float(seconds), what


def credits(people: Mapping[str, str], model: str = "linear", lookback: float = 100) -> dict[str, float]:
    found = attribute(told(people), conversion=("BUY",), touch="channel", lookback_seconds=lookback, models=(model,))
    return found.of(model)


def test_touch_counts_for_the_next_conversion_only() -> None:
    # email, BUY, search, BUY: email has the first, search the second
    assert credits({"ann": "email@0 BUY@1 search@2 BUY@3"}) == {"email": 1, "search": 1}


def test_lookback_ends_at_its_edge() -> None:
    assert credits({"ann": "email@0 search@1 BUY@10"}, lookback=10) == {"email": 0.5, "search": 0.5}
    assert credits({"ann": "email@0 search@1 BUY@10.000001"}, lookback=10) == {"email": 0, "search": 1}


def test_touch_of_the_instant_of_the_conversion_comes_before_it() -> None:
    assert credits({"ann": "BUY@5 email@5"}) == {"email": 1}


def test_conversions_of_one_instant_share_a_path() -> None:
    assert credits({"ann": "email@0 BUY@5 BUY@5"}) == {"email": 2}


def test_conversion_without_a_touch_is_counted_apart() -> None:
    found = attribute(
        told({"ann": "email@0 BUY@5", "bob": "BUY@3", "cat": "email@0 BUY@500"}),
        conversion=("BUY",), touch="channel", lookback_seconds=100,
    )  # fmt: skip
    assert (found.conversions, found.attributed, found.without_touch) == (3, 1, 2)


def test_touches_further_apart_than_the_lookback_are_lost_paths_of_their_own() -> None:
    found = attribute(
        told({"ann": "email@0 BUY@5", "bob": "email@0 email@50 email@151"}),
        conversion=("BUY",), touch="channel", lookback_seconds=100,
    )  # fmt: skip
    assert found.lost_paths == 2


def test_path_that_may_yet_convert_is_left_out() -> None:
    people = {"ann": "email@0 BUY@5", "bob": "email@0", "cat": "email@1"}
    asked = {"conversion": ("BUY",), "touch": "channel", "lookback_seconds": 100.0}
    # the look-back of bob has run out a microsecond before, that of cat has not
    found = attribute(told(people), **asked, as_of=moment(100.000001))  # type: ignore[arg-type]
    assert (found.lost_paths, found.open_paths) == (1, 1)


def test_events_themselves_can_be_the_touches() -> None:
    found = attribute(
        told({"ann": "email@0 search@1 BUY@2"}), conversion=("BUY",), touch=touchpoints.EVENTS, lookback_seconds=10
    )
    assert found.of("linear") == {"visit": 1}


def test_only_named_events_are_touches_when_named() -> None:
    question = touchpoints.Question(
        conversion=("BUY",), touch="channel", touches=("email",), touch_events=("call",), lookback_seconds=10
    )
    with pytest.raises(NotEnoughData, match="none with a touch"):
        attribution.summarise(touchpoints.tally(told({"ann": "email@0 BUY@1"}), question))


def test_touch_that_never_led_to_a_conversion_gets_nothing_from_any_model() -> None:
    found = attribute(
        told({"ann": "email@0 BUY@5", "bob": "search@0", "cat": "search@0 search@1"}),
        conversion=("BUY",), touch="channel", lookback_seconds=100,
    )  # fmt: skip
    assert found.credit.tolist() == [[1, 0]] * len(attribution.MODELS)


def test_paths_that_were_lost_move_the_markov_chain_and_no_model_of_converted_paths() -> None:
    won = {"a": "email@0 search@1 BUY@2", "b": "search@0 email@1 BUY@2", "c": "email@0 BUY@1"}
    lost = {f"lost {number}": "search@0" for number in range(10)}
    for model in ("first", "last", "linear", "position", "time_decay", "shapley"):
        assert credits(won | lost, model) == credits(won, model)
    assert credits(won | lost, "markov") != credits(won, "markov")


def test_intervals_hold_the_shares_and_repeat_with_the_seed() -> None:
    people = {f"{n}": "email@0 BUY@5" if n % 3 else "search@0 email@1 BUY@5" for n in range(60)}
    asked = {"conversion": ("BUY",), "touch": "channel", "lookback_seconds": 100.0}
    first, again, other = (attribute(told(people), **asked, seed=seed) for seed in (1, 1, 2))  # type: ignore[arg-type]
    assert (first.lower <= first.shares + 1e-12).all()
    assert (first.shares <= first.upper + 1e-12).all()
    assert np.array_equal(first.lower, again.lower)
    assert not np.array_equal(first.lower, other.lower)


def test_interval_of_a_share_is_as_wide_as_a_binomial_one() -> None:
    # 40 of 100 conversions begin with email: standard error sqrt(0.4 * 0.6 / 100) = 0.049
    people = {f"{n}": "email@0 BUY@5" if n < 40 else "search@0 BUY@5" for n in range(100)}
    found = attribute(told(people), conversion=("BUY",), touch="channel", lookback_seconds=100, models=("first",))
    half = (found.upper[0, 0] - found.lower[0, 0]) / 2
    assert half == pytest.approx(1.96 * 0.049, rel=0.2)


def test_interval_of_time_decay_counts_how_customers_of_equal_paths_differ() -> None:
    # email then search, one half-life apart for half of the customers (1/3 to email), at once for the others (1/2)
    week = 7 * 86_400
    people = {f"{n}": f"email@0 search@{week if n % 2 else 0} BUY@{week}" for n in range(100)}
    found = attribute(
        told(people), conversion=("BUY",), touch="channel", lookback_seconds=2 * week, models=("time_decay",)
    )
    # mean of 1/3 and 1/2; one standard error is the spread 1/12 over sqrt(100)
    assert found.of("time_decay")["email"] == pytest.approx(100 * 5 / 12)
    half = (found.upper[0, 0] - found.lower[0, 0]) / 2
    assert half == pytest.approx(1.96 / 12 / 10, rel=0.25)


def test_value_is_divided_to_the_last_minor_unit() -> None:
    question = touchpoints.Question(
        conversion=("BUY",), touch="channel", touches=("branch", "email", "search"), lookback_seconds=10, value="worth"
    )
    people = {"ann": "email@0 search@1 branch@2 BUY:1000@3", "bob": "email@0 BUY:1@3"}
    found = attribution.summarise(touchpoints.tally(told(people), question), has_value=True)
    assert found.value is not None
    assert found.value.sum(axis=1).tolist() == [1001] * len(attribution.MODELS)
    # thirds of 1000 are 333.33; the one minor unit left goes to the first of the largest remainders
    assert found.value[found.models.index("linear")].tolist() == [334, 334, 333]
    assert found.value[found.models.index("last")].tolist() == [1000, 1, 0]


def test_value_that_is_no_whole_number_is_refused_without_showing_it() -> None:
    question = touchpoints.Question(
        conversion=("BUY",), touch="channel", touches=("email",), lookback_seconds=10, value="worth"
    )
    with pytest.raises(SettingsFault, match="minor units") as fault:
        touchpoints.tally(told({"ann": "email@0 BUY:12.5@3"}), question)
    assert "12.5" not in str(fault.value).replace("12.50", "")


def test_last_non_direct_passes_over_direct_touches_unless_there_is_no_other() -> None:
    question = touchpoints.Question(
        conversion=("BUY",), touch="channel", touches=("branch", "email"), lookback_seconds=10
    )
    tallied = touchpoints.tally(told({"ann": "email@0 branch@1 BUY@2", "bob": "branch@0 BUY@2"}), question)
    found = attribution.summarise(tallied, models=("last", "last_non_direct"), direct=("branch",))
    assert found.credit.tolist() == [[2, 0], [1, 1]]


def test_disagreement_is_told_with_both_ends() -> None:
    found = attribute(
        told({"ann": "email@0 search@1 BUY@2"}), conversion=("BUY",), touch="channel", lookback_seconds=10
    )
    told_of = found.disagreements[0]
    assert (told_of.lowest_share, told_of.highest_share) == (0, 1)
    assert "Models disagree" in told_of.sentence


def test_models_that_agree_raise_no_warning() -> None:
    found = attribute(told({"ann": "email@0 BUY@2"}), conversion=("BUY",), touch="channel", lookback_seconds=10)
    assert found.disagreements == ()


def test_chain_too_large_to_solve_is_said_and_the_others_are_answered() -> None:
    rng = np.random.default_rng(1)
    story = [(float(at), f"page {code}") for at, code in enumerate(rng.integers(0, 2_100, 9_000))]
    found = attribute(
        told({"ann": [*story, (9_001.0, "BUY")]}), conversion=("BUY",), touch="channel", lookback_seconds=10**6
    )
    assert any(note.startswith("markov: not solved") for note in found.notes)
    assert np.isnan(found.credit[found.models.index("markov")]).all()
    assert found.credit[found.models.index("linear")].sum() == pytest.approx(1)


def test_no_conversion_at_all_is_a_sentence() -> None:
    with pytest.raises(NotEnoughData, match="0 conversions"):
        attribute(told({"ann": "email@0"}), conversion=("BUY",), touch="channel", lookback_seconds=10)


def test_unknown_model_and_a_lookback_of_zero_are_refused() -> None:
    people = told({"ann": "email@0 BUY@1"})
    with pytest.raises(UnknownName, match="markov"):
        attribute(people, conversion=("BUY",), touch="channel", lookback_seconds=10, models=("markow",))
    with pytest.raises(SettingsFault, match="look-back"):
        attribute(people, conversion=("BUY",), touch="channel", lookback_seconds=0)


@pytest.mark.spark
def test_spark_finds_the_same(spark: Engine) -> None:
    rows = event_rows({"ann": "visit@0 visit@5 BUY@9", "bob": "BUY@5", "eve": "visit@0"}, channel="web")
    rows += event_rows({"ann": "visit@3 call@4", "bob": "visit@1"}, channel="app")
    question = touchpoints.Question(conversion=("BUY",), touch="channel", touches=("app", "web"), lookback_seconds=10)
    tables = []
    with DuckDBEngine(threads=1) as duckdb:
        for engine in (duckdb, spark):
            function = partial(attribution.block, question=question, as_of=START + 10**9)
            found = event_log(engine, rows).map_blocks(engine, function, attributes=("channel",))
            tables.append(attribution.summarise(touchpoints.from_table(found, question.touches)))
    assert tables[0].rows() == tables[1].rows()
    assert tables[0].of("linear") == {"app": 1 + 2 / 4, "web": 2 / 4}


@pytest.mark.real_data
def test_every_purchase_of_real_contacts_is_given_out_by_every_model(real_data: Path) -> None:
    read = csv.read_csv(real_data / "insurance_multimodal" / "data_users.csv.gz")
    user, purchase, number = (read[name].to_numpy() for name in ("user_id", "purchase_event_id", "event_number"))
    # the contacts have an order and no dates: purchases are told apart by their id, which grows within a user
    place = np.lexsort((number, purchase, user))
    last = np.append((user[place][1:] != user[place][:-1]) | (purchase[place][1:] != purchase[place][:-1]), True)
    channel = np.where(read["conversation_id"].is_valid().to_numpy(), "phone", "web")[place]
    bought = np.flatnonzero(last)
    rows = pa.table(
        {
            "customer": np.concatenate([user[place], user[place][bought]]),
            "event": np.repeat(["contact", "purchase"], [len(place), len(bought)]),
            # the purchase at the instant of its last contact, which comes before it
            "at": pa.array(np.concatenate([np.arange(len(place)), bought]), pa.timestamp("us")),
            "channel": pa.array([*channel, *[None] * len(bought)], pa.string()),
        }
    )
    found = attribute(histories.of(rows), conversion=("purchase",), touch="channel", lookback_seconds=np.inf)
    assert (found.attributed, found.without_touch, found.lost_paths) == (62_401, 0, 0)
    assert found.credit.sum(axis=1) == pytest.approx(np.full(len(found.models), 62_401))
    assert found.of("last")["phone"] == float((channel[bought] == "phone").sum())
