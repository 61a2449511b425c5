"""A chain of hashes names the first entry that was touched."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.numerics.chain import GENESIS, Break, Head, Link, canonical, link, walk


def chain_of(*actions: str) -> list[Link]:
    links: list[Link] = []
    for seq, action in enumerate(actions, start=1):
        previous = links[-1].hash if links else GENESIS
        entry = {"action": action, "seq": seq}
        links.append(Link(seq=seq, previous=previous, hash=link(previous, entry), text=canonical(entry)))
    return links


def test_golden_case_two_entries_have_the_hashes_worked_out_elsewhere() -> None:
    # sha256(previous hash as hexadecimal text, then the canonical JSON); the first follows 64 zeros
    first = link(GENESIS, {"seq": 1, "actor": "alice", "obj": "C1", "action": "decision.create"})
    assert first == "c24350a02f5b17f3fe7e5af21ecbc6f2463000d138ad71baa2d0f32a2686ba3a"
    second = link(first, {"action": "export.csv", "actor": "bob", "obj": "risk", "seq": 2})
    assert second == "adfd2073cd4acb99e4205b70a0a1bb09e7a79efaca7775e7164b7bb78b9a3216"


def test_canonical_form_sorts_keys_keeps_chinese_and_knows_no_nan() -> None:
    assert canonical({"b": [1, 2.5, None], "a": "信"}) == '{"a":"信","b":[1,2.5,null]}'
    with pytest.raises(ValueError, match="JSON"):
        canonical({"a": float("nan")})


def test_an_empty_chain_holds() -> None:
    assert walk([]) == (Head(seq=0, hash=GENESIS), None)


def test_each_kind_of_tampering_is_named_at_its_first_entry() -> None:
    one, two, three, four = chain_of("a", "b", "c", "d")
    forged = Link(seq=2, previous=one.hash, hash=two.hash, text=canonical({"action": "x", "seq": 2}))
    unreadable = Link(seq=2, previous=one.hash, hash=two.hash, text=None)
    cases = {
        "edited": ([one, forged, three, four], 2),
        "unreadable": ([one, unreadable, three, four], 2),
        "inserted": ([one, two, two, three, four], 2),
        "reordered": ([one, three, two, four], 2),
        "middle deleted": ([one, two, four], 3),
        "first deleted": ([two, three, four], 1),
    }
    for name, (links, seq) in cases.items():
        head, broken = walk(links)
        assert broken is not None, name
        assert broken.seq == seq, name
        assert head.seq <= 2, name


def test_a_cut_tail_is_not_seen_by_the_chain_alone() -> None:
    links = chain_of("a", "b", "c")
    assert walk(links[:2]) == (Head(seq=2, hash=links[1].hash), None)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), min_size=1, max_size=12), st.data())
def test_law_any_edited_entry_is_found_at_its_own_number(actions: list[str], data: st.DataObject) -> None:
    links = chain_of(*actions)
    assert walk(links)[1] is None
    at = data.draw(st.integers(0, len(links) - 1))
    touched = links[at]
    links[at] = Link(seq=touched.seq, previous=touched.previous, hash=touched.hash, text='{"action":1}')
    assert walk(links)[1] == Break(seq=at + 1, problem=f"entry {at + 1} was changed after it was written")
