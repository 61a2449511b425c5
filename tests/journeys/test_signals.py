"""Signals of friction on small logs, each checked by eye: what counts, from when, and what does not."""

from journeys import signals
from journeys.signals import Kind
from journeys.spec import Order
from tests.journeys.builders import asked
from tests.journeys.drop_off_builders import met, observer

HOUR = 3_600
FUNNEL = asked("A B C", 24 * HOUR)
LATER = observer(FUNNEL, 400 * HOUR, silence_seconds=10 * HOUR)


def test_an_error_before_the_next_step_is_met_when_it_first_shows() -> None:
    found = met({"ann": "A@0 error_shown@30 error_shown@50 B@60"}, LATER)
    assert found == {"ann": {"error_shown": 30.0}}


def test_an_error_at_the_instant_of_the_next_step_or_after_it_is_none_of_the_step() -> None:
    assert met({"ann": "A@0 B@60 error_shown@60 error_shown@90 C@100"}, LATER) == {"ann": {}}
    # of the step B it is one: 30 seconds after it
    assert met({"ann": "A@0 B@60 error_shown@60 error_shown@90 C@100"}, LATER, step=2) == {"ann": {"error_shown": 30.0}}


def test_an_error_after_the_window_has_closed_is_none() -> None:
    assert met({"ann": f"A@0 error_shown@{25 * HOUR}"}, LATER)["ann"].get("error_shown") is None


def test_the_step_once_more_is_a_repetition() -> None:
    found = met({"ann": "A@0 B@10 B@20 C@30", "bob": "A@0 B@10 C@30"}, LATER, step=2)
    assert found == {"ann": {"repeat": 10.0}, "bob": {}}


def test_going_back_and_taking_the_step_again_is_a_back_step_and_then_rework() -> None:
    found = met({"ann": "A@0 B@10 A@15 B@20 C@30", "bob": "A@0 B@10 A@15 C@30"}, LATER, step=2)
    assert found["ann"] == {"repeat": 10.0, "back_step": 5.0, "rework": 10.0}
    assert found["bob"] == {"back_step": 5.0}


def test_a_channel_left_and_taken_up_again_since_the_step_is_ping_pong() -> None:
    # ann: app, web, app. bob changes once. cyd was in the web before the step: that change is not since the step.
    people = {
        "ann": "A:app@0 login:web@10 login:app@20 B:app@30",
        "bob": "A:app@0 login:web@10 B:web@30",
        "cyd": "login:web@0 A:app@5 login:web@10 B:web@30",
    }
    assert met(people, LATER) == {"ann": {"ping_pong": 20.0}, "bob": {}, "cyd": {}}


def test_ping_pong_passes_over_events_without_a_channel() -> None:
    assert met({"ann": "A:app@0 login@5 login:web@10 login@15 login:app@20 B@30"}, LATER) == {
        "ann": {"ping_pong": 20.0}
    }


def test_silence_begins_when_nothing_has_happened_for_as_long_as_the_rule_says() -> None:
    # ann: her last event is at hour 2, so that she is silent at hour 12. bob goes on at hour 9.
    people = {"ann": f"A@0 login@{2 * HOUR}", "bob": f"A@0 B@{9 * HOUR}"}
    assert met(people, LATER) == {"ann": {"silence": 12.0 * HOUR}, "bob": {}}


def test_silence_that_has_not_lasted_long_enough_by_today_is_not_met() -> None:
    assert met({"ann": "A@0"}, observer(FUNNEL, 9 * HOUR, silence_seconds=10 * HOUR)) == {"ann": {}}
    assert met({"ann": "A@0"}, observer(FUNNEL, 11 * HOUR, silence_seconds=10 * HOUR)) == {"ann": {"silence": 36_000.0}}


def test_an_entry_repeated_in_time_is_met_by_those_who_go_on_and_by_those_who_do_not() -> None:
    # the funnel counts ann from her second A; to learn from that would make repetitions look fatal
    found = met({"ann": "A@0 A@10 B@20", "bob": "A@0 A@10"}, LATER)
    assert found["ann"] == {"repeat": 10.0}
    assert found["bob"]["repeat"] == 10.0


def test_errors_are_events_whose_name_fits_a_pattern_and_that_are_no_step() -> None:
    found = signals.of(FUNNEL, {None: ["A", "Login_Failed", "rejected"]}, ("*failed*", "A"), channels=False)
    assert [signal.label for signal in found if signal.kind is Kind.ERROR] == ["Login_Failed"]


def test_a_pattern_may_look_at_an_attribute() -> None:
    found = signals.of(FUNNEL, {None: ["A"], "page": ["ok", "refused_1"]}, ("page=refused*",), channels=False)
    error = next(signal for signal in found if signal.kind is Kind.ERROR)
    assert (error.label, error.column, error.values) == ("page=refused_1", "page", ("refused_1",))


def test_a_pattern_that_fits_more_than_twenty_names_is_one_signal() -> None:
    names = [f"error_{number}" for number in range(21)]
    found = [one for one in signals.of(FUNNEL, {None: names}, ("error_*",), channels=False) if one.kind is Kind.ERROR]
    assert [signal.label for signal in found] == ["error_*"]
    assert set(found[0].values) == set(names)


def test_steps_in_any_order_have_no_step_to_go_back_to() -> None:
    found = signals.of(asked("A B C", HOUR, order=Order.ANY), {None: ["A"]}, channels=True)
    assert [signal.kind for signal in found] == [Kind.PING_PONG, Kind.SILENCE]
