"""A trail that was cut or written anew is found by its sealed checkpoint, anything else by the chain alone."""

from dataclasses import replace

import pytest

from engine.compliance.audit import Checkpoint, seal, verify
from engine.numerics.chain import Head, Link
from tests.engine.numerics.test_chain import chain_of

KEY = bytes(range(32))


def sealed(links: list[Link]) -> Checkpoint:
    return seal(Head(seq=links[-1].seq, hash=links[-1].hash), KEY)


def test_a_whole_trail_holds_with_and_without_its_checkpoint() -> None:
    links = chain_of("a", "b", "c")
    for checkpoint in (None, sealed(links), sealed(links[:2]), seal(Head(), KEY)):
        found = verify(links, checkpoint, KEY)
        assert found.whole
        assert (found.entries, found.head) == (3, links[-1].hash)


def test_newest_entries_that_were_cut_off_are_missed_only_by_the_checkpoint() -> None:
    links = chain_of("a", "b", "c")
    assert verify(links[:2]).whole
    found = verify(links[:2], sealed(links), KEY)
    assert found.broken_at == 3
    assert "the newest entries are gone" in (found.problem or "")


def test_a_trail_written_anew_is_known_only_by_the_checkpoint() -> None:
    checkpoint = sealed(chain_of("a", "b", "c"))
    anew = chain_of("a", "x", "c", "d")
    assert verify(anew).whole
    found = verify(anew, checkpoint, KEY)
    assert found.broken_at == 3
    assert "written anew" in (found.problem or "")


def test_a_checkpoint_is_of_no_use_without_its_key() -> None:
    links = chain_of("a", "b")
    forged = replace(sealed(links), seq=1, hash=links[0].hash)
    assert "seal" in (verify(links, forged, KEY).problem or "")
    assert "seal" in (verify(links, sealed(links), b"another key").problem or "")


def test_a_short_key_seals_nothing() -> None:
    with pytest.raises(ValueError, match="expected 32 or more"):
        seal(Head(), b"short")
