"""Channels: who moves between them, when that counts, and what happens after a digital step."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx

from engine.domain.errors import SettingsFault
from engine.numerics.intervals import newcombe
from journeys import omnichannel
from journeys.calendar import microseconds
from journeys.omnichannel import Channels, Handover, Quality, Switching, Unit
from tests.journeys import cohorts

END = datetime(2026, 4, 1, tzinfo=UTC)


def switching(told: dict[str, list[str]], as_of: datetime = END, **more: Any) -> Channels:
    asked = Switching(channel="channel", as_of_us=microseconds(as_of), **more)
    block = cohorts.events(told)
    moves = omnichannel.moves_of_block(block, asked=asked)
    return omnichannel.channels(moves, omnichannel.journeys_of_block(block, asked=asked), asked)


def path(*words: str, start: str = "2026-03-01T10:00") -> list[str]:
    """Events a minute apart."""
    first = datetime.fromisoformat(start)
    return [f"{word} {(first + timedelta(minutes=place)).isoformat()}" for place, word in enumerate(words)]


def test_the_matrix_counts_what_follows_what_within_a_journey() -> None:
    found = switching(
        {
            "ann": path("a@web", "b@web", "c@app", "d", "e@web"),
            "bob": [*path("a@web"), *path("b@branch", start="2026-03-02T10:00")],
        }
    )
    # the event of no known channel is passed over; bob's two sessions have nothing between them
    assert [(one["from"], one["to"], one["count"], one["journeys"]) for one in found.matrix] == [
        ("app", "web", 1, 1),
        ("web", "app", 1, 1),
        ("web", "web", 1, 1),
    ]
    assert (found.journeys, found.switched.count, found.ping_pong.count) == (3, 1, 1)
    whole = switching({"bob": [*path("a@web"), *path("b@branch", start="2026-03-02T10:00")]}, unit=Unit.CUSTOMER)
    assert (whole.journeys, whole.switched.count) == (1, 1)


def test_ping_pong_is_back_to_the_channel_just_left_however_long_one_stayed() -> None:
    assert switching({"ann": path("a@app", "b@branch", "c@branch", "d@app")}).ping_pong.count == 1
    assert switching({"ann": path("a@app", "b@branch", "c@web")}).ping_pong.count == 0
    assert switching({"ann": path("a@app", "b@app", "c@app")}).switched.count == 0


def test_a_switch_after_the_goal_no_longer_counts() -> None:
    told = {
        "ann": path("a@web", "buy@web", "thanks@app"),
        "bob": path("a@web", "b@app", "buy@app"),
        "cy": path("a@web"),
    }
    found = switching(told, goal=("buy",)).success
    assert found is not None
    assert (found.with_switch.count, found.with_switch.of) == (1, 1)
    assert (found.without_switch.count, found.without_switch.of) == (1, 2)
    assert found.difference.difference == approx(1 / 2)
    expected = newcombe(1, 1, 1, 2)
    assert (found.difference.low, found.difference.high) == (approx(expected.lower), approx(expected.upper))
    assert "not cause and effect" in found.caution
    assert switching(told).success is None


def test_a_session_that_is_still_open_is_left_out_of_success() -> None:
    now = datetime(2026, 3, 1, 10, 20, tzinfo=UTC)
    found = switching({"ann": path("a@web"), "bob": path("buy@web")}, as_of=now, goal=("buy",)).success
    assert found is not None
    # bob has reached the goal, but to count only those who were quick would flatter
    assert (found.without_switch.count, found.without_switch.of, found.open) == (0, 0, 2)


def test_no_channel_at_all_gives_no_share() -> None:
    for told in ({}, {"ann": path("a", "b")}):
        found = switching(told, goal=("b",))
        assert (found.journeys, found.switched.share, found.matrix) == (0, None, ())
        assert found.success is not None and found.success.difference.difference is None


WORDS = st.lists(st.sampled_from(["a@web", "a@app", "b@branch", "buy@web", "c"]), min_size=1, max_size=12)


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(st.sampled_from("abcde"), WORDS, min_size=1))
def test_the_counts_are_those_of_reading_each_journey_by_itself(told: dict[str, list[str]]) -> None:
    found = switching({who: path(*words) for who, words in told.items()}, goal=("buy",))
    switched, back, moves = 0, 0, 0
    for words in told.values():
        channels = [word.split("@")[1] for word in words if "@" in word]
        moves += max(len(channels) - 1, 0)
        until = words[: words.index("buy@web") + 1] if "buy@web" in words else words
        runs: list[str] = []
        for channel in [word.split("@")[1] for word in until if "@" in word]:
            runs += [channel] if not runs or runs[-1] != channel else []
        switched += len(runs) > 1
        back += any(runs[place] == runs[place + 2] for place in range(len(runs) - 2))
    assert sum(int(one["count"]) for one in found.matrix) == moves
    assert (found.switched.count, found.ping_pong.count) == (switched, back)


def rows(told: dict[str, list[str]], as_of: datetime = END, **more: Any) -> dict[str, dict[str, Any]]:
    found = omnichannel.handovers_of_block(cohorts.events(told), asked=_asked(as_of, **more))
    return {row["customer"]: row for row in found.to_pylist()}


def _asked(as_of: datetime = END, **more: Any) -> Handover:
    given = {"digital": ("web", "app"), "branch": ("branch",), "step": ("apply",), "goal": ("signed",)} | more
    return Handover(channel="channel", as_of_us=microseconds(as_of), **given)


HANDED = {
    "smooth": ["apply@web 2026-03-01T10:00", "advice@branch 2026-03-03T10:00", "signed@branch 2026-03-03T11:00"],
    "again": [
        *("scan@web 2026-03-01T10:00", "apply@web 2026-03-01T10:01", "upload@web 2026-03-01T10:02"),
        *("upload@branch 2026-03-05T10:00", "scan@branch 2026-03-05T10:01"),
    ],
    "online": ["apply@app 2026-03-01T10:00", "signed@app 2026-03-01T11:00", "advice@branch 2026-03-02T10:00"],
    "lost": ["apply@web 2026-03-01T10:00", "advice@branch 2026-03-15T10:00:01"],
    "late": ["apply@web 2026-03-25T10:00"],
    "fresh": ["apply@web 2026-03-25T10:00", "advice@branch 2026-03-26T10:00"],
    "never": ["advice@branch 2026-03-01T10:00"],
}


def test_a_digital_step_is_finished_continued_still_waiting_or_stopped() -> None:
    found = rows(HANDED)
    assert {who: row["outcome"] for who, row in found.items()} == {
        "smooth": "continued",
        "again": "continued",
        "online": "finished",
        "lost": "stopped",  # a second after the fourteen days
        "late": "waiting",
        "fresh": "continued",
    }
    assert found["smooth"]["seconds"] == 2 * 86_400
    assert found["online"]["seconds"] is None


def test_rework_is_what_the_customer_had_done_digitally_since_the_step() -> None:
    found = rows(HANDED)
    # scan came before the digital step, upload after it
    assert (found["again"]["rework"], found["again"]["converted"]) == (True, False)
    assert (found["smooth"]["rework"], found["smooth"]["converted"]) == (False, True)
    only_scan = {"ann": [word for word in HANDED["again"] if "upload" not in word]}
    assert rows(only_scan)["ann"]["rework"] is False


def test_what_is_done_again_after_the_goal_is_no_rework() -> None:
    told = {"ann": ["apply@web 2026-03-01T10:00", "signed@branch 2026-03-02T10:00", "apply@branch 2026-03-02T11:00"]}
    assert (rows(told)["ann"]["rework"], rows(told)["ann"]["converted"]) == (False, True)


def test_a_hand_over_whose_time_is_not_over_has_no_result_yet() -> None:
    found = rows(HANDED)["fresh"]
    assert (found["rework"], found["converted"]) == (None, None)


def quality(told: dict[str, list[str]], **more: Any) -> Quality:
    asked = _asked(**more)
    return omnichannel.quality(omnichannel.handovers_of_block(cohorts.events(told), asked=asked), asked)


def test_the_quality_of_hand_overs_counts_only_what_is_sure() -> None:
    found = quality(HANDED)
    # late and fresh began too short a time ago, also fresh, who has gone on already
    assert (found.customers, found.too_early) == (6, 2)
    assert (found.finished.count, found.finished.of) == (1, 4)
    assert (found.continued.count, found.continued.of) == (2, 3)
    assert found.waits[50] == approx(3 * 86_400 - 30)  # between two days and four days less a minute
    assert (found.rework.count, found.rework.of) == (1, 2)
    assert (found.converted_without_rework.share, found.converted_with_rework.share) == (1, 0)
    assert found.difference.difference == -1


def test_without_a_goal_nothing_is_said_of_who_reached_it() -> None:
    found = quality(HANDED, goal=())
    assert (found.continued.count, found.finished.count) == (3, 0)
    assert (found.converted.share, found.converted_with_rework.share, found.difference.difference) == (None, None, None)


def test_no_digital_step_gives_no_share() -> None:
    found = quality({"ann": ["advice@branch 2026-03-01T10:00"]})
    assert (found.customers, found.continued.share, found.waits, found.difference.difference) == (0, None, {}, None)
    assert quality({}).customers == 0


def test_a_channel_cannot_be_digital_and_the_branch() -> None:
    with pytest.raises(SettingsFault, match="one was named as both"):
        _asked(branch=("web",))


def test_blocks_of_customers_add_up_to_the_whole() -> None:
    asked = Switching(channel="channel", as_of_us=microseconds(END), goal=("signed",))
    one = {who: told for who, told in HANDED.items() if who < "n"}
    other = {who: told for who, told in HANDED.items() if who >= "n"}
    parts = [
        pa.concat_tables([made(cohorts.events(part), asked=asked) for part in (one, other)])
        for made in (omnichannel.moves_of_block, omnichannel.journeys_of_block)
    ]
    assert omnichannel.channels(parts[0], parts[1], asked) == switching(HANDED, goal=("signed",))
