"""Wildcards, groups, exclusions, repeats; sessions and stretches between events."""

from __future__ import annotations

import pyarrow as pa
import pytest

from engine.domain.errors import NotEnoughData, UnknownName
from journeys import histories, paths, patterns
from journeys.paths import Wanted
from journeys.patterns import Rewriting
from tests.journeys.path_builders import block, paths_of, told


@pytest.mark.parametrize(
    ("name", "pattern", "fits"),
    [
        ("loan_view", "loan_*", True),
        ("loan_", "loan_*", True),
        ("my_loan_view", "loan_*", False),
        ("A1", "A?", True),
        ("A", "A?", False),
        ("a", "A", False),
        ("a.b", "a.b", True),
        ("axb", "a.b", False),
        ("[ab]", "[ab]", True),
        ("a", "[ab]", False),
        ("two\nlines", "two*", True),
        ("", "*", True),
    ],
)
def test_a_star_is_any_text_a_question_mark_one_character_and_all_else_itself(
    name: str, pattern: str, fits: bool
) -> None:
    assert patterns.fits(name, pattern) is fits


def test_the_first_group_that_an_event_fits_names_it_and_exclusion_goes_before() -> None:
    rewriting = Rewriting(exclude=("loan_error",), groups=(("loan_*", "loan"), ("*_view", "look")))
    events = ["card_view", "loan_error", "loan_view", "pay"]
    assert [patterns.renamed(name, rewriting) for name in events] == ["look", None, "loan", "pay"]
    assert patterns.vocabulary(events, rewriting) == ("loan", "look", "pay")


def test_repeats_are_merged_under_the_new_names_and_keep_their_first_event() -> None:
    of = paths_of(
        {"ann": "loan_a@0 loan_b@5 pay@6 noise@7 pay@8"},
        rewriting=Rewriting(exclude=("noise",), groups=(("loan_*", "loan"),), merge_repeats=True),
    )
    assert told(of) == {"ann": ["loan pay"]}
    assert of.histories.at.tolist() == [0, 6_000_000]


def test_repeats_of_different_customers_are_not_merged() -> None:
    of = paths_of({"ann": "B@0 A@1", "ben": "A@2 A@3"}, rewriting=Rewriting(merge_repeats=True))
    assert told(of) == {"ann": ["B A"], "ben": ["A"]}


def test_a_customer_without_an_event_left_has_no_path() -> None:
    of = paths_of({"ann": "A@0", "ben": "B@0 A@1", "cid": "A@5"}, rewriting=Rewriting(only=("B",)))
    assert told(of) == {"ben": ["B"]}
    assert of.customer.tolist() == [1]


def test_a_silence_of_exactly_the_gap_does_not_begin_a_new_path() -> None:
    of = paths_of({"ann": "A@0 B@60 C@121", "ben": "A@500"}, session_gap_seconds=60)
    assert told(of) == {"ann": ["A B", "C"], "ben": ["A"]}
    assert of.customer.tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (("B",), (), {"ann": ["B C B D"], "ben": ["B"]}),
        ((), ("C",), {"ann": ["A B C"], "cid": ["C"]}),
        (("B",), ("B", "D"), {"ann": ["B C B"]}),
        (("?",), ("D",), {"ann": ["A B C B D"]}),
    ],
)
def test_paths_run_from_the_first_start_to_the_first_end_after_it(
    start: tuple[str, ...], end: tuple[str, ...], expected: dict[str, list[str]]
) -> None:
    of = paths_of({"ann": "A@0 B@1 C@2 B@3 D@4", "ben": "A@0 B@1", "cid": "C@9"}, start=start, end=end)
    assert told(of) == expected
    assert of.arrived.tolist() == [bool(end)] * len(of)


def test_a_path_that_leads_to_an_event_has_it_at_place_0_and_one_from_an_event_has_that() -> None:
    people = {"ann": "A@0 B@1 C@2 D@3"}
    assert paths_of(people, end=("C",)).anchor.tolist() == [2]
    assert paths_of(people, start=("B",), end=("C",)).anchor.tolist() == [0]
    assert paths.around(paths_of(people), ["C"]).anchor.tolist() == [2]


def test_the_value_at_the_first_event_is_the_group_and_a_missing_one_is_unknown() -> None:
    people = {"ann": "A/web@0 B/app@1", "ben": "A@0 B/web@1", "cid": "A/unknown@0", "dan": "A/web@0"}
    grouped = paths.per_group(paths_of(people), "channel", _customers)
    assert {(row["group"], row["customer"]) for row in grouped.to_pylist()} == {
        ("web", "ann"), ("web", "dan"), ("unknown", "ben"), ("unknown", "cid"),
    }  # fmt: skip


def _customers(part: paths.Paths) -> pa.Table:
    return pa.table({"customer": part.histories.ids})


def test_too_many_groups_are_refused_with_the_number_of_them() -> None:
    people = {f"c{n}": f"A/v{n}@0" for n in range(paths.MOST_GROUPS + 1)}
    with pytest.raises(NotEnoughData, match="more than 1,000 values"):
        paths.per_group(paths_of(people), "channel", _customers)


def test_a_pattern_that_no_event_fits_is_refused_with_the_events_that_there_are() -> None:
    with pytest.raises(UnknownName, match=r'Unknown event "laon_\*".*loan_view'):
        Wanted(rewriting=Rewriting(only=("laon_*",))).check(["loan_view", "pay"])
    with pytest.raises(UnknownName, match='"pay"'):
        # by its new name, there is no pay any more
        Wanted(rewriting=Rewriting(groups=(("p*", "paid"),)), start=("pay",)).check(["loan_view", "pay"])
    Wanted(rewriting=Rewriting(groups=(("p*", "paid"),)), start=("paid",)).check(["loan_view", "pay"])


@pytest.mark.parametrize(
    ("name", "written"),
    [("A", "A"), ("(start)", "((start))"), ("((start))", "(((start)))"), ("(begin)", "(begin)"), (None, None)],
)
def test_a_real_event_is_never_taken_for_a_mark(name: str | None, written: str | None) -> None:
    assert patterns.beside(name, ("(start)", "(end)")) == written


def test_no_events_have_no_paths() -> None:
    none = block({})
    for wanted in (Wanted(), Wanted(session_gap_seconds=1), Wanted(start=("A",)), Wanted(end=("A",))):
        assert len(paths.of(histories.of(none), wanted)) == 0
