"""Who may be contacted: the gates on a customer in steps, one first reason each, and sums that add up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.recommendations import reachable
from engine.recommendations.gates import GATES
from tests.engine.recommendations import builders

CHANNELS = ("push", "email", "sms", "post", "phone")


CATALOGUE = builders.demo_catalogue()
SETTINGS = builders.settings()


def codes(channels: tuple[str, ...] = CHANNELS, left: tuple[str, ...] = (), **changes: Any) -> Any:
    """Return the codes of the good customer, changed as told; `left` are channels on which consent was taken back."""
    changed = {name: np.array([value]) for name, value in changes.items() if name != "held_out"}
    block = builders.good_customer(CATALOGUE, **changed)
    opted_out = np.array([[name in left for name in CHANNELS]])
    held_out = np.array([changes.get("held_out", False)])
    masks = reachable.masks(block, CATALOGUE, SETTINGS, channels, opted_out=opted_out, held_out=held_out)
    assert masks.shape == (1,)
    return reachable.codes(int(masks[0]))


EMAIL_ONLY = [name == "email" for name in CHANNELS]
NONE = [False] * 5


@pytest.mark.parametrize(
    ("said", "case"),
    [
        ((), {}),
        (("NO_CONSENT",), {"consent": NONE}),
        # agreed to e-mail alone: reached there, and not by push
        ((), {"consent": EMAIL_ONLY, "channels": ("email", "push")}),
        (("NO_CONSENT",), {"consent": EMAIL_ONLY, "channels": ("push",)}),
        # consent to push was taken back, which is told as that; to sms it never was given
        (("OPTED_OUT",), {"consent": EMAIL_ONLY, "channels": ("push", "sms"), "left": ("push",)}),
        (("NO_CONSENT",), {"consent": EMAIL_ONLY, "channels": ("sms",), "left": ("push",)}),
        ((), {"consent": EMAIL_ONLY, "left": ("push",)}),
        (("RELATIONSHIP_CLOSED",), {"is_open": False}),
        (("CONTROL_GROUP",), {"held_out": True}),
        (("QUIET_AFTER_CONTACT",), {"days_since_contact": 1.0}),
        (("HELD_BY_RISK",), {"is_held": True}),
        (("NO_ANSWER_OF_RISK",), {"is_answered": False}),
        # several at once: the first step first
        (("NO_CONSENT", "RELATIONSHIP_CLOSED", "HELD_BY_RISK"), {"consent": NONE, "is_open": False, "is_held": True}),
        # one sms in the last week is the cap of that channel: e-mail stays open
        ((), {"contacts": [1.0, 1.0, 1.0, 0.0], "days_since_contact": 5.0, "channels": ("email", "sms")}),
        (("CHANNEL_CAP",), {"contacts": [1.0, 1.0, 1.0, 0.0], "days_since_contact": 5.0, "channels": ("sms",)}),
    ],
)
def test_a_customer_is_refused_for_what_is_wrong_and_for_nothing_else(
    said: tuple[str, ...], case: dict[str, Any]
) -> None:
    assert codes(**case) == said


def test_every_gate_that_is_about_the_customer_alone_is_asked() -> None:
    block = builders.good_customer(CATALOGUE)
    case = reachable.Case(
        block=block,
        catalogue=CATALOGUE,
        settings=SETTINGS,
        value=np.zeros((1, CATALOGUE.size)),
        amount=np.zeros((1, CATALOGUE.size)),
    )
    # what a gate says of one product of the catalogue has as many columns as there are products
    of_customer = {gate.name for gate in GATES if gate.refuses(case).shape == (1, 1) and CATALOGUE.size > 1}
    # a catalogue without offers asks of none on which channels it may go out
    assert {GATES[one.bit].name for one in reachable.REASONS if one.bit < len(GATES)} == of_customer


@given(st.lists(st.sets(st.sampled_from(range(len(reachable.REASONS)))), max_size=40), st.integers(0, 40))
def test_everybody_has_one_first_reason_and_the_sums_add_up(given_reasons: list[set[int]], cut: int) -> None:
    masks = np.array(
        [sum(1 << reachable.REASONS[place].bit for place in places) for places in given_reasons], dtype=np.uint64
    )
    found = reachable.waterfall(masks)
    firsts = reachable.first(masks).tolist()
    assert firsts == [min(places, default=-1) for places in given_reasons]
    assert found.members == found.reachable + found.removed.sum()
    assert found.reachable == sum(not places for places in given_reasons)
    remaining = found.members
    for step in found.steps():
        assert step["removed"] == sum(one["removed"] for one in step["reasons"])
        remaining -= step["removed"]
        assert step["remaining"] == remaining
        assert all(one["removed"] <= one["refused"] for one in step["reasons"])
    assert remaining == found.reachable
    # the parts of a group add up to the whole
    parts = reachable.waterfall(masks[:cut]) + reachable.waterfall(masks[cut:])
    assert (parts.members, parts.removed.tolist(), parts.refused.tolist()) == (
        found.members, found.removed.tolist(), found.refused.tolist(),
    )  # fmt: skip


@given(st.sets(st.sampled_from(CHANNELS)), st.sampled_from(CHANNELS))
def test_one_channel_more_never_reaches_fewer(channels: set[str], more: str) -> None:
    rng = np.random.default_rng(5)
    block = builders.good_customer(CATALOGUE).rows(np.zeros(64, np.int64))
    block = replace(block, consent=rng.random((64, 5)) < 0.4, contacts=rng.integers(0, 3, (64, 4)).astype(float))
    nobody = np.zeros(64, bool)
    left = rng.random((64, 5)) < 0.3
    fewer = reachable.masks(block, CATALOGUE, SETTINGS, tuple(channels), opted_out=left, held_out=nobody) == 0
    wider = reachable.masks(block, CATALOGUE, SETTINGS, (*channels, more), opted_out=left, held_out=nobody) == 0
    assert not np.any(fewer & ~wider)
